#!/usr/bin/env bash
# Everything that runs on a GPU only, in at most ten minutes: does it run, does it agree with the CPU, and how fast is it?
#
#   benchmarks/gpu.sh [DIR]      DIR (default: a temporary folder) is kept
#
# On drawn faces: training in bfloat16 and float32, compiled, and by all GPUs where there are several; prediction of a
# faces file in half precision and as CUDA graphs, against the CPU's points; the speed of training against a bare loop.
# kdtools must be on the PATH. Goes on after a failure, names each at the end and then ends with status 1. It has not
# been run yet: its authors had no GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "gpu.sh: error: no GPU" >&2 && exit 1; }
dir=${1:-$(mktemp -d)}
mkdir -p "$dir"
cd "$dir" || exit 1
failed=()
step() { # step NAME SECONDS COMMAND...
    local name=$1 seconds=$2 began=$SECONDS
    shift 2
    echo "== $name"
    timeout "$seconds" "$@" || failed+=("$name")
    echo "== $((SECONDS - began)) s"
}
n_gpus=$(python -c 'import torch; print(torch.cuda.device_count())')
student=(kd-student train.h5 --val val.h5 --device cuda --arch mobilenetv2_100 --input-size 112 --batch 64 --epochs 2 --loss l1 -f)

step "drawn faces" 60 kd-synth -n 1000 --size 128 --seed 1 -f -o train.h5
step "drawn faces to validate with" 30 kd-synth -n 200 --size 128 --seed 2 -f -o val.h5
step "training, bfloat16 where the GPU has it" 60 "${student[@]}" -o student.safetensors
step "training, float32" 60 "${student[@]}" --amp off -o float32.safetensors
step "training, compiled" 90 "${student[@]}" --set compile=on -o compiled.safetensors
if [ "$n_gpus" -gt 1 ]; then
    step "training by all GPUs" 60 torchrun --standalone --nproc-per-node "$n_gpus" --no-python "${student[@]}" -o together.safetensors
fi
step "a faces file on the GPU" 30 kd-predict student.safetensors val.h5 --device cuda --bench -f -o gpu.h5
step "the same on the CPU" 40 kd-predict student.safetensors val.h5 --device cpu --backend torch --bench -f -o cpu.h5
step "GPU and CPU agree within half a pixel" 20 python - <<'END'
import numpy as np
from kdtools.faces.file import open_faces

with open_faces("gpu.h5") as gpu, open_faces("cpu.h5") as cpu:
    apart = np.linalg.norm(np.asarray(gpu.landmarks[:]) - np.asarray(cpu.landmarks[:]), axis=2)
print(f"{apart.mean():.3f} px apart on average, {apart.max():.3f} at most")
assert apart.max() < 0.5
END
step "speed of training" 130 python "$here/train_speed.py" --device cuda --steps 50 --rounds 3
if [ ${#failed[@]} -gt 0 ]; then
    printf 'gpu.sh: failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
