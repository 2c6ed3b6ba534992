"""The registry of regularizers: one small file each, one line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._registry import Registry

if TYPE_CHECKING:
    from .base import Regularizer

REGULARIZERS: Registry[Regularizer] = Registry(
    "regularizer",
    __name__,
    {
        "error": "accepted:error",
        "local": "one_step:local",
        "steer": "random_end:steer",
        "steps": "accepted:steps",
        "stiffness": "accepted:stiffness",
        "taylor": "derivatives:taylor",
    },
)


def regularizers() -> list[str]:
    """The names of the regularizers."""
    return REGULARIZERS.names()


def regularizer(name: str, **options: Any) -> Regularizer:
    """A regularizer by name; OdescentError for an unknown name or option."""
    return REGULARIZERS.build(name, **options)
