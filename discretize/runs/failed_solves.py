"""Why a run ended where a solve or a loop failed, or rows ran out: the step that was not finite, looked at again."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ...dynamics.solves.routes import inverses
from ...dynamics.vector_fields.means import Sampled
from ...dynamics.vector_fields.objective import Objective
from ..emit import called, load
from ..programs.program import Program
from ..step.iteration import Iteration
from .emitted_stepper import oracles_for


def fault(
    algorithm: Iteration,
    objective: Objective,
    values: Mapping[str, Any],
    states: Mapping[str, Any],
    step: int,
) -> str:
    """What a solve, a loop or a batch says of the step that was not finite.

    Args:
        algorithm: the method, without draws.
        objective: supplies the oracles.
        values: its parameters by name.
        states: the blocks before the step, by name.
        step: its number, from 1.

    Returns:
        a sentence; nothing where nothing failed that is looked at.
    """
    program = algorithm.tuned
    if isinstance(objective, Sampled) and (said := _rows(program, objective, values, states)):
        return f"the run ended in step {step}, {said}"
    if program.draws or program.counter is not None:
        return ""
    if not program.guarded and not inverses(program.expressions()):
        return ""
    if not all(isinstance(a, (np.ndarray, jax.Array)) for a in states.values()):
        return ""
    module = load(algorithm, "numpy")
    names = called(module)
    wanted = inspect.signature(module.step).parameters
    functions = oracles_for(algorithm.name, module, objective)
    oracles = {n: _on_arrays(f) for n, f in functions.items() if n in wanted}
    c = module.coefficients(**{names[n]: float(v) for n, v in values.items()})
    state = module.State(**{names[n]: np.asarray(a) for n, a in states.items()})
    try:
        double = any(np.asarray(a).dtype.itemsize == 8 for a in states.values())
        with np.errstate(all="ignore"), jax.enable_x64(double):
            module.step(state, c=c, **oracles)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        said = str(error)
        failed = "" if said.startswith(LOOP) else "a solve failed: "
        return f"the run ended in step {step}, where {failed}{said}"
    return ""


def _rows(
    program: Program, data: Sampled, values: Mapping[str, Any], states: Mapping[str, Any]
) -> str:
    """What is wrong with the number of rows or outcomes that a step asks for."""
    scalars = (b for b in program.blocks if b.kind == "scalar" and b.name in states)
    known = {b.symbol: float(states[b.name]) for b in scalars}
    known |= {s: float(values[s.name]) for s in program.parameters if s.name in values}
    for call in program.calls:
        for size in call.parameters[1:] if call.oracle.kind in ("batch", "deviation") else ():
            if not size.free_symbols <= {*known}:
                continue
            rows = float(size.xreplace(known))
            least = 1 if call.oracle.kind == "batch" else data.spread
            asked = f"which asks for {math.ceil(rows) if math.isfinite(rows) else rows} {data.unit}"
            if not math.isfinite(rows) or math.ceil(rows) < least:
                return f"{asked}: a {call.oracle.kind} is that of {least} or more."
            if math.ceil(rows) > data.most:
                return (
                    f"{asked}, more than the {data.most} of the data: bound the batch by that, or pick rows twice "
                    "with replace=True."
                )
    return ""


LOOP = "the loop until"  # what the message of a loop begins with


def _on_arrays(function: Any) -> Any:
    return lambda *given: np.asarray(function(*given))
