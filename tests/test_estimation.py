"""Estimated constants against Hessians known in closed form; what is made from them says its condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.vector_fields.estimates import Estimate

RNG = np.random.default_rng(0)


def bowl(x):
    return jnp.sum(jnp.array([1.0, 4.0, 9.0]) * x**2) / 2


def steep(x):
    return jnp.sum(jnp.cosh(x))


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=2), st.floats(1, 4))
def test_the_range_of_a_quadratic_is_exact(eigenvalues, safety):
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    hessian = turn @ np.diag(eigenvalues) @ turn.T
    found = od.estimate_constants(
        lambda x: x @ jnp.asarray(hessian) @ x / 2, np.ones(2), 3, points=2, safety=safety
    )
    np.testing.assert_allclose(found.least, min(eigenvalues), rtol=1e-9)
    np.testing.assert_allclose(found.greatest, max(eigenvalues), rtol=1e-9)
    assert found.L == pytest.approx(safety * max(eigenvalues))
    assert found.mu == pytest.approx(min(eigenvalues) / safety)


def test_lanczos_agrees_with_the_spectrum():
    spectrum = np.linspace(-3.0, 50.0, 300)
    found = od.estimate_constants(
        lambda x: jnp.sum(jnp.asarray(spectrum) * x**2) / 2, np.ones(300), 1, points=1
    )
    assert found.eigenvalues == "Lanczos' method"
    np.testing.assert_allclose([found.least[0], found.greatest[0]], [-3, 50], rtol=1e-4)


def test_a_single_point_misleads_on_real_data():
    """The curvature of logistic regression falls from 3.32 at the start to a thirtieth of it along the run."""
    f = od.objective("logistic/breast_cancer")
    found = od.estimate_constants(f, f.x0)
    assert found.greatest[0] == pytest.approx(3.32, abs=0.005)
    assert found.greatest.min() < 0.15 and found.L == pytest.approx(2 * found.greatest[0])
    assert found.convex and found.mu < 1e-4 < found.least.min() < found.L < 2.01 * float(f.L)
    lines = str(found).splitlines()
    assert lines[1].split() == ["step", "least", "greatest"] and len(lines) == len(found.steps) + 4


def test_a_pytree_and_the_run_of_another_method():
    fun = lambda p: p["a"] ** 4 + jnp.sum(p["b"] ** 2)
    method = od.algorithm("heavy_ball", step=0.1, momentum=0.5)
    found = od.estimate_constants(fun, {"a": 1.0, "b": np.ones(2)}, 9, method=method, points=3)
    assert found.steps.tolist() == [0, 2, 9] and "9 steps of heavy_ball" in str(found)
    run = method.run(fun, {"a": 1.0, "b": np.ones(2)}, 9)
    curvature = 12 * run.x["a"][found.steps] ** 2
    np.testing.assert_allclose(found.greatest, np.maximum(curvature, 2), rtol=1e-12)
    np.testing.assert_allclose(found.least, np.minimum(curvature, 2), rtol=1e-12)


def test_negative_curvature_is_said():
    rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    found = od.estimate_constants(rosenbrock, [-1.2, 1.0])
    assert not found.convex and found.mu == 0 and found.least.min() < 0
    assert "negative curvature was seen" in str(found)
    assert "which it is not" in str(found.condition)
    flat = od.estimate_constants(lambda x: x[0] ** 2, [1.0, 1.0])
    assert flat.convex and flat.mu == 0 and "only convexity is left" in str(flat)
    with pytest.raises(od.OdescentError, match="no positive curvature"):
        od.estimate_constants(lambda x: -jnp.sum(x**2), [1.0], 2)


def test_what_is_made_from_an_estimate_says_so():
    found = od.estimate_constants(bowl, np.ones(3))
    said = f"if L <= 18 and mu >= 0.5, as estimated from {len(found.steps)} points"
    assert isinstance(found.L, Estimate) and str(found.condition) == said
    nag = od.algorithm("nesterov_sc")
    ways = [
        nag.run(found.objective, np.ones(3), 20),
        nag.run(bowl, np.ones(3), 20, mu=found.mu, L=found.L),
        nag.bind(mu=found.mu, L=found.L).run(bowl, np.ones(3), 20),
        od.algorithm("nesterov_sc", mu=found.mu, L=found.L).run(bowl, np.ones(3), 20),
        nag.run(od.Objective(bowl, mu=found.mu, L=found.L), np.ones(3), 20),
    ]
    for run in ways:
        assert said in run.remark and "agree with that" in run.remark and run.remark in str(run)
        np.testing.assert_allclose(run.x, ways[0].x, rtol=1e-12)
    assert nag.run(od.Objective(bowl, mu=0.5, L=18), np.ones(3), 3).remark == ""
    assert od.algorithm("nesterov_sc", mu=0.5, L=18).run(bowl, np.ones(3), 3).remark == ""
    assert (
        od.algorithm("gradient_descent", step=0.1).run(found.objective, np.ones(3), 3).remark == ""
    )
    proof = od.analysis.certify(nag, found.mu, found.L)
    assert proof.condition == said and said in str(proof) and proof.verify()
    plain = od.analysis.certify(nag, 0.5, 18)
    assert plain.condition == "" and plain.to_dict() == proof.to_dict()
    assert said in str(
        od.analysis.certify(
            od.system("heavy_ball").bind({od.parameters("c"): 1}), found.mu, found.L
        )
    )


@pytest.mark.parametrize(
    ("fun", "near", "far", "part"),
    [
        (steep, [0.5], [2.0], "L is at least"),  # curvature cosh x: more than was seen
        (lambda x: jnp.sum(jnp.log(jnp.cosh(x))) + 0.05 * jnp.sum(x**2), [0.2], [9.0], "mu is at most"),
        (lambda x: jnp.sum(x**2 - x**4 / 9), [0.2], [1.8], "f is not convex"),
    ],
)  # fmt: skip
def test_a_run_that_refutes_an_estimate_says_so(fun, near, far, part):
    found = od.estimate_constants(fun, near, 5, safety=1.2)
    method = od.algorithm("gradient_descent")
    assert "agree with that" in method.run(found.objective, near, 10).remark
    long = method.run(found.objective, far, 10)
    assert "that is refuted" in long.remark and part in long.remark
    assert long.remark.endswith(".") and "\n" not in long.remark


def test_a_run_that_diverges_speaks_against_an_estimate():
    found = od.estimate_constants(steep, [0.5], 5, safety=1.2)
    remark = od.algorithm("gradient_descent").run(found.objective, [6.0], 10).remark
    assert remark.endswith("diverged at step 1, which speaks against that.")


def test_no_run_refutes_true_constants():
    """An attack: gradients at close points, at equal ones and along ill-conditioned runs differ by rounding alone."""
    for kappa in (1.0, 1e3, 1e7):
        spectrum = jnp.asarray(np.geomspace(1.0, kappa, 5))
        fun = lambda x, spectrum=spectrum: jnp.sum(spectrum * x**2) / 2
        condition = od.estimate_constants(fun, np.ones(5), 2, points=1, safety=1.0).condition
        for name in ("gradient_descent", "nesterov_sc"):
            given_ = {n: Estimate(getattr(condition, n), condition) for n in ("mu", "L")}
            method = od.algorithm(name)
            given_ = {n: v for n, v in given_.items() if n in {s.name for s in method.parameters}}
            run = method.run(fun, RNG.normal(size=5), 300, **given_)
            assert "refuted" not in run.remark, (kappa, name, run.remark)


def test_transformations_leave_remarks_out():
    found = od.estimate_constants(bowl, np.ones(3), 2)
    ends = jax.vmap(lambda x: od.algorithm("gradient_descent").run(found.objective, x, 3).x[-1])
    assert ends(jnp.ones((2, 3))).shape == (2, 3)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"points": 0}, "points must be"),
        ({"safety": 0.5}, "safety must be a factor of at least 1"),
        ({"step": 0.1}, "step belong to a method"),
        ({"fun": lambda x: np.sin(x).sum()}, "jax.numpy"),
        ({"fun": lambda x: jnp.sum(jnp.sqrt(x - 1))}, "not finite"),
    ],
)
def test_bad_input_gets_a_sentence(options, part):
    with pytest.raises(od.OdescentError, match=part):
        od.estimate_constants(**{"fun": bowl, "x0": np.ones(3), **options})
