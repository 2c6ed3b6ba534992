"""Projections on convex sets, clipping and shrinking: the nearest point of a set, and what is left of a point."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..algebra.products import elementwise
from .form import LATTICE, SOLID, THIN, WHOLE, ScalarArgument, named


@named(
    potential=r"\tfrac12 |x|^2 - \tfrac12 (|x| - r)_+^2",
    arguments={"r": ScalarArgument(1, "> 0")},
    over=WHOLE,
    smooth="where |x| is not r",
    smooth_at_zero=True,
    dissipation=r"\langle x, m(x)\rangle \ge |m(x)|^2",
    onto=SOLID,
    reference="parikh2014",
)
def ball(xp: Any, x: Any, r: Any) -> Any:
    """The nearest point of the ball of radius r: clipping by the norm."""
    size = xp.max(xp.abs(x))
    scaled = x / xp.where(size > 0, size, 1.0)
    length = xp.sqrt(xp.where(size > 0, xp.sum(scaled * scaled), 1.0))
    return xp.where(size * length > r, scaled / length * r, x)


@named(
    potential=r"\textstyle\sum_i \tfrac12 x_i^2 - \tfrac12 (x_i - b)_+^2 - \tfrac12 (a - x_i)_+^2",
    arguments={"a": ScalarArgument(0), "b": ScalarArgument(1)},
    smooth="where no entry is a or b",
    dissipation=r"\langle x, m(x)\rangle \ge |m(x)|^2",
    where_dissipative=lambda a, b: bool(a.is_nonpositive and b.is_nonnegative),
    onto=SOLID,
    written=lambda x, a, b: elementwise(lambda e: sp.Min(sp.Max(e, a), b), x),
    reference="parikh2014",
)
def box(xp: Any, x: Any, a: Any, b: Any) -> Any:
    """Each entry moved into the interval from a to b."""
    above = xp.where(x < a, a, x)
    return xp.where(above > b, b, above)


@named(
    potential=r"\tfrac12 |x_+|^2",
    smooth="where no entry is zero",
    dissipation=r"\langle x, m(x)\rangle = |m(x)|^2",
    degree=1,
    onto=SOLID,
    written=lambda x: elementwise(lambda e: sp.Max(e, 0), x),
    reference="parikh2014",
)
def nonnegative(xp: Any, x: Any) -> Any:
    """The positive part of each entry."""
    return xp.where(x > 0, x, 0.0)


@named(
    potential=r"\max_p \langle x, p\rangle - \tfrac12 |p|^2, \quad p \ge 0, \textstyle\sum_i p_i = s",
    arguments={"s": ScalarArgument(1, "> 0")},
    over=WHOLE,
    smooth="where no entry is at the threshold",
    onto=THIN,
    reference="duchi2008",
)
def simplex(xp: Any, x: Any, s: Any) -> Any:
    """The nearest point without negative entries whose sum is s."""
    flat = x.reshape(-1)
    ordered = flat[xp.argsort(-flat)]
    count = xp.cumsum(xp.ones_like(flat), 0)
    threshold = xp.max((xp.cumsum(ordered, 0) - s) / count)
    return xp.where(x > threshold, x - threshold, 0.0)


def _ranked(xp: Any, flat: Any) -> Any:
    """The order of the entries from the largest on, the numbers 1, 2, ..., and the one of each entry."""
    order = xp.argsort(-flat, stable=True)
    count = xp.cumsum(xp.ones_like(flat), 0)
    return order, count, count[xp.argsort(order, stable=True)]


@named(
    potential=r"\max_p \langle x, p\rangle - \tfrac12 |p|^2, \quad p \ge 0, \textstyle\sum_i p_i = s, |p|_0 \le k",
    arguments={"s": ScalarArgument(1, "> 0"), "k": ScalarArgument(None, ">= 1", whole=True)},
    over=WHOLE,
    smooth="where no entry is at the threshold and the k-th largest differs from the next",
    onto=THIN,
    reference="liu2022",
)
def sparse_simplex(xp: Any, x: Any, s: Any, k: Any) -> Any:
    """A nearest point without negative entries, with the sum s and at most k nonzeros.

    Of equal entries the first ones are kept.
    """
    flat = x.reshape(-1)
    order, count, rank = _ranked(xp, flat)
    level = (xp.cumsum(flat[order], 0) - s) / count
    threshold = xp.max(xp.where(count <= k, level, -xp.inf))
    kept = (flat > threshold) & (rank <= k)
    return xp.where(kept, flat - threshold, 0.0).reshape(x.shape)


@named(
    potential=r"\textstyle\sum_i \tfrac12 x_i^2 - \tfrac12 (|x_i| - r)_+^2",
    arguments={"r": ScalarArgument(1, "> 0")},
    smooth="where no entry is r or -r",
    smooth_at_zero=True,
    dissipation=r"\langle x, m(x)\rangle \ge |m(x)|^2",
    onto=SOLID,
    written=lambda x, r: elementwise(lambda e: sp.Min(sp.Max(e, -r), r), x),
    reference="huber1964",
)
def clip(xp: Any, x: Any, r: Any) -> Any:
    """Each entry moved into the interval from -r to r: Huber's gradient."""
    return xp.where(xp.abs(x) > r, r * xp.sign(x), x)


@named(
    potential=r"\textstyle\sum_i \tfrac12 (|x_i| - \lambda)_+^2",
    arguments={"lam": ScalarArgument(1, ">= 0")},
    smooth="where no entry is lam or -lam",
    smooth_at_zero=True,
    dissipation=r"\langle x, m(x)\rangle = |m(x)|^2 + \lambda\,|m(x)|_1",
    written=lambda x, lam: elementwise(lambda e: e - sp.Min(sp.Max(e, -lam), lam), x),
    reference="donoho1995",
)
def shrink(xp: Any, x: Any, lam: Any) -> Any:
    """Each entry moved towards zero by lam, and not beyond: soft thresholding."""
    return xp.where(xp.abs(x) > lam, x - lam * xp.sign(x), 0.0)


@named(
    potential=r"\max_{|S| = k} \textstyle\sum_{i \in S} \tfrac12 x_i^2",
    arguments={"k": ScalarArgument(None, ">= 1", whole=True)},
    over=WHOLE,
    smooth="where the k-th largest entry in size differs from the next",
    dissipation=r"\langle x, m(x)\rangle = |m(x)|^2",
    degree=1,
    onto=THIN,
    reference="stich2018",
)
def top_k(xp: Any, x: Any, k: Any) -> Any:
    """The k largest entries in size, the others zero; of equal ones the first are kept."""
    flat = x.reshape(-1)
    _, _, rank = _ranked(xp, xp.abs(flat))
    return xp.where(rank <= k, flat, 0.0).reshape(x.shape)


@named(
    potential=r"\textstyle\sum_i \int_0^{x_i} \lfloor s \rfloor\, ds",
    smooth="where no entry is a whole number",
    dissipation=r"\langle x, m(x)\rangle \ge |m(x)|^2 - |m(x)|_1",
    onto=LATTICE,
)
def floor(xp: Any, x: Any) -> Any:
    """Each entry rounded down; with a uniform sample, rounding that is unbiased."""
    return xp.floor(x)
