"""Penalties on the accepted steps: their errors, their number, their stiffness."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, check_choice
from ..tracking.stages import stability_size
from ..tracking.statistics import REDUCTIONS, Statistics
from ..tracking.tracked_solver import STIFFNESS
from ..tracking.wrapping import innermost
from .penalty import InitialValueProblem, Needs, Outcome, Regularizer

KINDS = ("scaled", "weighted", "squared")


class OfStatistics(Regularizer):
    """A penalty that the statistics of a solve determine."""

    @abc.abstractmethod
    def of(self, statistics: Statistics) -> Float[Array, "*batch"]:
        """From the statistics of a solve alone; of stiffness in 1/time (not over the stability size)."""

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        return self.of(outcome.statistics)


class Error(OfStatistics):
    """See `error`."""

    kind: str = eqx.field(static=True)
    reduction: str = eqx.field(static=True)
    reference: ClassVar[tuple[str, ...]] = ("2105.03918",)

    def of(self, statistics: Statistics) -> Float[Array, "*batch"]:
        s = statistics
        by_kind = {"scaled": s.error, "weighted": s.weighted, "squared": s.squared}
        return by_kind[self.kind].reduce(self.reduction)


class StepNumber(OfStatistics):
    """See `steps`."""

    reduction: str = eqx.field(static=True)

    @property
    def name(self) -> str:
        return "steps()"

    def of(self, statistics: Statistics) -> Float[Array, "*batch"]:
        return statistics.in_steps.reduce(self.reduction)


class Stiffness(OfStatistics):
    """See `stiffness`."""

    kind: str = eqx.field(static=True)
    reduction: str = eqx.field(static=True)
    reference: ClassVar[tuple[str, ...]] = ("2105.03918",)

    def needs(self, problem: InitialValueProblem, key: Any) -> Needs:
        if math.isinf(stability_size(problem.solver)):
            raise OdescentError(
                f"stiffness has no effect on the steps of {type(innermost(problem.solver)).__name__}, which is stable "
                "on the whole negative axis: use error() or steps(), or an explicit solver."
            )
        return Needs(stiffness=(self.kind,))

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        return super().value(outcome) / stability_size(outcome.problem.solver)

    def of(self, statistics: Statistics) -> Float[Array, "*batch"]:
        return statistics.stiffness[self.kind].reduce(self.reduction)


def error(kind: str = "weighted", reduction: str = "sum") -> Error:
    """The embedded error of the accepted steps, ERNODE (arXiv 2105.03918).

    Args:
        kind: "weighted" for E_j h_j, "scaled" for E_j, "squared" for E_j^2, E_j in units of the tolerance.
        reduction: "sum", "mean" or "max" over the steps; the paper's experiments use the mean, which does not
            decrease when the number of steps does.
    """
    return Error(
        check_choice("error", kind, KINDS), check_choice("reduction", reduction, REDUCTIONS)
    )


def steps(reduction: str = "sum") -> StepNumber:
    """The number of steps of an ideal controller: the sum of (E_j + 10^-q)^(1/q).

    A step's length is proportional to E^(1/q), where q is the order of the error estimate, so each term is the ratio of
    the step to the largest acceptable one. Its unit is steps for any problem and tolerance: the coefficient is
    the increase in loss accepted for one step saved.
    """
    return StepNumber(check_choice("reduction", reduction, REDUCTIONS))


def stiffness(kind: str = "jvp", reduction: str = "mean") -> Stiffness:
    """The stiffness of the accepted steps over the solver's stability size, SRNODE (arXiv 2105.03918).

    Args:
        kind: "shampine", the paper's, from two stages at the same time, free but rounding noise in float32
            at tight tolerances; "jvp", one Jacobian-vector product per step, which does not cancel.
        reduction: "sum", "mean" or "max"; the paper's SRNODE uses the max.
    """
    return Stiffness(
        check_choice("stiffness", kind, STIFFNESS), check_choice("reduction", reduction, REDUCTIONS)
    )
