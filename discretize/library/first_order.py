"""One-step methods on first-order flows, with steps that are given, searched, or accepted and rejected."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, inner
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.library.bilevel import F, G, hypergradient
from ...dynamics.vector_fields.block import Block, blocks, start
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.system import L, mu
from .. import controllers
from ..faces import Algorithm
from ..programs.control import Repeat
from ..programs.stages import at
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .schemes import scheme

x, f = blocks("x"), Objective("f")
s = sp.Symbol("s", real=True)
_TRIAL = Flow("descent", "explicit")
_MOST = 100_000  # steps of an inner solve
_STEPS = {"1/L": 1 / L, "2/(L+mu)": 2 / (L + mu)}


def by_euler(flow: System, name: str, reference: str, **settings: Any) -> Algorithm:
    """The method that an explicit Euler step of a system is.

    Args:
        flow: the system.
        name: of the method.
        reference: where it comes from, a key of the citations.
        settings: further arguments of `Algorithm`.

    Returns:
        the method, its step free unless the settings tune it.
    """
    return Algorithm(flow, scheme("explicit_euler"), name=name, reference=reference, **settings)


def gradient_descent(step: str = "1/L") -> Algorithm:
    """x+ = x - h grad f(x): explicit Euler on the gradient flow; step "1/L" or "2/(L+mu)"."""
    if step not in _STEPS:
        raise OdescentError(
            f"step of gradient descent must be {', '.join(map(repr, _STEPS))} or a number, not {short(step)}."
        )
    tuning = {STEP: _STEPS[step]}
    return by_euler(system("gradient_flow"), "gradient_descent", "cauchy1847", tuning=tuning)


def proximal_point() -> Algorithm:
    """x+ = prox_{h f}(x): implicit Euler on the gradient flow; the step h is free."""
    return Algorithm(
        system("gradient_flow"),
        scheme("implicit_euler"),
        name="proximal_point",
        reference="rockafellar1976",
    )


def extragradient() -> Algorithm:
    """z+ = z - h F(z - h F(z)): a look-ahead on z' = -F(z), then a step read there; h = 1/L."""
    return Algorithm(
        system("saddle_flow"), scheme("extragradient"), tuning={STEP: 1 / sp.Symbol("L", positive=True)},
        name="extragradient", reference="korpelevich1976",
    )  # fmt: skip


def armijo() -> Algorithm:
    """x+ = x - s grad f(x) with the first s of 2 s_-, s_-, s_-/2, ... for which f(x+) <= f(x) - c s |grad f(x)|^2.

    Explicit Euler of the gradient flow in a time of its own, x' = -s grad f(x), repeated from the same point until the
    guard holds; s_- is the length of the step before, and h of the first one. c is 1/2.
    """
    c = parameters("c")
    enough = f.value(x) <= f.value(at(x)) - c * s * STEP * inner(f.grad(at(x)), f.grad(at(x)))
    return Algorithm(
        system("scaled_gradient_flow"),
        Scheme(controllers.backtracking([_TRIAL], enough, s, [x]), "armijo"),
        tuning={c: sp.Rational(1, 2)},
        name="armijo",
        reference="armijo1966",
    )


def bold_driver() -> Algorithm:
    """x+ = x - s grad f(x) if f does not grow, and then s+ = 5 s/4; else x+ = x and s+ = s/2.

    Explicit Euler of the gradient flow in a time of its own, accepted or rejected; s begins with the step h.
    """
    enough = f.value(x) <= f.value(at(x))
    return Algorithm(
        system("scaled_gradient_flow"),
        Scheme((_TRIAL, *controllers.accepted(enough, s, [x], grow=sp.Rational(5, 4))), "accepted"),
        name="bold_driver",
        reference="vogl1988",
    )


def wolfe() -> Algorithm:
    """x+ = x - s grad f(x) with an s for which f decreases by c1 s |g|^2 or more, and <g+, g> is at most c2 |g|^2.

    The search doubles s, from the one before on, until it holds such steps, and bisects. c1 is 1/10000, c2 is 9/10.
    """
    c1, c2 = parameters("c1 c2")
    g = f.grad(at(x))
    bracket = controllers.Bracket.blocks()
    search = controllers.wolfe(
        [_TRIAL],
        f.value(x) <= f.value(at(x)) - c1 * s * STEP * inner(g, g),
        STEP * inner(f.grad(x), g) <= c2 * STEP * inner(g, g),  # both are zero where the step is
        s,
        [x],
        controllers.Bracket.of(bracket),
    )
    return Algorithm(
        system("scaled_gradient_flow", more=bracket),
        Scheme(search, "wolfe"),
        tuning={c1: sp.Rational(1, 10000), c2: sp.Rational(9, 10)},
        name="wolfe",
        reference="lewis2013",
    )


def implicit_bilevel() -> Algorithm:
    """x+ = x - h (F_x - G_xy v), y+ = y - (h/epsilon) G_y, v+ = v + (h/epsilon) (F_y - G_yy v), in one loop."""
    return by_euler(system("implicit_bilevel"), "implicit_bilevel", "dagreou2022")


def penalty_bilevel() -> Algorithm:
    """x+ = x - h (F_x + (G_x - G_x(x, z))/sigma) in one loop with descent on sigma F + G by y and on G by z.

    Their steps are h/epsilon and h/(rho epsilon).
    """
    return by_euler(system("penalty_bilevel"), "penalty_bilevel", "kwon2023")


def inexact_bilevel() -> Algorithm:
    """x+ = x - h s z with z = F_x - G_xy v, where y minimizes G and v solves G_yy v = F_y to two accuracies.

    Both are found by gradient steps 1/L, to |y - y*| <= eps and to a residual of delta. G is mu-strongly convex and
    L-smooth in y, |G_xy| is at most K, and with y the second derivatives of G change by at most M, the gradient of F by
    L_F. So |z - grad F(x, y*(x))| is at most (L_F + M |v|) eps + (K + M eps)(delta + (L_F + M |v|) eps)/mu. Where that
    exceeds |z|/2 the accuracies are halved. A step is accepted if F falls by h s |z|^2/10 whatever the errors of its
    values, and s, eps and delta double; else x stays, and what is to blame is halved. They begin with 1.
    """
    y, v, z = blocks("y v z")
    begun = {
        n: sp.Symbol(n, real=True) for n in ("eps", "delta", "s", "value", "noise", "promised")
    }
    eps, delta, size, value, noise, promised = begun.values()
    K, L_F, M = parameters("K L_F M")
    target, slope = F.grad(x, y, wrt="y"), G.grad(x, y, wrt="y")
    rest = G.grad(x, y, wrt="y", along=({"y": v},)) - target
    slow = F.grad(x, y, wrt="x") - G.grad(x, y, wrt="x", along=({"y": v},))
    changed = L_F + M * sp.sqrt(inner(v, v))
    error = changed * eps + (K + M * eps) * (delta + changed * eps) / mu
    of_value = sp.sqrt(inner(target, target)) * eps + L_F * eps**2 / 2

    def solved(block: Vector, residual: Vector, most: sp.Expr) -> Repeat:
        return Repeat(
            [Let({block: block - residual / L})],
            inner(residual, residual) <= most**2,
            _MOST,
            fixed_point=True,
        )

    both = [eps, delta]
    judged = controllers.certain_decrease(
        (value, F.value(x, y)), (noise, 0), promised, size, both, [x]
    )
    enough = sp.Rational(1, 10) * STEP * size * inner(z, z)
    kept = Let({value: F.value(x, y), noise: of_value, promised: enough})
    moved = (Let({x: x - STEP * size * z}), solved(y, slope, mu * eps))
    trial = [kept, *moved, Let({noise: noise + of_value}), *judged]
    memory = [Block(n, role="memory") for n in ("y", "v", "z")]
    scalars = [
        Block(n, "scalar", "coefficient", sp.Integer(n in ("eps", "delta", "s"))) for n in begun
    ]
    flow = System(
        {"upper": {x: -size * hypergradient()}}, blocks=[Block("x"), *memory, *scalars], output=x,
        init={x: start}, name="hypergradient_flow", references=("salehi2025",),
    )  # fmt: skip
    found = (solved(y, slope, mu * eps), solved(v, rest, delta), Let({z: slow}))
    return Algorithm(
        flow, Scheme((*found, *controllers.accurate(error, z, both, trial)), "inexact"),
        name="inexact_bilevel", reference="salehi2025",
    )  # fmt: skip
