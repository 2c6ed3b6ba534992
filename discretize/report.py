"""Derivations, algorithms and programs as text, LaTeX and plain data."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import sympy as sp

from odescent.dynamics.show import latex, symbol_latex, text
from odescent.dynamics.unicode import pretty, unlatex
from odescent.dynamics.vectors import Vector

from .derivation import Derivation, Step
from .iteration import Algorithm
from .program import Assign, CallOracle, Draw, Instruction, Program

KIND_LABELS = {
    "identity": "",
    "choice": "choice",
    "defect": "defect, not an identity",
    "finding": "finding",
}
EQUATIONS = {
    "bound system": "exact, at the given h",
    "limit h -> 0": "what the method tends to",
    "modified equation": "what it follows through O(h)",
}


def instruction_text(i: Instruction) -> str:
    """One instruction as a line of text."""
    if isinstance(i, Draw):
        return f"{i.target.name} ~ N(0, I) like {i.like}"
    if isinstance(i, Assign):
        return f"{i.target} = {text(i.value)}"
    where = text(i.point)
    if i.implicit != 0:
        sign = "-" if i.implicit.could_extract_minus_sign() else "+"
        where += f" {sign} {text(abs_sign(i.implicit))}*{i.target.name}"
        return f"{i.target.name} = {text(_oracle_at(i, 'POINT'))}  (implicit)".replace(
            "POINT", where
        )
    return f"{i.target.name} = {text(i.as_call())}"


def abs_sign(e: sp.Expr) -> sp.Expr:
    """The expression without a leading minus sign."""
    return -e if e.could_extract_minus_sign() else e


def _oracle_at(i: CallOracle, name: str) -> Vector:
    from odescent.dynamics.vectors import VectorSymbol, call

    return call(i.oracle, VectorSymbol(name), i.directions, i.parameters)


def program_text(program: Program) -> str:
    """The program of one step as text."""
    lines = [f"{b.name}[0] = {text(b.init)}" for b in program.blocks]
    lines += ["for k = 0, 1, 2, ..."]
    lines += ["    " + instruction_text(i) for i in program.instructions]
    moved = [(str(s), text(e)) for s, e in program.next.items() if text(e) != str(s)]
    lines += [f"    {name} <- {value}" for name, value in moved]
    lines += [f"output: {text(program.outputs['x'])}"]
    return "\n".join(lines)


def derivation_text(d: Derivation, width: int = 96) -> str:
    """The derivation as Unicode text of that many columns."""
    lines = [f"{d.name}, by the {d.route} route", "", *textwrap.wrap(d.summary, width), ""]
    for number, step in enumerate(d.steps, 1):
        label = KIND_LABELS[step.kind]
        heading = f"{number}. {step.title}" + (f"  ({label})" if label else "")
        lines.append(heading)
        lines += textwrap.wrap(
            unlatex(step.statement), width - 3, initial_indent="   ", subsequent_indent="   "
        )
        lines += _claims(step, width)
        status = f"✓ {len(step.residuals)} residual{'s' * (len(step.residuals) > 1)} zero"
        if not step.verified:
            status = f"NOT VERIFIED: residual {pretty(text(step.residual))}"
        notes = [status, f"assumes {step.assumes}" if step.assumes else "", step.reference]
        lines += ["   " + "; ".join(n for n in notes if n), ""]
    lines.append("Three equations, not to be confused")
    for name, equation in d.equations.items():
        of = (
            f" of {pretty(text(d.bound_position))}"
            if name == "bound system" and d.bound_position is not None
            else ""
        )
        rows = pretty(str(equation)).splitlines()
        lines.append(f"   {name + of} ({EQUATIONS[name]}):")
        lines += ["      " + row for row in rows]
    lines += [
        "",
        "Algorithm",
        *["   " + pretty(line) for line in program_text(d.algorithm.tuned).splitlines()],
        "",
    ]
    verified = sum(s.verified for s in d.steps)
    lines.append(f"{verified} of {len(d.steps)} steps verified.")
    if d.provenance:
        lines += textwrap.wrap(d.provenance, width)
    return "\n".join(lines)


def _claims(step: Step, width: int) -> list[str]:
    left = max(len(pretty(c.name)) for c in step.claims)
    lines = []
    for claim in step.claims:
        head = f"      {pretty(claim.name):>{left}} = "
        body = pretty(text(claim.value))
        lines += textwrap.wrap(
            body, max(width, 60), initial_indent=head, subsequent_indent=" " * len(head)
        )
    return lines


def derivation_latex(d: Derivation) -> str:
    """The derivation as a LaTeX fragment; needs amsmath."""
    out = [
        rf"\section*{{{_tex(d.name)}: the {d.route} route}}",
        _tex(d.summary),
        r"\begin{enumerate}",
    ]
    for step in d.steps:
        label = f" ({KIND_LABELS[step.kind]})" if KIND_LABELS[step.kind] else ""
        rows = " \\\\\n".join("  " + c.latex().replace(" = ", " &= ", 1) for c in step.claims)
        out += [
            rf"\item \textbf{{{step.title}{label}.}} {step.statement}",
            "\\begin{align*}\n" + rows + "\n\\end{align*}",
        ]
    out.append(r"\end{enumerate}")
    rows = " \\\\\n".join(rf"  &\text{{{_tex(n)}:}} & {e.latex()}" for n, e in d.equations.items())
    out += [
        "\\begin{align*}\n" + rows.replace("->", r"$\to$") + "\n\\end{align*}",
        "\\[\n" + d.algorithm.latex() + "\n\\]",
    ]
    return "\n".join(out) + "\n"


def _tex(words: str) -> str:
    return re.sub(r"([_&%#])", r"\\\1", words)


def derivation_dict(d: Derivation) -> dict[str, Any]:
    """The derivation as plain data; keys are stable."""
    return {
        "schema": "odescent.derivation/1",
        "name": d.name,
        "route": d.route,
        "summary": d.summary,
        "provenance": d.provenance,
        "references": list(d.references),
        "verified": d.verified,
        "steps": [{"number": n, **s.to_dict()} for n, s in enumerate(d.steps, 1)],
        "equations": {n: {"text": str(e), "latex": e.latex()} for n, e in d.equations.items()},
        "algorithm": algorithm_dict(d.algorithm),
    }


def algorithm_dict(a: Algorithm) -> dict[str, Any]:
    """An algorithm as plain data; keys are stable."""
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
        "program": [instruction_text(i) for i in tuned.instructions],
        "next": {str(s): text(e) for s, e in tuned.next.items()},
        "outputs": {n: text(e) for n, e in tuned.outputs.items()},
        "latex": [
            f"{symbol_latex(str(i.target))} = {latex(i.value)}"
            for i in tuned.instructions
            if isinstance(i, Assign)
        ],
        "calls": a.calls,
    }
