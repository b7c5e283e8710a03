"""What works on this machine, for a bug report: libraries, processor, memory, GPU, folders and locks.

Libraries are loaded in processes of their own, all at a time: one that crashes is then a finding.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from kdtools import __version__
from kdtools.bundled import bundled_names, finder_file
from kdtools.errors import FileError, install_command, missing_error, reason_of
from kdtools.machine import core_quota, memory_limit
from kdtools.parallel import workers
from kdtools.reporting import printable
from kdtools.storage.cache import private_folder
from kdtools.storage.locks import locked, release

_SECONDS = 120.0  # for a library to load, on a slow disk


@dataclass(frozen=True)
class Finding:
    """One line of the report. `note` is something that only some tools need, `broken` what all of them do."""

    name: str
    text: str
    state: Literal["ok", "note", "broken"] = "ok"
    hint: str = ""


def is_broken(finding: Finding) -> bool:
    return finding.state == "broken"


def report(findings: Sequence[Finding], columns: int | None = None) -> str:
    """The findings as lines `mark name text`, the remedy below, wrapped to `columns`; the user's home folder is ~."""
    width = max(len(finding.name) for finding in findings) + 4
    lines = []
    for finding in findings:
        mark = {"ok": "", "note": "-", "broken": "!"}[finding.state]
        for begin, text in ((f"{mark:<2}{finding.name}", finding.text), ("", finding.hint)):
            if text:
                lines.append(f"{begin:<{width}}{printable(_without_home(text))}")
    if columns is not None:
        indent = " " * min(width, columns // 2)
        lines = [textwrap.fill(line, columns, subsequent_indent=indent, break_on_hyphens=False) for line in lines]
    return "\n".join(lines)


def examine() -> list[Finding]:
    """Everything that a report of a fault should say of the machine."""
    loading = {name: _start(code) for name, code in _LOADED.items()}
    findings = [
        Finding("kdtools", f"{__version__} in {Path(__file__).resolve().parent.parent}"),
        Finding("Python", f"{platform.python_version()} ({sys.executable})"),
        Finding("system", f"{platform.platform()}, {sys.getfilesystemencoding()}"),
        Finding("cores", f"{workers(0)} for this process, of {os.cpu_count()}{_quota()}"),
        Finding("memory", _memory()),
        *_packages(),
    ]
    for name, process in loading.items():
        findings += _loaded(name, process)
    return [*findings, *_networks(), *_folders()]


# ---- libraries
_CV2 = """
import cv2
backends = [cv2.videoio_registry.getBackendName(one) for one in cv2.videoio_registry.getStreamBackends()]
print(cv2.__version__ + ", videos by " + (", ".join(backends) or "nothing"))
"""
_ONNX_RUNTIME = """
import numpy as np, onnxruntime
from kdtools.bundled import finder_file
text = onnxruntime.__version__
if finder_file() is not None:
    session = onnxruntime.InferenceSession(str(finder_file()), providers=["CPUExecutionProvider"])
    shape = [size if isinstance(size, int) else 1 for size in session.get_inputs()[0].shape]
    kind = np.uint8 if "uint8" in session.get_inputs()[0].type else np.float32
    session.run(None, {session.get_inputs()[0].name: np.zeros(shape, kind)})
    text += ", runs the face finder"
print(text)
"""
_HDF5 = """
import h5py
print(f"{h5py.__version__}, HDF5 {h5py.version.hdf5_version}")
"""
_TORCH = """
import torch
print(f"{torch.__version__}, threads: {torch.get_num_threads()}")
if torch.cuda.is_available():
    for k in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(k)
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        torch.ones(8, 8, device=f"cuda:{k}") @ torch.ones(8, 8, device=f"cuda:{k}")
        torch.cuda.synchronize(k)
        print(f"cuda:{k} {device.name}, {device.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
              + ", bf16" * bf16)
else:
    print("none that PyTorch can use" + (" (built without CUDA)" if torch.version.cuda is None else ""))
"""
_LOADED = {"OpenCV": _CV2, "ONNX Runtime": _ONNX_RUNTIME, "HDF5": _HDF5, "PyTorch": _TORCH}
_MODULES = {"OpenCV": "cv2", "ONNX Runtime": "onnxruntime", "HDF5": "h5py", "PyTorch": "torch"}
_TRAINING = ("torch", "timm", "onnxscript", "matplotlib", "scipy", "tensorboard")  # and exports; plots, .mat files
_REINSTALL = "install the package again; a wheel for another processor crashes like this"


def _start(code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code]
    # Not the working folder's modules, but those that this process has.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def _loaded(name: str, process: subprocess.Popen[str]) -> list[Finding]:
    """What came of loading a library; without PyTorch nothing but training and exports is amiss."""
    is_torch = name == "PyTorch"
    state: Literal["note", "broken"] = "note" if is_torch else "broken"
    try:
        out, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [Finding(name, f"did not load within {_SECONDS:.0f} s", state, "is its disk slow or not reachable?")]
    lines = out.splitlines()
    if process.returncode < 0:
        crash = f"crashes when it is loaded or used (signal {-process.returncode})"
        return [Finding(name, crash, "broken", _REINSTALL)]
    if process.returncode or not lines:
        reason = (errors.strip().splitlines() or ["it ended without a word"])[-1]
        return [_not_loaded(name, reason, state)]
    findings = [Finding(name, lines[0])]
    if is_torch:
        findings += [_gpu(line) for line in lines[1:]]
    return findings


def _not_loaded(name: str, reason: str, state: Literal["note", "broken"]) -> Finding:
    """A finding from the last line of a traceback, such as `ImportError: libGL.so.1: cannot open ...`."""
    kind, _, text = reason.partition(": ")
    if kind == "ModuleNotFoundError":
        if name == "PyTorch":
            return Finding(name, "not installed: no training and no export", "note", install_command("torch"))
        return Finding(name, "not installed", state, install_command(_MODULES[name]))
    missing = missing_error(ImportError(text)) if kind in ("ImportError", "OSError") else None
    if missing is not None:
        return Finding(name, missing.message, "broken", missing.hint)
    return Finding(name, f"does not load: {reason}", "broken", _REINSTALL)


def _gpu(line: str) -> Finding:
    unused = line.startswith("none") and any(map(os.path.exists, ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")))
    if not unused:
        return Finding("GPU", line)
    hint = "there is one: is its driver as new as this PyTorch asks, and is this PyTorch built for it?"
    return Finding("GPU", line, "note", hint)


def _packages() -> list[Finding]:
    """Versions of the required packages, those that are absent or too old, and the optional ones."""
    from packaging.requirements import Requirement

    try:
        stated = [Requirement(line) for line in requires("kdtools") or ()]
    except PackageNotFoundError:
        return [Finding("packages", "kdtools is not installed as a package", "note", "pip install .")]
    present, findings = [], []
    for one in stated:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        found, remedy = _version_of(one.name), f"pip install '{one.name}{one.specifier}'"
        if found is None:
            findings.append(Finding(one.name, "not installed", "note" if one.name in _TRAINING else "broken", remedy))
        elif not one.specifier.contains(found, prereleases=True):
            findings.append(Finding(one.name, f"{found}, but kdtools needs {one.specifier}", "broken", remedy))
        else:
            present.append(f"{one.name} {found}")
    extra = [f"{name} {found}" for name in ("sleap-io",) if (found := _version_of(name))]
    return [
        Finding("packages", ", ".join(present) or "none"),
        *findings,
        Finding("optional", ", ".join(extra) or "sleap-io is not installed: .slp projects are not read"),
    ]


def _version_of(package: str) -> str | None:
    """The installed version; that of OpenCV's headless package counts for the other."""
    for name in (package, f"{package}-headless") if package == "opencv-python" else (package,):
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    return None


# ---- the machine
def _quota() -> str:
    """Processor time that a container allows, where it allows less than its cores."""
    quota = core_quota()
    return "" if quota is None else f"; the container allows {quota:g}"


def _memory() -> str:
    parts = []
    with contextlib.suppress(OSError, AttributeError):
        lines = Path("/proc/meminfo").read_text()
        for name, word in (("MemTotal", "in all"), ("MemAvailable", "free")):
            if found := re.search(rf"^{name}: +(\d+) kB", lines, re.MULTILINE):
                parts.append(f"{int(found[1]) / 2**20:.1f} GiB {word}")
    if (allowed := memory_limit()) is not None:
        parts.append(f"the container allows {allowed / 2**30:.1f} GiB")
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            parts.append(f"ulimit -v allows {limit / 2**30:.1f} GiB")
    return ", ".join(parts) or "unknown"


def _networks() -> list[Finding]:
    names = [*bundled_names(), *(["face finder"] if finder_file() else [])]
    if not names:
        return [Finding("networks", "none is bundled: name your own, and a detector", "note")]
    state: Literal["ok", "note"] = "ok" if finder_file() else "note"
    return [Finding("networks", ", ".join(names) + ("" if finder_file() else "; no face finder"), state)]


def _folders() -> list[Finding]:
    """The cache, the folder of temporary files and the working folder: writable, with locks, and how much is free."""
    findings = []
    try:
        cache = private_folder()
        findings.append(_usable("cache folder", cache))
    except (FileError, OSError) as error:
        hint = error.hint if isinstance(error, FileError) else ""
        findings.append(Finding("cache folder", f"none: {reason_of(error)}", "note", hint))
    try:
        findings.append(_usable("temporary files", Path(tempfile.gettempdir())))
    except OSError as error:  # no folder at all can be written to
        findings.append(Finding("temporary files", reason_of(error), "broken", "set TMPDIR to a folder with space"))
    try:
        findings.append(_usable("working folder", Path.cwd()))
    except OSError as error:
        findings.append(Finding("working folder", reason_of(error), "note"))
    return findings


def _usable(name: str, folder: Path) -> Finding:
    """Whether files can be written and locked in a folder."""
    try:
        free = f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free"
        with tempfile.TemporaryDirectory(prefix=".kdtools-", dir=folder) as temporary:
            path = Path(temporary, "lock")
            first = locked(path)
            if first is None:
                return Finding(name, f"{folder}: a new file is locked", "note")
            second = locked(path)
            release(first, path)
            if second is None:
                return Finding(name, f"{folder}, {free}, locks work")
            second.close()
    except OSError as error:
        return Finding(name, f"{folder}: {reason_of(error)}", "note")
    hint = "two runs that write one output at a time are not kept apart here"
    return Finding(name, f"{folder}, {free}, without locks", "note", hint)


def _without_home(text: str) -> str:
    home = os.path.expanduser("~")
    return text.replace(f"{home}/", "~/") if home not in ("~", "/") else text
