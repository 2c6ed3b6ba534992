"""Pieces and rounding inside of scalars have the values of what they are written as, also where a piece divides."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import derivative, start
from odescent.dynamics.algebra.scalars import as_scalar
from odescent.dynamics.evaluation.evaluate import evaluate

x, m = od.blocks("x m")
k = od.blocks("k", kind="scalar")
g = od.Objective("f").grad(x)
u, q = sp.symbols("u q", real=True)
WRITTEN = {
    "leaky": sp.Piecewise((u, u > 0), (u / 10, True)),
    "from below": sp.Piecewise((u, u >= q), (q - u, True)),
    "three": sp.Piecewise((1, u < -1), (u**2, u <= 1), (2 - u, True)),
    "equal": sp.Piecewise((3, sp.Eq(u, q)), (u, True)),
    "not equal": sp.Piecewise((3 * u, sp.Ne(u, 1)), (q, True)),
    "both": sp.Piecewise((u, sp.And(u > -1, u < q)), (q, sp.Or(u > 2, sp.Not(q > 0))), (0, True)),
    "nested": sp.Piecewise((sp.Piecewise((1, q > u), (2, True)), u > 0), (sp.floor(u / 2), True)),
    "linear unit": sp.Piecewise((sp.exp(sp.Min(u, 0)) - 1, u < 0), (u, True)),
    "root": sp.Piecewise((sp.sqrt(u**2 + 1), u > q), (1 / (1 + q**2), True)),
    "step": sp.Heaviside(u - q),
    "step, 0": sp.Heaviside(u, 0),
    "step, 1": sp.Heaviside(u, 1),
    "floor": sp.floor(u) + sp.frac(q),
    "quotient": sp.Piecewise((sp.sin(u) / u, sp.Ne(u, 0)), (1, True)),
    "quotients": sp.Piecewise((1 / u, u > 1), (1 / (q - 1), q > 1), (q / u, u < 0), (0, True)),
    "quotient in a quotient": sp.Piecewise((1 / (q + 1 / u), sp.And(u > 0, q > 0)), (q, True)),
    "exclusive": sp.Piecewise((2, sp.Xor(u > 0, q / (1 + u**2) < 1)), (3, True)),
    "roots": sp.Piecewise((sp.sqrt(u), u > 0), (-sp.sqrt(-u), True)),
    "logarithm": sp.Piecewise((sp.log(u) / u, u > 0), (q, True)),
    "exponential": sp.Piecewise((sp.exp(u), u < 1), (2, True)),
    "arcs": sp.Piecewise((sp.asin(u), abs(u) <= 1), (sp.acosh(u), u > 1), (sp.atanh(1 / u), True)),
    "nested quotients": sp.Piecewise(
        (sp.Piecewise((1 / u, u > 0), (q, True)), q > 0), (1 / q, q < 0), (0, True)
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_with_signs_has_the_same_values(name: str) -> None:
    """At the borders of the pieces, too."""
    e = WRITTEN[name]
    written = as_scalar(e)
    assert not written.has(sp.Piecewise, sp.Heaviside, sp.floor, sp.frac)
    in_floats = sp.lambdify((u, q), written, "numpy")
    numbers = [sp.Rational(n, 2) for n in range(-6, 7)]
    for one, two in itertools.product(numbers, numbers):
        there = {u: one, q: two}
        wanted = e.xreplace(there)
        assert sp.simplify(wanted - written.xreplace(there)) == 0, there
        found = in_floats(*map(np.float64, (float(one), float(two))))
        np.testing.assert_allclose(found, float(wanted), rtol=1e-15, atol=1e-16, err_msg=str(there))


def test_pieces_that_leave_numbers_out_are_refused() -> None:
    e = sp.Piecewise((u, u > 0), (1, u < -1))
    for use in (
        as_scalar,
        lambda e: e * g,
        lambda e: od.elementwise(lambda s: e.xreplace({u: s}), g),
    ):
        with pytest.raises(
            TypeError, match=r"has no value where none .*; end it with \(value, True\)"
        ):
            use(e)


def test_a_condition_too_long_for_quotients_is_refused() -> None:
    conditions = [sp.Or(u < i, q > i, sp.And(u * q > i, u - q < i)) for i in range(12)]
    with pytest.raises(
        TypeError, match=r"takes a condition of more than 200 operations: let od\.Select"
    ):
        as_scalar(sp.Piecewise((1 / u, sp.And(*conditions)), (0, True)))
    assert as_scalar(sp.Piecewise((u, sp.And(*conditions)), (0, True)))


@pytest.mark.parametrize(
    ("early", "late"), [("1", "1e20"), ("1e20", "1"), ("1e-20", "1"), ("1", "1e-20")]
)
def test_a_small_piece_keeps_its_digits_beside_a_large_one(early: str, late: str) -> None:
    """1 I + 1e20 (1 - I), added from left to right, was 0 where I is 1."""
    size = sp.Piecewise((sp.Rational(early), k <= 2), (sp.Rational(late), True))
    entries = od.elementwise(
        lambda e: sp.Piecewise((sp.Rational(early), e > 0), (sp.Rational(late), True)), x
    )
    first, later = float(early), float(late)
    for step, wanted in (
        (size * m, [[first, -first], [first, -first], [later, -later]]),
        (entries, [[first, later]]),
    ):
        updates = {x: step, m: m, k: k + 1}
        made = od.method(updates, output=x, init={m: start, k: 1}, name="pieces")
        for target, xp in (("numpy", np), ("jax", jnp)):
            found = load(made, target).run(xp.array([1.0, -1.0]), 3)[1:]
            np.testing.assert_allclose(found[: len(wanted)], wanted, rtol=1e-15, err_msg=target)


@pytest.mark.parametrize("signs", [*itertools.product((-1, 0, 2), repeat=2)])
def test_a_condition_may_divide_where_the_others_hold(signs: tuple[int, int]) -> None:
    """q/u < 1 was NaN where u and q are 0. SymPy does not compare there."""
    one, two = signs
    below = one > 0 and two / one < 1
    there = {u: sp.Integer(one), q: sp.Integer(two)}
    quotient = q / u < 1
    for condition, holds in (
        (sp.And(u > 0, quotient), below),
        (sp.Or(u <= 0, quotient), below or one <= 0),
        (sp.Not(sp.And(u > 0, quotient)), not below),
        (sp.ITE(u > 0, quotient, q > 0), below if one > 0 else two > 0),
        (sp.And(u > 0, sp.Or(q > 1, quotient)), one > 0 and (two > 1 or below)),
    ):
        written = as_scalar(sp.Piecewise((5, condition), (7, True)))
        assert written.xreplace(there) == (5 if holds else 7), condition


def test_a_later_condition_may_have_no_value() -> None:
    """Where a piece is taken the conditions after it are evaluated, too: w <= log(w) was NaN there."""
    e = sp.Piecewise((u, u > 0), (1, q <= sp.log(q)), (1 / q, q > 0), (2, True))
    found = sp.lambdify((u, q), as_scalar(e), "numpy")
    for one, two, wanted in ((3.0, -1.0, 3.0), (3.0, 0.0, 3.0), (-3.0, 0.5, 2.0)):
        assert found(np.float64(one), np.float64(two)) == wanted


def test_parameters_may_be_what_a_piece_that_is_not_taken_divides_by() -> None:
    b = od.parameters("b")
    size = sp.Piecewise((1 / (b - sp.Rational(1, 2)), k > 5), (b ** (1 - k) / b, k > 3), (1, True))
    made = od.method({x: x - size * g, k: k + 1}, output=x, init={k: 0}, name="late")
    for value in (0.5, 0.0):
        run = load(made, "numpy").run(np.sign, np.array([0.5]), 2, b=value)
        np.testing.assert_array_equal(run, [[0.5], [-0.5], [0.5]])


def test_the_time_may_be_zero_where_it_divides() -> None:
    """3/t was infinite at t = 0, where the other piece is taken."""
    t, v = sp.Symbol("t", positive=True), od.blocks("v")
    damping = sp.Piecewise((3 / t, t > 1), (3, True))
    flow = od.System({x: v, v: -damping * v - g}, output=x, time=t, name="late")
    f = od.Objective(lambda z: (z**2).sum() / 2)
    ends = [
        flow.simulate(f, np.array([1.0]), end, rtol=1e-9, atol=1e-9).x[-1, 0] for end in (0.5, 1.0)
    ]
    # x'' + 3 x' + x = 0 from rest
    slow, fast = (-3 + np.sqrt(5)) / 2, (-3 - np.sqrt(5)) / 2
    exact = [
        (slow * np.exp(fast * s) - fast * np.exp(slow * s)) / (slow - fast) for s in (0.5, 1.0)
    ]
    np.testing.assert_allclose(ends, exact, rtol=1e-7)


def test_a_modified_equation_of_pieces_that_meet() -> None:
    """The drift has a kink where |x| is 1; indicators are their own squares, and have no derivative."""
    square, h = od.inner(x, x), sp.Symbol("h", positive=True)
    drifts = 1 / square, sp.S.One, sp.Piecewise((1 / square, square > 1), (1, True))
    outside, inside, both = (
        od.Algorithm(od.System({x: -d * g}, output=x), "explicit_euler", step=h)
        .modified_equation()
        .drift[x]
        for d in drifts
    )
    bend = np.array([[2.0, 0.5], [0.5, 1.0]])
    oracles = {"grad": lambda z: bend @ z, "hess": lambda z, v: bend @ v}
    for point, drift in ((np.array([1.2, -0.7]), outside), (np.array([0.3, -0.7]), inside)):
        found, wanted = (evaluate(e, {x: point, h: 0.1}, oracles, np) for e in (both, drift))
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize(
    "jump",
    [
        sp.sign(u), sp.Piecewise((u, u > 1), (0, True)), sp.ceiling(u), sp.sign(u) * sp.sign(u - 1),
        sp.Piecewise((1 / u, u > 0), (0, True)), sp.Heaviside(2 * u - 2, 0) * u,
    ],
)  # fmt: skip
def test_what_jumps_somewhere_has_no_derivative(jump: sp.Expr) -> None:
    with pytest.raises(od.OdescentError, match="jumps, so it has no derivative"):
        derivative(as_scalar(jump), {u: sp.S.One})


@pytest.mark.parametrize(
    ("meeting", "rate"),
    [
        (sp.Piecewise((u**2, u > 0), (-u, True)), sp.Piecewise((2 * u, u > 0), (-1, True))),
        (sp.Piecewise((1 / u, u > 1), (2 - u, True)), sp.Piecewise((-1 / u**2, u > 1), (-1, True))),
        (sp.Piecewise((3 * u, q > u), (q + 2 * u, True)), sp.Piecewise((3, q > u), (2, True))),
        (sp.Heaviside(2 * u - 2, 0) * (u - 1), sp.Piecewise((1, u > 1), (0, True))),
    ],
)
def test_pieces_that_meet_have_the_derivatives_of_the_pieces(
    meeting: sp.Expr, rate: sp.Expr
) -> None:
    found = derivative(as_scalar(meeting), {u: sp.S.One})
    for one, two in ((-3, 1), (sp.Rational(1, 2), 2), (2, 1), (5, 7)):
        there = {u: sp.sympify(one), q: sp.sympify(two)}
        assert sp.simplify(found.xreplace(there) - rate.xreplace(there)) == 0, there
