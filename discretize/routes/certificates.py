"""Discrete Lyapunov functions as identities: a decrease written out as weighted inequalities of the class.

f* = 0 and x* = 0 throughout. Each slack is nonnegative for f in F(mu, L), and the weights are nonnegative:
the identity itself, expanded with the method's own program, is what is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol, inner, zero
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.objective import Objective
from ..faces import Algorithm
from ..proof.steps import Claim, Equation, Step
from ..step.iteration import STEP
from .shared import after

x, y, z = blocks("x y z")
old = VectorSymbol("y_old")  # the gradient point of the step before
f, h = Objective("f"), STEP


class WeightedSlack(NamedTuple):
    """A nonnegative slack with its weight."""

    name: str
    weight: sp.Expr
    slack: sp.Expr
    tex: str
    says: str


def square(v: Vector) -> sp.Expr:
    """|v|^2."""
    return inner(v, v)


def strong_convexity(u: Vector, v: Vector, mu: sp.Expr) -> sp.Expr:
    """f(u) - f(v) - <g(v), u - v> - mu |u - v|^2 / 2, where u = 0 is the minimizer.

    Args:
        u: a point.
        v: a point.
        mu: the strong convexity.

    Returns:
        a scalar, non-negative over the class.
    """
    value = f.value(u) if u else sp.S.Zero
    return value - f.value(v) - inner(f.grad(v), u - v) - mu / 2 * square(u - v)


def descent(u: Vector, v: Vector) -> sp.Expr:
    """f(u) - h^2 |g(u)|^2 / 2 - f(v), nonnegative at v = u - h^2 g(u) where h^2 <= 1 / L."""
    return f.value(u) - h**2 / 2 * square(f.grad(u)) - f.value(v)


def interpolation(u: Vector, v: Vector, mu: sp.Expr) -> sp.Expr:
    """The slack of F(mu, L) between two points, with L = 1 / h^2; u = 0 is the minimizer.

    f(u) - f(v) - <g(v), u - v> - |g(u) - g(v)|^2 / (2 L) - mu |u - v - (g(u) - g(v)) / L|^2 / (2 (1 - mu / L)).

    Args:
        u: a point.
        v: a point.
        mu: the strong convexity.

    Returns:
        a scalar, non-negative over the class.
    """
    value, slope = (f.value(u), f.grad(u)) if u else (sp.S.Zero, zero)
    change = slope - f.grad(v)
    moved = u - v - h**2 * change
    return (
        value - f.value(v) - inner(f.grad(v), u - v) - h**2 / 2 * square(change)
        - mu / (2 * (1 - mu * h**2)) * square(moved)
    )  # fmt: skip


def first_order_parts(
    weights: tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr], mu: sp.Expr
) -> tuple[WeightedSlack, ...]:
    """Convexity from x and from the minimizer to y, descent from y to x+, and what is left of |x - y|^2."""
    slacks = {
        "sigma_x": (strong_convexity(x, y, mu), "convexity from $y$ to $x$"),
        "sigma_*": (strong_convexity(zero, y, mu), "convexity from $y$ to $x^*$"),
        "sigma_d": (descent(y, after(x)), "a gradient step lowers $f$"),
        "sigma_q": (square(x - y), "a square"),
    }
    weighted = zip(slacks.items(), weights, strict=True)
    parts = tuple(WeightedSlack(n, w, slack, "\\" + n, says) for (n, (slack, says)), w in weighted)
    return parts if weights[3] != 0 else parts[:3]


def interpolation_parts(weights: tuple[sp.Expr, sp.Expr], mu: sp.Expr) -> tuple[WeightedSlack, ...]:
    """Interpolation from the gradient point before, and from the minimizer, to y."""
    return (
        WeightedSlack(
            "I(y_old, y)",
            weights[0],
            interpolation(old, y, mu),
            r"I(y_{\mathrm{old}}, y)",
            "interpolation between the last two gradient points",
        ),
        WeightedSlack(
            "I(x*, y)",
            weights[1],
            interpolation(zero, y, mu),
            r"I(x^*, y)",
            "interpolation between $x^*$ and $y$",
        ),
    )


def below_quadratic(mu: sp.Expr) -> sp.Expr:
    """f(y_old) - mu |y_old|^2 / 2 - |g(y_old) - mu y_old|^2 / (2 (L - mu)), with L = 1 / h^2."""
    slope = f.grad(old) - mu * old
    return f.value(old) - mu / 2 * square(old) - h**2 / (2 * (1 - mu * h**2)) * square(slope)


def certificate_step(
    method: Algorithm,
    statement: str,
    energy: sp.Expr,
    factor: sp.Expr,
    parts: tuple[WeightedSlack, ...],
    scalars: Mapping[sp.Symbol, sp.Expr] | None = None,
    ahead: Mapping[sp.Symbol, sp.Expr] | None = None,
    reference: str = "",
    title: str = "Discrete Lyapunov function",
) -> Step:
    """factor * E - E+ = the weighted slacks, for one step of the method's own program.

    Args:
        energy: E in x, z, or in ``old``, from which x = old - h^2 g(old), and z; f(x) is a value.
        scalars: what the scalar symbols in the claims are in the program's.
        ahead: what they become in E+.
        reference, statement, title: for the reader.
    """
    flat = method.program.inlined()
    (called,) = flat.calls
    known: dict[Symbol, Expr] = {y: called.point, **{after(s): e for s, e in method.program.update_map().items()
                                                    if isinstance(s, VectorSymbol)}}  # fmt: skip
    from_old: dict[Symbol, Expr] = {x: old - h**2 * f.grad(old)}

    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        later: dict[Symbol, Expr] = {x: after(x), z: after(z), old: y, **(ahead or {})}
        uses_old = any(old in symbols_of(p.slack) for p in parts)

        def in_the_state(e: sp.Expr) -> sp.Expr:
            e = substitute(substitute(e, known), scalars or {})
            return substitute(e, from_old) if uses_old else e

        decrease = c["lambda"] * c["E"] - substitute(c["E"], later)
        slacks = sp.Add(*[c[f"w({p.name})"] * c[p.name] for p in parts])
        return {
            "lambda E - E+ = weighted slacks": Equation(
                in_the_state(decrease), in_the_state(slacks)
            )
        }

    legend = "; ".join(f"${p.tex}$: {p.says}" for p in parts)
    summed = " + ".join(rf"w({p.tex})\,{p.tex}" for p in parts)
    claims = [Claim("E", energy), Claim("lambda", factor, r"\lambda")]
    for p in parts:
        claims += [Claim(p.name, p.slack, p.tex), Claim(f"w({p.name})", p.weight, rf"w({p.tex})")]
    return Step(
        title,
        rf"{statement} With $E^+$ the energy after the step, $\lambda E - E^+ = {summed}$, where the weights $w$ are "
        rf"not negative, nor are their factors for $f \in F(\mu, L)$ ({legend}).",
        tuple(claims),
        check,
        assumes=r"$f \in F(\mu, L)$, $x^* = 0$, $f^* = 0$, $L = 1/h^2$",
        reference=reference,
    )
