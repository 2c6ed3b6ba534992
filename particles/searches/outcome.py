"""Results of a minimization."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MESSAGES = (
    "the steps are used up.",
    "the particles agree.",
    "the best value has not improved any more.",
    "the target is reached.",
    "no value of the objective was finite.",
    "the time is used up.",
    "it was stopped by the callback.",
    "it was interrupted.",
    "the objective failed.",
    "the consensus point and the best value are at rest.",
)
BUDGET, AGREED, STAGNANT, REACHED, NOT_FINITE, TIME, CALLBACK, INTERRUPTED, FAILED, AT_REST = range(
    len(MESSAGES)
)
SUCCESSES = (AGREED, STAGNANT, REACHED, AT_REST)


@dataclass(frozen=True)
class History(Rendered):
    """The searches step by step.

    Attributes:
        k: the steps of the rows.
        consensus: the consensus point before each step, shape (runs, rows, d).
        best_value: the best value so far, shape (runs, rows).
        ess: effective sample size, shape (runs, rows).
        spread: mean square distance of the particles from the consensus point over d, shape (runs, rows).
        particles: positions, shape (runs, frames, N, d), and
        frames: their steps; both are empty unless requested.
    """

    k: Int[np.ndarray, " rows"]
    consensus: Float[np.ndarray, "runs rows d"]
    best_value: Float[np.ndarray, "runs rows"]
    ess: Float[np.ndarray, "runs rows"]
    spread: Float[np.ndarray, "runs rows"]
    particles: Float[np.ndarray, "runs frames N d"]
    frames: Int[np.ndarray, " frames"]


@dataclass(frozen=True)
class Minimum(Rendered):
    """The outcome of `minimize`, with SciPy's names and additional ones.

    Attributes:
        x, fun: the best point that was evaluated, shape (d,), and its value.
        consensus, consensus_fun: the consensus point at the end of the best search, brought back into the feasible
            set, and the value there (NaN where the objective failed there).
        success: whether the best search met a stopping criterion (agreement, rest, no improvement, target). This does
            not imply that the minimum is global, which function values cannot show.
        status, message: why the best search ended.
        nit, nfev: steps, and evaluations of the objective, of all searches together.
        nonfinite: number of evaluations that were not finite; these had weight zero.
        population: the final particles of each search, shape (runs, N, d); see `modes`.
        xs, funs, consensuses: the best points (runs, d), their values (runs,), and the consensus points (runs, d).
        statuses: why each search ended (runs,).
        history: see `History`.
        parameters: the numbers used.
        method: the name of the algorithm.
        error: an error raised by the objective, if any; for one raised at the consensus point see ``message``.
    """

    x: Float[np.ndarray, " d"]
    fun: float
    consensus: Float[np.ndarray, " d"]
    consensus_fun: float
    success: bool
    status: int
    message: str
    nit: int
    nfev: int
    nonfinite: int
    population: Float[np.ndarray, "runs N d"] = field(repr=False)
    xs: Float[np.ndarray, "runs d"]
    funs: Float[np.ndarray, " runs"]
    consensuses: Float[np.ndarray, "runs d"]
    statuses: Int[np.ndarray, " runs"]
    history: History = field(repr=False)
    parameters: dict[str, float]
    method: str
    error: BaseException | None = None

    def modes(self, radius: float) -> tuple[Float[np.ndarray, "M d"], Int[np.ndarray, " M"]]:
        """Where the particles of all searches gather, the largest crowd first, and how many are in each.

        Crowd by crowd: the particle with the most others within ``radius`` (in every coordinate), and the median of
        these. "polar_cbo" gathers in several minimizers at once, other methods in one for each search.
        Raises OdescentError for a radius that is not more than 0.
        """
        if not radius > 0:
            raise OdescentError(
                f"the radius of a cluster must be more than 0, not {short(radius)}."
            )
        left = self.population.reshape(-1, self.population.shape[-1])
        places, sizes = [], []
        while len(left):
            counts = [int((np.abs(left - p) < radius).all(axis=1).sum()) for p in left]
            crowd = (np.abs(left - left[int(np.argmax(counts))]) < radius).all(axis=1)
            places.append(np.median(left[crowd], axis=0))
            sizes.append(int(crowd.sum()))
            left = left[~crowd]
        order = np.argsort(-np.array(sizes), kind="stable")
        return np.array(places)[order], np.array(sizes)[order]

    def _headline(self) -> str:
        return f"fun {self.fun:.6g} after {self.nfev:,} evaluations: {self.message.rstrip('.')}"

    def __str__(self) -> str:
        def shown(point: np.ndarray) -> str:
            return np.array2string(point, precision=6, threshold=8)

        rows = [
            ("fun", f"{self.fun + 0.0:.10g}"),
            ("x", shown(self.x)),
            ("consensus", f"{shown(self.consensus)}, value {self.consensus_fun + 0.0:.10g}"),
            ("success", f"{self.success}: {self.message}"),
            ("steps", f"{self.nit:,} in {quantity(len(self.funs), 'run')}"),
            ("evaluations", f"{self.nfev:,}" + (f", {self.nonfinite:,} not finite" * (self.nonfinite > 0))),
        ]  # fmt: skip
        return "\n".join(f"{name:<12} {said}" for name, said in rows)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def plot(self, ax: Axes | None = None) -> Axes:
        """Best value and spread of every search against the step; the axes are returned."""
        return drawn(self, ax)


class ObjectiveFailed(OdescentError):
    """The objective raised an error or returned no numbers; ``result`` is the run so far, None before the first step.

    The error itself is the cause.
    """

    def __init__(self, sentence: str, result: Minimum | None = None) -> None:
        super().__init__(sentence)
        self.result = result
