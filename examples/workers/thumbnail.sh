# One message: its body is on standard input.
read -r image
echo "thumbnail of $image"
