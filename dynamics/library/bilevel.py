"""Bilevel optimization as systems with fast blocks: what the upper level needs of the lower one comes to rest."""

from __future__ import annotations

from ..algebra.calculus import substitute
from ..algebra.direct_sums import jacobian
from ..algebra.operators import linear_solve
from ..algebra.scalars import parameters
from ..algebra.vectors import Vector
from ..flows.system import System
from ..implicit.making import root
from ..vector_fields.block import blocks
from ..vector_fields.objective import Objective

F, G = Objective("F", args=("x", "y")), Objective("G", args=("x", "y"))


def hypergradient() -> Vector:
    """The gradient of F(x, y*(x)), F_x - G_xy v, where y* minimizes G and v solves G_yy v = F_y."""
    x, y, v = blocks("x y v")
    slope = G.grad(x, y, wrt="y")
    adjoint = linear_solve(jacobian(slope, y), F.grad(x, y, wrt="y"))
    upper = F.grad(x, y, wrt="x") - G.grad(x, y, wrt="x", along=({"y": v},))
    found: Vector = substitute(substitute(upper, {v: adjoint}), {y: root(slope, y)})
    return found


def implicit_bilevel() -> System:
    """epsilon y' = -G_y, epsilon v' = F_y - G_yy v, x' = G_xy v - F_x, for min F(x, y) over y = argmin G(x, y).

    At rest v solves the adjoint equation, and x follows the hypergradient, the gradient of F(x, y*(x)).
    """
    x, y, v = blocks("x y v")
    eps = parameters("epsilon")
    return System(
        {
            "upper": {x: G.grad(x, y, wrt="x", along=({"y": v},)) - F.grad(x, y, wrt="x")},
            "lower": {y: -G.grad(x, y, wrt="y") / eps},
            "adjoint": {
                v: (F.grad(x, y, wrt="y") - G.grad(x, y, wrt="y", along=({"y": v},))) / eps
            },
        },
        output=x,
        fast={y: eps, v: eps},
        name="implicit_bilevel",
        provenance="The single loop with an adjoint is reconstructed from arXiv:2201.13409.",
        references=("dagreou2022",),
    )


def penalty_bilevel() -> System:
    """x' = -F_x - (G_x - G_x(x, z))/sigma, epsilon y' = -(sigma F_y + G_y), rho epsilon z' = -G_y(x, z).

    At rest y minimizes sigma F + G and z minimizes G over their block, and x follows the gradient of the penalty
    function min_y (F + G/sigma) - min_z G/sigma, without second derivatives; 1/sigma is a multiplier.
    """
    x, y, z = blocks("x y z")
    sigma, eps, rho = parameters("sigma epsilon rho")
    upper = -F.grad(x, y, wrt="x") - (G.grad(x, y, wrt="x") - G.grad(x, z, wrt="x")) / sigma
    return System(
        {
            "upper": {x: upper},
            "lower": {y: -(sigma * F.grad(x, y, wrt="y") + G.grad(x, y, wrt="y")) / eps},
            "value": {z: -G.grad(x, z, wrt="y") / (rho * eps)},
        },
        output=x,
        fast={y: eps, z: rho * eps},
        name="penalty_bilevel",
        provenance="The single loop with a penalty is reconstructed from arXiv:2301.10945.",
        references=("kwon2023",),
    )
