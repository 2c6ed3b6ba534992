"""Sums of two operators, and flows anchored at their starting points."""

from __future__ import annotations

from ..algebra.scalars import parameters
from ..algebra.vectors import blocks, zero
from ..flows.system import System
from ..vector_fields.block import Block, start
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
