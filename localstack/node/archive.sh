# Archives one segment of the log, so that it is there when it is whole and on the disk; another one of its name is never
# replaced. PostgreSQL tries again for as long as this fails, and keeps the segment.
from=$1 to=$2 name=$3
if [ -e "$to/$name" ]; then
    exec cmp -s "$from" "$to/$name"
fi
# One that outlived its server may still be at it.
new=$to/.$name.$$.new
cp "$from" "$new" && sync "$new" && mv "$new" "$to/$name" && sync "$to"
