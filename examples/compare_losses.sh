#!/usr/bin/env bash
# Does distillation help on your data? L1, L2 and KD-Loss, with teachers and without, several seeds of each, in one table.
#
#   examples/compare_losses.sh TRAIN.h5 TEST.h5 WORK
#
# All students have the same preset, options and seeds; they differ only in their loss. Each seed has its own teachers, as
# teachers are part of the method. All goes to WORK; what is there is kept, so an interrupted run goes on. The table has
# the mean NME of each method, the standard deviation between its models, and differences to the first method with 95 %
# intervals over faces and models. The defaults need a GPU. On a CPU:
#   TEACHER='--arch mobilenetv2_100 --input-size 112 --epochs 20' STUDENT='--input-size 64 --epochs 20' \
#       examples/compare_losses.sh train.h5 test.h5 losses
#
#   SEEDS     seeds, at least two, better three or more
#   METHODS   of l1, l2, kd, l1+mimic, l2+mimic; the first is the baseline
#   STUDENT   options of all students, beside --preset best
#   TEACHER   options of all teachers, beside --preset best
#   NORM      normaliser of the NME
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: compare_losses.sh TRAIN.h5 TEST.h5 WORK" >&2; exit 2; }
train=$(realpath -- "$1") test=$(realpath -- "$2") work=$3 norm=${NORM:-inter-ocular}
read -ra seeds <<< "${SEEDS:-0 1 2}"
read -ra methods <<< "${METHODS:-l1 l2 kd l1+mimic l2+mimic}"
read -ra student <<< "${STUDENT:-}"
read -ra teacher <<< "${TEACHER:-}"
for method in "${methods[@]}"; do
    case $method in
    l1 | l2 | kd | l1+mimic | l2+mimic) ;;
    *) echo "compare_losses.sh: METHODS has $method: it takes l1, l2, kd, l1+mimic and l2+mimic" >&2; exit 2 ;;
    esac
done
kd-eval -q "$test" --truth "$test" --norm "$norm" --value nme > /dev/null # before hours of training
mkdir -p -- "$work"
cd -- "$work"

# run OUTPUT COMMAND...: unless OUTPUT is there
run() {
    local output=$1
    shift
    [ ! -e "$output" ] || return 0
    echo "\$ $*" >&2
    "$@"
}

predictions=()
for seed in "${seeds[@]}"; do
    for method in "${methods[@]}"; do
        options=(--loss "$method")
        [ "$method" != kd ] || options+=(--set w_main=2 --set w_tough=1) # the paper's; the preset's are for mimicking
        if [[ $method == kd || $method == *+mimic ]]; then
            run soft.h5 kd-asm "$train" -o soft.h5
            for role in tough tolerant; do
                landmarks=()
                [ $role = tough ] || landmarks=(--landmarks soft.h5)
                name=$role.$seed
                run "$name.safetensors" kd-teacher "$train" --preset best "${landmarks[@]}" "${teacher[@]}" --seed "$seed" \
                    --resume -o "$name.safetensors"
                run "$name.h5" kd-predict "$name.safetensors" "$train" -o "$name.h5"
            done
            options+=(--tough "tough.$seed.h5" --tolerant "tolerant.$seed.h5")
        fi
        name=$method.$seed
        run "$name.safetensors" kd-student "$train" --preset best "${options[@]}" "${student[@]}" --seed "$seed" --resume \
            -o "$name.safetensors"
        run "$name.test.h5" kd-predict "$name.safetensors" "$test" -o "$name.test.h5"
        predictions+=("$method=$name.test.h5")
    done
done
kd-eval "${predictions[@]}" --truth "$test" --norm "$norm" --compare --group-models
