"""The registry of objectives, and a battery over every entry of it."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from odescent.dynamics.problems import objective, objectives


def points(problem, n, seed=0):
    """n points around the starting point and the minimizer of a problem."""
    rng = np.random.default_rng(seed)
    x0 = np.asarray(problem.x0)
    return jnp.asarray(x0 * rng.uniform(-1, 1, (n, 1)) + 0.5 * rng.standard_normal((n, *x0.shape)))


@pytest.fixture(params=objectives(), scope="module")
def problem(request):
    return objective(request.param)


@pytest.fixture(scope="module")
def compiled(problem):
    """Value, gradient and product with the Hessian, for points in double precision."""
    x = jnp.asarray(problem.x0, dtype=float)
    each = ((problem.value, x), (problem.grad, x), (problem.hess, x, x))
    return [jax.jit(f).lower(*at).compile() for f, *at in each]


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_are_sorted_and_match():
    assert objectives() == sorted(objectives())
    assert {"logistic/breast_cancer", "quadratic", "lessard_recht_packard"} <= set(objectives())
    for name in objectives():
        assert objective(name).name == name


def test_entries_are_complete(problem):
    assert (
        np.asarray(problem.x0).shape == np.asarray(problem.minimizer).shape == (problem.dimension,)
    )
    assert problem.minimizer is problem.minimizer
    assert problem.reference


def test_gradient_and_hessian_are_the_differences_quotients(problem, compiled):
    step = 1e-5
    value, grad, hess = compiled
    for x in points(problem, 3):
        for e in jnp.eye(problem.dimension)[:4]:
            slope = (value(x + step * e) - value(x - step * e)) / (2 * step)
            bend = (grad(x + step * e) - grad(x - step * e)) / (2 * step)
            np.testing.assert_allclose(grad(x) @ e, slope, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(hess(x, e), bend, rtol=1e-5, atol=1e-4)


def test_minimizer_is_stationary_and_lowest(problem, compiled):
    x, (value, grad, _) = jnp.asarray(problem.minimizer), compiled
    assert np.linalg.norm(grad(x)) <= 1e-12
    assert all(value(y) >= value(x) for y in points(problem, 50))


def test_jit_and_vmap_agree_with_a_loop(problem, compiled):
    xs, (value, grad, _) = points(problem, 4), compiled
    np.testing.assert_allclose(
        jax.vmap(jax.jit(problem.fun))(xs), [value(x) for x in xs], rtol=1e-12
    )
    slopes = jax.jit(jax.vmap(problem.grad))(xs)
    np.testing.assert_allclose(slopes, [grad(x) for x in xs], rtol=1e-11, atol=1e-13)


def test_float32_stays_float32_with_x64_on(problem):
    x = jnp.asarray(problem.x0, dtype=jnp.float32)
    made = [
        jax.eval_shape(f, *at)
        for f, *at in ((problem.value, x), (problem.grad, x), (problem.hess, x, x))
    ]
    assert {each.dtype for each in made} == {jnp.dtype("float32")}


def test_numpy_arrays_will_do(problem):
    x = np.asarray(problem.x0, dtype=float)
    assert problem.value(x) == problem.value(jnp.asarray(x))
    np.testing.assert_array_equal(problem.grad(x), problem.grad(jnp.asarray(x)))


def test_works_in_float32_with_x64_off():
    code = """
import json, jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", False)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
from odescent.dynamics.problems import objective, objectives
out = {}
for name in objectives():
    problem = objective(name)
    x = jnp.asarray(problem.x0)
    assert problem.value(x).dtype == problem.grad(x).dtype == jnp.float32, name
    assert problem.value(problem.x0).dtype == jnp.float32, name
    assert jnp.linalg.norm(problem.grad(jnp.asarray(problem.minimizer))) < 1e-6, name
    out[name] = [float(problem.value(x)), problem.grad(x).tolist()]
print(json.dumps(out))
"""
    single = json.loads(run(code, JAX_ENABLE_X64="0", PYTHONWARNINGS="error::UserWarning"))
    assert sorted(single) == objectives()
    for name, (value, gradient) in single.items():
        problem = objective(name)
        x = jnp.asarray(problem.x0)
        np.testing.assert_allclose(value, problem.value(x), rtol=1e-5)
        np.testing.assert_allclose(gradient, problem.grad(x), rtol=1e-4, atol=1e-4)


def test_the_package_is_lazy():
    code = """
import sys
from odescent.dynamics import problems
assert "quadratic" in problems.objectives()
print(sorted({"jax", "jaxlib", "sklearn", "scipy", "numpy"} & set(sys.modules)))
problems.objective("quadratic")
assert "sklearn" not in sys.modules
problems.objective("logistic/synthetic")
assert "sklearn" not in sys.modules
"""
    assert run(code).strip() == "[]"


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("rosenbrok", {}, r"no objective 'rosenbrok'.*'rosenbrock'"),
        ("logistic/breast-cancer", {}, "'logistic/breast_cancer'"),
        ("", {}, "no objective"),
        (
            "rosenbrock",
            {"dimensions": 3},
            r"option of the objective 'rosenbrock' called 'dimensions'.*'dimension'",
        ),
        (
            "himmelblau",
            {"dimension": 3},
            r"option of the objective 'himmelblau' called 'dimension'",
        ),
    ],
)
def test_unknown_names_and_options_get_a_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        objective(name, **options)
    assert not isinstance(caught.value, KeyError)
    assert "\n" not in str(caught.value)
