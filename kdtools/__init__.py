"""kdtools: small facial-landmark networks by knowledge distillation from two teachers.

A command in cli/ calls one part of the library: datasets/, training/, prediction/, evaluation/ with reports/, export/,
viewing/ or inspection/. They share the faces file (faces/), landmarks/, images/ and model/. docs/design.md, section 5,
says what is where.
"""

import os

from kdtools.machine import openmp_settings

# OpenCV reads it when it is loaded. A small file may claim any size; 2^28 pixels, 800 MB, are more than cameras take.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
# ONNX Runtime reports what it runs to its makers from 1.29 on, unless this is set when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# For PyTorch, unless it is loaded already.
chosen_at_start = openmp_settings(os.environ)
os.environ.update(chosen_at_start)

__version__ = "0.1.0"
