"""Options of commands, derived from the signature and the docstring of the command's function.

Positional parameters are arguments, those by keyword only are options: a name, a type, a default, and the line about
it in ``Args:``. A parameter whose type is a dataclass stands for an option per field, described in its
``Attributes:``; `Settings` does so with the fields of a class that the function fills itself. The text before
``Args:`` is the command's help, ``Examples:`` stand below it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from .values import OptionKind, Settings, words

_ABSENT = inspect.Parameter.empty


@dataclass(frozen=True)
class _Declared:
    """One argument or option: its destination, and its declaration for typer."""

    owner: str  # the parameter of the function that the value is, or is a part of
    name: str
    hint: Any
    default: Any
    help: str
    positional: bool = False

    def parameter(self) -> inspect.Parameter:
        """As typer reads it."""
        plain, notes = _stripped(self.hint)
        value = next((n for n in notes if isinstance(n, OptionKind)), OptionKind())
        if choices := next((n for n in notes if isinstance(n, tuple)), ()):
            value = replace(value, complete=words(*choices))
        if value.read is not None and not value.path:
            plain = str if self.default is not None else str | None
        told: dict[str, Any] = {
            "metavar": value.metavar, "help": self.help, "autocompletion": value.complete, "min": value.least,
            "max": value.most, "parser": value.parser, "callback": value.callback,
        }  # fmt: skip
        shown = self.name.strip("_")
        if self.positional:
            info = typer.Argument(**{**told, "metavar": value.metavar or shown.upper()})
        else:
            info = typer.Option(f"--{shown.replace('_', '-')}", **told)
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=Annotated[plain, info],
        )


def sections(documented: Any) -> dict[str, str]:
    """The parts of a docstring by their headings, the text before them under ""."""
    parts = re.split(r"^(\w+):\n(?= )", inspect.getdoc(documented) or "", flags=re.MULTILINE)
    found = {"": parts[0].strip()}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        found[heading] = inspect.cleandoc("\n" + re.split(r"^(?=\S)", text, flags=re.MULTILINE)[0])
    return found


def described(documented: Any, heading: str) -> dict[str, str]:
    """By name, what is said of each argument or attribute."""
    lines = re.split(r"^(?=\S)", sections(documented).get(heading, ""), flags=re.MULTILINE)
    pairs = (" ".join(line.split()).partition(": ") for line in lines)
    return {name: said for name, _, said in pairs}


def command(function: Callable[..., Any]) -> Callable[..., None]:
    """The function as typer takes it: every option a parameter, and what it returns the exit code."""
    declared = list(_declared(function))
    shared = {d.owner for d in declared if d.owner != d.name}
    hints = get_type_hints(function, include_extras=True)

    def called(**given: Any) -> None:
        values: dict[str, Any] = {d.name: given[d.name] for d in declared if d.owner == d.name}
        for owner in shared:
            parts = {d.name: given[d.name] for d in declared if d.owner == owner}
            values[owner] = _record(hints[owner], parts)
        positional = [values.pop(d.name) for d in declared if d.positional]
        raise typer.Exit(function(*positional, **values) or 0)

    parameters = [d.parameter() for d in declared]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {p.name: p.annotation for p in parameters}
    return called


def _declared(function: Callable[..., Any]) -> Iterator[_Declared]:
    said, hints = described(function, "Args"), get_type_hints(function, include_extras=True)
    for name, p in inspect.signature(function).parameters.items():
        plain, notes = _stripped(hints[name])
        chosen = next((n for n in notes if isinstance(n, Settings)), None)
        if chosen is not None:
            yield from _settings(name, chosen)
        elif is_dataclass(plain):
            yield from _fields(name, plain)
        else:
            positional = p.kind is not p.KEYWORD_ONLY
            yield _Declared(name, name, hints[name], p.default, said.get(name, ""), positional)


def _fields(owner: str, record: Any) -> Iterator[_Declared]:
    """An option per field of a dataclass."""
    said, hints = described(record, "Attributes"), get_type_hints(record, include_extras=True)
    for f in fields(record):
        default = _ABSENT if f.default is MISSING else f.default
        yield _Declared(owner, f.name, hints[f.name], default, said.get(f.name, ""))


def _settings(owner: str, chosen: Settings) -> Iterator[_Declared]:
    """An option per field whose metadata has the help of one, left out where it is not given."""
    for f in fields(chosen.record()):
        if f.metadata.get("option"):
            known = f.metadata["values"]
            complete = chosen.completed.get(f.name, words(*known.words))
            hint = Annotated[str | None, OptionKind(known.metavar, complete, known.read)]
            yield _Declared(owner, f.name, hint, None, f.metadata["option"])


def _record(hint: Any, parts: dict[str, Any]) -> Any:
    """The dataclass with these fields; of settings, those that were given."""
    plain, _ = _stripped(hint)
    if is_dataclass(plain) and isinstance(plain, type):
        return plain(**parts)
    return {name: value for name, value in parts.items() if value is not None}


def _stripped(hint: Any) -> tuple[Any, list[Any]]:
    """A type without its annotations, and the annotations, wherever they stand in it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        plain, notes = _stripped(inner[0])
        return plain, [*notes, *hint.__metadata__]
    if origin in (Union, UnionType, list):
        parts = [_stripped(i) for i in inner]
        notes = [note for _, found in parts for note in found]
        plain = [p for p, _ in parts]
        return (list[plain[0]] if origin is list else reduce(or_, plain)), notes  # type: ignore[valid-type]
    return hint, []
