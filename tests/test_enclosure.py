"""Intervals and enclosed zeros: containment by sampling, and fields whose zeros are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odescent.analysis.portraits.enclosure import enclose_zeros
from odescent.analysis.portraits.intervals import NoIntervals, interval_extension

FUNCTIONS = {
    "polynomial": lambda z: z[0] ** 3 - 2 * z[0] * z[1] ** 2 + z[1] ** 4 - 1,
    "waves": lambda z: jnp.sin(3 * z[0]) * jnp.cos(z[1] - z[0]) - jnp.tanh(z[1]),
    "exponentials": lambda z: jnp.exp(-(z[0] ** 2)) + jnp.cosh(z[1]) / (3 + z[0]) + jnp.sinh(z[0]),
    "roots": lambda z: jnp.sqrt(1 + z @ z) + jnp.log(5 + z[1]) + jnp.arctan(z[0]) ** -2,
    "pieces": lambda z: jnp.where(z[0] < z[1], z[0] * z[1], jnp.abs(z[0]) - jnp.maximum(z[1], 0.3)),
    "arranged": lambda z: (
        jax.lax.pad(jnp.stack(jnp.split(z[::-1] * 3, 2), 1)[0], z[0], [(-1, 2, 1)])
        @ jnp.array([1.0, -2.0, 4.0, 0.5])
    ),
    "rounded": lambda z: (
        jnp.round(3 * z[0]) - jax.lax.round(2 * z[1], jax.lax.RoundingMethod.AWAY_FROM_ZERO)
    ),
    "matrix": lambda z: (jnp.array([[1.0, -2.0], [0.5, 3.0]]) @ z) @ z,
    "gradient": lambda z: jax.grad(lambda u: jnp.sum(jnp.sin(u) ** 2 / (1 + u**2)))(z)[0],
}
EXTENDED = {}


def extended(name):
    if name not in EXTENDED:
        fun = FUNCTIONS[name]
        EXTENDED[name] = interval_extension(fun, 2), jax.jit(jax.vmap(fun))
    return EXTENDED[name]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@settings(max_examples=40)
@given(
    corner=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    size=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 100),
)
def test_bounds_contain_every_value(name, corner, size, seed):
    bounds, fun = extended(name)
    low, high = np.array(corner), np.array(corner) + size
    found = bounds(low[None], high[None])
    points = low + np.random.default_rng(seed).uniform(size=(64, 2)) * (high - low)
    values = fun(jnp.asarray(np.concatenate([points, [low], [high]]).clip(low, high)))
    assert (np.asarray(values) >= found.low).all() and (np.asarray(values) <= found.high).all()


def test_bounds_are_tight_on_points_and_small_boxes():
    bounds, fun = extended("waves")
    z = np.array([[0.3, -0.8]])
    width = [float(np.ptp(bounds(z - r, z + r))) for r in (0.0, 1e-3, 1e-4)]
    assert width[0] < 1e-13 and width[1] / width[2] == pytest.approx(10, rel=0.05)
    assert bounds(z, z).low <= fun(z)[0] <= bounds(z, z).high


def test_an_operation_without_bounds_is_named():
    with pytest.raises(NoIntervals, match="'while'"):
        interval_extension(lambda z: jax.lax.while_loop(lambda s: s[0] < 3, lambda s: s * 2, z), 2)


@pytest.mark.parametrize(
    ("field", "window", "zeros"),
    [
        (lambda z: jnp.stack([z[1], -jnp.sin(z[0]) - z[1] / 5]), ((-10, 10), (-4, 4)), np.pi * np.arange(-3, 4)),
        (lambda z: jnp.stack([z[1], z[0] - z[0] ** 3]), ((-2, 2), (-1, 1)), [-1, 0, 1]),
        (lambda z: jnp.stack([z[1], z[0] - z[0] ** 3]), ((0.5, 2), (-1, 1)), [1]),
        (lambda z: jnp.stack([z[1], jnp.cos(40 * z[0])]), ((-1, 1), (-1, 1)), (np.arange(-13, 13) + 0.5) * np.pi / 40),
        (lambda z: jnp.stack([z[1] ** 2 + 1e-3, z[0]]), ((-1, 1), (-1, 1)), []),
    ],
)  # fmt: skip
def test_all_zeros_are_found_and_proved(field, window, zeros):
    found = enclose_zeros(field, window)
    assert found.complete
    np.testing.assert_allclose(found.zeros[:, 0], zeros, atol=1e-12)
    np.testing.assert_allclose(found.zeros[:, 1], 0, atol=1e-12)
    assert (np.abs(found.zeros[:, 0] - zeros) <= found.radius[:, 0] + 1e-15).all()


def test_two_zeros_a_thousandth_apart_that_a_coarse_search_takes_for_one():
    field = lambda z: jnp.stack([z[1] - z[0], (z[0] - 0.3) ** 2 - 2.5e-7])
    found = enclose_zeros(field, ((-1, 1), (-1, 1)))
    assert found.complete
    np.testing.assert_allclose(found.zeros[:, 0], [0.2995, 0.3005], atol=1e-9)


def test_a_degenerate_zero_is_reported_as_undecided_and_boxed_in():
    found = enclose_zeros(lambda z: jnp.stack([z[1], -(z[0] ** 3)]), ((-1, 1.3), (-1, 1)))
    assert not found.complete and not len(found.zeros)
    assert (np.abs(found.unresolved) < 0.01).all()


def test_the_power_zero_is_one_across_zero() -> None:
    """Derivatives of squares have it, as earlier versions of JAX write them."""
    power = lambda z: jax.lax.integer_pow(z, 0) * z
    found = interval_extension(power, 2)(np.array([[-1.0, -2.0]]), np.array([[3.0, 0.5]]))
    assert found.low.tolist()[0] == pytest.approx([-1.0, -2.0])
    assert found.high.tolist()[0] == pytest.approx([3.0, 0.5])
