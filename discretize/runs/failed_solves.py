"""Why a run ended where a solve failed, or a loop: the step that was not finite, taken again with NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ...dynamics.solves.routes import inverses
from ...dynamics.vector_fields.objective import Objective
from ..emit import called, load
from ..step.iteration import Iteration
from .emitted_stepper import oracles_for


def fault(
    algorithm: Iteration,
    objective: Objective,
    values: Mapping[str, Any],
    states: Mapping[str, Any],
    step: int,
) -> str:
    """What a solve or a loop says in the step that was not finite.

    Args:
        algorithm: the method, without draws.
        objective: supplies the oracles.
        values: its parameters by name.
        states: the blocks before the step, by name.
        step: its number, from 1.

    Returns:
        a sentence; nothing where the method has no solve and no loop, or none failed.
    """
    program = algorithm.tuned
    if program.draws or program.counter is not None:
        return ""
    if not program.guarded and not inverses(program._expressions()):
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


LOOP = "the loop until"  # what the message of a loop begins with


def _on_arrays(function: Any) -> Any:
    return lambda *given: np.asarray(function(*given))
