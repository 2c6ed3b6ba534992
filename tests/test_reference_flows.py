"""Reference flows: curves of one planar orbit do not cross, blow-ups end alone, times belong to their points."""

import numpy as np
import pytest
from scipy.linalg import expm

import odescent as od
from odescent.analysis import phase_portrait
from odescent.analysis.portraits.reference_flows import follow, sampled


def relaxation(mu):
    def rates(_, z):
        x, v = z.T
        return np.stack([v, mu * (1 - x * x) * v - x], 1)

    return rates


def crossings(z):
    """The sines of the angles at which segments of a curve cross that are not neighbours."""
    z = z / np.ptp(z, axis=0)
    a, d = z[:-1], np.diff(z, axis=0)
    found = []
    for i in range(len(a) - 2):
        b, e = a[i + 2 :], d[i + 2 :]
        across = d[i, 0] * e[:, 1] - d[i, 1] * e[:, 0]
        w = b - a[i]
        with np.errstate(all="ignore"):
            s = (w[:, 0] * e[:, 1] - w[:, 1] * e[:, 0]) / across
            r = (w[:, 0] * d[i, 1] - w[:, 1] * d[i, 0]) / across
            sine = np.abs(across) / (np.linalg.norm(d[i]) * np.linalg.norm(e, axis=1))
        found += sine[(s > 0) & (s < 1) & (r > 0) & (r < 1)].tolist()
    return np.array(found)


@pytest.mark.parametrize(("mu", "t1"), [(1.0, 6.0), (5.0, 11.0), (50.0, 80.0)])
def test_an_orbit_does_not_cross_itself(mu, t1):
    """Up to one turn of van der Pol's relaxation cycle; 400 equal times cut its corners at mu = 5 already."""
    flow = follow(relaxation(mu), np.array([[2.0, 0.0]]), 0.0, t1)
    (t,), (z,) = sampled(flow, lambda rows: rows)
    assert crossings(z).size == 0
    assert (np.diff(t) > 0).all() and t[0] == 0 and t[-1] == t1
    steps = np.linalg.norm(np.diff(z / np.ptp(z, axis=0), axis=0), axis=1)
    assert steps.max() < 0.005


def test_turns_that_lie_on_one_another_cross_at_no_angle_that_is_seen():
    """Three turns at mu = 5 agree to rounding, so that their chords cross, but only at small angles."""
    flow = follow(relaxation(5.0), np.array([[0.5, 0.1]]), 0.0, 35.0)
    (_,), (z,) = sampled(flow, lambda rows: rows)
    assert crossings(z).max(initial=0.0) < 0.12


def test_one_start_that_blows_up_ends_alone():
    """x' = x^2 from 1 is 1 / (1 - t); from -1 it is -1 / (1 + t)."""
    flow = follow(lambda _, z: z**2, np.array([[1.0], [-1.0], [0.5]]), 0.0, 1.5)
    np.testing.assert_allclose(flow.end, [1.0, 1.5, 1.5], atol=1e-6)
    t, z = sampled(flow, lambda rows: np.concatenate([rows, rows], 1))
    np.testing.assert_allclose(z[1, :, 0], -1 / (1 + t[1]), rtol=1e-7)
    np.testing.assert_allclose(z[2, :, 0], 0.5 / (1 - 0.5 * t[2]), rtol=1e-6)
    assert t[0, -1] == flow.end[0] and np.isfinite(z).all()
    with pytest.raises(od.OdescentError, match="not finite at the start"):
        follow(lambda _, z: z * np.nan, np.ones((1, 1)), 0.0, 1.0)


def test_the_times_of_a_portrait_are_those_of_its_points():
    drawn = phase_portrait(
        "heavy_ball", curvature=4.0, x0=[[1.0], [-0.5], [2.0]], t1=3.0, cycles=False, steps=4,
        parameters={"step": 0.25, "momentum": 0.5},
    )  # fmt: skip
    flow, times = drawn.flows["flow"], drawn.times["flow"]
    assert flow.shape == (*times.shape, 2) and len(flow) == 3
    matrix = np.array([[0, 1], [-4, -2.0]])  # the friction is (1 - momentum) / step
    for i, x in enumerate((1.0, -0.5, 2.0)):
        for k in (0, len(times[i]) // 3, -1):
            exact = expm(matrix * times[i, k]) @ [x, 0]
            np.testing.assert_allclose(flow[i, k], exact, atol=1e-7)
    iterates = drawn.iterates["heavy_ball"]
    assert iterates.shape == (3, 5, 2)
    np.testing.assert_allclose(iterates[2], 2 * iterates[0], atol=1e-12)
    labels = [line.get_label() for line in drawn.plot().get_lines()]
    assert labels.count("flow") == labels.count("Heavy ball") == 3
    entries = [t.get_text() for t in drawn.plot().get_legend().get_texts()]
    assert entries.count("flow") == 1


def test_many_starts_by_block():
    x, y = od.blocks("x y", kind="scalar")
    turning = od.System({"all": {x: y, y: -x}}, output=x)
    frame = {"window": ((-3, 3), (-3, 3)), "t1": 1.0, "cycles": False}
    begin = {"x": [[1.0], [2.0]], "y": [[0.5], [0.0]]}
    flow = phase_portrait(turning, x0=begin, **frame).flows["flow"]
    np.testing.assert_allclose(flow[:, 0], [[1, 0.5], [2, 0]])
    np.testing.assert_allclose((flow**2).sum(-1), np.broadcast_to([[1.25], [4]], flow.shape[:2]))
    with pytest.raises(od.OdescentError, match="different numbers of starts: 1, 2"):
        phase_portrait(turning, x0={"x": [[1.0], [2.0]], "y": [[0.5]]}, **frame)


def test_a_whole_number_as_final_time_does_not_round_the_time_of_a_blow_up():
    found = [follow(lambda t, x: 1 + x**2, np.zeros((1, 1)), 0.0, end).end for end in (2, 2.0)]
    assert np.array_equal(*found) and abs(found[0][0] - np.pi / 2) < 1e-3
