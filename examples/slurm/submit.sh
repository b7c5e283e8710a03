#!/usr/bin/env bash
# Every model on every test set, on a SLURM cluster: a job array, and after it a job that makes one table.
#
#   examples/slurm/submit.sh OUT MODEL... -- TEST...
#
# Only tasks that are not done are submitted; call it again after failures, or with more models. Logs: OUT/logs.
# What the arguments and the variables mean stands in eval.sbatch beside this script.
set -euo pipefail
script=$(dirname "$(realpath "$0")")/eval.sbatch
todo=$("$script" --todo "$@")
command -v sbatch >/dev/null || { echo "submit.sh: error: sbatch: not found; run it where SLURM is" >&2 && exit 1; }
logs=${1//%/%%}/logs # % is special in --output
mkdir -p "$1/logs"
after=()
if [ -n "$todo" ]; then
    id=$(sbatch --parsable --array="$todo" --output="$logs/%x-%A_%a.log" "$script" "$@")
    echo "submit.sh: job ${id%%;*}, tasks $todo" >&2
    # afterany, not afterok: one failed task must not cost the table of the others; the table names what is missing.
    after=(--dependency="afterany:${id%%;*}")
fi
if [ "${EVAL:-}" != none ]; then
    id=$(env -u SBATCH_GRES -u SBATCH_GPUS -u SBATCH_GPUS_PER_TASK sbatch --parsable "${after[@]}" \
        --job-name=kd-table --cpus-per-task=1 --output="$logs/%x-%j.log" "$script" --table "$@")
    echo "submit.sh: job ${id%%;*}, the table: $1/table.tsv" >&2
fi
