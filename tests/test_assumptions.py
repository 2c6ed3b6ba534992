"""Values at which methods are compared have what is assumed of their symbols; lengths of windows are compared."""

import contextlib
import itertools

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.linear.witness import samples
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.scalars import admitted

x = od.blocks("x")
h, c = od.parameters("h c")
f = od.Objective("f")
KINDS = [
    {"integer": True}, {"integer": True, "positive": True}, {"even": True}, {"odd": True, "negative": True},
    {"prime": True}, {"composite": True}, {"irrational": True}, {"rational": True}, {"nonzero": True},
    {"nonpositive": True}, {"noninteger": True, "real": True}, {"zero": True}, {"real": True}, {},
]  # fmt: skip


def method(k):
    return od.method({x: x - k * f.grad(x)}, output=x)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_samples_have_what_is_assumed(kind):
    s, other = sp.Symbol("s", **kind), sp.Symbol("mu", positive=True)
    found = list(samples({s, other}))
    assert len(found) > 10
    for values in found:
        # a second opinion: SymPy's own query, fact by fact
        assert all(
            sp.ask(getattr(sp.Q, k)(values[s])) is not (not v)
            for k, v in kind.items()
            if hasattr(sp.Q, k)
        )
        assert all(getattr(values[s], f"is_{k}") in (v, None) for k, v in kind.items())


def test_there_is_no_value_of_what_is_not_real():
    for kind in ({"imaginary": True}, {"real": False}, {"infinite": True}):
        s = sp.Symbol("s", **kind)
        assert admitted(s, sp.Rational(4, 9)) is None and not list(samples({s}))


n = sp.Symbol("n", integer=True, positive=True)
even = sp.Symbol("k", even=True)
TRUE = {
    "halves of a whole number": (sp.floor(n / 2) + sp.floor((n + 1) / 2), n),
    "the parity of a product": (sp.Mod(n * (n + 1), 2), sp.S.Zero),
    "a half of an even number": (2 * sp.floor(even / 2), even),
    "a power of minus one": ((-1) ** (n**2 + n + 1), -sp.S.One),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE)
def test_what_holds_for_all_admitted_values_is_not_refuted(name):
    one, other = TRUE[name]
    assert method(c + one).equivalent(method(c + other)).verdict != "refuted"
    with contextlib.suppress(ArithmeticError):
        assert is_zero(one - other)
    wrong = method(c + one).equivalent(method(c + other + sp.Rational(1, 3)))
    assert wrong.verdict == "refuted"
    assert all(
        s.is_integer is not True or v.is_integer for s, v in wrong.witness.parameters.items()
    )


@pytest.mark.parametrize(
    "kind", [{"imaginary": True}, {"real": False, "complex": True}, {"infinite": True}]
)
def test_parameters_that_are_not_real_are_refused(kind):
    """k^2 and -|k|^2 of an imaginary k were refuted at k = 4/9."""
    k = sp.Symbol("k", **kind)
    with pytest.raises(
        od.OdescentError, match="the parameter k is declared as a number that is not real"
    ):
        method(k**2)
    with pytest.raises(
        od.OdescentError, match="the parameter k is declared as a number that is not real"
    ):
        od.Algorithm(
            od.System({"d": {x: -k * f.grad(x)}}, output=x), od.scheme("explicit_euler"), step=h
        )


def windowed(length, name="G", late=False):
    window = od.Block(name, history=length)
    g = window.symbol
    kick = {x: -h * od.apply(g, od.apply(od.transpose(g), x)) - f.grad(x)}
    system = od.System(
        {"kick": kick}, blocks=[od.Block("x", init=od.dynamics.start), window], output=x
    )
    steps = [od.Let({g: od.push(g, f.grad(x))}), od.Flow("kick", "explicit", 1)]
    return od.Algorithm(system, od.Scheme(steps[::-1] if late else steps), step=h)


m, q = sp.symbols("m q", positive=True)


def test_windows_of_other_lengths_are_other_methods():
    """They were proved to be equal: what is pushed is the same, and how long it is kept was not compared."""
    lengths = (1, 2, 3, 7, m, m + 1, q)
    for one, other in itertools.combinations(lengths, 2):
        assert not windowed(one).equivalent(windowed(other)), (one, other)
    for one in lengths:
        assert windowed(one).equivalent(windowed(one, "H"))
        assert not windowed(one).equivalent(windowed(one, late=True))
    assert windowed(m * (m + 1)).equivalent(windowed(m**2 + m))
    assert windowed(m).bind(m=3).equivalent(windowed(3)) and not windowed(m).bind(m=3).equivalent(
        windowed(2)
    )


def test_of_a_binding_that_is_piecewise_in_the_step_the_piece_for_small_steps_counts():
    """It ended in a TypeError of SymPy's."""
    system = od.System({"d": {x: -c * f.grad(x)}}, output=x)
    scheme = od.scheme("lie_trotter", [("d", "explicit")])
    for pieces in (
        ((1, h > q), (2, True)),
        ((2, h <= 1), (1, True)),
        ((2, h < h**2 + 1), (1 / q, True)),
    ):
        made = od.Algorithm(system, scheme, step=h, where={c: sp.Piecewise(*pieces)})
        slow = od.Algorithm(system, scheme, step=h, where={c: sp.S(2)})
        assert str(made.consistent_with()) == str(slow.consistent_with())
        assert str(made.modified_equation(2)) == str(slow.modified_equation(2))
    kept = od.Algorithm(system, scheme, step=h, where={c: sp.Piecewise((q, q > 1), (2, True))})
    assert kept.equivalent(kept)
