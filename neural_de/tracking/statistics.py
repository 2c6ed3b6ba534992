"""The accumulator of a solve, and the statistics reported afterwards."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ..._support.errors import check_choice
from ..._support.rendering.rendered import Rendered
from .evaluations import Cost, Evaluations
from .norms import real_dtype

REDUCTIONS = ("sum", "mean", "max")


class Summary(Rendered, eqx.Module):
    """One quantity over the accepted steps, or several that are noted together.

    Attributes:
        count: how many steps.
        sum, maximum: over the steps; 0 if there was none. Of several quantities they have one axis more, the last one.
    """

    count: Int[Array, "*batch"]
    sum: Float[Array, "..."]
    maximum: Float[Array, "..."]

    @staticmethod
    def empty(dtype: Any, shape: tuple[int, ...] = ()) -> Summary:
        """Nothing seen yet."""
        return Summary(jnp.asarray(0), jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

    def __getitem__(self, i: int) -> Summary:
        """One of several quantities."""
        return Summary(self.count, self.sum[..., i], self.maximum[..., i])

    def add(self, x: Float[Array, "..."]) -> Summary:
        """With one more (nonnegative) number of each quantity."""
        return Summary(self.count + 1, self.sum + x, jnp.maximum(self.maximum, x))

    def scaled(self, factor: Float[Array, "*batch"]) -> Summary:
        """Times a number per solve."""
        each = jnp.reshape(factor, factor.shape + (1,) * (self.sum.ndim - factor.ndim))
        return Summary(self.count, each * self.sum, each * self.maximum)

    @property
    def mean(self) -> Float[Array, "*batch"]:  # of one quantity
        """The mean over the steps; 0 if there was none."""
        return self.sum / jnp.maximum(self.count, 1).astype(self.sum.dtype)

    def reduce(self, how: str) -> Float[Array, "*batch"]:
        """The sum, mean or max."""
        check_choice("reduction", how, REDUCTIONS)
        return {"sum": self.sum, "mean": self.mean, "max": self.maximum}[how]


class Captured(eqx.Module):
    """One state of a solve, as constants: no gradient flows through it.

    Attributes:
        t, h: the solver's own time (increasing also for a solve backwards), and the length of the step.
        y: the state there.
    """

    t: Float[Array, ""]
    h: Float[Array, ""]
    y: PyTree


class StepRecord(Rendered, eqx.Module):
    """The first accepted steps one by one; entries past the last step are 0.

    Attributes:
        t, h: start and length of each step, in the solver's own time, shape (*batch, record).
        error: E of each step.
        stiffness: S of each step, by kind.
    """

    t: Float[Array, "..."]
    h: Float[Array, "..."]
    error: Float[Array, "..."]
    stiffness: dict[str, Float[Array, "..."]]


class Seen(eqx.Module):
    """The accumulator in the solver's state: what the accepted steps so far have shown.

    Attributes:
        errors: of E, E^2, E h and E in steps (`Statistics`), as one: a solver's loop saves and restores every array
            of its state by itself, which costs time at every step, and more when it is compiled.
        stiffness: by kind; apart, since a penalty on the error needs no gradient of it.
    """

    errors: Summary
    stiffness: dict[str, Summary]
    first_step: Float[Array, ""]
    first_error: Float[Array, ""]
    captured: dict[str, Captured]
    record: StepRecord | None
    order: float = eqx.field(static=True)
    stability: float = eqx.field(static=True)
    cost: Cost = eqx.field(static=True)

    def add(self, t: Any, h: Any, error: Any, stiffness: dict[str, Any]) -> Seen:
        """With one more accepted step.

        Args:
            t, h: its start and its length, positive, in the solver's own time.
            error: E, in units of the tolerance.
            stiffness: by kind, in 1/time.

        Returns:
            The accumulator after it.
        """
        n, length = self.errors.count, h.astype(error.dtype)
        floor = 10.0**-self.order  # a controller lets a step grow tenfold at most
        record = self.record
        if record is not None:
            new = StepRecord(t, h, error, stiffness)
            record = jax.tree.map(lambda row, x: row.at[n].set(x, mode="drop"), record, new)
        in_steps = (error + floor) ** (1 / self.order)
        return Seen(
            self.errors.add(jnp.stack([error, error**2, error * length, in_steps])),
            {kind: self.stiffness[kind].add(s) for kind, s in stiffness.items()},
            jnp.where(n == 0, h, self.first_step),
            jnp.where(n == 0, error, self.first_error),
            self.captured,
            record,
            self.order,
            self.stability,
            self.cost,
        )


def nothing_seen(
    t: Any,
    y: PyTree,
    order: float,
    stability: float,
    cost: Cost,
    kinds: tuple[str, ...],
    captures: tuple[str, ...],
    record: int,
) -> Seen:
    """The accumulator at the start.

    Args:
        t, y: where the solve starts; captures begin there, with a step of length 0.
        order: of the error estimate.
        stability: `stability_size` of the solver.
        cost: evaluations of a step.
        kinds: of stiffness.
        captures: their names.
        record: how many steps are kept one by one.

    Returns:
        Zeros of the types of state and time.
    """
    real = real_dtype(y)
    time = jnp.asarray(t)
    row, times = jnp.zeros(record, real), jnp.zeros(record, time.dtype)
    return Seen(
        errors=Summary.empty(real, (4,)),
        stiffness=dict.fromkeys(kinds, Summary.empty(real)),
        first_step=jnp.zeros_like(time),
        first_error=jnp.zeros((), real),
        captured={name: Captured(time, jnp.zeros_like(time), y) for name in captures},
        record=StepRecord(times, times, row, dict.fromkeys(kinds, row)) if record else None,
        order=order,
        stability=stability,
        cost=cost,
    )


class Statistics(Rendered, eqx.Module):
    """The cost of a solve and properties of its accepted steps; batched as the solve.

    E_j is step j's error in units of the tolerance (accepted when below 1), h_j its length, q the
    order of the error estimate, S_j the stiffness estimate in 1/time.

    Attributes:
        accepted, rejected: numbers of steps.
        drift_evaluations, diffusion_evaluations: exact numbers, the rejected steps and the choice of
            the first step included; None where they cannot be known (implicit solvers) or do not apply.
        jacobian_products: of the drift, made by stiffness(kind="jvp").
        error, squared, weighted: of E_j, E_j^2 and E_j h_j.
        in_steps: of (E_j + 10^-q)^(1/q), h_j over the step that would just be accepted; the sum
            predicts how many steps a perfect controller would take.
        stiffness: of S_j, by kind; empty unless requested. These five are NaN, and so are their gradients, where the
            solve failed: the steps made so far do not represent the solve.
        first_step, first_error: h_1 and E_1.
        order: q.
        stability: `stability_size` of the solver; inf with noise, where it is not defined.
        record: the individual steps, if requested.
    """

    accepted: Int[Array, "*batch"]
    rejected: Int[Array, "*batch"]
    drift_evaluations: Int[Array, "*batch"] | None
    diffusion_evaluations: Int[Array, "*batch"] | None
    jacobian_products: Int[Array, "*batch"]
    error: Summary
    squared: Summary
    weighted: Summary
    in_steps: Summary
    stiffness: dict[str, Summary]
    first_step: Float[Array, "*batch"]
    first_error: Float[Array, "*batch"]
    record: StepRecord | None
    order: float = eqx.field(static=True)
    stability: float = eqx.field(static=True)


def summarize(seen: Seen, trials: Any, first: Any, jumps: Any, selection: int = 0) -> Statistics:
    """The report from the accumulator and the counts of trials.

    Args:
        seen: the accumulator at the end.
        trials, first, jumps: all trials, those from the initial time, those from a jump of the field.
        selection: drift evaluations spent on the choice of the first step.

    Returns:
        Statistics, batched as the solve was.
    """

    def total(e: Evaluations | None) -> Any:
        return None if e is None else jnp.asarray(e.total(trials, first, jumps))

    drift, accepted = total(seen.cost.drift), seen.errors.count
    return Statistics(
        accepted=accepted,
        rejected=trials - accepted,
        drift_evaluations=None if drift is None else drift + selection,
        diffusion_evaluations=total(seen.cost.diffusion),
        jacobian_products=jnp.asarray(trials * int("jvp" in seen.stiffness)),
        error=seen.errors[0],
        squared=seen.errors[1],
        weighted=seen.errors[2],
        in_steps=seen.errors[3],
        stiffness=seen.stiffness,
        first_step=seen.first_step,
        first_error=seen.first_error,
        record=seen.record,
        order=seen.order,
        stability=seen.stability,
    )
