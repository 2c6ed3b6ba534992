"""Training tasks and their registry: one small file each, one line here; on `models`, `settings` and `solving`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.registry import Registry

if TYPE_CHECKING:
    from .task import Task

TASKS: Registry[Task] = Registry(
    "task",
    __name__,
    {
        "digits-ode": "classification:DigitsByODE",
        "digits-sde": "classification:DigitsBySDE",
        "mnist-ode": "classification:ImagesByODE",
        "mnist-sde": "classification:ImagesBySDE",
        "moons-cnf": "density:Density",
        "physionet-latent-ode": "latent_series:LatentSeries",
        "spiral-sde": "spiral_moments:SpiralMoments",
        "spirals-ode": "classification:SpiralsByODE",
    },
)


def task_names() -> list[str]:
    """The names of the tasks."""
    return TASKS.names()
