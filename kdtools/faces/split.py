"""Splitting a faces file into parts without common people: a random fraction, a subset, or folds."""

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
from kdtools.reporting import Reporter, counted
from kdtools.storage.outputs import Outputs
from kdtools.storage.provenance import Provenance


def draw_folds(groups: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """Fold (N,) of each face, from 0. Whole groups, largest first, go to the fold with the fewest faces.

    Raises DataError if there are fewer groups than folds.
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
    """Mask (N,) of a subset. People on both sides are an error if the grouping is certain, else a warning.

    Raises DataError for an unknown subset, and one with no face or all faces.
    """
    check_subsets([name], faces.subsets, faces.name)
    member = subset_members(faces.subsets, len(faces))[name]
    if not 0 < member.sum() < len(member):
        raise DataError(f"{faces.name}: {int(member.sum())} of {len(member)} faces are in {name}", "a part is empty")
    shared = grouping.in_both(member)
    if shared and grouping.certain:
        hint = "leave out --group to split them all the same"
        raise DataError(
            f"{counted(len(shared), 'person is', 'people are')} both in {name} and outside it: {some_of(shared)}", hint
        )
    if shared:
        reporter.warn(
            f"by their ids {counted(len(shared), 'person or photograph', 'people or photographs')} "
            f"may be in both parts: {some_of(shared)}"
        )
    return member


def write_parts(
    faces: FacesFile, part_of: np.ndarray, outputs: Sequence[str], force: bool, provenance: Provenance
) -> list[int]:
    """Write the faces with `part_of` (N,) equal to k to the k-th output, all outputs or none.

    Every array of `faces` and its shape model are kept. Returns the number of faces in each output.
    """
    parts = [np.flatnonzero(part_of == part) for part in range(len(outputs))]
    with Outputs(force) as together:
        for path, rows in zip(outputs, parts, strict=True):
            with create_faces(path, force, provenance, within=together) as writer:
                writer.copy_rows(faces, rows)
                if "shape_model/mean" in faces:
                    writer.put_shape_model(faces.shape_model)
    return [len(rows) for rows in parts]


_OVERSHOOT = 1.5  # how far a split may exceed the requested share to keep a group whole


def draw_share(groups: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Mask (N,) of about `share` of the faces, in whole groups drawn at random.

    Raises DataError if fewer than two faces would be kept.
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
    """Row numbers of both parts, in file order, and what was kept together."""

    kept: np.ndarray
    split_off: np.ndarray
    description: str


def split_rows(ids: Sequence[str], share: float, seed: int) -> Split:
    """Split off about `share` of the faces for validation, in whole groups drawn at random.

    Raises DataError if fewer than two faces would be kept.
    """
    grouping = group_faces(ids, None)
    try:
        chosen = draw_share(grouping.names, share, seed)
    except DataError as error:
        hint = "give faces of more people, a smaller --val-share, or others by --val"
        raise DataError(error.message, hint) from error
    return Split(np.flatnonzero(~chosen), np.flatnonzero(chosen), grouping.description)
