"""Batches of trajectories against matrix exponentials, SciPy and quadrature."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import odescent as od
from odescent.dynamics.flows.many import simulate_many

x, v = od.blocks("x v")
c = od.parameters("c")
f = od.Objective("f")


def ball():
    return od.System({"all": {x: v, v: -c * v - f.grad(x)}}, output=x)


def test_starts_and_parameters_of_a_linear_system(n=700):
    """More starts than one block holds, each with its own damping."""
    rng = np.random.default_rng(0)
    starts, damping = rng.normal(size=(n, 2)), rng.uniform(0.1, 3, n)
    target = od.objective("quadratic", eigenvalues=(1.0, 4.0))
    s = simulate_many(ball(), target, starts, 2.0, dt=0.01, points=5, parameters={"c": damping})
    assert s.x.shape == (5, n, 2) and s.states["v"].shape == (5, n, 2)
    np.testing.assert_allclose(s.t, [0, 0.5, 1, 1.5, 2], atol=1e-12)
    for i in (0, 511, 512, n - 1):
        for j, lam in enumerate((1.0, 4.0)):
            matrix = np.array([[0, 1], [-lam, -damping[i]]])
            for k, t in enumerate(s.t):
                exact = expm(matrix * t) @ [starts[i, j], 0]
                np.testing.assert_allclose([s.x[k, i, j], s.states["v"][k, i, j]], exact, atol=1e-8)


def test_a_coupled_transcendental_function_in_the_plane():
    fun = lambda z: jnp.cos(z[0]) + z[0] * z[1] ** 2
    starts = np.random.default_rng(1).normal(size=(3, 2))
    s = simulate_many(
        ball(), od.Objective("f", fun=fun), starts, 1.0, dt=0.005, parameters={"c": 1}
    )

    def rates(t, y):
        return [y[2], y[3], -y[2] + np.sin(y[0]) - y[1] ** 2, -y[3] - 2 * y[0] * y[1]]

    for i, start in enumerate(starts):
        exact = solve_ivp(rates, (0, 1), [*start, 0, 0], rtol=1e-10, atol=1e-12).y[:2, -1]
        np.testing.assert_allclose(s.x[-1, i], exact, atol=1e-8)


def test_one_that_blows_up_leaves_the_others_alone():
    up = od.System({"up": {x: od.hadamard(x, x)}}, output=x)
    s = up.simulate_many(f, np.array([[2.0], [0.25]]), 2.0, dt=0.01)
    assert not np.isfinite(s.x[-1, 0, 0])
    assert s.x[-1, 1, 0] == pytest.approx(0.5, rel=1e-7)


def test_time_dependent_coefficients():
    t = od.parameters("t")
    system = od.System({"decay": {x: -2 * t * x}}, time=t, output=x)
    s = simulate_many(system, f, np.array([[1.0], [3.0]]), 2.0, dt=0.01, t0=1.0)
    np.testing.assert_allclose(s.x[-1, :, 0], np.array([1, 3]) * np.exp(-3), rtol=1e-7)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"parameters": {}}, "needs a value of c"),
        ({"parameters": {"c": np.ones(3)}}, r"array of shape \(2,\)"),
        ({"parameters": {"d": 1}}, "no parameter of the system called 'd'"),
        ({"solver": "tsit5"}, "no fixed-step solver"),
        ({"dt": 0.3}, "not a whole number of steps"),
        ({"starts": np.zeros((0, 1))}, "n > 0"),
    ],
)
def test_refusals(change, sentence):
    given = {"starts": np.ones((2, 1)), "dt": 0.1, "parameters": {"c": 1}, **change}
    target = od.objective("quadratic", eigenvalues=(1.0,))
    with pytest.raises(od.OdescentError, match=sentence):
        simulate_many(ball(), target, given.pop("starts"), 1.0, **given)
