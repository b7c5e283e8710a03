"""Options in words: their choices, taken from their `Literal` types, and their lines of help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


def choices_of(command: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """Parameters of a tool's function with a Literal in their type, also optional or in a list -> their choices."""
    hints = get_type_hints(inspect.unwrap(command), include_extras=True)
    choices = {name: _literals_in(hint) for name, hint in hints.items() if get_origin(hint) is Annotated}
    return {name: words for name, words in choices.items() if words}


def _literals_in(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is Annotated:
        return _literals_in(get_args(hint)[0])
    return next(filter(None, map(_literals_in, get_args(hint))), ())


def plain_record(name: str, text: str) -> tuple[str, str]:
    """Help line of an argument or option, without Python types and with bounds in words.

    >>> plain_record("INPUT <list[str]>", "Images.  [0<=x<=10; required]")
    ('INPUT', 'Images.  [0 to 10; required]')
    """
    text = re.sub(r"(?<=[\[ ])([-\d.]+)<=x<=([-\d.]+)(?=[;\]])", r"\1 to \2", text)
    text = re.sub(r"(?<=[\[ ])x>=([-\d.]+)(?=[;\]])", r"at least \1", text)
    text = text.replace("[default: (by preset)", "[default: by preset")
    return re.sub(r" <\S+>$", "", name), text
