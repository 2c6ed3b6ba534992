"""The warning about unstable numbers: against the textbook's stability limits."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._support.errors import OdescentWarning

x, v = od.blocks("x v")
f = od.Objective("f")
s, b = od.parameters("s b")
descent = od.method({x: x - f.grad(x) * s}, output=x, name="descent")
ball = od.method(
    {v: v * b - f.grad(x) * s, x: x + v * b - f.grad(x) * s}, output=x, init={v: x * 0}, name="ball"
)


def warned(alg, **values):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        alg.to_optax(**values)
    return [str(w.message) for w in caught if issubclass(w.category, OdescentWarning)]


def end(message, name):
    """The upper end of the range that a message states for a parameter."""
    return float(message.partition(f" < {name} < ")[2].split(";")[0].split(".\n")[0].rstrip("."))


@settings(max_examples=15)
@given(st.floats(0.5, 100), st.floats(0.01, 0.9), st.floats(0.05, 10))
def test_gradient_descent_is_stable_below_two_over_L(big, ratio, step):
    messages = warned(descent, s=step, mu=big * ratio, L=big)
    assert bool(messages) == (step * big >= 2)
    if messages:
        np.testing.assert_allclose(end(messages[0], "s"), 2 / big, rtol=1e-3)


@settings(max_examples=15)
@given(st.floats(0.01, 0.99), st.floats(0.1, 20), st.floats(0.05, 2))
def test_heavy_ball_is_stable_below_two_times_one_plus_beta_over_L(beta, big, step):
    """Polyak: 0 < beta < 1 and 0 < s < 2 (1 + beta) / L."""
    messages = warned(ball, s=step, b=beta, mu=big / 10, L=big)
    assert bool(messages) == (step * big >= 2 * (1 + beta))
    if messages:
        np.testing.assert_allclose(end(messages[0], "s"), 2 * (1 + beta) / big, rtol=1e-3)


def test_an_interval_of_momentum():
    """With s L = 3 heavy ball needs 1/2 < beta < 1."""
    (message,) = warned(ball, s=3.0, b=0.2, mu=0.1, L=1.0)
    assert message == (
        "ball with b = 0.2, s = 3 is unstable on quadratics with mu = 0.1, L = 1 (spectral radius 1.681): "
        "it is stable for 0.5 < b < 1; or for 0 < s < 2.4."
    )


def test_proximal_point_is_stable_at_every_step():
    assert not warned(od.algorithm("proximal_point"), h=1e3, mu=1.0, L=10.0)


def test_what_is_not_known_is_not_judged():
    assert not warned(descent, s=100.0)  # no L
    assert not warned(od.algorithm("nesterov_c"), L=10.0)  # coefficients move with the step
    assert not warned(od.algorithm("adam"), h=9.0, beta1=0.9, beta2=0.99, eps=1e-8, L=10.0)
    assert not warned(descent, s=np.array([1.0, 9.0]), L=10.0)  # a batch
    for name in ("gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum"):
        assert not warned(od.algorithm(name), mu=1.0, L=1e6)
    with pytest.raises(od.OdescentError, match="no parameter of descent called 'mass'"):
        descent.to_optax(s=0.1, mass=1.0)
