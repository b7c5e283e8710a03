"""Files whatever their content: atomic outputs, provenance, names, limits, and checks before HDF5 opens a file."""
