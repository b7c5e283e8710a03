"""Files as files: outputs written whole or not at all, provenance, names, limits, and the guard before HDF5."""
