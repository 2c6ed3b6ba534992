"""Output of commands: encodings, mathematics in ASCII, colour on terminals, one JSON document, closed pipes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..._support.errors import OdescentError

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀ"
_ORDINARY = str.maketrans(_SUPERSCRIPTS, "0123456789+-T")
_LETTERS = "αβγδεζηθκλμνξπρστφψωΓΔΘΛΞΠΣΦΨΩ"
_NAMES = """
    alpha beta gamma delta eps zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi psi omega
    Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
"""
_GREEK = dict(zip(_LETTERS, _NAMES.split(), strict=True))
_TOUCHING = re.compile(
    f"(?<=[0-9A-Za-z{_LETTERS}])(?=[{_LETTERS}])|(?<=[{_LETTERS}])(?=[0-9A-Za-z])"
)
_SIGNS = {
    "∇²": "hess ", "∇": "grad ", "✓": "ok", "✗": "x", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "⟨": "<", "⟩": ">", "∞": "inf", "·": "*", "∘": "o", "⊙": ".*", "×": "x", "−": "-", "–": "-", "—": "-",
    "…": "...", "‖": "||", "∈": "in", "ℝ": "R", "±": "+-", "“": '"', "”": '"', "‘": "'", "’": "'",
}  # fmt: skip


def plain(text: str) -> str:
    """The text in ASCII: √μ is sqrt(mu), ∇f is grad f, h² is h^2, ç is c; what has no spelling becomes "?"."""
    # Signs and letters that touch are factors: 2√μ is 2 sqrt(mu), εψ is eps psi, a∇f is a grad f.
    text = re.sub(r"(?<=[\w)])(?=[√∇])", " ", text)
    text = re.sub(r"√(\w+)", lambda m: f"sqrt({m[1]})", text).replace("√", "sqrt")
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = re.sub(f"[{_SUPERSCRIPTS}]+", lambda m: "^" + m[0].translate(_ORDINARY), text)
    text = _TOUCHING.sub(" ", text)
    for letter, name in _GREEK.items():
        text = text.replace(letter, name)
    letters = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return letters.encode("ascii", "replace").decode("ascii")


WIDTH = 96  # the widest line of our own text
_CLOSED_PIPE = 141  # what a shell shows for a program that ends by SIGPIPE
Marks = Sequence[tuple[str, str]]  # patterns (group 1 is marked, or all) and styles of rich


class Refused(OdescentError):
    """A file of somebody's is wrong; ``excerpt`` shows where, if it is a matter of one place."""

    def __init__(self, sentence: str, excerpt: str = "") -> None:
        super().__init__(sentence)
        self.excerpt = excerpt


def answer(
    as_json: bool, text: str, value: Mapping[str, Any], schema: str = "", marks: Marks = ()
) -> None:
    """Print what a command found, as text or as a JSON document.

    Args:
        as_json: whether ``--json`` was given.
        text: for people.
        value: the same as plain data.
        schema: name and version of the document, unless the value has one.
        marks: patterns in the text and their styles.
    """
    if as_json:
        say_exactly(document(value, schema))
    else:
        say(text, marks)


def say(text: str, marks: Marks = ()) -> None:
    """Print text; in ASCII where the stream knows nothing else, with its marks coloured on terminals."""
    with _stdout() as stream:
        text = _encodable(text, stream)
        if marks and _coloured(stream):
            from rich.console import Console

            Console(file=stream, highlight=False).print(_rich(text, marks), soft_wrap=True)
        else:
            stream.write(text + "\n")


def say_exactly(text: str) -> None:
    """Print source text as UTF-8, whatever the terminal's encoding."""
    with _stdout() as stream:
        stream.flush()
        stream.buffer.write(text.encode("utf-8"))


def document(value: Mapping[str, Any], schema: str = "") -> str:
    """A JSON document with its schema first; numbers that are not finite become null."""
    named = {"schema": value.get("schema", schema), **value}
    return json.dumps(_plain_data(named), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def note(text: str) -> None:
    """Print text on the standard error, which stays readable while the standard output is data."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(_encodable(text, sys.stderr) + "\n")
            sys.stderr.flush()


def report(text: str) -> None:
    """Say how far something is, on the standard error where that is a terminal; elsewhere nothing."""
    if sys.stderr is not None and sys.stderr.isatty():
        note(text)


def complain(sentence: str) -> None:
    """Say what is wrong, in one line on the standard error."""
    note(f"odescent: {' '.join(sentence.split())}")


def width() -> int:
    """The columns to fill: those of the terminal, between 60 and 96; 96 where there is none.

    Fewer where text has to be spelled in ASCII, which makes it longer.
    """
    if sys.stdout is None:
        return WIDTH
    columns = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    return min(max(columns, 60), WIDTH) - (0 if _encodable("∇ψ", sys.stdout) == "∇ψ" else 16)


def mute() -> None:
    """Send the rest of the standard output nowhere: nothing more can be written to it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _stdout() -> Iterator[Any]:
    if sys.stdout is None:  # closed by the parent
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        mute()
        raise SystemExit(_CLOSED_PIPE) from None
    except OSError as error:
        mute()
        reason = error.strerror or str(error)
        raise OdescentError(f"standard output cannot be written: {reason}.") from None


def _encodable(text: str, stream: Any) -> str:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return plain(text)
    return text


def _coloured(stream: Any) -> bool:
    unwanted = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return bool(stream.isatty()) and not unwanted


def _rich(text: str, marks: Marks) -> Any:
    from rich.text import Text

    styled = Text(text)
    for pattern, style in marks:
        for found in re.finditer(pattern, text, re.MULTILINE):
            styled.stylize(style, *found.span(1 if found.re.groups else 0))
    return styled


def _plain_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain_data(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_data(v) for v in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if callable(getattr(value, "tolist", None)):  # a number or an array of NumPy or JAX
        return _plain_data(value.tolist())
    return str(value)
