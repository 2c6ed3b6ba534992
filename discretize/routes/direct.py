"""The derivation of any algorithm from its own system and scheme: what a user's system gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import derivative, substitute
from odescent.dynamics.named import taylor_terms
from odescent.dynamics.second_order import position, velocity
from odescent.dynamics.show import symbol_latex
from odescent.dynamics.vectors import Expr, zero

from ..backward_error import step_series
from ..derivation import Claim, Derivation, Equation, Step
from ..iteration import Algorithm
from ..recurrence import positive_coefficients
from ..state_space import z

Values = Mapping[str, Any]


def direct(algorithm: Algorithm) -> Derivation:
    """System, scheme, limit, modified equation and linear form of an algorithm, each checked.

    Claims are what the engine found; each residual is the definition that the claim must meet.
    Steps that an algorithm does not admit (no second-order form, no linear form) are left out.
    """
    steps = [
        _system(algorithm),
        _second_order(algorithm),
        _step_map(algorithm),
        _modified(algorithm),
        _linear(algorithm),
    ]
    return Derivation(
        algorithm.name or "algorithm",
        "direct",
        f"{algorithm.name or 'The algorithm'} as the scheme {algorithm.scheme.name or algorithm.scheme} on its "
        f"system.",
        tuple(s for s in steps if s is not None),
        algorithm,
        provenance=algorithm.provenance,
        references=algorithm.system.references,
    )


def _system(algorithm: Algorithm) -> Step:
    bound = algorithm.bound

    def check(c: Values) -> dict[str, Equation]:
        equations = {}
        for b in bound.blocks:
            parts = [f.drift[b.symbol] for f in bound.fields.values() if b.symbol in f.drift]
            nothing: Expr = sp.S.Zero if b.kind == "scalar" else zero
            total = sum(parts, nothing)
            equations[f"{b.name}' is the sum of the fields"] = Equation(total, c[f"{b.name}'"])
        return equations

    claims = [
        Claim(f"{b.name}'", bound.drift[b.symbol], rf"\dot{{{symbol_latex(b.name)}}}")
        for b in bound.blocks
    ]
    names = ", ".join(bound.fields)
    return Step("System", f"The drift is the sum of the fields {names}.", tuple(claims), check)


def _second_order(algorithm: Algorithm) -> Step | None:
    bound = algorithm.bound
    try:
        lhs = bound.second_order().lhs
    except OdescentError:
        return None
    output = bound.output
    speed = bound.derivative(output)

    def check(c: Values) -> dict[str, Equation]:
        along_it = substitute(c["x''"], {position: output, velocity: speed})
        return {"x'' along the system": Equation(bound.derivative(speed), along_it)}

    return Step(
        "Second-order form",
        r"The output $x$ obeys an equation of second order, found by eliminating the other block: $\dot x$ and "
        r"$\ddot x$ are "
        r"its derivatives along the system.",
        (Claim("x''", -lhs, r"\ddot{x}"),),
        check,
    )


def _step_map(algorithm: Algorithm) -> Step:
    h, drift = algorithm.step, algorithm.bound.limit({algorithm.step: 0}).drift
    memories = {b.symbol for b in algorithm.program.blocks if b.role == "memory"}
    if not algorithm.bound.autonomous or memories or algorithm.program.sweeps:
        return _limit_only(algorithm)
    update = algorithm.program.update_map(1)
    moved = list(update)

    positive = positive_coefficients(algorithm)

    def check(c: Values) -> dict[str, Equation]:
        equations = {}
        for s in moved:
            there, moving = taylor_terms(substitute(c[f"{s}+"], positive), h, 1)
            along = substitute(drift[s], positive)
            equations[f"{s}+ = {s} at {h} = 0"] = Equation(there, substitute(s, positive))
            equations[f"{s}+ moves along the drift"] = Equation(moving, along)
            equations[f"{s}+ of the program"] = Equation(update[s], c[f"{s}+"])
        return equations

    claims = tuple(Claim(f"{s}+", update[s], symbol_latex(f"{s}+")) for s in moved)
    return Step(
        "Discretization",
        f"The scheme ({algorithm.scheme}) makes this map of one step; at ${h} = 0$ it is the "
        "identity, and to first order it "
        "moves along the drift: the substeps add up.",
        claims,
        check,
    )


def _limit_only(algorithm: Algorithm) -> Step:
    target = algorithm.bound.limit({algorithm.step: 0}).drift
    limit = algorithm.consistent_with().drift

    def check(c: Values) -> dict[str, Equation]:
        return {f"{s}' of the system": Equation(target[s], c[f"{s}'"]) for s in limit}

    claims = tuple(Claim(f"{s}'", e, rf"\dot{{{symbol_latex(str(s))}}}") for s, e in limit.items())
    return Step(
        "Limit flow",
        f"As ${algorithm.step} \\to 0$ the scheme ({algorithm.scheme}) follows this flow, which is the system's.",
        claims,
        check,
    )


def _modified(algorithm: Algorithm) -> Step | None:
    try:
        modified = algorithm.modified_equation(1)
    except OdescentError:
        return None
    h, leading = algorithm.step, modified.terms[0]
    series = step_series(algorithm, 2)  # with memories replaced by what they follow

    def check(c: Values) -> dict[str, Equation]:
        field = {s: leading[s] + h * c[f"F_1 of {s}"] for s in leading}
        along = field if modified.time is None else {**field, modified.time: sp.S.One}
        equations = {}
        for s in leading:
            flow = s + h * field[s] + derivative(field[s], along) * (h**2 / 2)
            terms = taylor_terms(flow, h, 2)
            for j in (1, 2):
                equations[f"the time-{h} flow agrees with {s}+ at {h}^{j}"] = Equation(
                    terms[j], series[j][s]
                )
        return equations

    claims = tuple(
        Claim(f"F_1 of {s}", e, rf"F_1^{{({symbol_latex(str(s))})}}")
        for s, e in modified.terms[1].items()
    )
    return Step(
        "Modified equation",
        rf"The method follows the drift plus ${h} F_1$ to one order more: the time-${h}$ flow of "
        r"that field agrees with the map "
        rf"through ${h}^2$.",
        claims,
        check,
        reference="Hairer, Lubich and Wanner 2006, IX.1",
    )


def _linear(algorithm: Algorithm) -> Step | None:
    try:
        found = algorithm.coefficients
    except OdescentError:
        return None
    transfer = algorithm.transfer_function()

    def check(c: Values) -> dict[str, Equation]:
        form = -c["alpha"] * ((1 + c["gamma"]) * z - c["gamma"]) / ((z - 1) * (z - c["beta"]))
        return {"transfer function": Equation(transfer, form)}

    kept = {n: v for n, v in found.items() if n != "delta"}
    return Step(
        "Three-parameter form",
        r"The transfer function from the gradient to its point is that of "
        r"$\xi^+ = (1+\beta)\xi - \beta\xi_- - \alpha\nabla f((1+\gamma)\xi - \gamma\xi_-)$.",
        tuple(Claim(n, v, "\\" + n) for n, v in kept.items()),
        check,
        reference="Lessard, Recht and Packard 2016",
    )
