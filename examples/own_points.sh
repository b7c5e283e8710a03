#!/usr/bin/env bash
# A network for points of one's own, from few labelled faces and many photographs without labels: docs/own-points.md.
#
#   examples/own_points.sh FACES.h5 PHOTOS WORK
#
# FACES.h5 is what kd-import made of the annotations, PHOTOS a folder of other photographs. All goes to WORK; what is
# there is kept, so an interrupted run goes on. Other inputs or options need another WORK: WORK/settings records them.
# It ends with a table: the student from labels alone, the teacher, and the student that learnt from
# unlabelled faces too, on faces that none of them was trained on.
#   TEACHER, STUDENT   options of the teacher and of both students: network, start weights, epochs
#   UNLABELLED         options of the last training
#   SCHEME             file of the scheme, for points of no known one
set -euo pipefail
. "$(dirname "$0")/work_folder.sh"
[ $# -eq 3 ] || die "usage: own_points.sh FACES.h5 PHOTOS WORK"
faces=$(realpath -- "$1") photos=$(realpath -- "$2") work=$3
read -ra teacher <<< "${TEACHER:---init face68 --input-size 224 --arch mobilenetv2_100 --epochs 80}"
read -ra student <<< "${STUDENT:---init face68 --input-size 160 --arch mobilenetv2_100 --epochs 40}"
read -ra unlabelled <<< "${UNLABELLED:---set trust=confidence}"
scheme=${SCHEME:-}
[ ! -e "$scheme" ] || scheme=$(realpath -- "$scheme")
mkdir -p -- "$work"
cd -- "$work"
settings=$(
    echo "FACES $(sha256 "$faces")"
    echo "PHOTOS $(folder_state "$photos")"
    echo "TEACHER ${teacher[*]-}"
    echo "STUDENT ${student[*]-}"
    echo "UNLABELLED ${unlabelled[*]-}"
    echo "SCHEME $scheme"
    files_among "$scheme" "${teacher[@]}" "${student[@]}" "${unlabelled[@]}"
)
same_settings "$work" "$settings" {train,test,more}.h5 found.jsonl {alone,tough,student}.{safetensors,h5}
run() {
    echo "\$ $*" >&2
    "$@" || [ $? -eq 4 ] # 4: done, but some inputs were skipped, each named
}

# 1. A fifth of the people is kept apart, to measure with.
[ -e test.h5 ] || run kd-split "$faces" --share 0.2 -o train.h5 --rest test.h5

# 2. What labels alone give, and the teacher: a larger network, or the same one at more pixels, trained for longer.
[ -e alone.safetensors ] || run kd-student train.h5 --preset best "${student[@]}" --resume -o alone.safetensors
[ -e tough.safetensors ] || run kd-teacher train.h5 --preset best "${teacher[@]}" --resume -o tough.safetensors

# 3. The faces in the photographs, cropped around the points that the teacher finds, as the labelled ones are around
#    theirs. Its points are not used further: in training it looks at each face anew.
[ -e found.jsonl ] || run kd-predict tough.safetensors "$photos" -o found.jsonl
if [ ! -e more.h5 ]; then
    run kd-import found.jsonl --images "$photos" --scheme "${scheme:-$(kd-info train.h5 --value landmarks.scheme)}" \
        --margin "$(kd-info train.h5 --value crop.margin)" -o more.h5
fi

# 4. The student, from labels and from the teacher's answers where there are none.
[ -e student.safetensors ] || run kd-student train.h5 --unlabelled more.h5 --tough tough.safetensors --preset best \
    "${student[@]}" "${unlabelled[@]}" --resume -o student.safetensors

# 5. What each step bought.
for name in alone tough student; do
    [ -e $name.h5 ] || run kd-predict $name.safetensors test.h5 -o $name.h5
done
run kd-eval alone=alone.h5 tough=tough.h5 student=student.h5 --truth test.h5 --compare
