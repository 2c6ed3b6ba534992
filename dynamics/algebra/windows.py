"""Windows, which keep the last m values of what is pushed, as matrices whose columns are these values.

A window G maps the m places to the space of its values. Pushing v is v e^T + G N: the newest column is v, e the first
unit vector, and N moves every column by one place, so that the oldest, in the place l, is dropped. N N^T = 1 - l l^T
and N e = 0, so that (v e^T + G N)(v e^T + G N)^T = G G^T + v v^T - (G l)(G l)^T comes out by itself. A slowly varying
value fills a window with a polynomial in the age j of its columns, sum_k u_k j^k: `Powers` are the vectors (j^k).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.brief import short
from .exact import canonical
from .products import Product, Unary, apply, identity, outer
from .vectors import Atom, Expr, Vector, VectorSymbol, _text, scalar_symbols, zero

WINDOW = "window"  # the kind of these blocks
_PLACES = {"newest": "the newest", "oldest": "the oldest"}


class UnitPlace(Atom):
    """The unit vector of the newest or of the oldest place of a window."""

    __slots__ = ("which",)
    made_of = ("which",)

    def __init__(self, which: str) -> None:
        if which not in _PLACES:
            raise OdescentError(
                f"a place of a window must be {' or '.join(_PLACES)}, not {short(which)}."
            )
        self.which = which
        super().__init__((8, which))

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero

    def paired(self, other: Atom) -> sp.Expr | None:
        return sp.Integer(self == other) if isinstance(other, UnitPlace) else None


class Powers(Atom):
    """The vector of the powers j^k of the ages j = 0, ..., m - 1 of the columns of a window.

    Args:
        power: k.
        length: m.
    """

    __slots__ = ("length", "power")
    made_of = ("power", "length")

    def __init__(self, power: int, length: sp.Expr) -> None:
        self.power, self.length = int(power), length
        super().__init__((8, "powers", self.power, _text(length)))

    def symbols(self) -> set[sp.Symbol | VectorSymbol]:
        return scalar_symbols(self.length)

    def parts(self) -> tuple[Expr, ...]:
        return (self.length,)

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        return Powers(self.power, change(self.length))

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero

    def paired(self, other: Atom) -> sp.Expr | None:
        if isinstance(other, Powers):
            total: sp.Expr = _sum(self.power + other.power).subs(_J, self.length - 1)
            return canonical(total)
        if isinstance(other, UnitPlace):
            last = self.length - 1 if other.which == "oldest" else sp.S.Zero
            return sp.S.One if self.power == 0 else last**self.power
        return None


class Delay(Atom):
    """N, which moves the columns of a window by one place towards the oldest, G N; or its transpose."""

    __slots__ = ("back",)
    made_of = ("back",)
    operates = True

    def __init__(self, back: bool = False) -> None:
        self.back = bool(back)
        super().__init__((8, "delay", self.back))

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        return zero

    def transposed(self) -> Vector:
        return Delay(not self.back)

    def applied(self, other: Atom) -> Vector | None:
        if isinstance(other, UnitPlace) and other.which == ("oldest" if self.back else "newest"):
            return zero
        if isinstance(other, Powers) and self.back:  # (j - 1)^k, and 0 where j = 0
            before: Vector = _polynomial((_J - 1) ** other.power, other.length)
            before = before - UnitPlace("newest") * (-1) ** other.power
            return before
        if isinstance(other, Powers):  # (j + 1)^k, and 0 where j = m - 1
            after: Vector = _polynomial((_J + 1) ** other.power, other.length)
            after = after - UnitPlace("oldest") * other.length**other.power
            return after
        first: Atom = other
        rest: Vector | None = None
        if isinstance(other, Product) and other.kind == "apply":
            first, rest = other.left, other.right
        if isinstance(first, Delay) and first.back != self.back:
            end = UnitPlace("newest" if self.back else "oldest")
            if rest is None:
                return identity - outer(end, end)
            return rest - apply(outer(end, end), rest)
        return None


_J = sp.Symbol("j", integer=True)


def _sum(power: int) -> sp.Expr:
    """sum_{i=0}^j i^k, a polynomial in j."""
    i = sp.Symbol("i", integer=True)
    return sp.expand(sp.summation(i**power, (i, 0, _J)) if power else _J + 1)


def _polynomial(e: sp.Expr, length: sp.Expr) -> Vector:
    """The vector of a polynomial's values at the ages."""
    terms = sp.Poly(e, _J).terms()
    return Vector.of((Powers(k, length), c) for (k,), c in terms)


def is_window(v: object) -> TypeGuard[VectorSymbol]:
    """Whether a vector is the symbol of a window."""
    return isinstance(v, VectorSymbol) and v.kind == WINDOW


def check_length(name: str, length: sp.Expr) -> None:
    """Refuse a window whose length is a number, but no whole number from one on."""
    known = length.is_number or length.is_positive is False or length.is_integer is False
    if known and not (length.is_Integer and length.is_positive):
        raise OdescentError(
            f"the window {name} keeps {length} values; its length must be a whole number, at least 1."
        )


def push(window: Any, value: Any) -> Vector:
    """The window after a value is pushed: its newest column is the value, and the oldest one is dropped.

    A method pushes once in a step, in a `Let`: what reads the window before it in the scheme sees the values of earlier
    steps, what reads it after it sees the new one among them. Columns that are not filled yet are zero.

    Args:
        window: a block with a history, or its symbol.
        value: what is pushed, a vector of the space of the columns.

    Returns:
        the window, a d x m matrix to the calculus.

    Raises:
        OdescentError: the block has no history, or something was pushed to this window already.
    """
    symbol = getattr(window, "symbol", window)
    if isinstance(symbol, Vector) and (first := pushed(symbol)) is not None:
        raise OdescentError(f"two values are pushed to {first[0]} in one step; push one.")
    if not is_window(symbol):
        raise OdescentError(
            f"{getattr(symbol, 'name', symbol)} has no history to push to: declare it as "
            'Block("G", history=m), which keeps the last m values.'
        )
    if not isinstance(value, Vector) or any(a.operates for a in value.terms):
        raise OdescentError(f"push takes a vector for the window {symbol}, not {value}.")
    made: Vector = outer(value, UnitPlace("newest")) + apply(symbol, Delay())
    return made


def pushed(e: Expr) -> tuple[VectorSymbol, Vector] | None:
    """The window and the value of which an expression is the push; None if it is none."""
    if not isinstance(e, Vector):
        return None
    windows: list[VectorSymbol] = []
    value: list[tuple[Atom, sp.Expr]] = []
    for a, c in e.terms.items():
        if not isinstance(a, Product):
            return None
        if a.kind == "outer" and a.right == UnitPlace("newest"):
            value.append((a.left, c))
        elif a.kind == "apply" and is_window(a.left) and a.right == Delay() and c == 1:
            windows.append(a.left)
        else:
            return None
    return (windows[0], Vector.of(value)) if len(windows) == 1 else None


def of_window(a: Vector) -> bool:
    """Whether an atom is made of windows alone, without another matrix: products G u and G^T v, and small solves."""
    if isinstance(a, Product) and a.kind == "apply":
        return of_window(a.left) and (not a.right.operates or of_window(a.right))
    if isinstance(a, Product):
        return a.kind == "outer" and a.right == UnitPlace("newest")
    if isinstance(a, (Unary, Atom)) and len(a.arguments) == 1 and a.operates:
        return all(of_window(t) for t in a.arguments[0].terms)
    return is_window(a) or isinstance(a, Delay) or a == identity


def gram_of(a: Vector) -> VectorSymbol | None:
    """The window G of G G^T; None for what is no such product."""
    return _pair(a, False)


def inner_gram_of(a: Vector) -> VectorSymbol | None:
    """The window G of G^T G."""
    return _pair(a, True)


def _pair(a: Vector, transposed_first: bool) -> VectorSymbol | None:
    if not (isinstance(a, Product) and a.kind == "apply"):
        return None
    one, other = (a.right, a.left) if transposed_first else (a.left, a.right)
    back = isinstance(other, Unary) and other.kind == "transpose" and other.argument == one
    return one if is_window(one) and back else None


def of_each(window: Vector) -> Vector:
    """The value of which a window u 1^T has copies."""
    return Vector.of((a.left, c) for a, c in window.terms.items() if isinstance(a, Product))


def accumulated(rate: Vector, length: sp.Expr) -> Vector:
    """D (1 - N)^-1: the window that settles where each step pushes so that it changes by D.

    Args:
        rate: D, a sum of u e^T and u (j^k)^T.
        length: m.

    Raises:
        NotCarried: another operator.
    """
    total = zero
    for a, c in rate.terms.items():
        if not (isinstance(a, Product) and a.kind == "outer"):
            raise NotCarried(f"the window that follows {a} is not known.")
        filled: Vector = Powers(0, length)
        if isinstance(a.right, Powers):
            filled = _polynomial(_sum(a.right.power), length)
        elif a.right != UnitPlace("newest"):
            raise NotCarried(f"the window that follows {a} is not known.")
        total = total + outer(a.left, filled) * c
    return total
