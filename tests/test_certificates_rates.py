"""Certified rates relative to 1 - rate, for condition numbers from 1.0001 to 1e10."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import NoCertificate, certify, worst_case_rate
from odescent.analysis.certificates.checking import checker
from odescent.analysis.certificates.searching import least
from odescent.analysis.certificates.searching.centers import Centers

x = od.blocks("x")
f = od.Objective("f")
KAPPAS = (1.0001, 1.5, 10, 123456.789, 3 * 10**5, 3 * 10**6, 10**8, 10**10)


def three(alpha: Any, beta: Any = 0, gamma: Any = 0) -> dict[str, object]:
    return {"alpha": alpha, "beta": beta, "gamma": gamma}


def exactly(kappa: float) -> sp.Rational:
    return sp.Rational(str(kappa))


def gap(found: Any) -> float:
    """1 - rate from the exact number."""
    return float(1 - found.proved)


def gap_below(found: Any, rate: sp.Expr) -> float:
    """How much less than 1 - rate is proved, relatively."""
    return float((found.proved - rate) / (1 - rate))


@pytest.mark.parametrize(
    ("kappa", "published"),
    [(10**2, 0.720669), (10**4, 0.680798), (10**6, 0.670854), (10**8, 0.667963), (10**10, 0.667074)],
)  # fmt: skip
def test_nesterov_at_large_condition_numbers(kappa: int, published: float) -> None:
    """(1 - rate) sqrt(kappa), found before by a search of another kind, in the state (x, (x - x_-) / q)."""
    found = certify(od.algorithm("nesterov_sc"), 1, kappa)
    assert abs(gap(found) * math.sqrt(kappa) - published) < 6e-7 and found.verify()


@pytest.mark.parametrize("kappa", KAPPAS)
def test_identities_are_algebra(kappa: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any condition number, in Q(sqrt d), without a search."""

    def refuse(*_: object) -> None:
        raise AssertionError("an identity needs no solver")

    monkeypatch.setattr(Centers, "largest", refuse)
    k = exactly(kappa)
    q = 1 / sp.sqrt(k)
    robust = [1 - q * (1 - w) - w / k for w in (sp.S.Zero, sp.Rational(1, 3), sp.Rational(9, 10))]
    cases = [
        (od.algorithm("gradient_descent"), 1 - 1 / k),
        (od.algorithm("gradient_descent", step="2/(L+mu)"), (k - 1) / (k + 1)),
        (three(sp.Rational(7, 10) / k), 1 - sp.Rational(7, 10) / k),
        (od.algorithm("triple_momentum"), 1 - q),
        (od.algorithm("proximal_point").bind(h=3), sp.Rational(1, 4)),
        *((od.algorithm("robust_momentum").bind(rho=r), r) for r in robust),
    ]
    for method, exact in cases:
        found = certify(method, 1, kappa)
        assert found.exact is not None and sp.simplify(found.exact - exact) == 0
        assert found.verify()


def test_other_outputs_of_triple_momentum() -> None:
    """xi follows the output of the identity, by a filter with the pole (1 - q)^2; y is left to the search."""
    q = 1 / sp.sqrt(10**7)
    view = od.algorithm("triple_momentum").state_space()
    followed = certify(od.algorithm("robust_momentum").bind(rho=1 - q), 1, 10**7)
    assert sp.simplify(followed.exact - 1 + q) == 0 and "share" in followed.witness
    assert followed.verify()
    points = certify((view.A, view.B, view.C), 1, 10**7)
    assert 1 - 1e-6 < gap(points) / float(q) < 1 + 1e-12 and points.verify()


def test_a_share_is_less_than_the_rate() -> None:
    """An output that follows by itself with a pole beyond the rate does not decay at it."""
    found = certify(od.algorithm("robust_momentum").bind(rho=sp.Rational(3, 4)), 1, 10).to_dict()
    checker.check(found)
    for share in ("3/4", "-3/4", "1", "0", "9/8", "-2"):
        with pytest.raises(checker.Refused):
            checker.check({**found, "witness": {**found["witness"], "share": share}})


@pytest.mark.parametrize("kappa", [1.0001, 10, 10**4, 3 * 10**5, 10**7, 10**10])
def test_the_search_reaches_what_a_quadratic_allows(
    kappa: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without identities: rates of gradient descent, and slow heavy ball's, whose V a quadratic makes tight."""
    from odescent.analysis.certificates import worst_cases
    from odescent.analysis.certificates.searching import facial_reduction

    monkeypatch.setattr(worst_cases, "attained", lambda *_: ())
    monkeypatch.setattr(facial_reduction, "rate_proofs", lambda *_: ())
    k = exactly(kappa)
    for method in (three(sp.Rational(7, 10) / k), three(sp.Rational(19, 10) / k)):
        found = certify(method, 1, kappa)
        truth = 1 - max(abs(1 - method["alpha"]), abs(1 - method["alpha"] * k))  # type: ignore[operator]
        assert 0 <= float(truth - (1 - found.proved)) < 1e-6 * float(truth) and found.verify()
    if kappa >= 10**4:
        slow = certify(three(1 / (2 * k), sp.Rational(1, 2)), 1, kappa)
        z = sp.Symbol("z")  # poles at mu: z^2 - (1 + beta - alpha) z + beta
        poles = sp.Poly(z**2 - (sp.Rational(3, 2) - 1 / (2 * k)) * z + sp.Rational(1, 2)).nroots(
            n=40
        )
        truth = float(1 - max(abs(p) for p in poles))
        assert -1e-15 * truth <= truth - gap(slow) < 1e-6 * truth


def test_heavy_ball_takes_three_steps_of_memory() -> None:
    for kappa, rate in ((10, 0.84590597), (17, 0.98648914)):
        found = certify(od.algorithm("heavy_ball"), 1, kappa)
        assert found.witness["memory"] == 3 and abs(found.rate - rate) < 1e-7
        more = certify(od.algorithm("heavy_ball"), 1, kappa, steps=4)
        assert abs(gap(more) / gap(found) - 1) < 1e-6
    near = certify(od.algorithm("heavy_ball"), 1, 17.94)
    assert 5.9172e-5 < gap(near) and near.verify()


@settings(max_examples=6)
@given(st.sampled_from(["nesterov_sc", "heavy_ball", "triple_momentum", "slow"]), st.data())
def test_every_rate_above_a_proved_one_is_proved(name: str, data: st.DataObject) -> None:
    kappa = data.draw(
        st.sampled_from([10, 17] if name == "heavy_ball" else [1.5, 10, 10**6, 10**10])
    )
    slow = three(Fraction(1, 4) / Fraction(str(kappa)), Fraction(9, 10))
    method = slow if name == "slow" else od.algorithm(name)
    best = certify(method, 1, kappa)
    share = data.draw(st.fractions(Fraction(1, 10**6), Fraction(999999, 10**6)))
    rate = sp.Rational(*(1 - Fraction(gap(best)) * share).as_integer_ratio())
    weaker = certify(method, 1, kappa, rate=rate)
    assert weaker.proved == rate and weaker.verify()
    with pytest.raises(NoCertificate):
        certify(method, 1, kappa, rate=1 - (1 - best.proved) * sp.Rational(10**5 + 1, 10**5))


def test_the_audit_s_rate() -> None:
    """It was refused where .99934 was proved."""
    assert certify(od.algorithm("nesterov"), 1, 10**6, rate=0.9995).proved == sp.Rational(
        1999, 2000
    )


def test_multipliers_of_other_kinds_are_monotone_too() -> None:
    best = certify(od.algorithm("nesterov"), 1, 10, multipliers="off_by_one")
    for rate in (0.76, 1 - 1 / sp.sqrt(10) / 2, 0.99, sp.Rational(999999, 10**6)):
        found = certify(od.algorithm("nesterov"), 1, 10, multipliers="off_by_one", rate=rate)
        assert found.verify() and found.rate >= best.rate


@pytest.mark.parametrize("kappa", [1.0001, 10**5, 10**9])
def test_rates_grow_with_the_condition_number(kappa: float) -> None:
    """F(1, kappa) lies in F(1, kappa') for kappa < kappa': of one method the rates are in this order."""
    top = 4 * exactly(kappa)
    method = three(1 / top, *2 * [sp.Rational(round(1e4 * (1 - 2 / math.sqrt(top))), 10**4)])
    gaps = [gap(certify(method, 1, k)) for k in (exactly(kappa), 2 * exactly(kappa), top)]
    for narrow, wide in pairwise(gaps):
        assert wide <= narrow * (1 + 1e-6)


def test_two_gradients_a_step_and_implicit_steps() -> None:
    """Two steps of gradient descent in one, and proximal steps by the search: closed forms at 1e8."""
    kappa = 10**8
    half = x - f.grad(x) / kappa
    twice = od.method({x: half - f.grad(half) / kappa}, output=x)
    truth = 1 - (1 - 1e-8) ** 2
    assert abs(gap(certify(twice, 1, kappa)) / (2e-8 - 1e-16) - 1) < 1e-6 and truth > 0
    step = od.algorithm("proximal_point").bind(h=sp.Rational(1, kappa))
    assert certify(step, 1, kappa).exact == 1 / (1 + sp.Rational(1, kappa))


@pytest.mark.parametrize("kappa", [10**6, 10**9, 10**10])
def test_exact_rates_on_a_face(kappa: int) -> None:
    """What the slowest quadratic has is proved exactly, by methods without an identity of their own."""
    half = x - f.grad(x) / (2 * kappa)
    extragradient = od.method({x: x - f.grad(half) / (2 * kappa)}, output=x)
    q = sp.Rational(1, 2 * kappa)
    assert sp.expand(certify(extragradient, 1, kappa).exact - (1 - q + q**2)) == 0
    slow = certify(three(sp.Rational(1, 4) / kappa, sp.Rational(9, 10)), 1, kappa)
    trace = sp.Rational(19, 10) - sp.Rational(1, 4) / kappa
    root = (trace + sp.sqrt(trace**2 - sp.Rational(36, 10))) / 2
    assert sp.expand(slow.exact - root) == 0 and slow.verify()
    # momentum 1: of the poles at mu, which turn, |z|^2 = 1 - alpha
    turning = certify(three(1 / sp.Integer(4 * kappa), 1, 1), 1, kappa)
    assert sp.expand(turning.exact**2 - (1 - 1 / sp.Integer(4 * kappa))) == 0 and turning.verify()


@pytest.mark.parametrize("kappa", [10, 10**6, 10**10])
def test_constraints_at_large_condition_numbers(kappa: int) -> None:
    """Of Nesterov's method the weighted off-by-one constraint has the least rate of all, in any units."""
    least = gap(certify(od.algorithm("nesterov"), 1, kappa))
    for unit in (1, Fraction(1, 10**30), 10**12):
        found = certify(od.algorithm("nesterov"), unit, kappa * unit, multipliers="off_by_one")
        assert abs(gap(found) / least - 1) < 1e-6 and found.verify()
    more = certify(od.algorithm("nesterov"), 1, kappa, multipliers="zames_falb", steps=2)
    assert abs(gap(more) / least - 1) < 1e-6


@pytest.mark.parametrize("kappa", [10**4, 10**8, 10**10])
def test_constraints_that_reach_far_back_at_large_condition_numbers(kappa: int) -> None:
    """Four steps of the past are nearly the state: what they add is small beside it, and not lost."""
    q = 1 / sp.sqrt(kappa)
    for share in (sp.Rational(1, 3), sp.Rational(9, 10)):
        rate = 1 - q * (1 - share) - share / kappa
        method = od.algorithm("robust_momentum").bind(rho=rate)
        found = certify(method, 1, kappa, multipliers="zames_falb", steps=4)
        assert 0 <= gap_below(found, rate) < 1e-7 and found.verify()
    least = gap(certify(od.algorithm("nesterov"), 1, kappa))
    more = certify(od.algorithm("nesterov"), 1, kappa, multipliers="zames_falb", steps=4)
    assert abs(gap(more) / least - 1) < 1e-6


@pytest.mark.parametrize("multipliers", ["interpolation", "off_by_one"])
def test_short_steps_of_momentum(multipliers: str) -> None:
    """Heavy ball with a step h / L of the flow x'' + x' + grad f = 0: 1 - rate is about h / L times the flow's rate.

    That rate is the same up to 1 / L; multipliers are of size 1 there, and differ by 1 - rate.
    """
    found = {}
    for L in (10**6, 10**8, 10**10):
        h = sp.Rational(1, 3 * L)
        damped = 1 / (1 + h)
        method = three(h**2 * damped, damped)
        found[L] = gap(certify(method, 1, L, multipliers=multipliers)) * L
    assert abs(found[10**6] / found[10**8] - 1) < 1e-3
    slopes = [found[10**6] - found[10**8], found[10**8] - found[10**10]]
    assert abs(slopes[1] / slopes[0] - 0.1) < 0.05  # in 1 / sqrt(L)


def test_rates_in_floats_at_large_condition_numbers() -> None:
    for kappa, scaled in ((1e6, 0.670854), (1e10, 0.667074)):
        found = worst_case_rate(od.algorithm("nesterov"), 1.0, kappa)
        assert abs((1 - found) * math.sqrt(kappa) - scaled) < 1e-6


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_rates_in_floats_are_the_same_with_300_bits(seed: int) -> None:
    """Where doubles carry the matrices as well, they are formed in doubles."""
    random = np.random.default_rng(seed)
    kappa = 10 ** random.uniform(0.01, 4)
    momentum = random.uniform(-0.3, 1) * (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
    step, other = random.uniform(0.1, 1.5) / kappa, random.choice([0.0, momentum])
    method = {"alpha": step, "beta": momentum, "gamma": float(other)}
    steps, found = int(random.integers(1, 4)), []
    for slow in (least._SLOW, 2.0):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(least, "_SLOW", slow)
            found.append(1 - worst_case_rate(method, 1.0, kappa, tol=1e-8, steps=steps))
    assert found[0] == found[1] or abs(found[0] / found[1] - 1) < 5e-8


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_centers_find_generalized_eigenvalues(seed: int) -> None:
    """x A > delta x B is about the least eigenvalue of (A, B), also in coordinates that differ by 1e12."""
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 6))
    roots = random.normal(size=(2, n, n))
    A, B = (r @ r.T + 1e-2 * np.eye(n) for r in roots)
    truth = scipy.linalg.eigh(A, B, eigvals_only=True)[0]
    scale = 10.0 ** random.uniform(-6, 6, n)
    A, B = (m * scale[:, None] * scale for m in (A, B))
    program = Centers([(A[None], B[None])], (np.array([[1.0]]), np.array([[0.0]])))
    found = program.largest(lambda c: c.beyond - c.delta < 1e-9 * c.delta)
    assert found and abs(found[-1].delta / truth - 1) < 1e-7


def test_what_is_open_and_what_is_not_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoCertificate, match=r"no certificate exists: .* cycle of period 3"):
        certify(od.algorithm("heavy_ball"), 1, 10**6)
    with pytest.raises(NoCertificate, match=r"no rate exists: .* pole"):
        certify(three(sp.Rational(5, 2)), sp.Rational(1, 10**8), 1)
    with pytest.raises(
        NoCertificate, match=r"no Lyapunov function of the rate 3/4 was found.*0\.2481787"
    ):
        certify(od.algorithm("nesterov"), 1, 10, rate=sp.Rational(3, 4))
    # nothing found and nothing refuted
    monkeypatch.setattr(Centers, "largest", lambda *_: [])
    with pytest.raises(NoCertificate, match=r"in floating point .* neither proves anything"):
        certify(od.algorithm("nesterov"), 1, 10)


def test_a_rate_with_another_root() -> None:
    """The exact rate of slow heavy ball has a root of its own; a wanted rate may have another."""
    method = three(Fraction(1, 40), Fraction(1, 2))
    best = certify(method, 1, 10)
    assert best.exact is not None and best.d > 1
    wanted = 1 - (2 - sp.sqrt(3)) / 10
    found = certify(method, 1, 10, rate=wanted)
    assert found.verify() and sp.expand(found.proved - wanted) == 0
    assert certify(method, 1, 10, rate=sp.Rational(99, 100)).verify()


@pytest.mark.parametrize("L", [10, Fraction(1, 3)])
@pytest.mark.parametrize(
    "name", ["gradient_descent", "nesterov_sc", "heavy_ball", "triple_momentum"]
)
def test_one_step_solves_a_problem_of_one_curvature(name: str, L: Any) -> None:
    """A state that is 0 after a step is the sum of no vectors, for which an AttributeError came out."""
    found = certify(name, L, L)
    assert found.proved == 0 and str(found.rate) == "0.0"
    assert "exactly 0, attained" in str(found)
