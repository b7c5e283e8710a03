"""XML of strangers, element by element, in bounded memory and without entities: what its readers share."""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kdtools.errors import DataError, FileError

_CHUNK = 65536
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # not even as &#27;


class Handler(Protocol):
    """Called for each element that begins, with the line it stands in, and ends, and for text."""

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None: ...

    def end(self, tag: str) -> None: ...

    def text(self, text: str) -> None: ...


def parse_xml(path: Path, handler: Handler, root: str, whose: str) -> Iterator[None]:
    """Yields whenever some more of the file has been handed to `handler`.

    Raises FileError where the file is not whole XML, does not begin with the element `root`, or declares an entity: a
    few of these inside each other make gigabytes of text, and no annotation program writes any.
    """
    parser = expat.ParserCreate()
    is_first = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal is_first
        if is_first and tag != root:
            raise FileError(f"not {whose} XML: it starts with <{tag}>, not with <{root}>")
        is_first = False
        handler.start(tag, attributes, parser.CurrentLineNumber)

    def refuse_entity(name: str, *_: object) -> None:
        raise FileError(f"declares the XML entity {name!r}, which {whose} files have no use for")

    parser.StartElementHandler = start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    parser.EntityDeclHandler = refuse_entity
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                parser.Parse(chunk, False)
                yield
            parser.Parse(b"", True)
    except FileError as error:
        raise FileError(f"{path}: {error.message}", error.hint) from error
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: encodings that are not known
        raise FileError(f"{path}: not whole XML: {error}") from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    yield


def xml_attribute(text: str) -> str:
    """A text as the value of an attribute, with its quotes. Raises DataError for a letter that no XML can hold."""
    from xml.sax.saxutils import quoteattr  # which loads urllib, in a tenth of a second

    return quoteattr(_checked(text))


def xml_text(text: str) -> str:
    """A text between tags. Raises DataError for a letter that no XML can hold."""
    from xml.sax.saxutils import escape

    return escape(_checked(text))


def _checked(text: str) -> str:
    if odd := _NOT_IN_XML.search(text):
        raise DataError(f"{text!r}: XML cannot hold {odd[0]!r}", "write jsonl or csv, or leave the face out with --ids")
    return text
