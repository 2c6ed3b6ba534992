"""Steepest descent for a norm: x' = -s(g), where s(g) is the s of norm one that makes <g, s> greatest."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import unknown
from ..algebra.scalars import parameters
from ..algebra.vectors import Vector, blocks, elementwise, inner
from ..flows.system import System
from ..vector_fields.objective import Objective


def steepest_direction(norm: str, g: Vector) -> Vector:
    """The s with |s| = 1 and the greatest <g, s>: the gradient of the dual norm at g.

    "map" is any norm, through the oracle "steepest" (for the spectral norm of a matrix g = U S V^T
    it is the polar factor U V^T), "euclidean" is g / |g|, "max" is sign(g), element by element.
    """
    if norm == "map":
        direction: Vector = Objective("steepest").map(g)
        return direction
    if norm == "euclidean":
        unit: Vector = g / sp.sqrt(inner(g, g))
        return unit
    if norm == "max":
        return elementwise(sp.sign, g)
    raise unknown("norm called", norm, ("map", "euclidean", "max"))


def steepest_flow(norm: str = "map") -> System:
    """x' = -s(grad f(x)), s the steepest direction of a norm: f falls at the rate of the dual norm of grad f.

    ``norm`` is "map" (an oracle; the spectral sign flow X' = -U V^T of matrices is one), "euclidean" or "max".
    """
    x = blocks("x")
    direction = steepest_direction(norm, Objective("f").grad(x))
    return System(
        {"descent": {x: -direction}}, output=x, name="steepest_flow", references=("bernstein2024",)
    )


def averaged_steepest_flow(norm: str = "map") -> System:
    """m' = a (grad f(x) - m), x' = -s(m): the steepest direction of an average of gradients.

    For a -> infinity it is steepest_flow. ``norm`` is as there; the "map" of spectral norms is Muon's flow.
    """
    x, m = blocks("x m")
    a = parameters("a")
    return System(
        {
            "average": {m: a * (Objective("f").grad(x) - m)},
            "descent": {x: -steepest_direction(norm, m)},
        },
        output=x,
        name="averaged_steepest_flow",
        references=("bernstein2024",),
    )
