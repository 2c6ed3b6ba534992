"""First-order flows of one gradient."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..algebra.operators import linear_solve
from ..algebra.products import elementwise, identity
from ..algebra.scalars import as_scalar, parameters
from ..algebra.vectors import Vector, inner, zero
from ..flows.system import System
from ..vector_fields.block import Block, blocks, start
from ..vector_fields.maps import Map
from ..vector_fields.objective import Objective
from ..vector_fields.system import Field
from .sampled import gradient_of_batch


def gradient_flow(objective: str = "f") -> System:
    """x' = -grad f(x)."""
    x = blocks("x")
    f = Objective(objective)
    return System({"descent": {x: -f.grad(x)}}, name="gradient_flow")


def scaled_gradient_flow(more: Sequence[Block] = ()) -> System:
    """x' = -s grad f(x) with a number s that the flow holds: the gradient flow in a time of its own.

    A method may set s from step to step: the length of its step, where h is 1. ``more`` are further numbers that the
    flow holds.
    """
    x, held = blocks("x"), [Block("s", "scalar", "coefficient", sp.S.One), *more]
    fields = {
        "descent": {x: -Objective("f").grad(x) * held[0].symbol},
        "hold": {b.symbol: 0 for b in held},
    }
    return System(fields, blocks=held, output=x, name="scaled_gradient_flow")


def saddle_flow(operator: str = "F") -> System:
    """z' = -F(z) for a monotone operator: descent-ascent for a game, or a gradient."""
    state = blocks("z")
    return System({"flow": {state: -Objective(operator).operator(state)}}, name="saddle_flow")


def newton_flow(regularized: bool = False) -> System:
    """x' = -H(x)^-1 grad f(x), with H the derivative of grad f: grad f decays as e^-t.

    ``regularized`` makes it (H(x) + lam I)^-1 grad f(x) with a parameter lam.
    """
    x, f = blocks("x"), Objective("f")
    shift = identity * parameters("lam") if regularized else zero
    direction: Vector = linear_solve(f.hessian(x) + shift, f.grad(x))
    return System(
        {"descent": {x: -direction}}, output=x, name="newton_flow", references=("smale1976",)
    )


def rescaled_flow(p: object = None) -> System:
    """x' = -grad f(x) / |grad f(x)|: at unit speed, along the gradient flow's paths.

    A number ``p`` > 1 gives x' = -grad f(x) / |grad f(x)|^((p - 2)/(p - 1)) instead: p = 2 is the
    gradient flow, and p -> infinity the flow at unit speed.
    """
    x = blocks("x")
    g = Objective("f").grad(x)
    power = sp.S.One
    if p is not None:
        number = as_scalar(p)
        if not (number.is_number and number > 1):
            raise OdescentError(
                f"p of the rescaled flow must be a number more than 1, not {short(p)}."
            )
        power = (number - 2) / (number - 1)
    return System(
        {"descent": {x: -g / inner(g, g) ** (power / 2)}},
        output=x,
        name="rescaled_flow",
        references=("cortes2006",),
    )


def adagrad_norm(batched: bool = False) -> System:
    """x' = -g / sqrt(w + eps), w' = |g|^2 with g = grad f(x): f + 2 sqrt(w + eps) is a first integral.

    Where it is ``batched``, g is the gradient over b random rows, a number from b0 on that a method may change.
    """
    x, w = blocks("x"), blocks("w", kind="scalar")
    eps = parameters("eps")
    g, held, rows = gradient_of_batch(x, batched)
    return System(
        {"sum": {w: inner(g, g)}, "drift": {x: -g / sp.sqrt(w + eps)}, **held},
        blocks=rows,
        output=x,
        init={w: 0},
        name="adagrad_norm",
        references=("ward2019",),
    )


def diagonally_preconditioned_gradient() -> System:
    """x' = -D^-1 grad f(x), d' = 0: D is the diagonal d of f's Hessian at x0, an oracle "map"; for A x = b, of A."""
    x, d = blocks("x d")
    slope = elementwise(lambda scale, g: g / scale, d, Objective("f").grad(x))
    return System(
        {"descent": Field({x: -slope, d: zero})},
        output=x,
        init={x: start, d: Map("hessian_diagonal")(start)},
        name="diagonally_preconditioned_gradient",
        references=("miyatake2018",),
    )
