"""Certificates against other packages: worst cases by PEPit, and the same inequality in cvxpy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.analysis import certify, worst_case_rate
from odescent.analysis.certificates.checking.document import as_number

MU, L = 0.1, 1.0


def pepit_worst_case(name: str, steps: int) -> float:
    """PEPit's largest ratio of the certificate's V after N steps to V at the start, over F(mu, L)."""
    PEPit = pytest.importorskip("PEPit")
    from PEPit.functions import SmoothStronglyConvexFunction

    found = certify(od.algorithm(name), sp.Rational(1, 10), 1)
    document = found.statement
    d = document["d"]
    number = lambda t: as_number(t, d).a + float(as_number(t, d).b) * d**0.5
    A, B, C = (np.array([[float(number(e)) for e in row] for row in document[k]]) for k in "ABC")
    P = np.array(found.P.evalf(17), dtype=float)
    memory = found.witness["memory"]
    nu = {ij: float(w) for ij, w in found.multipliers["nu"].items()}
    weights = [sum(w * ((i == a) - (j == a)) for (i, j), w in nu.items()) for a in range(memory)]

    problem = PEPit.PEP()
    function = problem.declare_function(SmoothStronglyConvexFunction, mu=MU, L=L)
    minimizer = function.stationary_point()
    least = function(minimizer)
    state = [
        problem.set_initial_point() for _ in A
    ]  # around the state at rest, in units of the minimizer
    fixed = [float(e.a) + float(e.b) * d**0.5 for e in found.method().fixed]
    states, gradients, values = [], [], []
    for _ in range(steps + memory):
        states.append([x - v * minimizer for x, v in zip(state, fixed, strict=True)])
        point = sum((float(c) * x for c, x in zip(C[0], state, strict=True)), 0 * minimizer)
        slope, value = function.oracle(point)
        gradients.append(slope)
        values.append(value - least)
        state = [
            sum((float(a) * x for a, x in zip(row, state, strict=True)), float(b[0]) * slope)
            for row, b in zip(A, B, strict=True)
        ]

    def energy(k: int) -> Any:
        w = [*states[k], *[g / L for g in gradients[k : k + memory]]]
        total = sum(
            (2 * (L - MU) * p * v / L for p, v in zip(weights, values[k : k + memory], strict=True)),
            0 * least,
        )  # fmt: skip
        for i, u in enumerate(w):
            for j, v in enumerate(w):
                total = total + L * P[i, j] * (u * v)
        return total

    problem.set_initial_condition(energy(0) <= 1)
    problem.set_performance_metric(energy(steps))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(problem.solve(verbose=0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "steps", "tight"),
    [
        ("gradient_descent", 1, True),
        ("gradient_descent", 3, True),
        ("triple_momentum", 1, True),
        ("triple_momentum", 2, True),
        ("nesterov_sc", 1, False),
        ("nesterov_sc", 3, False),
        ("heavy_ball", 2, False),
    ],
)
def test_pepit_finds_nothing_worse(name: str, steps: int, tight: bool) -> None:
    rate = certify(od.algorithm(name), sp.Rational(1, 10), 1).rate
    worst = pepit_worst_case(name, steps)
    assert worst <= rate ** (2 * steps) * (1 + 2e-3) + 1e-6
    if tight:
        assert abs(worst - rate ** (2 * steps)) < 2e-5


def cvxpy_margin(A: Any, B: Any, C: Any, ratio: float, tau: float, size: float = 1.0) -> float:
    """The one-step inequality, written down anew in cvxpy: V = [x; u]' P [x; u] + p f; the largest margin.

    The class is F(ratio, 1), where ratio may be negative; what follows is of the given size beside the state before.
    """
    cp = pytest.importorskip("cvxpy")
    n = len(A)
    x0, u0, u1 = np.eye(n, n + 2), np.eye(n + 2)[[n]], size * np.eye(n + 2)[[n + 1]]
    x1 = A @ x0 + B @ u0
    points = [(0 * u0, 0 * u0), (C @ x0, u0), (C @ x1, u1)]  # the minimizer first
    P = cp.Variable((n + 1, n + 1), symmetric=True)
    p, t = cp.Variable(), cp.Variable()

    def slack(i: int, j: int) -> tuple[Any, Any]:
        (yi, gi), (yj, gj) = points[i], points[j]
        square = lambda a, b: (a.T @ b + b.T @ a) / 2
        dy, dg = yi - yj, gi - gj
        bent = square(dg, dg) + ratio * square(dy, dy) - 2 * ratio * square(dg, dy)
        quadratic = -square(gj, dy) - bent / (2 * (1 - ratio))
        return quadratic, np.eye(3)[i] - np.eye(3)[j]

    lam = {(i, j): cp.Variable(nonneg=True) for i in range(3) for j in range(3) if i != j}
    nu = {(i, j): cp.Variable(nonneg=True) for i in range(2) for j in range(2) if i != j}
    unit = {
        ij: 1.0 if 1 not in ij else size**2 for ij in lam
    }  # the state before only enters with small weights
    early, late = np.vstack([x0, u0]), np.vstack([x1, u1])
    decrease = tau * early.T @ P @ early - late.T @ P @ late
    decrease = (decrease - sum(w * unit[ij] * slack(*ij)[0] for ij, w in lam.items())) / size**2
    energy = P - sum(w * slack(*ij)[0][: n + 1, : n + 1] for ij, w in nu.items())
    falls = sum(
        w * unit[ij] * (slack(*ij)[1][1:] * np.array([size**-2, 1])) for ij, w in lam.items()
    )
    constraints = [
        decrease - t * np.eye(n + 2) >> 0, energy - t * np.eye(n + 1) >> 0,
        tau / size**2 * p * np.array([1, 0]) - p * np.array([0, 1]) == falls,
        p * np.array([1, 0]) == sum(w * slack(*ij)[1][1:] for ij, w in nu.items()),
        cp.trace(decrease) + cp.trace(energy) + sum(lam.values()) + sum(nu.values()) == 1,
    ]  # fmt: skip
    problem = cp.Problem(cp.Maximize(t), constraints)
    problem.solve(solver="CLARABEL")
    return float(t.value)


def nesterov(kappa: float) -> tuple[Any, Any, Any]:
    beta = (kappa**0.5 - 1) / (kappa**0.5 + 1)
    A, B = np.array([[1 + beta, -beta], [1.0, 0.0]]), np.array([[-1.0], [0.0]])
    return A, B, np.array([[1 + beta, -beta]])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kappa", [4.0, 10.0])
def test_the_same_inequality_in_cvxpy(kappa: float) -> None:
    A, B, C = nesterov(kappa)
    rate = worst_case_rate((A, B, C), 1 / kappa, 1.0, steps=1)
    assert cvxpy_margin(A, B, C, 1 / kappa, (rate + 1e-3) ** 2) > 0
    assert cvxpy_margin(A, B, C, 1 / kappa, (rate - 1e-3) ** 2) < 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kappa", [1.0001, 1.01, 1.2])
def test_the_least_rate_near_condition_number_one_in_cvxpy(kappa: float) -> None:
    """In units of what is unknown: a gradient is (L + mu) y / 2 + (L - mu) w / 2 with w of the class F(-1, 1).

    A step shrinks the state to the size of the rate; the margin changes its sign within 1e-6 (1 - r) of the rate.
    """
    A, B, C = nesterov(kappa)
    rate = worst_case_rate((A, B, C), 1 / kappa, 1.0, steps=1)
    mean, half = (1 + 1 / kappa) / 2, (1 - 1 / kappa) / 2
    near = min(1e-6 * (1 - rate), 0.01 * rate)
    units = np.diag([1.0, rate])  # the iterate before is larger by one step
    back = np.linalg.inv(units)
    inner = (units @ (A + mean * B @ C) @ back, half * units @ B, C @ back)
    assert cvxpy_margin(*inner, -1.0, (rate + near) ** 2, rate) > 0
    assert cvxpy_margin(*inner, -1.0, (rate - near) ** 2, rate) < 0
