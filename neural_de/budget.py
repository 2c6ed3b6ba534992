"""A dual controller: the coefficient that meets a budget, found while training."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._errors import OdescentError


class Budget(eqx.Module):
    """The coefficient of a regularizer as a multiplier that rises while a constraint is violated.

    With NFE the number of function evaluations of a solve, ``Budget(target_nfe=n)`` is dual ascent for
    "least loss subject to NFE <= n": log lambda grows while the solves cost more, and falls while they cost
    less. ``Budget(max_accuracy_loss=d)`` is the same loop with the sign turned round: as few evaluations as an
    accuracy within d of the reference allows. A pytree; `updated` is pure and works inside jit::

        loss = task + budget.coefficient * solved.penalty
        budget = budget.updated(solved.statistics.drift_evaluations)

    Attributes:
        log_coefficient: log lambda.
        target: of NFE, or of the loss in accuracy.
        gain: the largest change of log lambda per update.
        sensitivity: relative violation at which the change is the largest is 1/sensitivity.
        sign: 1 for NFE, -1 for accuracy.
        low, high: bounds of log lambda, against wind-up while a target cannot be met.
    """

    log_coefficient: Float[Array, ""]
    target: Any
    gain: Any
    sensitivity: Any
    low: Any
    high: Any
    sign: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        target_nfe: Any = None,
        max_accuracy_loss: Any = None,
        start: float = 0.01,
        gain: float = 0.1,
        sensitivity: float = 4.0,
        bounds: tuple[float, float] = (1e-8, 1e4),
    ) -> None:
        """One of target_nfe (evaluations per solve) and max_accuracy_loss (0..1), both positive.

        Raises:
            OdescentError: none or both targets, or numbers that are not positive.
        """
        if (target_nfe is None) == (max_accuracy_loss is None):
            raise OdescentError("a Budget has one target: target_nfe= or max_accuracy_loss=.")
        target = target_nfe if max_accuracy_loss is None else max_accuracy_loss
        for name, number in (
            ("target", target), ("start", start), ("gain", gain), ("sensitivity", sensitivity), ("bounds", bounds[0]),
        ):  # fmt: skip
            if isinstance(number, int | float) and not number > 0:
                raise OdescentError(f"a Budget's {name} must be positive, not {number!r}.")
        if not bounds[0] < bounds[1]:
            raise OdescentError(f"a Budget's bounds go from low to high, not {bounds}.")
        self.log_coefficient = jnp.log(jnp.asarray(start, float))
        self.target, self.gain, self.sensitivity = target, gain, sensitivity
        self.low, self.high = jnp.log(jnp.asarray(bounds[0])), jnp.log(jnp.asarray(bounds[1]))
        self.sign = 1 if max_accuracy_loss is None else -1

    @property
    def coefficient(self) -> Float[Array, ""]:
        """lambda."""
        return jnp.exp(self.log_coefficient)

    def updated(self, measured: Any) -> Budget:
        """After a solve of so many evaluations (the mean of a batch), or a loss of so much accuracy.

        A measurement that is not finite (a failed solve) counts as the worst.
        """
        x = jnp.asarray(measured)
        x = jnp.mean(x.astype(self.log_coefficient.dtype))
        violation = self.sensitivity * (x / self.target - 1)
        violation = jnp.where(jnp.isfinite(violation), jnp.clip(violation, -1, 1), 1.0)
        new = jnp.clip(
            self.log_coefficient + self.sign * self.gain * violation, self.low, self.high
        )
        after: Budget = eqx.tree_at(
            lambda b: b.log_coefficient, self, new.astype(self.log_coefficient.dtype)
        )
        return after
