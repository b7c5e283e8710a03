#!/usr/bin/env bash
# The whole method on drawn faces, in some minutes on two cores: soft landmarks, both teachers, their predictions, a
# student with KD-Loss and the same student without, a table and pictures.
#
#   examples/pipeline.sh [DIR]        work in DIR (default: demo), which is made anew
#
# For your own faces put kd-import in the place of kd-synth, as examples/real_faces.sh does.
# Sizes can be changed: FACES=1500 TEACHER_EPOCHS=14 STUDENT_EPOCHS=20
set -euo pipefail
work=${1:-demo} faces=${FACES:-1500} teacher_epochs=${TEACHER_EPOCHS:-14} student_epochs=${STUDENT_EPOCHS:-20}
if [ -e "$work" ] && [ ! -e "$work/.kdtools-demo" ]; then
    echo "pipeline.sh: $work is there and not from a run of this script; name another folder" >&2
    exit 1
fi
rm -rf "$work"
mkdir -p "$work"
cd "$work"
touch .kdtools-demo
run() { echo "\$ $*" >&2 && "$@"; }

# 1. Faces to train on and to test with: drawn here, from annotated photographs with kd-import.
run kd-synth -n "$faces" --size 96 --seed 1 -o train.h5
run kd-synth -n 300 --size 96 --seed 2 -o test.h5

# 2. Hard landmarks -> Soft-landmarks, by an active shape model.
run kd-asm train.h5 -o soft.h5 --plot-modes modes.png

# 3. The Tough teacher learns the hard landmarks, the Tolerant teacher the soft ones. (The paper's teachers learn by
#    L2; in as few steps as here L1 gets much further.)
teacher=(--arch efficientnet_lite0 --input-size 64 --loss l1 --lr 4e-3 --epochs "$teacher_epochs")
run kd-teacher train.h5 "${teacher[@]}" -o tough.safetensors
run kd-teacher train.h5 --landmarks soft.h5 "${teacher[@]}" -o tolerant.safetensors

# 4. What the teachers answer for the training faces, written once; the test faces are for the table.
for name in tough tolerant; do
    run kd-predict $name.safetensors train.h5 -o $name.h5
    run kd-predict $name.safetensors test.h5 -o $name.test.h5
done

# 5. The student with KD-Loss, and the same student without.
student=(--arch mobilenetv2_050 --input-size 64 --lr 3e-3 --epochs "$student_epochs")
run kd-student train.h5 --tough tough.h5 --tolerant tolerant.h5 "${student[@]}" -o student_kd.safetensors
run kd-student train.h5 --loss l2 "${student[@]}" -o student_l2.safetensors

# 6. Landmarks of faces that none of them has seen, pictures of them, and the table.
for name in student_kd student_l2; do
    run kd-predict $name.safetensors test.h5 -o $name.test.h5 --draw pictures/$name
done
table=(student_kd.test.h5 student_l2.test.h5 tough.test.h5 tolerant.test.h5
    --truth test.h5 --mean-shape train.h5 --norm inter-ocular)
kd-eval "${table[@]}" --json >results.json
run kd-eval "${table[@]}"
echo "Pictures of landmarks on faces: $PWD/pictures, the modes of the shape model: $PWD/modes.png" >&2
