"""The route of a linear solve: a table of rules on the operator's structure, read from the top.

A new route is a line of `ROUTES`, a rule where it is chosen without being said, and its function in each file of
iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import change, vanishes
from ..algebra.operators import Inverse, OracleDerivative, diagonal, inverse
from ..algebra.products import (
    Identity,
    Part,
    Product,
    Unary,
    apply,
    elementwise,
    identity,
    letters,
    slots_of,
    transpose,
)
from ..algebra.vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol, zero

TOLERANCE = sp.Rational(1, 10**12)


class Structure:
    """What is proved of an operator; each property is found when it is asked for."""

    def __init__(self, operator: Vector) -> None:
        self.operator = operator
        terms = operator.terms.items()
        self.pointwise = Vector.of((a, c) for a, c in terms if _pointwise(a))
        self.outer = [(a, c) for a, c in terms if isinstance(a, Product) and a.kind == "outer"]
        self.rest = [a for a, _ in terms if not _pointwise(a) and a not in dict(self.outer)]

    @property
    def diagonal(self) -> bool:
        """Whether it acts element by element."""
        return not self.outer and not self.rest

    @property
    def low_rank(self) -> bool:
        """Whether it is a diagonal operator and outer products."""
        return bool(self.pointwise.terms and self.outer) and not self.rest

    @property
    def few(self) -> bool:
        """Whether it is a multiple of the identity and outer products, so that the former can be divided by."""
        return self.low_rank and self.pointwise.terms.keys() == {identity}

    @cached_property
    def explicit(self) -> bool:
        """Whether its matrix is at hand: nothing in it is known by its products alone."""
        return not by_products(self.operator)

    @cached_property
    def symmetric(self) -> bool:
        """Whether it is proved to equal its transpose."""
        try:
            return vanishes(transpose(self.operator) - self.operator)
        except NotCarried:
            return False

    @cached_property
    def way(self) -> int:
        """1 or -1 where all its terms are proved semidefinite of this sign, and one of them definite; else 0."""
        signs = [_sign(a, c) for a, c in self.operator.terms.items()]
        if not any(strict for _, strict in signs):
            return 0
        return next((w for w in (1, -1) if all(s * w > 0 for s, _ in signs)), 0)

    @property
    def definite(self) -> bool:
        """Whether all its terms are proved semidefinite of one sign, and one of them definite."""
        return self.way != 0


def _pointwise(a: Atom) -> bool:
    return isinstance(a, Identity) or (isinstance(a, Unary) and a.kind == "diagonal")


def _sign(a: Atom, c: sp.Expr) -> tuple[int, bool]:
    """The sign of a semidefinite term, 0 where it is not proved to be one, and whether it is definite."""
    way = 1 if c.is_nonnegative else -1 if c.is_nonpositive else 0
    word = letters(a)
    while len(word) > 1 and transpose(word[0]) == word[-1]:
        word = word[1:-1]
    strict = not letters(a)
    if len(word) == 1:
        (middle,) = word
        square = isinstance(middle, Product) and middle.kind == "outer"
        inverted = isinstance(middle, Inverse) and Structure(middle.argument).definite
        if inverted and isinstance(middle, Inverse):
            way *= _sign(*next(iter(middle.argument.terms.items())))[0]
            strict = middle is a
        elif not (square and isinstance(middle, Product) and middle.left == middle.right):
            way = 0
    elif word:
        way = 0
    return way, bool(strict and c.is_nonzero)


def by_products(e: Expr) -> bool:
    """Whether an operator in it is known by its products alone: a Hessian or a Jacobian."""
    found: list[Expr] = []

    def look(a: Expr) -> None:
        if isinstance(a, OracleDerivative):
            found.append(a)

    change(e, look)
    return bool(found)


@dataclass(frozen=True)
class Route(Rendered):
    """One way to the numbers of a solve.

    Attributes:
        name: the word that says it, as in ``linear_solve(A, b, method="cg")``.
        title: what it is called.
        wants: what must be proved of the operator, an attribute of `Structure`; nothing for any operator.
        wanted: the same in words.
        cost: what it costs for d unknowns.
        iterates: whether it has a tolerance, and takes products alone.
    """

    name: str
    title: str
    wants: str = ""
    wanted: str = ""
    cost: str = ""
    iterates: bool = False

    _shows = ("fields",)


ROUTES = {
    r.name: r
    for r in (
        Route("diagonal", "a division element by element", "diagonal", "diagonal", "d divisions"),
        Route(
            "woodbury", "Woodbury's formula", "low_rank", "a diagonal operator and outer products",
            "m (m + 3) d multiplications and a system of m equations, for m outer products",
        ),
        Route(
            "cholesky", "a Cholesky factorization", "symmetric", "symmetric",
            "d^3/3 multiplications and d^2 numbers; of what is known by products, d products before",
        ),
        Route(
            "lu", "a factorization with pivots", "", "",
            "2 d^3/3 multiplications and d^2 numbers; of what is known by products, d products before",
        ),
        Route(
            "cg", "conjugate gradients", "symmetric", "symmetric",
            "an iteration is one product, 6 d multiplications; 4 d numbers", True,
        ),
        Route(
            "minres", "minimal residuals (MINRES)", "symmetric", "symmetric",
            "an iteration is one product, 9 d multiplications; 7 d numbers", True,
        ),
        Route(
            "gmres", "generalized minimal residuals (GMRES)", "", "",
            "iteration k is one product, 4 k d multiplications; up to 100 d numbers", True,
        ),
    )
}  # fmt: skip

# without a method said: the first whose condition holds, and why
RULES: tuple[tuple[str, Callable[[Structure], bool], str], ...] = (
    ("diagonal", lambda s: s.diagonal, "it is diagonal"),
    ("woodbury", lambda s: s.few, "it is a multiple of the identity and outer products"),
    ("cholesky", lambda s: s.explicit and s.definite, "its matrix is at hand and proved definite"),
    ("lu", lambda s: s.explicit, "its matrix is at hand"),
    ("cg", lambda s: s.definite, "it is known by products and proved definite"),
    ("minres", lambda s: s.symmetric, "it is known by products and proved symmetric"),
    ("gmres", lambda s: True, "it is known by products"),
)


@dataclass(frozen=True)
class Solve(Rendered):
    """How one solve is done: its operator, the route, why, and the tolerance of an iteration."""

    operator: Vector
    route: Route
    why: str
    tolerance: sp.Expr = TOLERANCE

    _shows = ("fields",)

    def __str__(self) -> str:
        bound = f", to |r| <= {_number(self.tolerance)} |b|" if self.route.iterates else ""
        return f"{self.operator}: {self.route.title}, as {self.why}{bound} ({self.route.cost})"


def _number(e: sp.Expr) -> str:
    return f"{float(e):g}" if e.is_number else str(e)


def solve_of(inverted: Inverse) -> Solve:
    """How an inverse is applied.

    Raises OdescentError where the method that was said is not for operators of this structure.
    """
    structure = Structure(inverted.argument)
    bound = TOLERANCE if inverted.tolerance is None else inverted.tolerance
    if not inverted.method:
        for name, holds, why in RULES:
            if holds(structure):
                return _with_tolerance(Solve(inverted.argument, ROUTES[name], why, bound), inverted)
    route = ROUTES[inverted.method]
    if route.wants and not getattr(structure, route.wants):
        raise OdescentError(
            f"{route.title} needs an operator that is {route.wanted}, which is not proved of {inverted.argument}; "
            f"leave the method {route.name!r} out, or give another."
        )
    return _with_tolerance(Solve(inverted.argument, route, "it was said", bound), inverted)


def _with_tolerance(how: Solve, inverted: Inverse) -> Solve:
    """Refuse a tolerance of what has none."""
    if inverted.tolerance is not None and not how.route.iterates:
        raise OdescentError(
            f"{how.route.title} has no tolerance; leave it out of the solve with {how.operator}, or give it "
            "a method that iterates: cg, minres or gmres."
        )
    return how


def from_products(a: Product) -> bool:
    """Whether an inverse is applied to a vector by a route that takes products of its operator with vectors alone."""
    if not isinstance(a.left, Inverse) or a.operates or (a.is_array and a.left.by_columns):
        return False
    how = solve_of(a.left)
    dense = how.route.name in ("lu", "cholesky")
    return not dense or by_products(a.left.argument) or bool(slots_of(a.left.argument)[0])


def solve_in(a: Atom) -> tuple[tuple[Atom, ...], Product] | None:
    """The operators that stand before a solve with products, and the solve; None where a vector has none."""
    before: list[Atom] = []
    while isinstance(a, Product) and a.kind == "apply" and not a.operates:
        if from_products(a):
            return tuple(before), a
        before.append(a.left)
        a = a.right
    return None


def right_sides(a: Product) -> dict[str, Vector]:
    """The right side of a solve, by block; where there are no blocks, by the empty name."""
    assert isinstance(a.left, Inverse)
    slots, _ = slots_of(a.left.argument)
    return {s: apply(Part(s), a.right) for s in slots} or {"": a.right}


def diagonal_by_products(a: Unary) -> bool:
    """Whether it is the diagonal of an operator that is known by its products alone."""
    word = letters(a.argument)  # of the identity there is none
    return a.kind == "entries" and bool(word) and isinstance(word[-1], OracleDerivative)


def multiplied(e: ScalarNode) -> tuple[Vector, ...]:
    """The sides of an inner product as numbers are multiplied: of a trace the diagonal, and ones."""
    if e.arguments.count(identity) != 1:
        return e.arguments
    (operator,) = (v for v in e.arguments if v != identity)
    entries = diagonal(operator)
    return entries, elementwise(lambda _: sp.S.One, entries)


def inverses(expressions: Iterable[Expr]) -> list[Inverse]:
    """All inverses in some expressions, each once; those of one operator are one."""
    found: dict[Inverse, None] = {}

    def look(a: Expr) -> None:
        if isinstance(a, Inverse):
            found.setdefault(a)

    for e in expressions:
        change(e, look)
    return list(found)


def check_solves(expressions: Iterable[Expr]) -> None:
    """Refuse a method that was said for an operator whose structure does not allow it."""
    for inverted in inverses(expressions):
        solve_of(inverted)


def low_rank_parts(structure: Structure) -> tuple[Vector, list[Vector], list[Vector]]:
    """The inverse of the diagonal part, and the columns of the outer products on both sides."""
    over = inverse(structure.pointwise)
    return over, [a.left * c for a, c in structure.outer], [a.right for a, _ in structure.outer]


def product_with(operator: Vector, v: VectorSymbol) -> Vector:
    """An operator applied to a symbol."""
    return apply(operator, v) if operator.terms else zero
