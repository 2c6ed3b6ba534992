"""The arguments of ``diffeqsolve`` for a tracked diffrax solve, and its statistics."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.brief import short
from .controllers import CountingController, Trials
from .norms import Norm, rms
from .statistics import Seen, Statistics, summarize
from .tracked_solver import STIFFNESS, Capture, TrackedSolver, Watch
from .unrolled import unrolled
from .wrapping import attribute_of


def tracked(
    solver: dfx.AbstractSolver[Any],
    controller: dfx.AbstractStepSizeController[Any, Any],
    saveat: dfx.SaveAt | None = None,
    *,
    rtol: Any = None,
    atol: Any = None,
    norm: Norm | None = None,
    stiffness: tuple[str, ...] | str = (),
    record: int = 0,
    captures: dict[str, Capture] | None = None,
) -> dict[str, Any]:
    """The arguments of ``diffrax.diffeqsolve`` for a tracked solve.

    ::

        kwargs = tracked(dfx.Tsit5(), dfx.PIDController(rtol=1e-6, atol=1e-6))
        sol = dfx.diffeqsolve(terms, t0=0, t1=1, dt0=0.1, y0=y0, args=args, **kwargs)
        stats = statistics_of(sol)

    Differentiable under RecursiveCheckpointAdjoint, DirectAdjoint and ForwardMode; diffrax raises for
    gradients of the statistics under BacksolveAdjoint.

    Args:
        solver: any solver with an embedded error estimate, for an ODE or an SDE.
        controller: its tolerances, norm and error order define E.
        saveat: what to save besides; t1 by default.
        rtol, atol, norm: for a controller that has none (constant steps); the norm is the rms by default.
        stiffness: "shampine" (from two late stages), "jvp" (one Jacobian-vector product), or both.
        record: number of first steps that are recorded individually.
        captures: states to keep, by name.

    Returns:
        `solver`, `stepsize_controller` and `saveat` by name.

    Raises:
        OdescentError: unknown kinds of stiffness, no tolerance; while tracing, a solver that lacks the
            error estimate or the stages.
    """
    kinds = (stiffness,) if isinstance(stiffness, str) else tuple(stiffness)
    for kind in kinds:
        check_choice("stiffness estimate", kind, STIFFNESS)
    rtol = attribute_of(controller, "rtol") if rtol is None else rtol
    atol = attribute_of(controller, "atol") if atol is None else atol
    if rtol is None or atol is None:
        raise OdescentError(
            f"{type(controller).__name__} has no tolerance to measure the error with: give rtol= and atol=."
        )
    number: Any = record
    if not isinstance(number, int) or number < 0:
        raise OdescentError(f"record= must be a number of steps, 0 or more, not {short(record)}.")
    order = attribute_of(controller, "error_order")
    norm = norm or attribute_of(controller, "norm") or rms
    watch = Watch(rtol, atol, norm, order, kinds, dict(captures or {}), record)
    adaptive = isinstance(controller, dfx.AbstractAdaptiveStepSizeController)
    saveat = dfx.SaveAt(t1=True) if saveat is None else saveat
    saveat = eqx.tree_at(lambda s: (s.solver_state, s.controller_state), saveat, (True, True))
    return {
        "solver": TrackedSolver(unrolled(solver, controller), watch),
        "stepsize_controller": CountingController(controller) if adaptive else controller,
        "saveat": saveat,
    }


def seen_of(solution: dfx.Solution) -> Seen:
    """The accumulator that a tracked solve ended with; OdescentError if the solve was not tracked."""
    state = solution.solver_state
    if not (isinstance(state, tuple) and len(state) == 3 and isinstance(state[1], Seen)):
        raise OdescentError(
            "this solution has no statistics: solve with diffeqsolve(..., **tracked(solver, controller))."
        )
    return state[1]


def one_or_nan(solution: dfx.Solution, dtype: Any) -> Float[Array, "*batch"]:
    """What a number that speaks for a whole solve is multiplied by: NaN where the solve failed, in gradients too."""
    return jnp.where(dfx.is_okay(solution.result), 1, jnp.nan).astype(dtype)


@checked
def statistics_of(solution: dfx.Solution, selection: int = 0) -> Statistics:
    """The statistics of a tracked solve.

    Those of errors and stiffness are NaN where the solve failed: the steps made so far do not represent the solve.
    Counts, the first step and the record are what they were.

    Args:
        solution: of ``diffeqsolve(..., **tracked(...))``.
        selection: drift evaluations that went into the choice of dt0 (2 for `initial_step`).

    Raises:
        OdescentError: the solve was not tracked.
    """
    seen, state = seen_of(solution), solution.controller_state
    valid = one_or_nan(solution, seen.errors.sum.dtype)
    seen = eqx.tree_at(
        lambda s: (s.errors, s.stiffness),
        seen,
        (seen.errors.scaled(valid), {k: s.scaled(valid) for k, s in seen.stiffness.items()}),
    )
    if isinstance(state, Trials):
        trials, first, jumps = (state.counts[..., i] for i in range(3))
        return summarize(seen, trials, first, jumps, selection)
    trials = jnp.asarray(solution.stats["num_steps"])  # constant steps: none rejected, no jumps
    return summarize(seen, trials, jnp.minimum(trials, 1), jnp.zeros_like(trials), selection)
