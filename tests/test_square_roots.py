"""Fields of square roots of numbers, against minimal polynomials and many digits."""

import random
import time

import mpmath
import pytest
import sympy as sp

import odescent as od
from odescent._support.errors import DividedByZero
from odescent.dynamics.algebra.exact import canonical, is_zero
from odescent.dynamics.numbers.square_roots import SquareRoots

P, Q = sp.symbols("P Q", positive=True)


def drawn(r, depth):
    """A positive number with nested square roots, as an expression that SymPy does not simplify."""
    if depth == 0 or r.random() < 0.2:
        return sp.Rational(r.randint(1, 40), r.randint(1, 12))
    inner = sp.sqrt(drawn(r, depth - 1))
    return drawn(r, depth - 1) + inner * sp.Rational(r.randint(1, 5), r.randint(1, 4))


def close(e, digits=60):
    return abs(sp.N(e, digits)) < sp.Float(10) ** (-digits + 20)


@pytest.mark.parametrize("seed", range(30))
def test_the_root_of_a_square_is_the_number(seed):
    """Written out, a square hides its root behind new nested roots, of either sign."""
    r = random.Random(seed)
    one, other = drawn(r, 2), drawn(r, 2)
    difference = one - other
    hidden = sp.sqrt(sp.expand(difference**2))
    sign = 1 if sp.N(difference, 50) >= 0 else -1
    assert is_zero(hidden - sign * difference)
    assert is_zero(hidden * P - sign * difference * P)
    near = hidden - sign * difference * (1 + sp.Rational(1, 10**80))
    assert is_zero(near) == (difference == 0)
    product = sp.sqrt(one) * sp.sqrt(other) - sp.sqrt(sp.expand(one * other))
    try:
        assert is_zero(product)
    except ArithmeticError:  # seven roots, and more
        assert close(product)
    assert one == 1 or is_zero(1 / (1 + sp.sqrt(one)) - (1 - sp.sqrt(one)) / (1 - one))


@pytest.mark.parametrize("seed", range(30))
def test_verdicts_are_those_of_minimal_polynomials(seed):
    """Sums of roots of small numbers, of which about a half vanish."""
    r = random.Random(seed)
    choice = [sp.sqrt(5 + 2 * sp.sqrt(6)), sp.sqrt(2), sp.sqrt(3), sp.sqrt(7 + 4 * sp.sqrt(3)), sp.Integer(2),
              sp.sqrt(3 - 2 * sp.sqrt(2)), sp.sqrt(1 + sp.sqrt(2)), sp.sqrt(6), sp.Integer(1)]  # fmt: skip
    for _ in range(6):
        e = sp.Add(*[c * r.choice((-1, 0, 0, 1)) for c in choice])
        if e != 0:
            vanishes = sp.minimal_polynomial(e, sp.Symbol("z")) == sp.Symbol("z")
            assert is_zero(e) == vanishes == close(e)
            assert is_zero(e * P + e / P) == vanishes


@pytest.mark.parametrize("seed", range(12))
def test_a_field_is_as_large_as_it_says(seed):
    """The degree of a sum of all of its products, over the rational numbers, is two to the number of its roots."""
    r, field, expressions = random.Random(seed), SquareRoots(), []
    for _ in range(3):
        k = len(field.squares)
        a = {
            bits: sp.QQ(r.randint(1, 6), r.randint(1, 2))
            for bits in range(1 << k)
            if r.random() < 0.6
        }
        if field.sign(a) > 0 and field.root(a) is not None and len(field.squares) > k:
            field.symbols.append(sp.Symbol(f"g{k}"))
            square = field.written(field.squares[k]).subs(expressions)
            expressions.append((field.symbols[-1], sp.sqrt(square)))
    n = len(field.squares)
    generic = {bits: sp.QQ(r.randint(1, 50)) for bits in range(1 << n)}
    value = field.written(generic).subs(expressions)
    assert sp.degree(sp.minimal_polynomial(value, sp.Symbol("z"))) == 2**n
    inverse = field.inverse(generic)
    assert field.product(generic, inverse) == field.rational(sp.S.One)
    square = field.product(generic, generic)
    assert field.root(field.scaled(square, 1)) == generic and len(field.squares) == n
    with pytest.raises(DividedByZero):
        field.inverse({})


def test_signs_take_the_digits_that_they_need():
    field = SquareRoots()
    root = field.root(field.rational(sp.Integer(2)))
    with mpmath.workdps(300):
        near = mpmath.mpf(2) ** 0.5 * mpmath.mpf(10) ** 200
        below = sp.Rational(int(mpmath.floor(near)), 10**200)
    assert field.sign(field.sum(root, field.rational(-below))) == 1
    assert field.sign(field.sum(root, field.rational(-below - sp.Rational(1, 10**200)))) == -1
    assert field.sign({}) == 0


def test_more_roots_than_a_field_takes_are_never_told_apart_falsely():
    r, open_ = random.Random(3), 0
    for _ in range(60):
        factors = [drawn(r, 2) for _ in range(3)]
        e = sp.Mul(*map(sp.sqrt, factors)) - sp.sqrt(sp.expand(sp.Mul(*factors)))
        try:
            assert is_zero(e)
        except ArithmeticError:
            open_ += 1
        assert not is_zero(e + sp.Rational(1, 10**30))
    assert 0 < open_ < 60


def test_a_full_field_leaves_the_question_open_or_decides_it_by_digits():
    many = sp.Add(*[sp.sqrt(p) for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)])
    assert is_zero(many**2 - sp.expand(many**2)) and not is_zero(many - 1)
    assert is_zero(many * P - sp.Add(*[a * P for a in many.args]))


@pytest.mark.parametrize(
    "e",
    [
        sp.sqrt(-2 * P - 2) - sp.I * sp.sqrt(2 * P + 2),
        sp.sqrt(1 - sp.sqrt(2)) - sp.I * sp.sqrt(sp.sqrt(2) - 1),
        2 ** sp.Rational(1, 6) * 2 ** sp.Rational(1, 3) * (1 + P) - sp.sqrt(2) - sp.sqrt(2) * P,
        (6 ** sp.Rational(1, 4) + P) * (6 ** sp.Rational(1, 4) - P)
        - sp.sqrt(2) * sp.sqrt(3)
        + P**2,
        sp.sqrt((3 - 2 * sp.sqrt(2)) * (P + Q)) - (sp.sqrt(2) - 1) * sp.sqrt(P + Q),
        sp.sqrt((1 - sp.sqrt(2)) * (P + Q)) - sp.sqrt(sp.sqrt(2) - 1) * sp.I * sp.sqrt(P + Q),
    ],
    ids=str,
)
def test_roots_of_numbers_beside_others(e):
    assert close(e.subs({P: sp.Rational(7, 5), Q: sp.Rational(11, 3)}))
    assert is_zero(e)
    assert not is_zero(e + sp.Rational(1, 10**30))


def test_forms_with_numbers_beside_symbols_under_roots_keep_the_value():
    """A number taken out of a root that may be negative stood in it as well."""
    r = random.Random(1)

    def number():
        return sp.Rational(r.randint(-(10**9), 10**9) or 1, r.randint(1, 10**9))

    at = {P: sp.Rational(7, 3), Q: sp.Rational(2, 9)}
    for _ in range(250):
        a, k = abs(number()), sp.Rational(r.choice([-3, -1, 1, 3]), 2)
        e = r.choice([
            number() / sp.sqrt(a) + number() / (1 + sp.sqrt(a) * P),
            number() * (number() + number() * P) ** k,
            number() * (a * P + number()) ** k / (1 + sp.sqrt(a)),
            number() * (a / (P + 2)) ** k,
            number() * ((P - 2) / number() / (Q + 1)) ** k,
            (abs(number()) + sp.sqrt(a)) ** k * P,
            (number() - sp.sqrt(a)) ** k + P,
            (number() * P + 1) ** k * sp.sqrt(a) * (number() * Q - 1) ** k,
            (-a * (P + 1)) ** k,
            (number() * (sp.sqrt(a) - P)) ** k,
            ((sp.sqrt(a) - abs(number())) * (P + Q) / (number() - sp.sqrt(a))) ** k,
            number() ** (k / r.choice([2, 3])) * P ** (k / 2),
        ])  # fmt: skip
        value, form = (sp.N(of.subs(at), 40) for of in (e, canonical(e)))
        assert abs(value - form) <= 1e-25 * abs(value), e


def test_numbers_with_many_or_unknown_factors_are_quick():
    """Every prime was a generator, and a number of two primes of thirty digits was factored."""
    large = (10**30 + 57) * (3 * 10**31 + 783)
    method = od.algorithm("triple_momentum")
    mu, L = od.dynamics.mu, od.dynamics.L
    began = time.process_time()
    for value in (sp.Rational(1001, 1000) * P * Q, sp.primorial(12) * P, large * P):
        assert "def " in method.bind({L: value}).source("numpy")
        assert "def " in method.bind({mu: value}).source("numpy")
    assert canonical(sp.sqrt(large) / (1 + sp.sqrt(large))).has(sp.sqrt(large))
    assert is_zero(
        large ** sp.Rational(2, 3) * P
        - large ** sp.Rational(1, 3) ** 1 * large ** sp.Rational(1, 3) * P
    )
    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", ["triple_momentum", "nesterov_sc", "heavy_ball"])
def test_methods_in_decimals_are_recognized(name):
    """One died of an ArithmeticError, the others took half a minute and said what L is in two thousand digits."""
    began = time.process_time()
    found = od.recognize(od.algorithm(name).bind(mu=0.1234567, L=9.87654321))
    assert found.name == name and found.equivalence.verdict == "proved"
    assert "L = 987654321/100000000, mu = 1234567/10000000" in str(found)
    assert time.process_time() - began < 20
