"""Functions of one variable with a piecewise linear gradient, exactly and as objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, ArrayLike, Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..algebra.scalars import as_scalar
from ..vector_fields.objective import Objective
from ._checks import whole

_NAME = "piecewise_quadratic"


@dataclass(frozen=True)
class Piece:
    """The gradient slope * x + intercept on [low, high], in exact numbers; None stands for no end."""

    low: Fraction | None
    high: Fraction | None
    slope: Fraction
    intercept: Fraction

    def holds(self, x: Fraction) -> bool:
        """Whether x lies in the piece, ends included."""
        return (self.low is None or self.low <= x) and (self.high is None or x <= self.high)

    def gradient(self, x: Fraction) -> Fraction:
        return self.slope * x + self.intercept


@dataclass(frozen=True)
class PiecewiseLinear:
    """A continuous gradient g with g(0) = 0: ``slopes`` on the pieces between increasing ``knots``.

    Rational numbers; floats are the decimals that they print as. Knots between equal slopes are dropped.
    In F(mu, L) with the least and the largest slope.

    Raises:
        OdescentError: knots that do not increase, another number of slopes than of pieces, a slope < 0, or none > 0.
    """

    knots: tuple[Any, ...]
    slopes: tuple[Any, ...]

    def __post_init__(self) -> None:
        knots, slopes = _rationals("knots", self.knots), _rationals("slopes", self.slopes)
        if len(slopes) != len(knots) + 1 or list(knots) != sorted(set(knots)):
            raise OdescentError(
                f"{_NAME}: n increasing knots need n + 1 slopes, got {len(knots)} knots "
                f"({', '.join(map(str, knots))}) and {len(slopes)} slopes."
            )
        if min(slopes) < 0 or max(slopes) == 0:
            raise OdescentError(
                f"{_NAME}: slopes of a convex function are >= 0, one of them > 0, got {', '.join(map(str, slopes))}."
            )
        bends = [i for i in range(len(knots)) if slopes[i] != slopes[i + 1]]
        object.__setattr__(self, "knots", tuple(knots[i] for i in bends))
        object.__setattr__(self, "slopes", (slopes[0], *(slopes[i + 1] for i in bends)))

    @property
    def mu(self) -> Fraction:
        """The least slope."""
        return Fraction(min(self.slopes))

    @property
    def L(self) -> Fraction:
        """The largest slope."""
        return Fraction(max(self.slopes))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces from left to right."""
        intercepts = self._from_zero(
            [(s - t) * k for k, (s, t) in zip(self.knots, pairwise(self.slopes), strict=True)]
        )
        ends = [None, *self.knots, None]
        return tuple(
            Piece(ends[i], ends[i + 1], s, c)
            for i, (s, c) in enumerate(zip(self.slopes, intercepts, strict=True))
        )

    @property
    def constants(self) -> tuple[Fraction, ...]:
        """d in f(x) = slope x^2 / 2 + intercept x + d on each piece, with f(0) = 0."""
        jumps = [
            (here.slope - there.slope) * k**2 / 2 + (here.intercept - there.intercept) * k
            for k, (here, there) in zip(self.knots, pairwise(self.pieces), strict=True)
        ]
        return tuple(self._from_zero(jumps))

    def _from_zero(self, jumps: Sequence[Fraction]) -> list[Fraction]:
        """A number for each piece, 0 on that with 0, from its jumps at the knots."""
        sums = list(accumulate(jumps, initial=Fraction(0)))
        home = sums[sum(k < 0 for k in self.knots)]
        return [s - home for s in sums]

    def at(self, x: Fraction) -> int:
        """The number of the piece with x; at a knot the left one."""
        return sum(k < x for k in self.knots)

    def value(self, x: Fraction) -> Fraction:
        """f(x), exactly, for a rational x."""
        piece, d = self.pieces[self.at(x)], self.constants[self.at(x)]
        return piece.slope * x * x / 2 + piece.intercept * x + d


def _rationals(what: str, given: Sequence[Any]) -> tuple[Fraction, ...]:
    try:
        found = [as_scalar(v) for v in given]
    except TypeError:
        found = [sp.nan]
    if not all(v.is_Rational for v in found):
        raise OdescentError(f"{_NAME}: {what} must be rational numbers, got {short(given)}.")
    return tuple(Fraction(int(v.p), int(v.q)) for v in found)


def piecewise_quadratic(
    knots: Sequence[Any] = (-1, 1),
    slopes: Sequence[Any] = (1, 10, 1),
    dimension: int = 1,
) -> Objective:
    """f(x) = sum_i phi(x_i) with phi' piecewise linear and phi'(0) = phi(0) = 0.

    It belongs to F(mu, L) for the least and the largest slope; 0 is a minimizer with f* = 0, unique if mu > 0.

    Args:
        knots: increasing numbers between which phi' is linear.
        slopes: of phi', one more than there are knots.
        dimension: d.

    Returns:
        the objective, with x0 = (3, ..., 3) of shape (d,).

    Raises:
        OdescentError: as for `PiecewiseLinear`, or a dimension that is not a positive whole number.

    Reference: an example of such a function is in Lessard, Recht, Packard, arXiv:1408.3595, doi:10.1137/15M1009597.
    """
    gradient = PiecewiseLinear(tuple(knots), tuple(slopes))
    return build(_NAME, gradient, dimension, 3.0, "doi:10.1137/15M1009597")


def build(
    name: str, gradient: PiecewiseLinear, dimension: int, start: float, reference: str
) -> Objective:
    """The separable objective with that derivative in each coordinate.

    Args:
        name: the name of the objective.
        gradient: phi' of one coordinate.
        dimension: d.
        start: each coordinate of x0.
        reference: the source of the function.

    Raises:
        OdescentError: the dimension is not a positive whole number.
    """
    d = whole(dimension, "dimension", name)
    parts = [
        (
            None if p.high is None else float(p.high),
            float(p.slope / 2),
            float(p.intercept),
            float(c),
        )
        for p, c in zip(gradient.pieces, gradient.constants, strict=True)
    ]

    def fun(x: Float[ArrayLike, "*shape"]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        total: Any = None
        for high, half, slant, constant in reversed(parts):
            value = half * x**2
            value = value + slant * x if slant else value
            value = value + constant if constant else value
            total = value if high is None else jnp.where(x < high, value, total)
        return jnp.sum(total)

    return Objective(
        name,
        fun,
        mu=sp.Rational(gradient.mu.numerator, gradient.mu.denominator),
        L=sp.Rational(gradient.L.numerator, gradient.L.denominator),
        minimizer=np.zeros(d),
        dimension=d,
        x0=np.full(d, start),
        reference=reference,
    )
