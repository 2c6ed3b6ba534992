"""Bilevel problems whose lower level has constraints: closed forms, active sets by enumeration, the penalty's error."""

import itertools
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent import OdescentError

RNG = np.random.default_rng(7)
M = RNG.normal(size=(5, 5))
A, B, C = M @ M.T / 3 + 0.2 * np.eye(5), RNG.normal(size=(5, 3)), RNG.normal(size=5)
X0, Y0 = RNG.normal(size=3), np.full(5, 0.1)


def upper(x, y):
    return jnp.sum((y - C) ** 2) / 2 + jnp.sum(jnp.cos(y)) + jnp.sum(x**4) / 8 + x[0] * y[1]


def lower(x, y):
    return y @ A @ y / 2 - y @ (B @ jnp.sin(x))


box = lambda y: jnp.clip(y, -0.25, 0.3)


def enumerated(x):
    """The minimizer of the quadratic in the box and its derivative, by trying every active set."""
    right, slope = B @ np.sin(x), B @ np.diag(np.cos(x))
    for sides in itertools.product((-1, 0, 1), repeat=5):
        y = np.select([np.equal(sides, -1), np.equal(sides, 1)], [-0.25, 0.3], 0.0)
        free = np.equal(sides, 0)
        moved = np.zeros((5, 3))
        if free.any():
            within = A[np.ix_(free, free)]
            y[free] = np.linalg.solve(within, right[free] - A[np.ix_(free, ~free)] @ y[~free])
            moved[free] = np.linalg.solve(within, slope[free])
        multiplier = A @ y - right
        feasible = np.all((y >= -0.25) & (y <= 0.3))
        if feasible and np.all(np.where(free, True, multiplier * np.array(sides) <= 0)):
            return y, moved
    raise AssertionError


def exact(x):
    """The hypergradient by the derivative of the enumerated minimizer."""
    y, moved = enumerated(x)
    down = y - C - np.sin(y)
    down[1] += x[0]
    return np.array([y[1], 0, 0]) + x**3 / 2 + moved.T @ down


@pytest.mark.parametrize("seed", range(6))
def test_hypergradients_are_those_of_the_active_set(seed):
    x = np.random.default_rng(seed).normal(size=3) * 1.5
    found = od.hypergradient(upper, lower, x, Y0, lower_constraints=box, lower_tolerance=1e-12)
    np.testing.assert_allclose(found, exact(x), rtol=0, atol=1e-8)


def test_the_penalty_needs_no_second_derivative_and_its_error_falls_with_sigma():
    wanted = exact(X0)
    given = {"method": "penalty", "lower_constraints": box, "lower_tolerance": 1e-13}
    errors = [
        np.linalg.norm(od.hypergradient(upper, lower, X0, Y0, sigma=s, **given) - wanted)
        for s in (0.02, 0.01, 0.005)
    ]
    assert 1.9 < errors[0] / errors[1] < 2.1 and 1.9 < errors[1] / errors[2] < 2.1
    both = od.hypergradient(upper, lower, X0, Y0, method="richardson", sigma=0.02, **{
        n: v for n, v in given.items() if n != "method"})  # fmt: skip
    assert np.linalg.norm(both - wanted) < errors[0] / 20


def smooth(x, y):
    return (
        jnp.sum((y - C) ** 2) / 2
        + jnp.sum(jnp.cos(y))
        + jnp.sum((x - 0.7) ** 2)
        + 0.2 * x[0] * y[1]
    )


def test_the_three_methods_end_at_one_point():
    wide = lambda y: jnp.clip(y, -0.5, 0.6)
    implicit = od.bilevel(smooth, lower, X0, Y0, lower_constraints=wide)
    assert implicit.success and implicit.history["hypergradient"][-1] < 1e-6
    assert np.all(wide(implicit.y) == implicit.y) and np.sum(implicit.y == -0.5) == 3
    penalty = od.bilevel(
        smooth, lower, X0, Y0, method="penalty", sigma=1e-3, lower_constraints=wide, tolerance=1e-5,
        lower_tolerance=1e-12,
    )  # fmt: skip
    assert penalty.success and np.max(abs(implicit.x - penalty.x)) < 5e-3
    loop = od.bilevel(
        smooth, lower, implicit.x + 0.02, implicit.y, method="single_loop", sigma=0.01, step=0.002, steps=20_000,
        tolerance=1e-5, lower_constraints=wide,
    )  # fmt: skip
    assert loop.success and np.max(abs(loop.x - implicit.x)) < 0.02
    assert np.all(wide(loop.y) == loop.y)


def test_a_kink_is_no_success():
    """Where the faces of the minimizer change the function of x has kinks, and may have its minimum there."""
    found = od.bilevel(upper, lower, X0, Y0, lower_constraints=box, steps=60)
    assert not found.success and found.history["hypergradient"][-1] > 1e-3


def simplex(v):
    """The projection on the simplex (Held, Wolfe and Crowder, doi:10.1007/BF01580223)."""
    s = jnp.sort(v)[::-1]
    level = (jnp.cumsum(s) - 1) / jnp.arange(1.0, v.size + 1)
    return jnp.maximum(v - level[jnp.sum(s > level) - 1], 0)


def test_a_curved_set_and_a_pytree():
    """Portfolios: weights on the simplex react to x; derivatives against differences, constraint on x beside it."""
    weigh = lambda x, y: y["w"] @ A @ y["w"] / 2 - y["w"] @ (B @ x["a"])
    pays = lambda x, y: -jnp.sum(jnp.log1p(y["w"] * 3)) + jnp.sum(x["a"] ** 2) / 4 - y["w"] @ C / 3
    on = lambda y: {"w": simplex(y["w"])}
    start = {"w": np.full(5, 0.2)}
    given = {"lower_constraints": on, "lower_tolerance": 1e-12}
    at = {"a": np.array([0.2, -0.3, 0.1])}

    def value(a):
        return od.bilevel(pays, weigh, {"a": a}, start, steps=0, **given).value

    slope = od.hypergradient(pays, weigh, at, start, **given)["a"]
    e = 1e-5 * np.eye(3)
    differences = [(value(at["a"] + v) - value(at["a"] - v)) / 2e-5 for v in e]
    np.testing.assert_allclose(slope, differences, atol=1e-6)
    ball = lambda x: {"a": x["a"] / jnp.maximum(1, jnp.linalg.norm(x["a"]) / 0.5)}
    found = od.bilevel(pays, weigh, at, start, constraints=ball, lower_constraints=on, steps=300)
    assert found.success and found.y["w"].sum() == pytest.approx(1, abs=1e-9)
    part = od.bilevel(pays, weigh, at, start, constraints=ball, lower_constraints=on, steps=4)
    again = od.bilevel(
        pays, weigh, at, start, constraints=ball, lower_constraints=on, steps=5,
        resume=pickle.loads(pickle.dumps(part)),  # noqa: S301
    )  # fmt: skip
    whole = od.bilevel(pays, weigh, at, start, constraints=ball, lower_constraints=on, steps=9)
    assert np.array_equal(whole.x["a"], again.x["a"])


def test_without_an_active_constraint_it_is_the_problem_without():
    wide = lambda y: jnp.clip(y, -1e3, 1e3)
    free = od.hypergradient(upper, lower, X0, Y0)
    held = od.hypergradient(upper, lower, X0, Y0, lower_constraints=wide, lower_tolerance=1e-12)
    np.testing.assert_allclose(held, free, atol=1e-8)


REFUSED = {
    "no projection": ({"lower_constraints": lambda y: y / 2}, "lower_constraints= is no projection"),
    "not convex": ({"lower_constraints": lambda y: y / jnp.linalg.norm(y)}, "lower_constraints= is no projection"),
    "elsewhere": ({"lower_constraints": lambda y: jnp.clip(y, 1.0, 2.0)}, "y0 does not satisfy the constraint"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    options, sentence = REFUSED[name]
    with pytest.raises(OdescentError, match=sentence):
        od.bilevel(upper, lower, X0, Y0, **options)


def test_a_lower_level_that_has_no_minimizer_in_the_set_is_refused():
    above = lambda y: jnp.maximum(y, 0)
    with pytest.raises(OdescentError, match="does not come to rest"):
        od.bilevel(
            upper, lambda x, y: -jnp.sum(y) * (2 + x[0] ** 2), X0, Y0, lower_constraints=above
        )
