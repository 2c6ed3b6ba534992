"""Slow manifolds of fast/slow systems (Fenichel): the invariant graph as a series in the small parameter."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from ..._support.errors import OdescentError, expected
from ..._support.numbers import check_whole
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, derivative, substitute, symbols_of, tidy
from ..algebra.exact import canonical
from ..algebra.series import taylor
from ..algebra.vectors import Expr, Vector, VectorSymbol, zero
from ..notation.show import latex, text
from .hypotheses import Hypothesis, assumptions, positive


class SlowManifold(list[Vector], Rendered):
    """The coefficients h_0, h_1, ... of an attracting graph, with what makes it attract.

    Attributes:
        rate: the normal rate of attraction times the small parameter, positive where it attracts.
        hypotheses: that this rate, and the small parameter, are positive.
    """

    def __init__(
        self, terms: list[Vector], rate: sp.Expr, hypotheses: tuple[Hypothesis, ...]
    ) -> None:
        super().__init__(terms)
        self.rate, self.hypotheses = rate, hypotheses

    @property
    def assumes(self) -> str:
        """The assumptions on parameters and states for the graph to attract, in prose."""
        return assumptions(self.hypotheses)

    def latex(self) -> str:
        """The coefficients as an aligned LaTeX environment."""
        rows = [rf"h_{{{j}}} &= {latex(e)}" for j, e in enumerate(self)]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __repr__(self) -> str:
        unproved = [h for h in self.hypotheses if h.status != "proved"]
        said = ", ".join(f"{text(h.expression)} {h.relation}" for h in unproved)
        return super().__repr__() + (f", attracting only if {said}" if said else "")


def expand(
    drift: Mapping[Symbol, Expr], fast: Symbol, small: sp.Symbol, order: int
) -> SlowManifold:
    """Coefficients h_0, ..., h_order of the manifold ``fast = h_0 + small h_1 + ...`` in the slow blocks.

    The fast equation must be ``small * fast' = G`` with G regular, linear in the fast block at small = 0, and
    restoring: minus its coefficient is the normal rate of attraction times ``small``. Positivity of this rate is
    proved, or recorded in the result's ``assumes``; a repelling manifold is refused. The terms solve
    G(x, h, small) - small Dh F(x, h, small) = 0 order by order (Fenichel, doi:10.1016/0022-0396(79)90152-9).

    Args:
        drift: by block.
        fast: the fast vector block.
        small: the small parameter.
        order: the highest order, at least 0.

    Raises:
        OdescentError: a scalar or unknown fast block, a singular G, a critical manifold that is not
            normally hyperbolic (no linear restoring term), or one that repels.
    """
    if isinstance(fast, str):
        raise expected("the fast block", "its symbol, as in p = od.blocks('p')", fast)
    if not isinstance(small, sp.Symbol):
        raise expected("the small parameter", "its symbol, as in eps = od.parameters('eps')", small)
    order = check_whole("the order", order, 0)
    if not isinstance(fast, VectorSymbol) or fast not in drift:
        raise OdescentError(
            f"{fast} is not a vector block of the system, so it has no slow manifold over the others."
        )
    g: Vector = tidy(drift[fast] * small)
    try:
        at_zero = taylor(g, small, 0)[0]
    except ValueError:
        raise OdescentError(
            f"{small} * {fast}' is singular as {small} -> 0, so {fast} is not the fast block."
        ) from None
    rate = at_zero.terms.get(fast, sp.S.Zero)
    remainder = tidy(at_zero - fast * rate)
    if rate == 0 or fast in remainder.free_symbols | symbols_of(rate):
        raise OdescentError(
            f"the fast equation is not linear and restoring in {fast} as {small} -> 0 (it is {at_zero}), so the "
            "critical manifold is not normally hyperbolic there or not a graph this expansion can find."
        )
    attracts = positive(
        f"the rate at which the slow manifold attracts, times {small},", canonical(-rate)
    )
    if attracts.status == "refuted":
        raise OdescentError(
            f"the slow manifold repels: as {small} -> 0, {small} * {fast}' grows with {fast} by the factor "
            f"{text(rate)}, so nothing near the manifold follows it."
        )
    hypotheses = (attracts, positive("the small parameter", small).checked())

    # order by order: the residual of G, minus the transport of the graph by the flow on it
    slow = {s: e for s, e in drift.items() if s != fast}
    terms = [tidy(remainder * (-1 / rate))]
    for j in range(1, order + 1):
        on_graph = {fast: _series(terms, small)}
        pull = taylor(substitute(g, on_graph), small, j)[j]
        flow = {s: taylor(substitute(e, on_graph), small, j - 1) for s, e in slow.items()}
        carried = [
            derivative(h, {s: f[j - 1 - i] for s, f in flow.items()}) for i, h in enumerate(terms)
        ]
        terms.append(tidy((pull - sum(carried, zero)) * (-1 / rate)))
    return SlowManifold(terms, attracts.expression, hypotheses)


def _series(terms: list[Vector], small: sp.Symbol) -> Vector:
    return sum((t * small**i for i, t in enumerate(terms)), zero)


def invariance_defect(
    g: Vector, slow: Mapping[Symbol, Expr], fast: Symbol, small: sp.Symbol, terms: list[Vector]
) -> Vector:
    """G - small Dh F on the truncated graph: of order small**len(terms) exactly if the terms are right.

    Args:
        g: G, the fast drift times ``small``.
        slow: the drift of the slow blocks.
        fast: the fast block.
        small: the small parameter.
        terms: h_0, h_1, ... in the slow blocks.
    """
    graph = _series(terms, small)
    on_graph = {fast: graph}
    moving = {s: substitute(e, on_graph) for s, e in slow.items()}
    defect: Vector = tidy(substitute(g, on_graph) - derivative(graph, moving) * small)
    return defect


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
