"""Second-order structure-preserving methods: conformal symplectic, dissipative, relativistic."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..programs.substeps import Flow, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme

_HALF = sp.Rational(1, 2)


def nesterov_look_ahead() -> Algorithm:
    """v+ = beta v - h grad f(x + h beta v), x+ = x + h v+: Nesterov's method on x'' + 2 sqrt(mu) x' + grad f.

    Cayley's rule makes beta = (1 - q)/(1 + q) of the damping, q = sqrt(mu) h; the gradient is read
    where the damped velocity leads (Muehlebach and Jordan). h = 1 / sqrt(L).
    """
    return Algorithm(
        system("heavy_ball"),
        scheme("look_ahead", by="cayley"),
        where={parameters("c"): 2 * sp.sqrt(mu)},
        tuning={STEP: 1 / sp.sqrt(L)},
        name="nesterov_look_ahead",
        reference="muehlebach2019",
    )


def conformal_heavy_ball() -> Algorithm:
    """v+ = e^(-c h) v - h grad f(x), x+ = x + h v+: heavy ball as conformal symplectic Euler.

    The exact flow of the damping, then symplectic Euler: the momentum is e^(-c h), the step size h^2,
    and the area in the plane of each mode shrinks as in the flow, by e^(-c h). h and c are free.
    """
    return Algorithm(
        system("heavy_ball"),
        scheme("lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]),
        name="conformal_heavy_ball",
        reference="franca2020",
    )


def dissipative_leapfrog() -> Algorithm:
    """Strang's composition of exact damping, kick and drift on x'' + c x' + grad f = 0: order 2.

    The gradient at the end of a step is the one at the beginning of the next: one call a step. h and
    c are free.
    """
    return Algorithm(
        system("heavy_ball"),
        scheme("strang", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]),
        name="dissipative_leapfrog",
        reference="franca2021",
    )


def inertial_newton() -> Algorithm:
    """Explicit Euler on y'' + alpha y' + beta H y' + grad f(y) = 0 without the Hessian: INNA.

    In psi = y' + beta grad f(y), a linear change of the phase variable of Castera and others, which
    explicit Euler does not see. h, alpha and beta are free.
    """
    return by_euler(system("inertial_newton"), "inertial_newton", "castera2021")


def relativistic(splitting: str = "strang") -> Algorithm:
    """Relativistic gradient descent: exact damping, drift and kick composed symmetrically, order 2.

    ``splitting`` "strang" drifts by half before and after the kick (alpha = 1 of Franca, Sulam,
    Robinson and Vidal); "look_ahead" only looks ahead along the drift (alpha = 0), order 1. At
    delta = 0 the first is heavy ball at the middle points, the second Nesterov's form, both with
    momentum e^(-gam h). h, gam and delta are free.
    """
    if splitting == "strang":
        parts = [("damp", "exact"), ("drift", "explicit"), ("kick", "explicit")]
        chosen = scheme("strang", parts)
    elif splitting == "look_ahead":
        chosen = Scheme(
            (
                Flow("damp", "exact", _HALF),
                Flow("drift", "explicit", save="ahead", commit=False),
                Flow("kick", "explicit", read={"x": "ahead"}),
                Flow("drift", "explicit"),
                Flow("damp", "exact", _HALF),
            ),
            "look_ahead",
        )
    else:
        raise OdescentError(
            f"splitting of relativistic must be 'strang' or 'look_ahead', not {short(splitting)}."
        )
    return Algorithm(system("relativistic"), chosen, name="relativistic", reference="franca2020")


def nag_flow() -> Algorithm:
    """Luo and Chen's flow, coupling by implicit Euler, law in one explicit step: Nesterov's method at gam = mu.

    In this time h = sqrt(mu / L), and the feed-through is a = h / mu. The scale gam takes an implicit step.
    """
    a = parameters("a")
    parts = [("coupling", "implicit"), ("law", "explicit"), ("scale", "implicit")]
    return Algorithm(
        system("nag_flow"), scheme("lie_trotter", parts), where={a: STEP / mu},
        tuning={STEP: sp.sqrt(mu / L)}, outputs={"v": blocks("v")}, name="nag_flow",
        reference="luo2022",
    )  # fmt: skip
