"""Systems and functions as text: a small safe language, parsed without evaluation; see `syntax` for the language."""

from __future__ import annotations

from pathlib import Path

from ..._support.arguments import checked
from ..flows.system import System
from .document import Document
from .errors import ParseError, Source
from .files import read_text
from .functions import parse_function
from .write import to_text


@checked
def parse_system(text: str) -> System:
    """Parse a system; statements on a scheme are parsed but not used.

    Raises ParseError, with line, column and a caret, for a text that is not in the language.
    """
    return Document(Source(text)).system


@checked
def read_system(path: str | Path) -> System:
    """The system in a file; OdescentError if it cannot be read, ParseError if it is not in the language."""
    return Document(read_text(path)).system


__all__ = [
    "Document",
    "ParseError",
    "Source",
    "parse_function",
    "parse_system",
    "read_system",
    "read_text",
    "to_text",
]
