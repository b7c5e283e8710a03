"""What `make docs` hands to Sphinx: all pages are collected, in the navigation once, and their links lead on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from make_site import REPOSITORY, links_of, manual_page, navigation, pages, source_page, stage, staged_name, staged_text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    folder = tmp_path_factory.mktemp("site")
    stage(folder)
    return folder


def test_every_page_and_all_that_it_links_to_is_collected(site: Path) -> None:
    for page in pages():
        staged = site / staged_name(page)
        targets = list(links_of(staged.read_text()))
        assert len(targets) == len(list(links_of(page.read_text())))
        for target in targets:
            assert (staged.parent / target).is_file(), f"{page}: {target}"


def test_each_page_stands_in_the_navigation_once(site: Path) -> None:
    found = []
    for name in ("index.md", "docs/experiments/index.md"):
        for entries in re.findall(
            r"^```\{toctree\}\n(?::.*\n)+\n((?:.+\n)*?)```$", (site / name).read_text(), re.MULTILINE
        ):
            found += [(site / name).parent / f"{entry}.md" for entry in entries.splitlines()]
    expected = {path for path in site.rglob("*.md") if not path.read_text().startswith("---\norphan")}
    assert len(found) == len(set(found))
    assert {*found, site / "index.md"} == expected


def test_links_between_pages_move_with_them() -> None:
    text = staged_text(REPOSITORY / "docs" / "experiments" / "README.md")
    assert "](../results.md)" in text
    text = staged_text(REPOSITORY / "docs" / "README.md")
    assert "](experiments/index.md)" in text
    assert "](../CITATION.cff.md)" in text
    assert "](../README.md" not in text


def test_links_in_code_blocks_stay() -> None:
    page = REPOSITORY / "README.md"
    assert list(links_of("```sh\n[a](b.md)\n```\n[c](d.md#e) [f](https://g)\n")) == ["d.md"]
    assert re.findall(r"^```.*", staged_text(page), re.MULTILINE) == re.findall(
        r"^```.*", page.read_text(), re.MULTILINE
    )


def test_the_captions_are_those_of_the_index() -> None:
    assert list(navigation()) == ["Getting started", "Reference", "Background"]


def test_sections_of_a_manual_page_are_headings() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    page = manual_page(REPOSITORY / "man" / "kd-eval.1")
    assert page.startswith("# kd-eval(1)\n")
    assert {"## Name", "## Synopsis", "## Options", "## Exit status"} <= set(page.splitlines())
    assert 'href="kd-predict.1.html"' in page
    assert page.count("<div") == page.count("</div>")


def test_a_folder_is_shown_file_by_file() -> None:
    page = source_page(REPOSITORY / "examples" / "containers")
    for path in (REPOSITORY / "examples" / "containers").iterdir():
        assert f"## {path.name}\n" in page
        assert path.read_text() in page
