"""The registry of training tasks: one small file each, one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._registry import Registry

if TYPE_CHECKING:
    from .base import Task

TASKS: Registry[Task] = Registry(
    "task",
    __name__,
    {
        "digits-ode": "images:digits_ode",
        "digits-sde": "image_noise:digits_sde",
        "mnist-ode": "images:mnist_ode",
        "mnist-sde": "image_noise:mnist_sde",
        "moons-cnf": "density:moons_cnf",
        "physionet-latent-ode": "series:physionet_latent_ode",
        "spiral-sde": "moments:spiral_sde",
        "spirals-ode": "images:spirals_ode",
    },
)


def task_names() -> list[str]:
    """The names of the tasks."""
    return TASKS.names()
