#!/usr/bin/env bash
# Landmarks of any number of images by several processes of one or more machines, with GNU parallel; then one file.
#
#   examples/parallel.sh N OUTPUT MODEL INPUT... [-- OPTION...]
#
# One kd-predict uses all cores by itself, so on one machine this gains little, but it is how several machines share out
# what all of them see: PARALLEL='--sshlogin a,b,c --workdir .' (see man parallel; one process at a time on each).
# N parts are done, OUTPUT.parts/K.h5. Called again after a stop, what is there is kept, and begun parts go on.
set -euo pipefail
usage='usage: parallel.sh N OUTPUT MODEL INPUT... [-- OPTION...]'
[[ $# -ge 4 && $1 =~ ^[1-9][0-9]*$ ]] || { echo "parallel.sh: error: $usage" >&2 && exit 2; }
command -v parallel >/dev/null || { echo "parallel.sh: error: GNU parallel: not found" >&2 && exit 1; }
n=$1 output=$2 model=$3 inputs=() parts=()
shift 3
while [ $# -gt 0 ] && [ "$1" != -- ]; do inputs+=("$1") && shift; done # what is left are -- and options
[ $# -eq 0 ] || shift
folder=$output.parts
mkdir -p "$folder"
for ((k = 1; k <= n; k++)); do parts+=("$folder/$k.h5"); done

# Exit status 4: done, but some inputs were skipped, each named. A part that is whole already costs a second.
do_part() {
    local k=$1 n=$2 folder=$3
    shift 3
    kd-predict "$@" --shard "$k/$n" --resume -q -o "$folder/$k.h5" || [ $? -eq 4 ]
}
export -f do_part
quoted=$(printf '%q ' "$n" "$folder" "$model" "${inputs[@]}" "$@") # for the shells that parallel starts
parallel --env do_part --jobs 1 --halt now,fail=1 do_part {} "$quoted" ::: $(seq "$n")
kd-merge "${parts[@]}" -o "$output"
