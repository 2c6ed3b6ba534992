"""Many points in chunks: all of them once and in order, whoever does the work; returns and escapes watched for."""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odescent.analysis.attraction import batching as chunked
from odescent.analysis.attraction.attractors import moduli, refine
from odescent.analysis.attraction.grid import product
from odescent.analysis.attraction.settling import close
from odescent.analysis.attraction.stepping import stepper


@given(st.integers(1, 30_000), st.integers(1, 1 << 20), st.integers(1, 400))
def test_chunks_cover_all_points_once_within_the_budget(count: int, memory: int, each: int) -> None:
    cuts = list(chunked.chunks(count, memory, each))
    points = np.arange(count)
    np.testing.assert_array_equal(np.concatenate([points[part] for part, _ in cuts]), points)
    for part, padded in cuts:
        assert part.stop - part.start <= padded <= chunked.SIZES[1]
        assert padded * each <= max(memory, each)
    assert len({padded for _, padded in cuts}) <= 2  # few shapes


@pytest.mark.parametrize("processors", [1, 3])
def test_work_comes_back_in_order_in_float64_from_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr(chunked, "processors", lambda: processors)
    where: set[int] = set()

    def work(part: slice, padded: int) -> np.ndarray:
        where.add(threading.get_ident())
        return np.asarray(jnp.sqrt(jnp.arange(part.start, part.stop, dtype=float)))

    with jax.enable_x64(False):
        found = chunked.spread(work, 40_000, 1 << 20, 8)
    np.testing.assert_array_equal(found, np.sqrt(np.arange(40_000.0)))
    assert found.dtype == np.float64 and (len(where) > 1) == (processors > 1)


def test_what_fails_in_a_thread_is_raised() -> None:
    def work(part: slice, padded: int) -> None:
        if part.start > 20_000:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        chunked.spread(work, 40_000, 1 << 20, 8)


def test_close_is_of_every_entry_and_never_of_a_nan() -> None:
    a = (jnp.array([[0.0, 0.0, jnp.nan, 0.0]]), jnp.array([0.0, 1.0, 0.0, 0.0]))
    b = (jnp.array([[1e-3, 0.0, jnp.nan, 0.0]]), jnp.zeros(4))
    assert close(a, b, 1e-2).tolist() == [True, False, False, True]
    each = jnp.array([1e-4, 2.0, 1.0, 0.0])
    assert close(a, b, each).tolist() == [False, True, False, True]


def test_moduli_of_many_matrices_are_those_of_each() -> None:
    matrices = np.random.default_rng(3).normal(size=(20, 3, 3))
    matrices[7, 1, 1] = np.nan
    expected = [
        np.nan if i == 7 else max(abs(np.linalg.eigvals(m))) for i, m in enumerate(matrices)
    ]
    np.testing.assert_allclose(moduli(matrices), expected)


def test_points_of_mixed_periods_are_polished_together() -> None:
    """The logistic map x -> r x (1 - x): fixed points 1 - 1/r, two-cycles at the roots of a quadratic."""
    r = np.array([2.5, 3.2, 2.8, 3.4])
    s = stepper(lambda x, *, r: r * x * (1 - x), None)
    p = product(s, None, {"r": r}, [0.5], {})
    root = np.sqrt((r - 3) * (r + 1), where=r > 3, out=np.zeros(4))
    exact = np.where(r > 3, (r + 1 - root) / (2 * r), 1 - 1 / r)
    begin = (exact[None] + 1e-4,)
    done = refine(s, begin, np.array([4.0, 4.0, 1.0, 2.0]), p.coefficients(np.arange(4)), 1.0)
    assert done.period.tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(np.asarray(done.state[0])[0], exact, atol=1e-13)
    slopes = np.where(r > 3, 4 + 2 * r - r**2, 2 - r)
    np.testing.assert_allclose(done.jacobian[:, 0, 0], slopes, atol=1e-10)
