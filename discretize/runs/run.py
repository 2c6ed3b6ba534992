"""Runs: an algorithm on a concrete objective, in one compiled scan of its emitted JAX step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
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
from ...dynamics.algebra.calculus import oracles_in
from ...dynamics.algebra.vectors import ScalarNode
from ...dynamics.flows.parameters import parameter_values
from ...dynamics.flows.starts import by_block, check_used, starting_point
from ...dynamics.flows.stepper import PointStepper, orbit
from ...dynamics.flows.stopping import Until, at_start, conditions
from ...dynamics.vector_fields.estimates import condition_of
from ...dynamics.vector_fields.functions import together
from ...dynamics.vector_fields.objective import Objective, wrapped
from ...dynamics.vector_fields.own_functions import function_name
from ..emit import source
from ..programs import draws
from ..step.iteration import Iteration
from . import chunks, claims, failed_solves, observed, run_file
from .clock import RunClock, clock_of
from .cost import cost_of_run
from .counting import counted, with_counts
from .emitted_stepper import algorithm_stepper
from .ending import STEP_SIZE, Ends, Length, budget_of, length
from .starting import check_resolution, check_shape, in_groups
from .trajectory import Trajectory, cut, lasting


def _check_positive(algorithm: Iteration, states: Mapping[str, Any]) -> None:
    """Refuse a start at which a block is not positive that has to be."""
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
    states = {n: jax.tree.map(lambda a: np.asarray(a[-1]), s) for n, s in done.states.items()}
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


@checked
def run(
    algorithm: Iteration,
    objective: Objective | Callable[[Any], Any] | Mapping[str, Any] | None,
    x0: Any,
    steps: int | None = None,
    key: Key[Array, ""] | int | draws.Counters | None = None,
    *,
    normals: str = "counter",
    every: int = 1,
    statistics: Sequence[str] = (),
    chunk: int | None = None,
    progress: bool | chunks.Progress = False,
    resume: str | Path | None = None,
    groups: Any = None,
    until: Until = None,
    max_steps: int | None = None,
    budget: Mapping[str, int] | None = None,
    **parameters: Any,
) -> Trajectory:
    """Iterate an algorithm on an objective from x0.

    A run for which any of `every`, `statistics`, `chunk`, `progress`, `resume` and `until` is given is a long run: it
    goes in chunks, stores only every so many steps and the last, and can be interrupted (Ctrl-C raises
    `RunInterrupted` with the trajectory so far) and resumed to the same bits.

    With `until` or `budget` a run has an end of its own, which `Trajectory.stopped` names. Conditions are asked of the
    start and after each step, inside the compiled loop; each run of a batch ends for itself. Their tolerances are
    arguments of what is compiled: a run that was stopped and goes on to a smaller tolerance has the bits of one that
    was never stopped. Functions are compiled for each.

    Args:
        algorithm: what to run; it must be one that the JAX backend supports.
        objective: a concrete objective with the oracles that the algorithm calls, the name of a registered one, or a
            JAX function of one array or pytree to a number (of one particle, for a method of an ensemble). Of several
            functions a mapping of their names, as the system has them, to objectives, maps or JAX functions.
        x0: the starting point: an array, a (nested) list of numbers, or a pytree of arrays; or a mapping of block
            symbols to such, whose shapes may differ (a dict of strings is a pytree). For a method of an
            ensemble, the N particles, with an axis of them first; records of x and f then have it too.
        steps: the number of steps, at least 0; of a run with an end, the most it may take, as `max_steps`.
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
        until: where to stop, as of `System.simulate`: a function of (t, x, states) that is positive at first, at whose
            zero or sign change the run ends; or a mapping with any of "gradient", "value", "distance" (tolerances),
            "box" ((low, high)), and functions by name.
        max_steps: the most steps of a run with `until`.
        budget: how much the steps may ask for, as in {"gradients": 1000}, by the names of `Trajectory.counts`: no
            step is taken that would exceed it. It counts what the method asks for, not what is recorded or asked by
            `until`.
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
    objective = {} if objective is None else objective  # a system without oracles needs none
    if groups is not None:
        if not isinstance(objective, (Objective, Mapping)):
            objective = _own_function(algorithm, objective, starting_point(x0), parameters)
        objective, x0 = in_groups(algorithm, objective, x0, groups)
    starts = by_block(x0, [b.symbol for b in algorithm.program.blocks])
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
    _check_one_step(algorithm)
    plain_steps = algorithm
    algorithm = counted(algorithm if algorithm.size is None else algorithm.timed)
    made = algorithm_stepper(algorithm, objective, normals)
    if starts is None:
        check_used(start, algorithm.program.blocks, made.name)
        check_shape(start, objective, made.population)
    cost = cost_of_run(algorithm, objective)
    bound = length(made.name, (steps, max_steps), cost, budget, until is not None)
    draws.check_key(key)
    if made.draws and key is None:
        raise OdescentError(f"{made.name} draws noise: give a key, as in key=jax.random.key(0).")
    values = _parameters(made, parameters, named)
    single = jnp.result_type(float).itemsize < 8
    of_jax = any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(start))

    def finished(t: Trajectory) -> Trajectory:
        t = t if of_jax or _traced(t) else t.to_numpy()
        kept = cut(t, lambda states: _check_positive(algorithm, states))
        size = _refused(job, kept)
        kept = with_counts(kept, cost, clock)
        said = [
            _remark(named, objective, made, given, kept),
            _failed(plain_steps, objective, values, kept),
            "" if _traced(kept) else claims.sentences(named, kept),
            size,
        ]
        kept = replace(kept, remark="\n".join(filter(None, said)))
        return lasting(kept) if single else kept

    with _precision(start, values):
        start = jax.tree.map(_floating, start)
        check_resolution(algorithm, values, start)
        numbers = {n: jnp.asarray(v, dtype=float) for n, v in values.items()}
        own = draws.source(key, normals) if made.draws and key is not None else None
        job = chunks.RunJob(made, _coefficients(made, values), start, own)
        clock = clock_of(algorithm, numbers)
        ends = _ends(job, until, objective, clock, bound)
        told = (ends is not None, every != 1, statistics, chunk is not None, progress, resume is not None)  # fmt: skip
        if any(told):
            file = None if resume is None else Path(resume)
            asked = chunks.LongRun(
                bound.steps, every, tuple(statistics), chunk, _bar(progress), file, ends
            )
            chunks.check(asked)
            who = {
                "algorithm": store.identity(source(algorithm, "jax"))[:16],
                "normals": normals if made.draws else "",
                "objective": objective.name,
                "key": "" if own is None else run_file.fingerprint(draws.data_of(own)),
            }  # fmt: skip
            done = _long(job, asked, clock, bound, who, finished)
        else:
            x, states, f, diverged_at, last = _whole(made)(job.c, start, own, bound.steps)
            k = jax.device_put(np.arange(bound.steps + 1))
            k = k if made.taken is None else jnp.where(last < 0, k, jnp.minimum(k, last))
            done = Trajectory(x, states, clock.at(k, states), f, diverged_at, k)
            hit = jnp.where(last < 0, last, jnp.zeros_like(last))
            done = _with_end(done, hit, _names(job, None), bound)
            done = done if _traced(done) else finished(done)
    return done if done.cost else with_counts(done, cost, clock)


def _check_one_step(algorithm: Iteration) -> None:
    """Refuse many particles whose steps would be of different sizes: they have no common time."""
    particles = any(o.form.particles for o in algorithm.system.oracles)
    if algorithm.size is not None and particles and algorithm.size.atoms(ScalarNode):
        raise OdescentError(
            f"the step {algorithm.size} of {algorithm.name or 'the algorithm'} would be another one for each particle; "
            "write it in scalar blocks, which all of them share."
        )


def _ends(
    job: chunks.RunJob, until: Until, objective: Objective, clock: RunClock, bound: Length
) -> Ends | None:
    """The conditions of a run, asked of its start, so that what is wrong with them is said before it begins."""
    if until is None:
        return Ends((), (), clock, bound.budgets) if bound.budgets else None
    begin, _ = chunks.loops(job.made, (), 1)
    traced = _traced((job.x0, job.c, job.key))
    carry, (_, x, states, _) = (
        jax.eval_shape(begin, job.c, job.x0) if traced else begin(job.c, job.x0)
    )
    found = conditions(until, objective, x, job.made.population)
    if not traced and int(carry["bad"]) < 0:  # a start that is not finite is refused by the run
        at_start(found, clock.at(0, states), x, clock.visible(states))
    return Ends(tuple(found), tuple(found.values()), clock, bound.budgets)


def _names(job: chunks.RunJob, ends: Ends | None) -> tuple[str, ...]:
    """What can end a run beside its length."""
    own = () if ends is None else ends.names
    own = own if job.made.taken is None else (*own, STEP_SIZE)
    return own if ends is None else (*own, *(budget_of(b.spent.kind) for b in ends.budgets))


def _refused(job: chunks.RunJob, done: Trajectory) -> str:
    """What the size of a step would have been that is no positive number, before which a run ended."""
    made, k = job.made, done.steps
    if done.stopped != STEP_SIZE or made.taken is None:
        return ""
    last = [jax.tree.map(lambda a: jnp.asarray(a[-1]), done.states[n]) for n in made.blocks]
    structure = jax.tree.structure(jax.eval_shape(made.init, job.x0, job.c))
    state = jax.tree.unflatten(structure, jax.tree.leaves(last))
    key = None if job.key is None else draws.at_step(job.key, k)
    size = float(made.taken(jax.jit(made.step)(state, job.c, key)))
    return (
        f"step {k + 1} would have the size {size:.3g}, but a step must be a positive number; the run ends with the "
        "state before it."
    )


def _with_end(done: Trajectory, hit: Any, names: tuple[str, ...], bound: Length) -> Trajectory:
    """With what ended the run: a condition, or else the budget that bounds it."""
    if not bound.budget:
        return replace(done, end=hit, ends=names)
    spent = (hit < 0) & (jnp.asarray(done.diverged_at) < 0)
    end = jnp.where(spent, len(names), hit)
    return replace(done, end=end, ends=(*names, budget_of(bound.budget)))


def _long(
    job: chunks.RunJob,
    asked: chunks.LongRun,
    clock: RunClock,
    bound: Length,
    who: Mapping[str, str],
    finished: Callable[[Trajectory], Trajectory],
) -> Trajectory:
    """A run in chunks, ``finished`` where it ends or is interrupted; in one piece inside vmap or jit."""
    names = _names(job, asked.ends)

    def show(carry: Any, records: Any, hit: Any, over: bool = True) -> Trajectory:
        k, x, states, f = records
        t = clock.at(k, states)
        statistics = chunks.summary(carry, asked.statistics)
        done = Trajectory(x, states, t, f, carry["bad"], k, statistics)
        return _with_end(done, hit, names, bound if over else Length(bound.steps))

    def shown(kept: chunks.Kept) -> Trajectory:
        over = kept.done == asked.steps
        return finished(show(kept.carry, chunks.collect(job, kept), np.asarray(kept.hit), over))

    if _traced((job.x0, job.c, job.key)):
        if asked.progress is not None or asked.file is not None or asked.chunk is not None:
            raise OdescentError(
                "chunk, progress and resume are for one run at a time, outside of jax.vmap and jax.jit."
            )
        return show(*chunks.at_once(job, asked))
    identity = {
        **who, "parameters": run_file.fingerprint((job.c, dict(clock.values))),
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
        step: Callable[..., Any] = lambda k, state: made.step(
            state, c, None if key is None else draws.at_step(key, k)
        )
        seen: Callable[..., Any] = lambda state: made.record(state, c)
        none = jnp.full((), -1, jnp.asarray(0).dtype)
        if made.taken is None:
            _, (x, states, f, bad) = orbit(step, seen, made.init(x0, c), steps)
            return x, states, f, jnp.where(jnp.any(bad), jnp.argmax(bad), -1), none

        # a state from which no step is taken repeats itself, so that rows have one shape
        def held(k: Any, now: Any) -> Any:
            state, last = now
            new = step(k, state)
            last = jnp.where((last < 0) & made.refused(new), k, last)
            return jax.tree.map(lambda a, b: jnp.where(last < 0, b, a), state, new), last

        start = (made.init(x0, c), none)
        (_, last), (x, states, f, bad) = orbit(held, lambda now: seen(now[0]), start, steps)
        return x, states, f, jnp.where(jnp.any(bad), jnp.argmax(bad), -1), last

    return jax.jit(iterated, static_argnums=3)
