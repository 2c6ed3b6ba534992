"""Limit cycles against published periods, normal forms and gradient systems without any."""

import numpy as np
import pytest

from odescent.analysis.portraits.field import fixed_points
from odescent.analysis.portraits.limit_cycles import limit_cycles


def found(field, window, jacobian=None):
    return limit_cycles(field, window, fixed_points(field, window, jacobian), jacobian)


def van_der_pol(mu):
    return lambda z: np.stack([z[:, 1], mu * (1 - z[:, 0] ** 2) * z[:, 1] - z[:, 0]], 1)


def radial(growth, turn=1.0):
    """r' = r growth(r^2), angle' = turn."""

    def field(z):
        x, y = z.T
        g = growth(x**2 + y**2)
        return np.stack([x * g - turn * y, y * g + turn * x], 1)

    return field


# period and amplitude at mu = 1: Amore, Computing the solutions of the van der Pol equation to arbitrary
# precision, arXiv:2111.12198
def test_van_der_pol():
    (cycle,) = found(van_der_pol(1.0), ((-3, 3), (-4, 4)))
    assert cycle.period == pytest.approx(6.6632868593231301897, abs=2e-11)
    assert cycle.amplitude[0] == pytest.approx(2.00861986087484313650940, abs=2e-5)
    assert cycle.stable and cycle.error < 1e-11
    (back,) = found(lambda z: -van_der_pol(1.0)(z), ((-3, 3), (-4, 4)))
    assert not back.stable and back.period == pytest.approx(cycle.period, abs=1e-10)
    assert back.multiplier * cycle.multiplier == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(("a", "turn"), [(0.3, 2.0), (1.0, -1.0), (2.5, 0.7)])
def test_the_normal_form_of_hopf(a, turn):
    """r' = r (a - r^2): radius sqrt(a), period 2 pi / |turn|, multiplier exp(-2 a period)."""
    (cycle,) = found(radial(lambda r2: a - r2, turn), ((-2, 2), (-2, 2)))
    period = 2 * np.pi / abs(turn)
    assert cycle.period == pytest.approx(period, abs=1e-9)
    np.testing.assert_allclose(np.hypot(*cycle.points.T), a**0.5, atol=1e-9)
    assert cycle.multiplier == pytest.approx(np.exp(-2 * a * period), rel=1e-4)
    (a, b), (c, d) = cycle.points[:2]
    assert np.sign(a * d - b * c) == np.sign(turn)  # in the order of the flow


def test_a_stable_cycle_inside_an_unstable_one():
    cycles = found(radial(lambda r2: (1 - r2) * (4 - r2)), ((-3, 3), (-3, 3)))
    radii = sorted((float(np.hypot(*c.points[0])), c.stable) for c in cycles)
    assert [s for _, s in radii] == [True, False]
    np.testing.assert_allclose([r for r, _ in radii], [1, 2], atol=1e-8)


@pytest.mark.parametrize(
    "field",
    [
        lambda z: np.stack([z[:, 1], -np.sin(z[:, 0])], 1),  # a family of closed orbits
        lambda z: np.stack([z[:, 1], z[:, 0] - z[:, 0] ** 3 - 0.2 * z[:, 1]], 1),  # dissipative
        lambda z: np.stack([-z[:, 0] - 3 * z[:, 1], 3 * z[:, 0] - z[:, 1]], 1),
        lambda z: np.stack([np.sqrt(z[:, 0]), -z[:, 1]], 1),
    ],
)
def test_fields_without_limit_cycles(field):
    assert found(field, ((-2.5, 2.5), (-2, 2))) == ()
