"""The three-parameter form of one-gradient momentum methods (Lessard, Recht, Packard; Van Scoy et al.)."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.exact import canonical, is_zero
from .state_space import StateSpace, z


def coefficients(system: StateSpace) -> dict[str, sp.Expr]:
    """alpha, beta, gamma, and delta where it exists, from the transfer functions to the gradient point and the output.

    The form's transfer function is -alpha ((1 + gamma) z - gamma) / ((z - 1) (z - beta)).
    Raises NotCarried if the algorithm has another structure.
    """
    if len(system.inputs) != 1 or any(system.D):
        raise NotCarried(
            "the three-parameter form has one explicit gradient call per step; this algorithm does not."
        )
    alpha, beta, gamma = _read(system.transfer()[0, 0])
    found = {"alpha": alpha, "beta": beta, "gamma": gamma}
    if system.output is not None:
        to_output = replace(system, C=system.output, D=sp.zeros(1, 1)).transfer()[0, 0]
        try:
            same_alpha, pole, delta = _read(to_output, beta)
        except NotCarried:  # an output that is no combination of xi and xi_-, such as a velocity
            return found
        if is_zero(same_alpha - alpha) and is_zero(pole - beta):
            found["delta"] = delta
    return found


def _read(transfer: sp.Expr, pole: sp.Expr | None = None) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """alpha, beta and the look-ahead of one transfer function."""
    numerator, denominator = sp.fraction(sp.together(transfer))
    top, bottom = sp.Poly(numerator, z), sp.Poly(denominator, z)
    if not is_zero(bottom.eval(1)):
        raise NotCarried(
            "the three-parameter form has an integrator (a pole at z = 1); this algorithm has none."
        )
    other = bottom.quo(sp.Poly(z - 1, z))
    if (
        other.degree() == 0
    ):  # a pole cancelled: any beta cancels against gamma; 0 is the plain choice
        beta = sp.S.Zero if pole is None else pole
        top, other = top * sp.Poly(z - beta, z), other * sp.Poly(z - beta, z)
    elif other.degree() == 1:
        beta = canonical(-other.nth(0) / other.nth(1))
    else:
        raise NotCarried("the three-parameter form has two states; this algorithm has more.")
    lead = other.nth(1)
    high, low = canonical(top.nth(1) / lead), canonical(top.nth(0) / lead)
    if top.degree() > 1:
        raise NotCarried("the three-parameter form is strictly causal; this algorithm is not.")
    alpha = canonical(-(high + low))
    return alpha, beta, canonical(low / alpha)
