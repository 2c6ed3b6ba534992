"""What tests of placed methods share: the three-parameter form as a textbook writes it, on one mode."""

import sympy as sp

from odescent.dynamics.algebra.exact import canonical, is_zero

r = sp.Symbol("r")


def same(one, other):
    return is_zero(canonical(one - other))


def textbook_map(alpha, beta, gamma, lam):
    """The map of (xi, xi_-) on a mode of the three-parameter form, as a textbook writes it."""
    now = [1 + beta - alpha * lam * (1 + gamma), -beta + alpha * lam * gamma]
    return sp.Matrix([now, [1, 0]])


def assert_placed(solution, wanted, tuned=None):
    """The three-parameter form with the found coefficients has the wanted poles: no code of the package."""
    c = {n: e.subs(tuned or {}) for n, e in solution.parameters.items()}
    for lam, poles in wanted.items():
        (m11, m12), (m21, m22) = textbook_map(c["alpha"], c["beta"], c["gamma"], lam).tolist()
        poly = r**2 - canonical(m11 + m22) * r + canonical(m11 * m22 - m12 * m21)
        if len(poles) == 2:
            poly = sp.expand(poly - (r - poles[0]) * (r - poles[1]))
        else:
            poly = poly.xreplace({r: sp.sympify(poles[0])})
        values = sp.Poly(poly, r).coeffs() if poly.has(r) else [poly]
        assert all(is_zero(canonical(v)) for v in values)
