"""The functions of methods and systems: each runs in every target as in NumPy, or is refused where it is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from emitted_runs import RUNNERS, oracles

import odescent as od
from odescent.dynamics.algebra.scalars import FUNCTIONS
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.grammar import syntax, to_text

x = od.blocks("x")
k = od.blocks("k", kind="scalar")
h, a = od.parameters("h a")
g = od.Objective("f").grad(x)

# of numbers between -1 and 1, as SymPy and NumPy have them
PLAIN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (sp.exp, np.exp),
    "log": (lambda u: sp.log(2 + u), lambda u: np.log(2 + u)),
    "sin": (sp.sin, np.sin),
    "cos": (sp.cos, np.cos),
    "tan": (sp.tan, np.tan),
    "asin": (sp.asin, np.arcsin),
    "acos": (sp.acos, np.arccos),
    "atan": (sp.atan, np.arctan),
    "sinh": (sp.sinh, np.sinh),
    "cosh": (sp.cosh, np.cosh),
    "tanh": (sp.tanh, np.tanh),
    "coth": (lambda u: sp.coth(2 + u), lambda u: 1 / np.tanh(2 + u)),
    "asinh": (sp.asinh, np.arcsinh),
    "acosh": (lambda u: sp.acosh(3 + u), lambda u: np.arccosh(3 + u)),
    "atanh": (sp.atanh, np.arctanh),
    "abs": (sp.Abs, np.abs),
    "sign": (sp.sign, np.sign),
    "ceiling": (lambda u: sp.ceiling(5 * u), lambda u: np.ceil(5 * u)),
    "max": (lambda u: sp.Max(u, sp.Rational(1, 3)), lambda u: np.maximum(u, 1 / 3)),
    "min": (lambda u: sp.Min(u, sp.Rational(1, 3)), lambda u: np.minimum(u, 1 / 3)),
}
WRITTEN_OTHERWISE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "floor": (lambda u: sp.floor(5 * u), lambda u: np.floor(5 * u)),
    "frac": (lambda u: sp.frac(5 * u), lambda u: 5 * u - np.floor(5 * u)),
    "mod": (lambda u: sp.Mod(5 * u, 2), lambda u: np.mod(5 * u, 2)),
    "mod of a negative number": (lambda u: sp.Mod(5 * u, -2), lambda u: np.mod(5 * u, -2)),
    "sec": (sp.sec, lambda u: 1 / np.cos(u)),
    "csc": (lambda u: sp.csc(2 + u / 2), lambda u: 1 / np.sin(2 + u / 2)),
    "cot": (lambda u: sp.cot(2 + u / 2), lambda u: 1 / np.tan(2 + u / 2)),
    "sech": (sp.sech, lambda u: 1 / np.cosh(u)),
    "csch": (lambda u: sp.csch(2 + u), lambda u: 1 / np.sinh(2 + u)),
}
WRITTEN = {**PLAIN, **WRITTEN_OTHERWISE}


def _method(function: Callable[[Any], Any]) -> od.Algorithm:
    """The function of the entries of the gradient, and of a number."""
    entries = od.elementwise(lambda u: function(sp.tanh(u) / 2) / 8, g)
    step = h * (1 + function(sp.sin(k)) / 8)
    return od.method({x: x - step * (g + entries), k: k + 1}, output=x, init={k: 0})


def test_every_function_is_here() -> None:
    assert PLAIN.keys() == FUNCTIONS.keys()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_function_runs_in_every_target(name: str) -> None:
    symbolic, numeric = WRITTEN[name]
    made, (known, point) = _method(symbolic), oracles(np)
    wanted = [point]
    for number in range(4):
        slope = known["grad"](wanted[-1])
        step = 0.05 * (1 + numeric(math.sin(number)) / 8)
        wanted.append(wanted[-1] - step * (slope + numeric(np.tanh(slope) / 2) / 8))
    for target, run in RUNNERS.items():
        np.testing.assert_allclose(run(made, 4), wanted, rtol=1e-12, err_msg=target)
    given = od.Objective("f", grad=oracles(jnp)[0]["grad"])
    np.testing.assert_allclose(made.run(given, point, 4, h=0.05).x, wanted, rtol=1e-12)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_function_is_written_and_read(name: str) -> None:
    function = WRITTEN[name][0]
    flow = od.System({x: -function(a) * od.elementwise(function, g)}, output=x)
    again = od.parse_system(to_text(flow))
    assert again.drift == flow.drift
    assert from_tree(tree(flow.drift[x])) == flow.drift[x]


@pytest.mark.parametrize(
    "name", ["erf", "gamma", "factorial", "LambertW", "sinc", "besselj", "zeta"]
)
def test_another_function_is_refused_where_it_is_written(name: str) -> None:
    function = getattr(sp, name)
    order = (0,) if name == "besselj" else ()
    writings: list[Callable[[], Any]] = [
        lambda: od.elementwise(lambda u: function(*order, u + a), g),
        lambda: od.method({x: x - h * function(*order, k + a) * g, k: k + 1}, output=x),
        lambda: od.System({x: -function(*order, a) * g}, output=x),
        lambda: od.inner(g, g) * x + function(*order, od.inner(g, g)) * x,
    ]
    for write in writings:
        with pytest.raises(
            od.OdescentError, match=f"the function {name} in .* is not among those of methods"
        ):
            write()


def test_functions_of_the_language() -> None:
    assert {"floor", "mod", *FUNCTIONS} <= {*(syntax.__doc__ or "").split()}
    one = od.parse_system("x' = -mod(floor(5*b), 3)*grad f(x)  parameters b > 0")
    b = next(p for p in one.parameters if p.name == "b")
    rate = -sp.Mod(sp.floor(5 * b), 3)
    other = od.System({x: rate * od.Objective("f").grad(x)}, output=x)
    for number in (sp.Rational(1, 3), sp.Rational(7, 2), sp.Integer(2)):
        left, right = (s.bind({b: number}).drift[x] for s in (one, other))
        assert left == right
    with pytest.raises(od.ParseError, match="mod takes 2 arguments, not 1"):
        od.parse_system("x' = -mod(x)*grad f(x)")


@pytest.mark.parametrize(
    "function", [sp.tan, sp.asin, sp.acos, sp.atan, sp.asinh, sp.acosh, sp.atanh]
)
def test_functions_are_compared_by_their_arguments(function: Any) -> None:
    one, other = function((a**2 - h**2) / (a - h)), function(a + h)
    assert od.dynamics.is_zero(one - other)
    assert not od.dynamics.is_zero(one - function(a - h))


def test_hypentropy_descent() -> None:
    """Mirror descent by asinh(x / b): Ghai, Hazan, Singer, arXiv:1902.01903."""
    dual = od.elementwise(lambda u: sp.asinh(u / a), x) - h * g
    made = od.method({x: od.elementwise(lambda u: a * sp.sinh(u), dual)}, output=x)
    known, point = oracles(np)
    wanted = [point]
    for _ in range(4):
        wanted.append(
            0.5 * np.sinh(np.arcsinh(wanted[-1] / 0.5) - 0.01 * known["grad"](wanted[-1]))
        )
    given = od.Objective("f", grad=oracles(jnp)[0]["grad"])
    np.testing.assert_allclose(made.run(given, point, 4, h=0.01, a=0.5).x, wanted, rtol=1e-12)


def test_a_number_may_be_of_any_function() -> None:
    number = (
        sp.gamma(sp.Rational(1, 3)) / sp.erf(sp.Rational(1, 2)) + sp.gamma(sp.Rational(-1, 2)) ** 2
    )
    made = od.method({x: x - h * number * g}, output=x)
    known, point = oracles(np)
    wanted = [point]
    for _ in range(2):
        wanted.append(wanted[-1] - 0.05 * float(number) * known["grad"](wanted[-1]))
    for target, run in RUNNERS.items():
        np.testing.assert_allclose(run(made, 2), wanted, rtol=1e-12, err_msg=target)
