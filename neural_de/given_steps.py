"""Steps to given times."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import jax
import numpy as np
from jaxtyping import Array

from .._errors import OdescentError


class GivenSteps(dfx.StepTo):
    """`StepTo` whose times were looked at before the solve.

    diffrax does so during it, by calls to the host, with which a program cannot be exported.
    """

    def wrap(self, direction: Any) -> GivenSteps:
        """In the solver's own time, which increases."""
        return type(self)(ts=self.ts * direction)

    def init(self, *args: Any, **kwargs: Any) -> tuple[Array, int]:
        """The end of the first step, and the index of the next."""
        return self.ts[1], 2


def looked_at(controller: Any, t0: Any, t1: Any) -> Any:
    """A `StepTo` as `GivenSteps`, where its times and the interval are known; any other controller as it is.

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
        raise OdescentError("the times of StepTo go one way, from t0 to t1, without repetition.")
    return GivenSteps(ts=controller.ts)
