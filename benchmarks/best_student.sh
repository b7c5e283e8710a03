#!/usr/bin/env bash
# The best student that two cores train in an hour, from two sets of real faces and ImageNet weights alone; then its
# table on validation faces nobody of whom it has seen. Why it is made so is in docs/results.md.
#
#   benchmarks/best_student.sh DATA WORK
#
# DATA holds lfpw68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors. Everything
# goes to WORK; what is there already is kept, so an interrupted run goes on where it stopped. The student is
# WORK/student.safetensors: MobileNetV2 1.0 with a heatmap head, 1.9 M parameters, 0.57 GFLOPs at 208 px.
#
# It learns coarse faces first (96 px, three times as many a second), then fine ones (160 px), and at last sharp ones
# (208 px), most of them LFPW's: the two sets do not mean the same by some points (the nose's tip lies 7 % of the
# inter-ocular distance apart), and there are few of LFPW's. How many epochs each part has follows from how long
# those before it took, so that all is done in MINUTES=54. APART=7 keeps every seventh LFPW face apart, of 810, and
# prints the table of those too.
set -euo pipefail
data=${1:?usage: best_student.sh DATA WORK} work=${2:?usage: best_student.sh DATA WORK}
minutes=${MINUTES:-54} seed=${SEED:-0} processes=${PROCESSES:-$(env -u OMP_NUM_THREADS nproc)} apart=${APART:-0}
benchmarks=$(dirname "$(realpath "$0")")
data=$(realpath "$data")
mkdir -p "$work"
cd "$work"
# A run that goes on counts the time of those before it.
[ ! -e seconds ] || SECONDS=$(<seconds)
trap 'echo "$SECONDS" >seconds' EXIT

# One process of one thread on each core: a fifth faster here than one process of as many threads.
export OMP_NUM_THREADS=1
train() { torchrun --standalone --nproc-per-node "$processes" --no-python kd-student "$@"; }

# run OUTPUT COMMAND...: unless OUTPUT is there; prints what it took
run() {
    local output=$1 began=$SECONDS
    shift
    [ -e "$output" ] && return
    echo "\$ $*"
    "$@" || [ $? -eq 4 ] # 4: some inputs were skipped, each named
    echo "# $((SECONDS - began)) s"
}

# Of the youtube68 images 529 are annotated twice, the second time badly; only the first counts. LFPW's faces, fewer and
# annotated with care, count twice: under another name, since ids are unique.
lfpw=$data/lfpw68/train
if [ "$apart" -gt 0 ]; then
    lfpw=$PWD/lfpw68_fit
    mkdir -p lfpw68_fit lfpw68_apart
    cp -rsf "$data/lfpw68/train/." lfpw68_fit
    for points in $(cd lfpw68_fit && printf '%s\n' *.pts | awk "NR % $apart == 0"); do
        mv -f lfpw68_fit/"${points%.pts}".* lfpw68_apart/
    done
    run apart.h5 kd-import lfpw68_apart --size 208 -o apart.h5
fi
for again in lfpw68_2 lfpw68_3 lfpw68_4; do
    mkdir -p $again
    cp -rsf "$lfpw/." $again
done
python3 "$benchmarks/first_annotations.py" "$data/youtube68/train" youtube68_once
mkdir -p youtube68_quarter
ln -sfn "$data/youtube68/train/images" youtube68_quarter/images
awk 'NR % 4 == 1' youtube68_once/landmarks.csv >youtube68_quarter/landmarks.csv
run train.h5 kd-import "$lfpw" lfpw68_2 youtube68_once --size 160 -o train.h5
run sharp.h5 kd-import "$lfpw" lfpw68_2 lfpw68_3 lfpw68_4 youtube68_quarter --size 208 -o sharp.h5
run lfpw.h5 kd-import "$lfpw" --size 208 -o lfpw.h5
run val.h5 kd-import "$data/youtube68/val" --size 208 -o val.h5

weights=$data/weights/mobilenetv2_100_imagenet.safetensors
common=(--preset best --loss "${LOSS:-wing}" --augment light --set freeze=8 --batch $((8 * processes)) --seed "$seed" --resume)
coarse=(train.h5 --val val.h5 --input-size 96 --init "$weights" --lr 3e-3)
fine=(train.h5 --val val.h5 --input-size 160 --init coarse.safetensors --lr 1.5e-3)
# Validated by what it is trained on, which takes the last epoch: nothing that is measured in the end chooses it.
sharp=(sharp.h5 --val lfpw.h5 --input-size 208 --init fine.safetensors --lr 1.5e-3)

# seconds_of FACES RUN TIMES: of an epoch of a faces file, where a face takes so many times what it took in a run before
seconds_of() {
    local faces
    faces=$(kd-info "$1.h5" --value faces)
    python3 - "$faces" "$2.log.jsonl" "$3" <<'PYTHON'
import json, sys

speeds = [json.loads(line)["images_per_second"] for line in open(sys.argv[2])]
print(float(sys.argv[1]) * len(speeds) / sum(speeds) * float(sys.argv[3]))
PYTHON
}

# learn NAME SHARE SECONDS OPTION...: train with as many epochs of so many seconds as fit into a share of the time that
# is left, but for validations and the tables; how many is kept in NAME.epochs
learn() {
    local name=$1 share=$2 seconds=$3 epochs
    shift 3
    if [ ! -e "$name.epochs" ]; then
        awk -v left="$minutes" -v used="$SECONDS" -v share="$share" -v one="$seconds" 'BEGIN {
            n = int(share * (60 * left - used - 130) / one + (share < 1 ? 0.5 : 0)); print (n < 2 ? 2 : n) }' >epochs.part
        mv epochs.part "$name.epochs"
    fi
    read -r epochs <"$name.epochs"
    echo "# $name: $epochs epochs"
    run "$name.safetensors" train "${common[@]}" "$@" --epochs "$epochs" -o "$name.safetensors"
}

run timed.safetensors train "${common[@]}" lfpw.h5 --val val.h5 --input-size 96 --lr 3e-3 --init "$weights" --epochs 2 \
    -q -o timed.safetensors
# A face takes 2.1 times as long at 160 px as at 96 px here, and 1.6 times that at 208 px.
one=$(seconds_of train timed 1)
learn coarse 0.25 "$one" "${coarse[@]}"
one=$(seconds_of train coarse 2.1)
learn fine 0.68 "$one" "${fine[@]}"
one=$(seconds_of sharp fine 1.6)
learn student 1 "$one" "${sharp[@]}"
measured=val
[ "$apart" -eq 0 ] || measured="val apart"
for part in $measured; do
    run "student.$part.h5" kd-predict student.safetensors "$part.h5" -o "student.$part.h5"
    run "flipped.$part.h5" kd-predict student.safetensors "$part.h5" --flip -o "flipped.$part.h5"
    kd-eval "student=student.$part.h5" "student, --flip=flipped.$part.h5" --truth "$part.h5" \
        --mean-shape train.h5 --norm inter-ocular
done
echo "# $SECONDS s in all"
