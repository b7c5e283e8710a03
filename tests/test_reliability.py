"""docs/reliability.md and the cases in tests/contract/README.md name tests, and these exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
CASES = (ROOT / "tests" / "contract" / "README.md").read_text(encoding="utf-8").splitlines()
PROMISES = [
    [cell.strip() for cell in row.strip("|").split("|")]
    for table in PAGE.split("| promise | test that would break it | last result |\n")[1:]
    for row in table.partition("\n\n")[0].splitlines()[1:]
]


def test_every_promise_has_a_test_and_a_result() -> None:
    assert len(PROMISES) > 30
    for promise, tests, result, *more in PROMISES:
        assert not more, promise
        assert "`tests/" in tests, promise
        assert result, promise


def test_the_tests_that_are_named_exist() -> None:
    """`tests/a.py`, `tests/a.py::test_b`, or `::test_c` of the file named before."""
    for cell in (PAGE, *(tests for _, tests, _ in PROMISES), *CASES):
        path = ""
        for file, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", cell):
            path = file or path
            if not path:
                continue
            assert (ROOT / path).is_file(), path
            if name:
                assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
