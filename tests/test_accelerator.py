"""What is computed on an accelerator is what is computed on the CPU; skipped where JAX sees none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.particles import gaussian_start, simulate

pytestmark = pytest.mark.gpu


def run():
    f = od.objective("rosenbrock")
    return od.algorithm("nesterov_sc", mu=1.0, L=1e4).run(f, np.array([-1.0, 1.0]), 200).x


def batch():
    axes = {"x0": np.random.default_rng(0).uniform(-1, 1, (50, 2))}
    method = od.algorithm("heavy_ball", step=1e-4, momentum=0.9)
    return od.analysis.batch(method, od.objective("rosenbrock"), axes=axes, steps=50).values["x"]


def flow():
    system = od.system("heavy_ball")
    f = od.objective("rosenbrock")
    return system.simulate(
        f, np.array([-1.0, 1.0]), 1.0, parameters={"c": 1.0}, rtol=1e-10, atol=1e-12
    ).x[-1]


def particles():
    method = od.Algorithm(od.system("cbo", noise="anisotropic"), od.scheme("explicit_euler"))
    start = gaussian_start(np.full(3, 2.0), 2.0, 500)
    given = {"lam": 1.0, "sigma": 1.0, "h": 0.01, "alpha": 30.0}
    return simulate(
        method, od.objective("rastrigin", dimension=3), start, 20, params=given
    ).consensus


def gradient():
    def loss(w):
        out = od.neural_de.solve(
            lambda t, y, w: jnp.tanh(y @ w), jnp.ones((4, 8)), 0.0, 1.0, w, rtol=1e-6, atol=1e-6,
            regularizer=od.neural_de.error(),
        )  # fmt: skip
        return jnp.mean(out.ys[-1] ** 2) + 1e-3 * out.penalty

    return jax.grad(loss)(jnp.eye(8))


@pytest.mark.parametrize("job", [run, batch, flow, particles, gradient])
def test_results_are_those_of_the_cpu(job):
    """The counters of the draws and all arithmetic in float64: only the order of sums differs."""
    there = np.asarray(job())
    with jax.default_device(jax.devices("cpu")[0]):
        here = np.asarray(job())
    np.testing.assert_allclose(there, here, rtol=1e-8, atol=1e-10)


@pytest.mark.promotion
def test_a_step_in_float32_multiplies_in_float32():
    """TF32, an accelerator's default, has a relative error of 5e-4; `solve` does not use it."""
    rng = np.random.default_rng(0)
    w = jnp.asarray(rng.normal(size=(64, 64)) / 8, jnp.float32)
    y = jnp.asarray(rng.normal(size=(64, 64)), jnp.float32)
    with jax.enable_x64(False):
        solved = jax.jit(
            lambda y, w: od.neural_de.solve(
                lambda t, y, w: y @ w, y, 0.0, 1.0, w, rtol=1e-5, atol=1e-6
            ).ys[-1]
        )(y, w)
    from scipy.linalg import expm

    exact = np.asarray(y, float) @ expm(np.asarray(w, float))
    assert np.abs(np.asarray(solved) - exact).max() < 3e-5 * np.abs(exact).max()
