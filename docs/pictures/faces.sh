#!/usr/bin/env bash
# Draw the picture of the README: docs/pictures/faces.sh
set -euo pipefail
kd-synth -q -n 8 --size 240 --seed 4 -o - | kd-view - --width 150 --columns 8 --no-labels -f -o "$(dirname "$0")/faces.png"
