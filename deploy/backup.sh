#!/bin/sh
# Copies the append-only folder of a Redis that runs: backup.sh APPENDONLYDIR TARGET
# Files are only appended to, unless Redis writes them anew: then the manifest changes, and it is
# copied again. A file that was cut off in the middle of a command is read up to there.
set -eu
if [ $# -ne 2 ]; then
    echo "usage: backup.sh APPENDONLYDIR TARGET" >&2
    exit 2
fi
source=$1 target=$2
if [ ! -d "$source" ]; then
    echo "backup.sh: $source: no such folder" >&2
    exit 1
fi
if [ -e "$target" ]; then
    echo "backup.sh: $target: is there already" >&2
    exit 1
fi
manifest() { cat "$source"/*.manifest; }

for _try in 1 2 3 4 5 6 7 8 9 10; do
    before=$(manifest)
    cp -R "$source" "$target"
    if [ "$before" = "$(manifest)" ] && [ "$before" = "$(cat "$target"/*.manifest)" ]; then
        exit 0
    fi
    rm -rf "$target"
    sleep 1
done
echo "backup.sh: Redis rewrites its files all the time; try again later" >&2
exit 1
