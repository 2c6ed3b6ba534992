"""Vectors that no block declares, operators where vectors are, and other steps that have no value, are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import start

x, y, m = od.blocks("x y m")
P, Q = od.blocks("P Q", kind="matrix")
S = od.blocks("S", kind="symmetric")
k = od.blocks("k", kind="scalar")
h, a = od.parameters("h a")
f = od.Objective("f")
g = f.grad(x)
I = od.identity
FLOW = od.System({"descent": {x: -g}}, output=x, name="flow")


def _scheme(*steps: Any, **more: Any) -> od.Algorithm:
    return od.Algorithm(FLOW, od.Scheme((od.Flow("descent", "explicit"), *steps)), step=h, **more)


def _method(value: Any, **more: Any) -> od.Algorithm:
    return od.method({x: value, **more.pop("also", {})}, output=x, **more)


def _refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(od.OdescentError) as error:
        make()
    assert said in str(error.value)


NO_UPDATE = "'{}', which has no update; a block that stays is its own update"
NO_BLOCK = "'{}', which no field moves and no block declares"
UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "an update": (lambda: _method(x - h * g - a * (x - y)), NO_UPDATE.format("y")),
    "a point": (lambda: _method(x - h * f.grad(x + a * y)), NO_UPDATE.format("y")),
    "a direction": (lambda: _method(x - h * f.grad(x, along=(y,))), NO_UPDATE.format("y")),
    "a coefficient": (lambda: _method(x - h * od.inner(m, g) * g), NO_UPDATE.format("m")),
    "an operator": (lambda: _method(x - h * od.apply(P, g)), NO_UPDATE.format("P")),
    "before": (lambda: _method(x - h * f.grad(y), before={y: x + m}), NO_UPDATE.format("m")),
    "an initial value": (
        lambda: _method(x - h * g, init={y: start}),
        "given for y, which has no update; a block that stays is its own update",
    ),
    "the starting point": (lambda: _method(start - h * g), NO_UPDATE.format("x0")),
    "a Let": (lambda: _scheme(od.Let({x: x - h**2 * y})), NO_BLOCK.format("y")),
    "a condition": (
        lambda: _scheme(od.Select(od.inner(y, y) > 1, [od.Let({x: x})], [])),
        NO_BLOCK.format("y"),
    ),
    "a branch": (
        lambda: _scheme(od.Select(od.inner(x, x) > 1, [od.Let({x: x + h**2 * y})], [])),
        NO_BLOCK.format("y"),
    ),
    "a further output": (lambda: _scheme(outputs={"mean": y}), NO_BLOCK.format("y")),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_vector_that_no_block_declares_is_refused(case: str):
    _refused(*UNKNOWN[case])


def test_a_block_that_stays_is_its_own_update():
    anchored = _method(x - h * g - a * (x - y), also={y: y})
    found = anchored.run(lambda z: (z**2).sum() / 2, [1.0, 2.0], 3, h=0.5, a=0.5).x
    wanted = [np.array([1.0, 2.0])]
    for _ in range(3):
        wanted.append(wanted[-1] - 0.5 * wanted[-1] - 0.5 * (wanted[-1] - wanted[0]))
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


BESIDE = "cannot be added, paired or equal"
MIXED: dict[str, tuple[Callable[[], Any], str]] = {
    "a sum": (lambda: _method(x - h * od.outer(g, g)), BESIDE),
    "a Hessian": (lambda: _method(x - h * f.hessian(x)), BESIDE),
    "a value": (lambda: _method(P, also={P: P}, init={P: I}), BESIDE),
    "a matrix": (lambda: od.method({x: x - h * g, P: P + g}, output=x, init={P: I}), BESIDE),
    "a gradient of a matrix": (
        lambda: od.method({x: x - h * f.grad(P), P: P}, output=x, init={P: I}),
        BESIDE,
    ),
    "entries of a matrix": (
        lambda: _method(x - od.elementwise(sp.tanh, P), also={P: P}, init={P: I}),
        BESIDE,
    ),
    "an inner product": (lambda: _method(x - od.inner(P, x) * g, also={P: P}, init={P: I}), BESIDE),
    "inside of a point": (lambda: _method(x - h * f.grad(x + h * f.hessian(x))), BESIDE),
    "a rate": (lambda: od.System({"all": {x: -od.outer(g, g)}}, output=x), BESIDE),
    "a rate of a matrix": (lambda: od.System({"all": {P: g, x: -g}}, output=x), BESIDE),
    "a Let": (lambda: _scheme(od.Let({x: x + h**2 * f.hessian(x)})), BESIDE),
    "a start": (lambda: _method(x - od.apply(P, g), also={P: P}, init={P: g}), BESIDE),
    "the start of a matrix": (
        lambda: _method(x - od.apply(P, g), also={P: P}, init={P: start}),
        "the matrix P has no starting value, and cannot start at the vector x0",
    ),
    "a vector that is applied": (
        lambda: _method(x - od.apply(m, g), also={m: m}),
        "m is applied to grad f(x), but it is no operator",
    ),
}


@pytest.mark.parametrize("case", MIXED)
def test_an_operator_is_no_vector(case: str):
    _refused(*MIXED[case])


WHOLE: dict[str, Callable[[], Any]] = {
    "matrices alone": lambda: od.method({P: 2 * P - od.apply(P, od.apply(Q, P)), Q: Q}, output=P),
    "an objective of matrices": lambda: od.method({P: P - h * f.grad(P)}, output=P),
    "entries": lambda: od.method({P: P - h * od.elementwise(sp.tanh, f.grad(P))}, output=P),
    "products of entries": lambda: od.method({P: P - h * od.hadamard(P, P)}, output=P),
    "a matrix of outer products": lambda: od.method(
        {x: x - h * od.apply(S, g), S: S - od.outer(g, g)}, output=x, init={S: I}
    ),
    "a diagonal": lambda: od.method(
        {x: x - h * od.diagonal(S), S: S + od.diagonal_operator(g)}, output=x, init={S: I}
    ),
    "a trace": lambda: od.method(
        {x: x - od.trace(S) * g, S: S + od.inner(S, S) * I}, output=x, init={S: I}
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_is_of_one_kind_is_taken(case: str):
    assert WHOLE[case]().source("latex")


def test_a_scalar_output_is_no_point_of_the_objective():
    counting = od.method({x: x - h * g, k: k + 1}, output=k, init={k: 0})
    run = counting.run(lambda z: z @ z / 2, [1.0, 2.0], 3, h=0.1)
    assert run.f is None and run.x.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(run.states["x"][-1], 0.9**3 * np.array([1, 2]), rtol=1e-15)
    squares = od.method({x: x - h * g}, output=od.inner(x, x))
    assert squares.run(lambda z: z @ z / 2, [1.0, 2.0], 1, h=0.5).x.tolist() == [5.0, 1.25]
    halves = od.method({x: x - h * g}, output=x)
    assert halves.run(lambda z: z**2 / 2, 1.0, 1, h=0.5).f.tolist() == [0.5, 0.125]


def test_blocks_of_updates_are_symbols_and_those_of_initial_values_have_names_too():
    with pytest.raises(od.OdescentError, match=r"must be a block, as od.blocks makes it, not 'x'"):
        od.method({"x": x - h * g}, output=x)
    updates = {x: x - h * m, m: a * m + g}
    named = od.method(updates, output=x, init={"m": 0})
    by_symbol = od.method(updates, output=x, init={m: 0})
    assert named.source("numpy") == by_symbol.source("numpy")
    declared = {x: x - h * m, od.Block("m"): a * m + g}
    assert od.method(declared, output=x, init={m: 0}).source("numpy") == named.source("numpy")
    with pytest.raises(od.OdescentError, match="an initial value is given for q, which no field"):
        od.System({"all": {x: -g}}, output=x, init={"q": 0})


def test_numbers_of_a_map_may_cancel():
    large = sp.Integer(10) ** 400
    made = od.method({x: x - h * g + large * m - large * m, m: m}, output=x)
    assert made.equivalent(od.method({x: x - h * g}, output=x)).verdict == "proved"


def test_the_root_of_a_square_is_finite_where_it_is_not_taken():
    square = od.inner(g, g)
    for piece in (sp.sqrt(square), 1 / (square + a), sp.log(1 + square), 1 / square):
        assert _method(x - h * g * sp.Piecewise((piece, k < 1), (1, True)), also={k: k + 1})
