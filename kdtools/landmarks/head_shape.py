"""The mean 3-D head: where the 68 points of ibug68 lie on it.

The shape was made for kdtools and is under its licence: it is the mean face that kdtools.synth draws, whose points were
written down by hand, lifted onto its surface. Nothing of it was fitted to, or taken from, annotations or scans.
tests/synth/test_head_shape.py makes it again.
"""

from __future__ import annotations

import numpy as np

from kdtools.landmarks.known_schemes import IBUG68

# The left half and the middle. x is to the right of the image, y up, z to the viewer; the face is 2 wide.
_LEFT = {
    0: (-1, -0.03, -1.062), 1: (-0.985, -0.29, -1.076), 2: (-0.95, -0.54, -0.992), 3: (-0.885, -0.78, -0.865),
    4: (-0.775, -1, -0.674), 5: (-0.62, -1.19, -0.505), 6: (-0.42, -1.34, -0.379), 7: (-0.21, -1.45, -0.318),
    8: (0, -1.49, -0.3), 17: (-0.754, 0.175, -0.295), 18: (-0.63, 0.27, -0.15), 19: (-0.475, 0.31, -0.063),
    20: (-0.307, 0.285, -0.013), 21: (-0.149, 0.22, -0.008), 27: (0, 0.025, 0.112), 28: (0, -0.134, 0.225),
    29: (0, -0.292, 0.331), 30: (0, -0.455, 0.422), 31: (-0.19, -0.565, 0.133), 32: (-0.098, -0.599, 0.186),
    33: (0, -0.628, 0.149), 36: (-0.567, 0, -0.213), 37: (-0.466, 0.068, -0.179), 38: (-0.345, 0.065, -0.14),
    39: (-0.239, -0.022, -0.085), 40: (-0.348, -0.052, -0.125), 41: (-0.468, -0.052, -0.168),
    48: (-0.363, -0.865, -0.052), 49: (-0.229, -0.812, 0.016), 50: (-0.095, -0.781, 0.053), 51: (0, -0.804, 0.067),
    55: (0.24, -0.962, -0.01), 56: (0.11, -1.01, 0.012), 57: (0, -1.02, 0.017), 60: (-0.31, -0.868, -0.023),
    61: (-0.1, -0.865, 0.061), 62: (0, -0.874, 0.073), 65: (0.1, -0.877, 0.061), 66: (0, -0.884, 0.072),
}  # fmt: skip


def mean_head() -> np.ndarray:
    """The points (68, 3)."""
    mirror = IBUG68.mirror or ()
    return np.array([_LEFT[k] if k in _LEFT else np.multiply(_LEFT[mirror[k]], (-1, 1, 1)) for k in range(68)])
