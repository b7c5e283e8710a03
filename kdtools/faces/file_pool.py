"""Any number of faces files, of which few are open at a time: systems limit a process to 256 or 1,024."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from kdtools.faces.file import FacesFile, open_faces
from kdtools.storage.hdf5_guard import rehearse_together
from kdtools.storage.limits import room_for_files
from kdtools.storage.outputs import is_stream
from kdtools.storage.stamps import Stamp, changed_error

_MOST = 1000  # open files; more are no faster


class OpenFaces(Sequence[FacesFile]):
    """The files of `paths`, each opened on access; a context that closes them.

    Beyond `most` open files (default: the system's limit, at least two) the least recently used one is closed, except
    standard input and pipes, which can be read only once. Raises as `open_faces` does, and FileError for a file that
    has changed when it is opened again.
    """

    def __init__(self, paths: Sequence[str], most: int | None = None) -> None:
        self._paths = list(paths)
        self._most = max(2, min(_MOST, room_for_files()) if most is None else most)
        self._stamps: dict[int, Stamp] = {}
        self._open: OrderedDict[int, tuple[FacesFile, ExitStack]] = OrderedDict()

    def try_together(self) -> None:
        """Try all files in one child process, so that none has to be tried on its own when it is opened.

        Which file is faulty is reported when it is opened.
        """
        paths = [Path(path) for path in self._paths if not is_stream(path)]
        if all(path.is_file() for path in paths):
            rehearse_together(paths, partial(_open_each, paths))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: Any) -> Any:
        number = range(len(self))[number]
        if number not in self._open:
            if len(self._open) >= self._most:
                oldest = next((k for k in self._open if not is_stream(self._paths[k])), None)
                if oldest is not None:
                    self._open.pop(oldest)[1].close()
            stack = ExitStack()
            faces = stack.enter_context(open_faces(self._paths[number]))
            self._open[number] = faces, stack
            if self._stamps.setdefault(number, faces.stamp) != faces.stamp:
                raise changed_error(faces.name)
        self._open.move_to_end(number)
        return self._open[number][0]

    def __enter__(self) -> OpenFaces:
        return self

    def __exit__(self, *error: Any) -> None:
        while self._open:
            self._open.popitem()[1][1].close()


def _open_each(paths: Sequence[Path]) -> None:
    for path in paths:
        with open_faces(path):
            pass
