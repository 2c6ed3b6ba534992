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
from itertools import combinations_with_replacement, pairwise, permutations
from math import comb, isqrt, lcm
from typing import Any, TypeAlias

SCHEMA = "odescent.certificate/2"
STAR = -1  # the minimizer among the points
DIGITS = 4000  # of a whole number
BYTES = 10**7  # of a file
LARGEST = 128  # rows of a matrix


class Refused(ValueError):
    """The document does not prove a statement; the message says where."""


# ---- Numbers -------------------------------------------------------------------------------------


class Number:
    """a + b sqrt(d) exactly, or any number that differs from a by at most e (then b = 0)."""

    __slots__ = ("a", "b", "d", "e")
    a: Fraction
    b: Fraction
    d: int
    e: Fraction

    def __init__(self, a: Any, b: Any = 0, d: int = 1, e: Any = 0) -> None:
        self.a, self.b, self.d, self.e = a, b, d, e  # fractions or whole numbers

    def __bool__(self) -> bool:
        return bool(self.a or self.b or self.e)

    def __add__(self, other: Number) -> Number:
        d = max(self.d, other.d)  # 1 for rational constants
        return Number(self.a + other.a, self.b + other.b, d, self.e + other.e)

    def __neg__(self) -> Number:
        return Number(-self.a, -self.b, self.d, self.e)

    def __sub__(self, other: Number) -> Number:
        d = max(self.d, other.d)
        return Number(self.a - other.a, self.b - other.b, d, self.e + other.e)

    def __mul__(self, other: Number) -> Number:
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
        if self.e and (b or abs(a) <= self.e):
            raise Refused("an enclosure is too wide to tell a sign")
        if a * b >= 0:  # no cancellation
            return (a + b > 0) - (a + b < 0)
        larger = a * a - self.d * b * b  # the sign of |a| - |b| sqrt(d)
        return (1 if a > 0 else -1) * ((larger > 0) - (larger < 0))

    def is_not_zero(self) -> bool:
        """Whether it is certain not to be zero."""
        return bool(self.b) or abs(self.a) > self.e

    def __str__(self) -> str:
        if self.e:
            return f"{self.a - self.e} to {self.a + self.e}"
        if not self.b:
            return str(self.a)
        top, bottom = abs(Fraction(self.b)).as_integer_ratio()
        root = ("" if top == 1 else f"{top}*") + f"sqrt({self.d})"
        root += "" if bottom == 1 else f"/{bottom}"
        if not self.a:
            return root if self.b > 0 else f"-{root}"
        return f"{self.a} {'+' if self.b > 0 else '-'} {root}"


Row: TypeAlias = list[Number]
Matrix: TypeAlias = list[list[Number]]
Weights: TypeAlias = dict[tuple[int, int], Number]
ZERO, ONE, HALF = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(1, 2))


def total(terms: Iterable[Number]) -> Number:
    """The sum."""
    return sum(terms, ZERO)


def reciprocal(x: Number) -> Number:
    """1 / x; ZeroDivisionError where x may be zero."""
    if x.e:
        if not x.is_not_zero():
            raise ZeroDivisionError
        ends = Fraction(1) / (x.a - x.e), Fraction(1) / (x.a + x.e)
        return Number((ends[0] + ends[1]) / 2, e=(ends[0] - ends[1]) / 2)
    norm = Fraction(x.a) ** 2 - x.d * Fraction(x.b) ** 2
    return Number(x.a / norm, -x.b / norm, x.d)


def enclosed(x: Number, bits: int = 256) -> Number:
    """The number as a rational one, up to an error of about 2^-bits."""
    if not x.b:
        return x
    size = bits + Fraction(abs(x.b)).__ceil__().bit_length()
    root = Fraction(isqrt(x.d << (2 * size)), 1 << size)
    return Number(x.a + x.b * root, e=abs(x.b) / Fraction(1 << size))


def about(x: Number) -> str:
    """The number to ten digits, for readers, with two points behind it unless that is all of it."""
    middle = Fraction(enclosed(x, 4096).a)
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 10, 10**6, -(10**6)
        found = Decimal(middle.numerator) / Decimal(middle.denominator)
    return f"{found:g}" + ("" if not (x.b or x.e) and Fraction(found) == middle else "..")


def shown(x: Number) -> str:
    """The number exactly, and to ten digits unless it is whole."""
    whole = not (x.b or x.e) and Fraction(x.a).denominator == 1
    return str(x) if whole else f"{x} = {about(x)}"


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
    if not isinstance(value, dict) or not set(needed) <= set(value) <= {*needed, *maybe.split()}:
        found = (
            ", ".join(sorted(map(brief, value))[:20]) if isinstance(value, dict) else brief(value)
        )
        raise Refused(f"{where} needs exactly {', '.join(needed)}, not {found}")
    return value


def items(value: Any, where: str, length: int | None = None, least: int = 0) -> list[Any]:
    """The same, a list of this length."""
    right = isinstance(value, list) and least <= len(value) <= (
        LARGEST if length is None else length
    )
    if not right or length not in (None, len(value)):
        raise Refused(f"{where} is no list of the length that fits")
    return list(value)


@lru_cache
def square_free(n: int) -> bool:
    """Whether no square but 1 divides n, as far as divisors up to 100,000 tell."""
    if n > 1 and isqrt(n) ** 2 == n:
        return False
    return all(n % k**2 for k in range(2, min(100_000, isqrt(n)) + 1))


class Reader:
    """Reads the numbers of one document, all of Q(sqrt d)."""

    def __init__(self, d: object) -> None:
        if type(d) is not int or not 1 <= d < 10**80 or not square_free(d):
            raise Refused(f"d is a whole number without squares, not {brief(d)}")
        self.d, self.used = d, d == 1

    def finish(self) -> None:
        """Refuse a field that no number needs."""
        if not self.used:
            raise Refused("d is not 1, but no number has a root")

    def number(self, value: Any) -> Number:
        """A number or an enclosure."""
        if not isinstance(value, dict):
            return self.exact(value)
        ends = fields(value, "an enclosure", "from", "to")
        low, high = rational(ends["from"]), rational(ends["to"])
        if self.d != 1 or not low < high:
            raise Refused("an enclosure needs d = 1 and ends that differ")
        return Number((low + high) / 2, e=(high - low) / 2)

    def exact(self, value: Any) -> Number:
        """A number."""
        if not isinstance(value, list):
            return Number(rational(value), d=self.d)
        a, b = map(rational, items(value, "a number a + b sqrt(d)", 2))
        if self.d == 1 or not b:
            raise Refused("a number with a root needs d > 1 and a factor that is not 0")
        self.used = True
        return Number(a, b, self.d)

    def row(self, value: Any, where: str, length: int | None = None) -> Row:
        """A list of numbers."""
        return [self.number(x) for x in items(value, where, length)]

    def matrix(self, value: Any, where: str, height: int, width: int) -> Matrix:
        """A list of rows."""
        return [self.row(row, where, width) for row in items(value, where, height)]

    def symmetric(self, value: Any, where: str, size: int) -> Matrix:
        """A symmetric matrix by its upper triangle, row by row."""
        upper = items(value, where, size)
        rows = [[self.exact(x) for x in items(r, where, size - i)] for i, r in enumerate(upper)]
        return [[rows[min(i, j)][abs(i - j)] for j in range(size)] for i in range(size)]

    def weights(self, value: Any, where: str, pairs: Iterable[tuple[int, int]]) -> Weights:
        """Positive weights by pair of points; those that are 0 are left out."""
        names = {f"{i},{j}": (i, j) for i, j in pairs}
        if not isinstance(value, dict) or not set(value) <= set(names):
            raise Refused(f"{where} has a weight of points that are not there")
        found = {names[key]: self.exact(x) for key, x in value.items()}
        if any(x.sign() < 1 for x in found.values()):
            raise Refused(f"a weight in {where} is not positive")
        return found


def read(value: Any, d: int) -> Number:
    """A number of a document whose numbers lie in Q(sqrt d)."""
    return Reader(d).number(value)


# ---- Linear algebra ------------------------------------------------------------------------------


def dot(row: Sequence[Number], matrix: Sequence[Sequence[Number]]) -> Row:
    """A row times a matrix, skipping zeros."""
    used = [(r, line) for r, line in zip(row, matrix, strict=True) if r]
    width = len(matrix[0]) if matrix else 0
    return [total(r * line[j] for r, line in used if line[j]) for j in range(width)]


def inner(u: Iterable[Number], v: Iterable[Number]) -> Number:
    """The inner product, skipping zeros."""
    return total(a * b for a, b in zip(u, v, strict=True) if a and b)


def units(size: int) -> Matrix:
    """The rows of the identity."""
    return [[ONE if i == j else ZERO for j in range(size)] for i in range(size)]


def plus(M: Matrix, N: Matrix, factor: Number = ONE) -> Matrix:
    """M + factor N."""
    return [[a + factor * b for a, b in zip(*rows, strict=True)] for rows in zip(M, N, strict=True)]


def transposed(M: Matrix) -> Matrix:
    """Columns as rows."""
    return [list(column) for column in zip(*M, strict=True)]


def congruent(form: Matrix, rows: Matrix) -> Matrix:
    """rows' form rows: the form in what the rows are over."""
    half = [dot(row, rows) for row in form]
    return [dot(column, half) for column in zip(*rows, strict=True)]


def add_square(into: Matrix, weight: Number, u: Sequence[Number], v: Sequence[Number]) -> None:
    """into += weight (u v' + v u') / 2, the form weight <u, v>."""
    half = weight * HALF
    places = [(j, b) for j, b in enumerate(v) if b]
    for i, a in enumerate(u):
        if a and places:
            scaled = half * a
            for j, b in places:
                product = scaled * b
                into[i][j] += product
                into[j][i] += product


def solve(rows: Matrix, right: Sequence[Number]) -> tuple[Row, bool]:
    """A solution of rows x = right, and whether it is the only one; Refused if there is none.

    Of enclosures: all solutions, for whatever numbers in them have one, if it is the only one.
    """
    system = [[*row, b] for row, b in zip(rows, right, strict=True)]
    width = len(system[0]) - 1
    done: list[tuple[int, Row]] = []
    for column in range(width):
        at = next((i for i, row in enumerate(system) if row[column].is_not_zero()), None)
        if at is None:
            continue
        scale = reciprocal(system[at][column])
        pivot = [scale * x if x else x for x in system.pop(at)]
        system = [minus(row, row[column], pivot) for row in system]
        done = [(c, minus(row, row[column], pivot)) for c, row in done] + [(column, pivot)]
    if any(row[-1].is_not_zero() for row in system):
        raise Refused("linear equations have no solution")
    values = {c: row[-1] for c, row in done}
    return [values.get(c, ZERO) for c in range(width)], len(done) == width


def minus(row: Row, factor: Number, other: Row) -> Row:
    """row - factor other."""
    return [a - factor * b if b else a for a, b in zip(row, other, strict=True)] if factor else row


def definite(matrix: Matrix, strict: bool) -> bool:
    """Whether a symmetric matrix is positive (semi)definite.

    That is tried with shorter numbers first, which enclose its own; what is left is decided with those themselves.
    """
    return eliminated([[shortened(x) for x in row] for row in matrix], True) or eliminated(
        matrix, strict
    )


def shortened(x: Number, bits: int = 160) -> Number:
    """An enclosure that is a multiple of 2^-bits."""
    wide = enclosed(x, bits)
    scaled = wide.a * 2**bits
    low = scaled.numerator // scaled.denominator
    return Number(Fraction(low, 2**bits), e=wide.e + Fraction(1, 2**bits))


def eliminated(matrix: Matrix, strict: bool) -> bool:
    """The same by elimination without fractions.

    Enclosed entries change no eigenvalue by more than the largest sum of errors in a row.
    """
    kept = [i for i, row in enumerate(matrix) if strict or any(row)]
    matrix = [[matrix[i][j] for j in kept] for i in kept]
    radius = max((sum(x.e for x in row) for row in matrix), default=0)
    parts = [n for row in matrix for x in row for n in (x.a, x.b)]
    scale = lcm(*(Fraction(n).denominator for n in (*parts, radius)))
    if scale.bit_length() > 200_000:
        raise Refused("the numbers are too long")
    d = max((x.d for row in matrix for x in row), default=1)
    rows = [
        [Number(int((x.a - radius * (i == j)) * scale), int(x.b * scale), d) for j, x in enumerate(row)]
        for i, row in enumerate(matrix)
    ]  # fmt: skip
    last = Number(1)
    while rows:
        (pivot, *top), *rest = rows
        if pivot.sign() < 0 or (not pivot and (strict or any(top))):
            return False
        rows = [row[1:] for row in rest]
        if not pivot:
            continue
        # entries become minors of the whole matrix, by an exact division by the pivot before
        norm = last.a**2 - d * last.b**2 if last.b else last.a
        conjugate = Number(last.a, -last.b, d) if last.b else Number(1)
        for i, row in enumerate(rows):
            minors = [(pivot * x - top[i] * v) * conjugate for x, v in zip(row, top, strict=True)]
            rows[i] = [Number(x.a // norm, x.b // norm, d) for x in minors]
        last = pivot
    return True


def net(weights: Weights, i: int) -> Number:
    """How often, by weight, point i comes first in a pair, less how often it comes second."""
    return total(w if a == i else -w for (a, b), w in weights.items() if i in (a, b))


class Points:
    """Gradient points and gradients as rows over some vectors, the minimizer last.

    ``slack`` has the factors of |dg|^2, |dy|^2, <dg, dy> and <g_j, dy> in -Q_ij.
    """

    y: Matrix
    g: Matrix
    slack: tuple[Number, Number, Number, Number]


def subtract(it: Points, whole: Matrix, weights: Weights) -> Matrix:
    """whole - sum of weights Q_ij, without the function values; in place."""
    of_g, of_y, of_both, of_last = it.slack
    count = len(it.y)
    # sum w <u_i - u_j, v_i - v_j> = sum_ab between_ab <u_a, v_b>, sum w <g_j, dy> = sum_ab last_ab <g_a, y_b>
    between, last = ([[ZERO] * count for _ in range(count)] for _ in range(2))
    for (i, j), weight in weights.items():
        for a, b, w in ((i, i, weight), (j, j, weight), (i, j, -weight), (j, i, -weight)):
            between[a][b] += w
        last[j][i] += weight
        last[j][j] -= weight
    for a in range(count):
        if any(between[a]):
            crossed = [of_both * x + of_last * w for x, w in zip(between[a], last[a], strict=True)]
            add_square(whole, of_g, it.g[a], dot(between[a], it.g))
            add_square(whole, of_y, it.y[a], dot(between[a], it.y))
            add_square(whole, ONE, it.g[a], dot(crossed, it.y))
    return whole


def pairs_of(least: int, count: int) -> list[tuple[int, int]]:
    """Pairs of different points -1, ..., count - 1, the first of them at least ``least``."""
    return [(i, j) for i, j in permutations(range(STAR, count), 2) if i >= least]


# ---- A linear method -----------------------------------------------------------------------------


class Method(Reader):
    """x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradients of f at the rows of y_k.

    A flow is x' = A x + B u, y = C x. Either rests at a minimizer x* if some state v has A v = v
    (A v = 0), C v = 1 and output v = 1: then v x* stays, and differences to it obey the same equations
    with x* at 0. That is required, or, of enclosures, part of the hypothesis.
    """

    def __init__(self, s: Mapping[str, Any], flow: bool = False) -> None:
        super().__init__(s["d"])
        n, p = self.n, self.p = tuple(len(items(s[name], name, least=1)) for name in "AC")
        self.A, self.B = self.matrix(s["A"], "A", n, n), self.matrix(s["B"], "B", n, p)
        self.C = self.matrix(s["C"], "C", p, n)
        self.D = [[ZERO] * p for _ in range(p)] if flow else self.matrix(s["D"], "D", p, p)
        self.output = self.row(s["output"], "output", n)
        self.flow, self.mu = flow, self.number(s["mu"])
        self.infinite = flow and s["L"] == "infinity"
        self.L = ZERO if self.infinite else self.number(s["L"])
        if self.mu.sign() < 1 or not (self.infinite or (self.L - self.mu).sign() >= int(flow)):
            raise Refused(f"0 < mu {'<' if flow else '<='} L is needed")
        parts = (*self.A, *self.B, *self.C, *self.D, self.output, [self.mu, self.L])
        self.enclosed = any(x.e for row in parts for x in row)
        still = self.A if flow else plus(self.A, units(n), -ONE)
        try:
            self.rest = solve([*still, *self.C, self.output], [ZERO] * n + [ONE] * (p + 1))
        except Refused:
            raise Refused("no state rests at a minimizer and is read as the minimizer") from None

    def steps_exist(self) -> bool:
        """Whether y = known + D u has exactly one solution for every f; False where that is not shown.

        It has one row by row if D is lower triangular with D_ii L < 1, and for all rows at once if
        2/L - D - D' > 0, since the inverse of the gradient grows at least like 1/L.
        """
        try:
            own = [self.L * self.D[i][i] for i in range(self.p)]
            if not any(x for i, row in enumerate(self.D) for x in row[i + 1 :]):
                return all((ONE - x).sign() > 0 for x in own)
            both = plus(self.D, transposed(self.D))  # to be less than 2/L
            return definite(plus(plus(units(self.p), units(self.p)), both, -self.L), True)
        except Refused:
            return False

    def state_at_rest(self) -> str:
        """The state that rests, for readers."""
        v, alone = self.rest
        known = alone and not self.enclosed
        return f"v = {matrix_text([v])}" if known else "v the state that rests"

    def words(self) -> list[str]:
        """The method and the class, for readers."""
        law, names = "x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k", "ABCD"
        if self.flow:
            law, names = "x' = A x + B u, y = C x", "ABC"
        lines = [f"about {law}, u the gradients of f at the {self.p} row(s) of y, with"]
        lines += [f"  {name} = {matrix_text(getattr(self, name))}" for name in names]
        lines.append(f"  output = {matrix_text([self.output])}")
        if self.enclosed:
            lines.append("  whatever the numbers in these enclosures, if it rests at minimizers")
        return lines

    def class_words(self) -> str:
        """The class of functions, for readers."""
        L = "infinity (f continuously differentiable)" if self.infinite else shown(self.L)
        return f"for every f in F(mu, L) in any dimension, mu = {shown(self.mu)}, L = {L}"


def matrix_text(rows: Matrix) -> str:
    """A matrix in full."""
    return "[" + "; ".join(", ".join(map(shown, row)) for row in rows) + "]"


RATE = ("d", "mu", "L", "A", "B", "C", "D", "output", "bounded", "gap")


class Decay:
    """What kinds "rate" and "iqc" have in common: a method, and a rate 1 - gap with 0 < gap <= 1."""

    def __init__(self, s: Mapping[str, Any]) -> None:
        self.method = m = Method(fields(s, "the statement", *RATE))
        self.d, self.n, self.p, self.mu, self.L, self.output = m.d, m.n, m.p, m.mu, m.L, m.output
        self.gap = m.exact(s["gap"])
        self.rate, self.bounded = ONE - self.gap, s["bounded"]
        if self.gap.sign() < 1 or self.rate.sign() < 0 or self.bounded not in ("state", "output"):
            raise Refused("a gap from 0 to 1 and state or output as what is bounded are needed")

    def words(self) -> list[str]:
        """The statement, for readers."""
        runs = (
            "has exactly one run"
            if self.method.steps_exist()
            else ("may have no run, or several: this is about every run there is")
        )
        what = {
            "output": "|output x_k - x*| = O(r^k)",
            "state": f"|x_k - v x*| = O(r^k), {self.method.state_at_rest()}, so |output x_k - x*| = O(r^k)",
        }[self.bounded]
        return [
            *self.method.words(), self.method.class_words(),
            f"from every start x_0 (each start {runs})",
            f"{what}, with r = 1 - gap = {shown(self.rate)}, gap = {shown(self.gap)}"
            + ("" if self.rate else ": 0 from some k on"),
        ]  # fmt: skip

    def positive(self, form: Matrix, weight: Number, row: Row) -> bool:
        """Whether the form is positive definite, or at least a weight times what a row reads."""
        if self.bounded == "output":
            add_square(form, -weight, row, row)
        return definite(form, self.bounded == "state")


# ---- Kind "rate" ---------------------------------------------------------------------------------


class Inequality(Decay, Points):
    """The statement: |x_k - v x*|, or the output's distance to x*, is O(rate^k).

    With W = (x_k, u_k/L, ..., u_{k+s-1}/L), s = memory, V = L W'P W + sum p_i f_i, the witness has
    weights nu, lambda > 0 and P with
        rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E,    E > 0 (the state), or E >= weight |z|^2 (the output),
    z = (output of x_{k+1}) - share (output of x_k), |share| < rate, share = 0 where none is given.
    So V_k <= rate^2k V_0, and V bounds what is bounded: where z_k = O(rate^k), so is the output.
    p_i and the lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over
    (x_k, u_k/L, ..., u_{k+s}/L).
    """

    def __init__(self, s: Mapping[str, Any], memory: object) -> None:
        super().__init__(s)
        if type(memory) is not int or not 0 < memory < 10:
            raise Refused("memory is a whole number from 1 to 9")
        m, n, p, L = self.method, self.n, self.p, self.L
        self.early, size = p * memory, n + p * (memory + 1)
        if size > LARGEST:
            raise Refused("the method is too large")
        unit = units(size)
        x, self.y = unit[:n], []
        self.later: Matrix = []
        for k in range(memory + 1):
            known = x + unit[n + k * p : n + (k + 1) * p]
            self.y += [
                dot([*c, *(L * e for e in row)], known) for c, row in zip(m.C, m.D, strict=True)
            ]
            x = [dot([*a, *(L * e for e in row)], known) for a, row in zip(m.A, m.B, strict=True)]
            self.later = self.later or x + unit[n + p :]
        self.y, self.g = [*self.y, [ZERO] * size], [*unit[n:], [ZERO] * size]
        self.slack = (L, self.mu, -self.mu - self.mu, L - self.mu + L - self.mu)

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """V - sum nu Q and D without function values, and the lambda of pairs (-1, i)."""
        tau, m, size = self.rate * self.rate, len(P), len(self.y[0])
        star = {
            (STAR, i): net(lam, i)
            - tau * net(nu, i)
            + (net(nu, i - self.p) if i >= self.p else ZERO)
            for i in range(len(self.y) - 1)
        }
        whole = [[x * self.L for x in row] + [ZERO] * self.p for row in P]
        whole += [[ZERO] * size for _ in range(self.p)]
        moved = congruent([row[:m] for row in whole[:m]], self.later)
        D = plus([[tau * x for x in row] for row in whole], moved, -ONE)
        return subtract(self, whole, nu), subtract(self, D, {**lam, **star}), star


def check_rate(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Inequality`."""
    weighted = ("weight",) if s.get("bounded") == "output" else ()
    shared = "share" if weighted else ""
    fields(w, "the witness", "memory", "P", "nu", "lambda", *weighted, maybe=shared)
    it = Inequality(s, w["memory"])
    m = it.n + it.early
    P = it.method.symmetric(w["P"], "P", m)
    nu = it.method.weights(w["nu"], "nu", pairs_of(STAR, it.early))
    lam = it.method.weights(w["lambda"], "lambda", pairs_of(0, len(it.y) - 1))
    weight = it.method.exact(w["weight"]) if weighted else ONE
    E, D, star = it.remainders(P, nu, lam)
    if weight.sign() < 1 or any(x and x.sign() < 0 for x in star.values()):
        raise Refused("a weight is negative")
    z = dot(it.output, it.later[: it.n])[:m]
    if "share" in w:
        share = it.method.exact(w["share"])
        if not share or min((it.rate - share).sign(), (it.rate + share).sign()) < 1:
            raise Refused("a share is not 0, and less than the rate in size")
        z = minus(z, share, it.output + [ZERO] * (m - it.n))
    if not it.positive([row[:m] for row in E[:m]], weight, z) or not definite(D, False):
        raise Refused("E or D is not positive")
    it.method.finish()
    return it.words()


# ---- Kind "iqc" ----------------------------------------------------------------------------------


class Constraint(Decay):
    """The statement is that of kind "rate", for one gradient a step and 0 < rate.

    With w = u - mu y, z = y - u/L and p = ((L - mu)(f - f* - mu |y|^2/2) - |w|^2/2)/L, interpolation
    says p >= 0 and <w_k, z_k - z_j> >= p_k - p_j (z = p = 0 at the minimizer). So, for lambda_i >= 0
    with lambda_1 rate^-2 + ... + lambda_s rate^-2s <= lambda_0 (Zames and Falb's multipliers),
        sum_{k<N} rate^-2k <w_k, lambda_0 z_k - lambda_1 z_{k-1} - ... - lambda_s z_{k-s}> >= -const
    for every N; the constant is for the first s terms. X is x_k and those z_{k-i} for which "past" has
    null; a row there reads z_{k-i} off x_k, which is checked. With V = L X'P X the witness has
        rate^2 V - V+ - <w_k, lambda_0 z_k - ...> = D >= 0,
        P > 0 (the state), or P >= weight (output)^2 (the output).
    Summed with weights rate^-2k, V_k = O(rate^2k). Rows are over (X, u_k/L).
    """

    def __init__(self, s: Mapping[str, Any], past: Any) -> None:
        super().__init__(s)
        m, n, L = self.method, self.n, self.L
        past = items(past, "past")
        if len(past) > 9 or self.p != 1 or self.rate.sign() < 1:
            raise Refused(
                "at most 9 steps of past, one gradient a step and a rate above 0 are needed"
            )
        size = n + past.count(None) + 1
        unit = units(size)
        x, kept, u = unit[:n], iter(unit[n:-1]), unit[-1]
        rows = [[*a, L * b[0]] for a, b in zip(m.C + m.A, m.D + m.B, strict=True)]
        y, *self.later = [dot(row, [*x, u]) for row in rows]
        self.w = [L * a - self.mu * b for a, b in zip(u, y, strict=True)]
        self.z = [[a - b for a, b in zip(y, u, strict=True)]]
        for given in past:
            if given is None:
                self.later.append(self.z[-1])
                self.z.append(next(kept))
                continue
            row = m.row(given, "past", n)  # of the next state it reads what is now the one before
            if any(a - b for a, b in zip(dot(row, self.later[:n]), self.z[-1], strict=True)):
                raise Refused("the state does not have a past z that is read off it")
            self.z.append(dot(row, x))

    def remainder(self, P: Matrix, lam: Mapping[int, Number]) -> Matrix:
        """D."""
        tau, m = self.rate * self.rate, len(self.later)
        P = [[x * self.L for x in row] for row in P]
        D = [[-x for x in row] for row in congruent(P, self.later)]
        for into, row in zip(D, P, strict=False):
            into[:m] = [x + tau * y for x, y in zip(into, row, strict=False)]
        for i, weight in lam.items():
            add_square(D, weight if i else -weight, self.w, self.z[i])
        return D


def check_iqc(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Constraint`."""
    weighted = ("weight",) if s.get("bounded") == "output" else ()
    fields(w, "the witness", "past", "P", "lambda", *weighted)
    it = Constraint(s, w["past"])
    m, last, tau = len(it.later), len(it.z) - 1, it.rate * it.rate
    P = it.method.symmetric(w["P"], "P", m)
    names = {str(i): i for i in range(last + 1)}
    if not isinstance(w["lambda"], dict) or not set(w["lambda"]) <= set(names):
        raise Refused("a multiplier reaches back further than the past")
    lam = {names[key]: it.method.exact(x) for key, x in w["lambda"].items()}
    weight = it.method.exact(w["weight"]) if weighted else ONE
    room = lam.get(0, ZERO)
    for i in range(1, last + 1):  # rate^2s (lambda_0 - lambda_1 rate^-2 - ...)
        room = room * tau - lam.get(i, ZERO)
    if any(x.sign() < 1 for x in (*lam.values(), weight)) or room.sign() < 0:
        raise Refused("a multiplier is negative, or those of the past outweigh the present")
    if not definite(it.remainder(P, lam), False):
        raise Refused("D is not positive")
    if not it.positive(P, weight, it.output + [ZERO] * (m - it.n)):
        raise Refused("P is not positive")
    it.method.finish()
    return it.words()


# ---- Kind "quadratics" ---------------------------------------------------------------------------

Polynomial: TypeAlias = list[Number]


def pencil(A: Matrix, B: Matrix, C: Matrix, D: Matrix) -> dict[tuple[int, int], Number]:
    """det [[z I - A, -c B], [-C, I - c D]] as {(i, j): coefficient of z^i c^j}, row by row."""
    size, minus_one = len(A) + len(D), -ONE
    rows: list[list[dict[tuple[int, int], Number]]] = []
    for i, (a, b) in enumerate(zip(A, B, strict=True)):
        left = [{(0, 0): -x, (1, 0): ONE if i == j else ZERO} for j, x in enumerate(a)]
        rows.append([*left, *({(0, 1): -x} for x in b)])
    for i, (c, e) in enumerate(zip(C, D, strict=True)):
        right = [{(0, 0): ONE if i == j else ZERO, (0, 1): -x} for j, x in enumerate(e)]
        rows.append([*({(0, 0): -x} for x in c), *right])
    minors: dict[int, dict[tuple[int, int], Number]] = {0: {(0, 0): ONE}}  # by the columns they use
    for row in rows:
        grown: dict[int, dict[tuple[int, int], Number]] = {}
        for used, minor in minors.items():
            for j, entry in enumerate(row):
                if used >> j & 1:
                    continue
                sign = minus_one if (used >> j).bit_count() % 2 else ONE
                into = grown.setdefault(used | 1 << j, {})
                for (a_, b_), x in minor.items():
                    for (k, m), y in entry.items():
                        if y:
                            old = into.get((a_ + k, b_ + m), ZERO)
                            into[a_ + k, b_ + m] = old + sign * x * y
        minors = grown
    return minors[2**size - 1]


def bernstein(powers: Polynomial, low: Number, high: Number) -> Polynomial:
    """Bernstein's coefficients on [low, high] of a polynomial by its powers, lowest first."""
    degree = len(powers) - 1
    below, above = [ONE], [ONE]
    for _ in range(degree):
        below, above = [*below, below[-1] * low], [*above, above[-1] * high]
    found = []
    for i in range(degree + 1):  # the polar form at i times high and degree - i times low
        terms = [
            c * above[k] * below[j - k] * Number(Fraction(comb(i, k) * comb(degree - i, j - k), comb(degree, j)))
            for j, c in enumerate(powers) for k in range(j + 1)
        ]  # fmt: skip
        found.append(total(terms))
    return found


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product of two polynomials in Bernstein's basis."""
    m, n = len(a) - 1, len(b) - 1
    found = [ZERO] * (m + n + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            found[i + j] += Number(Fraction(comb(m, i) * comb(n, j), comb(m + n, i + j))) * x * y
    return found


def combined(a: Polynomial, b: Polynomial, sign: Number) -> Polynomial:
    """a + sign b."""
    return [x + sign * y for x, y in zip(a, b, strict=True)]


def positive(polynomial: Polynomial, strict: bool, depth: int = 20) -> bool:
    """Whether a polynomial is positive, or not negative, on the interval; False also if that is open.

    It is where its Bernstein coefficients are; else both halves of the interval are looked at.
    """
    signs, least = [c.sign() for c in polynomial], 1 if strict else 0
    if min(signs) >= least:
        return True
    if depth == 0 or min(signs[0], signs[-1]) < least:
        return False
    left: Polynomial = []
    right: Polynomial = []
    row = polynomial
    while row:  # de Casteljau
        left, right = [*left, row[0]], [row[-1], *right]
        row = [HALF * (a + b) for a, b in pairwise(row)]
    return positive(left, strict, depth - 1) and positive(right, strict, depth - 1)


def everywhere(
    A: Matrix, B: Matrix, C: Matrix, D: Matrix, mu: Number, L: Number
) -> list[Polynomial]:
    """The coefficients of z^k, leading first, as polynomials in the curvature on [mu, L]."""
    found, n, p = pencil(A, B, C, D), len(A), len(D)
    return [
        bernstein([found.get((k, j), ZERO) for j in range(p + 1)], mu, L) for k in range(n, -1, -1)
    ]


def within_everywhere(rows: list[Polynomial], rate: Number) -> bool:
    """Whether all roots are at most the rate in modulus, for each curvature, by `everywhere`."""
    if rows[0][0].sign() < 0:
        rows = [[-c for c in row] for row in rows]
    if not positive(rows[0], True):  # each step has a solution
        return False
    if not rate:
        return not any(c for row in rows[1:] for c in row)
    n, scale = len(rows) - 1, ONE
    scaled: list[Polynomial] = []
    for row in reversed(rows):  # in w = z / rate
        scaled, scale = [[scale * c for c in row], *scaled], scale * rate
    rows = scaled
    if n == 1:
        return all(positive(combined(rows[0], rows[1], sign), False) for sign in (ONE, -ONE))
    if n == 2:  # Jury's inequalities, which allow for roots on the circle
        ends, middle = combined(rows[0], rows[2], ONE), rows[1]
        tests = [
            combined(ends, middle, ONE),
            combined(ends, middle, -ONE),
            combined(rows[0], rows[2], -ONE),
        ]
        return all(positive(test, False) for test in tests)
    while len(rows) > 1:  # Schur's and Cohn's
        head, tail = rows[0], rows[-1]
        if not positive(combined(times(head, head), times(tail, tail), -ONE), True):
            return False
        rows = [
            combined(times(head, a), times(tail, b), -ONE)
            for a, b in zip(rows[:-1], rows[:0:-1], strict=True)
        ]
    return True


def check_quadratics(s: Mapping[str, Any], w: Any) -> list[str]:
    """The statement: on each quadratic with Hessian between mu and L no pole exceeds the rate.

    On an eigenvector of curvature c, u = c y: the poles are the roots z of det [[z I - A, -c B],
    [-C, I - c D]], a polynomial in z and c. With z = rate w, Schur's and Cohn's inequalities in the
    coefficients are polynomials in c, shown to be positive on [mu, L]. There is no witness.
    """
    fields(w, "the witness")
    fields(s, "the statement", *(name for name in RATE if name != "bounded"))
    m = Method(s)
    gap = m.exact(s["gap"])
    rate = ONE - gap
    if gap.sign() < 1 or rate.sign() < 0 or m.n > 8 or m.n + m.p > 12:
        raise Refused("a gap from 0 to 1, at most 8 states, 12 with the gradients, are needed")
    if not within_everywhere(everywhere(m.A, m.B, m.C, m.D, m.mu, m.L), rate):
        raise Refused("a pole may be larger than the rate")
    m.finish()
    return [
        *m.words(), m.class_words() + ", if f is a quadratic",
        "from every start (each has exactly one run)",
        "all poles are at most r in modulus, so that |x_k - v x*| = O(s^k) for every s > r, "
        f"{m.state_at_rest()}, with r = 1 - gap = {shown(rate)}, gap = {shown(gap)}",
    ]  # fmt: skip


# ---- Kind "flow" ---------------------------------------------------------------------------------


class Flow(Points):
    """The statement: |output x(t) - x*| = O(exp(-rate t)) along X' = A X + B u, y = C X.

    u are the gradients of f at the rows of y, f in F(mu, L) and continuously differentiable, s = 1/L
    (0 for L = infinity). With V = X'P X + sum p_i (f_i - f*) and the inequalities Q_ij, here with f and
    g as they are and all times s, between points of one time, the witness has nu, lambda > 0 and P with
        - V' - 2 rate V - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij >= weight |output|^2.
    p_i and the lambda of pairs (-1, i) are those for which the f_i cancel; V' is along the flow, with
    f_i' = <u_i, y_i'>. Rows are over (X, u).
    """

    def __init__(self, s: Mapping[str, Any]) -> None:
        fields(s, "the statement", "d", "mu", "L", "A", "B", "C", "output", "rate")
        self.method = m = Method(s, flow=True)
        self.d, self.n, self.p, self.mu, self.output = m.d, m.n, m.p, m.mu, m.output
        self.s = ZERO if m.infinite else reciprocal(m.L)
        self.rate = m.exact(s["rate"])
        if self.rate.sign() < 0:
            raise Refused("the rate is negative")
        n, p, both = self.n, self.p, self.mu * self.s
        self.twice = ONE + ONE - both - both
        unit = units(n + p)
        self.moves = [a + b for a, b in zip(m.A, m.B, strict=True)]  # X'
        self.y = [*(row + [ZERO] * p for row in m.C), [ZERO] * (n + p)]
        self.g = [*unit[n:], [ZERO] * (n + p)]
        self.slack = (self.s, self.mu, -both - both, self.twice)

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Matrix, Matrix, Weights]:
        """V - sum nu Q, D, and the lambda of pairs (-1, i)."""
        n, p, double = self.n, self.p, self.rate + self.rate
        star = {(STAR, i): net(lam, i) + double * net(nu, i) for i in range(p)}
        E = [list(row) + [ZERO] * p for row in P] + [[ZERO] * (n + p) for _ in range(p)]
        D = [[-double * x for x in row] for row in E]
        for row, image in zip(E, self.moves, strict=False):  # - 2 X'P (A X + B u)
            add_square(D, -ONE - ONE, row, image)
        for i in range(p):
            add_square(D, -self.twice * net(nu, i), self.g[i], dot(self.y[i][:n], self.moves))
        return subtract(self, E, nu), subtract(self, D, {**lam, **star}), star


def check_flow(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Flow`."""
    fields(w, "the witness", "P", "nu", "lambda", "weight")
    it = Flow(s)
    m = it.method
    P, weight = m.symmetric(w["P"], "P", it.n), m.exact(w["weight"])
    nu = m.weights(w["nu"], "nu", pairs_of(STAR, it.p))
    lam = m.weights(w["lambda"], "lambda", pairs_of(0, it.p))
    E, D, star = it.remainders(P, nu, lam)
    if weight.sign() < 1 or any(x and x.sign() < 0 for x in star.values()):
        raise Refused("a weight is negative")
    add_square(E, -weight, it.output, it.output)
    if not definite(E, False) or not definite(D, False):
        raise Refused("D or V - sum nu Q - weight |output|^2 is not positive")
    m.finish()
    return [
        *m.words(), m.class_words(), "from every start, as long as the solution exists (for finite L: forever)",
        f"|output x(t) - x*| = O(exp(-r t)), r = {shown(it.rate)}",
    ]  # fmt: skip


# ---- Kind "horizon" ------------------------------------------------------------------------------

MEASURES = {"value": "f(y_N) - f*", "gradient": "|grad f(y_N)|^2", "distance": "|y_N - x*|^2"}
STARTS = {"distance": "|x_0 - x*|^2", "value": "(f(x_0) - f*)"}


class Steps(Points):
    """The statement: M <= bound S, for y_i = x_0 + sum_j points_ij u_j, u_i the gradient of f at y_i.

    i = 0, ..., N; row i of the table ends with its last number that is not 0. M ("measure") is of y_N,
    "value", "gradient" or "distance" as in MEASURES; S ("start") is "distance" or "value" as in STARTS,
    and for the latter some y_i is x_0. f is in F(mu, L), 0 <= mu < L, with a minimizer x*. The witness
    has lambda > 0 with
        2(L-mu)(bound S - M) - L sum lambda_ij Q_ij = D >= 0.
    The lambda of pairs (-1, i) are those for which the f_i cancel. Rows are over (x_0, u_0/L, ..., u_N/L).
    """

    def __init__(self, s: Mapping[str, Any]) -> None:
        fields(s, "the statement", "d", "mu", "L", "points", "measure", "start", "bound")
        self.reader = reader = Reader(s["d"])
        self.d, self.mu, self.L = reader.d, reader.number(s["mu"]), reader.number(s["L"])
        self.bound = reader.exact(s["bound"])
        if self.mu.sign() < 0 or min((self.L - self.mu).sign(), self.bound.sign()) < 1:
            raise Refused("0 <= mu < L and a positive bound are needed")
        self.points = [reader.row(row, "points") for row in items(s["points"], "points", least=1)]
        size = len(self.points) + 1
        if any(len(row) >= size or not (row or [ONE])[-1] for row in self.points):
            raise Refused("a row of points is too long, or ends with 0")
        self.far, *self.g = units(size)
        self.y = [
            [ONE, *(x * self.L for x in row)] + [ZERO] * (size - 1 - len(row))
            for row in self.points
        ]
        self.y, self.g = [*self.y, [ZERO] * size], [*self.g, [ZERO] * size]
        self.last, self.measure, self.start = size - 2, s["measure"], s["start"]
        self.first = next((i for i, row in enumerate(self.points) if not row), None)
        self.slack = (self.L, self.mu, -self.mu - self.mu, self.L - self.mu + self.L - self.mu)
        if self.measure not in MEASURES or self.start not in STARTS:
            raise Refused("the measure or the start is unknown")
        if self.start == "value" and self.first is None:
            raise Refused("no point is the start")

    def follows(self, lam: Weights) -> Weights:
        """The lambda of pairs (-1, i)."""
        star = {(STAR, i): net(lam, i) for i in range(self.last + 1)}
        if self.measure == "value":
            star[STAR, self.last] += ONE
        if self.start == "value" and self.first is not None:
            star[STAR, self.first] -= self.bound
        return star

    def remainder(self, weights: Weights) -> Matrix:
        """D, without the function values."""
        twice, size = self.slack[3], len(self.far)
        D = [[ZERO] * size for _ in range(size)]
        if self.start == "distance":
            add_square(D, twice * self.bound, self.far, self.far)
        end = {"gradient": [self.L * x for x in self.g[self.last]], "distance": self.y[self.last]}
        if self.measure in end:
            add_square(D, -twice, end[self.measure], end[self.measure])
        return subtract(self, D, {ij: self.L * w for ij, w in weights.items()})

    def runs(self) -> str:
        """Whether there is exactly one run."""
        try:
            early = all(len(row) <= i + 1 for i, row in enumerate(self.points))
            own = [self.L * row[i] for i, row in enumerate(self.points) if len(row) == i + 1]
            exact = early and all((ONE - x).sign() > 0 for x in own)
        except Refused:
            exact = False
        return "each has exactly one run" if exact else "about every run there is"


def check_horizon(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequality of `Steps`."""
    fields(w, "the witness", "lambda")
    it = Steps(s)
    lam = it.reader.weights(w["lambda"], "lambda", pairs_of(0, it.last + 1))
    star = it.follows(lam)
    if any(x and x.sign() < 0 for x in star.values()):
        raise Refused("a weight is negative")
    if not definite(it.remainder({**lam, **star}), False):
        raise Refused("D is not positive")
    it.reader.finish()
    enclosed_ = any(x.e for row in (*it.points, [it.mu, it.L]) for x in row)
    return [
        f"about y_i = x_0 + sum_j h_ij u_j, u_i the gradient of f at y_i, i = 0, ..., N = {it.last}, with the rows",
        *(f"  h_{i} = {matrix_text([row])}" for i, row in enumerate(it.points)),
        *(["  whatever the numbers in these enclosures"] if enclosed_ else []),
        f"for every f in F(mu, L) with a minimizer x*, in any dimension, mu = {shown(it.mu)}, L = {shown(it.L)}",
        f"from every x_0 ({it.runs()})",
        f"{MEASURES[it.measure]} <= c {STARTS[it.start]}, c = {shown(it.bound)}, N = {it.last}",
    ]  # fmt: skip


# ---- Kind "potential" ----------------------------------------------------------------------------


class Potential(Reader):
    """The statement: f(end) - f* <= L |x_0 - x*|^2 / growth(t_k) after every number k of steps.

    x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradient of f at y_k over L, for convex f with
    L-Lipschitz gradient and a minimizer. The start is at rest: x_0 = v (a point), where v is the only
    state with A v = v, C v = 1, output v = 1 at every step, found here. The end is y_k, or the output
    of x_{k+1}. Coefficients depend on a clock t_k: A and B are polynomials in v over "step_unit"(v), C,
    D and output are polynomials in t over "point_unit"(t). Either v_k = t_k = first + k; or t_k =
    now(v_k)/over(v_k) and t_{k+1} = next(v_k)/over(v_k) with v_k >= from, t_0 that of v = from.
    With -1 the minimizer, 0 this y, 1 the next (in "nu" the output), and with polynomials a, Q, nu in t,
    and lambda in t_k and t_{k+1}, of degree 2, the witness has, in units of L,
        V = a (f(y) - f*) + [x; u]'Q [x; u],    Q_ij = 2 (f_i - f_j - <g_j, y_i - y_j>) - |g_i - g_j|^2,
        V - V+ - sum lambda Q = D >= 0,         V - growth (f(end) - f*) - sum nu Q = E >= 0,
        |x_0 - x*|^2 - V_0 - sum first Q >= 0.
    All these are polynomials in v, known by their values at enough points. One is >= 0 from a number on
    if its coefficients about it are, and at whole numbers if its coefficients in binomials are; a
    matrix M is if the coefficients of det(z + M) are.
    """

    def __init__(self, s: Mapping[str, Any], w: Mapping[str, Any]) -> None:
        super().__init__(s["d"])
        self.L, clock = self.exact(s["L"]), s["clock"]
        self.whole = isinstance(clock, dict) and "first" in clock
        if self.whole:
            self.begin = self.exact(fields(clock, "the clock", "first")["first"])
            self.now, self.next, self.over = [ZERO, ONE], [ONE, ONE], [ONE]
        else:
            fields(clock, "the clock", "from", "now", "next", "over")
            self.begin = self.exact(clock["from"])
            self.now, self.next, self.over = (
                self.poly(clock[k], k) for k in ("now", "next", "over")
            )
        self.n = n = len(items(s["A"], "A", least=1))
        self.A = [[self.poly(x, "A") for x in items(row, "A", n)] for row in items(s["A"], "A", n)]
        self.B, self.C, self.output = (
            [self.poly(x, name) for x in items(s[name], name, n)] for name in ("B", "C", "output")
        )
        self.D, self.step_unit = self.poly(s["D"], "D"), self.poly(s["step_unit"], "step_unit")
        self.point_unit, self.growth = (self.poly(s[k], k) for k in ("point_unit", "growth"))
        self.bounded, self.a = s["bounded"], self.poly(w["a"], "a")
        entries = {f"{i},{j}": (i, j) for i, j in combinations_with_replacement(range(n + 1), 2)}
        self.Q = self.named(w["Q"], entries)
        ends = {f"{i},{j}": (i, j) for i, j in pairs_of(STAR, 1 if self.bounded == "point" else 2)}
        self.nu = self.named(w["nu"], ends)
        powers = {f"{i},{j}": (i, j) for i in range(3) for j in range(3 - i)}
        pairs = {f"{i},{j}": (i, j) for i, j in pairs_of(STAR, 2)}
        self.lam = {}
        for key, given in fields(w["lambda"], "lambda", *w["lambda"]).items():
            if (
                key not in pairs
                or not isinstance(given, dict)
                or not given
                or not set(given) <= set(powers)
            ):
                raise Refused("lambda has a pair of points or of powers that is not there")
            self.lam[pairs[key]] = {powers[k]: self.exact(x) for k, x in given.items()}
            if not all(self.lam[pairs[key]].values()):
                raise Refused("a coefficient in lambda is 0")
        self.first = self.weights(w["first"], "first", pairs_of(STAR, 1))
        forms = [self.a, self.growth, *self.Q.values(), *self.nu.values()]
        if self.L.sign() < 1 or self.bounded not in ("point", "output") or max(map(len, forms)) > 3:
            raise Refused("L > 0, a bounded point or output and polynomials of degree 2 are needed")
        if not (len(self.now) > len(self.over) > 0 and (self.now[-1] * self.over[-1]).sign() > 0):
            raise Refused("the clock does not go on for ever")

    def poly(self, value: Any, where: str) -> Polynomial:
        """The coefficients of a polynomial, lowest first, the last one not 0."""
        found = [self.exact(x) for x in items(value, where)]
        if found and not found[-1]:
            raise Refused(f"a polynomial in {where} ends with 0")
        return found

    def named(
        self, value: Any, names: Mapping[str, tuple[int, int]]
    ) -> dict[tuple[int, int], Polynomial]:
        """Polynomials that are not 0 by pair."""
        if not isinstance(value, dict) or not set(value) <= set(names) or not all(value.values()):
            raise Refused("a polynomial belongs to a pair that is not there, or is 0")
        return {names[key]: self.poly(x, key) for key, x in value.items()}

    def degrees(self) -> tuple[int, int, int, int]:
        """In v: of the clock, of all rows, of all forms; and in t, of what reads points."""
        clock = max(map(len, (self.now, self.next, self.over))) - 1
        readers = (*self.C, self.D, *self.output, self.point_unit)
        point = max(map(len, readers)) - 1
        step = max(map(len, (self.step_unit, *self.B, *(e for row in self.A for e in row)))) - 1
        rows = 2 * point * clock + step
        return clock, rows, 2 * (rows + clock), point


class Step(Points):
    """One step at v: rows times ``scale``, forms times (scale over)^2, function values times over^2."""

    def __init__(self, it: Potential, v: Number) -> None:
        n, point = it.n, it.degrees()[3]
        self.now, self.next, self.over = (value(p, v) for p in (it.now, it.next, it.over))
        self.point, step = point, value(it.step_unit, v)
        here, there = (
            [self.at(p, t, point) for p in (*it.C, it.D, it.point_unit)]
            for t in (self.now, self.next)
        )
        *C, D, unit = here
        *C_next, D_next, unit_next = there
        output = [self.at(p, self.next, point) for p in it.output]
        moves = [[value(e, v) for e in (*row, b)] for row, b in zip(it.A, it.B, strict=True)]
        self.scale = scale = unit * unit_next * step
        # what the state at rest must obey: C v = 1, output v = 1, A v = v, times what they are over
        reads = [self.at(p, self.now, point) for p in it.output]
        still = [
            [e - step if i == j else e for j, e in enumerate(row[:n])]
            for i, row in enumerate(moves)
        ]
        self.rest = [*([*row, unit] for row in (C, reads)), *([*row, ZERO] for row in still)]
        # over (x, u, next u)
        self.one = [[scale if i == j else ZERO for j in range(n + 2)] for i in range(n + 2)]
        self.none = [ZERO] * (n + 2)
        self.y = [[*(unit_next * step * e for e in (*C, D)), ZERO]]
        after, ahead = ([*dot([unit * e for e in row], moves), ZERO] for row in (output, C_next))
        ahead[-1] = D_next * unit * step
        self.y, self.end = [*self.y, ahead, self.none], after
        self.after = [[*(unit * unit_next * e for e in row), ZERO] for row in moves] + [
            self.one[-1]
        ]
        self.g = [*self.one[n:], self.none]
        self.slack = (ONE, ZERO, ZERO, ONE + ONE)

    def at(self, p: Polynomial, t: Number, degree: int) -> Number:
        """A polynomial at t/over, times over^degree."""
        powers, found = ONE, ZERO
        for k in range(degree, -1, -1):
            found = found * t + (p[k] * powers if k < len(p) else ZERO)
            powers = powers * self.over
        return found

    def inequalities(self, it: Potential) -> None:
        """D, E, weights, and the function values that are left."""
        two, pairs = ONE + ONE, it.lam.items()
        t = [[self.over * self.over, self.over * self.next, self.next * self.next]]
        t += [
            [self.over * self.now, self.now * self.next],
            [self.now * self.now],
        ]  # by powers of now, next
        self.lam = {key: total(x * t[i][j] for (i, j), x in p.items()) for key, p in pairs}
        self.nu = {key: self.at(p, self.now, 2) for key, p in it.nu.items()}
        a, growth, a_next = (
            self.at(it.a, self.now, 2),
            self.at(it.growth, self.now, 2),
            self.at(it.a, self.next, 2),
        )
        V, D = ([list(self.none) for _ in self.none] for _ in range(2))
        for (i, j), p in it.Q.items():
            for form in (V, D):
                add_square(form, self.at(p, self.now, 2), self.one[i], self.one[j])
            add_square(D, -self.at(p, self.next, 2), self.after[i], self.after[j])
        self.start = a, [list(row) for row in V]
        self.D = subtract(self, D, self.lam)
        ahead, self.y[1] = self.y[1], self.end
        self.E = subtract(self, V, self.nu)
        self.y[1] = ahead
        at_y, at_end = (growth, ZERO) if it.bounded == "point" else (ZERO, growth)
        self.left = [
            a - two * net(self.lam, 0), -a_next - two * net(self.lam, 1),
            a - two * net(self.nu, 0) - at_y, -two * net(self.nu, 1) - at_end,
        ]  # fmt: skip
        self.growth = growth


def value(p: Polynomial, v: Number) -> Number:
    """A polynomial at a number."""
    found = ZERO
    for c in reversed(p):
        found = found * v + c
    return found


def minors(M: Matrix) -> list[Number]:
    """The coefficients of det(z + M) (Faddeev and LeVerrier): none is negative where M >= 0."""
    now, found = M, []
    for k in range(1, len(M) + 1):
        trace = total(now[i][i] for i in range(len(M))) * Number(Fraction(1, k))
        found.append(trace if k % 2 else -trace)
        shifted = [[x - trace if i == j else x for j, x in enumerate(r)] for i, r in enumerate(now)]
        now = [dot(row, shifted) for row in M]
    return found


def keeps(values: Sequence[Number], degree: int, v: Number | None, least: int) -> bool:
    """Whether a polynomial with these values at 0, 1, ... has such a sign at v and then >= 0.

    v = None is for the whole numbers alone.
    """
    if len(values) <= degree:
        raise Refused("a polynomial is not known")
    row = list(values[: degree + 1])
    binomial: Polynomial = []
    found: Polynomial = []
    while row:
        binomial, row = [*binomial, row[0]], [b - a for a, b in pairwise(row)]
    if v is None:
        found = binomial
    else:  # into powers of the distance from v, by Horner's rule
        for i in range(degree, -1, -1):
            up, down = [ZERO, *found], [*found, ZERO]
            scale = Number(Fraction(1, i + 1))
            found = [(p - (Number(i) - v) * q) * scale for p, q in zip(up, down, strict=True)]
            found[0] += binomial[i]
    return found[0].sign() >= least and all(x.sign() >= 0 for x in found)


def check_potential(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Potential`."""
    units_ = ("step_unit", "point_unit")
    fields(
        s,
        "the statement",
        "d",
        "L",
        "clock",
        "A",
        "B",
        "C",
        "D",
        "output",
        *units_,
        "bounded",
        "growth",
    )
    fields(w, "the witness", "a", "Q", "lambda", "nu", "first")
    it = Potential(s, w)
    clock, rows, form, _ = it.degrees()
    size = it.n + 2
    if form * size > 400:
        raise Refused("the degrees are too high")
    begin = it.begin if it.whole else ZERO
    steps = [Step(it, Number(Fraction(i)) + begin) for i in range(form * size + 1)]
    for step in steps:
        step.inequalities(it)
        if any(step.left):
            raise Refused("function values are left")
    equations = [row for step in steps for row in step.rest]
    v, alone = solve([row[:-1] for row in equations], [row[-1] for row in equations])
    if not alone:
        raise Refused("there are several states at rest")
    check_start(it, v)
    tests = [(1, clock, [x.over for x in steps]), (1, rows, [x.scale for x in steps])]
    tests += [
        (1, 2 * clock, [x.growth for x in steps]),
        (0, clock, [x.next - x.now for x in steps]),
    ]
    tests += [(0, 2 * clock, [x.lam[key] for x in steps]) for key in it.lam]
    tests += [(0, 2 * clock, [x.nu[key] for x in steps]) for key in it.nu]
    for found in ([minors(x.D) for x in steps], [minors(x.E) for x in steps]):
        tests += [(0, form * (k + 1), [row[k] for row in found]) for k in range(size)]
    if not all(
        keeps(x, degree, None if it.whole else it.begin, least) for least, degree, x in tests
    ):
        raise Refused("a weight is negative, D or E is not positive, or the clock or growth is not")
    it.finish()
    return potential_words(it, v)


def check_start(it: Potential, v: Row) -> None:
    """Prove |x_0 - x*|^2 - V_0 - sum first Q >= 0, over x_0 - x* = v and u_0."""
    step = Step(it, it.begin)
    step.inequalities(it)
    a, V = step.start
    square = step.over * step.over
    first = {key: square * x for key, x in it.first.items()}
    if not value(it.over, it.begin) or a + (ONE + ONE) * net(first, 0):
        raise Refused("function values are left at the start")
    S = subtract(step, [[-x for x in row] for row in V], first)
    into = [[x, ZERO] for x in v] + [[ZERO, ONE], [ZERO, ZERO]]
    S = congruent(S, into)
    S[0][0] += square * step.scale * step.scale
    if not definite(S, False):
        raise Refused("V is too large at the start")


def potential_words(it: Potential, v: Row) -> list[str]:
    """The statement, for readers."""

    def text(p: Polynomial, name: str) -> str:
        powers = ["", f" {name}", *(f" {name}^{k}" for k in range(2, len(p)))]
        return " + ".join(f"({x}){powers[k]}" for k, x in enumerate(p) if x) or "0"

    A = "; ".join(", ".join(text(e, "v") for e in row) for row in it.A)
    B, C, output = (
        ", ".join(text(e, x) for e in m) for m, x in ((it.B, "v"), (it.C, "t"), (it.output, "t"))
    )
    clock = (
        f"v = t_k = {it.begin} + k"
        if it.whole
        else (
            f"t_k = p(v_k)/q(v_k), t_k+1 = r(v_k)/q(v_k), v_k >= v_0 = {shown(it.begin)}, p = {text(it.now, 'v')}, "
            f"r = {text(it.next, 'v')}, q = {text(it.over, 'v')}"
        )
    )
    end = "y_k" if it.bounded == "point" else "output x_k+1"
    runs = "each has exactly one run" if not it.D else "about every run there is"
    return [
        "about x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradient of f at y_k over L, with",
        f"  A = [{A}] / w, B = [{B}] / w, w = {text(it.step_unit, 'v')}",
        f"  C = [{C}] / z, D = {text(it.D, 't')} / z, output = [{output}] / z, z = {text(it.point_unit, 't')}",
        f"  {clock}",
        f"for every convex f with L-Lipschitz gradient and a minimizer x*, in any dimension, L = {shown(it.L)}",
        f"from every start at rest ({runs}): x_0 = v (a point p), v = {matrix_text([v])}",
        f"f({end}) - f* <= L |p - x*|^2 / growth for k = 0, 1, 2, ..., growth = {text(it.growth, 't')}, t = t_k",
    ]  # fmt: skip


# ---- Lower bounds: a second statement, with its own witness --------------------------------------


def visible_poles(m: Method, curvature: Number) -> Polynomial:
    """The monic polynomial, leading coefficient first, of the poles that the output shows.

    On a quadratic of this curvature x_{k+1} = M x_k with M = A + c B (I - c D)^-1 C; the first
    of output, output M, ... that the ones before combine to gives the polynomial. Each of its roots
    is in the output from some start. Of enclosures, all n rows are to be independent.
    """
    implicit = plus(units(m.p), m.D, -curvature)
    columns = [solve(implicit, [curvature * x for x in c]) for c in zip(*m.C, strict=True)]
    if not all(alone for _, alone in columns):
        raise Refused("the step has no single solution at this curvature")
    gain = transposed([x for x, _ in columns])
    M = plus(m.A, [dot(row, gain) for row in m.B])
    rows = [m.output]
    while len(rows) <= m.n:
        rows.append(dot(rows[-1], M))
        if m.enclosed and len(rows) <= m.n:
            continue
        try:
            found, alone = solve([list(c) for c in zip(*rows[:-1], strict=True)], rows[-1])
        except Refused:
            continue
        if alone:
            return [ONE, *(-x for x in reversed(found))]
    raise Refused("which poles the output shows is not decided")


def all_within(p: Polynomial, radius: Number) -> bool:
    """Whether all roots are less than the radius in modulus (Schur and Cohn)."""
    scale = ONE
    scaled: Polynomial = []
    for c in reversed(p):
        scaled, scale = [scale * c, *scaled], scale * radius
    while len(scaled) > 1:
        head, tail = scaled[0], scaled[-1]
        if (head * head - tail * tail).sign() <= 0:
            return False
        scaled = [head * a - tail * b for a, b in zip(scaled[:-1], scaled[:0:-1], strict=True)]
    return True


def all_left(p: Polynomial, line: Number) -> bool:
    """Whether all roots have a real part less than the line's (Routh, about the line)."""
    found = list(p)
    for end in range(len(found), 1, -1):
        for i in range(1, end):
            found[i] += line * found[i - 1]
    upper, lower = found[::2], found[1::2]
    if any(c.sign() <= 0 for c in found):
        return False
    while lower:
        if lower[0].sign() <= 0:
            return False
        padded = [*lower, ZERO]
        row = [lower[0] * a - upper[0] * b for a, b in zip(upper[1:], padded[1:], strict=False)]
        upper, lower = lower, row
    return True


def check_quadratic(m: Method, lower: Any, rate: str) -> list[str]:
    """On the quadratic of a curvature in [mu, L] some run's output is no faster than claimed.

    It has a root on or beyond the circle (for a flow, the line): not all are within.
    """
    fields(lower, "lower", "kind", "curvature", rate)
    curvature, claim = m.exact(lower["curvature"]), m.exact(lower[rate])
    if (curvature - m.mu).sign() < 0 or not (m.infinite or (m.L - curvature).sign() >= 0):
        raise Refused("the curvature of the lower bound is not in [mu, L]")
    poles = visible_poles(m, curvature)
    if m.flow:
        if claim.sign() < 0 or all_left(poles, -claim):
            raise Refused("the quadratic may be faster than the lower bound says")
        return [
            f"on the quadratic of curvature {shown(curvature)} no rate above {shown(claim)} holds"
        ]
    if claim.sign() < 0 or (ONE - claim).sign() < 1 or all_within(poles, ONE - claim):
        raise Refused("the quadratic may be faster than the lower bound says")
    return [f"on the quadratic of curvature {shown(curvature)} no gap above {shown(claim)} holds"]


def check_spiral(m: Method, lower: Any) -> list[str]:
    """On some f in F(mu, L) of the plane a run has y_t = z^t, |z| >= 1 - gap, and an output that moves.

    With one gradient a step, x_t = z^t (z I - A)^-1 B G and gradients g_t = G y_t, 1/G = C (z I - A)^-1 B
    + D. With f_t = value |y_t|^2, K = |G|^2 - 2 mu Re G + mu L and w = z^j, all pairs of points, and the
    minimizer as w = 0, satisfy the interpolation inequalities if for j = 1, 2, ...
        2(L-mu)(value (1 - |w|^2) - Re(conj(G w) (1 - w))) >= K |1 - w|^2,
        2(L-mu)(Re(conj(G) (1 - w)) - value (1 - |w|^2)) >= K |1 - w|^2.
    For |w| <= e both sides differ from w = 0 by at most 2(L-mu)(value e^2 + |G| (e + e^2)) + K (2 e + e^2),
    which settles all j beyond some.
    """
    names = ("real", "imaginary", "value", "gap")
    fields(lower, "lower", "kind", *names)
    real, imaginary, value_, gap = (rational(lower[name]) for name in names)
    square = real**2 + imaginary**2
    if (
        m.p != 1
        or m.enclosed
        or not 0 <= gap < 1
        or not (1 - gap) ** 2 <= square < Fraction(99999999, 10**8)
    ):
        raise Refused("a spiral is for one gradient a step, and is no slower than it says")
    p, q, n = Number(real), Number(imaginary), m.n
    upper, lower_ = [], []
    for i, row in enumerate(m.A):  # (z I - A) (s + i t) = B, real and imaginary parts
        turned = [q if i == j else ZERO for j in range(n)]
        stays = [(p if i == j else ZERO) - a for j, a in enumerate(row)]
        upper.append([*stays, *(-x for x in turned)])
        lower_.append([*turned, *stays])
    system = [*upper, *lower_]
    found, alone = solve(system, [*(b[0] for b in m.B), *[ZERO] * n])
    s, t = found[:n], found[n:]
    H = inner(m.C[0], s) + m.D[0][0], inner(m.C[0], t)
    size = H[0] * H[0] + H[1] * H[1]
    if not alone or not size or not (inner(m.output, s) or inner(m.output, t)):
        raise Refused("the spiral is no run of the method, or its output rests")
    G = [trimmed(enclosed(x * reciprocal(size))) for x in (H[0], -H[1])]
    if not spiral_holds(p, q, G, enclosed(m.mu), enclosed(m.L), Number(value_)):
        raise Refused("the gradients along the spiral are those of no function of the class")
    return [
        f"on a function of the plane, along y_k = z^k, z = {real} + i {imaginary}, no gap above {gap} holds"
    ]


def trimmed(x: Number, bits: int = 220) -> Number:
    """A multiple of 2^-bits, with the error kept."""
    a = Fraction(round(x.a * 2**bits), 2**bits)
    return Number(a, e=Fraction((-(-(x.e + abs(x.a - a)) * 2**bits)).__ceil__(), 2**bits))


def spiral_holds(p: Number, q: Number, G: Row, mu: Number, L: Number, value_: Number) -> bool:
    """The inequalities of `check_spiral`, one by one, and the tail at once."""
    a, b = G
    twice = L - mu + L - mu
    K = a * a + b * b - (mu + mu) * a + mu * L
    margins = [twice * value_ - K, twice * (a - value_) - K]  # with the minimizer
    if value_.sign() < 1 or any(x.sign() < 1 for x in margins):
        return False
    room = min(x.a - x.e for x in margins)
    most = [abs(x.a) + x.e for x in (twice, a, b, K, value_)]  # upper bounds of sizes
    rho = Fraction(isqrt(int((p.a**2 + q.a**2) * 2**120)) + 1, 2**60)
    far, w = Fraction(1), (ONE, ZERO)
    for _ in range(20_000):
        far = Fraction(int(far * rho * 2**80) + 1, 2**80)  # at least |w|
        tail = far + far * far
        if (
            most[0] * (most[4] * far * far + (most[1] + most[2]) * tail) + most[3] * (far + tail)
            < room
        ):
            return True
        w = trimmed(w[0] * p - w[1] * q), trimmed(w[0] * q + w[1] * p)
        x, y = ONE - w[0], -w[1]
        gone = value_ * (ONE - w[0] * w[0] - w[1] * w[1])
        bent = K * (x * x + y * y)
        before = (a * w[0] - b * w[1]) * x + (a * w[1] + b * w[0]) * y
        after = a * x + b * y
        if (twice * (gone - before) - bent).sign() < 0 or (
            twice * (after - gone) - bent
        ).sign() < 0:
            return False
    return False


def check_function(it: Steps, lower: Any) -> list[str]:
    """On some f in F(mu, L), M >= bound S: its points, gradients and values, all pairs interpolated.

    "start" is x_0, "gradients" and "values" are of f at y_i; the minimizer is 0, with the value 0.
    """
    fields(lower, "lower", "kind", "start", "gradients", "values", "bound")
    reader, count = it.reader, it.last + 1
    start = [reader.exact(x) for x in items(lower["start"], "start", least=1)]
    wide = len(start)
    u = [
        [reader.exact(x) for x in items(r, "gradients", wide)]
        for r in items(lower["gradients"], "gradients", count)
    ]
    f = [reader.exact(x) for x in items(lower["values"], "values", count)]
    bound = reader.exact(lower["bound"])
    y = [
        [x + h for x, h in zip(start, dot(row, u[: len(row)]) or [ZERO] * wide, strict=True)]
        for row in it.points
    ]
    rest = [ZERO] * wide
    y, u, f = [*y, rest], [*u, rest], [*f, ZERO]
    twice, square = it.slack[3], it.mu * it.L
    for i, j in permutations(range(count + 1), 2):
        dy, du = ([a - b for a, b in zip(v[i], v[j], strict=True)] for v in (y, u))
        slack = twice * (f[i] - f[j] - inner(u[j], dy)) + (it.mu + it.mu) * inner(du, dy)
        if (slack - inner(du, du) - square * inner(dy, dy)).sign() < 0:
            raise Refused("the data of the lower bound belong to no function of the class")
    S = inner(start, start) if it.start == "distance" or it.first is None else f[it.first]
    M = {"value": f[-2], "gradient": inner(u[-2], u[-2]), "distance": inner(y[-2], y[-2])}[
        it.measure
    ]
    if S.sign() < 1 or (M - bound * S).sign() < 0:
        raise Refused("the function of the lower bound does not attain it")
    return [f"on a function in {wide} dimension(s), no constant c below {shown(bound)} holds"]


def check_lower(kind: str, s: Mapping[str, Any], lower: Any) -> list[str]:
    """Prove the lower bound that belongs to a statement."""
    wanted = lower.get("kind") if isinstance(lower, dict) else None
    if kind == "horizon" and wanted == "function":
        return check_function(Steps(s), lower)
    if kind in ("rate", "iqc", "quadratics", "flow") and wanted == "quadratic":
        flow = kind == "flow"
        return check_quadratic(Method(s, flow), lower, "rate" if flow else "gap")
    if kind in ("rate", "iqc") and wanted == "spiral":
        return check_spiral(Method(s), lower)
    raise Refused("this kind of statement has no lower bound of this kind")


# ---- The document --------------------------------------------------------------------------------

KINDS = {
    "rate": check_rate,
    "iqc": check_iqc,
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
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise Refused(f"the document is malformed ({type(error).__name__})") from None


def proved(document: Any) -> list[str]:
    """The same by lines."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        older = " older documents do not bind all they print: certify anew;" if schema else ""
        raise Refused(f"the schema is {brief(schema)};{older} this is a checker of {SCHEMA}")
    fields(
        document, "a certificate", "schema", "name", "kind", "statement", "witness", maybe="lower"
    )
    name, kind, s = document["name"], document["kind"], document["statement"]
    if not isinstance(kind, str) or kind not in KINDS or not isinstance(s, dict):
        raise Refused(f"the kind is one of {', '.join(KINDS)}, not {brief(kind)}")
    if not isinstance(name, str) or len(name) > 100 or not (name.isprintable() and name.isascii()):
        raise Refused("the name is a short text")
    lines = KINDS[kind](s, document["witness"])
    if "lower" in document:
        lines += ["and conversely:", *check_lower(kind, s, document["lower"])]
    return (
        [*lines, f"(it calls the method {name!r}, a word that nothing here depends on)"]
        if name
        else lines
    )


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
