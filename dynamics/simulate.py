"""Flows in time, through diffrax: adaptive steps, dense output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from .._errors import OdescentError, unknown
from .evaluate import evaluate, initial_state, oracles_of, vector_field
from .fields import System
from .oracles import Objective

_SOLVERS = {
    "tsit5": dfx.Tsit5, "dopri8": dfx.Dopri8, "heun": dfx.Heun, "kvaerno5": dfx.Kvaerno5, "kvaerno3": dfx.Kvaerno3,
}  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """A flow's trajectory.

    Attributes:
        t: times, shape (n,).
        x: the system's output at these times, shape (n, *x0.shape).
        states: each block by name, same leading axis.
        dense: the output at any time in between, if asked for.
        steps: accepted and rejected solver steps.
    """

    t: Float[np.ndarray, " n"]
    x: Float[np.ndarray, "n ..."]
    states: dict[str, np.ndarray]
    dense: Callable[[float], np.ndarray] | None
    steps: tuple[int, int]

    def __call__(self, t: float) -> np.ndarray:
        """The output at time t, by the solver's own interpolant."""
        if self.dense is None:
            raise OdescentError("this solution has no dense output; simulate with dense=True.")
        return self.dense(t)


def simulate(
    system: System,
    objective: Objective,
    x0: Any,
    t1: float,
    *,
    t0: float = 0.0,
    points: int = 201,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    solver: str = "tsit5",
    dense: bool = False,
    max_steps: int = 100_000,
    parameters: Mapping[str, object] | None = None,
) -> Solution:
    """Integrate the drift from the blocks' initial values for x0, in float64.

    Args:
        system: a deterministic system; parameters mu and L default to the objective's.
        objective: with the oracles that the system calls.
        x0: starting point, an array.
        t0, t1: the time interval.
        points: how many equally spaced times are returned.
        solver: tsit5, dopri8 or heun; kvaerno3 and kvaerno5 for stiff systems.

    Raises:
        OdescentError: noise, missing parameters, a bad interval or start, or a solver that gave up,
            with the time that it reached.
    """
    if any(f.noise for f in system.fields.values()):
        raise OdescentError(
            "the system has noise; simulate() integrates deterministic systems only."
        )
    if solver not in _SOLVERS:
        raise unknown("solver", solver, _SOLVERS)
    if not (np.isfinite(t0) and np.isfinite(t1) and t1 > t0):
        raise OdescentError(f"the time interval must be finite with t1 > t0, not [{t0}, {t1}].")
    with jax.enable_x64(True):
        begin = jnp.asarray(x0, jnp.float64)
        if not bool(jnp.all(jnp.isfinite(begin))):
            raise OdescentError("the starting point has an entry that is not finite.")
        numbers = _numbers(system, objective, parameters or {})
        oracles = oracles_of(system, objective)
        field = vector_field(system, oracles, numbers, jnp)
        state = initial_state(system, begin, oracles, numbers, jnp)
        times = jnp.linspace(t0, t1, points)
        solved = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, args: field(t, y)),
            _SOLVERS[solver](),
            t0,
            t1,
            None,
            state,
            saveat=dfx.SaveAt(ts=times, dense=dense),
            stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol),
            max_steps=max_steps,
            throw=False,
        )
        reached = jnp.all(
            jnp.stack([jnp.all(jnp.isfinite(s).reshape(points, -1), axis=1) for s in solved.ys]),
            axis=0,
        )
        if not bool(jnp.all(reached)):
            last = float(times[int(jnp.argmin(reached)) - 1]) if bool(reached[0]) else t0
            raise OdescentError(
                f"the solver {solver} stopped at about t = {last:.6g} of {t1:g}: the flow blows up, is stiff (try "
                f"solver='kvaerno5'), or needs more than {max_steps} steps."
            )
        symbols = [b.symbol for b in system.blocks]

        def output(t: Any, blocks: tuple[Any, ...]) -> Array:
            values = {**numbers, **dict(zip(symbols, blocks, strict=True))}
            if system.time is not None:
                values[system.time] = t
            result: Array = evaluate(system.output, values, oracles, jnp)
            return result

        def interpolant(t: float) -> np.ndarray:
            with jax.enable_x64(True):
                return np.asarray(output(t, solved.evaluate(t)))

        x = np.asarray(jax.vmap(output)(times, solved.ys))
        states = {b.name: np.asarray(s) for b, s in zip(system.blocks, solved.ys, strict=True)}
        counts = (int(solved.stats["num_accepted_steps"]), int(solved.stats["num_rejected_steps"]))
        return Solution(np.asarray(times), x, states, interpolant if dense else None, counts)


def _numbers(
    system: System, objective: Objective, given: Mapping[str, object]
) -> dict[sp.Symbol, float]:
    values: dict[str, object] = {"mu": objective.mu, "L": objective.L, **given}
    names = {p.name for p in system.parameters}
    for name in given:
        if name not in names:
            raise unknown("parameter", name, names)
    return {p: float(values[p.name]) for p in system.parameters if values.get(p.name) is not None}  # type: ignore[arg-type]
