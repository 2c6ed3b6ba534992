"""Steepest descent for a norm: x' = -s(g), where s(g) is the s of norm one that makes <g, s> greatest."""

from __future__ import annotations

from ..._support.errors import check_choice
from ..algebra.scalars import parameters
from ..algebra.vectors import Vector
from ..flows.system import System
from ..maps import named_maps
from ..vector_fields.block import blocks
from ..vector_fields.maps import Map, named_map
from ..vector_fields.objective import Objective

_WRITTEN = {"euclidean": "steepest_l2", "max": "steepest_linf"}


def steepest_direction(norm: str, g: Vector) -> Vector:
    """The s with |s| = 1 and the greatest <g, s>: the gradient of the dual norm at g.

    "map" is any norm, through the oracle "steepest"; "euclidean" is g / |g| and "max" is sign(g), element by
    element, both written out. Named maps are the others: "l1", "row_rms", and "spectral", for which it is the polar
    factor U V^T of a matrix g = U S V^T.
    """
    if norm == "map":
        direction: Vector = Map("steepest")(g)
        return direction
    if norm in _WRITTEN:
        return named_map(_WRITTEN[norm]).written(g)
    norms = [n.removeprefix("steepest_") for n in named_maps() if n.startswith("steepest_")]
    check_choice("norm called", norm, ("map", *_WRITTEN, *norms))
    named: Vector = named_map(f"steepest_{norm}")(g)
    return named


def steepest_flow(norm: str = "map") -> System:
    """x' = -s(grad f(x)), s the steepest direction of a norm: f falls at the rate of the dual norm of grad f.

    ``norm`` is "map" (an oracle), "euclidean", "max" or a named one: "spectral" is the sign flow X' = -U V^T.
    """
    x = blocks("x")
    direction = steepest_direction(norm, Objective("f").grad(x))
    return System(
        {"descent": {x: -direction}}, output=x, name="steepest_flow", references=("bernstein2024",)
    )


def averaged_steepest_flow(norm: str = "map") -> System:
    """m' = a (grad f(x) - m), x' = -s(m): the steepest direction of an average of gradients.

    For a -> infinity it is steepest_flow. ``norm`` is as there; with "spectral" it is Muon's flow.
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
