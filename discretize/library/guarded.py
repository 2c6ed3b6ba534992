"""Gradient and Newton methods whose steps are searched, or accepted and rejected, by the values of the function."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import blocks, inner
from ...dynamics.library import system
from ...dynamics.vector_fields.objective import Objective
from ..faces import Algorithm
from ..programs.control import Repeat, Select
from ..programs.stages import at
from ..programs.substeps import Flow, Integrator, Let, Scheme
from ..step.iteration import STEP

_HALVINGS = 100  # the change is below the rounding of every floating type before
x, f = blocks("x"), Objective("f")
s, gam = (sp.Symbol(name, real=True) for name in ("s", "gam"))


def armijo() -> Algorithm:
    """x+ = x - s grad f(x) with the first s of 2 s_-, s_-, s_-/2, ... for which f(x+) <= f(x) - c s |grad f(x)|^2.

    Explicit Euler of the gradient flow in a time of its own, x' = -s grad f(x), repeated from the same point until the
    guard holds; s_- is the length of the step before, and h of the first one. c is 1/2.
    """
    c = parameters("c")
    enough = f.value(x) <= f.value(at(x)) - c * s * STEP * inner(f.grad(at(x)), f.grad(at(x)))
    search = Repeat([Let({s: s / 2, x: at(x)}), Flow("descent", "explicit")], enough, _HALVINGS)
    return Algorithm(
        system("scaled_gradient_flow"),
        Scheme((Let({s: 4 * s}), search), "armijo"),
        tuning={c: sp.Rational(1, 2)},
        name="armijo",
        reference="armijo1966",
    )


def bold_driver() -> Algorithm:
    """x+ = x - s grad f(x) if f does not grow, and then s+ = 5 s/4; else x+ = x and s+ = s/2.

    Explicit Euler of the gradient flow in a time of its own, accepted or rejected; s begins with the step h.
    """
    return Algorithm(
        system("scaled_gradient_flow"),
        Scheme(
            (
                Flow("descent", "explicit"),
                Select(
                    f.value(x) <= f.value(at(x)),
                    accept=[Let({s: sp.Rational(5, 4) * s})],
                    reject=[Let({x: at(x), s: s / 2})],
                ),
            ),
            "accepted",
        ),
        name="bold_driver",
        reference="vogl1988",
    )


def gradient_regularized_newton() -> Algorithm:
    """x+ = x - (H + lam)^-1 g with lam = |g|/gam, accepted if f - f+ >= |g+|^2/(8 lam); gam doubles then, or is halved.

    The linearly implicit Euler step of the gradient flow over the time gam/|g|: of the flow along the arclength a
    W-method, with the Hessian of f for the derivative of the gradient. H = hess f(x), g = grad f(x), h = 1.
    """
    g, before = f.grad(x), f.grad(at(x))
    rate = gam / sp.sqrt(inner(g, g))
    newton = Integrator("linearly_implicit", operator=f.hessian(x) * -rate)
    radius = gam * STEP / sp.sqrt(inner(before, before))  # 1/lam
    return Algorithm(
        system("radius_flow"),
        Scheme(
            (
                Flow("descent", newton),
                Select(
                    f.value(at(x)) - f.value(x) >= inner(g, g) * radius / 8,
                    accept=[Let({gam: 2 * gam})],
                    reject=[Let({x: at(x), gam: gam / 2})],
                ),
            ),
            "accepted",
        ),
        tuning={STEP: 1},
        name="gradient_regularized_newton",
        reference="semenov2025",
    )
