"""Second-order flows: damped motion, and the passive form of accelerated methods."""

from __future__ import annotations

import sympy as sp

from ..algebra.scalars import parameters
from ..algebra.vectors import blocks, zero
from ..flows.system import System
from ..vector_fields.objective import Objective
from ..vector_fields.system import mu

ROUTE_A = (
    "Reconstructed: passivity and immersion with a passive interconnection, after the programme of "
    "arXiv:2509.18346; the formulas are this package's own derivation."
)


def heavy_ball() -> System:
    """x'' + c x' + grad f(x) = 0 as (x, v): damping, kick and drift apart."""
    x, v = blocks("x v")
    c = parameters("c")
    f = Objective("f")
    return System(
        {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}},
        output=x,
        name="heavy_ball",
        references=("polyak1964",),
    )


def passive() -> System:
    """psi' = -K psi - b grad f(y), y' = psi - a grad f(y), read at x = y - a psi.

    The interconnection of a gradient flow (feed-through a) with a damped memory: the canonical
    family y'' + (K + a H(y)) y' + (a K + b) grad f(y) = 0, in which a = 0 is heavy ball's flow.
    """
    psi, y = blocks("psi y")
    K, a, b = parameters("K a b")
    f = Objective("f")
    return System(
        {"damp": {psi: -K * psi}, "kick": {psi: -b * f.grad(y)}, "drift": {y: psi - a * f.grad(y)}},
        output=y - a * psi,
        init={psi: zero},
        name="passive",
        provenance=ROUTE_A,
        references=("parimi2025",),
    )


def nesterov_sc() -> System:
    """The passive form at K = 2 sqrt(mu), b = 1: Nesterov's flow for strongly convex f, feed-through a.

    At a = 0, x'' + 2 sqrt(mu) x' + grad f(x) = 0.
    """
    K, b = parameters("K b")
    bound = passive().bind({K: 2 * sp.sqrt(mu), b: 1})
    bound.name = "nesterov_sc"
    return bound


def nesterov_c() -> System:
    """psi' = -(3/t) psi - grad f(y), y' = psi - a grad f(y), read at x = y - a psi, with feed-through a.

    At a = 0, x'' + (3/t) x' + grad f(x) = 0: Nesterov's flow for convex f (Su, Boyd, Candes).
    """
    psi, y = blocks("psi y")
    a, t = parameters("a t")
    f = Objective("f")
    return System(
        {"damp": {psi: -3 * psi / t}, "kick": {psi: -f.grad(y)}, "drift": {y: psi - a * f.grad(y)}},
        output=y - a * psi,
        init={psi: zero},
        time=t,
        name="nesterov_c",
        references=("su2016",),
    )
