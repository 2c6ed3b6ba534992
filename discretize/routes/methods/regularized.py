"""Gradient regularization of Newton's method as an implicit integrator of gradient flow, its radius as a time."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ....dynamics.algebra.calculus import substitute
from ....dynamics.algebra.operators import linear_solve
from ....dynamics.algebra.products import apply, identity
from ....dynamics.algebra.scalars import parameters
from ....dynamics.algebra.vectors import inner
from ....dynamics.library import system
from ....dynamics.vector_fields.objective import Objective
from ...faces import Algorithm, Derivation
from ...library.riccati import adaptive_regularized_newton as method_of
from ...library.schemes import scheme
from ...proof.direct import checked_steps
from ...proof.steps import Claim, Equation, Step
from ..notation import REGULARIZED

t, gam = parameters("t gam")
PROVENANCE = (
    "Reconstructed: that the regularized step is the linearly implicit Euler step of gradient flow over the time "
    "gam/|g| is this package's own reading of the method (arXiv:2506.13710), whose rates are proved in another way."
)


def adaptive_regularized_newton() -> Derivation:
    """From gradient flow by linearly implicit Euler over the time gam/|g| to Newton's method with a radius."""
    method = method_of()
    x, f = method.system.output, Objective("f")
    g = f.grad(x)
    hessian = f.hessian(x)
    length = sp.sqrt(inner(g, g))
    # the integrator's own step, over any time and over that time
    over = Algorithm(system("gradient_flow"), scheme("linearly_implicit"), step=t)
    moved = _update(over) - x
    timed = Algorithm(system("gradient_flow"), scheme("linearly_implicit"), step=gam / length)
    radius = next(s for s in method.system.drift if s != x)
    regularized = linear_solve(hessian + identity * (length / gam), -g)
    steps = (
        Step(
            "Linearly implicit Euler",
            "A step of gradient flow over the time $t$, with the field at its end replaced by its linearization at "
            "$x$.",
            (Claim("d", moved),),
            lambda c: {
                "the linearized equation": Equation(c["d"] + apply(hessian, c["d"]) * t, -g * t),
            },
            reference="Hairer and Wanner 1996, IV.7",
        ),
        Step(
            "The time of the radius",
            r"Over the time $\gamma/|g|$, in which the flow at its present speed moves by $\gamma$, the step is that "
            r"of Newton's method with the Hessian regularized by $|g|/\gamma$.",
            (Claim("d_gam", regularized, r"d_\gamma"),),
            lambda c: {
                "the step of the integrator": Equation(_update(timed) - x, c["d_gam"]),
                "the regularized equation": Equation(
                    apply(hessian, c["d_gam"]) + c["d_gam"] * (length / gam), -g
                ),
                "the field of the method": Equation(
                    substitute(method.system.drift[x], {radius: gam}), c["d_gam"]
                ),
            },
        ),
        *checked_steps(method),
    )  # fmt: skip
    return Derivation(
        "adaptive_regularized_newton", "implicit",
        "Newton's method with a Hessian regularized by the length of the gradient is an implicit integrator of "
        "gradient flow, whose time is set by a guard.",
        steps, method, references=("semenov2025",), notation=REGULARIZED, provenance=PROVENANCE,
    )  # fmt: skip


def _update(algorithm: Algorithm) -> Any:
    """The position after one step, in the state before it."""
    return algorithm.program.update_map()[algorithm.system.output]
