"""A two-block system as one second-order equation x'' = F(x, x') of its output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, coefficients_of, derivative, substitute, tidy
from ..algebra.exact import canonical
from ..algebra.series import taylor
from ..algebra.vectors import Expr, Vector, VectorSymbol, scalar_symbols, zero
from ..notation.show import latex, symbol_latex, text

position, velocity = VectorSymbol("x"), VectorSymbol("x_dot")


@dataclass(frozen=True, repr=False)
class SecondOrder(Rendered):
    """x'' + lhs = 0, where ``lhs`` is a vector in ``x`` and ``x_dot``, exact or a series in ``small``."""

    lhs: Vector
    small: sp.Symbol | None = None
    order: int | None = None

    def __str__(self) -> str:
        tail = (
            "0" if self.small is None or self.order is None else f"O({self.small}^{self.order + 1})"
        )
        return f"x'' + {self._sum(text)} = {tail}".replace("x_dot", "x'").replace("+ -", "- ")

    __repr__ = __str__

    def _sum(self, show: Callable[[Vector], str]) -> str:
        """The left side after x'', with its terms in their order, whatever their signs."""
        terms = _by_derivative(self.lhs).terms.items()
        return " + ".join(show(Vector({a: c})) for a, c in terms) or "0"

    def latex(self) -> str:
        tail = "0"
        if self.small is not None and self.order is not None:
            tail = rf"O({symbol_latex(self.small.name)}^{{{self.order + 1}}})"
        return rf"\ddot{{x}} + {self._sum(latex)} = {tail}".replace("+ -", "- ")


def _by_derivative(e: Vector) -> Vector:
    """Terms in x' first, then Hessian terms, then gradients: the order in which such equations are read."""

    def rank(atom: Vector) -> tuple[int, str]:
        return (0 if atom == velocity else 1 if velocity in atom.free_symbols else 2, text(atom))

    return Vector(
        {a: _readable(c) for a, c in sorted(e.terms.items(), key=lambda item: rank(item[0]))}
    )


def _readable(c: sp.Expr) -> sp.Expr:
    """A polynomial as a sum; a fraction stays one."""
    return c if sp.fraction(c)[1].is_Add else sp.expand(c)


def second_order(
    drift: Mapping[Symbol, Expr],
    output: Expr,
    small: sp.Symbol | None = None,
    order: int | None = None,
    time: sp.Symbol | None = None,
) -> SecondOrder:
    """Eliminate two vector blocks in favour of the output x and its velocity; scalar blocks stay.

    The change of coordinates (x, x') is inverted by substitution: exactly where it is triangular,
    else as a series in ``small`` through ``order``.

    Args:
        drift: by block; exactly two vector blocks.
        output: x as an expression in the blocks.
        small: the expansion parameter, or None for an exact elimination.
        order: the order of the truncation in ``small``.
        time: the symbol of time, if coefficients depend on it.

    Raises:
        OdescentError: other than two vector blocks, or a change of coordinates that cannot be inverted.
    """
    symbols = [s for s in drift if isinstance(s, VectorSymbol)]
    if len(symbols) != 2:
        raise OdescentError(
            f"a second-order equation needs two vector blocks; the system has {len(symbols)}."
        )
    if not isinstance(output, Vector):
        raise OdescentError(
            f"a second-order equation requires a vector output, not the scalar {text(output)}."
        )
    # the velocity is the derivative of the output along the flow, in powers of the small parameter if there is one
    along: dict[Symbol, Expr] = dict(drift) if time is None else {**drift, time: sp.S.One}

    def cut(e: Vector) -> Vector:
        if small is None or order is None:
            return tidy(e)
        series = taylor(e, small, order)
        return tidy(sum((c * small**k for k, c in enumerate(series)), zero))

    speed = cut(derivative(output, along))
    # output and velocity as matrix times blocks plus a nonlinear rest; fresh names avoid clashes with x and x'
    hidden = [VectorSymbol("_s1"), VectorSymbol("_s2")]
    renamed = dict(zip(symbols, hidden, strict=True))
    rows, rests = zip(
        *[coefficients_of(tidy(substitute(e, renamed)), hidden) for e in (output, speed)],
        strict=True,
    )
    if any(scalar_symbols(c) & set(hidden) for row in rows for c in row):
        raise OdescentError(
            "the velocity is not linear in the blocks: a coefficient depends on the state, so no second-order "
            "form is found."
        )
    matrix = sp.Matrix(list(rows)).applyfunc(canonical)
    determinant = canonical(matrix.det())
    if determinant == 0:
        raise OdescentError(
            "the output and its velocity do not determine the state, so no second-order form exists."
        )
    # invert by fixed-point iteration on the rest: it terminates where the system is triangular or truncated
    inverse = (matrix.adjugate() / determinant).applyfunc(canonical)
    guess = dict.fromkeys(hidden, zero)
    for _ in range((order or 0) + 4):
        right = [
            goal - substitute(rest, guess)
            for goal, rest in zip((position, velocity), rests, strict=True)
        ]
        new = {
            s: cut(right[0] * inverse[i, 0] + right[1] * inverse[i, 1])
            for i, s in enumerate(hidden)
        }
        if new == guess:
            break
        guess = new
    else:
        raise OdescentError(
            "the state could not be expressed by the output and its velocity in finitely many terms."
        )
    acceleration = cut(derivative(speed, along))
    back = {symbol: guess[h] for symbol, h in renamed.items()}
    return SecondOrder(cut(-substitute(acceleration, back)), small, order)
