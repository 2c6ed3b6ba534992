"""Flows in a dual variable Z, read through a mirror map x = grad phi*(Z).

The mirror map and its inverse are oracles of kind map ("mirror" and "dual"), or a named map that has an inverse;
the maps of the entropies on the positive orthant and the simplex are written out in the calculus.
"""

from __future__ import annotations

from ..._support.errors import check_choice
from ..algebra.scalars import parameters
from ..algebra.vectors import Vector
from ..flows.system import System
from ..maps import form_of, named_maps
from ..vector_fields.block import blocks, start
from ..vector_fields.maps import Map, named_map
from ..vector_fields.objective import Objective

_WRITTEN = {"orthant": "exponential", "simplex": "softmax"}


def mirror_map(name: str, Z: Vector) -> tuple[Vector, Vector]:
    """grad phi*(Z), and grad phi(x0), for a mirror map by name.

    "map" is any (through the oracles "mirror" and its inverse "dual"), "identity" is phi = |x|^2 / 2,
    "orthant" is phi = sum x_i log x_i - x_i for positive x, "simplex" the same on sum x_i = 1, where
    grad phi*(Z) = exp(Z) / sum_i exp(Z_i). Named maps with an inverse are the others: "p_norm", with a parameter q,
    "tsallis", with a parameter eta, and the last two as "exponential" and "softmax", not written out.
    """
    if name == "map":
        return Map("mirror")(Z), Map("dual")(start)
    if name == "identity":
        return Z, start
    if name in _WRITTEN:
        known = named_map(_WRITTEN[name])
        return known.written(Z), known.inverse(start)
    mirrors = [n for n in named_maps() if form_of(n).inverse is not None]
    check_choice("mirror map called", name, ("map", "identity", *_WRITTEN, *mirrors))
    known = named_map(name, **{n: parameters(n) for n in form_of(name).arguments})
    return known(Z), known.inverse(start)


def mirror_flow(mirror: str = "map") -> System:
    """Z' = -grad f(x), x = grad phi*(Z): mirror descent in continuous time.

    ``mirror`` is "map", "identity", "orthant", "simplex" or a named map such as "tsallis"; see `mirror_map`.
    """
    Z = blocks("Z")
    x, begin = mirror_map(mirror, Z)
    return System(
        {"descent": {Z: -Objective("f").grad(x)}},
        output=x,
        init={Z: begin},
        name="mirror_flow",
        references=("nemirovsky1983",),
    )


def accelerated_mirror(mirror: str = "map") -> System:
    """x' = (r/t) (z - x) - a grad f(x), Z' = -(t/r) grad f(x), z = grad phi*(Z), with feed-through a.

    At a = 0 the flow of Krichene, Bayen and Bartlett; for the identity map it is then
    x'' + ((r + 1)/t) x' + grad f(x) = 0. ``mirror`` is as for mirror_flow.
    """
    x, Z = blocks("x Z")
    r, a, t = parameters("r a t")
    z, begin = mirror_map(mirror, Z)
    g = Objective("f").grad(x)
    return System(
        {"coupling": {x: (z - x) * (r / t)}, "law": {x: -a * g, Z: -t / r * g}},
        output=x,
        init={x: start, Z: begin},
        time=t,
        name="accelerated_mirror",
        references=("krichene2015",),
    )
