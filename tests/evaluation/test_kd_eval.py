"""kd-eval through its command line: forms, files, verdicts, exit statuses."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from contract.running import run_tool
from factories import drawn_faces, write_faces

from kdtools.cli import kd_eval
from kdtools.cli._app import session


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """truth.h5 with pictures of 64 px, one.h5 and two.h5 (the better one) in this folder, which is the current one."""
    rng = np.random.default_rng(0)
    n = 30
    points = rng.uniform(10, 50, (n, 68, 2))
    points[:, 36], points[:, 45] = [20, 30], [40, 30]
    ids = [f"person{k // 3}_{k % 3}.jpg" for k in range(n)]
    images = rng.integers(0, 255, (n, 64, 64, 3), np.uint8)
    write_faces(tmp_path / "truth.h5", points, ids=ids, images=images, subset_odd=np.arange(n) % 2 == 1)
    for name, spread in (("one.h5", 1.0), ("two.h5", 0.7)):
        write_faces(tmp_path / name, points + rng.normal(0, spread, points.shape), ids=ids, role="predicted")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str | Path) -> int:
    """Exit status of kd-eval with these words; the streams go where pytest catches them."""
    session.verbosity = session.n_skipped = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["kd-eval", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            kd_eval.main()
    return int(stop.value.code or 0)


TRUTH = ("--truth", "truth.h5", "--norm", "inter-ocular")


def test_one_table_in_every_form(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forms = [f"report.{suffix}" for suffix in ("html", "md", "tex", "json", "tsv", "txt")]
    words = [word for name in forms for word in ("-o", name)]
    assert call("one.h5", "student=two.h5", *TRUTH, "--compare", *words) == 0
    assert capsys.readouterr().out == ""
    rows = json.loads((files / "report.json").read_text())
    assert [(row["prediction"], row["subset"]) for row in rows] == [
        (name, subset) for name in ("one.h5", "student") for subset in ("full", "odd")
    ]
    nme = f"{rows[2]['nme_percent']:.2f}"
    for name in forms[:3] + forms[5:]:
        assert nme in (files / name).read_text(), name
    lines = [line.split("\t") for line in (files / "report.tsv").read_text().splitlines()]
    assert float(lines[3][lines[0].index("nme_percent")]) == pytest.approx(rows[2]["nme_percent"], abs=1e-6)
    assert rows[2]["difference_percent"] == pytest.approx(rows[2]["nme_percent"] - rows[0]["nme_percent"])
    page = (files / "report.html").read_text()
    assert page.count("<svg") >= 3
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert all(name in page for name in ("truth.h5", "one.h5", "two.h5"))
    before = page
    (files / "report.html").rename(files / "other.html")
    assert call("one.h5", "student=two.h5", *TRUTH, "--compare", *words[2:], "-o", "report.html", "-f") == 0
    assert (files / "report.html").read_text() == before


def test_files_that_exist_are_kept(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "report.md").write_text("mine")
    (files / "ced.svg").write_text("mine")
    for words in (("-o", "report.md"), ("--plot", "ced=ced.svg")):
        assert call("one.h5", *TRUTH, "-o", "new.json", *words) == 1
        assert "exists already" in capsys.readouterr().err
    assert sorted(path.name for path in files.iterdir()) == ["ced.svg", "one.h5", "report.md", "truth.h5", "two.h5"]
    for words in (("-o", "report.doc"), ("-o", "-"), ("--plot", "pie=a.svg"), ("--plot", "worst=a.svg")):
        assert call("one.h5", *TRUTH, *words) == 2


def test_every_plot(files: Path) -> None:
    plots = ("ced=a.svg", "landmarks=b.pdf", "scatter=c.png", "worst=d.jpg")
    assert call("one.h5", "two.h5", *TRUTH, *[word for plot in plots for word in ("--plot", plot)], "--tsv") == 0
    starts = {"a.svg": b"<?xml", "b.pdf": b"%PDF", "c.png": b"\x89PNG", "d.jpg": b"\xff\xd8\xff"}
    for name, start in starts.items():
        assert (files / name).read_bytes().startswith(start), name


def test_one_value_alone(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("one.h5", *TRUTH, "--json") == 0
    row = json.loads(capsys.readouterr().out)[0]
    for name, key in (("nme", "nme_percent"), ("p99", "p99"), ("fr@.08", "fr@0.08_percent"), ("n", "n")):
        assert call("one.h5", *TRUTH, "--value", name) == 0
        assert float(capsys.readouterr().out) == pytest.approx(row[key], abs=1e-6)
    assert call("one.h5", *TRUTH, "--value", "auc@0.06") == 0  # a threshold that nobody listed
    assert 0 < float(capsys.readouterr().out) < 100
    assert call("one.h5", *TRUTH, "--value", "beauty") == 2
    assert "there is no value 'beauty'" in capsys.readouterr().err


def test_verdicts(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("one.h5", *TRUTH, "--value", "nme") == 0
    nme = float(capsys.readouterr().out)
    assert call("one.h5", *TRUTH, "--subset", "full", "--max-nme", str(nme + 0.01)) == 0
    assert call("one.h5", "two.h5", *TRUTH, "--subset", "full", "--max-nme", str(nme - 0.01)) == 3
    told = capsys.readouterr()
    assert told.out.startswith("prediction\t")  # the table comes all the same
    assert re.search(r"one\.h5: full inter-ocular: nme is .* not <=", told.err)
    assert "two.h5" not in told.err
    assert call("one.h5", *TRUTH, "--require", "auc@0.06>=0", "--require", "p95<1000") == 0
    assert call("one.h5", *TRUTH, "--require", "fr@0.01<50") == 3
    for text in ("nme", "nme=5", "auc>=60", "beauty>1"):
        assert call("one.h5", *TRUTH, "--require", text) == 2
    assert call("one.h5", *TRUTH, "--max-nme", "-1") == 2


def test_verdicts_are_about_one_normaliser_unless_more_are_named(files: Path) -> None:
    nme = {}
    for name in ("inter-ocular", "inter-pupil"):
        with redirect_stdout(io.StringIO()) as text:
            assert call("one.h5", "--truth", "truth.h5", "--norm", name, "--value", "nme") == 0
        nme[name] = float(text.getvalue())
    limit = nme["inter-ocular"] * 1.2
    assert nme["inter-pupil"] > limit
    assert call("one.h5", "--truth", "truth.h5", "--subset", "full", "--max-nme", limit) == 0
    assert call("one.h5", "--truth", "truth.h5", "--norm", "all", "--subset", "full", "--max-nme", limit) == 3


def test_no_input_is_written_over(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "in.json").symlink_to("truth.h5")
    before = (files / "truth.h5").read_bytes()
    assert call("one.h5", "--truth", "truth.h5", "-o", "in.json", "-f") == 2
    assert "is an input itself" in capsys.readouterr().err
    assert (files / "truth.h5").read_bytes() == before


def test_skipped_faces_end_with_status_4(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = " ".join(f"{value:.3f}" for value in drawn_faces(1, 100, seed=0)[1].reshape(-1))
    box = "0 0 100 100 0 0 0 0 0 0"
    (files / "list.txt").write_text(f"{line} {box} a.jpg\nno numbers here\n{line} {box} b.jpg\n")
    assert call("list.txt", "--truth", "list.txt", "--norm", "box-size", "--value", "nme") == 4
    told = capsys.readouterr()
    assert float(told.out) == 0
    assert "kd-eval: skipped" in told.err


def test_of_several_kinds_of_things_one_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).uniform(20, 80, (4, 5, 2)).round(2)
    visible = np.full((5, 1), 2)

    def annotation(number: int, moved: float) -> dict[str, object]:
        keypoints = np.hstack([points[number] + moved, visible]).ravel().tolist()
        things = {"id": number + 1, "image_id": number // 2 + 1, "category_id": number % 2 + 1}
        return things | {"keypoints": keypoints, "num_keypoints": 5, "bbox": [10, 10, 80, 80], "score": 1.0}

    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2)]
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(("face", "hand"))]
    truth = {"images": images, "categories": categories, "annotations": [annotation(i, 0) for i in range(4)]}
    Path("truth.json").write_text(json.dumps(truth))
    Path("results.json").write_text(json.dumps([annotation(i, 1 + i % 2) for i in range(4)]))
    both = run_tool("kd-eval", "results.json", "--truth", "truth.json")
    assert both.status == 1
    assert "--category NAME" in both.stderr
    for name, expected in ("face", 2**0.5), ("hand", 8**0.5):
        words = ("--category", name, "--norm", "100", "--value", "nme")
        result = run_tool("kd-eval", "results.json", "--truth", "truth.json", *words)
        assert result.status == 0, result.stderr
        assert float(result.stdout) == pytest.approx(expected, rel=1e-4)
    write_faces("faces.h5", points[:, :5].astype(np.float32))
    refused = run_tool("kd-eval", "faces.h5", "--truth", "faces.h5", "--category", "face")
    assert (refused.status, "--category is for annotations" in refused.stderr) == (2, True)
