"""Settings of Sphinx for the site that `make docs` builds."""

import re
from pathlib import Path

_init = Path(__file__).resolve().parents[2] / "kdtools" / "__init__.py"
_version = re.search(r'^__version__ = "(.*)"', _init.read_text(), re.MULTILINE)

project = "kdtools"
author = copyright = "the kdtools authors"
version = release = _version[1] if _version else ""

extensions = ["myst_parser"]
myst_heading_anchors = 4  # as on GitHub, so that links with anchors are checked
html_theme = "furo"
html_title = f"kdtools {release}"
html_static_path = [str(Path(__file__).with_name("style.css"))]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_copy_source = False
highlight_language = "text"
nitpicky = True
