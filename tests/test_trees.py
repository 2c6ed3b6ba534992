"""Expressions as data: what is written is read back, and what is not in the format is refused."""

from __future__ import annotations

import json

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.routes import REGISTRY
from odescent.dynamics.algebra.named import named
from odescent.dynamics.algebra.products import outer
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.algebra.vectors import Expr

x, y = od.blocks("x y")
M = od.blocks("M", "matrix")
s = od.blocks("s", "scalar")
f, G = od.Objective("f"), od.Objective("G")
k = sp.Symbol("k", integer=True, nonnegative=True)
SYMBOLS = [
    *od.parameters("c h mu"),
    s,
    k,
    sp.Symbol("n", negative=True),
    sp.Symbol("z", complex=True),
]
ROOTS = [
    sp.exp,
    sp.tanh,
    sp.coth,
    sp.cos,
    sp.Abs,
    lambda e: sp.sqrt(1 + e**2),
    lambda e: sp.Max(e, 2),
]

fractions = st.fractions(-5, 5, max_denominator=9).map(
    lambda q: sp.Rational(q.numerator, q.denominator)
)


def larger_scalar(inner: st.SearchStrategy[sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda es: sp.Add(*es)),
        st.lists(inner, min_size=2, max_size=3).map(lambda es: sp.Mul(*es)),
        st.tuples(st.sampled_from(ROOTS), inner).map(lambda p: p[0](p[1])),
        st.tuples(inner, st.integers(1, 3)).map(lambda p: p[0] ** p[1]),
    )


scalars = st.recursive(
    fractions | st.sampled_from([*SYMBOLS[:5], sp.pi, f.value(x)]), larger_scalar, max_leaves=6
)


def larger_vector(inner: st.SearchStrategy[od.System]) -> st.SearchStrategy[Expr]:
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        st.tuples(inner, scalars).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.sampled_from([f.grad, G.operator])).map(lambda p: p[1](p[0])),
        pairs.map(lambda p: f.hess(p[0], p[1])),
        pairs.map(lambda p: f.third(x, p[0], p[1])),
        pairs.map(lambda p: od.hadamard(p[0], p[1])),
        pairs.map(lambda p: od.apply(outer(p[0], p[1]), y)),
        inner.map(lambda v: od.elementwise(lambda m, w: m / (sp.sqrt(w) + SYMBOLS[0]), v, y)),
        inner.map(lambda v: f.prox(v, 1 / SYMBOLS[1])),
        pairs.map(lambda p: p[0] * od.inner(p[0], p[1])),
    )


vectors = st.recursive(st.sampled_from([x, y, od.apply(M, x)]), larger_vector, max_leaves=4)


def through(e: Expr) -> Expr:
    return from_tree(json.loads(json.dumps(tree(e), allow_nan=False)))


@settings(max_examples=150)
@given(scalars.filter(lambda e: not e.has(sp.nan, sp.zoo, sp.oo, sp.I)))
def test_scalars_come_back(e: sp.Expr) -> None:
    assert through(e) == e


@settings(max_examples=150)
@given(vectors)
def test_vectors_come_back(v: Expr) -> None:
    assert through(v) == v


@pytest.mark.parametrize("symbol", SYMBOLS, ids=str)
def test_assumptions_come_back(symbol: sp.Symbol) -> None:
    assert through(symbol) == symbol and through(symbol).assumptions0 == symbol.assumptions0


@pytest.mark.parametrize("key", REGISTRY.names())
def test_every_claim_and_check_of_the_registry_comes_back(key: str) -> None:
    for step in REGISTRY.build(key).steps:
        for claim in step.claims:
            assert through(claim.value) == claim.value
        for equation in step.equations.values():
            assert through(equation.left) == equation.left
            assert through(equation.right) == equation.right


def test_the_forms_are_those_of_the_documentation() -> None:
    c = SYMBOLS[0]
    assert tree(sp.Rational(-8, 7)) == "-8/7"
    assert tree(c) == ["symbol", "c", "positive"]
    assert tree(M) == ["block", "M", "matrix"]
    assert tree(2 * x - c * f.hess(y, x)) == [
        "sum",
        ["2", ["block", "x"]],
        [["mul", "-1", ["symbol", "c", "positive"]], ["oracle", "grad", "f", ["block", "y"], [["block", "x"]], []]],
    ]  # fmt: skip
    assert tree(named("E", od.inner(x, x))) == [
        "claim",
        "E",
        [[["block", "x"], ["block", "x"]]],
        [],
    ]


@pytest.mark.parametrize(
    "data",
    ["1.5", "1/0", "one", "", 3, None, [], ["eval", "1"], ["symbol", "a", "evil"], ["pow", "2"], ["block", 3],
     ["inner", "1", "2"], ["sum", ["1"]], ["oracle", "grad", "f", "1", [], []], ["claim", "E", [["1", "2"]], []],
     ["slot", "x"], {"symbol": "a"}, ["add", ["block", "x"]], ["hadamard", ["block", "x"]]],
    ids=repr,
)  # fmt: skip
def test_what_is_no_tree_is_refused_with_a_sentence(data: object) -> None:
    with pytest.raises(od.OdescentError, match=r"is not a tree: .* expected; see docs/json.md\.$"):
        from_tree(data)


def test_a_deep_tree_is_refused() -> None:
    data: object = "1"
    for _ in range(100_000):
        data = ["exp", data]
    with pytest.raises(od.OdescentError, match="too deeply"):
        from_tree(data)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="cannot be represented in the format"):
        tree(sp.gamma(SYMBOLS[0]))
    with pytest.raises(od.OdescentError, match="no unique name"):
        tree(sp.Dummy("a"))
