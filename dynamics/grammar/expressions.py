"""Syntax trees of expressions to the engine's scalars and vectors, each with its kind and its size.

Arithmetic is here, functions and oracles in `calls`. The engine does the mathematics and refuses what has
no meaning; here its refusals get a place, and sizes are checked before anything is computed.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..algebra.operators import diagonal, diagonal_operator, linear_solve, trace
from ..algebra.products import apply, hadamard, kronecker, outer, transpose
from ..algebra.vectors import Expr, Vector, inner
from ..algebra.windows import push
from .bounds import (
    LEAF,
    MAX_CONSTANT_DEPTH,
    MAX_DIGITS,
    MAX_EXPONENT,
    MAX_POWER_OF_TEN,
    MAX_ROOT,
    Size,
)
from .errors import ParseError, Source

if TYPE_CHECKING:
    from lark import Token

    from .errors import Node

_INFINITE = (sp.nan, sp.zoo, sp.oo, -sp.oo)


# By name: the product, what it takes, and the kind of the result ("" for that of its factors).
PRODUCTS: dict[str, tuple[Any, str, str]] = {
    "hadamard": (hadamard, "two vectors of one kind", ""),
    "inner": (inner, "two vectors of one kind", "scalar"),
    "outer": (outer, "two vectors", "matrix"),
    "apply": (apply, "a matrix, and a vector or a matrix", ""),
    "linear_solve": (linear_solve, "a matrix, and a vector or a matrix", ""),
    "kronecker": (kronecker, "two matrices", "matrix"),
    "push": (push, "a window and a vector", "matrix"),
}
# the same of one argument
OPERATORS: dict[str, tuple[Any, str, str]] = {
    "transpose": (transpose, "matrix", "matrix"), "trace": (trace, "matrix", "scalar"),
    "diagonal": (diagonal, "matrix", "vector"), "diagonal_operator": (diagonal_operator, "vector", "matrix"),
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """An expression with its kind (scalar, vector, matrix or pytree) and its size."""

    expr: Expr
    kind: str = "scalar"
    size: Size = LEAF

    @property
    def terms(self) -> int:
        """The number of terms when it is expanded."""
        return max(1, len(self.expr.terms)) if isinstance(self.expr, Vector) else 1

    @property
    def shown(self) -> str:
        """The expression for a message."""
        text = str(self.expr) if self.size.nodes < 20 else "..."
        return text if len(text) <= 40 else text[:37] + "..."


class Arithmetic(ABC):
    """Sums, products and powers in the expressions of one source; what is named and called is in `calls`.

    Args:
        source: what errors point into.
        lookup: the value of a name; it raises for a name that is not declared.
        oracles: the kinds of the objectives, operators and maps by name.
        arguments: the names of the arguments of functions of several, by name.
    """

    def __init__(
        self,
        source: Source,
        lookup: Callable[[Token], Value],
        oracles: Mapping[str, str],
        arguments: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.source, self.lookup, self.oracles = source, lookup, oracles
        self.arguments = arguments or {}
        # inside each(...): stand-ins and kinds
        self.components: dict[Vector, tuple[sp.Symbol, str]] | None = None

    def __call__(self, node: Node) -> Value:
        """The value of a syntax tree; ParseError with the place of what is wrong in it."""
        value = self._evaluate(node)
        if self.components is None or not isinstance(value.expr, Vector):
            return value
        stand_in, _ = self.components.setdefault(value.expr, (sp.Dummy(real=True), value.kind))
        return Value(stand_in, "scalar", value.size)

    @contextlib.contextmanager
    def each(self, components: dict[Vector, tuple[sp.Symbol, str]] | None) -> Iterator[None]:
        """Evaluate with vectors standing for their components, or (None) for themselves."""
        outside, self.components = self.components, components
        try:
            yield
        finally:
            self.components = outside

    def scalar(self, node: Node, what: str) -> sp.Expr:
        """The value of a tree that has to be a scalar."""
        value = self(node)
        if isinstance(value.expr, Vector):
            raise self.source.error(f"{what} is a scalar, not a {value.kind}.", node)
        return value.expr

    def checked(
        self, node: Node, build: Callable[[], Any], kind: str, size: Size, risky: bool = False
    ) -> Value:
        """Build an expression if its size is within the bounds.

        Args:
            node: the syntax node, for the position of errors.
            build: makes the expression.
            kind: the kind of the value, such as "scalar" or "vector".
            size: an upper bound on the size of the result.
            risky: whether a scalar must also be checked to be finite and real.

        Raises:
            ParseError: the size exceeds the bounds, or the expression cannot be built.
        """
        if excess := size.excess():
            raise self.source.error(excess, node)
        try:
            made: Expr = build()
            if risky and not isinstance(made, Vector):
                self._check_real(node, made, size.depth)
        except ParseError:
            raise
        except RecursionError:
            raise self.source.error(
                "the expression is nested too deeply; split it.", node
            ) from None
        except (
            TypeError,
            ValueError,
            ArithmeticError,
            NotImplementedError,
            AttributeError,
        ) as error:
            raise self.source.error(
                str(error) or "this expression cannot be evaluated.", node
            ) from None
        return Value(made, kind, size)

    def _check_real(self, node: Node, e: sp.Expr, depth: int) -> None:
        # SymPy finds the sign of nested roots in exponential time
        if depth > MAX_CONSTANT_DEPTH and e.is_number:
            raise self.source.error(
                "this number is nested too deeply: powers and functions in each other.", node
            )
        if e.has(*_INFINITE):
            raise self.source.error(
                "this is infinite or undefined: it divides by zero or is out of its domain.", node
            )
        if e.has(sp.I) or e.is_extended_real is False:
            raise self.source.error(
                "this is not a real number: a root or a logarithm of something negative.", node
            )

    def _evaluate(self, node: Any) -> Value:
        match node.data:
            case "number":
                return self._number(node.children[0])
            case "name":
                return self._named(node.children[0])
            case "rate":
                token, *primes = node.children
                return self.lookup(token.update(value=f"{token}{''.join(primes)}"))
            case "sum":
                return self._sum(node)
            case "product":
                return self._product(node)
            case "signed":
                value = self(node.children[-1])
                odd = sum(sign.type == "MINUS" for sign in node.children[:-1]) % 2
                if not odd:
                    return value
                return self.checked(node, lambda: -value.expr, value.kind, value.size)
            case "power":
                return self._power(node)
        return self._called(node)

    @abstractmethod
    def _named(self, token: Token) -> Value:
        """The value of a name that stands alone."""

    @abstractmethod
    def _called(self, node: Any) -> Value:
        """The value of NAME(...), grad, hess, D, prox."""

    def _number(self, token: Token) -> Value:
        mantissa, _, power = str(token).lower().partition("e")
        digits = sum(c.isdigit() for c in mantissa)
        if digits > MAX_DIGITS or len(power) > 4 or abs(int(power or 0)) > MAX_POWER_OF_TEN:
            limits = f"at most {MAX_DIGITS} digits and exponents up to {MAX_POWER_OF_TEN}"
            raise self.source.error(f"the number is too long: {limits}.", token)
        exact = Fraction(str(token))
        bits = max(exact.numerator.bit_length(), exact.denominator.bit_length())
        return Value(
            sp.Rational(exact.numerator, exact.denominator), size=Size(degree=0, bits=bits)
        )

    def _sum(self, node: Any) -> Value:
        total = self(node.children[0])
        kind, size, terms = total.kind, total.size, [total.expr]
        for sign, child in zip(node.children[1::2], node.children[2::2], strict=True):
            value = self(child)
            if kind == "scalar" and all(t == 0 for t in terms):
                kind = value.kind  # zero is of every kind
            if value.kind != kind and value.expr != 0:
                raise self.source.error(
                    f"this adds the {value.kind} {value.shown} to a {kind}.", child
                )
            size = size.added(value.size)
            if excess := size.excess():
                raise self.source.error(excess, child)
            terms.append(value.expr if sign.type == "PLUS" else -value.expr)
        if kind == "scalar":
            return self.checked(node, lambda: sp.Add(*terms), kind, size)
        items = [item for t in terms if isinstance(t, Vector) for item in t.terms.items()]
        return self.checked(node, lambda: Vector.of(items), kind, size)

    def _product(self, node: Any) -> Value:
        total = self(node.children[0])
        for operator, child in zip(node.children[1::2], node.children[2::2], strict=True):
            value = self(child)
            if operator.type == "HADAMARD":
                total = self.bilinear(child, "hadamard", total, value)
            elif operator.type == "SLASH":
                if value.expr == 0:
                    raise self.source.error("this divides by zero.", child)
                total = self._scaled(child, total, value, lambda a, b: a / b, value.size.inverse())
            else:
                total = self._scaled(child, total, value, lambda a, b: a * b, value.size)
        return Value(total.expr, total.kind, total.size.deeper())

    def _scaled(
        self, node: Node, left: Value, right: Value, build: Callable[[Any, Any], Any], size: Size
    ) -> Value:
        kind = left.kind if right.kind == "scalar" else right.kind
        size = left.size.times(size, right.terms, left.terms)
        return self.checked(node, lambda: build(left.expr, right.expr), kind, size)

    def bilinear(
        self,
        node: Node,
        name: str,
        left: Value,
        right: Value,
        how: Mapping[str, Any] | None = None,
    ) -> Value:
        """A product of vectors, expanded.

        Args:
            node: the syntax node, for the position of errors.
            name: a key of `PRODUCTS`.
            left: the first factor.
            right: the second factor.
            how: of a solve, the method and the tolerance.

        Raises:
            ParseError: a factor is a scalar, or the kinds do not match.
        """
        product, rule, kind = PRODUCTS[name]
        for value in (left, right):
            if not isinstance(value.expr, Vector):
                inside = self.components is not None
                hint = "; inside each, * goes element by element" if inside else ""
                raise self.source.error(
                    f"{name} takes vectors, not the scalar {value.shown}{hint}.", node
                )
        of_matrices = name in ("apply", "linear_solve")
        wanted = ("vector", "vector") if name == "outer" else (left.kind, left.kind)
        fits = (left.kind, right.kind) == wanted
        if name == "kronecker":
            fits = (left.kind, right.kind) == ("matrix", "matrix")
        if name == "push":
            fits = (left.kind, right.kind) == ("matrix", "vector")
        if of_matrices:
            fits = left.kind == "matrix" and right.kind in ("matrix", "vector")
        if not fits:
            raise self.source.error(
                f"{name} takes {rule}, not a {left.kind} and a {right.kind}.", node
            )
        size = left.size.times(right.size, right.terms, left.terms)
        kind = kind or (right.kind if of_matrices else left.kind)
        return self.checked(node, lambda: product(left.expr, right.expr, **(how or {})), kind, size)

    def operator(self, node: Any, name: str, of: Value) -> Value:
        """The transpose, the trace, ... of an operator or a vector; `name` is a key of `OPERATORS`.

        Raises:
            ParseError: it is of another kind.
        """
        made, wanted, kind = OPERATORS[name]
        if of.kind != wanted:
            raise self.source.error(f"{name} takes a {wanted}, not a {of.kind}.", node)
        size = Size.function([of.size])
        return self.checked(node, lambda: made(of.expr), kind, size)

    def _power(self, node: Any) -> Value:
        base, at = self(node.children[0]), node.children[2]
        n = self(at).expr
        if not isinstance(n, sp.Rational):
            raise self.source.error(
                "an exponent is a number such as 2 or (1/2); write exp(b*log(a)) for a^b.", at
            )
        if abs(n) > MAX_EXPONENT or n.q > MAX_ROOT:
            raise self.source.error(
                f"the exponent is too large: at most {MAX_EXPONENT}, and roots up to the {MAX_ROOT}th.",
                at,
            )
        size = base.size.power(int(n.p), int(n.q))
        return self.checked(node, lambda: base.expr**n, base.kind, size, risky=True)
