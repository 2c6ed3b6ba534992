"""The library of algorithms. A new one is one function in a small file here and one line below."""

from __future__ import annotations

import contextlib
import inspect
from functools import lru_cache
from typing import TYPE_CHECKING

from ..._support.errors import unknown
from ..._support.registry import Registry

if TYPE_CHECKING:
    from ..faces import Algorithm

REGISTRY: Registry[Algorithm] = Registry(
    "algorithm",
    __name__,
    {
        "gradient_descent": ("first_order", "Gradient descent"),
        "proximal_point": ("first_order", "Proximal point method"),
        "extragradient": ("first_order", "Extragradient method"),
        "armijo": ("first_order", "Gradient descent with Armijo's search"),
        "wolfe": ("first_order", "Gradient descent with Wolfe's search"),
        "bold_driver": ("first_order", "Bold driver"),
        "heavy_ball": ("momentum", "Heavy ball"),
        "nesterov_sc": ("momentum", "Nesterov, strongly convex"),
        "nesterov_c": ("momentum", "Nesterov, convex"),
        "triple_momentum": ("momentum", "Triple momentum"),
        "robust_momentum": ("momentum", "Robust momentum"),
        "ogm": ("model_family", "Optimized gradient method"),
        "item": ("model_family", "Information-theoretic exact method"),
        "unified_nesterov": ("model_family", "Nesterov, convex or strongly convex"),
        "adam": ("adaptive", "Adam"),
        "unadjusted_langevin": ("stochastic", "Unadjusted Langevin algorithm (ULA)"),
        "ogda": ("splitting", "Optimistic gradient descent-ascent"),
        "proximal_gradient": ("splitting", "Proximal gradient method"),
        "douglas_rachford": ("splitting", "Douglas-Rachford splitting"),
        "halpern": ("splitting", "Halpern iteration"),
        "newton": ("splitting", "Newton's method"),
        "nesterov_look_ahead": ("inertial", "Nesterov, look-ahead form"),
        "conformal_heavy_ball": ("inertial", "Conformal symplectic heavy ball"),
        "dissipative_leapfrog": ("inertial", "Dissipative leapfrog"),
        "inertial_newton": ("inertial", "Inertial Newton algorithm"),
        "relativistic": ("inertial", "Relativistic gradient descent"),
        "nag_flow": ("inertial", "Accelerated gradient of Luo and Chen"),
        "mirror_descent": ("mirror", "Mirror descent"),
        "accelerated_mirror_descent": ("mirror", "Accelerated mirror descent"),
        "rmsprop": ("adaptive", "RMSprop"),
        "adagrad": ("adaptive", "AdaGrad"),
        "adagrad_norm": ("adaptive", "AdaGrad-norm"),
        "adadagrad": ("adaptive", "AdaGrad with growing batches"),
        "adadagrad_norm": ("adaptive", "AdaGrad-norm with growing batches"),
        "adaptive": ("adaptive", "Adaptive gradient method, general form"),
        "sign_descent": ("adaptive", "Sign gradient descent"),
        "normalized_gradient_descent": ("adaptive", "Normalized gradient descent"),
        "polyak_step": ("adaptive", "Gradient descent, Polyak's step"),
        "exact_line_search": (
            "adaptive",
            "Gradient descent, exact line search",
        ),
        "barzilai_borwein": ("adaptive", "Barzilai-Borwein method"),
        "muon": ("steepest", "Muon"),
        "iterative_newton": ("riccati", "Iterative Newton for least squares"),
        "newton_schulz": ("riccati", "Newton-Schulz orthogonalization"),
        "inverse_filter": ("riccati", "Rank-one inverse filter"),
        "mkor": ("riccati", "MKOR, one factor"),
        "regularized_newton": ("riccati", "Regularized Newton"),
        "adaptive_regularized_newton": ("riccati", "Adaptive regularized Newton"),
        "underdamped_langevin": ("stochastic", "Underdamped Langevin by Euler-Maruyama"),
        "sgd": ("stochastic", "Stochastic gradient descent"),
        "sor": ("splitting", "Successive over-relaxation"),
        "itoh_abe": ("splitting", "Itoh-Abe discrete gradient method"),
        "coordinate_descent": ("splitting", "Coordinate descent"),
        "sgld": ("stochastic", "Stochastic gradient Langevin dynamics"),
        "langevin_splitting": ("stochastic", "Underdamped Langevin splitting"),
        "baoab": ("stochastic", "BAOAB splitting"),
        "aboba": ("stochastic", "ABOBA splitting"),
        "obabo": ("stochastic", "OBABO splitting"),
        "underdamped_exact": ("stochastic", "Underdamped Langevin, gradient held"),
        "leimkuhler_matthews": ("stochastic", "Leimkuhler-Matthews method"),
        "stochastic_theta": ("stochastic", "Stochastic theta method"),
        "annealed_langevin": ("stochastic", "Annealed Langevin algorithm"),
        "m_fac": ("riccati", "M-FAC"),
        "implicit_bilevel": ("first_order", "Bilevel descent with an adjoint"),
        "penalty_bilevel": ("first_order", "Bilevel descent with a penalty"),
        "inexact_bilevel": ("first_order", "Inexact bilevel descent"),
        "zeroth_order": ("sampled", "Zeroth-order descent (MeZO)"),
        "sketched_gradient_descent": ("sampled", "Sketched gradient descent"),
        "federated_averaging": ("sampled", "Federated averaging"),
        "adahessian": ("sampled", "AdaHessian"),
        "implicit_gradient_transport": ("sampled", "Implicit gradient transport"),
        "hessian_aided_momentum": ("sampled", "Hessian-aided momentum"),
        "cbo": ("consensus", "Consensus-based optimization"),
        "jump_cbo": ("consensus", "Consensus-based optimization with jumps"),
        "mirror_cbo": ("consensus", "Mirror consensus-based optimization"),
        "polar_cbo": ("consensus", "Polarized consensus-based optimization"),
        "consensus_freezing": ("consensus", "Consensus freezing"),
        "consensus_hopping": ("consensus", "Consensus hopping"),
    },
    aliases={
        "gd": "gradient_descent",
        "nag": "nesterov_sc",
        "nesterov": "nesterov_sc",
        "minimizing_movement": "proximal_point",
    },
)


def algorithms() -> list[str]:
    """Names of the algorithms."""
    return REGISTRY.names()


def algorithm(name: str, **options: object) -> Algorithm:
    """An algorithm of the library by name; "nesterov" and "nag" are short for "nesterov_sc", "gd" for gradient descent.

    "minimizing_movement" is the proximal point method with the step tau = h. Algorithms are immutable, so the
    same name and options give the same object.

    >>> algorithm("gradient_descent", step=0.1)
    >>> algorithm("heavy_ball", learning_rate=0.01, momentum=0.9)

    Args:
        name: the name of the algorithm, or an alias.
        options: a string, True or False selects a variant, such as ``momentum="fista"`` of "nesterov_c". A number or
            an expression is the value of a parameter and replaces its tuning. Parameters have their own names and
            aliases: step (step_size, dt) is the step h of the discretization; learning_rate (lr) is the factor of
            the gradient, h or h^2, as in optax and PyTorch; momentum is the factor of the previous step; friction
            (damping), relaxation, b1 and b2.

    Returns:
        the algorithm; constants such as mu and L are parameters only if its tuning still needs them.

    Raises:
        OdescentError: an unknown name (the message names the nearest), an unsupported option, two options for the same
            parameter, or an option without effect beside the others.
    """
    from ...dynamics.vector_fields.estimates import condition_of
    from ..step.iteration import taken_as_consistent
    from ..step.words import SYNONYMS
    from .words import WORDS

    takes = inspect.signature(REGISTRY.function(name)).parameters
    numbers = {n for n, v in options.items() if not (v is None or isinstance(v, (str, bool)))}
    variant = {n: v for n, v in options.items() if chooses(name, n, n in numbers)}
    values = {n: v for n, v in options.items() if n not in variant}
    with (
        contextlib.nullcontext() if variant else taken_as_consistent()
    ):  # the tests compare what has no options
        made = REGISTRY.once(name, **variant)
    made.words = WORDS.get(REGISTRY.full(name), {})
    if not values:
        return made
    for option in values:
        if option not in made.names:
            known = {*takes, *made.names} - SYNONYMS.keys()
            raise unknown(f"option of the algorithm {name!r} called", option, known)
    given = tuple(sorted(values.items()))
    try:
        hash(given)
    except TypeError:
        return _with_values(made, given, "")
    if condition_of(*values.values()):  # an estimate is equal to its number, and not the same
        return _with_values(made, given, "")
    return _kept(made, given, repr(given))


def chooses(name: str, option: str, number: bool) -> bool:
    """Whether an option chooses a variant of an algorithm: one of its function, and no number for a parameter.

    Args:
        name: the algorithm.
        option: its name.
        number: whether its value is one.
    """
    from .words import WORDS

    if option not in inspect.signature(REGISTRY.function(name)).parameters:
        return False
    return not (number and (option == "step" or option in WORDS.get(REGISTRY.full(name), {})))


def _with_values(made: Algorithm, given: tuple[tuple[str, object], ...], _: str) -> Algorithm:
    values = dict(given)
    made.freed(dict.fromkeys(values))  # it depends on each of them
    return made.bind(values)


_kept = lru_cache(512)(_with_values)
