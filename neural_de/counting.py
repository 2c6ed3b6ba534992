"""A wrapper around an adaptive controller that counts trials: it alone sees the rejected ones."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int


def attribute_of(controller: Any, name: str) -> Any:
    """An attribute of the controller or of one that it wraps; None if there is none."""
    while controller is not None:
        found = getattr(controller, name, None)
        if found is not None:
            return found
        controller = getattr(controller, "controller", None)
    return None


class Trials(eqx.Module):
    """What the controller has seen.

    Attributes:
        inner: the state of the controller that decides.
        counts: of all trials, those from the initial time and those from a jump of the field; then 1 or 0, whether the
            next one starts at the initial time, and at a jump. One array, as in `Seen`.
    """

    inner: Any
    counts: Int[Array, "*batch 5"]

    @property
    def trials(self) -> Int[Array, "*batch"]:
        """All of them."""
        return self.counts[..., 0]

    @property
    def first(self) -> Int[Array, "*batch"]:
        """Those from the initial time."""
        return self.counts[..., 1]

    @property
    def jumps(self) -> Int[Array, "*batch"]:
        """Those from a jump of the field."""
        return self.counts[..., 2]


class CountingController(dfx.AbstractAdaptiveStepSizeController[Trials, Any]):
    """An adaptive controller that counts the trials; every decision is the inner controller's."""

    inner: Any

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property  # type: ignore[misc]
    def rtol(self) -> Any:  # type: ignore[override]
        return self.inner.rtol

    @property  # type: ignore[misc]
    def atol(self) -> Any:  # type: ignore[override]
        return self.inner.atol

    @property  # type: ignore[misc]
    def norm(self) -> Any:  # type: ignore[override]
        return self.inner.norm

    def wrap(self, direction: Any) -> CountingController:
        return CountingController(self.inner.wrap(direction))

    def init(
        self,
        terms: Any,
        t0: Any,
        t1: Any,
        y0: Any,
        dt0: Any,
        args: Any,
        func: Any,
        error_order: Any,
    ) -> tuple[Any, Trials]:
        end, inner = self.inner.init(terms, t0, t1, y0, dt0, args, func, error_order)
        return end, Trials(inner, jnp.asarray([0, 0, 0, 1, 0]))

    def adapt_step_size(
        self,
        t0: Any,
        t1: Any,
        y0: Any,
        y1: Any,
        args: Any,
        y_error: Any,
        error_order: Any,
        state: Trials,
    ) -> tuple[Any, Any, Any, Any, Trials, Any]:
        keep, *times, jump, inner, result = self.inner.adapt_step_size(
            t0, t1, y0, y1, args, y_error, error_order, state.inner
        )
        trials, first, jumps, at_start, at_jump = state.counts
        counts = trials + 1, first + at_start, jumps + at_jump
        to_jump = jnp.asarray(jump, at_jump.dtype)
        next_one = jnp.where(keep, 0, at_start), jnp.where(keep, to_jump, at_jump)
        after = Trials(inner, jnp.stack([*counts, *next_one]))
        return keep, times[0], times[1], jump, after, result
