"""Runs: an algorithm on a concrete objective, in one compiled scan of its emitted JAX step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Key

from ..._support import store
from ..._support.arguments import checked
from ..._support.errors import OdescentError, listed
from ..._support.numbers import check_whole
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import oracles_in
from ...dynamics.flows.evaluate import evaluate
from ...dynamics.flows.parameters import parameter_values
from ...dynamics.flows.starts import by_block, starting_point
from ...dynamics.flows.stepper import PointStepper, orbit
from ...dynamics.vector_fields.estimates import condition_of
from ...dynamics.vector_fields.functions import together
from ...dynamics.vector_fields.objective import Objective, function_name
from ...dynamics.vector_fields.own_functions import wrapped
from ..emit import source
from ..programs import draws
from ..step.iteration import Iteration
from . import chunks, failed_solves, observed, run_file
from .cost import cost_of_step
from .emitted_stepper import algorithm_stepper
from .starting import check_resolution, check_shape, in_groups


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trajectory(Rendered):
    """The record of a run; a JAX pytree.

    Attributes:
        x: the output sequence, shape (steps + 1, *x0.shape), starting point first; a pytree if x0 is one.
        states: every block and every further output by name, with the same leading axis.
        t: times, shape (steps + 1,): the algorithm's clock, k h by default, or k if h has no value.
        f: values of the objective along x, shape (steps + 1,); None for an objective without values.
        diverged_at: None, or the first step at which a state or value is not finite or beyond 1e30 in
            absolute value. The arrays then end before that step. Inside vmap, jit or grad shapes
            cannot depend on values: nothing is cut, and this is an integer array with -1 for none.
        k: step numbers of the records; 0, 1, ..., steps, or multiples of `every`.
        statistics: running statistics by name, each a dict of "x" and "f", over every step.
        cost: how many evaluations a step takes, by kind; see `counts`.
        remark: if mu or L were estimated (`od.estimate_constants`), the condition on them, and whether the gradients
            along this run refute it; otherwise empty.
    """

    x: Any
    states: dict[str, Any]
    t: Any
    f: Any
    diverged_at: Any = None
    k: Any = None
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    cost: tuple[tuple[str, int], ...] = field(default=(), metadata={"static": True})
    remark: str = field(default="", metadata={"static": True})

    def __str__(self) -> str:
        said = f"{np.shape(self.t)[-1]} records"
        one = [a for a in (self.k, self.f) if getattr(a, "ndim", 0) == 1]
        if one and not any(isinstance(a, jax.core.Tracer) for a in one):
            every = self.k is None or len(self.t) == int(self.k[-1]) + 1
            said = f"{len(self.t) - 1} steps" if every else f"{int(self.k[-1])} steps, {said}"
            said += (
                ""
                if self.f is None
                else f", f from {float(self.f[0]):.6g} to {float(self.f[-1]):.6g}"
            )
        if isinstance(self.diverged_at, int):
            said += f"; diverged at step {self.diverged_at}"
        arrays = {"x": self.x, **{f"states[{n!r}]": s for n, s in self.states.items()}}
        rows = [said, *(f"  {n}: {short(a)}" for n, a in arrays.items())]
        return "\n".join([*rows, *([self.remark] if self.remark else [])])

    @property
    def counts(self) -> dict[str, Any]:
        """How many evaluations of each kind had been made at each record: gradients, values, products, examples."""
        return {name: self.k * each for name, each in self.cost}

    def prefix(self) -> Trajectory:
        """The finite part, for one run that came out of jit; OdescentError for a batch of runs."""
        if self.diverged_at is None or isinstance(self.diverged_at, int):
            return self
        if np.ndim(self.diverged_at) != 0:
            one = "jax.tree.map(lambda a: a[i], batch)"
            raise OdescentError(f"a batch of runs has no common prefix; take one run, as in {one}.")
        return _cut(self)

    def to_numpy(self) -> Trajectory:
        """The same with NumPy arrays."""
        done: Trajectory = jax.tree.map(lambda a: a if isinstance(a, int) else np.asarray(a), self)
        return done


def _cut(trajectory: Trajectory, algorithm: Iteration | None = None) -> Trajectory:
    step = int(trajectory.diverged_at)
    if step < 0:
        return replace(trajectory, diverged_at=None)
    if step == 0:
        if algorithm is not None:
            _check_positive(algorithm, trajectory.states)
        raise OdescentError(
            "the run cannot start: the objective or the state is not finite at x0, or beyond 1e30."
        )
    rows = int(np.searchsorted(np.asarray(trajectory.k), step))
    whole = replace(trajectory, diverged_at=None, statistics={})
    kept: Trajectory = jax.tree.map(lambda a: a[:rows], whole)
    return replace(kept, diverged_at=step, statistics=trajectory.statistics)


def _check_positive(algorithm: Iteration, states: Mapping[str, Any]) -> None:
    for name in algorithm.positive:
        least = min(float(np.min(a)) for a in jax.tree.leaves(states[name]))
        if least <= 0:
            made = algorithm.system.block(name).init
            asked = "".join(f" {o.name}" for o in sorted(oracles_in(made), key=lambda o: o.name))
            raise OdescentError(
                f"{algorithm.name or 'the algorithm'} cannot start: {name} = {made} has to be positive, and its least "
                f"entry is {least:.3g}; start elsewhere, or give the objective an oracle{asked} of positive entries "
                "for it."
            )


def _failed(
    algorithm: Iteration, objective: Objective, values: Mapping[str, Any], done: Trajectory
) -> str:
    """What a solve says that failed, where a run ended and its last step but one was kept."""
    if done.diverged_at is None or int(done.k[-1]) != done.diverged_at - 1:
        return ""
    states = {n: jax.tree.map(lambda a: a[-1], s) for n, s in done.states.items()}
    return failed_solves.fault(algorithm, objective, values, states, done.diverged_at)


def _remark(
    algorithm: Iteration,
    objective: Objective,
    made: PointStepper,
    given: Mapping[str, Any],
    done: Trajectory,
) -> str:
    """What a run with estimated constants supposes, and whether its own gradients refute that."""
    condition = condition_of(*given.values()) or algorithm.condition
    taken = {"mu", "L"} & set(made.parameters) - given.keys()
    if condition is None and taken:
        condition = objective.condition
    if condition is None:
        return ""
    said = f"What is proved of this method holds here {condition}"
    if made.population or "grad" not in objective.oracles or _traced(done):
        return f"{said}."
    if done.diverged_at is not None:
        return f"{said}; this run diverged at step {done.diverged_at}, which speaks against that."
    against = observed.refutation(condition, objective.oracles["grad"], done.x, np.asarray(done.k))
    return (
        f"{said}; {against}" if against else f"{said}; the gradients of this run agree with that."
    )


def _lasting(done: Trajectory) -> Trajectory:
    """With NumPy's arrays for double precision, where JAX outside is set to single: it would cut it and warn."""

    def leaf(a: Any) -> Any:
        concrete = isinstance(a, jax.Array) and not isinstance(a, jax.core.Tracer)
        return np.asarray(a) if concrete and a.dtype.itemsize == 8 else a

    kept: Trajectory = jax.tree.map(leaf, done)
    return kept


@checked
def run(
    algorithm: Iteration,
    objective: Objective | Callable[[Any], Any] | Mapping[str, Any],
    x0: Any,
    steps: int,
    key: Key[Array, ""] | int | draws.Counters | None = None,
    *,
    normals: str = "counter",
    every: int = 1,
    statistics: Sequence[str] = (),
    chunk: int | None = None,
    progress: bool | chunks.Progress = False,
    resume: str | Path | None = None,
    groups: Any = None,
    **parameters: Any,
) -> Trajectory:
    """Iterate an algorithm on an objective from x0.

    A run for which any of `every`, `statistics`, `chunk`, `progress` and `resume` is given is a long run: it
    goes in chunks, stores only every so many steps and the last, and can be interrupted (Ctrl-C raises
    `RunInterrupted` with the trajectory so far) and resumed to the same bits.

    Args:
        algorithm: what to run; it must be one that the JAX backend supports.
        objective: a concrete objective with the oracles that the algorithm calls, the name of a registered one, or a
            JAX function of one array or pytree to a number (of one particle, for a method of an ensemble). Of several
            functions a mapping of their names, as the system has them, to objectives, maps or JAX functions.
        x0: the starting point: an array, a (nested) list of numbers, or a pytree of arrays; or a mapping of block
            symbols to such, whose shapes may differ (a dict of strings is a pytree). For a method of an
            ensemble, the N particles, with an axis of them first; records of x and f then have it too.
        steps: the number of steps, at least 0.
        key: a JAX key, or a whole number, its seed, for algorithms that draw noise; or a source that `of_run` makes.
        normals: "counter", the generator of the particle engine, or "jax", JAX's. From counters, the run with the
            seed s draws what the engine's first run with the seed s does, to the bit.
        every: keep every so many steps; memory grows with steps / every only.
        statistics: of "mean", "variance", "minimum", "maximum": of x, entry by entry, and of f over all steps.
        chunk: steps per call of the compiled loop; by default about a quarter of a second's worth.
        progress: True for a bar on the standard error, or a function of (steps done, steps).
        groups: the leaves of x0 in named groups, `Groups` or what it is made of: the objective is a function of the
            whole tree, and the method calls it as one of several arguments, a group each, which blocks of these
            names hold. Records of x are whole trees.
        resume: a run file (.npz), written as the run goes and at its end, at Ctrl-C too. If it is there, the
            run goes on from it; with more steps than before, a finished run is continued.
        parameters: values of the algorithm's parameters by name, or by the words for them that `od.algorithm` takes,
            such as step=0.1; these replace what the tuning says, and all values share what is compiled. mu and L
            default to the objective's constants. Scalars; inside `jax.vmap` they may be batched, as x0 may.

    Records are NumPy arrays where x0 is of NumPy's or Python's numbers, JAX arrays where it has one of JAX, and
    pytrees like x0. What belongs to PyTorch is refused: see `Algorithm.to_torch`.

    Precision: NumPy float64 arrays, integers and Python numbers are run in float64, whatever JAX's
    setting (`jax.enable_x64` is on during the run); float32 and shorter arrays keep their type, and JAX's integers
    become its own floats. Double precision is recorded in NumPy arrays where that setting is single. Under an outer
    transformation JAX's own setting holds.

    Compiled once per algorithm, objective, number of steps and shape.

    Raises:
        OdescentError: bad x0, steps, or parameters, an objective without an oracle that is called, or a
            run file that is damaged or belongs to another run.
    """
    draws.check_generator(normals)
    blocks = [b.symbol for b in algorithm.program.blocks]
    if groups is not None:
        if not isinstance(objective, (Objective, Mapping)):
            objective = _own_function(algorithm, objective, starting_point(x0), parameters)
        objective, x0 = in_groups(algorithm, objective, x0, groups)
    starts = by_block(x0, blocks)
    start = starting_point(x0) if starts is None else jax.tree.map(starting_point, starts)
    called = algorithm.program.oracles
    several = isinstance(objective, Objective) and bool(objective.args)
    # a plain function that need not be one of the whole start is known when it is called
    plain = starts is not None and called and not isinstance(objective, Objective)
    if isinstance(objective, Mapping) or several or plain or any(o.args for o in called):
        objective = together(called, objective, algorithm.name or "the algorithm")
    if not isinstance(objective, Objective) and starts is not None and callable(objective):
        objective = Objective(function_name(objective), objective)
    if not isinstance(objective, Objective):
        objective = _own_function(algorithm, objective, start, parameters)
    named, given = algorithm, parameters
    algorithm, parameters = algorithm.freed(parameters)
    made = algorithm_stepper(algorithm, objective, normals)
    if starts is None:
        check_shape(start, objective, made.population)
    check_whole("steps", steps, 0)
    draws.check_key(key)
    if made.draws and key is None:
        raise OdescentError(f"{made.name} draws noise: give a key, as in key=jax.random.key(0).")
    values = _parameters(made, parameters, named)
    single = jnp.result_type(float).itemsize < 8
    of_jax = any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(start))
    cost = tuple(cost_of_step(algorithm, objective).items())

    def finished(t: Trajectory) -> Trajectory:
        kept = _cut(t, algorithm)
        said = [
            _remark(named, objective, made, given, kept),
            _failed(algorithm, objective, values, kept),
        ]
        kept = replace(kept, cost=cost, remark="\n".join(filter(None, said)))
        if not (of_jax or _traced(kept)):
            return kept.to_numpy()
        return _lasting(kept) if single else kept

    with _precision(start, values):
        start = jax.tree.map(_floating, start)
        check_resolution(algorithm, values, start)
        numbers = {n: jnp.asarray(v, dtype=float) for n, v in values.items()}
        own = draws.source(key, normals) if made.draws and key is not None else None
        job = chunks.RunJob(made, _coefficients(made, values), start, own)
        if every != 1 or statistics or chunk is not None or progress or resume is not None:
            file = None if resume is None else Path(resume)
            asked = chunks.LongRun(
                int(steps), every, tuple(statistics), chunk, _bar(progress), file
            )
            chunks.check(asked)
            who = {
                "algorithm": store.identity(source(algorithm, "jax"))[:16],
                "normals": normals if made.draws else "",
                "objective": objective.name,
                "key": "" if own is None else run_file.fingerprint(draws.data_of(own)),
            }  # fmt: skip
            return _long(algorithm, job, asked, numbers, who, finished)
        x, states, f, diverged_at = _whole(made)(job.c, start, own, int(steps))
        k = jnp.arange(int(steps) + 1)
        t = clock_times(algorithm, k, numbers)
    done = Trajectory(x, states, t, f, diverged_at, k, cost=cost)
    if isinstance(diverged_at, jax.core.Tracer):
        return done
    return finished(done)


def _long(
    algorithm: Iteration,
    job: chunks.RunJob,
    asked: chunks.LongRun,
    numbers: Mapping[str, Array],
    who: Mapping[str, str],
    finished: Callable[[Trajectory], Trajectory],
) -> Trajectory:
    """A run in chunks, ``finished`` where it ends or is interrupted; in one piece inside vmap or jit."""

    def show(carry: Any, records: Any) -> Trajectory:
        k, x, states, f = records
        t = clock_times(algorithm, jnp.asarray(k), numbers)
        return Trajectory(x, states, t, f, carry["bad"], k, chunks.summary(carry, asked.statistics))

    def shown(kept: chunks.Kept) -> Trajectory:
        return finished(show(kept.carry, chunks.collect(job, kept)))

    if _traced((job.x0, job.c, job.key)):
        if asked.progress is not None or asked.file is not None or asked.chunk is not None:
            raise OdescentError(
                "chunk, progress and resume are for one run at a time, outside of jax.vmap and jax.jit."
            )
        return show(*chunks.at_once(job, asked))
    identity = {
        **who, "parameters": run_file.fingerprint((job.c, dict(numbers))),
        "starting point": run_file.fingerprint(job.x0),
        "every": asked.every, "statistics": list(asked.statistics),
    }  # fmt: skip

    def load_file(carry: Any, first: Any) -> chunks.Kept | None:
        file = asked.file
        return None if file is None else run_file.load(file, identity, carry, first, asked.steps)

    def save_file(kept: chunks.Kept) -> None:
        if asked.file is not None:
            run_file.save(asked.file, kept, identity)

    return shown(chunks.in_chunks(job, asked, load_file, save_file, shown))


def _bar(progress: bool | chunks.Progress) -> chunks.Progress | None:
    """A bar of rich on the standard error, or the function given."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return None
    from ..._support.progress import bar

    return bar("steps")


# input


@contextmanager
def explained(algorithm: Iteration, objective: Any, x0: Any) -> Iterator[None]:
    """What an objective's function raises in a run, in a sentence where the function is none of JAX to a number."""
    try:
        yield
    except OdescentError:
        raise
    except Exception as error:
        starts = by_block(x0, [b.symbol for b in algorithm.program.blocks])
        own = isinstance(objective, Objective) and objective.fun and objective.differentiated
        if own and starts is None:
            _own_function(algorithm, objective.fun, starting_point(x0), {})
        several = isinstance(objective, Mapping) or starts is not None
        if several and isinstance(error, (TypeError, ValueError)):
            said = str(error).partition("\n")[0].rstrip(".")
            begun = f"all blocks start with the shape {np.shape(x0)}; starts of others go by block"
            if starts is not None:
                shapes = [f"{n} {np.shape(v)}" for n, v in starts.values.items()]
                begun = f"the blocks start with the shapes {listed(shapes)}"
            raise OdescentError(
                f"a function that the method calls raised {type(error).__name__} ({said}): {begun}."
            ) from error
        raise


def _own_function(
    algorithm: Iteration, fun: Callable[[Any], Any], start: Any, values: Mapping[str, Any]
) -> Objective:
    """A plain function as an objective, traced at the starting point; of an ensemble, at the first particle."""
    particles = any(o.form.particles for o in algorithm.system.oracles)
    one = jax.tree.map(lambda a: a[0], start) if particles else start
    with _precision(start, values):
        return wrapped(fun, jax.tree.map(_floating, one))


def _precision(start: Any, values: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """float64 for double-precision input outside every transformation, else JAX's own setting."""
    if _traced((start, dict(values))):
        return nullcontext()
    kinds = [(isinstance(v, jax.Array), np.asarray(v).dtype) for v in jax.tree.leaves(start)]
    double = any(t.itemsize == 8 or (t.kind in "iu" and not of_jax) for of_jax, t in kinds)
    return jax.enable_x64(True) if double else nullcontext()


def _traced(tree: Any) -> bool:
    """Whether there is an outer transformation that sees these values."""
    probe = jax.lax.add(np.float32(0), np.float32(0))  # a tracer inside jit
    return any(isinstance(v, jax.core.Tracer) for v in [*jax.tree.leaves(tree), probe])


def _floating(leaf: Any) -> Array:
    x = jnp.asarray(leaf)
    return x.astype(x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else float)


def _parameters(
    made: PointStepper, given: Mapping[str, Any], algorithm: Iteration
) -> dict[str, Any]:
    missing = {*made.parameters} - {*given, *made.defaults}
    instead = _instead(algorithm) if missing else ""
    values = parameter_values(made.name, made.parameters, given, made.defaults, instead)
    for name, value in values.items():
        if isinstance(value, sp.Expr):
            if not value.is_number:
                raise OdescentError(f"{name} must be a number to run, not the expression {value}.")
            values[name] = float(value)
        elif isinstance(value, (str, bytes)) or np.ndim(value) != 0:
            raise OdescentError(
                f"{name} must be one number, not {value!r}; to run a batch, use jax.vmap over the run."
            )
    return values


def _instead(algorithm: Iteration) -> str:
    """What can be given in place of mu and L: values of what the tuning makes of them; "" where that is not enough."""
    class_constants = {a.target for n, a in algorithm.names.items() if n in ("mu", "L")}
    own = class_constants & set(algorithm.program.parameters)
    made = [s for s, e in algorithm.tuning.items() if e.free_symbols & class_constants]
    words = {a.target: n for n, a in algorithm.names.items() if n in ("step", "momentum")}
    if not own <= words.keys():
        return ""
    found = {words.get(s, s.name) for s in (*made, *own)}
    return listed([f"{n}=..." for n in sorted(found, reverse=True)])


def _coefficients(made: PointStepper, values: Mapping[str, Any]) -> Any:
    try:
        found = made.coefficients(values)
    except ZeroDivisionError:  # of plain numbers
        found = None
    leaves = jax.tree.leaves(found)
    if found is None or (not _traced(leaves) and not all(np.isfinite(v).all() for v in leaves)):
        where = ", ".join(f"{n} = {v}" for n, v in values.items())
        raise OdescentError(
            f"the coefficients of a step are not finite at {where or 'these values'}."
        )
    return found


# the scan


@lru_cache(maxsize=128)
def _whole(made: PointStepper) -> Callable[..., Any]:
    """Every step recorded, in one scan."""

    def iterated(c: Any, x0: Any, key: Any, steps: int) -> tuple[Any, ...]:
        step = lambda k, state: made.step(state, c, None if key is None else draws.at_step(key, k))
        seen = lambda state: made.record(state, c)
        _, (x, states, f, bad) = orbit(step, seen, made.init(x0, c), steps)
        return x, states, f, jnp.where(jnp.any(bad), jnp.argmax(bad), -1)

    return jax.jit(iterated, static_argnums=3)


# times


def clock_times(algorithm: Iteration, steps: Array, values: Mapping[str, Array]) -> Array:
    k = sp.Symbol("k", integer=True, nonnegative=True)
    clock = k * algorithm.step if algorithm.clock is None else algorithm.clock
    bindings = {**algorithm.where, **algorithm.tuning}
    for _ in bindings:
        clock = clock.xreplace(bindings)
    counted = steps.astype(float)
    known = {s: values.get(s.name, counted if s == k else None) for s in clock.free_symbols}
    if any(v is None for v in known.values()):
        return counted
    return jnp.broadcast_to(evaluate(clock, known, {}, jnp), steps.shape)
