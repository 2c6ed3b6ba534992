"""Implicit functions: derivatives and series against differentiation through a search, identities, names, refusals."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import OdescentError
from odescent.dynamics import derivative, substitute, taylor, vanishes
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.implicit.roots import roots_of

x, y, z, u, w, p = od.blocks("x y z u w p")
a, b, c = od.blocks("a b c", "scalar")
sigma, eps = od.parameters("sigma epsilon")
F, G = od.Objective("F", args=("x", "y")), od.Objective("G", args=("x", "y"))
lower = od.argmin(G.value(x, y), y)
both = od.argmin(sigma * F.value(x, y) + G.value(x, y), y)

RNG = np.random.default_rng(0)
M = RNG.normal(size=(5, 5))
A, B, C = M @ M.T / 5 + np.eye(5), RNG.normal(size=(5, 3)), RNG.normal(size=5)


def upper_value(x, y):
    return (
        jnp.sum(jnp.cos(y) * C)
        + 0.5 * jnp.sum(y**2)
        + jnp.sum(x**4) / 4
        + jnp.sum(jnp.sin(x)) * jnp.sum(y) / 3
    )


def lower_value(x, y):
    return (
        0.5 * y @ A @ y
        - y @ (B @ jnp.tanh(x))
        + jnp.sum(jnp.log(jnp.cosh(y)))
        + 0.1 * jnp.sum(y**4)
    )


ORACLES = {
    **{f"value_{n}": f for n, f in (("F", upper_value), ("G", lower_value))},
    **{
        f"grad_{n}_{s}": jax.grad(f, i)
        for n, f in (("F", upper_value), ("G", lower_value))
        for i, s in enumerate("xy")
    },
}
HERE, ALONG = jnp.array([0.3, -0.7, 0.5]), jnp.array([1.0, 0.5, -0.2])


def number(e, xp=jnp, **given):
    values = {x: HERE, y: xp.zeros(5), u: ALONG, sigma: 0.3} | given
    if xp is np:
        return evaluate(e, values, ORACLES, xp)
    return compiled(e, values)


def compiled(e, values, oracles=ORACLES):
    """The value of an expression, compiled."""
    symbols, numbers = list(values), list(values.values())
    return jax.jit(lambda v: evaluate(e, dict(zip(symbols, v, strict=True)), oracles, jnp))(numbers)


def searched(x, sigma=0.0):
    """The minimizer by twelve steps of Newton's method, through which JAX differentiates."""
    value = lambda v: sigma * upper_value(x, v) + lower_value(x, v)
    at = jnp.zeros(5)
    for _ in range(12):
        at = at - jnp.linalg.solve(jax.hessian(value)(at), jax.grad(value)(at))
    return at


def test_values_first_and_second_derivatives_are_those_of_the_search():
    first = derivative(lower, {x: u})
    second = derivative(first, {x: u})
    path = jax.jit(lambda t: searched(HERE + t * ALONG))
    rate = jax.jit(jax.jacfwd(path))
    bent = (rate(1e-5) - rate(-1e-5)) / 2e-5
    for e, wanted, error in (
        (lower, path(0.0), 1e-11),
        (first, rate(0.0), 1e-11),
        (second, bent, 1e-8),
    ):
        for xp in (jnp, np) if e is not second else (jnp,):
            assert np.allclose(number(e, xp), wanted, rtol=error, atol=error)


def test_the_gradient_of_a_function_of_a_minimizer_is_the_hypergradient():
    found = od.gradient(F.value(x, lower), x)
    wanted = jax.jit(jax.grad(lambda v: upper_value(v, searched(v))))(HERE)
    assert np.allclose(number(found), wanted, rtol=1e-11)
    by_hand = F.grad(x, lower, wrt="x") - G.grad(
        x, lower, wrt="x", along=({"y": od.linear_solve(od.jacobian(G.grad(x, z, wrt="y"), z), w)},)
    )
    assert vanishes(found - substitute(substitute(by_hand, {w: F.grad(x, z, wrt="y")}), {z: lower}))


def test_series_in_a_parameter_against_a_fit_to_the_search():
    terms = taylor(both, sigma, 3)
    assert terms[0] == lower
    nodes = 0.05 * np.cos(np.pi * (np.arange(11) + 0.5) / 11)
    path = jax.jit(lambda s: searched(HERE, s))
    fitted = np.polynomial.polynomial.polyfit(nodes, np.stack([path(s) for s in nodes]), 10)
    for e, wanted, error in zip(terms, fitted[:4], (1e-12, 1e-10, 1e-8, 1e-6), strict=True):
        assert np.allclose(number(e), wanted, rtol=error, atol=error)


def test_jax_differentiates_by_the_implicit_function_theorem_and_compiles():
    def solution(at):
        return evaluate(lower, {x: at, y: jnp.zeros(5)}, ORACLES, jnp)

    wanted = jax.jacobian(searched)(HERE)
    for transform in (jax.jacfwd, jax.jacrev):
        assert np.allclose(jax.jit(transform(solution))(HERE), wanted, rtol=1e-9, atol=1e-11)
    many = jnp.stack([HERE, -HERE, 2 * HERE])
    assert np.allclose(
        jax.jit(jax.vmap(solution))(many), jnp.stack([searched(v) for v in many]), rtol=1e-11
    )


def test_what_an_equation_says_of_its_leading_word():
    assert vanishes(G.grad(x, lower, wrt="y"))
    assert vanishes(G.grad(x, both, wrt="y") + sigma * F.grad(x, both, wrt="y"))
    assert not vanishes(G.grad(x, both, wrt="y"))
    assert not vanishes(G.grad(x, lower, wrt="x"))
    assert not vanishes(G.grad(u, lower, wrt="y"))  # at another point
    assert vanishes(od.inner(G.grad(x, lower, wrt="y"), p))


def test_bound_unknowns_have_no_name():
    assert od.argmin(G.value(x, z), z) == lower and hash(od.argmin(G.value(x, z), z)) == hash(lower)
    zero = od.root(G.grad(x, y, wrt="y"), y)
    assert (
        od.root(-3 * G.grad(x, z, wrt="y"), z) == zero != lower
    )  # a saddle is a zero of the gradient, too
    assert od.argmin(F.value(x, y), y) != lower
    assert y not in lower.free_symbols and x in lower.free_symbols
    # a block that is called as the unknown, in the arguments
    other = substitute(lower, {x: y})
    assert y in other.free_symbols and derivative(other, {x: u}) == od.dynamics.zero
    assert substitute(lower, {y: p}) == lower
    assert substitute(other, {y: x}) == lower
    nested = substitute(lower, {x: x + lower})
    twice = substitute(nested, {x: x + nested})
    assert (
        len(roots_of(twice)) == 4
        and substitute(substitute(lower, {x: z}), {z: x + lower}) == nested
    )


def test_a_nested_one_has_the_derivative_of_the_nested_search():
    G2 = lambda v: searched(v + B.T @ searched(v) / 3)
    inside = x + od.Map("m")(lower)
    e = derivative(substitute(lower, {x: inside}), {x: u})
    oracles = {**ORACLES, "map": lambda v: B.T @ v / 3}
    found = compiled(e, {x: HERE, y: jnp.zeros(5), u: ALONG}, oracles)
    assert np.allclose(found, jax.jit(lambda v: jax.jvp(G2, (v,), (ALONG,))[1])(HERE), rtol=1e-9)


def test_what_is_linear_is_solved():
    assert od.root(2 * y - x - eps * y, y) == x / (2 - eps)
    assert od.root({y: y + z - x, z: z - y - p}) == {y: (x - p) / 2, z: (x + p) / 2}
    H = od.jacobian(F.grad(x, u, wrt="y"), u)
    assert od.root(od.apply(H, y) - p, y) == od.linear_solve(H, p)
    assert od.root({a: a + 2 * b - 3, b: a - b}) == {a: 1, b: 1}
    # one after the other: the second needs the first
    found = od.root({z: z - y - x, y: G.grad(x, y, wrt="y")})
    zero = od.root(G.grad(x, y, wrt="y"), y)
    assert found[y] == zero and vanishes(found[z] - zero - x)


def test_several_unknowns_that_need_one_another():
    """grad_y G(x, y) = z, y + 3 z = x3 in numbers, and its derivative."""
    e = od.root(
        {y: G.grad(x, y, wrt="y") + z, z: 3 * z - y + od.elementwise(sp.tanh, z)},
        start={y: y, z: y},
    )

    def searched_both(at):
        v = jnp.zeros(10)
        equations = lambda v: jnp.concatenate(
            [jax.grad(lower_value, 1)(at, v[:5]) + v[5:], 3 * v[5:] - v[:5] + jnp.tanh(v[5:])]
        )
        newton = lambda _, v: v - jnp.linalg.solve(jax.jacobian(equations)(v), equations(v))
        return jax.lax.fori_loop(0, 12, newton, v)

    exact, moved = jax.jit(lambda v: jax.jvp(searched_both, (v,), (ALONG,)))(HERE)
    values = {x: HERE, y: jnp.zeros(5), u: ALONG}
    for k, s in enumerate((y, z)):
        part = slice(5 * k, 5 * k + 5)
        assert np.allclose(compiled(e[s], values), exact[part], rtol=1e-11)
        assert np.allclose(compiled(derivative(e[s], {x: u}), values), moved[part], rtol=1e-9)


def test_scalars():
    found = od.root(a**3 + a - od.inner(x, x), a, start=sp.Integer(0))
    value = evaluate(found, {x: HERE}, {}, np)
    assert abs(value**3 + value - float(HERE @ HERE)) < 1e-14
    rate = evaluate(derivative(found, {x: u}), {x: HERE, u: ALONG}, {}, np)
    assert abs(rate - 2 * float(HERE @ ALONG) / (3 * value**2 + 1)) < 1e-14
    series = taylor(od.root(a**3 + a - eps - eps**2, a, start=sp.Integer(0)), eps, 3)
    assert [evaluate(s, {}, {}, np) for s in series] == pytest.approx([0, 1, 1, -1])
    pair = od.root(
        {a: a**3 + b - c, b: b + a**3 * b - 1}, start={a: sp.Integer(1), b: sp.Integer(1)}
    )
    one, two = (float(evaluate(pair[s], {c: 2.0}, {}, np)) for s in (a, b))
    assert abs(one**3 + two - 2) < 1e-13 and abs(two + one**3 * two - 1) < 1e-13


def test_copies_and_pickles():
    for e in (lower, both, od.root(a**3 + a - c, a)):
        assert copy.deepcopy(e) == e and pickle.loads(pickle.dumps(e)) == e  # noqa: S301


def test_print():
    assert str(lower) == "argmin_y(G(x, y))"
    assert od.System({x: -F.grad(x, lower, wrt="x")}).latex().count(r"\operatorname{argmin}") == 1
    assert str(substitute(lower, {x: y})) == "argmin_y_1(G(y, y_1))"


REFUSED = {
    "a vector": (lambda: od.argmin(G.grad(x, y, wrt="y"), y), "argmin takes a scalar"),
    "no block": (lambda: od.root(x - y, 3), "the unknown of root"),
    "a matrix": (lambda: od.root(od.blocks("P", "matrix"), od.blocks("P", "matrix")), "not for the matrix P"),
    "two kinds": (lambda: od.root(x - y, a), "must be a scalar"),
    "not in it": (lambda: od.root(x - z, y), "does not determine y"),
    "a negative tolerance": (lambda: od.argmin(G.value(x, y), y, tolerance=-1), "tolerance of argmin must be positive"),
    "both forms": (lambda: od.root({y: x - y}, y), "one equation and its unknown"),
    "no start": (lambda: evaluate(lower, {x: HERE}, ORACLES, np), "has no start for y"),
    "a maximum": (lambda: number(od.argmin(-G.value(x, y), y), np), "is no minimizer where the search ended"),
    "no solution": (
        lambda: evaluate(od.root(a**2 + 1, a, start=sp.Rational(1, 2)), {}, {}, np), "does not descend",
    ),
    "too few steps": (
        lambda: number(od.argmin(G.value(x, y), y, max_steps=1), np), "does not end in 1 steps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)


def test_a_failed_search_under_jit_gives_no_number():
    e = od.argmin(G.value(x, y), y, max_steps=1)
    found = jax.jit(lambda at: evaluate(e, {x: at, y: jnp.zeros(5)}, ORACLES, jnp))(HERE)
    assert np.all(np.isnan(found))
