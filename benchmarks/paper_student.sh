#!/usr/bin/env bash
# The paper's student (--preset paper) beside the best one of an hour: the same network, faces, input size, minutes and
# machine; then the validation NME of both, minute by minute of training.
#
#   benchmarks/best_student.sh DATA HOUR && benchmarks/paper_student.sh HOUR WORK
#
# Its teachers cost it nothing here: Tough is the best student itself, and Tolerant the same after four epochs on
# Soft-landmarks, both as predictions. EPOCHS=20 at SIZE=96 px, about as long as the coarse part of the best student's
# hour.
set -euo pipefail
hour=$(realpath "${1:?usage: paper_student.sh HOUR WORK}") work=${2:?usage: paper_student.sh HOUR WORK}
epochs=${EPOCHS:-20} size=${SIZE:-96} processes=${PROCESSES:-$(env -u OMP_NUM_THREADS nproc)}
mkdir -p "$work"
cd "$work"
export OMP_NUM_THREADS=1
train() { torchrun --standalone --nproc-per-node "$processes" --no-python "$@"; }

[ -e soft.h5 ] || kd-asm "$hour/train.h5" -o soft.h5
[ -e tough.h5 ] || kd-predict "$hour/student.safetensors" "$hour/train.h5" -o tough.h5
[ -e tolerant.safetensors ] || train kd-teacher "$hour/train.h5" --landmarks soft.h5 --val "$hour/val.h5" --preset best \
    --loss wing --augment light --set freeze=8 --batch $((8 * processes)) --input-size 96 --epochs 4 --lr 1e-3 \
    --init "$hour/student.safetensors" --resume -o tolerant.safetensors
[ -e tolerant.h5 ] || kd-predict tolerant.safetensors "$hour/train.h5" -o tolerant.h5
[ -e paper.safetensors ] || train kd-student "$hour/train.h5" --val "$hour/val.h5" --tough tough.h5 --tolerant tolerant.h5 \
    --preset paper --input-size "$size" --epochs "$epochs" --resume -o paper.safetensors

python3 - paper.log.jsonl "$hour/coarse.log.jsonl" "$hour/fine.log.jsonl" <<'PYTHON'
import json
import sys


def curve(*logs):
    """(minutes of training, lowest NME so far) after each epoch of runs that follow each other."""
    seconds, lowest, points = 0.0, float("inf"), []
    for log in logs:
        for epoch in map(json.loads, open(log)):
            seconds += epoch["seconds"]
            lowest = min(lowest, epoch["val_nme_percent"])
            points.append((seconds / 60, lowest))
    return points


paper, best = curve(sys.argv[1]), curve(*sys.argv[2:])
print("minutes  paper   best  best to paper")
for minutes, nme in paper:
    reached = min((other for time, other in best if time <= minutes), default=float("nan"))
    print(f"{minutes:7.1f} {nme:6.2f} {reached:6.2f} {100 * (reached / nme - 1):+12.0f} %")
print(f"best after its fine part, {best[-1][0]:.1f} minutes: {best[-1][1]:.2f}, {100 * (best[-1][1] / paper[-1][1] - 1):+.0f} %")
PYTHON
