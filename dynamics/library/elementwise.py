"""Flows that act on each coordinate separately."""

from __future__ import annotations

import sympy as sp

from ..algebra.products import elementwise, hadamard
from ..algebra.scalars import parameters
from ..flows.system import System
from ..vector_fields.block import blocks
from ..vector_fields.objective import Objective
from .sampled import gradient_of_batch


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


def rmsprop() -> System:
    """x' = -g / sqrt(v + eps), v' = b (g*g - v) with g = grad f(x): an average of g*g at the rate b."""
    x, v = blocks("x v")
    b, eps = parameters("b eps")
    g = Objective("f").grad(x)
    direction = elementwise(lambda v_, g_: g_ / sp.sqrt(v_ + eps), v, g)
    return System(
        {"second": {v: b * (hadamard(g, g) - v)}, "drift": {x: -direction}},
        output=x,
        name="rmsprop",
        references=("dasilva2020",),
    )


def adagrad(batched: bool = False) -> System:
    """x' = -g / sqrt(v + eps), v' = g*g with g = grad f(x): the sum of g*g instead of an average.

    Where it is ``batched``, g is the gradient over b random rows, a number from b0 on that a method may change.
    """
    x, v = blocks("x v")
    eps = parameters("eps")
    g, held, rows = gradient_of_batch(x, batched)
    direction = elementwise(lambda v_, g_: g_ / sp.sqrt(v_ + eps), v, g)
    return System(
        {"second": {v: hadamard(g, g)}, "drift": {x: -direction}, **held},
        blocks=rows,
        output=x,
        name="adagrad",
        references=("dasilva2020",),
    )


def adaptive(bias_corrected: bool = False) -> System:
    """m' = a g - r m, v' = p g*g - q v, x' = -m / sqrt(v + eps) with g = grad f(x).

    The general adaptive flow with constant coefficients. ``bias_corrected`` makes them a = r =
    a / (1 - exp(-a t)) and p = q = b / (1 - exp(-b t)) with rates a and b: the flow of Adam's
    corrected averages (da Silva and Gazeau).
    """
    x, m, v = blocks("x m v")
    a, r, p, q, eps, b, t = parameters("a r p q eps b t")
    g = Objective("f").grad(x)
    if bias_corrected:
        gain = leak = a / (1 - sp.exp(-a * t))
        gain2 = leak2 = b / (1 - sp.exp(-b * t))
    else:
        gain, leak, gain2, leak2 = a, r, p, q
    return System(
        {
            "first": {m: gain * g - leak * m},
            "second": {v: gain2 * hadamard(g, g) - leak2 * v},
            "drift": {x: -elementwise(lambda m_, v_: m_ / sp.sqrt(v_ + eps), m, v)},
        },
        output=x,
        time=t if bias_corrected else None,
        name="adaptive",
        references=("dasilva2020",),
    )


def sign_flow() -> System:
    """x' = -sign(grad f(x)), element by element."""
    x = blocks("x")
    direction = elementwise(sp.sign, Objective("f").grad(x))
    return System({"descent": {x: -direction}}, output=x, name="sign_flow", references=("ma2022",))
