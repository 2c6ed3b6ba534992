"""The instrumented solve: an ODE or SDE, its cost, and its penalty, in one call."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from ..._support.errors import OdescentError, expected
from ..._support.rendering.rendered import Rendered
from ...dynamics.vector_fields.own_functions import all_current
from ..regularization.integrated import extended
from ..regularization.penalty import InitialValueProblem, Needs, Outcome, Regularizer
from ..tracking.brownian import USUAL, resolution
from ..tracking.controllers import looked_at
from ..tracking.evaluations import has_noise, is_ode
from ..tracking.first_step import WarmStart, initial_step
from ..tracking.instrument import one_or_nan, seen_of, statistics_of, tracked
from ..tracking.norms import real_dtype, rms
from ..tracking.statistics import Statistics
from ..tracking.unrolled import unrolled
from ..tracking.wrapping import attribute_of, innermost
from .checks import (
    check_adjoint,
    check_arguments,
    check_field,
    check_length,
    check_tolerance,
    check_way_back,
    without_gradient,
)
from .failed import LONGEST_RECORD, stopped
from .matmul import full_precision
from .stochastic_terms import check_noise, stochastic_terms


class Solved(Rendered, eqx.Module):
    """A solution, its cost and its penalty (0 without a regularizer); batched as the solve.

    The penalty of a solve that failed, and its gradient, is NaN: the steps made so far do not represent the solve.
    """

    solution: dfx.Solution
    statistics: Statistics
    penalty: Float[Array, "*batch"]
    padded: bool = eqx.field(static=True, default=False)  # more saved times than were reached

    @property
    def ys(self) -> PyTree:
        """The saved states, times first; of several solves at once, times behind the axis of the solves."""
        return self.solution.ys

    @property
    def time_axis(self) -> int:
        """Of the leaves of `ys`: 0 for one solve, 1 for several at once."""
        return self.penalty.ndim

    @property
    def last(self) -> PyTree:
        """The state at the last saved time; of a solve that failed, whatever it stored there.

        Raises OdescentError where no times are saved (``dense=True`` alone) or several sets of them (``subs=``).
        """
        axis = self.time_axis
        if not isinstance(self.ts, Array):
            raise OdescentError(
                "there is no last saved state: SaveAt(dense=True) alone saves none, subs= several sets; evaluate "
                ".solution at a time, or take the last of one set of .ys."
            )
        if not self.padded:
            return jax.tree.map(lambda x: x[(slice(None),) * axis + (-1,)], self.ys)
        # behind the steps that were made stands infinity
        size = self.ts.shape[-1]
        reached = jnp.sum(jnp.isfinite(self.ts), axis=-1)
        place = jnp.where(self.successful, reached, size) - 1

        def taken(x: Array) -> Array:
            index = place.reshape(place.shape + (1,) * (x.ndim - axis))
            return jnp.take_along_axis(x, index, axis=axis).squeeze(axis)

        return jax.tree.map(taken, self.ys)

    @property
    def successful(self) -> Bool[Array, "*batch"]:
        """Whether the solve went well."""
        return jnp.asarray(self.solution.result == dfx.RESULTS.successful)

    @property
    def hardest(self) -> Solved:
        """Of several solves at once one that failed, or else the one with the most steps; a single one is itself."""
        if self.time_axis == 0:
            return self
        s = self.statistics
        trials = (s.accepted + s.rejected).ravel()
        i = jnp.argmax(trials + jnp.where(self.successful.ravel(), 0, 1 + jnp.max(trials)))
        one = lambda x: x.reshape(-1, *x.shape[self.time_axis :])[i] if eqx.is_array(x) else x
        found: Solved = jax.tree.map(one, self)
        return found

    @property
    def ts(self) -> Any:
        """The saved times."""
        return self.solution.ts


@full_precision
def solve(
    terms: Any,
    y0: PyTree,
    t0: Any,
    t1: Any,
    args: Any = None,
    *,
    diffusion: Any = None,
    solver: dfx.AbstractSolver[Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    controller: dfx.AbstractStepSizeController[Any, Any] | None = None,
    dt0: Any = "hairer",
    saveat: dfx.SaveAt | None = None,
    adjoint: dfx.AbstractAdjoint | None = None,
    max_steps: int | None = 4096,
    key: Any = None,
    noise: str | None = None,
    brownian_tolerance: Any = None,
    regularizer: Regularizer | None = None,
    stiffness: tuple[str, ...] | str = (),
    record: int = 0,
    per_sample: bool = False,
    paper: int | None = None,
    throw: bool = True,
) -> Solved:
    """Solve y' = f(t, y, args), or dy = f dt + g dW, and report on the solve.

    Works under jit, vmap and grad. The gradient treats the lengths of the steps as constants, as in diffrax. Matrix
    products have the precision of their type, on accelerators too, unless ``jax_default_matmul_precision`` is set.

    Args:
        terms: f, or any diffrax terms (a pytree of them where the solver takes one).
        y0: initial state, any pytree of floats; a batch as one state unless `per_sample`.
        t0, t1: the interval, in either order; all times take the type of y0.
        args: passed to f and g.
        diffusion: g(t, y, args): shaped as y0 (diagonal noise) or with one axis more (a matrix). The default solver
            SPaRK reads it in the sense of Stratonovich; an Ito solver in diffrax.HalfSolver reads it as Ito.
        solver: any diffrax solver with an error estimate; Tsit5, or SPaRK with noise.
        rtol, atol: 1e-6 both unless given, 1e-2 with noise.
        controller: replaces rtol and atol. By default PIDController; with noise, one that revisits rejected times.
        dt0: "hairer" (two evaluations; a hundredth of the interval where the terms are more than one ODE's, as with
            noise), a length, a `WarmStart`, or None for diffrax's own choice.
        saveat: t1 by default.
        adjoint: RecursiveCheckpointAdjoint by default. Under BacksolveAdjoint, statistics have no gradient.
        max_steps: largest number of steps.
        key: JAX key of the noise and of regularizers that draw at random.
        noise: "general", "commutative" or "additive"; adaptive steps must revisit rejected times if it is general.
            Additive noise is detected; commutative noise must be declared.
        brownian_tolerance: with a diffusion, the length of time to which its Brownian path is resolved, half of the
            shortest step that is made. By default an eighth of the tolerance, from 2^-12 to
            2^-7 of the interval.
        regularizer: its value is returned as `penalty`.
        stiffness: estimates to report: "shampine", "jvp".
        record: number of initial steps that are reported individually.
        per_sample: solve each entry of the leading axis of y0 separately; statistics and penalty have this axis too.
        paper: 2021 or 2023 allows tolerances below the resolution of the type, as in the papers.
        throw: whether a failed solve raises an error; otherwise ``successful`` is False and the penalty is NaN.

    Returns:
        The solution, its statistics and its penalty; with per_sample each with an axis of the rows in front.

    Raises:
        OdescentError: bad tolerances, shapes, adjoints, noise, a solver without a requested feature, or a solve that
            failed: the reason, the time and the last step. Under jit it is diffrax's own error.
    """
    terms, diffusion = all_current((terms, diffusion))
    given = dict(locals())
    kinds_of = {"solver": solver, "controller": controller, "saveat": saveat}
    check_arguments({**kinds_of, "adjoint": adjoint, "regularizer": regularizer}, max_steps, paper)
    noise_key, penalty_key = (None, None) if key is None else _two_keys(key)
    if per_sample:
        lengths = {np.shape(x)[0] if np.ndim(x) else 0 for x in jax.tree.leaves(y0)}
        if len(lengths) != 1 or 0 in lengths:
            raise OdescentError(
                "per_sample=True needs one leading axis, equally long in every leaf of y0."
            )

        def one(y: PyTree, k: Any) -> Solved:
            row: Solved = solve(**{**given, "y0": y, "key": k, "per_sample": False, "throw": False})
            return row

        keys = None if key is None else jr.split(key, lengths.pop())
        each: Solved = eqx.filter_vmap(one, in_axes=(0, None if key is None else 0))(y0, keys)
        return _thrown(each, given) if throw else each

    # The state and the times in one floating type; times of a StepTo are looked at while they are known.
    ends = t0, t1
    y0, t0, t1, length = _typed(y0, t0, t1)
    controller = _in_type_of(t0, looked_at(controller, *ends))
    saveat = _in_type_of(t0, dfx.SaveAt(t1=True) if saveat is None else saveat)
    adjoint = dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    check_adjoint(adjoint)

    # The noise: how finely its path is resolved, and whether adaptive steps may be made on it.
    path = None
    if diffusion is not None:
        path = resolution(brownian_tolerance, controller, rtol, atol, jnp.abs(t1 - t0))
    elif brownian_tolerance is not None:
        raise OdescentError(
            "brownian_tolerance= goes with diffusion=, whose Brownian path is made here."
        )
    terms = _terms(terms, diffusion, t0, t1, y0, args, noise_key, path)
    noisy = has_noise(terms)
    controller = _controller(controller, rtol, atol, noisy, path)
    if noisy:
        check_noise(noise, controller, terms, t0, y0, args)

    # The tolerances that errors are measured with, and the solver.
    rtol = attribute_of(controller, "rtol") if rtol is None else rtol
    atol = attribute_of(controller, "atol") if atol is None else atol
    check_tolerance(rtol, atol, jnp.result_type(*jax.tree.leaves(y0)), paper)
    if solver is None:
        solver = dfx.SPaRK() if noisy else dfx.Tsit5()
    norm, direction = attribute_of(controller, "norm") or rms, jnp.where(t0 < t1, 1, -1)
    problem = InitialValueProblem(
        terms, y0, t0, t1, args, saveat, unrolled(solver, controller), controller, adjoint, norm, direction, length
    )  # fmt: skip

    # What the regularizer changes, and what it has carried along.
    needs = Needs()
    if regularizer is not None:
        regularizer.check_adjoint(adjoint)
        problem = regularizer.prepare(problem, penalty_key)
        needs = regularizer.needs(problem, penalty_key)
        problem = extended(problem, needs.integrands)
    asked = (stiffness,) if isinstance(stiffness, str) else tuple(stiffness)
    kwargs = tracked(
        problem.solver, problem.controller, problem.saveat, rtol=rtol, atol=atol, norm=problem.norm,
        stiffness=tuple(dict.fromkeys((*asked, *needs.stiffness))), record=record, captures=needs.captures,
    )  # fmt: skip
    watch = kwargs["solver"].watch
    step, selection = _first_step(dt0, problem, watch)
    solution = dfx.diffeqsolve(
        problem.terms, t0=problem.t0, t1=problem.t1, dt0=step, y0=problem.y0, args=args,
        adjoint=_untracked_backwards(problem), max_steps=max_steps, throw=False, **kwargs,
    )  # fmt: skip

    # What is read off the solution: statistics, the state proper, integrals, the penalty.
    statistics = statistics_of(solution, selection)
    captured = seen_of(solution).captured
    if isinstance(adjoint, dfx.BacksolveAdjoint):
        statistics = without_gradient(statistics)
    integrals: dict[str, Any] = {}
    if needs.integrands:
        states, saved = solution.ys
        integrals = {name: value[-1] for name, value in saved.items()}
        solution = eqx.tree_at(lambda s: s.ys, solution, states)
    penalty = jnp.zeros_like(statistics.error.sum)
    if regularizer is not None:
        penalty = regularizer.value(Outcome(statistics, captured, problem, watch, integrals))
        # as a factor, so that the gradient is not a number either
        penalty = penalty * one_or_nan(solution, penalty.dtype)
    solved = Solved(solution, statistics, penalty, _padded(saveat))
    return _thrown(solved, given) if throw else solved


def _thrown(solved: Solved, given: dict[str, Any]) -> Solved:
    """The solve; an error if it failed. Outside of a trace it is made again, with a record, to say where and why."""
    result = solved.solution.result
    failed = jnp.invert(dfx.is_okay(result))
    if isinstance(failed, jax.core.Tracer):
        checked: Solved = result.error_if(solved, failed)
        return checked
    if not failed.any():
        return solved
    limit = given["max_steps"] or LONGEST_RECORD
    own = is_ode(given["terms"]) if isinstance(given["terms"], dfx.AbstractTerm) else True
    plain = own and given["diffusion"] is None
    more = {
        "record": min(limit, LONGEST_RECORD),
        "stiffness": "jvp" if plain else (),
        "throw": False,
    }
    again = solve(**{**given, "regularizer": None, **more})
    rows = f" of {int(failed.sum())} of {failed.size} rows" if failed.ndim else ""
    found = again.hardest
    stop = stopped(found.solution, found.statistics, found.statistics.error.sum.dtype, limit)
    raise OdescentError(
        f"the solve{rows} failed: {stop}; {_HELP[stop.reason]}, or give throw=False."
    )


_HELP = {
    "resolution": "look whether the field is finite there and the solution exists",
    "max_steps": "give a larger max_steps=, a looser tolerance, or an implicit solver if the equation is stiff",
    "solver": "give a looser tolerance or another solver",
}


def _untracked_backwards(p: InitialValueProblem) -> Any:
    """The adjoint; one that solves backwards notes nothing on its way, and makes its steps as the solve does."""
    if not isinstance(p.adjoint, dfx.BacksolveAdjoint):
        return p.adjoint
    plain = {"solver": p.solver, "stepsize_controller": p.controller, **p.adjoint.kwargs}
    check_way_back(innermost(plain["solver"]))
    backsolve: Any = dfx.BacksolveAdjoint
    return backsolve(**plain)


def _padded(saveat: dfx.SaveAt) -> bool:
    """Whether places are kept for every step that might be made."""
    subs = jax.tree.leaves(saveat.subs, is_leaf=lambda x: isinstance(x, dfx.SubSaveAt))
    return any(bool(s.steps) for s in subs)


def _two_keys(key: Any) -> tuple[Any, Any]:
    """For the noise and for the regularizer; OdescentError for what is not one key."""
    try:
        first, second = jr.split(key)
    except (TypeError, ValueError):
        raise expected("key=", "one JAX key, as jax.random.key(0) is", key) from None
    return first, second


def _typed(y0: PyTree, t0: Any, t1: Any) -> tuple[PyTree, Any, Any, float | None]:
    """States as floating arrays, the ends of the interval in their type, and its length, None where it is traced."""
    try:
        y0 = jax.tree.map(jnp.asarray, y0)
    except (TypeError, ValueError, OverflowError):
        raise expected("y0", "a pytree of arrays and numbers", y0) from None
    leaves = jax.tree.leaves(y0)
    if not leaves:
        raise OdescentError("y0 has no leaves: there is nothing to solve.")
    floating = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.inexact)]
    real = real_dtype(floating) if floating else jnp.result_type(float)
    y0 = jax.tree.map(lambda x: x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(real), y0)
    ends = [_time(name, t) for name, t in (("t0", t0), ("t1", t1))]
    known = not any(isinstance(t, jax.core.Tracer) for t in ends)
    length = abs(float(ends[1]) - float(ends[0])) if known else None
    return y0, jnp.asarray(ends[0], real), jnp.asarray(ends[1], real), length


def _time(name: str, t: Any) -> Any:
    traced = isinstance(t, jax.core.Tracer)
    number = jnp.asarray(t) if traced else np.asarray(t)
    if not jnp.issubdtype(number.dtype, jnp.number):
        raise expected(name, "a number", t)
    if number.shape:
        raise OdescentError(
            f"t0 and t1 must be one number each; {name} has the shape {number.shape}."
        )
    if not traced and not np.isfinite(number):
        raise expected(name, "finite", float(number))
    return number


def _in_type_of(t: Array, tree: Any) -> Any:
    """With all floating arrays in the type of the times: others would widen the state."""

    def typed(x: Any) -> Any:
        floating = isinstance(x, np.ndarray | Array) and jnp.issubdtype(x.dtype, jnp.floating)
        return x.astype(t.dtype) if floating else x

    return jax.tree.map(typed, tree)


def _terms(
    terms: Any, diffusion: Any, t0: Any, t1: Any, y0: PyTree, args: Any, key: Any, path: Any
) -> Any:
    if diffusion is not None:
        if isinstance(terms, dfx.AbstractTerm):
            raise OdescentError(
                "diffusion= goes with a drift function; terms of your own contain their noise."
            )
        if key is None:
            raise OdescentError("a diffusion needs noise: give key=jax.random.key(0).")
        check_field(terms, t0, y0, args, "drift")
        return stochastic_terms(terms, diffusion, t0, t1, y0, args, key, path)
    is_term: Any = lambda x: isinstance(x, dfx.AbstractTerm)
    parts = jax.tree.leaves(terms, is_leaf=is_term)
    if parts and all(map(is_term, parts)):  # a pair for symplectic methods
        return terms
    if not callable(terms):
        raise OdescentError(
            f"terms must be a function f(t, y, args) or diffrax terms, not {type(terms).__name__}."
        )
    check_field(terms, t0, y0, args, "vector field")
    return dfx.ODETerm(terms)


def _controller(controller: Any, rtol: Any, atol: Any, noisy: bool, path: Any) -> Any:
    if controller is not None:
        if attribute_of(controller, "rtol") is not None and not (rtol is None and atol is None):
            raise OdescentError("give rtol= and atol=, or a controller that has them, not both.")
        return controller
    usual = USUAL if noisy else 1e-6
    rtol, atol = usual if rtol is None else rtol, usual if atol is None else atol
    if not noisy:
        return dfx.PIDController(rtol=rtol, atol=atol)
    shortest = None if path is None else 2 * path  # a step is longer than what the path resolves
    pid = dfx.PIDController(rtol=rtol, atol=atol, pcoeff=0.1, icoeff=0.3, dtmin=shortest)
    return dfx.ClipStepSizeController(pid, store_rejected_steps=100)


def _first_step(dt0: Any, p: InitialValueProblem, w: Any) -> tuple[Any, int]:
    """The signed first step, or None, and the evaluations that it took."""
    if dt0 is None or isinstance(p.controller, dfx.StepTo):
        return None, 0
    span, selection = jnp.abs(p.t1 - p.t0), 0
    if isinstance(dt0, WarmStart):
        dt0 = dt0.dt0
    if isinstance(dt0, str):
        if dt0 != "hairer":
            raise OdescentError(
                f"dt0={dt0!r} is not known: give 'hairer', a length, a WarmStart, or None."
            )
        if not isinstance(p.controller, dfx.AbstractAdaptiveStepSizeController):
            raise OdescentError(
                f"{type(p.controller).__name__} keeps the step that it is given: give dt0= a length."
            )
        if not is_ode(p.terms):
            length = span / 100
        else:
            order = w.order or p.solver.error_order(p.terms)
            sign = p.direction
            own = lambda t, y, args: jax.tree.map(
                lambda f: f * sign.astype(f.dtype), p.terms.vf(t * sign, y, args)
            )
            length, _ = initial_step(
                own, p.t0 * sign, p.y0, p.args, order=order, rtol=w.rtol, atol=w.atol, norm=w.norm
            )
            selection = 2
    else:
        check_length(dt0, "dt0=")
        length = jnp.abs(jnp.asarray(dt0).astype(span.dtype))
    return jax.lax.stop_gradient(jnp.minimum(length, span)) * p.direction.astype(
        span.dtype
    ), selection
