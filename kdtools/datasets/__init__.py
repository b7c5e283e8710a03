"""Annotated data sets to a faces file (import_faces) and back to other programs' formats (dump)."""
