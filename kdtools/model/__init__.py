"""Networks that find landmarks, and the file that holds one."""

from __future__ import annotations

HEADS = ("linear", "heatmap")
