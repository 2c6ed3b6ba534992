"""Bilevel optimization: hypergradients against another package, predicted errors, the solver, its refusals."""

import copy
import pickle
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent import OdescentError

RNG = np.random.default_rng(0)
M = RNG.normal(size=(6, 6))
A, B, C = M @ M.T / 6 + np.eye(6), RNG.normal(size=(6, 4)), RNG.normal(size=6)
X0, Y0 = RNG.normal(size=4), np.zeros(6)


def upper(x, y):
    bent = jnp.sum(x**4) / 40 + jnp.sum(jnp.sin(x)) * jnp.sum(y) / 30
    return jnp.sum(jnp.cos(y) * C) + 0.5 * jnp.sum((y - 1) ** 2) + bent


def lower(x, y):
    return (
        0.5 * y @ A @ y
        - y @ (B @ jnp.tanh(x))
        + jnp.sum(jnp.log(jnp.cosh(y)))
        + 0.1 * jnp.sum(y**4)
    )


@pytest.fixture(scope="module")
def exact():
    """The hypergradient by implicit differentiation in optimistix."""
    optimistix = pytest.importorskip("optimistix")

    def value(x):
        equation = lambda y, x: jax.grad(lower, 1)(x, y)
        newton = optimistix.Newton(rtol=1e-13, atol=1e-13)
        return upper(x, optimistix.root_find(equation, newton, jnp.zeros(6), x, max_steps=60).value)

    return np.asarray(jax.jit(jax.grad(value))(jnp.asarray(X0)))


def test_the_implicit_hypergradient_is_that_of_an_independent_package(exact):
    assert np.max(abs(od.hypergradient(upper, lower, X0, Y0) - exact)) < 1e-10


def test_the_penalty_is_off_by_the_predicted_term(exact):
    """The error is sigma times the gradient of -<F_y, G_yy^-1 F_y>/2 along y*(x), the rest falls by four."""

    def term(x):
        y = jnp.zeros(6)
        for _ in range(12):
            y = y - jnp.linalg.solve(jax.hessian(lower, 1)(x, y), jax.grad(lower, 1)(x, y))
        slope = jax.grad(upper, 1)(x, y)
        return -0.5 * slope @ jnp.linalg.solve(jax.hessian(lower, 1)(x, y), slope)

    predicted = np.asarray(jax.jit(jax.grad(term))(jnp.asarray(X0)))
    sigmas = np.array([0.1, 0.05, 0.025, 0.0125])
    errors = np.stack(
        [od.hypergradient(upper, lower, X0, Y0, method="penalty", sigma=s) - exact for s in sigmas]
    )
    sizes = np.linalg.norm(errors, axis=1)
    slopes = np.log2(sizes[:-1] / sizes[1:])
    assert slopes[1] > 0.95 and np.all(np.diff(slopes) > 0)
    left = np.linalg.norm(errors - sigmas[:, None] * predicted, axis=1)
    assert np.all((left[1:-1] / left[2:] > 3.9) & (left[1:-1] / left[2:] < 4.1))
    combined = od.hypergradient(upper, lower, X0, Y0, method="richardson", sigma=0.1)
    assert np.linalg.norm(combined - exact) < sizes[0] / 5


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("implicit", {}),
        ("penalty", {}),
        ("penalty", {"inner": ("gradient_descent", {"step": 0.2})}),
        ("implicit", {"lower_constraints": lambda y: jnp.clip(y, -9, 9)}),
        ("penalty", {"lower_constraints": lambda y: jnp.clip(y, -9, 9)}),
        ("single_loop", {"step": 0.02, "steps": 1000, "constraints": lambda x: jnp.clip(x, -9, 9)}),
    ],
)
def test_other_sigmas_starts_and_tolerances_compile_nothing_and_changed_data_are_seen(
    method, options, caplog
):
    data = [1.0]
    far = lambda x, y: jnp.sum((y - 1) ** 2) + jnp.sum(x**2)
    near = lambda x, y: data[0] * jnp.sum((y - x) ** 2) / 2 + jnp.sum(y**2) / 2

    def found(start, sigma, tolerance):
        how = {**options, "sigma": sigma, "tolerance": tolerance, "lower_tolerance": tolerance / 10}
        if "inner" in options:
            name, own = options["inner"]
            how["inner"] = od.algorithm(name, **own)
        return od.bilevel(far, near, np.full(2, start), np.zeros(2), method=method, **how).x

    found(1.0, 0.1, 1e-6)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        one = found(2.0, 3e-3, 1e-8)
    assert not [r for r in caplog.records if "XLA compilation" in r.getMessage()]
    data[0] = 3.0  # the minimizer of c (y - x)^2 + y^2 is c x/(1 + c), and then x = s/(1 + s^2)
    for x, s in ((one, 1 / 2), (found(2.0, 3e-3, 1e-8), 3 / 4)):
        np.testing.assert_allclose(x, s / (1 + s**2), rtol=1e-6 if method == "implicit" else 1e-2)


def test_the_three_methods_end_at_one_point():
    implicit = od.bilevel(upper, lower, X0, Y0)
    penalty = od.bilevel(upper, lower, X0, Y0, method="penalty", sigma=1e-3)
    assert implicit.success and penalty.success
    assert np.max(abs(implicit.x - penalty.x)) < 1e-3
    loop = od.bilevel(
        upper, lower, implicit.x + 0.05, implicit.y, method="single_loop", sigma=0.05, step=0.01, steps=5000,
        tolerance=1e-5,
    )  # fmt: skip
    near = od.bilevel(upper, lower, X0, Y0, method="penalty", sigma=0.05)
    assert loop.success and np.max(abs(loop.x - near.x)) < 1e-3


def test_a_search_goes_on_to_the_bit():
    whole = od.bilevel(upper, lower, X0, Y0, steps=30)
    part = od.bilevel(upper, lower, X0, Y0, steps=11)
    again = od.bilevel(upper, lower, X0, Y0, steps=19, resume=pickle.loads(pickle.dumps(part)))  # noqa: S301
    assert np.array_equal(whole.x, again.x) and again.steps == whole.steps == 30
    assert all(
        np.array_equal(whole.history[n], again.history[n], equal_nan=True) for n in whole.history
    )
    assert copy.deepcopy(part).steps == 11
    options = {"method": "single_loop", "step": 0.01, "sigma": 0.1, "tolerance": 1e-12}
    whole = od.bilevel(upper, lower, X0, Y0, steps=130, **options)
    part = od.bilevel(upper, lower, X0, Y0, steps=57, **options)
    again = od.bilevel(upper, lower, X0, Y0, steps=73, resume=part, **options)
    assert np.array_equal(whole.x, again.x) and again.steps == whole.steps == 130
    assert len(whole.history["value"]) == len(again.history["value"]) == 130


def test_pytrees_constraints_callbacks_and_bounds():
    split = lambda f: lambda x, y: f(jnp.concatenate([x["a"], x["b"]]), y["c"].reshape(-1))
    start = {"a": X0[:1], "b": X0[1:]}
    found = od.bilevel(split(upper), split(lower), start, {"c": np.zeros((2, 3))})
    whole = od.bilevel(upper, lower, X0, Y0)
    assert np.allclose(np.concatenate([found.x["a"], found.x["b"]]), whole.x, atol=1e-12)
    assert found.y["c"].shape == (2, 3)
    box = lambda x: jnp.clip(x, -0.5, 0.5)
    held = od.bilevel(upper, lower, np.clip(X0, -0.5, 0.5), Y0, constraints=box)
    assert held.success and np.max(abs(held.x)) <= 0.5
    assert np.linalg.norm(held.x - np.clip(held.x - held.hypergradient, -0.5, 0.5)) <= 1e-6
    few = od.bilevel(upper, lower, X0, Y0, callback=lambda so_far: so_far.steps >= 3)
    assert few.steps == 3 and "callback" in few.message
    known = od.Objective("G", lower, args=("x", "y"), mu=1)
    bounds = od.bilevel(upper, known, X0, Y0, steps=3).history
    assert np.all(bounds["lower_error"] >= bounds["lower_residual"] * 0.999)


REFUSED = {
    "sigma": ({"sigma": 0.0}, "sigma of bilevel must be positive"),
    "step": ({"step": -1.0}, "step of bilevel must be positive"),
    "method": ({"method": "unrolled"}, "there is no method of bilevel called 'unrolled'"),
    "no step": ({"method": "single_loop"}, "give step="),
    "no projection": ({"constraints": lambda x: 2 * x}, "is no projection on a convex set"),
    "not convex": ({"constraints": lambda x: x / jnp.linalg.norm(x)}, "is no projection on a convex set"),
    "infeasible": ({"constraints": lambda x: jnp.clip(x, -0.1, 0.1)}, "begin at its projection"),
    "unstable scales": (
        {"method": "single_loop", "step": 0.1, "ratio": 50.0, "sigma": 0.001}, "the loop is unstable",
    ),
    "too long a step": ({"method": "single_loop", "step": 50.0, "lower_step": 5.0}, "the single loop diverges"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    options, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        od.bilevel(upper, lower, X0, Y0, **options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("levels", [(lambda x: x[0], lower), (upper, lambda x, y, z: x[0])])
def test_a_level_of_other_arguments_is_refused(levels):
    with pytest.raises(OdescentError, match=r"the level [FG] must be a JAX function of \(x, y\)"):
        od.bilevel(*levels, X0, Y0)


@pytest.mark.parametrize("lower_level", [lambda x, y: x[0] ** 2, lambda x, y: 0 * y[0] ** 2])
def test_a_lower_level_without_its_variable_is_refused(lower_level):
    """Every y minimizes it; the gradient over x alone is 0 there, which was called a success."""
    with pytest.raises(OdescentError, match="several minimizers"):
        od.bilevel(lambda x, y: ((y - 0.3) ** 2).sum(), lower_level, np.ones(1), np.zeros(2))


def test_a_lower_level_without_a_minimizer_is_refused():
    with pytest.raises(OdescentError, match="no minimizer near its start"):
        od.bilevel(upper, lambda x, y: -lower(x, y), X0, Y0)
    with pytest.raises(OdescentError, match="must be an array or a pytree"):
        od.bilevel(upper, lower, "x0", Y0)
    with pytest.raises(OdescentError, match="not finite"):
        od.bilevel(upper, lower, np.full(4, np.nan), Y0)
    with pytest.raises(OdescentError, match="a JAX function of"):
        od.bilevel(3, lower, X0, Y0)


def test_unequal_scales_are_warned_of_with_the_error_that_is_predicted():
    with pytest.warns(UserWarning, match="unequal scales"):
        od.bilevel(
            upper, lower, X0, Y0, method="single_loop", step=0.01, ratio=1.5, sigma=0.05, steps=1
        )


@pytest.mark.parametrize("name", ["implicit_bilevel", "penalty_bilevel"])
def test_single_loops_run_as_algorithms_with_mixed_derivatives(name):
    flow = od.system(name)
    loop = od.Algorithm(flow, od.scheme("explicit_euler"))
    x, y, w = (b.symbol for b in flow.blocks)
    values = {"h": 0.01, "epsilon": 0.1} | (
        {"sigma": 0.05, "rho": 1.0} if "sigma" in str(flow) else {}
    )
    run = loop.run({"F": upper, "G": lower}, {x: X0, y: Y0, w: Y0}, 60, **values)
    at, inside, more = jnp.asarray(X0), jnp.zeros(6), jnp.zeros(6)
    upper_x, upper_y, lower_y = jax.grad(upper), jax.grad(upper, 1), jax.grad(lower, 1)
    lower_x = jax.grad(lower)
    h, e, s = 0.01, 0.1, 0.05
    for _ in range(60):
        if name == "implicit_bilevel":
            mixed = jax.jvp(partial(lower_x, at), (inside,), (more,))[1]
            adjoint = upper_y(at, inside) - jax.jvp(partial(lower_y, at), (inside,), (more,))[1]
            steps = mixed - upper_x(at, inside), -lower_y(at, inside) / e, adjoint / e
        else:
            difference = (lower_x(at, inside) - lower_x(at, more)) / s
            rate = -(s * upper_y(at, inside) + lower_y(at, inside)) / e
            steps = -upper_x(at, inside) - difference, rate, -lower_y(at, more) / e
        at, inside, more = (v + h * r for v, r in zip((at, inside, more), steps, strict=True))
    assert np.allclose(run.x[-1], at, rtol=1e-11)


@pytest.mark.parametrize("inner", [None, "gradient_descent"])
def test_of_a_line_of_minimizers_the_penalty_takes_the_one_with_the_least_upper_value(inner):
    """y1 + y2 = x: F is (s^2 + ...) along the line, least at x = 5/6; what is left is of the order of sigma."""
    method = inner and od.algorithm(inner, step=0.4)
    high = lambda x, y: jnp.sum((y - jnp.array([1.0, 0.0])) ** 2) / 2 + jnp.sum(x**2) / 20
    low = lambda x, y: (y[0] + y[1] - x[0]) ** 2 / 2
    errors = []
    for sigma in (0.02, 0.01):
        found = od.bilevel(
            high, low, np.ones(1), np.zeros(2), method="penalty", sigma=sigma, inner=method
        )
        assert found.success and "the one with the least F" in found.assumes
        errors.append(abs(float(found.x[0]) - 5 / 6))
    assert errors[1] < 1e-3 and 1.8 < errors[0] / errors[1] < 2.2
