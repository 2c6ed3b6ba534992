"""Runs against published iterates and textbook loops; batches, divergence, bad input."""

import inspect
import warnings

import hand_loops
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hand_loops import MU, T1, TMM_XI, X0, L, quadratic, three_parameters

import odescent as od


def plane(**more):
    return od.Objective(
        "plane", fun=lambda x: (x[0] ** 2 + 10 * x[1] ** 2) / 2, mu=1, L=10, dimension=2, **more
    )


@pytest.mark.parametrize("name", sorted(T1))
def test_published_iterates(name):
    run = od.algorithm(name).run(plane(), X0, 20)
    assert run.x.shape == (21, 2) and run.x.dtype == jnp.float64
    np.testing.assert_array_equal(run.x[0], X0)
    for k, expected in T1[name].items():
        np.testing.assert_allclose(run.x[k], expected, rtol=2e-12, atol=1e-14)
    np.testing.assert_allclose(run.f, (run.x[:, 0] ** 2 + 10 * run.x[:, 1] ** 2) / 2, rtol=1e-14)
    assert run.diverged_at is None


def test_states_hold_blocks_and_further_outputs():
    run = od.algorithm("triple_momentum").run(plane(), X0, 20)
    assert {"x", "z", "xi", "y"} <= set(run.states)
    for k, expected in TMM_XI.items():
        np.testing.assert_allclose(run.states["xi"][k], expected, rtol=2e-12)
    np.testing.assert_array_equal(run.states["z"], run.x)
    assert all(len(v) == 21 for v in run.states.values())


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov_sc", "triple_momentum"])
def test_textbook_loops(name):
    grad, Q, center, x0 = quadratic()
    f = od.Objective(
        "f", fun=lambda x: (x - center) @ jnp.asarray(Q) @ (x - center) / 2, mu=MU, L=L
    )
    expected, _ = three_parameters(*hand_loops.coefficients(name, MU, L))(grad, x0, 80)
    np.testing.assert_allclose(od.algorithm(name).run(f, x0, 80).x, expected, atol=1e-12)


def test_times_are_the_clock():
    h = 1 / np.sqrt(10)
    np.testing.assert_allclose(
        od.algorithm("nesterov_sc").run(plane(), X0, 3).t, h * np.arange(4), rtol=1e-14
    )
    np.testing.assert_allclose(
        od.algorithm("nesterov_c").run(plane(), X0, 3).t, h * (np.arange(4) + 1.5), rtol=1e-14
    )
    x = od.blocks("x")
    plain = od.method({x: x - od.Objective("f").grad(x) / 20}, output=x)
    np.testing.assert_array_equal(plain.run(plane(), X0, 3).t, np.arange(4))


def test_batches_over_starting_points_and_parameters():
    alg, f = od.algorithm("nesterov_sc"), plane()
    starts = jnp.array([[1.0, 1.0], [2.0, -3.0]])
    batch = jax.vmap(lambda x0: alg.run(f, x0, 20))(starts)
    for i in range(2):
        np.testing.assert_allclose(batch.x[i], alg.run(f, starts[i], 20).x, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(batch.diverged_at, [-1, -1])
    one = jax.tree.map(lambda a: a[0], batch)
    assert one.prefix().diverged_at is None
    with pytest.raises(od.OdescentError, match="a batch of runs has no common prefix"):
        batch.prefix()

    rates = jnp.array([10.0, 25.0])
    batch = jax.vmap(lambda big: alg.run(f, X0, 20, L=big).x)(rates)
    np.testing.assert_allclose(batch[0, 20], T1["nesterov_sc"][20], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(batch[1], alg.run(f, X0, 20, L=25).x, rtol=1e-12, atol=1e-14)


def test_derivatives_in_parameters():
    last = lambda big: od.algorithm("nesterov_sc").run(plane(), jnp.ones(2), 10, L=big).x[10, 0]
    slope = float(last(12 + 1e-5) - last(12 - 1e-5)) / 2e-5
    assert float(jax.grad(last)(12.0)) == pytest.approx(slope, rel=1e-6)


def test_divergence_keeps_the_finite_prefix():
    run = od.algorithm("gradient_descent").run(plane(), X0, 2000, L=0.5)
    d = run.diverged_at
    assert isinstance(d, int) and 5 < d < 100
    assert len(run.x) == len(run.f) == len(run.t) == len(run.states["x"]) == d
    assert np.isfinite(run.x).all() and np.abs(run.f).max() <= 1e30
    # x2 is multiplied by 1 - 20: the value 5 * 19^(2k) passes 1e30 first at k = 12
    assert d == 12
    assert run.prefix() is run


def test_divergence_inside_jit_cuts_nothing_until_asked():
    alg, f = od.algorithm("gradient_descent"), plane()
    run = jax.jit(lambda x0: alg.run(f, x0, 40, L=0.5))(jnp.ones(2))
    assert run.x.shape == (41, 2) and int(run.diverged_at) == 12
    assert len(run.prefix().x) == run.prefix().diverged_at == 12


def test_an_objective_that_is_not_finite_at_x0():
    f = od.Objective("f", fun=lambda x: jnp.sum(jnp.log(x)), mu=1, L=1)
    with pytest.raises(od.OdescentError, match="cannot start"):
        od.algorithm("gradient_descent").run(f, [-1.0], 3)


def test_pytrees():
    f = od.Objective("f", fun=lambda t: sum(jnp.sum(v**2) for v in t.values()) / 2, mu=1, L=1)
    run = od.algorithm("nesterov_sc").run(f, {"a": np.ones((2, 3)), "b": np.ones(4)}, 5, L=4.0)
    assert run.x["a"].shape == (6, 2, 3) and run.x["b"].shape == (6, 4)
    np.testing.assert_allclose(run.x["a"][:, 0, 0], run.x["b"][:, 0], rtol=1e-14)


def test_precision():
    """Double-precision input runs in float64 whatever JAX's setting; float32 arrays stay float32."""
    alg = od.algorithm("nesterov_sc")
    f = od.Objective("f", fun=lambda x: jnp.sum(x**2) / 2, mu=1, L=4)
    with jax.enable_x64(False):
        for x0 in ([1.0, 2.0], np.ones(2), np.ones(2, int), (1, 2)):
            run = alg.run(f, x0, 30)
            assert run.x.dtype == np.float64
        assert alg.run(f, np.ones(2, np.float32), 3).x.dtype == np.float32
        assert alg.run(f, jnp.ones(2), 3).x.dtype == np.float32
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # JAX's own arrays would be cut to single precision
            for record in (alg.run(f, np.ones(2), 30), alg.run(f, np.ones(2), 30, every=3)):
                assert (0.1 * record.x).mean().dtype == np.float64
                assert f.value(record.x[-1]) < f.value(record.x[0])
        assert jax.jit(lambda x: alg.run(f, x, 3).x)(jnp.ones(2)).dtype == np.float32
        assert jnp.ones(2).dtype == np.float32
    assert alg.run(f, np.ones(2, np.float32), 3).x.dtype == np.float32


def test_a_second_run_compiles_nothing():
    alg = od.algorithm("nesterov_sc")
    traces = []

    def fun(x):
        traces.append(1)
        return jnp.sum(x**2) / 2

    f = od.Objective("f", fun=fun, mu=1, L=4)
    alg.run(f, [1.0, 2.0], 10)
    n = len(traces)
    alg.run(f, [3.0, 4.0], 10)
    alg.run(f, [3.0, 4.0], 10, mu=0.5, L=3)
    od.algorithm("nesterov_sc").run(f, [3.0, 4.0], 10)
    assert len(traces) == n


def test_noise():
    alg = od.algorithm("unadjusted_langevin")
    f = od.Objective("f", fun=lambda x: jnp.sum(x**2) / 2)
    one, two = (alg.run(f, np.zeros(3), 10, jax.random.key(1), h=0.1) for _ in range(2))
    np.testing.assert_array_equal(one.x, two.x)
    with pytest.raises(
        od.OdescentError, match=r"draws noise: give a key, as in key=jax\.random\.key\(0\)"
    ):
        alg.run(f, np.zeros(3), 10, h=0.1)


def test_other_oracles():
    Q = np.diag([1.0, 10.0])
    prox = lambda x, step: jnp.linalg.solve(jnp.eye(2) + step * Q, x)
    run = od.algorithm("proximal_point").run(plane(prox=prox), X0, 10, h=0.3)
    np.testing.assert_allclose(run.x[10], (1 + 0.3 * np.diag(Q)) ** -10.0, rtol=1e-12)
    turn = np.array([[0.1, 1.0], [-1.0, 0.1]])
    game = od.Objective("game", operator=lambda z: jnp.asarray(turn) @ z, L=1.2)
    run = od.algorithm("extragradient").run(game, X0, 40)
    np.testing.assert_allclose(
        run.x, hand_loops.extragradient(lambda z: turn @ z, X0, 40, 1.2), atol=1e-13
    )
    assert run.f is None


def test_to_numpy():
    run = od.algorithm("nesterov_sc").run(plane(), X0, 3).to_numpy()
    assert all(isinstance(v, np.ndarray) for v in (run.x, run.t, run.f, *run.states.values()))
    assert run.diverged_at is None


def test_zero_steps():
    run = od.algorithm("nesterov_sc").run(plane(), X0, 0)
    assert run.x.shape == (1, 2) and run.f.shape == (1,) and run.t.shape == (1,)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": -1}, "steps must be a whole number of at least 0, not -1"),
        ({"steps": 2.5}, "steps must be a whole number of at least 0, not 2.5"),
        ({"steps": True}, "steps of run must be a whole number, not True."),
        ({"x0": [1.0, float("nan")]}, "x0 must be finite"),
        ({"x0": np.array([1.0, np.inf], np.float32)}, "x0 must be finite"),
        (
            {"x0": [1.0, 2.0, 3.0]},
            r"x0 must have shape \(2,\) .* but it is an array of shape \(3,\)",
        ),
        ({"x0": {"a": np.ones(2), "b": np.ones(2)}}, "but it is a pytree of 2 arrays"),
        ({"x0": [[1.0], [1.0, 2.0]]}, "rows of different lengths"),
        ({"x0": "one"}, "x0 must hold real numbers"),
        ({"x0": np.array([1j, 2])}, "x0 must hold real numbers"),
        ({"x0": []}, "x0 is empty"),
        ({"mu": -1}, "mu must be a finite number more than 0, not -1"),
        ({"mu": 20}, "L must be at least mu"),
        ({"mu": np.ones(2)}, r"mu must be one number.*vmap"),
        ({"weight_decay": 1.0}, "no parameter of nesterov_sc called 'weight_decay'"),
    ],
)
def test_bad_input_gets_a_sentence(change, sentence):
    given = {"x0": X0, "steps": 3, **change}
    with pytest.raises(od.OdescentError, match=sentence):
        od.algorithm("nesterov_sc").run(plane(), given.pop("x0"), given.pop("steps"), **given)


def test_coefficients_that_are_not_finite_are_refused():
    """Robust momentum divides by 1 - mu/L: at mu = L there is no such method."""
    method, f = od.algorithm("robust_momentum"), plane()
    with pytest.raises(od.OdescentError, match=r"not finite at mu = 10.0, L = 10.0, rho = 0.5"):
        method.run(f, X0, 3, mu=10.0, L=10.0, rho=0.5)
    with pytest.raises(od.OdescentError, match=r"K = .* has no finite value at L = 1, mu = 1"):
        method.bind(mu=1, L=1)
    with pytest.raises(od.OdescentError, match="no finite values at mu = 1 and L = 1"):
        od.analysis.certify(method.bind(rho=0.5), mu=1, L=1)


def test_missing_parameters_and_oracles_get_a_sentence():
    bare = od.Objective("bare", fun=lambda x: jnp.sum(x**2))
    with pytest.raises(
        od.OdescentError,
        match=r"nesterov_sc needs a value of mu and L: give mu=\.\.\. and L=\.\.\., here or on",
    ):
        od.algorithm("nesterov_sc").run(bare, [1.0], 3)
    with pytest.raises(
        od.OdescentError,
        match="calls the oracle 'operator', which the objective 'bare' does not have",
    ):
        od.algorithm("extragradient").run(bare, [1.0], 3, L=1)
    with pytest.raises(od.OdescentError, match="it is abstract"):
        od.algorithm("gradient_descent").run(od.Objective("f"), [1.0], 3, L=1)


def test_a_trajectory_is_a_pytree():
    run = od.algorithm("nesterov_sc").run(plane(), X0, 3)
    again = jax.tree.unflatten(jax.tree.structure(run), jax.tree.leaves(run))
    np.testing.assert_array_equal(again.x, run.x)
    assert "diverged_at" in inspect.signature(type(run)).parameters
