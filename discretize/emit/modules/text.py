"""Common parts of emitted Python modules: docstring, signatures, coefficient table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import sympy as sp

from ...._support.rendering.brief import capital
from ....dynamics.algebra.calculus import oracles_in
from ....dynamics.algebra.vectors import Vector
from ....dynamics.maps import form_of
from ....dynamics.notation.readable import readable
from ....dynamics.notation.show import text as as_text
from ....dynamics.solves.routes import Solve, inverses, solve_of
from ...programs.control import Repeat
from ...programs.substeps import Let
from ..lowering.coefficients import presentable, presented
from ..lowering.statements import Lowered, Routine
from ..printing.language import Syntax
from ..printing.lines import WIDTH, paragraph, width
from ..printing.printer import Printer

if TYPE_CHECKING:
    from ....dynamics import System
    from ....dynamics.maps.form import MapForm
    from ...programs.program import Program
    from ...step.iteration import Iteration

_MAP = "Map:"


def heading(algorithm: Iteration) -> str:
    """The title of an algorithm where a line begins."""
    return capital(algorithm.title or "an unnamed algorithm")


def description(algorithm: Iteration, target: str, language: str, notes: str = "") -> list[str]:
    """What a module is, where it comes from, how it was made.

    Args:
        algorithm: the method.
        target: the name of the backend.
        language: what the module is written in, as a sentence ends: "NumPy.".
        notes: a paragraph on the module's contract.

    Returns:
        the lines of its documentation.
    """
    from .... import __version__

    lines = [f"{heading(algorithm)}: one step of the algorithm, as plain {language}", ""]
    lines += [*paragraph(notes), ""] if notes else []
    title, rows = _origin(algorithm)
    lines += [title] if title else []
    for row in rows:
        lines += paragraph(row, "    ", "    ")
    facts = [*_consensus(algorithm.system), *_named_maps(algorithm.program)]
    facts += [f"Solve with {how}." for how in solves_of(algorithm.tuned)]
    if title != _MAP:
        facts.append(f"Scheme: {algorithm.scheme.name or 'unnamed'}: {algorithm.scheme}.")
    guarded = any(isinstance(s, Repeat) and s.until is not None for s in algorithm.scheme.every)
    if guarded and target in ("jax", "optax"):
        facts.append("If a loop reaches its limit before its condition holds, what it sets is NaN.")
    bindings = {**algorithm.where, **algorithm.tuning}
    if bindings:
        shown = ", ".join(
            f"{s} = {readable(presentable(v))}"
            for s, v in sorted(bindings.items(), key=lambda i: str(i[0]))
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
    return [*lines, *(line for fact in facts for line in paragraph(fact))]


def _origin(algorithm: Iteration) -> tuple[str, list[str]]:
    """What a step was made of, under a title: a system, or the map itself if that is short; else the scheme is all."""
    if algorithm.system.fields:
        return "System:", str(algorithm.system).splitlines()
    steps = algorithm.scheme.steps
    lets = [s for s in steps if isinstance(s, Let)]
    rows = [f"{s} <- {as_text(presented(e))}" for let in lets for s, e in let.assign.items()]
    short = len(lets) == len(steps) and max(map(len, rows)) <= 2 * WIDTH
    return (_MAP, rows) if short else ("", [])


def solves_of(program: Program) -> list[Solve]:
    """How each linear solve of a step is done."""
    return [solve_of(a) for a in inverses(program.expressions())]


def _consensus(system: System) -> list[str]:
    """What each consensus point is, for who has to write the function that computes it."""
    read = {c for e in system.drift.values() if isinstance(e, Vector) for c in e.calls()}
    found = []
    for call in sorted((c for c in read if c.oracle.form.particles), key=str):
        alpha, *width = call.parameters
        if width:
            near = f"|{call.point} - y|^2/(2*{width[0]}^2)"
            said = f"the mean of the particles y with weights exp(-{alpha}*{call.oracle.of}(y) - {near})"
        else:
            said = f"the mean of the particles with weights exp(-{alpha}*{call.oracle.of})"
        found.append(f"The consensus point {call} is {said}.")
    return found


def _named_maps(program: Program) -> list[str]:
    """What each named map is, which a formula alone does not show."""
    asked = {c.oracle for c in program.calls}
    asked |= {o for e in program.expressions() for o in oracles_in(e)}
    forms: dict[str, MapForm] = {o.of: form_of(o.of) for o in asked if o.form.registered}
    return [f"The map {form.call}. {form.summary}" for _, form in sorted(forms.items())]


def _reference(key: str) -> str:
    """A known citation key in full, so that the source stands alone; anything else as it is."""
    from ...._support.citations import keys, reference_line

    return reference_line(key) if key in keys() else f"{key}."


def _command(algorithm: Iteration, target: str) -> str:
    """The command that makes this source, where the algorithm is an entry of the library with numbers bound."""
    from ...library import REGISTRY
    from ...library import algorithm as registered

    if algorithm.name in REGISTRY.entries:
        entry = registered(algorithm.name)
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


def assembled(
    syntax: Syntax,
    facts: Sequence[str],
    imports: str,
    helpers: Mapping[str, str],
    sections: Iterable[Sequence[str]],
) -> str:
    """A module: its documentation, those of the imports and of the functions that are used, its sections.

    Args:
        syntax: of the language.
        facts: the lines of the documentation.
        imports: lines of imports and aliases, in groups.
        helpers: functions by name, in the order in which they stand.
        sections: the lines of each.
    """
    body = "\n\n\n".join("\n".join(s) for s in sections)
    functions = _used(body, helpers)
    opening, closing = syntax.quotes
    first, *more = [syntax.escaped(line) for line in facts]
    head = [f"{opening}{first}", *more, closing, *_imported(imports, [*functions, body])]
    return "\n\n\n".join(["\n".join(head), *functions, body]) + "\n"


def functions(text: str) -> dict[str, str]:
    """Functions by name, of a text in which two empty lines stand between them."""
    parts = text.strip("\n").split("\n\n\n")
    merged: dict[str, str] = {}
    before = ""
    for part in parts:
        found = re.search(r"^def (\w+)", part, re.MULTILINE)
        if found is None:  # an alias, which goes with the function after it
            before = f"{part}\n\n\n"
        else:
            merged[found[1]], before = before + part, ""
    return merged


def map_functions(routines: Iterable[Routine], library: str) -> dict[str, str]:
    """The functions of the named maps that routines call, by name, with those that they call.

    Args:
        routines: all of the module.
        library: what the module calls the library of its arrays.
    """
    found: dict[str, str] = {}
    for s in (s for r in routines for s in r.maps):
        found |= form_of(s.argument.removeprefix("_")).source(library)
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _used(text: str, helpers: Mapping[str, str]) -> list[str]:
    """The functions that the text calls, and those that they call."""
    read, found = _words(text), set[str]()
    while new := {n for n in helpers if n in read} - found:
        found |= new
        read |= {word for n in new for word in _words(helpers[n])}
    return [h for n, h in helpers.items() if n in found]


def _imported(imports: str, texts: Iterable[str]) -> list[str]:
    """The imports of what the texts read, group by group; the last ones first, since aliases read others."""
    read = {word for text in texts for word in _words(text)}
    lines: list[str] = []
    for line in reversed(imports.strip("\n").splitlines()):
        origin, found, listed = line.partition(" import ")
        if found:
            kept = [n for n in listed.split(", ") if n in read]
            line = f"{origin} import {', '.join(kept)}" if kept else ""
        elif line:  # import a as b, or an alias b: TypeAlias = c
            name = line.split()[-1] if line.startswith("import") else line.partition(":")[0]
            line = line if name in read else ""
            read |= _words(line) if ":" in line else set()
        elif lines and lines[0]:
            lines.insert(0, "")
            continue
        lines[:0] = [line] if line else []
    while lines and not lines[0]:
        lines.pop(0)
    return ["", *lines] if lines else []


def named_tuple(name: str, doc: str, fields: list[tuple[str, str]]) -> list[str]:
    """A NamedTuple class.

    Args:
        name: of the class.
        doc: its docstring.
        fields: names with their types.

    Returns:
        lines of source.
    """
    lines = [f"class {name}(NamedTuple):", f'    """{doc}"""', ""]
    return lines + [f"    {n}: {t}" for n, t in fields] if fields else lines[:2]


def coefficient_lines(
    lowered: Lowered, printer: Printer, constant: str = "{}", indent: str = "    "
) -> list[str]:
    """The body of ``coefficients``, after its checks: shared parts, then the table.

    Args:
        lowered: for its table of coefficients.
        printer: for its formulas.
        constant: a format that wraps values that depend on no parameter.
        indent: of the lines.

    Returns:
        lines of source.
    """
    parts, values = lowered.coefficients.shared()
    lines: list[str] = []
    naming = lowered.coefficients.naming
    taken = {s.name for s, _ in parts} | {s.name for s in lowered.parameters} | set(values)
    taken |= naming.avoid

    def short(e: sp.Expr, room: int) -> sp.Expr:
        """The expression, with parts of it named on lines of their own until it fits."""
        while width(printer.scalar(e)) > room and e.args and not e.is_Rational:
            inside = [a for a in e.args if not (a.is_Symbol or a.is_Rational)]
            # Of arguments that are names there is half of the list to split off, else the longest argument.
            if len(inside) < 1:
                if len(e.args) <= 2:
                    break
                part: sp.Expr = e.func(*e.args[: len(e.args) // 2])
                rest = e.args[len(e.args) // 2 :]
            else:
                part = max(inside, key=lambda a: (width(printer.scalar(a)), str(a)))
                rest = None
            name = naming.numbered("p", taken)
            taken.add(name)
            symbol = sp.Symbol(name, positive=True)
            room = WIDTH - 16 - len(indent)
            lines.append(f"{indent}{name} = {printer.scalar(short(part, room))}")
            e = e.func(symbol, *rest) if rest is not None else e.xreplace({part: symbol})
        return e

    # Shared parts first, each on its line; then the fields of the table.
    for symbol, value in parts:
        room = WIDTH - 4 - len(indent) - width(symbol.name)
        lines.append(f"{indent}{symbol.name} = {printer.scalar(short(value, room))}")
    items = []
    for name, value in values.items():
        room = WIDTH - 8 - len(indent) - width(name) - len(constant)
        text = printer.scalar(short(value, room))
        items.append(f"{name}={text if value.free_symbols else constant.format(text)}")
    return lines + printer.syntax.made("return ", "Coefficients", items, indent)
