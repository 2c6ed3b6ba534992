"""Errors in a text: line, column, the line itself with a caret, and one sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..._support.errors import OdescentError, unknown

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = "Tree[Token] | Token"

_WINDOW = 90  # the widest part of a line that is shown


class ParseError(OdescentError):
    """A syntax error, or an expression without meaning.

    Attributes:
        sentence: the message, preceded by the place.
        line, column: the place, counted from 1.
        excerpt: the line and, below it, a caret at the column; may be empty.
    """

    def __init__(
        self, sentence: str, line: int, column: int, excerpt: str = "", name: str = ""
    ) -> None:
        where = f"{name}, line {line}, column {column}" if name else f"line {line}, column {column}"
        self.sentence = f"{where}: {sentence}"
        self.line, self.column, self.excerpt = line, column, excerpt
        super().__init__(f"{self.sentence}\n{excerpt}" if excerpt else self.sentence)


@dataclass(frozen=True)
class Source:
    """A text and what it is called in messages: the name of its file, or nothing."""

    text: str
    name: str = ""

    def error(self, sentence: str, at: Node) -> ParseError:
        """The error at a token or at the first token of a tree."""
        place = getattr(at, "meta", at)
        return self.error_at(
            sentence, getattr(place, "line", 1) or 1, getattr(place, "column", 1) or 1
        )

    def unknown(self, kind: str, token: Token, known: Iterable[str]) -> ParseError:
        """The error for a token that is none of the known names.

        Args:
            kind: what the names are of, in the singular.
            token: the name that was given.
            known: the names.
        """
        return self.error(str(unknown(kind, str(token), known)), token)

    def error_at(self, sentence: str, line: int, column: int) -> ParseError:
        """The error at a position of the text.

        Args:
            sentence: the message.
            line: from 1.
            column: from 1.

        Returns:
            the error, with an excerpt and a caret.
        """
        lines = self.text.split("\n")
        excerpt = _excerpt(lines[line - 1], column) if 0 < line <= len(lines) else ""
        return ParseError(sentence, line, column, excerpt, self.name)


def _excerpt(line: str, column: int) -> str:
    """The line, or the part of it around the column, and a caret below; nothing that a terminal would act on."""
    first = max(0, column - 1 - _WINDOW // 2) if len(line) > _WINDOW else 0
    part = line[first : first + _WINDOW].rstrip("\r")
    shown = "".join(c if c.isprintable() else " " for c in part)
    return f"    {shown}\n    {' ' * (column - 1 - first)}^"
