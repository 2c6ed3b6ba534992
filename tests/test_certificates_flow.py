"""Rates of flows: closed forms, PEPit's continuous-time models, another solver, and what their discretizations keep."""

from __future__ import annotations

import copy
import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._support.errors import OdescentError
from odescent.analysis import NoCertificate, certify
from odescent.analysis.certificates import (
    FlowCertificate,
    certify_flow,
    load,
    rate_transfer,
)
from odescent.analysis.certificates.checking.checker import Number, Refused, all_left, check
from odescent.dynamics import System

tenth = sp.Rational(1, 10)


def heavy_ball(c: object) -> System:
    system = od.system("heavy_ball")
    return system.bind({system.parameters[0]: c})


def without_feed_through(name: str) -> System:
    system = od.system(name)
    return system.limit({system.parameters[0]: 0})


@pytest.mark.parametrize("mu", [sp.Integer(1), tenth, sp.Rational(3, 7)])
def test_closed_forms(mu: sp.Expr) -> None:
    root = sp.sqrt(mu)
    for system, L, rate in (
        (od.system("gradient_flow"), sp.oo, mu),
        (od.system("gradient_flow"), 2, mu),
        (heavy_ball(2 * root), sp.oo, 2 * root / 3),  # Moucer, Taylor, Bach: 4/3 sqrt(mu) of V
        (without_feed_through("nesterov_sc"), sp.oo, 2 * root / 3),
        (without_feed_through("triple_momentum"), sp.oo, root),
    ):
        found = certify(system, mu, L)
        assert sp.simplify(found.proved - rate) == 0 and found.verify()
        assert Fraction(found.rate) <= Fraction(
            sp.Rational(sp.N(rate, 40)).limit_denominator(10**35)
        )
        assert found.rate <= found.upper + 1e-15


@pytest.mark.parametrize("mu", [sp.Rational(1, 10**6), sp.Integer(1000)])
def test_units(mu: sp.Expr) -> None:
    """A change of the unit of time changes the rate alone."""
    for L in (sp.oo, 10 * mu):
        assert certify(od.system("gradient_flow"), mu, L).exact == mu
        rate = certify(heavy_ball(2 * sp.sqrt(mu)), mu, L).rate / math.sqrt(mu)
        assert abs(rate - (2 / 3 if L is sp.oo else 0.7162976)) < 1e-6


def test_enclosed_numbers() -> None:
    """Damping exp(1/2) and its first 20 digits have the same rate, to 1e-7."""
    found = certify(heavy_ball(sp.exp(sp.Rational(1, 2))), 1, 10)
    near = certify(heavy_ball(sp.Rational("1.6487212707001281468")), 1, 10)
    assert found.verify() and "from" in str(found.statement["A"])
    assert abs(found.rate - near.rate) < 1e-7


def test_nested_roots_are_enclosed() -> None:
    """sqrt(mu) for mu = sqrt(2) / 1000: no identity is looked for in enclosures, and the rate is that of mu near it."""
    mu, near = sp.sqrt(2) / 1000, sp.Rational("0.0014142135623730950488")
    found, other = (certify(heavy_ball(2 * sp.sqrt(m)), m, 1) for m in (mu, near))
    assert found.verify() and abs(found.rate / other.rate - 1) < 1e-6


def test_triple_momentum_by_hand() -> None:
    """V = f - f* - mu/2 |x|^2 + mu |z|^2, and the rate sqrt(mu) of z, which is attained."""
    found = certify(without_feed_through("triple_momentum"), 1)
    assert found.exact == 1 and found.P == sp.diag(-sp.S.Half, 1) and found.value_weights == [1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("psd", [True, False])
def test_against_pepit(psd: bool) -> None:
    """PEPit's worst V' / V for Moucer, Taylor and Bach's V; ours is at least as good, and equal for their best."""
    models = pytest.importorskip("PEPit.examples.continuous_time_models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        worst, _ = models.wc_accelerated_gradient_flow_strongly_convex(mu=0.1, psd=psd, verbose=-1)
        simple, _ = models.wc_gradient_flow_strongly_convex(mu=0.1, verbose=-1)
    rate = certify(heavy_ball(2 * sp.sqrt(tenth)), tenth).rate
    assert 2 * rate >= -worst - 1e-4 and (psd or abs(2 * rate + worst) < 1e-4)
    assert abs(2 * certify(od.system("gradient_flow"), tenth).rate + simple) < 1e-4


def cvxpy_feasible(A: Any, B: Any, C: Any, mu: float, L: float, rate: float) -> bool:
    """The inequality written down anew: E >= |X|^2 / 1000, D >= 0, one gradient."""
    cp = pytest.importorskip("cvxpy")
    n, k = len(A), 1 - mu / L
    P = cp.Variable((n, n), symmetric=True)
    nu, lam = cp.Variable(2, nonneg=True), cp.Variable(2, nonneg=True)
    X, u = np.eye(n + 1)[:n], np.eye(n + 1)[n:]
    y, moves = C @ X, A @ X + B @ u
    sym = lambda a, b: (a.T @ b + b.T @ a) / 2
    bent = -sym(u, u) / L - mu * sym(y, y) + 2 * mu / L * sym(u, y)
    to_star, from_star = bent, bent + 2 * k * sym(u, y)
    E = X.T @ P @ X - nu[0] * to_star - nu[1] * from_star
    D = -(X.T @ P @ moves + moves.T @ P @ X) - 2 * rate * X.T @ P @ X
    D = D - 2 * k * (nu[0] - nu[1]) * sym(u, C @ moves) - lam[0] * to_star - lam[1] * from_star
    problem = cp.Problem(cp.Minimize(0), [
        E - X.T @ X / 1000 >> 0, D >> 0, lam[1] - lam[0] == 2 * rate * (nu[0] - nu[1]),
        cp.trace(P) + cp.sum(nu) <= 1000,
    ])  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver="CLARABEL")
    return bool(problem.status == "optimal")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("A", "B", "C"),
    [
        ([[0, 1], [0, -2]], [[0], [-1]], [[1, 0]]),
        ([[0, 1], [0, -1]], [[-Fraction(1, 4)], [-1]], [[1, Fraction(1, 8)]]),
    ],
)
def test_the_same_inequality_in_cvxpy(A: Any, B: Any, C: Any) -> None:
    found = certify_flow((A, B, C), 1, 10)
    floats = [np.array(m, dtype=float) for m in (A, B, C)]
    assert found.verify() and cvxpy_feasible(*floats, 1.0, 10.0, found.rate - 1e-3)
    assert not cvxpy_feasible(*floats, 1.0, 10.0, found.rate + 1e-3)


@settings(max_examples=5)
@given(st.fractions(1, 4, max_denominator=4), st.fractions(0, 1, max_denominator=4))
def test_trajectories_decay(c: Fraction, a: Fraction) -> None:
    """exp(2 r t) V is not increasing along the flow on a function that is no quadratic (Huber's plus mu/2 x^2)."""
    from scipy.integrate import solve_ivp

    A, B, C = [[0, 1], [0, -c]], [[-a], [-1]], [[1, 0]]
    try:
        found = certify_flow((A, B, C), 1, 8)
    except NoCertificate:
        return
    assert found.verify() and found.rate <= found.upper + 1e-12
    P, p = np.array(found.P.evalf(17), dtype=float), float(found.value_weights[0])
    slope = lambda y: y + 7 * np.clip(y, -0.3, 0.3)
    value = lambda y: y**2 / 2 + 7 * np.where(abs(y) <= 0.3, y**2 / 2, 0.3 * (abs(y) - 0.15))
    M, b = np.array(A, dtype=float), np.array(B, dtype=float)[:, 0]
    t = np.linspace(0, 6, 200)
    X = solve_ivp(
        lambda _, x: M @ x + b * slope(x[0]), (0, 6), [1.0, 2.0], t_eval=t, rtol=1e-10, atol=1e-12
    ).y
    energy = np.exp(2 * found.rate * t) * (np.einsum("ik,ij,jk->k", X, P, X) + p * value(X[0]))
    assert (np.diff(energy) <= 1e-7 * energy[0]).all() and (energy >= -1e-9).all()


def test_every_number_changed_is_refused() -> None:
    document = certify(heavy_ball(2), 1).to_dict()
    assert "r = 2/3" in check(document)
    for part, key, value in (
        ("statement", "rate", "667/1000"), ("statement", "rate", "-1"), ("statement", "mu", "1/2"),
        ("statement", "mu", "0"), ("statement", "L", "1"), ("statement", "L", "-1"), ("witness", "weight", "0"),
        ("witness", "weight", "9"), ("witness", "nu", {"0,5": "1"}), ("witness", "nu", {}),
        ("witness", "lambda", {"0,-1": "-1"}), ("statement", "output", ["1", "2"]),
    ):  # fmt: skip
        with pytest.raises(Refused):
            check({**document, part: {**document[part], key: value}})
    with pytest.raises(Refused):
        check({**document, "kind": "rate"})
    for part, name in (("statement", "A"), ("statement", "B"), ("witness", "P")):
        for i, row in enumerate(document[part][name]):
            for j, x in enumerate(row):
                changed = copy.deepcopy(document)
                changed[part][name][i][j] = str(Fraction(x) + Fraction(1, 50))
                with pytest.raises(Refused):
                    check(changed)


def test_it_travels() -> None:
    found = certify(heavy_ball(1), 1, 10)
    again = load(found.to_dict())
    assert isinstance(again, FlowCertificate) and again.verify()
    assert again.rate == found.rate and again.upper == found.upper and "e^{-" in again.latex()
    assert "L = 10" in str(again) and "flow" in again.kind


@given(
    st.lists(st.fractions(-3, 3, max_denominator=5), min_size=2, max_size=5),
    st.fractions(-2, 2, max_denominator=5),
)
def test_routh(roots: list[Fraction], by: Fraction) -> None:
    """Polynomials with known real roots, shifted."""
    poly = [Number(Fraction(1))]
    for r in roots:
        poly = [
            a - Number(r) * b for a, b in zip([*poly, Number(0)], [Number(0), *poly], strict=True)
        ]
    assert all_left(poly, Number(-by)) == all(r + by < 0 for r in roots)


def test_what_schemes_keep() -> None:
    """Closed forms for gradient flow: the multiplier of each scheme at mu, and the real stability interval."""
    schemes = ["explicit_euler", "implicit_euler", "heun"]
    steps = [Fraction(1, 2), Fraction(1)]
    found = rate_transfer(od.system("gradient_flow"), Fraction(1, 10), 1, schemes, steps)
    multiplier = {
        "explicit_euler": lambda w: 1 - w, "implicit_euler": lambda w: 1 / (1 + w),
        "heun": lambda w: 1 - w + w**2 / 2,
    }  # fmt: skip
    for row in found.rows:
        rho = multiplier[row.scheme](0.1 * row.h)
        assert row.certificate is not None and row.certificate.verify()
        assert -1e-9 < row.rho - rho < 2e-6
        assert row.decay == pytest.approx(-math.log(row.rho) / row.h)
        assert row.kept == pytest.approx(row.decay / 0.1)
    ends = {"explicit_euler": 2.0, "implicit_euler": math.inf, "heun": 2.0}
    for name, h in ends.items():
        assert found.largest[name] == pytest.approx(h, rel=2e-3)
    assert found.best["heun"].h == 1 and "kept" in str(found)
    ax = found.plot()
    assert len(ax.lines) == 4 and ax.get_xlabel() == "step h"


def test_a_damped_flow_by_splittings() -> None:
    """h = 1 with Cayley damping is heavy ball with 1/L and Nesterov's momentum: certified at .827477 (kappa = 10)."""
    schemes = {
        "cayley": od.scheme(
            "lie_trotter", [("damp", "cayley"), ("kick", "explicit"), ("drift", "explicit")]
        )
    }
    found = rate_transfer(heavy_ball(2 * sp.sqrt(tenth)), tenth, 1, schemes, [1, 3])
    stable, unstable = found.rows
    assert abs(stable.rho - 0.827477) < 2e-6 and unstable.certificate is None and unstable.kept == 0
    assert "none" in str(found) and 1 < found.largest["cayley"] < 3


def test_bad_input_gets_a_sentence() -> None:
    flow = od.system("gradient_flow")
    for call, sentence in (
        (lambda: certify(flow, 0), "arbitrarily flat"),
        (lambda: certify(flow, 1, 1), "mu < L"),
        (lambda: certify(flow, 1, 2, horizon=3), "for algorithms"),
        (lambda: certify(od.system("heavy_ball"), 1), "has no value"),
        (lambda: certify(od.system("nesterov_c"), 1), "depends on time|is a scalar|has no value"),
        (lambda: certify(od.system("nag_flow"), 1), "gam is a scalar"),
        (lambda: certify(od.system("overdamped_langevin"), 1), "noise"),
        (lambda: certify(od.system("newton_flow"), 1), "linear apart from their gradients"),
        (lambda: certify(flow, 1, rate=2), "was not proved"),
        (lambda: certify(flow, 1, rate=-1), "positive"),
        (lambda: certify_flow([[0]], 1), "matrices"),
        (lambda: certify(heavy_ball(sp.exp(1)), 1), "L must be finite"),
        (lambda: certify_flow(([[0, 1], [0, 1]], [[0], [-1]], [[1, 0]]), 1), "no rate exists"),
        (lambda: rate_transfer(flow, 1, 2, [], [1]), "at least one scheme"),
        (lambda: rate_transfer(flow, 1, 2, ["heun"], [0]), "positive numbers"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=sentence):
            call()
