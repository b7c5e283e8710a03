"""The scheme of a faces file's points, as its attributes state it."""

from __future__ import annotations

import json

import h5py
import numpy as np

from kdtools.errors import DataError
from kdtools.faces.validation import plain
from kdtools.landmarks import INDEX_FIELDS, JSON_FIELDS, SCHEMES, Scheme, scheme_for_points


def stored_scheme(h5: h5py.File, n_points: int, name: str) -> Scheme:
    """Scheme of `n_points` points, of which the registry states what the file `name` does not.

    Raises DataError where the attributes contradict each other.
    """
    called = str(plain(h5.attrs.get("scheme", "")))
    known = SCHEMES.get(called)
    if known is None or known.n_points != n_points:
        known = Scheme(called, n_points) if called else scheme_for_points(n_points)
    attrs = h5["landmarks"].attrs
    fields = {**vars(known)}
    fields.update({key: np.atleast_1d(attrs[key]) for key in INDEX_FIELDS if key in attrs})
    if fields["mirror"] is not None and len(fields["mirror"]) == 0:
        fields.update(mirror=None, flips=False)
    try:
        fields.update({key: json.loads(plain(attrs[key])) for key in JSON_FIELDS if key in attrs})
        return Scheme.from_fields(fields)
    except (DataError, ValueError, TypeError, RecursionError) as error:
        hint = "correct the attributes, or leave out those that are not known"
        raise DataError(f"{name}:/landmarks: its attributes are not a scheme: {error}", hint) from error
