"""Nonquadratic functions on which a method is slow: its points lie on a logarithmic spiral in the plane.

A method with one gradient per step and transfer function H from gradient to point has the solution y_t = z^t,
z = rho exp(i theta), if its gradients are g_t = G y_t with G = 1 / H(z). These are the gradients of some f in
F(mu, L) with values phi |y_t|^2 if all pairs of points satisfy the interpolation inequalities. By the scaling and the
rotation by z, the pair (t, t + j) does as (0, j): with w = z^j, j >= 1, and K = |G|^2 - 2 mu Re G + mu L,

    2(L - mu)(phi (1 - |w|^2) - Re(conj(G w) (1 - w))) >= K |1 - w|^2,
    2(L - mu)(phi (|w|^2 - 1) + Re(conj(G) (1 - w))) >= K |1 - w|^2,

and with w = 0 for the minimizer. That is an interval for phi; it is not empty for some z up to a largest rho, at which
the method is no faster than rho^t. For rho = 1 these are the cycles of Goujaud, Taylor, Dieuleveut
(arXiv:2307.11291), for real G the quadratics. Any such data is interpolated by a function of F(mu, L), also infinite
data (Taylor, Hendrickx, Glineur, arXiv:1502.05666, theorem 4).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from ...._support.rendering.rendered import Rendered
from ..checking.checker import HALF, ONE, ZERO, Number, Refused, check_lower
from ..checking.document import text
from ..checking.elimination import kernel
from ..checking.field import reciprocal
from ..methods.modes import transfer
from ..methods.plant import Plant, to_float
from ..methods.precise import dyadic
from ..methods.statement import statement

_ANGLES = 240
_LONGEST = 20_000  # pairs that are checked one by one
_ROOM = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5)  # by how much rho stays below the largest


@dataclass(frozen=True)
class Spiral(Rendered):
    """A function of the class on which the method's points are z^t, z = ``real`` + i ``imaginary``.

    Attributes:
        real, imaginary: z, exact.
        value: f(y_t) - f* = value |y_t|^2.
    """

    real: Fraction
    imaginary: Fraction
    value: Fraction

    @property
    def low(self) -> Fraction:
        """A fraction at most |z|, nearer than 1e-30."""
        square = (self.real**2 + self.imaginary**2) * 10**60
        return Fraction(math.isqrt(math.floor(square)), 10**30)

    def to_dict(self, plant: Plant) -> dict[str, Any]:
        """The lower bound as a document has it, with the state and the gradient where y = 1.

        Raises ValueError if the method has no such run.
        """
        p, q, n = Number(self.real), Number(self.imaginary), len(plant.A)
        rows: list[list[Number]] = []  # z state = A state + B G, C state + D G = 1, over both parts
        for i, (a, b) in enumerate(zip(plant.A, plant.B, strict=True)):
            still = [(p if i == j else ZERO) - x for j, x in enumerate(a)]
            turned = [q if i == j else ZERO for j in range(n)]
            rows.append([*still, *(-x for x in turned), -b[0], ZERO, ZERO])
            rows.append([*turned, *still, ZERO, -b[0], ZERO])
        none, c, d = [ZERO] * n, plant.C[0], plant.D[0][0]
        rows += [[*c, *none, d, ZERO, -ONE], [*none, *c, ZERO, d, ZERO]]
        found = next((v for v in kernel(rows, 2 * n + 3) if v[-1]), None)
        if found is None:
            raise ValueError("the method has no such run")
        scale = reciprocal(found[-1])
        numbers = [text(scale * x) for x in found[:-1]]
        return {
            "kind": "spiral", "real": str(self.real), "imaginary": str(self.imaginary),
            "value": str(self.value), "gap": str(1 - self.low),
            "state": [numbers[:n], numbers[n : 2 * n]], "gradient": numbers[2 * n :],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spiral:
        """The same from plain data, not checked."""
        real, imaginary, value = (Fraction(data[name]) for name in ("real", "imaginary", "value"))
        return cls(real, imaginary, value)

    def points(self, count: int) -> Float[np.ndarray, "count 2"]:
        """The first points in the plane."""
        y = complex(self.real, self.imaginary) ** np.arange(count)
        return np.stack([y.real, y.imag], axis=-1)

    def __str__(self) -> str:
        angle = math.degrees(math.atan2(self.imaginary, self.real))
        return (
            f"a function of the plane on which it spirals in, turning by {angle:.4f} degrees a step"
        )


class _Pairs:
    """The interval for phi in floats, for many z at once."""

    def __init__(self, plant: Plant) -> None:
        top, bottom = transfer(plant)
        self.top, self.bottom = ([to_float(a) for a in poly] for poly in (top, bottom))
        self.mu, self.L = float(plant.mu), float(plant.L)

    def interval(self, z: Complex[np.ndarray, " n"]) -> tuple[Any, Any]:
        """Its ends, which are the wrong way round where it is empty."""
        with np.errstate(all="ignore"):
            G = np.polyval(self.bottom, z) / np.polyval(self.top, z)
            G = np.where(np.isfinite(G), G, np.nan)
        K = np.abs(G) ** 2 - 2 * self.mu * G.real + self.mu * self.L
        twice = 2 * (self.L - self.mu)
        lower, upper = K / twice, G.real - K / twice  # with the minimizer
        rho = float(np.abs(z).max())
        count = min(_LONGEST, 2 + math.ceil(math.log(1e-10) / math.log(rho)))
        w = np.ones_like(z)
        for _ in range(count):
            w = w * z
            away = np.abs(1 - w) ** 2 * K / twice
            gone = 1 - np.abs(w) ** 2
            lower = np.fmax(lower, ((np.conj(G * w) * (1 - w)).real + away) / gone)
            upper = np.fmin(upper, ((np.conj(G) * (1 - w)).real - away) / gone)
        return lower, upper

    def best(self, rho: float, around: Any) -> tuple[float, float]:
        """The widest interval over the angle, near the given ones, and the angle."""
        angles, step = around, 0.0
        for _ in range(6):
            lower, upper = self.interval(rho * np.exp(1j * angles))
            width = np.where(np.isnan(upper - lower), -np.inf, upper - lower)
            at = int(width.argmax())
            best, angle = float(width[at]), float(angles[at])
            if best >= 0:
                break
            step = step / 8 or float(np.gradient(angles)[at])
            angles = angle + step * np.linspace(-1, 1, 17)
        return best, angle


def slowest_spiral(
    plant: Plant, least: float, most: float, seconds: float = math.inf
) -> Spiral | None:
    """The slowest spiral with least < rho <= most that is found and proved; None if there is none, or no time.

    ``most`` is a rate that is certified. Methods with several gradients a step, or with enclosed numbers, have none
    here.

    Args:
        plant: the method.
        least, most: between which rho is looked for; ``most`` is a rate that is certified.
        seconds: how long to look.
    """
    if len(plant.D) != 1 or not plant.exact or not plant.mu < plant.L:
        return None
    end = time.monotonic() + seconds
    most = min(most, 1 - 1e-9)
    search = _Pairs(plant)
    fine = np.geomspace(1e-4, math.pi / 4, _ANGLES // 2)  # where slow methods turn slowly
    everywhere = np.unique(np.append(np.linspace(0, math.pi, _ANGLES + 1), fine))
    low, high, angle = least * (1 + 1e-9), most, None
    if not low < high:
        return None
    width, at = search.best(low, everywhere)
    if width < 0:
        return None
    angle = at
    while high - low > 1e-10 * high and time.monotonic() < end:
        middle = (low + high) / 2
        near = angle + (high - low) * np.linspace(-2, 2, 33)
        width, at = search.best(middle, near)
        if width < 0 and high - low > 1e-3 * high:
            width, at = search.best(middle, everywhere)
        if width >= 0:
            low, angle = middle, at
        else:
            high = middle
    for room in _ROOM:
        rho = low * (1 - room)
        if rho <= least or time.monotonic() >= end:
            return None
        _, at = search.best(rho, angle + room**0.5 * np.linspace(-1, 1, 65))
        z = rho * np.exp(1j * at)
        lower, upper = search.interval(np.array([z]))
        value = float(lower[0] + upper[0]) / 2
        found = Spiral(*(dyadic(x, 48) for x in (z.real, z.imag, value)))
        try:
            check_lower("rate", statement(plant, ONE - HALF, "output"), found.to_dict(plant))
        except (Refused, ValueError):
            continue
        return found
    return None
