"""kdtools: small facial-landmark networks by knowledge distillation from two teachers."""

import os

# OpenCV reads it when it is loaded. A small file may claim any size; 2^28 pixels, 800 MB, are more than cameras take.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))

__version__ = "0.1.0"
