"""Implicit functions: solutions of equations, differentiated by a linear solve.

A solution is one atom of the calculus. Its equations hold it, its unknowns are bound: nothing outside has them, and
they are given names of their own whenever something is done to the equations. By the implicit function theorem its
derivative is the solution of J y' = -F', so derivatives, Taylor series, slow manifolds and hypergradients follow from
the one rule that all vectors have. Where one of the equations is a word of the calculus, such as grad_y g(x, y) = 0, it
is a rewriting: the word at the solution is what the equation says of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import sympy as sp

from ..._support.errors import NotCarried, OdescentError, listed
from ..algebra.calculus import (
    Symbol,
    derivative,
    nothing,
    renamed,
    substitute,
    symbols_of,
    tidy,
)
from ..algebra.exact import canonical
from ..algebra.series import taylor
from ..algebra.trees import READERS, WRITERS, from_tree, tree
from ..algebra.vectors import (
    NORMAL,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    _key,
    _text,
    scalar_calls,
    zero,
)
from .equations import Opened, in_sequence, potential, shared_factor
from .search import InnerMethod, InnerStep, Search

_FRESH = itertools.count()  # numbers of unknowns while something is done to their equations


@dataclass(frozen=True, eq=False)
class Equations:
    """Equations in bound unknowns, one for each.

    Attributes:
        equations: expressions that vanish at the solution.
        unknowns: the bound symbols.
        names: what the unknowns are called in print.
        minimized: where the one equation is that a gradient vanishes, the scalar that has it.
        search: how numbers are found.
    """

    equations: tuple[Expr, ...]
    unknowns: tuple[Symbol, ...]
    names: tuple[str, ...]
    minimized: sp.Expr | None = None
    search: Search = field(default_factory=Search)

    def __reduce__(self) -> tuple[Any, ...]:
        """What it was made of, without what was found since."""
        return Equations, (self.equations, self.unknowns, self.names, self.minimized, self.search)

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Its identity: the equations, however their unknowns are called, and where a search was said to begin.

        A root of a gradient may be a saddle: only of a minimizer is it known, and looked at, that it is none. What has
        a parameter in its search is another thing than the same with a number: SymPy's cache gives back what was equal.
        """
        parts = (*self.equations, *(s for s in self.search.start if s is not None))
        told = tuple(_key(e) if isinstance(e, Vector) else _text(e) for e in parts)
        return (self.minimized is not None, *self.search.key, *told)

    def symbols(self) -> set[Symbol]:
        """The symbols on which the solution, or the search for it, depends."""
        inside = {s for e in self.equations for s in symbols_of(e)} - set(self.unknowns)
        return inside | {s for e in self.search.expressions for s in symbols_of(e)}

    def opened(self) -> Opened:
        """The equations in unknowns of their own, which nothing else has."""
        free: dict[Any, Any] = {s: _free(s, i) for i, s in enumerate(self.unknowns)}
        equations = tuple(substitute(e, free) for e in self.equations)
        value = None if self.minimized is None else substitute(self.minimized, free)
        return Opened(equations, tuple(free.values()), value)

    @cached_property
    def linearized(self) -> Opened:
        """The same, opened once, for derivatives."""
        return self.opened()

    def inner_step(self) -> InnerStep:
        """A step of the inner method of its search, in symbols that nothing else has."""
        method, opened = self.search.method, self.linearized
        assert method is not None
        names = [_free(s, i) for i, s in enumerate(method.state)]
        equation: Any = opened.equations[0]
        return method.step(equation, opened.unknowns[0], names)

    @cached_property
    def solutions(self) -> tuple[Expr, ...]:
        """The atoms of its solutions."""
        return tuple(
            RootVector(self, i) if isinstance(s, VectorSymbol) else RootScalar(self, i)
            for i, s in enumerate(self.unknowns)
        )

    def at(self, e: Expr) -> Expr:
        """An expression in the unknowns of `linearized` at the solution."""
        return substitute(e, dict(zip(self.linearized.unknowns, self.solutions, strict=True)))

    @cached_property
    def calls(self) -> set[Call]:
        """The oracle calls of the equations, where the search begins: at the solution they have no end."""
        starts = self.search.start or (None,) * len(self.unknowns)
        begin: dict[Any, Any] = {
            u: nothing(u) if start is None else start
            for u, start in zip(self.unknowns, starts, strict=True)
        }
        found: set[Call] = set()
        for e in self.equations:
            at = substitute(e, begin)
            found |= at.calls() if isinstance(at, Vector) else scalar_calls(at)
        return found

    def rates(self, direction: Mapping[Any, Expr]) -> tuple[Expr, ...]:
        """The derivatives of the solutions where the symbols of the equations move: J u' = -F'."""
        equations = self.linearized.equations
        moved = [derivative(e, direction) for e in equations]
        if not any(m != 0 and m != zero for m in moved):
            return tuple(map(nothing, self.unknowns))
        rates = self.linearized.divided([-m for m in moved], self.search.adjoint)
        return tuple(map(self.at, rates))

    def rewritten(self, rule: Callable[[Any], Any]) -> tuple[Expr, ...]:
        """The solutions of the equations with a rule applied to them."""
        opened, search = self.opened(), self.search.changed(rule)
        changed = Opened(
            tuple(map(rule, opened.equations)),
            opened.unknowns,
            None if opened.minimized is None else rule(opened.minimized),
        )
        same = all(map(_alike, changed.equations, opened.equations))
        if same and search == self.search:
            return self.solutions
        return solutions(changed, self.names, search)

    def series(self, symbol: sp.Symbol, order: int) -> tuple[list[Expr], ...]:
        """The Taylor coefficients of the solutions in a symbol of the equations, at zero.

        The equations are expanded at the sum of the terms that are known; what is left of the order n is what the
        term of that order makes up for: J u_n = -F_n.
        """
        opened = self.opened()
        at_zero = [taylor(e, symbol, 0)[0] for e in opened.equations]
        search = self.search.changed(lambda e: substitute(e, {symbol: sp.S.Zero}))
        begin = Opened(tuple(at_zero), opened.unknowns, None)
        if opened.minimized is not None:
            begin = replace(begin, minimized=taylor(opened.minimized, symbol, 0)[0])
        terms = [[s] for s in solutions(begin, self.names, search)]
        base = {u: t[0] for u, t in zip(opened.unknowns, terms, strict=True)}
        for n in range(1, order + 1):
            known: dict[Any, Any] = {
                u: sum((c * symbol**k for k, c in enumerate(t)), 0 * t[0])
                for u, t in zip(opened.unknowns, terms, strict=True)
            }
            left = [taylor(substitute(e, known), symbol, n)[n] for e in opened.equations]
            found = begin.divided([-r for r in left], self.search.adjoint)
            for t, e in zip(terms, found, strict=True):
                t.append(tidy(substitute(e, base)))
        return tuple(terms)

    @cached_property
    def rule(self) -> dict[Vector, Vector]:
        """What the equations say of their leading atoms at the solution, where these have a rational coefficient."""
        with _as_it_stands(self.key):
            return dict(filter(None, map(self._leading, self.linearized.equations)))

    def _leading(self, equation: Expr) -> tuple[Vector, Vector] | None:
        if not isinstance(equation, Vector):
            return None
        at = self.at(equation)
        own = set(self.solutions)
        words = [
            (a, c)
            for a, c in at.terms.items()
            if c.is_Rational and a not in own and own & set(roots_of(a))
        ]
        if not words:
            return None
        leading, c = max(words, key=lambda word: word[0].key)
        return leading, (leading * c - at) / c


_KEPT: list[tuple[Any, ...]] = []  # the equations that are not used for rewriting now


@contextmanager
def _as_it_stands(key: tuple[Any, ...]) -> Iterator[None]:
    """Leave the leading words of equations at their solution as they are."""
    _KEPT.append(key)
    try:
        yield
    finally:
        _KEPT.pop()


def _free(s: Symbol, i: int) -> Symbol:
    """A symbol of the kind of an unknown, which nothing else has."""
    free: Symbol = renamed(s, f"unknown {next(_FRESH)} {i}")
    return free


def _alike(one: Expr, other: Expr) -> bool:
    """Whether two expressions are equal, and the implicit functions in them are searched for alike."""
    return one == other and [r.equations.search for r in roots_of(one)] == [
        r.equations.search for r in roots_of(other)
    ]


def solutions(opened: Opened, names: Sequence[str], search: Search) -> tuple[Expr, ...]:
    """The solutions of equations in free unknowns: in closed form where they are linear, else implicit functions.

    Equations that do not need one another are solved one after the other.
    """
    found: dict[Any, Any] = {}
    for group in in_sequence(opened.equations, opened.unknowns):
        unknowns = tuple(opened.unknowns[i] for i in group)
        equations = tuple(substitute(opened.equations[i], found) for i in group)
        value = opened.minimized if len(opened.unknowns) == 1 else None
        if opened.descends and len(group) == 1:
            value = potential(equations[0], unknowns[0])
            turned = value is not None or search.method is not None
            equations = (-equations[0],) if turned else equations
        here = Opened(equations, unknowns, value, opened.descends)
        told = tuple(names[i] for i in group)
        found |= dict(zip(unknowns, _group(here, told, search.of(group)), strict=True))
    return tuple(found[u] for u in opened.unknowns)


def _group(opened: Opened, names: tuple[str, ...], search: Search) -> tuple[Expr, ...]:
    """The solutions of equations that need one another."""
    try:
        linear = opened.linear
    except NotCarried:
        linear = False
    if linear and not opened.descends and opened.minimized is not None:
        linear = _curves_upwards(opened)
    by_steps = search.method is not None and (not linear or opened.scalar_matrix is None)
    if by_steps and (len(names) > 1 or not isinstance(opened.unknowns[0], VectorSymbol)):
        what = f"the scalar {names[0]}" if len(names) == 1 else f"{listed(names)} together"
        raise OdescentError(
            f"an inner method searches for one vector, and these equations determine {what}: leave method= out, which "
            "is Newton's method."
        )
    if linear and not by_steps:
        rest: dict[Any, Any] = {u: nothing(u) for u in opened.unknowns}
        right = [-substitute(e, rest) for e in opened.equations]
        return tuple(map(tidy, opened.divided(right, search.adjoint)))
    depth = 1 + max(map(_depth, opened.equations), default=0)
    bound: dict[Any, Any] = {
        u: renamed(u, f"root~{depth}~{i}") for i, u in enumerate(opened.unknowns)
    }
    whole = [substitute(tidy(e), bound) for e in opened.equations]
    own = tuple(bound.values())
    shared = [shared_factor(e, opened.minimized is None and not by_steps, own) for e in whole]
    if by_steps:  # steps fit the equation as it is, but for parameters, such as a scale of time
        shared = [c.as_coeff_Mul()[1] for c in shared]
    equations = tuple(
        e if c == 1 else tidy(e * (1 / c)) for e, c in zip(whole, shared, strict=True)
    )
    value = None if opened.minimized is None else substitute(opened.minimized / shared[0], bound)
    value = value if value is None or shared[0] == 1 else tidy(value)
    return Equations(equations, tuple(bound.values()), names, value, search).solutions


def _curves_upwards(opened: Opened) -> bool:
    """Whether a quadratic that is minimized has a minimizer in closed form.

    False where its one curvature is of unknown sign, which then is looked at when there are numbers; an operator's
    definiteness is the caller's assumption. Raises OdescentError where the curvature is not positive.
    """
    if (matrix := opened.scalar_matrix) is None:
        return True
    curvature = canonical(matrix[0, 0])
    if curvature.is_nonpositive:
        raise OdescentError(
            f"{opened.minimized} has no minimizer in its unknown: its curvature there is {curvature}, which must be "
            "positive; take od.root for a critical point that is not minimal."
        )
    return bool(curvature.is_positive)


def roots_of(e: Expr) -> list[Any]:
    """The implicit functions in an expression, each once, those that others need first."""
    found: dict[Any, None] = {}
    seen: set[Any] = set()

    def walk(part: Any) -> None:
        if part in seen:
            return
        seen.add(part)
        nodes: list[Any] = list(part.atoms(ScalarNode)) if isinstance(part, sp.Expr) else []
        if isinstance(part, Atom):
            nodes = [part]
        elif isinstance(part, Vector):
            for a, c in part.terms.items():
                nodes += [a, *c.atoms(ScalarNode)]
        for node in nodes:
            if isinstance(node, (RootVector, RootScalar)):
                for e in node.equations.linearized.equations:
                    walk(e)
                found.setdefault(node)
            elif isinstance(node, Atom):
                for inside in node.parts():
                    walk(inside)
            else:
                for inside in node.arguments:
                    walk(inside)

    walk(e)
    return list(found)


def starts_of(root: Any) -> set[Symbol]:
    """The symbols of the names of the unknowns, from which an implicit function is searched that has no other start."""
    of = root.equations
    if of.search.start:
        return set()
    return {renamed(u, n) for n, u in zip(of.names, of.unknowns, strict=True)}


def _depth(e: Expr) -> int:
    """How many implicit functions are inside of one another in an expression."""
    return max((1 + max(map(_depth, r.equations.equations)) for r in roots_of(e)), default=0)


class _Root:
    """What solutions of either kind have from their equations."""

    __slots__ = ()
    equations: Equations
    which: int

    def symbols(self) -> set[Any]:
        return self.equations.symbols()

    def calls(self) -> set[Call]:
        return self.equations.calls

    def rebuild(self, rule: Callable[[Any], Any]) -> Any:
        return self.equations.rewritten(rule)[self.which]

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Any:
        return self.equations.rates(direction)[self.which]

    def shown(self, show: Callable[[Any], str], as_latex: bool) -> str:
        """argmin_y g(x, y), or root_y of the equation."""
        return _shown(self.equations, self.which, show, as_latex)


class RootVector(_Root, Atom):
    """One of the solutions of equations, a vector.

    Args:
        equations: with their unknowns.
        which: the unknown that it stands for.
    """

    __slots__ = ("arguments", "equations", "which")
    made_of = ("equations", "which")

    def __init__(self, equations: Equations, which: int) -> None:
        self.equations, self.which = equations, which
        self.arguments = tuple(e for e in equations.equations if isinstance(e, Vector))
        super().__init__((12, which, equations.key))
        self.solving = True

    def parts(self) -> tuple[Expr, ...]:
        return self.equations.equations

    def own_series(self, symbol: sp.Symbol, order: int) -> Any:
        """Its Taylor coefficients in a symbol."""
        return self.equations.series(symbol, order)[self.which]


class RootScalar(_Root, ScalarNode):
    """One of the solutions of equations, a scalar; see `RootVector`."""

    def __new__(cls, equations: Equations, which: int) -> RootScalar:
        node: RootScalar = super().__new__(cls, "root", ())
        node.equations, node.which = equations, which
        node.content = ("root", str(which), repr(equations.key))
        return node

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.equations, self.which)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return {s for s in self.equations.symbols() if isinstance(s, sp.Symbol)}


def _shown(of: Equations, which: int, show: Callable[[Any], str], as_latex: bool) -> str:
    """A solution in print, its unknowns by their names."""
    taken = {s.name for s in of.symbols()}
    plain: dict[Any, Any] = {}
    for s, name in zip(of.unknowns, of.names, strict=True):
        told = next(n for n in (name, *(f"{name}_{i}" for i in range(1, 99))) if n not in taken)
        taken.add(told)
        plain[s] = renamed(s, told)
    own = [show(s) for s in plain.values()]
    if of.minimized is not None:
        inside = show(substitute(of.minimized, plain))
        return (
            rf"\operatorname{{argmin}}_{{{own[0]}}} {inside}"
            if as_latex
            else f"argmin_{own[0]}({inside})"
        )
    inside = ", ".join(f"{show(substitute(e, plain))} = 0" for e in of.equations)
    if as_latex:
        return rf"\left[{own[which]} : {inside}\right]"
    return f"[{own[which]}: {inside}]"


def at_solution(a: Atom) -> Vector:
    """An atom that is the leading one of an equation at a solution in it, as the equation says."""
    if not isinstance(a, (RootVector, VectorSymbol)):
        for r in roots_of(a):
            if r.equations.key not in _KEPT and a in r.equations.rule:
                told: Vector = r.equations.rule[a]
                return told
    return a


NORMAL.append(at_solution)


def _written(e: Any) -> list[Any]:
    of, search = e.equations, e.equations.search
    said = [[] if s is None else tree(s) for s in search.start]
    how = [said, tree(search.tolerance), tree(search.max_steps), search.adjoint]
    if search.method is not None:
        how.append(search.method.written())
    minimized = [] if of.minimized is None else tree(of.minimized)
    unknowns = [*map(tree, of.unknowns)], [*of.names]
    return ["root", str(e.which), *unknowns, [*map(tree, of.equations)], minimized, how]


def _read(which: Any, unknowns: Any, names: Any, equations: Any, minimized: Any, how: Any) -> Expr:
    """An implicit function from the words after that of its form."""
    start, tolerance, most, adjoint, *by = how
    bound = [from_tree(u) for u in unknowns]
    free: dict[Any, Any] = {u: _free(u, i) for i, u in enumerate(bound)}
    opened = Opened(
        tuple(substitute(from_tree(e), free) for e in equations),
        tuple(free.values()),
        substitute(from_tree(minimized), free) if minimized else None,
    )
    begin = tuple(from_tree(s) if s else None for s in start)
    method = InnerMethod.read(by[0]) if by else None
    search = Search(begin, from_tree(tolerance), from_tree(most), str(adjoint), method)
    return solutions(opened, [str(n) for n in names], search)[int(which)]


WRITERS[RootVector] = WRITERS[RootScalar] = _written
READERS["root"] = _read
