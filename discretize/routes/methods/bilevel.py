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
from ....dynamics.algebra.vectors import Vector, inner
from ....dynamics.library.bilevel import F, G
from ....dynamics.vector_fields.block import blocks
from ...controllers import accurate, error_per_unit_step
from ...faces import Algorithm, Derivation
from ...library.first_order import implicit_bilevel as by_adjoint
from ...library.first_order import inexact_bilevel as by_accuracy
from ...library.first_order import penalty_bilevel as by_penalty
from ...proof.direct import checked_steps
from ...proof.steps import Claim, Equation, Step
from ..notation import BILEVEL, INEXACT, Notation

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


def _sides(controller: tuple[Any, ...]) -> tuple[sp.Expr, sp.Expr]:
    """What is to be at most what in the test that a controller begins with."""
    left, right = controller[0].condition.expressions
    return left, right


def inexact_bilevel() -> Derivation:
    """From the errors of an inexact hypergradient to a step that its guards certify."""
    method = by_accuracy()
    graph, adjoint, hyper = _graph()
    curvature, slow = jacobian(Gy, y), Fx - _mixed(v)

    def along(e: Vector) -> Vector:
        """The derivative as y moves by u, with v held."""
        return derivative(e, {y: u})

    residual = Step(
        "An adjoint with a residual",
        r"Where $v$ leaves the residual $G_{yy} v - F_y = w$, the slow field $z = F_x - G_{xy} v$ is off by $e_1$. "
        r"With $|G_{xy}| \le K$ and $G_{yy} \ge \mu$ that is at most $K |w|/\mu$.",
        (Claim("v", adjoint + linear_solve(curvature, w)), Claim("e_1", -_mixed(linear_solve(curvature, w)))),
        lambda c: {
            "the residual": Equation(apply(curvature, c["v"]) - Fy, w),
            "the slow field": Equation(substitute(slow, {v: c["v"]}), hyper + c["e_1"]),
        },
        assumes=CURVED,
    )  # fmt: skip
    beside = Step(
        "A lower level beside its minimizer",
        r"As $y$ moves by $u$ the solution $v$ of the adjoint equation moves by $v'$, and the slow field by $e_2$, "
        r"where $w$ is $v'$. "
        r"With the Lipschitz constant $L_F$ of the gradient of $F$, and $M$ of the second derivatives of $G$, $|v'|$ "
        r"is at most $(L_F + M |v|) |u|/\mu$, and $|e_2|$ at most $(L_F + M |v|) |u| + K |v'|$: the bound of "
        r"the first guard is that of $e_1 + e_2$ and of their product.",
        (
            Claim("v'", linear_solve(curvature, along(Fy) - along(apply(curvature, v)))),
            Claim("e_2", along(slow) - _mixed(w)),
        ),
        lambda c: {
            "the adjoint equation as y moves": Equation(
                along(apply(curvature, v) - Fy) + apply(curvature, c["v'"]), Fy * sp.S.Zero
            ),
            "the slow field as y moves": Equation(
                substitute(derivative(slow, {y: u, v: w}), {w: c["v'"]}),
                substitute(c["e_2"], {w: c["v'"]}),
            ),
        },
        assumes=CURVED,
    )  # fmt: skip
    angle = Step(
        "What the first guard certifies",
        r"Where $|z - \Phi| \le |z|/2$, the inner product $p$ of $z$ and $\Phi$ is at least $|z|^2/2$: $-z$ descends.",
        (Claim("p", inner(z, z) - inner(z, w)),),
        lambda c: {"with w for the error of z": Equation(c["p"], inner(z, z - w))},
        kind="finding",
    )
    size, bound = sp.Symbol("s", real=True), sp.Symbol("omega", positive=True)
    length = method.step * size
    # both tests as the method and an integrator have them
    tolerance = sp.sqrt(inner(z, z)) / 2
    ours = _sides(accurate(bound, z, [], []))
    integrator = _sides(error_per_unit_step(length * bound, tolerance, size, [x], 1, method.step))
    controller = Step(
        "Accuracy control is error control",
        r"A step of length $h s$ is off that of Euler's method on the flow of the hypergradient by $e_s$, at most "
        r"$h s \omega$ where $\omega$ bounds $|z - \Phi|$. So the first guard is the test of an integrator by its "
        r"error per unit step, with tolerance $|z|/2$: their sides, squared, differ by the factor $k_s$. Both sides "
        r"grow alike with the step, and the error alone with the accuracies, which is why these are controlled.",
        (Claim("e_s", -w * length), Claim("k_s", length**2)),
        lambda c: {
            "beside the step of Euler's method, with w for the error of z": Equation(
                (x - z * length) - (x - (z - w) * length), c["e_s"]
            ),
            "the two tests": Equation(
                integrator[1] ** 2 - integrator[0] ** 2, c["k_s"] * (ours[1] - ours[0])
            ),
        },
        kind="finding",
    )  # fmt: skip
    before, after, e, e_plus = (sp.Symbol(n, real=True) for n in ("a", "b", "e", "e_+"))
    decrease = Step(
        "What the second guard certifies",
        r"Of the upper objective along the minimizer $a + e$ and $b + e_+$ are the values before and after a step, "
        r"and $a$ and $b$ what is evaluated. They fall by $D$. Where $b$ is at most $a - q$ less the bounds of both "
        r"errors, $D$ is at least the promised gain $q$: every accepted step decreases $F(x, y^\star(x))$.",
        (Claim("D", before - after + e - e_plus),),
        lambda c: {"the fall": Equation(c["D"], (before + e) - (after + e_plus))},
        kind="finding",
    )
    return _derived(
        method,
        "Accuracies of the lower level and of the adjoint are two states, and guards certify each step.",
        (graph, residual, beside, angle, controller, decrease),
        "2308.10098",
        "salehi2025",
        INEXACT,
    )


def _derived(
    method: Algorithm,
    summary: str,
    first: tuple[Step, ...],
    paper: str,
    key: str,
    notation: Notation = BILEVEL,
) -> Derivation:
    steps = (*first, *checked_steps(method))
    return Derivation(
        str(method.name), "reduction", summary, steps, method, references=(key,), notation=notation,
        provenance=f"{_OWN}arXiv:{paper}.",
    )  # fmt: skip
