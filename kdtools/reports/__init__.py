"""An evaluation as a table, TSV, JSON, Markdown, LaTeX, a web page, one number or a verdict.

A module for each form; `figures` and `method` have the words and numbers that they share, `show` prints one and `write`
puts several into files; `requirements` is the verdict, `steadiness` the report of --jitter.
"""

from kdtools.reports.forms import check_reports
from kdtools.reports.latex import as_latex
from kdtools.reports.markdown import as_markdown
from kdtools.reports.page import as_html
from kdtools.reports.requirements import Requirement, parse_requirements, unmet
from kdtools.reports.terminal import as_text, print_table
from kdtools.reports.text import as_tsv, find_value, json_lines

__all__ = [
    "Requirement",
    "as_html",
    "as_latex",
    "as_markdown",
    "as_text",
    "as_tsv",
    "check_reports",
    "find_value",
    "json_lines",
    "parse_requirements",
    "print_table",
    "unmet",
]
