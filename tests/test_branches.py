"""Branches of equilibria and fixed points, their special points and coefficients against closed forms."""

from __future__ import annotations

from collections import Counter

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from jax import Array

import odescent as od
from odescent.analysis import continuation


def logistic(x: Array, *, r: Array) -> Array:
    return r * x * (1 - x)


def unfolded(x: Array, *, p: Array, q: Array = 0.0) -> Array:  # type: ignore[assignment]
    return q + p * x - x**3


def henon(z: Array, *, a: Array, b: Array = 0.3) -> Array:  # type: ignore[assignment]
    return jnp.stack([1 - a * z[0] ** 2 + z[1], b * z[0]])


def found(c: od.analysis.Continuation) -> list[tuple[str, float]]:
    return [(s.label, s.value) for s in sorted(c.special, key=lambda s: s.value)]


def test_logistic_map_doubles_along_its_switched_branches() -> None:
    """Transcritical at 1 (f'' / 2 = -r); doublings at 3 (c = f''^2 / 4 = 9), 1 + sqrt(6) and OEIS A086181."""
    c = continuation(logistic, parameter="r", interval=(0.5, 4.0), x0=[0.3], at=2.0)
    assert [s.coefficient for s in c.special] == pytest.approx([-1, 9])
    for _ in range(3):  # the other branch at 1, and two doublings
        newest = c.special[len(c.branches) - 1]
        c = c.switch(newest)
    values = [s.value for s in c.special]
    np.testing.assert_allclose(values, [1, 3, 1 + 6**0.5, 3.54409035955192285], rtol=1e-14)
    assert [b.kind for b in c.branches] == ["fixed points", "fixed points", "2-cycles", "4-cycles"]
    r, x = c.branches[2].values, np.sort(c.branches[2].x[..., 0], axis=1)
    root = np.sqrt((r - 3) * (r + 1))
    np.testing.assert_allclose(
        x, np.stack([r + 1 - root, r + 1 + root], 1) / (2 * r)[:, None], rtol=1e-11
    )
    assert (c.branches[2].stable == (r < 1 + 6**0.5)).all()
    assert c.branches[1].stable.sum() > 0 and "supercritical" in str(c)


def test_window_of_period_three() -> None:
    """Fold at 1 + sqrt(8), doubling where the multiplier of the stable cycle is -1 (30 digits by mpmath)."""
    c = continuation(logistic, parameter="r", interval=(3.0, 4.0), x0=[0.5149], at=3.83, period=3)
    assert found(c) == [
        ("fold", pytest.approx(1 + 8**0.5, abs=1e-13)),
        ("period doubling, supercritical", pytest.approx(3.84149900754350784, abs=1e-13)),
    ]


def test_points_of_flows_on_the_line() -> None:
    """Pitchfork e = -1; transcritical a = -1; m x + x^3 - x^5: subcritical pitchfork at 0 and folds at -1/4."""
    c = continuation(unfolded, parameter="p", interval=(-1, 1), x0=[0.0], flow=True)
    (point,) = c.special
    assert (point.label, point.value) == ("pitchfork, supercritical", pytest.approx(0, abs=1e-15))
    assert point.coefficient == pytest.approx(-1)
    other = c.switch(point).branches[1]
    np.testing.assert_allclose(other.values, other.x[:, 0, 0] ** 2, atol=1e-12)
    assert (
        other.stable.all()
        and other.x.min() == pytest.approx(-1)
        and other.x.max() == pytest.approx(1)
    )
    cross = continuation(
        lambda x, *, p: p * x - x * x, parameter="p", interval=(-1, 1), x0=[0.0], flow=True
    )
    assert [(s.kind, s.coefficient) for s in cross.special] == [
        ("transcritical", pytest.approx(-1))
    ]
    quintic = lambda x, *, m: m * x + x**3 - x**5
    c = continuation(quintic, parameter="m", interval=(-0.5, 0.5), x0=[0.0], flow=True)
    c = c.switch(c.special[0])
    assert [s.label for s in c.special] == ["pitchfork, subcritical", "fold", "fold"]
    np.testing.assert_allclose([s.value for s in c.special], [0, -0.25, -0.25], atol=1e-14)


def test_a_branch_that_closes() -> None:
    """A circle of equilibria has two folds; a figure eight four, and a crossing through which it passes twice."""

    def circle(s, p):
        return jnp.array([1 - s[0] ** 2 - (p - 3) ** 2])

    def eight(s, p):
        return jnp.array([s[0] ** 2 - s[0] ** 4 - (p - 3) ** 2])

    for field, begin, at, wanted in (
        (circle, 0.9, 3.1, {(2.0, "fold"): 1, (4.0, "fold"): 1}),
        (eight, 0.8, 3.3, {(2.5, "fold"): 2, (3.0, "transcritical"): 1, (3.5, "fold"): 2}),
    ):
        found = od.analysis.continuation(
            field, parameter="p", interval=(0, 6), x0=np.array([begin]), at=at, flow=True
        )
        (branch,) = found.branches
        assert set(branch.ends) == {"the branch closes"}
        assert Counter((round(s.value, 9), s.kind) for s in branch.special) == wanted


@pytest.mark.parametrize("seed", range(6))
def test_at_a_crossing_of_curved_branches_the_other_one_begins(seed: int) -> None:
    """Points between two neighbours were those of the other branch: a switch led back, and folds were seen."""
    rng = np.random.default_rng(seed)
    c, one, bend = rng.uniform(2.7, 3.3), rng.uniform(-2, 2), rng.uniform(-0.3, 0.3)
    other = one + rng.choice([-1, 1]) * rng.uniform(1.2, 2)

    def parabola(p):
        return one * (p - c) + bend * (p - c) ** 2

    def field(s, p):
        return -jnp.array([(s[0] - parabola(p)) * (s[0] - other * (p - c))])

    begin = {"x0": np.array([parabola(2.2)]), "at": 2.2}
    found = od.analysis.continuation(field, parameter="p", interval=(2, 4), flow=True, **begin)
    (crossing,) = found.special
    assert (crossing.kind, crossing.value) == ("transcritical", pytest.approx(c, abs=1e-9))
    new = found.switch(crossing).branches[-1]
    assert min(new.values) == 2 and max(new.values) == 4
    np.testing.assert_allclose(new.x[:, 0].ravel(), other * (new.values - c), atol=1e-9)


def test_hopf_points_and_their_coefficients() -> None:
    """Lorenz at r = 470/19, subcritical, after the pitchfork at 1; Brusselator at 1 + a^2; a normal form has 2 a."""
    lorenz = lambda z, *, r: jnp.stack(
        [10 * (z[1] - z[0]), r * z[0] - z[1] - z[0] * z[2], z[0] * z[1] - 8 / 3 * z[2]]
    )
    c = continuation(lorenz, parameter="r", interval=(0.5, 30), x0=[8.0, 8, 27], at=28, flow=True)
    assert {s.label for s in c.special} == {"Hopf, subcritical", "pitchfork, supercritical"}
    assert [s.value for s in c.special] == pytest.approx([470 / 19, 1, 470 / 19], abs=1e-12)

    def brusselator(z: Array, *, b: Array) -> Array:
        return jnp.stack([1 - (b + 1) * z[0] + z[0] ** 2 * z[1], b * z[0] - z[0] ** 2 * z[1]])

    (hopf,) = continuation(
        brusselator, parameter="b", interval=(0.5, 3), x0=[1.0, 1], flow=True
    ).special
    assert (hopf.label, hopf.value) == ("Hopf, supercritical", pytest.approx(2, abs=1e-13))
    assert hopf.period == pytest.approx(2 * np.pi)

    def normal(z: Array, *, p: Array) -> Array:
        return p * z + jnp.stack([-z[1], z[0]]) - 0.7 * z * (z @ z)

    (hopf,) = continuation(normal, parameter="p", interval=(-1, 1), x0=[0.0, 0], flow=True).special
    assert hopf.coefficient == pytest.approx(-1.4)


def test_neimark_sacker_points_and_their_coefficients() -> None:
    """Delayed logistic map at 2 (Kuznetsov's example 4.2, where |q|^2 = 2 gives -2); a turn with 1 + p - a |z|^2."""
    delayed = lambda z, *, r: jnp.stack([r * z[0] * (1 - z[1]), z[0]])
    (s,) = continuation(delayed, parameter="r", interval=(1.2, 2.5), x0=[0.4, 0.4], at=1.7).special
    assert (s.label, s.value) == ("Neimark-Sacker, supercritical", pytest.approx(2, abs=1e-13))
    assert s.coefficient == pytest.approx(-1) and s.eigenvalue == pytest.approx(
        np.exp(1j * np.pi / 3)
    )
    turn = jnp.array([[0.6, -0.8], [0.8, 0.6]])
    (s,) = continuation(
        lambda z, *, p: turn @ z * (1 + p + 0.3 * z @ z),
        parameter="p",
        interval=(-0.5, 0.5),
        x0=[0.0, 0],
    ).special
    assert (s.label, s.coefficient) == ("Neimark-Sacker, subcritical", pytest.approx(0.6))


def test_curves_in_two_parameters() -> None:
    """Henon: 4 a = -(1 - b)^2 and 3 (1 - b)^2; cusp: 4 p^3 = 27 q^2; Bogdanov-Takens: 4 a = b^2, a = 0."""
    c = continuation(henon, parameter="a", interval=(-1, 1.4), x0=[0.6, 0.2], at=1.0)
    for point, factor in zip(c.special, (-1, 3), strict=True):
        a, b = c.curve(point, second="b", interval=(-1, 0.9)).values.T
        np.testing.assert_allclose(4 * a, factor * (1 - b) ** 2, atol=1e-13)
        assert b.min() < -0.2 and b.max() == pytest.approx(0.9)
    c = continuation(
        unfolded,
        parameter="p",
        interval=(-1, 1),
        x0=[-0.9],
        at=1.0,
        parameters={"q": 0.1},
        flow=True,
    )
    curve = c.curve(c.special[0], second="q", interval=(-0.5, 0.5))
    np.testing.assert_allclose(
        4 * curve.values[:, 0] ** 3, 27 * curve.values[:, 1] ** 2, atol=1e-13
    )
    assert [s.kind for s in curve.special] == ["cusp"]
    assert curve.special[0].values == pytest.approx((0, 0), abs=1e-12)
    double = lambda z, *, a, b: jnp.stack([z[1], a + b * z[0] + z[0] ** 2 - z[0] * z[1]])
    c = continuation(
        double,
        parameter="a",
        interval=(-1, 0.5),
        x0=[0.0, 0],
        at=-0.2,
        parameters={"b": -0.5},
        flow=True,
    )
    for point in c.special:
        curve = c.curve(point, second="b", interval=(-1, 1))
        a, b = curve.values.T
        np.testing.assert_allclose(
            4 * a if point.kind == "fold" else a, b**2 if point.kind == "fold" else 0, atol=1e-13
        )
        assert [s.kind for s in curve.special] == ["Bogdanov-Takens"]
        assert curve.special[0].values == pytest.approx((0, 0), abs=1e-12)


def test_methods_lose_stability_where_their_poles_do() -> None:
    """Gradient descent on curvatures 1 and 8: -1 at h = 2 / 8; it stays with the minimizer."""
    x = od.blocks("x")
    f = od.Objective("f")
    h = od.parameters("h")
    descent = od.method({x: x - h * f.grad(x)}, output=x)
    target = od.objective("quadratic", eigenvalues=(1, 8))
    c = continuation(descent, target, parameter="h", interval=(0.05, 0.4), x0=[1.0, 1.0])
    assert [(s.kind, s.value) for s in c.special] == [
        ("period doubling", pytest.approx(0.25, abs=1e-14))
    ]
    assert c.special[0].criticality == "degenerate"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parameter": "q", "interval": (0, 1), "x0": [0.3]}, "not a parameter"),
        ({"parameter": "r", "interval": (1, 0), "x0": [0.3]}, "low < high"),
        ({"parameter": "r", "interval": (1, 2)}, "x0="),
        ({"parameter": "r", "interval": (1, 2), "x0": [0.3], "at": 3}, "not in"),
        ({"parameter": "r", "interval": (1, 2), "x0": [0.3], "period": 0}, "period"),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        continuation(logistic, **options)


def test_what_has_no_branch_says_so() -> None:
    """No equilibrium at all; no other branch at a fold; a foreign point; a branch that goes to infinity, p x = 1."""
    with pytest.raises(od.OdescentError, match="no equilibrium"):
        continuation(lambda x, *, p: p + x * x, parameter="p", interval=(1, 2), x0=[0.0], flow=True)
    c = continuation(
        lambda x, *, p: p + x * x, parameter="p", interval=(-1, 2), x0=[1.0], flow=True
    )
    with pytest.raises(od.OdescentError, match="turns"):
        c.switch(c.special[0])
    away = continuation(
        lambda x, *, p: 1 - p * x, parameter="p", interval=(-1, 1), x0=[1.0], at=1.0, flow=True
    )
    assert "leaves beyond" in str(away)
    with pytest.raises(od.OdescentError, match="`special`"):
        away.switch(c.special[0])


def test_stability_boundary_of_a_method_is_its_algebraic_curve() -> None:
    """The three-parameter form on curvature 2: Jury's conditions on its exact polynomial."""
    x, m = od.blocks("x m")
    f = od.Objective("f")
    a, b, g = od.parameters("a b g")
    move = b * m - a * f.grad(x + g * m)
    method = od.method({x: x + move, m: move}, output=x)
    target = od.objective("quadratic", eigenvalues=(2,))
    matrix = method.state_space().modal_matrix(sp.Integer(2))
    edges = {
        "period doubling": 1 + matrix.trace() + matrix.det(),
        "Neimark-Sacker": matrix.det() - 1,
    }
    for first, second, kind in (("a", "b", "period doubling"), ("b", "a", "Neimark-Sacker")):
        given = {"g": 0.3, second: 0.3}
        c = continuation(
            method, target, parameter=first, interval=(0.01, 3), x0=[1.0], parameters=given
        )
        point = next(s for s in c.special if s.kind == kind)
        curve = c.curve(point, second=second, interval=(0.05, 0.9))
        closed = sp.lambdify([sp.Symbol(n) for n in (first, second, "g")], _plain(edges[kind]))
        np.testing.assert_allclose(closed(*curve.values.T, 0.3), 0, atol=1e-10)
        assert len(curve.values) > 10


def _plain(e: sp.Expr) -> sp.Expr:
    """With symbols that have names alone."""
    return sp.sympify(e).xreplace({s: sp.Symbol(s.name) for s in e.free_symbols})
