"""Concrete objectives: functions with their class constants, minimizers and starting points.

The registry holds places, not functions: importing this package loads neither JAX nor scikit-learn, and
`objective(name)` imports the one module it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError
from ..._support.registry import Registry

if TYPE_CHECKING:
    from ..vector_fields.objective import Objective

__all__ = ["REGISTRY", "objective", "objectives"]

REGISTRY: Registry[Objective] = Registry(
    "objective",
    __name__,
    {
        "ackley": "standard",
        "grand_canyon": "canyon",
        "himmelblau": "standard",
        "huber": "standard",
        "lessard_recht_packard": "lessard_recht_packard",
        "logistic/breast_cancer": "logistic:breast_cancer",
        "logistic/synthetic": "logistic:synthetic",
        "logsumexp": "standard",
        "piecewise_quadratic": "piecewise_quadratic",
        "quadratic": "quadratic",
        "quartic": "standard",
        "rastrigin": "standard",
        "rosenbrock": "standard",
        "smoothed_support": "smoothed_support",
    },
)


def objectives() -> list[str]:
    """The names of the registered objectives, sorted; each one is built by `objective(name)` without options."""
    return REGISTRY.names()


def objective(name: str | Callable[..., Any], **options: object) -> Objective:
    """The registered objective `name`, built with its own options (see the docstring of its function).

    Objectives are immutable: the same name and options give the same object, with its compiled code. Raises
    OdescentError for a name or an option that does not exist or is out of range.

    >>> objective("quadratic", eigenvalues=(1, 10)).L
    10
    """
    if callable(name):
        raise OdescentError(
            "od.objective gives a registered objective by its name; your own function becomes one by od.Objective(fun)."
        )
    made = REGISTRY.once(name, **options)
    made._registered = name, options
    return made
