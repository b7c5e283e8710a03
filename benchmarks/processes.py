"""Time and memory of whole processes, for the benchmarks."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


def run_apart(function: Callable[..., None], *arguments: object) -> None:
    """In a process of its own: a started program's peak memory includes that of the one that starts it."""
    process = multiprocessing.Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{function.__name__} failed")


class Usage(NamedTuple):
    """Seconds by the clock, peak MB (10^6 bytes), and seconds of processor time, children included."""

    seconds: float
    memory: float
    processor_s: float


def run_measured(words: Sequence[str | Path], **options: object) -> Usage:
    """What a process takes, its start included; `options` are those of Popen."""
    began = time.perf_counter()
    process = subprocess.Popen(words, **options)  # type: ignore[call-overload]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{words[0]} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return Usage(seconds, usage.ru_maxrss * unit / 1e6, usage.ru_utime + usage.ru_stime)
