"""A full, state-dependent matrix of noise in one system: blocks are its rows, a field has each column."""

import numpy as np
import sympy as sp

import odescent as od
from odescent.dynamics import Diffusion
from odescent.dynamics.stochastic import in_coordinates, sde
from odescent.dynamics.vector_fields.block import start

HALF, QUARTERS = sp.Rational(1, 2), sp.Rational(3, 4)


def system() -> od.System:
    """dx = -x dt + dW1 + x/2 dW2, dv = (x - 2 v) dt + v/3 dW1 - 3/4 dW2, in every coordinate."""
    x, v = od.blocks("x v")
    columns = {
        "first": od.Field({x: -x, v: x - 2 * v}, {x: Diffusion(sp.S.One, "W1"), v: Diffusion(v / 3, "W1")}),
        "second": od.Field({}, {x: Diffusion(x / 2, "W2"), v: Diffusion(-QUARTERS, "W2")}),
    }  # fmt: skip
    return od.System(columns, init={x: start, v: -HALF * start})


def test_in_coordinates_it_is_that_matrix() -> None:
    """As many processes as columns, and G G^T of a system written down by hand."""
    found = in_coordinates(system())
    a, b = found.state
    by_hand = sde({a: -a, b: a - 2 * b}, [{a: 1, b: b / 3}, {a: a / 2, b: -QUARTERS}])
    assert found.drift == by_hand.drift and found.noise.shape == (2, 2)
    off = found.noise * found.noise.T - by_hand.noise * by_hand.noise.T
    assert off.applyfunc(sp.simplify).is_zero_matrix


def test_a_step_has_its_mean_and_covariance() -> None:
    """Euler and Maruyama from (x, -x/2) in 200 000 coordinates at once: mean h f, covariance h G G^T."""
    begin, h, n = 0.8, 0.01, 200_000
    found = system().simulate(None, np.full(n, begin), h, dt=h, key=3, path="increments")
    states = found.states
    place = np.array([begin, -begin / 2])
    moved = np.stack([np.asarray(states[b])[-1] for b in ("x", "v")]) - place[:, None]
    drift = np.array([-place[0], place[0] - 2 * place[1]])
    matrix = np.array([[1, place[0] / 2], [place[1] / 3, -0.75]])
    expected = h * matrix @ matrix.T
    error = 5 / np.sqrt(n)  # five standard errors
    np.testing.assert_allclose(moved.mean(1), h * drift, atol=error * np.sqrt(expected.max()))
    np.testing.assert_allclose(np.cov(moved), expected, atol=error * np.sqrt(2) * expected.max())
    assert abs(expected[0, 1]) > 10 * error * expected.max()  # a diagonal would be seen
