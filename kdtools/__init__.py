"""kdtools: small facial-landmark networks by knowledge distillation from two teachers.

A command (cli/) calls one or two parts of the library, each of which says in its first lines what is where in it: for
instance importing/, training, prediction/, evaluation/ with reports/. They share the faces file (files/), points
(schemes/, geometry, metrics/) and images (images, detect/). docs/design.md, section 5, has the layers.
"""

import os

# OpenCV reads it when it is loaded. A small file may claim any size; 2^28 pixels, 800 MB, are more than cameras take.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
# ONNX Runtime reports what it runs to its makers from 1.29 on, unless this is set when it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
