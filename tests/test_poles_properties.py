"""Random specifications: whatever the poles come from is found, and stability is what eigenvalues say."""

from fractions import Fraction

import numpy as np
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from placed import assert_placed, same

from odescent.discretize.pole_placement.placement import place_poles
from odescent.dynamics import L, mu
from odescent.dynamics.algebra.exact import canonical, is_zero

q = sp.sqrt(mu / L)
rho = sp.Symbol("rho")
rationals = st.fractions(min_value=-2, max_value=2, max_denominator=8).map(
    lambda f: sp.Rational(f.numerator, f.denominator)
)


def trace_and_determinant(beta, a, b, ell):
    """MATH b.6, typed here."""
    return 1 + beta - (a + b) * ell, beta * (1 - a * ell)


def roots(t, d):
    """Both poles, as algebraic numbers."""
    root = sp.sqrt(t**2 / 4 - d)
    return (t / 2 + root, t / 2 - root)


def shares(found, beta, a, b):
    """Whether some solution is the method (beta, a, b), its free parameters chosen."""
    for one in found:
        free = {"beta": beta, "a_0": a, "b_0": b}
        chosen = {s: free[s.name] for s in one.free}
        try:
            values = [canonical(one.parameters[n].subs(chosen)) for n in ("beta", "a", "b")]
        except ZeroDivisionError:
            continue
        if all(same(x, y) for x, y in zip(values, (beta, a, b), strict=True)):
            return True
    return False


@given(beta=rationals, a=rationals, b=rationals, kappa=st.integers(2, 30), data=st.data())
@settings(max_examples=20)
def test_whatever_the_poles_come_from_is_found(beta, a, b, kappa, data):
    ells = {"mu": sp.Rational(1, kappa), "L": sp.S.One, 2: sp.Rational(2, kappa)}
    if kappa == 2:
        del ells[2]
    wanted = {}
    for mode, ell in ells.items():
        poles = roots(*trace_and_determinant(beta, a, b, ell))
        how = data.draw(st.sampled_from(["both", "first", "none"]))
        if how == "both":
            wanted[mode] = poles
        elif how == "first" and poles[0].is_real:
            wanted[mode] = poles[:1]
    if not wanted:
        return
    effect = a * (1 - beta) + b  # MATH b.3, units h = 1/sqrt(L)
    values = {"K": 1 - beta, "a": a, "b": b, "beta": beta, "alpha": effect / kappa}
    if effect != 0:
        values["gamma"] = a * beta / effect
    name = data.draw(st.sampled_from([None, None, *values]))
    found = place_poles(wanted, mu=1, L=kappa, fixed=None if name is None else {name: values[name]})
    assert shares(found, beta, a, b)
    for one in found:
        assert all(is_zero(e) for e in one.residuals.values())


@given(beta=rationals, a=rationals, b=rationals, kappa=st.integers(2, 30))
@settings(max_examples=20)
def test_stability_is_what_the_eigenvalues_say(beta, a, b, kappa):
    poles = {
        mode: roots(*trace_and_determinant(beta, a, b, ell))
        for mode, ell in (("mu", sp.Rational(1, kappa)), ("L", sp.S.One))
    }
    verdicts = {one.stable for one in place_poles(poles, mu=1, L=kappa)}
    radius = 0.0
    for ell in np.linspace(1 / kappa, 1, 200):
        t, d = (float(e) for e in trace_and_determinant(beta, a, b, ell))
        radius = max(radius, *np.abs(np.roots([1, -t, d])))
    if abs(radius - 1) > 1e-9:
        assert verdicts == {bool(radius < 1)}


@given(
    first=rationals,
    second=rationals,
    ell=st.sampled_from([Fraction(1, 10), Fraction(1, 3), Fraction(5, 7)]),
)
@settings(max_examples=4)
def test_random_specifications_with_symbols(first, second, ell):
    inside = sp.Rational(ell.numerator, ell.denominator) * L
    wanted = {"mu": (first * q, second), inside: (rho,)}
    for one in place_poles(wanted):
        if "degenerate (alpha = 0)" not in one.labels:
            assert_placed(one, {mu: wanted["mu"], inside: (rho,)})
