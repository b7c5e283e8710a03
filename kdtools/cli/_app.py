"""What every tool does alike: errors in a line or two, exit statuses, signals, messages, progress.

Nothing heavy is imported here: `--help` must answer as fast as Python and typer start.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand

from kdtools import __version__
from kdtools.errors import KdError, UsageError

if TYPE_CHECKING:
    from kdtools.files import Provenance

DONE, FAILED, USAGE, NEGATIVE, SKIPPED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143

# The base of typer's own usage errors: typer brings its own copy of click in some versions and not in others.
_TYPER_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that nothing mistakes it for an error."""


class Interrupted(BaseException):
    """Ctrl-C."""


class ReaderLeft(BaseException):
    """Nobody reads standard output any more."""


class Session:
    """The running tool: its name, its command line and how much it says."""

    def __init__(self, tool: str, argv: list[str]) -> None:
        self.tool, self.argv, self.verbosity = tool, argv, 0
        self.n_skipped = 0

    def say(self, text: str) -> None:
        """A message on standard error; none with -q."""
        if self.verbosity >= 0:
            print(f"{self.tool}: {text}", file=sys.stderr)

    def warn(self, text: str) -> None:
        print(f"{self.tool}: warning: {text}", file=sys.stderr)

    def skip(self, what: str, why: str) -> None:
        """Name an input that could not be used; the tool will end with exit status 4."""
        self.n_skipped += 1
        print(f"{self.tool}: skipped {what}: {why}", file=sys.stderr)

    def provenance(self, *inputs: str | Path | None) -> Provenance:
        """What will be recorded in an output made from `inputs` (files, folders; None is left out)."""
        from kdtools.files import Provenance

        present = [path for path in inputs if path is not None and str(path) != "-"]
        return Provenance(self.tool, self.argv).with_inputs(present)

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Yields a function to call with the number of things done; draws a bar only on a terminal."""
        if self.verbosity < 0 or not sys.stderr.isatty():
            yield lambda done: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)


session = Session("kdtools", [])


class _Command(TyperCommand):
    """Usage in the words of a Unix manual: `kd-asm [OPTIONS] FACES -o FILE`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = [re.sub("[{}]", "", piece) for piece in super().collect_usage_pieces(ctx)]
        required = [p for p in self.params if p.required and p.param_type_name == "option"]
        return pieces + [f"{option.opts[0]} {option.metavar}" for option in required]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write = formatter.write_dl
        formatter.write_dl = lambda rows: write([plain_record(*row) for row in rows])
        super().format_options(ctx, formatter)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _past_typer():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _past_typer():
            return super().invoke(ctx)


def plain_record(name: str, text: str) -> tuple[str, str]:
    """An argument's or option's line of help without Python's types, and bounds in words.

    >>> plain_record("INPUT <list[str]>", "Images.  [0<=x<=10; required]")
    ('INPUT', 'Images.  [0 to 10; required]')
    """
    text = re.sub(r"(?<=[\[ ])([-\d.]+)<=x<=([-\d.]+)(?=[;\]])", r"\1 to \2", text)
    text = re.sub(r"(?<=[\[ ])x>=([-\d.]+)(?=[;\]])", r"at least \1", text)
    return re.sub(r" <\S+>$", "", name), text


@contextlib.contextmanager
def _past_typer() -> Iterator[None]:
    """Typer ends silently, with statuses of its own, on Ctrl-C and on a broken pipe; ours are said and documented."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenPipeError:
        raise ReaderLeft from None


def run(tool: str, command: Callable[..., Any]) -> NoReturn:
    """Entry point of a tool: runs `command` as a typer command and exits with the documented status."""
    session.tool, session.argv = tool, sys.argv[1:]
    _open_standard_streams()
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=_Command, context_settings={"help_option_names": ["-h", "--help"]})(command)
    status = _status_of(app)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        status = _BROKEN_PIPE
    except OSError as error:
        _drop_stdout()
        if status in (DONE, SKIPPED, NEGATIVE):
            status = _fail(error, f"standard output: {error.strerror}", "", FAILED)
    sys.exit(status)


def _open_standard_streams() -> None:
    """A shell may have closed them (>&-): files opened later must not take their numbers, nor print() fail."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdin, sys.stdout, sys.stderr = (
        stream or open(os.devnull, mode)  # noqa: SIM115
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )


_BROKEN_PIPE = 128 + signal.SIGPIPE  # what the shell reports of cat when its reader leaves


def _status_of(app: typer.Typer) -> int:
    signal.signal(signal.SIGTERM, _terminate)
    try:
        result = app(prog_name=session.tool, standalone_mode=False)
        if isinstance(result, int) and result:
            return result
        return SKIPPED if session.n_skipped else DONE
    except KdError as error:
        return _fail(error, error.message, error.hint, error.exit_status)
    except _TYPER_ERROR as error:
        return _fail(error, error.format_message().rstrip("."), f"see {session.tool} --help", USAGE)
    except (KeyboardInterrupt, Interrupted, typer.Abort):
        print(f"{session.tool}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Terminated:
        print(f"{session.tool}: terminated", file=sys.stderr)
        return TERMINATED
    except (BrokenPipeError, ReaderLeft):
        _drop_stdout()
        return _BROKEN_PIPE
    except MemoryError as error:
        return _fail(error, "out of memory", "use a smaller batch or fewer jobs", FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(error, f"{where}{error.strerror or error}", "", FAILED)
    except Exception as error:  # a fault of kdtools: still one line, and how to see more
        hint = "this is a fault in kdtools; run again with -v and report what it prints"
        return _fail(error, f"{type(error).__name__}: {error}", hint, FAILED)


def _fail(error: BaseException, message: str, hint: str, status: int) -> int:
    if session.verbosity > 0:
        traceback.print_exception(error)
    if isinstance(error, KdError) and os.environ.get("LOCAL_RANK", "0") != "0":
        return status  # torchrun started others that say the same
    print(f"{session.tool}: error: {message}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return status


def _terminate(signum: int, frame: object) -> None:
    raise Terminated


def _drop_stdout() -> None:
    """Keep Python from complaining, when it exits, about output that nobody reads."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"{session.tool} {__version__}")
        raise typer.Exit


def set_quiet(quiet: bool) -> bool:
    if quiet:
        session.verbosity = -1
    return quiet


def set_verbose(verbose: bool) -> bool:
    if verbose:
        session.verbosity = 1
    return verbose


def check_no_input(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Raises UsageError where an output, even by force, would replace what was read."""
    read = {Path(path).resolve() for path in inputs}
    for output in outputs:
        place = Path(output).resolve()
        inside = place.exists() and any(folder in read for folder in place.parents)
        require(place not in read and not inside, f"{output} is an input itself", "give the output another name")


def require(condition: bool, message: str, hint: str = "") -> None:
    """Raises UsageError where an option's value makes no sense."""
    if not condition:
        raise UsageError(message, hint)
