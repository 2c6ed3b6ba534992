"""The parts that every emitted Python module shares: its docstring, signatures, coefficient table."""

from __future__ import annotations

import textwrap
from functools import lru_cache
from typing import TYPE_CHECKING

import sympy as sp

from odescent._brief import capital
from odescent.dynamics.vectors import Vector

from .coefficients import presentable
from .printing import Printer
from .statements import Lowered

if TYPE_CHECKING:
    from odescent.dynamics import System

    from ..iteration import Algorithm

WIDTH = 88  # ruff's default; every line also fits the wider settings


def heading(algorithm: Algorithm) -> str:
    """The title of an algorithm where a line begins."""
    return capital(algorithm.title or "an unnamed algorithm")


def paragraph(text: str, indent: str = "") -> list[str]:
    """Text, wrapped."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


@lru_cache(maxsize=64)
def docstring(algorithm: Algorithm, target: str, language: str, notes: str = "") -> tuple[str, ...]:
    """The module's docstring: what it is, where it comes from, how it was made."""
    from odescent import __version__

    lines = [f'"""{heading(algorithm)}: one step of the algorithm, as plain {language}', ""]
    lines += [*paragraph(notes), ""] if notes else []
    lines += ["System:"]
    for row in str(algorithm.system).splitlines():
        lines += textwrap.wrap(row, WIDTH, initial_indent="    ", subsequent_indent="        ")
    facts = [*_consensus(algorithm.system)]
    facts.append(f"Scheme: {algorithm.scheme.name or 'unnamed'}: {algorithm.scheme}.")
    bindings = {**algorithm.where, **algorithm.tuning}
    if bindings:
        shown = ", ".join(
            f"{s} = {presentable(v)}" for s, v in sorted(bindings.items(), key=lambda i: str(i[0]))
        )
        facts.append(f"Tuning: {shown}.")
    if algorithm.clock is not None:
        facts.append(f"Time at step k: {algorithm.clock}.")
    if algorithm.positive:
        facts.append(f"Where it starts, {' and '.join(algorithm.positive)} has to be positive.")
    if algorithm.reference:
        facts.append(f"Reference: {_reference(algorithm.reference)}")
    if algorithm.provenance:
        facts.append(f"Provenance: {algorithm.provenance}")
    facts.append(f"Made by odescent {__version__}: {_command(algorithm, target)}")
    for fact in facts:
        lines += paragraph(_escaped(fact))
    last = len(lines) - 1
    return (*(_escaped(line) if 2 < i < last else line for i, line in enumerate(lines)), '"""')


def _consensus(system: System) -> list[str]:
    """What each consensus point is, for who has to write the function that computes it."""
    read = {c for e in system.drift.values() if isinstance(e, Vector) for c in e.calls()}
    found = []
    for call in sorted((c for c in read if c.oracle.kind == "ensemble"), key=str):
        alpha, *width = call.parameters
        if width:
            near = f"|{call.point} - y|^2/(2*{width[0]}^2)"
            said = f"the mean of the particles y with weights exp(-{alpha}*{call.oracle.of}(y) - {near})"
        else:
            said = f"the mean of the particles with weights exp(-{alpha}*{call.oracle.of})"
        found.append(f"The consensus point {call} is {said}.")
    return found


def _reference(key: str) -> str:
    """A known citation key in full, so that the source stands alone; anything else as it is."""
    from ..citations import keys, reference_line

    return reference_line(key) if key in keys() else f"{key}."


def _command(algorithm: Algorithm, target: str) -> str:
    """The command that makes this source, where the algorithm is an entry of the library with numbers bound."""
    from ..library import REGISTRY

    if algorithm.name in REGISTRY.entries:
        entry = REGISTRY.build(algorithm.name)
        numbers = {
            s: v
            for s, v in algorithm.tuning.items()
            if v.is_Rational and s not in entry.tuning and s in entry.parameters
        }
        if str(entry.bind(numbers)) == str(algorithm):
            own = {s.name: v for s, v in numbers.items()}
            given = [f"--{n} {own.pop(n)}" for n in ("mu", "L") if n in own]
            given += [f"--set {n}={v}" for n, v in sorted(own.items())]
            return " ".join([f"odescent emit {algorithm.name} --target {target}", *given])
    return f"Algorithm.source({target!r})"


def _escaped(text: str) -> str:
    return text.replace("\\", "/").replace('"""', "'''")


def wrapped(head: str, items: list[str], tail: str, indent: str = "") -> list[str]:
    """``head(items)tail`` on one line if it fits, else one item a line, as ruff writes it."""
    line = f"{indent}{head}({', '.join(items)}){tail}"
    if len(line) <= WIDTH or not items:
        return [line]
    return [f"{indent}{head}(", *[f"{indent}    {i}," for i in items], f"{indent}){tail}"]


def over(head: str, text: str, names: list[str], indent: str = "    ") -> list[str]:
    """``head(text for value in names)``, with the names on lines of their own where it does not fit."""
    line = (
        f"{indent}{head}({text} for value in ({', '.join(names)}{',' if len(names) == 1 else ''}))"
    )
    if len(line) <= WIDTH:
        return [line]
    listed = [f"{indent}given = (", *[f"{indent}    {n}," for n in names], f"{indent})"]
    return [*listed, f"{indent}{head}({text} for value in given)"]


def named_tuple(name: str, doc: str, fields: list[tuple[str, str]]) -> list[str]:
    """A NamedTuple class."""
    lines = [f"class {name}(NamedTuple):", f'    """{doc}"""', ""]
    return lines + [f"    {n}: {t}" for n, t in fields] if fields else lines[:2]


def coefficient_lines(
    lowered: Lowered, printer: Printer, constant: str = "{}", indent: str = "    "
) -> list[str]:
    """The body of ``coefficients``, after its checks: shared parts, then the table.

    ``constant`` wraps values that depend on no parameter.
    """
    parts, values = lowered.coefficients.shared()
    lines: list[str] = []
    naming = lowered.coefficients.naming
    taken = {s.name for s, _ in parts} | {s.name for s in lowered.parameters} | set(values)
    taken |= naming.avoid

    def short(e: sp.Expr, room: int) -> sp.Expr:
        """The expression, with parts of it named on lines of their own until it fits."""
        while len(printer.scalar(e)) > room and e.args and not e.is_Rational:
            inside = [a for a in e.args if not (a.is_Symbol or a.is_Rational)]
            if len(inside) < 1:
                if len(e.args) <= 2:
                    break
                part: sp.Expr = e.func(*e.args[: len(e.args) // 2])
                rest = e.args[len(e.args) // 2 :]
            else:
                part = max(inside, key=lambda a: (len(printer.scalar(a)), str(a)))
                rest = None
            n = 1
            while {f"p{n}", name := naming.marked(f"p{n}")} & taken:
                n += 1
            taken.add(name)
            symbol = sp.Symbol(name, positive=True)
            room = WIDTH - 16 - len(indent)
            lines.append(f"{indent}{name} = {printer.scalar(short(part, room))}")
            e = e.func(symbol, *rest) if rest is not None else e.xreplace({part: symbol})
        return e

    for symbol, value in parts:
        room = WIDTH - 4 - len(indent) - len(symbol.name)
        lines.append(f"{indent}{symbol.name} = {printer.scalar(short(value, room))}")
    items = []
    for name, value in values.items():
        room = WIDTH - 8 - len(indent) - len(name) - len(constant)
        text = printer.scalar(short(value, room))
        items.append(f"{name}={text if value.free_symbols else constant.format(text)}")
    return lines + wrapped("return Coefficients", items, "", indent)


def loop(names: str, items: list[str]) -> list[str]:
    """The head of a for loop over a tuple."""
    line = f"    for {names} in ({', '.join(items)}{',' if len(items) == 1 else ''}):"
    if len(line) <= WIDTH:
        return [line]
    return [f"    for {names} in (", *[f"        {i}," for i in items], "    ):"]
