"""Functions that a method does not minimize: cycles on roots of unity (Goujaud, Taylor, Dieuleveut, arXiv:2307.11291).

A trigonometric sum decides whether there are such cycles; its sign is found exactly, for all periods and winding
numbers. A method with one gradient per step and transfer function H = top / bottom from gradient to gradient point runs
along y_t = exp(i t theta), theta = 2 pi m / K, if the gradients are g_t = y_t / H(exp(i theta)). Some f in
F(mu, L) has these gradients iff, with a + i b = 1 / H(exp(i theta)),

    (L + mu) a - a^2 - b^2 - mu L >= (L - mu) |b| cot(pi / K).

That is all pairs of interpolation inequalities at once: by the rotation, values are equal, and the pair (0, j)
has sin / (1 - cos) = cot(j theta / 2). For heavy ball and m = 1 this is the condition of Goujaud, Taylor and
Dieuleveut (arXiv:2307.11291). Times |top|^2, with the sign of b left open, it is a sum of cos(l theta) and
cot(pi / K) sin(l theta), which are polynomials in x = 2 cos(2 pi / K) with rational coefficients:

    cos(2 pi r / K) = V_r(x) / 2,     cot(pi / K) sin(2 pi r / K) = (1 + x / 2) S_{r-1}(x),

where V and S are Chebyshev's polynomials of both kinds, rescaled. So a zero is recognized by algebra, modulo
the minimal polynomial of x, and every other sign by enclosures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache, reduce
from math import isqrt
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from ...._support.errors import OdescentError, expected
from ...._support.rendering.rendered import Rendered
from ..checking.checker import ONE, ZERO, Number, Refused, within
from ..checking.field import enclosure
from ..methods.modes import characteristic, modal, radius, transfer
from ..methods.plant import Method, Plant, read, to_floats

if TYPE_CHECKING:
    from ....dynamics import Objective

_MOST = 60  # the longest period that is tried, by default
_LIMIT = 1000  # at all: up to period K there are 0.15 K^2 pairs with a winding number


@dataclass(frozen=True, eq=False)
class Cycle(Rendered):
    """A function in F(mu, L) on which a method runs around K points of a circle for ever.

    f(x) = L/2 |x|^2 - (L - mu)/2 dist(x, conv vertices)^2 in the plane, with minimizer 0.

    Attributes:
        period, winding: K points, m times around.
        mu, L: the class.
        points: where the gradients are taken, one period, on the unit circle.
        gradients: of f there.
        states: of the method, by time and entry.
        vertices: of the polygon in f; the one nearest to each point.
        strict: whether the interpolation inequalities hold strictly: then f has the curvature mu in all
            directions near the points. Without, the points lie where two curvatures meet.
        plant: the method.
    """

    period: int
    winding: int
    mu: float
    L: float
    points: Float[np.ndarray, "K 2"]
    gradients: Float[np.ndarray, "K 2"]
    states: Float[np.ndarray, "K n 2"]
    vertices: Float[np.ndarray, "K 2"]
    strict: bool
    plant: Plant = field(repr=False)

    @cached_property
    def objective(self) -> Objective:
        """The function f, with value and gradient, mu and L as they were given."""
        from ....dynamics.problems.smoothed_support import smoothed_support

        return smoothed_support(self.vertices, self.plant.mu, self.plant.L)

    @cached_property
    def multiplier(self) -> float | None:
        """The factor by which the slowest deviation from the cycle grows in one period; None if not strict.

        Near a strict cycle the method is the one on the quadratic of curvature mu, whose slowest pole has this
        modulus to the power K.
        """
        if not self.strict:
            return None
        mode = radius(self.plant, self.plant.mu)
        return float(mode.low if mode.exact is None else mode.exact) ** self.period

    @cached_property
    def stable(self) -> bool | None:
        """Whether the cycle attracts what starts near it; decided exactly, None if the cycle is not strict."""
        if not self.strict:
            return None
        at_mu = self.plant.number(self.plant.mu)
        return within(characteristic(modal(self.plant, at_mu)), ONE, strict=True)

    def follow(self, steps: int, state: Any = None) -> Float[np.ndarray, "k 2"]:
        """The gradient points of the method on `objective`, shape (steps + 1, 2).

        Args:
            steps: how many, at least 0.
            state: where it starts, shape (n, 2), in the coordinates of `states`; on the cycle by default.
        """
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            A, B, C, D = (jnp.asarray(m) for m in self.plant.floats())
            if D.any():
                raise OdescentError("an implicit method is not followed here: run the algorithm.")
            start = jnp.asarray(self.states[0] if state is None else state, dtype=float)

            def step(s: Any, _: None) -> tuple[Any, Any]:
                point = (C @ s)[0]
                return A @ s + B @ self.objective.grad(point)[None], point

            points: Float[np.ndarray, "k 2"] = np.asarray(
                jax.lax.scan(step, start, None, length=steps + 1)[1]
            )
        return points

    def __str__(self) -> str:
        turns = "" if self.winding == 1 else f" with winding number {self.winding}"
        x, y = self.vertices[0]
        return (
            f"it runs forever around a cycle of period {self.period}{turns} on "
            f"f(x) = {self.L:g}/2 |x|^2 - {self.L - self.mu:g}/2 dist(x, P)^2 in the plane, P the regular polygon "
            f"with {self.period} corners around 0 of which one is ({x:.12g}, {y:.12g})"
        )


def counterexample(algorithm: Method, mu: object, L: object, periods: int = _MOST) -> Cycle | None:
    """The cycle on roots of unity with the shortest period, with proof; None if there is none up to ``periods``.

    Args:
        algorithm: as for `certify`, with one gradient per step.
        mu, L: the class, 0 <= mu < L.
        periods: the longest period, at least 2.

    Raises:
        OdescentError: input outside its domain.
    """
    return next(roots_of_unity(algorithm, mu, L, periods), None)


def roots_of_unity(
    algorithm: Method, mu: object, L: object, periods: int = _MOST
) -> Iterator[Cycle]:
    """All such cycles, by period and winding number; see `counterexample`.

    Args:
        algorithm: as for `certify`, with one gradient per step.
        mu, L: the class, 0 <= mu < L.
        periods: the longest period, at least 2.
    """
    return found_by(read(algorithm, mu, L), check_periods(periods))


def check_periods(periods: object) -> int:
    """The longest period to try; OdescentError unless it is a whole number of at least 2 that can be tried."""
    if type(periods) is not int or not 2 <= periods <= _LIMIT:
        raise expected("a period", f"a whole number from 2 to {_LIMIT}", periods)
    return periods


def windings(periods: int, shortest: int = 2) -> list[tuple[int, int]]:
    """Periods K and winding numbers m that are coprime, 1 <= m <= K/2 (the others are mirror images)."""
    return [
        (K, m)
        for K in range(shortest, periods + 1)
        for m in range(1, K // 2 + 1)
        if math.gcd(K, m) == 1
    ]


def found_by(plant: Plant, periods: int = _MOST) -> Iterator[Cycle]:
    """The same for a method that was read already."""
    if len(plant.D) != 1 or not plant.mu < plant.L:
        return
    top, bottom = transfer(plant)
    tried = windings(periods)
    around = np.exp(2j * math.pi * np.array([m / K for K, m in tried]))
    over, under = (np.polyval(to_floats(poly), around) for poly in (top, bottom))
    even, odd = sequences(top, bottom, plant.number(plant.mu), plant.number(plant.L))
    powers = around[:, None] ** np.arange(len(bottom))
    cot = 1 / np.tan([math.pi / K for K, _ in tried])
    level, slant = to_floats(even), to_floats(odd)
    margin = powers.real @ level - np.abs(powers[:, 1:].imag @ slant) * cot
    likely = margin > -1e-10 * (np.abs(level).sum() + cot * np.abs(slant).sum())
    moves = float(plant.L) * np.abs(over) > 1e-12 * np.abs(under)  # H has the unit of 1 / L
    for at in np.flatnonzero(likely & moves):
        try:
            least = min(signs(even, odd, *tried[at], plant.exact))
        except Refused:  # only for enclosures, at the edge
            continue
        if least >= 0:
            yield _cycle(
                plant, complex(around[at]), complex(under[at] / over[at]), *tried[at], least > 0
            )


def _cycle(plant: Plant, around: complex, gradient: complex, K: int, m: int, strict: bool) -> Cycle:
    A, B, _, _ = plant.floats()
    state = np.linalg.solve(around * np.eye(len(A)) - A, B[:, 0] * gradient)
    turn = around ** np.arange(K)
    mu, L = float(plant.mu), float(plant.L)
    return Cycle(
        K, m, mu, L, _plane(turn), _plane(gradient * turn), _plane(turn[:, None] * state),
        _plane((gradient - mu) / (L - mu) * turn), strict, plant,
    )  # fmt: skip


def _plane(z: Any) -> Float[np.ndarray, "*n 2"]:
    """Complex numbers as points of the plane."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


Rational = tuple[Fraction, ...]  # of a polynomial in x, constant term first
_BITS = (96, 256, 1024, 4096, 16384)


def sequences(top: Sequence[Any], bottom: Sequence[Any], mu: Any, L: Any) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """The coefficients of cos(l theta), l = 0, ..., n, and of sin(l theta), l = 1, ..., n, in the condition.

    ``top`` and ``bottom`` are polynomials in z of the same length, leading one first, with coefficients of any
    ring: numbers, expressions, arrays. The condition is sum even_l cos(l theta) >= |sum odd_l sin(l theta)| cot.

    Args:
        top, bottom: polynomials in z of the same length, leading one first, with coefficients of any ring.
        mu, L: the class, in the same ring.

    Returns:
        n + 1 and n coefficients.
    """

    def lag(p: Sequence[Any], r: Sequence[Any], l: int) -> Any:
        return reduce(add, [a * b for a, b in zip(p, r[l:], strict=False)])

    even, odd = [], []
    both, span = mu * L, L - mu
    for l in range(len(bottom)):
        ahead, behind = lag(bottom, top, l), lag(top, bottom, l)
        squares = lag(bottom, bottom, l) + both * lag(top, top, l)
        if l == 0:
            even.append((L + mu) * ahead - squares)
        else:
            even.append((L + mu) * (ahead + behind) - (squares + squares))
            odd.append(span * (ahead - behind))
    return even, odd


@lru_cache(maxsize=256)
def minimal_polynomial(K: int) -> Rational:
    """The minimal polynomial of x = 2 cos(2 pi / K), K >= 2, monic, constant term first."""
    if K == 2:
        return (Fraction(2), Fraction(1))
    around = [Fraction(int(c)) for c in sp.Poly(sp.cyclotomic_poly(K, sp.Symbol("z"))).all_coeffs()]
    half = (
        len(around) // 2
    )  # the cyclotomic polynomial is z^half times a sum of z^j + z^-j = V_j(x)
    first, second = [Fraction(2)], [Fraction(0), Fraction(1)]
    total = [around[half]] + [Fraction(0)] * half
    for j in range(1, half + 1):
        for i, c in enumerate(second):
            total[i] += around[half - j] * c
        first, second = second, _next(first, second)
    return tuple(total)


def _next(before: list[Fraction], now: list[Fraction]) -> list[Fraction]:
    """x now - before."""
    later = [Fraction(0), *now]
    for i, c in enumerate(before):
        later[i] -= c
    return later


def _after(K: int, r: int, before: list[Fraction], now: list[Fraction]) -> list[Fraction]:
    """Chebyshev's polynomial number r of those that begin with two, modulo the minimal polynomial."""
    for _ in range(r % K):
        before, now = now, remainder(_next(before, now), K)
    return remainder(before, K)


def remainder(polynomial: Sequence[Any], K: int) -> list[Any]:
    """A polynomial in x, constant term first, modulo the minimal polynomial."""
    modulus = minimal_polynomial(K)
    found, d = list(polynomial), len(modulus) - 1
    for at in range(len(found) - 1, d - 1, -1):
        lead = found[at]
        for i in range(d):
            found[at - d + i] = found[at - d + i] - lead * modulus[i]
    return found[:d] + [Fraction(0)] * (d - len(found))


@lru_cache(maxsize=4096)
def cosine(K: int, r: int) -> Rational:
    """cos(2 pi r / K) as a polynomial in x."""
    return tuple(c / 2 for c in _after(K, r, [Fraction(2)], [Fraction(0), Fraction(1)]))


@lru_cache(maxsize=4096)
def sine(K: int, r: int) -> Rational:
    """cot(pi / K) sin(2 pi r / K) as a polynomial in x."""
    second = _after(K, r, [Fraction(0)], [Fraction(1)])
    product = [*second, Fraction(0)]
    for i, c in enumerate(second):
        product[i + 1] += c / 2
    return tuple(remainder(product, K))


def signs(
    even: Sequence[Number], odd: Sequence[Number], K: int, m: int, exact: bool
) -> tuple[int, int]:
    """The signs of sum even cos(l theta) - cot sum odd sin(l theta), and with a plus, theta = 2 pi m / K.

    Args:
        even, odd: as from `sequences`: numbers of Q(sqrt d) if ``exact``, else enclosures.
        K, m: period and winding number.
        exact: whether a zero can be recognized.

    Raises:
        Refused: enclosures are too wide to tell a sign.
    """
    first, second = (
        _sign(even, [-o if minus else o for o in odd], K, m, exact) for minus in (True, False)
    )
    return first, second


def _sign(even: Sequence[Number], odd: Sequence[Number], K: int, m: int, exact: bool) -> int:
    vanishes: bool | None = None
    for bits in _BITS:
        value = _value(even, odd, K, m, bits)
        if abs(value.a) > value.e or not (value.a or value.e):
            return int(value.a > 0) - int(value.a < 0)
        if not exact:
            break
        if vanishes is None:
            vanishes = _norm_vanishes(even, odd, K, m)
        if vanishes:  # a + b sqrt d = 0 or a - b sqrt d = 0, and not both unless both a and b are
            mirrored = [[Number(c.a, -c.b, c.d) for c in part] for part in (even, odd)]
            other = _value(mirrored[0], mirrored[1], K, m, bits)
            if abs(other.a) > other.e or not _terms(even, odd, K, m, "a"):
                return 0
    raise Refused("an enclosure is too wide to tell a sign")


def _terms(even: Sequence[Number], odd: Sequence[Number], K: int, m: int, part: str) -> list[Any]:
    """The rational parts of the sum as a polynomial in x, or those that multiply sqrt d; empty if zero."""
    total = [Fraction(0)] * (len(minimal_polynomial(K)) - 1)
    for first, function, coefficients in ((0, cosine, even), (1, sine, odd)):
        for l, c in enumerate(coefficients, first):
            weight = Fraction(getattr(c, part))
            if weight:
                total = [t + weight * v for t, v in zip(total, function(K, l * m), strict=True)]
    return total if any(total) else []


def _norm_vanishes(even: Sequence[Number], odd: Sequence[Number], K: int, m: int) -> bool:
    """Whether a^2 = d b^2 for the sum a + b sqrt d, in Q(x)."""
    d = max(c.d for c in (*even, *odd))
    a, b = (_terms(even, odd, K, m, part) for part in "ab")
    norm = [Fraction(0)] * (2 * len(minimal_polynomial(K)))
    for factor, terms in ((1, a), (-d, b)):
        for i, u in enumerate(terms):
            for j, v in enumerate(terms):
                norm[i + j] += factor * u * v
    return not any(remainder(norm, K))


def _value(even: Sequence[Number], odd: Sequence[Number], K: int, m: int, bits: int) -> Number:
    """An enclosure of the sum."""
    total = ZERO
    for l, c in enumerate(even):
        total = total + _enclosed(c, bits) * _at(K, l * m % K, bits)[0]
    for l, c in enumerate(odd, 1):
        total = total + _enclosed(c, bits) * _at(K, l * m % K, bits)[1]
    return total


@lru_cache(maxsize=8192)
def _at(K: int, r: int, bits: int) -> tuple[Number, Number]:
    """Enclosures of cos(2 pi r / K) and cot(pi / K) sin(2 pi r / K)."""
    angle, half = 2 * sp.pi * sp.Rational(r, K), sp.pi / K
    level, slope = (f(angle, evaluate=False) for f in (sp.cos, sp.sin))
    cot = sp.cos(half, evaluate=False) / sp.sin(half, evaluate=False)
    return enclosure(level, bits), enclosure(slope * cot, bits)


def _enclosed(x: Number, bits: int) -> Number:
    """a + b sqrt d as an interval."""
    if not x.b:
        return Number(x.a, e=x.e)
    root = isqrt(x.d << 2 * bits)
    tiny = Fraction(1, 2 << bits)
    return Number(x.a) + Number(x.b) * Number(Fraction(root, 1 << bits) + tiny, e=tiny)
