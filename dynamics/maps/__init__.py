"""The registry of named maps: projections, clipping, compression, duality maps of norms, gradients of conjugates.

A new map is one function in a file here and one line below; each is the gradient of a convex function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.registry import Registry

if TYPE_CHECKING:
    from .form import MapForm

REGISTRY: Registry[MapForm] = Registry(
    "named map",
    __name__,
    {
        "ball": "projections",
        "box": "projections",
        "nonnegative": "projections",
        "simplex": "projections",
        "sparse_simplex": "projections",
        "clip": "projections",
        "shrink": "projections",
        "top_k": "projections",
        "floor": "projections",
        "steepest_l1": "norms",
        "steepest_l2": "norms",
        "steepest_linf": "norms",
        "steepest_row_rms": "norms",
        "steepest_spectral": "norms",
        "duality_l1": "norms",
        "duality_linf": "norms",
        "duality_row_rms": "norms",
        "duality_spectral": "norms",
        "softmax": "conjugates",
        "exponential": "conjugates",
        "p_norm": "conjugates",
        "tsallis": "conjugates",
    },
)


def named_maps() -> list[str]:
    """Names of the maps of the registry."""
    return REGISTRY.names()


def form_of(name: str) -> MapForm:
    """What is known of a named map; OdescentError, naming the nearest, for a name that is not registered."""
    found: MapForm = REGISTRY.entry(name)
    return found
