"""kd-eval --group-models: methods of several seeds, compared with each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from contract.running import run_tool
from factories import write_faces

from kdtools.faces.file import open_faces
from kdtools.metrics import compare_methods, method_interval

N, SEEDS = 24, 3
TRUTH = ("--truth", "truth.h5", "--norm", "10")
FORMS = ("html", "md", "tex", "json", "tsv", "txt")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """truth.h5 of two faces a person, and NAME.SEED.h5 of l1 and kd; returns their errors (SEEDS, N)."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 50, (N, 5, 2))
    ids = [f"person{k // 2}_{k % 2}.jpg" for k in range(N)]
    write_faces(tmp_path / "truth.h5", points, ids=ids, subset_odd=np.arange(N) % 2 == 1)
    found = {}
    of_faces = rng.uniform(0.5, 1.5, N)
    for name, level in (("l1", 1.0), ("kd", 0.9)):
        found[name] = level * of_faces + rng.normal(0, 0.05, (SEEDS, 1)) + rng.normal(0, 0.05, (SEEDS, N))
        for seed, shift in enumerate(found[name]):
            predicted = points + shift[:, None, None] * [1.0, 0.0]
            write_faces(tmp_path / f"{name}.{seed}.h5", predicted, ids=ids, role="predicted")
    return {name: np.abs(values) / 10 for name, values in found.items()}


def call(*words: str) -> tuple[int, str, str]:
    result = run_tool("kd-eval", *words)
    return result.status, result.stdout.decode(), result.stderr


def test_methods_are_compared_over_their_models(errors: dict[str, np.ndarray]) -> None:
    words = ("l1=l1.*.h5", "kd=kd.0.h5", "kd=kd.1.h5", "kd=kd.2.h5", *TRUTH, "--compare", "--group-models", "--json")
    status, out, _ = call(*words)
    assert status == 0
    rows = {(row["prediction"], row["subset"]): row for row in json.loads(out)}
    assert list(rows) == [(name, subset) for name in ("l1", "kd") for subset in ("full", "odd")]
    groups = np.arange(N) // 2
    for (name, subset), row in rows.items():
        chosen = slice(None) if subset == "full" else slice(1, None, 2)
        own, units = errors[name][:, chosen], groups[chosen]
        assert row["n_models"] == SEEDS
        assert row["nme_percent"] == pytest.approx(100 * own.mean(), abs=1e-4)
        assert row["models_sd_percent"] == pytest.approx(100 * own.mean(axis=1).std(ddof=1), abs=1e-4)
        low, high = method_interval(own, units)  # type: ignore[misc]
        assert [row["nme_low_percent"], row["nme_high_percent"]] == pytest.approx([100 * low, 100 * high], rel=0.02)
        assert row["fr@0.08_percent"] == pytest.approx(100 * (own > 0.08).mean())
        assert row["p50"] == pytest.approx(100 * np.median(own, axis=1).mean(), abs=1e-3)
        if name == "kd":
            comparison = compare_methods(own, errors["l1"][:, chosen], units)
            assert row["difference_percent"] == pytest.approx(100 * comparison.difference, abs=1e-4)  # type: ignore
            assert row["difference_low_percent"] == pytest.approx(100 * comparison.low, rel=0.05)  # type: ignore
            assert row["improved_percent"] == 100 * comparison.improved  # type: ignore[operator]
            assert "p_wilcoxon" not in row


def test_every_form_says_how_many_models_there_are(errors: dict[str, np.ndarray]) -> None:
    words = [word for form in FORMS for word in ("-o", f"report.{form}")]
    call("l1=l1.*.h5", "kd=kd.*.h5", *TRUTH, "--compare", "--group-models", *words)
    for form in ("html", "md", "tex", "txt"):
        text = Path(f"report.{form}").read_text()
        assert form == "html" or "l1.0.h5" not in text, form  # there it is among the inputs
        if form != "txt":
            assert "l1: 3 models, kd: 3 models" in text, form
        assert "networks are compared" not in text, form
    assert "by 12 people or photographs, and by model" in Path("report.txt").read_text()


def test_comparing_single_networks_says_so(errors: dict[str, np.ndarray]) -> None:
    call("l1.0.h5", "kd.0.h5", *TRUTH, "--compare", "-o", "report.md")
    assert "networks are compared, not the methods" in Path("report.md").read_text()
    call("l1=l1.*.h5", "kd=kd.0.h5", *TRUTH, "--compare", "--group-models", "-o", "more.md")
    assert "kd: one model" in Path("more.md").read_text()


def test_regions_and_one_value_are_of_methods(errors: dict[str, np.ndarray]) -> None:
    words = ("l1=l1.*.h5", "kd=kd.*.h5", *TRUTH, "--compare", "--group-models")
    assert float(call(*words, "--value", "models_sd")[1]) > 0
    assert float(call(*words, "--value", "difference")[1]) < 0
    status, _, err = call(*words, "--value", "p_wilcoxon")
    assert status == 1
    assert "compares networks, not methods" in err
    for part, n_parts in (("region", 3), ("landmark", 5)):
        status, out, _ = call(*words[:6], "--group-models", "--by", part, "--tsv")
        assert status == 0
        lines = [line.split("\t") for line in out.splitlines()]
        assert len(lines) == 1 + 2 * 2 * n_parts  # methods, subsets
        assert {line[lines[0].index("prediction")] for line in lines[1:]} == {"l1", "kd"}


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("l1.0.h5", "l1.1.h5"), "--group-models: l1.0.h5 has no name\n  write NAME=FILE, such as l1='l1.*.h5'"),
        (("l1=l1.0.h5,l1.1.h5",), "repeat the name: l1=l1.0.h5 l1=l1.1.h5"),
        (("l1=l1.0.h5", "l1=l1.0.h5"), "l1.0.h5 is given twice"),
        (("l1=l1.0.h5", "kd=kd.0.h5"), "every name has one prediction"),
        (("l1=nothing.*.h5", "kd=kd.0.h5"), "nothing.*.h5: no file matches"),
        (("mean shape=l1.0.h5", "mean shape=l1.1.h5"), "no method can be called 'mean shape'"),
        (("l1=l1.*.h5", "--plot", "ced=ced.svg"), "--plot is of single predictions"),
        (("l1=l1.*.h5", "--by", "face"), "--group-models has no rows of single faces"),
        (("l1=l1.0.h5", "l1=l1.1.h5", "--compare"), "two methods, and all predictions are of l1\n  give each method"),
        (("a=x=l1.0.h5", "a=x=l1.1.h5"), "x=l1.0.h5: no such file"),
    ],
)
def test_what_is_no_method_is_refused(errors: dict[str, np.ndarray], words: tuple[str, ...], answer: str) -> None:
    status, out, err = call(*words, *TRUTH, "--group-models")
    assert (status, out) in ((2, ""), (1, ""))
    assert answer in err


def test_one_method_is_compared_with_the_mean_shape(errors: dict[str, np.ndarray]) -> None:
    with open_faces("truth.h5") as truth:
        points = truth.landmarks
        ids = [identity.decode() for identity in truth.id_bytes]
    write_faces("drawn.h5", points, ids=ids, images=np.zeros((N, 64, 64, 3), np.uint8))
    words = ("l1=l1.*.h5", "--truth", "drawn.h5", "--norm", "10", "--mean-shape", "drawn.h5")
    status, out, err = call(*words, "--compare", "--group-models", "--tsv")
    assert status == 0, err
    head, *rows = (line.split("\t") for line in out.splitlines())
    assert [bool(row[head.index("difference_percent")]) for row in rows] == [False, True]


def test_a_file_whose_name_contains_an_equals_sign_is_read(errors: dict[str, np.ndarray]) -> None:
    """And not the one that is named after it."""
    for seed in range(2):
        Path(f"l1.{seed}.h5").rename(f"x=l1.{seed}.h5")
        Path(f"kd.{seed}.h5").rename(f"l1.{seed}.h5")
    for words in (("a=x=l1.?.h5",), ("a=x=l1.0.h5", "a=x=l1.1.h5")):
        status, out, err = call(*words, *TRUTH, "--group-models", "--value", "nme")
        assert status == 0, err
        assert float(out) == pytest.approx(100 * errors["l1"][:2].mean(), abs=1e-3)


@pytest.mark.parametrize("ids", [["a.jpg"], ["a.jpg", "b.jpg", "c.jpg"]])
def test_a_single_face_has_no_interval_over_faces(
    tmp_path: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, or as the only one of a subset; shares keep the mean of the models' own intervals."""
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).uniform(10, 50, (len(ids), 5, 2))
    one = np.arange(len(ids)) == 0
    write_faces("truth.h5", points, ids=ids, subset_one=one)
    for name, shifts in (("l1", (0.5, 1.5)), ("kd", (0.4, 0.6))):
        for seed, shift in enumerate(shifts):
            write_faces(f"{name}.{seed}.h5", points + [shift, 0], ids=ids, role="predicted")
    words = ("l1=l1.*.h5", "kd=kd.*.h5", *TRUTH, "--group-models", "--compare", "--json")
    status, out, err = call(*words)
    assert status == 0, err
    rows = {(row["prediction"], row["subset"]): row for row in json.loads(out)}
    row, of_kd = rows["l1", "one"], rows["kd", "one"]
    assert (row["n"], row["fr@0.08_percent"], row["nme_percent"]) == (1, 50, pytest.approx(10, abs=1e-3))
    assert row.get("nme_low_percent") is None
    assert 0 <= row["fr_low@0.08_percent"] < 50 < row["fr_high@0.08_percent"] <= 100
    assert of_kd["difference_percent"] == pytest.approx(-5, abs=1e-3)
    assert of_kd.get("difference_low_percent") is None


def test_a_model_that_is_there_twice_is_noticed(errors: dict[str, np.ndarray]) -> None:
    Path("l1.9.h5").write_bytes(Path("l1.0.h5").read_bytes())
    assert "l1.0.h5 and l1.9.h5 have the same errors" in call("l1=l1.*.h5", *TRUTH, "--group-models")[2]


def test_two_predictions_of_one_name_hint_at_methods(errors: dict[str, np.ndarray]) -> None:
    status, _, err = call("l1=l1.0.h5", "l1=l1.1.h5", *TRUTH)
    assert status == 2
    assert "--group-models takes those of one name as one method" in err
