"""The exact dictionary between the passive form (K, a, b) and the three-parameter form (alpha, beta, gamma).

The passive form is psi' = -K psi - b grad f(y), y' = psi - a grad f(y), stepped by semi-implicit Euler, psi
first, and read at the gradient point. Both directions come from the engine's transfer functions.
"""

from __future__ import annotations

import functools

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import as_scalar, parameters
from ...dynamics.library import system
from ..faces import Algorithm
from ..library.schemes import scheme
from ..step.iteration import STEP

_K, _A, _B = parameters("K a b")


@functools.cache
def _forward() -> dict[str, sp.Expr]:
    method = Algorithm(system("passive"), scheme("semi_implicit_euler", order=("psi", "y")))
    found = method.coefficients
    return {name: found[name] for name in ("alpha", "beta", "gamma")}


def three_parameters(K: object, a: object, b: object, h: object = STEP) -> dict[str, sp.Expr]:
    """alpha, beta and gamma of the passive form at step h; alpha = h^2 (a K + b).

    Args:
        K: the damping gain.
        a: the feed-through.
        b: the gain of the gradient.
        h: the step.
    """
    given = zip((_K, _A, _B, STEP), (K, a, b, h), strict=True)
    values = {symbol: as_scalar(value) for symbol, value in given}
    return {name: canonical(e.xreplace(values)) for name, e in _forward().items()}


def passive_parameters(
    alpha: object, beta: object, gamma: object, h: object = STEP
) -> dict[str, sp.Expr]:
    """K, a and b of the passive form whose step h has the coefficients alpha, beta and gamma.

    Args:
        alpha: the weight of the gradient.
        beta: the momentum of the iterate.
        gamma: the extrapolation of the gradient point.
        h: the step.

    Raises:
        OdescentError: beta = 0 with gamma != 0, where psi is not a coordinate of the method.
    """
    wanted = {"alpha": as_scalar(alpha), "beta": as_scalar(beta), "gamma": as_scalar(gamma)}
    step = as_scalar(h)
    if is_zero(wanted["beta"]):
        if not is_zero(wanted["gamma"]):
            raise OdescentError(
                f"at beta = 0 the passive form has gamma = 0, not {gamma}: psi has no memory from step to step."
            )
        return {"K": canonical(1 / step), "a": sp.S.Zero, "b": canonical(wanted["alpha"] / step**2)}
    found = _inverse()
    values = {sp.Symbol(f"{name}_", real=True): e for name, e in wanted.items()} | {STEP: step}
    return {name: canonical(e.xreplace(values)) for name, e in found.items()}


@functools.cache
def _inverse() -> dict[str, sp.Expr]:
    goals = {name: sp.Symbol(f"{name}_", real=True) for name in _forward()}
    unknowns = sp.symbols("K_ a_ b_")
    rename = dict(zip((_K, _A, _B), unknowns, strict=True))
    equations = [
        sp.fraction(sp.together(e.xreplace(rename) - goals[name]))[0]
        for name, e in _forward().items()
    ]
    (solution,) = sp.solve(equations, unknowns, dict=True)
    return {n: solution[u] for n, u in zip(("K", "a", "b"), unknowns, strict=True)}
