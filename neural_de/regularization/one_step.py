"""Heuristics of one step, recomputed outside the solve from a captured state."""

from __future__ import annotations

from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, check_choice
from ..tracking.evaluations import has_noise, is_ode
from ..tracking.first_step import initial_step
from ..tracking.norms import scaled_error
from ..tracking.stages import check_stages, stability_size
from ..tracking.tracked_solver import Capture
from ..tracking.unrolled import StageByStage, step_with_stiffness
from ..tracking.wrapping import innermost
from .penalty import InitialValueProblem, Needs, Outcome, Regularizer, needed_key

QUANTITIES = ("error", "shampine", "jvp")
TIMES = ("unbiased", "biased")
LENGTHS = ("accepted", "initial")


class Oriented(dfx.AbstractTerm[Any, Any]):
    """A term in the solver's own time, direction * t."""

    term: dfx.AbstractTerm[Any, Any]
    direction: Any

    def vf(self, t: Any, y: Any, args: Any) -> Any:
        """The term's vector field at time direction * t; see `diffrax.AbstractTerm.vf`."""
        return self.term.vf(t * self.direction, y, args)

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        forward = self.direction == 1
        begin, end = jnp.where(forward, t0, -t1), jnp.where(forward, t1, -t0)
        control = self.term.contr(begin, end, **kwargs)
        return jax.tree.map(
            lambda x: x * jnp.asarray(self.direction, jnp.asarray(x).dtype), control
        )

    def prod(self, vf: Any, control: Any) -> Any:
        return self.term.prod(vf, control)

    def vf_prod(self, t: Any, y: Any, args: Any, control: Any) -> Any:
        """As `vf`, times a control; see `diffrax.AbstractTerm.vf_prod`."""
        return self.term.vf_prod(t * self.direction, y, args, control)

    def is_vf_expensive(self, t0: Any, t1: Any, y: Any, args: Any) -> bool:
        """See `diffrax.AbstractTerm.is_vf_expensive`."""
        return self.term.is_vf_expensive(t0, t1, y, args)


def _differentiable(solver: Any, adjoint: Any) -> Any:
    """The solver with the loop over stages that this adjoint can differentiate, as diffrax sets it inside."""
    kinds = {dfx.ForwardMode: "lax", dfx.DirectAdjoint: "bounded"}
    inner = innermost(solver)
    if type(adjoint) not in kinds or not isinstance(
        inner, dfx.AbstractRungeKutta | dfx.AbstractSRK
    ):
        return solver
    get = lambda s: innermost(s).scan_kind
    return eqx.tree_at(get, solver, kinds[type(adjoint)], is_leaf=lambda x: x is None)


def _oriented(terms: Any, direction: Any) -> Any:
    single = lambda x: isinstance(x, dfx.AbstractTerm) and not isinstance(x, dfx.MultiTerm)
    return jax.tree.map(lambda term: Oriented(term, direction), terms, is_leaf=single)


class Local(Regularizer):
    """See `local`."""

    quantity: str = eqx.field(static=True)
    time: str = eqx.field(static=True)
    length: str = eqx.field(static=True)
    any_adjoint: ClassVar[bool] = True
    reference: ClassVar[tuple[str, ...]] = ("2303.02262",)

    @property
    def _name(self) -> str:
        return f"{self.time}/{self.length}"

    def needs(self, problem: InitialValueProblem, key: Any) -> Needs:
        key = needed_key(key, "local()")
        if isinstance(problem.solver, dfx.AbstractImplicitSolver):
            raise OdescentError(
                f"local() makes a step outside of the solve, which {type(problem.solver).__name__} cannot: it takes "
                "the tolerances of its root finder from the solve; use an explicit solver, or error()."
            )
        if self.quantity != "error":
            check_stages(problem.solver, self.quantity, has_noise(problem.terms))
        if self.time == "biased":
            return Needs(captures={self._name: Capture(key=key)})
        t0, t1 = jnp.asarray(problem.t0), jnp.asarray(problem.t1)
        time = t0 + jr.uniform(key, dtype=t0.dtype) * (t1 - t0)
        time = jnp.asarray(time * jnp.asarray(problem.direction, t0.dtype))
        return Needs(captures={self._name: Capture(time=time, at_time=self.length == "initial")})

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        p, w, here = outcome.problem, outcome.watch, outcome.captured[self._name]
        terms = _oriented(p.terms, p.direction)
        t, h, y = jax.lax.stop_gradient((here.t, here.h, here.y))
        solver = _differentiable(p.solver, p.adjoint)
        slope = None
        order = outcome.statistics.order
        if self.length == "initial":
            if not is_ode(p.terms):
                h = jnp.abs(jnp.asarray(p.t1) - jnp.asarray(p.t0)) / 100
            else:
                h, slope = initial_step(
                    terms.vf, t, y, p.args, order=order, rtol=w.rtol, atol=w.atol, norm=w.norm
                )
            h = jnp.minimum(h, jnp.asarray(p.t1 * p.direction, t.dtype) - t)
        t1 = t + h
        state = solver.init(terms, t, t1, y, p.args)
        if slope is not None and state is not None and isinstance(solver, dfx.AbstractERK):
            # the paper's integrator is made outside of differentiation, its first stage included
            slope = jax.lax.stop_gradient(slope)
            state = slope if isinstance(solver, StageByStage) else (jnp.asarray(False), slope)
        kinds = () if self.quantity == "error" else (self.quantity,)
        (y1, err, *_), s = step_with_stiffness(
            solver, kinds, w.norm, terms, t, t1, y, p.args, state, False
        )
        if self.quantity == "error":
            e = scaled_error(err, y, y1, w.rtol, w.atol, w.norm)
            return e * (t1 - t).astype(e.dtype) if self.length == "initial" else e
        return s[self.quantity] / stability_size(solver)


def local(quantity: str = "error", time: str = "unbiased", step: str = "accepted") -> Local:
    """One step's error or stiffness at a random time of the solve (arXiv 2303.02262).

    The state is captured during the solve, in memory for one state, and held constant; the step is repeated outside the
    solve, so any adjoint can be used. The cost is one step.

    Args:
        quantity: "error", or stiffness by "shampine" or "jvp" over the solver's stability size.
        time: "unbiased" draws the time uniformly, so that steps count by their length; "biased" draws one of the
            solver's own steps, all equally likely.
        step: "accepted" makes the solver's own step again: E_j of that step. "initial" is the paper's form: E h of a
            step from there (from the drawn time itself if unbiased) of the length that Hairer's selection gives
            (a hundredth of the interval for terms that are more than one ODE's), its first stage constant. At tight
            tolerances that step is so short that its error is next to nothing.

    Returns:
        The penalty, without unit; E h in units of time for step="initial".

    Raises:
        OdescentError: an unknown word.
    """
    check_choice("quantity", quantity, QUANTITIES)
    check_choice("sampling of the time", time, TIMES)
    check_choice("step", step, LENGTHS)
    return Local(quantity, time, step)
