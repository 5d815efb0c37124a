#!/bin/sh
# Stands for our own program, called as `PROGRAM demo --keeper FOLDER`: the test binary that calls it is its keeper.
[ "$1 $2" = "demo --keeper" ] || exit 2
KEEPER_FOLDER=$3 exec "/proc/$PPID/exe" --exact bodies::keeper --nocapture
