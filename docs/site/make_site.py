"""Collect README.md, docs/ and the manual pages in one folder from which Sphinx builds a static site.

`make docs` runs this and then Sphinx (conf.py). Links between pages keep working: each page keeps its path, README.md
becomes index.md, and a program or text file that a page links to becomes a page that shows it. The navigation is that
of docs/README.md, table by table.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PICTURES = (".png", ".svg")
_FENCED = re.compile(r"^( *)(```+).*\n(?:.*\n)*?\1\2 *$", re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_LANGUAGES = {".py": "python", ".sh": "sh", ".sbatch": "sh", ".toml": "toml", ".cff": "yaml"}


def pages() -> list[Path]:
    """The Markdown pages, in the order of docs/README.md where it has one."""
    rest = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*rest, *sorted((REPOSITORY / "docs").rglob("*.md")), *sorted((REPOSITORY / "kdtools").rglob("*.md"))]


def navigation() -> dict[str, list[Path]]:
    """Pages by caption: the tables of docs/README.md whose first column is a link."""
    index = REPOSITORY / "docs" / "README.md"
    found: dict[str, list[Path]] = {}
    caption = ""
    for line in index.read_text().splitlines():
        if head := re.fullmatch(r"\| ([^|\[]+) \| \|", line):
            caption = head[1].capitalize()
        elif link := re.match(r"\| \[[^]]*\]\(([^)#]+)\) \|", line):
            found.setdefault(caption, []).append((index.parent / link[1]).resolve())
        elif line.startswith("#"):
            caption = ""
    return found


def links_of(text: str) -> Iterator[str]:
    """Local targets of the links of a page, without anchors; those in code blocks are none."""
    for link in _LINK.finditer(_FENCED.sub("", text)):
        if "://" not in link[2]:
            yield link[2]


def staged_name(path: Path) -> Path:
    """Where a file or folder of the repository stands on the site, relative to its root."""
    place = path.relative_to(REPOSITORY)
    if path.is_dir():
        return place / "index.md"
    if path.name == "README.md":
        return place.with_name("index.md")
    return place if path.suffix in (".md", *PICTURES) else place.with_name(place.name + ".md")


def staged_text(page: Path) -> str:
    """The text of a page with its links as they are on the site."""

    def moved(link: re.Match[str]) -> str:
        target = (page.parent / link[2]).resolve()
        if "://" in link[2] or not target.exists():  # the latter is for Sphinx to report
            return link[0]
        return link[1] + os.path.relpath(staged_name(target), staged_name(page).parent) + link[3]

    text = page.read_text()
    parts, end = [], 0
    for block in _FENCED.finditer(text):
        parts += [_LINK.sub(moved, text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, _LINK.sub(moved, text[end:])])


def stage(folder: Path) -> None:
    """Write everything that the site is built from into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    shown: set[Path] = set()
    for page in pages():
        _write(folder / staged_name(page), staged_text(page) + _contents(page))
        shown |= {(page.parent / target).resolve() for target in links_of(page.read_text())}
    for path in sorted(shown - set(pages())):
        if path.suffix in PICTURES:
            (folder / staged_name(path)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / staged_name(path))
        elif path.exists():
            _write(folder / staged_name(path), source_page(path))
    for page in sorted((REPOSITORY / "man").glob("*.[1-9]")):
        _write(folder / "man" / f"{page.name}.md", manual_page(page))


def source_page(path: Path) -> str:
    """A page that shows a program or text file, or all those of a folder, without networks that were fetched there."""
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix != ".onnx")
    parts = ["---\norphan: true\n---\n", f"# {path.relative_to(REPOSITORY)}\n"]
    for file in files:
        parts += [f"## {file.name}\n"] if path.is_dir() else []
        parts.append(f"`````{_LANGUAGES.get(file.suffix, 'text')}\n{file.read_text()}`````\n")
    return "\n".join(parts)


def manual_page(path: Path) -> str:
    """A page of man/ as Markdown headings around the HTML that mandoc makes of its sections."""
    command = ["mandoc", "-T", "html", "-O", "fragment,man=%N.%S.html", path]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        sys.exit("make docs needs mandoc to show the manual pages: apt-get install mandoc, or brew install mandoc")
    body = re.sub(r"</?section[^>]*>", "", made.partition('<div class="manual-text">')[2].rpartition("</div>")[0])
    pieces = re.split(r'<h([12]) class="S[hs]" id="[^"]*">(.*?)</h\1>', body, flags=re.S)
    parts = [f"# {path.stem}({path.suffix[1:]})\n"]
    for level, title, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        words = " ".join(html.unescape(re.sub(r"<[^>]*>", "", title)).split())
        parts.append(f"#{'#' * int(level)} {words.capitalize() if words.isupper() else words}\n")
        parts.append(f'`````{{raw}} html\n<div class="manual">{text.strip()}</div>\n`````\n')
    return "\n".join(parts)


def _contents(page: Path) -> str:
    """Hidden tables of contents for the first page and the index of experiments: Sphinx makes the sidebar of them."""
    if page == REPOSITORY / "docs" / "experiments" / "README.md":
        links = [(page.parent / target).resolve() for target in links_of(page.read_text())]
        return _toctree("", [link for link in links if link.parent == page.parent], page)
    if page != REPOSITORY / "README.md":
        return ""
    manual = sorted(
        (REPOSITORY / "man").glob("*.[1-9]"), key=lambda path: (path.suffix != ".7", path.suffix, path.name)
    )
    about = [REPOSITORY / name for name in ("docs/README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    cards = [path for path in pages() if path.is_relative_to(REPOSITORY / "kdtools")]
    return "".join(
        [
            *(_toctree(caption, paths, page) for caption, paths in navigation().items()),
            _toctree("Bundled networks", cards, page),
            _toctree("Manual pages", manual, page),
            _toctree("The project", about, page),
        ]
    )


def _toctree(caption: str, targets: list[Path], page: Path) -> str:
    here = staged_name(page).parent
    names = [os.path.relpath(staged_name(target).with_suffix(""), here) for target in targets]
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["\n```{toctree}", *options, "", *names, "```\n"])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
