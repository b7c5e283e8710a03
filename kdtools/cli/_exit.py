"""Exit statuses, and the signals that end a tool."""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from typing import Any

from kdtools.storage.systems import IS_WINDOWS

DONE, FAILED, USAGE, NEGATIVE, SKIPPED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


class Stopped(BaseException):
    """A signal asked the tool to stop. Not an Exception, so that no handler of errors catches it."""

    exit_status, word = TERMINATED, "terminated"


class Terminated(Stopped):
    """SIGTERM arrived."""


class Interrupted(Stopped):
    """Ctrl-C."""

    exit_status, word = INTERRUPTED, "interrupted"


class ReaderLeft(BaseException):
    """The reader of standard output has closed the pipe."""


class _Signals:
    """Makes SIGTERM and Ctrl-C raise Terminated and Interrupted, only once, so that cleaning up is not interrupted."""

    def __init__(self) -> None:
        self.stopped: type[Stopped] | None = None  # a type, because an instance would keep objects alive
        causes: dict[int, type[Stopped]] = {signal.SIGTERM: Terminated, signal.SIGINT: Interrupted}
        # Ignored signals stay ignored, as for nohup and background jobs of scripts.
        self._causes = {n: cause for n, cause in causes.items() if signal.getsignal(n) != signal.SIG_IGN}
        for number in self._causes:
            signal.signal(number, self._receive)
        self._usual_hook, sys.unraisablehook = sys.unraisablehook, self._send_again

    def _receive(self, number: int, frame: object) -> None:
        if self.stopped is None:
            self.stopped = self._causes[number]
            raise self.stopped

    def _send_again(self, lost: Any) -> None:
        """Repeat a signal whose exception Python dropped because it arose in a destructor or a callback."""
        if not issubclass(lost.exc_type, Stopped):
            if "file write failed" not in str(lost.exc_value):  # HDF5's, again for each object of a file that failed
                self._usual_hook(lost)
            return
        number = next(number for number, cause in self._causes.items() if cause is lost.exc_type)
        self.stopped = None
        # Later, since here it would be dropped again. On Windows os.kill would end the process.
        send = signal.raise_signal if IS_WINDOWS else partial(os.kill, os.getpid())
        threading.Timer(0.01, send, (number,)).start()

    def leave_to_system(self) -> None:
        """From now on a signal ends the process at once, without a traceback."""
        for number in self._causes:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = self._usual_hook
