#!/usr/bin/env bash
# Fetches what the page needs: onnxruntime-web from npm, and the bundled networks, or a network that kd-export wrote.
#
#   examples/web/get.sh [NETWORK.onnx]
#
# Then serve the folder (python3 -m http.server -d examples/web), and open http://localhost:8000 in a browser, or
# http://localhost:8000/?network=NETWORK.onnx.
set -euo pipefail
folder=$(dirname "$(realpath "$0")")
npm install --prefix "$folder" --no-package-lock --no-audit --no-fund --ignore-scripts
bundled=$(python3 -c 'import kdtools.bundled; print(kdtools.bundled.finder_file().parent)')
cp "$bundled/face_finder.onnx" "$bundled/face68.onnx" "$folder"
if [ $# -gt 0 ]; then cp "$1" "$folder"; fi
