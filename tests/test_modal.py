"""Poles on quadratics against closed forms: explicit, implicit, and without a solution."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from odescent.discretize.linear.modal import modal_poles

number = st.floats(-2, 2, allow_nan=False)


@given(st.lists(number, min_size=3, max_size=3), st.floats(0.01, 3))
def test_momentum_methods(entries: list[float], w: float) -> None:
    """Heavy ball with an extrapolated gradient: z^2 - (1 + be - al (1 + ga) w) z + be - al ga w."""
    al, be, ga = entries
    A, B = np.array([[1 + be, -be], [1, 0]]), np.array([[-al], [0]])
    C, D = np.array([[1 + ga, -ga]]), np.zeros((1, 1))
    poles = modal_poles(A, B, C, D, np.array([w, 2 * w]))
    assert poles.shape == (2, 2)
    for curvature, found in zip((w, 2 * w), poles, strict=True):
        trace, det = 1 + be - al * (1 + ga) * curvature, be - al * ga * curvature
        assert abs(found.sum() - trace) < 1e-6 and abs(found.prod() - det) < 1e-6


def test_implicit_steps_and_batches() -> None:
    """1 / (1 + h w) of the proximal point method; infinite at w = -1 / h and for matrices that are not finite."""
    one, h = np.ones((3, 1, 1)), np.array([0.5, 2.0, np.inf])[:, None, None]
    poles = modal_poles(one, -h, one, -h, np.array([1.0, 3.0, -0.5]))
    assert poles.shape == (3, 3, 1)
    np.testing.assert_allclose(poles[0, :, 0], [1 / 1.5, 1 / 2.5, 1 / 0.75])
    np.testing.assert_allclose(poles[1, :2, 0], [1 / 3, 1 / 7])
    assert np.isinf(poles[2]).all()
    assert np.isinf(modal_poles(one[0], -h[0], one[0], -h[0], np.array([-2.0])))
