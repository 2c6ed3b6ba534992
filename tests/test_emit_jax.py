"""Emitted JAX: equal to the emitted NumPy, on pytrees, in each precision, under jit, vmap and grad."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emitted_runs import parameters
from hand_loops import MU, T1, X0, L, quadratic

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import Diffusion


def run_states(module, x0, grad, steps, c):
    state = module.init(x0)
    for _ in range(steps):
        state = module.step(state, grad, c)
    return state


def test_pytrees_leaf_by_leaf():
    module = load(od.algorithm("nesterov_sc"), "jax")
    c = module.coefficients(MU, L)
    tree = {"a": jnp.ones((2, 3)), "b": [jnp.full((4,), 2.0), jnp.asarray(3.0)], "n": None}
    grad = lambda t: jax.tree.map(lambda x: 2.0 * x, t)
    state = run_states(module, tree, grad, 7, c)
    assert jax.tree.structure(state.y) == jax.tree.structure(tree)
    for leaf, alone in zip(
        jax.tree.leaves(tree), jax.tree.leaves(module.output(state, c)), strict=True
    ):
        single = run_states(module, leaf, grad, 7, c)
        np.testing.assert_array_equal(module.output(single, c), alone)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", ["nesterov_sc", "nesterov_c", "adam", "triple_momentum"])
def test_the_type_of_each_leaf_stays(name, dtype):
    """conftest makes every silent promotion an error."""
    module = load(od.algorithm(name), "jax")
    c = module.coefficients(**parameters(module))
    tree = {"a": jnp.ones(3, dtype), "b": jnp.ones((2, 2), jnp.float32)}
    state = run_states(module, tree, lambda t: t, 3, c)
    for part in (module.output(state, c), state[0], state[1]):
        assert part["a"].dtype == dtype and part["b"].dtype == jnp.float32


def test_float32_close_to_float64():
    _, Q, center, x0 = quadratic()
    module = load(od.algorithm("nesterov_sc"), "jax")
    full = module.run(lambda x: jnp.asarray(Q) @ (x - center), jnp.asarray(x0), 50, MU, L)
    Q32, center32 = jnp.asarray(Q, jnp.float32), jnp.asarray(center, jnp.float32)
    half = module.run(lambda x: Q32 @ (x - center32), jnp.asarray(x0, jnp.float32), 50, MU, L)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, atol=2e-5)


def test_coefficients_change_without_recompiling_and_vmap():
    module = load(od.algorithm("nesterov_sc"), "jax")
    traces = []

    @jax.jit
    def step(state, c):
        traces.append(1)
        return module.step(state, lambda x: x * jnp.array([1.0, 10.0]), c)

    state = module.init(jnp.ones(2))
    for big in (10.0, 11.0, 12.0):
        state = step(state, module.coefficients(MU, big))
    assert len(traces) == 1

    run = lambda big: module.run(lambda x: x * jnp.array([1.0, 10.0]), jnp.ones(2), 20, MU, big)
    batch = jax.vmap(run)(jnp.array([10.0, 20.0]))
    np.testing.assert_allclose(batch[0, 20], T1["nesterov_sc"][20], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(batch[1], run(20.0), rtol=1e-12, atol=1e-14)


def test_published_iterates_under_jit():
    for name, row in T1.items():
        module = load(od.algorithm(name), "jax")
        values = [parameters(module)[n] for n in parameters(module)]
        run = jax.jit(
            lambda x0, m=module, v=values: m.run(lambda x: x * jnp.array([1.0, 10.0]), x0, 20, *v)
        )
        xs = run(jnp.array(X0))
        for k, expected in row.items():
            np.testing.assert_allclose(xs[k], expected, rtol=2e-12, atol=1e-14)


def test_a_run_is_differentiable_in_its_hyper_parameters():
    module = load(od.algorithm("nesterov_sc"), "jax")
    last = lambda big: module.run(lambda x: x * jnp.array([1.0, 10.0]), jnp.ones(2), 10, MU, big)[
        10, 0
    ]
    slope = float(last(12.0 + 1e-5) - last(12.0 - 1e-5)) / 2e-5
    assert float(jax.grad(last)(12.0)) == pytest.approx(slope, rel=1e-6)


def test_noise_same_key_same_bits_and_prefixes_agree():
    module = load(od.algorithm("unadjusted_langevin"), "jax")
    run = lambda steps, seed: module.run(
        lambda x: x, jnp.zeros(3), steps, 0.1, jax.random.key(seed)
    )
    np.testing.assert_array_equal(run(20, 1), run(20, 1))
    np.testing.assert_array_equal(run(20, 1)[:11], run(10, 1))
    assert not np.allclose(run(5, 1)[1:], run(5, 2)[1:])
    long = module.run(lambda x: 2.0 * x, jnp.zeros(400), 300, 0.1, jax.random.key(0))
    assert float(jnp.var(long[100:])) == pytest.approx(1 / (2 * 0.9), rel=0.05)


def test_noise_on_leaves_is_independent():
    module = load(od.algorithm("unadjusted_langevin"), "jax")
    tree = {"a": jnp.zeros(5), "b": jnp.zeros(5)}
    state = module.step(module.init(tree), lambda t: t, module.coefficients(0.1), jax.random.key(0))
    assert not np.allclose(state.x["a"], state.x["b"])


def test_bad_hyper_parameters_get_a_sentence_and_tracers_pass():
    module = load(od.algorithm("nesterov_sc"), "jax")
    with pytest.raises(ValueError, match="mu must be more than 0, not -1"):
        module.coefficients(-1.0, 1.0)
    with pytest.raises(ValueError, match="L must be a finite number, not nan"):
        module.coefficients(1.0, float("nan"))
    with pytest.raises(ValueError, match=r"L must be at least mu, but L = 1\.0 < mu = 2\.0"):
        module.coefficients(2.0, 1.0)
    jax.jit(module.coefficients)(2.0, 1.0)


def test_integers_become_floats():
    module = load(od.algorithm("gradient_descent"), "jax")
    assert module.init(jnp.arange(3)).x.dtype == jnp.float64
    assert module.init([1, 2]).x[0].dtype == jnp.float64


def test_noise_on_scalar_and_vector_blocks():
    """Euler-Maruyama on dt = s dW, dx = -x ds + dB: both blocks get samples of their own kind."""
    t, x = od.blocks("t", kind="scalar"), od.blocks("x")
    scale = od.parameters("scale")
    f = od.Objective("f")
    system = od.System(
        {
            "all": od.Field(
                {t: -t, x: -f.grad(x)}, {t: Diffusion(scale, "W"), x: Diffusion(scale, "B")}
            )
        },
        output=x,
    )
    alg = od.Algorithm(system, od.scheme("explicit_euler"))
    module = load(alg, "jax")
    xs = module.run(lambda x: x, jnp.zeros(200), 400, 0.1, 1.0, jax.random.key(0))
    assert float(jnp.var(xs[100:])) == pytest.approx(1 / (2 * (1 - 0.05)), rel=0.05)
    run = alg.run(
        od.Objective("g", fun=lambda x: jnp.sum(x**2) / 2),
        np.zeros(2),
        4000,
        jax.random.key(1),
        h=0.1,
        scale=1.0,
    )
    assert float(jnp.var(run.states["t"][100:])) == pytest.approx(1 / (2 * (1 - 0.05)), rel=0.25)
    assert not np.allclose(run.states["t"][1:], run.x[1:, 0])
    plain = load(alg, "numpy").run(
        lambda x: x, np.zeros(200), 400, 0.1, 1.0, np.random.default_rng(0)
    )
    assert float(np.var(plain[100:])) == pytest.approx(1 / (2 * (1 - 0.05)), rel=0.05)
