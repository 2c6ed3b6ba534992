"""Batches against closed forms, and chunked against whole."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import odescent as od
from odescent.analysis.attraction.batches import batch
from odescent.analysis.attraction.batching import chunks


def descent() -> od.Algorithm:
    x = od.blocks("x")
    f = od.Objective("f")
    h = od.parameters("h")
    return od.method({x: x - h * f.grad(x)}, output=x, name="descent")


QUADRATIC = od.objective("quadratic", eigenvalues=(1, 10))


def test_gradient_descent_is_a_product_of_powers() -> None:
    starts = np.array([[1.0, 1.0], [2.0, -3.0], [0.0, 1.0]])
    h = np.array([0.01, 0.1, 0.15])
    found = batch(
        descent(), QUADRATIC, axes={"x0": starts, "h": h}, steps=20, reduce=("x", "f", "f_min")
    )
    expected = starts[:, None] * (1 - h[None, :, None] * np.array([1.0, 10.0])) ** 20
    np.testing.assert_allclose(found["x"], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found["f"], (expected**2 @ np.array([0.5, 5.0])), rtol=1e-12)
    assert (found["f_min"] <= found["f"]).all()


def test_first_step_below_a_level() -> None:
    """f = x^2 / 2 falls by (1 - h)^2: the first k with (1 - h)^(2 k) / 2 <= level."""
    one = od.objective("quadratic", eigenvalues=(1,))
    h = np.array([0.1, 0.5, 0.9])
    found = batch(
        descent(), one, axes={"h": h}, start=[1.0], steps=100, reduce=("hit",), level=1e-4
    )
    expected = np.ceil(np.log(2e-4) / (2 * np.log(1 - h)))
    assert found["hit"].tolist() == expected.tolist()
    few = batch(descent(), one, axes={"h": h}, start=[1.0], steps=5, reduce=("hit",), level=1e-4)
    assert few["hit"].tolist() == [-1, -1, 2]


def test_divergence_is_dated() -> None:
    """|1 - 3| = 2: the state passes 1e30 with the first k that has 2^k > 1e30."""
    one = od.objective("quadratic", eigenvalues=(1,))
    found = batch(
        descent(),
        one,
        axes={"h": np.array([3.0, 0.5])},
        start=[1.0],
        steps=300,
        reduce=("diverged_at", "x"),
    )
    assert found["diverged_at"].tolist() == [100, -1]
    assert abs(found["x"][0, 0]) == 2.0**99


def test_chunks_make_no_difference() -> None:
    axes = {"x0[0]": (-2, 2, 37), "x0[1]": (-1, 3, 31), "h": (0.01, 0.19, 3)}
    whole = batch(
        descent(), QUADRATIC, axes=axes, steps=30, reduce={"last": "x", "norm": lambda x: x @ x}
    )
    parts = batch(
        descent(),
        QUADRATIC,
        axes=axes,
        steps=30,
        reduce={"last": "x", "norm": lambda x: x @ x},
        memory=20_000,
    )
    np.testing.assert_array_equal(whole["last"], parts["last"])
    np.testing.assert_allclose(whole["norm"], parts["norm"], rtol=1e-15)
    assert whole["last"].shape == (37, 31, 3, 2)


def test_noise_does_not_depend_on_how_the_work_is_split() -> None:
    langevin = od.algorithm("unadjusted_langevin")
    values = {s.name: 0.1 for s in langevin.parameters if s.name not in ("mu", "L")}
    axes = {"x0": np.zeros((300, 2))}
    make = lambda memory: batch(
        langevin,
        QUADRATIC,
        axes=axes,
        steps=50,
        parameters=values,
        key=jax.random.key(7),
        memory=memory,
    )["x"]
    a, b = make(1 << 28), make(30_000)
    np.testing.assert_array_equal(a, b)
    assert np.unique(a[:, 0]).size == 300


def test_chunks_cover_everything_within_the_budget() -> None:
    for count, memory in ((1, 10), (5000, 1 << 20), (100_000, 1 << 30), (700, 64_000)):
        parts = list(chunks(count, memory, 128))
        assert np.concatenate([np.arange(count)[p] for p, _ in parts]).tolist() == list(
            range(count)
        )
        assert all(p.stop - p.start <= n and (n * 128 <= memory or n == 1) for p, n in parts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": -1}, "steps"),
        ({"steps": 5, "reduce": ("y",)}, "no reduction"),
        ({"steps": 5, "reduce": ("hit",)}, "level"),
        ({"steps": 5, "reduce": ()}, "nothing is requested"),
        ({"steps": 5, "memory": 0}, "memory"),
        ({"steps": 5, "axes": {"h": (-1, 1, 5)}}, "h must be"),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    given = {"axes": {"h": (0.1, 0.2, 3)}, **options}
    with pytest.raises(od.OdescentError, match=said):
        batch(descent(), QUADRATIC, start=[1.0, 1.0], **given)
