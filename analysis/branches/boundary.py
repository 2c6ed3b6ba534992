"""The stability boundary of a three-parameter method on quadratics, in closed form, beside the continued one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from ..._support.errors import NotCarried, OdescentError, check_choice, unknown
from ..._support.numbers import real
from ..._support.rendering.brief import short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...discretize import Algorithm
from ...dynamics import objective
from .continuation import continuation
from .critical import FLIP, TORUS
from .critical_curve import CriticalCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = Float[np.ndarray, "k 2"]
_SAMPLES = 241  # points a side, between which a curve is found
_BEYOND = 1e-6  # of a side
_NEWTON = 30
_OUTSIDE = 1e-9  # by how much the other roots may be beyond the unit circle
_INWARD = 0.02  # of the interval: how far from a boundary the continuation begins


@dataclass(frozen=True)
class StabilityBoundary(Rendered):
    """Where a method on a quadratic of one curvature loses stability, in the plane of two of its parameters.

    The iterates on that mode have the characteristic polynomial z^2 - trace z + det with
    trace = 1 + beta - alpha curvature (1 + gamma) and det = beta - alpha curvature gamma: a root is -1 where
    1 + trace + det = 0 (period doubling), and a pair is on the unit circle where det = 1 and |trace| < 2
    (Neimark-Sacker).

    Attributes:
        method: its name.
        parameters: the two.
        intervals: in which they are varied.
        curvature: of the quadratic.
        edges: by kind, the exact expression in the two parameters that vanishes on the curve.
        algebraic: by kind, whether that is a polynomial in them, or in their square roots.
        curves: by kind, the parts of the curve at which no other root is outside, each of shape (k, 2).
    """

    method: str
    parameters: tuple[str, str]
    intervals: tuple[tuple[float, float], tuple[float, float]]
    curvature: float
    edges: Mapping[str, sp.Expr]
    algebraic: Mapping[str, bool]
    curves: Mapping[str, tuple[Curve, ...]]
    source: Any = field(repr=False, compare=False, default=None)

    def __str__(self) -> str:
        (p, q), rows = self.parameters, []
        for kind, edge in self.edges.items():
            count = sum(len(c) for c in self.curves[kind])
            what = "" if self.algebraic[kind] else ", not algebraic"
            seen = f"{count} points" if count else "none found in the window"
            rows.append(f"  {kind}: {edge} = 0{what}; {seen}")
        head = f"{self.method}: stability boundary in ({p}, {q}) on curvature {self.curvature:g}"
        return "\n".join([head, *rows])

    def gap(self, curve: CriticalCurve) -> float:
        """How far a continued curve is from the closed form: the largest distance in the plane, to first order.

        Raises:
            OdescentError: a curve of another kind or in other parameters.
        """
        if curve.kind not in self.edges or curve.parameters != self.parameters:
            raise OdescentError(
                f"a curve of {', '.join(self.edges)} in {self.parameters} is expected, not {curve.kind} in "
                f"{curve.parameters}."
            )
        value, slope = _functions(self.edges[curve.kind], self.parameters)
        g = slope(curve.values)
        return float(np.max(np.abs(value(curve.values)) / np.linalg.norm(g, axis=1)))

    def continued(self, kind: str) -> CriticalCurve:
        """The same curve by continuation, from the middle of its longest part.

        Args:
            kind: "period doubling" or "Neimark-Sacker".

        Raises:
            OdescentError: another kind, one of which no curve was found, or a point that is not found, such as one at
                the end of the domain of a parameter.
        """
        check_choice("kind of boundary", kind, self.edges)
        if not self.curves[kind]:
            raise OdescentError(f"{self.method} has no {kind} boundary in this window.")
        method, fixed = self.source
        target = objective("quadratic", eigenvalues=(self.curvature,))
        longest = max(self.curves[kind], key=len)
        a, b = longest[len(longest) // 2]
        low, high = self.intervals[0]
        wide = _INWARD * (high - low)
        found = continuation(
            method, target, parameter=self.parameters[0], interval=self.intervals[0], x0=[0.0],
            at=a - wide if a - wide > low else min(a + wide, high),
            parameters={**fixed, self.parameters[1]: float(b)},
        )  # fmt: skip
        own = [s for s in found.special if s.kind == kind]
        if not own:
            raise OdescentError(f"the continuation finds no {kind} point near {a:.6g}.")
        point = min(own, key=lambda s: abs(s.value - a))
        return found.curve(point, second=self.parameters[1], interval=self.intervals[1])

    def plot(
        self, ax: Axes | None = None, continued: Mapping[str, CriticalCurve] | None = None
    ) -> Axes:
        """Draw the curves in closed form, and over them the continued ones where they are given."""
        return drawn(self, ax, continued)


def stability_boundary(
    method: Algorithm,
    *,
    over: Mapping[str, tuple[float, float]],
    curvature: float = 1.0,
    parameters: Mapping[str, Any] | None = None,
) -> StabilityBoundary:
    """The stability boundary of a three-parameter method in closed form.

    >>> a, m = od.parameters("a m")
    >>> ball = od.algorithm("heavy_ball", learning_rate=a, momentum=m)
    >>> edge = od.analysis.stability_boundary(ball, over={"a": (0.1, 5), "m": (0.01, 0.99)})
    >>> print(edge)
    >>> edge.gap(edge.continued("period doubling"))

    Args:
        method: with two parameters or more, and coefficients alpha, beta and gamma.
        over: the two parameters that are varied, by names that `run` takes, each with (low, high).
        curvature: of the quadratic, more than 0.
        parameters: values of the others.

    Returns:
        The exact expressions, and the curves.

    Raises:
        OdescentError: unknown parameters, others without a value, bad intervals.
        NotCarried: a method that is not of this form.
    """
    if not isinstance(method, Algorithm):
        raise OdescentError(f"an algorithm is expected, not {type(method).__name__}.")
    lam = real(curvature)
    if not (np.isfinite(lam) and lam > 0):
        raise OdescentError(
            f"the curvature must be a finite number more than 0, not {short(curvature)}."
        )
    if len(over) != 2:
        raise OdescentError(f"the boundary must be drawn over two parameters, not {len(over)}.")
    method = method.released((*over, *(parameters or {})))
    known = {p.name: p for p in method.parameters}
    for name in (*over, *(parameters or {})):
        if name not in known:
            raise unknown(f"parameter of {method.name or 'the method'}", name, list(known))
    intervals = {n: (real(a), real(b)) for n, (a, b) in over.items()}
    for name, (low, high) in intervals.items():
        if not (np.isfinite([low, high]).all() and low < high):
            raise OdescentError(
                f"{name} must be varied from low to high > low, not {short(over[name])}."
            )
    fixed = {n: real(v) for n, v in (parameters or {}).items()}
    missing = [n for n in known if n not in over and n not in fixed]
    if missing:
        raise OdescentError(f"{missing[0]} needs a value: give it in parameters=, or vary it.")
    try:
        found = method.coefficients
    except OdescentError as error:
        found, why = None, f" ({str(error).rstrip('.')})"
    else:
        why = ""
    if found is None:
        raise NotCarried(
            f"{method.name or 'the method'} has no three-parameter form{why}; use continuation(...).curve(...)."
        )
    exact = {known[n]: sp.nsimplify(v, rational=True) for n, v in fixed.items()}
    alpha, beta, gamma = (sp.sympify(found[n]).subs(exact) for n in ("alpha", "beta", "gamma"))
    step = alpha * sp.nsimplify(lam, rational=True)
    trace, det = 1 + beta - step * (1 + gamma), beta - step * gamma
    names = tuple(over)
    edges = {FLIP: _numerator(1 + trace + det), TORUS: _numerator(det - 1)}
    both = [known[n] for n in names]
    roots = _Roots(trace, det, both)
    curves = {k: _curves(e, names, tuple(intervals.values()), roots, k) for k, e in edges.items()}
    algebraic = {k: _algebraic(e, both) for k, e in edges.items()}
    return StabilityBoundary(
        method.name or "the method", (names[0], names[1]), (intervals[names[0]], intervals[names[1]]), lam, edges,
        algebraic, curves, (method, fixed),
    )  # fmt: skip


def _numerator(e: sp.Expr) -> sp.Expr:
    top, _ = sp.fraction(sp.cancel(sp.together(e)))
    return sp.factor(top) if top.free_symbols else top


def _algebraic(e: sp.Expr, both: list[sp.Symbol]) -> bool:
    """Whether it is a polynomial in the two parameters or in their roots."""
    q = [sp.Dummy(s.name, positive=True) for s in both]
    inside = sp.powdenest(e.subs({s: t**12 for s, t in zip(both, q, strict=True)}), force=True)
    return bool(inside.is_polynomial(*q))


class _Roots:
    """The moduli of the two roots at points of the plane."""

    def __init__(self, trace: sp.Expr, det: sp.Expr, both: list[sp.Symbol]) -> None:
        self.of = sp.lambdify(both, [trace, det], "numpy")

    def outside(self, z: Curve, kind: str) -> np.ndarray:
        """Whether the roots that are not on the circle by the condition are outside, or real where a pair is meant."""
        with np.errstate(all="ignore"):
            trace, det = (np.broadcast_to(np.asarray(v, float), len(z)) for v in self.of(*z.T))
        # at a flip the other root is -det; on det = 1 a pair is on the circle where |trace| < 2
        limit = np.abs(det) - 1 if kind == FLIP else np.abs(trace) - 2
        return np.asarray(~(limit <= _OUTSIDE))


def _functions(edge: sp.Expr, names: tuple[str, str]) -> tuple[Any, Any]:
    """An expression and its gradient at points (k, 2)."""
    by_name = {s.name: s for s in edge.free_symbols}
    both = [by_name.get(n, sp.Symbol(n)) for n in names]
    value = sp.lambdify(both, edge, "numpy")
    slopes = [sp.lambdify(both, sp.diff(edge, s), "numpy") for s in both]
    one: Callable[..., Any] = lambda f, z: np.broadcast_to(np.asarray(f(*z.T), float), len(z))
    return (lambda z: one(value, z)), (lambda z: np.stack([one(f, z) for f in slopes], 1))


@np.errstate(all="ignore")
def _curves(
    edge: sp.Expr, names: tuple[str, ...], intervals: tuple[Any, ...], roots: _Roots, kind: str
) -> tuple[Curve, ...]:
    """The zero set in the window, by contours and Newton's method, where nothing else is outside."""
    if not edge.free_symbols:
        return ()
    from contourpy import contour_generator

    value, slope = _functions(edge, (names[0], names[1]))
    (low, high) = np.array(intervals).T
    # a little beyond, since a curve may run along an edge
    side = np.concatenate([[-_BEYOND], np.linspace(0.0, 1.0, _SAMPLES), [1 + _BEYOND]])
    u, v = np.meshgrid(side, side)
    z = low + np.stack([u.ravel(), v.ravel()], 1) * (high - low)
    lines = contour_generator(
        side, side, np.ma.masked_invalid(value(z).reshape(len(side), len(side)))
    ).lines(0.0)
    made = []
    for line in lines:
        at = low + np.asarray(line, float) * (high - low)
        for _ in range(_NEWTON):  # across the curve as it is seen in the window
            g = slope(at) * (high - low)
            move = value(at)[:, None] * g / (g**2).sum(1, keepdims=True) * (high - low)
            at = at - np.where(np.isfinite(move), move, 0.0)
        fine = ~roots.outside(at, kind) & np.isfinite(at).all(1)
        fine &= ((at >= low - 1e-9 * (high - low)) & (at <= high + 1e-9 * (high - low))).all(1)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], fine, [False]]).astype(int)))
        made += [at[a:b] for a, b in edges.reshape(-1, 2).tolist() if b - a >= 2]
    return tuple(made)


__all__ = ["StabilityBoundary", "stability_boundary"]
