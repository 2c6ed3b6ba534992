"""The settings of the two papers' experiments, as data.

Read off the public code of arXiv 2105.03918 (RegNeuralODE.jl) and arXiv 2303.02262 (LocalRegNeuralDE.jl).
Both run float32 at tolerances below its resolution, which `solve(..., paper=...)` allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..._support.arguments import checked
from ..._support.errors import check_choice, unknown
from ..._support.rendering.rendered import Rendered

if TYPE_CHECKING:
    from ..regularization.penalty import Regularizer


@dataclass(frozen=True)
class PaperSettings(Rendered):
    """One experiment.

    Attributes:
        reference: arXiv identifier.
        rtol: also atol.
        solver: name of the solver nearest to the paper's in diffrax.
        batch, length: batch size; epochs (2021) or optimizer steps (2023).
        regularizers: by the paper's name: regularizer, and coefficient as a schedule of epoch or step.
        note: what differs here.
    """

    reference: str
    rtol: float
    solver: str
    batch: int
    length: int
    regularizers: dict[str, tuple[Regularizer, Callable[[Any], Any]]] = field(default_factory=dict)
    note: str = ""


@checked
def paper_settings(year: int, experiment: str = "mnist") -> PaperSettings:
    """The settings of an experiment: "mnist", "physionet", "spiral_sde" (2021) or "mnist_sde".

    Multiply a regularizer with its schedule: ``r * schedule``, then ``.at(epoch)`` in the training loop.

    Raises:
        OdescentError: an unknown year or experiment.
    """
    table = {2021: _global, 2023: _local}
    if year not in table:
        raise unknown("paper of the year", year, [str(y) for y in table])
    found = table[year]()
    check_choice(f"experiment of {year}", experiment, found)
    return found[experiment]


def _global() -> dict[str, PaperSettings]:
    from ..regularization.accepted import error, stiffness
    from ..regularization.random_end import steer
    from .penalty_schedules import constant, exponential

    er, sr = error("weighted", "mean"), stiffness("shampine", "max")
    both = error("weighted", "mean") + 0.1 * stiffness("shampine", "mean")
    one = constant(1.0)
    kind = "2105.03918"
    ode = "the paper's stability size, 3.5068, is computed from the tableau"
    sde = "SPaRK (Stratonovich) stands for SOSRI (Ito); its stages are not to be had, so stiffness is by one product"
    by_product = stiffness("jvp", "mean")
    return {
        "mnist": PaperSettings(kind, 1.4e-8, "Tsit5", 512, 75, {
            "STEER": (steer(0.5), one), "ERNODE": (er, exponential(100.0, 10.0, 75)),
            "SRNODE": (sr, constant(0.1)), "ER+SR": (both, constant(10.0))}, ode),
        "physionet": PaperSettings(kind, 1.4e-8, "Tsit5", 512, 300, {
            "ERNODE": (er, exponential(1000.0, 100.0, 300)), "SRNODE": (sr, constant(10.0)),
            "ER+SR": (both, constant(10.0))}, ode),
        "spiral_sde": PaperSettings(kind, 3e-1, "SPaRK", 100, 250, {
            "ERNSDE": (error("weighted", "sum"), constant(0.2))}, sde),
        "mnist_sde": PaperSettings(kind, 1.4e-1, "SPaRK", 512, 40, {
            "ERNSDE": (er, constant(10.0)), "SRNSDE": (by_product, constant(0.1))}, sde),
    }  # fmt: skip


def _local() -> dict[str, PaperSettings]:
    from ..regularization.one_step import local
    from .penalty_schedules import constant, exponential

    kind = "2303.02262"

    def both(schedule: Callable[[Any], Any], quantity: str = "error") -> dict[str, Any]:
        return {
            time: (local(quantity, time, "initial"), schedule) for time in ("unbiased", "biased")
        }

    stiff = {f"{k} stiffness": v for k, v in both(constant(0.1), "shampine").items()}
    return {
        "mnist": PaperSettings(kind, 1.4e-8, "Tsit5", 512, 7500, both(exponential(2.5, 1.0, 7500)) | stiff),
        "physionet": PaperSettings(kind, 1.4e-8, "Tsit5", 512, 3000, both(exponential(100.0, 10.0, 3000))),
        "mnist_sde": PaperSettings(kind, 1.4e-1, "SPaRK", 512, 4000, both(constant(1000.0)),
                                   "SPaRK (Stratonovich) stands for SOSRI (Ito)"),
    }  # fmt: skip
