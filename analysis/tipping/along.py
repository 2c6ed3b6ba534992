"""Basins followed along a parameter, of maps, flows and methods, with and without noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..._support.errors import NotCarried, OdescentError
from ..._support.numbers import check_whole, real
from ..._support.rendering.brief import short
from ...discretize.programs import draws
from ...dynamics import Objective, System
from ...dynamics.flows.solution import objective_for
from ...dynamics.library import system
from ..attraction.attractors import Attractor
from ..attraction.basin_map import _product, _random, default_steps, resolved_step
from ..attraction.batches import _runner
from ..attraction.batching import chunks, pad, take
from ..attraction.grid import PointGrid, axis_values, product
from ..attraction.settling import Limits, begin
from ..attraction.stepping import Iterated, check_parameter, stepper
from .classes import attractors_of, begun, flat_states, seeds_of, spread_of, with_states
from .shares import BasinShares, FollowedAttractor, Follower, Tip

_NOISY = 1000  # steps with noise
_BESIDE = 1e-6  # of the scale: a point that stays exactly on a cycle would not notice that it has become unstable


def basin_shares(
    iterated: Iterated,
    target: Objective | None = None,
    *,
    parameter: str,
    values: Any,
    axes: Mapping[str, Any],
    key: Key[Array, ""],
    start: Any = None,
    parameters: Mapping[str, Any] | None = None,
    samples: int = 1000,
    steps: int | None = None,
    dt: float | None = None,
    tolerance: float = 1e-8,
    escape: float = 1e10,
    max_period: int = 64,
    reach: float = 0.25,
    most: int = 64,
    confidence: float = 0.95,
    memory: int = 1 << 28,
) -> BasinShares:
    """The shares of the basins of attraction along a parameter, with attractors followed from value to value.

    The same random starts are used at every value, and a point of each attractor is carried to the next value: where it
    goes to another attractor, the old one has ended and tips to that one. Attractors are taken to be the same where the
    points of one go to the other and these are near each other, whatever their kind: a fixed point continues as the
    2-cycle that it sheds.

    A method with noise is run for `steps` steps with the same draws at every value, and then belongs to the attractor
    to which the gradient flow of the objective goes from where it is. That is the chance to reach the good minimum:

    >>> m = od.parameters("m")
    >>> ball = od.algorithm("heavy_ball", learning_rate=0.05, momentum=m)
    >>> found = od.analysis.basin_shares(ball, f, parameter="m", values=(0.1, 0.9, 9), axes={"x0": (-2, 2)}, key=key)
    >>> found.share(found.nearest(good_minimum))

    Args:
        iterated, target, start, parameters, dt, tolerance, escape, max_period, most, memory: as for `basins`.
        parameter: the one that changes.
        values: (low, high, count) or an array, in the order of the change.
        axes: the region of the starts, name to (low, high), as for `basins`.
        key: a JAX key, for the starts and the noise.
        samples: how many starts.
        steps: the cap as for `basins`; of a method with noise, how many are taken, 1000 by default.
        reach: how far an attractor may move between two values and be the same, in units of the size of the region.
        confidence: of the intervals.

    Returns:
        Shares, tips and tipping probabilities.

    Raises:
        OdescentError: bad axes, values or parameters; a method with noise that has no objective.
        NotCarried: a system with noise, which is run as a method.
    """
    if not 0 < real(reach):
        raise OdescentError(f"reach must be more than 0, not {short(reach)}.")
    if not 0 < confidence < 1:
        raise OdescentError(f"confidence must be between 0 and 1, not {short(confidence)}.")
    check_whole("most", most, 1)
    along = axis_values(parameter, values)
    given = dict(parameters or {})
    if parameter in axes or parameter in given:
        raise OdescentError(
            f"{parameter} changes along the curve; leave it out of axes and parameters."
        )
    with jax.enable_x64(True):
        free = (parameter, *axes, *given)
        s = stepper(iterated, target, 1.0 if isinstance(iterated, System) else None, given=free)
        check_parameter(s, parameter)
        where = _random(axes, samples, key)
        runs: _Runs
        if s.draws:
            limits = Limits(
                default_steps(system("gradient_flow")), tolerance, escape, max_period, memory
            )
            runs = _Noisy(
                iterated, target, where, start, given, key, steps, memory, limits, most, free
            )
        else:
            cap = default_steps(iterated) if steps is None else steps
            limits = Limits(cap, tolerance, escape, max_period, memory)
            runs = _Still(
                iterated, target, where, start, given, dt, limits, most, (parameter, along)
            )
        return _followed(runs, s.name, parameter, along, float(reach), confidence)


class _Runs:
    """The starts at one value of the parameter, with the points of attractors, and where they all go."""

    def __init__(
        self, target: Any, where: Any, start: Any, given: Any, limits: Limits, most: int
    ) -> None:
        self.target, self.where, self.start, self.given = target, where, start, given
        self.limits, self.most = limits, most
        self.after: int | None = None

    def grid(self, s: Any, more: Mapping[str, float]) -> PointGrid:
        return product(s, self.target, self.where, self.start, {**self.given, **more}, True)

    def states(self, more: Mapping[str, float]) -> tuple[PointGrid, Any, np.ndarray]:
        """The points of what is classified, a state of it, and all states, flat."""
        raise NotImplementedError

    def settled(
        self, more: Mapping[str, float], seeds: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, tuple[Attractor, ...], PointGrid, Any, np.ndarray]:
        p, like, states = self.states(more)
        n = states.shape[1]
        ahead = [q for q in seeds if q.size == len(states)]
        together = np.column_stack([states, *ahead]) if ahead else states
        labels, found = attractors_of(
            with_states(p, like, together, p.scale), self.limits, self.most
        )
        return labels[:n], labels[n:], found, p, like, states


class _Still(_Runs):
    """Without noise: basins as they are."""

    def __init__(
        self, iterated: Any, target: Any, where: Any, start: Any, given: Any, dt: float | None, limits: Limits,
        most: int, along: tuple[str, np.ndarray],
    ) -> None:  # fmt: skip
        super().__init__(target, where, start, given, limits, most)
        flow = isinstance(iterated, System)
        name, values = along
        free = (name, *where, *given)
        self.s = stepper(iterated, target, (dt or 1.0) if flow else None, given=free)
        if flow and dt is None:  # one step for all values, for one compilation
            ends = {float(v): None for v in (values[0], values[len(values) // 2], values[-1])}
            fine = min(resolved_step(self.grid(self.s, {name: v})) for v in ends)
            self.s = stepper(iterated, target, fine)

    def states(self, more: Mapping[str, float]) -> tuple[PointGrid, Any, np.ndarray]:
        p = self.grid(self.s, more)
        like = begun(p)
        return p, like, flat_states(like)


class _Noisy(_Runs):
    """With noise: so many steps, and then the gradient flow."""

    def __init__(
        self, iterated: Any, target: Any, where: Any, start: Any, given: Any, key: Any, steps: int | None, memory: int,
        limits: Limits, most: int, free: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__(target, where, start, given, limits, most)
        if isinstance(iterated, System):
            raise NotCarried(
                f"{iterated.name or 'the system'} has noise: give a method, such as its Euler step."
            )
        self.s = stepper(iterated, target, given=free)
        if self.s.population:
            raise NotCarried(f"{self.s.name} moves a population; od.minimize measures its success.")
        self.after = _NOISY if steps is None else int(check_steps(steps))
        self.key, self.memory = key, memory
        self.run = _runner(self.s, (("x", "x"), ("lost", "diverged_at")))
        self.flow = system("gradient_flow")
        self.still: Any = None

    def states(self, more: Mapping[str, float]) -> tuple[PointGrid, Any, np.ndarray]:
        p = self.grid(self.s, more)
        x, lost = self._ran(p)
        shape = x.shape[:-1]
        if self.still is None:  # the step of the flow is that of the region, for one compilation
            axis = {"x0": np.moveaxis(x, -1, 0)}
            goal = objective_for(self.flow, self.target)
            q = _product(self.flow, goal, axis, np.zeros(shape), {}, None, None, None)
            self.still = stepper(self.flow, goal, q.stepper.dt)
        x = np.where(lost >= 0, np.inf, x)
        q = product(
            self.still, self.target, {"x0": np.zeros((1, *shape))}, np.zeros(shape), {}, True
        )
        return _Scaled.like(q, p.scale), (x,), x.reshape(-1, x.shape[-1])

    def _ran(self, p: PointGrid) -> tuple[np.ndarray, np.ndarray]:
        each = 8 * 16 * max(int(p.start.size), 1) * max(len(self.s.blocks), 1)
        source = draws.source(self.key, "counter")
        ends, lost = [], []
        for part, padded in chunks(p.count, self.memory, each):
            index = pad(np.arange(part.start, part.stop), padded)
            z, c = begin(p, index)
            found = self.run(z, c, draws.of_run(source, jnp.asarray(index)), self.after, 0.0)
            own = slice(part.stop - part.start)
            ends.append(take(found["x"], own))
            lost.append(np.asarray(found["lost"])[own])
        return np.concatenate(ends, -1), np.concatenate(lost)


class _Scaled(PointGrid):
    """Points in a region of a given size."""

    size = 1.0

    @classmethod
    def like(cls, p: PointGrid, size: float) -> PointGrid:
        made = cls(p.stepper, p.axes, p.fixed, p.start, p.paired)
        object.__setattr__(made, "size", size)
        return made

    @property
    def scale(self) -> float:
        return self.size


def check_steps(steps: Any) -> int:
    """A number of steps, at least one."""
    check_whole("steps", steps, 1)
    return int(steps)


def _followed(
    runs: _Runs, name: str, parameter: str, along: Float[np.ndarray, " n"], reach: float, confidence: float
) -> BasinShares:  # fmt: skip
    follower: Follower | None = None
    labels, gaps = [], []
    seeds: dict[int, np.ndarray] = {}
    starts = np.empty((0, 0))
    for k, value in enumerate(along.tolist()):
        own, ends, found, p, like, states = runs.settled({parameter: value}, list(seeds.values()))
        if follower is None:
            follower = Follower(p.scale, reach)
            starts = states.T
        fate = dict(zip(seeds, ends.tolist(), strict=True))
        points = [spread_of(a, p.stepper.blocks) for a in found]
        label = follower.advance(k, found, fate, points)
        labels.append(np.where(own >= 0, label[own], -1) if len(found) else own)
        seeds = {}
        for b, a in enumerate(found):
            seed = seeds_of(a, like, p.stepper.blocks) if label[b] >= 0 else None
            if seed is not None and seed.size == len(states):
                beside = np.random.default_rng(k).uniform(0.5, 1, seed.size) * _BESIDE * p.scale
                seeds[int(label[b])] = seed + beside
        gaps.append(_distances(labels[-1], label, points, states))
    assert follower is not None
    tracks = tuple(FollowedAttractor(i, tuple(t)) for i, t in enumerate(follower.tracks))
    distances = np.full((len(along), len(tracks)), np.nan)
    for k, row in enumerate(gaps):
        for i, gap in row.items():
            distances[k, i] = gap
    tips = tuple(Tip(float(along[k]), float(along[k + 1]), a, b) for k, a, b in follower.tips)
    return BasinShares(
        parameter, along, tracks, np.array(labels), tips, distances, confidence, name, runs.after, starts
    )  # fmt: skip


def _distances(
    own: Int[np.ndarray, " n"], label: np.ndarray, points: list[np.ndarray], states: Float[np.ndarray, "d n"]
) -> dict[int, float]:  # fmt: skip
    """From each attractor to the nearest start in another basin."""
    made: dict[int, float] = {}
    fine = np.isfinite(states).all(0)
    for b, i in enumerate(label.tolist()):
        others = states[:, fine & (own != i)].T
        if i < 0 or not others.size or not points[b].size or points[b].shape[1] != others.shape[1]:
            continue
        made[i] = float(min(np.sqrt(((others - q) ** 2).sum(1)).min() for q in points[b]))
    return made


__all__ = ["basin_shares"]
