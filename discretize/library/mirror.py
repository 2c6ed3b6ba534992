"""Methods that step in a dual variable."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ...dynamics.library.mirror import mirror_map
from ...dynamics.vector_fields.block import blocks
from ...dynamics.vector_fields.system import L
from ..faces import Algorithm
from ..programs.substeps import Flow, Scheme
from ..step.compile import COUNTER
from ..step.iteration import STEP
from .first_order import by_euler

_REFERENCE = {"orthant": "kivinen1997", "simplex": "kivinen1997"}


def mirror_descent(mirror: str = "map") -> Algorithm:
    """Z+ = Z - h grad f(x), x = grad phi*(Z): explicit Euler on the dual flow; the step h is free.

    ``mirror`` is "map" (any, by the oracles "map_mirror" and its inverse "map_dual"), "identity"
    (gradient descent), "orthant" or "simplex", where it is the exponentiated gradient method
    x_i+ = x_i exp(-h g_i), divided by its sum on the simplex, or a named map with an inverse: "tsallis", "p_norm".
    """
    reference = _REFERENCE.get(mirror, "nemirovsky1983")
    return by_euler(system("mirror_flow", mirror=mirror), "mirror_descent", reference)


def accelerated_mirror_descent(mirror: str = "map") -> Algorithm:
    """y = x + 2/(k+3) (z - x), x+ = y - grad f(y)/L, Z+ = Z - (k+3)/(2 L) grad f(y), z = grad phi*(Z).

    The coupling by implicit Euler at t = (k+1) h, then the law in one explicit step at (k+3) h, with
    r = 2, a = h = 1 / sqrt(L): linear coupling of a gradient and a mirror step (Allen-Zhu and Orecchia),
    one index later. ``mirror`` is as for mirror_descent; with "identity" it is nesterov_c.
    """
    r, a = parameters("r a")
    z, _ = mirror_map(mirror, blocks("Z"))
    steps = (Flow("coupling", "implicit"), Flow("law", "explicit", time=2))
    return Algorithm(
        system("accelerated_mirror", mirror=mirror),
        Scheme(steps, "lie_trotter"),
        where={r: sp.Integer(2), a: STEP},
        tuning={STEP: 1 / sp.sqrt(L)},
        outputs={"z": z},
        clock=(COUNTER + 1) * STEP,
        name="accelerated_mirror_descent",
        reference="allenzhu2017",
    )
