"""Intervals that hold the values of functions: against 100 digits of mpmath, and at the ends of domains."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from odescent.discretize.equality.numbers import NoNumber, Number, number, precise

x = sp.Symbol("x", real=True)
CLOSED = (sp.asin, sp.acos)
OPEN = (sp.atanh,)
ABOVE = (sp.acosh,)
EVERYWHERE = (sp.atan, sp.asinh, sp.tan, sp.sin, sp.cos, sp.exp, sp.sinh, sp.cosh, sp.tanh)


def enclosed(function: type[sp.Function], at: Fraction) -> tuple[mpmath.mpf, mpmath.mpf]:
    """The ends of what is found for the value of a function at a fraction."""
    with precise():
        return ends(number(function(x), {x: at}))


def ends(found: Number) -> tuple[mpmath.mpf, mpmath.mpf]:
    """A number as an interval."""
    if isinstance(found, Fraction):
        value = mpmath.mpf(found.numerator) / found.denominator
        return value, value
    return mpmath.mpf(found.a), mpmath.mpf(found.b)


def defined(function: type[sp.Function], at: Fraction) -> bool:
    """Whether the function has a real value there."""
    if function in CLOSED or function in OPEN:
        return abs(at) < 1 or (abs(at) == 1 and function in CLOSED)
    return at >= 1 if function in ABOVE else True


@pytest.mark.parametrize("function", [*CLOSED, *OPEN, *ABOVE, *EVERYWHERE], ids=str)
@given(at=st.fractions(min_value=-20, max_value=20, max_denominator=10**4))
def test_the_value_is_held_or_there_is_none(function: type[sp.Function], at: Fraction) -> None:
    if not defined(function, at):
        with pytest.raises((NoNumber, ZeroDivisionError)):
            enclosed(function, at)
        return
    with mpmath.workdps(100):
        low, high = enclosed(function, at)
        exact = getattr(mpmath, function.__name__)(mpmath.mpf(at.numerator) / at.denominator)
        slack = abs(exact) * mpmath.mpf(10) ** -95  # of the 100 digits
        assert low - slack <= exact <= high + slack
        assert high - low <= mpmath.mpf(10) ** -90 * max(1, abs(exact))


@pytest.mark.parametrize("at", [Fraction(-1), Fraction(1)])
def test_inverse_functions_have_values_at_the_ends_of_their_domains(at: Fraction) -> None:
    with mpmath.workdps(100):
        for function in CLOSED:
            low, high = enclosed(function, at)
            assert low <= getattr(mpmath, function.__name__)(at.numerator) <= high
    assert enclosed(sp.acosh, Fraction(1)) == (0, 0)
    with precise(), mpmath.workdps(100):
        low, high = ends(number(sp.asin(sp.asin(x)), {x: Fraction(1, 3)}))
        exact = mpmath.asin(mpmath.asin(mpmath.mpf(1) / 3))
        assert low - mpmath.mpf(10) ** -95 <= exact <= high + mpmath.mpf(10) ** -95


def test_whole_parts_count_every_digit() -> None:
    with precise():
        least = mpmath.iv.mpf(10) ** -100
        assert number(sp.ceiling(x), {x: 1 + least}) == 2
        assert number(sp.ceiling(x), {x: 1 - least}) == 1
        assert number(sp.ceiling(x), {x: Fraction(-7, 2)}) == -3
        with pytest.raises(NoNumber, match="not certain"):
            number(sp.ceiling(x), {x: mpmath.iv.mpf([1, 2])})


def test_a_value_beyond_the_domain_is_none_for_intervals_too() -> None:
    with precise():
        for function in (*CLOSED, *OPEN, *ABOVE):
            with pytest.raises(NoNumber):
                number(function(x), {x: mpmath.iv.mpf(["0.5", "1.5"])})
