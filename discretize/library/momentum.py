"""Momentum methods: the same two systems under different schemes; the passive form, its modes for pole placement."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TypeAlias

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector
from ...dynamics.library import system
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..programs.substeps import Scheme
from ..step.iteration import STEP
from .model_family import fista
from .schemes import scheme

Row: TypeAlias = tuple[sp.Expr, sp.Expr, sp.Expr]
Affine: TypeAlias = tuple[sp.Expr, Row]
_ELL = sp.Symbol("_ell", positive=True)


def passive_algorithm(
    beta: sp.Expr, a: sp.Expr, b: sp.Expr, smoothness: sp.Expr = L, lead: sp.Expr | None = None
) -> Algorithm:
    """The passive system by semi-implicit Euler at h = 1/sqrt(L), K = (1 - beta)/h; the output is y + lead h psi.

    Args:
        beta: the momentum.
        a: the feed-through, in units of h.
        b: the gain of the gradient.
        smoothness: L.
        lead: of the output; if given, the iterate xi of the three-parameter form is recorded too.
    """
    psi, y = blocks("psi y")
    gain, feed, back, ahead = parameters("K a b lead")
    passive = system("passive")
    where = {feed: a * STEP}
    outputs: dict[str, Vector] = {}
    if lead is not None:
        outputs["xi"] = y + iterate_lead(beta, a, b) * STEP * psi
        passive = passive.map(lambda e: e, output=y + ahead * psi)
        where[ahead] = lead * STEP
    root = sp.sqrt(smoothness)
    tuning = {gain: (1 - beta) * root, back: b, STEP: 1 / root}
    euler = scheme("semi_implicit_euler", order=("psi", "y"))
    return Algorithm(passive, euler, where=where, tuning=tuning, outputs=outputs, name="placed")


def iterate_lead(beta: sp.Expr, a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """w in xi = y + w h psi, from y = xi + gamma h v and psi = c v; 0 where psi is decoupled (b = 0).

    Args:
        beta: the momentum.
        a: the feed-through, in units of h.
        b: the gain of the gradient.
    """
    return sp.S.Zero if is_zero(b) else canonical(-a * beta / b)


def trace_and_determinant(matrix: sp.Matrix) -> tuple[sp.Expr, sp.Expr]:
    """Those of a two by two matrix, canonical; SymPy's own determinant simplifies on its way, which is slow."""
    one, two, three, four = matrix
    return canonical(one + four), canonical(one * four - two * three)


@functools.cache
def _affine() -> tuple[Affine, Affine]:
    """Trace and determinant as (constant, row) in (beta, s, t), read off the discretized passive system."""
    beta, a, s = sp.symbols("beta_0 a_0 s_0", real=True)
    matrix = passive_algorithm(beta, a, s - a).state_space().modal_matrix(_ELL * L)
    forms = []
    for e in trace_and_determinant(matrix):
        poly = sp.Poly(e, beta, s, a)
        found = {powers: poly.coeff_monomial(powers) for powers in poly.monoms()}
        if not found.keys() <= {(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 0, 1)}:
            raise AssertionError("trace and determinant are affine in beta, a + b and a beta")
        none, one, two, three = (
            found.get(powers, sp.S.Zero) for powers in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 0, 1))
        )
        forms.append((none, (one, two, three)))
    return forms[0], forms[1]


def modal_form(ell: sp.Expr) -> tuple[Affine, Affine]:
    """Trace and determinant of the mode ell = lambda / L, each as (constant, row) in (beta, s, t)."""
    trace, determinant = (
        (constant.subs(_ELL, ell), (x.subs(_ELL, ell), y.subs(_ELL, ell), z.subs(_ELL, ell)))
        for constant, (x, y, z) in _affine()
    )
    return trace, determinant


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
