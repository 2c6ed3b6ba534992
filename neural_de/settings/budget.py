"""A dual controller: the coefficient for a budget, adapted during training."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short

_FORGET = 0.1  # share of an update in the mean of the violations
_RETURN = 0.03  # share of the way back to where violations ended, per update
_LOWER = 0.1  # weight in that place of a violation that ended further out
_LONG = 200  # updates in a row over the budget after which they count as the worst
_EXACT = 1e-3  # a violation that is rounding
_SHUT = 1e-3  # a share of the coefficient that does nothing


@checked
class Budget(eqx.Module):
    """The coefficient of a regularizer as a multiplier that rises while a constraint is violated.

    With NFE the number of function evaluations of a solve, ``Budget(target_nfe=n)`` is dual ascent for
    "least loss subject to NFE <= n": log lambda grows while the solves cost more, and falls while they cost
    less. ``Budget(max_accuracy_loss=d)`` is the same loop with the opposite sign: the fewest evaluations for an
    accuracy within d of the reference. The weights respond to lambda only after some tens of steps, so the
    integral alone would oscillate; a term proportional to the violation (over about the last ten updates) damps
    it, as in a PI controller. A lasting violation is weighted increasingly, since a solve has few steps.

    An untrained field is cheap to solve. Nothing is penalized at the start, nor while solves are far within a budget
    of evaluations or accuracies far below a budget of accuracy, because weights shaped by the penalty alone learn
    slowly afterwards. While the penalty is inactive, lambda does not fall. If the constraint holds without the
    penalty, but narrowly, the integral decreases by decades in a long training; once the constraint is violated
    again, the integral returns within some tens of updates to its value at the end of earlier violations. A pytree;
    `updated` is pure and works inside jit::

        loss = task + budget.coefficient * solved.penalty
        budget = budget.updated(solved.statistics.drift_evaluations)

    Attributes:
        log_coefficient: log lambda without the proportional term.
        violation: weighted mean of the last violations, between -1 and 1; recent ones have larger weights.
        met: log_coefficient at the end of the last violation; before the first one, a bound.
        lasting: updates in a row over the budget.
        near: share of the last updates that were not far from the budget; if it is 0, nothing is penalized.
        target: the target of NFE, or of the loss in accuracy.
        gain: the largest change of log lambda per update.
        damping: the proportional term is gain * damping * violation: the lag of the weights, in updates.
        sensitivity: relative violation at which the change is the largest is 1/sensitivity.
        sign: 1 for NFE, -1 for accuracy.
        low, high: bounds of log lambda, against wind-up while the target cannot be met.
    """

    log_coefficient: Float[Array, ""]
    violation: Float[Array, ""]
    met: Float[Array, ""]
    lasting: Float[Array, ""]
    near: Float[Array, ""]
    target: Any
    gain: Any
    damping: Any
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
        damping: float = 30.0,
        sensitivity: float | None = None,
        bounds: tuple[float, float] = (1e-8, 1e4),
    ) -> None:
        """One of target_nfe (evaluations per solve) and max_accuracy_loss (0..1), both positive.

        The sensitivity is 4 for evaluations, and 1/4 for an accuracy, which a batch shows with an error that is
        several times a target such as 0.01: what is cut off there would not average out.

        Args:
            target_nfe, max_accuracy_loss: one of them.
            start: of the coefficient.
            gain, damping, sensitivity: as the attributes.
            bounds: of the coefficient.

        Raises:
            OdescentError: none or both targets, or numbers that are not positive.
        """
        if (target_nfe is None) == (max_accuracy_loss is None):
            raise OdescentError("a Budget has one target: target_nfe= or max_accuracy_loss=.")
        target = target_nfe if max_accuracy_loss is None else max_accuracy_loss
        if sensitivity is None:
            sensitivity = 4.0 if max_accuracy_loss is None else 0.25
        for name, number in (
            ("target", target), ("start", start), ("gain", gain), ("damping", damping),
            ("sensitivity", sensitivity), ("bounds", bounds[0]),
        ):  # fmt: skip
            if isinstance(number, int | float) and not number > 0:
                raise OdescentError(f"a Budget's {name} must be positive, not {short(number)}.")
        if not bounds[0] < bounds[1]:
            raise OdescentError(f"a Budget's bounds must go from low to high, not {bounds}.")
        self.log_coefficient = jnp.log(jnp.asarray(start, float))
        self.violation = self.lasting = self.near = jnp.zeros_like(self.log_coefficient)
        self.target, self.gain = _array(target), _array(gain)
        self.damping, self.sensitivity = _array(damping), _array(sensitivity)
        self.low, self.high = (jnp.log(jnp.asarray(b, float)) for b in bounds)  # none of weak type
        self.sign = 1 if max_accuracy_loss is None else -1
        self.met = jnp.asarray(self.low if self.sign > 0 else self.high, float)

    @property
    def coefficient(self) -> Float[Array, ""]:
        """What multiplies the penalty: lambda with the proportional term, and nothing far from the budget."""
        swing = self.sign * self.gain * self.damping * self.violation
        return jnp.exp(jnp.clip(self.log_coefficient + swing, self.low, self.high)) * self._share

    @property
    def _share(self) -> Float[Array, ""]:
        return jnp.exp(1 - 1 / jnp.maximum(self.near, 1e-2))

    def updated(self, measured: Any) -> Budget:
        """After a solve of so many evaluations (the mean of a batch), or a loss of so much accuracy.

        A measurement that is not finite (a failed solve) counts as the worst.
        """
        x = jnp.asarray(measured)
        x = jnp.mean(x.astype(self.log_coefficient.dtype))
        violation = self.sensitivity * (x / self.target - 1)
        violation = jnp.where(jnp.isfinite(violation), jnp.clip(violation, -1, 1), 1.0)
        lasting = jnp.where(violation > _EXACT, self.lasting + 1, 0)
        lately = self.violation + _FORGET * (violation - self.violation)
        way = jnp.maximum(self.sign * (self.met - self.log_coefficient), 0)
        rate = jnp.where(lasting > 0, jnp.clip(lasting / _LONG, violation, 1), violation)
        change = self.gain * rate + _RETURN * jnp.where(lately > 0, way, 0)
        change = jnp.where((self._share < _SHUT) & (self.sign * change < 0), 0, change)
        new = jnp.clip(self.log_coefficient + self.sign * change, self.low, self.high)
        near = self.near + _FORGET * (jnp.where(self.sign * violation > -1, 1, 0) - self.near)
        # A violation that ended with less penalty than those before may have ended by itself.
        end = jnp.where(way > 0, self.met - self.sign * _LOWER * way, self.log_coefficient)
        met = jnp.where((self.violation > 0) & (lately <= 0), end, self.met)
        dtype = self.log_coefficient.dtype
        after: Budget = eqx.tree_at(
            lambda b: (b.log_coefficient, b.violation, b.met, b.lasting, b.near),
            self,
            tuple(x.astype(dtype) for x in (new, lately, met, lasting, near)),
        )
        return after


def _array(x: Any) -> Any:
    """Numbers as arrays, so that a checkpoint has them whether it was placed on devices or not."""
    return jnp.asarray(x, float) if isinstance(x, int | float) else x
