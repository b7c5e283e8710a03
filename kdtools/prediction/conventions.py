"""By which annotation convention points are predicted, and what an output says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.model.card import ModelCard


def about_convention(card: ModelCard, asked: str | None, whose: str | Path) -> tuple[dict[str, Any], str]:
    """Attributes of /landmarks that say whose places predicted points are, and the same in words; both may be empty.

    `convention` is its name. `origin` x, y in pixels of the source images is to be put back into the points, where the
    convention that is `asked` for has one; without asking, points are true pixels. Raises UsageError for a convention
    that the card does not know.
    """
    if asked is None:
        if not card.conventions:
            return {}, ""
        return {"convention": card.convention}, f"points of the annotation convention {card.convention}, in true pixels"
    convention = card.find_convention(asked, whose)
    words = f"points of the annotation convention {convention.name}"
    if convention.origin is None:
        return {"convention": convention.name}, f"{words}, in true pixels: no origin of it is known"
    x, y = convention.origin
    about = {"convention": convention.name, "origin": np.array(convention.origin, np.float64)}
    return about, f"{words}, with its origin of {x:g}, {y:g} px added"


def put_back(points: np.ndarray, of_landmarks: Mapping[str, Any]) -> np.ndarray:
    """Points (N, L, 2) in pixels of the source images, with the origin that the attributes name, if any."""
    origin = of_landmarks.get("origin")
    return points if origin is None else np.asarray(points + origin, points.dtype)
