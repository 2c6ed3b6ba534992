"""What the parameters of registered algorithms are called elsewhere: by algorithm and word, as data.

"learning_rate" is the factor of the gradient in a step, as in optax and PyTorch, and "momentum" that of the last
step. A method that is discretized from a second-order flow has the step h and the learning rate h^2, and a friction
where others have a momentum; the symbols here are those of the registered systems.
"""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.scalars import parameters
from ...dynamics.vector_fields.system import mu
from ..step.iteration import STEP
from ..step.words import Words, word

_RATE, _MOMENTUM, _FRICTION = word("learning_rate"), word("momentum"), word("friction")
_c, _gam, _alpha, _beta, _omega, _rate = parameters("c gam alpha beta omega rate")

_FIRST: Words = {"learning_rate": (STEP, _RATE)}  # x+ = x - h ...
_SECOND: Words = {"learning_rate": (STEP, sp.sqrt(_RATE))}  # x+ = ... - h^2 ...
_CAYLEY: Words = {**_SECOND, "momentum": (mu, ((1 - _MOMENTUM) / (1 + _MOMENTUM) / STEP) ** 2)}
_EXACT: Words = {"momentum": (_c, -sp.log(_MOMENTUM) / STEP), "friction": (_c, _FRICTION)}
_LANGEVIN: Words = {"friction": (_gam, _FRICTION)}

WORDS: dict[str, Words] = {
    **dict.fromkeys(
        (
            "gradient_descent", "proximal_gradient", "extragradient", "ogda", "newton", "mirror_descent", "adam",
            "rmsprop", "sign_descent", "normalized_gradient_descent", "sgd", "sgld", "unadjusted_langevin",
        ),
        _FIRST,
    ),
    **dict.fromkeys(("nesterov_c", "ogm", "item", "unified_nesterov"), _SECOND),
    **dict.fromkeys(("nesterov_sc", "nesterov_look_ahead"), _CAYLEY),
    **dict.fromkeys(
        (
            "underdamped_langevin", "langevin_splitting", "baoab", "aboba", "obabo", "underdamped_exact",
        ),
        _LANGEVIN,
    ),
    "heavy_ball": {
        **_SECOND, "momentum": (_c, (1 - _MOMENTUM) / STEP), "friction": (_c, _FRICTION),
    },
    "conformal_heavy_ball": {**_SECOND, **_EXACT},
    "dissipative_leapfrog": _EXACT,
    "relativistic": {"momentum": (_gam, -sp.log(_MOMENTUM) / STEP), "friction": (_gam, _FRICTION)},
    "inertial_newton": {
        **_SECOND, "momentum": (_alpha, (1 - _MOMENTUM) / STEP), "friction": (_alpha, _FRICTION),
    },
    "adagrad": {"learning_rate": (_rate, _RATE)},
    "adagrad_norm": {"learning_rate": (_rate, _RATE)},
    "muon": {**_FIRST, "momentum": (_beta, _MOMENTUM)},
    "polyak_step": {"relaxation": (_gam, word("relaxation"))},
    "sor": {"relaxation": (_omega, word("relaxation"))},
}  # fmt: skip
