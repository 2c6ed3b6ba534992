"""Momentum methods: the same two systems under different schemes and bindings."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import blocks
from ...dynamics.library import system
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..programs.substeps import Scheme
from ..step.iteration import STEP
from .model_family import fista
from .passive_method import iterate_lead, passive_algorithm
from .schemes import scheme

_A = parameters("a")
_K_SYMBOL = sp.Symbol("k", integer=True, nonnegative=True)
_PASSIVE = [("kick", "explicit"), ("damp", "cayley"), ("drift", "explicit")]


def heavy_ball() -> Algorithm:
    """Polyak's method in his tuning: semi-implicit Euler on x'' + c x' + grad f = 0.

    The tuning is optimal on quadratics; over F(mu, L) the method need not converge from
    kappa = 9 + 4 sqrt(5) on.
    """
    return Algorithm(
        system("heavy_ball"),
        scheme("semi_implicit_euler", order=("v", "x")),
        tuning={
            STEP: 2 / (sp.sqrt(L) + sp.sqrt(mu)),
            parameters("c"): 2 * sp.sqrt(mu) / (1 + sp.sqrt(mu / L)),
        },
        name="heavy_ball",
        reference="polyak1964",
    )


def nesterov_sc() -> Algorithm:
    """Nesterov's method for strongly convex f: kick, Cayley damping, drift, with feed-through a = h."""
    return Algorithm(
        system("nesterov_sc"), scheme("lie_trotter", _PASSIVE), where={_A: STEP}, tuning={STEP: 1 / sp.sqrt(L)},
        name="nesterov_sc", reference="nesterov2004",
    )  # fmt: skip


def nesterov_c(momentum: str = "k_minus_1_over_k_plus_2") -> Algorithm:
    """Nesterov's method for convex f with momentum k/(k+3) at step k, counted from 0, or with FISTA's.

    The same scheme on x'' + (3/t) x' + grad f = 0 with t_k = (k + 3/2) h and the damping read at the end
    of the step, where Cayley's rule makes it (k+1)/(k+4), the momentum of the point to come. In the
    textbook's count, where step k produces x_k, this is (k-1)/(k+2).

    ``momentum="fista"`` is (t_{k-1} - 1)/t_k with t_{k+1}^2 - t_{k+1} = t_k^2; see `model_family.fista`.
    """
    if momentum == "fista":
        return fista()
    if momentum != "k_minus_1_over_k_plus_2":
        raise OdescentError(
            f"momentum of nesterov_c must be 'k_minus_1_over_k_plus_2' or 'fista', not {short(momentum)}."
        )
    passive = scheme("lie_trotter", _PASSIVE)
    at_the_end = Scheme(tuple(replace(flow, time=sp.S.One) for flow in passive.steps), passive.name)
    return Algorithm(
        system("nesterov_c"), at_the_end, where={_A: STEP}, tuning={STEP: 1 / sp.sqrt(L)},
        clock=(_K_SYMBOL + sp.Rational(3, 2)) * STEP, name="nesterov_c", reference="nesterov1983",
    )  # fmt: skip


def triple_momentum() -> Algorithm:
    """The triple momentum method: Cayley coupling at c = 2, then the law in one explicit step, a = h.

    The output is z; the iterate xi and the gradient point y are recorded beside the states.
    """
    x, z = blocks("x z")
    q = sp.sqrt(mu) * STEP
    rho = 1 - q
    gamma = rho**2 / ((1 + rho) * (2 - rho))
    delta = rho**2 / (1 - rho**2)
    point = ((1 - q) * x + 2 * q * z) / (1 + q)
    return Algorithm(
        system("triple_momentum"),
        scheme("lie_trotter", [("coupling", "cayley"), ("law", "explicit")]),
        where={_A: STEP},
        tuning={STEP: 1 / sp.sqrt(L)},
        outputs={"xi": (point * delta - z * gamma) / (delta - gamma), "y": point},
        name="triple_momentum",
        reference="vanscoy2018",
    )


def robust_momentum() -> Algorithm:
    """The robust momentum method: the passive form with the poles rho and rho^2 at mu, tuned by the rate rho.

    rho runs from 1 - sqrt(mu/L), the triple momentum method's and fastest, to 1 - mu/L, gradient descent's and most
    robust to noise in the gradient; at that end itself b = 0, and this form has no state
    to read xi off. The output is the iterate xi. K, a and b are what ``od.place_poles``
    finds for poles rho, rho^2 at mu and a = h.
    """
    rho = parameters("rho")
    ratio = mu / L
    beta = rho**3 / (1 - ratio)
    back = (1 - rho) ** 2 * (1 + rho) / ratio - (1 - beta)
    placed = passive_algorithm(beta, sp.S.One, back, lead=iterate_lead(beta, sp.S.One, back))
    return placed.replace(name="robust_momentum", reference="cyrus2018")
