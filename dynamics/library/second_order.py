"""Second-order flows: damped motion, the passive form, Hessian damping, relativistic motion, time-dependent scales."""

from __future__ import annotations

import sympy as sp

from ..algebra.scalars import parameters
from ..algebra.vectors import inner, zero
from ..flows.system import System
from ..vector_fields.block import Block, blocks, start
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
    return bound.with_fields(bound.fields, name="nesterov_sc")


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


def inertial_newton() -> System:
    """psi' = -alpha psi - (1 - alpha beta) grad f(y), y' = psi - beta grad f(y): DIN without the Hessian.

    y'' + alpha y' + beta H(y) y' + grad f(y) = 0, the dynamical inertial Newton flow of Alvarez, Attouch,
    Bolte and Redont: the passive form at K = alpha, a = beta, b = 1 - alpha beta, read at y.
    """
    K, a, b, alpha, beta = parameters("K a b alpha beta")
    bound = passive().bind({K: alpha, a: beta, b: 1 - alpha * beta})
    return System(
        bound.fields,
        output=blocks("y"),
        init={blocks("psi"): zero, blocks("y"): start},
        name="inertial_newton",
        provenance=ROUTE_A,
        references=("alvarez2002", "parimi2025"),
    )


def relativistic() -> System:
    """x' = v / sqrt(1 + delta |v|^2), v' = -gam v - grad f(x), where 1 / sqrt(delta) is the greatest speed.

    With v = p / m, c^2 = 1 / delta and time in units of sqrt(m) this is x' = c p / sqrt(|p|^2 + m^2 c^2),
    p' = -gam p - grad f(x) (Franca, Sulam, Robinson and Vidal); delta = 0 is the heavy ball's flow.
    """
    x, v = blocks("x v")
    gam, delta = parameters("gam delta")
    return System(
        {
            "damp": {v: -gam * v},
            "kick": {v: -Objective("f").grad(x)},
            "drift": {x: v / sp.sqrt(1 + delta * inner(v, v))},
        },
        output=x,
        name="relativistic",
        references=("franca2020",),
    )


def nag_flow() -> System:
    """x' = v - x - a grad f(x), gam v' = mu (x - v) - grad f(x), gam' = mu - gam, with feed-through a.

    At a = 0 the flow of Luo and Chen for a moving scale gam, here from gam(0) = mu, where it stays.
    """
    x, v = blocks("x v")
    gam, a = sp.Symbol("gam", real=True), parameters("a")
    g = Objective("f").grad(x)
    return System(
        {
            "coupling": {x: v - x},
            "law": {x: -a * g, v: (x - v) * (mu / gam) - g / gam},
            "scale": {gam: mu - gam},
        },
        blocks=[Block("gam", "scalar", init=mu)],
        output=x,
        init={x: start, v: start},
        name="nag_flow",
        references=("luo2022",),
    )
