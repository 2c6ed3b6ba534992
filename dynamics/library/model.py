"""The (x, z) form: z follows the minimizer of a quadratic lower model of f at x."""

from __future__ import annotations

import sympy as sp

from ..algebra.scalars import parameters
from ..algebra.vectors import blocks
from ..flows.system import System
from ..vector_fields.block import start
from ..vector_fields.objective import Objective
from ..vector_fields.system import mu

ROUTE_B = (
    "Reconstructed: the manifold z = minimizer of the strong-convexity model at x, after the programme of "
    "arXiv:2509.18346; the formulas are this package's own derivation."
)


def model() -> System:
    """x' = c sqrt(mu) (z - x) - a g(x), z' = sqrt(mu) (x - z) - g(x) / sqrt(mu), with feed-through a.

    x'' + ((c + 1) sqrt(mu) + a H) x' + (c + a sqrt(mu)) g = 0.
    """
    x, z = blocks("x z")
    c, a = parameters("c a")
    f, rate = Objective("f"), sp.sqrt(mu)
    return System(
        {
            "coupling": {x: c * rate * (z - x)},
            "law": {x: -a * f.grad(x), z: rate * (x - z) - f.grad(x) / rate},
        },
        output=x,
        init={x: start, z: start},
        name="model",
        provenance=ROUTE_B,
        references=("parimi2025",),
    )


def triple_momentum() -> System:
    """The (x, z) form at c = 2, read at z: the flow of the triple momentum method, feed-through a.

    Its block x obeys x'' + (3 sqrt(mu) + a H) x' + (2 + a sqrt(mu)) g = 0.
    """
    z = blocks("z")
    bound = model().bind({parameters("c"): 2})
    references = ("vanscoy2018", "parimi2025")
    return bound.with_fields(bound.fields, output=z, name="triple_momentum", references=references)
