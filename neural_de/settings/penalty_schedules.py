"""Coefficients as functions of the training step, to be multiplied with regularizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short


def constant(value: float) -> Callable[[Any], float]:
    """The same coefficient at every step."""
    return lambda step: value


@checked
def exponential(start: float, end: float, steps: int) -> Callable[[Any], Any]:
    """start (end/start)^(step/steps): from start at step 0 to end at `steps`, and on from there at the same rate.

    Args:
        start, end: positive.
        steps: the number of steps from one to the other, positive; the papers count epochs.

    Returns:
        A function of the step, a number or a traced array.
    """
    if not (start > 0 and end > 0 and steps > 0):
        raise OdescentError(
            f"exponential(start, end, steps) takes positive numbers, not {short(start)}, {end!r} and {steps!r}."
        )

    def coefficient(step: Any) -> Any:
        if isinstance(step, int | float):
            return float(start * (end / start) ** (step / steps))
        import jax.numpy as jnp

        x = jnp.asarray(step)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            x = x.astype(jnp.result_type(float))
        return start * (end / start) ** (x / steps)

    return coefficient
