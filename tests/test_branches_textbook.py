"""Special points of textbook systems, to 1e-8 against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from odescent.analysis import continuation


def lorenz(z, *, r):
    x, y, w = z
    return jnp.stack([10 * (y - x), x * (r - w) - y, x * y - 8 * w / 3])


def brusselator(z, *, b):
    x, y = z
    return jnp.stack([1 - (b + 1) * x + x**2 * y, b * x - x**2 * y])


def van_der_pol(z, *, m):
    return jnp.stack([z[1], m * (1 - z[0] ** 2) * z[1] - z[0]])


def fitzhugh(z, *, i):
    v, w = z
    return jnp.stack([v - v**3 / 3 - w + i, 0.08 * (v + 0.7 - 0.8 * w)])


def henon(z, *, a):
    return jnp.stack([1 - a * z[0] ** 2 + z[1], 0.3 * z[0]])


def delayed(z, *, r):
    return jnp.stack([r * z[0] * (1 - z[1]), z[0]])


def _fitzhugh() -> list[float]:
    """Trace 0: v^2 = 1 - 0.08 * 0.8, and then i from the equilibrium."""
    v = np.array([-1, 1]) * np.sqrt(1 - 0.064)
    return sorted((-v + v**3 / 3 + (v + 0.7) / 0.8).tolist())


# field, parameter, interval, start, whether a flow, kind, values
POINTS = {
    "saddle-node": (lambda x, *, p: p + x**2, "p", (-1, 1), [-1.0], True, "fold", [0]),
    "cusp": (
        lambda x, *, h: x - x**3 + h, "h", (-1, 1), [-1.3], True, "fold", [-2 / 27**0.5, 2 / 27**0.5],
    ),
    "transcritical": (lambda x, *, p: p * x - x**2, "p", (-1, 1), [0.0], True, "transcritical", [0]),
    "pitchfork": (lambda x, *, p: p * x - x**3, "p", (-1, 1), [0.0], True, "pitchfork", [0]),
    "Lorenz at rest": (lorenz, "r", (0.5, 3), [0.0, 0.0, 0.0], True, "pitchfork", [1]),
    "Lorenz": (lorenz, "r", (10, 30), [4.9, 4.9, 9.0], True, "Hopf", [470 / 19]),
    "Brusselator": (brusselator, "b", (1, 3), [1.0, 1.0], True, "Hopf", [2]),
    "van der Pol": (van_der_pol, "m", (-1, 1), [0.0, 0.0], True, "Hopf", [0]),
    "FitzHugh-Nagumo": (fitzhugh, "i", (0, 2), [-1.2, -0.6], True, "Hopf", _fitzhugh()),
    "logistic": (lambda x, *, r: r * x * (1 - x), "r", (2, 3.4), [0.5], False, "period doubling", [3]),
    "Ricker": (lambda x, *, r: x * jnp.exp(r * (1 - x)), "r", (1, 3), [1.0], False, "period doubling", [2]),
    "Henon, doubling": (henon, "a", (0.1, 1), [0.8, 0.2], False, "period doubling", [0.75 * 0.49]),
    "Henon, fold": (henon, "a", (-0.2, 0.3), [0.9, 0.3], False, "fold", [-0.49 / 4]),
    "delayed logistic": (delayed, "r", (1.2, 2.5), [0.2, 0.2], False, "Neimark-Sacker", [2]),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_special_point_of_a_textbook(name: str) -> None:
    function, parameter, (low, high), start, flow, kind, values = POINTS[name]
    at = 0.1 if name == "Henon, fold" else low
    found = continuation(
        function, parameter=parameter, interval=(low, high), x0=start, flow=flow, at=at
    )
    own = sorted({round(s.value, 9) for s in found.special if s.kind == kind})
    np.testing.assert_allclose(own, values, atol=1e-8)
