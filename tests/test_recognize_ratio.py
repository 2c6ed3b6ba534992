"""Exclusion of L and mu by intervals: never a method itself, and what is next to one."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.identification.intervals import (
    _Box,
    _ends,
    _no_ratio,
    _reader,
    excluded_by_intervals,
)
from odescent.discretize.identification.recognition import form
from odescent.discretize.linear.time_varying_form import TimeVarying
from odescent.dynamics.numbers.boxes import Interval
from odescent.dynamics.vector_fields.system import L, mu

NESTED = ("item", "unified_nesterov", "nesterov_c", "ogm")
RATIOS = (
    sp.Rational(1, 10**6),
    sp.Rational(1, 7),
    sp.sqrt(2) / 3,
    sp.pi / 4,
    1 - sp.Rational(1, 10**5),
)
SIZES = (sp.S.One, sp.Integer(40), sp.Rational(1, 3), sp.E, sp.Integer(7))


def known(name: str) -> TimeVarying:
    found = form(od.algorithm(name).tuned)
    assert isinstance(found, TimeVarying)
    return found


def at(method: TimeVarying, ratio: sp.Expr, size: sp.Expr) -> TimeVarying:
    """The method at mu = ratio * L and L = size."""
    return method.changed({mu: ratio * size, L: size}, lambda e: e)


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("later", [0, 1, 2])
def test_no_method_is_kept_from_being_itself(name: str, later: int) -> None:
    """At ratios near both ends, at irrational ones, and ahead by some steps."""
    method = known(name)
    for ratio, size in zip(RATIOS, SIZES, strict=True):
        same = _reader(at(method, ratio, size)).at_numbers(sp.S.One, sp.S.One, 4, later)
        wanted = [[_ends(e) for e in row] for row in same]
        assert len(wanted) == 4 and not _no_ratio(wanted, _reader(method), later)
        if not later:
            assert not excluded_by_intervals(at(method, ratio, size), method)


@pytest.mark.parametrize("name", NESTED)
def test_what_is_next_to_it_is_told_apart(name: str) -> None:
    """One weight off by a tenth, and the method beside its own coefficients of other steps."""
    method = known(name)
    same = at(method, sp.Rational(1, 7), sp.S.One)
    weights = sp.Matrix(same.A)
    weights[0, 0] *= sp.Rational(11, 10)
    assert excluded_by_intervals(replace(same, A=weights), method)
    assert not excluded_by_intervals(same, method)
    assert excluded_by_intervals(same, method, later=1)


def test_operators_of_boxes_hold_all_values() -> None:
    """Random expressions on random boxes, against 40 digits at points in them, corners included."""
    generator = random.Random(0)
    s, t = sp.symbols("s t", positive=True)
    parts = [
        s,
        t,
        sp.Rational(1, 3),
        sp.Integer(-2),
        s * t,
        sp.sqrt(s),
        s ** sp.Rational(3, 2),
        1 / t,
    ]
    functions = {"mpf": Fraction, "sqrt": lambda a: _Box(a) ** Fraction(1, 2)}
    for _ in range(60):
        e = generator.choice(parts)
        for _ in range(5):
            other = generator.choice(parts)
            e = generator.choice([e + other, e * other, e - other, e / (1 + other**2), e**2])
        low = np.array([generator.uniform(0.1, 2), generator.uniform(0.1, 2)])
        high = low + generator.choice([1e-9, 0.01, 0.5])
        boxes = [_Box(Interval(low[i : i + 1], high[i : i + 1])) for i in range(2)]
        held = _Box(sp.lambdify([s, t], e, [functions, "mpmath"])(*boxes)).held
        for a in (low[0], high[0], (low[0] + high[0]) / 2):
            for b in (low[1], high[1], (low[1] + high[1]) / 2):
                exact = {s: sp.Rational(float(a)), t: sp.Rational(float(b))}
                value = sp.N(e.xreplace(exact), 40)
                assert sp.Rational(float(held.low[0])) <= sp.Rational(value)
                assert sp.Rational(value) <= sp.Rational(float(held.high[0]))


def test_ends_are_rounded_outwards_and_zero_stays_zero() -> None:
    import mpmath

    for exact in (
        sp.S.Zero,
        sp.Rational(1, 3),
        -sp.Rational(1, 3),
        sp.Rational(3, 4),
        sp.Rational(1, 10**400),
    ):
        with mpmath.workdps(30):
            held = _ends(mpmath.iv.mpf(exact.p) / exact.q)
        low, high = (sp.Rational(float(e[0])) for e in held)
        assert low <= exact <= high
        assert (low == high) == (exact in (0, sp.Rational(3, 4)))
