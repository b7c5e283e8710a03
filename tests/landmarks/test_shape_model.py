"""Active shape model: synthetic faces of known modes, the symmetries of the method, and its limits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from kdtools.errors import DataError
from kdtools.landmarks.shape_model import ShapeModel, align_shapes, fit_shape_model, soften

pytestmark = pytest.mark.filterwarnings("error")

N_POINTS = 12
DEVIATIONS = np.array([0.06, 0.03, 0.01])


def known_model(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2L,) of size 1 and orthonormal modes (3, 2L) that hold no move, turn or growth of the mean."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(N_POINTS, 2))
    mean -= mean.mean(axis=0)
    mean /= np.linalg.norm(mean)
    turned = np.stack([-mean[:, 1], mean[:, 0]], axis=1)
    moves = [np.tile(axis, N_POINTS) for axis in np.eye(2)]
    basis = np.stack([mean.ravel(), turned.ravel(), *moves, *rng.normal(size=(3, 2 * N_POINTS))], axis=1)
    return mean.ravel(), np.linalg.qr(basis)[0].T[4:]


def faces(n: int = 4000, seed: int = 1, noise: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mean, modes = known_model()
    flat = mean + (rng.normal(size=(n, 3)) * DEVIATIONS) @ modes + noise * rng.normal(size=(n, 2 * N_POINTS))
    return np.asarray(flat.reshape(n, N_POINTS, 2))


def moved(shapes: np.ndarray, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each face turned, scaled and moved on its own; with the maps (N, 2, 2) and (N, 1, 2)."""
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-np.pi, np.pi, len(shapes)), rng.uniform(0.2, 5, len(shapes))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([c, s], axis=1), np.stack([-s, c], axis=1)], axis=1)  # row vectors
    shift = rng.uniform(-300, 300, (len(shapes), 1, 2))
    return shapes @ linear + shift, linear, shift


def flat_modes(model: ShapeModel) -> np.ndarray:
    return model.modes.reshape(len(model.modes), -1)


def coefficients(model: ShapeModel, shapes: np.ndarray) -> np.ndarray:
    aligned, _ = align_shapes(shapes, model.mean)
    return np.asarray((aligned - model.mean).reshape(len(shapes), -1) @ flat_modes(model).T)


@pytest.mark.parametrize("align", ["procrustes", "none"])
def test_known_modes_are_recovered(align: str) -> None:
    mean, modes = known_model()
    model = fit_shape_model(faces(), variance=0.999, align=align)
    assert model.align == align
    assert model.modes.shape == (3, N_POINTS, 2)
    np.testing.assert_allclose(np.abs(flat_modes(model) @ modes.T), np.eye(3), atol=0.03)
    np.testing.assert_allclose(np.sqrt(model.variance), DEVIATIONS, rtol=0.04)
    size = np.linalg.norm(model.mean)
    np.testing.assert_allclose(model.mean.ravel() / size, mean, atol=0.005)


def test_modes_are_orthonormal_and_hold_no_similarity() -> None:
    shapes, _, _ = moved(faces(500, noise=0.01))
    model = fit_shape_model(shapes, variance=1)
    modes = flat_modes(model)
    assert len(modes) == 2 * N_POINTS - 4
    np.testing.assert_allclose(modes @ modes.T, np.eye(len(modes)), atol=1e-10)
    turned = np.stack([-model.mean[:, 1], model.mean[:, 0]], axis=1)
    for direction in (model.mean, turned, np.ones((N_POINTS, 1)) * [1, 0], np.ones((N_POINTS, 1)) * [0, 1]):
        np.testing.assert_allclose(modes @ direction.ravel() / np.linalg.norm(direction), 0, atol=1e-8)
    assert np.all(np.diff(model.variance) <= 0)
    assert np.all(model.variance > 0)


def test_size_and_orientation_of_the_mean() -> None:
    shapes = faces(300) * 40 + 100
    model = fit_shape_model(shapes)
    plain = shapes.mean(axis=0) - shapes.mean(axis=(0, 1))
    sizes = np.linalg.norm(shapes - shapes.mean(axis=1, keepdims=True), axis=(1, 2))
    assert np.linalg.norm(model.mean) == pytest.approx(sizes.mean())
    np.testing.assert_allclose(model.mean.mean(axis=0), 0, atol=1e-12)
    cross = model.mean[:, 0] @ plain[:, 1] - model.mean[:, 1] @ plain[:, 0]
    assert cross / (np.linalg.norm(plain) * sizes.mean()) == pytest.approx(0, abs=1e-12)
    assert np.sum(model.mean * plain) > 0


def test_share_of_variance_kept_is_the_smallest_that_reaches_it() -> None:
    shapes = faces(400, noise=0.01)
    full = fit_shape_model(shapes, variance=1)
    running = np.cumsum(full.variance) / np.sum(full.variance)
    for share in (0.001, 0.5, 0.9, 0.97):
        model = fit_shape_model(shapes, variance=share)
        k = len(model.variance)
        assert running[k - 1] >= share
        assert k == 1 or running[k - 2] < share
        np.testing.assert_allclose(model.modes, full.modes[:k])
        np.testing.assert_allclose(model.variance, full.variance[:k])


def test_unaligned_model_is_plain_principal_components() -> None:
    shapes = faces(60, noise=0.01)
    model = fit_shape_model(shapes, variance=1, align="none")
    flat = shapes.reshape(60, -1)
    np.testing.assert_allclose(model.mean, shapes.mean(axis=0))
    np.testing.assert_allclose(model.variance, np.linalg.svd(flat - flat.mean(axis=0))[1] ** 2 / 59, rtol=1e-8)


@pytest.mark.parametrize("with_holes", [False, True])
def test_soften_commutes_with_similarities(with_holes: bool) -> None:
    shapes = faces(200, noise=0.02)
    if with_holes:
        shapes[::3, 4] = np.nan
        shapes[::5, 7] = np.nan
    changed, linear, shift = moved(shapes)
    plain = soften(fit_shape_model(shapes), shapes)
    other = soften(fit_shape_model(changed), changed)
    np.testing.assert_allclose(other, plain @ linear + shift, rtol=1e-8, atol=1e-8)
    assert np.nanmax(np.abs(plain - shapes)) > 0.01  # it did something


def test_alignment_is_the_map_it_returns_and_undoes_similarities() -> None:
    mean, _ = known_model()
    mean = mean.reshape(-1, 2)
    shapes, _, _ = moved(np.repeat(mean[None], 20, axis=0))
    aligned, to_mean = align_shapes(shapes, mean)
    np.testing.assert_allclose(aligned, np.repeat(mean[None], 20, axis=0), atol=1e-10)
    mapped = shapes @ to_mean[:, :, :2].transpose(0, 2, 1) + to_mean[:, None, :, 2]
    np.testing.assert_allclose(mapped, aligned, atol=1e-10)
    assert np.all(np.linalg.det(to_mean[:, :, :2]) > 0)
    mirrored, to_mean = align_shapes(mean[None] * [-1, 1], mean)  # a reflection is not undone
    assert np.linalg.det(to_mean[0, :, :2]) > 0
    assert np.linalg.norm(mirrored[0] - mean) > 0.1


@pytest.mark.parametrize("align", ["procrustes", "none"])
def test_all_modes_and_no_limit_change_nothing(align: str) -> None:
    shapes = faces(300, noise=0.02) * 50 + 100
    if align == "procrustes":
        shapes, _, _ = moved(shapes)
    model = fit_shape_model(shapes, variance=1, align=align)
    np.testing.assert_allclose(soften(model, shapes, clip=1e6), shapes, atol=1e-6)


@pytest.mark.parametrize("align", ["procrustes", "none"])
def test_softening_twice_changes_nothing_more(align: str) -> None:
    shapes = faces(300, noise=0.02)
    model = fit_shape_model(shapes, align=align)
    once = soften(model, shapes, clip=1.0)
    np.testing.assert_allclose(soften(model, once, clip=1.0), once, atol=1e-12)


def test_outlier_ends_on_the_limit_and_others_inside_stay() -> None:
    model = fit_shape_model(faces(), variance=0.999)
    inside = faces(50, seed=5)
    far = (model.mean + 40 * np.sqrt(model.variance[0]) * model.modes[0] * [[1]])[None]
    far = np.concatenate([far, (model.mean - 40 * np.sqrt(model.variance[1]) * model.modes[1])[None]])
    limit = 3 * np.sqrt(model.variance)
    soft = coefficients(model, soften(model, far))
    assert soft[0, 0] == pytest.approx(limit[0])
    assert soft[1, 1] == pytest.approx(-limit[1])
    before = coefficients(model, inside)
    np.testing.assert_allclose(coefficients(model, soften(model, inside)), before.clip(-limit, limit), atol=1e-12)
    np.testing.assert_allclose(
        coefficients(model, soften(model, inside, clip=0.5)), before.clip(-limit / 6, limit / 6), atol=1e-12
    )


def test_number_of_greatest_magnitude_is_positive_and_ties_go_to_the_first() -> None:
    for shapes in (faces(100, noise=0.01), -faces(100, noise=0.01)):
        rows = flat_modes(fit_shape_model(shapes, variance=1))
        assert np.all(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)] > 0)
    square = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    stretch = np.array([[-1.0, 0], [1, 0], [1, 0], [-1, 0]])
    shapes = np.stack([square + a * stretch for a in (-0.1, 0.0, 0.1)])
    mode = fit_shape_model(shapes, align="none").modes[0]
    np.testing.assert_allclose(mode, -stretch / 2, atol=1e-12)


def test_order_of_the_faces_does_not_matter() -> None:
    shapes, _, _ = moved(faces(400, noise=0.01))
    order = np.random.default_rng(3).permutation(400)
    one, two = fit_shape_model(shapes), fit_shape_model(shapes[order])
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-9)
    np.testing.assert_allclose(two.modes, one.modes, atol=1e-9)
    np.testing.assert_allclose(soften(two, shapes), soften(one, shapes), atol=1e-9)


def test_incomplete_and_degenerate_faces_are_left_out_of_the_fit() -> None:
    good = faces(100) * 30 + 50
    holed, point = good[:5].copy(), np.full((3, N_POINTS, 2), 1234.56789)
    holed[:, 3, 0] = np.nan
    for align in ("procrustes", "none"):
        one = fit_shape_model(good, align=align)
        two = fit_shape_model(np.concatenate([point, good, holed]), align=align)
        np.testing.assert_array_equal(one.mean, two.mean)
        np.testing.assert_array_equal(one.modes, two.modes)


@pytest.mark.parametrize("align", ["procrustes", "none"])
def test_missing_points_stay_missing_and_the_rest_is_softened(align: str) -> None:
    shapes = faces(200)
    model = fit_shape_model(shapes, variance=0.999, align=align)
    holed = shapes.copy()
    holed[:, [2, 5]] = np.nan
    holed[0, 7] = np.nan
    soft = soften(model, holed)
    np.testing.assert_array_equal(np.isnan(soft), np.isnan(holed))
    gap = np.abs(soft - soften(model, shapes))
    # without alignment least squares is exact; with it the pose comes from the mean on fewer points
    assert np.nanmax(gap) < (0.05 if align == "procrustes" else 0.02)
    assert np.nanmedian(gap) < 0.003
    alone = soften(model, holed[:1])
    np.testing.assert_allclose(alone[0], soft[0], atol=1e-12)


def test_few_points_and_many_modes_stay_within_the_limits() -> None:
    model = fit_shape_model(faces(300, noise=0.02), variance=1)
    holed = faces(5, seed=9, noise=0.02)
    holed[:, 4:] = np.nan  # 8 numbers for 20 modes
    soft = soften(model, holed)
    assert np.isfinite(soft[:, :4]).all()
    np.testing.assert_allclose(soft[:, :4], holed[:, :4], atol=0.1)


@pytest.mark.parametrize("align", ["procrustes", "none"])
def test_faces_that_cannot_be_placed_come_back_as_they_are(align: str) -> None:
    model = fit_shape_model(faces(100), align=align)
    odd = faces(4, seed=7)
    odd[0] = 0.1
    odd[1, 2:] = np.nan
    odd[2] = np.nan
    np.testing.assert_array_equal(soften(model, odd)[:3], odd[:3])
    assert soften(model, odd[:0]).shape == (0, N_POINTS, 2)
    aligned, to_mean = align_shapes(odd, model.mean)
    assert np.isnan(aligned[:3]).all()
    assert np.isnan(to_mean[:3]).all()
    assert np.isfinite(aligned[3]).all()


def test_equal_faces_give_one_mode_without_variance() -> None:
    same = np.repeat(faces(1), 5, axis=0)
    for align in ("procrustes", "none"):
        model = fit_shape_model(same, variance=1, align=align)
        assert len(model.modes) >= 1
        assert model.variance[0] == pytest.approx(0, abs=1e-25)
        np.testing.assert_allclose(soften(model, same), same, atol=1e-12)


def test_upright_and_upside_down_faces_cancel_without_harm() -> None:
    shapes = faces(50)
    model = fit_shape_model(np.concatenate([shapes, -shapes]))
    upright = fit_shape_model(np.concatenate([shapes, shapes]))
    np.testing.assert_allclose(soften(model, shapes), soften(upright, shapes), atol=1e-9)


def test_a_face_annotated_in_another_order_does_not_rule_the_modes() -> None:
    shapes = faces(1000)
    wrong = shapes[:1, np.random.default_rng(0).permutation(N_POINTS)]
    model, spoilt = fit_shape_model(shapes), fit_shape_model(np.concatenate([shapes, wrong]))
    assert spoilt.variance[0] < 1.25 * model.variance[0]
    assert abs(flat_modes(model)[0] @ flat_modes(spoilt)[0]) > 0.95


def test_float32_input_gives_float64() -> None:
    shapes = faces(30).astype(np.float32)
    model = fit_shape_model(shapes)
    assert {a.dtype for a in (model.mean, model.modes, model.variance, soften(model, shapes))} == {np.dtype(float)}


def test_errors_say_what_is_wrong() -> None:
    shapes = faces(10)
    for share in (0, -1, 1.1, np.nan):
        with pytest.raises(DataError, match="share of variance"):
            fit_shape_model(shapes, variance=share)
    with pytest.raises(DataError, match="unknown alignment 'affine'"):
        fit_shape_model(shapes, align="affine")
    holed = shapes.copy()
    holed[1:, 0] = np.nan
    with pytest.raises(DataError, match="1 of 10 faces can be used") as caught:
        fit_shape_model(holed)
    assert "every point annotated" in caught.value.hint
    with pytest.raises(DataError, match="shapes of the form"):
        fit_shape_model(shapes[0])
    model = fit_shape_model(shapes)
    for clip in (0, -3, np.nan):
        with pytest.raises(DataError, match="limit of coefficients"):
            soften(model, shapes, clip=clip)
    with pytest.raises(DataError, match="11 points per face, but the shape model has 12"):
        soften(model, shapes[:, :-1])


def test_wflw_sized_set_is_quick() -> None:
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(98, 2)) * 50 + rng.normal(size=(7500, 98, 2)) * 3
    start = time.process_time()
    soft = soften(fit_shape_model(shapes), shapes)
    assert time.process_time() - start < 10
    assert np.abs(soft - shapes).max() < 20
