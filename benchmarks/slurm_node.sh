#!/usr/bin/env bash
# examples/slurm on a real SLURM of one node that is set up for it and taken down again: a job array of models times
# test sets, run again, killed, requeued, run twice at once; then one model over shards, one of them lost.
#
#   apt-get install slurm-wlm munge
#   benchmarks/slurm_node.sh [DIR]          as root in a container; DIR (default: a temporary folder) is kept
#
# kdtools must be on the PATH. Nothing in /etc is read or written. Takes some minutes; each check says what it found.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "$0")")")
command -v kd-eval >/dev/null || { echo "slurm_node.sh: error: kd-eval: not found" >&2 && exit 1; }
dir=${1:-$(mktemp -d)}
mkdir -p "$dir/work"
# The second time it runs on the node.
[ "${2:-}" = on-node ] || exec "$root/tests/slurm_node.sh" "$dir/slurm" "$(realpath "$0")" "$(realpath "$dir")" on-node
cd "$dir"
export OMP_NUM_THREADS=1
sinfo

# ---- what the checks are made of
section() { printf '\n== %s\n' "$*"; }
fail() { echo "slurm_node.sh: FAILED: $*" >&2 && exit 1; }
# wait_for_jobs: until the queue is empty
wait_for_jobs() { while [ -n "$(squeue -h)" ]; do sleep 1; done; }
# outputs DIR: each product's inode, time of change and checksum
outputs() { find "$1" \( -name '*.h5' -o -name '*.tsv' \) -printf '%i %T@ ' -exec sha256sum {} \; | sort; }
# states JOB: how the tasks ended (SLURM here keeps no accounts, so squeue's and scontrol's memory has to do)
states() { scontrol -o show job "$1" | grep -oE '(ArrayTaskId|JobState|Restarts|ExitCode)=[^ ]+' | paste -sd ' '; }
submit() { "$root/examples/slurm/submit.sh" "$@" 2> >(tee submitted >&2); }
array_id() { sed -n 's/^submit.sh: job \([0-9]*\), tasks.*/\1/p' submitted; }
table_id() { sed -n 's/^submit.sh: job \([0-9]*\), the table.*/\1/p' submitted; }
until_predicting() { # JOB_TASK: until its log shows that the model runs
    until grep -q kd-predict "results of/logs/kd-eval-$1.log" 2>/dev/null; do sleep 0.2; done
    sleep 2
}
cd work
mkdir -p "check points" shards

section "two models, two test sets and a large one, all drawn"
[ -e train.h5 ] || kd-synth -q -n 60 --size 48 --seed 1 -o train.h5
[ -e common.h5 ] || kd-synth -q -n 40 --size 48 --seed 2 -o common.h5
[ -e "hard faces.h5" ] || kd-synth -q -n 30 --size 48 --seed 3 -o "hard faces.h5"
[ -e large.h5 ] || kd-synth -q -n 4000 --size 48 --seed 4 -o large.h5
tiny=(--arch test_resnet --input-size 32 --batch 8 --device cpu -q)
[ -e "check points/one.safetensors" ] || kd-teacher train.h5 "${tiny[@]}" --epochs 2 -o "check points/one.safetensors"
[ -e "check points/two.safetensors" ] || kd-teacher train.h5 "${tiny[@]}" --epochs 6 -o "check points/two.safetensors"
rm -rf "results of" pred next-*
models=("check points/one.safetensors" second="check points/two.safetensors")
asked=("results of" "${models[@]}" -- common.h5 hard="hard faces.h5")
all_four=$(printf '%s\n' one.h5 one.tsv second.h5 second.tsv)
export EVAL='--norm inter-ocular' PREDICT='--device cpu' SBATCH_TIMELIMIT=10

section "the array, and the table after it"
submit "${asked[@]}"
wait_for_jobs
states "$(array_id)"
cut -f 1-7 "results of/table.tsv"
[ "$(wc -l <"results of/table.tsv")" -eq 5 ] || fail "not four rows and a head"
[ "$(ls -A "results of/hard")" = "$all_four" ] || fail "other files are there"

section "the same again: all is there; and as an array again: all is kept"
before=$(outputs "results of")
submit "${asked[@]}"
script=$root/examples/slurm/eval.sbatch
id=$(sbatch --parsable --array=0-3 --output='results of/logs/again-%A_%a.log' "$script" "${asked[@]}")
wait_for_jobs
states "$id"
[ "$(outputs "results of")" = "$before" ] || fail "something was written again"
echo "inodes, times and checksums of $(wc -l <<<"$before") files are the same"

section "one task is killed half-way, the table names it, the same command makes it"
larger=("${asked[@]}" large.h5)
submit "${larger[@]}"
until_predicting "$(array_id)_4"
scancel "$(array_id)_4"
wait_for_jobs
states "$(array_id)"
cat "results of/logs/kd-eval-$(array_id)_4.log"
states "$(table_id)"
grep 'not done' "results of/logs/kd-table-$(table_id).log" || fail "the table does not name what is missing"
[ "$(ls -A "results of/large")" = "$(printf '%s\n' second.h5 second.tsv)" ] || fail "the killed task left something"
before=$(outputs "results of" | grep -v table.tsv)
submit "${larger[@]}"
wait_for_jobs
states "$(array_id)"
[ "$(outputs "results of" | grep -vE 'table.tsv|large/one')" = "$before" ] || fail "a finished task was written again"
cut -f 1-5 "results of/table.tsv"

section "requeued while it runs, and twice at once"
kd-eval one="results of/large/one.h5" --truth large.h5 --norm inter-ocular --tsv >before.tsv
rm "results of/large/one".*
submit "${larger[@]}"
first=$(array_id)
submit "${larger[@]}"
until_predicting "${first}_4"
scontrol requeue "${first}_4"
wait_for_jobs
states "$first"
states "$(array_id)"
cat "results of/logs/kd-eval-"{"$first","$(array_id)"}_4.log
kd-eval one="results of/large/one.h5" --truth large.h5 --norm inter-ocular --tsv | cmp - before.tsv ||
    fail "other figures"
[ "$(ls -A "results of/large")" = "$all_four" ] || fail "other files are there"

section "one model over shards, one shard lost"
[ -e shards/1.h5 ] || kd-split -q large.h5 --folds 8 -o 'shards/{}.h5'
[ -e truth.h5 ] || kd-merge -q large.h5 --no-images -o truth.h5
measure() { kd-eval student="$1" --truth truth.h5 --norm inter-ocular --tsv "${@:2}" | cut -f 1-7; }
EVAL=none submit pred student="check points/two.safetensors" -- shards/*.h5
wait_for_jobs
measure 'pred/*/student.h5' | tee whole.tsv
kd-predict -q "check points/two.safetensors" large.h5 --device cpu -f -o large.pred.h5
measure large.pred.h5 | cmp - whole.tsv || fail "shards differ from one file"
rm pred/3/student.h5
measure 'pred/*/student.h5' && fail "a missing shard is no error"
measure 'pred/*/student.h5' --allow-missing
EVAL=none submit pred student="check points/two.safetensors" -- shards/*.h5
wait_for_jobs
measure 'pred/*/student.h5' | cmp - whole.tsv || fail "the shard made again differs"

section "verdicts, and jobs that wait for them"
for limit in 5 90; do
    verdict="kd-eval 'pred/*/student.h5' --truth truth.h5 --norm inter-ocular --max-nme $limit --value nme"
    id=$(sbatch --parsable --output="verdict-$limit.log" --wrap "$verdict")
    next=$(sbatch --parsable --dependency="afterok:$id" --output=next.log --wrap "touch next-$limit")
    until scontrol -o show job "$next" | grep -qE 'JobState=COMPLETED|DependencyNeverSatisfied'; do sleep 1; done
    states "$id"
    cat "verdict-$limit.log"
    scontrol -o show job "$next" | grep -oE 'JobState=[^ ]+ Reason=[^ ]+'
    scancel -Q "$next"
done
[[ ! -e next-5 && -e next-90 ]] || fail "the next job does not follow the verdict"
printf '\nslurm_node.sh: all passed; files are in %s\n' "$dir"
