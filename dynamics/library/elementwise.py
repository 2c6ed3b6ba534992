"""Flows that act on each coordinate by itself."""

from __future__ import annotations

import sympy as sp

from ..exact import parameters
from ..fields import System
from ..oracles import Objective
from ..vectors import blocks, elementwise, hadamard


def adam() -> System:
    """Averages m of g and v of g*g at the rates a and b, and x' = -mhat / (sqrt(vhat) + eps).

    mhat and vhat divide by 1 - exp(-a t) and 1 - exp(-b t): the flow of Adam with bias correction
    (Barakat and Bianchi, arXiv:1810.02263; da Silva and Gazeau, arXiv:1810.13108).
    """
    x, m, v = blocks("x m v")
    a, b, eps, t = parameters("a b eps t")
    g = Objective("f").grad(x)
    mean, square = 1 - sp.exp(-a * t), 1 - sp.exp(-b * t)
    direction = elementwise(lambda m_, v_: (m_ / mean) / (sp.sqrt(v_ / square) + eps), m, v)
    return System(
        {
            "first": {m: a * (g - m)},
            "second": {v: b * (hadamard(g, g) - v)},
            "drift": {x: -direction},
        },
        output=x,
        time=t,
        name="adam",
        references=("barakat2021", "dasilva2020"),
    )
