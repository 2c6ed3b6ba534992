"""The canyons of Riedl, Klock, Geldhauser and Fornasier: curved valleys with ripples and a step across them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective
from ._checks import expect_shape


class _Canyon(NamedTuple):
    """The floor of the canyon (v = 0), its walls, its slope along the floor, and the height of its ripples."""

    floor: Callable[[Any, Any], Any]
    steep: Callable[[Any], Any]
    slope: tuple[float, float]
    ripples: tuple[float, float]


CANYONS = {
    2: _Canyon(lambda x, y: -y - 0.6 * x * (x - 4), lambda x: 1.2, (0.75, 0.2), (0.0, 1.5)),
    3: _Canyon(
        lambda x, y: y - ((x - 1) * (x - 4) ** 2 / 8 + 2), lambda x: 1.4 * jnp.exp(-0.002 * x**4), (0.4, 0.2),
        (0.25, 1.1625),
    ),
}  # fmt: skip


def grand_canyon(number: int = 3, noisy: bool = True) -> Objective:
    """A winding canyon with a step across its floor, in the plane; minimizer (0, 0), f* = 0.

    f = 25 (1 - exp(-s v^2)) + a x^2 + b y^2 + c (2 - cos(3 pi x/4) - cos(3 pi y/4)) + 4 exp(1 - 2 v^4) max((1 -
    exp(-9 w^2)) sign w, 0) with w = -x - 1.6 y and v = 0 along the floor. `number` is 3, with v = y - (x - 1)(x -
    4)^2/8 - 2, s = 1.4 exp(-0.002 x^4), or 2, with v = -y - 0.6 x (x - 4), s = 1.2; `noisy` has higher ripples c.
    Number 3 with them is the objective of all figures of the reference, seen on [-2, 8]^2; x0 = (8, 8) (of 2: (5, 5)).

    Continuous, but with a kink where w = 0, so no L. Source: the MATLAB code of the reference.

    Reference: Riedl, Klock, Geldhauser, Fornasier, arXiv:2306.09778.
    """
    if number not in CANYONS or isinstance(number, bool):
        raise OdescentError(f"number of grand_canyon must be 2 or 3, not {short(number)}.")
    canyon = CANYONS[number]
    (a, b), height = canyon.slope, canyon.ripples[bool(noisy)]

    def fun(z: Float[ArrayLike, "2"]) -> Float[Array, ""]:
        z = jnp.asarray(z)
        expect_shape(z.shape, (2,), "grand_canyon")
        x, y = z[0], z[1]
        v, w = canyon.floor(x, y), -x - 1.6 * y
        walls = -25 * jnp.expm1(-canyon.steep(x) * v**2)
        ripples = (
            2 * height * (jnp.sin(3 * math.pi / 8 * x) ** 2 + jnp.sin(3 * math.pi / 8 * y) ** 2)
        )
        step = 4 * jnp.exp(1 - 2 * v**4) * jnp.maximum(-jnp.expm1(-9 * w**2) * jnp.sign(w), 0.0)
        return walls + a * x**2 + b * y**2 + ripples + step

    corner = {2: 5.0, 3: 8.0}[number]
    return Objective(
        "grand_canyon",
        fun,
        minimizer=np.zeros(2),
        dimension=2,
        x0=np.full(2, corner),
        reference="arXiv:2306.09778",
    )
