"""Links that hold a choice: written as the query of an address, and read with the bounds of the page's controls.

What a link says is only compared with names that are registered and with ranges; a system or a function in it passes
the grammar. Nothing in it is imported, evaluated, or opened as a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from .._support.errors import OdescentError, check_choice
from .._support.numbers import real_number
from ..discretize.emit import targets
from .choice import (
    MODE,
    PATHS,
    Choice,
    begin,
    objectives,
    options,
    own_function,
    own_system,
    parameters,
    schemes,
    text_of,
    written,
)  # fmt: skip
from .model import STEPS

MAX_TEXT = 4_000  # characters of a system or a function in a link
_PARAMETER = "p."  # in front of a parameter's name
_SEEDS = 2**31 - 1
_FAR = 1e6  # the farthest start
_NUMBERS: dict[str, tuple[str, float, float]] = {
    "lambda": ("curvature", 1e-3, 1e4),
    "width": ("width", 1e-3, 1e3),
}
_WHOLE: dict[str, tuple[str, int, int]] = {
    "steps": ("steps", 1, STEPS),
    "seed": ("seed", 0, _SEEDS),
    "paths": ("paths", 1, PATHS),
}  # by key: the field of a choice, and its least and largest value
_KEYS = (
    "method", "system", "scheme", "objective", "function", "tuned", "target", "x1", "x2", *_NUMBERS, *_WHOLE,
)  # fmt: skip
FOREIGN = ("access_token", "file", "session_id")  # the server's own


def link(choice: Choice) -> str:
    """The query that holds a choice, from its question mark on; empty where its text is too long for an address."""
    system, function = written(choice.method), text_of(choice.objective)
    if any(text is not None and len(text) > MAX_TEXT for text in (system, function)):
        return ""
    said: dict[str, object] = {"method": choice.method} if system is None else {"system": system}
    said["scheme"] = choice.scheme
    said |= {"objective": choice.objective} if function is None else {"function": function}
    said |= {"tuned": "yes" if choice.tuned else "no", "target": choice.target}
    said |= {"x1": choice.x0[0], "x2": choice.x0[1]}
    fields = {k: f[0] for k, f in (*_NUMBERS.items(), *_WHOLE.items())}
    said |= {key: getattr(choice, name) for key, name in fields.items()}
    said |= {_PARAMETER + n: v for n, v in sorted(choice.values.items())}
    return "?" + urlencode(said)


def linked(query: Mapping[str, str | Sequence[str]]) -> Choice | None:
    """The choice that a query holds; None for one that holds nothing.

    What it leaves out has the value that a new page has.

    Raises:
        OdescentError: a key or a name that is not known, a number out of its range, or a text that is not in the
            language.
    """
    said = {k: _single(k, v) for k, v in query.items() if k not in FOREIGN}
    if not said:
        return None
    for key in said:
        if not key.startswith(_PARAMETER):
            check_choice("part of a link called", key, _KEYS)
    choice = begin(_method(said), _objective(said))
    choice = replace(
        choice,
        scheme=_name(said, "scheme", schemes(choice.method), choice.scheme),
        tuned=_name(said, "tuned", ("yes", "no"), "yes") == "yes",
        target=_name(said, "target", targets(), choice.target),
        x0=(_number(said, "x1", -_FAR, _FAR, choice.x0[0]), _number(said, "x2", -_FAR, _FAR, choice.x0[1])),
    )  # fmt: skip
    changed: dict[str, Any] = {}
    for key, (field, low, high) in _NUMBERS.items():
        changed[field] = _number(said, key, low, high, getattr(choice, field))
    for key, (field, least, most) in _WHOLE.items():
        value = _number(said, key, least, most, getattr(choice, field))
        if value != int(value):
            raise OdescentError(f"{key} in a link must be a whole number, not {said[key]!r}.")
        changed[field] = int(value)
    return replace(choice, values=_values(said, choice), **changed)


def _single(key: str, value: str | Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    if len(value) != 1:
        raise OdescentError(f"a link must contain {key!r} once, not {len(value)} times.")
    return value[0]


def _method(said: Mapping[str, str]) -> str:
    if "system" in said:
        _alone(said, "system", "method")
        return own_system(said["system"])
    return _name(said, "method", options(), Choice().method)


def _objective(said: Mapping[str, str]) -> str:
    if "function" in said:
        _alone(said, "function", "objective")
        return own_function(said["function"])
    return _name(said, "objective", objectives(), MODE)


def _alone(said: Mapping[str, str], text: str, name: str) -> None:
    if name in said:
        raise OdescentError(f"a link has a {name} or a {text}, not both.")
    if len(said[text]) > MAX_TEXT:
        raise OdescentError(f"a {text} in a link has at most {MAX_TEXT:,} characters.")


def _name(said: Mapping[str, str], key: str, known: Sequence[str], otherwise: str) -> str:
    """One of the known names; a file's is none."""
    name = said.get(key, otherwise)
    check_choice(f"{key} in a link", name, known)
    return name


def _number(said: Mapping[str, str], key: str, low: float, high: float, otherwise: float) -> float:
    if key not in said:
        return otherwise
    value = real_number(key, said[key])
    if not low <= value <= high:
        raise OdescentError(f"{key} in a link must be from {low:g} to {high:g}, not {said[key]}.")
    return value


def _values(said: Mapping[str, str], choice: Choice) -> dict[str, float]:
    """The parameters, within the ranges of their sliders."""
    known = {p.name: p for p in parameters(choice)}
    found = {}
    for key in said:
        if key.startswith(_PARAMETER):
            name = key.removeprefix(_PARAMETER)
            check_choice("parameter in a link", name, known)
            p = known[name]
            found[name] = _number(said, key, p.low, p.high, p.start)
    return found
