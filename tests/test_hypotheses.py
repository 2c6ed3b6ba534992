"""Hypotheses of proofs: signs, factors and gains, against values in numbers and textbook integrals."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from odescent._support.errors import OdescentError
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.vector_fields.hypotheses import (
    approaches,
    assumptions,
    attracts,
    nonzero,
    positive,
    regular,
)

a, b, t = parameters("a b t")
r = sp.Symbol("r", real=True)
LEAVES = st.sampled_from([a, b, r, sp.S.One, sp.Integer(2), sp.Rational(1, 3), -a, -sp.S.One])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda x, y: x + y, inner, inner),
        st.builds(lambda x, y: x * y, inner, inner),
        st.builds(lambda x: x**2, inner),
        st.builds(lambda x: 1 / (1 + x**2), inner),
    ),
    max_leaves=6,
)
VALUES = st.fractions(min_value="1/50", max_value=50, max_denominator=60)


@settings(max_examples=150, deadline=None)
@given(TREES, VALUES, VALUES, VALUES, st.booleans())
def test_no_value_contradicts_a_verdict(e, at_a, at_b, at_r, sign):
    exact = [sp.Rational(v.numerator, v.denominator) for v in (at_a, at_b, at_r)]
    value = e.xreplace({a: exact[0], b: exact[1], r: -exact[2] if sign else exact[2]})
    verdicts = positive("e", e).status, nonzero("e", e).status
    assert verdicts[0] != "proved" or value > 0
    assert verdicts[0] != "refuted" or value <= 0
    assert verdicts[1] != "proved" or value != 0
    assert verdicts[1] != "refuted" or value == 0


@settings(max_examples=60, deadline=None)
@given(TREES, VALUES, VALUES, VALUES)
def test_a_proof_needs_no_sign_that_it_does_not_name(e, at_a, at_b, at_r):
    """With a symbol's sign turned, what was proved without it still holds."""
    found = positive("e", e)
    if found.status != "proved":
        return
    exact = [sp.Rational(v.numerator, v.denominator) for v in (at_a, at_b, at_r)]
    signs = [1 if f"{s} > 0" in found.needs else -1 for s in (a, b)]
    value = e.subs({a: exact[0] * signs[0], b: exact[1] * signs[1], r: exact[2]})
    assert value > 0


GAINS = {
    1 / t: True, 2 / t: True, 1 / t**2: False, t ** sp.Rational(-5, 4): False, 1 / (t * sp.log(t) ** 2): False,
    1 / (t * sp.sqrt(sp.log(t))): True, sp.exp(-t): False, sp.exp(-t) + 1 / t: True, sp.coth(t): True,
    (1 + t) / (1 + t**3): False, sp.log(t) / t: True, sp.tanh(t) / t: True, 2 + 1 / t: True, t * sp.exp(-t): False,
}  # fmt: skip


@pytest.mark.parametrize("gain", GAINS, ids=str)
def test_gains_that_last(gain):
    """By comparison with powers of 1/t and 1/(t log(t)^q), whose integrals are textbook."""
    found = {h.relation: h.status for h in attracts("the gain", gain, t)}
    assert found["diverges"] == ("proved" if GAINS[gain] else "refuted")


@pytest.mark.parametrize("gain", [sp.sin(t) + 2, 1 / (t * sp.log(t)), t**-a], ids=str)
def test_what_the_tests_do_not_decide_is_assumed(gain):
    found = attracts("the gain", gain, t)
    assert found[1].status == "assumed"
    assert "over all later times is infinite" in assumptions(found)


SLOPES = {  # the distance psi / slope with psi' = -K psi, by its closed form
    (1 / t, 3 / t): True, (t**2, 1 / t): True, (1 / t**2, 1 / t): False, (sp.exp(-t), sp.S.Half): False,
    (sp.exp(-t), sp.Integer(2)): True, (1 / t, 1 / t): False, (1 + t**2, 1 / t): True, (2 + sp.sin(t), 1 / t): True,
}  # fmt: skip


@pytest.mark.parametrize(("slope", "gain"), SLOPES, ids=str)
def test_the_distance_from_the_manifold_falls(slope, gain):
    found = {h.status for h in approaches("approach", gain, slope, t)}
    assert found <= ({"proved", "assumed"} if SLOPES[slope, gain] else {"refuted"})
    distance = sp.exp(-sp.integrate(gain, (t, 1, t))) / slope
    late = [abs(distance.subs(t, 10**k).evalf()) for k in (2, 4, 6)]
    assert (late[2] < late[0] / 10) == SLOPES[slope, gain]


def test_a_rate_of_approach_with_parameters_must_be_positive():
    found = approaches("approach", a, sp.exp(-b * t), t)
    assert [h.latex() for h in found] == ["$a - b > 0$"] and found[0].status == "assumed"
    assert found[0].at({a: sp.Integer(3), b: sp.Integer(2)}).status == "proved"
    with pytest.raises(
        OdescentError, match="with a = 2, b = 3, the rate of approach must be positive"
    ):
        found[0].at({a: sp.Integer(2), b: sp.Integer(3)}).checked()


def test_every_function_that_may_have_a_kink_or_a_pole_is_assumed_smooth():
    """All of SymPy's functions of one or two real arguments, but those that are smooth everywhere."""
    known = (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.atan, sp.asinh, sp.erf)
    for name in ("Max", "Min", "Abs", "sign", "floor", "ceiling", "Heaviside", "tan", "gamma", "LambertW", "asin",
                 "Mod", "besselj", "atan2", "zeta", "Function('q')", *(k.__name__ for k in known)):  # fmt: skip
        kind = sp.Function("q") if "'" in name else getattr(sp, name)
        two = name in ("Max", "Min", "Mod", "besselj", "atan2")
        e = 2 + (kind(r, t) if two else kind(r))
        assert bool(list(regular("it", e))) == (kind not in known), name
