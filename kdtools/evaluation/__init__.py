"""Predictions against truth: read (read_points), joined (join), measured in one pass (measure), one row each (table).

Import from the modules: `evaluate`, `request`, `results`, `protocols`.
"""
