"""Exported networks in ONNX Runtime: opened and run on a CPU, within limits of time and memory, deaf to no signal."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdtools.errors import FileError
from kdtools.machine import n_cores, threads_sleep
from kdtools.parallel import endable, interruptible
from kdtools.storage.limits import memory_allowed
from kdtools.storage.onnx_guard import read_onnx

INPUT, OUTPUT = "images", "landmarks"  # of an exported model
CONFIDENCE = "confidence"  # a second output, of networks with heatmaps

_PROBE_SECONDS = 10.0  # for three images by a graph that can repeat itself without end
_LONGEST_PROBE_SECONDS = 300.0  # for any other, whose work its size bounds
_AT_ONCE = 0.1  # s, for which a signal may wait
_BYTES_TO_OPEN = 4 << 30  # of memory, for a graph without its weights; also for a first run
_COPIES = 6  # of the weights that ONNX Runtime may hold at a time while it opens a file
_BYTES_PER_THREAD = 16 << 20  # stacks

_MAKE_AGAIN = "make it again with kd-export"


class Session:
    """A session of ONNX Runtime that a signal, or the end of the work that it is part of, ends at any time."""

    def __init__(self, name: str, session: Any, *, repeats: bool) -> None:
        self.name, self._session, self._repeats = name, session, repeats
        self._n_quick = 0  # bytes of the inputs that a call has answered at once

    @property
    def inputs(self) -> Sequence[Any]:
        """What the graph takes, each with a `name`, a `type` such as tensor(float), and a `shape`."""
        found: Sequence[Any] = self._session.get_inputs()
        return found

    @property
    def outputs(self) -> Sequence[Any]:
        found: Sequence[Any] = self._session.get_outputs()
        return found

    def run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The arrays of these outputs. Raises FileError where the graph cannot be run on the inputs."""
        return self._run(outputs, inputs, None)

    def first_run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """As `run`, within limits of time and memory, as a stranger's file may hold a graph without an end."""
        size = sum(values.nbytes for values in inputs.values())
        with memory_allowed(_BYTES_TO_OPEN + 100 * size):
            return self._run(outputs, inputs, _PROBE_SECONDS if self._repeats else _LONGEST_PROBE_SECONDS)

    def _run(self, outputs: Sequence[str], inputs: dict[str, np.ndarray], seconds: float | None) -> list[np.ndarray]:
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = 4  # fatal ones; errors are raised
        size = sum(values.nbytes for values in inputs.values())

        def end() -> None:
            options.terminate = True

        def run() -> list[np.ndarray]:
            with endable(end):
                began = time.perf_counter()
                answers: list[np.ndarray] = self._session.run(list(outputs), inputs, options)
                if not self._repeats and time.perf_counter() - began < _AT_ONCE:
                    self._n_quick = max(self._n_quick, size)
            return answers

        try:
            # Another thread begins on another core, with empty caches: a tenth of a call for one face. It is needed
            # where a signal cannot wait for the answer, except in a thread whose run is ended by who waits for it.
            is_main = threading.current_thread() is threading.main_thread()
            if seconds is None and (size <= self._n_quick or not is_main):
                return run()
            return interruptible(run, end, seconds)
        except TimeoutError as error:
            hint = f"does it hold a loop without an end? {_MAKE_AGAIN}"
            raise FileError(f"{self.name}: has not answered after {seconds:.0f} s", hint) from error
        except Exception as error:  # its errors have no class of their own but Exception
            raise FileError(f"{self.name}: ONNX Runtime cannot run it: {_first_words(error)}", _MAKE_AGAIN) from error


def open_session(path: Path, threads: int, *, sizes_vary: bool = False) -> Session:
    """A session on so many cores; 0 is all. `sizes_vary`: its images are of many sizes, or large.

    Raises FileError for a file that cannot be run or reads other files.
    """
    import onnxruntime

    model = read_onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads = threads or n_cores()
    options.log_severity_level = 4  # fatal ones; errors are raised
    # A plan of the memory for each size of the images: it is kept, and at 3072 px takes twice the memory, no less time.
    options.enable_mem_pattern = not sizes_vary
    # Its threads wait for the next call by spinning, on cores that others could use to decode the next images.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if threads_sleep(os.environ):  # beside other work, also within a call
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Not its own format, whose files this one may pass for.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # As bytes, so that it is the very file that was checked, and any name will do.
    with memory_allowed(_BYTES_TO_OPEN + _COPIES * len(model.content) + _BYTES_PER_THREAD * threads):
        try:
            session = interruptible(
                lambda: onnxruntime.InferenceSession(model.content, options, providers=["CPUExecutionProvider"]),
                lambda: None,
                _LONGEST_PROBE_SECONDS,
            )
        except TimeoutError as error:
            raise FileError(
                f"{path}: could not be opened within {_LONGEST_PROBE_SECONDS:.0f} s", _MAKE_AGAIN
            ) from error
        except Exception as error:
            raise FileError(f"{path}: ONNX Runtime cannot run it: {_first_words(error)}", _MAKE_AGAIN) from error
    return Session(str(path), session, repeats=model.repeats)


def _first_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "bad_alloc" in text or "Failed to allocate" in text:
        return "it asks for more memory than there is for it"
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)[:500] or type(error).__name__


def run_session(session: Session, images: np.ndarray, output: str = OUTPUT) -> np.ndarray:
    """Images (B, 3, S, S) float32 RGB in [0, 1] -> points (B, L, 2) float32, or another output."""
    (answer,) = session.run([output], {INPUT: images})
    return answer
