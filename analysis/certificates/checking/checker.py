"""Check a certificate of a convergence rate or bound; needs Python alone: python check_certificate.py FILE

The file holds a statement about a method and a class of functions, and a witness: numbers that make the statement
follow from inequalities. This script rebuilds the inequalities from the statement, in exact arithmetic, and prints
what they prove: nothing of the file is believed, and the method's name is said to be a word.

Numbers are "p/q", or ["a", "b"] for a + b sqrt(d) with one whole number d for all, or, where a number lies in no
such field, {"from": lo, "to": hi}: the statement is then about all numbers in between. Each number, and each
document, can be spelled in one way only; unknown parts are refused.

F(mu, L) is the class of functions f, in any dimension, that are mu-strongly convex and whose gradient is
L-Lipschitz. All kinds but one rest on its interpolation inequalities: for points y_i, gradients u_i and values f_i
(Taylor, Hendrickx, Glineur, arXiv:1502.05666; for L = infinity 1/L is 0)
    0 <= Q_ij = 2(1-mu/L)(f_i - f_j - <u_j, y_i - y_j>)
                - |u_i - u_j|^2/L - mu |y_i - y_j|^2 + 2(mu/L) <u_i - u_j, y_i - y_j>.
Point -1 is a minimizer x*, moved to 0, where the gradient and the value are 0. A form in inner products of vectors
of any dimension is at least 0 if its matrix is positive semidefinite. A sum of inequalities with weights that are
not negative is subtracted from what is claimed to be at least 0, until only such a form is left.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Context
from fractions import Fraction
from functools import partial
from itertools import chain, combinations_with_replacement, pairwise, permutations, product
from math import ceil, isqrt, lcm, log2, prod
from reprlib import repr as brief
from types import SimpleNamespace
from typing import Any, TypeAlias

SCHEMA = "odescent.certificate/3"
STEP = "x_k+1 = A x_k + B u_k, y_k = C x_k + D u_k"
STAR = -1  # the minimizer among the points
SPELLED = re.compile("-?[0-9]{1,4000}(/[1-9][0-9]{,3999})?")
BYTES = 10**7  # of a file
LARGEST = 128  # rows of a matrix
BITS = 256  # of an enclosure of a number
ROUNDS = 20_000  # points of a spiral
READ = 10**7  # bits of a common denominator, times how many numbers have it
WORK = 10**9  # bits times multiplications, bits that grow with the size
both = partial(zip, strict=True)  # lists of the same length, side by side


class Refused(ValueError):
    """The document does not prove a statement; the message says where."""


def require(holds: object, otherwise: str) -> None:
    """Refused with a sentence unless something holds."""
    if not holds:
        raise Refused(otherwise)


# ---- Numbers -------------------------------------------------------------------------------------
class Number:
    """a + b sqrt(d) exactly, or any number that differs from a by at most e (then b = 0)."""

    def __init__(self, a: Any, b: Any = 0, d: int = 1, e: Any = 0) -> None:
        self.a, self.b, self.d, self.e = a, b, d, e  # fractions or whole numbers
        require(not (b and e), "an enclosure cannot be added to a root")

    def __bool__(self) -> bool:
        return bool(self.a or self.b or self.e)

    def __add__(self, other: Any) -> Number:
        if not isinstance(other, Number):
            return NotImplemented
        d = max(self.d, other.d)  # 1 for rational constants
        return Number(self.a + other.a, self.b + other.b, d, self.e + other.e)

    def __neg__(self) -> Number:
        return Number(-self.a, -self.b, self.d, self.e)

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __mul__(self, other: Any) -> Number:
        if not isinstance(other, Number):
            return NotImplemented
        a, d, e = self.a * other.a, max(self.d, other.d), 0
        if self.b or other.b:
            require(not (self.e or other.e), "an enclosure cannot be multiplied by a root")
            return Number(a + d * self.b * other.b, self.a * other.b + self.b * other.a, d)
        if self.e or other.e:
            e = abs(self.a) * other.e + (abs(other.a) + other.e) * self.e
        return Number(a, 0, d, e)

    def sign(self) -> int:
        """-1, 0 or 1; Refused where an enclosure does not tell."""
        a, b = self.a, self.b
        require(not self.e or abs(a) > self.e, "an enclosure is too wide to tell a sign")
        # a^2 - d b^2 has the sign of |a| - |b| sqrt(d), which tells where a and b have different ones
        value = a + b if a * b >= 0 else a * (a * a - self.d * b * b)
        return int(value > 0) - int(value < 0)

    def __str__(self) -> str:
        if self.e:
            return f"{self.a - self.e} to {self.a + self.e}"
        root = f" {'+' if self.b > 0 else '-'} {abs(self.b)}*sqrt({self.d})" if self.b else ""
        return f"{self.a}{root}"


Row: TypeAlias = list[Any]  # of numbers, or of polynomials
Matrix: TypeAlias = list[Row]
Weights: TypeAlias = dict[tuple[int, int], Any]
ZERO, ONE, TWO, HALF = (Number(x) for x in (0, 1, 2, Fraction(1, 2)))


def reciprocal(x: Number) -> Number:
    """1 / x = (a - b sqrt(d))/(a^2 - d b^2), or 1/(a -+ e) = (a +- e)/(a^2 - e^2); ZeroDivisionError if x may be 0."""
    norm = Fraction(x.a) ** 2 - x.d * Fraction(x.b) ** 2 - Fraction(x.e) ** 2
    if x.e and norm <= 0:
        raise ZeroDivisionError
    return Number(x.a / norm, -x.b / norm, x.d, x.e / norm)


def rounded(x: Number, bits: int) -> Number:
    """An enclosure of x 2^bits in whole numbers; x 2^bits itself if it is one."""
    unit = Fraction(2) ** bits
    middle, error = unit * x.a, unit * x.e
    if x.b:  # the root is less than 1 below |b| sqrt(d) 2^bits
        root = isqrt(int((unit * x.b) ** 2 * x.d))
        middle, error = middle + (root if x.b > 0 else -root), 1
    near = round(middle)
    return Number(near, e=ceil(error + abs(middle - near)))


def shown(x: Any) -> str:
    """A number exactly, and to ten digits unless it is whole; lists of them in full."""
    if isinstance(x, list):
        return f"[{', '.join(map(shown, x))}]"
    middle, exact = Fraction(rounded(x, 4096).a, 2**4096), not (x.b or x.e)
    if exact and middle.denominator == 1:
        return str(x)
    digits = Context(prec=10).divide(*middle.as_integer_ratio())
    return f"{x} = {digits:g}" + ("" if exact and Fraction(digits) == x.a else "..")


# ---- Polynomials and forms -----------------------------------------------------------------------
class Polynomial:
    """A sum of numbers times powers of t, which is any number >= 0, times products of symbols.

    {(2, "u0", "x0"): 3} is 3 t^2 <u0, x0>: symbols are vectors, and a product of two is their inner product, or they
    are function values. So vectors, forms in vectors and polynomials in t are added and multiplied alike.
    """

    def __init__(self, c: Mapping[tuple[Any, ...], Any]) -> None:
        self.c = {key: x for key, x in c.items() if x}

    def __bool__(self) -> bool:
        return bool(self.c)

    def __add__(self, other: Any) -> Any:
        return summed([self, other])

    def __neg__(self) -> Polynomial:
        return Polynomial({key: -x for key, x in self.c.items()})

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __mul__(self, other: Any) -> Polynomial:
        found, others = dict[Any, Any](), getattr(other, "c", {(0,): other})
        for ((i, *left), x), ((j, *right), y) in product(self.c.items(), others.items()):
            key = (i + j, *sorted(left + right))
            found[key] = found[key] + x * y if key in found else x * y
        return Polynomial(found)

    __radd__, __rmul__ = __add__, __mul__  # for numbers on the left

    def sign(self) -> Any:
        """Of one in t: 1 if positive, 0 if not negative, as its coefficients show; -1 if they do not."""
        return -1 if any(x.sign() < 0 for x in self.c.values()) else self.c.get((0,), ZERO).sign()

    def put(self, others: Mapping[str, Any]) -> Any:
        """The same with others for some symbols; each product has one symbol or two."""
        rows = dict[str, Row]()
        for (power, first, *second), x in self.c.items():
            factors = (others.get(name, symbol(name)) for name in second)
            rows.setdefault(first, []).append(prod(factors, start=Polynomial({(power,): x})))
        terms = (others.get(name, symbol(name)) * summed(row) for name, row in rows.items())
        return summed([Polynomial({}), *terms])

    def matrix(self, names: Sequence[str]) -> Matrix:
        """Of a form in these vectors, with entries that are numbers, or polynomials in t."""
        found = [[ZERO for _ in names] for _ in names]
        for (power, *ends), x in self.c.items():
            half = HALF * (Polynomial({(power,): x}) if power else x)
            for i, j in permutations(map(names.index, ends)):
                found[i][j] += half
        return found

    def powers(self, degree: int) -> Row:
        """The coefficients of one in a single symbol, the highest power first: numbers, or polynomials in t."""
        found: Row = [ZERO] * (degree + 1)
        for (power, *names), x in self.c.items():
            found[degree - len(names)] += Polynomial({(power,): x}) if power else x
        return found


def symbol(name: str) -> Polynomial:
    """A vector, or a function value."""
    return Polynomial({(0, name): ONE})


def cleared(given: Iterable[Any]) -> list[Polynomial]:
    """Polynomials times a common denominator: in whole numbers, which are fast to add."""
    found = [Polynomial({}) + p for p in given]
    times = lcm(*(y.denominator for p in found for x in p.c.values() for y in (x.a, x.b, x.e)))
    for p in found:
        for key, x in p.c.items():
            p.c[key] = Number(int(times * x.a), int(times * x.b), x.d, int(times * x.e))
    return found


def work(left: Row, right: Row) -> int:
    """The product of the longest of these numbers, or polynomials, and the longest of those: bits times terms.

    Fractions are reduced again and again, which takes the square of their bits.
    """
    bits, terms, whole = 1000, 1, True
    for each in (left, right):
        listed = [[*getattr(x, "c", {0: x}).values()] for x in each]
        parts = [y.as_integer_ratio() for x in chain(*listed) for y in (x.a, x.b, x.e)]
        sizes = (y.bit_length() for part in parts for y in part)
        bits, terms = bits + max(sizes, default=0), terms * max(map(len, listed))
        whole = whole and all(below == 1 for _, below in parts)
    return terms * (bits if whole else 2 * bits + bits**2 // 500)


def summed(terms: Iterable[Any]) -> Any:
    """A sum: of numbers a number, else a polynomial."""
    every, found = [*terms], dict[Any, Any]()
    if all(isinstance(x, Number) for x in every):
        return sum(every, ZERO)
    for term in every:
        for key, x in getattr(term, "c", {(0,): term}).items():
            found[key] = found[key] + x if key in found else x
    return Polynomial(found)


def inner(u: Iterable[Any], v: Iterable[Any]) -> Any:
    """The sum of the products of two rows, skipping zeros."""
    return summed(a * b for a, b in both(u, v) if a and b)


def at(p: Sequence[Any], x: Any, over: Any = ONE, degree: int = 0) -> Any:
    """A polynomial of at most this degree, or its own, at x / over, times over^degree."""
    found, power = ZERO, ONE
    for k in range(max(degree, len(p) - 1), -1, -1):
        found, power = found * x + (p[k] * power if k < len(p) else ZERO), power * over
    return found


def definite(matrix: Matrix, strict: bool = False, bits: int = 0) -> bool:
    """Whether a symmetric matrix is positive semidefinite, or, if strict, definite; for all t >= 0.

    By elimination: pivots are positive, or 0 where all that is left of their row is. Numbers are first tried as
    enclosures, multiples of 2^-bits. Rows of polynomials are not divided by the pivot, which is positive but at
    single t, and there the matrix is semidefinite by continuity.
    """
    rows, spent, more = [row[i:] for i, row in enumerate(matrix)], 0, bits
    numbers = all(isinstance(x, Number) for row in rows for x in row)
    if numbers and not bits:
        with suppress(Refused):
            return definite(matrix, strict, BITS)
    elif not numbers:
        whole = iter(cleared(chain(*rows)))
        rows = [[next(whole) for _ in row] for row in rows]
    while rows:
        every = [x for row in rows for x in row]
        if bits:
            rows, more = [[rounded(x, more) for x in row] for row in rows], -2 * bits
        else:
            spent += len(every) * work(every, every)
            require(spent <= WORK, "a form has too many digits to decide it")
        (pivot, *top), *rows = rows
        if pivot.sign() < strict or (not pivot and any(top) and not bits):
            return False
        require(pivot or not any(top), "an enclosure may be 0")
        by, over = (ONE, reciprocal(pivot)) if numbers and pivot else (pivot, ONE)
        if bits:
            by, over = Number(4**bits), rounded(over, 2 * bits)
        for i, t in enumerate(top if pivot else ()):
            row, scaled = rows[i], t * over
            rows[i] = [by * x - scaled * u for x, u in both(row, top[i:])]
    return True


# ---- Reading -------------------------------------------------------------------------------------
def fields(value: Any, where: str, needed: str, maybe: str = "") -> Any:
    """The same, an object with these keys, maybe those, and no others."""
    names, keys = {*needed.split()}, [*value] if isinstance(value, dict) else [value]
    fits = isinstance(value, dict) and names <= {*keys} <= {*names, *maybe.split()}
    require(fits, f"{where} needs exactly {needed}, not {brief(keys)}")
    return value


class Reader(SimpleNamespace):
    """A statement's parts by their names, its numbers all of Q(sqrt d), or, for d = 1, also enclosures.

    Parts are listed with their shapes: "A:np" are n lists of p numbers, where equal letters are equal lengths, digits
    are lengths, / is one less than the row before, and * is any, but no 0 at the end; letters of ``pairs`` are entries
    by these pairs, none of them 0; "mu:" is a number; "kind" stays as it is.
    """

    def __init__(self, s: Mapping[str, Any], shapes: str = "") -> None:
        d = s["d"]
        known = type(d) is int and 1 <= d < 10**80 and (d == 1 or isqrt(d) ** 2 != d)
        known = known and all(d % k**2 for k in range(2, min(100_000, isqrt(d)) + 1))
        require(known, f"d is a whole number without squares, not {brief(d)}")
        self.d, self.roots, self.boxed = d, d == 1, False
        self.sizes, self.pairs = dict[str, int](), dict[str, Sequence[tuple[int, int]]]()
        self.count, self.common = 0, 1  # numbers read so far, their common denominator
        vars(self).update(self.parts(s, "the statement", f"d {shapes}"))

    def fraction(self, text: Any) -> Fraction:
        """A fraction in lowest terms, spelled as Python prints it; sums of all that were read stay short."""
        spelled = isinstance(text, str) and SPELLED.fullmatch(text)
        require(spelled, f"a number is text such as 2/3, of at most 4000 digits, not {brief(text)}")
        value = Fraction(text)
        require(str(value) == text, f"{brief(text)} is not the only way to write a number")
        self.count, self.common = self.count + 1, lcm(self.common, value.denominator)
        few = self.common.bit_length() * self.count <= READ
        require(few, "the numbers have too many digits to be added")
        return value

    def number(self, value: Any) -> Number:
        """A number or an enclosure."""
        if isinstance(value, dict):
            ends = self.parts(value, "an enclosure", "from to").values()
            low, high = map(self.fraction, ends)
            require(self.d == 1 and low < high, "an enclosure needs d = 1 and ends that differ")
            self.boxed = True
            return Number((low + high) / 2, e=(high - low) / 2)
        if isinstance(value, list):
            a, b = map(self.fraction, self.table(value, "a number a + b sqrt(d)", "2"))
            require(self.d > 1 and b, "a number with a root needs d > 1 and a factor that is not 0")
            self.roots = True
            return Number(a, b, self.d)
        return Number(self.fraction(value), d=self.d)

    def table(self, value: Any, where: str, shape: str) -> Any:
        """Numbers in nested lists of this shape, at the end of which is a colon; without one, the value itself."""
        if shape in (":", ""):
            return self.number(value) if shape else value
        letter, rest = shape[0], shape[1:]
        if letter in self.pairs:
            names = {f"{i},{j}": (i, j) for i, j in self.pairs[letter]}
            known = isinstance(value, dict) and {*value} <= {*names}
            require(known, "a weight or polynomial belongs to a pair that is not there")
            entries = {names[key]: self.table(x, where, rest) for key, x in value.items()}
            require(all(entries.values()), "a weight or polynomial is 0")
            return entries
        length = int(letter) if letter.isdigit() else self.sizes.get(letter)
        fits = isinstance(value, list) and len(value) <= LARGEST and length in (None, len(value))
        require(fits, f"{where} is no list of the length that fits, but {brief(value)}")
        if letter != "*":
            self.sizes[letter] = len(value) - (letter == "/")
        found = [self.table(x, where, rest) for x in value]
        require(letter != "*" or not found or found[-1], f"{where} ends with 0")
        return found

    def parts(self, value: Any, where: str, shapes: str) -> dict[str, Any]:
        """The parts of an object with these keys and no others, by their shapes."""
        split = [part.partition(":") for part in shapes.split()]
        given = fields(value, where, " ".join(name for name, _, _ in split))
        return {name: self.table(given[name], name, shape + colon) for name, colon, shape in split}

    def listed(self, shapes: str, also: str = "") -> list[str]:
        """These parts in full, for readers; Refused if there is a field that no number needs."""
        require(self.roots, "d is not 1, but no number has a root")
        names = [part.partition(":")[0] for part in shapes.split()]
        lines = [f"  {name} = {shown(getattr(self, name))}" for name in names]
        return [*lines, *["  whatever the numbers in these enclosures" + also] * self.boxed]


# ---- Points and inequalities ---------------------------------------------------------------------
def factors_of(mu: Any, inverse: Any) -> Row:
    """The factors of |du|^2, |dy|^2, <du, dy> and <u_j, dy> in Q_ij, du = u_i - u_j, dy = y_i - y_j, by 1/L."""
    return [-inverse, -mu, TWO * mu * inverse, TWO * mu * inverse - TWO]


def slack(factors: Row, one: Sequence[Any], other: Sequence[Any]) -> Any:
    """Q_ij for rows of coordinates y and u, in which a symbol is one coordinate, and for f times 2(1-mu/L)."""
    (of_u, of_y, of_both, of_last), (y, u, f), (y_j, u_j, f_j) = factors, one, other
    dy, du = ([a - b for a, b in both(*ends)] for ends in ((y, y_j), (u, u_j)))
    squares = of_u * inner(du, du) + of_y * inner(dy, dy)
    return f - f_j + of_last * inner(u_j, dy) + squares + of_both * inner(du, dy)


def less(form: Any, factors: Row, weights: Weights) -> tuple[Polynomial, Polynomial]:
    """A form - sum of weights Q_ij with symbols y_i, u_i, f_i, 0 for i = -1: its products and function values."""
    indices = chain.from_iterable(weights)
    points = {i: [[symbol(f"y{i}")], [symbol(f"u{i}")], symbol(f"f{i}")] for i in indices}
    points[STAR] = [[ZERO], [ZERO], ZERO]
    taken = (-w * slack(factors, points[i], points[j]) for (i, j), w in weights.items())
    left = summed([Polynomial({}), form, *taken]).c.items()
    products = Polynomial({key: x for key, x in left if len(key) == 3})
    return products, Polynomial({key: x for key, x in left if len(key) != 3})


def follow(form: Any, factors: Row, weights: Weights) -> tuple[Polynomial, Weights]:
    """The same less those w_i Q_ij, i = -1, for which the function values cancel; and these weights."""
    left, values = less(form, factors, weights)
    star = {(STAR, int(name[1:])): -x for (_, name), x in values.c.items()}
    return less(left, factors, star)[0], star


def pairs_of(least: int, count: int) -> list[tuple[int, int]]:
    """Pairs of different points -1, ..., count - 1, the first of them at least ``least``."""
    return [(i, j) for i, j in permutations(range(STAR, count), 2) if i >= least]


def settle(weights: Iterable[Any], names: Sequence[str], *forms: Polynomial) -> None:
    """Refused unless no weight is negative, and no form in these vectors that is left after subtraction."""
    require(all(x.sign() >= 0 for x in weights), "a weight is negative")
    require(all(definite(f.matrix(names)) for f in forms), "what is left, D or E, is not positive")


# ---- Kinds "rate" and "flow": linear methods -----------------------------------------------------
class Method(Reader):
    """x_{k+1} = A x_k + B u_k, y_k = C x_k + D u_k, u_k the gradients of f at the rows of y_k.

    A flow is x' = A x + B u, y = C x. The state rest x* stays and is read as x*: A rest = rest (of a flow 0), C rest
    = 1, output rest = 1. So differences to it obey the same equations with x* at 0. Of enclosures that is part of the
    hypothesis. Vectors are x_0, ..., the state, and g_0, ..., the gradients u_k/L, ..., u_{k+memory}/L, of a flow u.
    """

    def __init__(self, s: Mapping[str, Any], memory: Any = 0, flow: bool = False) -> None:
        self.names = f"A:nn B:np C:pn {'' if flow else 'D:pp '}output:n rest:n"
        claim = "rate:" if flow else "gap: bounded" if "bounded" in s else "gap:"
        super().__init__(s, f"{self.names} mu: L {claim}")
        self.n, self.p = n, p = len(self.A), len(self.C)
        self.flow, self.infinite = flow, flow and s["L"] == "infinity"
        self.L = ZERO if self.infinite else self.number(s["L"])
        some = n * p and self.mu.sign() > 0 and (self.infinite or (self.L - self.mu).sign() >= flow)
        require(some, f"a state, a gradient and 0 < mu {'<' if flow else '<='} L are needed")
        self.factors = factors_of(self.mu, ZERO if self.infinite else reciprocal(self.L))
        self.unit, stays, self.bounded = ONE if flow else self.L, ONE, s.get("bounded")
        if flow:
            require(self.rate.sign() >= 0, "the rate is negative")
            stays, self.D = ZERO, [[ZERO] * p] * p
        else:
            self.rate: Any = ONE - self.gap
            good = self.gap.sign() > 0 and self.rate.sign() >= 0
            good = good and self.bounded in ("state", "output", None)
            require(good, "a gap from 0 to 1 is needed, and state or output as what is bounded")
        reads = [*self.C, self.output]
        off = [inner(row, self.rest) - ONE for row in reads]
        for i, row in enumerate(self.A):
            off.append(inner([*row[:i], row[i] - stays, *row[i + 1 :]], self.rest))
        exact = not any(x.e for row in (*self.A, *reads) for x in row)
        rests = not any(x.b or abs(x.a) > x.e for x in off)
        rests = rests and not (exact and any(x.e for x in self.rest))
        require(rests, "the state rest does not rest at a minimizer, or is not read as it")
        known = type(memory) is int and 0 <= memory < 10 and n + p * (memory + 1) <= LARGEST
        require(known, "memory is a whole number from 0 to 9, or the method is too large")
        x, g = [f"x{i}" for i in range(n)], [f"g{i}" for i in range(p * (memory + 1))]
        self.vectors, self.held, self.early = [*x, *g], [*x, *g[:-p]], p if flow else p * memory
        self.pairs = {"E": pairs_of(STAR, self.early), "D": pairs_of(0, len(g))}
        self.sizes |= {"m": len(self.held), "/": len(self.held)}
        self.where = {f"u{i}": self.unit * symbol(name) for i, name in enumerate(g)}
        self.states = [[*map(symbol, x)]]
        for k in range(0, len(g), p):
            now = [*self.states[-1], *(self.where[f"u{i}"] for i in range(k, k + p))]
            for i, rows in enumerate(both(self.C, self.D), k):
                self.where[f"y{i}"] = inner(chain(*rows), now)
            self.states.append([inner(chain(*rows), now) for rows in both(self.A, self.B)])

    def loss(self, V: Any) -> Any:
        """rate^2 V - V+; of a flow -V' - 2 rate V, where V' is the coefficient of t in V a short time t later."""
        x, moved = self.states[:2]
        if not self.flow:
            later = dict(zip(self.vectors, moved, strict=False))
            for i in range(self.early):
                later |= {f"{kind}{i}": symbol(f"{kind}{i + self.p}") for kind in "gf"}
            return self.rate * self.rate * V - V.put(later)
        t = Polynomial({(1,): ONE})
        later = {name: a + t * b for name, a, b in both(self.held, x, moved)}
        for i, row in enumerate(self.C):  # f_i' = <u_i, y_i'>
            rise = self.factors[3] * symbol(f"g{i}") * inner(row, moved)
            later[f"f{i}"] = symbol(f"f{i}") - t * rise
        parts = V.put(later).c.items()
        rises = Polynomial({(0, *names): c for (power, *names), c in parts if power == 1})
        return -rises - TWO * self.rate * V

    def remainders(self, P: Matrix, nu: Weights, lam: Weights) -> tuple[Any, Any, Weights]:
        """E, D, and the lambda of pairs (-1, i)."""
        W = [*map(symbol, self.held)]
        form = self.unit * inner([inner(row, W) for row in P], W)
        E, values = less(form, self.factors, nu)  # V has p_i for which there are none
        D, star = follow(self.loss(form - values), self.factors, lam)
        return E.put(self.where), D.put(self.where), star

    def words(self, *claim: str) -> list[str]:
        """The statement, for readers."""
        law = "x' = A x + B u, y = C x" if self.flow else STEP
        L = "infinity (f continuously differentiable)" if self.infinite else shown(self.L)
        return [
            f"about {law}, u the gradients of f at the {self.p} row(s) of y, with",
            *self.listed(self.names, ", if rest rests at minimizers"),
            f"for every f in F(mu, L) in any dimension, mu = {shown(self.mu)}, L = {L}",
            *claim,
        ]


def check_rate(s: Mapping[str, Any], w: Any, flow: bool = False) -> list[str]:
    """The statement: |x_k - rest x*| ("state") or |output x_k - x*| ("output") is O(rate^k).

    Of a flow, f continuously differentiable: |output x(t) - x*| = O(exp(-rate t)). With W = (x_k, u_k/L, ...,
    u_{k+s-1}/L), s = memory, V = L W'P W + sum p_i f_i (of a flow W = x, V = W'P W + sum p_i f_i, and -V' - 2 rate V in
    place of rate^2 V - V+), the witness has weights nu, lambda > 0 and P with
        rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,
        V - sum nu_ij Q_ij = E,    E > 0 (the state), or E >= weight |z|^2 (the output),
    z = (output of x_{k+s}) - share (output of x_{k+s-1}), |share| < rate, share = 0 if none is given.
    So V_k <= rate^2k V_0, and V bounds what is bounded: where z_k = O(rate^k), so is the output. p_i and the
    lambda of pairs (-1, i) are those for which the f_i cancel.
    """
    output = flow or s.get("bounded") == "output"
    needed = "memory " * (not flow) + "P nu lambda" + " weight" * output
    fields(w, "the witness", needed, "share" * (output and not flow))
    it = Method(s, 0 if flow else w["memory"], flow)
    require(flow or it.bounded, "either the state or the output is bounded")
    z, size = inner(it.output, it.states[-2]), len(it.held)
    if "share" in w:
        share = it.number(w["share"])
        less = share and (it.rate * it.rate - share * share).sign() > 0
        require(less, "a share is not 0, and less than the rate in size")
        z -= share * inner(it.output, it.states[-3])
    nu, lam = it.table(w["nu"], "nu", "E:"), it.table(w["lambda"], "lambda", "D:")
    upper = it.table(w["P"], "P", "m/:")
    P = [[upper[min(i, j)][abs(i - j)] for j in range(size)] for i in range(size)]
    E, D, star = it.remainders(P, nu, lam)
    if output:
        weight = it.number(w["weight"])
        require(weight.sign() > 0, "the weight is not positive")
        E -= weight * z * z
    else:
        require(definite(E.matrix(it.held), True), "E is not positive")
    settle([*nu.values(), *lam.values(), *star.values()], it.vectors, E, D)
    if flow:
        start = "from every start, as long as the solution exists (for finite L: forever)"
        return it.words(start, f"|output x(t) - x*| = O(exp(-r t)), r = {shown(it.rate)}")
    start = "from every start, for every run there is (exactly one if D = 0)"
    what = "|output x_k - x*|" if output else "|x_k - rest x*|, and so |output x_k - x*|,"
    ends = "" if it.rate else ": 0 from some k on"
    claim = f"{what} = O(r^k), r = 1 - gap = {shown(it.rate)}, gap = {shown(it.gap)}{ends}"
    return it.words(start, claim)


# ---- Kind "quadratics", and lower bounds by them -------------------------------------------------
def poles(m: Method, low: Number, high: Number, gain: Sequence[Number] = (), share: int = 1) -> Any:
    """det [[z I - A - gain output, -c B], [-C, I - c D]] by its powers of z, highest first, times what is positive.

    c = (low + high t)/(1 + t), which is between low and high for t >= 0: coefficients are polynomials in t, or, where
    both are one, numbers. The roots are the method's poles where the curvature is c, u = c y, if gain times the output
    is added to each next state. All is summed in whole numbers.
    """
    n, size, gain = m.n, m.n + m.p, gain or [ZERO] * m.n
    require(n <= 8 and size <= 12, "poles are for at most 8 states, 12 with the gradients")
    one, c = Polynomial({(0,): ONE, (1,): ONE}), Polynomial({(0,): low, (1,): high})
    if low is high or not high - low:
        one, c = Polynomial({(0,): ONE}), Polynomial({(0,): low})
    sides = chain(both(m.A, m.B, gain), both(m.C, m.D, [ZERO] * m.p))
    minors = {0: Polynomial({(0,): ONE})}  # of the rows before, by the columns they use
    for i, (a, b, g) in enumerate(sides):
        row = [*(-x - g * o for x, o in both(a, m.output)), *(-c * x for x in b)]
        row[i] += symbol("z") if i < n else one
        row = cleared(row)
        few = share * size * len(minors) * work([*minors.values()], row) <= WORK
        require(few, "the method has too many digits to find its poles")
        grown: dict[int, Any] = {}
        for (used, minor), (j, entry) in product(minors.items(), enumerate(row)):
            if entry and not used >> j & 1:
                term = minor * (-entry if (used >> j).bit_count() % 2 else entry)
                grown[used | 1 << j] = term + grown.get(used | 1 << j, ZERO)
        minors = grown
    return minors[2**size - 1].powers(n)


def within(p: Row, radius: Any, strict: bool = True, share: int = 1) -> bool:
    """Whether all roots of p, highest power first, are at most the radius in modulus, or, if strict, less.

    Schur and Cohn: if the head of p outweighs its tail, then of p and of (head p - tail p*)/z, p* being p
    backwards, as many roots are on the unit circle, and of p one more is inside. Jury: those of
    a z^2 + b z + c, a > 0, are at most 1 if a + c >= |b| and a >= c. For polynomials: for all t >= 0.
    """
    if not radius:
        return not strict and p[0].sign() > 0 and not any(p[1:])
    p = [prod([radius] * k, start=x) for k, x in both(range(len(p))[::-1], p)]  # z/radius
    if not all(isinstance(x, Number) for x in p):
        p = cleared(p)
    while len(p) > (1 if strict else 3):
        require(share * len(p) * work(p, p) <= WORK, "the poles have too many digits to place them")
        head, tail = p[0], p[-1]
        more = head * head - tail * tail
        if more.sign() < 1:
            return False
        p = [head * x - tail * y for x, y in both(p[:-1], p[:0:-1])]
        if isinstance(more, Number):  # the new head: digits would double in each round
            p = [reciprocal(more) * x for x in p]
    a, b, c = [*p, ZERO, ZERO][:3]
    return strict or (a.sign() > 0 and min(x.sign() for x in (a + b + c, a - b + c, a - c)) >= 0)


def check_quadratics(s: Mapping[str, Any], w: Any) -> list[str]:
    """The statement: on each quadratic with Hessian between mu and L no pole exceeds the rate.

    The witness has the numbers that cut [mu, L] into intervals, on each of which coefficients show signs.
    """
    it = Method(s)
    cuts = it.parts(w, "the witness", "cuts:c")["cuts"]
    ends = [*pairwise([it.mu, *cuts, it.L, it.L])]
    grow = "bounded" not in s and all((b - a).sign() >= 0 for a, b in ends)
    require(grow, "cuts that grow are needed, and nothing that is bounded")
    count = len(ends)
    slow = all(within(poles(it, a, b, share=count), it.rate, False, count) for a, b in ends)
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

    i = 0, ..., N; row i of the table ends with its last number that is not 0. M ("measure") is of y_N, S ("start") of
    x_0, as in MEASURES and STARTS; if "value" is the start, some y_i is x_0. f is in F(mu, L), 0 <= mu < L, with a
    minimizer x*. The witness has lambda > 0 with
        2(1-mu/L)(bound S - M) - sum lambda_ij Q_ij = D >= 0.
    The lambda of pairs (-1, i) are those for which the f_i cancel. All is over (x_0, u_0, ..., u_N). If mu = 0, L is in
    sum lambda_ij |u_i - u_j|^2/L alone, so that of all L in an enclosure D is least for the largest.
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
        self.factors = factors_of(self.mu, reciprocal(self.L))
        self.vectors = ["x", *(f"u{i}" for i in range(count))]
        x, *u = map(symbol, self.vectors)
        self.where = {f"y{i}": x + inner(h, u[: len(h)]) for i, h in enumerate(self.points)}
        twice, y = -self.factors[3], symbol(f"y{count - 1}")
        squares = {"gradient": twice * u[-1] * u[-1], "distance": twice * y * y}
        S = symbol(f"f{self.first}") if self.start == "value" else twice * x * x
        self.claim = self.bound * S - squares.get(self.measure, symbol(f"f{count - 1}"))


def check_horizon(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequality of `Steps`."""
    it, N = Steps(s), len(s["points"]) - 1
    it.pairs = {"D": pairs_of(0, N + 1)}
    lam = it.parts(w, "the witness", "lambda:D")["lambda"]
    D, star = follow(it.claim, it.factors, lam)
    settle([*lam.values(), *star.values()], it.vectors, D.put(it.where))
    return [
        f"about y_i = x_0 + sum_j h_ij u_j, u_i the gradient of f at y_i, i = 0, ..., N = {N}, with",
        *(f"  h_{i} = {shown(row)}" for i, row in enumerate(it.points)),
        *it.listed(""),
        f"for every f in F(mu, L), mu = {shown(it.mu)}, L = {shown(it.L)}, with a minimizer x*, in any dimension",
        "from every x_0, for every run there is (exactly one if no h_ij has j >= i)",
        f"{MEASURES[it.measure]} <= c {STARTS[it.start]}, c = {shown(it.bound)}, N = {N}",
    ]


# ---- Kind "potential" ----------------------------------------------------------------------------
class Potential(Reader):
    """The statement, which is printed: f(end) - f* <= L |p - x*|^2 / growth(t_k) after k steps, for all k.

    There are v_k with now(v_k)/over(v_k) = t_k: now/over grows beyond all bounds, and next >= now. The end is y_k, or
    the output of x_{k+1}; A rest = rest, C rest = 1, output rest = 1 at every step. With -1 the minimizer, 0 this y,
    1 the next (in "nu" the output), and with polynomials a, Q, nu in t, and lambda in t_k and t_{k+1}, of degree 2,
    the witness has, in units of L,
        V = a (f(y) - f*) + [x; u]'Q [x; u],    Q_ij = 2 (f_i - f_j - <g_j, y_i - y_j>) - |g_i - g_j|^2,
        V - V+ - sum lambda Q = D >= 0,         V - growth (f(end) - f*) - sum nu Q = E >= 0,
        |p - x*|^2 - V_0 - sum first Q >= 0.
    All this is polynomial in t >= 0 where v = from + t.
    """

    names = "A:nn* B:n* step_unit:* C:n* D:* output:n* point_unit:*"

    def __init__(self, s: Mapping[str, Any], w: Mapping[str, Any]) -> None:
        super().__init__(s, f"{self.names} rest:n L: growth:* clock bounded")
        vars(self).update(self.parts(self.clock, "the clock", "now:* next:* over:* from:"))
        n, point = len(self.rest), self.bounded == "point"
        powers = [(i, j) for i in range(3) for j in range(3 - i)]
        self.pairs = {"D": pairs_of(STAR, 2), "S": pairs_of(STAR, 1), "T": powers}
        self.pairs["E"] = self.pairs["S" if point else "D"]
        self.pairs["V"] = [*combinations_with_replacement(range(n + 1), 2)]
        parts = self.parts(w, "the witness", "a:* Q:V* lambda:DT nu:E* first:S")
        self.a, self.Q, self.lam, self.nu, self.first = parts.values()
        of_v = [self.now, self.next, self.over, self.step_unit, *self.B, *chain(*self.A)]
        of_t = [self.D, self.point_unit, *self.C, *self.output]
        few = max(map(len, of_v)) * max(map(len, of_t)) * 2**n <= 256
        require(few, "degrees are too high, or states too many")
        low = max(map(len, (self.a, self.growth, *self.Q.values(), *self.nu.values()))) <= 3
        known = low and not self.boxed and self.L.sign() > 0 and (point or self.bounded == "output")
        require(known, "exact numbers, L > 0 and polynomials of degree 2 are needed")
        grows = len(self.now) > len(self.over) > 0 and (self.now[-1] * self.over[-1]).sign() > 0
        require(grows, "the clock does not go on for ever")

    def energy(self, t: Any, over: Any, i: int) -> Any:
        """V at t / over, times over^2, in the state, gradient and value of number i."""
        w = [*(symbol(f"x{j},{i}") for j in range(len(self.rest))), symbol(f"u{i}")]
        squares = (at(c, t, over, 2) * w[j] * w[k] for (j, k), c in self.Q.items())
        return summed([HALF * at(self.a, t, over, 2) * symbol(f"f{i}"), *squares])

    def step(self, v: Any, x: Row, u: Any = ZERO, next_u: Any = ZERO) -> SimpleNamespace:
        """A step from x at v: t_k and t_{k+1} are times ``over``, and all vectors are times ``scale``."""
        n, over = len(x), at(self.over, v)
        now, ahead, unit = (at(p, v) for p in (self.now, self.next, self.step_unit))
        readers = [*self.C, self.D, *self.output, self.point_unit]
        degree = max(map(len, readers)) - 1
        here, there = ([at(p, t, over, degree) for p in readers] for t in (now, ahead))
        rows, units = both(self.A, self.B), here[-1] * there[-1]
        moved = [inner([at(e, v) for e in (*row, b)], [*x, u]) for row, b in rows]  # times unit
        where = {f"x{j},0": units * unit * e for j, e in enumerate(x)}
        where |= {f"x{j},1": units * e for j, e in enumerate(moved)}
        where |= {"u0": units * unit * u, "u1": units * unit * next_u}
        where["y0"] = there[-1] * unit * inner(here[: n + 1], [*x, u])
        where["y1"] = here[-1] * inner(there[: n + 1], [*moved, unit * next_u])
        where["end"] = here[-1] * inner(there[n + 1 : -1], moved)
        return SimpleNamespace(now=now, ahead=ahead, over=over, scale=units * unit, where=where)


def check_potential(s: Mapping[str, Any], w: Any) -> list[str]:
    """Prove the inequalities of `Potential`."""
    it, factors, p = Potential(s, w), factors_of(ZERO, ONE), symbol("p")
    names, point = [*(f"x{j}" for j in range(len(it.rest))), "u", "next_u"], it.bounded == "point"
    begin, at_rest, (*x, u, next_u) = vars(it)["from"], [r * p for r in it.rest], map(symbol, names)
    v = Polynomial({(0,): begin, (1,): ONE})
    start, rest, step = it.step(begin, at_rest, u), it.step(v, at_rest), it.step(v, x, u, next_u)
    off = [rest.where[name] - rest.scale * p for name in ("y0", "end")]
    off += [rest.where[f"x{j},0"] - rest.where[f"x{j},1"] for j in range(len(x))]
    require(not any(off), "the state rest does not rest, or is not read as 1")
    now, ahead, over = step.now, step.ahead, step.over
    growth = at(it.growth, now, over, 2)
    growing = min(a.sign() for a in (over, step.scale, growth))
    require(growing > 0, "growth, or what is divided by, is not positive")
    require((ahead - now).sign() >= 0, "the clock goes back")
    # forms are times (scale over)^2, weights over^2, and values 2 scale^2
    nu = {pair: at(c, now, over, 2) for pair, c in it.nu.items()}
    first, lam = {pair: start.over * start.over * x for pair, x in it.first.items()}, {}
    for pair, c in it.lam.items():
        powers = (([now] * i + [ahead] * j + [over] * 2)[:2] for i, j in c)
        lam[pair] = inner(c.values(), [a * b for a, b in powers])
    V, square = it.energy(now, over, 0), start.over * start.scale * p
    D, of_D = less(V - it.energy(ahead, over, 1), factors, lam)
    E, of_E = less(V - HALF * growth * symbol("f0" if point else "f1"), factors, nu)
    S, of_S = less(square * square - it.energy(start.now, start.over, 0), factors, first)
    require(not (of_D or of_E or of_S), "function values are left")
    at_end = {**step.where, "y1": step.where["end"]}
    weights = [*lam.values(), *nu.values(), *first.values()]
    settle(weights, names, D.put(step.where), E.put(at_end))
    require(definite(S.put(start.where).matrix(["p", "u"])), "V is too large at the start")
    return [
        f"about {STEP}, u_k the gradient of f at y_k over L, where",
        "A, B are over step_unit and C, D, output over point_unit, polynomials by coefficients, lowest first,",
        "A, B, step_unit in v_k, C, D, output, point_unit in t_k, with t_k = now(v_k)/over(v_k) and",
        f"t_k+1 = next(v_k)/over(v_k), v_k >= v_0 = {shown(begin)}:",
        *it.listed(f"{it.names} now next over"),
        f"for every convex f with L-Lipschitz gradient, L = {shown(it.L)}, and a minimizer x*, in any dimension",
        f"from every start at rest, x_0 = v (a point p), v = {shown(it.rest)}, for every run there is",
        f"f({'y_k' if point else 'output x_k+1'}) - f* <= L |p - x*|^2 / growth(t_k)"
        f" for k = 0, 1, 2, ..., growth = {shown(it.growth)}",
    ]


# ---- Lower bounds: a second statement, with its own witness --------------------------------------
def all_left(p: Row, line: Number) -> bool:
    """Whether all roots of p, highest power first, have a real part less than the line's."""
    w = symbol("w")  # at line + (w-1)/(w+1), which is left of the line where |w| < 1
    turned = at(p[::-1], (line + ONE) * w + (line - ONE), w + ONE)
    return within(turned.powers(len(p) - 1), ONE)


def check_quadratic(m: Method, lower: Any) -> list[str]:
    """On the quadratic of a curvature in [mu, L] some run's output is no faster than claimed.

    Some pole is on or beyond the circle (of a flow: the line), and the output shows it: what it does not show stays a
    pole with any gain, and with this gain all are within.
    """
    name = "rate" if m.flow else "gap"
    _, c, gain, claim = m.parts(lower, "lower", f"kind curvature: gain:n {name}:").values()
    own, fed = poles(m, c, c), poles(m, c, c, gain)
    decays, most = (all_left, -claim) if m.flow else (within, ONE - claim)
    slow = not decays(own, most) and decays(fed, most)
    inside = (c - m.mu).sign() >= 0 and (m.infinite or (m.L - c).sign() >= 0) and claim.sign() >= 0
    require(slow and inside, "the quadratic may be faster than claimed, or is not in F(mu, L)")
    return [f"on the quadratic of curvature {shown(c)} no {name} above {shown(claim)} holds"]


def turn(z: Sequence[Any], w: Sequence[Any]) -> Row:
    """The product of two complex numbers."""
    return [z[0] * w[0] - z[1] * w[1], z[0] * w[1] + z[1] * w[0]]


def check_spiral(m: Method, lower: Any) -> list[str]:
    """On some f in F(mu, L) of the plane a run has y_t = z^t, |z| >= 1 - gap, and an output that moves.

    One gradient a step: x_t = z^t state, with gradients G z^t, z state = A state + B G, C state + D G = 1.
    With f_t = value |y_t|^2 all pairs of points, and the minimizer as w = 0, satisfy the interpolation
    inequalities if (1, w) and (w, 1) do for all w = z^j, which is settled for all |w| <= e at once.
    """
    shapes = "kind real: imaginary: value: gap: state:2n gradient:2"
    _, p, q, value, gap, state, G = m.parts(lower, "lower", shapes).values()
    rate, known = ONE - gap, [[*x, g] for x, g in both(state, G)]  # real and imaginary parts
    off = [inner([*m.C[0], m.D[0][0]], x) - e for x, e in both(known, (ONE, ZERO))]
    for a, b, *x in both(m.A, m.B, *state):
        off += [e - inner([*a, b[0]], part) for e, part in both(turn((p, q), x), known)]
    moves = any(inner(m.output, x) for x in state)
    runs = m.p == 1 and not m.boxed and not any(off) and moves and gap.sign() >= 0
    require(runs, "the spiral is no run of the method, or its output rests")
    slow = rate.sign() > 0 and (p * p + q * q - rate * rate).sign() >= 0
    require(slow, "the spiral is faster than it says")
    inside = spirals(factors_of(m.mu, reciprocal(m.L)), value, [p, q], G)
    require(inside, "the gradients along the spiral are those of no function of the class")
    z = f"z = {shown(p)} + i ({shown(q)})"
    return [f"on a function of the plane, along y_k = z^k, {z}, no gap above {shown(gap)} holds"]


def spirals(factors: Row, value: Number, z: Row, G: Row) -> bool:
    """The inequalities of `check_spiral`, one by one, until all that follow are settled by the size of w.

    All is enclosed in whole multiples of a unit, of which vectors have two and slacks five.
    """
    (value, *z, g, h), one = (rounded(x, BITS) for x in (value, *z, *G)), Number(2**BITS)
    factors, start, w = [rounded(x, BITS) for x in factors], [one, ZERO], [one, ZERO]
    high = -factors[3] * value * one

    def slacks(w: Row) -> Row:
        ends = [([one * c for c in x], turn((g, h), x), high * inner(x, x)) for x in (start, w)]
        return [slack(factors, *ends), slack(factors, *ends[::-1])]

    settled = [k for k in range(BITS) if all(y.a > y.e for y in slacks([Number(0, e=2**k)] * 2))]
    last, loss = max(settled, default=-1), BITS - log2(inner(z, z).a or 1) / 2  # of bits in a step
    require(BITS - last < ROUNDS * loss, f"the spiral takes more than {ROUNDS} points to check")
    for _ in range(ROUNDS):
        w = [rounded(x, -BITS) for x in turn(z, w)]
        if min(x.sign() for x in slacks(w)) < 0:
            return False
        if sum(abs(x.a) + x.e for x in w) <= 2**last:
            return True
    return False


def check_function(it: Steps, lower: Any) -> list[str]:
    """On some f in F(mu, L), M >= bound S: its points, gradients and values, all pairs interpolated.

    "start" is x_0, "gradients" and "values" are of f at y_i; the minimizer is 0, with the value 0.
    """
    shapes = "kind start:w gradients:Nw values:N bound:"
    _, start, u, f, bound = it.parts(lower, "lower", shapes).values()
    rows, rest = [[*row] for row in both(*u)], [ZERO] * len(start)
    y = [[x + inner(h, row[: len(h)]) for x, row in both(start, rows)] for h in it.points]
    factors = factors_of(it.mu, reciprocal(it.L))
    points = [*both(y, u, [-factors[3] * x for x in f]), (rest, rest, ZERO)]
    inside = all(slack(factors, a, b).sign() >= 0 for a, b in permutations(points, 2))
    require(inside, "the data of the lower bound belong to no function of the class")
    S = inner(start, start) if it.start == "distance" else f[it.first or 0]
    ends = {"value": f[-1], "gradient": inner(u[-1], u[-1]), "distance": inner(y[-1], y[-1])}
    attained = S.sign() > 0 and (ends[it.measure] - bound * S).sign() >= 0
    require(attained, "the function of the lower bound does not attain it")
    return [f"on a function in {len(start)} dimension(s), no c below {shown(bound)} holds"]


# ---- The document --------------------------------------------------------------------------------
check_flow, Flow = partial(check_rate, flow=True), partial(Method, flow=True)
on_quadratics = {"quadratic": check_quadratic}
KINDS: dict[str, tuple[Any, Any, dict[Any, Any]]] = {  # the proof, the statement, its lower bounds
    "rate": (check_rate, Method, {**on_quadratics, "spiral": check_spiral}),
    "quadratics": (check_quadratics, Method, on_quadratics),
    "flow": (check_flow, Flow, on_quadratics),
    "horizon": (check_horizon, Steps, {"function": check_function}),
    "potential": (check_potential, Potential, {}),
}


def check_lower(kind: str, s: Mapping[str, Any], lower: Any) -> Any:
    """Prove the lower bound that belongs to a statement."""
    (_, read, known), wanted = KINDS[kind], lower.get("kind") if isinstance(lower, dict) else None
    require(wanted in known, f"a lower bound here is of kind {[*known]}, not {brief(wanted)}")
    return known[wanted](read(s), lower)


def check(document: Any) -> str:
    """What a document, as read from JSON, proves, in words; Refused if it does not."""
    try:
        schema = document.get("schema") if isinstance(document, dict) else None
        older = "; older documents do not bind all they print: certify anew" if schema else ""
        require(schema == SCHEMA, f"the schema is {brief(schema)}, not {SCHEMA}{older}")
        fields(document, "a certificate", "schema name kind statement witness", "lower")
        name, kind, s, w = map(document.get, ("name", "kind", "statement", "witness"))
        known = isinstance(kind, str) and kind in KINDS and isinstance(s, dict)
        require(known, f"the kind is one of {', '.join(KINDS)}, not {brief(kind)}")
        short = isinstance(name, str) and len(name) <= 100 and name.isprintable() and name.isascii()
        require(short, f"the name is a short text, not {brief(name)}")
        lines = KINDS[kind][0](s, w)
        if "lower" in document:
            lines += ["and conversely:", *check_lower(kind, s, document["lower"])]
        if name:
            lines.append(f"(it calls the method {name!r}, a word that nothing here depends on)")
        return "\n".join(lines)
    except Exception as e:
        known = isinstance(e, Refused)
        raise e if known else Refused(f"the document is malformed ({type(e).__name__})") from None


def parse(text: str) -> Any:
    """A document from JSON, where no key may occur twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "a key occurs twice")
        return dict(pairs)

    require(len(text) <= BYTES, "the document is too long")
    try:
        return json.loads(text, object_pairs_hook=unique)
    except (RecursionError, ValueError) as e:
        known = isinstance(e, Refused)
        raise e if known else Refused("the document is no JSON, or nested too deeply") from None


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
