"""Check a certificate of a convergence rate or bound; needs Python alone: python check_certificate.py FILE

The file holds a statement about a method and a class of functions, and a witness: numbers that make the statement
follow from inequalities. This script rebuilds the inequalities from the statement, in exact arithmetic, and prints
what they prove: nothing of the file is believed, and what is printed is derived from the parts that were checked.
The name of the method is a word; it is said to be one.

Numbers are "p/q", or ["a", "b"] for a + b sqrt(d) with one whole number d for all, or, where a number lies in no
such field, {"from": lo, "to": hi}: the statement is then about all numbers in between. Each number, and each
document, can be spelled in one way only; unknown parts are refused.

F(mu, L) is the class of functions f, in any dimension, that are mu-strongly convex and whose gradient is
L-Lipschitz. All kinds but one rest on its interpolation inequalities: for points y_i, gradients L g_i and values
L f_i, in this section's units, (Taylor, Hendrickx, Glineur, arXiv:1502.05666)
    0 <= Q_ij = 2(L-mu)(f_i - f_j - <g_j, y_i - y_j>)
                - L |g_i - g_j|^2 - mu |y_i - y_j|^2 + 2 mu <g_i - g_j, y_i - y_j>.
Point -1 is a minimizer x*, moved to 0, where the gradient and the value are 0. A form in inner products of vectors
of any dimension is at least 0 if its matrix is positive semidefinite.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import chain, combinations_with_replacement, pairwise, permutations, zip_longest
from math import ceil, isqrt
from types import SimpleNamespace
from typing import Any, TypeAlias

SCHEMA = "odescent.certificate/3"
STAR = -1  # the minimizer among the points
DIGITS = 4000  # of a whole number
BYTES = 10**7  # of a file
LARGEST = 128  # rows of a matrix
BITS = 256  # of an enclosure of a number
WORK = 10**9  # bits times multiplications


class Refused(ValueError):
    """The document does not prove a statement; the message says where."""


def require(holds: object, otherwise: str) -> None:
    """Refused with a sentence unless something holds."""
    if not holds:
        raise Refused(otherwise)


# ---- Numbers and polynomials ---------------------------------------------------------------------
class Number:
    """a + b sqrt(d) exactly, or any number that differs from a by at most e (then b = 0)."""

    __slots__ = ("a", "b", "d", "e")

    def __init__(self, a: Any, b: Any = 0, d: int = 1, e: Any = 0) -> None:
        self.a, self.b, self.d, self.e = a, b, d, e  # fractions or whole numbers
        if b and e:
            raise Refused("an enclosure cannot be added to a root")

    def __bool__(self) -> bool:
        return bool(self.a or self.b or self.e)

    def __add__(self, other: Any) -> Number:
        if not isinstance(other, Number):
            return NotImplemented
        d = max(self.d, other.d)  # 1 for rational constants
        return Number(self.a + other.a, self.b + other.b, d, self.e + other.e)

    def __neg__(self) -> Number:
        return Number(-self.a, -self.b, self.d, self.e)

    def __sub__(self, other: Any) -> Number:
        return self.__add__(-other)

    def __mul__(self, other: Any) -> Number:
        if not isinstance(other, Number):
            return NotImplemented
        a, b, d, e = self.a * other.a, 0, max(self.d, other.d), 0
        if self.b or other.b:
            require(not (self.e or other.e), "an enclosure cannot be multiplied by a root")
            a, b = a + d * self.b * other.b, self.a * other.b + self.b * other.a
        elif self.e or other.e:
            e = abs(self.a) * other.e + (abs(other.a) + other.e) * self.e
        return Number(a, b, d, e)

    def sign(self) -> int:
        """-1, 0 or 1; Refused where an enclosure does not tell."""
        a, b = self.a, self.b
        if self.e and abs(a) <= self.e:
            raise Refused("an enclosure is too wide to tell a sign")
        if a * b >= 0:  # no cancellation
            return int(a + b > 0) - int(a + b < 0)
        larger = a * a - self.d * b * b  # the sign of |a| - |b| sqrt(d)
        return (1 if a > 0 else -1) * (int(larger > 0) - int(larger < 0))

    def __str__(self) -> str:
        if self.e:
            return f"{self.a - self.e} to {self.a + self.e}"
        root = f" {'+' if self.b > 0 else '-'} {abs(self.b)}*sqrt({self.d})" if self.b else ""
        return f"{self.a}{root}"


class Polynomial:
    """c_0 + c_1 t + c_2 t^2 + ..., for t >= 0; coefficients are numbers, or polynomials again."""

    __slots__ = ("c",)

    def __init__(self, c: Sequence[Any]) -> None:
        self.c = c

    def __bool__(self) -> bool:
        return any(self.c)

    def __add__(self, other: Any) -> Polynomial:
        others = other.c if isinstance(other, Polynomial) else [other]
        return Polynomial([x + y for x, y in zip_longest(self.c, others, fillvalue=ZERO)])

    def __neg__(self) -> Polynomial:
        return Polynomial([-x for x in self.c])

    def __sub__(self, other: Any) -> Polynomial:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Polynomial:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Polynomial:
        others = other.c if isinstance(other, Polynomial) else [other]
        found: list[Any] = [ZERO] * (len(self.c) + len(others) - 1)
        for i, x in enumerate(self.c):
            for j, y in enumerate(others):
                if x and y:
                    found[i + j] = found[i + j] + x * y
        return Polynomial(found)

    __radd__, __rmul__ = __add__, __mul__  # for numbers on the left

    def sign(self) -> int:
        """1 if positive, 0 if not negative for all t >= 0, as coefficients show; -1 if they do not."""
        signs = [x.sign() for x in self.c]
        return -1 if min(signs) < 0 else int(signs[0])


Row: TypeAlias = list[Any]  # of numbers, or of polynomials
Matrix: TypeAlias = list[Row]
Weights: TypeAlias = dict[tuple[int, int], Any]
ZERO, ONE, TWO, HALF = (Number(Fraction(x)) for x in ("0", "1", "2", "1/2"))


def reciprocal(x: Number) -> Number:
    """1 / x; ZeroDivisionError where x may be zero."""
    if x.e:
        if abs(x.a) <= x.e:
            raise ZeroDivisionError
        low, high = 1 / Fraction(x.a + x.e), 1 / Fraction(x.a - x.e)
        return Number((low + high) / 2, e=(high - low) / 2)
    norm = Fraction(x.a) ** 2 - x.d * Fraction(x.b) ** 2
    return Number(x.a / norm, -x.b / norm, x.d)


def rounded(x: Number, bits: int) -> Number:
    """An enclosure whose middle is a multiple of 2^-bits; that number itself if it is exactly one."""
    middle, error = Fraction(x.a) * 2**bits, x.e * 2**bits
    if x.b:  # the root is less than 1 below |b| sqrt(d) 2^bits
        root = isqrt(int(Fraction(x.b) ** 2 * x.d * 4**bits))
        middle, error = middle + (root if x.b > 0 else -root), 1
    whole = round(middle)
    return Number(Fraction(whole, 2**bits), e=Fraction(ceil(error + abs(middle - whole)), 2**bits))


def shown(x: Any) -> str:
    """A number exactly, and to ten digits unless it is whole; lists of them in full."""
    if isinstance(x, list):
        return f"[{', '.join(map(shown, x))}]"
    middle = Fraction(rounded(x, 4096).a)
    if not (x.b or x.e) and middle.denominator == 1:
        return str(x)
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 10, 10**6, -(10**6)
        digits = Decimal(middle.numerator) / Decimal(middle.denominator)
    return f"{x} = {digits:g}" + ("" if not (x.b or x.e) and Fraction(digits) == x.a else "..")


# ---- Reading -------------------------------------------------------------------------------------
def brief(value: object) -> str:
    """The beginning of what was found instead."""
    text = repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}.."


def rational(text: object) -> Fraction:
    """A fraction in lowest terms, spelled as Python prints it."""
    if not isinstance(text, str) or len(text) > 2 * DIGITS or set(text) - set("0123456789-/"):
        raise Refused(f"a number is text such as 2/3, not {brief(text)}")
    try:
        value = Fraction(text)
        if str(value) == text:
            return value
    except (ValueError, ZeroDivisionError):
        pass
    raise Refused(f"{brief(text)} is not the only way to write a number, or too long")


def fields(value: Any, where: str, needed: str, maybe: str = "") -> Mapping[str, Any]:
    """The same, an object with these keys, maybe those, and no others."""
    names = needed.split()
    if not isinstance(value, dict) or not {*names} <= {*value} <= {*names, *maybe.split()}:
        found = ", ".join(map(brief, list(value)[:20])) if isinstance(value, dict) else brief(value)
        raise Refused(f"{where} needs exactly {', '.join(names)}, not {found}")
    return value


def items(value: Any, where: str, length: int | None = None) -> list[Any]:
    """The same, a list of this length."""
    if not isinstance(value, list) or len(value) > LARGEST or length not in (None, len(value)):
        raise Refused(f"{where} is no list of the length that fits")
    return value


@lru_cache
def square_free(n: int) -> bool:
    """Whether no square but 1 divides n, as far as divisors up to 100,000 tell."""
    small = all(n % k**2 for k in range(2, min(100_000, isqrt(n)) + 1))
    return small and (n == 1 or isqrt(n) ** 2 != n)


class Reader(SimpleNamespace):
    """A statement's parts by their names, its numbers all of Q(sqrt d), or, for d = 1, also enclosures.

    Parts are listed with their shapes: "A:np" are n lists of p numbers, where equal letters are equal
    lengths, digits are lengths, and * is any, but no 0 at the end; "mu:" is a number; "kind" stays as it is.
    """

    def __init__(self, s: Mapping[str, Any], shapes: str = "") -> None:
        d, sizes = s["d"], dict[str, int]()
        if type(d) is not int or not 1 <= d < 10**80 or not square_free(d):
            raise Refused(f"d is a whole number without squares, not {brief(d)}")
        self.d, self.roots, self.boxed, self.sizes = d, d == 1, False, sizes
        vars(self).update(self.parts(s, "the statement", f"d {shapes}"))

    def number(self, value: Any) -> Number:
        """A number or an enclosure."""
        if isinstance(value, dict):
            ends = fields(value, "an enclosure", "from to")
            low, high = rational(ends["from"]), rational(ends["to"])
            require(self.d == 1 and low < high, "an enclosure needs d = 1 and ends that differ")
            self.boxed = True
            return Number((low + high) / 2, e=(high - low) / 2)
        if isinstance(value, list):
            a, b = map(rational, items(value, "a number a + b sqrt(d)", 2))
            require(self.d > 1 and b, "a number with a root needs d > 1 and a factor that is not 0")
            self.roots = True
            return Number(a, b, self.d)
        return Number(rational(value), d=self.d)

    def table(self, value: Any, where: str, shape: str = "") -> Any:
        """Numbers in nested lists of this shape."""
        if not shape:
            return self.number(value)
        letter = shape[0]
        found = items(value, where, int(letter) if letter.isdigit() else self.sizes.get(letter))
        if letter != "*":
            self.sizes[letter] = len(found)
        found = [self.table(x, where, shape[1:]) for x in found]
        require(letter != "*" or not found or found[-1], f"{where} ends with 0")
        return found

    def parts(self, value: Any, where: str, shapes: str) -> dict[str, Any]:
        """The parts of an object with these keys and no others, by their shapes."""
        split = [part.partition(":") for part in shapes.split()]
        given = fields(value, where, " ".join(name for name, _, _ in split))
        return {
            name: self.table(given[name], name, shape) if colon else given[name]
            for name, colon, shape in split
        }

    def symmetric(self, value: Any, size: int) -> Matrix:
        """A symmetric matrix by its upper triangle, row by row."""
        lists = [items(row, "P", size - i) for i, row in enumerate(items(value, "P", size))]
        rows = [[*map(self.number, row)] for row in lists]
        return [[rows[min(i, j)][abs(i - j)] for j in range(size)] for i in range(size)]

    def by_pair(self, value: Any, shape: str, pairs: Iterable[tuple[int, int]], *more: Any) -> Any:
        """Weights, or polynomials, by pair, or by a pair and then a pair of ``more``, without those that are 0."""
        names = {f"{i},{j}": (i, j) for i, j in pairs}
        known = isinstance(value, dict) and {*value} <= {*names}
        require(known, "a weight or polynomial belongs to a pair that is not there")
        found = {
            names[key]: self.by_pair(x, shape, *more) if more else self.table(x, "a weight", shape)
            for key, x in value.items()
        }
        require(all(found.values()), "a weight or polynomial is 0")
        return found

    def listed(self, shapes: str, also: str = "") -> list[str]:
        """These parts in full, for readers; Refused if there is a field that no number needs."""
        require(self.roots, "d is not 1, but no number has a root")
        names = [part.partition(":")[0] for part in shapes.split()]
        lines = [f"  {name} = {shown(getattr(self, name))}" for name in names]
        return [*lines, *["  whatever the numbers in these enclosures" + also] * self.boxed]


def read(value: Any, d: int) -> Number:
    """A number of a document whose numbers lie in Q(sqrt d)."""
    return Reader({"d": d}).number(value)


# ---- Linear algebra: rows of numbers, or of polynomials ------------------------------------------
def inner(u: Iterable[Any], v: Iterable[Any]) -> Any:
    """The inner product, skipping zeros."""
    return sum((a * b for a, b in zip(u, v, strict=True) if a and b), ZERO)


def minus(u: Iterable[Any], v: Iterable[Any]) -> Row:
    """The difference of two rows."""
    return [a - b for a, b in zip(u, v, strict=True)]


def times(factor: Any, row: Iterable[Any]) -> Row:
    """A multiple of a row."""
    return [factor * x if x else x for x in row]


def dot(row: Sequence[Any], matrix: Sequence[Sequence[Any]]) -> Row:
    """A row times a matrix, skipping zeros."""
    used = [(r, line) for r, line in zip(row, matrix, strict=True) if r]
    width = len(matrix[0]) if matrix else 0
    return [sum((r * line[j] for r, line in used if line[j]), ZERO) for j in range(width)]


def units(size: int) -> Matrix:
    """The rows of the identity."""
    return [[ONE if i == j else ZERO for j in range(size)] for i in range(size)]


def zeros(size: int) -> Matrix:
    """A square matrix of zeros."""
    return [[ZERO] * size for _ in range(size)]


def add_square(into: Matrix, weight: Any, u: Sequence[Any], v: Sequence[Any]) -> None:
    """into += weight (u v' + v u') / 2, the form weight <u, v>."""
    places = [(j, b) for j, b in enumerate(v) if b] if weight else []
    for i, a in enumerate(u):
        scaled = weight * HALF * a if a and places else ZERO
        for j, b in places if a else ():
            into[i][j] = into[i][j] + scaled * b
            into[j][i] = into[j][i] + scaled * b


def add_form(into: Matrix, factor: Any, form: Matrix, rows: Matrix) -> Matrix:
    """into += factor rows' form rows."""
    for line, row in zip(form, rows, strict=True):
        add_square(into, factor, row, dot(line, rows))
    return into


def definite(matrix: Matrix, strict: bool = False) -> bool:
    """Whether a symmetric matrix is positive semidefinite, or, if strict, definite; for all t >= 0.

    One of numbers is tried with enclosures of few digits; what these leave open is decided with the numbers.
    """
    entries = [x for row in matrix for x in row]
    if any(isinstance(x, Polynomial) for x in entries):
        return eliminated(matrix, strict)
    try:
        return eliminated([[rounded(x, BITS) for x in row] for row in matrix], strict, BITS)
    except Refused:
        parts = (Fraction(part) for x in entries for part in (x.a, x.b))
        work = max(part.denominator.bit_length() for part in parts) * len(matrix) ** 3
        require(work <= WORK, "the numbers are too long to decide whether a matrix is definite")
    return eliminated(matrix, strict)


def eliminated(matrix: Matrix, strict: bool = False, bits: int = 0) -> bool:
    """The same by elimination: pivots are positive, or 0 where all that is left of their row is.

    Also for polynomials, for all t >= 0: rows are not divided by the pivot then, which is positive
    but at single t, and there the matrix is semidefinite by continuity.
    """
    rows = [row[i:] for i, row in enumerate(matrix)]
    while rows:
        (pivot, *top), *rows = rows
        if pivot.sign() < strict or (not pivot and any(top) and not bits):
            return False
        require(pivot or not any(top), "an enclosure may be 0")
        numbers = isinstance(pivot, Number)
        by, over = (ONE, reciprocal(pivot)) if numbers and pivot else (pivot, ONE)
        for i, t in enumerate(top if pivot else ()):
            scaled = t * over
            rows[i] = [by * x - scaled * u for x, u in zip(rows[i], top[i:], strict=True)]
            rows[i] = [rounded(x, bits) for x in rows[i]] if bits else rows[i]
    return True


# ---- Points and inequalities ---------------------------------------------------------------------
def slack(mu: Any, L: Any) -> Row:
    """The factors of |dg|^2, |dy|^2, <dg, dy> and <g_j, dy> in -Q_ij, dg = g_i - g_j and dy = y_i - y_j."""
    return [L, mu, -TWO * mu, TWO * (L - mu)]


def pairs_of(least: int, count: int) -> list[tuple[int, int]]:
    """Pairs of different points -1, ..., count - 1, the first of them at least ``least``."""
    return [(i, j) for i, j in permutations(range(STAR, count), 2) if i >= least]


def net(weights: Weights, i: int) -> Any:
    """How often, by weight, point i comes first in a pair, less how often it comes second."""
    return sum((w if a == i else -w for (a, b), w in weights.items() if i in (a, b)), ZERO)


def follow(weights: Weights, values: Sequence[Any]) -> Weights:
    """What pairs (-1, i) lack so that sum values_i f_i = sum weights_ij (f_i - f_j)."""
    return {(STAR, i): net(weights, i) - value for i, value in enumerate(values)}


def subtract(it: Any, whole: Matrix, weights: Weights) -> Matrix:
    """whole - sum of weights Q_ij, without the function values; in place.

    it.y and it.g are points and gradients as rows over some vectors, the minimizer last, it.slack is as above.
    With sums over points a, b: sum w_ij <u_i - u_j, v_i - v_j> = sum between_ab <u_a, v_b>, for all u and v, and
    sum w_ij <g_j, y_i - y_j> = sum last_ab <g_a, y_b>.
    """
    of_g, of_y, of_both, of_last = it.slack
    between, last = zeros(len(it.y)), zeros(len(it.y))
    for (i, j), weight in weights.items():
        for a, b, w in ((i, i, weight), (j, j, weight), (i, j, -weight), (j, i, -weight)):
            between[a][b] += w
        last[j][i] += weight
        last[j][j] -= weight
    for y, g, row, more in zip(it.y, it.g, between, last, strict=True):
        crossed = [of_both * x + of_last * w for x, w in zip(row, more, strict=True)]
        add_square(whole, of_g, g, dot(row, it.g))
        add_square(whole, of_y, y, dot(row, it.y))
        add_square(whole, ONE, g, dot(crossed, it.y))
    return whole


def settle(weights: Iterable[Any], *forms: Matrix) -> None:
    """Refused unless no weight is negative, and no form that is left after subtraction."""
    require(all(x.sign() >= 0 for x in weights), "a weight is negative")
    require(all(map(definite, forms)), "a form that is left, D or E, is not positive")


# ---- Linear methods ------------------------------------------------------------------------------
class Method(Reader):
    """x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradients of f at the rows of y_k.

    A flow is x' = A x + B u, y = C x. The state rest x* stays and is read as x*: A rest = rest (of a flow 0),
    C rest = 1, output rest = 1. So differences to it obey the same equations with x* at 0. Of enclosures that
    is part of the hypothesis. Rows are over x, and u/L, or u of a flow.
    """

    flow, law = False, "x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k"
    names = "A:nn B:np C:pn D:pp output:n rest:n"

    def __init__(self, s: Mapping[str, Any], claim: str) -> None:
        super().__init__(s, f"{self.names} mu: L {claim}")
        flow = self.flow
        self.n, self.p, self.infinite = len(self.A), len(self.C), flow and s["L"] == "infinity"
        self.L = ZERO if self.infinite else self.number(s["L"])
        wide = self.infinite or (self.L - self.mu).sign() >= flow
        some = self.n * self.p and self.mu.sign() > 0 and wide
        require(some, f"a state, a gradient and 0 < mu {'<' if flow else '<='} L are needed")
        reads, stays = [*self.C, self.output], zeros(self.n) if flow else units(self.n)
        off = [inner(minus(row, e), self.rest) for row, e in zip(self.A, stays, strict=True)]
        off += [inner(row, self.rest) - ONE for row in reads]
        exact = not any(x.e for row in (*self.A, *reads) for x in row)
        rests = not any(x.b or abs(x.a) > x.e for x in off)
        rests = rests and not (exact and any(x.e for x in self.rest))
        require(rests, "the state rest does not rest at a minimizer, or is not read as it")
        unit, D = (ONE, zeros(self.p)) if flow else (self.L, self.D)
        self.moves = [[*a, *times(unit, b)] for a, b in zip(self.A, self.B, strict=True)]
        self.reads = [[*c, *times(unit, d)] for c, d in zip(self.C, D, strict=True)]

    def words(self, *claim: str) -> list[str]:
        """The statement, for readers."""
        L = "infinity (f continuously differentiable)" if self.infinite else shown(self.L)
        return [
            f"about {self.law}, u the gradients of f at the {self.p} row(s) of y, with",
            *self.listed(self.names, ", if rest rests at minimizers"),
            f"for every f in F(mu, L) in any dimension, mu = {shown(self.mu)}, L = {L}",
            *claim,
        ]

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """E and D without function values, and the lambda of pairs (-1, i)."""
        p = [net(nu, i) for i in range(len(self.y) - 1)]
        V, loss, values = self.forms(P, p)
        star = follow(lam, values)
        return subtract(self, V, nu), subtract(self, loss, {**lam, **star}), star

    def prove(self, w: Any, size: int, early: int, z: Row | None) -> None:
        """No weight is negative, nor D, nor E less weight |z|^2; without z, E > 0 in the vectors of V."""
        nu = self.by_pair(w["nu"], "", pairs_of(STAR, early))
        lam = self.by_pair(w["lambda"], "", pairs_of(0, len(self.y) - 1))
        E, D, star = self.remainders(self.symmetric(w["P"], size), nu, lam)
        if z:
            weight = self.number(w["weight"])
            require(weight.sign() > 0, "the weight is not positive")
            add_square(E, -weight, z, z)
        strict = z or definite([row[:size] for row in E[:size]], True)
        require(strict, "E is not positive")
        settle([*nu.values(), *lam.values(), *star.values()], E, D)


class Decay(Method):
    """A method with a rate 1 - gap, 0 < gap <= 1; what is "bounded" belongs to kind "rate"."""

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s, "gap:" + " bounded" * ("bounded" in s))
        self.rate, self.bounded = ONE - self.gap, s.get("bounded", "")
        good = self.gap.sign() > 0 and self.rate.sign() >= 0
        good = good and self.bounded in ("state", "output", "")
        require(good, "a gap from 0 to 1 is needed, and state or output as what is bounded")


class Inequality(Decay):
    """The statement: |x_k - rest x*| ("state") or |output x_k - x*| ("output") is O(rate^k).

    With W = (x_k, u_k/L, ..., u_{k+s-1}/L), s = memory, V = L W'P W + sum p_i f_i, the witness has weights
    nu, lambda > 0 and P with
        rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E,    E > 0 (the state), or E >= weight |z|^2 (the output),
    z = (output of x_{k+s}) - share (output of x_{k+s-1}), |share| < rate, share = 0 if none is given.
    So V_k <= rate^2k V_0, and V bounds what is bounded: where z_k = O(rate^k), so is the output. p_i and the
    lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over (x_k, u_k/L, ..., u_{k+s}/L).
    """

    def __init__(self, s: Mapping[str, Any], memory: Any) -> None:
        super().__init__(s)
        known = type(memory) is int and 0 <= memory < 10 and self.bounded
        require(known, "memory is a whole number from 0 to 9, the state or the output bounded")
        n, p = self.n, self.p
        self.early, size = p * memory, n + p * (memory + 1)
        require(size <= LARGEST, "the method is too large")
        self.whole, self.y = units(size), []
        self.states = [self.whole[:n]]
        for at_u in range(n, size, p):
            known = self.states[-1] + self.whole[at_u : at_u + p]
            self.y += [dot(row, known) for row in self.reads]
            self.states.append([dot(row, known) for row in self.moves])
        self.later = self.states[1] + self.whole[n + p :]
        self.y, self.g = [*self.y, [ZERO] * size], [*self.whole[n:], [ZERO] * size]
        self.slack = slack(self.mu, self.L)

    def forms(self, P: Matrix, p: Row) -> tuple[Matrix, Matrix, Row]:
        """V, rate^2 V - V+, and the latter's factors of function values."""
        size, tau, W = len(self.whole), self.rate * self.rate, self.whole[: len(P)]
        loss = add_form(add_form(zeros(size), tau * self.L, P, W), -self.L, P, self.later)
        values = [tau * a - b for a, b in zip(p, [ZERO] * self.p + p, strict=False)]
        return add_form(zeros(size), self.L, P, W), loss, values


def check_rate(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Inequality`."""
    output = s.get("bounded") == "output"
    fields(w, "the witness", "memory P nu lambda" + " weight" * output, "share" * output)
    it = Inequality(s, w["memory"])
    z = dot(it.output, it.states[-2])
    if "share" in w:
        share = it.number(w["share"])
        less = share and (it.rate * it.rate - share * share).sign() > 0
        require(less, "a share is not 0, and less than the rate in size")
        z = minus(z, times(share, dot(it.output, it.states[-3])))
    it.prove(w, it.n + it.early, it.early, z if output else None)
    what = "|output x_k - x*|" if output else "|x_k - rest x*|, and so |output x_k - x*|,"
    return it.words(
        "from every start, for every run there is (exactly one if D = 0)",
        f"{what} = O(r^k), r = 1 - gap = {shown(it.rate)}, gap = {shown(it.gap)}"
        + ("" if it.rate else ": 0 from some k on"),
    )


class Flow(Method):
    """The statement: |output x(t) - x*| = O(exp(-rate t)) along X' = A X + B u, y = C X.

    u are the gradients of f at the rows of y, f in F(mu, L) and continuously differentiable. With V = X'P X +
    sum p_i (f_i - f*) and the inequalities Q_ij between points of one time, here with f and g as they are and
    all divided by L (1/L = 0 for L = infinity), the witness has nu, lambda > 0 and P with
        - V' - 2 rate V - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E >= weight |output|^2.
    p_i and the lambda of pairs (-1, i) are those for which the f_i cancel; V' is along the flow, with
    f_i' = <u_i, y_i'>. Rows are over (X, u).
    """

    flow, law, names = True, "x' = A x + B u, y = C x", "A:nn B:np C:pn output:n rest:n"

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s, "rate:")
        require(self.rate.sign() >= 0, "the rate is negative")
        size, inverse = self.n + self.p, ZERO if self.infinite else reciprocal(self.L)
        self.y, self.g = [*self.reads, [ZERO] * size], [*units(size)[self.n :], [ZERO] * size]
        ratio = self.mu * inverse
        self.slack = [inverse, self.mu, -TWO * ratio, TWO - TWO * ratio]

    def forms(self, P: Matrix, p: Row) -> tuple[Matrix, Matrix, Row]:
        """V, -V' - 2 rate V, and the latter's factors of function values."""
        n, size, double = self.n, self.n + self.p, -TWO * self.rate
        V, loss = (add_form(zeros(size), factor, P, units(size)[:n]) for factor in (ONE, double))
        for row, image in zip(P, self.moves, strict=True):  # - 2 X'P (A X + B u)
            add_square(loss, -TWO, row + [ZERO] * self.p, image)
        for x, g, c in zip(p, self.g, self.C, strict=False):
            add_square(loss, -self.slack[3] * x, g, dot(c, self.moves))
        return V, loss, times(double, p)


def check_flow(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Flow`."""
    fields(w, "the witness", "P nu lambda weight")
    it = Flow(s)
    it.prove(w, it.n, it.p, [*it.output, *[ZERO] * it.p])
    return it.words(
        "from every start, as long as the solution exists (for finite L: forever)",
        f"|output x(t) - x*| = O(exp(-r t)), r = {shown(it.rate)}",
    )


# ---- Kind "quadratics", and lower bounds by them -------------------------------------------------
def poles(m: Method, low: Number, high: Number, gain: Sequence[Number] | None = None) -> Row:
    """det [[z I - A - gain output, -c B], [-C, I - c D]] (1 + t)^p by its powers of z, highest first.

    c = (low + high t)/(1 + t), which is between low and high for t >= 0: coefficients are polynomials in t. The
    roots are the poles of the method on an eigenvector of curvature c, where u = c y, if gain times the output
    is added to each next state.
    """
    n, rows = m.n, []
    require(n <= 8 and n + m.p <= 12, "poles are for at most 8 states, 12 with the gradients")
    for a, b, g, own in zip(m.A, m.B, gain or [ZERO] * n, units(n), strict=True):
        row = [Polynomial([-x - g * o, e]) for x, o, e in zip(a, m.output, own, strict=True)]
        rows.append([*row, *(Polynomial([Polynomial([-low * x, -high * x])]) for x in b)])
    for c, d, own in zip(m.C, zeros(m.p) if m.flow else m.D, units(m.p), strict=True):
        ends = [Polynomial([e - low * x, e - high * x]) for e, x in zip(own, d, strict=True)]
        rows.append([*(Polynomial([-x]) for x in c), *(Polynomial([x]) for x in ends)])
    minors: dict[int, Any] = {0: Polynomial([ONE])}  # of the rows before, by the columns they use
    for row in rows:
        grown: dict[int, Any] = {}
        for used, minor in minors.items():
            for j, entry in enumerate(row):
                if entry and not used >> j & 1:
                    term = minor * (-entry if (used >> j).bit_count() % 2 else entry)
                    grown[used | 1 << j] = term + grown.get(used | 1 << j, ZERO)
        minors = grown
    found = minors[2 ** len(rows) - 1].c
    return [*[ZERO] * (n + 1 - len(found)), *reversed(found)]


def within(p: Row, radius: Any, strict: bool) -> bool:
    """Whether all roots of p, highest power first, are at most the radius in modulus, or, if strict, less.

    Schur and Cohn: if the head of p outweighs its tail, then of p and of (head p - tail p*)/z, p* being p
    backwards, as many roots are on the unit circle, and of p one more is inside. Jury: those of
    a z^2 + b z + c, a > 0, are at most 1 if a + c >= |b| and a >= c. For polynomials: for all t >= 0.
    """
    if not radius:
        return not strict and not any(p[1:])
    powers = [ONE]
    for _ in p[1:]:
        powers = [powers[0] * radius, *powers]
    p = [power * x for power, x in zip(powers, p, strict=True)]  # in z / radius
    while len(p) > (1 if strict else 3):
        head, tail = p[0], p[-1]
        if (head * head - tail * tail).sign() < 1:
            return False
        p = minus(times(head, p[:-1]), times(tail, p[:0:-1]))
    a, b, c = [*p, ZERO, ZERO][:3]
    return strict or (a.sign() > 0 and min(x.sign() for x in (a + b + c, a - b + c, a - c)) >= 0)


def check_quadratics(s: Mapping[str, Any], w: Any) -> list[str]:
    """The statement: on each quadratic with Hessian between mu and L no pole exceeds the rate.

    The witness has the numbers that cut [mu, L] into intervals, on each of which coefficients show signs.
    """
    it = Decay(s)
    cuts = items(fields(w, "the witness", "cuts")["cuts"], "cuts")
    ends = [*pairwise([it.mu, *map(it.number, cuts), it.L, it.L])]
    grow = not it.bounded and all((b - a).sign() >= 0 for a, b in ends)
    require(grow, "cuts that grow are needed, and nothing that is bounded")
    slow = all(within(poles(it, a, b), it.rate, False) for a, b in ends)
    require(slow, "a pole may be larger than the rate")
    return it.words(
        "if f is a quadratic, from every start (each has exactly one run)",
        "all poles are at most r in modulus, so that |x_k - rest x*| = O(s^k) for every s > r,",
        f"r = 1 - gap = {shown(it.rate)}, gap = {shown(it.gap)}",
    )


# ---- Kind "horizon" ------------------------------------------------------------------------------
MEASURES = {"value": "f(y_N) - f*", "gradient": "|grad f(y_N)|^2", "distance": "|y_N - x*|^2"}
STARTS = {"distance": "|x_0 - x*|^2", "value": "(f(x_0) - f*)"}


class Steps(Reader):
    """The statement: M <= bound S, for y_i = x_0 + sum_j points_ij u_j, u_i the gradient of f at y_i.

    i = 0, ..., N; row i of the table ends with its last number that is not 0. M ("measure") is of y_N, "value",
    "gradient" or "distance" as in MEASURES; S ("start") is "distance" or "value" as in STARTS, and for the
    latter some y_i is x_0. f is in F(mu, L), 0 <= mu < L, with a minimizer x*. The witness has lambda > 0 with
        2(L-mu)(bound S - M) - L sum lambda_ij Q_ij = D >= 0.
    The lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over (x_0, u_0/L, ..., u_N/L).
    """

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s, "mu: L: bound: points:N* measure start")
        good = self.mu.sign() >= 0 and (self.L - self.mu).sign() > 0 and self.bound.sign() > 0
        require(good, "0 <= mu < L and a positive bound are needed")
        self.first = next((i for i, row in enumerate(self.points) if not row), None)
        known = self.measure in MEASURES and self.start in STARTS
        known = known and (self.start == "distance" or self.first is not None)
        require(known, "the measure or the start is unknown, or no point is the start")
        count = len(self.points)
        require(all(len(row) <= count for row in self.points), "a point reads what is no gradient")
        self.far, *g = units(count + 1)
        rows = [[ONE, *times(self.L, row), *[ZERO] * (count - len(row))] for row in self.points]
        self.y, self.g = [*rows, [ZERO] * (count + 1)], [*g, [ZERO] * (count + 1)]
        self.slack = slack(self.mu, self.L)

    def claim(self) -> tuple[Matrix, Row]:
        """2(L-mu)(bound S - M), its form and its factors of function values."""
        twice, form, values = self.slack[3], zeros(len(self.far)), [ZERO] * len(self.points)
        if self.start == "value":
            values[self.first or 0] += self.bound
        else:
            add_square(form, twice * self.bound, self.far, self.far)
        if self.measure == "value":
            values[-1] -= ONE
        else:
            end = times(self.L, self.g[-2]) if self.measure == "gradient" else self.y[-2]
            add_square(form, -twice, end, end)
        return form, values


def check_horizon(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequality of `Steps`."""
    it = Steps(s)
    N, (form, values) = len(it.points) - 1, it.claim()
    lam = it.by_pair(fields(w, "the witness", "lambda")["lambda"], "", pairs_of(0, N + 1))
    lam |= follow(lam, values)
    settle(lam.values(), subtract(it, form, {ij: it.L * x for ij, x in lam.items()}))
    return [
        f"about y_i = x_0 + sum_j h_ij u_j, u_i the gradient of f at y_i, i = 0, ..., N = {N}, with",
        *(f"  h_{i} = {shown(row)}" for i, row in enumerate(it.points)),
        *it.listed(""),
        f"for every f in F(mu, L), mu = {shown(it.mu)}, L = {shown(it.L)}, with a minimizer x*, in any dimension",
        "from every x_0, for every run there is (exactly one if no h_ij has j >= i)",
        f"{MEASURES[it.measure]} <= c {STARTS[it.start]}, c = {shown(it.bound)}, N = {N}",
    ]


# ---- Kind "potential" ----------------------------------------------------------------------------
def at(p: Sequence[Any], x: Any, over: Any = ONE, degree: int = 0) -> Any:
    """A polynomial of at most this degree, or its own, at x / over, times over^degree."""
    found, power = ZERO, ONE
    for k in range(max(degree, len(p) - 1), -1, -1):
        found, power = found * x + (p[k] * power if k < len(p) else ZERO), power * over
    return found


class Potential(Reader):
    """The statement: f(end) - f* <= L |p - x*|^2 / growth(t_k) after every number k of steps.

    x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradient of f at y_k over L, for convex f with
    L-Lipschitz gradient and a minimizer; x_0 = rest p, p any point, where A rest = rest, C rest = 1, output
    rest = 1 at every step. The end is y_k, or the output of x_{k+1}. Coefficients depend on a clock t_k: A and B
    are polynomials in v over "step_unit"(v), C, D and output are polynomials in t over "point_unit"(t);
    t_k = now(v_k)/over(v_k) and t_{k+1} = next(v_k)/over(v_k), v_k >= from = v_0. There are such v_k: now/over
    grows beyond all bounds, and next >= now. With -1 the minimizer, 0 this y, 1 the next (in "nu" the output),
    and with polynomials a, Q, nu in t, and lambda in t_k and t_{k+1}, of degree 2, the witness has, in units of L,
        V = a (f(y) - f*) + [x; u]'Q [x; u],    Q_ij = 2 (f_i - f_j - <g_j, y_i - y_j>) - |g_i - g_j|^2,
        V - V+ - sum lambda Q = D >= 0,         V - growth (f(end) - f*) - sum nu Q = E >= 0,
        |p - x*|^2 - V_0 - sum first Q >= 0.
    All this is polynomial in t >= 0 where v = from + t.
    """

    names = "A:nn* B:n* step_unit:* C:n* D:* output:n* point_unit:*"

    def __init__(self, s: Mapping[str, Any], w: Mapping[str, Any]) -> None:
        super().__init__(s, f"{self.names} rest:n L: growth:* clock bounded")
        vars(self).update(self.parts(self.clock, "the clock", "now:* next:* over:* from:"))
        fields(w, "the witness", "a Q lambda nu first")
        n, point = len(self.rest), self.bounded == "point"
        powers = [(i, j) for i in range(3) for j in range(3 - i)]
        self.a = self.table(w["a"], "a", "*")
        self.Q = self.by_pair(w["Q"], "*", combinations_with_replacement(range(n + 1), 2))
        self.nu = self.by_pair(w["nu"], "*", pairs_of(STAR, 1 if point else 2))
        self.lam = self.by_pair(w["lambda"], "", pairs_of(STAR, 2), powers)
        self.first = self.by_pair(w["first"], "", pairs_of(STAR, 1))
        of_v = [self.now, self.next, self.over, self.step_unit, *self.B, *chain(*self.A)]
        of_t = [self.D, self.point_unit, *self.C, *self.output]
        few = max(map(len, of_v)) * max(map(len, of_t)) * 2**n <= 256
        require(few, "degrees are too high, or states too many")
        low = max(map(len, (self.a, self.growth, *self.Q.values(), *self.nu.values()))) <= 3
        known = low and not self.boxed and self.L.sign() > 0 and (point or self.bounded == "output")
        require(known, "exact numbers, L > 0 and polynomials of degree 2 are needed")
        grows = len(self.now) > len(self.over) > 0 and (self.now[-1] * self.over[-1]).sign() > 0
        require(grows, "the clock does not go on for ever")


class Step:
    """One step at v over x, u and the next u; rows are times ``scale``, forms (scale over)^2, values over^2."""

    def __init__(self, it: Potential, v: Any, x: Matrix, u: Row, next_u: Row) -> None:
        n, over = len(x), at(it.over, v)
        now, ahead, step = (at(p, v) for p in (it.now, it.next, it.step_unit))
        readers = [*it.C, it.D, it.point_unit, *it.output]
        degree = max(map(len, readers)) - 1
        here, there = ([at(p, t, over, degree) for p in readers] for t in (now, ahead))
        moves = [[at(e, v) for e in (*row, b)] for row, b in zip(it.A, it.B, strict=True)]
        unit, other = here[n + 1], there[n + 1]
        self.over, self.scale, self.rises = over, unit * other * step, ahead - now
        # A rest - rest, C rest - 1 and output rest - 1, times what they are over
        self.off = [inner(a[:n], it.rest) - step * e for a, e in zip(moves, it.rest, strict=True)]
        self.off += [inner(row, it.rest) - unit for row in (here[:n], here[n + 2 :])]
        # state and gradient before and after; this y, the next and the output; the minimizer
        before, rest = [times(self.scale, row) for row in (*x, u)], [ZERO] * len(u)
        moved = [*(dot(row, [*x, u]) for row in moves), times(step, next_u)]
        after = [times(unit * other, row) for row in moved]
        y = times(other * step, dot(here[: n + 1], [*x, u]))
        next_y, end = (
            times(unit, dot(there[: n + 1], moved)),
            times(unit, dot(there[n + 2 :], moved[:n])),
        )
        g, factors = [before[n], after[n], rest], slack(ZERO, ONE)
        self.points = SimpleNamespace(y=[y, next_y, rest], g=g, slack=factors)
        self.ends = SimpleNamespace(y=[y, end, rest], g=g, slack=factors)
        # polynomials of degree 2 at t_k and t_{k+1}; V and its decrease without function values
        self.lam = {}
        for pair, p in it.lam.items():
            powers = [([now] * i + [ahead] * j + [over] * 2)[:2] for i, j in p]
            self.lam[pair] = inner(p.values(), [first * second for first, second in powers])
        self.nu = {pair: at(p, now, over, 2) for pair, p in it.nu.items()}
        self.a, self.growth = (at(p, now, over, 2) for p in (it.a, it.growth))
        self.next_a = at(it.a, ahead, over, 2)
        self.V, self.loss = zeros(len(u)), zeros(len(u))
        for (i, j), p in it.Q.items():
            for form in (self.V, self.loss):
                add_square(form, at(p, now, over, 2), before[i], before[j])
            add_square(self.loss, -at(p, ahead, over, 2), after[i], after[j])


def check_potential(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Potential`."""
    it = Potential(s, w)
    begin, (*x, u, next_u) = vars(it)["from"], units(len(it.rest) + 2)
    step = Step(it, Polynomial([begin, ONE]), x, u, next_u)
    require(not any(step.off), "the state rest does not rest, or is not read as 1")
    growing = min(x.sign() for x in (step.over, step.scale, step.growth)) > 0
    require(growing, "growth, or what is divided by, is not positive")
    require(step.rises.sign() >= 0, "the clock goes back")
    D, E = subtract(step.points, step.loss, step.lam), subtract(step.ends, step.V, step.nu)
    # at the start all is over p - x* and u_0
    start = Step(it, begin, [[x, ZERO] for x in it.rest], [ZERO, ONE], [ZERO, ZERO])
    square = start.over * start.over
    first = {pair: square * x for pair, x in it.first.items()}
    S = subtract(start.points, [times(-ONE, row) for row in start.V], first)
    S[0][0] += square * start.scale * start.scale
    # function values are counted in units of 2
    ends = [step.a - step.growth, ZERO] if it.bounded == "point" else [step.a, -step.growth]
    left = [*follow(step.lam, times(HALF, [step.a, -step.next_a])).values()]
    left += [
        *follow(step.nu, times(HALF, ends)).values(),
        *follow(first, [-HALF * start.a]).values(),
    ]
    require(not any(left), "function values are left")
    settle([*step.lam.values(), *step.nu.values(), *first.values()], D, E)
    require(definite(S), "V is too large at the start")
    return [
        "about x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradient of f at y_k over L, where",
        "A, B are over step_unit and C, D, output over point_unit, polynomials by coefficients, lowest first,",
        "A, B, step_unit in v_k, C, D, output, point_unit in t_k, with t_k = now(v_k)/over(v_k) and",
        f"t_k+1 = next(v_k)/over(v_k), v_k >= v_0 = {shown(begin)}:",
        *it.listed(f"{it.names} now next over"),
        f"for every convex f with L-Lipschitz gradient, L = {shown(it.L)}, and a minimizer x*, in any dimension",
        f"from every start at rest, x_0 = v (a point p), v = {shown(it.rest)}, for every run there is",
        f"f({'y_k' if it.bounded == 'point' else 'output x_k+1'}) - f* <= L |p - x*|^2 / growth(t_k)"
        f" for k = 0, 1, 2, ..., growth = {shown(it.growth)}",
    ]


# ---- Lower bounds: a second statement, with its own witness --------------------------------------
def all_left(p: Row, line: Number) -> bool:
    """Whether all roots of p, highest power first, have a real part less than the line's."""
    up, down = Polynomial([line - ONE, line + ONE]), Polynomial([ONE, ONE])
    turned = at([Polynomial([x]) for x in reversed(p)], up, down)  # in w, at s = line + (w-1)/(w+1)
    return within([*reversed(turned.c[: len(p)])], ONE, True)


def check_quadratic(m: Method, lower: Any) -> list[str]:
    """On the quadratic of a curvature in [mu, L] some run's output is no faster than claimed.

    Some pole is on or beyond the circle (of a flow: the line), and the output shows it: what the output
    does not show stays a pole with any gain, and with this gain all are within.
    """
    name = "rate" if m.flow else "gap"
    low = m.parts(lower, "lower", f"kind curvature: gain:n {name}:")
    c, claim = low["curvature"], low[name]
    own, fed = poles(m, c, c), poles(m, c, c, low["gain"])
    if m.flow:
        slow = not all_left(own, -claim) and all_left(fed, -claim)
    else:
        slow = not within(own, ONE - claim, True) and within(fed, ONE - claim, True)
    inside = (c - m.mu).sign() >= 0 and (m.infinite or (m.L - c).sign() >= 0) and claim.sign() >= 0
    require(slow and inside, "the quadratic may be faster than claimed, or is not in F(mu, L)")
    return [f"on the quadratic of curvature {shown(c)} no {name} above {shown(claim)} holds"]


def interpolated(mu: Any, L: Any, one: Sequence[Any], other: Sequence[Any]) -> Any:
    """L Q_ij for two points, gradients and values in numbers."""
    (y, g, f), (y_j, g_j, f_j) = one, other
    dy, dg = minus(y, y_j), minus(g, g_j)
    whole = TWO * (L - mu) * (f - f_j - inner(g_j, dy)) - inner(dg, dg)
    return whole - mu * L * inner(dy, dy) + TWO * mu * inner(dg, dy)


def check_spiral(m: Method, lower: Any) -> list[str]:
    """On some f in F(mu, L) of the plane a run has y_t = z^t, |z| >= 1 - gap, and an output that moves.

    One gradient a step: x_t = z^t state, with gradients G z^t, z state = A state + B G, C state + D G = 1.
    With f_t = value |y_t|^2 all pairs of points, and the minimizer as w = 0, satisfy the interpolation
    inequalities if (1, w) and (w, 1) do for all w = z^j, which is settled for all |w| <= e at once.
    """
    shapes = "kind real: imaginary: value: gap: state:2n gradient:2"
    _, p, q, value, gap, (s, t), G = m.parts(lower, "lower", shapes).values()
    off = [inner(m.C[0], s) + m.D[0][0] * G[0] - ONE, inner(m.C[0], t) + m.D[0][0] * G[1]]
    for row, b, x, y in zip(m.A, m.B, s, t, strict=True):
        off += [p * x - q * y - inner(row, s) - b[0] * G[0]]
        off += [p * y + q * x - inner(row, t) - b[0] * G[1]]
    rate, moves = ONE - gap, inner(m.output, s) or inner(m.output, t)
    runs = m.p == 1 and not m.boxed and not any(off) and moves and gap.sign() >= 0
    require(runs, "the spiral is no run of the method, or its output rests")
    slow = rate.sign() > 0 and (p * p + q * q - rate * rate).sign() >= 0
    require(slow, "the spiral is faster than it says")
    inside = spirals(*(rounded(x, BITS) for x in (m.mu, m.L, p, q, *G, value)))
    require(inside, "the gradients along the spiral are those of no function of the class")
    z = f"{shown(p)} + i ({shown(q)})"
    return [
        f"on a function of the plane, along y_k = z^k, z = {z}, no gap above {shown(gap)} holds"
    ]


def spirals(mu: Any, L: Any, p: Any, q: Any, a: Any, b: Any, value: Any) -> bool:
    """The inequalities of `check_spiral`, one by one, until w = 0 and all that follow are settled."""

    def both(u: Any, v: Any) -> list[Any]:
        w = (u, v), (a * u - b * v, a * v + b * u), value * (u * u + v * v)
        first = (ONE, ZERO), (a, b), value
        return [interpolated(mu, L, first, w), interpolated(mu, L, w, first)]

    u, v = ONE, ZERO
    for _ in range(20_000):
        u, v = rounded(u * p - v * q, BITS), rounded(u * q + v * p, BITS)
        far = Number(0, e=abs(u.a) + u.e + abs(v.a) + v.e)
        if far.e < 1 and all(x.a > x.e for x in both(far, far)):
            return True
        if min(x.sign() for x in both(u, v)) < 0:
            return False
    return False


def check_function(it: Steps, lower: Any) -> list[str]:
    """On some f in F(mu, L), M >= bound S: its points, gradients and values, all pairs interpolated.

    "start" is x_0, "gradients" and "values" are of f at y_i; the minimizer is 0, with the value 0.
    """
    shapes = "kind start:w gradients:Nw values:N bound:"
    _, start, u, f, bound = it.parts(lower, "lower", shapes).values()
    rest = [ZERO] * len(start)
    y = [minus(start, times(-ONE, dot(h, u[: len(h)]) or rest)) for h in it.points]
    points = [*zip(y, u, f, strict=True), (rest, rest, ZERO)]
    pairs = permutations(points, 2)
    inside = all(interpolated(it.mu, it.L, a, b).sign() >= 0 for a, b in pairs)
    require(inside, "the data of the lower bound belong to no function of the class")
    S = inner(start, start) if it.start == "distance" else f[it.first or 0]
    ends = {"value": f[-1], "gradient": inner(u[-1], u[-1]), "distance": inner(y[-1], y[-1])}
    attained = S.sign() > 0 and (ends[it.measure] - bound * S).sign() >= 0
    require(attained, "the function of the lower bound does not attain it")
    return [f"on a function in {len(start)} dimension(s), no c below {shown(bound)} holds"]


LOWER: dict[tuple[str, str], tuple[Any, Any]] = {
    ("rate", "spiral"): (Decay, check_spiral),
    ("rate", "quadratic"): (Decay, check_quadratic),
    ("quadratics", "quadratic"): (Decay, check_quadratic),
    ("flow", "quadratic"): (Flow, check_quadratic),
    ("horizon", "function"): (Steps, check_function),
}


def check_lower(kind: str, s: Mapping[str, Any], lower: Any) -> list[str]:
    """Prove the lower bound that belongs to a statement."""
    wanted = kind, lower.get("kind") if isinstance(lower, dict) else None
    if wanted not in LOWER:
        raise Refused("this kind of statement has no lower bound of this kind")
    read, prove = LOWER[wanted]
    said: list[str] = prove(read(s), lower)
    return said


# ---- The document --------------------------------------------------------------------------------
KINDS = {
    "rate": check_rate,
    "quadratics": check_quadratics,
    "flow": check_flow,
    "horizon": check_horizon,
    "potential": check_potential,
}


def check(document: Any) -> str:
    """What a document, as read from JSON, proves, in words; Refused if it does not."""
    try:
        return "\n".join(proved(document))
    except Refused:
        raise
    except Exception as e:
        raise Refused(f"the document is malformed ({type(e).__name__})") from None


def proved(document: Any) -> list[str]:
    """The same by lines."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        older = " older documents do not bind all they print: certify anew;" if schema else ""
        raise Refused(f"the schema is {brief(schema)};{older} this is a checker of {SCHEMA}")
    fields(document, "a certificate", "schema name kind statement witness", "lower")
    name, kind, s = document["name"], document["kind"], document["statement"]
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(s, dict):
        raise Refused(f"the kind is one of {', '.join(KINDS)}, not {brief(kind)}")
    short = isinstance(name, str) and len(name) <= 100 and name.isprintable() and name.isascii()
    require(short, "the name is a short text")
    lines = KINDS[kind](s, document["witness"])
    if "lower" in document:
        lines += ["and conversely:", *check_lower(kind, s, document["lower"])]
    word = f"(it calls the method {name!r}, a word that nothing here depends on)"
    return [*lines, word] if name else lines


def parse(text: str) -> Any:
    """A document from JSON, where no key may occur twice and no number may be a float."""

    def no_floats(text: str) -> None:
        raise Refused(f"numbers are text or whole, not {brief(text)}")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "a key occurs twice")
        return dict(pairs)

    require(len(text) <= BYTES, "the document is too long")
    try:
        return json.loads(
            text, object_pairs_hook=unique, parse_float=no_floats, parse_constant=no_floats
        )
    except Refused:
        raise
    except (RecursionError, ValueError):
        raise Refused("the document is no JSON, or nested too deeply") from None


def main(arguments: list[str]) -> int:
    """Check a file and print what it proves; 0 if it does."""
    if len(arguments) != 1:
        print("usage: check_certificate.py FILE")
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as file:
            print("proved:", check(parse(file.read(BYTES + 1))), sep="\n")
    except (OSError, ValueError) as error:
        print(f"not proved: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
