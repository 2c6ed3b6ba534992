"""Basins along a parameter against folds in closed form and Gibbs' law; shocks and edges against closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.analysis import basin_shares, basins, edge_state, resilience

KEY = jax.random.key(0)
FOLD = 2 / np.sqrt(27)  # of x - x^3 + h


def cubic() -> od.System:
    x = od.blocks("x", kind="scalar")
    h = od.parameters("h", positive=None, real=True)
    return od.System({"all": {x: x - x**3 + h}}, output=x, name="cubic")


CUBIC = cubic()


def wells(x):
    return jnp.sum((x**2 - 1) ** 2) / 4 + jnp.sum(x) / 10


WELLS = od.Objective("wells", wells)


def logistic(x, *, r):
    return r * x * (1 - x)


def henon(s, *, a):
    return jnp.stack([1 - a * s[0] ** 2 + s[1], 0.3 * s[0]])


@pytest.fixture(scope="module")
def shares():
    return basin_shares(
        CUBIC, parameter="h", values=(-0.6, 0.6, 13), axes={"x": (-2.0, 2.0)}, start=[0.0], key=KEY, samples=400
    )  # fmt: skip


def test_attractors_end_at_their_folds(shares) -> None:
    (tip,) = shares.tips
    assert tip.before < FOLD < tip.after and (tip.source, tip.target) == (0, 1)
    there = [[a is not None for a in t.at] for t in shares.attractors]
    assert there[0] == (shares.values < FOLD).tolist()
    assert there[1] == (shares.values > -FOLD).tolist()
    for h, a in zip(shares.values, shares.attractors[1].at, strict=True):
        if a is not None:
            assert a.points.item() == pytest.approx(np.roots([-1, 0, 1, h]).real.max(), abs=1e-7)


def test_shares_are_those_of_the_saddle(shares) -> None:
    """The boundary of the basins is the middle root."""
    h = shares.values[np.abs(shares.values) < FOLD]
    middle = np.array([np.sort(np.roots([-1, 0, 1, v]).real)[1] for v in h])
    share, low, high = (v[np.abs(shares.values) < FOLD] for v in shares.share(0))
    np.testing.assert_allclose(share, (middle + 2) / 4, atol=4 * np.sqrt(0.25 / 400))
    assert ((low <= share) & (share <= high)).all()


def test_tipping_probabilities_by_the_saddles(shares) -> None:
    """Of what is in the left basin at h = -0.2, what lies between the two saddles is in the right one at 0.2."""
    found = shares.tipping(-0.2, 0.2)
    s = [np.sort(np.roots([-1, 0, 1, v]).real)[1] for v in (-0.2, 0.2)]
    assert s[0] > s[1]
    assert found.probability[0, 1] == pytest.approx((s[0] - s[1]) / (s[0] + 2), abs=0.08)
    assert found.probability[1, 0] == 0
    np.testing.assert_allclose(found.probability.sum(1), 1)
    assert "->" in str(found) and shares.nearest(-1.2) == 0


def test_an_attractor_goes_on_in_the_cycle_that_it_sheds() -> None:
    """Also where a point of it stays exactly on what has become unstable."""
    found = basin_shares(
        logistic, parameter="r", values=[2.8, 2.9, 3.1, 3.5], axes={"x0": (0.1, 0.9)}, start=[0.5], key=KEY,
        samples=60,
    )  # fmt: skip
    (track,) = found.attractors
    assert [a.period for a in track.at if a is not None] == [1, 1, 2, 4]
    assert not found.tips


def test_noise_and_the_good_minimum() -> None:
    """SGD samples exp(-2 f / (h sigma^2)) for small steps; the share of a well is its mass."""
    h, sigma = 0.05, 2.0
    found = basin_shares(
        od.algorithm("sgd"), WELLS, parameter="sigma", values=[sigma], axes={"x0": (-1.5, 1.5)},
        start=[0.0], key=KEY, parameters={"h": h}, samples=2000, steps=2500,
    )  # fmt: skip
    x = np.linspace(-3, 3, 4001)
    weight = np.exp(-2 * ((x**2 - 1) ** 2 / 4 + x / 10) / (h * sigma**2))
    top = np.sort(np.roots([1, 0, -1, 0.1]).real)[1]
    share = found.share(found.nearest(-1))[0][0]
    assert share == pytest.approx(weight[x < top].sum() / weight.sum(), abs=0.04)
    assert found.after == 2500


def test_the_least_shock_in_one_dimension_is_the_way_to_the_saddle() -> None:
    found = resilience(CUBIC, at=[1.0], key=KEY, parameters={"h": 0.2})
    roots = np.sort(np.roots([-1, 0, 1, 0.2]).real)
    assert found.distance == pytest.approx(roots[2] - roots[1], abs=1e-9)
    assert found.shock["x"] < 0 and "tips to" in str(found)
    none = resilience(CUBIC, at=[1.0], key=KEY, parameters={"h": 0.2}, largest=1.0)
    assert none.distance == np.inf and "no shock" in str(none)


def test_the_least_shock_in_the_plane() -> None:
    """What is inside of an ellipse with half axes 1 and 1/2 goes to 0, the rest leaves."""

    def step(s):
        return s * (0.5 + 0.5 * (s[0] ** 2 + 4 * s[1] ** 2))

    found = resilience(step, at=[0.1, 0.1], key=KEY, directions=16)
    assert found.distance == pytest.approx(0.5, rel=1e-5)
    assert found.into == "diverges"


def test_the_edge_is_the_saddle() -> None:
    """Of a flow and of a method; the saddle of a planar map is a fixed point in closed form."""
    edge = edge_state(CUBIC, between=([1.0], [-1.0]), parameters={"h": 0.2})
    assert edge.state["x"] == pytest.approx(np.sort(np.roots([-1, 0, 1, 0.2]).real)[1], abs=1e-12)
    assert edge.unstable == 1 and edge.kind == "equilibrium"
    outer = edge_state(henon, between=([0.1, 0.1], [3.0, 3.0]), parameters={"a": 1.4})
    x = (-0.7 - np.sqrt(0.49 + 5.6)) / 2.8
    np.testing.assert_allclose(outer.points[0], [x, 0.3 * x], atol=1e-10)
    with pytest.raises(od.OdescentError, match="one attractor"):
        edge_state(CUBIC, between=([1.0], [2.0]), parameters={"h": 0.2})


def test_what_stays_off_most_of_a_curve_is_not_quasi_periodic() -> None:
    """Henon's map shrinks areas by 0.3, so that no closed curve is invariant; at 1.075 an exponent is near 0."""
    found = basins(
        henon, axes={"x0[0]": (-1.5, 1.5), "x0[1]": (-1.0, 1.0)}, start=[0.0, 0.0], samples=300, key=KEY,
        parameters={"a": 1.075},
    )  # fmt: skip
    assert "quasi-periodic" not in {a.kind for a in found.attractors}
    assert found.unresolved > 0.1


def test_one_kind_of_attractor_against_the_rest() -> None:
    """Three labels, of which one is a half plane: its boundary is a line."""
    found = basins(
        lambda s: jnp.where(s[0] > 0.3, 3.0 * s, s / 2 + jnp.array([0.0, 1.0]) * jnp.sign(s[1]) / 2),
        axes={"x0[0]": (-1.0, 1.0, 64), "x0[1]": (-0.9, 1.0, 64)}, start=[0.0, 0.0],
    )  # fmt: skip
    assert len(found.attractors) == 3
    assert found.uncertainty(of="diverges").dimension == pytest.approx(1, abs=0.1)
    assert found.entropy(of="diverges").boundary < found.entropy().boundary + 1e-12
    with pytest.raises(od.OdescentError, match="kind of attractor"):
        found.uncertainty(of="chaotic")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parameter": "q"}, "not a parameter"),
        ({"axes": {"x": (1.0, 1.0)}}, "low < high"),
        ({"parameters": {"h": 1.0}}, "changes along"),
        ({"reach": 0.0}, "reach"),
        ({"key": None}, "key"),
        ({"values": (1.0, 0.0, 3)}, "low to high"),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    given = {
        "parameter": "h",
        "values": (0.0, 1.0, 2),
        "axes": {"x": (-2.0, 2.0)},
        "key": KEY,
        "start": [0.0],
    }
    with pytest.raises(od.OdescentError, match=said):
        basin_shares(CUBIC, **(given | options))


def test_what_cannot_be_pushed_says_so() -> None:
    with pytest.raises(od.OdescentError, match="no attractor"):
        resilience(lambda s: 2 * s, at=[1.0], key=KEY)
    with pytest.raises(od.NotCarried, match="noise"):
        resilience(
            od.algorithm("sgd"), WELLS, at=[1.0], key=KEY, parameters={"h": 0.1, "sigma": 1.0}
        )
    with pytest.raises(od.OdescentError, match="block"):
        resilience(CUBIC, at=[1.0], key=KEY, parameters={"h": 0.2}, among=["v"])


def test_shares_are_drawn(shares) -> None:
    ax = shares.plot()
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == [*shares.columns, "an attractor ends"]
    assert set(shares.to_dict()["shares"]) == set(shares.columns)
    assert all(a <= b for a, b in itertools.pairwise(shares.values))
