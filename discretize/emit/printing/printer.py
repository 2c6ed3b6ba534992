"""SymPy scalars and vectors as source in the syntax of a target, with minimal parentheses and in ruff's spacing.

The set of operations is small on purpose: what is not in it is refused, so that every backend means
the same by what it prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1

from ...._support.errors import NotCarried
from ....dynamics.algebra.operators import Inverse
from ....dynamics.algebra.products import Elementwise, Kronecker, Product, Unary, identity, slots
from ....dynamics.algebra.scalars import OF_ARRAYS
from ....dynamics.algebra.vectors import Atom, Vector, VectorSymbol
from ..accuracy.exact_sums import ExactSum
from .language import Syntax

ADD, MUL, NEGATIVE, POWER, ATOM = range(5)  # how tightly a piece of text holds together


class ones_like(sp.Function):
    """1 for each component of its argument."""

    nargs = 1
    is_positive = True


FUNCTIONS: dict[Any, str] = {**OF_ARRAYS, expm1: "expm1", ones_like: "ones_like"}
_RECIPROCALS: dict[Any, Any] = {sp.coth: sp.tanh, sp.sech: sp.cosh, sp.csch: sp.sinh}


@dataclass(frozen=True)
class Printer:
    """Prints scalars and vectors in one syntax, with a name for each symbol."""

    syntax: Syntax
    names: Callable[[str], str] = str
    series: Mapping[Any, str] = field(default_factory=dict)

    def scalar(self, e: sp.Expr) -> str:
        """The source of a scalar expression; NotCarried for a function outside the small set."""
        return self._scalar(without_reciprocals(e))[0]

    def vector(self, v: Vector) -> str:
        """The source of a vector expression, on arrays; the empty sum is ``0``."""
        ordered = sorted(v.terms.items(), key=lambda item: item[1] != 1)  # stable: plain ones first
        if identity in v.terms:
            return self._with_identity(ordered)
        if len(ordered) == 1 and ordered[0][1] == 1:
            return self._whole(ordered[0][0])
        return _signed_sum([(c, self._term(abs_(c), atom)) for atom, c in ordered])

    def _with_identity(self, terms: list[tuple[Atom, sp.Expr]]) -> str:
        """A sum of operators; the identity in it has the size of the shortest of the others."""
        size = min((self._atom(a) for a, _ in terms if a != identity), key=len, default="")
        if not size:
            raise NotCarried("a multiple of the identity alone has no size in emitted code.")
        typed = size if size.isidentifier() else f"({size})"
        eye = f"{self.syntax.function('eye')}(len({size}), dtype={typed}.dtype)"
        pieces = []
        for a, c in terms:
            scale = "" if abs_(c) == 1 else f"{self._at_least(abs_(c), MUL)} * "
            pieces.append((c, f"{scale}{eye}" if a == identity else self._term(abs_(c), a)))
        return _signed_sum(pieces)

    # scalars

    def _scalar(self, e: sp.Expr) -> tuple[str, int]:
        if e.is_Symbol:
            return self.names(e.name), ATOM
        if e.is_Rational:
            return _rational(e)
        if e.is_Float:
            return repr(float(e)), ATOM
        if e.is_Add:
            terms = e.as_ordered_terms()
            pieces = [(_sign(t), self._at_least(_sign(t) * t, MUL)) for t in terms]
            if all(sign < 0 for sign, _ in pieces):  # the sum begins with a sign
                pieces[0] = (-1, self._negative(-terms[0])[1:])
            return _signed_sum(pieces), ADD
        if _sign(e) < 0:
            return self._negative(-e), NEGATIVE
        if e.is_Mul or (e.is_Pow and _sign(e.exp) < 0 and not isinstance(e, sp.exp)):
            return self._product(e), MUL
        if e.is_Pow and not isinstance(e, sp.exp):
            return self._power(e.base, e.exp)
        return self._function(e)

    def _at_least(self, e: sp.Expr, level: int) -> str:
        text, has = self._scalar(e)
        return text if has >= level else f"({text})"

    def _negative(self, e: sp.Expr) -> str:
        """-e; a power next to the sign is in parentheses, as ruff writes it."""
        text = self._at_least(e, MUL)
        factors = [f for f in sp.Mul.make_args(e) if not f.is_Rational]
        powers = [f for f in factors if f.is_Pow and not isinstance(f, sp.exp)]
        leading = [f for f in factors if f not in powers or _sign(f.exp) > 0]
        first = self._scalar(leading[0]) if leading else ("", ATOM)
        if first[1] == POWER and text.startswith(first[0]):
            return f"-({first[0]}){text[len(first[0]) :]}"
        return "-" + text

    def _product(self, e: sp.Expr) -> str:
        above: list[sp.Expr] = []
        below: list[sp.Expr] = []
        for factor in sp.Mul.make_args(e):
            if factor.is_Rational:
                above += [sp.Integer(factor.p)] if factor.p != 1 else []
                below += [sp.Integer(factor.q)] if factor.q != 1 else []
            elif factor.is_Pow and not isinstance(factor, sp.exp) and _sign(factor.exp) < 0:
                number = factor.base.is_Rational and not factor.exp.is_number
                if number:  # 2**-k as 0.5**k, which does not overflow
                    above.append(sp.Pow(1 / factor.base, -factor.exp, evaluate=False))
                else:
                    below.append(1 / factor)
            else:
                above.append(factor)
        factors = [self._at_least(f, MUL if i == 0 else NEGATIVE) for i, f in enumerate(above)]
        text = " * ".join(factors) or "1"
        if not below:
            return text
        if len(below) == 1:
            return f"{text} / {self._at_least(below[0], NEGATIVE)}"
        return f"{text} / ({' * '.join(self._at_least(f, NEGATIVE) for f in below)})"

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> tuple[str, int]:
        if exponent == sp.Rational(1, 2):
            return f"{self._called('sqrt', base.is_nonnegative)}({self._argument(base)})", ATOM
        real = exponent.is_integer or base.is_nonnegative
        if not real and "power" in self.syntax.partial:
            listed = f"{self._argument(base)}, {self._argument(exponent)}"
            return f"{self.syntax.partial['power']}({listed})", ATOM
        root = self._at_least(base, ATOM)
        if exponent.is_Rational and exponent.q in (1, 2):
            power = str(exponent.p) if exponent.q == 1 else repr(float(exponent))
        else:
            power = self._at_least(exponent, ATOM)
        operator = self.syntax.power
        if not (_simple(root) and _simple(power)):  # ruff's spacing
            operator = f" {operator} "
        return f"{root}{operator}{power}", POWER

    def _called(self, name: str, real: bool | None) -> str:
        """A function, or what stands for it where its value need not be real."""
        own = self.syntax.function(name)
        return own if real else self.syntax.partial.get(name, own)

    def _argument(self, e: sp.Expr) -> str:
        return repr(float(e)) if e.is_Integer else self._scalar(e)[0]

    def _function(self, e: sp.Expr) -> tuple[str, int]:
        kind = type(e)
        if e in (sp.E, sp.pi):
            return self.syntax.function("e" if e == sp.E else "pi"), ATOM
        if isinstance(e, (sp.Max, sp.Min)):
            return self._extreme("maximum" if isinstance(e, sp.Max) else "minimum", e.args), ATOM
        if isinstance(e, ExactSum):
            products = sorted(e.products(), key=lambda product: product[0] < 0)
            listed = [self._factors(c, [self.names(s.name) for s in f]) for c, f in products]
            return f"_exact_sum({', '.join(listed)})", ATOM
        if kind in self.series:
            return f"{self.series[kind]}({self._argument(e.args[0])})", ATOM
        if kind in FUNCTIONS:
            name = self._called(FUNCTIONS[kind], kind is not sp.log or e.args[0].is_positive)
            if kind is sp.exp and e.args[0].is_nonpositive:
                name = f"{self.syntax.prefix}exp"  # which does not overflow
            return f"{name}({self._argument(e.args[0])})", ATOM
        if e.is_number and e.is_real:  # of a function that there is not
            number = float(e)
            return repr(number), ATOM if number >= 0 else NEGATIVE
        raise NotCarried(
            f"emitted code has no function for {e}; it knows {', '.join(sorted(FUNCTIONS.values()))}."
        )

    def _extreme(self, name: str, given: Sequence[sp.Expr]) -> str:
        """The largest or smallest of these; Python's own returns its first argument where the second one is NaN."""

        def number(e: sp.Expr) -> bool:  # of coefficients alone, which are finite
            return all(s.is_positive for s in e.free_symbols)

        ordered = sorted(given, key=sp.default_sort_key)
        if name in self.syntax.partial:
            ordered.sort(key=number)
        found = self._argument(ordered[0])
        for other in ordered[1:]:
            found = f"{self._called(name, number(other))}({found}, {self._argument(other)})"
        return found

    @staticmethod
    def _factors(c: int, names: list[str]) -> str:
        """A product as a tuple; its coefficient goes into a factor where that is exact."""
        if not names:
            return f"({float(c)},)"
        if c.bit_count() == 1:  # of the absolute value: a power of two
            scale = "" if c == 1 else "-" if c == -1 else f"{c} * "
            names, more = [scale + names[0], *names[1:]], ""
        else:
            more = f", {float(c)}"
        return f"({', '.join(names)}{more or (',' if len(names) == 1 else '')})"

    # vectors

    def _term(self, scale: sp.Expr, atom: Vector) -> str:
        if isinstance(atom, Elementwise):
            scalars = {s.name for s in (scale * atom.body).free_symbols}
            printed: dict[str, str] = {}
            arguments: dict[sp.Symbol, sp.Symbol] = {}
            for s, a in zip(slots(len(atom.arguments)), atom.arguments, strict=True):
                name = text = self._operand(a)
                # A scalar of the program may be called as the vector is in print, and has another name there.
                while name in scalars:
                    name += "'"
                printed[name], arguments[s] = text, sp.Symbol(name, real=True)
            printer = Printer(self.syntax, lambda n: printed[n] if n in printed else self.names(n))
            body = without_reciprocals(atom.body.xreplace(arguments))
            return printer._at_least(scale * body, MUL)
        text = self._atom(atom)
        return text if scale == 1 else f"{self._at_least(scale, MUL)} * {text}"

    def _on_columns(self, factor: Vector, of: str) -> str:
        """A factor of a Kronecker product, applied to the columns of an array."""
        if factor == identity:
            return of
        if isinstance(factor, Inverse):
            solve = "_cholesky" if factor.method == "cholesky" else "_lu"
            return f"{solve}({self.vector(factor.argument)}, {of})"
        return f"({self._factor(factor)} {self.syntax.matrix_product} {of})"

    def _atom(self, atom: Vector) -> str:
        if isinstance(atom, VectorSymbol):
            return self.names(atom.name)
        if isinstance(atom, Product):
            if isinstance(atom.left, Inverse):
                solve = "_cholesky" if atom.left.method == "cholesky" else "_lu"
                return f"{solve}({self.vector(atom.left.argument)}, {self.vector(atom.right)})"
            if isinstance(atom.left, Kronecker):
                once = self._on_columns(atom.left.left, self._whole(atom.right))
                return f"({self._on_columns(atom.left.right, f'({once}).T')}.T)"
            if atom.kind == "outer":
                left, right = self._whole(atom.left), self._whole(atom.right)
                return f"{self.syntax.function('outer')}({left}, {right})"
            left, right = self._factor(atom.left), self._factor(atom.right)
            operator = "*" if atom.kind == "hadamard" else self.syntax.matrix_product
            text = f"{left} {operator} {right}"
            return text if atom.kind == "hadamard" else f"({text})"
        if isinstance(atom, Unary):
            of = self.vector(atom.argument)
            if atom.kind == "transpose":
                return f"{of}.T" if isinstance(atom.argument, VectorSymbol) else f"({of}).T"
            return f"{self.syntax.function('diag')}({of})"
        if isinstance(atom, Inverse):
            return f"{self.syntax.function('linalg.inv')}({self.vector(atom.argument)})"
        if isinstance(atom, Elementwise):
            return self._term(sp.S.One, atom)
        raise NotCarried(f"emitted code has no form for {atom}.")

    def _whole(self, atom: Vector) -> str:
        """An atom that stands alone, without the brackets of a product with a matrix."""
        text = self._atom(atom)
        applied = isinstance(atom, Product) and atom.kind == "apply" and text.startswith("(")
        return text[1:-1] if applied else text

    def _factor(self, atom: Vector) -> str:
        text = self._atom(atom)
        return f"({text})" if isinstance(atom, Elementwise) else text

    def _operand(self, v: Vector) -> str:
        text = self.vector(v)
        return text if isinstance(v, VectorSymbol) else f"({text})"


def without_reciprocals(e: sp.Expr) -> sp.Expr:
    """coth, sech and csch as one over what every library has."""
    for kind, other in _RECIPROCALS.items():
        e = e.replace(kind, lambda a, other=other: 1 / other(a)) if e.has(kind) else e
    return e


def abs_(c: sp.Expr) -> sp.Expr:
    """The coefficient without its minus sign."""
    return _sign(c) * c


def _sign(e: sp.Expr) -> int:
    """-1 for what is printed with a minus sign; a difference such as a - b stands as it is, not as -(b - a)."""
    return -1 if e.could_extract_minus_sign() and not e.is_Add else 1


def _signed_sum(pieces: list[tuple[Any, str]]) -> str:
    # stable: positive terms first
    signed = sorted(((_sign(sp.S(c)), t) for c, t in pieces), key=lambda item: -item[0])
    if not signed:
        return "0"
    text = "".join(f" {'-' if s < 0 else '+'} {t}" for s, t in signed)
    return text[3:] if signed[0][0] > 0 else "-" + text[3:]


def _rational(e: sp.Rational) -> tuple[str, int]:
    large = max(abs(e.p), e.q) >= 2**31  # beyond the integers that every array library takes
    if e.q == 1 and not large:
        return str(e.p), ATOM if e.p >= 0 else NEGATIVE
    if large or (e.q in (2, 4, 8) and abs(e.p) < 2**20):
        return repr(float(e)), ATOM if e.p >= 0 else NEGATIVE
    return f"{e.p} / {e.q}", MUL


def _simple(text: str) -> bool:
    body = text.removeprefix("-")
    return all(part.isidentifier() or part.isdigit() for part in body.split("."))
