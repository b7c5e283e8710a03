"""Parts of a faces file that share nobody: a share of it, a subset, or folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdtools.errors import DataError, some_of
from kdtools.faces.file import FacesFile
from kdtools.faces.people import Grouping, group_faces
from kdtools.faces.selection import check_subsets, subset_members
from kdtools.faces.writer import create_faces
from kdtools.reporting import Reporter
from kdtools.storage.outputs import Outputs
from kdtools.storage.provenance import Provenance


def draw_folds(groups: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """Fold (N,) of each face, from 0: whole groups, the larger first, each into the fold that has the fewest faces.

    Raises DataError where there are fewer groups than folds.
    """
    sizes = Counter(groups)
    if len(sizes) < n_folds:
        raise DataError(f"{len(sizes)} people or photographs cannot fill {n_folds} folds", "give fewer --folds")
    names = sorted(sizes)
    drawn = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    n_faces = [0] * n_folds
    fold_of: dict[str, int] = {}
    for name in sorted(drawn, key=lambda name: -sizes[name]):
        fold = n_faces.index(min(n_faces))
        fold_of[name] = fold
        n_faces[fold] += sizes[name]
    return np.array([fold_of[group] for group in groups])


def choose_subset(faces: FacesFile, name: str, grouping: Grouping, reporter: Reporter) -> np.ndarray:
    """Mask (N,) of a subset. People on both sides are an error where they are certain, else a warning.

    Raises DataError for a subset that is not there, or has no face or all.
    """
    check_subsets([name], faces.subsets, faces.name)
    member = subset_members(faces.subsets, len(faces))[name]
    if not 0 < member.sum() < len(member):
        raise DataError(f"{faces.name}: {int(member.sum())} of {len(member)} faces are in {name}", "a part is empty")
    shared = grouping.in_both(member)
    if shared and grouping.certain:
        hint = "leave out --group to split them all the same"
        raise DataError(f"{len(shared)} people are both in {name} and outside it: {some_of(shared)}", hint)
    if shared:
        reporter.warn(f"by their ids {len(shared)} people or photographs may be in both parts: {some_of(shared)}")
    return member


def write_parts(
    faces: FacesFile, part_of: np.ndarray, outputs: Sequence[str], force: bool, provenance: Provenance
) -> list[int]:
    """Write the faces of part k, (N,) from 0, to the k-th output; all are put in place, or none.

    Each gets the rows of everything that `faces` holds, and its shape model. Returns their numbers of faces.
    """
    rows = [np.flatnonzero(part_of == part) for part in range(len(outputs))]
    with Outputs(force) as together:
        for path, wanted in zip(outputs, rows, strict=True):
            with create_faces(path, force, provenance, within=together) as writer:
                writer.copy_rows(faces, wanted)
                if "shape_model/mean" in faces:
                    writer.put_shape_model(faces.shape_model)
    return [len(wanted) for wanted in rows]


_OVERSHOOT = 1.5  # how far a split may go past the share asked for, to keep a group whole


def draw_share(groups: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Mask (N,) of about `share` of the faces, whole groups drawn at random.

    Raises DataError where fewer than two faces would be kept.
    """
    sizes = Counter(groups)
    names = sorted(sizes)
    chosen: set[str] = set()
    n_chosen = 0
    for k in np.random.default_rng(seed).permutation(len(names)):
        if n_chosen < share * len(groups) and n_chosen + sizes[names[k]] <= max(1, _OVERSHOOT * share * len(groups)):
            chosen.add(names[k])
            n_chosen += sizes[names[k]]
    if not chosen:
        chosen = {min(names, key=lambda name: sizes[name])}
    mask = np.array([group in chosen for group in groups])
    if (~mask).sum() < 2:
        hint = "give faces of more people, or say with --group who is who"
        raise DataError(f"{len(groups)} faces of {len(names)} people or photographs are too few to split", hint)
    return mask


@dataclass(frozen=True)
class Split:
    """Row numbers of both parts, in file order, and in words what was kept together."""

    kept: np.ndarray
    split_off: np.ndarray
    told: str


def split_rows(ids: Sequence[str], share: float, seed: int) -> Split:
    """Split off about `share` of the faces to validate with, whole groups at a time, drawn at random.

    Raises DataError where fewer than two faces would be kept.
    """
    grouping = group_faces(ids, None)
    try:
        chosen = draw_share(grouping.names, share, seed)
    except DataError as error:  # kd-split has another way out
        raise DataError(
            error.message, "give faces of more people, a smaller --val-share, or others by --val"
        ) from error
    return Split(np.flatnonzero(~chosen), np.flatnonzero(chosen), grouping.told)
