"""Gradients of conjugates: mirror maps x = grad phi*(Z), with their inverses grad phi in the calculus."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..algebra.oracles import Oracle
from ..algebra.products import elementwise
from ..algebra.vectors import Vector, call, inner
from .form import WHOLE, ScalarArgument, named


def _normalized(Z: Vector) -> Vector:
    root = elementwise(lambda z: sp.exp(z / 2), Z)
    normalized: Vector = elementwise(sp.exp, Z) / inner(root, root)
    return normalized


@named(
    potential=r"\log \textstyle\sum_i e^{x_i}",
    over=WHOLE,
    written=_normalized,
    inverse=lambda x: elementwise(sp.log, x),
    reference="beck2003",
)
def softmax(xp: Any, x: Any) -> Any:
    """The mirror map of the entropy on the simplex: e^x over the sum of its entries."""
    weights = xp.exp(x - xp.max(x))
    return weights / xp.sum(weights)


@named(
    potential=r"\textstyle\sum_i e^{x_i}",
    written=lambda x: elementwise(sp.exp, x),
    inverse=lambda x: elementwise(sp.log, x),
    reference="beck2003",
)
def exponential(xp: Any, x: Any) -> Any:
    """The mirror map of the entropy on the positive orthant: e^x, entry by entry."""
    return xp.exp(x)


@named(
    potential=r"\tfrac12 |x|_q^2",
    arguments={"q": ScalarArgument(None, "> 1")},
    over=WHOLE,
    smooth="away from zero, where no entry is zero if q < 2",
    dissipation=r"\langle x, m(x)\rangle = |x|_q^2",
    degree=1,
    inverse=lambda x, q: call(Oracle("named", "p_norm"), x, (), (q / (q - 1),)),
    reference="nemirovsky1983",
)
def p_norm(xp: Any, x: Any, q: Any) -> Any:
    """The mirror map of half a squared p-norm: sign(x) |x|^(q-1) / |x|_q^(q-2).

    p is conjugate to q: 1/p + 1/q = 1.
    """
    size = xp.max(xp.abs(x))
    scaled = xp.abs(x) / xp.where(size > 0, size, 1.0)
    filled = xp.where(scaled > 0, scaled, 1.0)
    powers = xp.where(scaled > 0, filled ** (q - 1), 0.0)
    total = xp.where(size > 0, xp.sum(powers * scaled), 1.0)
    return size * xp.sign(x) * powers * total ** (2 / q - 1)


@named(
    potential=r"\max_p \langle x, p\rangle + \tfrac{4}{\eta} \textstyle\sum_i \sqrt{p_i}, "
    r"\quad p \ge 0, \textstyle\sum_i p_i = 1",
    arguments={"eta": ScalarArgument(1, "> 0")},
    over=WHOLE,
    inverse=lambda x, eta: elementwise(lambda p: -2 / (eta * sp.sqrt(p)), x),
    reference="zimmert2021",
)
def tsallis(xp: Any, x: Any, eta: Any) -> Any:
    """The mirror map of Tsallis' entropy: 4 / (eta (nu - x))^2 of sum one.

    Newton's method for nu from below, for the concave function sum^(-1/2).
    """
    top = xp.max(x)
    gaps = eta / 2 * (top - x)
    nu: Any = 1.0
    for _ in range(16):
        inverse = 1 / (nu + gaps)
        total = xp.sum(inverse * inverse)
        nu = nu + (total**0.5 - 1) * total / xp.sum(inverse * inverse * inverse)
    p = 1 / (nu + gaps) ** 2
    return p / xp.sum(p)
