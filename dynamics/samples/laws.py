"""Laws of samples: their moments, exactly, and how a standard normal vector becomes one of them.

Every law of a vector has mean zero and covariance one, whatever its dimension d, and is as likely as its negative. Its
means of polynomials are sums over the ways to contract pairs, quadruples, ... of their slots: with T_m F the sum over
the coordinates of the m-th derivatives of F, a polynomial of degree n has the mean sum_p w_p T_p1 T_p2 ... F(0) over
the partitions p of n into even parts. For independent entries the weights are those of exp(sum_m kappa_m T_m / m!),
kappa the cumulants of one entry; on a sphere they are a normal's, divided by the moments of its squared length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial
from typing import Any

import sympy as sp
from sympy.functions.combinatorial.factorials import factorial2

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.rendered import Rendered
from ..algebra.oracles import Oracle
from ..algebra.products import elementwise
from ..algebra.vectors import Vector, call, inner

Partition = tuple[int, ...]


@dataclass(frozen=True)
class Law(Rendered):
    """The law of a sample.

    Attributes:
        name: its key in `LAWS`.
        words: the law in words, of a vector z or a scalar u.
        text, latex: the same in symbols, as they stand after "~".
        entry: for independent entries, the n-th moment of one.
        weights: for others, the weights of the contractions of a polynomial of degree n, by partition, in dimension d.
        made: the sample from standard normal vectors or scalars, as an expression that every backend has.
        normals: how many of them it is made from.
        scalar: whether it is a law of scalars.
    """

    name: str
    words: str
    text: str
    latex: str
    made: Callable[..., Any]
    entry: Callable[[int], sp.Expr] | None = None
    weights: Callable[[int, sp.Expr], dict[Partition, sp.Expr]] | None = None
    scalar: bool = False
    normals: int = 1

    _shows = ("fields",)

    def __reduce__(self) -> tuple[Any, ...]:
        return _kept, (self.name,)

    def contractions(self, degree: int, dimension: sp.Expr) -> dict[Partition, sp.Expr]:
        """The weights of the contractions of a homogeneous polynomial, by partition of its degree.

        Args:
            degree: n.
            dimension: d.
        """
        if degree % 2:
            return {}
        if self.weights is not None:
            return self.weights(degree, dimension)
        assert self.entry is not None
        return _independent(self.entry, degree)

    def moment(self, index: tuple[int, ...]) -> sp.Expr:
        """E z_1^n_1 ... z_d^n_d, by the powers of the coordinates; of a scalar E u^n."""
        if self.entry is not None:
            return sp.Mul(*[self.entry(n) for n in index])
        found = sp.S.Zero
        for partition, weight in self.contractions(sum(index), sp.Integer(len(index))).items():
            found += weight * _contracted(index, partition)
        return found


def _independent(entry: Callable[[int], sp.Expr], degree: int) -> dict[Partition, sp.Expr]:
    """The terms of exp(sum of kappa_m T_m / m!) with that many derivatives."""
    cumulants = _cumulants(entry, degree)
    found: dict[Partition, sp.Expr] = {}
    for partition in even_partitions(degree):
        weight = sp.Mul(*[cumulants[m] / factorial(m) for m in partition])
        for m in set(partition):
            weight /= factorial(partition.count(m))
        if weight != 0:
            found[partition] = weight
    return found


def _cumulants(entry: Callable[[int], sp.Expr], order: int) -> list[sp.Expr]:
    """kappa_0 (unused), kappa_1, ..., from moments."""
    found = [sp.S.Zero]
    for n in range(1, order + 1):
        lower = [comb(n - 1, k - 1) * found[k] * entry(n - k) for k in range(1, n)]
        found.append(entry(n) - sp.Add(*lower))
    return found


def even_partitions(n: int, largest: int | None = None) -> Iterator[Partition]:
    """The partitions of n into even parts, each in decreasing order."""
    if n == 0:
        yield ()
    for part in range(min(n, largest or n), 1, -1):
        if part % 2 == 0:
            for rest in even_partitions(n - part, part):
                yield (part, *rest)


@lru_cache(maxsize=4096)
def _contracted(index: tuple[int, ...], partition: Partition) -> sp.Expr:
    """T_p1 T_p2 ... of a monomial, whose degree is that of the partition: a number."""
    if not partition:
        return sp.S.One
    first, *rest = partition
    total = sp.S.Zero
    for i, n in enumerate(index):
        if n >= first:
            left = (*index[:i], n - first, *index[i + 1 :])
            total += sp.Integer(factorial(n) // factorial(n - first)) * _contracted(
                left, tuple(rest)
            )
    return total


def _normal_entry(n: int) -> sp.Expr:
    return sp.S.Zero if n % 2 else factorial2(n - 1)


def _on_sphere(degree: int, d: sp.Expr) -> dict[Partition, sp.Expr]:
    """A normal is a sphere's point times an independent length, whose moments are d (d + 2) ... (d + 2k - 2)."""
    k = degree // 2
    lengths = sp.Mul(*[d + 2 * j for j in range(k)])
    return {(2,) * k: d**k / lengths / (2**k * factorial(k))}


def _on_axes(degree: int, d: sp.Expr) -> dict[Partition, sp.Expr]:
    """One coordinate in d, as +-sqrt(d) of its unit vector."""
    return {(degree,): d ** (degree // 2 - 1) / factorial(degree)} if degree else {(): sp.S.One}


# The steepest direction of a norm at a normal vector is uniform on the extreme points of the norm's ball: signs, unit
# vectors, the sphere.


def _signs(xi: Vector) -> Vector:
    return elementwise(sp.sign, xi)


def _root_of_dimension(xi: Vector) -> sp.Expr:
    """sqrt(d), as the length of a vector of signs."""
    return sp.sqrt(inner(_signs(xi), _signs(xi)))


def _uniform(a: sp.Expr, b: sp.Expr) -> sp.Expr:
    """A uniform number in (0, 1] from two normals, whose squares add up to an exponential variable."""
    return sp.exp(-(a**2 + b**2) / 2)


def _no_moment(n: int) -> sp.Expr:
    """Of what picks rows: it is no number to multiply with."""
    if n:
        raise OdescentError(
            "a sample of the law rows has no moments: it picks the rows of a gradient, as in f.batch(x, u)."
        )
    return sp.S.One


_LISTED = (
    Law("normal", "standard normal", "N(0, I)", r"\mathcal{N}(0, I)", lambda xi: xi, _normal_entry),
    Law(
        "rademacher",
        "independent signs, each as likely as the other",
        "{-1, 1}^d",
        r"\lbrace -1, 1 \rbrace^d",
        _signs,
        lambda n: sp.Integer(n % 2 == 0),
    ),
    Law(
        "sphere",
        "uniform on the sphere of radius sqrt(d)",
        "sqrt(d) S^(d-1)",
        r"\sqrt{d} S^{d-1}",
        lambda xi: xi * (_root_of_dimension(xi) / sp.sqrt(inner(xi, xi))),
        weights=_on_sphere,
    ),
    Law(
        "uniform",
        "independent entries, uniform on [-sqrt(3), sqrt(3)]",
        "U[-sqrt(3), sqrt(3)]^d",
        r"U[-\sqrt{3}, \sqrt{3}]^d",
        lambda *xi: elementwise(lambda *s: sp.sqrt(3) * (2 * _uniform(*s) - 1), *xi),
        lambda n: sp.S.Zero if n % 2 else sp.Integer(3) ** (n // 2) / (n + 1),
        normals=2,
    ),
    Law(
        "coordinate",
        "a random unit vector or its negative, times sqrt(d)",
        "+-sqrt(d) e_i",
        r"\lbrace \pm\sqrt{d} e_i \rbrace",
        lambda xi: call(Oracle("named", "steepest_l1"), xi) * _root_of_dimension(xi),
        weights=_on_axes,
    ),
    Law(
        "normal_scalar",
        "standard normal",
        "N(0, 1)",
        r"\mathcal{N}(0, 1)",
        lambda xi: xi,
        _normal_entry,
        scalar=True,
    ),
    Law(
        "rademacher_scalar",
        "a sign, each as likely as the other",
        "{-1, 1}",
        r"\lbrace -1, 1 \rbrace",
        sp.sign,
        lambda n: sp.Integer(n % 2 == 0),
        scalar=True,
    ),
    Law(
        "uniform_scalar",
        "uniform on [0, 1]",
        "U(0, 1)",
        "U(0, 1)",
        _uniform,
        lambda n: sp.Rational(1, n + 1),
        normals=2,
        scalar=True,
    ),
    Law(
        "rows_scalar",
        "rows of data or outcomes, as a uniform number picks them",
        "random rows",
        r"\text{random rows}",
        _uniform,
        _no_moment,
        normals=2,
        scalar=True,
    ),
)
LAWS: dict[str, Law] = {law.name: law for law in _LISTED}


def _kept(name: str) -> Law:
    """The law of a key; an unpickled one is the law itself."""
    return LAWS[name]


def law_of(name: str, scalar: bool = False) -> Law:
    """The law of that name, of vectors or of scalars.

    Raises:
        OdescentError: there is no such law.
    """
    known = [n.removesuffix("_scalar") for n, law in LAWS.items() if law.scalar == scalar]
    check_choice(f"law of a {'scalar' if scalar else 'vector'} called", name, known)
    return LAWS[f"{name}_scalar" if scalar else name]
