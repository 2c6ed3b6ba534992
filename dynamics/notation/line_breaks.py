"""Long formulas in lines: LaTeX and plain text broken before a plus or minus sign of a sum."""

from __future__ import annotations

import re
import textwrap

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
_WIDTHS = {"\\,": 0.3, "\\left": 0.0, "\\right": 0.0, "\\quad": 2.0, "+": 1.8, "-": 1.8, "=": 1.8, " ": 0.0, "^": 0.0,
           "_": 0.0, "\\dot": 0.0, "\\ddot": 0.0, "\\mathrm": 0.0, "\\operatorname": 0.3}  # fmt: skip
_OPENING, _CLOSING = (
    {"(", "{", "[", "\\{", "\\langle", "\\lfloor"},
    {")", "}", "]", "\\}", "\\rangle", "\\rfloor"},
)
_SMALL = 0.72  # of a script


def width(source: str) -> float:
    """About how wide a formula is printed, in widths of an ordinary letter."""
    return _width([t for t in _TOKEN.findall(source) if t != "\n"])


def _width(tokens: list[str]) -> float:
    total, i = 0.0, 0
    while i < len(tokens):
        token = tokens[i]
        if token in ("\\frac", "\\sqrt", "^", "_"):
            parts, i = [], i + 1
            for _ in range(2 if token == "\\frac" else 1):
                end = _end(tokens, i)
                parts.append(_width(tokens[i:end]))
                i = end
            scale, extra = (
                (_SMALL, 0.0) if token in "^_" else (1.0, 0.5 if token == "\\frac" else 1.6)
            )
            total += scale * max(parts, default=0.0) + extra
            continue
        total += _WIDTHS.get(token, 0.0 if token in "{}" else 1.0)
        i += 1
    return total


def _end(tokens: list[str], i: int) -> int:
    """The index after the argument that begins at i."""
    if i >= len(tokens) or tokens[i] != "{":
        return i + 1
    depth = 0
    for j in range(i, len(tokens)):
        depth += {"{": 1, "}": -1}.get(tokens[j], 0)
        if depth == 0:
            return j + 1
    return len(tokens)


def broken(source: str, first: float, others: float) -> list[str]:
    """Break a LaTeX formula into lines of limited width where its signs allow it.

    Lines are broken before a plus or minus sign outside of all brackets; a line that is still too long
    is broken inside its outermost parentheses, which are then drawn at one fixed size.

    Args:
        source: the LaTeX source.
        first: the width of the first line, in widths of an ordinary letter.
        others: the width of the other lines.
    """
    lines: list[str] = []
    for piece in terms(source):
        room = first if len(lines) <= 1 else others
        if lines and width(lines[-1] + piece) <= room:
            lines[-1] += piece
        else:
            lines.append(piece)
    result: list[str] = []
    for line in lines:
        room = others if result else first
        result += [line] if width(line) <= room else _inside(line, room, others)
    return result


def terms(source: str) -> list[str]:
    """LaTeX cut before the plus, minus and equals signs outside of all brackets that have a space before them."""
    pieces, depth, start, position, inside_norm = [], 0, 0, 0, False
    for token in _TOKEN.findall(source):
        depth += (token in _OPENING) - (token in _CLOSING)
        inside_norm ^= token == r"\|"
        spaced = source[position - 1 : position] == " " and position > start
        if spaced and depth == 0 and not inside_norm and token in ("+", "-", "="):
            pieces.append(source[start:position])
            start = position
        position += len(token)
    return [*pieces, source[start:]]


def _inside(line: str, first: float, others: float) -> list[str]:
    """A line broken inside its widest parentheses; as it is where there are none."""
    spans = []
    stack: list[int] = []
    for found in re.finditer(r"\\left\(|\\right\)", line):
        if found[0] == r"\left(":
            stack.append(found.start())
        elif stack:
            begin = stack.pop()
            spans += [] if stack else [(begin, found.end())]
    braces = [line[:b].count("{") - line[:b].count("}") for b, _ in spans]
    open_spans = [span for span, depth in zip(spans, braces, strict=True) if depth == 0]
    if not open_spans:
        return [line]
    begin, end = max(open_spans, key=lambda s: s[1] - s[0])
    head, body, tail = line[:begin], line[begin + 6 : end - 7], line[end:]
    inner = broken(body, first - width(head) - 1, others - 3)
    if len(inner) == 1:
        return [line]
    inner[0], inner[-1] = rf"{head}\Bigl({inner[0]}", rf"{inner[-1]}\Bigr){tail}"
    return [inner[0], *(r"\quad " + piece for piece in inner[1:])]


def text_lines(formula: str, width: int) -> list[str]:
    """A formula of plain text in lines of that many characters, broken before signs outside of brackets first."""
    for level in range(4):
        lines = _packed(_signs(formula, level), width)
        if max(map(len, lines)) <= width:
            return lines
    wide = max(width, 20)
    return [row for line in lines for row in textwrap.wrap(line, wide, break_long_words=False)]


def _signs(formula: str, level: int) -> list[str]:
    """The formula cut before the signs that stand inside of at most that many brackets."""
    pieces, depth, bars, start = [], 0, 0, 0
    for i, c in enumerate(formula):
        depth += (c in "([⟨") - (c in ")]⟩")
        bars ^= c == "|"
        spaced = formula[i - 1 : i + 2] == f" {c} " and i > start
        if spaced and c in "+-=" and depth + bars <= level:
            pieces.append(formula[start:i].rstrip())
            start = i
    return [*pieces, formula[start:]]


def _packed(pieces: list[str], width: int) -> list[str]:
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += " " + piece
        else:
            lines.append(piece)
    return lines
