#!/usr/bin/env bash
# The SHA-256 of all that a small run of every tool writes, with fixed seeds: what a change that only moves code must
# leave as it is. Run it before and after on one machine, and compare:
#
#   benchmarks/same_bytes.sh WORK >before.txt
#   benchmarks/same_bytes.sh WORK2 >after.txt && diff before.txt after.txt
#
# The digests hold on one machine with one set of libraries: drawing, convolutions and HDF5 differ between them. With
# DATA=FOLDER, LFPW's faces in FOLDER/lfpw68/train are imported and cropped as well.
set -euo pipefail
work=${1:?usage: same_bytes.sh WORK}
mkdir -p "$work"
[ -z "${DATA:-}" ] || ln -sfn "$(realpath "$DATA")/lfpw68/train" "$work/lfpw68"
cd "$work"
export SOURCE_DATE_EPOCH=1700000000 OMP_NUM_THREADS=1 XDG_CACHE_HOME=$PWD/cache

kd-synth -q -f -n 60 --size 72 --seed 1 -o faces.h5
kd-split -q -f faces.h5 -o train.h5 --rest test.h5 --share 0.3
kd-merge -q -f train.h5 test.h5 -o merged.h5
[ -z "${DATA:-}" ] || kd-import -q -f lfpw68 --size 64 -o lfpw.h5
kd-dump -q -f test.h5 --crops pictures -o pictures.csv
kd-dump -q -f faces.h5 -o faces.csv
kd-dump -q -f faces.h5 --format coco -o faces.json
kd-import -q -f pictures pictures.csv --size 48 -o imported.h5 2>/dev/null || kd-import -q -f pictures.csv --images pictures --size 48 -o imported.h5
kd-asm -q -f train.h5 -o soft.h5
small=(--arch mobilenetv2_050 --input-size 64 --epochs 2 --batch 8 --val test.h5 --seed 3 -q -f)
kd-teacher train.h5 "${small[@]}" -o tough.safetensors
kd-teacher train.h5 "${small[@]}" --landmarks soft.h5 -o tolerant.safetensors
for teacher in tough tolerant; do
    kd-predict -q -f $teacher.safetensors train.h5 -o $teacher.h5
done
kd-student train.h5 --tough tough.h5 --tolerant tolerant.h5 "${small[@]}" -o cached.safetensors
kd-student train.h5 --tough tough.safetensors --tolerant tolerant.safetensors "${small[@]}" -o online.safetensors
kd-student train.h5 --loss l1 --set head=heatmap --augment strong "${small[@]}" -o heatmap.safetensors
kd-predict -q -f cached.safetensors test.h5 -o pred.h5
kd-predict -q -f heatmap.safetensors test.h5 --flip -o flipped.h5
kd-predict -q -f heatmap.safetensors pictures --detector whole -o photographs.h5
kd-eval pred.h5 flipped.h5 --truth test.h5 --json >eval.json
kd-eval pred.h5 flipped.h5 --truth test.h5 --compare -q -f -o eval.md -o eval.tex --plot ced=ced.svg
kd-export -q -f cached.safetensors -o cached.onnx
kd-export -q -f heatmap.safetensors -o heatmap.onnx
kd-predict -q -f heatmap.onnx test.h5 -o exported.h5
kd-view -q -f test.h5 pred.h5 -n 9 -o view.png
kd-info --json cached.safetensors >info.json
find . -type f ! -name '*.log.jsonl' ! -path './cache/*' ! -path './lfpw68/*' | LC_ALL=C sort | xargs -d '\n' sha256sum
