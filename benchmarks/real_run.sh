#!/usr/bin/env bash
# The whole method on real faces, at a size that two CPU cores manage in about an hour:
# import, shape model, both teachers, their predictions, four students, one table.
#
#   benchmarks/real_run.sh DATA WORK
#
# DATA holds lfpw68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors.
# Everything goes to WORK; what is there already is kept, so an interrupted run goes on where it stopped.
# Sizes can be changed: INPUT=112 TEACHER_EPOCHS=10 STUDENT_EPOCHS=16 SEED=0
set -euo pipefail
data=${1:?usage: real_run.sh DATA WORK} work=${2:?usage: real_run.sh DATA WORK}
input=${INPUT:-112} teacher_epochs=${TEACHER_EPOCHS:-10} student_epochs=${STUDENT_EPOCHS:-16} seed=${SEED:-0}
mkdir -p "$work"

# run OUTPUT COMMAND...: unless OUTPUT is there; prints what it took
run() {
    local output=$1 began=$SECONDS
    shift
    [ -e "$output" ] && return
    echo "\$ $*"
    "$@" || [ $? -eq 4 ] # 4: some inputs were skipped, each named
    echo "# $((SECONDS - began)) s"
}

cd "$work"
run train.h5 kd-import "$data/lfpw68/train" "$data/youtube68/train" --size 128 -o train.h5
run val.h5 kd-import "$data/youtube68/val" --size 128 -o val.h5
run soft.h5 kd-asm train.h5 -o soft.h5 --plot-modes modes.png

teacher=(--arch mobilenetv2_100 --init "$data/weights/mobilenetv2_100_imagenet.safetensors" --input-size "$input"
    --epochs "$teacher_epochs" --val val.h5 --seed "$seed" --resume)
run tough.safetensors kd-teacher train.h5 "${teacher[@]}" -o tough.safetensors
run tolerant.safetensors kd-teacher train.h5 --landmarks soft.h5 "${teacher[@]}" -o tolerant.safetensors
for name in tough tolerant; do
    run $name.h5 kd-predict $name.safetensors train.h5 -o $name.h5
done

student=(--arch mobilenetv2_050 --input-size "$input" --epochs "$student_epochs" --val val.h5 --seed "$seed" --resume)
teachers=(--tough tough.h5 --tolerant tolerant.h5)
run kd_reference.safetensors kd-student train.h5 "${student[@]}" "${teachers[@]}" -o kd_reference.safetensors
run l2.safetensors kd-student train.h5 "${student[@]}" --loss l2 -o l2.safetensors
run l1.safetensors kd-student train.h5 "${student[@]}" --loss l1 -o l1.safetensors
run kd_figure.safetensors kd-student train.h5 "${student[@]}" "${teachers[@]}" --variant figure -o kd_figure.safetensors

for name in tough tolerant kd_reference kd_figure l2 l1; do
    run $name.val.h5 kd-predict $name.safetensors val.h5 -o $name.val.h5 --draw "faces_$name"
done
kd-eval {kd_reference,kd_figure,l2,l1,tough,tolerant}.val.h5 --truth val.h5 --mean-shape train.h5 --norm inter-ocular
