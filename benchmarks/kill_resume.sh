#!/usr/bin/env bash
# A training that is killed again and again, and resumed, gives the very bytes of one that was left alone.
#
#   [KILLS=50] [SEED=1] benchmarks/kill_resume.sh [DIR]      DIR (default: a temporary folder) is kept
#
# A tiny student learns with KD-Loss from cached predictions, its weights averaged. After each kill (-9, SIGTERM,
# Ctrl-C once or twice, at a random moment) the checkpoint must be sound and nothing but the run's own files be there;
# at each end the model and its log must be those of the uninterrupted run. Then a lost best network, a lost log, a lost
# checkpoint and, as root, a full disk. kdtools must be on the PATH. Takes a few minutes; ends with status 1 if a check
# fails.
set -euo pipefail
for tool in kd-student kd-info; do
    command -v "$tool" >/dev/null || { echo "kill_resume.sh: error: $tool: not found" >&2 && exit 1; }
done
kills=${KILLS:-50} RANDOM=${SEED:-1} # bash draws the same numbers from the same seed
dir=${1:-$(mktemp -d)}
mkdir -p "$dir"
cd "$dir"
dir=$PWD
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}             # more threads do not help a tiny network
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$EPOCHSECONDS} # else a model made after midnight has other bytes
set -m                                                   # so that a job in the background heeds Ctrl-C

job='' mounted=''
clean_up() {
    [ -z "$job" ] || kill -KILL "$job" 2>/dev/null || true
    [ -z "$mounted" ] || umount "$mounted" || true
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
n_bad=0
bad() { echo "kill_resume.sh: FAILED: $*" >&2 && n_bad=$((n_bad + 1)); }

# ---- what is trained: epochs of few steps, so that files are written much of the time
train=(--arch test_resnet --input-size 32 --batch 16 --device cpu --seed 3)
[ -e faces.h5 ] || kd-synth -q -n 80 --size 48 --seed 1 -o faces.h5
[ -e soft.h5 ] || kd-asm -q faces.h5 -o soft.h5
[ -e tough.safetensors ] || kd-teacher -q faces.h5 "${train[@]}" --epochs 3 -o tough.safetensors
[ -e tough.h5 ] || kd-predict -q tough.safetensors faces.h5 --device cpu -o tough.h5
# start FOLDER: the training, in the background, going on from what FOLDER holds
start() {
    mkdir -p "$1"
    rm -f "$1.err" # of the run before
    kd-student faces.h5 --tough tough.h5 --tolerant soft.h5 "${train[@]}" --epochs "$epochs" --set ema=0.99 \
        --resume -o "$1/m.safetensors" 2>"$1.err" &
    job=$!
}
# finish: wait for the training; its exit status is in $status
finish() {
    status=0
    { wait "$job" || status=$?; } 2>/dev/null
    job=''
}
# await COMMAND...: until it succeeds, or the training has ended
await() { until "$@" 2>/dev/null || ! kill -0 "$job" 2>/dev/null; do sleep 0.05; done; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; } # FILE N
now() { echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; } # ms
pause() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

# ---- what must hold
own='^(\.?m\.(last|best)\.safetensors(\.part)?|\.?m\.log\.jsonl(\.part)?|m\.safetensors|\.m\.safetensors\.lock)$'
there() { find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort; }
strays() { there "$1" | grep -vE "$own" || true; }
parts() { there "$1" | grep -cE '^[.].*[.]part$' || true; }
check_killed() { # FOLDER: after a kill
    if [ -e "$1/m.last.safetensors" ]; then
        kd-info -q --check "$1/m.last.safetensors" >&2 || bad "$1: the checkpoint is not sound"
        n_sound=$((n_sound + 1))
    fi
    [ "$(parts "$1")" -le "$most_parts" ] || most_parts=$(parts "$1")
    n_strays=$(strays "$1" | wc -l)
    [ "$n_strays" -le "$most_strays" ] || most_strays=$n_strays
}
log_of() { sed -E 's/"(seconds|images_per_second)": [^,]+, //g' "$1/m.log.jsonl"; }
check_finished() { # FOLDER: a finished run against the uninterrupted one
    cmp -s "$1/m.safetensors" whole/m.safetensors || bad "$1: other bytes than those of the uninterrupted run"
    cmp -s <(log_of "$1") <(log_of whole) || bad "$1: another log than that of the uninterrupted run"
    local left
    left=$(there "$1" | paste -sd ' ')
    [ "$left" = "m.last.safetensors m.log.jsonl m.safetensors" ] || bad "$1: holds ${left:-nothing}"
    n_same=$((n_same + 1))
}
n_same=0 n_sound=0 most_parts=0 most_strays=0

# ---- left alone: how long it takes to start, and to train
epochs=${EPOCHS:-150}
rm -rf whole killed lost-* full
began=$(now)
start whole
await grep -q parameters whole.err
start_ms=$(($(now) - began))
finish
[ "$status" -eq 0 ] || { cat whole.err >&2 && exit 1; }
train_ms=$(($(now) - began - start_ms))
echo "uninterrupted: $epochs epochs, $((start_ms / 1000)).$((start_ms / 100 % 10)) s to start," \
    "$((train_ms / 1000)).$((train_ms / 100 % 10)) s to train"

# ---- killed
signals=(KILL TERM KILL KILL INT KILL KILL TWICE KILL KILL)
declare -A n_killed=([KILL]=0 [TERM]=0 [INT]=0 [TWICE]=0) expected=([KILL]=137 [TERM]=143 [INT]=130 [TWICE]=130)
n_runs=0 n_late=0 n_early=0 k=0 # late: it had just finished; early: before there was a checkpoint
draw() { echo "$(((RANDOM * 32768 + RANDOM) % ($1 + 1)))"; }
while [ "$k" -lt "$kills" ]; do
    signal=${signals[k % ${#signals[@]}]}
    # One in five while it starts; the others soon after, or a run would not be killed often before it ends.
    start killed
    if [ "$(draw 4)" -eq 0 ]; then
        pause "$(draw "$start_ms")"
    else
        await grep -q parameters killed.err
        pause "$(draw $((train_ms / 4)))"
    fi
    kill -"${signal/TWICE/INT}" "$job" 2>/dev/null || true
    if [ "$signal" = TWICE ]; then
        pause "$(draw 30)"
        kill -INT "$job" 2>/dev/null || true
    fi
    finish
    if [ "$status" -eq 0 ]; then
        n_late=$((n_late + 1)) n_runs=$((n_runs + 1))
        check_finished killed
        rm -r killed
        continue
    fi
    k=$((k + 1)) n_killed[$signal]=$((n_killed[$signal] + 1))
    if [ "$status" -ne "${expected[$signal]}" ]; then
        bad "kill $k: status $status after $signal, not ${expected[$signal]}: $(tail -n 1 killed.err)"
    fi
    [ -e killed/m.last.safetensors ] || n_early=$((n_early + 1))
    check_killed killed
done
start killed
finish
[ "$status" -eq 0 ] || bad "the last run ends with status $status: $(tail -n 1 killed.err)"
check_finished killed
n_runs=$((n_runs + 1))
echo "killed $k times: -9 ${n_killed[KILL]}, SIGTERM ${n_killed[TERM]}, Ctrl-C ${n_killed[INT]}," \
    "twice ${n_killed[TWICE]}; $n_early before a checkpoint was there, $n_late too late"
echo "checkpoints sound: $n_sound; most .part files at a time: $most_parts; most other strays: $most_strays"
[ "$most_parts" -le 3 ] || bad "more .part files than there are files to write"
[ "$most_strays" -eq 0 ] || bad "files that no later run replaces"

# ---- files lost half-way
half() { # FOLDER: a run that was told to stop when about half of it was done
    start "$1"
    await has_lines "$1/m.log.jsonl" $((epochs / 2))
    kill -TERM "$job" 2>/dev/null || true
    finish
    [ "$status" -eq 143 ] || bad "$1: status $status after SIGTERM: $(tail -n 1 "$1.err")"
}
for lost in best.safetensors log.jsonl last.safetensors; do
    half "lost-$lost"
    rm "lost-$lost/m.$lost"
    start "lost-$lost"
    finish
    [ "$status" -eq 0 ] || bad "lost-$lost: status $status: $(tail -n 1 "lost-$lost.err")"
    check_finished "lost-$lost"
    echo "m.$lost lost half-way: resumed"
done

# ---- a disk that is full half-way, and has room again
mkdir -p full
if mount -t tmpfs -o size=64m kill_resume full 2>/dev/null; then
    mounted=$dir/full
    start full
    await has_lines full/m.log.jsonl 1
    cat /dev/zero >full/ballast 2>/dev/null || true
    finish
    [ "$status" -eq 1 ] || bad "full disk: status $status"
    [ "$(wc -l <full.err)" -gt 2 ] || tail -n 2 full.err
    grep -q Traceback full.err && bad "full disk: a traceback"
    echo "disk full: $(grep -F 'error:' full.err)"
    rm full/ballast
    check_killed full
    [ "$(parts full)" -eq 0 ] || bad "full disk: part files are left"
    start full
    finish
    [ "$status" -eq 0 ] || bad "full disk, then room: status $status: $(tail -n 1 full.err)"
    check_finished full
    umount "$mounted"
    mounted=''
else
    echo "disk full: left out, since only root can mount a small one"
fi

echo "runs compared with the uninterrupted one: $n_same, of them $n_runs killed; checks failed: $n_bad; files: $dir"
[ "$n_bad" -eq 0 ]
