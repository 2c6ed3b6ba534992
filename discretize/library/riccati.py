"""Methods with inverses: iterative ones, polar factors, rank-one updates, and the inverse of a window of gradients."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.operators import linear_solve
from ...dynamics.algebra.products import apply, identity, transpose
from ...dynamics.algebra.scalars import as_scalar, parameters
from ...dynamics.algebra.vectors import inner
from ...dynamics.algebra.windows import push
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.vector_fields.block import Block, blocks
from ...dynamics.vector_fields.objective import Objective
from .. import controllers
from ..faces import Algorithm
from ..programs.stages import at
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme

_T, _gam, _kap = parameters("T gam kap")


def iterative_newton() -> Algorithm:
    """M+ = 2 M - M S M with the output M b: explicit Euler on the Riccati flow with the step T.

    For least squares S = X^T X and b = X^T y, from M = a S with 0 < a < 2/|S|^2. All three are starting values by
    block: ``run(f, {M: ..., S: ..., b: ...}, steps)``.
    """
    return by_euler(system("riccati_flow"), "iterative_newton", "fu2024", tuning={STEP: _T})


def newton_schulz() -> Algorithm:
    """X+ = (3 X - X X^T X)/2: explicit Euler on the orthogonalization flow, h = 1; X tends to its polar factor."""
    flow = system("orthogonalization_flow")
    return by_euler(flow, "newton_schulz", "bjorck1971", tuning={STEP: sp.S.One})


def inverse_filter(leak: bool = False) -> Algorithm:
    """P+ = P - h P g g^T P/(1 + h <g, P g>), x+ = x - h P+ g with g = grad f(x); h is free.

    The filter is integrated exactly, so that P+^-1 = P^-1 + h g g^T. With ``leak`` P+^-1 is
    beta P^-1 + (1 - beta) g g^T with beta = exp(-h/T), free too, which suits gradients with noise.
    """
    beta = parameters("beta")
    parts = [("filter", "exact"), ("descent", "explicit")]
    return Algorithm(
        system("inverse_filter", leak=leak), scheme("lie_trotter", parts),
        tuning={_T: -STEP / sp.log(beta)} if leak else {}, name="inverse_filter", reference="sherman1950",
    )  # fmt: skip


def mkor(leak: str = "inverse", rescaled: bool = True, factors: int = 1) -> Algorithm:
    """P+ = Q - w Q g g^T Q/(1 + w <g, Q g>) after a leak to Q, x+ = x - h |g|/|P+ g| P+ g with g = grad f(x).

    One factor of MKOR, a matrix. ``leak`` "inverse": Q = (1 - c) P + c and w = 1, explicit Euler and then the exact
    flow; "factor": both in one exact flow, Q = P/(1 - c) and w = c, so that P+^-1 = (1 - c) P^-1 + c g g^T. c is 1/20,
    h is free. With two ``factors`` x is a matrix, P learns the map b(x) and Q the map a(x), the mean output gradient
    and the mean activation of a layer, and the direction is P+ g Q+; runs start by block, P and Q at identities.
    """
    c = sp.Rational(1, 20)
    learnt = ["rank_one"] if factors == 1 else ["rows", "columns"]
    parts = [*((name, "exact") for name in learnt), ("descent", "explicit")]
    tuning = {_gam: -sp.log(1 - c) / STEP, _kap: -sp.log(1 - c) / STEP}
    if leak == "inverse":
        parts, tuning = [("leak", "explicit"), *parts], {_gam: c / STEP, _kap: 1 / STEP}
    return Algorithm(
        system("mkor", leak=leak, rescaled=rescaled, factors=factors), scheme("lie_trotter", parts),
        tuning=tuning, name="mkor", reference="mozaffari2023",
    )  # fmt: skip


def regularized_newton(operator: str = "hessian", power: object = 1) -> Algorithm:
    """x+ = x - (H + |g|/gam)^-1 g with g = grad f(x) and its derivative H: no longer than gam where H is positive.

    Explicit Euler on its flow, h = 1. It is also the linearly implicit step of the gradient flow over the time gam/|g|,
    and of the flow at unit speed, with h = gam, the W-method with the operator -H/|g|. The radius gam is free. With the
    ``operator`` "gauss_newton" H is J^T J of a map c, with a ``power`` a the regularization is |g|^a/gam.
    """
    flow = system("regularized_newton_flow", operator=operator, power=power)
    return by_euler(flow, "regularized_newton", "doikov2024", tuning={STEP: sp.S.One})


def adaptive_regularized_newton(operator: str = "hessian", power: object = 1) -> Algorithm:
    """x+ = x - (H + lam)^-1 g with lam = |g|/gam, accepted if f - f+ >= |g+|^2/(8 lam); gam doubles then, or is halved.

    Explicit Euler on the regularized Newton flow, h = 1, whose radius gam is set from step to step, from 1 on. With the
    ``operator`` "gauss_newton" H is J^T J of a map c, with a ``power`` a it is lam = |g|^a/gam.
    """
    x, f = blocks("x"), Objective("f")
    gam = sp.Symbol("gam", real=True)
    g, before = f.grad(x), f.grad(at(x))
    # both sides times |g|^a, so that nothing is divided by a gradient of zero
    gain = 8 * (f.value(at(x)) - f.value(x)) * sp.sqrt(inner(before, before)) ** as_scalar(power)
    accepted = controllers.accepted(gain >= gam * inner(g, g), gam, [x])
    return Algorithm(
        system("regularized_newton_flow", held=True, operator=operator, power=power),
        Scheme((Flow("descent", "explicit"), *accepted), "accepted"),
        tuning={STEP: sp.S.One},
        name="adaptive_regularized_newton",
        reference="semenov2025",
    )


def m_fac(window: int | sp.Symbol = 32) -> Algorithm:
    """x+ = x - h (delta 1 + (1/m) G G^T)^-1 g, where the m columns of G are the last gradients, g among them.

    The matrix of the empirical Fisher information is inverted by a system of size m. ``window`` is m.
    """
    x = blocks("x")
    delta = parameters("delta")
    block = Block("G", history=window)
    G, m, g = block.symbol, block.history, Objective("f").grad(x)
    fisher = identity * delta + apply(G, transpose(G)) / m
    return Algorithm(
        System(
            {"descent": {x: -linear_solve(fisher, g)}}, blocks=[block], output=x, name="m_fac_flow"
        ),
        Scheme((Let({G: push(G, g)}), Flow("descent", "explicit")), "push_and_descend"),
        name="m_fac",
        reference="frantar2021",
    )
