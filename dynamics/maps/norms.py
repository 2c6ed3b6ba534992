"""Steepest directions and duality maps of norms.

The steepest direction s(x) of a norm has norm one and the greatest <x, s>, which is the dual norm of x: it is the
gradient of the dual norm. The duality map is the dual norm times it. Where several directions are steepest, the one
in their middle is taken: at zero it is zero.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..algebra.products import elementwise
from ..algebra.vectors import Vector, inner
from .form import WHOLE, named


def _unit(x: Vector) -> Vector:
    unit: Vector = x / sp.sqrt(inner(x, x))
    return unit


@named(
    potential=r"\max_i |x_i|",
    over=WHOLE,
    smooth="where one entry is the largest in size",
    dissipation=r"\langle x, m(x)\rangle = \max_i |x_i|",
    degree=0,
    reference="bernstein2024",
)
def steepest_l1(xp: Any, x: Any) -> Any:
    """The steepest direction of the sum of sizes: the largest entry; equals, to rounding, share."""
    size = xp.max(xp.abs(x))
    # a compiler may compute x twice and round it in two ways: the largest need not equal itself
    near = size * (1 - 16 * xp.finfo(x.dtype).eps)
    largest = xp.where((xp.abs(x) >= near) & (size > 0), xp.ones_like(x), 0.0)
    count = xp.sum(largest)
    return xp.sign(x) * largest / xp.where(count > 0, count, 1.0)


@named(
    potential=r"|x|",
    over=WHOLE,
    smooth="away from zero",
    dissipation=r"\langle x, m(x)\rangle = |x|",
    degree=0,
    written=_unit,
    reference="bernstein2024",
)
def steepest_l2(xp: Any, x: Any) -> Any:
    """The steepest direction of the Euclidean norm: x / |x|."""
    size = xp.max(xp.abs(x))
    scaled = x / xp.where(size > 0, size, 1.0)
    return scaled / xp.sqrt(xp.where(size > 0, xp.sum(scaled * scaled), 1.0))


@named(
    potential=r"\textstyle\sum_i |x_i|",
    smooth="where no entry is zero",
    dissipation=r"\langle x, m(x)\rangle = \textstyle\sum_i |x_i|",
    degree=0,
    written=lambda x: elementwise(sp.sign, x),
    reference="bernstein2024",
)
def steepest_linf(xp: Any, x: Any) -> Any:
    """The steepest direction of the largest size: the sign of each entry."""
    return xp.sign(x)


@named(
    potential=r"\sqrt{n} \textstyle\sum_i |x_i|, \quad x_i \text{ the rows, of } n \text{ entries}",
    smooth="where no row is zero",
    dissipation=r"\langle x, m(x)\rangle = \sqrt{n} \textstyle\sum_i |x_i|",
    degree=0,
    reference="bernstein2024",
)
def steepest_row_rms(xp: Any, x: Any) -> Any:
    """The steepest direction of the largest root mean square of a row, row by row.

    A row is an entry along the first axis; a vector is one row.
    """
    rows = x.reshape(x.shape[0] if x.ndim > 1 else 1, -1)
    size = xp.max(xp.abs(x))
    scaled = rows / xp.where(size > 0, size, 1.0)
    mean = xp.sum(scaled * scaled, 1)[:, None] / rows.shape[1]
    return (scaled / xp.sqrt(xp.where(mean > 0, mean, 1.0))).reshape(x.shape)


def _polar_rate(xp: Any, x: Any, u: Any) -> Any:
    """The derivative of the polar factor: a rotation inside, and what leaves the row or the column space."""
    rows, along = (e.reshape(x.shape[0] if x.ndim > 1 else 1, -1) for e in (x, u))
    left, s, right = xp.linalg.svd(rows, full_matrices=False)
    small = s <= max(rows.shape) * xp.finfo(rows.dtype).eps * xp.max(s)
    inside = left.T @ along @ right.T
    total = s[:, None] + s[None, :]
    gone = small[:, None] | small[None, :]
    turned = xp.where(gone, 0.0, (inside - inside.T) / xp.where(gone, 1.0, total))
    inverse = xp.where(small, 0.0, 1 / xp.where(small, 1.0, s))[None, :]
    left_out = (along @ right.T - left @ inside) * inverse @ right
    right_out = (left * inverse) @ (left.T @ along - inside @ right)
    return (left @ turned @ right + left_out + right_out).reshape(x.shape)


@named(
    potential=r"\textstyle\sum_i \sigma_i(x)",
    smooth="where the rank is full",
    dissipation=r"\langle x, m(x)\rangle = \textstyle\sum_i \sigma_i(x)",
    degree=0,
    jvp=_polar_rate,
    reference="bernstein2024",
)
def steepest_spectral(xp: Any, x: Any) -> Any:
    """The steepest direction of the spectral norm: the polar factor U V^T of U S V^T.

    Singular values that are zero up to rounding are left out. A row is an entry
    along the first axis; a vector is one row.
    """
    rows = x.reshape(x.shape[0] if x.ndim > 1 else 1, -1)
    left, s, right = xp.linalg.svd(rows, full_matrices=False)
    info: Any = xp.finfo
    kept = s > max(rows.shape) * info(rows.dtype).eps * xp.max(s)
    kept_left = left * xp.where(kept, xp.ones_like(s), 0.0)[None, :]
    return (kept_left @ right).reshape(x.shape)


@named(
    potential=r"\tfrac12 \max_i |x_i|^2",
    over=WHOLE,
    smooth="where one entry is the largest in size",
    dissipation=r"\langle x, m(x)\rangle = \max_i |x_i|^2",
    degree=1,
    reference="bernstein2024",
)
def duality_l1(xp: Any, x: Any) -> Any:
    """The duality map of the sum of sizes: the largest entry; equals share."""
    return xp.max(xp.abs(x)) * steepest_l1(xp, x)


@named(
    potential=r"\tfrac12 |x|_1^2",
    over=WHOLE,
    smooth="where no entry is zero",
    dissipation=r"\langle x, m(x)\rangle = |x|_1^2",
    degree=1,
    reference="bernstein2024",
)
def duality_linf(xp: Any, x: Any) -> Any:
    """The duality map of the largest size: signs times the sum of sizes."""
    return xp.sum(xp.abs(x)) * xp.sign(x)


@named(
    potential=r"\tfrac{n}{2} (\textstyle\sum_i |x_i|)^2, \quad x_i \text{ the rows, of } n \text{ entries}",
    smooth="where no row is zero",
    dissipation=r"\langle x, m(x)\rangle = n (\textstyle\sum_i |x_i|)^2",
    degree=1,
    reference="bernstein2024",
)
def duality_row_rms(xp: Any, x: Any) -> Any:
    """The duality map of the largest root mean square of a row."""
    steepest = steepest_row_rms(xp, x)
    return xp.sum(x * steepest) * steepest


def _spectral_rate(xp: Any, x: Any, u: Any) -> Any:
    polar = steepest_spectral.fun(xp, x)
    return xp.sum(u * polar) * polar + xp.sum(x * polar) * _polar_rate(xp, x, u)


@named(
    potential=r"\tfrac12 (\textstyle\sum_i \sigma_i(x))^2",
    smooth="where the rank is full",
    dissipation=r"\langle x, m(x)\rangle = (\textstyle\sum_i \sigma_i(x))^2",
    degree=1,
    jvp=_spectral_rate,
    reference="bernstein2024",
)
def duality_spectral(xp: Any, x: Any) -> Any:
    """The duality map of the spectral norm: polar factor times nuclear norm."""
    steepest = steepest_spectral(xp, x)
    return xp.sum(x * steepest) * steepest
