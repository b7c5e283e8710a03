"""One short module per tool: parse, check, call the library, report."""
