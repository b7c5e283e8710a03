"""A pandas table in an HDF5 file, as DataFrame.to_hdf writes it: its columns have names of several levels.

Layout `fixed`: GROUP/axis1 (or axis1_level0, axis1_label0, ...) names the rows, GROUP/block0_items_level0, ... the
columns of GROUP/block0_values. Layout `table`: GROUP/table has fields index and values_block_0, and the names of the
columns stand in a pickle. No pickle is ever loaded: its strings are read off where it holds lists of strings only.

Source: pandas/io/pytables.py.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import numpy as np

from kdtools.datasets.formats.shared.hdf5 import as_text, attribute_of, dataset_at, numbers_at, texts_at
from kdtools.errors import DataError

_MOST_LEVELS = 8
_STRINGS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
_STRUCTURE = {"MARK", "EMPTY_LIST", "LIST", "TUPLE", "TUPLE3", "APPEND", "APPENDS", "PROTO", "FRAME", "STOP"}


@dataclass(frozen=True)
class Table:
    """`columns` have one name per level; `index` is one text per row; `values` (rows, columns) float64."""

    columns: list[tuple[str, ...]]
    index: list[str]
    values: np.ndarray


def is_table(item: object) -> bool:
    return isinstance(item, h5py.Group) and as_text(attribute_of(item, "pandas_type")) in ("frame", "frame_table")


def read_frame(group: h5py.Group) -> Table:
    """Raises DataError where the group holds no such table, or one whose names cannot be read without a pickle."""
    fixed = as_text(attribute_of(group, "pandas_type")) == "frame"
    index, blocks = (_index(group), list(_blocks(group))) if fixed else _read_table(group)
    columns = [name for names, _ in blocks for name in names]
    for names, values in blocks:
        if values.shape != (len(index), len(names)):
            raise DataError(f"{group.file.filename}: {len(index)} rows of {len(names)} columns, but {values.shape}")
    return Table(columns, index, np.hstack([values for _, values in blocks]) if blocks else np.empty((len(index), 0)))


def _index(group: h5py.Group) -> list[str]:
    """Names of the rows; those of several levels are joined to a path."""
    if "axis1" in group:
        return _names(group, "axis1")
    return ["/".join(levels) for levels in _multi_names(group, "axis1")]


def _blocks(group: h5py.Group) -> Iterator[tuple[list[tuple[str, ...]], np.ndarray]]:
    """Names of the columns and values (rows, columns) of each block: pandas puts columns of one type together."""
    for k in range(_small(attribute_of(group, "nblocks"))):
        yield _multi_names(group, f"block{k}_items"), numbers_at(group, f"block{k}_values")


def _multi_names(group: h5py.Group, key: str) -> list[tuple[str, ...]]:
    """A name per level of each entry: `KEY_level0` holds the different names, `KEY_label0` which of them."""
    levels = []
    for level in range(_small(attribute_of(group, f"{key}_nlevels"))):
        names = _names(group, f"{key}_level{level}")
        labels = numbers_at(group, f"{key}_label{level}").reshape(-1)
        if not np.isin(labels, np.arange(len(names))).all():
            raise DataError(f"{group.file.filename}: {key} names something that is not there")
        levels.append([names[int(label)] for label in labels])
    if not levels or any(len(level) != len(levels[0]) for level in levels):
        raise DataError(f"{group.file.filename}: {key} has no names, or unequally many on its levels")
    return list(zip(*levels, strict=True))


def _small(number: object) -> int:
    """A number of levels or blocks. Raises DataError where it is none."""
    if not isinstance(number, int | np.integer) or not 0 < number <= _MOST_LEVELS:
        raise DataError(f"not a pandas table with names of several levels ({number!r} of them)")
    return int(number)


def _names(group: h5py.Group, key: str) -> list[str]:
    """Texts or whole numbers. Old files keep texts in pickles, which no data set of texts or numbers is."""
    if dataset_at(group, key).dtype.kind in "iu":
        return [str(int(number)) for number in numbers_at(group, key).reshape(-1)]
    return texts_at(group, key)


def _read_table(group: h5py.Group) -> tuple[list[str], list[tuple[list[tuple[str, ...]], np.ndarray]]]:
    table = dataset_at(group, "table")
    fields = table.dtype.names or ()
    rows = table[()].reshape(-1)
    if "index" not in fields or rows["index"].dtype.kind not in "Siu":
        raise DataError(f"{group.file.filename}: its rows have no names")
    index = [as_text(value) or str(value) for value in rows["index"].tolist()]
    blocks = []
    for field in fields:
        if not field.startswith("values_block_"):
            continue
        values = rows[field].reshape(len(rows), -1)
        if values.dtype.kind not in "fiu":
            raise DataError(f"{group.file.filename}: {field} holds no numbers")
        names = _pickled_names(attribute_of(table, f"{field}_kind"), values.shape[1])
        blocks.append((names, values.astype(np.float64)))
    return index, blocks


def _pickled_names(pickled: object, n_columns: int) -> list[tuple[str, ...]]:
    """Names in a pickled list of tuples of strings, from its opcodes; nothing is built or called.

    Raises DataError where the pickle holds anything else, or the strings do not share out among the columns.
    """
    strings: list[str] = []
    memo: dict[object, str] = {}
    last = ""
    try:
        for opcode, argument, _ in pickletools.genops(bytes(pickled) if isinstance(pickled, bytes) else b""):
            if opcode.name in _STRINGS:
                strings.append(str(argument))
            elif opcode.name in ("PUT", "BINPUT") and last in _STRINGS:
                memo[argument] = strings[-1]
            elif opcode.name in ("GET", "BINGET"):
                strings.append(memo[argument])
            elif opcode.name not in (*_STRUCTURE, "PUT", "BINPUT"):
                raise DataError(f"the names of its columns are in a pickle with {opcode.name}")
            last = opcode.name
    except (ValueError, KeyError) as error:
        raise DataError("the names of its columns are in a pickle that cannot be read without loading it") from error
    n_levels, rest = divmod(len(strings), n_columns or 1)
    if rest or not 0 < n_levels <= _MOST_LEVELS:
        raise DataError(f"{len(strings)} names of columns for {n_columns} columns")
    return [tuple(strings[k : k + n_levels]) for k in range(0, len(strings), n_levels)]
