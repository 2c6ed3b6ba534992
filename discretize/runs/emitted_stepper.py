"""The stepper of an algorithm on an objective: its emitted JAX module with the objective's oracles filled in."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, oracles_in, symbols_of
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import Call, Expr, VectorSymbol
from ...dynamics.evaluation.evaluate import evaluate
from ...dynamics.flows.parameters import check_domain, constants
from ...dynamics.flows.starts import Starts, begun, check_entries, remade
from ...dynamics.flows.stepper import PointStepper
from ...dynamics.vector_fields.block import start
from ...dynamics.vector_fields.functions import oracle_of
from ...dynamics.vector_fields.groups import Grouped, in_one_pass, joined
from ...dynamics.vector_fields.objective import Objective
from ..emit import called, load, oracle_arguments_of
from ..emit.lowering.coefficients import in_order
from ..programs import draws
from ..step.iteration import Iteration

LIMIT = 1e30  # beyond it in absolute value, a state or a value counts as divergence


class _Emitted(NamedTuple):
    """The key of a stepper, apart from the objective: algorithms with the same step share one."""

    module: ModuleType
    name: str
    symbols: tuple[sp.Symbol, ...]
    blocks: tuple[str, ...]
    outputs: tuple[str, ...]
    positive: tuple[str, ...]
    clocked: bool
    draws: bool
    classes: tuple[int, ...]  # blocks of one shape have one number
    taken: str  # the block with the last step
    state: tuple[Symbol, ...]
    positions: tuple[str, ...]  # blocks that begin at the starting point
    held: tuple[tuple[int, Expr], ...]  # places of memories, and the calls that they keep


def algorithm_stepper(
    algorithm: Iteration, objective: Objective, normals: str = "counter", kept: bool = True
) -> PointStepper:
    """The stepper of an algorithm, with what is compiled for it.

    Args:
        algorithm: one that the JAX backend supports.
        objective: with the oracles that it calls.
        normals: what it draws from, as of `run`.
        kept: whether equal ones are one object; not for an objective that holds traced numbers.

    Raises OdescentError for an oracle that the objective lacks.
    """
    program = algorithm.tuned
    emitted = _Emitted(
        module_of(algorithm, normals), algorithm.name or "the algorithm", tuple(in_order(program.parameters)),
        tuple(b.name for b in program.blocks), tuple(program.outputs), algorithm.positive,
        program.counter is not None or any(b.kind == "scalar" for b in program.blocks), bool(program.draws),
        program.classes_apart if isinstance(objective, Grouped) else program.classes,
        algorithm.clocks[1] if algorithm.clocks else "", program.state,
        tuple(b.name for b in program.blocks if b.init == start),
        tuple((i, program.held[b.symbol]) for i, b in enumerate(program.blocks) if b.symbol in program.held),
    )  # fmt: skip
    return (_kept if kept else _made)(emitted, objective)


def _made(emitted: _Emitted, objective: Objective) -> PointStepper:
    module = emitted.module
    functions = oracles_for(emitted.name, module, objective)
    value = objective.oracles.get("value")
    population = any(map(_of_ensemble, functions))
    if population:  # other oracles are of one particle
        functions = {n: f if _of_ensemble(n) else jax.vmap(f) for n, f in functions.items()}
        value = None if value is None else jax.vmap(value)
    # the module's functions differ in the arguments that they take: each gets its own, read from its signature
    symbols = {s.name: s for s in emitted.symbols}
    named = called(module)
    step, takes = draws.drawn_step(module), inspect.signature(module.step).parameters
    oracles = {n: f for n, f in functions.items() if n in takes}
    noisy = bool({"draw", "key"} & set(takes))

    def call(name: str, *arguments: Any, **more: Any) -> Any:
        function = getattr(module, name)
        wanted = inspect.signature(function).parameters
        offered = {**functions, **more}
        return function(*arguments, **{n: v for n, v in offered.items() if n in wanted})

    def begin(x0: Any, c: Any) -> Any:
        if isinstance(x0, Starts):
            own = lambda x: begin(x, c)
            at = emitted.positions
            state = begun(own, x0, emitted.blocks, emitted.classes, emitted.name, at)
            return _with_held(emitted, objective, state, x0.values)
        if not population and not isinstance(objective, Grouped):
            check_entries(x0, objective)
        zeros = jax.tree.map(jnp.zeros_like, x0)  # one starting point: every block has its shape
        return call("init", x0, c=c, **dict.fromkeys(_more_starts(module), zeros))

    # what a run records of a state, and whether it has diverged
    def record(state: Any, c: Any) -> tuple[Any, ...]:
        x = call("output", state, c=c)
        states = dict(zip(emitted.blocks, state, strict=False))
        if isinstance(objective, Grouped):
            x = joined(*(states[n] for n in objective.groups))
        states |= {n: call(named[n], state, c=c) for n in emitted.outputs if n != "x"}
        # a scalar beside arrays is no point of the objective
        scalar = not any(map(jnp.ndim, jax.tree.leaves(x))) and any(
            map(jnp.ndim, jax.tree.leaves(state))
        )
        f = None if value is None or scalar else jnp.asarray(value(x))
        seen = f  # of an ensemble the least: a particle without a finite value has no weight
        if f is not None and population:
            seen = jnp.min(jnp.where(jnp.isfinite(f), f, jnp.inf))
        leaves = jax.tree.leaves((x, states, seen))  # a window has an index beside its values
        numbers = [a for a in leaves if not jnp.issubdtype(a.dtype, jnp.integer)]
        fine = [jnp.all(jnp.abs(leaf) <= LIMIT) for leaf in numbers]
        fine += [jnp.all(a > 0) for n in emitted.positive for a in jax.tree.leaves(states[n])]
        return x, states, f, ~jnp.all(jnp.stack(fine))

    def taken(state: Any) -> Any:
        return state[emitted.blocks.index(emitted.taken)]

    # domains can only be checked for numbers, not for values that JAX traces
    def coefficients(values: Mapping[str, Any]) -> Any:
        for n, v in values.items():
            if not isinstance(v, jax.core.Tracer):
                check_domain(symbols[n], v)
        try:
            return module.coefficients(**{named[n]: v for n, v in values.items()})
        except ValueError as error:
            own = {named[n]: n for n in values}  # by the user's names
            said = re.sub(r"\w+", lambda found: own.get(found[0], found[0]), str(error))
            raise OdescentError(said) from None

    return PointStepper(
        init=begin,
        step=lambda state, c, key: step(state, c=c, **in_one_pass(oracles), **({"key": key} if noisy else {})),
        record=record, name=emitted.name, parameters=tuple(symbols), blocks=emitted.blocks,
        coefficients=coefficients, defaults=constants(objective), valued=value is not None,
        clocked=emitted.clocked, draws=emitted.draws, population=population,
        taken=taken if emitted.taken else None,
    )  # fmt: skip


_kept = lru_cache(maxsize=128)(_made)


def _with_held(
    emitted: _Emitted, objective: Objective, state: Any, given: Mapping[str, Any]
) -> Any:
    """The state with what is kept of calls at it; from the start alone it would be that of other starts."""
    parts, who = list(state), emitted.name
    for place, call in emitted.held:
        if emitted.blocks[place] not in given:
            values = dict(zip(emitted.state, parts, strict=False))
            oracles = {o.name: oracle_of(who, objective, o.name) for o in oracles_in(call)}
            read = [values[s] for s in symbols_of(call)]
            if jax.tree_util.all_leaves(read):
                parts[place] = evaluate(call, values, oracles, jnp)
                continue
            points = call.parts() if isinstance(call, Call) else getattr(call, "arguments", ())
            if len(points) != 1 or not isinstance(points[0], VectorSymbol):
                raise OdescentError(
                    f"{who} keeps {call}, which is not known where blocks begin at pytrees; give arrays."
                )
            (function,) = oracles.values()
            parts[place] = function(values[points[0]])
    return remade(state, parts)


def _of_ensemble(oracle: str) -> bool:
    """Whether the oracle is evaluated on the particles as a whole."""
    return Oracle(oracle.partition("_")[0], "").form.particles


def _more_starts(module: ModuleType) -> list[str]:
    """The arguments of `init` beside x0 that are starting points, not functions."""
    wanted = inspect.signature(module.init).parameters
    return [n for n, p in wanted.items() if p.annotation == wanted["x0"].annotation and n != "x0"]


def module_of(algorithm: Iteration, normals: str = "counter") -> ModuleType:
    """The emitted JAX module that a run goes by: with its draws asked for where they come from counters, and the
    memories of samples as they are, to record them.
    """
    program = algorithm.tuned
    if not program.draws:
        return load(algorithm, "jax")
    return load(algorithm, "jax_drawn" if normals == "counter" else "jax_whole")


def oracles_for(
    who: str, module: ModuleType, objective: Objective
) -> dict[str, Callable[..., Any]]:
    """The functions for the oracle arguments of an emitted module.

    Args:
        who: the algorithm, for messages.
        module: the module.
        objective: supplies the oracles.

    Raises:
        OdescentError: the objective lacks an oracle.
    """
    asked = [
        n
        for f in (module.step, module.init, module.output)
        for n in inspect.signature(f).parameters
    ]
    others = {"state", "c", "draw", "key", "x0", *_more_starts(module)}
    names = [n for n in dict.fromkeys(asked) if n not in others]
    meant = {new: n for n, new in oracle_arguments_of(module).items()}
    return {n: oracle_of(who or "the algorithm", objective, meant.get(n, n)) for n in names}
