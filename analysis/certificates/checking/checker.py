"""Check a certificate of a convergence rate or bound; needs Python alone: python check_certificate.py FILE

The file holds a statement about a method and a class of functions, and a witness: numbers that make
the statement follow from inequalities. This script rebuilds the inequalities from the statement, in
exact arithmetic, and prints what they prove: nothing of the file is believed, and what is printed is
derived from the parts that were checked. The name of the method is a word; it is said to be one.

Numbers are "p/q", or ["a", "b"] for a + b sqrt(d) with one whole number d for all, or, where a number
lies in no such field, {"from": lo, "to": hi}: the statement is then about all numbers in between.
Each number, and each document, can be spelled in one way only; unknown parts are refused.

F(mu, L) is the class of functions f, in any dimension, that are mu-strongly convex and whose gradient
is L-Lipschitz. All kinds but one rest on its interpolation inequalities: for points y_i, gradients
L g_i and values L f_i, in this section's units, (Taylor, Hendrickx, Glineur, arXiv:1502.05666)
    0 <= Q_ij = 2(L-mu)(f_i - f_j - <g_j, y_i - y_j>)
                - L |g_i - g_j|^2 - mu |y_i - y_j|^2 + 2 mu <g_i - g_j, y_i - y_j>.
Point -1 is a minimizer x*, moved to 0, where the gradient and the value are 0. A form in inner
products of vectors of any dimension is at least 0 if its matrix is positive semidefinite.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, permutations, zip_longest
from math import ceil, isqrt
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


# ---- Numbers and polynomials ---------------------------------------------------------------------
class Number:
    """a + b sqrt(d) exactly, or any number that differs from a by at most e (then b = 0)."""

    __slots__ = ("a", "b", "d", "e")

    def __init__(self, a: Any, b: Any = 0, d: int = 1, e: Any = 0) -> None:
        self.a, self.b, self.d, self.e = a, b, d, e  # fractions or whole numbers

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
        d = max(self.d, other.d)
        if not (self.b or other.b):
            error = abs(self.a) * other.e + (abs(other.a) + other.e) * self.e
            return Number(self.a * other.a, 0, d, error)
        if self.e or other.e:
            raise Refused("an enclosure cannot be multiplied by a root")
        a = self.a * other.a + d * self.b * other.b
        return Number(a, self.a * other.b + self.b * other.a, d)

    def sign(self) -> int:
        """-1, 0 or 1; Refused where an enclosure does not tell."""
        a, b = self.a, self.b
        if self.e and abs(a) <= self.e:
            raise Refused("an enclosure is too wide to tell a sign")
        if a * b >= 0:  # no cancellation
            return int(a + b > 0) - int(a + b < 0)
        larger = a * a - self.d * b * b  # the sign of |a| - |b| sqrt(d)
        return (1 if a > 0 else -1) * (int(larger > 0) - int(larger < 0))

    def is_not_zero(self) -> bool:
        """Whether it is certain not to be zero."""
        return bool(self.b) or abs(self.a) > self.e

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

    __radd__, __rmul__ = __add__, __mul__

    def sign(self) -> int:
        """1 if positive, 0 if not negative for all t >= 0, as coefficients show; -1 if they do not."""
        signs = [x.sign() for x in self.c]
        return -1 if min(signs) < 0 else int(signs[0])


Row: TypeAlias = list[Any]  # of numbers, or of polynomials
Matrix: TypeAlias = list[Row]
Weights: TypeAlias = dict[tuple[int, int], Any]
ZERO, ONE, HALF = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(1, 2))


def reciprocal(x: Number) -> Number:
    """1 / x; ZeroDivisionError where x may be zero."""
    if x.e:
        if not x.is_not_zero():
            raise ZeroDivisionError
        ends = Fraction(1) / (x.a - x.e), Fraction(1) / (x.a + x.e)
        return Number((ends[0] + ends[1]) / 2, e=(ends[0] - ends[1]) / 2)
    norm = Fraction(x.a) ** 2 - x.d * Fraction(x.b) ** 2
    return Number(x.a / norm, -x.b / norm, x.d)


def rounded(x: Number, bits: int) -> Number:
    """An enclosure whose middle is a multiple of 2^-bits; that number itself if it is exactly one."""
    middle, error = Fraction(x.a) * 2**bits, x.e * 2**bits
    if x.b:
        root = isqrt(
            int(Fraction(x.b) ** 2 * x.d * 4**bits)
        )  # less than 1 below |b| sqrt(d) 2^bits
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
def rational(text: object) -> Fraction:
    """A fraction in lowest terms, spelled as Python prints it."""
    if not isinstance(text, str) or len(text) > 2 * DIGITS or set(text) - set("0123456789-/"):
        raise Refused(f"a number is text such as 2/3, not {brief(text)}")
    try:
        value = Fraction(text)
        same = str(value) == text
    except (ValueError, ZeroDivisionError):
        same = False
    if not same:
        raise Refused(f"{brief(text)} is not the only way to write a number, or too long")
    return value


def brief(value: object) -> str:
    """The beginning of what was found instead."""
    text = repr(value) if isinstance(value, (str, int, float, bool)) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}.."


def fields(value: Any, where: str, *needed: str, maybe: str = "") -> Mapping[str, Any]:
    """The same, an object with these keys and no others."""
    if not isinstance(value, dict) or not set(needed) <= set(value) <= {
        *needed,
        maybe or needed[0],
    }:
        found = ", ".join(map(brief, list(value)[:20])) if isinstance(value, dict) else brief(value)
        raise Refused(f"{where} needs exactly {', '.join(needed)}, not {found}")
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


class Reader:
    """Reads the numbers of one document, all of Q(sqrt d), or, for d = 1, also enclosures."""

    def __init__(self, d: object) -> None:
        if type(d) is not int or not 1 <= d < 10**80 or not square_free(d):
            raise Refused(f"d is a whole number without squares, not {brief(d)}")
        self.d, self.roots, self.enclosed = d, d == 1, False
        self.sizes: dict[str, int] = {}

    def number(self, value: Any) -> Number:
        """A number or an enclosure."""
        if isinstance(value, dict):
            ends = fields(value, "an enclosure", "from", "to")
            low, high = rational(ends["from"]), rational(ends["to"])
            self.enclosed = True
            if self.d != 1 or not low < high:
                raise Refused("an enclosure needs d = 1 and ends that differ")
            return Number((low + high) / 2, e=(high - low) / 2)
        if isinstance(value, list):
            a, b = map(rational, items(value, "a number a + b sqrt(d)", 2))
            self.roots = True
            if self.d == 1 or not b:
                raise Refused("a number with a root needs d > 1 and a factor that is not 0")
            return Number(a, b, self.d)
        return Number(rational(value), d=self.d)

    def said(self, *lines: str) -> list[str]:
        """The lines, unless there is a field that no number needs."""
        if not self.roots:
            raise Refused("d is not 1, but no number has a root")
        return [*lines]

    def table(self, value: Any, where: str, *lengths: str) -> Any:
        """Numbers in nested lists; equal names are equal lengths; "..." is any, but no 0 at the end."""
        if not lengths:
            return self.number(value)
        name, *others = lengths
        length = int(name) if name.isdigit() else self.sizes.get(name)
        found = items(value, where, length)
        if name != "...":
            self.sizes[name] = len(found)
        found = [self.table(x, where, *others) for x in found]
        if name == "..." and found and not found[-1]:
            raise Refused(f"{where} ends with 0")
        return found

    def parts(self, value: Any, where: str, /, **shapes: str | None) -> list[Any]:
        """The parts of an object with these keys, by their lengths; None leaves one as it is."""
        fields(value, where, *shapes)
        return [
            value[key] if shape is None else self.table(value[key], key, *shape.split())
            for key, shape in shapes.items()
        ]

    def symmetric(self, value: Any, size: int) -> Matrix:
        """A symmetric matrix by its upper triangle, row by row."""
        rows = [
            self.table(row, "P", f"{size - i}") for i, row in enumerate(items(value, "P", size))
        ]
        return [[rows[min(i, j)][abs(i - j)] for j in range(size)] for i in range(size)]

    def by_pair(self, value: Any, pairs: Iterable[tuple[int, int]], *lengths: str) -> Weights:
        """Weights, or polynomials, by pair; those that are 0 are left out."""
        names = {f"{i},{j}": (i, j) for i, j in pairs}
        if not isinstance(value, dict) or not set(value) <= set(names):
            raise Refused("a weight or polynomial belongs to a pair that is not there")
        found = {names[key]: self.table(x, "a weight", *lengths) for key, x in value.items()}
        if not all(found.values()):
            raise Refused("a weight or polynomial is 0")
        return found


def read(value: Any, d: int) -> Number:
    """A number of a document whose numbers lie in Q(sqrt d)."""
    return Reader(d).number(value)


# ---- Linear algebra: rows of numbers, or of polynomials ------------------------------------------
def inner(u: Iterable[Any], v: Iterable[Any]) -> Any:
    """The inner product, skipping zeros."""
    return sum((a * b for a, b in zip(u, v, strict=True) if a and b), ZERO)


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
    """Whether a symmetric matrix of numbers is positive semidefinite, or, if strict, definite.

    It is tried with enclosures of few digits; what these leave open is decided with the numbers.
    """
    try:
        return eliminated([[rounded(x, BITS) for x in row] for row in matrix], strict, BITS)
    except Refused:
        parts = [Fraction(part) for row in matrix for x in row for part in (x.a, x.b)]
    if max(part.denominator.bit_length() for part in parts) * len(matrix) ** 3 > WORK:
        raise Refused("the numbers are too long to decide whether a matrix is definite")
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
        if not pivot and any(top):
            raise Refused("an enclosure may be 0")
        numbers = isinstance(pivot, Number)
        by, over = (ONE, reciprocal(pivot)) if numbers and pivot else (pivot, ONE)
        for i, t in enumerate(top if pivot else ()):
            scaled = t * over
            rows[i] = [by * x - scaled * u for x, u in zip(rows[i], top[i:], strict=True)]
            rows[i] = [rounded(x, bits) for x in rows[i]] if bits else rows[i]
    return True


# ---- Points and inequalities ---------------------------------------------------------------------
class Points:
    """Gradient points and gradients as rows over some vectors, the minimizer last.

    ``slack`` has the factors of |dg|^2, |dy|^2, <dg, dy> and <g_j, dy> in -Q_ij.
    """

    y: Matrix
    g: Matrix
    slack: tuple[Any, Any, Any, Any]

    def set_class(self, mu: Number, L: Number) -> None:
        """The factors for F(mu, L)."""
        self.slack = (L, mu, -mu - mu, L - mu + L - mu)


def pairs_of(least: int, count: int) -> list[tuple[int, int]]:
    """Pairs of different points -1, ..., count - 1, the first of them at least ``least``."""
    return [(i, j) for i, j in permutations(range(STAR, count), 2) if i >= least]


def net(weights: Weights, i: int) -> Any:
    """How often, by weight, point i comes first in a pair, less how often it comes second."""
    return sum((w if a == i else -w for (a, b), w in weights.items() if i in (a, b)), ZERO)


def follow(lam: Weights, values: Sequence[Any]) -> Weights:
    """The weights of pairs (-1, i) for which sum values_i f_i - sum lambda_ij (f_i - f_j) is 0."""
    return {(STAR, i): net(lam, i) - value for i, value in enumerate(values)}


def subtract(it: Points, whole: Matrix, weights: Weights) -> Matrix:
    """whole - sum of weights Q_ij, without the function values; in place."""
    of_g, of_y, of_both, of_last = it.slack
    # sum w <u_i - u_j, v_i - v_j> = sum_ab between_ab <u_a, v_b>, sum w <g_j, dy> = sum_ab last_ab <g_a, y_b>
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


# ---- Linear methods ------------------------------------------------------------------------------
LISTS = {"A": "n n", "B": "n p", "C": "p n", "output": "n", "rest": "n"}


class Method(Reader, Points):
    """x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradients of f at the rows of y_k.

    A flow is x' = A x + B u, y = C x. The state rest x* stays and is read as x*: A rest = rest (of a
    flow 0), C rest = 1, output rest = 1. So differences to it obey the same equations with x* at 0.
    Of enclosures that is part of the hypothesis. Rows are over x, and u/L, or u of a flow.
    """

    def __init__(self, s: Mapping[str, Any], **more: str | None) -> None:
        super().__init__(s["d"])
        flow = self.flow = "rate" in more
        names = {**LISTS, "mu": "", "L": None, "d": None, **more, **({} if flow else {"D": "p p"})}
        found = self.parts(s, "the statement", **names)
        self.A, self.B, self.C, self.output, self.rest, self.mu, L, _, self.claim = found[:9]
        self.n, self.p = self.sizes["n"], self.sizes["p"]
        self.D = zeros(self.p) if flow else found[-1]
        self.infinite = flow and L == "infinity"
        self.L = ZERO if self.infinite else self.number(L)
        narrow = not self.infinite and (self.L - self.mu).sign() < flow
        if not self.n * self.p or self.mu.sign() < 1 or narrow:
            raise Refused(f"a state, a gradient and 0 < mu {'<' if flow else '<='} L are needed")
        rows = [
            [x - ONE if i == j and not flow else x for j, x in enumerate(row)]
            for i, row in enumerate(self.A)
        ]
        off = [inner(row, self.rest) for row in rows]
        off += [inner(row, self.rest) - ONE for row in (*self.C, self.output)]
        boxes = any(x.e for row in (*self.A, *self.C, self.output) for x in row)
        if any(x.is_not_zero() for x in off) or (any(x.e for x in self.rest) and not boxes):
            raise Refused("the state rest does not rest at a minimizer, or is not read as it")
        unit = ONE if flow else self.L
        self.moves = [[*a, *(unit * e for e in b)] for a, b in zip(self.A, self.B, strict=True)]
        self.reads = [[*c, *(unit * e for e in d)] for c, d in zip(self.C, self.D, strict=True)]

    def words(self, *claim: str) -> list[str]:
        """The statement, for readers."""
        law = "x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k"
        names: tuple[str, ...] = ("A", "B", "C", "D", "output", "rest")
        if self.flow:
            law, names = "x' = A x + B u, y = C x", tuple(LISTS)
        L = "infinity (f continuously differentiable)" if self.infinite else shown(self.L)
        return self.said(
            f"about {law}, u the gradients of f at the {self.p} row(s) of y, with",
            *(f"  {name} = {shown(getattr(self, name))}" for name in names),
            *["  whatever the numbers in these enclosures, if rest rests at minimizers"]
            * self.enclosed,
            f"for every f in F(mu, L) in any dimension, mu = {shown(self.mu)}, L = {L}",
            *claim,
        )

    def proved(self, w: Any, size: int, z: Row, nu: Weights, lam: Weights) -> None:
        """Prove that E and D of `remainders` are positive, and all weights."""
        E, D, star = self.remainders(self.symmetric(w["P"], size), nu, lam)
        if any(x.sign() < 0 for x in (*nu.values(), *lam.values(), *star.values())):
            raise Refused("a weight is negative")
        if "weight" in w:
            weight = self.number(w["weight"])
            if weight.sign() < 1:
                raise Refused("the weight is not positive")
            add_square(E, -weight, z, z)
        if not definite(E, "weight" not in w) or not definite(D):
            raise Refused("E or D is not positive")

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """E and D without function values, and the lambda of pairs (-1, i)."""
        raise NotImplementedError


class Decay(Method):
    """A method with a rate 1 - gap, 0 < gap <= 1; what is "bounded" belongs to kind "rate"."""

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s, gap="", **({"bounded": None} if "bounded" in s else {}))
        self.gap, self.rate, self.bounded = self.claim, ONE - self.claim, s.get("bounded")
        known = self.bounded in ("state", "output", None)
        if self.gap.sign() < 1 or self.rate.sign() < 0 or not known:
            raise Refused("a gap from 0 to 1 is needed, and state or output as what is bounded")


class Inequality(Decay):
    """The statement: |x_k - rest x*| ("state") or |output x_k - x*| ("output") is O(rate^k).

    With W = (x_k, u_k/L, ..., u_{k+s-1}/L), s = memory, V = L W'P W + sum p_i f_i, the witness has
    weights nu, lambda > 0 and P with
        rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E,    E > 0 (the state), or E >= weight |z|^2 (the output),
    z = (output of x_{k+s}) - share (output of x_{k+s-1}), |share| < rate, share = 0 if none is given.
    So V_k <= rate^2k V_0, and V bounds what is bounded: where z_k = O(rate^k), so is the output.
    p_i and the lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over
    (x_k, u_k/L, ..., u_{k+s}/L).
    """

    def __init__(self, s: Mapping[str, Any], memory: object) -> None:
        super().__init__(s)
        n, p = self.n, self.p
        if type(memory) is not int or not 0 <= memory < 10 or not self.bounded:
            raise Refused("memory is a whole number from 0 to 9, the state or the output bounded")
        if n + p * (memory + 1) > LARGEST:
            raise Refused("the method is too large")
        self.early, size = p * memory, n + p * (memory + 1)
        unit, self.y = units(size), []
        self.states = [unit[:n]]
        for at_u in range(n, size, p):
            known = self.states[-1] + unit[at_u : at_u + p]
            self.y += [dot(row, known) for row in self.reads]
            self.states.append([dot(row, known) for row in self.moves])
        self.later = self.states[1] + unit[n + p :]
        self.y, self.g = [*self.y, [ZERO] * size], [*unit[n:], [ZERO] * size]
        self.set_class(self.mu, self.L)

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """E and D without function values, and the lambda of pairs (-1, i)."""
        tau, m, p, size = self.rate * self.rate, len(P), self.p, len(self.later[0])
        now = [net(nu, i) for i in range(size - self.n)]
        star = follow(lam, [tau * a - b for a, b in zip(now, [ZERO] * p + now, strict=False)])
        E, D, W = zeros(size), zeros(size), units(size)[:m]
        add_form(add_form(D, tau * self.L, P, W), -self.L, P, self.later)
        subtract(self, add_form(E, self.L, P, W), nu)
        return [row[:m] for row in E[:m]], subtract(self, D, {**lam, **star}), star


def check_rate(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Inequality`."""
    output = s.get("bounded") == "output"
    fields(
        w,
        "the witness",
        "memory",
        "P",
        "nu",
        "lambda",
        *["weight"] * output,
        maybe="share" * output,
    )
    it = Inequality(s, w["memory"])
    m, z = it.n + it.early, dot(it.output, it.states[-2])
    if "share" in w:
        share, before = it.number(w["share"]), dot(it.output, it.states[-3])
        if not share or (it.rate * it.rate - share * share).sign() < 1:
            raise Refused("a share is not 0, and less than the rate in size")
        z = [a - share * b for a, b in zip(z, before, strict=True)]
    nu, lam = it.by_pair(w["nu"], pairs_of(STAR, it.early)), pairs_of(0, it.early + it.p)
    it.proved(w, m, z[:m], nu, it.by_pair(w["lambda"], lam))
    what = "|output x_k - x*|" if output else "|x_k - rest x*|, and so |output x_k - x*|,"
    return it.words(
        "from every start, for every run there is (exactly one if D = 0)",
        f"{what} = O(r^k), r = 1 - gap = {shown(it.rate)}, gap = {shown(it.gap)}"
        + ("" if it.rate else ": 0 from some k on"),
    )


class Flow(Method):
    """The statement: |output x(t) - x*| = O(exp(-rate t)) along X' = A X + B u, y = C X.

    u are the gradients of f at the rows of y, f in F(mu, L) and continuously differentiable, s = 1/L
    (0 for L = infinity). With V = X'P X + sum p_i (f_i - f*) and the inequalities Q_ij, here with f and
    g as they are and all times s, between points of one time, the witness has nu, lambda > 0 and P with
        - V' - 2 rate V - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E >= weight |output|^2.
    p_i and the lambda of pairs (-1, i) are those for which the f_i cancel; V' is along the flow, with
    f_i' = <u_i, y_i'>. Rows are over (X, u).
    """

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s, rate="")
        self.rate, size = self.claim, self.n + self.p
        if self.rate.sign() < 0:
            raise Refused("the rate is negative")
        self.y, self.g = [*self.reads, [ZERO] * size], [*units(size)[self.n :], [ZERO] * size]
        inverse = ZERO if self.infinite else reciprocal(self.L)
        both = self.mu * inverse + self.mu * inverse
        self.slack = (inverse, self.mu, -both, ONE + ONE - both)

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """E and D without function values, and the lambda of pairs (-1, i)."""
        n, p, double = self.n, self.p, self.rate + self.rate
        values, X = [net(nu, i) for i in range(p)], units(n + p)[:n]
        star = follow(lam, [-double * x for x in values])
        E, D = add_form(zeros(n + p), ONE, P, X), add_form(zeros(n + p), -double, P, X)
        for row, image in zip(P, self.moves, strict=True):  # - 2 X'P (A X + B u)
            add_square(D, -ONE - ONE, row + [ZERO] * p, image)
        for x, g, c in zip(values, self.g, self.C, strict=False):
            add_square(D, -self.slack[3] * x, g, dot(c, self.moves))
        return subtract(self, E, nu), subtract(self, D, {**lam, **star}), star


def check_flow(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Flow`."""
    fields(w, "the witness", "P", "nu", "lambda", "weight")
    it = Flow(s)
    nu, lam = it.by_pair(w["nu"], pairs_of(STAR, it.p)), it.by_pair(w["lambda"], pairs_of(0, it.p))
    it.proved(w, it.n, [*it.output, *[ZERO] * it.p], nu, lam)
    return it.words(
        "from every start, as long as the solution exists (for finite L: forever)",
        f"|output x(t) - x*| = O(exp(-r t)), r = {shown(it.rate)}",
    )


# ---- Kind "quadratics", and lower bounds by them -------------------------------------------------
def poles(m: Method, low: Number, high: Number, gain: Sequence[Number] | None = None) -> Row:
    """det [[z I - A - gain output, -c B], [-C, I - c D]] (1 + t)^p by its powers of z, highest first.

    c = (low + high t)/(1 + t), which is between low and high for t >= 0: coefficients are polynomials
    in t. The roots are the poles of the method on an eigenvector of curvature c, where u = c y, if
    gain times the output is added to each next state.
    """
    n, rows = m.n, []
    if n > 8 or n + m.p > 12:
        raise Refused("poles are for at most 8 states, 12 with the gradients")
    for i, own in enumerate(units(n)):
        g = gain[i] if gain else ZERO
        left = [Polynomial([-a - g * o, e]) for a, o, e in zip(m.A[i], m.output, own, strict=True)]
        rows.append([*left, *(Polynomial([Polynomial([-low * b, -high * b])]) for b in m.B[i])])
    for c, d, own in zip(m.C, m.D, units(m.p), strict=True):
        right = [Polynomial([e - low * x, e - high * x]) for e, x in zip(own, d, strict=True)]
        rows.append([*(Polynomial([-x]) for x in c), *(Polynomial([x]) for x in right)])
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
        p = [head * a - tail * b for a, b in zip(p[:-1], p[:0:-1], strict=True)]
    a, b, c = [*p, ZERO, ZERO][:3]
    return strict or (a.sign() > 0 and min(x.sign() for x in (a + b + c, a - b + c, a - c)) >= 0)


def check_quadratics(s: Mapping[str, Any], w: Any) -> list[str]:
    """The statement: on each quadratic with Hessian between mu and L no pole exceeds the rate.

    The witness has the numbers that cut [mu, L] into intervals, on each of which coefficients show signs.
    """
    it = Decay(s)
    cuts = items(fields(w, "the witness", "cuts")["cuts"], "cuts")
    ends = [it.mu, *map(it.number, cuts), it.L, it.L]
    if it.bounded or any((b - a).sign() < 0 for a, b in pairwise(ends)):
        raise Refused("cuts that grow are needed, and nothing that is bounded")
    if not all(within(poles(it, a, b), it.rate, False) for a, b in pairwise(ends)):
        raise Refused("a pole may be larger than the rate")
    return it.words(
        "if f is a quadratic, from every start (each has exactly one run)",
        "all poles are at most r in modulus, so that |x_k - rest x*| = O(s^k) for every s > r,",
        f"r = 1 - gap = {shown(it.rate)}, gap = {shown(it.gap)}",
    )


# ---- Kind "horizon" ------------------------------------------------------------------------------
MEASURES = {"value": "f(y_N) - f*", "gradient": "|grad f(y_N)|^2", "distance": "|y_N - x*|^2"}
STARTS = {"distance": "|x_0 - x*|^2", "value": "(f(x_0) - f*)"}


class Steps(Reader, Points):
    """The statement: M <= bound S, for y_i = x_0 + sum_j points_ij u_j, u_i the gradient of f at y_i.

    i = 0, ..., N; row i of the table ends with its last number that is not 0. M ("measure") is of y_N,
    "value", "gradient" or "distance" as in MEASURES; S ("start") is "distance" or "value" as in STARTS,
    and for the latter some y_i is x_0. f is in F(mu, L), 0 <= mu < L, with a minimizer x*. The witness
    has lambda > 0 with
        2(L-mu)(bound S - M) - L sum lambda_ij Q_ij = D >= 0.
    The lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over (x_0, u_0/L, ..., u_N/L).
    """

    def __init__(self, s: Mapping[str, Any]) -> None:
        super().__init__(s["d"])
        names = {"mu": "", "L": "", "bound": "", "points": "N ..."}
        found = self.parts(s, "the statement", d=None, measure=None, start=None, **names)
        _, self.measure, self.start, self.mu, self.L, self.bound, self.points = found
        if self.mu.sign() < 0 or min((self.L - self.mu).sign(), self.bound.sign()) < 1:
            raise Refused("0 <= mu < L and a positive bound are needed")
        self.first = next((i for i, row in enumerate(self.points) if not row), None)
        known = self.measure in MEASURES and self.start in STARTS
        if not known or (self.start == "value" and self.first is None):
            raise Refused("the measure or the start is unknown, or no point is the start")
        size = len(self.points) + 1
        self.far, *self.g = units(size)
        self.y = [
            [ONE, *(x * self.L for x in row), *[ZERO] * (size - 1 - len(row))]
            for row in self.points
        ]
        self.y, self.g = [*self.y, [ZERO] * size], [*self.g, [ZERO] * size]
        self.set_class(self.mu, self.L)

    def follows(self, lam: Weights) -> Weights:
        """The lambda of pairs (-1, i)."""
        values = [ZERO] * len(self.points)
        if self.measure == "value":
            values[-1] -= ONE
        if self.start == "value":
            values[self.first or 0] += self.bound
        return follow(lam, values)

    def remainder(self, weights: Weights) -> Matrix:
        """D without the function values."""
        twice, D = self.slack[3], zeros(len(self.far))
        if self.start == "distance":
            add_square(D, twice * self.bound, self.far, self.far)
        end = {"gradient": [self.L * x for x in self.g[-2]], "distance": self.y[-2]}
        if self.measure in end:
            add_square(D, -twice, end[self.measure], end[self.measure])
        return subtract(self, D, {ij: self.L * w for ij, w in weights.items()})


def check_horizon(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequality of `Steps`."""
    it = Steps(s)
    N = len(it.points) - 1
    given = it.by_pair(fields(w, "the witness", "lambda")["lambda"], pairs_of(0, N + 1))
    lam = {**given, **it.follows(given)}
    if any(x.sign() < 0 for x in lam.values()) or not definite(it.remainder(lam)):
        raise Refused("a weight is negative, or D is not positive")
    return it.said(
        f"about y_i = x_0 + sum_j h_ij u_j, u_i the gradient of f at y_i, i = 0, ..., N = {N}, with",
        *(f"  h_{i} = {shown(row)}" for i, row in enumerate(it.points)),
        *["  whatever the numbers in these enclosures"] * it.enclosed,
        f"for every f in F(mu, L), mu = {shown(it.mu)}, L = {shown(it.L)}, with a minimizer x*, in any dimension",
        "from every x_0, for every run there is (exactly one if no h_ij has j >= i)",
        f"{MEASURES[it.measure]} <= c {STARTS[it.start]}, c = {shown(it.bound)}, N = {N}",
    )


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
    L-Lipschitz gradient and a minimizer; x_0 = rest p, p any point, where A rest = rest, C rest = 1,
    output rest = 1 at every step. The end is y_k, or the output of x_{k+1}. Coefficients depend on a
    clock t_k: A and B are polynomials in v over "step_unit"(v), C, D and output are polynomials in t
    over "point_unit"(t); t_k = now(v_k)/over(v_k) and t_{k+1} = next(v_k)/over(v_k), v_k >= from = v_0.
    There are such v_k: now/over grows beyond all bounds, and next >= now.
    With -1 the minimizer, 0 this y, 1 the next (in "nu" the output), and with polynomials a, Q, nu in t,
    and lambda in t_k and t_{k+1}, of degree 2, the witness has, in units of L,
        V = a (f(y) - f*) + [x; u]'Q [x; u],    Q_ij = 2 (f_i - f_j - <g_j, y_i - y_j>) - |g_i - g_j|^2,
        V - V+ - sum lambda Q = D >= 0,         V - growth (f(end) - f*) - sum nu Q = E >= 0,
        |p - x*|^2 - V_0 - sum first Q >= 0.
    All this is polynomial in t >= 0 where v = from + t.
    """

    def __init__(self, s: Mapping[str, Any], w: Mapping[str, Any]) -> None:
        super().__init__(s["d"])
        shapes = {
            "A": "n n ...",
            "B": "n ...",
            "C": "n ...",
            "output": "n ...",
            "rest": "n",
            "L": "",
        }
        self.A, self.B, self.C, self.output, self.rest, self.L, *more = self.parts(
            s,
            "the statement",
            **shapes,
            D="...",
            step_unit="...",
            point_unit="...",
            growth="...",
            clock=None,
            bounded=None,
            d=None,
        )
        self.D, self.step_unit, self.point_unit, self.growth, clock, self.bounded, _ = more
        clocks = {"now": "...", "next": "...", "over": "...", "from": ""}
        self.now, self.next, self.over, self.begin = self.parts(clock, "the clock", **clocks)
        fields(w, "the witness", "a", "Q", "lambda", "nu", "first")
        self.a, n = self.table(w["a"], "a", "..."), self.sizes["n"]
        entries = [(i, j) for i in range(n + 1) for j in range(i, n + 1)]
        powers = [(i, j) for i in range(3) for j in range(3 - i)]
        ends = pairs_of(STAR, 1 if self.bounded == "point" else 2)
        self.Q, self.nu = self.by_pair(w["Q"], entries, "..."), self.by_pair(w["nu"], ends, "...")
        self.first, pairs = self.by_pair(w["first"], pairs_of(STAR, 1)), pairs_of(STAR, 2)
        names = {f"{i},{j}": (i, j) for i, j in pairs}
        self.lam = {names[key]: self.by_pair(p, powers) for key, p in w["lambda"].items()}
        of_v = [
            self.now,
            self.next,
            self.over,
            self.step_unit,
            *self.B,
            *(e for row in self.A for e in row),
        ]
        of_t = [self.D, self.point_unit, *self.C, *self.output]
        if max(map(len, of_v)) * max(map(len, of_t)) * 2**n > 256 or not all(self.lam.values()):
            raise Refused("degrees are too high, states too many, or a weight in lambda is 0")
        high = max(map(len, (self.a, self.growth, *self.Q.values(), *self.nu.values()))) > 3
        if self.enclosed or self.L.sign() < 1 or high or self.bounded not in ("point", "output"):
            raise Refused("exact numbers, L > 0 and polynomials of degree 2 are needed")
        grows = len(self.now) > len(self.over) > 0
        if not grows or (self.now[-1] * self.over[-1]).sign() < 1:
            raise Refused("the clock does not go on for ever")


class Step(Points):
    """One step at v: rows times ``scale``, forms times (scale over)^2, function values times over^2."""

    def __init__(self, it: Potential, v: Any) -> None:
        n = len(it.rest)
        over, now, ahead, step = (at(p, v) for p in (it.over, it.now, it.next, it.step_unit))
        readers = [*it.C, it.D, it.point_unit, *it.output]
        degree = max(map(len, readers)) - 1
        here, there = ([at(p, t, over, degree) for p in readers] for t in (now, ahead))
        moves = [[at(e, v) for e in (*row, b)] for row, b in zip(it.A, it.B, strict=True)]
        unit, unit_next = here[n + 1], there[n + 1]
        self.over, self.scale, self.rises = over, unit * unit_next * step, ahead - now
        # A rest - rest, C rest - 1 and output rest - 1, times what they are over
        self.off = [
            inner(row[:n], it.rest) - step * x for row, x in zip(moves, it.rest, strict=True)
        ]
        self.off += [inner(row, it.rest) - unit for row in (here[:n], here[n + 2 :])]
        # rows over (x, u, next u): this y, the next, the output; state and gradient before and after
        one = [[self.scale * x for x in row] for row in units(n + 2)]
        y = [*(unit_next * step * e for e in here[: n + 1]), ZERO]
        later, end = (
            [*dot([unit * e for e in row], moves), ZERO] for row in (there[:n], there[n + 2 :])
        )
        later[-1] = there[n] * unit * step
        after = [[*(unit * unit_next * e for e in row), ZERO] for row in moves] + [one[-1]]
        # forms and multipliers, and the function values that are left
        self.slack, self.g = (ONE, ZERO, ZERO, ONE + ONE), [*one[n:], [ZERO] * (n + 2)]
        self.lam = {}
        for key, p in it.lam.items():
            factors = [([now] * i + [ahead] * j + [over] * 2)[:2] for i, j in p]
            self.lam[key] = inner(p.values(), [a * b for a, b in factors])
        self.nu = {key: at(p, now, over, 2) for key, p in it.nu.items()}
        self.a, a_next, self.growth = (
            at(p, t, over, 2) for p, t in ((it.a, now), (it.a, ahead), (it.growth, now))
        )
        self.V, D = zeros(n + 2), zeros(n + 2)
        for (i, j), p in it.Q.items():
            add_square(self.V, at(p, now, over, 2), one[i], one[j])
            add_square(D, at(p, now, over, 2), one[i], one[j])
            add_square(D, -at(p, ahead, over, 2), after[i], after[j])
        self.y = [y, later, [ZERO] * (n + 2)]
        self.D = subtract(self, D, self.lam)
        self.y[1] = end
        self.E = subtract(self, [list(row) for row in self.V], self.nu)
        two, at_y = ONE + ONE, it.bounded == "point"
        self.off += [
            self.a - two * net(self.lam, 0),
            -a_next - two * net(self.lam, 1),
            self.a - two * net(self.nu, 0) - (self.growth if at_y else ZERO),
            -two * net(self.nu, 1) - (ZERO if at_y else self.growth),
        ]


def check_potential(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Potential`."""
    it = Potential(s, w)
    step, first = Step(it, Polynomial([it.begin, ONE])), Step(it, it.begin)
    if any(step.off):
        raise Refused(
            "function values are left, or the state rest does not rest, or is not read as 1"
        )
    if min(x.sign() for x in (step.over, step.scale, step.growth)) < 1:
        raise Refused("growth, or what is divided by, is not positive")
    if any(x.sign() < 0 for x in (step.rises, *step.lam.values(), *step.nu.values())):
        raise Refused("a weight is negative, or the clock goes back")
    if not eliminated(step.D) or not eliminated(step.E):
        raise Refused("D or E is not positive")
    # at the start, over p - x* and u_0
    square = first.over * first.over
    weights = {key: square * x for key, x in it.first.items()}
    S = [[-x for x in row] for row in first.V]
    into = [[x, ZERO] for x in it.rest] + [[ZERO, ONE], [ZERO, ZERO]]
    S = add_form(zeros(2), ONE, subtract(first, S, weights), into)
    S[0][0] += square * first.scale * first.scale
    if first.a + (ONE + ONE) * net(weights, 0) or any(x.sign() < 0 for x in weights.values()):
        raise Refused("function values are left at the start, or a weight is negative")
    if not definite(S):
        raise Refused("V is too large at the start")
    names = ("A", "B", "step_unit", "C", "D", "output", "point_unit", "now", "next", "over")
    return it.said(
        "about x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradient of f at y_k over L, where",
        "A, B are over step_unit and C, D, output over point_unit, polynomials by coefficients, lowest first,",
        "A, B, step_unit in v_k, C, D, output, point_unit in t_k, with t_k = now(v_k)/over(v_k) and",
        f"t_k+1 = next(v_k)/over(v_k), v_k >= v_0 = {shown(it.begin)}:",
        *(f"  {name} = {shown(getattr(it, name))}" for name in names),
        f"for every convex f with L-Lipschitz gradient, L = {shown(it.L)}, and a minimizer x*, in any dimension",
        f"from every start at rest, x_0 = v (a point p), v = {shown(it.rest)}, for every run there is",
        f"f({'y_k' if it.bounded == 'point' else 'output x_k+1'}) - f* <= L |p - x*|^2 / growth(t_k)"
        f" for k = 0, 1, 2, ..., growth = {shown(it.growth)}",
    )


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
    shapes = {"kind": None, "curvature": "", "gain": "n", name: ""}
    _, c, gain, claim = m.parts(lower, "lower", **shapes)
    own, fed = poles(m, c, c), poles(m, c, c, gain)
    if m.flow:
        slow = not all_left(own, -claim) and all_left(fed, -claim)
    else:
        slow = not within(own, ONE - claim, True) and within(fed, ONE - claim, True)
    inside = (c - m.mu).sign() >= 0 and (m.infinite or (m.L - c).sign() >= 0)
    if not slow or not inside or claim.sign() < 0:
        raise Refused(
            "the quadratic may be faster than the lower bound says, or is not in F(mu, L)"
        )
    return [f"on the quadratic of curvature {shown(c)} no {name} above {shown(claim)} holds"]


def interpolated(mu: Any, L: Any, one: Sequence[Any], other: Sequence[Any]) -> Any:
    """L Q_ij for two points, gradients and values in numbers."""
    (y, g, f), (y_j, g_j, f_j), twice = one, other, L - mu + L - mu
    dy, dg = ([a - b for a, b in zip(*pair, strict=True)] for pair in ((y, y_j), (g, g_j)))
    slack = twice * (f - f_j - inner(g_j, dy)) - inner(dg, dg) - mu * L * inner(dy, dy)
    return slack + (mu + mu) * inner(dg, dy)


def check_spiral(m: Method, lower: Any) -> list[str]:
    """On some f in F(mu, L) of the plane a run has y_t = z^t, |z| >= 1 - gap, and an output that moves.

    One gradient a step: x_t = z^t state, with gradients G z^t, z state = A state + B G, C state + D G = 1.
    With f_t = value |y_t|^2 all pairs of points, and the minimizer as w = 0, satisfy the interpolation
    inequalities if (1, w) and (w, 1) do for all w = z^j, which is settled for all |w| <= e at once.
    """
    shapes = {"real": "", "imaginary": "", "value": "", "gap": "", "state": "2 n", "gradient": "2"}
    _, p, q, value, gap, (s, t), G = m.parts(lower, "lower", kind=None, **shapes)
    off = [inner(m.C[0], s) + m.D[0][0] * G[0] - ONE, inner(m.C[0], t) + m.D[0][0] * G[1]]
    for row, b, x, y in zip(m.A, m.B, s, t, strict=True):
        off += [p * x - q * y - inner(row, s) - b[0] * G[0]]
        off += [p * y + q * x - inner(row, t) - b[0] * G[1]]
    size, moves = p * p + q * q, inner(m.output, s) or inner(m.output, t)
    if m.p != 1 or m.enclosed or any(off) or not moves or gap.sign() < 0:
        raise Refused("the spiral is no run of the method, or its output rests")
    if (ONE - gap).sign() < 1 or (size - (ONE - gap) * (ONE - gap)).sign() < 0:
        raise Refused("the spiral is faster than it says")
    if not spirals(*(rounded(x, 256) for x in (m.mu, m.L, p, q, *G, value))):
        raise Refused("the gradients along the spiral are those of no function of the class")
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
        u, v = rounded(u * p - v * q, 256), rounded(u * q + v * p, 256)
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
    shapes = {"start": "wide", "gradients": "N wide", "values": "N", "bound": ""}
    _, start, u, f, bound = it.parts(lower, "lower", kind=None, **shapes)
    rest = [ZERO] * len(start)
    y = [
        [x + dx for x, dx in zip(start, dot(h, u[: len(h)]) or rest, strict=True)]
        for h in it.points
    ]
    points = [*zip(y, u, f, strict=True), (rest, rest, ZERO)]
    if any(interpolated(it.mu, it.L, a, b).sign() < 0 for a, b in permutations(points, 2)):
        raise Refused("the data of the lower bound belong to no function of the class")
    S = inner(start, start) if it.start == "distance" else f[it.first or 0]
    M = {"value": f[-1], "gradient": inner(u[-1], u[-1]), "distance": inner(y[-1], y[-1])}[
        it.measure
    ]
    if S.sign() < 1 or (M - bound * S).sign() < 0:
        raise Refused("the function of the lower bound does not attain it")
    return [f"on a function in {len(start)} dimension(s), no c below {shown(bound)} holds"]


def check_lower(kind: str, s: Mapping[str, Any], lower: Any) -> list[str]:
    """Prove the lower bound that belongs to a statement."""
    wanted = kind, lower.get("kind") if isinstance(lower, dict) else None
    if wanted == ("horizon", "function"):
        return check_function(Steps(s), lower)
    if wanted == ("rate", "spiral"):
        return check_spiral(Decay(s), lower)
    if wanted == ("flow", "quadratic"):
        return check_quadratic(Flow(s), lower)
    if wanted in (("rate", "quadratic"), ("quadratics", "quadratic")):
        return check_quadratic(Decay(s), lower)
    raise Refused("this kind of statement has no lower bound of this kind")


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
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as e:
        malformed = f"the document is malformed ({type(e).__name__})"
        raise Refused(str(e) if isinstance(e, Refused) else malformed) from None


def proved(document: Any) -> list[str]:
    """The same by lines."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        older = " older documents do not bind all they print: certify anew;" if schema else ""
        raise Refused(f"the schema is {brief(schema)};{older} this is a checker of {SCHEMA}")
    parts = ("schema", "name", "kind", "statement", "witness")
    fields(document, "a certificate", *parts, maybe="lower")
    name, kind, s = document["name"], document["kind"], document["statement"]
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(s, dict):
        raise Refused(f"the kind is one of {', '.join(KINDS)}, not {brief(kind)}")
    if not isinstance(name, str) or len(name) > 100 or not (name.isprintable() and name.isascii()):
        raise Refused("the name is a short text")
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
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Refused("a key occurs twice")
        return found

    if len(text) > BYTES:
        raise Refused("the document is too long")
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
