"""The arithmetic and the linear algebra of the stand-alone checker, against SymPy."""

from __future__ import annotations

import importlib.util
import random
import time
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from odescent.analysis.certificates.checking import checker
from odescent.analysis.certificates.checking.checker import (
    ZERO,
    Number,
    Polynomial,
    all_left,
    definite,
    reciprocal,
    rounded,
    within,
)

PATH = Path(checker.__file__)

small = st.fractions(-3, 3, max_denominator=9)
numbers = st.builds(lambda a, b: Number(a, b, 7), small, small)


def exact(x: Number) -> sp.Expr:
    return sp.Rational(x.a.numerator, x.a.denominator) + sp.sqrt(7) * sp.Rational(
        x.b.numerator, x.b.denominator
    )


@given(numbers, numbers)
def test_arithmetic_in_the_field(x: Number, y: Number) -> None:
    for found, expected in (
        (x + y, exact(x) + exact(y)),
        (x - y, exact(x) - exact(y)),
        (x * y, exact(x) * exact(y)),
    ):
        assert sp.expand(exact(found) - expected) == 0
    assert x.sign() == sp.sign(exact(x))


@given(small, small, small, small, st.integers(0, 8))
def test_enclosures_enclose(a: Fraction, b: Fraction, e: Fraction, g: Fraction, at: int) -> None:
    x, y = Number(a, e=abs(e)), Number(b, e=abs(g))
    u, v = a + abs(e) * (at % 3 - 1), b + abs(g) * (at // 3 - 1)  # points of the intervals
    for found, value in ((x + y, u + v), (x - y, u - v), (x * y, u * v)):
        assert abs(value - found.a) <= found.e


@settings(max_examples=30)
@given(st.lists(numbers, min_size=9, max_size=9), st.integers(0, 3))
def test_definiteness_against_40_digits(entries: list[Number], rank: int) -> None:
    """Gram matrices (positive semidefinite, of any rank), with a shift that may spoil it."""
    rows = [entries[3 * i : 3 * i + 3] for i in range(rank)]
    shift = Number(Fraction(rank - 1, 2))
    gram = [
        [
            sum((r[i] * r[j] for r in rows), Number(0)) + (shift if i == j == 2 else Number(0))
            for j in range(3)
        ]
        for i in range(3)
    ]
    values = sp.Matrix(3, 3, lambda i, j: exact(gram[i][j]))
    minors = [
        sp.expand(values[list(keep), list(keep)].det())
        for size in (1, 2, 3)
        for keep in combinations(range(3), size)
    ]
    leading = [sp.expand(values[:k, :k].det()) for k in (1, 2, 3)]
    sign = lambda e: 0 if e == 0 else sp.sign(sp.N(e, 40))
    assert definite(gram, False) == all(sign(m) >= 0 for m in minors)  # Sylvester
    assert definite(gram, True) == all(sign(m) > 0 for m in leading)


def test_numbers_are_shown_as_people_write_them() -> None:
    """1 - 1/10*sqrt(10), which SymPy reads back as the same number; an enclosure with its radius."""
    tenth, third = Fraction(1, 10), Fraction(1, 3)
    assert str(Number(Fraction(1), -tenth, 10)) == "1 - 1/10*sqrt(10)"
    for a, b, d in [
        (1, -1, 2),
        (third, 11 * third, 5),
        (0, third, 7),
        (0, -third, 7),
        (-tenth, 11, 3),
        (2, 0, 1),
    ]:
        shown = str(Number(Fraction(a), Fraction(b), d))
        wanted = sp.Rational(str(a)) + sp.Rational(str(b)) * sp.sqrt(d)
        assert sp.sympify(shown) == wanted
    assert str(Number(third, e=tenth)) == "7/30 to 13/30"


@given(numbers, numbers)
def test_reciprocals_and_enclosures(x: Number, y: Number) -> None:
    if x:
        assert sp.expand(exact(x) * exact(reciprocal(x))) == 1
    near = rounded(x, 220)
    low, high = (sp.Rational(near.a + s * near.e, 2**220) for s in (-1, 1))
    assert low <= exact(x) <= high and high - low < sp.Rational(1, 2**200)


def value(p: object, t: Fraction) -> sp.Expr:
    """Of a polynomial in t."""
    if isinstance(p, Polynomial):
        return sum((exact(c) * sp.Rational(str(t)) ** k for (k,), c in p.c.items()), sp.S.Zero)
    assert isinstance(p, Number)
    return exact(p)


@settings(max_examples=60)
@given(st.lists(numbers, min_size=1, max_size=4), st.lists(numbers, min_size=1, max_size=4), small)
def test_arithmetic_of_polynomials(p: list[Number], q: list[Number], t: Fraction) -> None:
    """At a number; and with numbers on either side."""
    x, y = (Polynomial({(k,): c for k, c in enumerate(each)}) for each in (p, q))
    c = p[0]
    for found, expected in (
        (x + y, value(x, t) + value(y, t)), (x - y, value(x, t) - value(y, t)),
        (x * y, value(x, t) * value(y, t)), (c * x, exact(c) * value(x, t)), (c + x, exact(c) + value(x, t)),
        (c - x, exact(c) - value(x, t)),
    ):  # fmt: skip
        assert sp.expand(value(found, t) - expected) == 0


@given(st.lists(small, min_size=1, max_size=4), st.fractions(Fraction(1, 9), 3, max_denominator=9))
def test_roots_inside_and_on_the_left(roots: list[Fraction], radius: Fraction) -> None:
    """Polynomials with known real roots: strictly within a circle, strictly left of a line."""
    poly = [Number(Fraction(1))]
    for r in roots:
        poly = [a - Number(r) * b for a, b in zip([*poly, ZERO], [ZERO, *poly], strict=True)]
    assert within(poly, Number(radius), True) == all(abs(r) < radius for r in roots)
    if within(poly, Number(radius), False):
        assert all(abs(r) <= radius for r in roots)
    if len(roots) < 3:
        assert within(poly, Number(radius), False) == all(abs(r) <= radius for r in roots)
    for line in (radius, -radius):
        assert all_left(poly, Number(line)) == all(r < line for r in roots)


def test_the_example(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "examples" / "certified_rate.py"
    specification = importlib.util.spec_from_file_location("certified_rate", path)
    assert specification is not None and specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    value, theory = example.main(tmp_path / "out")
    assert theory <= value < theory + 1e-15
    assert (tmp_path / "out" / "check_certificate.py").read_text() == PATH.read_text()


def test_an_enclosure_and_a_root_are_not_mixed() -> None:
    """An interval has no part with a root: neither a sum nor a product of both is a number here."""
    root, near = Number(Fraction(1), Fraction(1), 7), Number(Fraction(1), e=Fraction(1, 4))
    for pair in ((root, near), (near, root)):
        for both in (lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y):
            with pytest.raises(checker.Refused, match="enclosure cannot be"):
                both(*pair)
    with pytest.raises(checker.Refused, match="enclosure cannot be"):
        Number(Fraction(1), Fraction(1), 7, Fraction(1))


def test_an_interval_that_holds_zero_has_neither_sign_nor_reciprocal() -> None:
    one = Fraction(1)
    for a, e in ((one, one), (-one, one), (0 * one, one), (one, 2 * one)):
        with pytest.raises(checker.Refused, match="too wide"):
            Number(a, e=e).sign()
        with pytest.raises(ZeroDivisionError):
            reciprocal(Number(a, e=e))
        assert Number(a, e=e)  # it may be something
    assert Number(one, e=one / 2).sign() == 1 and Number(-one, e=one / 2).sign() == -1
    inverse = reciprocal(Number(one, e=one / 2))
    assert inverse.a - inverse.e == Fraction(2, 3) and inverse.a + inverse.e == 2
    assert Number(0 * one).sign() == 0 and not Number(0 * one)


@pytest.mark.parametrize(
    ("a", "b", "sign"),
    [
        (3, -1, 1),
        (2, -1, -1),
        (-3, 1, -1),
        (-2, 1, 1),
        (0, 1, 1),
        (0, -1, -1),
        (1, 0, 1),
        (0, 0, 0),
    ],
)
def test_signs_of_numbers_with_a_root(a: int, b: int, sign: int) -> None:
    """a + b sqrt(7), 2 < sqrt(7) < 3; and where a^2 = d b^2, as with d = 1, the two cancel."""
    assert Number(Fraction(a), Fraction(b), 7).sign() == sign
    assert Number(Fraction(b), Fraction(-b), 1).sign() == 0


def test_a_method_without_runs_has_no_poles() -> None:
    """mu = L and det(I - D) = 0: the determinant of the poles is 0 for every z."""
    statement = {
        "d": 1, "mu": "1", "L": "1", "A": [["1"]], "B": [["0", "0"]], "C": [["1"], ["1"]],
        "D": [["1/2", "1/2"], ["1/2", "1/2"]], "output": ["1"], "rest": ["1"], "gap": "1",
    }  # fmt: skip
    with pytest.raises(checker.Refused, match="a pole may be larger"):
        checker.check_quadratics(statement, {"cuts": []})
    assert not within([ZERO, ZERO, ZERO], ZERO, False)


def test_numbers_whose_sums_are_too_long_are_refused_at_once() -> None:
    """Sizes are those of valid documents, but each number has a denominator of its own."""
    reader = checker.Reader({"d": 1})
    primes = list(sp.primerange(10**6, 10**6 + 10**5))
    began = time.process_time()
    with pytest.raises(checker.Refused, match="too many digits to be added"):
        for p in primes:
            reader.number(f"1/{p**40}")
    gram = [[Number(Fraction(1, i * j)) for j in primes[:60]] for i in primes[:60]]  # of rank 1
    assert definite([[x * x for x in row] for row in gram])  # little is left after one step
    assert time.process_time() - began < 5


def random_statement(draw: random.Random, n: int, p: int, digits: int, d: int) -> dict[str, Any]:
    """A method at random, with numbers of so many digits, whose state of ones rests."""

    def number() -> Fraction:
        return Fraction(draw.randrange(1, 10**digits), 20 * draw.randrange(10**digits, 10 ** (digits + 1)))  # fmt: skip

    def row(total: int, length: int) -> list[str]:
        found = [number() for _ in range(length)]
        return [str(x) for x in (found[0] + total - sum(found), *found[1:])]

    def table(rows: int) -> list[list[Any]]:
        text = [[str(number()), str(number())] for _ in range(rows * p)]
        whole = [x if d > 1 else x[0] for x in text]
        return [whole[i * p : (i + 1) * p] for i in range(rows)]

    return {
        "d": d, "mu": "1", "L": "10", "A": [row(1, n) for _ in range(n)], "B": table(n),
        "C": [row(1, n) for _ in range(p)], "D": table(p), "output": row(1, n), "rest": ["1"] * n, "gap": "1/100",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("n", "p", "digits", "d"),
    [(2, 1, 600, 2), (4, 1, 200, 1), (4, 4, 60, 1), (8, 1, 20, 1), (8, 4, 5, 2), (8, 4, 60, 1)],
)
def test_poles_of_long_numbers_take_bounded_time(n: int, p: int, digits: int, d: int) -> None:
    """Digits double in each round over all curvatures, and would at one: without a bound hours, refused or not."""
    s = random_statement(random.Random(n + digits), n, p, digits, d)
    lower = {"kind": "quadratic", "curvature": "2", "gain": ["0"] * n, "gap": "1/100"}
    began = time.process_time()
    with pytest.raises(checker.Refused, match="pole"):
        checker.check_quadratics(s, {"cuts": ["3", "5"]})
    with pytest.raises(checker.Refused, match=r"pole|quadratic may be faster"):
        checker.check_lower("quadratics", s, lower)
    assert time.process_time() - began < 60


@pytest.mark.parametrize(("n", "degree", "bits"), [(4, 3, 1000), (7, 3, 100), (10, 1, 10)])
def test_forms_of_long_polynomials_take_bounded_time(n: int, degree: int, bits: int) -> None:
    draw = random.Random(bits)

    def polynomial() -> Polynomial:
        ends = [(draw.getrandbits(bits) + 1, draw.getrandbits(bits) + 1) for _ in range(degree + 1)]
        return Polynomial({(k,): Number(Fraction(*x)) for k, x in enumerate(ends)})

    V = [[polynomial() for _ in range(i + 1)] for i in range(n)]
    form = [[checker.summed(x * y for x, y in zip(p, q, strict=False)) for q in V] for p in V]
    began = time.process_time()
    with pytest.raises(checker.Refused, match="too many digits to decide"):
        definite(form)
    assert time.process_time() - began < 60


@pytest.mark.parametrize("d", [1, 5])
@pytest.mark.parametrize("bits", [400, 30_000])
def test_singular_forms_of_very_long_numbers_are_refused(d: int, bits: int) -> None:
    """Exactly singular, so that no enclosure decides; and with fewer digits they are decided."""
    draw = random.Random(d)

    def number() -> Number:
        a, b = (Fraction(draw.getrandbits(bits) + 1, draw.getrandbits(bits) + 1) for _ in range(2))
        return Number(a, b * (d > 1), d)

    V = [[number() for _ in range(2)] for _ in range(3)]
    gram = [[sum((x * y for x, y in zip(p, q, strict=True)), ZERO) for q in V] for p in V]
    if bits == 400:
        assert definite(gram) and not definite(gram, strict=True)
    else:
        with pytest.raises(checker.Refused, match="too many digits to decide"):
            definite(gram)
