"""Predictions against truth: read (pointsets), joined (join), measured in one pass (measure), told in rows (table).

Imported from its modules: `evaluate`, `request`, `results`, `protocols`.
"""
