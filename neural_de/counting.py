"""A wrapper around an adaptive controller that counts trials: it alone sees the rejected ones."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def attribute_of(controller: Any, name: str) -> Any:
    """An attribute of the controller or of one that it wraps; None if there is none."""
    while controller is not None:
        found = getattr(controller, name, None)
        if found is not None:
            return found
        controller = getattr(controller, "controller", None)
    return None


class Trials(eqx.Module):
    """What the controller has seen: all trials, those from the initial time, those from a jump."""

    inner: Any
    trials: Int[Array, ""]
    first: Int[Array, ""]
    jumps: Int[Array, ""]
    at_start: Bool[Array, ""]
    at_jump: Bool[Array, ""]


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
        none = jnp.asarray(0)
        return end, Trials(inner, none, none, none, jnp.asarray(True), jnp.asarray(False))

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
        after = Trials(
            inner,
            state.trials + 1,
            state.first + jnp.where(state.at_start, 1, 0),
            state.jumps + jnp.where(state.at_jump, 1, 0),
            state.at_start & ~keep,
            jnp.where(keep, jump, state.at_jump),
        )
        return keep, times[0], times[1], jump, after, result
