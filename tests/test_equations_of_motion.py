"""Equations of motion in texts, x'' + 3/t*x' + grad f(x) = 0: what they declare, and their highest derivatives."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import odescent as od

FRICTION = """
system vanishing_friction blocks x, v time t objective f
field all: x' = v, v' = -3/t*v - grad f(x)
output x init x = x0, v = 0
"""


def plain(system: Any) -> tuple[Any, ...]:
    """What a system is, its name aside."""
    return (
        str(system), [(b.name, b.kind, str(b.init)) for b in system.blocks], str(system.output),
        system.time, [str(o) for o in system.oracles], sorted(map(str, system.parameters)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "x'' + (3/t)*x' + grad f(x) = 0",
        "x'' = -3/t*x' - grad f(x)",
        "-grad f(x) = x'' + 3*x'/t",
        "t*x'' + 3*x' + t*grad f(x) = 0",
        "t*(x'' + grad f(x)) = -3*x'",
        "x' = v, v' + 3/t*v + grad f(x) = 0",
        "x'' + 3/t*v = -grad f(x)",
        "equations x'' + (3/t)*x' + grad f(x) = 0",
        "system mine equations x'' + (3/t)*x' = -grad f(x) blocks x, v",
        "v' + 3/t*x' + grad f(x) = 0, x' = v output x init x = x0, v = 0 blocks x, v",
    ],
)
def test_an_equation_is_the_system_that_is_written_out(text: str) -> None:
    assert plain(od.parse_system(text)) == plain(od.parse_system(FRICTION))


KNOWN = {"x", "f", "t", "mu", "L", "h", "F", "D", "grad", "hess", "sqrt", "exp", "tanh", "coth"}


def second_order(name: str) -> str:
    """The second-order form of a registered system, where it has one in the language's own words."""
    try:
        return str(od.system(name).second_order())
    except (od.OdescentError, NotImplementedError):
        return ""


def test_what_second_order_prints_is_read_again() -> None:
    read = []
    for name in od.systems():
        if not (text := second_order(name)):
            continue
        words = set(re.findall(r"[A-Za-z_]\w*", text)) - KNOWN
        declared = f" parameters {', '.join(f'{w} > 0' for w in sorted(words))}" if words else ""
        declared += " operator F" * ("F(" in text)
        again = od.parse_system(text + declared)
        assert str(again.second_order()) == text, name
        read.append(name)
    assert len(read) >= 6, read


NUMBERS = st.fractions(-5, 5, max_denominator=7).map(
    lambda q: sp.Rational(q.numerator, q.denominator)
)


@given(a=NUMBERS.filter(bool), b=NUMBERS, c=NUMBERS, left=st.booleans())
def test_a_linear_equation_is_solved_for_its_highest_derivative(
    a: sp.Rational, b: sp.Rational, c: sp.Rational, left: bool
) -> None:
    moving = f"({a})*x'' + ({b})*x'"
    pulling = f"({c})*grad f(x)"
    text = f"{moving} + {pulling} = 0" if left else f"{pulling} = -({moving})"
    made = od.parse_system(text)
    x, v = (b.symbol for b in made.blocks)
    wanted = -(b / a) * v - (c / a) * od.Objective("f").grad(x)
    assert (made.drift[v] - wanted).canonical() == 0 * v
    assert made.drift[x] == v


def test_several_equations_are_solved_one_after_another() -> None:
    made = od.parse_system("x'' + y' = 0, y' = -grad f(y) - x'")
    assert str(made) == "x' = v\ny' = -v - grad f(y)\nv' = v + grad f(y)"
    two = od.parse_system("q'' = -grad f(q) - r, r'' = q - r'")
    assert [b.name for b in two.blocks] == ["q", "r", "v_q", "v_r"]
    assert str(two.output) == "q"
    scalar = od.parse_system("T' = -T, x' = -T*grad f(x) blocks scalar T output x")
    assert str(scalar) == "T' = -T\nx' = -T*grad f(x)"


def test_an_equation_with_a_scheme_is_an_algorithm() -> None:
    mine = od.parse_algorithm("x'' + 2*x' + grad f(x) = 0  scheme semi_implicit_euler(v, x)")
    proof = od.analysis.certify(mine.bind(h=sp.Rational(3, 10)), mu=1, L=10)
    assert abs(proof.rate - 0.825367) < 1e-6


def test_noise_and_further_fields_stand_beside_equations() -> None:
    made = od.parse_system(
        "x'' + c*x' + grad f(x) = 0 parameters c > 0 field heat noise heat: v += sqrt(2*c) dW"
    )
    assert list(made.fields) == ["all", "heat"] and made.fields["heat"].noise


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x'' + c*x' + grad f(x) = 0", "known: L, h, mu, v, x, x', x''; declare it, as in parameters c > 0."),
        ("x'*x'' = 0", "the product of the vectors v and x'' has no meaning"),
        ("x''' = 0", "a derivative is of first or second order; write a higher one by a block of its own"),
        ("x'' + y' = 0", "gives x'' and y' at once; write one equation for each of x'', y'."),
        ("x' = -x, x' = 0", "gives none of the derivatives that the others leave open"),
        ("x' + y' = 0, x' + y' = x", "gives x' and y' at once"),
        ("hess f(x)[x''] + x = 0", "is not linear in x'' with a scalar as its factor"),
        ("inner(x'', x'')*x = x'", "is not linear in x'' with a scalar as its factor"),
        ("T'*T' = 1 blocks scalar T", "is not linear in T'"),
        ("x'' - x'' + x' = 0", "gives none of the derivatives that the others leave open"),
        ("x' = 1", "this equates a vector with a scalar"),
        ("x = 3", "an equation of motion has a derivative"),
        ("sytem foo", "there is no statement 'sytem': did you mean 'system'"),
        ("field a: v' = x' blocks x, v", "the derivative x' stands in an equation of motion"),
        ("field a: v'' = 0 blocks v", "a field has derivatives of first order; write equations"),
        ("x'' = -x equations y' = y", "there is a second equations"),
        ("x'' = -x field all: v' = -v", "there is a second field all"),
        ("x'' + x'", "the text ends too early"),
        ("x'' = -x, v' = v, v'' = 0", "write one equation for each of x'', v''"),
    ],
)  # fmt: skip
def test_what_is_no_equation_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(od.ParseError) as refused:
        od.parse_system(text)
    assert sentence in str(refused.value)
    assert "\n" in str(refused.value)


def test_the_clock_goes_by_names() -> None:
    flow = od.parse_system(FRICTION)
    k, h = sp.symbols("k h")
    order = od.scheme("semi_implicit_euler", ["v", "x"])
    made = od.Algorithm(flow, order, clock=(k + 3) * h)
    assert (
        made.clock
        == od.parse_algorithm(
            "x'' + 3/t*x' + grad f(x) = 0 scheme semi_implicit_euler(v, x) clock (k + 3)*h"
        ).clock
    )


def test_derive_takes_an_algorithm_of_ones_own() -> None:
    mine = od.parse_algorithm("x'' + x' + grad f(x) = 0 scheme semi_implicit_euler(v, x)")
    assert od.derive(mine).verified and od.derive(mine).route == "direct"
    with pytest.raises(
        od.OdescentError, match="no route to an algorithm of your own called 'model'"
    ):
        od.derive(mine, route="model")
    with pytest.raises(od.OdescentError, match="has no options, such as h"):
        od.derive(mine, h=0.1)


def test_equations_that_are_too_large_to_be_solved_are_refused() -> None:
    letters = " parameters " + ", ".join(f"{c} > 0" for c in "abcdef")
    factor = "(a + b + sqrt(c))^9*(d + e + sqrt(f))^9"
    with pytest.raises(od.ParseError, match="too large to be solved for their derivatives"):
        od.parse_system(f"{factor}*x' = sqrt(a + sqrt(b))*x + y, y' = -x{letters}")
    with pytest.raises(od.ParseError, match="too large"):
        od.parse_system(f"(a + b + c + d + e + f)^20*x' = x{letters}")


def test_the_time_may_be_declared_beside_equations() -> None:
    for text, wanted in (
        ("x'' + 3/t*x' + grad f(x) = 0 time t", "x'' + 3/t*x' + grad f(x) = 0"),
        ("time s equations x'' + 3/s*x' = 0", "x'' + 3/s*x' = 0"),
        ("x'' + 3/s*x' + t*x = 0 time s parameters t > 0", "x'' + 3/s*x' + t*x = 0"),
        ("x'' + t*x' = 0 parameters t > 0", "x'' + t*x' = 0"),
    ):
        assert str(od.parse_system(text).second_order()) == wanted
    assert od.parse_system("x'' + t*x' = 0 parameters t > 0").autonomous
