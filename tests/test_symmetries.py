"""An analysis does not depend on coordinates, and says so where a symmetry makes several things happen at once.

A problem is stated in rotated coordinates, in another order, with further coordinates that only decay, with a constant
added to the objective, or backwards in time: what is found is the same, moved. Of equal parts each loses its stability
where the others do: such points are none of those that one eigenvalue makes.
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


class Moved(NamedTuple):
    """New coordinates: a matrix times the old ones, then so many that decay; and a constant of the objective."""

    name: str
    matrix: Any
    further: int = 0
    constant: float = 0.0

    def of(self, *entries: float) -> np.ndarray:
        """A state in the new coordinates."""
        return np.concatenate([self.matrix @ np.array(entries), np.zeros(self.further)])

    def back(self, states: Any) -> np.ndarray:
        return np.asarray(states)[..., :2] @ np.linalg.inv(self.matrix).T

    def field(self, f: Callable[..., Any], decay: float) -> Callable[..., Any]:
        """A field or map of the old coordinates in the new ones."""
        there, here = jnp.asarray(self.matrix), jnp.asarray(np.linalg.inv(self.matrix))

        def moved(z: Any, *, mu: Any) -> Any:
            return jnp.concatenate([there @ f(here @ z[:2], mu), decay * z[2:]])

        return moved

    def objective(self, f: Callable[[Any], Any]) -> od.Objective:
        """Of an orthogonal matrix."""
        here = jnp.asarray(self.matrix.T)
        return od.Objective(
            f.__name__, lambda z: f(here @ z[:2]) + self.constant + jnp.sum(z[2:] ** 2) / 2
        )


TURN = np.array([[0.8, -0.6], [0.6, 0.8]])
USUAL = Moved("usual", np.eye(2))
OTHERS = [
    Moved("turned", TURN), Moved("swapped", np.eye(2)[::-1]), Moved("mirrored", -np.eye(2)),
    Moved("more", TURN, 2, -1e4),
]  # fmt: skip
SHEARED = Moved("sheared", np.array([[1.0, 0.7], [0.0, 10.0]]))


def cubic(x: Any, mu: Any) -> Any:
    return jnp.stack([mu + x[0] - x[0] ** 3, -x[1]])


def subcritical(x: Any, mu: Any) -> Any:
    square = x @ x
    return jnp.stack([-x[1], x[0]]) + x * (mu + square - square**2)


def transcritical(x: Any, mu: Any) -> Any:
    return jnp.stack([mu * x[0] - x[0] ** 2, -x[1] - x[0]])


def logistic(x: Any, mu: Any) -> Any:
    return jnp.stack([mu * x[0] * (1 - x[0]), 0.3 * x[1]])


BRANCHES: dict[str, tuple[Any, bool, tuple[float, float], tuple[float, float], float]] = {
    "two folds": (cubic, True, (-1.0, 1.0), (-1.3, 0.0), -0.9),
    "a Hopf point": (subcritical, True, (-1.0, 1.0), (0.0, 0.0), -0.9),
    "a transcritical point": (transcritical, True, (-1.0, 1.0), (0.0, 0.0), -0.9),
    "a period doubling": (logistic, False, (0.5, 3.3), (0.5, 0.0), 2.0),
}


@cache
def branches(name: str, moved: Moved, sense: float = 1.0) -> tuple[list[Any], list[float]]:
    """Kinds and values of the special points of a continuation, and how its branches end."""
    f, flow, interval, start, at = BRANCHES[name]
    own: Callable[..., Any] = lambda x, mu: sense * f(x, mu)
    found = A.continuation(
        moved.field(own, -1.0 if flow else 0.5), flow=flow, parameter="mu", interval=interval, x0=moved.of(*start),
        at=at,
    )  # fmt: skip
    for point in found.special:
        if point.kind != "fold":
            found = found.switch(point)
    special = sorted(found.special, key=lambda s: (s.kind, s.value))
    kinds = [(s.kind, s.criticality if sense > 0 else "", s.branch, s.critical) for s in special]
    ends = [(b.kind, [e.split(" at ")[0] for e in b.ends]) for b in found.branches]
    return [*kinds, *ends], [s.value for s in special]


Moved.__hash__ = lambda self: hash(self.name)  # type: ignore[method-assign]


@pytest.mark.parametrize("moved", [*OTHERS, SHEARED], ids=lambda m: m.name)
@pytest.mark.parametrize("name", BRANCHES)
def test_branches_are_the_same_in_other_coordinates(name: str, moved: Moved) -> None:
    kinds, values = branches(name, moved)
    assert kinds == branches(name, USUAL)[0]
    np.testing.assert_allclose(values, branches(name, USUAL)[1], atol=1e-9)


@pytest.mark.parametrize("name", ["two folds", "a Hopf point", "a transcritical point"])
def test_branches_are_the_same_backwards_in_time(name: str) -> None:
    kinds, values = branches(name, USUAL, -1.0)
    usual = [(k[0], "", *k[2:]) if len(k) == 4 else k for k in branches(name, USUAL)[0]]
    assert kinds == usual
    np.testing.assert_allclose(values, branches(name, USUAL)[1], atol=1e-9)


def test_a_cycle_has_the_inverse_multiplier_backwards_in_time() -> None:
    def portrait(sense: float) -> Any:
        def field(p: Any) -> np.ndarray:
            x, y = np.asarray(p).T
            return sense * np.stack([y, (1 - x**2) * y - x], 1)

        return A.compute_portrait(field, ((-3, 3), (-3, 3)))

    (there,), (back,) = portrait(1.0).limit_cycles, portrait(-1.0).limit_cycles
    assert there.stable and not back.stable
    assert back.period == pytest.approx(there.period, rel=1e-8)
    assert back.multiplier * there.multiplier == pytest.approx(1.0, rel=1e-6)


# ---- functions of the state
def wells(x: Any) -> Any:
    return (x[0] ** 2 - 1) ** 2 / 4 + x[1] ** 2 / 2 + 0.1 * x[0] * x[1] + 0.05 * x[0]


DESCENT = od.algorithm("gradient_descent", step=0.1)
FLOW, NOISE = od.system("gradient_flow"), od.system("overdamped_langevin")


def _edge(what: Any, m: Moved) -> np.ndarray:
    ends = m.of(-1.0, 0.0), m.of(1.0, 0.0)
    return m.back(A.edge_state(what, m.objective(wells), between=ends).state["x"])


def _basins(m: Moved) -> list[float]:
    axes = {f"x0[{i}]": (-2, 2, 6) for i in (0, 1)}
    found = A.basins(DESCENT, m.objective(wells), axes=axes, start=m.of(0.0, 0.0))
    return sorted(float(m.back(np.ravel(a.points))[0]) for a in found.attractors)


ANALYSES: dict[str, Callable[[Moved], Any]] = {
    "edge_state": lambda m: _edge(DESCENT, m),
    "edge_state of a flow": lambda m: _edge(FLOW, m),
    "resilience": lambda m: A.resilience(
        DESCENT, m.objective(wells), at=m.of(-1.0, 0.0), key=jax.random.key(0), directions=8
    ).distance,
    "minimum_action": lambda m: A.minimum_action(
        NOISE, m.of(-1.0, 0.0), m.of(1.0, 0.0), m.objective(wells)
    ).action,
    "basins": _basins,
    "estimate_constants": lambda m: od.estimate_constants(m.objective(wells), m.of(1.0, 2.0)).L,
    "simulate": lambda m: m.back(FLOW.simulate(m.objective(wells), m.of(1.0, 2.0), 3.0, points=5).x),
}  # fmt: skip


@cache
def usual(name: str) -> Any:
    return ANALYSES[name](USUAL)


@pytest.mark.parametrize("moved", [OTHERS[0], OTHERS[-1]], ids=lambda m: m.name)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.optimized) if "edge" in n or n == "resilience" else n
        for n in ANALYSES
    ],
)
def test_analyses_are_the_same_in_other_coordinates(name: str, moved: Moved) -> None:
    found = np.asarray(ANALYSES[name](moved), float)
    np.testing.assert_allclose(found, usual(name), rtol=1e-5, atol=1e-6)


# ---- several eigenvalues at once
def two_turns(x: Any, mu: Any) -> Any:
    a, b = x[:2], x[2:]
    turn: Callable[[Any], Any] = lambda z: jnp.stack([-z[1], z[0]]) + z * (mu - z @ z)
    return jnp.concatenate([turn(a), turn(b)])


def second_order(z: Any, mu: Any) -> Any:
    return jnp.concatenate([z[2:], mu * z[:2] - z[:2] ** 3 - 0.3 * z[2:]])


def turned(x: Any, mu: Any) -> Any:
    return mu * (1 - x @ x) * jnp.asarray(TURN) @ x


MULTIPLE: dict[str, tuple[Any, bool, list[float], tuple[float, ...], int]] = {
    # what, whether of velocities, a start, where, how many eigenvalues
    "rotations": (lambda x, mu: x * (mu - x @ x), True, [0.0] * 3, (0.0,), 3),
    "two pitchforks": (lambda x, mu: mu * x - x**3, True, [0.0] * 2, (0.0,), 2),
    "two transcritical points": (lambda x, mu: mu * x - x**2, True, [0.0] * 2, (0.0,), 2),
    "two folds": (lambda x, mu: mu + x - x**3, True, [-1.3] * 2, (-2 / 27**0.5, 2 / 27**0.5), 2),
    "two oscillators": (second_order, True, [0.0] * 4, (0.0,), 2),
    "two Hopf points": (two_turns, True, [0.0] * 4, (0.0,), 4),
    "a pitchfork at a Hopf point": (
        lambda x, mu: jnp.concatenate([two_turns(jnp.append(x, 0.0), mu)[:2], mu * x[2:] - x[2:] ** 3]),
        True, [0.0] * 3, (0.0,), 3,
    ),
    "two maps": (lambda x, mu: (mu + 1) * x - x**3, False, [0.0] * 2, (0.0,), 2),
    "two period doublings": (lambda x, mu: -(mu + 1) * x + x**3, False, [0.0] * 2, (0.0,), 2),
    "two closed curves": (
        lambda x, mu: jnp.concatenate([turned(x[:2], mu + 1), turned(x[2:], mu + 1)]), False, [0.0] * 4, (0.0,), 4,
    ),
}  # fmt: skip


def followed(name: str, entries: int | None = None) -> A.Continuation:
    """The branch of equal parts, or of the first of their entries alone."""
    f, flow, start, _, _ = MULTIPLE[name]
    return A.continuation(
        lambda x, *, mu: f(x, mu), flow=flow, parameter="mu", interval=(-0.97, 1.0), x0=start[:entries], at=-0.9
    )  # fmt: skip


@pytest.mark.parametrize("name", MULTIPLE)
def test_a_point_at_which_several_eigenvalues_are_critical_is_said_to_be_one(name: str) -> None:
    """They were called Hopf, Neimark-Sacker, pitchfork or branch point."""
    _, flow, _, where, count = MULTIPLE[name]
    found = followed(name)
    assert {(s.kind, s.critical, s.coefficient) for s in found.special} == {
        ("multiple", count, None)
    }
    np.testing.assert_allclose(sorted(s.value for s in found.special), where, atol=1e-9)
    assert f"multiple, {count} critical eigenvalues" in str(found)
    for s in found.special:
        assert (abs(s.eigenvalue.real) if flow else abs(abs(s.eigenvalue) - 1)) < 1e-12
        with pytest.raises(od.OdescentError, match="several eigenvalues are critical there"):
            found.switch(s)


def test_cycles_that_lose_stability_in_two_directions_at_once() -> None:
    def velocity(x: Any, *, mu: Any) -> Any:
        a, b = x[:2], x[2:]
        return jnp.concatenate([jnp.stack([-a[1], a[0]]) + a * (1 - a @ a), mu * b - b**3])

    for more, kind in ((1, "pitchfork"), (2, "multiple"), (3, "multiple")):
        found = A.continuation(
            velocity, flow=True, parameter="mu", interval=(-1.0, 1.0), x0=[1.0, 0.0] + [0.0] * more, at=-0.9, period=6.3
        )  # fmt: skip
        assert [(s.kind, s.critical) for s in found.special] == [(kind, more)]
        assert abs(found.special[0].value) < 1e-9


@pytest.mark.parametrize("gap", [1e-4, 1e-5, 1e-6, 3e-7])
def test_nearly_equal_parts_are_told_apart(gap: float) -> None:
    found = A.continuation(
        lambda x, *, mu: jnp.stack([mu, mu - gap]) * x - x**3, flow=True, parameter="mu", interval=(-1.0, 1.0),
        x0=[0.0, 0.0], at=-0.9,
    )  # fmt: skip
    assert [s.kind for s in found.special] == ["pitchfork", "pitchfork"]
    np.testing.assert_allclose([s.value for s in found.special], [0.0, gap], atol=1e-12)


def test_a_multiple_point_has_a_mark_of_its_own() -> None:
    both = followed("two folds"), followed("two folds", 1)
    marks = [{line.get_marker() for line in found.plot().lines} - {"None"} for found in both]
    assert marks[0] and not marks[0] & marks[1]


def test_a_diagram_of_equal_parts() -> None:
    """The kernel has two dimensions: NumPy's error for a singular matrix came out."""
    two = {"parameter": "mu", "values": np.linspace(0.5, 1.5, 40), "start": [0.1, 0.2]}
    pitchforks = A.bifurcation(lambda x, *, mu: mu * x - x**3, **two)
    assert [(c.kind, round(c.value, 9)) for c in pitchforks.changes] == [("multiple", 1.0)]
    # a circle of fixed points: none of them is lost
    rotations = A.bifurcation(lambda x, *, mu: x * (mu - x @ x), **two)
    assert [(c.kind, round(c.value, 9)) for c in rotations.changes] == [("multiple", 1.0)]
    logistics = A.bifurcation(
        lambda x, *, mu: mu * x * (1 - x),
        parameter="mu",
        values=np.linspace(2.5, 3.3, 40),
        start=[0.4, 0.3],
    )
    assert [(c.kind, c.period, round(c.value, 9)) for c in logistics.changes] == [
        ("multiple", 1, 3.0)
    ]


def test_a_diagram_names_no_change_where_a_branch_stays_stable() -> None:
    """Near 1.1 the second entry settles slowly: at the last value before it a change was named."""
    found = A.bifurcation(
        lambda x, *, mu: jnp.stack([mu, mu - 0.1]) * x - x**3, parameter="mu", values=np.linspace(0.5, 1.5, 60),
        start=[0.1, 0.2],
    )  # fmt: skip
    assert [c.kind for c in found.changes] == ["pitchfork", "pitchfork"]
    np.testing.assert_allclose([c.value for c in found.changes], [1.0, 1.1], atol=1e-12)


# ---- the order and the form in which a system is written
def test_branches_start_from_values_by_block_in_any_order() -> None:
    m, c = od.parameters("m c")
    x, v = od.blocks("x v")
    force = m * x - x - od.hadamard(x, od.hadamard(x, x)) - c * v
    how = {"parameter": "m", "interval": (0.1, 3.0), "at": 0.2, "parameters": {"c": 0.3}}
    for fields in ({x: v, v: force}, {v: force, x: v}):
        system = od.System({"all": fields}, output=x)
        for start in ({"x": 0.0, "v": 0.0}, {"v": [0.0]}, [0.0]):
            found = A.continuation(system, x0=start, **how)
            assert [s.label for s in found.special] == ["pitchfork, supercritical"]
            assert found.special[0].value == pytest.approx(1.0, abs=1e-12)
        # of two variables each block has two entries
        assert A.continuation(system, x0=[0.0, 0.0], **how).special[0].critical == 2
    with pytest.raises(od.OdescentError, match="no block of the system called 'y'"):
        A.continuation(system, x0={"y": 0.0}, **how)
