"""An analysis in other units is the same analysis: no tolerance may be a length, a time or a parameter of the user's.

A problem is stated with states s + r x in place of x, a parameter p in place of 1, and w times the velocity. What is
found is what is found for r = p = w = 1, s = 0, in these units.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

A = od.analysis


class Units(NamedTuple):
    """Of states (and their zero), parameters and rates."""

    r: float
    s: float = 0.0
    p: float = 1.0
    w: float = 1.0

    def state(self, *entries: float) -> np.ndarray:
        return self.s + self.r * np.array(entries)

    def own(self, states: Any) -> np.ndarray:
        return (np.asarray(states) - self.s) / self.r


USUAL = Units(1.0)
OTHERS = [Units(1e-6, 0.0, 1e7, 1e-6), Units(1e7, 0.0, 1e-6, 1e6), Units(1e-4, 1.0)]


# ---- branches: x, mu to velocities or the next state; interval, start, where it is, and which points are switched at
def cubic(x: Any, mu: Any) -> Any:
    return mu + x - x**3


def transcritical(x: Any, mu: Any) -> Any:
    return mu * x - x**2


def subcritical(x: Any, mu: Any) -> Any:
    square = x[0] ** 2 + x[1] ** 2
    turn = jnp.stack([-x[1], x[0]])
    return turn + x * (mu + square - square**2)


def logistic(x: Any, mu: Any) -> Any:
    return mu * x * (1 - x)


BRANCHES: dict[str, tuple[Any, bool, tuple[float, float], list[float], float]] = {
    "two folds": (cubic, True, (-1.0, 1.0), [-1.3], -0.9),
    "a transcritical point": (transcritical, True, (-1.0, 1.0), [0.0], -0.9),
    "a Hopf point and a fold of cycles": (subcritical, True, (-1.0, 1.0), [0.0, 0.0], -0.9),
    "two period doublings": (logistic, False, (0.5, 3.6), [0.5], 2.0),
}


@cache
def points_of(name: str, u: Units) -> tuple[list[Any], list[Any]]:
    """Kinds and numbers of the special points of a continuation and of the branches at them, in the usual units."""
    f, flow, interval, start, at = BRANCHES[name]
    time = u.w if flow else 1.0

    def moved(x: Any, *, mu: Any) -> Any:
        new = f((x - u.s) / u.r, mu / u.p)
        return u.w * u.r * new if flow else u.s + u.r * new

    low, high = (e * u.p for e in interval)
    found = A.continuation(
        moved,
        flow=flow,
        parameter="mu",
        interval=(low, high),
        x0=u.state(*start),
        at=at * u.p,
    )
    for point in found.special:
        if point.kind != "fold":
            found = found.switch(point)
    kinds, numbers = [], []
    for s in sorted(found.special, key=lambda s: (s.label, s.value)):
        cubes = s.kind in ("Hopf", "period doubling")
        c = None if s.coefficient is None else s.coefficient * u.r ** (2 if cubes else 1)
        rate = (
            1.0 if s.kind == "Hopf" else time
        )  # the Lyapunov coefficient is divided by a frequency
        kinds.append((s.label, s.branch, c is None, s.period is None))
        turn = s.period * time if flow and s.period else s.period
        at_rest = s.kind == "Hopf"  # the eigenvalue is a rate
        critical = abs(s.eigenvalue) / (time if at_rest else 1.0)
        numbers.append([s.value / u.p, turn or 0.0, 0.0 if c is None else c / rate, critical])
        numbers.append([*u.own(s.x).ravel()])
    for b in found.branches:
        kinds.append((b.kind, [e.split(" at ")[0] for e in b.ends]))
        numbers.append([b.values[-1] / u.p, *u.own(b.x[-1]).ravel()])
    return kinds, numbers


@pytest.mark.parametrize("units", OTHERS, ids=str)
@pytest.mark.parametrize("name", BRANCHES)
def test_branches_are_the_same_in_other_units(name: str, units: Units) -> None:
    kinds, numbers = points_of(name, units)
    usual, wanted = points_of(name, USUAL)
    assert kinds == usual
    for a, b in zip(numbers, wanted, strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("units", OTHERS, ids=str)
def test_folds_meet_in_a_cusp_in_all_units(units: Units) -> None:
    u = units

    def velocity(x: Any, *, a: Any, b: Any) -> Any:
        z = (x - u.s) / u.r
        return u.r * u.w * (a / u.p + b * z - z**3)

    found = A.continuation(
        velocity, flow=True, parameter="a", interval=(-2 * u.p, 2 * u.p), x0=u.state(-1.8), at=-1.9 * u.p,
        parameters={"b": 1.0},
    )  # fmt: skip
    curve = found.curve(found.special[0], second="b", interval=(-1, 2))
    a, b = curve.values.T
    np.testing.assert_allclose(4 * b**3, 27 * (a / u.p) ** 2, atol=1e-12)
    (cusp,) = curve.special
    assert cusp.kind == "cusp" and u.own(cusp.x) == pytest.approx(0, abs=1e-9)
    assert (cusp.values[0] / u.p, cusp.values[1]) == pytest.approx((0, 0), abs=1e-9)


def test_frequencies_are_in_the_users_time() -> None:
    def velocity(x: Any, *, mu: Any, turn: Any) -> Any:
        square = (x[0] ** 2 + x[1] ** 2) * 1e12
        return 1e3 * (jnp.stack([-x[1], x[0]]) * turn + x * (mu - square))

    found = A.continuation(
        velocity, flow=True, parameter="mu", interval=(-1, 1), x0=[0.0, 0.0], at=-0.9,
        parameters={"turn": 2.0},
    )  # fmt: skip
    (point,) = found.special
    assert point.eigenvalue == pytest.approx(2000j) and point.period == pytest.approx(np.pi / 1000)
    curve = found.curve(point, second="turn", interval=(1, 3))
    np.testing.assert_allclose(curve.frequencies, 1e3 * curve.values[:, 1])


def test_what_is_said_of_a_branch_is_in_the_users_units() -> None:
    def velocity(x: Any, *, mu: Any) -> Any:
        return mu - (x / 1e-6) ** 2

    found = A.continuation(
        velocity, flow=True, parameter="mu", interval=(1e6, 2e6), x0=[1e-3], points=5
    )
    (ends,) = (b.ends for b in found.branches)
    assert ends[1].startswith("5 points are reached at mu = 1.") and ends[1].endswith("e+06")
    np.testing.assert_allclose(found.branches[0].states[:, 0] ** 2 * 1e12, found.branches[0].values)


@pytest.mark.parametrize("near", [1e-3, 1e-9])
def test_a_start_near_zero_is_no_unit(near: float) -> None:
    def velocity(x: Any, *, mu: Any) -> Any:
        return subcritical(x, mu)

    found = [
        A.continuation(
            velocity, flow=True, parameter="mu", interval=(-1, 1), x0=[e, e], at=-0.9
        ).branches[0]
        for e in (0.0, near)
    ]
    assert len(found[0].values) == len(found[1].values)
    np.testing.assert_allclose(found[1].values, found[0].values, atol=1e-12)


def test_a_state_may_grow_far_beyond_its_start() -> None:
    def velocity(x: Any, *, mu: Any) -> Any:
        return (
            mu - x**2
        )  # singular at the start, where neither the state nor the slope tell a length

    found = A.continuation(
        velocity, flow=True, parameter="mu", interval=(0, 4), x0=[1e-5], at=1e-10
    )
    assert found.branches[0].ends == ("the interval of mu ends",) * 2
    assert found.branches[0].x.max() == pytest.approx(2)


@pytest.mark.parametrize("near", [1e-3, 1e-13])
def test_a_state_near_zero_is_no_unit(near: float) -> None:
    f = in_units(well, USUAL)
    key = jax.random.key(0)
    found = A.resilience(descent(USUAL), f, at=[near], key=key, directions=2)
    assert found.distance == pytest.approx(1.147711788)
    saddle, off = float(found.attractor.points[0, 0]) + found.distance, max(near, 1e-10)
    edge = A.edge_state(descent(USUAL), f, between=([saddle - off], [saddle + off]))
    assert edge.points[0, 0] == pytest.approx(saddle)


# ---- everything else: an analysis in units to what does not depend on them
def well(x: Any) -> Any:
    return (x[0] ** 2 - 1) ** 2 / 4 + 0.1 * x[0]


def two_wells(x: Any) -> Any:
    return (x[0] ** 2 - 1) ** 2 / 4 + x[1] ** 2 / 2 + 0.1 * x[0] * x[1] + 0.05 * x[0]


def quartic(x: Any) -> Any:
    return jnp.sum(x**4 / 4 + x**2 / 20)


def in_units(f: Callable[[Any], Any], u: Units) -> od.Objective:
    return od.Objective(f.__name__, lambda x: u.w * u.r**2 * f((x - u.s) / u.r))


def descent(u: Units) -> od.Algorithm:
    return od.algorithm("gradient_descent", step=0.1 / u.w)


FLOW, NOISE = od.system("gradient_flow"), od.system("overdamped_langevin")


def _landscape(u: Units) -> Any:
    found = A.landscape({"a": descent(u)}, in_units(two_wells, u), u.state(1.0, 2.0))
    return [(p.kind, *(e.kind for e in p.equilibria.values())) for p in found.critical_points]


def _passage(u: Units) -> Any:
    def potential(x: Any) -> Any:
        return u.w * u.r**2 * (((x - u.s) / u.r) ** 2 - 1) ** 2 / 4

    ends = u.state(-1.0, 1.0).tolist()
    return u.w * float(od.particles.mean_passage_time(potential, *ends, 4 / u.r**2 / u.w))


def _refuted(u: Units) -> Any:
    """Constants at one point, and whether a run from elsewhere refutes them."""
    f = in_units(quartic, u)
    found = od.estimate_constants(f, u.state(0.1, 0.2), points=1)
    run = od.algorithm("gradient_descent").run(found.objective, u.state(0.6, 0.7), 5)
    return ["refuted" in run.remark]


def _orbit(u: Units) -> Any:
    x = [0.3]
    for _ in range(999):
        x.append(3.97 * x[-1] * (1 - x[-1]))
    return A.zero_one_test(u.state(*x))


def _van_der_pol(u: Units) -> Any:
    """Period, multiplier and fixed point of the portrait of a field."""

    def field(points: Any) -> np.ndarray:
        x, y = u.own(points).T
        return u.w * u.r * np.stack([y, (1 - x**2) * y - x], 1)

    side = (u.s - 3 * u.r, u.s + 3 * u.r)
    found = A.compute_portrait(field, (side, side))
    (cycle,), (rest,) = found.limit_cycles, found.fixed_points
    return [rest.kind], [cycle.period * u.w, cycle.multiplier, *u.own(rest.point)]


ANALYSES: dict[str, Callable[[Units], Any]] = {
    "portrait": _van_der_pol,
    "simulate": lambda u: u.own(
        FLOW.simulate(in_units(two_wells, u), u.state(1.0, 2.0), 3.0 / u.w, points=5).x
    ),
    "a refuted estimate": _refuted,
    "zero_one_test": _orbit,
    "edge_state": lambda u: u.own(
        A.edge_state(descent(u), in_units(two_wells, u), between=(u.state(-1, 0), u.state(1, 0))).state["x"]
    ),
    "edge_state of a flow": lambda u: u.own(
        A.edge_state(FLOW, in_units(well, u), between=(u.state(-1), u.state(1))).state["x"]
    ),
    "resilience": lambda u: A.resilience(
        descent(u), in_units(well, u), at=u.state(-1), key=jax.random.key(0), directions=2
    ).distance / u.r,
    "landscape": _landscape,
    "cobweb": lambda u: len(A.cobweb(descent(u), in_units(well, u), x0=u.state(0.3), window=(
        u.s - 2 * u.r, u.s + 2 * u.r)).fixed),
    "mean_passage_time": _passage,
    "estimate_constants": lambda u: od.estimate_constants(
        in_units(two_wells, u), u.state(1.0, 2.0)).mu / u.w,
    "minimum_action": lambda u: A.minimum_action(
        NOISE, u.state(-1, 0), u.state(1, 0), in_units(two_wells, u)).action / u.r**2 / u.w,
    "basins of a flow": lambda u: A.basins(
        od.system("heavy_ball"), in_units(well, u), axes={"x0": (u.s - 2 * u.r, u.s + 2 * u.r, 5)},
        parameters={"c": 1.5 * u.w**0.5},
    ).labels,
    "basins": lambda u: A.basins(
        descent(u), in_units(two_wells, u),
        axes={f"x0[{i}]": (u.s - 2 * u.r, u.s + 2 * u.r, 5) for i in (0, 1)},
    ).labels,
}  # fmt: skip


@cache
def usual(name: str) -> Any:
    return ANALYSES[name](USUAL)


@pytest.mark.parametrize("units", OTHERS, ids=str)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.optimized) if "basins of" in n else n for n in ANALYSES],
)
def test_analyses_are_the_same_in_other_units(name: str, units: Units) -> None:
    found, wanted = ANALYSES[name](units), usual(name)
    if isinstance(found, tuple):
        assert found[0] == wanted[0]
        found, wanted = found[1], wanted[1]
    if isinstance(found, list) and not isinstance(found[0], float):
        assert found == wanted
    else:
        # a solver's relative tolerance is of the state, wherever its zero is
        atol = 1e-7 + (3e-8 * units.s / units.r if name == "simulate" else 0.0)
        np.testing.assert_allclose(np.asarray(found, float), wanted, rtol=1e-5, atol=atol)


def test_attractors_side_by_side_have_labels_of_their_own() -> None:
    u = Units(1e-5, 1.0)
    found = A.basins(descent(u), in_units(well, u), axes={"x0": (u.s - 2 * u.r, u.s + 2 * u.r, 5)})
    labels = [a.label for a in found.attractors]
    assert labels == ["fixed point 0.99999", "fixed point 1.00001"]


def test_a_parameter_that_is_no_number_gets_a_sentence() -> None:
    def step(x: Any, *, rate: Any) -> Any:
        return rate * x

    wrong = {"rate": len}
    for call in (A.lyapunov, A.recurrences, A.cobweb, A.space_portrait):
        x0 = [0.5, 0.4, 0.3] if call is A.space_portrait else [0.5]
        with pytest.raises(od.OdescentError, match="rate must be"):
            call(step, x0=x0, parameters=wrong)
