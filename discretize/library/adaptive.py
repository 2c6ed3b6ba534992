"""Element-wise adaptive methods."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ..faces import Algorithm
from ..programs.substeps import Flow, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme


def adam() -> Algorithm:
    """Adam: averages by the exact exponential with the gradient frozen, then the drift at the step's end.

    beta1 = exp(-a h), beta2 = exp(-b h), learning rate h.
    """
    a, b, beta1, beta2 = parameters("a b beta1 beta2")
    flows = (Flow("first", "exact"), Flow("second", "exact"), Flow("drift", "explicit", time=1))
    return Algorithm(
        system("adam"),
        Scheme(flows, "adam"),
        tuning={a: -sp.log(beta1) / STEP, b: -sp.log(beta2) / STEP},
        name="adam",
        reference="kingma2015",
    )


def rmsprop() -> Algorithm:
    """v+ = beta2 v + (1 - beta2) g*g, x+ = x - h g / sqrt(v+ + eps): RMSprop with eps under the root.

    The average by the exact exponential with the gradient frozen, beta2 = exp(-b h), then the drift.
    """
    b, beta2 = parameters("b beta2")
    return Algorithm(
        system("rmsprop"),
        scheme("lie_trotter", [("second", "exact"), ("drift", "explicit")]),
        tuning={b: -sp.log(beta2) / STEP},
        name="rmsprop",
        reference="tieleman2012",
    )


def adagrad() -> Algorithm:
    """G+ = G + g*g, x+ = x - rate g / sqrt(G+ + delta): semi-implicit Euler with the step h = rate^2.

    The block is v = h G, and eps = h delta; an accumulator that starts at a value has it in delta.
    """
    eps, rate, delta = parameters("eps rate delta")
    return Algorithm(
        system("adagrad"),
        scheme("lie_trotter", [("second", "explicit"), ("drift", "explicit")]),
        tuning={STEP: rate**2, eps: rate**2 * delta},
        name="adagrad",
        reference="duchi2011",
    )


def adagrad_norm() -> Algorithm:
    """G+ = G + |g|^2, x+ = x - rate g / sqrt(G+ + delta), G a number: semi-implicit Euler with the step h = rate^2.

    The block is w = h G, and eps = h delta.
    """
    eps, rate, delta = parameters("eps rate delta")
    return Algorithm(
        system("adagrad_norm"),
        scheme("lie_trotter", [("sum", "explicit"), ("drift", "explicit")]),
        tuning={STEP: rate**2, eps: rate**2 * delta},
        name="adagrad_norm",
        reference="ward2019",
    )


def adaptive() -> Algorithm:
    """m+ = (1 - h r) m + h a g, v+ = (1 - h q) v + h p g*g, x+ = x - h m+ / sqrt(v+ + eps).

    Explicit Euler for both averages, then the drift. h, a, r, p, q and eps are free: a = r and p = q
    are averages, q = 0 a sum.
    """
    parts = [("first", "explicit"), ("second", "explicit"), ("drift", "explicit")]
    return Algorithm(
        system("adaptive"), scheme("lie_trotter", parts), name="adaptive",
        reference="dasilva2020",
    )  # fmt: skip


def sign_descent() -> Algorithm:
    """x+ = x - h sign(grad f(x)), element by element: explicit Euler; the step h is free."""
    return by_euler(system("sign_flow"), "sign_descent", "bernstein2018")


def normalized_gradient_descent() -> Algorithm:
    """x+ = x - h grad f(x) / |grad f(x)|: explicit Euler on the flow at unit speed; h is free."""
    return by_euler(system("rescaled_flow"), "normalized_gradient_descent", "cortes2006")
