"""Steps that every derivation ends with: the map, its flows, its identification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from odescent.dynamics.calculus import Symbol, substitute
from odescent.dynamics.fields import start
from odescent.dynamics.show import symbol_latex
from odescent.dynamics.vectors import Expr, Vector, VectorSymbol

from ..derivation import Claim, Step
from ..iteration import Algorithm


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
    """The claimed map of one step, the step h free, against the program that the scheme makes.

    ``points`` names intermediate points; a claim may use them and the ``after`` of claims before it.
    """
    named = points or {}

    def check(c: Mapping[str, Any]) -> dict[str, Any]:
        made = method.program.update_map()
        known: dict[Symbol, Expr] = {s: c[s.name] for s in named}
        residuals = {}
        for s in claimed:
            value = substitute(c[f"{s}+"], known)
            known[after(s)] = value
            residuals[f"{s}+ of the program"] = made[s] - value
        return residuals

    claims = [Claim(s.name, e, symbol_latex(s.name)) for s, e in named.items()]
    claims += [Claim(f"{s}+", e, symbol_latex(f"{s}+")) for s, e in claimed.items()]
    return Step(title, statement, tuple(claims), check)


def equation_residual(
    method: Algorithm, limit: Vector, modified: Vector, of: Expr | None = None
) -> Step:
    """The limit flow and the modified equation through O(h), as left-hand sides of x'' + ... = 0.

    They are equations of the output, or of another expression ``of``.
    """

    def check(c: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "limit flow": method.consistent_with().second_order(of).lhs - c["limit"],
            "modified equation": method.modified_equation(1).second_order(of).lhs - c["modified"],
        }

    return Step(
        "Limit and modified equation",
        r"As $h \to 0$ the sequence follows $\ddot x + (\mathrm{limit}) = 0$, and to the next order, by backward error "
        r"analysis, $\ddot x + (\mathrm{modified}) = O(h^2)$. Both differ from the bound system, "
        r"which is exact at the given $h$.",
        (
            Claim("limit", limit, r"\mathrm{limit}"),
            Claim("modified", modified, r"\mathrm{modified}"),
        ),
        check,
        reference="Hairer, Lubich and Wanner 2006, IX.1",
    )


def coefficient_residuals(method: Algorithm, claimed: Mapping[str, sp.Expr]) -> Step:
    """The tuned method in the three-parameter form, and its start."""

    def check(c: Mapping[str, Any]) -> dict[str, Any]:
        found = method.coefficients
        residuals: dict[str, Any] = {name: found[name] - c[name] for name in claimed}
        initial = {b.symbol: b.init for b in method.tuned.blocks}
        residuals["the output starts at x0"] = substitute(method.output, initial) - start
        return residuals

    named = ", ".join(rf"{s} = {sp.latex(v)}" for s, v in method.tuning.items())
    return Step(
        "Identification",
        rf"With ${named}$ the transfer function from the gradient to the point where it is taken is that of "
        r"$\xi^+ = (1+\beta)\xi - \beta\xi_- - \alpha\nabla f((1+\gamma)\xi - \gamma\xi_-)$, read "
        r"at $(1+\delta)\xi - \delta\xi_-$, "
        r"started from $\xi_{-1} = \xi_0$.",
        tuple(Claim(n, v, "\\" + n) for n, v in claimed.items()),
        check,
        reference="Lessard, Recht and Packard 2016",
    )
