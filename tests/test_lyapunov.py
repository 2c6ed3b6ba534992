"""Lyapunov exponents against closed forms and published values, and what is not called chaotic."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults_of_figures import faults
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import lyapunov, poincare_map


def logistic(x: jax.Array, *, r: float = 4.0) -> jax.Array:
    return r * x * (1 - x)


def henon(z: jax.Array) -> jax.Array:
    return jnp.stack([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def linear(z: jax.Array, *, a: float, b: float, c: float) -> jax.Array:
    return jnp.stack([a * z[0] + b * z[1], c * z[1]])


def lorenz() -> od.System:
    x, y, z = od.blocks("x y z", kind="scalar")
    s, r, b = od.parameters("s r b")
    fields = {x: s * (y - x), y: x * (r - z) - y, z: x * y - b * z}
    return od.System({"all": fields}, output=x, name="lorenz")


LORENZ, SALTZMAN = lorenz(), {"s": 10.0, "r": 28.0, "b": 8 / 3}


def test_logistic_map_at_four_is_log_two() -> None:
    found = lyapunov(logistic, x0=0.3)
    assert found.exponents == pytest.approx([math.log(2)], abs=1e-3)
    assert found.chaotic and found.low[0] < math.log(2) < found.high[0]


@pytest.mark.optimized
def test_henons_map() -> None:
    """0.41922 (Sprott, Chaos and Time-Series Analysis, 2003); the sum is log 0.3 in every step."""
    found = lyapunov(henon, x0=[0.1, 0.1], steps=200_000)
    assert found.exponents[0] == pytest.approx(0.41922, rel=5e-3)
    assert found.exponents.sum() == pytest.approx(math.log(0.3), rel=1e-9)
    assert found.dimension == pytest.approx(1.25826, rel=2e-3)


@pytest.mark.optimized
def test_intervals_are_as_wide_as_the_estimates_spread() -> None:
    """Parts of an orbit that overlap would count its steps more than once: 20 starts, 0.41935 by 2e7 steps in NumPy."""
    rng = np.random.default_rng(0)
    made = [lyapunov(henon, x0=rng.uniform(-0.1, 0.1, 2), steps=100_000) for _ in range(20)]
    spread = np.std([found.exponents[0] for found in made])
    half = np.mean([(found.high[0] - found.low[0]) / 2 for found in made])
    assert 0.6 < 1.96 * spread / half < 1.5
    assert sum(found.low[0] < 0.41935 < found.high[0] for found in made) >= 16


@pytest.mark.optimized
def test_lorenz() -> None:
    """0.9056, 0, -14.572, dimension 2.062 (Sprott 2003), divergence -(10 + 1 + 8/3); 1 % is three standard errors."""
    found = lyapunov(LORENZ, x0=[1.0, 1.0, 20.0], t1=40_000, dt=0.01, parameters=SALTZMAN)
    assert found.exponents[0] == pytest.approx(0.9056, rel=1e-2)
    assert abs(found.exponents[1]) < 0.01
    assert found.exponents[2] == pytest.approx(-14.572, rel=1e-2)
    assert found.exponents.sum() == pytest.approx(-10 - 1 - 8 / 3, rel=1e-5)
    assert found.dimension == pytest.approx(2.062, abs=5e-3)
    assert found.low[1] < 0 < found.high[1] and found.chaotic


def test_a_return_map_has_the_exponents_of_its_flow_times_the_time_of_return() -> None:
    """r' = -r / 10, phase' = 1: one exponent, -2 pi / 10 in each turn."""
    x, v = od.blocks("x v", kind="scalar")
    spiral = od.System({"all": {x: -x / 10 - v, v: x - v / 10}}, output=x)
    found = lyapunov(poincare_map(spiral, at={"v": 0.0}), x0={"x": 1.0}, steps=32)
    assert found.exponents == pytest.approx([-math.pi / 5], rel=1e-6)


@given(st.tuples(*[st.floats(-1.5, 1.5).filter(lambda v: abs(v) > 0.05)] * 3))
@settings(max_examples=5, deadline=None)
def test_linear_maps_have_the_logarithms_of_moduli(entries: tuple[float, float, float]) -> None:
    a, b, c = entries
    found = lyapunov(linear, x0=[0.0, 0.0], steps=2000, parameters={"a": a, "b": b, "c": c})
    wanted = sorted([math.log(abs(a)), math.log(abs(c))], reverse=True)
    assert ((found.low <= wanted) & (wanted <= found.high)).all()
    np.testing.assert_allclose(found.exponents.sum(), sum(wanted), atol=1e-12)


def test_many_parameters_are_one_call_with_windows_of_order() -> None:
    """The cycle of three at r = 1 + sqrt(8) + ...; at 3.2 the 2-cycle has the multiplier 4 + 2 r - r^2."""
    r = np.array([2.0, 3.2, 3.84, 3.9, 4.0])
    found = lyapunov(logistic, x0=0.3, steps=20_000, parameters={"r": r})
    assert found.exponents.shape == (5, 1)
    assert found.chaotic.tolist() == [False, False, False, True, True]
    assert found.exponents[1, 0] == pytest.approx(math.log(abs(4 + 2 * 3.2 - 3.2**2)) / 2, abs=1e-9)
    assert faults(found.plot().figure) == []


def test_conjugate_maps_have_the_same_exponents() -> None:
    """x -> r x (1 - x) is y -> y^2 + c with y = r (1/2 - x), c = r / 2 - r^2 / 4."""
    r = 3.9
    quadratic = lyapunov(lambda y, *, c: y * y + c, x0=r * 0.2, parameters={"c": r / 2 - r * r / 4})
    other = lyapunov(logistic, x0=0.3, parameters={"r": r})
    assert max(quadratic.low[0], other.low[0]) < min(quadratic.high[0], other.high[0])


def test_power_growth_is_not_chaos() -> None:
    """A shear: tangents grow in proportion to time."""
    found = lyapunov(lambda z: jnp.stack([z[0] + z[1], z[1]]), x0=[0.1, 0.2], steps=3000)
    assert found.low[0] < 0 < found.high[0] and not found.chaotic


def test_the_method_itself_can_be_chaotic() -> None:
    """Gradient descent on x^4/4 - x^2/2 with the step 1: x -> 2 x - x^3, a cubic map that covers [-2, 2] with
    three laps (Chebyshev's), so log 3."""
    f = od.Objective("double_well", lambda x: jnp.sum(x**4 / 4 - x**2 / 2))
    alpha = 2.0  # x -> 3 x - 2 x^3, conjugate to Chebyshev's cubic 3 y - 4 y^3
    found = lyapunov(
        od.algorithm("gradient_descent", learning_rate=alpha), f, x0=[0.3], steps=50_000
    )
    assert found.exponents[0] == pytest.approx(math.log(3), abs=5e-3)


@pytest.mark.parametrize(
    ("iterated", "options", "said"),
    [
        (logistic, {"x0": 0.3, "t1": 5.0}, "give steps="),
        (logistic, {"x0": 0.3, "steps": 1}, "steps"),
        (logistic, {"x0": 0.3, "exponents": 2}, "1 Lyapunov exponents"),
        (logistic, {"x0": 0.3, "parameters": {"q": 1}}, "no parameter"),
        (logistic, {"x0": 0.3, "parameters": {"r": np.zeros((2, 2))}}, "one length"),
        (logistic, {"x0": 7.0, "steps": 100}, "leaves"),
        (LORENZ, {"x0": [1, 1, 1], "parameters": SALTZMAN}, "give t1="),
        (LORENZ, {"x0": [1, 1], "t1": 1.0, "parameters": SALTZMAN}, "3 numbers"),
        (LORENZ, {"x0": {"w": 1}, "t1": 1.0, "parameters": SALTZMAN}, "no block"),
    ],
)
def test_bad_input(iterated: object, options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        lyapunov(iterated, **options)  # type: ignore[arg-type]
