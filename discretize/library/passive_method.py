"""The passive form as an algorithm, and its modes, for pole placement."""

from __future__ import annotations

import functools
from typing import TypeAlias

import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import parameters
from ...dynamics.algebra.vectors import Vector, blocks
from ...dynamics.library import system
from ...dynamics.vector_fields.system import L
from ..faces import Algorithm
from ..step.iteration import STEP
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
