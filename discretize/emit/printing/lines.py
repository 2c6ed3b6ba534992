"""Lines of source: their length, and line breaks as a formatter sets them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

WIDTH = 88  # ruff's default; every line also fits the wider settings
# Part of each name of the program until its module is done. It sorts before what else a name may go on with.
MARK = "0\u01c3"
# Names of a function's arguments, marked as the program's own; c is the argument with the coefficients, and i, l and o
# are taken for digits.
LETTERS = [letter + MARK for letter in "abdefghjkmnpqrstuvwxyz"]


def bare(name: str) -> str:
    """A name without its mark."""
    return name.replace(MARK, "")


def width(line: str) -> int:
    """How long a line will be, without the marks on its names."""
    return len(bare(line))


def paragraph(text: str, indent: str = "", hanging: str = "") -> list[str]:
    """Text, wrapped.

    Args:
        text: one paragraph.
        indent: of all lines.
        hanging: what lines after the first are indented by further.

    Returns:
        lines of `WIDTH` characters at most.
    """
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_on_hyphens=False,
    )


def wrapped(
    head: str,
    items: Sequence[str],
    tail: str = "",
    indent: str = "",
    brackets: Sequence[str] = "()",
    room: int = WIDTH,
) -> list[str]:
    """``head(items)tail`` on one line if it fits, else one item a line, as ruff writes it.

    Args:
        head: before the opening bracket.
        items: between the brackets, set apart by commas.
        tail: behind the closing bracket.
        indent: of the line.
        brackets: the opening and the closing one.
        room: the width of a line, less where lines are indented further later.

    Returns:
        lines of source.
    """
    opening, closing = brackets
    line = f"{indent}{head}{opening}{', '.join(items)}{closing}{tail}"
    if width(line) <= room or not items:
        return [line]
    return [f"{indent}{head}{opening}", *[f"{indent}    {i}," for i in items], f"{indent}{closing}{tail}"]  # fmt: skip


def tupled(
    head: str, items: Sequence[str], tail: str = "", indent: str = "    ", room: int = WIDTH
) -> list[str]:
    """The same for a tuple, which has a comma where it has one item.

    Args:
        head: before the opening bracket.
        items: of the tuple.
        tail: behind the closing bracket.
        indent: of the line.
        room: as of `wrapped`.

    Returns:
        lines of source.
    """
    if len(items) == 1:
        return [f"{indent}{head}({items[0]},){tail}"]
    return wrapped(head, items, tail, indent, room=room)


def zipped(lists: dict[str, str], indent: str) -> list[str]:
    """The head of a loop over lists in step: names of their elements, and the lists."""
    names, given = ", ".join(lists), list(lists.values())
    if len(given) == 1:
        return [f"{indent}for {names} in {given[0]}:"]
    return wrapped(f"for {names} in zip", [*given, "strict=True"], ":", indent)


def indented(lines: Sequence[str], by: int = 1) -> list[str]:
    """The lines so many levels deeper; empty ones stay empty."""
    return [by * "    " + line if line else line for line in lines]
