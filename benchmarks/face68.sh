#!/usr/bin/env bash
# Trains the bundled network face68, and measures it on faces kept apart.
#
#   benchmarks/face68.sh train DATA WORK            four parts, at 96, 160 and 208 px; goes on where it was stopped
#   benchmarks/face68.sh teachers DATA WORK         after its second part, edition 3: teachers, and a student at 208 px on
#                                                   unlabelled faces too
#   benchmarks/face68.sh larger DATA WORK           after edition 3: EfficientNet-lite2 as another teacher, and a student at 208 px
#   benchmarks/face68.sh again DATA WORK            after train and larger (with PROCESSES=1 EPOCHS=6): two parts more, at
#                                                   208 px, the last with unlabelled faces and three networks as teachers
#   benchmarks/face68.sh sets DATA WORK             after again: that last part without teachers too, and from the mean of both
#                                                   networks' weights two trainings with layers for LFPW and HELEN; the mean
#                                                   of all three, and of that and one whose head was trained on
#   benchmarks/face68.sh sets-again DATA WORK       after sets: its head trained on; mild augmentation once more, from there a
#                                                   training on labelled faces and one with teachers; the mean of these three,
#                                                   and of that and one whose head was trained on
#   benchmarks/face68.sh tiny DATA WORK             after teachers: a smaller student at 112 px, with the same teachers
#   benchmarks/face68.sh tiny-labels DATA WORK      its control without teachers: as many images, labelled faces alone
#   benchmarks/face68.sh tiny-again DATA WORK       after tiny and again: two parts more, with the teachers of again
#   benchmarks/face68.sh figures DATA WORK [MODEL]  the table of its card; MODEL is face68 unless another is named
#
# DATA holds lfpw68/train, helen68/train, youtube68/train, youtube68/val and weights/mobilenetv2_100_imagenet.safetensors,
# for teachers also unlabelled/lfw and unlabelled/wflw_scenes.
# Every seventh photograph of LFPW and of HELEN is kept apart, with all its faces. Everything goes to WORK. The network
# is WORK/sets_again.safetensors after `sets-again`; benchmarks/bundle_network.py puts it into the package. It was edition 3
# after the second part, WORK/student.safetensors, edition 4 after the fourth, WORK/fine.safetensors, edition 5 after
# `again`, WORK/last.safetensors, and edition 6 after `sets`, WORK/sets.safetensors.
set -euo pipefail
usage='usage: face68.sh train|again|sets|sets-again|teachers|larger|tiny|tiny-labels|tiny-again|figures DATA WORK [MODEL]'
what=${1:?$usage} data=$(realpath "${2:?$usage}") work=${3:?$usage} model=${4:-face68}
benchmarks=$(dirname "$(realpath "$0")") processes=${PROCESSES:-$(env -u OMP_NUM_THREADS nproc)}
[ ! -e "$model" ] || model=$(realpath "$model")
mkdir -p "$work"
cd "$work"
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

python3 - "$data" <<'PYTHON'
import re, sys
from pathlib import Path

for name in ("lfpw68", "helen68"):
    folder, kept = Path(sys.argv[1]) / name / "train", Path(f"{name}_apart")
    stems = sorted(path.stem for path in folder.glob("*.pts"))
    # HELEN's faces are named PHOTOGRAPH_NUMBER, LFPW has one face a photograph.
    photograph = {stem: re.sub(r"_\d+$", "", stem) if name == "helen68" else stem for stem in stems}
    apart = set(sorted(set(photograph.values()))[6::7])
    for part in (Path(f"{name}_fit"), kept):
        part.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.stem in photograph:
            link = (kept if photograph[path.stem] in apart else Path(f"{name}_fit")) / path.name
            if not link.exists():
                link.symlink_to(path)
PYTHON

# Where each set's labels lie in x, in pixels (docs/crops.md#the-origin), as kd-origin found it with edition 4 on
# faces that this had not been trained on. The parts before `again` were trained with what it had found with edition 2:
# 0.72, 0.22 and 0.9.
lfpw=(--convention 300w/lfpw --origin 0.89,0)
helen=(--convention 300w/helen --origin 0.27,0)
youtube=(--convention youtube68 --origin 1.04,0)

# A skipped input is status 4.
import() { [ -e "$1" ] || kd-import "${@:2}" -o "$1" || [ $? -eq 4 ]; }

import lfpw_apart.h5 lfpw68_apart --size 208 "${lfpw[@]}"
import helen_apart.h5 helen68_apart --size 208 "${helen[@]}"
import val.h5 "$data/youtube68/val" --size 208 "${youtube[@]}"
if [ "$what" = figures ]; then
    # LFPW's and HELEN's faces by 300W's layer and by their own.
    for part in lfpw_apart:300w lfpw_apart:300w/lfpw helen_apart:300w helen_apart:300w/helen val:youtube68; do
        faces=${part%:*} answer=${part#*:} name=${part//[:\/]/.}
        for flip in "" --flip; do
            kd-predict "$model" "$faces.h5" ${flip:+"$flip"} --convention "$answer" -q -f -o "predicted$flip.$name.h5"
        done
        echo "$faces, --convention $answer"
        kd-eval "plain=predicted.$name.h5" "flip=predicted--flip.$name.h5" --truth "$faces.h5" --norm inter-ocular
    done
    exit
fi
case $what in train | again | sets | sets-again | teachers | larger | tiny | tiny-labels | tiny-again) ;; *) echo "$usage" >&2 && exit 2 ;; esac

python3 "$benchmarks/first_annotations.py" "$data/youtube68/train" youtube68_once
# LFPW twice: its faces are few.
mkdir -p lfpw68_again
cp -rsf "$PWD/lfpw68_fit/." lfpw68_again
faces() { # OUTPUT PX
    import "lfpw.$2.h5" lfpw68_fit lfpw68_again --size "$2" "${lfpw[@]}"
    import "helen.$2.h5" helen68_fit --size "$2" "${helen[@]}"
    import "youtube.$2.h5" youtube68_once --size "$2" "${youtube[@]}"
    [ -e "$1" ] || kd-merge "lfpw.$2.h5" "helen.$2.h5" "youtube.$2.h5" -o "$1"
}
faces train.h5 160
train() { # OUTPUT FACES OPTION...
    [ -e "$1" ] || torchrun --standalone --nproc-per-node "$processes" --no-python kd-student "${@:2}" \
        --val val.h5 --preset best --loss wing --convention 300w --resume -o "$1"
}
tiny=(--augment light --seed 0 --arch mobilenetv2_050 --init none --input-size 112 --lr 3e-3)
if [ "$what" = tiny-labels ]; then
    train tiny-labels.safetensors train.h5 "${tiny[@]}" --batch $((16 * processes)) --epochs 27
    exit
fi
common=(--augment light --set freeze=8 --batch $((8 * processes)) --seed 0)
train coarse.safetensors train.h5 "${common[@]}" --input-size 96 --lr 3e-3 --epochs 16 \
    --init "$data/weights/mobilenetv2_100_imagenet.safetensors"
train student.safetensors train.h5 "${common[@]}" --input-size 160 --lr 1.5e-3 --epochs 8 --init coarse.safetensors
if [ "$what" = train ]; then
    # All layers, with stronger changes first; docs/experiments/face68.md has what each part brings.
    faces train208.h5 208
    sharp=(--batch $((8 * processes)) --input-size 208)
    train free.safetensors train208.h5 "${sharp[@]}" --augment mild --seed 0 --lr 2e-3 --epochs 12 --init student.safetensors
    train fine.safetensors train208.h5 "${sharp[@]}" --augment light --seed 1 --lr 1e-3 --epochs 18 --init free.safetensors
    exit
fi

# Tough is the mean of networks, each with mirrored views; Tolerant is its answer through the shape model.
teachers=()
teach_by() { # NAME NETWORK...
    local name networks=("${@:2}")
    for name in lfw wflw_scenes; do
        [ -e "$name.jsonl" ] || kd-predict student.safetensors "$data/unlabelled/$name" -o "$name.jsonl" || [ $? -eq 4 ]
        import "$name.h5" "$name.jsonl" --images "$data/unlabelled/$name" --size 208
    done
    [ -e unlabelled.h5 ] || kd-merge lfw.h5 wflw_scenes.h5 -o unlabelled.h5
    for name in "${networks[@]}"; do
        [ -e "$name.tough.h5" ] || kd-predict "$name.safetensors" unlabelled.h5 --flip --convention 300w -o "$name.tough.h5"
    done
    [ -e "$1.mean.h5" ] || python3 "$benchmarks/mean_prediction.py" "${networks[@]/%/.tough.h5}" -o "$1.mean.h5"
    [ -e soft.h5 ] || kd-asm train.h5 -o soft.h5
    [ -e "$1.tolerant.h5" ] || kd-asm "$1.mean.h5" --shape-model soft.h5 -o "$1.tolerant.h5"
    teachers=(--unlabelled unlabelled.h5 --tough "$1.mean.h5" --tolerant "$1.tolerant.h5" --set trust=agreement
        --set unlabelled_share=0.25)
}
if [ "$what" = tiny-again ]; then
    half=(--arch mobilenetv2_050 --input-size 112)
    train tiny_again.safetensors more208.h5 "${half[@]}" --batch $((16 * processes)) --augment mild --seed 4 --lr 3e-3 --epochs 8 \
        --init tiny.safetensors
    teach_by last again fine larger
    train tiny_last.safetensors more208.h5 "${half[@]}" "${teachers[@]}" --batch $((12 * processes)) --augment light --seed 5 --lr 1.5e-3 \
        --epochs 14 --init tiny_again.safetensors
    exit
fi
if [ "$what" = again ]; then
    # 300W's faces more often: LFPW's three times, HELEN's twice.
    mkdir -p lfpw68_third helen68_again
    cp -rsf "$PWD/lfpw68_fit/." lfpw68_third
    cp -rsf "$PWD/helen68_fit/." helen68_again
    import lfpw.more.h5 lfpw68_fit lfpw68_again lfpw68_third --size 208 "${lfpw[@]}"
    import helen.more.h5 helen68_fit helen68_again --size 208 "${helen[@]}"
    import youtube.more.h5 youtube68_once --size 208 "${youtube[@]}"
    [ -e more208.h5 ] || kd-merge lfpw.more.h5 helen.more.h5 youtube.more.h5 -o more208.h5
    train again.safetensors more208.h5 --batch $((8 * processes)) --input-size 208 --augment mild --seed 2 --lr 2e-3 --epochs 9 \
        --init fine.safetensors
    teach_by last again fine larger
    # A quarter of a batch is unlabelled, beside these.
    train last.safetensors more208.h5 "${teachers[@]}" --batch $((6 * processes)) --input-size 208 --augment light --seed 3 --lr 1e-3 \
        --epochs 9 --init again.safetensors
    exit
fi
light=(--input-size 208 --augment light)
head=("${light[@]}" --batch $((16 * processes)) --lr 5e-4 --epochs 3 --set freeze=32) # the head alone
mean() { [ -e "$1" ] || python3 "$benchmarks/mean_weights.py" "${@:2}" -o "$1"; } # OUTPUT NETWORK...
if [ "$what" = sets ]; then
    # The last part of `again` without teachers: as many images and steps.
    train last_labels.safetensors more208.h5 "${light[@]}" --batch $((8 * processes)) --seed 3 --lr 1e-3 --epochs 12 --init again.safetensors
    mean joined.safetensors last_labels.safetensors last.safetensors
    teach_by sets joined last larger
    train sets_labels.safetensors more208.h5 "${light[@]}" --batch $((8 * processes)) --seed 6 --lr 7e-4 --epochs 5 --init joined.safetensors
    train sets_taught.safetensors more208.h5 "${light[@]}" "${teachers[@]}" --batch $((6 * processes)) --seed 7 --lr 7e-4 --epochs 4 \
        --init joined.safetensors
    mean three.safetensors sets_labels.safetensors sets_taught.safetensors joined.safetensors
    train head.safetensors more208.h5 "${head[@]}" --seed 9 --init three.safetensors
    mean sets.safetensors three.safetensors head.safetensors
    exit
fi
if [ "$what" = sets-again ]; then
    train sets_head.safetensors more208.h5 "${head[@]}" --seed 16 --init sets.safetensors
    train broad.safetensors more208.h5 --batch $((8 * processes)) --input-size 208 --augment mild --seed 11 --lr 1e-3 --epochs 6 \
        --init sets.safetensors
    train broad_labels.safetensors more208.h5 "${light[@]}" --batch $((8 * processes)) --seed 14 --lr 1e-3 --epochs 6 --init broad.safetensors
    teach_by sets joined last larger
    train broad_taught.safetensors more208.h5 "${light[@]}" "${teachers[@]}" --batch $((6 * processes)) --seed 15 --lr 1e-3 --epochs 4 \
        --init broad.safetensors
    mean three_again.safetensors sets_head.safetensors broad_labels.safetensors broad_taught.safetensors
    train last_head.safetensors more208.h5 "${head[@]}" --seed 17 --init three_again.safetensors
    mean sets_again.safetensors three_again.safetensors last_head.safetensors
    exit
fi
if [ "$what" = larger ]; then
    second=larger
    faces train208.h5 208
    [ -e lite2.safetensors ] || python3 "$benchmarks/efficientnet_lite.py" 2 lite2.safetensors
    train larger.safetensors train208.h5 "${common[@]}" --arch tf_efficientnet_lite2 --input-size 192 --lr 1e-3 \
        --epochs "${EPOCHS:-8}" --init lite2.safetensors
else
    second=longer
    train longer.safetensors train.h5 --augment mild --set freeze=8 --batch $((8 * processes)) --seed 1 --input-size 160 --lr 1.5e-3 \
        --epochs 12 --init student.safetensors
fi
teach_by $second student $second
if [ "$what" = tiny ]; then
    # A quarter of a batch is unlabelled, beside these.
    train tiny.safetensors train.h5 "${teachers[@]}" "${tiny[@]}" --batch $((12 * processes)) --epochs 20
    exit
fi
faces train208.h5 208
taught=taught
[ "$what" = teachers ] || taught=taught_by_larger
train $taught.safetensors train208.h5 "${teachers[@]}" --augment light --set freeze=8 --batch $((6 * processes)) --seed 2 \
    --input-size 208 --lr 1e-3 --epochs 6 --init student.safetensors
