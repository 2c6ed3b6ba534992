"""Step-size controllers: wrappers that count trials or control errors per unit of time, and steps to given times."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ..._support.errors import OdescentError, expected
from .wrapping import of_wrapped


class Trials(eqx.Module):
    """What the controller has seen.

    Attributes:
        inner: the state of the controller that decides.
        counts: of all trials, those from the initial time and those from a jump of the field; then 1 or 0, whether the
            next one starts at the initial time, and at a jump. One array, as in `Seen`.
    """

    inner: Any
    counts: Int[Array, "*batch 5"]


class _Around(dfx.AbstractAdaptiveStepSizeController[Any, Any]):
    """A controller around another one, which decides and has the tolerances."""

    controller: Any

    def __init__(self, controller: Any) -> None:
        self.controller = controller

    rtol = of_wrapped("controller", "rtol")
    atol = of_wrapped("controller", "atol")
    norm = of_wrapped("controller", "norm")

    def wrap(self, direction: Any) -> Any:
        """In the solver's own time, which increases."""
        return type(self)(self.controller.wrap(direction))


class CountingController(_Around):
    """An adaptive controller that counts the trials, which it alone sees; every decision is the inner controller's."""

    def __init__(self, controller: Any) -> None:
        super().__init__(controller)

    def init(self, *start: Any, **more: Any) -> tuple[Any, Trials]:
        end, inner = self.controller.init(*start, **more)
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
        """The inner controller's decision, with the trial counted; see diffrax for the arguments.

        Args:
            t0: start of the trial.
            t1: its end.
            y0: state at the start.
            y1: proposed state at the end.
            args: of the vector field.
            y_error: the embedded error estimate.
            error_order: the order of that estimate.
            state: of the controller, with the counts so far.

        Returns:
            Whether the step is accepted, the ends of the next trial, whether it starts at a jump, the new state, and
            the result.
        """
        keep, *times, jump, inner, result = self.controller.adapt_step_size(
            t0, t1, y0, y1, args, y_error, error_order, state.inner
        )
        trials, first, jumps, at_start, at_jump = state.counts
        counts = trials + 1, first + at_start, jumps + at_jump
        to_jump = jnp.asarray(jump, at_jump.dtype)
        next_one = jnp.where(keep, 0, at_start), jnp.where(keep, to_jump, at_jump)
        after = Trials(inner, jnp.stack([*counts, *next_one]))
        return keep, times[0], times[1], jump, after, result


class PerUnitStep(_Around):
    """A controller that holds the error per unit of time to its tolerances, in place of the error of a step.

    The error of the whole solve is then of the order of the tolerance, whatever the number of steps (Hairer, Norsett,
    Wanner, Solving ODEs I, II.4). The same test as `discretize.controllers.error_per_unit_step`::

        solve(field, y0, t0=0.0, t1=1.0, controller=PerUnitStep(diffrax.PIDController(rtol=1e-6, atol=1e-6)))

    Attributes:
        controller: decides, of the estimated error over the length of the step, which has one order less; so has an
            ``error_order`` that it is given.
    """

    def __init__(self, controller: Any) -> None:
        if not isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
            raise expected(
                "controller", "an adaptive one of diffrax, such as PIDController(rtol=1e-6, atol=1e-6)", controller
            )  # fmt: skip
        super().__init__(controller)

    def init(self, *start: Any) -> tuple[Any, Any]:
        """The inner controller's first step and state; diffrax's arguments, the last one the order of the estimate.

        Raises:
            OdescentError: the error of a step is of the order of its length, so that per unit of time it stays.
        """
        order = start[-1]
        if order is not None and order <= 1:
            raise OdescentError(
                f"PerUnitStep needs an error of order over 1 in the length of a step, this solver's has {order}: "
                "control the error of the step, or take a solver of higher order."
            )
        first: tuple[Any, Any] = self.controller.init(*start)
        return first

    def adapt_step_size(self, t0: Any, t1: Any, *trial: Any) -> tuple[Any, Any, Any, Any, Any, Any]:
        """The inner controller's decision on the error per unit of time; diffrax's arguments and what it returns."""
        *before, error, order, state = trial
        if error is not None:
            error = jax.tree.map(lambda e: e / (t1 - t0).astype(e.dtype), error)
        order = None if order is None else order - 1
        decision: tuple[Any, Any, Any, Any, Any, Any] = self.controller.adapt_step_size(
            t0, t1, *before, error, order, state
        )
        return decision


class GivenSteps(dfx.StepTo):
    """`StepTo` whose times were checked before the solve.

    diffrax does so during it, by calls to the host, with which a program cannot be exported.
    """

    def wrap(self, direction: Any) -> GivenSteps:
        """In the solver's own time, which increases."""
        return type(self)(ts=self.ts * direction)

    def init(self, *args: Any, **kwargs: Any) -> tuple[Array, int]:
        """The end of the first step, and the index of the next."""
        return self.ts[1], 2


def looked_at(controller: Any, t0: Any, t1: Any) -> Any:
    """A `StepTo` as `GivenSteps`, where its times and the interval are known.

    Args:
        controller: any.
        t0, t1: the interval of the solve.

    Returns:
        The controller; any other one as it is.

    Raises:
        OdescentError: times that are not those of the interval, in order.
    """
    if not isinstance(controller, dfx.StepTo):
        return controller
    if any(isinstance(x, jax.core.Tracer) for x in (controller.ts, t0, t1)):
        return controller
    times = np.asarray(controller.ts)
    ends = np.asarray([t0, t1], times.dtype)
    if not np.array_equal(times[[0, -1]], ends):
        raise OdescentError(
            f"StepTo goes from {times[0]:g} to {times[-1]:g}, the solve from {ends[0]:g} to {ends[1]:g}: give times "
            "that begin and end as the solve does."
        )
    if not (np.diff(times) * np.sign(ends[1] - ends[0]) > 0).all():
        raise OdescentError(
            "the times of StepTo must go one way, from t0 to t1, without repetition."
        )
    return GivenSteps(ts=controller.ts)
