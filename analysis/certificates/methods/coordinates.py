"""A method's points and gradients in high precision, in coordinates in which its slowest mode is of size one.

Beside a slow mode of decay 1 - q the matrices of a method differ from the identity by q, and what a Lyapunov function
gains in a step is q^2 or q^3 of what it is made of: formed in doubles in the method's own state, (x_k, x_{k-1}) say,
that is rounding from q = 1e-3 on. Here the differences are formed with 300 bits, in coordinates T (x_k, u_k / L, ...):

- the state is that in which the slowest mode's own energy, the sum of |y_t|^2 / r^(2t) along its run, is |x_k|^2;
- each gradient u is replaced by (u - mu y) / (L - mu), which vanishes on the quadratic of curvature mu.

Then doubles carry condition numbers of 1e10. T has short dyadic entries: a quadratic form goes back exactly. Where no
mode is slow and no proof is wanted, doubles do for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .modes import modal_radii
from .plant import Plant
from .precise import BITS, context, exactly, high, highs, inverse, spectral_radius, unit, upper_root

_DOUBLINGS = 400  # of a sum over a run; a mode slower than 1 - 2^-400 is none
_UNSEEN = 2.0**-160, 2.0**-30  # of the energy, for states that no point depends on; in doubles
_AS_SLOW = 0.01  # decays that are so near, relatively
_NEAR = 1 / 16  # how far T may lie from the coordinates that were asked for, relatively


class Matrices:
    """A, B, C, D and the output row of a method in high precision or in doubles, in units L = 1, and mu / L."""

    def __init__(self, matrices: Sequence[Any], ratio: Any) -> None:
        self.A, self.B, self.C, self.D, self.output = matrices
        self.ratio = ratio

    @classmethod
    def of(cls, plant: Plant) -> Matrices:
        """Of a method in exact numbers."""
        raw = (plant.A, plant.B, plant.C, plant.D, [plant.output])
        A, B, C, D, output = map(highs, raw)
        L = high(plant.number(plant.L))  # to the right: numbers to the left would be slow
        return cls((A, B * L, C, D * L, output[0]), high(plant.number(plant.mu)) / L)

    @classmethod
    def of_floats(cls, matrices: Sequence[Any], mu: float, L: float, precise: bool) -> Matrices:
        """Of A, B, C, D as floats; what is bounded is the last gradient point.

        Args:
            matrices: A, B, C, D, of shapes (n, n), (n, p), (p, n), (p, p).
            mu, L: the class.
            precise: whether they are turned into numbers of high precision.
        """
        number = context().mpf if precise else float
        A, B, C, D = (
            np.vectorize(number, otypes=[object if precise else float])(m) for m in matrices
        )
        unit_ = number(L)
        return cls((A, B * unit_, C, D * unit_, C[-1]), number(mu) / unit_)

    def floats(self) -> tuple[Any, ...]:
        """A, B, C, D, mu and L rounded, in units L = 1."""
        rounded = (m.astype(float) for m in (self.A, self.B, self.C, self.D))
        return (*rounded, float(self.ratio), 1.0)

    def modal(self, curvature: Any) -> Any:
        """The state's map on a quadratic; ZeroDivisionError where an implicit step has no solution."""
        gain = inverse(unit(len(self.D), exactly(self.D)) - self.D * curvature) @ self.C
        return self.A + (self.B @ gain) * curvature

    def decay(self, curvature: Any) -> Any:
        """1 - the modulus of the slowest pole there."""
        return 1 - spectral_radius(self.modal(curvature))


@dataclass(frozen=True)
class ScaledCoordinates:
    """Rows over the new coordinates of (x_k, u_k / L, ..., u_{k+s} / L), in units L = 1.

    Attributes:
        T: the coordinates, dyadic; the leading block of ``held`` rows is that of V.
        held: the size of V.
        calls: gradients a step.
        y, g, later: the points, the gradients, and the rows of V's own coordinates one step on.
        ratio: mu / L.
        decay: 1 - the modulus of the slowest pole on the quadratic that the state is scaled by.
    """

    T: Any
    held: int
    calls: int
    y: Any
    g: Any
    later: Any
    ratio: Any
    decay: Any


def curvatures(method: Matrices) -> list[Any]:
    """Where the state may be scaled: at the slowest mode, else at mu or between mu and L; in units of L.

    Of modes that are about as slow, as all of momentum's that turn are, at the one of the least curvature: its own time
    is the longest.
    """
    number = type(method.ratio)
    found, radii = modal_radii(*method.floats())
    slow = radii.max() - radii <= _AS_SLOW * (1 - radii.max()) + 1e-13
    slowest = number(float(found[int(slow.argmax())]))
    near = min((method.ratio, number(1)), key=lambda end: abs(end - slowest))
    if abs(near - slowest) < 1e-9 * near:
        slowest = near
    return list(dict.fromkeys([slowest, method.ratio, method.ratio**0.5]))[:2]


def coordinates(method: Matrices, steps: int, curvature: Any) -> ScaledCoordinates:
    """The coordinates for a Lyapunov function with so many steps of memory.

    Raises ValueError where there are none: the method is not stable on that quadratic.

    Args:
        method: its matrices.
        steps: of memory, at least 0.
        curvature: of the quadratic that the state is scaled by, in units of L.
    """
    A, B, C, D, ratio = method.A, method.B, method.C, method.D, method.ratio
    n, p = B.shape
    size, held = n + p * (steps + 1), n + p * steps
    rows = unit(size, exactly(A))
    state, points, after = rows[:n], [], None
    inputs = rows[n:].reshape(steps + 1, p, size)
    for u in inputs:
        points.append(C @ state + D @ u)
        state = A @ state + B @ u
        after = state if after is None else after
    y, g = np.concatenate(points), rows[n:]
    decay = method.decay(curvature)
    wanted = rows.copy()
    wanted[:n, :n] = _scaled_state(method, curvature, decay)
    # an implicit step of many 1 / L moves the points far: its gradients get a larger unit
    far = max(1.0, *(float(abs(e)) for e in D.flat))
    wanted[n:] = (g - y * ratio) * (far / (1 - ratio if ratio < 1 else 1))
    T = short(wanted) if exactly(A) else wanted
    back = inverse(T)
    later = np.concatenate([after, rows[n + p :]])
    later = T[:held, :held] @ later @ back
    return ScaledCoordinates(T, held, p, y @ back, g @ back, later, ratio, decay)


def _scaled_state(method: Matrices, curvature: Any, decay: Any) -> Any:
    """R, with |R x|^2 the mean of |y_t|^2 / r^(2t) along the run from x on one quadratic: of the size of the points."""
    if not decay > 0:
        raise ValueError("not stable")
    power = method.modal(curvature) / (1 - decay / 2)
    seen = np.concatenate([method.C, method.output[None]])
    energy = seen.T @ seen
    precise = exactly(energy)
    energy = energy + unit(len(energy), precise) * (energy.trace() * _UNSEEN[not precise])
    for _ in range(_DOUBLINGS):  # twice as many terms each time
        energy = energy + power.T @ energy @ power
        power = power @ power
        if max(abs(e) for e in power.flat) < 1e-30:
            break
    return upper_root(energy * decay)


def short(wanted: Any) -> Any:
    """The matrix with entries of few bits, so near that its columns mean about the same."""
    mp = context()
    back = inverse(wanted)
    for bits in range(6, BITS // 2, 6):
        found = wanted.copy()
        for i, row in enumerate(wanted):
            largest = max(abs(e) for e in row)
            grid = mp.ldexp(mp.mpf(1), int(mp.floor(mp.log(largest, 2))) - bits)
            found[i] = [mp.nint(e / grid) * grid for e in row]
        away = (found - wanted) @ back
        if max(sum(abs(e) for e in row) for row in away) < _NEAR:
            return found
    raise ValueError("the coordinates are too ill-conditioned")
