"""Planar vector fields by numbers: the window, fixed points and their kinds.

Everything works on a callable `field(points)` from shape (n, 2) to shape (n, 2) and a window
((x0, x1), (y0, y1)). Lengths inside the algorithms are measured in units of the window's sides, so
axes of very different scale are treated alike. Values that are not finite never raise: starts
that meet them are left out. Nullclines stand in `nullclines`, flow lines and separatrices in
`trajectories`.

Where the velocity is projected onto the plane, a zero of the projection is a place where the state moves straight out
of the plane, which is no fixed point. Sought are the places where the whole velocity vanishes, by the Gauss-Newton
method on all of its components, and their kind is read off all eigenvalues of the linearized system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float

from ..._support.errors import OdescentError
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered

Points = Float[np.ndarray, "n 2"]
Curve = Float[np.ndarray, "_ 2"]  # points along a curve: lengths differ from curve to curve
Field = Callable[[Points], Points]
Jacobian = Callable[[Points], Float[np.ndarray, "n 2 2"]]
Window = tuple[tuple[float, float], tuple[float, float]]
Kind = Literal[
    "stable node",
    "unstable node",
    "stable degenerate node",
    "unstable degenerate node",
    "stable star",
    "unstable star",
    "stable focus",
    "unstable focus",
    "saddle",
    "centre (linear)",
    "non-hyperbolic",
]
_NUDGE = 6e-6  # central differences: about the cube root of the rounding unit


@dataclass(frozen=True)
class FixedPoint(Rendered):
    """A zero of the field, with its linearization.

    n is 2, or in a plane through a larger state space the dimension of that.

    Attributes:
        point: position in the plane, shape (2,).
        kind: class by the eigenvalues; "centre (linear)" promises nothing about the nonlinear flow.
        jacobian: shape (n, n).
        eigenvalues: shape (n,), complex, by increasing real part.
        eigenvectors: shape (n, n), complex unit columns, in the order of `eigenvalues`.
        residual: largest absolute component of the field at `point`.
    """

    point: Float[np.ndarray, "2"]
    kind: Kind
    jacobian: Float[np.ndarray, "n n"]
    eigenvalues: Complex[np.ndarray, " n"]
    eigenvectors: Complex[np.ndarray, "n n"]
    residual: float


def check_window(window: Sequence[Sequence[float]]) -> Window:
    """The window as floats.

    Raises:
        ValueError: if it is not ((x0, x1), (y0, y1)) with finite x0 < x1 and y0 < y1.
    """
    sides = reals(window)
    if sides.shape != (2, 2) or not np.isfinite(sides).all() or (sides[:, 0] >= sides[:, 1]).any():
        raise OdescentError(
            f"a window must be ((x0, x1), (y0, y1)) with finite x0 < x1 and y0 < y1; got {short(window)}."
        )
    (x0, x1), (y0, y1) = sides.tolist()
    return (x0, x1), (y0, y1)


def evaluate(field: Field, points: Points) -> Points:
    """The field at `points`, shape (n, 2), as float64; values may be infinite or NaN.

    Raises:
        ValueError: if the field returns another shape, or complex values.
    """
    with np.errstate(all="ignore"):
        values = np.asarray(field(points))
    if values.shape != points.shape or np.iscomplexobj(values):
        raise OdescentError(
            f"a planar field must map real points of shape {points.shape} to real values of the same "
            f"shape; this one returned shape {values.shape} and type {values.dtype}."
        )
    return values.astype(np.float64)


@dataclass(frozen=True)
class Chart:
    """The field in window coordinates u in [0, 1]^2: x = low + u * size."""

    field: Field
    low: Float[np.ndarray, "2"]
    size: Float[np.ndarray, "2"]

    def __call__(self, u: Points) -> Points:
        """The velocity du/dt at u."""
        velocity: Points = evaluate(self.field, self.out(u)) / self.size
        return velocity

    def out(self, u: Points) -> Points:
        """Window coordinates to the user's."""
        points: Points = self.low + u * self.size
        return points

    def jacobian(self, u: Points, given: Jacobian | None = None) -> Float[np.ndarray, "n 2 2"]:
        """d(du/dt)/du, from the user's Jacobian or by central differences."""
        n = len(u)
        if given is not None:
            with np.errstate(all="ignore"):
                exact = np.asarray(given(self.out(u)), dtype=np.float64)
            if exact.shape != (n, 2, 2):
                raise OdescentError(
                    f"a Jacobian must map points of shape {(n, 2)} to shape {(n, 2, 2)}; this one "
                    f"returned shape {exact.shape}."
                )
            scaled: Float[np.ndarray, "n 2 2"] = exact * self.size / self.size[:, None]
            return scaled
        shifts = _NUDGE * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        values = self((u[None] + shifts[:, None]).reshape(-1, 2)).reshape(4, n, 2)
        differences = [values[0] - values[1], values[2] - values[3]]
        slopes: Float[np.ndarray, "n 2 2"] = np.stack(differences, -1) * (0.5 / _NUDGE)
        return slopes


def chart(field: Field, window: Sequence[Sequence[float]]) -> Chart:
    """The field seen in units of the window; raises ValueError for a bad window."""
    sides = np.array(check_window(window))
    return Chart(field, sides[:, 0], sides[:, 1] - sides[:, 0])


def grid(n: int) -> Points:
    """An n by n grid over the unit square, edges included, shape (n * n, 2), x running fastest."""
    side = np.linspace(0.0, 1.0, n)
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


def classify(
    jacobian: Float[np.ndarray, "2 2"], tolerance: float = 1e-8, scale: float = 0.0
) -> Kind:
    """The type of a fixed point, from its linearization.

    Args:
        jacobian: the linearization.
        tolerance: below which real parts (relative to the matrix's norm) and the discriminant (relative to the norm
            squared) count as zero.
        scale: a typical norm of the field's Jacobian; a norm of at most `tolerance * scale` counts as zero.

    Source: the trace-determinant plane, e.g. Strogatz, Nonlinear Dynamics and Chaos, section 5.2.
    """
    size = float(np.linalg.norm(jacobian))
    if not np.isfinite(size) or size <= tolerance * scale:
        return "non-hyperbolic"
    (a, b), (c, d) = (jacobian / size).tolist()
    half, discriminant = (a + d) / 2, ((a - d) / 2) ** 2 + b * c
    if discriminant < -tolerance:
        if abs(half) <= tolerance:
            return "centre (linear)"
        return "stable focus" if half < 0 else "unstable focus"
    root = max(discriminant, 0.0) ** 0.5
    if min(abs(half - root), abs(half + root)) <= tolerance:
        return "non-hyperbolic"
    if abs(half) < root:
        return "saddle"
    if discriminant > tolerance:
        return "stable node" if half < 0 else "unstable node"
    if max(abs(a - d), abs(b), abs(c)) <= tolerance**0.5:
        return "stable star" if half < 0 else "unstable star"
    return "stable degenerate node" if half < 0 else "unstable degenerate node"


@np.errstate(all="ignore")
def fixed_points(
    field: Field,
    window: Sequence[Sequence[float]],
    jacobian: Jacobian | None = None,
    starts: int = 21,
    tolerance: float = 1e-10,
    known: Points | None = None,
) -> tuple[FixedPoint, ...]:
    """All zeros of the field that a damped Newton method finds from a grid of starts.

    Args:
        field: the vector field, smooth near its zeros.
        window: only zeros inside are returned.
        jacobian: points (n, 2) to matrices (n, 2, 2); central differences where not given.
        starts: starts per side of the window; 0 where ``known`` are all.
        tolerance: largest residual, relative to the field's lowest decile on the grid.
        known: further starts, such as the zeros of an `Enclosure`, shape (n, 2).

    Returns:
        The fixed points, ordered by their coordinates. On a curve of zeros: a sample of it.

    Raises:
        ValueError: for a bad window, or a field or Jacobian of the wrong shape.
    """
    c = chart(field, window)
    u = grid(starts)
    if known is not None and len(known):
        u = np.concatenate([(known - c.low) / c.size, u])
    slope = lambda u: c.jacobian(u, jacobian)
    u, norms, scale = _vanishing(c, slope, u, tolerance, max(starts, 21))
    slopes = c.jacobian(u, jacobian) if len(u) else np.empty((0, 2, 2))
    kinds = [classify(j, scale=scale) for j in slopes]
    kept: list[int] = []
    for i in np.argsort(norms, kind="stable").tolist():
        merge = 1e-3 if kinds[i] == "non-hyperbolic" else 1e-6
        if all(np.linalg.norm(u[i] - u[j]) > merge for j in kept):
            kept.append(i)
    kept.sort(key=lambda i: tuple(np.round(u[i], 9)))
    return tuple(_fixed_point(c, u[i], slopes[i], kinds[i]) for i in kept)


def _vanishing(
    rates: Callable[[Points], Float[np.ndarray, "n k"]],
    slopes: Callable[[Points], Float[np.ndarray, "n k 2"]],
    u: Points,
    tolerance: float,
    samples: int,
) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, " m"], float]:
    """Where Newton's method ends in the unit square, the residuals' norms there, and their scale.

    Those up to the tolerance, relative to that scale: the lowest decile on a grid of so many samples a side.
    """
    sizes = np.linalg.norm(rates(grid(samples)), axis=1)
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    scale = float(np.quantile(sizes, 0.1)) if len(sizes) else 1.0
    u = newton(rates, slopes, u)
    norms = np.linalg.norm(rates(u), axis=1)
    good = (norms <= tolerance * scale) & (np.abs(u - 0.5) <= 0.5 + 1e-9).all(1)
    return u[good], norms[good], scale


def newton(
    rates: Callable[[Points], Float[np.ndarray, "n k"]],
    slopes: Callable[[Points], Float[np.ndarray, "n k 2"]],
    u: Points,
) -> Points:
    """Eighty damped Newton steps (Gauss-Newton for k > 2) for all starts at once; array shapes never change.

    Args:
        rates: the residuals, in window coordinates.
        slopes: their derivatives.
        u: the starts.

    Returns:
        The last points, converged or not.
    """
    value = rates(u)
    for _ in range(80):
        slope = slopes(u)
        usable = np.isfinite(slope).all((1, 2)) & np.isfinite(value).all(1)
        inverse = np.linalg.pinv(np.where(usable[:, None, None], slope, 0.0), rcond=1e-12)
        step = -(inverse @ np.where(usable[:, None], value, 0.0)[:, :, None])[:, :, 0]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1.0, 0.25 / np.maximum(length, 1e-300))
        norm, todo = np.linalg.norm(value, axis=1), usable & (length[:, 0] > 0)
        moved = 0.0
        for damping in (1.0, 0.5, 0.25, 0.1, 0.02):
            trial = u + damping * step
            trial_value = rates(trial)
            better = todo & (np.linalg.norm(trial_value, axis=1) < norm)
            u, value = (
                np.where(better[:, None], trial, u),
                np.where(better[:, None], trial_value, value),
            )
            moved = max(moved, float((length[better, 0]).max(initial=0.0)))
            todo = todo & ~better
            if not todo.any():
                break
        if moved < 1e-15:
            break
    return u


def _fixed_point(
    c: Chart, u: Float[np.ndarray, "2"], slope: Float[np.ndarray, "2 2"], kind: Kind
) -> FixedPoint:
    point = c.out(u[None])
    residual = float(np.abs(evaluate(c.field, point)).max())
    return described(point[0], kind, slope * c.size[:, None] / c.size[None, :], residual)


def described(
    point: Float[np.ndarray, "2"], kind: Kind, matrix: Float[np.ndarray, "n n"], residual: float
) -> FixedPoint:
    """A fixed point with the eigenvalues of its linearization, NaN if that is not finite.

    Args:
        point: in the plane.
        kind: its type.
        matrix: the linearization, in the plane or in the whole state space.
        residual: the norm of the field at the point.
    """
    n = len(matrix)
    if np.isfinite(matrix).all():
        values, vectors = (part.astype(np.complex128) for part in np.linalg.eig(matrix))
    else:
        values, vectors = np.full(n, np.nan + 0j), np.full((n, n), np.nan + 0j)
    order = np.lexsort((values.imag, values.real))
    return FixedPoint(point, kind, matrix, values[order], vectors[:, order], residual)


_STARTS = 21  # a side of the window
_REST = 1e-10  # of the velocity, relative to its lowest decile on the grid
_HYPERBOLIC = 1e-8  # of a real part, relative to the largest eigenvalue
Rates = Callable[[Points], Float[np.ndarray, "k n"]]


@np.errstate(all="ignore")
def points_at_rest(
    rates: Rates,
    slopes: Callable[[Points], Float[np.ndarray, "k n 2"]],
    whole: Callable[[Points], Float[np.ndarray, "k n n"]],
    window: Window,
) -> tuple[FixedPoint, ...]:
    """The fixed points of a system in a window of a plane that are found from a grid of starts.

    Args:
        rates: points of the plane, shape (k, 2), to velocities of the whole state, shape (k, n).
        slopes: to their derivatives along the plane, shape (k, n, 2).
        whole: to the linearized systems there, shape (k, n, n).
        window: where in the plane.

    Returns:
        The fixed points ordered by their coordinates, with Jacobian, eigenvalues and kind of the whole system.
    """
    sides = np.array(window)
    low, size = sides[:, 0], sides[:, 1] - sides[:, 0]
    own: Rates = lambda u: rates(low + u * size)
    slope = lambda u: slopes(low + u * size) * size
    u, *_ = _vanishing(own, slope, grid(_STARTS), _REST, _STARTS)
    u = u[np.lexsort(np.round(u, 9).T[::-1])]
    found = low + u * size
    kept: list[FixedPoint] = []
    for point, matrix in zip(found, whole(found) if len(found) else (), strict=True):
        kind = whole_kind(np.linalg.eigvals(matrix).astype(np.complex128))
        merge = 1e-3 if kind == "non-hyperbolic" else 1e-6
        if any((np.abs(point - other.point) <= merge * size).all() for other in kept):
            continue
        residual = float(np.abs(rates(point[None])).max())
        kept.append(described(point, kind, matrix, residual))
    return tuple(kept)


def whole_kind(eigenvalues: Complex[np.ndarray, " n"]) -> Kind:
    """The kind of a fixed point by all eigenvalues: a focus where some are complex, a saddle where signs differ."""
    largest = float(np.abs(eigenvalues).max(initial=0.0))
    real = eigenvalues.real
    if not np.isfinite(largest) or (np.abs(eigenvalues) <= _HYPERBOLIC * largest).any():
        return "non-hyperbolic"
    neutral = np.abs(real) <= _HYPERBOLIC * largest
    if neutral.any():
        return "centre (linear)" if neutral.all() else "non-hyperbolic"
    turning = bool((np.abs(eigenvalues.imag) > _HYPERBOLIC * largest).any())
    if (real < 0).all():
        return "stable focus" if turning else "stable node"
    if (real > 0).all():
        return "unstable focus" if turning else "unstable node"
    return "saddle"
