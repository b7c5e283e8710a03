"""An evaluation as a table, TSV, JSON, Markdown, LaTeX, a web page, plots, one number or a pass/fail verdict."""
