"""Measured estimators against exact means, variances and second moments, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.samples.sample import dimension_of

x, c = od.blocks("x c")
mu = od.parameters("mu")
f = od.Objective("f")
g = f.grad(x)
LAWS = ("normal", "rademacher", "sphere", "uniform", "coordinate")
POINT = {x: np.array([0.3, -0.5, 1.0]), c: np.array([1.0, 2.0, -1.0]), mu: 0.5}
ORACLES = {
    "grad_f": jnp.sinh,
    "hess": lambda y, v: jnp.cosh(y) * v,
    "value_f": lambda y: jnp.sum(jnp.cosh(y)),
}


def loss(y):
    return jnp.sum(jnp.cosh(y))


def exact(e):
    """The value of an expression without E."""
    values = {**POINT, dimension_of("x"): 3.0}
    return np.asarray(evaluate(e, values, ORACLES | {"grad": ORACLES["grad_f"]}, jnp))


ESTIMATES = {
    "one direction": lambda z: z * od.inner(z, g),
    "a control variate": lambda z: z * od.inner(z, g) - mu * (z * od.inner(z, c) - c),
    "Hutchinson": lambda z: od.hadamard(z, f.hess(x, z)),
    "noise": lambda z: g + mu * z,
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", ESTIMATES)
def test_what_is_measured_is_what_is_derived(law, name):
    z = od.sample("z", law=law, like=x)
    target = od.diagonal(f.hessian(x)) if name == "Hutchinson" else g
    e = od.estimate(ESTIMATES[name](z), of=target)
    reads = {
        s: v
        for s, v in POINT.items()
        if s == x or name == "a control variate" or (s, name) == (mu, "noise")
    }
    found = od.monte_carlo(e, loss, reads, draws=40_000, seed=3)
    mean = exact(e.mean()) if name != "Hutchinson" else np.cosh(POINT[x])
    assert (abs(found.mean - mean) <= 5 * found.mean_error + 1e-12).all()
    assert (abs(found.bias) <= 5 * found.bias_error + 1e-12).all()  # all are unbiased
    if not e.second_moment.atoms(sp.Function) and name != "Hutchinson":
        second = float(exact(e.second_moment))
        assert abs(found.second_moment - second) <= 5 * found.second_moment_error + 1e-9
        assert abs(found.variance - (second - mean @ mean)) <= 5 * found.variance_error + 1e-9


def test_the_largest_step_is_the_derived_one():
    """2/(L (d + 2)) for one direction of three."""
    z = od.sample("z", like=x)
    e = od.estimate(z * od.inner(z, g), of=g)
    found = od.monte_carlo(e, loss, {x: POINT[x]}, draws=200_000)
    assert abs(found.largest_step(4.0) - 2 / (4 * 5)) < 0.002


def test_standard_errors_are_those_of_repeated_measurements():
    z = od.sample("z", like=x)
    e = od.estimate(z * od.inner(z, g), of=g)
    many = [od.monte_carlo(e, loss, {x: POINT[x]}, draws=400, seed=s) for s in range(24)]
    for name in ("mean", "variance", "second_moment"):
        spread = np.std([getattr(m, name) for m in many], axis=0, ddof=1)
        said = np.mean([getattr(m, f"{name}_error") for m in many], axis=0)
        np.testing.assert_allclose(said, spread, rtol=0.5)


def test_batches_are_the_same_samples(monkeypatch):
    """The sum over batches of unequal size is that of one batch, up to its own keys; a seed repeats to the bit."""
    z = od.sample("z", law="sphere", like=x)
    e = od.estimate(od.elementwise(sp.sign, g + mu * z), of=g)
    at = {x: POINT[x], mu: 0.5}
    one, again = (od.monte_carlo(e, loss, at, draws=1001, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.mean, again.mean)
    monkeypatch.setattr("odescent.dynamics.stochastic.monte_carlo._AT_ONCE", 300)
    apart = od.monte_carlo(e, loss, at, draws=1001, seed=7)
    assert (abs(apart.mean - one.mean) <= 6 * one.mean_error).all()
    assert one.second_moment == apart.second_moment == 3.0 and one.second_moment_error == 0
    assert str(one).splitlines()[0] == "1001 samples" and "second moment: 3 +- 0" in str(one)


def test_scalar_samples_and_several_functions():
    u, b = od.sample("u", law="uniform"), od.Map("b")
    e = od.estimate(f.grad(u * x) + b(x), of=g)
    found = od.monte_carlo(
        e, {"f": lambda y: y @ y / 2, "b": lambda y: 2 * y}, {x: POINT[x]}, draws=20_000
    )
    assert (abs(found.mean - 2.5 * POINT[x]) <= 5 * found.mean_error).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"values": {}}, "monte_carlo needs a value of mu and x"),
        (
            {"values": {x: "a", mu: 1}},
            "the value of x must be an array of finite numbers, not 'a'.",
        ),
        ({"values": {**POINT}}, "the estimator has no c: it reads mu and x."),
        ({"draws": 1}, "draws must be a whole number of at least 2, not 1."),
        (
            {"functions": {"h": loss}},
            "there is no function that the estimator calls 'h': known: f.",
        ),
        (
            {"functions": lambda y: jnp.log(-jnp.sum(y**2))},
            "the estimate is not finite at these values",
        ),
    ],
)
def test_what_is_refused(options, sentence):
    z = od.sample("z", like=x)
    given = {"functions": loss, "values": {x: POINT[x], mu: 0.5}, **options}
    e = od.estimate(z * (f.value(x + mu * z) - f.value(x)) / mu, of=g)
    with pytest.raises(od.OdescentError, match=sentence):
        od.monte_carlo(e, **given)


def test_rounding_with_a_uniform_sample_is_unbiased_and_its_variance_is_known():
    """Stochastic rounding to multiples of s: e = s floor(g/s + u) has the variance s^2 p (1 - p), p the fraction."""
    u = od.sample("u", law="uniform", like=x)
    dither = od.elementwise(lambda s: s / (2 * sp.sqrt(3)) + sp.S.Half, u)
    e = od.estimate(mu * od.named_map("floor")(g / mu + dither), of=g)
    found = od.monte_carlo(e, loss, {x: POINT[x], mu: 0.5}, draws=40_000, seed=1)
    assert (abs(found.bias) <= 5 * found.bias_error).all()
    p = np.sinh(POINT[x]) / 0.5 % 1
    assert abs(found.variance - 0.25 * (p * (1 - p)).sum()) <= 5 * found.variance_error


def test_with_error_feedback_what_is_left_out_is_not_lost():
    """x - e moves by exactly -h g, so that a method that sends one entry reaches the minimizer."""
    memory, h = od.blocks("e"), od.parameters("h")
    sent = od.named_map("top_k", k=1)(memory + h * g)
    method = od.method({x: x - sent, memory: memory + h * g - sent}, output=x, init={memory: 0 * x})
    after = method.program.update_map()
    assert vanishes(after[x] - after[memory] - x + memory + h * g)
    run = method.run(lambda y: jnp.sum(y**2 * jnp.array([1.0, 2.0, 3.0])) / 2, POINT[x], 400, h=0.1)
    assert np.abs(run.x[-1]).max() < 1e-6
