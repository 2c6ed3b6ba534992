"""Bounds after finitely many steps: closed forms, published numbers, PEPit, and functions that attain them."""

from __future__ import annotations

import copy
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
from odescent.analysis.certificates import HorizonCertificate, load
from odescent.analysis.certificates.checking.checker import Refused, check


def theta(N: int, last: bool) -> list[float]:
    found = [1.0]
    for i in range(N):
        weight = 8 if last and i == N - 1 else 4
        found.append((1 + (1 + weight * found[-1] ** 2) ** 0.5) / 2)
    return found


def ogm_table(N: int) -> list[list[sp.Expr]]:
    """Kim and Fessler's steps (arXiv:1406.5468): exact, so nested roots from N = 3 on."""
    t = [sp.Integer(1)]
    for i in range(N):
        t.append((1 + sp.sqrt(1 + (8 if i == N - 1 else 4) * t[-1] ** 2)) / 2)
    rows: list[list[sp.Expr]] = []
    for i in range(N):
        row = [
            (2 * t[k] - sum(rows[j - 1][k] for j in range(k + 1, i + 1))) / t[i + 1]
            for k in range(i)
        ]
        rows.append([*row, 1 + (2 * t[i] - 1) / t[i + 1]])
    return rows


@pytest.mark.parametrize(
    ("options", "N", "least"),
    [
        ({}, 1, 1 / 6), ({}, 2, 1 / 11), ({}, 5, 1 / 32), ({}, 10, 0.0114942528),
        ({"momentum": "fista"}, 2, 0.1), ({"momentum": "fista"}, 5, 0.0348937685),
    ],
)  # fmt: skip
def test_nesterov(options: dict[str, Any], N: int, least: float) -> None:
    found = certify(od.algorithm("nesterov_c", **options), 0, 1, horizon=N)
    assert found.verify() and -1e-10 < found.bound - least < 1e-6
    if found.steps.exact:  # the run is then exact data
        assert abs(found.lower() - least) < 1e-9 and found.gap < 1e-6


@pytest.mark.parametrize(("N", "least"), [(1, 6), (2, 11), (5, 32), (16, 186)])
def test_exactly(N: int, least: int) -> None:
    """MATH's 1/6, 1/11, 1/32, and 1/(4 N + 2) of gradient descent: attained by Huber's function, proved exactly."""
    found = certify(od.algorithm("nesterov_c"), 0, 1, horizon=N)
    assert found.exact == sp.Rational(1, least) and "no better bound" in str(found)
    assert found.worst is not None and (N != 2 or found.worst.width == Fraction(2, 11))
    document = copy.deepcopy(found.to_dict())
    document["statement"]["bound"] = str(Fraction(1, least) - Fraction(1, 10**30))
    with pytest.raises(Refused):
        check(document)
    slow = certify(od.algorithm("gradient_descent"), 0, 5, horizon=N)
    assert slow.exact == sp.Rational(5, 4 * N + 2) and slow.verify()


@pytest.mark.parametrize("N", [1, 2, 5])
def test_optimized_gradient_method(N: int) -> None:
    """L / (2 theta_N^2), the least of all methods."""
    least = 1 / (2 * theta(N, True)[-1] ** 2)
    found = certify({"h": ogm_table(N)}, 0, 3, horizon=N)
    assert found.verify() and -1e-10 < found.bound - 3 * least < 1e-6
    assert not isinstance(certify({"h": [[1]]}, 0, 1, horizon=1).statement["points"][1][0], dict)


@pytest.mark.parametrize(
    ("measure", "start", "least"),
    [
        ("value", "distance", lambda L, N: L / (4 * N + 2)),  # Drori and Teboulle
        ("gradient", "distance", lambda L, N: L**2 / (N + 1) ** 2),
        ("gradient", "value", lambda L, N: 2 * L / (2 * N + 1)),
        ("distance", "distance", lambda L, N: 1.0),
    ],
)
def test_gradient_descent(measure: str, start: str, least: Any) -> None:
    for L, N in ((1, 3), (Fraction(5, 2), 2)):
        found = certify(
            od.algorithm("gradient_descent"), 0, L, horizon=N, measure=measure, start=start
        )
        assert found.verify() and -1e-9 < found.bound - least(float(L), N) < 1e-6
        assert found.lower() == pytest.approx(least(float(L), N), abs=1e-9)


def test_methods_as_matrices() -> None:
    """Gradient descent as numbers, as matrices and as a table; heavy ball's first step is gradient descent's."""
    for method in (
        {"alpha": Fraction(1, 2)},
        ([[1]], [[Fraction(-1, 2)]], [[1]]),
        {"h": [[1], [0, 1]]},
    ):
        assert certify(method, 0, 2, horizon=2).exact == sp.Rational(2, 10)
    momentum = {"alpha": 1, "beta": Fraction(1, 3), "gamma": Fraction(1, 3)}
    table = {
        "h": [[1], [Fraction(1, 3), 1]]
    }  # x2 = y1 - g1, y1 = x1 + (x1 - x0)/3, over the gradient points
    first = certify(momentum, 0, 1, horizon=1)
    assert first.exact == sp.Rational(1, 6)
    points = certify({**momentum}, 0, 1, horizon=2, output="point").statement["points"]
    assert points[0] == [] and points[1] == ["-4/3"]
    assert points[2] == [str(Fraction(-4, 3) - Fraction(1, 9)), "-4/3"]
    assert certify(table, 0, 1, horizon=2).verify()


def test_strongly_convex() -> None:
    """|x_N - x*| <= (1 - mu / L)^N |x_0 - x*| of gradient descent; x_N = x_0 / (1 + h mu)^N of proximal steps."""
    found = certify(
        od.algorithm("gradient_descent"), Fraction(1, 10), 1, horizon=3, measure="distance"
    )
    assert found.verify() and -1e-10 < found.bound - 0.9**6 < 1e-6 and found.gap < 1e-6
    implicit = od.algorithm("proximal_point").bind(h=2)
    found = certify(implicit, Fraction(1, 10), 1, horizon=2, measure="distance")
    assert found.verify() and -1e-10 < found.bound - 1.2**-4 < 1e-6 and found.gap < 1e-6


def pepit(table: list[list[float]], measure: str) -> float:
    """PEPit's worst case of steps of 1 / L, L = 1, over convex functions."""
    PEPit = pytest.importorskip("PEPit")
    from PEPit.functions import SmoothConvexFunction

    problem = PEPit.PEP()
    f = problem.declare_function(SmoothConvexFunction, L=1)
    minimizer = f.stationary_point()
    x = problem.set_initial_point()
    problem.set_initial_condition((x - minimizer) ** 2 <= 1)
    gradients: list[Any] = []
    for row in table:
        gradients.append(f.gradient(x))
        x = x - sum((h * g for h, g in zip(row, gradients, strict=True)), 0 * x)
    value = {"value": f(x) - f(minimizer), "gradient": f.gradient(x) ** 2}[measure]
    problem.set_performance_metric(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(problem.solve(verbose=0))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("measure", ["value", "gradient"])
def test_against_pepit(measure: str) -> None:
    table = [[1.25], [0.25, 1.5], [-0.125, 0.5, 0.75]]
    found = certify({"h": table}, 0, 1, horizon=3, measure=measure)
    assert found.verify() and abs(found.bound - pepit(table, measure)) < 1e-5


step = st.fractions(-1, 2, max_denominator=8)


@settings(max_examples=6)
@given(st.lists(step, min_size=6, max_size=6), st.floats(0.01, 3.0), st.floats(0.05, 1.0))
def test_no_function_is_worse(steps: list[Fraction], width: float, lean: float) -> None:
    """Huber-like functions and their sums in the plane, run in floats."""
    table = [steps[:1], steps[1:3], steps[3:]]
    found = certify({"h": table}, 0, 1, horizon=3)
    assert found.verify() and found.lower() is not None and found.lower() <= found.bound

    def f(x: Any) -> tuple[float, Any]:  # of two lines, each 1-smooth
        inner = np.clip(x, -width * np.array([1, lean]), width * np.array([1, lean]))
        return float((inner * (x - inner / 2)).sum()), inner

    start = np.array([0.6, 0.8])
    x, gradients = start, []
    for row in table:
        gradients.append(f(x)[1])
        x = x - sum(float(h) * g for h, g in zip(row, gradients, strict=True))
    assert f(x)[0] <= found.bound * float(start @ start) + 1e-12


def test_every_number_changed_is_refused() -> None:
    document = certify(od.algorithm("nesterov_c"), 0, 1, horizon=2).to_dict()
    assert "f(y_N) - f* <= c |x_0 - x*|^2, c = 1/11" in check(document)
    least = Fraction(1, 11)
    for part, key, value in (
        ("statement", "bound", str(least - Fraction(1, 10**9))), ("statement", "bound", "-1"), ("statement", "L", "0"),
        ("statement", "mu", "-1"), ("statement", "mu", "1"), ("statement", "measure", "speed"),
        ("statement", "start", "value"), ("witness", "lambda", {"0,9": "1"}), ("witness", "lambda", {"0,1": "-1"}),
        ("witness", "lambda", {}), ("statement", "points", [[], ["-1"], ["-5/4", "-3/4"]]),
        ("statement", "points", [[], ["-1"]]), ("statement", "horizon", 1),
    ):  # fmt: skip
        with pytest.raises(Refused):
            check({**document, part: {**document[part], key: value}})
    for i, j in ((1, 0), (2, 0), (2, 1)):  # other steps, worse ones: the bound is no longer true
        worse = copy.deepcopy(document)
        points = worse["statement"]["points"]
        points[i][j] = str(Fraction(points[i][j]) / 2)
        with pytest.raises(Refused):
            check(worse)


def test_it_travels() -> None:
    found = certify(od.algorithm("ogm"), 0, 1, horizon=3, output="y")
    again = load(found.to_dict())
    assert isinstance(again, HorizonCertificate) and again.verify()
    assert again.bound == found.bound and again.lower() == found.lower() and again.horizon == 3
    assert "f(x_{3})" in again.latex() and "f(x_3) - f*" in str(again)


def test_a_bound_of_ones_own() -> None:
    gd = od.algorithm("gradient_descent")
    assert certify(gd, 0, 1, horizon=2, bound=Fraction(11, 100)).proved == sp.Rational(11, 100)
    with pytest.raises(NoCertificate, match="out of reach"):
        certify(gd, 0, 1, horizon=2, bound=Fraction(99, 1000))


def test_bad_input_gets_a_sentence() -> None:
    gd = od.algorithm("gradient_descent")
    for call, sentence in (
        (lambda: certify(gd, 0, 1), "give horizon="),
        (lambda: certify(gd, 0, 1, horizon=0), "at least 1"),
        (lambda: certify(gd, 0, 1, horizon=99), "at most 40"),
        (lambda: certify(gd, 1, 1, horizon=2), "mu < L"),
        (lambda: certify(gd, 0, 1, horizon=2, measure="speed"), "measure must be one of"),
        (lambda: certify(gd, 0, 1, horizon=2, start="here"), "start must be one of"),
        (lambda: certify(gd, 0, 1, horizon=2, output="w"), "not 'w'"),
        (lambda: certify(gd, 1, 2, measure="value"), "give horizon="),
        (lambda: certify(gd, 0, 1, horizon=2, rate=1), "bound="),
        (lambda: certify({"h": [[1], [1]]}, 0, 1, horizon=2), "rows of"),
        (lambda: certify(od.algorithm("adam"), 0, 1, horizon=2), "not linear"),
        (lambda: certify(od.algorithm("proximal_point"), 0, 1, horizon=2), "has no value"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=sentence):
            call()


def worst_function_of(document: dict[str, Any]) -> Fraction:
    """The measure over the start that the data of a lower bound attain, after all its inequalities were checked here.

    By the definition of F(mu, L) in the form of Taylor, Hendrickx and Glineur, in fractions; rational documents only.
    """
    s, data = document["statement"], document["lower"]
    mu, L = Fraction(s["mu"]), Fraction(s["L"])
    start = [Fraction(x) for x in data["start"]]
    g = [[Fraction(x) for x in row] for row in data["gradients"]]
    f = [Fraction(x) for x in data["values"]] + [Fraction(0)]
    y = [
        [x + sum(Fraction(h) * u[a] for h, u in zip(row, g, strict=False)) for a, x in enumerate(start)]
        for row in s["points"]
    ]  # fmt: skip
    y, g = [*y, [Fraction(0)] * len(start)], [*g, [Fraction(0)] * len(start)]

    def dot(u: list[Fraction], v: list[Fraction]) -> Fraction:
        return sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0))

    for i in range(len(y)):
        for j in range(len(y)):
            dy = [a - b for a, b in zip(y[i], y[j], strict=True)]
            dg = [a - b for a, b in zip(g[i], g[j], strict=True)]
            rest = [a - b / L for a, b in zip(dy, dg, strict=True)]
            convex = f[i] - f[j] - dot(g[j], dy) - dot(dg, dg) / (2 * L)
            assert convex >= mu / (2 * (1 - mu / L)) * dot(rest, rest)
    one = dot(start, start) if s["start"] == "distance" else f[s["points"].index([])]
    end = {"value": f[-2], "gradient": dot(g[-2], g[-2]), "distance": dot(y[-2], y[-2])}
    return end[s["measure"]] / one


part = st.fractions(Fraction(-1, 5), Fraction(4, 5), max_denominator=10)


@settings(max_examples=12, deadline=None)
@given(
    st.fractions(Fraction(1, 10), Fraction(19, 10), max_denominator=10), part, part, part,
    st.sampled_from([Fraction(0), Fraction(0), Fraction(1, 1000), Fraction(1, 10), Fraction(9, 10)]),
    st.sampled_from([1, Fraction(7, 2), 100]), st.integers(1, 8),
    st.sampled_from([("value", "distance"), ("gradient", "distance"), ("distance", "distance"), ("gradient", "value")]),
)  # fmt: skip
def test_both_bounds_meet(
    alpha: Fraction, beta: Fraction, gamma: Fraction, delta: Fraction, k: Fraction, L: Any, N: int,
    form: tuple[str, str],
) -> None:  # fmt: skip
    """Of any three-parameter method: a function of the class attains the bound, to what is promised."""
    method = {"alpha": alpha / L, "beta": beta, "gamma": gamma, "delta": delta}
    measure, start = form
    found = certify(method, k * L, L, horizon=N, measure=measure, start=start)
    assert found.settled and found.verify() and found.lower() is not None and found.verify()
    attained = worst_function_of(found.to_dict())
    assert found.lower() <= attained <= found.proved
    ((kind, size),) = found.precision.items()
    assert found.bound - found.lower() <= (size if kind == "absolute" else size * found.bound)


@pytest.mark.parametrize(
    ("parameters", "k", "N", "form", "size"),
    [
        (("39/25", "0", "4/5", "1/10"), "1/100", 8, ("value", "value"), 1.53760588e5),
        (("71/50", "-1/5", "7/10", "1/2"), "1/10000", 10, ("value", "value"), 1.96783085e6),
        (("39/20", "1/10", "4/5", "1/10"), "99/100", 14, ("gradient", "value"), 4.60263990e12),
        (("173/100", "0", "4/5", "1/10"), "9/10", 13, ("distance", "value"), 3.67633286e10),
        (("179/100", "1/5", "9/10", "3/10"), "1/10000", 13, ("distance", "value"), 1.29005e11),
    ],
)  # fmt: skip
def test_methods_that_grow(
    parameters: tuple[str, ...], k: str, N: int, form: tuple[str, str], size: float
) -> None:
    """A worst function attains the bound all the same, as far as a thousand billion times the start."""
    names = ("alpha", "beta", "gamma", "delta")
    method = {name: Fraction(x) for name, x in zip(names, parameters, strict=True)}
    measure, start = form
    found = certify(method, Fraction(k), 1, horizon=N, measure=measure, start=start)
    low = found.lower()
    assert found.settled and found.verify() and low is not None
    assert low <= found.bound <= low * (1 + 1e-6) and low == pytest.approx(size, rel=1e-5)


def test_a_distance_by_a_value_over_convex_functions() -> None:
    """f = c x^2 / 2 has no least c: the ratio is about 2 / c for every method."""
    gd = od.algorithm("gradient_descent")
    with pytest.raises(NoCertificate, match="arbitrarily flat"):
        certify(gd, 0, 1, horizon=3, measure="distance", start="value")


def test_a_search_takes_no_longer_than_it_may() -> None:
    method = {"alpha": 1, "beta": Fraction(1, 3), "gamma": Fraction(1, 3)}
    with pytest.raises(OdescentError, match="seconds must be a positive number"):
        certify(method, 0, 1, horizon=2, seconds=0)
    with pytest.raises(NoCertificate, match="within 1e-09 seconds"):
        certify(method, 0, 1, horizon=12, seconds=1e-9)


@pytest.mark.parametrize(
    ("name", "mu", "L", "steps", "least"),
    [
        ("nesterov_sc", 1, 100, 40, 0.16722196),
        ("nesterov_c", 0, 1, 40, 1 / 942),
        ("heavy_ball", 1, 15, 20, 2.6009003),
    ],
)
def test_forty_steps(name: str, mu: int, L: int, steps: int, least: float) -> None:
    """Nesterov's 1/942 is attained by Huber's function of width 1/471; the heavy ball may end farther than it began."""
    found = certify(od.algorithm(name), mu, L, horizon=steps)
    assert abs(found.bound / least - 1) < 1e-7
    lower = found.lower()
    assert lower is not None and 0 <= found.bound - lower < 1e-6 * found.bound
    again = load(found.to_dict())
    assert again.lower(0) == lower and f"x_{steps}" in str(again)
    if name == "nesterov_sc":
        assert worst_function_of(found.to_dict()) >= Fraction(lower)


def test_where_doubles_end() -> None:
    found = certify(od.algorithm("gradient_descent"), Fraction(1, 2), 1, horizon=20)
    assert found.precision == {"absolute": pytest.approx(1e-9)} and "double precision" in str(found)
    assert found.bound - (found.lower() or 0) <= 1e-9
    assert certify({"alpha": 1}, 0, 1, horizon=2).precision == {"relative": 1e-6}


def test_what_is_not_settled_is_said() -> None:
    """Starts a hundred times as far as the values: the search ends early, the bound is proved all the same."""
    found = certify(
        {"alpha": Fraction(4, 5)},
        Fraction(1, 10**4),
        1,
        horizon=8,
        measure="distance",
        start="value",
    )
    gap = found.bound - (found.lower() or 0)
    assert found.verify() and found.bound < 2e4 * (1 + 1e-6)
    assert found.settled or "did not settle" in str(found)
    assert not found.settled or gap <= 1e-6 * found.bound


def test_a_weaker_bound_is_proved_by_the_stronger_one() -> None:
    method = {"alpha": 1, "beta": Fraction(1, 3), "gamma": Fraction(1, 3)}
    for measure, start in (("value", "distance"), ("gradient", "value")):
        least = certify(method, Fraction(1, 10), 1, horizon=3, measure=measure, start=start)
        for more in (1, Fraction(10**9 + 1, 10**9), 2, 10**6):
            wanted = Fraction(str(least.proved)) * more
            found = certify(
                method, Fraction(1, 10), 1, horizon=3, measure=measure, start=start, bound=wanted
            )
            assert found.verify() and found.proved == wanted


def test_a_point_twice() -> None:
    """A step of nothing: two gradients at one point, which are one gradient."""
    found = certify({"h": [[0], [0, 1]]}, 0, 1, horizon=2)
    assert found.verify() and abs(found.bound - 1 / 6) < 1e-6
    assert found.lower() is not None and found.gap < 1e-6


def test_numbers_that_cancel_become_floats() -> None:
    """(4 - sqrt 15)^60 = a - b sqrt 15 with a of 54 digits: the difference of two floats would be noise."""
    from odescent.analysis.certificates.checking.checker import Number
    from odescent.analysis.certificates.methods.plant import to_float

    x = Number(Fraction(1), d=15)
    for _ in range(60):
        x = x * Number(Fraction(4), Fraction(-1), 15)
    assert to_float(x) == pytest.approx(float((4 - sp.sqrt(15)).evalf(60) ** 60), rel=1e-14)
    assert to_float(-x) == -to_float(x)


def least_eigenvalue(document: Any, L: float) -> float:
    """Of D over (x_0, u_0, ..., u_N) by definition, in floats, where mu = 0 and L is a number."""
    s, size = document["statement"], len(document["statement"]["points"]) + 1
    u, y = np.eye(size)[1:], np.zeros((size - 1, size))
    y[:, 0] = 1
    for i, row in enumerate(s["points"]):
        y[i, 1 : len(row) + 1] = [float(Fraction(h)) for h in row]
    u, y = (
        np.vstack([u, np.zeros(size)]),
        np.vstack([y, np.zeros(size)]),
    )  # the minimizer is point -1
    bound, square = (
        float(Fraction(s["bound"])),
        {"gradient": u[-2], "distance": y[-2]}.get(s["measure"]),
    )
    D, values = np.zeros((size, size)), np.zeros(size)  # of 2 f_i
    values[-2] -= s["measure"] == "value"
    if square is not None:
        D -= 2 * np.outer(square, square)
    if s["start"] == "value":
        values[s["points"].index([])] += bound
    else:
        D[0, 0] += 2 * bound

    def less(i: int, j: int, weight: float) -> None:
        values[[i, j]] -= [weight, -weight]
        D[...] += weight * (
            2 * np.outer(u[j], y[i] - y[j]) + np.outer(u[i] - u[j], u[i] - u[j]) / L
        )

    for key, weight in document["witness"]["lambda"].items():
        less(*map(int, key.split(",")), float(Fraction(weight)))
    for i, weight in enumerate(-values[:-1]):
        assert weight > -1e-12
        less(-1, i, weight)
    return float(np.linalg.eigvalsh((D + D.T) / 2)[0])


@pytest.mark.parametrize(("measure", "start"), [("gradient", "value"), ("value", "distance")])
def test_an_enclosed_smoothness(measure: str, start: str) -> None:
    """Weights that prove a bound over F(0, L) prove it for all smaller L: D is least at the largest."""
    step = {"h": [[Fraction(1, 2)], [0, Fraction(1, 2)]]}
    found = certify(step, 0, 2, horizon=2, measure=measure, start=start, bound=2).to_dict()
    found.pop("lower", None)
    for low, high, holds in (("1999/1000", "2", True), ("2", "100", False)):
        found["statement"]["L"] = {"from": low, "to": high}
        ends = [float(Fraction(low)), float(Fraction(high))]
        least = [least_eigenvalue(found, L) for L in np.linspace(*ends, 9)]
        assert max(np.diff(least)) < 1e-12  # least for the largest L
        assert (least[-1] > -1e-12) == holds
        if holds:
            assert "for every f in F(mu, L)" in check(found)
        else:
            with pytest.raises(Refused):
                check(found)
