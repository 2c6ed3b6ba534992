"""A wrapper of any diffrax solver that records its accepted steps.

The solver's state is kept on accepted steps only, so that an accumulator in it sees those alone, and
it is differentiable.
"""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from ..._support.errors import OdescentError
from .brownian import drawn, reading
from .evaluations import cost_of, has_noise, is_expensive
from .norms import Norm, rms, scaled_error
from .stages import check_stages, stability_size
from .statistics import Captured, Seen, nothing_seen
from .unrolled import step_with_stiffness
from .wrapping import innermost, of_wrapped

STIFFNESS = ("shampine", "jvp")


class Capture(eqx.Module):
    """The state of the solve to record.

    Attributes:
        time: in the solver's own time, the step (or the state) at it; None draws an accepted step, all
            equally likely, by reservoir sampling.
        key: for that draw.
        at_time: whether the state is that at `time` itself (by the solver's interpolation) instead of
            that at the start of its step.
    """

    time: Array | None = None
    key: Array | None = None
    at_time: bool = eqx.field(static=True, default=False)


class Watch(eqx.Module):
    """What to note: the controller's tolerances and norm, stiffness by kind, captures, records."""

    rtol: Any
    atol: Any
    norm: Norm = rms
    order: float | None = eqx.field(static=True, default=None)
    stiffness: tuple[str, ...] = eqx.field(static=True, default=())
    captures: dict[str, Capture] = eqx.field(default_factory=dict)
    record: int = eqx.field(static=True, default=0)


class TrackedSolver(dfx.AbstractWrappedSolver[Any]):
    """A solver whose state includes `Seen` and the Brownian path at the start of the step.

    Everything else is the inner solver's.
    """

    inner: dfx.AbstractSolver[Any]
    watch: Watch

    @property
    def solver(self) -> Any:  # type: ignore[override]
        """The innermost solver: diffrax checks its type for implicit, Ito, Stratonovich, ..."""
        return innermost(self.inner)

    # diffrax sets the one for forward-mode differentiation, and gives the others the controller's tolerances
    scan_kind = of_wrapped("solver", "scan_kind")
    root_finder = of_wrapped("solver", "root_finder")
    root_find_max_steps = of_wrapped("solver", "root_find_max_steps")
    term_structure = of_wrapped("inner", "term_structure")
    interpolation_cls = of_wrapped("inner", "interpolation_cls")
    term_compatible_contr_kwargs = of_wrapped("inner", "term_compatible_contr_kwargs")
    order = of_wrapped("inner", "order")
    strong_order = of_wrapped("inner", "strong_order")
    error_order = of_wrapped("inner", "error_order")
    func = of_wrapped("inner", "func")

    def init(self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any) -> tuple[Any, Seen, Any]:
        """The inner solver's state, with empty records; see `diffrax.AbstractSolver.init`.

        Args:
            terms: a pytree of diffrax terms.
            t0: start of the first step.
            t1: its end.
            y0: the initial state.
            args: of the vector field.

        Raises:
            OdescentError: the order of the error estimate is unknown, or a stiffness estimate is not supported.
        """
        noisy, watch = has_noise(terms), self.watch
        for kind in watch.stiffness:
            check_stages(self.inner, kind, noisy)
        order = watch.order or self.inner.error_order(terms)
        if order is None:
            raise OdescentError(
                f"the order of the error estimate of {type(self.inner).__name__} is not known: give the "
                "controller one, as in PIDController(..., error_order=2)."
            )
        expensive = is_expensive(terms, t0, t1, y0, args)
        cost = cost_of(self.inner, noisy, expensive)
        names = tuple(watch.captures)
        stability = float("inf") if noisy else stability_size(self.inner)
        seen = nothing_seen(
            t0, y0, float(order), stability, cost, watch.stiffness, names, watch.record
        )
        start = reading(self.inner, terms, t0)
        return self.inner.init(terms, t0, t1, y0, args), seen, start

    def step(
        self, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, solver_state: Any, made_jump: Any
    ) -> tuple[Any, Any, Any, tuple[Any, Seen, Any], Any]:
        """The inner solver's step; records its error, stiffness and captured values.

        Args:
            terms: a pytree of diffrax terms.
            t0: start of the step.
            t1: its end.
            y0: state at the start.
            args: of the vector field.
            solver_state: the inner solver's state, the records, and the noise at t0.
            made_jump: whether the field jumps at t0.

        Raises:
            OdescentError: the solver has no embedded error estimate.
        """
        inner_state, seen, start = solver_state
        end = reading(self.inner, terms, t1)
        point = (drawn(terms, start, end), t0, t1, y0, args)
        taken, s = step_with_stiffness(
            self.inner, self.watch.stiffness, self.watch.norm, *point, inner_state, made_jump
        )
        y1, error, dense, inner_state, result = taken
        if error is None:
            raise OdescentError(
                f"{type(self.inner).__name__} has no embedded error estimate: use one that has (Tsit5, Dopri5, "
                "Dopri8, Bosh3, Heun, Kvaerno5; SPaRK for noise, ShARK or SRA1 for additive noise), or wrap "
                "it in diffrax.HalfSolver."
            )
        w, h = self.watch, t1 - t0
        e = scaled_error(error, y0, y1, w.rtol, w.atol, w.norm)
        after = seen.add(t0, h, e, s)
        kept = {
            name: _keep(
                c,
                seen.captured[name],
                seen.errors.count,
                t0,
                h,
                y0,
                lambda t, d=dense: self._at(t0, t1, d, t),
            )
            for name, c in w.captures.items()
        }
        after = eqx.tree_at(lambda a: a.captured, after, kept)
        return y1, error, dense, (inner_state, after, end), result

    def _at(self, t0: Any, t1: Any, dense: Any, t: Any) -> Any:
        return self.interpolation_cls(t0=t0, t1=t1, **dense).evaluate(t)


def _keep(
    capture: Capture, old: Captured, n: Any, t0: Any, h: Any, y0: Any, state_at: Any
) -> Captured:
    """The captured state after accepted step number n (from 0)."""
    t, y = t0, y0
    if capture.time is not None:
        hit = (t0 <= capture.time) & (capture.time < t0 + h)
        if capture.at_time:
            t = jnp.clip(capture.time.astype(t0.dtype), t0, t0 + h)
            y = state_at(t)
    else:
        key: Any = capture.key
        uniform = jr.uniform(jr.fold_in(key, n), dtype=t0.dtype)
        hit = uniform * (n + 1).astype(t0.dtype) < 1
    hit = hit | (n == 0)  # a valid state whatever happens
    new = jax.lax.stop_gradient(Captured(t, h, y))
    kept: Captured = jax.tree.map(lambda a, b: jnp.where(hit, a, b), new, old)
    return kept
