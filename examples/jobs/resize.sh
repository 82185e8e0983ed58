# What the container would run: resize.sh IMAGE WIDTH
echo "$1 resized to a width of $2"
