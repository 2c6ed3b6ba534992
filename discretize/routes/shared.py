"""Final steps of every derivation: the map, its flows, its identification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, substitute
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ...dynamics.notation.show import symbol_latex
from ...dynamics.vector_fields.block import start
from ..faces import Algorithm
from ..proof.steps import Claim, Equation, Step

RULES = {"implicit": "backward Euler", "cayley": "the trapezoidal rule (Cayley)"}
LIMIT, MODIFIED = "-x'' in the limit", "-x'' modified"


def after(s: VectorSymbol) -> VectorSymbol:
    """The name of a block's value after the step, for use in claims that follow its own."""
    return VectorSymbol(f"{s.name}+")


def method_step(
    method: Algorithm,
    title: str,
    statement: str,
    claimed: Mapping[VectorSymbol, Vector],
    points: Mapping[VectorSymbol, Vector] | None = None,
) -> Step:
    """The derivation step that claims the map of one step, h free, and checks it against the program of the scheme.

    Args:
        method: the algorithm.
        title: of the derivation step.
        statement: LaTeX.
        claimed: the new value of each block; may use ``points`` and the ``after`` of preceding claims.
        points: intermediate points by symbol.
    """
    named = points or {}

    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        made = method.program.update_map()
        known: dict[Symbol, Expr] = {s: c[s.name] for s in named}
        equations = {}
        for s in claimed:
            value = substitute(c[f"{s}+"], known)
            known[after(s)] = value
            equations[f"{s}+ of the program"] = Equation(made[s], value)
        return equations

    claims = [Claim(s.name, e, symbol_latex(s.name)) for s, e in named.items()]
    claims += [Claim(f"{s}+", e, symbol_latex(f"{s}+")) for s, e in claimed.items()]
    return Step(title, statement, tuple(claims), check)


def equation_residual(
    method: Algorithm, limit: Vector, modified: Vector, of: Expr | None = None
) -> Step:
    """The derivation step with the limit flow and the modified equation through O(h), both as x'' + ... = 0.

    Args:
        method: the algorithm.
        limit: the claimed -x'' of the limit flow.
        modified: the claimed -x'' of the modified equation, through O(h).
        of: the expression that satisfies the equations; the output by default.
    """

    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        modified = method.modified_equation(1).second_order(of).lhs
        return {
            "limit flow": Equation(method.consistent_with().second_order(of).lhs, c[LIMIT]),
            "modified equation": Equation(modified, c[MODIFIED]),
        }

    return Step(
        "Limit and modified equation",
        r"As $h \to 0$ the sequence follows the limit. To the next order it follows, by backward error analysis, the "
        r"modified equation: $-\ddot x$ as given up to $O(h^2)$. Both differ from the bound system, whose "
        "feed-through is kept at the given $h$.",
        (
            Claim(LIMIT, limit, r"-\ddot{x}|_{\mathrm{limit}}"),
            Claim(MODIFIED, modified, r"-\ddot{x}|_{\mathrm{modified}}"),
        ),
        check,
        reference="Hairer, Lubich and Wanner 2006, IX.1",
    )


def coefficient_residuals(method: Algorithm, claimed: Mapping[str, sp.Expr]) -> Step:
    """The tuned method in the three-parameter form, and its start."""

    blocks = method.tuned.blocks

    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        found = method.coefficients
        equations = {name: Equation(found[name], c[name]) for name in claimed}
        begins = {b.symbol: c[f"{b.name}[0]"] for b in blocks}
        equations |= {f"{b.name} starts there": Equation(b.init, begins[b.symbol]) for b in blocks}
        at_start = substitute(method.output, begins)
        return {**equations, "the output starts at x0": Equation(at_start, start)}

    named = ", ".join(rf"{s} = {sp.latex(v)}" for s, v in method.tuning.items())
    return Step(
        "Identification",
        f"With ${named}$ the transfer function from the gradient to the point where it is taken is that of the "
        r"sequence $\xi^+ = (1+\beta)\xi - \beta\xi_- - \alpha\nabla f((1+\gamma)\xi - \gamma\xi_-)$, where $\xi_-$ "
        r"is the element before $\xi$ and the output is $(1+\delta)\xi - \delta\xi_-$, started from $\xi_{-1} = \xi_0 "
        "= x_0$. The blocks begin at $k = 0$ as given, $x_0$ being the starting point.",
        (
            *(Claim(n, v, "\\" + n) for n, v in claimed.items()),
            *(Claim(f"{b.name}[0]", b.init, rf"{symbol_latex(b.name)}|_{{k=0}}") for b in blocks),
        ),
        check,
        reference="Lessard, Recht and Packard 2016",
    )
