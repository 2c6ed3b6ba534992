"""Rates by integral quadratic constraints: published values, closed forms, and the frequency-domain inequality."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

import odescent as od
from odescent.analysis import Certificate, NoCertificate, certify
from odescent.analysis.certificates.checking.checker import HALF, ZERO, Number, Refused, check
from odescent.analysis.certificates.methods.plant import read
from odescent.analysis.certificates.searching.iqc import Constraints
from odescent.analysis.certificates.searching.proof import inequality


def three(alpha: Any, beta: Any = 0, gamma: Any = 0) -> dict[str, object]:
    return {"alpha": alpha, "beta": beta, "gamma": gamma}


@pytest.mark.parametrize(
    ("name", "options", "published", "exact"),
    [
        ("gradient_descent", {}, 0.9, sp.Rational(9, 10)),
        ("gradient_descent", {"step": "2/(L+mu)"}, 0.818182, sp.Rational(9, 11)),
        ("heavy_ball", {}, 0.860409, None),
        ("nesterov_sc", {}, 0.751821, None),
        ("triple_momentum", {}, 0.683772233983, 1 - 1 / sp.sqrt(10)),
    ],
)
def test_the_weighted_off_by_one_constraint_at_kappa_10(
    name: str, options: dict[str, str], published: float, exact: sp.Expr | None
) -> None:
    method = od.algorithm(name, **options)
    found = certify(method, 1, 10, multipliers="off_by_one")
    assert (
        found.witness["memory"] == 1
        and found.verify()
        and round(found.rate, 6) == round(published, 6)
    )
    if exact is None:
        assert found.exact is None
    else:
        assert found.exact is not None and sp.expand(found.exact - exact) == 0
    with_all = certify(method, 1, 10)
    assert found.rate >= with_all.rate - 2e-7
    assert with_all.lower() is not None and found.rate >= with_all.lower()


def frequency_rate(alpha: float, beta: float, gamma: float, mu: float, past: int) -> float:
    """The least rate, above the slowest quadratic's, at which an inequality holds on a circle, L = 1 (KYP).

    With G the transfer function from u to y: Re conj(1 - mu G) (G - 1) (1 - t rate^2 / z) <= 0 for |z| = rate and a
    t in [0, 1], the ratio of the multipliers.
    """
    circle = np.exp(1j * np.linspace(0, np.pi, 801))
    curvatures = np.linspace(mu, 1, 401)
    companion = [
        np.ones(401),
        -(1 + beta - alpha * (1 + gamma) * curvatures),
        beta - alpha * gamma * curvatures,
    ]
    slowest = max(np.abs(np.roots(p)).max() for p in np.transpose(companion))

    def holds(rate: float) -> bool:
        z = rate * circle
        G = -alpha * ((1 + gamma) * z - gamma) / ((z - 1) * (z - beta))
        product = np.conj(1 - mu * G) * (G - 1) / (np.abs(G) ** 2 + 1)
        worst = lambda t: (product * (1 - t * rate**2 / z)).real.max()  # convex in t
        best = minimize_scalar(worst, bounds=(0, 1), method="bounded").fun if past else worst(0)
        return bool(best <= 1e-7)

    low, high = float(slowest) + 1e-6, 1.0 - 1e-6
    if low >= high or not holds(high):
        return math.inf
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


unit = st.fractions(Fraction(1, 20), 1, max_denominator=20)


@settings(max_examples=6)
@given(unit, unit, unit, st.integers(3, 40), st.sampled_from(["sector", "off_by_one"]))
def test_the_frequency_domain_inequality(
    alpha: Fraction, beta: Fraction, gamma: Fraction, kappa: int, kind: str
) -> None:
    """Kalman, Yakubovich and Popov: the same rate without a matrix."""
    method = three(2 * alpha, beta, gamma)
    expected = frequency_rate(
        2 * float(alpha), float(beta), float(gamma), 1 / kappa, kind != "sector"
    )
    try:
        found = certify(method, Fraction(1, kappa), 1, multipliers=kind)
    except NoCertificate:
        assert expected > 0.999
        return
    assume(found.rate < 0.999)
    assert found.verify() and abs(found.rate - expected) < 1e-3


@settings(max_examples=10)
@given(st.fractions(Fraction(1, 20), Fraction(19, 10), max_denominator=50), st.integers(2, 500))
def test_gradient_descent_needs_the_sector_only(step: Fraction, kappa: int) -> None:
    """max(|1 - a mu|, |1 - a L|): Lessard, Recht and Packard, section 4.4."""
    truth = max(abs(1 - step / kappa), abs(1 - step))
    found = certify(three(step), Fraction(1, kappa), 1, multipliers="sector")
    assert 0 <= Fraction(found.rate) - truth < Fraction(2, 10**7) and found.verify()


@pytest.mark.parametrize("kappa", [2, 10, 100])
@pytest.mark.parametrize("part", [0, Fraction(1, 3), Fraction(9, 10)])
def test_the_robust_momentum_method(kappa: int, part: Fraction) -> None:
    """Its parameter is its rate, from 1 - sqrt(mu/L) to 1 - mu/L (Cyrus, Hu, Van Scoy, Lessard, arXiv:1710.04753)."""
    q = 1 / math.sqrt(kappa)
    rate = sp.Rational(str(round(float(1 - q + part * (q - q**2)), 6) + (1e-6 if not part else 0)))
    one, k = sp.S.One, sp.Integer(kappa)
    alpha = k * (1 - rate) ** 2 * (1 + rate)
    beta = k * rate**3 / (k - 1)
    gamma = rate**3 / ((k - 1) * (1 - rate) ** 2 * (1 + rate))
    method = three(alpha, beta, gamma)
    found = certify(method, one / k, 1, multipliers="off_by_one")
    assert found.verify() and -1e-6 < found.rate - float(rate) < 1e-6


def test_heavy_ball_near_the_threshold() -> None:
    """No certificate beyond kappa = 18 or so (section 4.6), and the cycle that shows why."""
    method = od.algorithm("heavy_ball")
    assert certify(method, 1, 17, multipliers="off_by_one").rate < 1
    with pytest.raises(NoCertificate, match="period 3"):
        certify(method, 1, 18, multipliers="off_by_one")
    with pytest.raises(NoCertificate, match="multipliers 'sector'"):
        certify(method, 1, 10, multipliers="sector")


@pytest.mark.parametrize("kappa", [3, 12])
def test_more_memory_is_no_worse(kappa: int) -> None:
    method = three(Fraction(3, 2), Fraction(1, 2))  # heavy ball, not tuned
    rates = []
    for steps in (1, 2, 3):
        found = certify(method, Fraction(1, kappa), 1, multipliers="zames_falb", steps=steps)
        assert found.verify() and found.witness["memory"] == steps
        rates.append(found.rate)
    assert all(b <= a + 3e-7 for a, b in pairwise(rates))
    assert rates[-1] >= certify(method, Fraction(1, kappa), 1, steps=3).rate - 3e-7


def test_implicit_steps_enclosures_and_a_given_rate() -> None:
    method = od.algorithm("proximal_point").bind(h=sp.Rational(1, 3))
    assert certify(method, 1, 9, multipliers="sector").exact == sp.Rational(3, 4)
    leapfrog = od.algorithm("dissipative_leapfrog").bind(h=sp.Rational(1, 4), c=2)
    found = certify(leapfrog, 1, 10, multipliers="off_by_one")
    assert found.enclosed and found.verify()
    nag = od.algorithm("nesterov")
    assert certify(nag, 1, 10, rate=0.76, multipliers="off_by_one").proved == sp.Rational(19, 25)
    with pytest.raises(NoCertificate, match="rate 3/4"):
        certify(nag, 1, 10, rate=0.75, multipliers="off_by_one")


def test_it_travels_and_refuses_what_is_altered() -> None:
    found = certify(od.algorithm("nesterov"), 1, 10, multipliers="off_by_one")
    again = Certificate.from_dict(json.loads(found.to_json()))
    assert again.verify() and again.rate == found.rate and again.P == found.P
    assert "1 step of memory" in str(again)
    document = found.to_dict()
    assert check(document)
    lam, nu = document["witness"]["lambda"], document["witness"]["nu"]
    assert set(lam) == {"0,1", "1,-1"} and set(nu) == {"0,-1"}  # p of the past; Q_jk and p_k
    for part, change in (
        ("witness", {"lambda": {**lam, "0,1": str(10 * Fraction(lam["0,1"]))}}),  # more of the past
        ("witness", {"lambda": {**lam, "0,1": "-1"}}),
        ("witness", {"lambda": {**lam, "2,1": "1/100"}}),  # beyond the memory
        ("statement", {"gap": "1/4"}),
        ("witness", {"P": [["0"] * len(row) for row in document["witness"]["P"]]}),
        ("statement", {"mu": "9/10"}),
        ("statement", {"bounded": "state"}),
        ("witness", {"weight": "-1"}),
    ):
        with pytest.raises(Refused):
            check({**document, part: {**document[part], **change}})


@settings(max_examples=40)
@given(
    st.lists(st.fractions(-2, 2, max_denominator=5), min_size=12, max_size=12),
    st.integers(0, 3),
    st.fractions(Fraction(1, 5), Fraction(8, 9), max_denominator=9),
)
def test_a_constraint_is_a_proof_by_interpolation(
    entries: list[Fraction], steps: int, rate: Fraction
) -> None:
    """D of `Proof` is rate^2 V - V+ - <w, lambda_0 z - ...> of any form P and multipliers, entry by entry in SymPy."""
    mu, L = Fraction(1, 3), Fraction(2)
    method = three(*(abs(x) + Fraction(1, 7) for x in entries[:3]))
    plant = read(method, mu, L)
    candidates = Constraints(plant, steps)
    kept, s = candidates.past.count(None), steps
    m = len(plant.A) + kept
    P = [[Number(entries[(3 * i * j + i + j) % 12]) for j in range(m)] for i in range(m)]
    lam = {i: Number(abs(entries[i])) for i in range(s + 1)}
    proof = candidates.proof(Number(rate), P, lam)
    it = inequality(plant, Number(rate), s)
    _, D, star = it.remainders(proof.P, proof.nu, proof.lam)
    whole = lambda rows: sp.Matrix([[sp.Rational(str(x.a)) for x in row] for row in rows])
    # x_k, u_k / L, ... run from symbols; z = y - u / L and w = u - mu y are written anew
    u = sp.symbols(f"u:{s + 1}")
    A, B, C = whole(plant.A), whole(plant.B), whole(plant.C)
    x = [sp.Matrix(sp.symbols(f"x:{A.rows}"))]
    y = []
    for v in u:
        y.append((C * x[-1])[0])
        x.append(A * x[-1] + B * sp.Rational(L.numerator, L.denominator) * v)
    z = [a - b for a, b in zip(y, u, strict=True)]
    w = sp.Rational(str(L)) * u[s] - sp.Rational(str(mu)) * y[s]
    form = lambda at: sp.Matrix(
        [*x[at], *(z[at - i] for i, row in enumerate(candidates.past, 1) if row is None)]
    )
    V = lambda at: sp.Rational(str(L)) * (form(at).T * whole(P) * form(at))[0]
    past = sum((-sp.Rational(str(lam[i].a)) * z[s - i] for i in range(1, s + 1)), sp.S.Zero)
    expected = sp.Rational(str(rate)) ** 2 * V(s) - V(s + 1)
    expected -= w * (sp.Rational(str(lam[0].a)) * z[s] + past)
    vector = sp.Matrix([*x[0], *u])
    assert sp.expand((vector.T * whole(D) * vector)[0] - expected) == 0
    rest = lam[0] - sum((lam[i] for i in range(1, s + 1)), ZERO)
    assert all(not (e - (HALF * rest if i == s else ZERO)) for (_, i), e in star.items())


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"multipliers": "off-by-one"}, "did you mean 'off_by_one'"),
        ({"multipliers": "sector", "over": "quadratics"}, "linear rates over all"),
        ({"multipliers": "sector", "horizon": 3}, "without horizon="),
    ],
)
def test_bad_options_get_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence):
        certify(three(1), Fraction(1, 10), 1, **options)


def test_several_gradients_are_refused() -> None:
    x, f = od.blocks("x"), od.Objective("f")
    half = x - f.grad(x) / 10
    twice = od.method({x: half - f.grad(half) / 10}, output=x)
    with pytest.raises(od.OdescentError, match="one gradient per step"):
        certify(twice, 1, 10, multipliers="sector")
