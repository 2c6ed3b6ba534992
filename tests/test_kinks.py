"""Series at kinks against their values next to 0, and functions of entries against themselves; random expressions."""

from __future__ import annotations

import random
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import taylor
from odescent.dynamics.algebra.calculus import component
from odescent.dynamics.algebra.scalars import as_scalar
from odescent.dynamics.algebra.vectors import Vector

h, p, q = od.parameters("h p q")
x, y, z = od.blocks("x y z")
f = od.Objective("f")
u, w = sp.symbols("u w", real=True)
BOTH = (
    {p: sp.Rational(13, 7), q: sp.Rational(5, 9)},
    {p: sp.Rational(2, 7), q: sp.Rational(16, 9)},
)
AT = (
    {x: sp.Rational(7, 5), y: sp.Rational(-3, 4), z: sp.Rational(2, 3)},
    {x: sp.Rational(-1, 5), y: sp.Rational(5, 4), z: sp.Rational(-7, 3)},
    {x: sp.Rational(8, 5), y: sp.Rational(9, 4), z: sp.Rational(2, 3)},
)  # fmt: skip


def drawn(r: random.Random, depth: int, leaves: list[sp.Expr]) -> sp.Expr:
    """A random scalar expression with kinks."""
    if depth == 0:
        return r.choice(leaves)
    a, b = drawn(r, depth - 1, leaves), drawn(r, r.randint(0, depth - 1), leaves)
    return r.choice(
        [
            lambda: a + b, lambda: a - b, lambda: a * b, lambda: abs(a), lambda: sp.sign(a),
            lambda: sp.Max(a, b), lambda: sp.Min(a, b), lambda: sp.Max(a, 0), lambda: sp.ceiling(a),
            lambda: sp.exp(a / 4), lambda: sp.cos(a), lambda: a / (2 + b**2), lambda: sp.sqrt(1 + a**2),
            lambda: sp.Piecewise((a, a > b), (b, True)), lambda: sp.Piecewise((a, a > b), (0, True)),
            lambda: abs(a) - a, lambda: sp.atan(a),
        ]
    )()  # fmt: skip


def close(value: sp.Expr, terms: list[sp.Expr], there: dict[sp.Symbol, sp.Expr]) -> bool:
    """Whether the series is that of the value up to the third power of small steps."""
    for small in (sp.Rational(1, 10**6), sp.Rational(1, 10**7)):
        summed = sp.Add(*[e.xreplace(there) * small**k for k, e in enumerate(terms)])
        if not abs(sp.N(value.xreplace({**there, h: small}) - summed, 60)) < 10**5 * small**3:
            return False
    return True


def test_series_of_random_scalars_with_kinks_are_those_for_small_steps() -> None:
    """|h - h^2| was 0, max(h, h^2) was h/2, and the sign of what is 0 at 0 was 0."""
    leaves = [
        h,
        h,
        h**2,
        2 * h,
        sp.Integer(-1),
        sp.Integer(1),
        sp.Integer(0),
        p,
        q,
        p - q,
        h * p,
        1 + h,
    ]
    found = 0
    for seed in range(300):
        try:
            e = as_scalar(drawn(random.Random(seed), 3, leaves))
            terms = taylor(e, h, 2)
        except (od.OdescentError, TypeError):  # jumps, or pieces that may not be finite
            continue
        found += 1
        for there in BOTH:
            assert close(e, terms, there), (seed, e, terms, there)
    assert found > 200


def test_series_of_random_functions_of_entries_are_those_for_small_steps() -> None:
    """max(0, h y)^2 was h^2 y^2/4."""
    arguments = [
        x + h * y, h * y, x, h * z + h**2 * x, x + h * z, od.hadamard(x, x + h * y), od.hadamard(h * y, z),
        x - y + h * z, od.elementwise(abs, x + h * y), od.elementwise(sp.cos, h * z), x + h**2 * y, 2 * x,
    ]  # fmt: skip
    found = 0
    for seed in range(300):
        r = random.Random(seed)
        given = [r.choice(arguments) for _ in range(r.randint(1, 3))]
        try:
            v = od.elementwise(lambda *s, r=r: drawn(r, 2, [*s, *s, sp.Integer(1), p]), *given)
            terms = taylor(v, h, 2)
        except (od.OdescentError, TypeError):
            continue
        found += 1
        names: dict[Vector, sp.Symbol] = {}
        value, parts = component(v, names), [component(w, names) for w in terms]
        for at in AT:
            there = {s: at[a] for a, s in names.items()} | {p: sp.Rational(11, 7)}
            assert close(value, parts, there), (seed, v, terms, at)
    assert found > 150


def test_a_function_of_entries_is_itself() -> None:
    """p (x + 1) lost its constant."""
    assert str(od.elementwise(lambda e: p * (e + 1), x)) == "[p*(1 + x)]"
    assert od.elementwise(lambda e, n: p * (e - n), x, y) == p * x - p * y
    for seed in range(300):
        r = random.Random(seed)
        body = drawn(r, 3, [u, w, u - 1, p, sp.Integer(1), sp.exp(sp.Rational(-1, 2))])
        body *= r.choice([1, p, 1 / p, sp.exp(-p)])
        for e in (body, sp.factor(body)) if not body.has(sp.Piecewise) else (body,):
            try:
                v = od.elementwise(lambda a, b, e=e: e.xreplace({u: a, w: b}), x, y)
            except TypeError:
                continue
            names: dict[Vector, sp.Symbol] = {}
            found = component(v, names) if v.terms else sp.S.Zero
            there = {p: sp.Rational(11, 7), u: sp.Rational(3, 5), w: sp.Rational(-4, 3)}
            there |= {names[a]: there[s] for a, s in ((x, u), (y, w)) if a in names}
            assert abs(sp.N((found - e).xreplace(there), 40)) < 1e-30, (seed, e, v)


@pytest.mark.parametrize(
    ("e", "terms"),
    [
        (abs(f.value(x + h * y) - f.value(x)), (0, abs(od.inner(y, f.grad(x))))),
        (sp.Max(od.inner(x + h * y, z) - od.inner(x, z), 0), (0, sp.Max(0, od.inner(y, z)))),
        (
            od.elementwise(abs, f.grad(x + h * y) - f.grad(x)),
            (0, od.elementwise(abs, f.hess(x, y))),
        ),
        (od.elementwise(sp.Max, x + h * y, x + h * z), (x, od.elementwise(sp.Max, y, z))),
        (od.named_map("nonnegative")(h * y), (0, od.named_map("nonnegative")(y))),
        (od.named_map("steepest_l2")(h * y - h**2 * z), (od.named_map("steepest_l2")(y), None)),
        (od.named_map("top_k", k=1)(h**2 * y), (0, 0, od.named_map("top_k", k=1)(y))),
    ],
)
def test_series_where_differences_begin_at_zero(e: object, terms: tuple[object, ...]) -> None:
    for got, want in zip(taylor(e, h, len(terms) - 1), terms, strict=True):
        assert want is None or str(got) == str(want)


@pytest.mark.parametrize(
    "e",
    [
        od.elementwise(sp.sqrt, h * y), od.named_map("box")(h * y), od.named_map("floor")(x * 0 + h * y),
        abs(h - sp.Max(0, p - q)), sp.ceiling(h + sp.Max(0, p - q)), abs(sp.Symbol("t", real=True)),
    ],
)  # fmt: skip
def test_where_the_side_is_not_known_there_is_no_series(e: object) -> None:
    s = sp.Symbol("t", real=True) if e == abs(sp.Symbol("t", real=True)) else h
    with pytest.raises(od.OdescentError, match=f"has no Taylor expansion at {s} = 0"):
        taylor(e, s, 2)


@pytest.mark.parametrize(
    ("size", "field"), [(sp.Max(h, h**2), 1), (sp.Max(h, 2 * h), 2), (abs(h - 3 * h**2), 1)]
)
def test_the_modified_equation_of_a_step_with_a_kink(size: sp.Expr, field: int) -> None:
    """max(h, h^2) in place of 1 made -h/2 grad f of -h grad f."""
    flow = od.System({"all": {x: -p * f.grad(x)}}, output=x, name="scaled")
    made = od.Algorithm(flow, "explicit_euler", step=h, where={p: size}, name="kinked")
    assert str(made.modified_equation(1)).startswith(
        f"x' = -{'' if field == 1 else '2*'}h*grad f(x) + O"
    )
    run: Callable[..., od.Trajectory] = made.run
    slow = run(lambda v: (v**2).sum() / 2, np.ones(2), 1, h=1e-3).x[1]
    np.testing.assert_allclose(slow, 1 - field * 1e-6, rtol=1e-8)
    assert jnp.isfinite(slow).all()
