"""The library of systems. A new system is one function in a small file here and one line below."""

from __future__ import annotations

from ..._registry import Registry
from ..fields import System

REGISTRY: Registry[System] = Registry(
    "system",
    __name__,
    {
        "gradient_flow": "gradient:gradient_flow",
        "saddle_flow": "gradient:saddle_flow",
        "heavy_ball": "second_order:heavy_ball",
        "passive": "second_order:passive",
        "nesterov_sc": "second_order:nesterov_sc",
        "model": "model:model",
        "triple_momentum": "model:triple_momentum",
        "model_family": "model_family:model_family",
        "ogm": "model_family:ogm",
        "item": "model_family:item",
        "unified_nesterov": "model_family:unified_nesterov",
        "nesterov_c": "second_order:nesterov_c",
        "adam": "elementwise:adam",
        "overdamped_langevin": "langevin:overdamped_langevin",
        "inertial_newton": "inertial:inertial_newton",
        "relativistic": "inertial:relativistic",
        "nag_flow": "inertial:nag_flow",
        "composite_flow": "games:composite_flow",
        "anchored_flow": "games:anchored_flow",
        "diagonally_preconditioned_gradient": "preconditioned:diagonally_preconditioned_gradient",
        "newton_flow": "gradient:newton_flow",
        "rescaled_flow": "gradient:rescaled_flow",
        "mirror_flow": "mirror:mirror_flow",
        "accelerated_mirror": "mirror:accelerated_mirror",
        "rmsprop": "elementwise:rmsprop",
        "adagrad": "elementwise:adagrad",
        "adaptive": "elementwise:adaptive",
        "sign_flow": "elementwise:sign_flow",
        "steepest_flow": "steepest:steepest_flow",
        "averaged_steepest_flow": "steepest:averaged_steepest_flow",
        "underdamped_langevin": "langevin:underdamped_langevin",
        "stochastic_gradient_langevin": "langevin:stochastic_gradient_langevin",
        "stochastic_gradient_flow": "langevin:stochastic_gradient_flow",
        "cbo": "consensus:cbo",
        "jump_cbo": "consensus:jump_cbo",
        "mirror_cbo": "consensus:mirror_cbo",
        "polar_cbo": "consensus:polar_cbo",
        "annealed_langevin": "langevin:annealed_langevin",
    },
)


def systems() -> list[str]:
    """Names of the systems."""
    return REGISTRY.names()


def system(name: str, **options: object) -> System:
    """A system of the library by name.

    Raises OdescentError for an unknown name (naming the nearest) or an option it does not take.
    """
    return REGISTRY.build(name, **options)
