"""The library of algorithms. A new one is one function in a small file here and one line below."""

from __future__ import annotations

from odescent._registry import Registry

from ..iteration import Algorithm

REGISTRY: Registry[Algorithm] = Registry(
    "algorithm",
    __name__,
    {
        "gradient_descent": "first_order:gradient_descent",
        "proximal_point": "first_order:proximal_point",
        "extragradient": "first_order:extragradient",
        "heavy_ball": "momentum:heavy_ball",
        "nesterov_sc": "momentum:nesterov_sc",
        "nesterov_c": "momentum:nesterov_c",
        "triple_momentum": "momentum:triple_momentum",
        "ogm": "model_family:ogm",
        "item": "model_family:item",
        "unified_nesterov": "model_family:unified_nesterov",
        "adam": "adaptive:adam",
        "unadjusted_langevin": "stochastic:unadjusted_langevin",
    },
)
ALIASES = {"nesterov": "nesterov_sc"}


def algorithms() -> list[str]:
    """Names of the algorithms."""
    return REGISTRY.names()


def algorithm(name: str, **options: object) -> Algorithm:
    """An algorithm of the library by name; "nesterov" is short for "nesterov_sc".

    Raises OdescentError for an unknown name (naming the nearest) or an option it does not take.
    """
    return REGISTRY.build(ALIASES.get(name, name), **options)
