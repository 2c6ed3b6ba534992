"""Scalars with kinks that are the same in every case are proved equal, and no others."""

from __future__ import annotations

import random

import pytest
import sympy as sp
from test_kinks import drawn

import odescent as od
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.scalars import as_scalar
from odescent.dynamics.numbers.cases import zero_in_every_case

u, w, z = sp.symbols("u w z", real=True)
a, b, h = od.parameters("a b h")
x, m = od.blocks("x m")
k = od.blocks("k", kind="scalar")
g = od.Objective("f").grad(x)
Above = lambda one, other: sp.Piecewise((one, u > 0), (other, True))

SAME = {
    "a common part": (Above(u + a, u), u + a * Above(1, 0)),
    "both indicators": (Above(1, 0) + Above(0, 1), sp.S.One),
    "the other order": (Above(a, b), sp.Piecewise((b, u <= 0), (a, True))),
    "a product of conditions": (
        sp.Piecewise((a, sp.And(u > 0, w > 0)), (b, True)),
        b + (a - b) * Above(1, 0) * sp.Piecewise((1, w > 0), (0, True)),
    ),
    "a step": (Above(a, b), b + (a - b) * sp.Heaviside(u, 0)),
    "not equal": (sp.Piecewise((a, sp.Ne(u, 0)), (b, True)), b + (a - b) * sp.sign(u) ** 2),
    "a size": (sp.Abs(u), Above(u, -u)),
    "a positive part": (sp.Max(0, u), Above(u, 0)),
    "the larger one": (sp.Max(u, w), sp.Piecewise((w, w > u), (u, True))),
    "the larger by the size": (sp.Max(u, w), (u + w + sp.Abs(u - w)) / 2),
    "both": (sp.Max(u, w) + sp.Min(u, w), u + w),
    "soft threshold": (
        sp.sign(u) * sp.Max(sp.Abs(u) - a, 0),
        sp.Piecewise((u - a, u > a), (u + a, u < -a), (0, True)),
    ),
    "clipping": (sp.Max(-a, sp.Min(a, u)), u - sp.sign(u) * sp.Max(sp.Abs(u) - a, 0)),
    "hinges": (sp.Max(0, 1 - u) - sp.Max(0, u - 1), 1 - u),
    "a guarded quotient": (Above(u**2 / u, 0), sp.Max(u, 0)),
    "three": (sp.Max(u, w, z), sp.Max(sp.Max(u, w), z)),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_is_the_same_in_every_case_is_proved(name: str) -> None:
    one, other = map(as_scalar, SAME[name])
    assert is_zero(one - other)


@pytest.mark.parametrize("name", SAME)
def test_what_differs_in_one_case_is_not(name: str) -> None:
    """Where the first argument is zero alone, too."""
    one, other = map(as_scalar, SAME[name])
    for more in (sp.Max(0, u - 7), sp.Max(0, 1 - sp.Abs(sp.sign(u))), sp.Max(0, -w - 5) ** 2):
        difference = one - other + h * more
        assert not zero_in_every_case(difference, is_zero)
        try:
            assert not is_zero(difference)
        except ArithmeticError:
            continue  # undecided


def test_random_scalars_that_are_called_zero_are_zero() -> None:
    found = 0
    numbers = [sp.Rational(n, 3) for n in (-7, -3, -1, 0, 1, 2, 3, 5, 11)]
    for seed in range(200):
        r = random.Random(seed)
        leaves = [u, w, u - w, sp.Integer(1), sp.Integer(0)]
        try:
            one, other = (as_scalar(drawn(r, 2, leaves)) for _ in range(2))
            e = r.choice([one - other, one - abs(one), one * other, sp.Max(one, other) - one])
            same = zero_in_every_case(e, is_zero)
        except (od.OdescentError, ArithmeticError, TypeError):
            continue
        if same and e != 0:
            found += 1
            for _ in range(20):
                there = {s: r.choice(numbers) for s in (u, w)}
                assert abs(sp.N(e.xreplace(there), 30)) < 1e-25, (seed, e, there)
    assert found > 5


def test_what_stays_undecided_prints_no_inner_names() -> None:
    e = sp.Max(u, 0) * (sp.ceiling(u) + sp.ceiling(u - sp.Rational(1, 2)) - sp.ceiling(2 * u))
    with pytest.raises(ArithmeticError, match="it is undecided whether") as error:
        is_zero(e)
    assert "Dummy" not in str(error.value) and "_" not in str(error.value)


def test_a_quotient_without_a_value_is_not_zero_in_every_case() -> None:
    """u/|u| is no number where u is 0, and the sign of u is one."""
    with pytest.raises(ArithmeticError, match="undecided"):
        is_zero(u / sp.Abs(u) - sp.sign(u))


def test_methods_that_choose_alike_are_proved_equal() -> None:
    """Two counters of one name were two arguments of one name, and the comparison ended in a SyntaxError."""
    late = sp.Piecewise((1, k > 3), (0, True))
    one = od.method({x: x - h * (1 + a * late) * g, k: k + 1}, output=x, init={k: 0})
    size = sp.Piecewise((1 + a, k > 3), (1, True))
    other = od.method({x: x - h * size * g, k: k + 1}, output=x, init={k: 0})
    assert one.equivalent(other).verdict == "proved"
    later = sp.Piecewise((1 + a, k > 4), (1, True))
    third = od.method({x: x - h * later * g, k: k + 1}, output=x, init={k: 0})
    assert one.equivalent(third).verdict == "refuted"

    soft = lambda e: sp.sign(e) * sp.Max(sp.Abs(e) - a, 0)
    pieces = lambda e: sp.Piecewise((e - a, e > a), (e + a, e < -a), (0, True))
    shrunk = [od.method({x: od.elementwise(f, x - h * g)}, output=x) for f in (soft, pieces)]
    assert shrunk[0].equivalent(shrunk[1]).verdict == "proved"


def test_a_step_size_in_pieces_is_recognized() -> None:
    """The roots of equations with maxima and signs in them took for ever."""
    size = sp.Piecewise((1 + a, a > 1), (1, True))
    found = str(od.recognize(od.method({x: x - h * size * g}, output=x)))
    assert "this is gradient_descent with L = 1/(" in found and "[a > 1]" in found
