"""Flows of games and constraints: sums of two operators, anchored flows, flows of the Lagrangian f(x) + <lam, c(x)>."""

from __future__ import annotations

from ..algebra.direct_sums import jacobian, part, stack
from ..algebra.gradients import gradient
from ..algebra.operators import linear_solve
from ..algebra.scalars import parameters
from ..algebra.vectors import Expr, VectorSymbol, inner, zero
from ..flows.system import System
from ..vector_fields.block import Block, blocks, start
from ..vector_fields.maps import Map
from ..vector_fields.objective import Objective


def composite_flow() -> System:
    """x' = -grad f(x) - grad r(x), where r is reached through its prox alone.

    For a nonsmooth convex r the gradient stands for the subdifferential: a differential inclusion
    (Lions and Mercier).
    """
    x = blocks("x")
    f, r = Objective("f"), Objective("r")
    return System(
        {"forward": {x: -f.grad(x)}, "backward": {x: -r.grad(x)}},
        output=x,
        name="composite_flow",
        references=("lions1979",),
    )


def anchored_flow() -> System:
    """z' = -F(z) + (anchor - z) / t, where the anchor stays at the starting point.

    Suh, Park and Ryu, with the anchor coefficient 1 / t.
    """
    z, anchor = blocks("z anchor")
    t = parameters("t")
    return System(
        {
            "flow": {z: -Objective("F").operator(z), anchor: zero},
            "anchoring": {z: (anchor - z) / t},
        },
        blocks=[Block("anchor", init=start)],
        output=z,
        time=t,
        name="anchored_flow",
        references=("suh2023",),
    )


def lagrangian_flow() -> System:
    """x' = -grad f(x) - Dc(x)^T lam, lam' = c(x): the saddle flow of the Lagrangian (Arrow, Hurwicz and Uzawa).

    The multiplier and the constraint exchange power without loss: with L = f + <lam, c> half the squared speed
    |x'|^2/2 + |lam'|^2/2 changes at the rate -<x', D^2 L x'>, the Hessian in x, whatever c is.
    """
    x, lam, lagrangian = _lagrangian()
    return System(
        {
            "primal": {x: -gradient(lagrangian, x)},
            "dual": {lam: gradient(lagrangian, lam)},
        },
        output=x,
        name="lagrangian_flow",
        references=("arrow1958",),
    )


def kkt_newton_flow() -> System:
    """F' = -F for F = (grad f(x) + Dc(x)^T lam, c(x)): Newton's flow of the conditions of Karush, Kuhn and Tucker.

    Both parts of F decay as e^-t, along straight lines.
    """
    x, lam, lagrangian = _lagrangian()
    rates = {s: gradient(lagrangian, s) for s in (x, lam)}
    step = linear_solve(jacobian(rates), stack({s: -rate for s, rate in rates.items()}))
    return System(
        {"newton": {x: part(step, x), lam: part(step, lam)}},
        output=x,
        name="kkt_newton_flow",
        references=("smale1976",),
    )


def _lagrangian() -> tuple[VectorSymbol, VectorSymbol, Expr]:
    x, lam = blocks("x lam")
    return x, lam, Objective("f").value(x) + inner(lam, Map("c")(x))
