"""Whole runs of populations: one compiled loop, several runs at once, one device or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.rendered import Rendered
from ...discretize.faces import Algorithm
from ...dynamics.flows.stepper import appended, recorded, trace
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.own_functions import current
from .compiling import compiled, compiled_ahead
from .engine import CACHE, PopulationStepper, stepper
from .layout import Record, State

Schedule = Callable[[Any, Record], Mapping[str, Any]]
_AXIS = "particles"
_LARGE = 2**21  # numbers of a population that count as many: 16 MiB in float64


@dataclass(frozen=True)
class Ensemble(Rendered):
    """The record of runs of a population.

    Attributes:
        consensus: the consensus points, shape (runs, rows, d): row i is of the ensemble at the beginning of
            step k[i], and the last one of the ensemble after the last step.
        records: the further statistics with the same leading axes; best_point, best_value, evaluations and
            nonfinite are of all steps so far, best_value infinite as long as nothing was evaluated.
        k: step numbers of the rows.
        stopped_at: for each run the first step whose consensus point was not finite, as it is if all values were
            not; -1 for none. Its rows from there on are NaN.
        blocks: the state after the last step, as the engine has it, with an axis of runs in front.
    """

    consensus: Any
    records: Record
    k: Any
    stopped_at: Any
    blocks: tuple[Any, ...]
    stepper: PopulationStepper = field(repr=False)

    def __str__(self) -> str:
        runs, rows = self.consensus.shape[:2]
        stopped = int(np.sum(np.asarray(self.stopped_at) >= 0))
        said = f"{quantity(runs, 'run')} of a population, {quantity(rows, 'record')} each"
        said += f"; {stopped} stopped" if stopped else ""
        return f"{said}\n  consensus: {short(self.consensus)}"

    @property
    def particles(self) -> dict[str, Any]:
        """Each block after the last step by name, shape (runs, d, N), or (runs, d, 1) for what all share."""
        return self.stepper.values(State(self.blocks, 0, 0))  # type: ignore[arg-type]


class _Best(NamedTuple):
    """The state of the loop over all steps."""

    value: Any
    point: Any
    nonfinite: Any
    stopped: Any


def simulate(
    algorithm: Algorithm,
    fun: Objective | Callable[[Any], Any] | None,
    x0: Any,
    steps: int,
    *,
    params: Mapping[str, Any] | None = None,
    schedule: Schedule | None = None,
    runs: int = 1,
    seed: int = 0,
    record_every: int = 1,
    devices: int | Sequence[Any] | None = None,
    block: int | None = None,
    normals: str = "counter",
    vectorized: bool = True,
    dtype: str = "float64",
    record: Sequence[str] = Record._fields,
    particles: int | None = None,
    dimension: int | None = None,
) -> Ensemble:
    """Runs of an algorithm for N particles, in one compiled loop.

    Args:
        algorithm, fun, block, normals, vectorized, dtype, record: see `stepper`.
        x0: points of shape (d, N), or (runs, d, N) for starts of their own; one point, shape (d,), with
            ``particles``; or a sampler (see `gaussian_start`).
        steps: the number of steps, at least 0.
        params: the algorithm's parameters by name: numbers, or functions of all values of the objective, shape
            (N,), at which they are evaluated in each step (see `effective_alpha`).
        schedule: a function (k, record) to parameters that replace these, in JAX; the record is that of step
            k - 1, NaN before the first.
        runs: how many, with noise of their own.
        seed: a whole number, at least 0; run i of a seed has the same noise whatever else is run.
        record_every: stride of the steps that are kept; the last one always is.
        devices: how many devices share the particles, or which; block by block, to the same bits as on one.
        particles, dimension: N and d, where x0 does not determine them.

    Returns:
        The records of all runs, and the state at the end.

    Raises:
        OdescentError: bad sizes, parameters or starting points, or a consensus point that is not finite at the
            start of every run.
    """
    for name, size, least in (("steps", steps, 0), ("runs", runs, 1), ("record_every", record_every, 1),
                              ("seed", seed, 0)):  # fmt: skip
        check_whole(name, size, least)
    d, n = _sizes(x0, dimension, particles, runs)
    given = dict(params or {})
    algorithm = algorithm.released(given)
    rules = {k: current(v) for k, v in given.items() if callable(v)}
    numbers = {k: v for k, v in given.items() if k not in rules}
    traced = _traced((x0 if not callable(x0) else 0, numbers))
    with _precision(traced):
        one = stepper(
            algorithm, fun, dimension=d, particles=n, normals=normals, block=block,
            vectorized=vectorized, dtype=dtype, record=("consensus", *record),
        )  # fmt: skip
        sampler = current(x0) if callable(x0) else None
        plan = _Plan(one, int(steps), int(record_every), int(runs), current(schedule), tuple(sorted(rules.items())),
                     sampler, _devices(devices))  # fmt: skip
        starts = None if callable(x0) else jnp.asarray(x0).astype(one.dtype)
        # NumPy's where it can be: a number that JAX has to convert costs as much as a dozen small steps
        values = {
            k: np.asarray(v, one.dtype)
            if isinstance(v, (int, float))
            else jnp.asarray(v).astype(one.dtype)
            for k, v in numbers.items()
        }
        run = _run(plan) if traced else _compiled(plan)
        plain = not (devices or traced) and all(v.ndim == 0 for v in values.values())
        if plain and d * n > _LARGE:
            run = _ahead(plan, None if starts is None else starts.shape, tuple(values))
        rows, blocks, best = run(np.asarray(seed, np.uint64), starts, values)
        done = _ensemble(plan, rows, blocks, best)
    return done if traced else _checked(done)


class _Plan(NamedTuple):
    """All that a run is compiled for."""

    one: PopulationStepper
    steps: int
    every: int
    runs: int
    schedule: Schedule | None
    rules: tuple[tuple[str, Callable[..., Any]], ...]
    sampler: Callable[..., Any] | None
    devices: tuple[Any, ...]


@lru_cache(maxsize=64)
def _compiled(plan: _Plan) -> Callable[..., Any]:
    return compiled(_run(plan))


@lru_cache(maxsize=16)
def _ahead(
    plan: _Plan, starts: tuple[int, ...] | None, names: tuple[str, ...]
) -> Callable[..., Any]:
    """For large populations, where memory counts and a call need not be quick."""
    like: Callable[..., Any] = lambda shape: jax.ShapeDtypeStruct(shape, plan.one.dtype)  # type: ignore[no-untyped-call]
    seed = jax.ShapeDtypeStruct((), np.uint64)  # type: ignore[no-untyped-call]
    given = None if starts is None else like(starts)
    return compiled_ahead(_run(plan), seed, given, {n: like(()) for n in names})


def _run(plan: _Plan) -> Callable[..., Any]:
    """The loop as a function of the seed, the starting points and the parameters."""
    p, shards = plan, len(plan.devices)
    one = replace(p.one, devices=max(shards, 1))
    inside = replace(one, axis=_AXIS) if shards else one

    def iterate(state: State, values: Mapping[str, Any]) -> Any:
        return _loop(inside, plan, state, values)

    if shards:
        mesh = jax.sharding.Mesh(np.asarray(p.devices), (_AXIS,))
        probe = jax.eval_shape(lambda: one.init(0, 0, jnp.zeros(one.dimension, one.dtype)))
        across: Any = PartitionSpec(_AXIS)  # type: ignore[no-untyped-call]
        whole: Any = PartitionSpec()  # type: ignore[no-untyped-call]
        cut: Any = tuple(across if s.ndim == 3 else whole for s in probe.blocks)
        layout = State(cut, whole, whole)
        iterate = jax.shard_map(
            iterate,
            mesh=mesh,
            in_specs=(layout, whole),
            out_specs=(whole, cut, whole),
            check_vma=False,
        )

    def single(seed: Any, run: Any, start: Any, values: Mapping[str, Any]) -> Any:
        state = one.init(seed, run, start if p.sampler is None else p.sampler)
        rows, blocks, best = iterate(state, values)
        return rows, blocks, best

    # As many runs at a time as stay in the cache; they go through all steps before the next ones start.
    together = max(1, min(p.runs, CACHE // (one.dimension * one.particles)))
    groups = -(-p.runs // together)
    together = -(-p.runs // groups)

    def every(seed: Any, starts: Any, values: Mapping[str, Any]) -> Any:
        index = jnp.arange(groups * together, dtype=jnp.uint64).reshape(groups, together)
        own = starts is not None and starts.ndim == 3

        def group(runs: Any) -> Any:
            if together == 1:
                start = starts[runs[0].astype(jnp.int64)] if own else starts
                return jax.tree.map(lambda a: a[None], single(seed, runs[0], start, values))
            picked = (
                starts[jnp.minimum(runs, np.uint64(p.runs - 1)).astype(jnp.int64)]
                if own
                else starts
            )
            return jax.vmap(single, (None, 0, 0 if own else None, None))(seed, runs, picked, values)

        if groups == 1:
            return group(index[0])
        done = jax.lax.map(group, index)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[: p.runs], done)

    return every


def _loop(one: PopulationStepper, plan: _Plan, state: State, values: Mapping[str, Any]) -> Any:
    """All steps: the records of the rows, the blocks at the end, and what was carried along."""
    blank = None if plan.schedule is None else _blank(one, state)
    best = _Best(
        jnp.full((), jnp.inf, one.dtype), jnp.full((one.dimension,), jnp.nan, one.dtype),
        jnp.zeros((), jnp.int64), jnp.full((), -1, jnp.int64),
    )  # fmt: skip

    def advance(k: Any, carry: Any) -> Any:
        state, last, best = carry
        state, now = one.step(state, k, _params(plan, values, k, last))
        best = _better(best, now, k)
        return (state, now if plan.schedule else None, best), _row(now, best)

    begin = (state, blank, best)
    (state, last, best), rows = trace(advance, begin, plan.steps, plan.every)
    now = one.observe(state, plan.steps, _params(plan, values, plan.steps, last))
    best = _better(best, now, plan.steps)
    return appended(rows, _row(now, best)), state.blocks, best


def _params(plan: _Plan, values: Mapping[str, Any], k: Any, last: Any) -> dict[str, Any]:
    params = {**values, **dict(plan.rules)}
    return params if plan.schedule is None else {**params, **plan.schedule(jnp.asarray(k), last)}


def _blank(one: PopulationStepper, state: State) -> Record:
    """A record of nothing yet, for the first call of a schedule."""
    some = dict.fromkeys(one.parameters, 1.0)
    shapes = jax.eval_shape(lambda s: one.observe(s, 0, some), state)
    nothing = lambda s: jnp.full(s.shape, jnp.nan if s.dtype.kind == "f" else 0, s.dtype)
    blank: Record = jax.tree.map(nothing, shapes)
    return blank


def _better(best: _Best, now: Record, k: Any) -> _Best:
    """With one more step's best point, and the step at which a run stopped."""
    if now.best_value is not None and now.best_point is not None:
        fine = now.best_value < best.value
        best = best._replace(
            value=jnp.where(fine, now.best_value, best.value),
            point=jnp.where(fine, now.best_point, best.point),
        )
    if now.nonfinite is not None:
        best = best._replace(nonfinite=best.nonfinite + now.nonfinite)
    bad = ~jnp.all(jnp.isfinite(now.consensus)) & (best.stopped < 0)
    return best._replace(stopped=jnp.where(bad, jnp.asarray(k, jnp.int64), best.stopped))


def _row(now: Record, best: _Best) -> Record:
    return now._replace(
        best_value=None if now.best_value is None else best.value,
        best_point=None if now.best_point is None else best.point,
        nonfinite=None if now.nonfinite is None else best.nonfinite,
        evaluations=None,
    )


def _ensemble(plan: _Plan, rows: Record, blocks: Any, best: _Best) -> Ensemble:
    one, k = plan.one, recorded(plan.steps, plan.every)
    calls = len(one.population.meetings) * one.particles
    if "evaluations" in one.record:
        rows = rows._replace(evaluations=np.broadcast_to((k + 1) * calls, (plan.runs, len(k))))
    return Ensemble(rows.consensus, rows, k, best.stopped, blocks, one)


def _checked(done: Ensemble) -> Ensemble:
    """With NumPy arrays; refused where no run got off the ground."""
    rows, k, stopped, blocks = jax.tree.map(
        np.asarray, (done.records, done.k, done.stopped_at, done.blocks)
    )
    done = Ensemble(rows.consensus, rows, k, stopped, blocks, done.stepper)
    if (done.stopped_at == 0).all():
        raise OdescentError(
            "the runs cannot start: at step 0 no value of the objective is finite, or a particle is not."
        )
    return done


# input


def _sizes(x0: Any, d: int | None, n: int | None, runs: int) -> tuple[int, int]:
    """Dimension and number of particles."""
    if callable(x0):
        d = getattr(x0, "dimension", d) if d is None else d
        n = getattr(x0, "particles", n) if n is None else n
        if d is None or n is None:
            raise OdescentError("a sampler of starting points needs dimension= and particles=.")
        return d, n
    shape = np.shape(x0)
    kind = np.asarray(x0).dtype.kind if not isinstance(x0, jax.core.Tracer) else "f"
    good = len(shape) in (1, 2) or (len(shape) == 3 and shape[0] == runs)
    if not good or 0 in shape or kind not in "fiu":
        raise OdescentError(
            "x0 must hold real numbers and have shape (d, N), (runs, d, N), or (d,) together with particles=, "
            f"not {shape} with {runs} runs."
        )
    if len(shape) == 1 and n is None:
        raise OdescentError("x0 is one point: give particles=, how many start there.")
    if len(shape) > 1 and n not in (None, shape[-1]):
        raise OdescentError(f"x0 has {shape[-1]} particles, but particles={n}.")
    if not isinstance(x0, jax.core.Tracer) and not np.isfinite(np.asarray(x0)).all():
        raise OdescentError("x0 must be finite, but it contains NaN or infinity.")
    return (shape[0] if len(shape) == 1 else shape[-2]), (n if n is not None else shape[-1])


def _devices(asked: int | Sequence[Any] | None) -> tuple[Any, ...]:
    if asked is None or asked == 1:
        return ()
    if isinstance(asked, (int, np.integer)):
        have = jax.devices()
        if not 1 <= asked <= len(have):
            raise OdescentError(f"devices={asked} were requested, but JAX has {len(have)}.")
        return tuple(have[:asked])
    return tuple(asked)


def _traced(tree: Any) -> bool:
    return any(isinstance(v, jax.core.Tracer) for v in jax.tree.leaves(tree))


def _precision(traced: bool) -> AbstractContextManager[Any]:
    return nullcontext() if traced else jax.enable_x64(True)
