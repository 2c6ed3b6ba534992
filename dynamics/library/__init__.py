"""The library of systems. A new system is one function in a small file here and one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.registry import Registry

if TYPE_CHECKING:
    from ..flows.system import System

REGISTRY: Registry[System] = Registry(
    "system",
    __name__,
    {
        "gradient_flow": ("gradient:gradient_flow", "Gradient flow"),
        "saddle_flow": ("gradient:saddle_flow", "Saddle flow"),
        "heavy_ball": ("second_order:heavy_ball", "Heavy ball with friction"),
        "passive": ("second_order:passive", "Passive form"),
        "nesterov_sc": ("second_order:nesterov_sc", "Nesterov's flow, strongly convex"),
        "model": ("model:model", "Model form"),
        "triple_momentum": ("model:triple_momentum", "Triple momentum flow"),
        "model_family": ("model_family:model_family", "Model form with a moving scale"),
        "ogm": ("model_family:ogm", "Flow of the optimized gradient method"),
        "item": ("model_family:item", "Flow of the information-theoretic exact method"),
        "unified_nesterov": (
            "model_family:unified_nesterov",
            "Nesterov's flow, convex or strongly convex",
        ),
        "nesterov_c": ("second_order:nesterov_c", "Nesterov's flow, convex"),
        "adam": ("elementwise:adam", "Adam's flow"),
        "overdamped_langevin": ("langevin:overdamped_langevin", "Overdamped Langevin dynamics"),
        "inertial_newton": ("inertial:inertial_newton", "Dynamical inertial Newton flow"),
        "relativistic": ("inertial:relativistic", "Relativistic heavy ball"),
        "nag_flow": ("inertial:nag_flow", "Accelerated gradient flow of Luo and Chen"),
        "composite_flow": ("games:composite_flow", "Composite gradient flow"),
        "anchored_flow": ("games:anchored_flow", "Anchored flow"),
        "diagonally_preconditioned_gradient": (
            "preconditioned:diagonally_preconditioned_gradient",
            "Diagonally preconditioned gradient flow",
        ),
        "newton_flow": ("gradient:newton_flow", "Newton's flow"),
        "rescaled_flow": ("gradient:rescaled_flow", "Rescaled gradient flow"),
        "mirror_flow": ("mirror:mirror_flow", "Mirror flow"),
        "accelerated_mirror": ("mirror:accelerated_mirror", "Accelerated mirror flow"),
        "rmsprop": ("elementwise:rmsprop", "RMSprop's flow"),
        "adagrad": ("elementwise:adagrad", "AdaGrad's flow"),
        "adaptive": ("elementwise:adaptive", "Adaptive gradient flow, general form"),
        "sign_flow": ("elementwise:sign_flow", "Sign gradient flow"),
        "steepest_flow": ("steepest:steepest_flow", "Steepest descent flow of a norm"),
        "averaged_steepest_flow": (
            "steepest:averaged_steepest_flow",
            "Steepest descent flow of an averaged gradient",
        ),
        "underdamped_langevin": ("langevin:underdamped_langevin", "Underdamped Langevin dynamics"),
        "stochastic_gradient_langevin": (
            "langevin:stochastic_gradient_langevin",
            "Stochastic gradient Langevin dynamics",
        ),
        "stochastic_gradient_flow": (
            "langevin:stochastic_gradient_flow",
            "Stochastic gradient flow",
        ),
        "cbo": ("consensus:cbo", "Consensus-based optimization"),
        "jump_cbo": ("consensus:jump_cbo", "Consensus-based optimization with jumps"),
        "mirror_cbo": ("consensus:mirror_cbo", "Mirror consensus-based optimization"),
        "polar_cbo": ("consensus:polar_cbo", "Polarized consensus-based optimization"),
        "annealed_langevin": ("langevin:annealed_langevin", "Annealed Langevin dynamics"),
    },
)


def systems() -> list[str]:
    """Names of the systems."""
    return REGISTRY.names()


def system(name: str, **options: object) -> System:
    """A system of the library by name; immutable, so the same options give the same object.

    Raises OdescentError for an unknown name (naming the nearest) or an option it does not take.
    """
    return REGISTRY.once(name, **options)
