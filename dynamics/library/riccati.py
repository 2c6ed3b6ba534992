"""Flows of matrices with a quadratic term: inverses, polar factors, and preconditioners built from outer products."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.brief import short
from ..algebra.operators import diagonal_operator, linear_solve
from ..algebra.products import apply, identity, kronecker, outer, transpose
from ..algebra.scalars import as_scalar, parameters
from ..algebra.vectors import Vector, inner
from ..flows.system import System
from ..vector_fields.block import Block, blocks, start
from ..vector_fields.maps import Map
from ..vector_fields.objective import Objective


def riccati_flow() -> System:
    """M' = (M - M S M)/T with S and b held: M^-1 tends to S at the rate 1/T, and M b to the solution of S w = b.

    For least squares S = X^T X and b = X^T y; they are blocks, so that a run starts from them.
    """
    M, S = blocks("M S", kind="symmetric")
    b, T = blocks("b"), parameters("T")
    rate = (M - apply(M, apply(S, M))) / T
    return System(
        {"flow": {M: rate}, "hold": {S: S * 0, b: b * 0}},
        output=apply(M, b),
        init={M: identity, S: identity, b: start},
        name="riccati_flow",
        references=("schulz1933",),
    )


def orthogonalization_flow() -> System:
    """X' = X (1 - X^T X)/2: singular values follow s' = s (1 - s^2)/2 and tend to 1, X to its polar factor."""
    X = blocks("X", kind="matrix")
    rate = (X - apply(X, apply(transpose(X), X))) / 2
    return System(
        {"flow": {X: rate}}, output=X, init={X: diagonal_operator(start)}, name="orthogonalization_flow",
        references=("bjorck1971",),
    )  # fmt: skip


def inverse_filter(leak: bool = False) -> System:
    """P' = -P g g^T P, x' = -P g with g = grad f(x): P^-1 is the sum of all g g^T.

    ``leak`` makes it P' = (P - P g g^T P)/T: P^-1 is their average over the time T.
    """
    P, x, T = blocks("P", kind="symmetric"), blocks("x"), parameters("T")
    d: Vector = apply(P, Objective("f").grad(x))
    rate = (P - outer(d, d)) / T if leak else -outer(d, d)
    return System(
        {"filter": {P: rate}, "descent": {x: -d}}, output=x, init={P: identity, x: start},
        name="inverse_filter", references=("sherman1950",),
    )  # fmt: skip


def mkor(leak: str = "inverse", rescaled: bool = True, factors: int = 1) -> System:
    """A factor P of MKOR: P' = -kap P g g^T P with a leak, and x' = -P g rescaled to the length of g = grad f(x).

    ``leak`` is that of the inverse, P' = gam (1 - P), or of the "factor" Q = P^-1, Q' = -gam Q, which is P' = gam P.
    With two ``factors`` x is a matrix, P learns the statistic b(x) of its rows and Q the a(x) of its columns, both
    maps, and x' = -P g Q.
    """
    check_choice("leak called", leak, ("inverse", "factor"))
    if factors not in (1, 2):
        raise OdescentError(f"mkor has 1 or 2 factors, not {short(factors)}.")
    if factors == 2:
        return _of_two_factors(leak, rescaled)
    P, x = blocks("P", kind="symmetric"), blocks("x")
    gam, kap = parameters("gam kap")
    g = Objective("f").grad(x)
    d: Vector = apply(P, g)
    learn = -outer(d, d) * kap
    inverse = {"leak": {P: (identity - P) * gam}, "rank_one": {P: learn}}
    fields = inverse if leak == "inverse" else {"rank_one": {P: learn + P * gam}}
    move = _rescaled(-d, g) if rescaled else -d
    return System(
        {**fields, "descent": {x: move}}, output=x, init={P: identity, x: start},
        name="mkor", references=("mozaffari2023",),
    )  # fmt: skip


def _of_two_factors(leak: str, rescaled: bool) -> System:
    P, Q = blocks("P Q", kind="symmetric")
    x, (gam, kap) = blocks("x"), parameters("gam kap")
    g = Objective("f").grad(x)
    fields: dict[str, dict[Any, Vector]] = {}
    if leak == "inverse":
        fields["leak"] = {s: (identity - s) * gam for s in (P, Q)}
    for name, s, statistic in (("rows", P, "b"), ("columns", Q, "a")):
        moved = apply(s, Map(statistic)(x))
        learn: Vector = -outer(moved, moved) * kap
        fields[name] = {s: learn if leak == "inverse" else learn + s * gam}
    d: Vector = apply(kronecker(P, Q), g)
    fields["descent"] = {x: _rescaled(-d, g) if rescaled else -d}
    return System(
        fields, output=x, init={P: identity, Q: identity, x: start}, name="mkor", references=("mozaffari2023",)
    )  # fmt: skip


def regularized_newton_flow(
    held: bool = False, operator: str = "hessian", power: object = 1
) -> System:
    """x' = -(H + |g|/gam)^-1 g with g = grad f(x) and its derivative H: no faster than gam where H is positive.

    With ``held`` gam is a block that the flow holds, from 1 on, for a method to set from step to step. The ``operator``
    "gauss_newton" has J^T J in the place of H, J the Jacobian of a map c: of residuals, or of the losses of n rows over
    sqrt(n), which makes it the empirical Fisher matrix. The ``power`` a makes the regularization |g|^a/gam: the rule
    lam |g|^a of arXiv:2208.05888.
    """
    check_choice("operator", operator, ("hessian", "gauss_newton"))
    x, f = blocks("x"), Objective("f")
    radius = Block("gam", "scalar", "coefficient", sp.S.One)
    gam = radius.symbol if held else parameters("gam")
    g = f.grad(x)
    regularization = sp.sqrt(inner(g, g)) ** as_scalar(power) / gam
    curved = f.hessian(x)
    if operator == "gauss_newton":
        jacobian = Map("c").jacobian(x)
        curved = apply(transpose(jacobian), jacobian)
    descent = {x: -linear_solve(curved + identity * regularization, g)}
    return System(
        {"descent": descent, "hold": {gam: sp.S.Zero}} if held else {"descent": descent},
        blocks=[radius] if held else (),
        output=x,
        name="regularized_newton_flow",
        references=("doikov2024",),
    )


def _rescaled(d: Vector, g: Vector) -> Vector:
    """The direction d at the length of g."""
    scaled: Vector = d * (sp.sqrt(inner(g, g)) / sp.sqrt(inner(d, d)))
    return scaled
