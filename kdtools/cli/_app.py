"""The frame of every tool: help, errors, exit statuses and signals. It imports nothing heavy, so --help is fast."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperCommand

from kdtools import __version__
from kdtools.bundled import is_hidden_by_file
from kdtools.cli._choices import choices_of
from kdtools.cli._exit import DONE, FAILED, NEGATIVE, SKIPPED, USAGE, Interrupted, ReaderLeft, Stopped, _Signals
from kdtools.cli._help import BY_PRESET, show_all, write_options
from kdtools.cli._reporter import StderrReporter
from kdtools.errors import KdError, missing_error, require
from kdtools.parallel import n_abandoned
from kdtools.reporting import one_line, printable_lines
from kdtools.storage.devices import NO_WORKING_FOLDER, n_unclosed
from kdtools.storage.pipes import with_names_of_pipes
from kdtools.storage.stamps import note_input, one_run

if TYPE_CHECKING:
    from kdtools.storage.provenance import Provenance

COMPLETE = "_KDTOOLS_COMPLETE"  # set by a shell that asks for completions

# The base of typer's own usage errors: typer brings its own copy of click in some versions and not in others.
_TYPER_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


class Session(StderrReporter):
    """The running tool: its name, its arguments `argv`, and its verbosity."""

    argv: Sequence[str] = ()

    def provenance(self, *inputs: str | Path | None) -> Provenance:
        """Provenance of an output made from `inputs`, files or folders; None is left out."""
        from kdtools.storage.outputs import is_stream
        from kdtools.storage.provenance import Provenance

        present = [path for path in inputs if path is not None and not is_stream(str(path))]
        for path in filter(is_hidden_by_file, present):
            self.say(f"{path}: the file of this name is used, not the bundled network")
        return Provenance(self.tool, list(self.argv)).with_inputs(present)


session = Session("kdtools")


_LONGEST_OPTION = 25  # characters of an option with its choices; longer ones list them in the help text


class _Command(TyperCommand):
    """Usage in the style of Unix manuals, `kd-asm [OPTIONS] FACES -o FILE`, and help that lists choices of options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.choices = choices_of(self.callback) if self.callback is not None else {}
        options: list[Any] = [parameter for parameter in self.params if parameter.param_type_name == "option"]
        names = {option.name for option in options}
        for option in options:
            words = self.choices.get(option.name)
            if words is not None:
                option.metavar = "|".join(words)
                if len(f"{option.opts[-1]} {option.metavar}") > _LONGEST_OPTION:
                    option.metavar = "NAME"
                    option.help = _with_sentence(option.help, f"One of {', '.join(words)}.")
            if "preset" in names and option.name in BY_PRESET:
                option.show_default = "by preset"
            if option.multiple:
                option.help = _with_sentence(option.help, "Can be repeated.")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        # An argument without which a tool explains what it wants is optional to Typer alone.
        pieces = [re.sub(r"[{}]|^\[(INPUT)\]", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]
        required = [p for p in self.params if p.required and p.param_type_name == "option"]
        return pieces + [f"{option.opts[0]} {option.metavar}" for option in required]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, session.tool if self.callback is None else tool_of(self.callback), ctx, formatter)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _past_typer():
            context = super().make_context(*args, **kwargs)
        for parameter in self.params:
            value = context.params.get(parameter.name)
            name = parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar
            # As a path, an empty word would be the current folder.
            is_empty = value == "" or (isinstance(value, list | tuple) and "" in value)
            hint = "give a value; a variable of the shell that is not set gives an empty one"
            require(not is_empty, f"{name}: the word given is empty", hint)
        return context

    def invoke(self, ctx: Any) -> Any:
        for name, value in ctx.params.items():
            if name not in _OUTPUTS:
                _note_inputs(value)
        with _past_typer():
            return super().invoke(ctx)


# Parameters that name outputs. Whatever other word of a command line is the name of a file, by itself or after =, is
# an input, which no output replaces.
_OUTPUTS = {"output", "rest", "draw", "crops", "aligned", "plot", "plot_modes", "log_dir"}


def _note_inputs(value: Any) -> None:
    for word in value if isinstance(value, list | tuple) else [value]:
        if isinstance(word, str) and word:
            note_input(word)
            note_input(word.partition("=")[2])


def _with_sentence(text: str, sentence: str) -> str:
    """A help text with a sentence appended, before a default in brackets."""
    before, bracket, default = text.partition("  [default: ")
    return f"{before} {sentence}{bracket}{default}"


@contextlib.contextmanager
def _past_typer() -> Iterator[None]:
    """Keeps Typer from handling Ctrl-C and broken pipes, with its own exit statuses and no message."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenPipeError:
        raise ReaderLeft from None


_WIDEST_HELP = 120


def tool_of(command: Callable[..., Any]) -> str:
    """The tool of a function: kd_asm is that of kd-asm."""
    return inspect.unwrap(command).__name__.replace("_", "-")


def app_of(command: Callable[..., Any]) -> typer.Typer:
    """The Typer application of a tool's function."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    # By default the help is never narrower than 50 columns, nor wider than 80.
    settings = {
        "help_option_names": ["-h", "--help"],
        "terminal_width": min(shutil.get_terminal_size().columns, _WIDEST_HELP) - 2,
    }
    app.command(cls=_Command, context_settings=settings)(command)
    return app


def run(tool: str, command: Callable[..., Any]) -> NoReturn:
    """Entry point of a tool: run `command` and exit with the documented status."""
    session.begin(tool)
    session.argv = sys.argv[1:]
    _open_standard_streams()
    signals = _Signals()
    app = app_of(command)
    if COMPLETE in os.environ:
        from kdtools.cli._complete import print_completions

        print_completions(app, tool, sys.argv[1:])
        sys.exit(DONE)
    n_left = n_abandoned() + n_unclosed()  # by tools that ran in this process before
    with one_run():
        status = _status_of(app, signals)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        status = _BROKEN_PIPE
    except OSError as error:
        _drop_stdout()
        if status in (DONE, SKIPPED, NEGATIVE):
            status = _fail(error, f"standard output: {error.strerror}", "", FAILED)
    signals.leave_to_system()
    if n_abandoned() + n_unclosed() > n_left:  # libraries that Python's own exit might crash upon
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _open_standard_streams() -> None:
    """Replace standard streams that the shell has closed (>&-), so that no file opened later gets their numbers.

    Reading the new input and writing the new output fail, so that no result is lost silently; messages may be.
    """
    for number, (name, mode, way) in enumerate(
        (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
    ):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, way)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


_BROKEN_PIPE = 141  # as a shell reports SIGPIPE, which Windows lacks


def _status_of(app: typer.Typer, signals: _Signals) -> int:
    try:
        result = app(prog_name=session.tool, standalone_mode=False)
        session.finish()
        if isinstance(result, int) and result:
            return result
        return SKIPPED if session.n_skipped else DONE
    except BaseException as error:
        session.finish()
        return _status_of_error(error, signals.stopped)


def _status_of_error(error: BaseException, stopped: type[Stopped] | None) -> int:
    if isinstance(error, Stopped):
        stopped = type(error)
    elif isinstance(error, (KeyboardInterrupt, typer.Abort)):
        stopped = Interrupted
    if stopped is not None:  # a library may have turned a signal's exception into an error of its own
        print(f"{session.tool}: {stopped.word}", file=sys.stderr)
        return stopped.exit_status
    if isinstance(error, (BrokenPipeError, ReaderLeft)):
        _drop_stdout()
        return _BROKEN_PIPE
    if isinstance(error, ImportError):
        error = missing_error(error) or error
    if isinstance(error, KdError):
        return _fail(error, error.message, error.hint, error.exit_status)
    if isinstance(error, _TYPER_ERROR):
        # pydantic puts "Value error, " before the message of a Python exception.
        message = error.format_message().rstrip(".").replace(": Value error, ", ": ")
        shows_usage = type(error).__name__ in ("MissingParameter", "NoSuchOption")
        usage = f"{_usage_of(error.ctx)}; " if shows_usage and error.ctx else ""
        return _fail(error, message, f"{usage}see {session.tool} --help", USAGE)
    if isinstance(error, MemoryError):
        return _fail(error, "out of memory", "use fewer faces, a smaller batch or fewer jobs", FAILED)
    if isinstance(error, RecursionError):
        return _fail(error, "an input is nested too deeply", "give its folders, or its files, one by one", FAILED)
    if isinstance(error, FileNotFoundError) and not error.filename and _is_working_folder_gone():
        return _fail(error, *NO_WORKING_FOLDER, FAILED)
    if isinstance(error, OSError):
        where = error.filename or ("standard output" if _stdout_fails(error) else "")
        return _fail(error, f"{where}{': ' if where else ''}{error.strerror or error}", "", FAILED)
    if isinstance(error, RuntimeError) and (loop := re.fullmatch("Symlink loop from '(.*)'", str(error), re.DOTALL)):
        return _fail(error, f"{loop[1]}: {os.strerror(errno.ELOOP)}", "", FAILED)  # pathlib's, before Python 3.13
    if not isinstance(error, Exception):
        raise error
    hint = "this is a bug in kdtools; run again with -v and report the output"
    return _fail(error, f"{type(error).__name__}: {error}", hint, FAILED)


def _fail(error: BaseException, message: str, hint: str, status: int) -> int:
    if session.verbosity > 0:
        print(printable_lines("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    if isinstance(error, KdError) and os.environ.get("LOCAL_RANK", "0") != "0":
        return status  # the first process of torchrun reports it
    print(f"{session.tool}: error: {one_line(with_names_of_pipes(message), longest_word=None)}", file=sys.stderr)
    if hint:
        print(f"  {one_line(with_names_of_pipes(hint), longest_word=None)}", file=sys.stderr)
    return status


def _usage_of(context: Any) -> str:
    """The line of usage, such as `kd-asm [OPTIONS] FACES -o FILE`."""
    usage: str = context.get_usage()
    return " ".join(usage.split()[1:])


_OF_THE_DEVICE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _is_working_folder_gone() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _stdout_fails(error: OSError) -> bool:
    """Whether standard output is what could not be written.

    The rest is then still in its buffer, unless it is long or PYTHONUNBUFFERED is set; errors of files name them.
    """
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return error.errno in _OF_THE_DEVICE


def _drop_stdout() -> None:
    """Keep Python from reporting, at exit, output that nobody reads."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def show_version(is_set: bool) -> None:
    if is_set:
        print(f"{session.tool} {__version__}")
        raise typer.Exit


def show_help_all(context: typer.Context, is_set: bool) -> None:
    if is_set:
        print(show_all(context))
        raise typer.Exit


def set_quiet(quiet: bool) -> bool:
    if quiet:
        session.verbosity = -1
    return quiet


def set_verbose(verbose: bool) -> bool:
    if verbose:
        session.verbosity = 1
    return verbose
