# Stands in for the container's program. Usage: resize.sh IMAGE WIDTH
echo "$1 resized to a width of $2"
