"""The smoothed support function of a polygon, against a projection by quadratic programming and its class."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

import odescent as od
from odescent.dynamics.problems.smoothed_support import hull, smoothed_support

COORDINATE = st.integers(-6, 6).map(lambda n: n / 2)
POINT = st.tuples(COORDINATE, COORDINATE)
POLYGON = st.lists(POINT, min_size=1, max_size=4)


def by_weights(vertices: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The nearest convex combination: weights >= 0 whose sum is forced to 1 by a heavy row (scipy's nnls)."""
    heavy = 1e6
    weights, _ = nnls(np.vstack([vertices.T, heavy * np.ones(len(vertices))]), np.append(x, heavy))
    return vertices.T @ weights


@settings(max_examples=20)
@given(POLYGON, POINT)
def test_value_and_gradient(vertices: list[tuple[float, float]], at: tuple[float, float]) -> None:
    points, x = np.array(vertices), np.array(at) + 0.1
    f = smoothed_support(points, 1, 25)
    nearest = by_weights(points, x)
    away = x - nearest
    np.testing.assert_allclose(f.value(x), 12.5 * x @ x - 12 * away @ away, atol=1e-3)
    np.testing.assert_allclose(f.grad(x), x + 24 * nearest, atol=1e-3)


@settings(max_examples=40)
@given(POLYGON, POINT, POINT)
def test_in_the_class(
    vertices: list[tuple[float, float]], a: tuple[float, float], b: tuple[float, float]
) -> None:
    """The interpolation inequality of F(mu, L) in both directions (Taylor, Hendrickx, Glineur 2017)."""
    mu, L = 1.0, 10.0
    f = smoothed_support(vertices, 1, 10)
    for x, y in ((np.array(a), np.array(b)), (np.array(b), np.array(a))):
        gx, gy = np.asarray(f.grad(x)), np.asarray(f.grad(y))
        d, g = x - y, gx - gy
        bound = (g @ g / L + mu * d @ d - 2 * mu / L * g @ d) / (2 * (1 - mu / L))
        assert float(f.value(x)) >= float(f.value(y)) + gy @ d + bound - 1e-9


def test_automatic_differentiation() -> None:
    rng = np.random.default_rng(0)
    f = smoothed_support(rng.normal(size=(7, 2)), 1, 25)
    x = jnp.asarray(3 * rng.normal(size=(400, 2)))
    np.testing.assert_allclose(jax.vmap(jax.grad(f.fun))(x), jax.vmap(f.grad)(x), atol=1e-12)


def test_curvature_inside_and_beside() -> None:
    f = smoothed_support([(1, 1), (-1, 1), (-1, -1), (1, -1)], 2, 10)
    v = jnp.array([0.3, -0.7])
    for x, expected in (
        ((0.2, 0.1), (10, 10)),  # inside
        ((3.0, 4.0), (2, 2)),  # a corner is nearest
        ((0.2, 4.0), (10, 2)),  # an edge is
    ):
        np.testing.assert_allclose(
            f.hess(jnp.array(x), v), np.array(expected) * np.asarray(v), atol=1e-12
        )


def test_hulls_without_interior() -> None:
    assert hull([(1, 2)]).shape == hull([(1, 2), (1, 2)]).shape == (1, 2)
    segment = smoothed_support([(-1, -1), (0, 0), (1, 1)], 1, 5)
    assert len(hull([(-1, -1), (0, 0), (1, 1)])) == 2
    np.testing.assert_allclose(segment.grad(np.array([3.0, 3.0])), [7, 7])  # beyond its end
    np.testing.assert_array_equal(segment.minimizer, [0, 0])
    assert smoothed_support([(1, 1), (2, 1)]).minimizer is None


def test_batches() -> None:
    f = od.objective("smoothed_support")
    points = jnp.arange(10.0).reshape(5, 2)
    one = jnp.stack([f.grad(p) for p in points])
    np.testing.assert_allclose(jax.jit(jax.vmap(f.grad))(points), one)


@pytest.mark.untyped
@pytest.mark.parametrize("bad", [[], [(1, 2, 3)], [(0, float("nan"))], "points", None])
def test_bad_vertices(bad: object) -> None:
    with pytest.raises(od.OdescentError, match="vertices"):
        smoothed_support(bad)
