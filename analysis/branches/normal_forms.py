"""Normal form coefficients of special points, and the tangents of the branches through a branch point.

The formulas are those of Y. A. Kuznetsov, "Elements of Applied Bifurcation Theory", 3rd edition, Springer 2004
(doi:10.1007/978-1-4757-3978-7), chapter 5; with q the critical eigenvector, |q| = 1, p the left one, <p, q> = 1, and
B, C the second and third derivatives.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from .field import Forms

_VANISHES = 1e-6  # of a quadratic coefficient, against the others


def pair(
    matrix: Float[np.ndarray, "n n"], eigenvalue: complex
) -> tuple[Inexact[np.ndarray, " n"], Inexact[np.ndarray, " n"]]:
    """The right and left eigenvectors next to an eigenvalue, with |q| = 1 and <p, q> = 1 (where they are not across).

    Args:
        matrix: shape (n, n).
        eigenvalue: approximate.
    """
    shifted = matrix - eigenvalue * np.eye(len(matrix))
    if eigenvalue.imag == 0:
        shifted = shifted.real
    left, _, right = np.linalg.svd(shifted)
    q, p = right[-1].conj(), left[:, -1]
    inner = np.vdot(p, q)
    return q, p if abs(inner) < 1e-12 else p / inner.conjugate()


def hopf(forms: Forms, slope: np.ndarray, frequency: float) -> float:
    """The first Lyapunov coefficient: negative where stable cycles are born."""
    q, p = pair(slope, 1j * frequency)
    e = np.eye(len(slope))
    rest = np.linalg.solve(slope, forms(q, q.conj()))
    double = np.linalg.solve(2j * frequency * e - slope, forms(q, q))
    total = forms(q, q, q.conj()) - 2 * forms(q, rest) + forms(q.conj(), double)
    return float(np.vdot(p, total).real / (2 * frequency))


def flip(forms: Forms, slope: np.ndarray) -> float:
    """Of a map with slope = M - 1: positive where a stable cycle of twice the period is born."""
    q, p = pair(slope, -2.0 + 0j)
    rest = np.linalg.solve(slope, forms(q, q))
    return float(np.vdot(p, forms(q, q, q) / 6 - forms(q, rest) / 2).real)


def torus(forms: Forms, slope: np.ndarray, angle: float) -> float:
    """Of a map with slope = M - 1: negative where a stable closed curve is born."""
    turn = cmath.exp(1j * angle)
    q, p = pair(slope, turn - 1)
    e = np.eye(len(slope))
    rest = np.linalg.solve(-slope, forms(q, q.conj()))
    double = np.linalg.solve((turn**2 - 1) * e - slope, forms(q, q))
    total = forms(q, q, q.conj()) + 2 * forms(q, rest) + forms(q.conj(), double)
    return float((turn.conjugate() * np.vdot(p, total)).real / 2)


def fold(forms: Forms, slope: np.ndarray) -> float:
    """The quadratic coefficient <p, B(q, q)> / 2; zero at a cusp."""
    q, p = pair(slope, 0j)
    return float(np.vdot(p, forms(q, q)).real / 2)


@dataclass(frozen=True)
class Crossing:
    """Two branches through a point: a x^2 + b x y + c y^2 + e x^3 = 0 in coordinates x along q and y along p.

    Attributes:
        kind: "transcritical", "pitchfork", or "isolated" where no branch goes through.
        coefficient: a, or e for a pitchfork.
        tangents: of the branches in (u, p) space, shape (2, n + 1); empty for an isolated point.
    """

    kind: str
    coefficient: float
    tangents: Float[np.ndarray, "k m"]


def crossing(forms: Forms, slope: np.ndarray) -> Crossing:
    """Lyapunov and Schmidt's reduction at a branch point."""
    q, p = (v.real for v in pair(slope, 0j))
    n = len(q)
    border = np.block([[slope, p[:, None] / np.linalg.norm(p)], [q[None], np.zeros((1, 1))]])
    inverse: Callable[..., Any] = lambda right: np.linalg.solve(border, np.append(right, 0.0))[:n]
    by_parameter = forms.parameter()
    move = forms.state(-inverse(forms(by_parameter))) + by_parameter  # along the parameter
    a = p @ forms(q, q) / 2
    b = p @ forms(forms.state(q), move)
    c = p @ forms(move, move) / 2
    flat = abs(a) <= _VANISHES * max(abs(b), abs(c), abs(a), 1e-300)
    cubic = p @ (forms(q, q, q) - 3 * forms(q, inverse(forms(q, q)))) / 6
    if flat and abs(b) > 0:
        lines = [(1.0, 0.0), (-c / b, 1.0)]
    else:
        under = b * b - 4 * a * c
        if not under > 0:
            return Crossing("isolated", float(a), np.empty((0, n + 1)))
        root = np.sqrt(under)
        lines = [((-b + s * root) / (2 * a), 1.0) for s in (1.0, -1.0)]
    made = np.stack([x * forms.state(q) + y * move for x, y in lines])
    kind = "pitchfork" if flat else "transcritical"
    return Crossing(kind, float(cubic if flat else a), made)


__all__ = ["Crossing", "crossing", "flip", "fold", "hopf", "pair", "torus"]
