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
        "gradient_flow": ("gradient", "Gradient flow"),
        "saddle_flow": ("gradient", "Saddle flow"),
        "heavy_ball": ("second_order", "Heavy ball with friction"),
        "passive": ("second_order", "Passive form"),
        "nesterov_sc": ("second_order", "Nesterov's flow, strongly convex"),
        "model": ("model_family", "Model form"),
        "triple_momentum": ("model_family", "Triple momentum flow"),
        "model_family": ("model_family", "Model form with a moving scale"),
        "ogm": ("model_family", "Flow of the optimized gradient method"),
        "item": ("model_family", "Flow of the information-theoretic exact method"),
        "unified_nesterov": ("model_family", "Nesterov's flow, convex or strongly convex"),
        "nesterov_c": ("second_order", "Nesterov's flow, convex"),
        "adam": ("elementwise", "Adam's flow"),
        "overdamped_langevin": ("langevin", "Overdamped Langevin dynamics"),
        "inertial_newton": ("second_order", "Dynamical inertial Newton flow"),
        "relativistic": ("second_order", "Relativistic heavy ball"),
        "nag_flow": ("second_order", "Accelerated gradient flow of Luo and Chen"),
        "composite_flow": ("games", "Composite gradient flow"),
        "anchored_flow": ("games", "Anchored flow"),
        "diagonally_preconditioned_gradient": (
            "gradient",
            "Diagonally preconditioned gradient flow",
        ),
        "lagrangian_flow": ("games", "Saddle flow of a Lagrangian"),
        "kkt_newton_flow": ("games", "Newton's flow of the KKT conditions"),
        "implicit_bilevel": ("bilevel", "Bilevel flow with an adjoint"),
        "penalty_bilevel": ("bilevel", "Bilevel flow with a penalty"),
        "newton_flow": ("gradient", "Newton's flow"),
        "rescaled_flow": ("gradient", "Rescaled gradient flow"),
        "scaled_gradient_flow": ("gradient", "Gradient flow in a time of its own"),
        "mirror_flow": ("mirror", "Mirror flow"),
        "accelerated_mirror": ("mirror", "Accelerated mirror flow"),
        "rmsprop": ("elementwise", "RMSprop's flow"),
        "adagrad": ("elementwise", "AdaGrad's flow"),
        "adagrad_norm": ("gradient", "AdaGrad-norm's flow"),
        "adaptive": ("elementwise", "Adaptive gradient flow, general form"),
        "sign_flow": ("elementwise", "Sign gradient flow"),
        "steepest_flow": ("steepest", "Steepest descent flow of a norm"),
        "averaged_steepest_flow": ("steepest", "Steepest descent flow of an averaged gradient"),
        "underdamped_langevin": ("langevin", "Underdamped Langevin dynamics"),
        "stochastic_gradient_langevin": ("langevin", "Stochastic gradient Langevin dynamics"),
        "stochastic_gradient_flow": ("langevin", "Stochastic gradient flow"),
        "cbo": ("consensus", "Consensus-based optimization"),
        "jump_cbo": ("consensus", "Consensus-based optimization with jumps"),
        "mirror_cbo": ("consensus", "Mirror consensus-based optimization"),
        "polar_cbo": ("consensus", "Polarized consensus-based optimization"),
        "riccati_flow": ("riccati", "Riccati flow of an inverse"),
        "orthogonalization_flow": ("riccati", "Orthogonalization flow"),
        "inverse_filter": ("riccati", "Filter of an inverse by outer products"),
        "mkor": ("riccati", "Flow of a factor of MKOR"),
        "regularized_newton_flow": ("riccati", "Regularized Newton flow"),
        "annealed_langevin": ("langevin", "Annealed Langevin dynamics"),
        "zeroth_order_flow": ("sampled", "Zeroth-order flow"),
        "sketched_flow": ("sampled", "Flow of a sketched gradient"),
        "minibatch_flow": ("sampled", "Flow of a minibatch gradient"),
        "adahessian": ("sampled", "AdaHessian's flow"),
        "averaged_gradient_flow": ("sampled", "Flow of an averaged gradient"),
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
