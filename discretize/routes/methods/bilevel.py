"""Bilevel methods from the lower level at rest: what the fast blocks come to, and the hypergradient that is left."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ....dynamics.algebra.calculus import derivative, substitute
from ....dynamics.algebra.direct_sums import jacobian
from ....dynamics.algebra.named import taylor_terms
from ....dynamics.algebra.operators import linear_solve
from ....dynamics.algebra.products import apply
from ....dynamics.algebra.scalars import parameters
from ....dynamics.algebra.vectors import Vector, blocks, inner
from ....dynamics.library.bilevel import F, G
from ...faces import Algorithm, Derivation
from ...library.first_order import implicit_bilevel as by_adjoint
from ...library.first_order import penalty_bilevel as by_penalty
from ...proof.direct import checked_steps
from ...proof.steps import Claim, Equation, Step
from ..notation import BILEVEL

x, y, v, z, u, w = blocks("x y v z u w")
sigma = parameters("sigma")
Fx, Fy = F.grad(x, y, wrt="x"), F.grad(x, y, wrt="y")
Gx, Gy = G.grad(x, y, wrt="x"), G.grad(x, y, wrt="y")
CURVED = r"$G_{yy}$ is positive definite where $G_y = 0$"
_OWN = (
    "Reconstructed: the steps from the fast blocks at rest to the hypergradient are this package's own; the method is "
    "that of "
)


def _mixed(direction: Vector) -> Vector:
    """G_xy applied to a vector of the lower level."""
    found: Vector = G.grad(x, y, wrt="x", along=({"y": direction},))
    return found


def _graph() -> tuple[Step, Vector, Vector]:
    """How the lower minimizer moves with x, and the gradient of F along it."""
    curvature = jacobian(Gy, y)
    moved = -linear_solve(curvature, derivative(Gy, {x: u}))
    adjoint = linear_solve(curvature, Fy)
    hyper = Fx - _mixed(adjoint)
    step = Step(
        "The lower level at its minimizer",
        r"Where $G_y(x, y) = 0$ holds along $x$, the minimizer moves by $y'$ as $x$ moves by $u$, and $F$ changes by "
        r"the inner product of $u$ and $\Phi$, the hypergradient.",
        (Claim("y'", moved, r"y^{\star\prime}[u]"), Claim("Phi", hyper, r"\Phi")),
        lambda c: {
            "the lower equation along it": Equation(
                derivative(Gy, {x: u, y: c["y'"]}), Gy * sp.S.Zero
            ),
            "the change of F along it": Equation(
                derivative(F.value(x, y), {x: u, y: c["y'"]}), inner(c["Phi"], u)
            ),
        },
        assumes=CURVED,
    )  # fmt: skip
    return step, adjoint, hyper


def implicit_bilevel() -> Derivation:
    """From the lower minimizer and its adjoint equation to the single loop with an adjoint."""
    method = by_adjoint()
    graph, adjoint, hyper = _graph()
    rest = Step(
        "The adjoint at rest",
        r"At rest $v$ solves $G_{yy} v = F_y$, and the upper field is minus the hypergradient.",
        (Claim("v", adjoint),),
        lambda c: {
            "the adjoint equation": Equation(apply(jacobian(Gy, y), c["v"]), Fy),
            "the upper field": Equation(substitute(method.system.drift[x], {v: c["v"]}), -hyper),
        },
        assumes=CURVED,
    )
    return _derived(
        method,
        "A linear fast equation solves for the adjoint.",
        (graph, rest),
        "2201.13409",
        "dagreou2022",
    )


def penalty_bilevel() -> Derivation:
    """From the penalty's minimizer, to first order in the penalty, to the single loop without second derivatives."""
    method = by_penalty()
    graph, _, hyper = _graph()
    shift = -linear_solve(jacobian(Gy, y), Fy)

    def near(e: Any, first: Any) -> Any:
        """At the penalty's minimizer y + sigma y_1, with the lower one for z."""
        return substitute(substitute(e, {z: w}), {y: y + first * sigma, w: y})

    def upper(c: Any, order: int) -> Any:
        """A term of sigma times the upper field."""
        field = near(method.system.drift[x] * sigma, c["y_1"])
        return taylor_terms(field, sigma, order)[order]

    rest = Step(
        "The penalty at rest",
        r"With $y$ for the lower minimizer, that of $\sigma F + G$ is $y + \sigma y_1 + O(\sigma^2)$, and the upper "
        r"field is minus the hypergradient as $\sigma \to 0$: the difference of two gradients stands for the adjoint.",
        (Claim("y_1", shift),),
        lambda c: {
            "the penalty's equation to first order": Equation(
                taylor_terms(near(sigma * Fy + Gy, c["y_1"]), sigma, 1)[1], Gy * sp.S.Zero
            ),
            "sigma times the upper field, to order 0": Equation(upper(c, 0), Fx * sp.S.Zero),
            "and to order 1": Equation(upper(c, 1), -hyper),
        },
        assumes=CURVED,
    )  # fmt: skip
    return _derived(
        method,
        "The difference of two gradients stands for the adjoint.",
        (graph, rest),
        "2301.10945",
        "kwon2023",
    )


def _derived(
    method: Algorithm, summary: str, first: tuple[Step, ...], paper: str, key: str
) -> Derivation:
    steps = (*first, *checked_steps(method))
    return Derivation(
        str(method.name), "reduction", summary, steps, method, references=(key,), notation=BILEVEL,
        provenance=f"{_OWN}arXiv:{paper}.",
    )  # fmt: skip
