#!/bin/sh
# Imports one uploaded CSV file: counts its rows and writes the count to the bucket, outside the watched prefix.
# Usage: import-csv.sh BUCKET KEY. $BUCKETS is the folder that contains a folder for each bucket.
# On AWS, use `aws s3 cp "s3://$bucket/$key" -` and `aws s3 cp - "s3://$bucket/$result"` in the two marked lines.
set -eu
bucket=$1 key=$2
result="imported/${key#incoming/}.count"

rows=$(awk 'END { print (NR > 0 ? NR - 1 : 0) }' < "$BUCKETS/$bucket/$key") # read the object

mkdir -p "$(dirname -- "$BUCKETS/$bucket/$result")"
printf '%s\n' "$rows" > "$BUCKETS/$bucket/$result" # write the result

echo "imported s3://$bucket/$key: $rows rows of ${OBJECT_SIZE:-?} bytes, result in s3://$bucket/$result"
