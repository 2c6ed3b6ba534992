"""Fixed steps in our own scan: Runge-Kutta for flows, Euler-Maruyama and Heun for SDEs, one start or many."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._errors import OdescentError
from .calculus import symbols_of
from .evaluate import evaluate, oracles_of
from .fields import System
from .noise import Jumps
from .noise import Noise as Noisy
from .normals import jax_normals, normals
from .oracles import Objective
from .poisson import jax_poisson, poisson
from .sources import Given, seed_of, source

State = tuple[Any, ...]
Rates = Callable[[Any, State], State]
# Rows of explicit tableaux and their weights (Hairer, Norsett, Wanner, Solving ODEs I, II.1).
TABLEAUX: dict[str, tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]] = {
    "euler": ((), (1.0,)),
    "midpoint": (((0.5,),), (0.0, 1.0)),
    "heun": (((1.0,),), (0.5, 0.5)),
    "rk4": (((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
STOCHASTIC = {"euler_maruyama": "ito", "stochastic_heun": "stratonovich"}


def runge_kutta(name: str, rates: Rates, t: Any, state: State, dt: Any) -> State:
    """One step of an explicit tableau."""
    rows, weights = TABLEAUX[name]
    slopes = [rates(t, state)]
    for row in rows:
        slopes.append(rates(t + sum(row) * dt, _shifted(state, dt, row, slopes)))
    return _shifted(state, dt, weights, slopes)


def _shifted(state: State, dt: Any, row: tuple[float, ...], slopes: list[State]) -> State:
    used = [(w, k) for w, k in zip(row, slopes, strict=True) if w]
    return tuple(
        s + functools.reduce(jnp.add, [(w * dt) * k[i] for w, k in used])
        for i, s in enumerate(state)
    )


class Noise:
    """The noise of a system: which process moves which block, and how strongly.

    Args:
        calculus: "ito" or "stratonovich", what the steps converge to.

    Raises:
        OdescentError: noise whose amplitude depends on the state, meant in the other sense; jumps, which are Ito's,
            in Stratonovich's.
    """

    def __init__(self, system: System, objective: Objective, calculus: str) -> None:
        self.system, self.oracles = system, oracles_of(system, objective)
        self.terms: list[tuple[int, Noisy]] = []
        symbols = [b.symbol for b in system.blocks]
        for f in system.fields.values():
            for s, d in f.noise.items():
                if isinstance(d, Jumps) and calculus != "ito":
                    raise OdescentError(
                        f"the jumps of {s} are taken by solver='euler_maruyama', of a system in Ito's sense: "
                        "make one with odescent.dynamics.stochastic.to_ito."
                    )
                depends = any(b in symbols_of(d.amplitude) for b in symbols)
                if depends and system.calculus != calculus:
                    other = next(n for n, c in STOCHASTIC.items() if c == system.calculus)
                    raise OdescentError(
                        f"the noise on {s} depends on the state and is meant in the sense of "
                        f"{system.calculus.capitalize()}: use solver={other!r}."
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
        """The diffusion applied to increments, block by block; those of jumps are functions of the rate."""
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


def stochastic_step(
    name: str, rates: Rates, noise: Callable[..., State], t: Any, state: State, dt: Any, dW: Any
) -> State:
    """One step of an SDE's solver (Kloeden and Platen 1992, 10.2 and 11.1; Heun's is for Stratonovich)."""
    add: Callable[..., State] = lambda *parts: tuple(
        functools.reduce(jnp.add, p) for p in zip(*parts, strict=True)
    )
    drift, kick = rates(t, state), noise(t, state, dW)
    first = add(state, tuple(dt * k for k in drift), kick)
    if name == "euler_maruyama":
        return first
    drift2, kick2 = rates(t + dt, first), noise(t + dt, first, dW)
    half: Callable[..., State] = lambda *two: tuple((a + b) / 2 for a, b in zip(*two, strict=True))
    return add(state, tuple(dt * k for k in half(drift, drift2)), half(kick, kick2))


def increments(
    path: Any,
    key: Given,
    shapes: Mapping[str, Any],
    dt: float,
    generator: str = "counter",
    clocks: Mapping[str, bool] | None = None,
) -> Any:
    """A function (k, t, t + dt) to the increments of each process over that step.

    From one Brownian path per process where ``path`` makes one from (key, shape), the same at every
    step size; independent draws, many times faster, where it is None, of that generator of `normals`.

    Of a process among the ``clocks`` it is a function of the rate: sqrt(n) times a normal, n jumps, Poisson in law. A
    vector has one n for all its entries; of an array with more axes every row is a path with its own, unless the clock
    is common (``clocks`` says it).
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
    """How many steps of dt make up the interval.

    Raises OdescentError where dt is not positive and finite, does not divide it, or is lost in rounding.
    """
    if not (np.isfinite(dt) and dt > 0):
        raise OdescentError(f"the step dt must be positive and finite, not {dt!r}.")
    if t0 + dt == t0 or t1 + dt == t1:
        raise OdescentError(f"the step dt = {dt:g} is below the resolution of time at t = {t1:g}.")
    n = round((t1 - t0) / dt)
    if n < 1 or abs(n * dt - (t1 - t0)) > 1e-6 * dt:
        nearest = (t1 - t0) / max(n, 1)
        raise OdescentError(
            f"the interval [{t0:g}, {t1:g}] is no whole number of steps of dt = {dt:g}; dt = {nearest:.6g} fits."
        )
    return n


def recorded(n: int, points: int) -> tuple[int, int]:
    """(stride, remainder): at most `points` of the steps 0 to n evenly spread, and the last in any case."""
    stride = max(1, -(-n // max(points - 1, 1)))
    return stride, n % stride


def scan(advance: Callable[[Any, Any], Any], carry: Any, n: int, stride: int) -> tuple[Any, Any]:
    """n steps of ``advance(k, carry)``, recording every stride-th carry and the last: (last, records)."""

    def stretch(carry: Any, k: Any, length: int) -> Any:
        return jax.lax.fori_loop(0, length, lambda i, c: advance(k + i, c), carry)

    def body(carry: Any, k: Any) -> tuple[Any, Any]:
        carry = stretch(carry, k, stride)
        return carry, carry

    last, records = jax.lax.scan(body, carry, jnp.arange(n // stride) * stride)
    if n % stride:
        last = stretch(last, n - n % stride, n % stride)
        records = jax.tree.map(lambda r, c: jnp.concatenate([r, c[None]]), records, last)
    return last, jax.tree.map(lambda a, r: jnp.concatenate([a[None], r]), carry, records)
