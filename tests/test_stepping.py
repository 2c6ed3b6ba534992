"""What can be iterated, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.analysis.attraction.grid import product
from odescent.analysis.attraction.settling import begin, read
from odescent.analysis.attraction.stepping import distance, stepper

QUADRATIC = od.objective("quadratic", eigenvalues=(1, 4))


def test_steps_of_an_algorithm_are_those_of_its_run() -> None:
    adam = od.algorithm("adam")
    values = {s.name: 0.1 for s in adam.parameters}
    s = stepper(adam, QUADRATIC)
    assert s.clocked
    p = product(s, QUADRATIC, {"x0[0]": np.array([1.0, -2.0])}, [0.5, 0.7], values)
    z, c = begin(p, np.arange(2))
    run = adam.run(QUADRATIC, np.array([-2.0, 0.7]), 1, **values)
    one = s.step(type(z)(*(np.asarray(a)[..., 1] for a in z)), c, None)
    np.testing.assert_allclose(s.output(one, c), run.x[1], rtol=1e-13)
    np.testing.assert_allclose(read(s, "output", z, c)[:, 1], [-2.0, 0.7])


def test_equal_algorithms_share_their_stepper() -> None:
    assert stepper(od.algorithm("heavy_ball"), QUADRATIC) is stepper(
        od.algorithm("heavy_ball"), QUADRATIC
    )


@pytest.mark.parametrize(("h", "parts"), [(0.05, 1), (0.3, 5)])
def test_flow_steps_are_the_fourth_taylor_polynomial(h: float, parts: int) -> None:
    """x' = -H x: a part of a step is that of exp(-h lambda / parts); parts = ceil(4 h lambda_max)."""
    s = stepper(od.system("gradient_flow"), QUADRATIC, h)
    (x,) = s.step((jnp.array([1.0, 1.0]),), {}, None)
    z = -h / parts * np.array([1.0, 4.0])
    one = 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24
    np.testing.assert_allclose(x, one**parts, rtol=1e-13)


def test_varied_entries_take_their_place() -> None:
    ball = od.system("heavy_ball")
    s = stepper(ball, QUADRATIC, 0.1)
    axes = {"x0[1]": np.array([5.0, 6.0]), "v[0]": np.array([7.0, 8.0, 9.0])}
    p = product(s, QUADRATIC, axes, [1.0, 2.0], {"c": 1.0})
    z, _ = begin(p, np.arange(6))
    state = dict(zip(s.blocks, z, strict=True))
    np.testing.assert_array_equal(state["x"], [[1] * 6, [5, 5, 5, 6, 6, 6]])
    np.testing.assert_array_equal(state["v"], [[7, 8, 9, 7, 8, 9], [0] * 6])
    assert p.scale == 2  # the longest side of the region of starts


def test_distance_keeps_nan() -> None:
    assert np.isnan(distance((jnp.array([0.0, np.nan]),), (jnp.array([0.0, 0.0]),)))
    assert distance((jnp.array([1.0]), jnp.array(2.0)), (jnp.array([4.0]), jnp.array(2.5))) == 3


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("iterated", "target", "dt", "said"),
    [
        (3, None, None, "is expected, not int"),
        (lambda: 0, None, None, "state first"),
        (od.system("gradient_flow"), QUADRATIC, -1.0, "positive fixed step"),
        (od.system("gradient_flow"), None, 0.1, "objective"),
        (od.system("nesterov_c"), QUADRATIC, 0.1, "depends on time"),
        (od.system("overdamped_langevin"), QUADRATIC, 0.1, "noise"),
    ],
)
def test_what_cannot_be_iterated(iterated: object, target: object, dt: object, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        stepper(iterated, target, dt)  # type: ignore[arg-type]


def test_functions_must_keep_shape_and_be_real() -> None:
    for wrong in (lambda x: x[:1], lambda x: jax.lax.complex(x, x)):
        s = stepper(wrong, None)
        with pytest.raises(od.OdescentError, match="same shape"):
            s.step((jnp.array([1.0, 2.0]),), {}, None)
