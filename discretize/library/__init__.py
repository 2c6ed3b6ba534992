"""The library of algorithms. A new one is one function in a small file here and one line below."""

from __future__ import annotations

from functools import lru_cache

from odescent._errors import unknown
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
        "robust_momentum": "momentum:robust_momentum",
        "ogm": "model_family:ogm",
        "item": "model_family:item",
        "unified_nesterov": "model_family:unified_nesterov",
        "adam": "adaptive:adam",
        "unadjusted_langevin": "stochastic:unadjusted_langevin",
        "ogda": "splitting:ogda",
        "proximal_gradient": "splitting:proximal_gradient",
        "douglas_rachford": "splitting:douglas_rachford",
        "halpern": "splitting:halpern",
        "newton": "splitting:newton",
        "nesterov_look_ahead": "inertial:nesterov_look_ahead",
        "conformal_heavy_ball": "inertial:conformal_heavy_ball",
        "dissipative_leapfrog": "inertial:dissipative_leapfrog",
        "inertial_newton": "inertial:inertial_newton",
        "relativistic": "inertial:relativistic",
        "nag_flow": "inertial:nag_flow",
        "mirror_descent": "mirror:mirror_descent",
        "accelerated_mirror_descent": "mirror:accelerated_mirror_descent",
        "rmsprop": "adaptive:rmsprop",
        "adagrad": "adaptive:adagrad",
        "adaptive": "adaptive:adaptive",
        "sign_descent": "adaptive:sign_descent",
        "normalized_gradient_descent": "adaptive:normalized_gradient_descent",
        "muon": "steepest:muon",
        "underdamped_langevin": "stochastic:underdamped_langevin",
        "sgd": "stochastic:sgd",
        "sor": "coordinate:sor",
        "itoh_abe": "coordinate:itoh_abe",
        "coordinate_descent": "coordinate:coordinate_descent",
        "sgld": "stochastic:sgld",
        "langevin_splitting": "stochastic:langevin_splitting",
        "baoab": "stochastic:baoab",
        "aboba": "stochastic:aboba",
        "obabo": "stochastic:obabo",
        "underdamped_exact": "stochastic:underdamped_exact",
        "leimkuhler_matthews": "stochastic:leimkuhler_matthews",
        "stochastic_theta": "stochastic:stochastic_theta",
        "annealed_langevin": "stochastic:annealed_langevin",
        "cbo": "consensus:cbo",
        "jump_cbo": "consensus:jump_cbo",
        "mirror_cbo": "consensus:mirror_cbo",
        "polar_cbo": "consensus:polar_cbo",
        "consensus_freezing": "consensus:consensus_freezing",
        "consensus_hopping": "consensus:consensus_hopping",
    },
)
ALIASES = {"nesterov": "nesterov_sc", "minimizing_movement": "proximal_point"}


def algorithms() -> list[str]:
    """Names of the algorithms."""
    return REGISTRY.names()


def algorithm(name: str, **options: object) -> Algorithm:
    """An algorithm of the library by name; "nesterov" is short for "nesterov_sc".

    "minimizing_movement" is the proximal point method with the step tau = h. An algorithm never changes, so
    it is made once: the same name and options give the same object.

    Raises OdescentError for an unknown name (naming the nearest) or an option it does not take.
    """
    full = ALIASES.get(name, name)
    if full not in REGISTRY.entries:
        raise unknown("algorithm", name, [*REGISTRY.entries, *ALIASES])
    try:
        return _made(full, **options)
    except TypeError:  # an option that cannot be hashed
        return REGISTRY.build(full, **options)


@lru_cache(256, typed=True)
def _made(name: str, **options: object) -> Algorithm:
    return REGISTRY.build(name, **options)
