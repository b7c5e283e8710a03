"""The errors kdtools raises on purpose. Each is one line for the user and, in `hint`, what to do about it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence


class KdError(Exception):
    """Something the user can mend; shown as one or two lines, never as a traceback.

    `exit_status` is what the command ends with (see docs/design.md).
    """

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def reason_of(error: BaseException) -> str:
    """Why one input of many is skipped, in one line. Python's MemoryError says nothing of itself."""
    if isinstance(error, KdError):
        return error.message
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def some_of(names: Sequence[str], n: int = 3) -> str:
    """The first names of a list that may be long, for a message."""
    return ", ".join(repr(name) for name in names[:n]) + (", ..." if len(names) > n else "")


class UsageError(KdError):
    """The command line asks for something that cannot be meant."""

    exit_status = 2


def require(condition: bool, message: str, hint: str = "") -> None:
    """Raises UsageError where an option's value makes no sense."""
    if not condition:
        raise UsageError(message, hint)


class FileError(KdError):
    """A file cannot be read or written: absent, truncated, of another kind, too new, in the way."""


class DataError(KdError):
    """What the files hold cannot be used together or at all: ids, numbers of points, values."""


class TrainingError(KdError):
    """A training run cannot go on, for example because its loss is no longer a number."""


class MissingError(KdError):
    """Something that kdtools builds on is not installed."""


# Needed together, to train and to export.
_TRAINING = ("torch", "timm", "onnx", "onnxscript", "matplotlib", "scipy", "tensorboard")
_DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "sleap_io": "sleap-io",
    "litert_torch": "litert-torch",
    "ai_edge_litert": "ai-edge-litert",
}

_OPENCV_HINT = (
    "apt-get install libgl1 libglib2.0-0 (Fedora: dnf install mesa-libGL glib2), "
    "or pip install --force-reinstall --no-deps 'opencv-python-headless>=4.11,<5'"
)


def missing_error(error: ImportError) -> MissingError | None:
    """What is to be installed where an import failed; None where a bug in kdtools is as likely.

    OpenCV's wheel for desktops brings all but a few system libraries, which small servers and containers lack.

    >>> missing_error(ImportError("libGL.so.1: cannot open shared object file: No such file or directory")).message
    'the system library libGL.so.1, which OpenCV needs, is not installed'
    >>> missing_error(ImportError("/x/h5d.so: failed to map segment from shared object")).message
    'not enough memory to load h5d.so'
    """
    if library := re.match(r"(lib[\w.+-]+): cannot open shared object file", str(error)):
        if re.match(r"lib(GL|glib|gthread|xcb|X11|Xext|SM|ICE)\b", library[1]):
            return MissingError(f"the system library {library[1]}, which OpenCV needs, is not installed", _OPENCV_HINT)
        return MissingError(f"the system library {library[1]} is not installed", "install the package that holds it")
    if re.search(r"failed to map segment|[Cc]annot allocate memory", str(error)):
        library_name = str(error).partition(":")[0].rpartition("/")[2]
        return MissingError(
            f"not enough memory to load {library_name}", "allow more (ulimit -v), or end other programs"
        )
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package not in ("", "kdtools"):
        return MissingError(f"the Python package {package} is not installed", install_command(package))
    return None


def is_installed(package: str) -> bool:
    """Whether a package can be imported, which is not done: it may take seconds."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # its entry in sys.modules is None, which prevents an import
        return False


def require_packages(*packages: str) -> None:
    """Raises MissingError where one of these is not installed; loads none."""
    for package in packages:
        if not is_installed(package):
            raise MissingError(f"the Python package {package} is not installed", install_command(package))


def install_command(package: str) -> str:
    """What to type to get a package that kdtools names as a requirement, with what is needed beside it."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        required = {re.split(r"[^\w-]", line)[0]: line.partition(";")[0] for line in requires("kdtools") or ()}
    except PackageNotFoundError:
        return "install kdtools again, with pip"
    names = [_DISTRIBUTIONS.get(package, package)]
    if package in ("torch", "timm", "onnxscript"):
        names = [name for name in _TRAINING if not is_installed(name)]
    return "pip install " + " ".join(f"'{required.get(name, name)}'" for name in names)
