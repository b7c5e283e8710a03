"""What several formats share: readers of text, tables, JSON, MATLAB and HDF5 files, and how pictures are named."""
