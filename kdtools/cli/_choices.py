"""The words that an option takes, read off its type: a `Literal` says them once, for checks, help and completion."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


def choices_of(command: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """Name of each parameter of a tool's function whose type is a Literal -> its words, in their order.

    `Literal["a", "b"] | None` and `list[Literal["a", "b"]]` count too.
    """
    hints = get_type_hints(inspect.unwrap(command), include_extras=True)
    found = {name: _words_of(hint) for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: words for name, words in found.items() if words}


def _words_of(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is Annotated:
        return _words_of(get_args(hint)[0])
    return next(filter(None, map(_words_of, get_args(hint))), ())
