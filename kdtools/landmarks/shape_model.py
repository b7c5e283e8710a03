"""Active shape model of faces, and Soft-landmarks made with it.

Source: Cootes, Taylor, Cooper, Graham, "Active shape models", CVIU 1995; the alignment is that of Kent, "The
complex Bingham distribution and shape analysis", JRSS B 1994; Soft-landmarks are those of arXiv 2111.07047.

Inside, a shape is one complex number x + iy per point. A similarity without reflection is then z -> a z + b
with complex a and b, and fitting one is a single inner product per face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kdtools.errors import DataError

ALIGNMENTS = ("procrustes", "none")
DEFAULT_CLIP = 3.0  # standard deviations; Cootes et al. and arXiv 2111.07047
MIN_POINTS = 3  # a similarity fits any two points exactly, so two say nothing about the shape

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ShapeModel:
    """Mean face and the directions in which faces differ from it.

    mean: (L, 2) float64, in the unit of the shapes it was fitted to. With "procrustes" its centroid is the
    origin, its size the average centroid size of those shapes, and it stands as upright as their plain mean.
    modes: (K, L, 2), orthonormal as rows of 2L numbers; each one's number of greatest magnitude is positive.
    variance: (K,), descending, variance of each mode's coefficient.
    align: "procrustes" or "none".
    """

    mean: Array
    modes: Array
    variance: Array
    align: str


def fit_shape_model(shapes: npt.ArrayLike, *, variance: float = 0.9, align: str = "procrustes") -> ShapeModel:
    """Fit mean and modes to shapes (N, L, 2); missing points are NaN.

    Faces with a missing point, or whose points all coincide, are left out. The modes kept are the fewest
    whose share of the variance reaches `variance`, in (0, 1]; 1 keeps every mode that is not zero; there is
    at least one.

    Generalised Procrustes runs no loop and has no tolerance. Its usual iteration (align all to
    the mean, take the mean anew) is a power iteration on the scatter of the shapes, so the mean is that
    matrix's first eigenvector; the order of the faces and a bad start cannot matter. Only if the plain mean
    of all faces vanishes (as many upright as upside down) does the first face decide which way is up, which
    `soften` does not depend on.

    align="none" compares the coordinates as they are, the way of the paper's reference code; normalise them
    first.

    Raises DataError for values outside these ranges and for fewer than two faces that can be used.
    """
    if align not in ALIGNMENTS:
        raise DataError(f"unknown alignment {align!r}", f"choose one of: {', '.join(ALIGNMENTS)}")
    if not 0 < variance <= 1:
        raise DataError(f"the share of variance to keep is {variance}", "give a share above 0 and up to 1, such as 0.9")
    z, seen = _as_complex(shapes)
    z = z[seen.all(axis=1)]
    z = z[~_coincide(z, np.ones(z.shape, dtype=bool))]
    if len(z) < 2:
        raise DataError(
            f"{len(z)} of {len(seen)} faces can be used for a shape model, and it needs 2",
            "it uses only faces with every point annotated, not all at one place: give more of those",
        )

    if align == "none":
        mean, weight = z.mean(axis=0), np.ones(len(z))
        residual = z - mean
    else:
        mean, weight, residual = _procrustes(z)
    # sqrt(weight) on both factors of the covariance; its divisor is N - 1 where all weights are 1
    d = _as_real(residual * np.sqrt(weight)[:, None]).reshape(len(z), -1)  # (N, 2L)
    covariance = d.T @ d / (weight.sum() * (len(z) - 1) / len(z))
    values, vectors = np.linalg.eigh(covariance)
    values, modes = values[::-1].clip(0), vectors.T[::-1]

    # eigh leaves true zeros at rounding error of the greatest value; as modes these would be noise
    n_nonzero = max(1, int(np.sum(values > values[0] * len(values) * np.finfo(float).eps)))
    running = np.cumsum(values[:n_nonzero])
    n_modes = min(int(np.searchsorted(running, variance * running[-1])) + 1, n_nonzero)
    modes = _with_fixed_sign(modes[:n_modes])
    return ShapeModel(_as_real(mean), modes.reshape(n_modes, -1, 2), values[:n_modes].copy(), align)


def align_shapes(shapes: npt.ArrayLike, mean: npt.ArrayLike) -> tuple[Array, Array]:
    """Carry each face onto the mean by a similarity; return aligned (N, L, 2), affine maps to_mean (N, 2, 3).

    The similarity is the inverse of the one that fits the *mean to the face* with least squares,
    so errors count in the face's own frame. What is left, aligned - mean, is then orthogonal to the mean and
    to its rotation (the tangent space of Cootes et al.), and a shape unlike the mean is not shrunk by the
    fit.

    Only annotated points take part; missing ones stay NaN. A face that cannot be placed (fewer than 3
    annotated points, all points at one place, or nothing in common with the mean) is NaN in both results.
    Raises DataError where the numbers of points differ.
    """
    m = _as_complex(np.asarray(mean)[None])[0][0]
    z, seen = _as_complex(shapes, n_points=len(m))
    turn, shift, placed = _fit_mean_to_faces(z, seen, m)
    inverse = 1 / np.where(placed, turn, 1)
    inverse[~placed] = complex(np.nan, np.nan)
    offset = -shift * inverse
    aligned = z * inverse[:, None] + offset[:, None]
    to_mean = np.stack(
        [inverse.real, -inverse.imag, offset.real, inverse.imag, inverse.real, offset.imag], axis=1
    ).reshape(-1, 2, 3)
    return _as_real(aligned), to_mean


def soften(model: ShapeModel, shapes: npt.ArrayLike, *, clip: float = DEFAULT_CLIP) -> Array:
    """Soft-landmarks (N, L, 2) float64 of shapes (N, L, 2): each face as the model's modes can represent it.

    Each face is aligned to the mean (see `align_shapes`; not with align="none"), its coefficients are limited
    to ±clip·√variance, and the rebuilt shape goes back through the inverse similarity. Softening a complete
    face twice changes nothing more.

    Missing points (NaN) stay missing; coefficients then are the least squares over the annotated points.
    Faces with fewer than 3 annotated points, or all at one place, come back as they are.
    Raises DataError where `clip` is not above 0 or the numbers of points differ.
    """
    if not clip > 0:
        raise DataError(f"the limit of coefficients is {clip} standard deviations", "give a number above 0, such as 3")
    m = _as_complex(model.mean[None])[0][0]
    z, seen = _as_complex(shapes, n_points=len(m))
    if model.align == "none":
        turn, shift = np.ones(len(z), dtype=complex), np.zeros(len(z), dtype=complex)
        placed = (seen.sum(axis=1) >= MIN_POINTS) & ~_coincide(z, seen)
    else:
        turn, shift, placed = _fit_mean_to_faces(z, seen, m)

    result = _as_real(z)
    turn, shift, seen_placed = turn[placed, None], shift[placed, None], seen[placed]
    residual = _as_real((z[placed] - shift) / turn - m).reshape(len(turn), 2 * len(m))
    limit = clip * np.sqrt(model.variance)
    coefficients = _coefficients(model, residual, seen_placed).clip(-limit, limit)  # (N, K)
    rebuilt = m + coefficients @ _as_complex(model.modes)[0]
    soft = _as_real(rebuilt * turn + shift)
    result[placed] = np.where(seen_placed[..., None], soft, result[placed])
    return result


def _procrustes(z: Array) -> tuple[Array, Array, Array]:
    """Full Procrustes fit of shapes (N, L): mean (L,), weights (N,), residuals from the mean (N, L)."""
    z = z - z.mean(axis=1, keepdims=True)
    size = np.linalg.norm(z, axis=1)  # centroid size
    unit = z / size[:, None]
    mean = np.linalg.eigh(unit.T @ unit.conj())[1][:, -1]  # unit length, of any orientation
    up = np.vdot(mean, z.mean(axis=0))
    if abs(up) < 1e-9 * size.mean():  # the faces cancel out: rounding would choose the orientation
        up = np.vdot(mean, z[0])
    if up != 0:
        mean = mean * (up / abs(up))
    # With each face weighted by its squared correlation with the mean, the residuals average to exactly zero:
    # that is the eigenvector equation. It also keeps a face that was annotated in another order (correlation
    # near 0, residual 1/correlation) from ruling the modes; real faces reach 0.85 and more (WFLW's profile
    # views), so weights near 1.
    correlation = unit @ mean.conj()
    weight = np.abs(correlation) ** 2
    related = weight > 1e-12  # below, the residual is a division by zero times a weight of zero
    residual = unit / np.where(related, correlation, 1)[:, None] - mean
    return size.mean() * mean, np.where(related, weight, 0), size.mean() * residual


def _fit_mean_to_faces(z: Array, seen: Array, m: Array) -> tuple[Array, Array, Array]:
    """Least squares of z ~ turn * m + shift over seen points: turn, shift (N,); and which faces have them."""
    count = np.maximum(seen.sum(axis=1), 1)
    filled = np.where(seen, z, 0)
    z_centre, m_centre = filled.sum(axis=1) / count, (seen @ m) / count
    z_own = np.where(seen, z - z_centre[:, None], 0)
    m_own = np.where(seen, m - m_centre[:, None], 0)
    z_size, m_size = np.linalg.norm(z_own, axis=1), np.linalg.norm(m_own, axis=1)
    placed = (seen.sum(axis=1) >= MIN_POINTS) & ~_coincide(z, seen) & (m_size > 1e-9 * np.linalg.norm(m))
    turn = np.sum(m_own.conj() * z_own, axis=1) / np.where(placed, m_size, 1) ** 2
    # uncorrelated with the mean: any rotation fits as well, and the inverse would blow up rounding errors
    placed &= np.abs(turn) * m_size > 1e-6 * z_size
    return turn, z_centre - turn * m_centre, placed


def _coefficients(model: ShapeModel, residual: Array, seen: Array) -> Array:
    """Coefficients (N, K) of residuals (N, 2L); least squares over the seen points where some are missing."""
    modes, deviation = model.modes.reshape(len(model.modes), -1), np.sqrt(model.variance)
    complete = seen.all(axis=1)
    result = np.empty((len(residual), len(modes)))
    result[complete] = residual[complete] @ modes.T
    partial = np.flatnonzero(~complete)
    patterns, which = np.unique(seen[partial], axis=0, return_inverse=True)
    for p, pattern in enumerate(patterns):
        group, numbers = partial[which.reshape(-1) == p], np.repeat(pattern, 2)
        # Few points cannot tell many modes apart: the system is then rank-deficient. In units of each mode's
        # standard deviation, lstsq's shortest solution is the most probable face, and rcond drops what the
        # points cannot measure.
        design = modes[:, numbers].T * deviation  # (2 * seen, K)
        solution = np.linalg.lstsq(design, residual[np.ix_(group, numbers)].T, rcond=1e-6)[0]
        result[group] = solution.T * deviation
    return result


def _with_fixed_sign(modes: Array) -> Array:
    """Modes (K, 2L) with the number of greatest magnitude positive; of equal ones the first counts."""
    size = np.abs(modes)
    # numbers that mirror each other are equal only up to rounding, hence the small tolerance
    first = np.argmax(size >= size.max(axis=1, keepdims=True) * (1 - 1e-6), axis=1)
    return np.asarray(modes * np.sign(modes[np.arange(len(modes)), first])[:, None])


def _coincide(z: Array, seen: Array) -> Array:
    """Which faces (N,) have all their seen points at one place, up to rounding of the coordinates."""
    extent = np.abs(np.where(seen, z, 0)).max(axis=1)
    anchor = z[np.arange(len(z)), seen.argmax(axis=1)][:, None]  # the first seen point
    spread = np.abs(np.where(seen, z - anchor, 0)).max(axis=1)
    return np.asarray(spread <= 1e-9 * extent)


def _as_complex(shapes: npt.ArrayLike, n_points: int | None = None) -> tuple[Array, Array]:
    """Shapes (N, L, 2) as complex z (N, L) and which points are annotated (N, L); the others are all NaN."""
    array = np.ascontiguousarray(shapes, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != 2 or array.shape[1] < MIN_POINTS:
        raise DataError(
            f"shapes of the form {array.shape}",
            f"they must be (faces, points, 2) with at least {MIN_POINTS} points",
        )
    if n_points is not None and array.shape[1] != n_points:
        raise DataError(
            f"{array.shape[1]} points per face, but the shape model has {n_points}",
            "use a model of the same scheme",
        )
    seen = np.asarray(np.isfinite(array).all(axis=2))
    return np.where(seen, array.view(np.complex128)[..., 0], complex(np.nan, np.nan)), seen


def _as_real(z: Array) -> Array:
    """Complex (..., L) as a new array of x, y (..., L, 2)."""
    return np.stack([z.real, z.imag], axis=-1)
