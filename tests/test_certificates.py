"""Certified rates against closed forms, published numbers, and runs of the methods."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import Certificate, NoCertificate, certify, worst_case_rate
from odescent.analysis.certificates import certified_rate, certified_rates
from odescent.analysis.certificates.checking.checker import Refused, check
from odescent.analysis.certificates.methods.plant import read
from odescent.analysis.certificates.searching.centers import Center, Centers
from odescent.analysis.certificates.searching.least import candidates

x = od.blocks("x")
f = od.Objective("f")
q10 = 1 / sp.sqrt(10)


def three(alpha: Any, beta: Any = 0, gamma: Any = 0) -> dict[str, object]:
    return {"alpha": alpha, "beta": beta, "gamma": gamma}


def nesterov_like(kappa: int, correction: Any) -> dict[str, object]:
    """L = 1, alpha = 1, Nesterov's momentum; correction 0 is heavy ball, 1 is Nesterov's method."""
    q = 1 / sp.sqrt(kappa)
    beta = (1 - q) / (1 + q)
    return three(1, beta, correction * beta)


@pytest.mark.parametrize(
    ("name", "options", "published"),
    [
        ("gradient_descent", {}, 0.9),
        ("gradient_descent", {"step": "2/(L+mu)"}, 9 / 11),
        ("heavy_ball", {}, 0.845906),
        ("nesterov_sc", {}, 0.751821),
        ("triple_momentum", {}, 0.683772233983),
    ],
)
def test_published_rates_at_kappa_10(name: str, options: dict[str, str], published: float) -> None:
    found = certify(od.algorithm(name, **options), 1, 10)
    assert found.verify() and found.mode is not None
    assert -1e-6 < found.rate - published < 1.5e-6
    assert found.lower() <= found.rate and 0 <= 1 - found.rate - found.gap + 1e-16


@pytest.mark.parametrize(
    ("kappa", "rates"),
    [
        (10, (0.827477, 0.798628, 0.777549, 0.762513, 0.751821)),
        (25, (0.909216, 0.879147, 0.862901, 0.854927, 0.849622)),
        (100, (0.981143, 0.946944, 0.932624, 0.929725, 0.927934)),
    ],
)
def test_the_missing_term_of_heavy_ball(kappa: int, rates: tuple[float, ...]) -> None:
    for quarter, published in enumerate(rates):
        method = nesterov_like(kappa, sp.Rational(quarter, 4))
        found = certify(method, sp.Rational(1, kappa), 1)
        assert abs(found.rate - published) < 1.5e-6 and found.verify()


@pytest.mark.parametrize("kappa", [2, 7, 100, 1000, 10000])
def test_exact_rates(kappa: int) -> None:
    q = 1 / sp.sqrt(kappa)
    cases = {
        od.algorithm("gradient_descent"): 1 - sp.Rational(1, kappa),
        od.algorithm("gradient_descent", step="2/(L+mu)"): sp.Rational(kappa - 1, kappa + 1),
        od.algorithm("triple_momentum"): 1 - q,
        tb.triple_momentum(): 1 - q,  # the same in other coordinates
        od.algorithm("proximal_point").bind(h=3): sp.Rational(1, 4),
    }
    for method, exact in cases.items():
        found = certify(method, 1, kappa)
        assert found.exact is not None and sp.simplify(found.exact - exact) == 0
        assert found.verify()
        # the float is rounded up, and no further than it must be
        assert sp.Rational(found.rate) >= found.exact
        assert sp.Rational(math.nextafter(found.rate, 0)) < found.exact
        assert sp.Rational(found.lower()) <= found.exact


@settings(max_examples=12)
@given(st.fractions(Fraction(1, 20), Fraction(19, 10), max_denominator=50), st.integers(2, 500))
def test_gradient_descent_with_any_step(step: Fraction, kappa: int) -> None:
    """With step s / L the rate is max(|1 - s/kappa|, |1 - s|) (Polyak), never certified below that."""
    truth = max(abs(1 - step / kappa), abs(1 - step))
    found = certify(three(step), Fraction(1, kappa), 1)
    assert 0 <= Fraction(found.rate) - truth < Fraction(2, 10**7)
    assert Fraction(found.lower()) <= truth
    assert found.verify()


def spectral_radius(alpha: float, beta: float, gamma: float, mu: float, L: float) -> float:
    """On a dense grid of curvatures, by the quadratic formula."""
    lam = np.linspace(mu, L, 4001)
    trace = 1 + beta - alpha * lam * (1 + gamma)
    det = beta - alpha * lam * gamma
    root = np.sqrt(trace.astype(complex) ** 2 - 4 * det)
    return float(np.abs(np.stack([trace + root, trace - root]) / 2).max())


fractions = st.fractions(0, Fraction(3, 2), max_denominator=40)


@settings(max_examples=12)
@given(fractions, fractions, fractions, st.integers(2, 60))
def test_a_rate_is_never_below_what_a_quadratic_needs(
    alpha: Fraction, beta: Fraction, gamma: Fraction, kappa: int
) -> None:
    assume(alpha > 0)
    needed = spectral_radius(float(alpha), float(beta), float(gamma), 1 / kappa, 1.0)
    method = three(alpha, beta, gamma)
    try:
        found = certify(method, Fraction(1, kappa), 1)
    except NoCertificate:
        return
    assert found.rate >= needed - 1e-12 and found.lower() <= found.rate and found.verify()
    quadratics = certify(method, Fraction(1, kappa), 1, over="quadratics")
    assert needed - 1e-12 <= quadratics.rate <= found.rate + 1e-8 and quadratics.verify()
    assert quadratics.rate < needed + 1e-4  # the grid misses a little


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("heavy_ball", (sp.sqrt(10) - 1) / (sp.sqrt(10) + 1)),
        ("nesterov_sc", 1 - q10),
        ("triple_momentum", 1 - q10),
        ("gradient_descent", sp.Rational(9, 10)),
    ],
)
def test_quadratics(name: str, exact: sp.Expr) -> None:
    found = certify(od.algorithm(name), 1, 10, over="quadratics")
    assert sp.simplify(found.exact - exact) == 0 and found.verify()


def test_several_gradients_and_implicit_steps() -> None:
    """Two steps of gradient descent in one; a proximal step; a midpoint-like step, exact on quadratics."""
    half = x - f.grad(x) / 10
    twice = od.method({x: half - f.grad(half) / 10}, output=x)
    assert -1e-12 < certify(twice, 1, 10).rate - 0.81 < 1e-6
    look_ahead = od.method({x: x - f.grad(x - f.grad(x) / 20) / 20}, output=x)
    # of a mode l: 1 - l/20 + (l/20)^2, the largest over [1, 10] at l = 1
    assert -1e-12 < certify(look_ahead, 1, 10).rate - (1 - 0.05 + 0.0025) < 1e-6
    for h in (sp.Rational(1, 3), sp.Integer(2)):
        assert certify(od.algorithm("proximal_point").bind(h=h), 2, 10).exact == 1 / (1 + 2 * h)


@pytest.mark.parametrize(("h", "kappa"), [(3, 10), (3, 10**4), (Fraction(1, 3), 100)])
def test_long_implicit_steps_by_the_search(h: Fraction, kappa: int) -> None:
    """1 / (1 + h mu) of the proximal point method, by the inequality alone and in floats."""
    method = od.algorithm("proximal_point").bind(h=h)
    truth = 1 / (1 + float(h))
    assert truth - 1e-9 < worst_case_rate(method, 1.0, float(kappa)) < truth + 1e-6
    near = sp.Rational(truth).limit_denominator(100) + sp.Rational(1, 1000)
    assert certify(method, 1, kappa, rate=near).verify()


def test_three_states_and_transcendental_numbers() -> None:
    """A leapfrog with exact damping: its numbers are enclosed."""
    method = od.algorithm("dissipative_leapfrog").bind(h=sp.Rational(1, 4), c=2)
    found = certify(method, 1, 10)
    assert found.enclosed and found.verify() and Certificate.from_dict(found.to_dict()).verify()
    on_quadratics = certify(method, 1, 10, over="quadratics")
    # damping exp(-c h) per step on complex modes: modulus exp(-c h / 2)
    assert math.exp(-0.25) <= on_quadratics.rate < math.exp(-0.25) + 1e-8
    assert found.rate >= on_quadratics.rate


def test_redundant_states_and_other_coordinates() -> None:
    old = od.blocks("old")
    padded = od.method({x: x - f.grad(x) / 10, old: 3 * old + x}, output=x)
    assert certify(padded, 1, 10).exact == sp.Rational(9, 10)
    scaled = certify(od.algorithm("nesterov_sc"), sp.Rational(3, 10), 17)
    assert not scaled.enclosed and scaled.verify()
    like = certify(tb.nesterov(), sp.Rational(3, 10), 17)
    assert abs(scaled.rate - like.rate) < 2e-7


def gradient_of(mu: float, L: float) -> Any:
    """f(x) = mu/2 x^2 + (L - mu) log cosh x: neither end of the class alone, minimizer 0."""
    return lambda p: mu * p + (L - mu) * np.tanh(p)


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov_sc", "triple_momentum"])
def test_the_lyapunov_function_decreases_along_a_run(name: str) -> None:
    """V, with the function values that the multipliers nu give it, on a function that is no quadratic."""
    mu, L = 1.0, 10.0
    found = certify(od.algorithm(name), 1, 10)
    document = found.statement
    value = lambda p: mu / 2 * p**2 + (L - mu) * (np.logaddexp(p, -p) - np.log(2))
    number = lambda t: (
        float(Fraction(t))
        if isinstance(t, str)
        else float(Fraction(t[0])) + float(Fraction(t[1])) * math.sqrt(document["d"])
    )
    A, B, C = (np.array([[number(e) for e in row] for row in document[k]]) for k in "ABC")
    P = np.array([[float(e) for e in row] for row in found.P.tolist()])
    nu = {ij: float(w) for ij, w in found.multipliers["nu"].items()}
    steps, state = found.witness["memory"], np.array([3.0, -2.0])
    states, points = [], []
    for _ in range(30):
        states.append(state)
        points.append(C @ state)
        state = A @ state + (B * gradient_of(mu, L)(points[-1])).sum(1)
    weights = [
        sum(w * ((i == a) - (j == a)) for (i, j), w in nu.items()) for a in range(steps)
    ]  # p_i / (2 (L - mu)), function values in units of L

    def energy(k: int) -> float:
        ahead = [points[k + i][0] for i in range(steps)]
        w = np.concatenate([states[k], [gradient_of(mu, L)(y) / L for y in ahead]])
        values = sum(2 * (L - mu) * p * value(y) / L for p, y in zip(weights, ahead, strict=True))
        return L * w @ P @ w + values

    tau = float(found.proved) ** 2
    energies = [energy(k) for k in range(25)]
    assert min(energies) > 0
    for before, after in pairwise(energies):
        assert after <= tau * before * (1 + 1e-9) + 1e-14


def test_beyond_the_threshold_there_is_a_cycle() -> None:
    method = od.algorithm("heavy_ball")
    assert certify(method, 1, sp.Rational(1794, 100)).rate < 1
    for kappa in (9 + 4 * sp.sqrt(5), sp.Rational(1795, 100), 100):
        with pytest.raises(NoCertificate, match="period 3") as caught:
            certify(method, 1, kappa)
        assert caught.value.counterexample.period == 3


def test_a_given_rate() -> None:
    nag = od.algorithm("nesterov")
    proved = certify(nag, 1, 10, rate=sp.Rational(3, 4) + sp.Rational(1, 400))
    assert proved.proved == sp.Rational(301, 400) and proved.verify()
    in_field = certify(nag, 1, 10, rate=1 - q10 / 2)
    assert sp.simplify(in_field.proved - 1 + q10 / 2) == 0 and in_field.verify()
    with pytest.raises(NoCertificate, match="rate 3/4"):
        certify(nag, 1, 10, rate=0.75)
    # what plain bisection reports for gradient descent
    with pytest.raises(NoCertificate, match="out of reach"):
        certify(od.algorithm("gradient_descent"), 1, 10, rate=0.8999997)


def test_a_certificate_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = certify(od.algorithm("heavy_ball"), 1, 10)

    def refuse(*_: object) -> None:
        raise AssertionError("no solver is needed")

    monkeypatch.setattr(Centers, "largest", refuse)
    again = Certificate.from_dict(json.loads(found.to_json()))
    assert again.verify() and again.rate == found.rate and again.lower() == found.lower(0)
    assert again.P == found.P and again.multipliers == found.multipliers
    assert again.to_dict() == found.to_dict() and "rate" in str(again) and "V_k" in again.latex()
    # of another method it is no certificate, though it proves its own claim
    assert check(found.document)
    assert not dataclasses.replace(found, source=(od.algorithm("nesterov"), 1, 10)).verify()
    with pytest.raises(od.OdescentError, match="schema"):
        Certificate.from_dict({**found.to_dict(), "schema": "other/1"})
    with pytest.raises(od.OdescentError, match="no certificate"):
        Certificate.from_dict({**found.to_dict(), "witness": "none"})


def test_a_lower_bound_is_checked_too() -> None:
    found = certify(od.algorithm("gradient_descent"), 1, 10)
    assert found.mode is not None
    for wrong in (
        dataclasses.replace(found.mode, low=Fraction(91, 100), number=None),
        dataclasses.replace(found.mode, curvature=sp.Rational(1, 2)),  # outside the class
    ):
        other = dataclasses.replace(found, mode=wrong)
        assert other.lower(0) is None and "lower" not in other.to_dict()


def test_a_solver_that_lies_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It claims success: with garbage, with numbers that are none, and with a gap that it does not have."""
    honest = Centers.largest

    def garbage(self: Centers, near: Any) -> list[Center]:
        unknowns = self.numbers[0].shape[1]
        return [Center(np.full(unknowns, 0.1), 0.4, 0.4)]

    def nothing(self: Centers, near: Any) -> list[Center]:
        return [Center(np.full(self.numbers[0].shape[1], np.nan), 0.4, 0.4)]

    def faster(self: Centers, near: Any) -> list[Center]:
        return [dataclasses.replace(c, delta=1.01 * c.delta) for c in honest(self, near)]

    for lie in (garbage, nothing, faster):
        monkeypatch.setattr(Centers, "largest", lie)
        for rate in (None, sp.Rational(3, 4), sp.Rational(4, 5)):
            try:
                found = certify(od.algorithm("nesterov"), 1, 10, rate=rate)
            except NoCertificate:
                continue
            assert found.verify() and found.rate >= 0.751821


def test_coordinates_that_mix_roots_and_exponentials() -> None:
    """What a change of the state's coordinates put in goes out again: the method is one of rational numbers."""
    change = sp.Matrix([[sp.sqrt(3), sp.exp(-1)], [1, sp.sqrt(5)]])
    quarter, eighth = sp.Rational(1, 4), sp.Rational(1, 8)
    A, B = sp.Matrix([[1 + quarter, -quarter], [1, 0]]), sp.Matrix([-eighth, 0])
    C, back = sp.Matrix([[1 + quarter, -quarter]]), change.inv()
    mixed = [m.tolist() for m in (change * A * back, change * B, C * back)]
    plant = read(mixed, 1, 8)
    assert plant.exact and [[str(x) for x in row] for row in plant.A] == [
        ["0", "1"],
        ["-1/4", "5/4"],
    ]
    plain = certify([m.tolist() for m in (A, B, C)], 1, 8)
    assert abs(certify(mixed, 1, 8).rate - plain.rate) < 1e-6


def test_a_solution_just_below_the_optimum_is_refused() -> None:
    plant = read(od.algorithm("nesterov"), 1, 10)
    best = candidates(plant, 2)[0]
    for rate, proves in ((Fraction(7518202, 10**7), False), (Fraction(7518222, 10**7), True)):
        document = best.rounded(1 - rate, 53).document(plant)
        if proves:
            assert check(document)
        else:
            with pytest.raises(Refused):
                check(document)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((three(1), 2, 1), "at least mu"),
        ((three(1), -1, 1), "mu must be at least 0"),
        ((three(1), 1, float("nan")), "L must be a finite number"),
        ((three(1), sp.Symbol("m"), 1), "must be numbers"),
        ((three("1"), 1, 10), "alpha must be a finite real number"),
        (({"beta": 1}, 1, 10), "three-parameter form"),
        (("zzz", 1, 10), "there is no algorithm or system 'zzz'"),
        ((([[1, 0]], [[1]], [[1]]), 1, 10), "do not fit together"),
        ((od.algorithm("proximal_point"), 1, 10), "parameter h"),
        ((od.algorithm("douglas_rachford"), 1, 10), "one function"),
        ((od.algorithm("adam"), 1, 10), "not linear"),
        ((three(1), 0, 1), "no linear rate"),
        ((three(3), sp.Rational(1, 10), 1), "a pole of modulus 2"),
        ((od.method({x: x / 2 - f.grad(x) / 9}, output=x), 1, 10), "rest at every minimizer"),
    ],
)
def test_bad_input_gets_a_sentence(arguments: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence) as caught:
        certify(*arguments)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"over": "convex"}, "over must be"),
        ({"steps": 0}, "from 1 to 6"),
        ({"steps": 2.0}, "from 1 to 6"),
        ({"rate": 1}, "less than 1"),
        ({"rate": "fast"}, "less than 1"),
    ],
)
def test_bad_options_get_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence):
        certify(three(1), sp.Rational(1, 10), 1, **options)


def test_rates_for_maps() -> None:
    """The proved rate alone, from plain data: gradient descent's, heavy ball's, and none beyond 2 / L."""
    methods = [{"alpha": "1"}, {"alpha": "3/2", "beta": "1/4"}, {"alpha": "5/2"}]
    rates = certified_rates("1/10", "1", methods)
    known = certify(three(Fraction(3, 2), Fraction(1, 4)), Fraction(1, 10), 1)
    assert rates == [0.9, known.rate, math.inf]
    assert certified_rate(od.algorithm("heavy_ball"), 1, 100) == math.inf
    with pytest.raises(od.OdescentError, match="at least mu"):
        certified_rates(2, 1, methods)


def test_the_quick_rate_of_odd_input() -> None:
    """What is no rate is inf, so that searches can go on; what is no class is an error."""
    nan = float("nan")
    assert worst_case_rate(three(nan), 0.1, 1.0) == math.inf
    assert worst_case_rate(three(1), 0.0, 1.0) == math.inf
    assert worst_case_rate(three(2.5), 0.1, 1.0) == math.inf
    assert worst_case_rate(([[1.0]], [[1.0]], [[1.0]], [[10.0]]), 0.1, 1.0) == math.inf
    for mu, L in ((2.0, 1.0), (-1.0, 1.0), (nan, 1.0), (1.0, math.inf)):
        with pytest.raises(od.OdescentError, match="a class requires"):
            worst_case_rate(three(1), mu, L)
