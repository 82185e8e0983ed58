# Handles one message, whose body is on standard input.
read -r image
echo "thumbnail of $image"
