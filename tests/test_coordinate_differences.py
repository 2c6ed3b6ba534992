"""Differences along coordinates: whole, masked, in blocks, as a gradient, beside loops and exact biases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

f = lambda p: p[0] ** 3 * p[1] + p[1] ** 2 + jnp.sin(p[2]) * p[0]
X = np.array([0.7, -0.4, 1.1])


@pytest.mark.parametrize("difference", ["central", "forward"])
@pytest.mark.parametrize("block", [1, 2, 128])
def test_they_are_those_of_a_loop(difference, block):
    found = od.coordinate_differences(f, 1e-3, difference, block=block)(jnp.asarray(X))
    for i, e in enumerate(np.eye(3) * 1e-3):
        low, width = (X, 1e-3) if difference == "forward" else (X - e, 2e-3)
        assert float(found[i]) == pytest.approx(float(f(X + e) - f(low)) / width, rel=1e-9)


def test_the_errors_are_diagonals_of_derivatives():
    """(r/2) diag H of forward differences, r^2/6 of third derivatives of central ones."""
    gradient, hessian = jax.grad(f)(X), jax.hessian(f)(X)
    third = jax.jacfwd(jax.hessian(f))(X)
    small = 1e-3
    forward = od.coordinate_differences(f, small, "forward")(jnp.asarray(X)) - gradient
    np.testing.assert_allclose(forward, small / 2 * np.diag(hessian), atol=2 * small**2)
    central = od.coordinate_differences(f, small)(jnp.asarray(X)) - gradient
    np.testing.assert_allclose(
        central, small**2 / 6 * np.einsum("iii->i", np.asarray(third)), atol=1e-10
    )


def test_they_are_the_mean_over_the_law_of_coordinates():
    """A sample +-sqrt(d) e_i moves a coordinate by r sqrt(d); one-sided ones average to central ones."""
    x, r = od.blocks("x"), od.parameters("r")
    z, of = od.sample("z", "coordinate", like=x), od.Objective("f")
    central = (of.value(x + r * z) - of.value(x - r * z)) / (2 * r) * z
    one_sided = (of.value(x + r * z) - of.value(x)) / r * z
    assert od.mean(one_sided) == od.mean(central)
    point = {x: X, r: 1e-2}
    measured = od.monte_carlo(od.estimate(central, of=of.grad(x)), f, point, draws=20_000)
    exact = od.coordinate_differences(f, 1e-2 * np.sqrt(3))(jnp.asarray(X))
    assert (abs(measured.mean - exact) < 4 * measured.mean_error).all()


def test_a_mask_leaves_coordinates_out_and_asks_for_no_values_there():
    tree = {"a": jnp.asarray(X), "b": jnp.asarray([[2.0, 3.0]])}
    fun = lambda p: f(p["a"]) + jnp.sum(p["b"] ** 4)
    mask = {"a": np.array([True, False, True]), "b": np.array([[False, True]])}
    asked = []

    def counted(p):
        jax.debug.callback(lambda v: asked.append(np.asarray(v)), p["b"][0, 0])
        return fun(p)

    gradient = od.coordinate_differences(counted, 1e-4, mask=mask, block=2)
    found = jax.block_until_ready(gradient(tree))
    jax.effects_barrier()
    exact = jax.grad(fun)(tree)
    for name in tree:
        np.testing.assert_allclose(found[name], np.where(mask[name], exact[name], 0.0), rtol=1e-5)
    assert len(asked) == 2 * 3


def test_a_method_runs_by_them():
    exact = od.objective("rosenbrock")
    fun = exact.oracles["value"]
    by_values = od.Objective("f", fun, grad=od.coordinate_differences(fun, 1e-5), dimension=2)
    method = od.algorithm("gradient_descent", step=1e-3)
    runs = [method.run(g, np.array([0.3, 0.5]), 50).x for g in (exact, by_values)]
    np.testing.assert_allclose(*runs, atol=1e-8)


@pytest.mark.parametrize(
    "options, x, sentence",
    [
        ({"radius": 0.0}, X, "radius must be a positive finite number, not 0.0"),
        ({"radius": len}, X, "radius of coordinate_differences must be"),
        ({"radius": 1e-18}, X, "1e-18 is below the resolution of float64 at the point, 2.4e-16"),
        ({"radius": 1e-3, "mask": np.zeros(3, bool)}, X, "the mask leaves no coordinate"),
        ({"radius": 1e-3, "mask": np.ones(2, bool)}, X, r"the mask has the shapes \(2,\)"),
        ({"radius": 1e-3, "block": 0}, X, "block must be a whole number of at least 1"),
        ({"radius": 1e-3, "difference": "backward"}, X, "backward"),
    ],
)
def test_what_is_refused(options, x, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        od.coordinate_differences(f, **options)(jnp.asarray(x))
