"""Derivations, algorithms and programs as text, LaTeX and plain data."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.rendering.brief import capital, quantity
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.vectors import Expr, VectorSymbol
from ...dynamics.notation.line_breaks import broken as line_broken
from ...dynamics.notation.line_breaks import text_lines
from ...dynamics.notation.line_breaks import width as width_of
from ...dynamics.notation.show import latex, symbol_latex, text
from ...dynamics.notation.unicode import pretty, unlatex
from ...dynamics.vector_fields.block import start
from ..emit.backends.latex import latex as algorithm_latex
from ..emit.lowering.coefficients import presented
from ..programs.program import (
    Assign,
    Choose,
    Count,
    Draw,
    Instruction,
    Loop,
    Plain,
    Program,
    StraightLine,
    SweepCoordinates,
)
from ..step.iteration import Iteration
from .exact_data import exact_algorithm
from .steps import Path, Step

SCHEMA = "odescent.derivation/3"  # replay.py, which stands alone, repeats it
KIND_LABELS = {
    "identity": "",
    "choice": "choice",
    "defect": "defect, not an identity",
    "finding": "finding",
}
EQUATIONS_LATEX = {
    "bound system": "with its feed-through at the given $h$",
    "limit h -> 0": "what the method tends to",
    "modified equation": "what it follows through $O(h)$",
}
_TITLES = (
    "The equation", "Two equations, not to be confused", "Three equations, not to be confused",
)  # fmt: skip
EQUATIONS = {name: said.replace("$", "") for name, said in EQUATIONS_LATEX.items()}


def equations_title(d: Path) -> str:
    """The heading of a derivation's equations, of which there are at most three."""
    return _TITLES[len(d.equations) - 1]


def in_small_steps(d: Path, words: str, shown: str) -> str:
    """Words about small h for a method whose step depends on the state: what is small is its factor."""
    small = d.algorithm.small
    if small is None:
        return words
    return words.replace("h ->", f"{shown} ->").replace("O(h)", f"O({shown})")


def instruction_lines(i: Instruction) -> list[str]:
    """One instruction as lines of text."""
    if isinstance(i, Choose):
        lines = [f"if {i.guard}:"]
        for branch in (i.accept, i.reject):
            inside = [*_branch_lines(branch), *_given(i.names, branch.values, " = ")]
            lines += [f"    {line}" for line in inside or ["nothing changes"]]
            lines += ["else:"] if branch is i.accept else []
        return lines
    if isinstance(i, Loop):
        begin = ", ".join(_given(i.names, i.begin, " = "))
        inside = [*_branch_lines(i.body), *_given(i.names, i.body.values, " <- ")]
        ends = f"at most {text(i.limit)} times"
        if i.until is not None:
            ends = f"until {i.until}, {ends}"
        return [
            f"repeat for {i.count} = 1, 2, ..., beginning with {begin}:",
            *(f"    {line}" for line in inside),
            ends if i.until is not None else f"{text(i.limit)} times",
        ]
    return [instruction_text(i)]


def _branch_lines(branch: StraightLine) -> list[str]:
    return [line for i in branch.instructions for line in instruction_lines(i)]


def _given(names: Sequence[Symbol], values: Sequence[Expr], sign: str) -> list[str]:
    """Names that get a value, each as text."""
    return [f"{s}{sign}{_shown(e)}" for s, e in zip(names, values, strict=True) if s != e]


def instruction_text(i: Plain) -> str:
    """One instruction without others inside of it as a line of text."""
    if isinstance(i, Draw):
        like = f" like {i.like}" if isinstance(i.target, VectorSymbol) else ""
        return f"{i.target.name} ~ {i.drawn_from.text}{like}"
    if isinstance(i, Count):
        return f"{i.target.name} ~ Poisson({text(i.mean)})" + (", one for all" if i.common else "")
    if isinstance(i, Assign):
        return f"{i.target} = {_shown(i.value)}"
    if isinstance(i, SweepCoordinates):
        return _sweep_text(i)
    if i.oracle.args:
        return f"{i.target.name} = {text(i.as_call())}"
    where, implicit = _shown(i.point), ""
    if i.implicit != 0:
        sign = "-" if i.implicit.could_extract_minus_sign() else "+"
        where += f" {sign} {text(abs_sign(i.implicit))}*{i.target.name}"
        implicit = "  (implicit)"
    shown = text(replace(i, point=VectorSymbol(_POINT)).as_call()).replace(_POINT, where)
    return f"{i.target.name} = {shown}{implicit}"


_POINT = "\x03"  # stands where the point is printed, and in no name


def _shown(e: Expr) -> str:
    return text(presented(e))


def _sweep_text(i: SweepCoordinates) -> str:
    """A sweep as one line: the coordinates' order, their rate, and where it is read."""
    order = "n, ..., 1" if i.backward else "1, ..., n"
    rate = _shown(i.slope).replace(i.moving.name, i.target.name)
    where = {0: "before it moves", 1: "after it moved"}.get(i.implicit, "at both ends, halved")
    where = "by difference quotients" if i.quotient else where
    return (
        f"{i.target.name} = {_shown(i.start)} swept over coordinates {order}: each by {text(i.duration)} times that "
        f"of {rate}, {where}"
    )


def abs_sign(e: sp.Expr) -> sp.Expr:
    """The expression without a leading minus sign."""
    return -e if e.could_extract_minus_sign() else e


def program_text(program: Program) -> str:
    """The program of one step as text."""
    lines = [f"{b.name}[0] = {text(b.init)}" for b in program.blocks]
    # a parameter may have the name that steps are counted by
    taken = any(p.name == "k" and not p.is_integer for p in program.parameters)
    lines += [f"for {'n' if taken else 'k'} = 0, 1, 2, ..."]
    lines += ["    " + line for i in program.instructions for line in instruction_lines(i)]
    moved = [(str(s), _shown(e)) for s, e in program.next.items() if text(e) != str(s)]
    lines += [f"    {name} <- {value}" for name, value in moved]
    lines += [f"output: {text(program.outputs['x'])}"]
    return "\n".join(lines)


def derivation_text(d: Path, width: int = 96) -> str:
    """The derivation as Unicode text of that many columns."""
    lines = [
        *textwrap.wrap(f"{d.title}, by the {d.route} route", width),
        "",
        *textwrap.wrap(d.summary, width),
        "",
    ]
    if d.notation:
        said = "; ".join(f"{unlatex(f'${tex}$')} {meaning}" for tex, meaning in d.notation)
        lines += [*textwrap.wrap(f"Notation: {unlatex(said)}.", width), ""]
    for number, step in enumerate(d.steps, 1):
        label = KIND_LABELS[step.kind]
        lines.append(f"{number}. {step.title}" + (f"  ({label})" if label else ""))
        lines += textwrap.wrap(
            unlatex(step.statement), width - 3, initial_indent="   ", subsequent_indent="   "
        )
        lines += _claims(step, width)
        status = f"✓ {quantity(len(step.equations), 'residual')} zero"
        if not step.verified:
            status = f"NOT VERIFIED: residual {pretty(text(step.residual))}"
        assumed = f"assumes {unlatex(step.assumes)}" if step.assumes else ""
        notes = "; ".join(n for n in (status, assumed, step.reference) if n)
        lines += textwrap.wrap(notes, width, initial_indent="   ", subsequent_indent="     ")
        lines.append("")
    lines.append(equations_title(d))
    for name, equation in d.equations.items():
        bound = name == "bound system" and d.bound_position is not None
        of = f" of {pretty(text(d.bound_position))}" if bound else ""
        said = in_small_steps(d, f"{name + of} ({EQUATIONS[name]}):", str(d.algorithm.small))
        lines.append(f"   {pretty(said) if d.algorithm.small is not None else said}")
        lines += _broken(pretty(str(equation)), width, 6)
    lines += ["", "Algorithm", *_broken(pretty(program_text(d.algorithm.tuned)), width, 3), ""]
    verified = sum(s.verified for s in d.steps)
    lines.append(f"{verified} of {len(d.steps)} steps verified.")
    if d.provenance:
        lines += textwrap.wrap(d.provenance, width)
    return "\n".join(lines)


def _broken(rows: str, width: int, indent: int) -> list[str]:
    """Rows of formulas, indented; one that is too long goes on in the next line, before a sign of a sum."""
    lines = []
    for row in rows.splitlines():
        depth = indent + len(row) - len(row.lstrip())
        first, *rest = text_lines(row.lstrip(), width - depth - 4)
        lines += [" " * depth + first, *(" " * (depth + 4) + more for more in rest)]
    return lines


def _claims(step: Step, width: int) -> list[str]:
    left = max(len(pretty(c.name)) for c in step.claims)
    lines = []
    for claim in step.claims:
        head = f"      {pretty(claim.name):>{left}} = "
        first, *rest = text_lines(pretty(text(claim.value)), max(width, 60) - len(head))
        lines += [head + first, *(" " * len(head) + more for more in rest)]
    return lines


_FIRST, _LINE = 52.0, 56.0  # of a displayed line, in letters: a column in an enumeration


def derivation_latex(d: Path) -> str:
    """The derivation as a LaTeX fragment; needs amsmath. Long formulas are broken to fit a column of 345 pt."""
    out = [rf"\section*{{{_tex(d.title)}: the {d.route} route}}", _tex(d.summary)]
    if d.notation:
        said = "; ".join(f"${tex}$ {meaning}" for tex, meaning in d.notation)
        out.append(rf"\paragraph{{Notation.}} {said}.")
    out.append(r"\begin{enumerate}")
    for step in d.steps:
        label = f" ({KIND_LABELS[step.kind]})" if KIND_LABELS[step.kind] else ""
        status = "verified" if step.verified else r"\emph{not verified}"
        notes = [status, f"assumes {step.assumes}" if step.assumes else "", _tex(step.reference)]
        out += [
            rf"\item \textbf{{{step.title}{label}.}} {step.statement}",
            _aligned([((c.tex or symbol_latex(c.name)), latex(c.value)) for c in step.claims]),
            rf"{{\small[{'; '.join(n for n in notes if n)}]}}",
        ]
    out += [r"\end{enumerate}", rf"\paragraph{{{equations_title(d)}.}}"]
    for name, equation in d.equations.items():
        small = "" if d.algorithm.small is None else latex(d.algorithm.small)
        of = in_small_steps(d, name, small or "h")
        shown = of.replace("->", r"$\to$").replace(f"{small or 'h'} ", f"${small or 'h'}$ ")
        said = in_small_steps(d, EQUATIONS_LATEX[name], small or "h")
        out += [rf"{capital(shown)} ({said}):", _rows(equation.latex())]
    out += [
        r"\paragraph{Algorithm.} " + _starts(d) + " For $k = 0, 1, 2, \\dots$",
        _rows(algorithm_latex(d.algorithm)),
        _tex(d.provenance),
    ]
    return "\n".join(out) + "\n"


def _starts(d: Path) -> str:
    """The initial values of the blocks, as a sentence."""
    blocks = d.algorithm.tuned.blocks
    at_start = " = ".join(f"{symbol_latex(b.name)}_0" for b in blocks if b.init == start)
    begins = [f"${at_start}$ at the starting point"] if at_start else []
    begins += [f"${symbol_latex(b.name)}_0 = {latex(b.init)}$" for b in blocks if b.init != start]
    return f"Start with {', '.join(begins)}."


def _rows(source: str) -> str:
    """One equation, or the rows of an aligned environment, as a display of lines that fit."""
    rows = re.findall(r"^(.*?) &= (.*?)(?: \\\\)?$", source, re.MULTILINE)
    return _aligned(rows or [tuple(source.rsplit(" = ", 1))])


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    """Left and right sides, aligned at the equals sign where the left sides are short."""
    widest = max(width_of(left) for left, _ in rows)
    shown = []
    for left, right in rows:
        if widest > _LINE / 2:  # a long left side: the equation is one display of its own
            lines = line_broken(f"{left} = {right}", _LINE, _LINE - 2)
            shown.append("&" + " \\\\\n  &\\quad {} ".join(lines))
        else:
            room = _FIRST - widest
            first, *rest = line_broken(right, room, room - 2)
            shown.append(
                " \\\\\n".join([f"{left} &= {first}", *(rf"  &\quad {{}} {r}" for r in rest)])
            )
    return "\\begin{align*}\n  " + " \\\\\n  ".join(shown) + "\n\\end{align*}"


def _tex(words: str) -> str:
    return re.sub(r"([_&%#])", r"\\\1", words)


def derivation_dict(d: Path) -> dict[str, Any]:
    """The derivation as plain data; keys are stable. The digest, of all the rest, shows damage and no more."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "name": d.name,
        "route": d.route,
        "summary": d.summary,
        "provenance": d.provenance,
        "references": list(d.references),
        "principle": None if d.principle is None else d.principle.to_dict(),
        "notation": [{"symbol": tex, "meaning": meaning} for tex, meaning in d.notation],
        "verified": d.verified,
        "steps": [{"number": n, **s.to_dict()} for n, s in enumerate(d.steps, 1)],
        "equations": {n: {"text": str(e), "latex": e.latex()} for n, e in d.equations.items()},
        "algorithm": algorithm_dict(d.algorithm),
    }
    plain = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return {**document, "digest": "sha256:" + hashlib.sha256(plain.encode("ascii")).hexdigest()}


def algorithm_dict(a: Iteration) -> dict[str, Any]:
    """An algorithm as plain data; keys are stable. What is under "exact" is made of trees."""
    tuned = a.tuned
    return {
        "name": a.name,
        "system": {b.name: text(a.bound.drift[b.symbol]) for b in a.bound.blocks},
        "fields": {
            n: {str(s): text(e) for s, e in f.drift.items()} for n, f in a.bound.fields.items()
        },
        "scheme": {"name": a.scheme.name, "steps": str(a.scheme)},
        "where": {str(s): text(v) for s, v in a.where.items()},
        "tuning": {str(s): text(v) for s, v in a.tuning.items()},
        "parameters": [str(s) for s in a.parameters],
        "init": {b.name: text(b.init) for b in tuned.blocks},
        "program": [line for i in tuned.instructions for line in instruction_lines(i)],
        "next": {str(s): text(e) for s, e in tuned.next.items()},
        "outputs": {n: text(e) for n, e in tuned.outputs.items()},
        "latex": [
            f"{symbol_latex(str(i.target))} = {latex(i.value)}"
            for i in tuned.instructions
            if isinstance(i, Assign)
        ],
        "calls": a.calls,
        "exact": exact_algorithm(a),
    }
