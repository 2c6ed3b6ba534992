"""Stochastic flows."""

from __future__ import annotations

import sympy as sp

from ..fields import Diffusion, Field, System
from ..oracles import Objective
from ..vectors import blocks


def overdamped_langevin() -> System:
    """dX = -grad f(X) dt + sqrt(2) dW."""
    x = blocks("x")
    f = Objective("f")
    return System(
        {"flow": Field({x: -f.grad(x)}, {x: Diffusion(sp.sqrt(2))})}, name="overdamped_langevin",
        references=("roberts1996",),
    )  # fmt: skip
