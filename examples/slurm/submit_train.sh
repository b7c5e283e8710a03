#!/usr/bin/env bash
# Teachers and student on a SLURM cluster: a job array of both teachers, and after it the student.
#
#   examples/slurm/submit_train.sh OUT FACES
#
# Only tasks that are not done are submitted; call it again after failures. Logs: OUT/logs.
# What the arguments and the variables mean stands in train.sbatch beside this script.
set -euo pipefail
script=$(dirname "$(realpath "$0")")/train.sbatch
todo=$("$script" --todo "$@")
[ -n "$todo" ] || { echo "submit_train.sh: all is there: $1" >&2 && exit; }
command -v sbatch >/dev/null ||
    { echo "submit_train.sh: error: sbatch: not found; run it where SLURM is" >&2 && exit 1; }
logs=${1//%/%%}/logs # % is special in --output
mkdir -p "$1/logs"
submit() { sbatch --parsable --output="$logs/%x-%A_%a.log" "$@" "$script" "${asked[@]}"; }
asked=("$@") after=()
teachers=${todo%2}
if [ -n "${teachers%,}" ]; then
    id=$(submit --array="${teachers%,}")
    echo "submit_train.sh: job ${id%%;*}, teachers ${teachers%,}" >&2
    # afterok: no student without its teachers. It is cancelled, instead of waiting for ever, when one of them fails;
    # a requeued teacher has not failed.
    after=(--dependency="afterok:${id%%;*}" --kill-on-invalid-dep=yes)
fi
if [[ $todo == *2 ]]; then
    id=$(submit "${after[@]}" --array=2)
    echo "submit_train.sh: job ${id%%;*}, the student" >&2
fi
