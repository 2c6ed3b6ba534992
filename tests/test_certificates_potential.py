"""Bounds for all steps by one potential function: published laws, the bounds for one number of steps, and runs."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import NoCertificate, certify
from odescent.analysis.certificates import PotentialCertificate, load
from odescent.analysis.certificates.checking.checker import (
    Number,
    Polynomial,
    Refused,
    at,
    check,
    definite,
)
from odescent.analysis.certificates.methods.potential_plant import describe
from odescent.analysis.certificates.searching.potential_search import Flat, simplest

METHODS: dict[str, Any] = {
    "gd": lambda: od.algorithm("gradient_descent"),
    "fista": lambda: od.algorithm("nesterov_c", momentum="fista"),
    "nesterov": lambda: od.algorithm("nesterov_c"),
    "ogm": lambda: od.algorithm("ogm"),
}


@cache
def proved(name: str, L: int = 1) -> PotentialCertificate:
    return certify(METHODS[name](), 0, L, horizon="all")


def test_gradient_descent_is_tight() -> None:
    """L / (4 N + 2), attained for every N (Drori, Teboulle, arXiv:1206.3209)."""
    found = proved("gd", 3)
    N = sp.Symbol("N", integer=True, nonnegative=True)
    assert sp.simplify(found.law - 3 / (4 * N + 2)) == 0 and found.verify()
    for steps in (1, 2, 5):
        assert certify(METHODS["gd"](), 0, 3, horizon=steps).exact == found.law.subs(N, steps)


@pytest.mark.parametrize("h", [Fraction(1, 3), Fraction(1, 2)])
def test_short_steps(h: Fraction) -> None:
    """1 / (4 h N + 2) with step h / L <= 1 / L (the same, theorem 3.1); a simple rational growth comes near."""
    found = certify({"alpha": h}, 0, 1, horizon="all")
    assert found.verify()
    for N in (1, 3, 10, 1000):
        tight = 1 / (4 * float(h) * N + 2)
        assert tight - 1e-15 <= found.bound(N) < 1.2 * tight


def test_the_optimized_gradient_method() -> None:
    """Its output y_N has L / (4 theta_{N-1}^2), tau = 2 theta - 1 (Kim, Fessler, 10.1007/s10107-015-0949-3)."""
    found = proved("ogm")
    assert found.verify() and sp.expand(found.growth - (found.clock + 1) ** 2) == 0
    with mpmath.workdps(40):
        theta = mpmath.mpf(1)
        for N in range(1, 21):
            exact = 1 / (4 * theta**2)
            assert 0 <= found.bound(N) - exact < 1e-15 * exact
            theta = (1 + mpmath.sqrt(1 + 4 * theta**2)) / 2


def test_fista() -> None:
    """L / (2 t^2) <= 2 L / (N + 1)^2 (Beck, Teboulle, 10.1137/080716542); above the exact worst cases of MATH (c)."""
    found = proved("fista")
    t = found.clock + 1
    assert found.verify() and sp.expand(found.growth - 2 * t**2) == 0
    for N, worst in ((1, 0.1666667), (2, 0.1), (5, 0.0348938), (10, 0.0123351)):
        assert worst < found.bound(N) <= 2 / (N + 1) ** 2 * (1 + 1e-14)


def test_nesterov() -> None:
    """Between the exact 2 / (N^2 + 7 N + 4) and the classical 2 / (N + 1)^2."""
    found = proved("nesterov", 7)
    assert found.verify()
    for N in (1, 2, 5, 10, 100, 10000):
        assert 2 / (N**2 + 7 * N + 4) <= found.bound(N) / 7 < 2 / (N + 1) ** 2
    exact = certify(METHODS["nesterov"](), 0, 7, horizon=2)
    assert exact.bound <= found.bound(2)


@pytest.mark.parametrize("name", METHODS)
def test_other_units_are_the_same_method(name: str) -> None:
    """With any L what is proved is about f / L: the method for L = 1, with states and clocks in units of sqrt(L)."""
    one, seven = (describe(METHODS[name](), L)["statement"] for L in (1, 7))
    assert {**one, "L": "7"} == seven


def test_your_own_momentum() -> None:
    """k / (k + 4) with a clock of one's own, in the iterates: below every bound for one N, and of second order."""
    x, before = od.blocks("x before")
    f = od.Objective("f")
    clock = od.Block("j", kind="scalar", role="coefficient", init=sp.Integer(0))
    j = clock.symbol
    y = x + j / (j + 4) * (x - before)
    method = od.method({x: y - f.grad(y), before: x, clock: j + 1}, output=x)
    found = certify(method, 0, 1, horizon="all")
    assert found.verify() and sp.degree(found.growth, found.clock) == 2
    for N in (1, 3):
        assert certify(method, 0, 1, horizon=N).bound <= found.bound(N) + 1e-9


def test_a_step_in_numbers() -> None:
    """Without a symbol L the step is what it is: alpha = 1/14 at L = 7 is half of 1 / L."""
    known = describe({"alpha": Fraction(1, 2)}, 1)["statement"]
    assert {**known, "L": "7"} == describe({"alpha": Fraction(1, 14)}, 7)["statement"]


def test_the_potential_decreases_along_a_run() -> None:
    found = proved("gd")
    a, Q = found.potential
    value = lambda x: np.logaddexp(x, -x) - np.log(2)  # 1-smooth, convex, minimizer 0
    x, before = 4.0, math.inf
    for k in range(40):
        at = {found.clock: k}
        X = np.array([x, np.tanh(x)])
        now = float(a.subs(at)) * value(x) + X @ np.array(Q.subs(at), dtype=float) @ X
        assert now <= before + 1e-12
        x, before = x - np.tanh(x), now


def test_an_implicit_step() -> None:
    """The proximal point method on smooth functions, no worse than Gueler's 1 / (4 h N) for all convex ones."""
    found = certify(od.algorithm("proximal_point").bind(h=sp.Rational(1, 2)), 0, 1, horizon="all")
    assert found.verify()
    for N in (1, 2, 10):
        assert found.bound(N) <= 1 / (2 * N) + 1e-12
    assert (
        found.bound(2)
        >= certify(od.algorithm("proximal_point").bind(h=sp.Rational(1, 2)), 0, 1, horizon=2).bound
        - 1e-6
    )


def test_it_travels_and_refuses_what_is_altered() -> None:
    found = proved("gd")
    again = load(json.loads(found.to_json()))
    assert isinstance(again, PotentialCertificate) and again.verify() and again.law == found.law
    assert "for every N" in str(again) and "for all" in again.latex() and again.multipliers["nu"]
    document = found.to_dict()
    assert check(document)
    claim, witness = document["statement"], document["witness"]
    for part, change in (
        ("statement", {"growth": ["2", "5"]}),
        ("statement", {"growth": ["-2", "4"]}),
        ("witness", {"a": ["0", "3"]}),
        ("witness", {"lambda": {**witness["lambda"], "0,1": {"0,0": "-1"}}}),
        ("witness", {"lambda": {**witness["lambda"], "2,1": {"0,0": "1"}}}),
        ("witness", {"nu": {"-1,0": ["1", "1/2"]}}),
        ("witness", {"Q": {**witness["Q"], "0,0": ["2"]}}),
        ("witness", {"Q": {**witness["Q"], "1,1": ["0", "0", "2"]}}),
        ("statement", {"clock": {**claim["clock"], "from": "1"}}),
        ("statement", {"clock": {**claim["clock"], "from": "-3"}}),
        ("statement", {"rest": ["1/2"]}),
        ("statement", {"clock": {"from": "0", "now": [], "next": [], "over": ["1"]}}),
        ("statement", {"step_unit": ["-1"]}),
        ("witness", {"a": [*witness["a"], "1"]}),
        ("statement", {"B": [["-2"]]}),  # longer steps
        ("statement", {"begin": ["1/2"]}),
    ):
        assert set(change) <= {*claim, *witness, "begin"}
        with pytest.raises(Refused):
            check({**document, part: {**document[part], **change}})


def test_a_clock_that_stands_still_proves_nothing() -> None:
    """Constant rows and a constant clock left no step to look at: any growth passed."""
    constant = {"from": "0", "now": ["1"], "next": ["1"], "over": ["1"]}
    document = proved("gd").to_dict()
    document["statement"] |= {"clock": constant, "growth": ["1000"]}
    document["witness"] = {"a": [], "Q": {}, "lambda": {}, "nu": {}, "first": {}}
    with pytest.raises(Refused):
        check(document)


def test_none_is_claimed_where_there_is_none() -> None:
    with pytest.raises(NoCertificate, match="no potential function"):
        certify({"alpha": Fraction(5, 2)}, 0, 1, horizon="all")


@pytest.mark.untyped
def test_bad_input_gets_a_sentence() -> None:
    x, f = od.blocks("x"), od.Objective("f")
    half = x - f.grad(x) / 10
    twice = od.method({x: half - f.grad(half) / 10}, output=x)
    for arguments, options, sentence in (
        ((METHODS["gd"](), 1, 10), {}, "mu = 0"),
        (
            (METHODS["gd"](), 0, 1),
            {"measure": "gradient"},
            "measure applies to a bound after N steps, horizon=N",
        ),
        ((METHODS["gd"](), 0, sp.sqrt(2)), {}, "rational L"),
        ((twice, 0, 1), {}, "one gradient per step"),
        ((od.algorithm("proximal_point"), 0, 1), {}, "parameter h"),
        ((od.algorithm("adam"), 0, 1), {}, "no certificate"),
    ):
        with pytest.raises(od.OdescentError, match=sentence):
            certify(*arguments, horizon="all", **options)
    with pytest.raises(od.OdescentError, match="whole number"):
        proved("gd").bound(0)


@given(st.fractions(-4, 4, max_denominator=60), st.fractions(0, 1, max_denominator=60))
def test_the_simplest_fraction(low: Fraction, width: Fraction) -> None:
    found = simplest(low, low + width)
    assert low <= found <= low + width
    for denominator in range(1, found.denominator):
        assert math.floor((low + width) * denominator) < low * denominator


@given(
    st.lists(st.fractions(-3, 3, max_denominator=4), min_size=1, max_size=4),
    st.sampled_from([Number(2), Number(0), Number(1, 1, 5), Number(Fraction(-1, 2))]),
)
def test_signs_of_polynomials(coefficients: list[Fraction], v: Number) -> None:
    """What seems positive about v is so on a grid; a polynomial with nonnegative coefficients about v is seen to be."""
    start = float(v.a) + float(v.b) * math.sqrt(v.d)
    found = at([Number(c) for c in coefficients], Polynomial({(0,): v, (1,): Number(1)}))
    value = lambda x: sum(float(c) * x**i for i, c in enumerate(coefficients))
    least = min(value(x) for x in start + np.linspace(0, 50, 400))
    assert least >= -1e-9 or found.sign() < 0
    assert value(start) > 0 or found.sign() < 1
    about = np.polynomial.Polynomial([float(c) for c in coefficients])(
        np.polynomial.Polynomial([start, 1.0])
    )
    if (about.coef > 1e-9).all():
        assert found.sign() == 1


@settings(max_examples=60)
@given(st.integers(1, 3), st.lists(st.integers(-2, 2), min_size=18, max_size=18))
def test_semidefinite_matrices_of_polynomials(n: int, entries: list[int]) -> None:
    """(A + t B)(A + t B)', less 1/7 at a corner: what is said to be semidefinite is, for all t of a grid."""
    A, B = (np.array(entries[k : k + n * n]).reshape(n, n) for k in (0, 9))
    for part in (0, 1):
        parts = [A @ A.T, A @ B.T + B @ A.T, B @ B.T]
        rows = [
            [
                Polynomial({(k,): Number(Fraction(int(p[i, j]))) for k, p in enumerate(parts)})
                for j in range(n)
            ]
            for i in range(n)
        ]
        rows[-1][-1] = rows[-1][-1] - Number(Fraction(part, 7))
        least = min(
            np.linalg.eigvalsh((A + t * B) @ (A + t * B).T - np.diag([0] * (n - 1) + [part / 7]))[0]
            for t in np.geomspace(1e-3, 1e3, 60)
        )
        assert least > -1e-9 * 1e6 or not definite(rows)
        if min(entries) >= 0 and n == 1 and not part:
            assert definite(rows)


@given(st.lists(st.lists(st.integers(-2, 2), min_size=5, max_size=5), max_size=4))
def test_linear_equations(rows: list[list[int]]) -> None:
    """Against SymPy: whether they contradict each other, how many unknowns are free, and that solutions solve them."""
    flat, kept = Flat(4), True
    for *weights, value in rows:
        kept = kept and flat.require(
            {k: Fraction(w) for k, w in enumerate(weights)}, Fraction(value)
        )
    matrix = sp.Matrix(len(rows), 5, [x for row in rows for x in row])
    assert kept == (matrix.rank() == matrix[:, :4].rank())
    if kept:
        assert len(flat.free) == 4 - matrix[:, :4].rank()
        for *weights, value in rows:
            assert np.array(weights) @ flat.rows[:, -1] == value
            for f in flat.free:
                assert np.array(weights) @ flat.rows[:, f] == 0


def test_what_is_bounded_is_named() -> None:
    """A bound of f at the gradient points is none of f at another output."""
    found = proved("gd")
    assert ": f(x_N) - f*" in str(found) and found.statement["bounded"] == "point"
    document = found.to_dict()
    claim = document["statement"]
    # a second state that follows half of the way, read by the output: f there is not what was bounded
    two = {"A": [[["1"], []], [["1/2"], ["1/2"]]], "B": [claim["B"][0], []], "C": [["1"], []]}
    document["statement"] |= {**two, "output": [[], ["1"]], "rest": ["1", "1"]}
    Q = document["witness"]["Q"]
    document["witness"]["Q"] = {
        key.replace("1", "2"): p for key, p in Q.items()
    }  # the gradient's place
    again = load(document)
    assert ": f(y_N) - f*" in str(again) and "f(y_k) - f* <=" in again.says()
