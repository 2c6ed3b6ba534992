"""Accelerated methods from the (x, z) form with a time-dependent scale tau: one scheme for c = 1 and c = 2.

In a step the scale goes from theta, at which the coupling is taken, to tau+, at which the law is taken in
one explicit step, and on to the theta of the next step:

    tau+ = (theta + h) / (1 + mu h theta),    theta tau+ = tau^2                    (c = 1, implicit coupling)
                                              theta^2 = h^2 + (1 - mu h^2) tau^2    (c = 2, Cayley coupling)

This is MATH b.5's recurrence for T = tau / h with its divisions by T cancelled, so that tau = 0 (eta =
infinity) can start. Carrying theta between the steps keeps the gradient point rational in the state.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.scalars import as_scalar, parameters
from ...dynamics.algebra.vectors import Vector
from ...dynamics.library.model_family import MEMBERS, family
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..programs.substeps import Flow, Integrator, Let, Scheme
from ..step.iteration import STEP

TAU = sp.Symbol("tau", real=True)
COUPLING = {1: "implicit", 2: "cayley"}


def half_way(c: int, convexity: sp.Expr = mu, tau: sp.Expr = TAU, h: sp.Expr = STEP) -> sp.Expr:
    """theta as a function of tau.

    Args:
        c: the member, 1 or 2.
        convexity: mu or 0.
        tau: at the start of the step.
        h: the step, 1 / sqrt(L).

    Raises:
        OdescentError: another c.
    """
    if c not in COUPLING:
        raise OdescentError(
            f"the discrete form of the model family exists for c = 1 and c = 2, not c = {c}."
        )
    if c == 2:
        return sp.sqrt(h**2 + (1 - convexity * h**2) * tau**2)
    slope = h * (1 - convexity * tau**2)
    return (sp.sqrt(slope**2 + 4 * tau**2) - slope) / 2


def whole_way(theta: sp.Expr = TAU, convexity: sp.Expr = mu, h: sp.Expr = STEP) -> sp.Expr:
    """tau+ as a function of theta: the addition theorem of tanh, for sqrt(mu) tau and sqrt(mu) h.

    Args:
        theta: half way through the step.
        convexity: mu or 0.
        h: the step, 1 / sqrt(L).
    """
    return (theta + h) / (1 + convexity * h * theta)


def riccati_splitting(c: int, convexity: sp.Expr = mu) -> Scheme:
    """The coupling at theta, the scale to tau+, the law there in one explicit step, the scale to the next theta."""
    return Scheme(
        (
            Flow(("coupling",), Integrator(COUPLING[c])),
            Let({TAU: whole_way(TAU, convexity)}),
            Flow(("law",), Integrator("explicit")),
            Let({TAU: half_way(c, convexity)}),
        ),
        "riccati_splitting",
    )


def discretized(
    c: int,
    convexity: object = mu,
    begin: object = 0,
    *,
    outputs: Mapping[str, Vector] | None = None,
    name: str = "",
    reference: str = "",
) -> Algorithm:
    """The member with that c, mu (or 0) and tau(0), on its system, with feed-through a = h and h = 1 / sqrt(L).

    tau(0) = 1 / sqrt(mu) is the fixed point, where c = 1 is Nesterov's method and c = 2 triple momentum.

    Args:
        c: the member, 1 or 2.
        convexity: mu or 0.
        begin: tau(0).
        outputs: further recorded expressions by name.
        name: of the algorithm.
        reference: its source.
    """  # fmt: skip
    mu_ = as_scalar(convexity)
    return Algorithm(
        family(c, mu_, canonical(half_way(c, mu_, as_scalar(begin)))),
        riccati_splitting(c, mu_),
        where={parameters("a"): STEP},
        tuning={STEP: 1 / sp.sqrt(L)},
        outputs=outputs,
        name=name,
        reference=reference,
    )  # fmt: skip


def gradient_point(c: int) -> Vector:
    """The next gradient point in the blocks, which is x after the coupling, for c = 1 and 2."""
    x, z = blocks("x z")
    point: Vector = (x * (TAU - (c - 1) * STEP) + z * (c * STEP)) / (TAU + STEP)
    return point


def _member(name: str, reference: str) -> Algorithm:
    m = MEMBERS[name]
    point = {"y": gradient_point(m.c)}
    return discretized(m.c, m.convexity, m.start, outputs=point, name=name, reference=reference)


def fista() -> Algorithm:
    """Nesterov's method for convex f with t_{k+1}^2 - t_{k+1} = t_k^2: c = 1, mu = 0, tau = h t from 0.

    y = (1 - 1/t) x + z/t, x+ = y - s g, z+ = z - t s g with s = 1/L and t_0 = 1: momentum
    (t_{k-1} - 1) / t_k. The output is x; the next gradient point y is recorded.
    """
    return _member("nesterov_c", "beck2009")


def ogm() -> Algorithm:
    """The optimized gradient method: c = 2, mu = 0, tau = 2 h theta_k in the notation of Kim and Fessler.

    The output is x_k = y_{k-1} - g(y_{k-1}) / L (their y_k); the next gradient point y is recorded. The
    smaller last factor of their worst-case bound belongs to a last step that is not made here.
    """
    return _member("ogm", "kim2016")


def item() -> Algorithm:
    """The information-theoretic exact method: c = 2, tau from 0 to the steady 1 / sqrt(mu).

    The output is x_k = y_{k-1} - g(y_{k-1}) / L; z, for which the guarantee holds, is a state, and the next
    gradient point y is recorded.
    """
    return _member("item", "taylor2023")


def unified_nesterov() -> Algorithm:
    """Nesterov's method for any mu >= 0: c = 1, tau from 0 to the steady 1 / sqrt(mu).

    At the beginning it is the method for convex f, in the end the one for strongly convex f
    (constant step scheme I). The output is x; the next gradient point y is recorded.
    """
    return _member("unified_nesterov", "nesterov2004")
