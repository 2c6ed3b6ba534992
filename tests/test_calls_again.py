"""A call that is made again compiles nothing: pictures are drawn anew, and sweeps call one function many times."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

DESCENT = od.algorithm("gradient_descent", step=0.1)
BALL = od.algorithm("heavy_ball", step=0.1, momentum=0.5)
FLOW, LANGEVIN = od.system("gradient_flow"), od.system("overdamped_langevin")
CBO = od.algorithm("cbo")
Q = od.Objective("q", lambda x: jnp.sum(x**2 * jnp.arange(1.0, x.shape[0] + 1)) / 2, mu=1, L=2)
WELLS = od.Objective("wells", lambda x: jnp.sum((x**2 - 1) ** 2) + 0.1 * x[0])
DOUBLE = od.Objective("double", lambda x: (x[0] ** 2 - 1) ** 2 / 4 + x[1] ** 2 / 2)
POINT, GRID = np.array([1.0, 2.0]), {"x0[0]": (-1, 1, 4), "x0[1]": (-1, 1, 4)}
WINDOW = ((-2, 2), (-2, 2))
PARTICLES = np.random.default_rng(0).normal(size=(20, 2))
CONSENSUS = {"h": 0.1, "lam": 1.0, "sigma": 0.1, "alpha": 5.0}


def field(t: Any, y: Any, args: Any) -> Any:
    return -y


def upper(x: Any, y: Any) -> Any:
    return jnp.sum((y - 1) ** 2)


def lower(x: Any, y: Any) -> Any:
    return jnp.sum((y - x) ** 2)


def away(x: Any) -> Any:
    return jnp.sum((x - 1) ** 2)


def velocity(x: Any, *, mu: Any) -> Any:
    return mu - x**2


def arrived(x: Any) -> Any:
    return x[0] > 0.9


A, F = od.analysis, od.algorithm("gradient_descent")
CALLS: dict[str, Callable[[], Any]] = {
    "run": lambda: DESCENT.run(Q, POINT, 20),
    "run bound": lambda: F.bind(L=10.0).run(Q, POINT, 20),
    "run until": lambda: DESCENT.run(Q, POINT, 200, until={"gradient": 1e-3}),
    "simulate": lambda: FLOW.simulate(Q, POINT, 1.0),
    "simulate bound": lambda: od.system("heavy_ball").bind(c=1.0).simulate(Q, POINT, 1.0),
    "simulate noise": lambda: LANGEVIN.simulate(Q, POINT, 1.0, dt=0.1, key=0),
    "phase_portrait": lambda: A.phase_portrait(
        od.system("heavy_ball"), WELLS, window=WINDOW, parameters={"c": 1.0}
    ),
    "phase_portrait of a method": lambda: A.phase_portrait(BALL, curvature=1.0, window=WINDOW),
    "space_portrait": lambda: A.space_portrait(DESCENT, Q, x0=[[1.0, 2.0, 3.0]], steps=20),
    "landscape": lambda: A.landscape({"a": DESCENT, "b": BALL}, Q, POINT),
    "basins": lambda: A.basins(DESCENT, WELLS, axes=GRID),
    "lyapunov": lambda: A.lyapunov(DESCENT, WELLS, x0=POINT, steps=100),
    "bifurcation": lambda: A.bifurcation(F, WELLS, parameter="L", values=(5, 20, 10), start=[0.5]),
    "continuation": lambda: A.continuation(F, WELLS, parameter="L", interval=(5.0, 20.0), x0=[1.0]),
    "batch": lambda: A.batch(DESCENT, WELLS, axes={"x0[0]": [0.1, 0.2], "x0[1]": [0.1]}, steps=5),
    "convergence": lambda: A.convergence(DESCENT, Q, POINT, steps=20),
    "lyapunov of a flow": lambda: A.lyapunov(
        od.system("heavy_ball"), WELLS, x0=[1.0], t1=5.0, parameters={"c": 1.0}
    ),
    "basins of a flow": lambda: A.basins(
        od.system("heavy_ball"), WELLS, axes={"x0": (-1, 1, 4)}, parameters={"c": 1.0}
    ),
    "continuation of velocities": lambda: A.continuation(
        velocity, flow=True, parameter="mu", interval=(0.5, 4.0), x0=[1.2], at=3.9
    ),
    "fokker_planck": lambda: A.fokker_planck(LANGEVIN, ((-2, 2),), WELLS),
    "fokker_planck in time": lambda: A.fokker_planck(
        LANGEVIN, ((-2, 2),), WELLS, times=(1.0,), x0=[0.5]
    ),
    "minimum_action": lambda: A.minimum_action(LANGEVIN, [-1.0, 0.0], [1.0, 0.0], DOUBLE),
    "phase_portrait with paths": lambda: A.phase_portrait(
        LANGEVIN, WELLS, window=WINDOW, x0=[1.0, 1.0], paths=2, t1=0.5, cycles=False
    ),
    "space_portrait of a flow": lambda: A.space_portrait(FLOW, Q, x0=[[1.0, 2.0, 3.0]], t1=1.0),
    "recurrences": lambda: A.recurrences(DESCENT, WELLS, x0=POINT, states=50),
    "cobweb": lambda: A.cobweb(DESCENT, WELLS, x0=[0.3]),
    "edge_state": lambda: A.edge_state(DESCENT, WELLS, between=([-1.0, 1.0], [1.0, 1.0])),
    "estimate_constants": lambda: od.estimate_constants(Q, POINT),
    "bilevel": lambda: od.bilevel(upper, lower, np.zeros(1), np.zeros(1), step=0.1, steps=3),
    "minimize": lambda: od.particles.minimize(away, POINT, steps=20, seed=0),
    "particles": lambda: od.particles.simulate(CBO, Q, PARTICLES.T, 3, params=CONSENSUS),
    "first_passage": lambda: od.particles.first_passage(
        CBO, Q, PARTICLES, arrived, steps=5, runs=3, key=0, **CONSENSUS
    ),
    "solve": lambda: od.neural_de.solve(field, POINT, 0.0, 1.0),
}


ELSEWHERE: dict[str, Callable[[float], Any]] = {  # with other numbers, and results of other lengths
    "run until": lambda a: DESCENT.run(Q, a * POINT, int(99 * a), until={"gradient": 1e-3 / a}),
    "run every": lambda a: DESCENT.run(Q, a * POINT, int(99 * a), every=7),
    "run statistics": lambda a: DESCENT.run(Q, a * POINT, int(99 * a), statistics=["variance"]),
    "simulate": lambda a: FLOW.simulate(Q, a * POINT, 3 * a),
    "simulate until": lambda a: FLOW.simulate(Q, a * POINT, 30 * a, until={"gradient": 0.1 / a}),
    "simulate steps until": lambda a: FLOW.simulate(
        Q, a * POINT, 9.0, dt=0.1, until={"gradient": 0.1}
    ),
    "lyapunov": lambda a: A.lyapunov(DESCENT, WELLS, x0=POINT / a, steps=int(100 * a)),
    "continuation": lambda a: A.continuation(
        F, WELLS, parameter="L", interval=(5.0, 20.0 * a), x0=[1.0]
    ),
    "recurrences": lambda a: A.recurrences(DESCENT, WELLS, x0=POINT / a, states=50),
    "edge_state": lambda a: A.edge_state(DESCENT, WELLS, between=([-1.0, 1.0], [1.0, a])),
    "minimize": lambda a: od.particles.minimize(away, POINT, steps=50, seed=int(9 * a)),
}


def compiled(caplog: pytest.LogCaptureFixture, *calls: Callable[[], Any]) -> list[str]:
    """What JAX says it compiles during some calls."""
    with jax.log_compiles(), caplog.at_level("WARNING"):
        for call in calls:
            call()
    return [r.getMessage() for r in caplog.records if r.message.startswith("Compiling")]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_made_again_compiles_nothing(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    CALLS[name]()
    assert not compiled(caplog, CALLS[name])


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_numbers_compile_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    call = ELSEWHERE[name]
    call(1.0)
    assert not compiled(caplog, lambda: call(1.3), lambda: call(1.1))


def test_a_search_compiles_its_loop_once(caplog: pytest.LogCaptureFixture) -> None:
    """What it begins with has the types of what a step returns: weak ones would be another program."""
    fun = lambda x: jnp.sum((x + 1) ** 2)
    search = lambda: od.particles.minimize(fun, POINT, steps=100, seed=0)
    assert sum("together" in message for message in compiled(caplog, search)) == 1
