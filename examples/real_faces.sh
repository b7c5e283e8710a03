#!/usr/bin/env bash
# The whole method on a folder of annotated images: image and .pts side by side (300W), or a .csv beside images/.
#
#   examples/real_faces.sh FOLDER [DIR]      work in DIR (default: real_faces); what is there already is kept
#
# An interrupted run goes on; another FOLDER, other files in it or other options need another DIR, whose file settings
# records them.
#
# A tenth of the faces is split off to test with, nobody in both parts.
# The defaults are for CPUs. On a GPU, at the paper's size:
#   SIZE=256 TEACHER='--arch efficientnet_b3 --epochs 150' STUDENT='--arch mobilenetv2_100 --epochs 150' \
#       examples/real_faces.sh FOLDER
set -euo pipefail
. "$(dirname "$0")/work_folder.sh"
folder=$(realpath "${1:?usage: real_faces.sh FOLDER [DIR]}") work=${2:-real_faces} size=${SIZE:-128}
read -ra teacher <<<"${TEACHER:---arch efficientnet_lite0 --input-size 112 --epochs 30}"
read -ra student <<<"${STUDENT:---arch mobilenetv2_100 --input-size 112 --epochs 40}"
mkdir -p "$work"
cd "$work"
settings=$(
    echo "FOLDER $(folder_state "$folder")"
    echo "SIZE $size"
    echo "TEACHER ${teacher[*]-}"
    echo "STUDENT ${student[*]-}"
    files_among "${teacher[@]}" "${student[@]}"
)
same_settings "$work" "$settings" {faces,train,test,soft,tough,tolerant}.h5 {kd,l1,tough,tolerant}.{safetensors,test.h5}

# run OUTPUT COMMAND...: unless OUTPUT is there
run() {
    local output=$1
    shift
    [ -e "$output" ] && return
    echo "\$ $*" >&2
    "$@" || [ $? -eq 4 ] # 4: done, but some inputs were skipped, each named
}

run faces.h5 kd-import "$folder" --size "$size" -o faces.h5
run train.h5 kd-split faces.h5 -o train.h5 --rest test.h5
run soft.h5 kd-asm train.h5 -o soft.h5 --plot-modes modes.png
run tough.safetensors kd-teacher train.h5 "${teacher[@]}" --resume -o tough.safetensors
run tolerant.safetensors kd-teacher train.h5 --landmarks soft.h5 "${teacher[@]}" --resume -o tolerant.safetensors
run tough.h5 kd-predict tough.safetensors train.h5 -o tough.h5
run tolerant.h5 kd-predict tolerant.safetensors train.h5 -o tolerant.h5
run kd.safetensors kd-student train.h5 --tough tough.h5 --tolerant tolerant.h5 "${student[@]}" --resume -o kd.safetensors
run l1.safetensors kd-student train.h5 --loss l1 "${student[@]}" --resume -o l1.safetensors
for name in kd l1 tough tolerant; do
    run $name.test.h5 kd-predict $name.safetensors test.h5 -o $name.test.h5 --draw "pictures/$name"
done
kd-eval {kd,l1,tough,tolerant}.test.h5 --truth test.h5 --mean-shape train.h5
