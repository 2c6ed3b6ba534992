"""The library of algorithms. A new one is one function in a small file here and one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.registry import Registry

if TYPE_CHECKING:
    from ..faces import Algorithm

REGISTRY: Registry[Algorithm] = Registry(
    "algorithm",
    __name__,
    {
        "gradient_descent": ("first_order:gradient_descent", "Gradient descent"),
        "proximal_point": ("first_order:proximal_point", "Proximal point method"),
        "extragradient": ("first_order:extragradient", "Extragradient method"),
        "heavy_ball": ("momentum:heavy_ball", "Heavy ball"),
        "nesterov_sc": ("momentum:nesterov_sc", "Nesterov, strongly convex"),
        "nesterov_c": ("momentum:nesterov_c", "Nesterov, convex"),
        "triple_momentum": ("momentum:triple_momentum", "Triple momentum"),
        "robust_momentum": ("momentum:robust_momentum", "Robust momentum"),
        "ogm": ("model_family:ogm", "Optimized gradient method"),
        "item": ("model_family:item", "Information-theoretic exact method"),
        "unified_nesterov": (
            "model_family:unified_nesterov",
            "Nesterov, convex or strongly convex",
        ),
        "adam": ("adaptive:adam", "Adam"),
        "unadjusted_langevin": (
            "stochastic:unadjusted_langevin",
            "Unadjusted Langevin algorithm (ULA)",
        ),
        "ogda": ("splitting:ogda", "Optimistic gradient descent-ascent"),
        "proximal_gradient": ("splitting:proximal_gradient", "Proximal gradient method"),
        "douglas_rachford": ("splitting:douglas_rachford", "Douglas-Rachford splitting"),
        "halpern": ("splitting:halpern", "Halpern iteration"),
        "newton": ("splitting:newton", "Newton's method"),
        "nesterov_look_ahead": ("inertial:nesterov_look_ahead", "Nesterov, look-ahead form"),
        "conformal_heavy_ball": (
            "inertial:conformal_heavy_ball",
            "Conformal symplectic heavy ball",
        ),
        "dissipative_leapfrog": ("inertial:dissipative_leapfrog", "Dissipative leapfrog"),
        "inertial_newton": ("inertial:inertial_newton", "Inertial Newton algorithm"),
        "relativistic": ("inertial:relativistic", "Relativistic gradient descent"),
        "nag_flow": ("inertial:nag_flow", "Accelerated gradient of Luo and Chen"),
        "mirror_descent": ("mirror:mirror_descent", "Mirror descent"),
        "accelerated_mirror_descent": (
            "mirror:accelerated_mirror_descent",
            "Accelerated mirror descent",
        ),
        "rmsprop": ("adaptive:rmsprop", "RMSprop"),
        "adagrad": ("adaptive:adagrad", "AdaGrad"),
        "adaptive": ("adaptive:adaptive", "Adaptive gradient method, general form"),
        "sign_descent": ("adaptive:sign_descent", "Sign gradient descent"),
        "normalized_gradient_descent": (
            "adaptive:normalized_gradient_descent",
            "Normalized gradient descent",
        ),
        "muon": ("steepest:muon", "Muon"),
        "underdamped_langevin": (
            "stochastic:underdamped_langevin",
            "Underdamped Langevin by Euler-Maruyama",
        ),
        "sgd": ("stochastic:sgd", "Stochastic gradient descent"),
        "sor": ("coordinate:sor", "Successive over-relaxation"),
        "itoh_abe": ("coordinate:itoh_abe", "Itoh-Abe discrete gradient method"),
        "coordinate_descent": ("coordinate:coordinate_descent", "Coordinate descent"),
        "sgld": ("stochastic:sgld", "Stochastic gradient Langevin dynamics"),
        "langevin_splitting": (
            "stochastic:langevin_splitting",
            "Underdamped Langevin splitting",
        ),
        "baoab": ("stochastic:baoab", "BAOAB splitting"),
        "aboba": ("stochastic:aboba", "ABOBA splitting"),
        "obabo": ("stochastic:obabo", "OBABO splitting"),
        "underdamped_exact": (
            "stochastic:underdamped_exact",
            "Underdamped Langevin, gradient held",
        ),
        "leimkuhler_matthews": ("stochastic:leimkuhler_matthews", "Leimkuhler-Matthews method"),
        "stochastic_theta": ("stochastic:stochastic_theta", "Stochastic theta method"),
        "annealed_langevin": ("stochastic:annealed_langevin", "Annealed Langevin algorithm"),
        "cbo": ("consensus:cbo", "Consensus-based optimization"),
        "jump_cbo": ("consensus:jump_cbo", "Consensus-based optimization with jumps"),
        "mirror_cbo": ("consensus:mirror_cbo", "Mirror consensus-based optimization"),
        "polar_cbo": ("consensus:polar_cbo", "Polarized consensus-based optimization"),
        "consensus_freezing": ("consensus:consensus_freezing", "Consensus freezing"),
        "consensus_hopping": ("consensus:consensus_hopping", "Consensus hopping"),
    },
    aliases={"nesterov": "nesterov_sc", "minimizing_movement": "proximal_point"},
)


def algorithms() -> list[str]:
    """Names of the algorithms."""
    return REGISTRY.names()


def algorithm(name: str, **options: object) -> Algorithm:
    """An algorithm of the library by name; "nesterov" is short for "nesterov_sc".

    "minimizing_movement" is the proximal point method with the step tau = h. An algorithm never changes, so
    it is made once: the same name and options give the same object.

    Raises OdescentError for an unknown name (naming the nearest) or an option it does not take.
    """
    return REGISTRY.once(name, **options)
