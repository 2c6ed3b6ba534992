"""Counted work: its limits, what is kept counts again, and recognition that ends where the work does."""

import pytest
import sympy as sp
from unregistered import METHODS, drag

import odescent as od
from odescent._support.work import TooMuchWork, done, kept, limited, uncounted, work
from odescent.discretize.identification import recognition
from odescent.dynamics.algebra.exact import canonical, is_zero

x = od.blocks("x")
a, b, c, h = od.parameters("a b c h")
f = od.Objective("f")
FINE = sp.Rational(1001, 1000)


@kept(8)
def seven(of):
    work(7)
    return of


def test_what_is_kept_counts_each_time():
    began = done()
    assert [seven(1), seven(1), seven(2)] == [1, 1, 2] and done() == began + 21
    for _ in range(2):  # the same when it is not kept yet
        with pytest.raises(TooMuchWork), limited(20):
            seven(1), seven(1), seven(3)
    assert done() == began + 61


def test_a_limit_holds_inside_another_and_not_where_nothing_counts():
    began = done()
    with limited(10):
        with pytest.raises(TooMuchWork), limited(100):
            work(11)
        with uncounted():
            work(10**9)
        with pytest.raises(TooMuchWork):
            work(1)
    assert done() - began in {10, 11}


def test_a_fraction_takes_the_same_work_again():
    e = (a + b) ** 3 / (a - c) + (a + c) ** 2 / (b + h) + sp.Symbol("only_here", positive=True)
    taken = []
    for _ in range(2):
        began = done()
        canonical(e)
        taken.append(done() - began)
    assert taken[0] == taken[1] > 10


@pytest.mark.parametrize(
    "name", ["three states", "four states", "two exponentials", "a gradient, and the Hessian on it"]
)
def test_a_sample_matches_nothing(name):
    found = od.recognize(METHODS[name]())
    assert found.verdict == "different" and not found.undecided, found.reason


def test_recognition_ends_with_its_work_and_names_what_is_open(monkeypatch):
    """The same methods, whatever was worked out before."""
    monkeypatch.setattr(recognition, "_ALL", 2_000)
    first, again = (od.recognize(METHODS["two states"]()) for _ in range(2))
    assert first.verdict == "undecided" and "more work than is spent" in first.reason
    assert first.undecided == again.undecided and "nesterov_c" in first.undecided
    assert "adam" not in first.undecided  # excluded without work


def test_a_method_is_itself_whatever_work_is_left(monkeypatch):
    monkeypatch.setattr(recognition, "_ALL", 0)
    assert od.recognize(od.algorithm("unified_nesterov")).verdict == "equal"


def test_a_small_power_of_the_speed_is_no_series():
    """|v|^(1/500) at zero: recognition ended in an AttributeError."""
    method = drag(sp.Rational(1, 1000), od.scheme("semi_implicit_euler", order=("v", "x")))
    assert od.recognize(method).verdict == "different"


@pytest.mark.parametrize("rest", [h * c, h, c * h**2 / a])
def test_powers_of_e_whose_exponents_are_nearly_equal(rest):
    """Thousandths of an exponent are not the unit in which it is written."""
    one, other, step = sp.exp(rest), sp.exp(FINE * rest), sp.exp(rest / 1000)
    assert is_zero(other - one * step) and is_zero(
        (one - other) * (one + other) - one**2 + other**2
    )
    assert is_zero(
        sp.sqrt(a * (other + 1) ** 2 + one * (other + 1) ** 2) - (other + 1) * sp.sqrt(a + one)
    )
    for near in (other - one, other - one * step**2, one * other - one**2):
        assert not is_zero(near)


def test_powers_are_put_together_only_for_one_exponent():
    assert not is_zero(sp.exp(FINE * c * h) - sp.exp(FINE * a * h))
    assert not is_zero(sp.exp(FINE * h) * sp.exp(c) - sp.exp(h) * sp.exp(FINE * c))
    assert is_zero(sp.exp(FINE * h) * sp.exp(c) - sp.exp(c + h) * sp.exp(h / 1000))


@pytest.mark.parametrize("which", ["rank_one", "descent"])
def test_derivations_of_a_factor_with_a_field_that_is_a_thousandth_larger(which):
    """e^(1001 gam h/1000) was the 1001st power of a generator under a root, which did not end."""
    own = od.algorithm("mkor", leak="factor")
    fields = {
        n: {s: (FINE if n == which else 1) * e for s, e in field.drift.items()}
        for n, field in own.system.fields.items()
    }
    init = {s.symbol: s.init for s in own.system.blocks}
    system = od.System(fields, output=own.system.output, init=init)
    steps = [("rank_one", "exact"), ("descent", "explicit")]
    changed = od.Algorithm(system, od.scheme("lie_trotter", steps))
    text = changed.derivation().text()
    assert "1001" in text and changed.derivation().verified


def test_an_open_comparison_prints_no_inner_names():
    rounded = lambda z: sp.ceiling(z * a) + sp.ceiling(z * a - sp.Rational(1, 2))
    one, other = (
        od.method({x: x - h * od.elementwise(part, f.grad(x))}, output=x)
        for part in (rounded, lambda z: sp.ceiling(2 * a * z))
    )
    found = one.equivalent(other)
    assert found.verdict == "undecided" and "_a" not in str(found) and "zero test" in str(found)


def test_a_text_is_no_number_and_the_error_says_what_is():
    with pytest.raises(od.OdescentError, match=r"not '3/10' .*Fraction\(3, 10\)"):
        od.algorithm("gradient_descent").bind(L="3/10")
