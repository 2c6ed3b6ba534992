"""Flows of preconditioned gradients."""

from __future__ import annotations

from ..algebra.elementwise import elementwise
from ..algebra.vectors import blocks, zero
from ..flows.system import System
from ..vector_fields.block import start
from ..vector_fields.maps import Map
from ..vector_fields.objective import Objective
from ..vector_fields.system import Field


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
