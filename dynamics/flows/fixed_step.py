"""Fixed steps: the solvers by name, Euler-Maruyama and Heun for SDEs, and the increments of the noise."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..algebra.calculus import symbols_of
from ..evaluation.evaluate import evaluate, oracles_of
from ..random.normals import jax_normals, normals
from ..random.poisson import jax_poisson, poisson
from ..random.sources import Given, seed_of, source
from ..vector_fields.objective import Objective
from ..vector_fields.processes import Jumps
from ..vector_fields.processes import Noise as Noisy
from ..vector_fields.system import VectorFields
from .tableaux import TABLEAUX, Rates, State, runge_kutta


@dataclass(frozen=True)
class Solver:
    """A named solver.

    Attributes:
        diffrax: the name of diffrax's class, which takes adaptive steps; None where there is none.
        step: our own step of a fixed size, (rates, t, state, dt) to the next state, and with noise
            (rates, noise, t, state, dt); None where there is none.
        calculus: the sense of the noise that it takes, "ito" or "stratonovich"; None for flows.
    """

    diffrax: str | None = None
    step: Callable[..., State] | None = None
    calculus: str | None = None


def _euler_maruyama(
    rates: Rates, noise: Callable[..., State], t: Any, state: State, dt: Any
) -> State:
    """Kloeden and Platen 1992, 10.2."""
    drift, kick = rates(t, state), noise(t, state)
    return _add(state, tuple(dt * k for k in drift), kick)


def _stochastic_heun(
    rates: Rates, noise: Callable[..., State], t: Any, state: State, dt: Any
) -> State:
    """Kloeden and Platen 1992, 11.1: both ends' means."""
    drift, kick = rates(t, state), noise(t, state)
    first = _add(state, tuple(dt * k for k in drift), kick)
    drift2, kick2 = rates(t + dt, first), noise(t + dt, first)
    half: Callable[..., State] = lambda *two: tuple((a + b) / 2 for a, b in zip(*two, strict=True))
    return _add(state, tuple(dt * k for k in half(drift, drift2)), half(kick, kick2))


def _add(*parts: State) -> State:
    return tuple(functools.reduce(operator.add, p) for p in zip(*parts, strict=True))


SOLVERS: dict[str, Solver] = {
    "tsit5": Solver("Tsit5"),
    "dopri5": Solver("Dopri5"),
    "dopri8": Solver("Dopri8"),
    "kvaerno3": Solver("Kvaerno3"),
    "kvaerno5": Solver("Kvaerno5"),
    **{n: Solver("Heun" if n == "heun" else None, partial(runge_kutta, n)) for n in TABLEAUX},
    "euler_maruyama": Solver(None, _euler_maruyama, "ito"),
    "stochastic_heun": Solver(None, _stochastic_heun, "stratonovich"),
}


def solver_for(calculus: str | None) -> str:
    """The name of the solver for noise of that sense."""
    return next(n for n, s in SOLVERS.items() if s.calculus == calculus)


class Noise:
    """The noise of a system: which process moves which block, and how strongly.

    Args:
        calculus: "ito" or "stratonovich", what the steps converge to.

    Raises:
        OdescentError: noise whose amplitude depends on the state, meant in the other sense; jumps, which are Ito's,
            in Stratonovich's.
    """

    def __init__(self, system: VectorFields, objective: Objective, calculus: str | None) -> None:
        self.system, self.oracles = system, oracles_of(system, objective)
        self.terms: list[tuple[int, Noisy]] = []
        symbols = [b.symbol for b in system.blocks]
        for f in system.fields.values():
            for s, d in f.noise.items():
                if isinstance(d, Jumps) and calculus != "ito":
                    raise OdescentError(
                        f"the jumps of {s} require solver='euler_maruyama' and a system in Ito's sense: "
                        "convert it with odescent.dynamics.stochastic.to_ito."
                    )
                depends = any(b in symbols_of(d.amplitude) for b in symbols)
                if depends and system.calculus != calculus:
                    raise OdescentError(
                        f"the noise on {s} depends on the state and is meant in the sense of "
                        f"{system.calculus.capitalize()}: use solver={solver_for(system.calculus)!r}."
                    )
                self.terms.append((symbols.index(s), d))

    def processes(self, state: State) -> dict[str, jax.ShapeDtypeStruct]:
        """The shape of each process's value."""
        return {
            d.process: jax.ShapeDtypeStruct(jnp.shape(state[i]), jnp.float64)  # type: ignore[no-untyped-call]
            for i, d in self.terms
        }

    @property
    def clocks(self) -> dict[str, bool]:
        """The processes that jump, and whether all paths share their times."""
        return {d.process: d.common for _, d in self.terms if isinstance(d, Jumps)}

    def moved(
        self, t: Any, state: State, dW: Mapping[str, Any], numbers: Mapping[Any, Any]
    ) -> State:
        """The increment of each block due to the noise, with amplitudes evaluated at the given state.

        Args:
            t: the time.
            state: arrays in block order.
            dW: increments by process; those of jump processes are functions of the rate.
            numbers: parameter values by symbol.

        Returns:
            arrays in block order, with the blocks' shapes.
        """
        values = {
            **numbers,
            **{b.symbol: s for b, s in zip(self.system.blocks, state, strict=True)},
        }
        if self.system.time is not None:
            values[self.system.time] = t
        total = [jnp.zeros_like(s) for s in state]
        for i, d in self.terms:
            amplitude = evaluate(d.amplitude, values, self.oracles, jnp)
            step = dW[d.process]
            if isinstance(d, Jumps):
                step = step(evaluate(d.rate, values, self.oracles, jnp))
            total[i] = total[i] + amplitude * step
        return tuple(total)


def increments(
    path: Any,
    key: Given,
    shapes: Mapping[str, Any],
    dt: float,
    generator: str = "counter",
    clocks: Mapping[str, bool] | None = None,
) -> Any:
    """A function (k, t, t + dt) to the increments of each process over step k.

    With ``path`` these are increments of one Brownian path per process, the same at every step size; without it,
    independent draws, many times faster.

    The increment of a jump process is a function of the rate: sqrt(n) times a standard normal, with a Poisson number n
    of jumps. All entries of a vector share one n. In an array with more axes each row is a path with its own n, unless
    the clock is common.

    Args:
        path: makes a Brownian path from (key, shape), or None.
        key: the seed or JAX key.
        shapes: shape and type of the increment of each process.
        dt: the step, in units of time.
        generator: "counter" or JAX's own, for independent draws; see `normals`.
        clocks: the jump processes, each with whether its clock is common to all paths.

    Returns:
        the function; increments have variance dt (for jumps, rate times dt).
    """
    clocks = clocks or {}
    if path is None:
        seed = seed_of(key)
        rows = {n: -(-max(int(np.prod(s.shape)), 1) // 2) for n, s in shapes.items()}
        offsets = dict(zip(rows, np.cumsum([0, *rows.values()]).tolist(), strict=False))
        counted = generator == "counter"
        draw, count = (normals, poisson) if counted else (jax_normals, jax_poisson)
        first, pairs = (
            sum(rows.values()),
            sum(rows.values()) + len(clocks),
        )  # jumps after the normals

        def independent(k: Any, a: Any, b: Any) -> dict[str, Any]:
            def made(n: str, s: Any) -> Any:
                z = draw(seed, 0, k, dimension=max(int(np.prod(s.shape)), 1), particles=1,
                         offset=offsets[n], pairs=pairs)  # fmt: skip
                normal = z.reshape(s.shape).astype(s.dtype)
                if n not in clocks:
                    return normal * np.sqrt(dt)
                lane = first + list(clocks).index(n)
                paths = s.shape[0] if len(s.shape) > 1 and not clocks[n] else 1
                column = (paths,) + (1,) * (len(s.shape) - 1) if len(s.shape) > 1 else ()

                def jumped(rate: Any) -> Array:
                    mean = jnp.reshape(jnp.asarray(rate * dt), (1, -1))
                    many = count(seed, 0, k, mean, particles=paths, offset=lane, pairs=pairs)
                    return normal * jnp.sqrt(many[0].reshape(column))

                return jumped

            return {n: made(n, s) for n, s in shapes.items()}

        return independent
    own: Any = source(key, "jax")
    keys = dict(zip(sorted(shapes), jax.random.split(own, len(shapes)), strict=True))
    trees = {n: path(keys[n], s) for n, s in shapes.items()}
    return lambda k, a, b: {n: tree.evaluate(a, b) for n, tree in trees.items()}


def whole_steps(t0: float, t1: float, dt: float) -> int:
    """The number of steps of dt in the interval [t0, t1].

    Args:
        t0: the start.
        t1: the end.
        dt: the step; must divide t1 - t0 to within 1e-6 of a step.

    Raises:
        OdescentError: dt is not positive and finite, does not divide the interval, or is lost in rounding.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise OdescentError(f"the step dt must be positive and finite, not {short(dt)}.")
    if t0 + dt == t0 or t1 + dt == t1:
        raise OdescentError(f"the step dt = {dt:g} is below the resolution of time at t = {t1:g}.")
    n = round((t1 - t0) / dt)
    if n < 1 or abs(n * dt - (t1 - t0)) > 1e-6 * dt:
        nearest = (t1 - t0) / max(n, 1)
        raise OdescentError(
            f"the interval [{t0:g}, {t1:g}] is not a whole number of steps of dt = {dt:g}; dt = {nearest:.6g} fits."
        )
    return n


def spacing(n: int, points: int) -> int:
    """Every how many of the steps 0 to n is kept, evenly spread, for at most so many points with the last."""
    return max(1, -(-n // max(points - 1, 1)))


__all__ = ["SOLVERS", "Noise", "Solver", "increments", "solver_for", "spacing", "whole_steps"]
