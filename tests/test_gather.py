"""Inner products gathered for display, and formulas broken into lines."""

from __future__ import annotations

import re

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.vectors import ScalarNode
from odescent.dynamics.notation.gather import gathered
from odescent.dynamics.notation.line_breaks import broken, terms, text_lines, width
from odescent.dynamics.notation.show import latex, text

x, y, z = od.blocks("x y z")
f = od.Objective("f")
m, h = od.parameters("mu h")
g = f.grad(y)
ATOMS = [x, y, z, g, f.hess(y, x)]
COEFFICIENTS = [sp.Integer(n) for n in (-3, -1, 1, 2)] + [
    m,
    -h,
    m * h**2,
    sp.Rational(1, 2),
    1 / (1 - m),
]
combinations = st.lists(
    st.tuples(st.sampled_from(ATOMS), st.sampled_from(COEFFICIENTS)), min_size=1, max_size=4
).map(lambda pairs: sum((a * c for a, c in pairs), 0 * x))


def expanded(e: sp.Expr) -> sp.Expr:
    """The calculus's own form of what is only for display."""
    return e.xreplace({n: od.inner(*n.arguments) for n in e.atoms(ScalarNode) if n.kind == "inner"})


def occurrences(e: sp.Expr) -> int:
    return sum(isinstance(part, ScalarNode) for part in sp.preorder_traversal(e))


@given(
    st.lists(
        st.tuples(combinations, combinations, st.sampled_from(COEFFICIENTS)), min_size=1, max_size=4
    )
)
def test_gathering_changes_the_form_only(
    products: list[tuple[od.System, od.System, sp.Expr]],
) -> None:
    total = sp.Add(*[od.inner(u, v) * c for u, v, c in products], f.value(x))
    shown = gathered(total)
    assert vanishes(expanded(shown) - total)
    assert occurrences(shown) <= occurrences(total)


@given(combinations, st.sampled_from(COEFFICIENTS))
def test_a_square_is_shown_as_one_square(v: od.System, c: sp.Expr) -> None:
    if not v:
        return
    nodes = gathered(od.inner(v, v) * c + f.value(x)).atoms(ScalarNode)
    assert len([n for n in nodes if n.kind == "inner"]) == 1


def test_as_a_paper_writes_it() -> None:
    moved = x - y - h**2 * g
    assert (
        text(od.inner(moved, moved) * m / 2 + f.value(x))
        == "mu*|x - y - h**2*grad f(y)|^2/2 + f(x)"
    )
    assert text(od.inner(g, x - y) + f.value(y)) == "f(y) + <x - y, grad f(y)>"
    assert latex(-od.inner(x - z, x - z)) == r"- \|x - z\|^2"
    assert text(od.inner(x, x) + od.inner(y, y)) == "|x|^2 + |y|^2"  # no square: left as it is


LONG = (
    r"f(y_{\mathrm{old}}) - \frac{\mu \|y - z\|^2}{2} + \left(1 - \mu h^{2}\right) \left(\|x - y\|^2 + "
    r"\frac{h^{2}}{2 - 2 \mu} \|\nabla f(x) - \nabla f(y)\|^2 - \|z - x\|^2\right) - \langle x - y, z \rangle"
)


@pytest.mark.parametrize("room", [18, 25, 40, 60, 200])
def test_lines_hold_the_formula_and_balance(room: int) -> None:
    lines = broken(LONG, room, room)
    joined = (
        re.sub(r"\\quad |\s", "", "".join(lines))
        .replace(r"\Bigl(", r"\left(")
        .replace(r"\Bigr)", r"\right)")
    )
    assert joined == re.sub(r"\s", "", LONG)
    assert all(line.count("{") == line.count("}") for line in lines)
    assert all(line.count(r"\left(") == line.count(r"\right)") for line in lines)
    assert (len(lines) == 1) == (width(LONG) <= room)


def test_norms_and_brackets_are_not_cut() -> None:
    assert terms(r"a - b + c") == ["a ", "- b ", "+ c"]
    assert terms(r"\|v - x\|^2 + f(u - v)") == [r"\|v - x\|^2 ", "+ f(u - v)"]
    assert width(r"\frac{a}{b + c}") < width("a b + c") and width(r"\mu") == width("m") == 1


@given(st.integers(20, 120))
def test_plain_text_lines_fit(columns: int) -> None:
    formula = "f(y_old) - mu |y_old|²/2 + (1 - μ h²) (|z|² + h² |y - ∇f(y)|² - 2 ⟨x - y, z⟩) - 3 |x - y - z|²/(2 - 2 μ)"
    lines = text_lines(formula, columns)
    assert " ".join(lines) == formula and max(map(len, lines)) <= columns
