"""Modified generators of methods with samples, in whole vectors.

One step acts on functions of the state as P phi(z) = E phi(z+), and log P = h L_0 + h^2 L_1 + ... is the generator of
the equation that the method follows. Applied to the state it gives the drift, applied to its products the covariance:
L(x y^T) - (L x) y^T - x (L y)^T. So both are found without coordinates, from means of Taylor series alone. Source:
Zygalakis, SIAM J. Sci. Comput. 33 (2011), doi:10.1137/090762336; for stochastic gradient descent Li, Tai and E,
arXiv:1511.06251.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, nothing, substitute, tidy
from ...dynamics.algebra.products import outer
from ...dynamics.algebra.series import taylor
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ...dynamics.samples.mean import mean

Pair = tuple[Symbol, Symbol]


def generator_logarithm(
    steps: Sequence[Mapping[Symbol, Expr]],
) -> tuple[list[dict[Symbol, Expr]], tuple[dict[Pair, Expr], ...]]:
    """The drift and the covariance of the modified equation, as series in the step.

    Args:
        steps: the coefficients of h, h^2, ... of a step, by block, with its samples as symbols.

    Returns:
        the coefficients of 1, h, ... of the drift, and of the covariance, by pairs of blocks.
    """
    n, blocks = len(steps), list(steps[0])
    h = sp.Dummy("h", positive=True)
    moved: dict[Symbol, Any] = {
        s: sum((step[s] * h**k for k, step in enumerate(steps, 1)), s) for s in blocks
    }
    drifts = {s: _logarithm(s, moved, h, n) for s in blocks}
    fields = [{s: drifts[s][j] for s in blocks} for j in range(n)]
    spread: list[dict[Pair, Expr]] = [{} for _ in range(n)]
    for s, t in itertools.combinations_with_replacement(blocks, 2):
        found = _logarithm(product(s, t), moved, h, n)
        for j in range(n):
            own: Any = found[j] - product(drifts[s][j], t) - product(s, drifts[t][j])
            if tidy(own):
                spread[j][s, t] = tidy(own)
    return fields, tuple(spread)


def product(a: Any, b: Any) -> Any:
    """The product of two values of blocks: an operator for two vectors."""
    return outer(a, b) if isinstance(a, Vector) and isinstance(b, Vector) else a * b


def _logarithm(phi: Expr, moved: Mapping[Symbol, Any], h: sp.Symbol, order: int) -> list[Expr]:
    """The coefficients of h, h^2, ... of log(P) phi = sum over m of (-1)^(m+1) (P - 1)^m phi / m."""
    none = phi * 0 if not isinstance(phi, VectorSymbol) else nothing(phi)
    total: list[Any] = [none] * (order + 1)
    power: list[Any] = [phi] + [none] * order
    for m in range(1, order + 1):
        following: list[Any] = [none] * (order + 1)
        for j, e in enumerate(power):
            if not e:
                continue
            for k, change in enumerate(_increment(e, moved, h, order - j), 1):
                following[j + k] = following[j + k] + change
        power = [tidy(e) for e in following]
        weight = sp.Rational((-1) ** (m + 1), m)
        total = [t + e * weight for t, e in zip(total, power, strict=True)]
    return [tidy(e) for e in total[1:]]


def _increment(e: Expr, moved: Mapping[Symbol, Any], h: sp.Symbol, order: int) -> list[Expr]:
    """The coefficients of h, ..., h^order of the mean of an expression after a step, from those before it."""
    if order == 0:
        return []
    return [mean(c) for c in taylor(substitute(e, moved), h, order)[1:]]
