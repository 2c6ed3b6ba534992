"""Slow manifolds of fast/slow systems (Fenichel): the invariant graph as a series in the small parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, change, derivative, renamed, substitute, symbols_of, tidy
from ..algebra.exact import canonical
from ..algebra.series import power_sum, taylor, truncated
from ..algebra.vectors import Expr, Vector, VectorSymbol
from ..implicit.equations import Opened, Singular
from ..implicit.roots import roots_of, solutions
from ..implicit.search import Search
from ..notation.show import latex, symbol_latex, text
from ..vector_fields.hypotheses import Hypothesis, assumptions, positive
from ..vector_fields.scales import blocks_of
from ..vector_fields.system import VectorFields
from .attraction import attraction, relaxation

NEWTON = Search()
_TERMS = 4000  # of a graph, over all its orders


@dataclass(frozen=True)
class Level(Rendered):
    """The blocks that are fast on one scale.

    Attributes:
        small: its parameter.
        equations: small times the drift of each block, which is regular as the parameter tends to zero.
        moving: the drift of the slower blocks, the time with it.
        terms: by block, the coefficients h_0, h_1, ... of its graph over the slower blocks.
        linearized: the derivative of the equations on the critical manifold, J v, in directions v.
    """

    small: sp.Symbol
    equations: Mapping[Symbol, Any]
    moving: Mapping[Symbol, Any]
    terms: Mapping[Symbol, tuple[Any, ...]]
    linearized: Opened

    _shows = ("fields",)

    def graph(self, order: int | None = None) -> dict[Symbol, Any]:
        """The sum of the terms up to an order, all by default."""
        return {
            s: power_sum(t[: None if order is None else order + 1], self.small)
            for s, t in self.terms.items()
        }


class SlowManifold(Rendered):
    """The attracting graph of the fast blocks over the slow ones, as a series.

    Attributes:
        levels: one for each small parameter, the fastest first.
        order: the highest power of a small parameter.
        hypotheses: that the small parameters are positive, and that the graph attracts.
        ratios: of several scales, each of the smaller ones divided by the next larger, in whose powers its blocks are
            expanded.
    """

    def __init__(
        self,
        levels: tuple[Level, ...],
        order: int,
        hypotheses: tuple[Hypothesis, ...],
        ratios: Mapping[sp.Symbol, sp.Expr] | None = None,
    ) -> None:
        self.levels, self.order, self.hypotheses = levels, order, hypotheses
        self.ratios = dict(ratios or {})

    def __getitem__(self, block: Any) -> tuple[Any, ...]:
        """The coefficients h_0, h_1, ... of a fast block, by its symbol or name."""
        for level in self.levels:
            for s, terms in level.terms.items():
                if s == block or s.name == block:
                    return terms
        known = ", ".join(s.name for level in self.levels for s in level.terms)
        raise OdescentError(f"{block} is not a fast block of the system; those are {known}.")

    @property
    def blocks(self) -> tuple[Symbol, ...]:
        """The fast blocks, the fastest first."""
        return tuple(s for level in self.levels for s in level.terms)

    @property
    def assumes(self) -> str:
        """The assumptions on parameters and states for the graph to attract, in prose."""
        return assumptions(self.hypotheses)

    @property
    def rate(self) -> sp.Expr:
        """Of one fast block that relaxes at one rate, this rate times the small parameter.

        Raises OdescentError where there is no such rate.
        """
        found = relaxation(self.levels[0].linearized) if len(self.levels) == 1 else None
        if found is None:
            raise OdescentError(
                "the fast blocks have no single rate of attraction; see the hypotheses, or measure with .rates(...)."
            )
        return found

    def graph(self) -> dict[Symbol, Any]:
        """The fast blocks as expressions in the slow ones alone, truncated."""
        found: dict[Symbol, Any] = {}
        for level in reversed(self.levels):
            found |= {s: substitute(e, found) for s, e in level.graph().items()}
        return {s: tidy(substitute(found[s], self.ratios)) for s in self.blocks}

    def defect(self) -> dict[Symbol, Any]:
        """What the truncated graph leaves of its equation of invariance, G - small Dh F, by fast block.

        It is of the order small**(order + 1) as the small parameter of the block's level tends to zero.
        """
        return {s: e for level in self.levels for s, e in _defect(level).items()}

    def latex(self) -> str:
        """The coefficients as an aligned LaTeX environment."""
        rows = [f"{left} &= {latex(e)}" for left, e in self._rows(True)]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        lines = [f"{left} = {text(e)}" for left, e in self._rows(False)]
        unproved = [h for h in self.hypotheses if h.status != "proved"]
        said = ", ".join(f"{text(h.expression)} {h.relation}" for h in unproved)
        return "\n".join([*lines, f"attracting only if {said}"] if said else lines)

    def _rows(self, as_latex: bool) -> list[tuple[str, Any]]:
        """Each coefficient with its name, after the implicit functions in them under short names."""
        short: dict[Any, Any] = {}
        rows: list[tuple[str, Any]] = []

        def shortened(e: Any) -> Any:
            return change(e, short.get) if short else e

        for level in self.levels:
            for s, terms in level.terms.items():
                for root in (r for e in terms for r in roots_of(e)):
                    if root not in short:
                        mark = "*" * (1 + sum(s.name == n.name.rstrip("*") for n in short.values()))
                        vector = isinstance(root, Vector)
                        own = (
                            VectorSymbol(s.name + mark)
                            if vector
                            else sp.Symbol(s.name + mark, real=True)
                        )
                        rows.append((symbol_latex(own.name) if as_latex else own.name, root))
                        short[root] = own
        for level in self.levels:
            for s, terms in level.terms.items():
                several = len(self.blocks) > 1
                for j, e in enumerate(terms):
                    if as_latex:
                        left = f"h_{{{symbol_latex(s.name)},{j}}}" if several else f"h_{{{j}}}"
                    else:
                        left = f"h_{s.name}_{j}" if several else f"h_{j}"
                    rows.append((left, shortened(e)))
        return rows

    def __repr__(self) -> str:
        return f"SlowManifold({'; '.join(str(self).splitlines())})"


def expand(system: VectorFields, order: int = 1, search: Search = NEWTON) -> SlowManifold:
    """The slow manifold of a system that declares fast blocks, to an order in the small parameters.

    On each scale, the fastest first, the equations small * y' = G(x, y, small) have the critical manifold
    G(x, h_0, 0) = 0, an implicit function where G is not linear in y, and the terms solve
    G(x, h, small) - small Dh F(x, h, small) = 0 order by order: each is the solution of a linear equation with the
    derivative of G in y (Fenichel, doi:10.1016/0022-0396(79)90152-9). What is slower sees the graph.

    Args:
        system: with fast= declared.
        order: the highest order, at least 0.
        search: how the numbers of a manifold that is an implicit function are found.

    Raises:
        OdescentError: no fast block, noise on one, a singular G, a G that does not determine the fast blocks, or a
            manifold that repels.
    """
    order = check_whole("the order", order, 0)
    if not system.fast:
        raise OdescentError(
            f"the system {system.name or 'has no fast block, so it'} has no slow manifold: declare fast blocks, as in "
            "System(fields, fast={y: eps}), or system.with_fast({y: eps})."
        )
    refuse_noise(system)
    drift: dict[Symbol, Any] = dict(system.mean_drift)
    if system.time is not None:
        drift[system.time] = sp.S.One
    # of several scales each is small relative to the next larger one: delta = (delta/eps) eps
    ratios, products = _ratios(system.small)
    drift = {s: substitute(e, products) for s, e in drift.items()}
    levels: list[Level] = []
    hypotheses: list[Hypothesis] = []
    for k in reversed(range(len(ratios))):
        larger = system.small[k - 1]
        unit = products.get(larger, larger) if k else sp.S.One
        scaled = {s: e * unit for s, e in drift.items()}
        level = _level(scaled, blocks_of(system.fast, system.small[k]), ratios[k], order, search)
        levels.append(level)
        names = ", ".join(s.name for s in level.terms)
        hypotheses += attraction(level.linearized, names, str(ratios[k]))
        hypotheses.append(positive("the small parameter", system.small[k]).checked())
        graph = level.graph()
        drift = {
            s: _truncated(substitute(e, graph), ratios[k], order) * (1 / unit)
            for s, e in level.moving.items()
        }
    back = {q: system.small[k] / system.small[k - 1] for k, q in enumerate(ratios) if k}
    return SlowManifold(tuple(levels), order, tuple(hypotheses), back)


def _ratios(small: tuple[sp.Symbol, ...]) -> tuple[list[sp.Symbol], dict[Any, Any]]:
    """The largest parameter and the ratio of each to the next larger one, and the parameters in terms of these."""
    found, products = [small[0]], dict[Any, Any]()
    whole: sp.Expr = small[0]
    for one, other in itertools.pairwise(small):
        found.append(sp.Symbol(f"{other}/{one}", positive=True))
        whole = whole * found[-1]
        products[other] = whole
    return found, products


def refuse_noise(system: VectorFields) -> None:
    """Refuse noise on a fast block, which does not come to rest."""
    for s in system.fast:
        if any(s in f.noise for f in system.fields.values()):
            raise OdescentError(
                f"the fast block {s} has noise, so it does not rest on a manifold; a linear one has an average, "
                "see reduced(0)."
            )


def refuse_singular(moving: Mapping[Symbol, Any], small: sp.Symbol, names: str) -> None:
    """Refuse a slow drift that grows as the parameter tends to zero: a graph to one order gives it one order less."""
    for s, e in moving.items():
        try:
            taylor(e, small, 0)
        except OdescentError:
            raise OdescentError(
                f"the drift of {s} is singular as {small} -> 0, so {s} is not slow beside {names}: declare it fast as "
                "well, or take a slow combination of the blocks as a block."
            ) from None


def _truncated(e: Any, small: sp.Symbol, order: int) -> Any:
    if small not in symbols_of(e):
        return tidy(e)
    return truncated(e, small, order)


def _level(
    drift: Mapping[Symbol, Any], fast: list[Symbol], small: sp.Symbol, order: int, search: Search
) -> Level:
    """The graph of the blocks that are fast by one parameter, over all others."""
    moving = {s: e for s, e in drift.items() if s not in fast}
    equations: dict[Symbol, Any] = {s: tidy(drift[s] * small) for s in fast}
    names = ", ".join(s.name for s in fast)
    try:
        at_zero = {s: taylor(e, small, 0)[0] for s, e in equations.items()}
    except OdescentError:
        raise OdescentError(
            f"{small} * ({names})' is singular as {small} -> 0, so {names} is not fast by {small}."
        ) from None
    refuse_singular(moving, small, names)
    base = critical(at_zero, small, search)
    # the derivative on the critical manifold, as equations in directions of the fast blocks
    along: dict[Any, Any] = {s: renamed(s, f"direction of {s.name}") for s in fast}
    rates = tuple(tidy(substitute(derivative(e, along), base)) for e in at_zero.values())
    linearized = Opened(rates, tuple(along.values()))
    terms: dict[Symbol, list[Any]] = {s: [e] for s, e in base.items()}
    for j in range(1, order + 1):
        graph = {s: power_sum(t, small) for s, t in terms.items()}
        flow = {s: taylor(substitute(e, graph), small, j - 1) for s, e in moving.items()}
        left = []
        for s in fast:
            pull = taylor(substitute(equations[s], graph), small, j)[j]
            carried = [
                derivative(h, {t: f[j - 1 - i] for t, f in flow.items()})
                for i, h in enumerate(terms[s])
            ]
            left.append(tidy(sum(carried, 0 * pull) - pull))
        _check_size({s: [e] for s, e in zip(fast, left, strict=True)}, small, order)
        found = _divided(linearized, left)
        for s, e in zip(fast, found, strict=True):
            terms[s].append(tidy(e))
        _check_size(terms, small, order)
    return Level(small, equations, moving, {s: tuple(t) for s, t in terms.items()}, linearized)


def critical(
    at_zero: Mapping[Symbol, Any], small: sp.Symbol, search: Search = NEWTON
) -> dict[Symbol, Any]:
    """The solution of the fast equations at small = 0, in closed form or as an implicit function."""
    loose = [s for s in at_zero if not any(s in symbols_of(e) for e in at_zero.values())]
    if loose:
        raise OdescentError(
            f"as {small} -> 0 the fast equation does not depend on {loose[0]} (it is "
            f"{text(at_zero[loose[0]])}), so the critical manifold is not normally hyperbolic: {loose[0]} is not fast."
        )
    symbols = tuple(at_zero)
    free: dict[Any, Any] = {s: renamed(s, f"direction of {s.name}") for s in symbols}
    equations = tuple(substitute(e, free) for e in at_zero.values())
    opened = Opened(equations, tuple(free.values()), descends=True)
    try:
        found = solutions(opened, [s.name for s in symbols], search)
    except (ZeroDivisionError, Singular):
        raise OdescentError(
            f"as {small} -> 0 the fast equations do not determine {', '.join(map(str, symbols))}, so the critical "
            "manifold is not normally hyperbolic: the fast part of the system is singular."
        ) from None
    return dict(zip(symbols, map(tidy, found), strict=True))


def _divided(linearized: Opened, right: list[Any]) -> list[Any]:
    """The solution of J v = right, group by group of the blocks that need one another."""
    equations = tuple(e - r for e, r in zip(linearized.equations, right, strict=True))
    found = solutions(Opened(equations, linearized.unknowns), ["v"] * len(right), NEWTON)
    return list(found)


def _check_size(terms: Mapping[Symbol, list[Any]], small: sp.Symbol, order: int) -> None:
    """Refuse graphs that grow without end."""
    size = sum(
        len(e.terms) if isinstance(e, Vector) else e.count_ops() for t in terms.values() for e in t
    )
    if size > _TERMS:
        raise OdescentError(
            f"the slow manifold has {size} terms before order {order} in {small}, more than {_TERMS}; ask for a lower "
            "order."
        )


def _defect(level: Level) -> dict[Symbol, Any]:
    graph = level.graph()
    return {
        s: invariance_defect(
            level.equations[s], level.moving, s, level.small, level.terms[s], graph
        )
        for s in level.terms
    }


def invariance_defect(
    g: Any,
    slow: Mapping[Symbol, Expr],
    fast: Symbol,
    small: sp.Symbol,
    terms: Any,
    graph: Mapping[Symbol, Any] | None = None,
) -> Any:
    """G - small Dh F on the truncated graph: of order small**len(terms) exactly if the terms are right.

    Args:
        g: G, the fast drift times ``small``.
        slow: the drift of the slow blocks.
        fast: the fast block.
        small: the small parameter.
        terms: h_0, h_1, ... in the slow blocks.
        graph: of all fast blocks, where there are several.
    """
    own = power_sum(terms, small)
    on_graph = {fast: own} if graph is None else dict(graph)
    moving = {s: substitute(e, on_graph) for s, e in slow.items()}
    return tidy(substitute(g, on_graph) - derivative(own, moving) * small)


def graph_discriminant(matrix: sp.Matrix) -> sp.Expr:
    """The discriminant of a mode's polynomial: of a system of two blocks, linear on a quadratic (``linearize``).

    The mode has a real slow manifold, a graph over the slow block that attracts at another rate than it
    moves, exactly where this is positive; where it is negative the mode oscillates and no such graph exists.
    Raises OdescentError for other than two vector blocks.
    """
    if matrix.shape != (2, 2):
        raise OdescentError(
            f"the discriminant is of a mode in two blocks; the system has {matrix.rows}."
        )
    return canonical((matrix[0, 0] - matrix[1, 1]) ** 2 + 4 * matrix[0, 1] * matrix[1, 0])
