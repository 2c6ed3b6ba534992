"""First-order flows."""

from __future__ import annotations

from ..fields import System
from ..oracles import Objective
from ..vectors import blocks


def gradient_flow(objective: str = "f") -> System:
    """x' = -grad f(x)."""
    x = blocks("x")
    f = Objective(objective)
    return System({"descent": {x: -f.grad(x)}}, name="gradient_flow")


def saddle_flow(operator: str = "F") -> System:
    """z' = -F(z) for a monotone operator: descent-ascent for a game, or a gradient."""
    state = blocks("z")
    return System({"flow": {state: -Objective(operator).operator(state)}}, name="saddle_flow")
