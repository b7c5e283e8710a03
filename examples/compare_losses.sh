#!/usr/bin/env bash
# Does distillation help on your data? L1, L2 and KD-Loss, with teachers and without, several seeds of each, in one table.
#
#   examples/compare_losses.sh TRAIN.h5 TEST.h5 WORK
#
# All students have the same preset, options and seeds; they differ only in their loss. Each seed has its own teachers,
# as teachers are part of the method. All goes to WORK; what is there is kept, so an interrupted run goes on, and a
# later one may add SEEDS and METHODS. Other faces or options need another WORK: WORK/settings records them. The table
# has the mean NME of each method, the standard deviation between its models, and differences from the first method with
# 95 % intervals over faces and models. The defaults need a GPU. On a CPU:
#   TEACHER='--arch mobilenetv2_100 --input-size 112 --epochs 20' STUDENT='--input-size 64 --epochs 20' \
#       examples/compare_losses.sh train.h5 test.h5 losses
#
#   SEEDS     seeds, at least two, better three or more
#   METHODS   at least two of l1, l2, kd, l1+mimic, l2+mimic; the first is the baseline
#   STUDENT   options of all students, beside --preset best
#   TEACHER   options of all teachers, beside --preset best
#   NORM      normaliser of the NME
set -euo pipefail

. "$(dirname "$0")/work_folder.sh"

[ $# -eq 3 ] || die "usage: compare_losses.sh TRAIN.h5 TEST.h5 WORK"
train=$(realpath -- "$1") test=$(realpath -- "$2") work=$3 norm=${NORM:-inter-ocular}
read -ra seeds <<< "${SEEDS:-0 1 2}"
read -ra methods <<< "${METHODS:-l1 l2 kd l1+mimic l2+mimic}"
read -ra student <<< "${STUDENT:-}"
read -ra teacher <<< "${TEACHER:-}"

# Before hours of training: all that the trainings and the table would refuse.
[ ${#methods[@]} -ge 2 ] || die "METHODS has fewer than two methods: there is nothing to compare"
for method in "${methods[@]}"; do
    case $method in
    l1 | l2 | kd | l1+mimic | l2+mimic) ;;
    *) die "METHODS has $method: it takes l1, l2, kd, l1+mimic and l2+mimic" ;;
    esac
done
[ ${#seeds[@]} -ge 2 ] || die "SEEDS has fewer than two seeds: one model does not show how others would differ"
for seed in "${seeds[@]}"; do
    [[ $seed =~ ^(0|[1-9][0-9]*)$ ]] || die "SEEDS has $seed: it takes whole numbers, such as 0 1 2"
done
twice=$(printf '%s\n' "${methods[@]}" "${seeds[@]}" | sort | uniq -d)
[ -z "$twice" ] || die "METHODS or SEEDS has ${twice//$'\n'/ and } twice: each is trained once"
kd-info "$train" --value faces > /dev/null
kd-eval -q "$test" --truth "$test" --norm "$norm" --value nme > /dev/null
kd-teacher --preset best ${teacher[@]+"${teacher[@]}"} --show-settings > /dev/null
for method in "${methods[@]}"; do
    kd-student --preset best --loss "$method" ${student[@]+"${student[@]}"} --show-settings > /dev/null
done
mkdir -p -- "$work"
cd -- "$work"

# All that defines a training or a prediction. What is there is kept only if it was made with the same.
settings=$(
    echo "TRAIN $(sha256 "$train")"
    echo "TEST $(sha256 "$test")"
    echo "TEACHER ${teacher[*]-}"
    echo "STUDENT ${student[*]-}"
    files_among ${teacher[@]+"${teacher[@]}"} ${student[@]+"${student[@]}"}
)
same_settings "$work" "$settings" soft.h5 {l1,l2,kd,l1+mimic,l2+mimic,tough,tolerant}.[0-9]*.{h5,safetensors}

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
                run "$name.safetensors" kd-teacher "$train" --preset best ${landmarks[@]+"${landmarks[@]}"} \
                    ${teacher[@]+"${teacher[@]}"} --seed "$seed" --resume -o "$name.safetensors"
                run "$name.h5" kd-predict "$name.safetensors" "$train" --resume -o "$name.h5"
            done
            options+=(--tough "tough.$seed.h5" --tolerant "tolerant.$seed.h5")
        fi
        name=$method.$seed
        run "$name.safetensors" kd-student "$train" --preset best "${options[@]}" \
            ${student[@]+"${student[@]}"} --seed "$seed" --resume -o "$name.safetensors"
        run "$name.test.h5" kd-predict "$name.safetensors" "$test" --resume -o "$name.test.h5"
        predictions+=("$method=$name.test.h5")
    done
done
kd-eval "${predictions[@]}" --truth "$test" --norm "$norm" --compare --group-models
