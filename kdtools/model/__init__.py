"""Landmark networks and the model file."""

from __future__ import annotations

HEADS = ("linear", "heatmap")
