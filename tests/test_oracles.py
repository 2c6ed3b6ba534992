"""Objectives: abstract ones make calls, concrete ones make numbers, class constants are checked."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from odescent.dynamics.algebra.oracles import Oracle
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.flows.system import System
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.maps import Map
from odescent.dynamics.vector_fields.objective import Objective

x, v = blocks("x v")
c = parameters("c")
A = jnp.diag(jnp.array([1.0, 2.0, 5.0]))
abstract = Objective("f")


def quartic(p):
    return p @ A @ p / 2 + jnp.sum(p**4) / 4


def test_abstract_oracles_are_opaque_calls():
    assert abstract.grad(x).oracle == Oracle("grad", "f") and abstract.grad(x).point == x
    assert abstract.operator(x).oracle.name == "operator_f"
    assert abstract.prox(x, c).parameters == (c,)
    assert abstract.prox(x, 0.1).parameters == (sp.Rational(1, 10),)
    assert abstract.third(x, v, x) == abstract.third(x, x, v) and abstract.hess(
        x, v
    ) != abstract.hess(v, x)
    assert abstract(x) == abstract.value(x) == abstract.value(x + 0 * v)


def test_self_adjoint_kinds():
    assert [k for k in ("grad", "prox", "operator", "map") if Oracle(k, "f").form.self_adjoint] == [
        "grad",
        "prox",
    ]


def test_concrete_oracles_are_numbers():
    concrete = Objective("f", fun=quartic, prox=lambda p, step: p / (1 + step))
    p, q = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.3, 1.0, -1.0])
    np.testing.assert_allclose(concrete.grad(p), A @ p + p**3)
    np.testing.assert_allclose(concrete.hess(p, q), A @ q + 3 * p**2 * q)
    assert np.isclose(concrete(p), concrete.value(p)) and np.isclose(concrete(p), quartic(p))
    np.testing.assert_allclose(concrete.prox(p, 1.0), p / 2)
    mine = Objective("f", fun=quartic, grad=lambda p: 0 * p)
    assert not jax.jit(mine.grad)(p).any()


def test_what_is_missing_is_named():
    with pytest.raises(
        ValueError, match=r"no numeric oracle 'grad' \(it has none: it is abstract\)"
    ):
        abstract.grad(jnp.ones(3))
    with pytest.raises(ValueError, match=r"no numeric oracle 'operator' \(it has grad, value\)"):
        Objective("f", fun=quartic).operator(jnp.ones(3))


@pytest.mark.parametrize(
    ("constants", "sentence"),
    [
        ({"mu": -1}, "mu must be at least 0, not -1"),
        ({"L": 0}, "L must be more than 0, not 0"),
        ({"mu": 2, "L": 1}, "L must be at least mu, but L = 1 < mu = 2"),
        ({"mu": float("nan")}, "mu must be a finite"),
        ({"L": float("inf")}, "L must be a finite"),
        ({"L": sp.oo}, "L must be a finite"),
        ({"L": "10"}, "L must be a finite number, not '10'"),
        ({"mu": sp.I}, "mu must be a finite real number"),
    ],
)
def test_class_constants_are_checked(constants, sentence):
    with pytest.raises(ValueError) as refused:
        Objective("f", **constants)
    assert sentence in str(refused.value)


def test_constants_stay_exact_and_names_are_names():
    made = Objective("logistic/small", mu=0.1, L=sp.sqrt(2))
    assert made.mu == sp.Rational(1, 10) and made.L == sp.sqrt(2)
    assert repr(made) == "Objective('logistic/small', mu=1/10, L=sqrt(2))"
    assert Objective("f", mu=c, L=2 * c).L == 2 * c
    for name in ("", "a b", "f/", "lambda"):
        with pytest.raises(ValueError, match="is not a valid name"):
            Objective(name)


def test_the_minimizer_is_found_once_when_asked():
    asked = []
    made = Objective("f", minimizer=lambda: asked.append(1) or jnp.zeros(2), x0=lambda: jnp.ones(2))
    assert not asked and made.minimizer is made.minimizer and len(asked) == 1
    assert made.x0.sum() == 2 and abstract.minimizer is None and abstract.x0 is None


def test_flows_find_the_maps_of_an_objective_by_their_names():
    """The map is x itself, so that the flow is x0 e^(-t); another map stands beside it."""
    f = Objective("f", lambda x: x @ x, map_newton=lambda x: x, map_other=lambda x: 7 * x)
    x = blocks("x")
    found = System({"all": {x: -Map("newton")(x)}}).simulate(f, np.array([2.0, -1.0]), 1.5)
    np.testing.assert_allclose(found.x[-1], np.exp(-1.5) * np.array([2.0, -1.0]), rtol=1e-6)
