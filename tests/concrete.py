"""Numbers for symbolic vectors: concrete oracles under JAX and nested forward derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from odescent.dynamics.algebra.products import Elementwise, Product, slots
from odescent.dynamics.algebra.vectors import Call, ScalarNode, Vector

DIMENSION = 3
_RNG = np.random.default_rng(7)
_A = jnp.asarray(_RNG.normal(size=(4, DIMENSION)))
_M = jnp.asarray(_RNG.normal(size=(DIMENSION, DIMENSION)))


def f(x):
    """A convex function whose derivatives of every order differ from zero."""
    return jnp.sum(jnp.log(jnp.cosh(_A @ x))) + jnp.sum(x**4) / 7 + jnp.sum(x**2) / 3


def operator(x):
    """A map with a Jacobian that is not symmetric."""
    return jnp.tanh(_M @ x) + x * jnp.roll(x, 1)


ORACLES = {"grad_f": jax.grad(f), "operator_F": operator}
VALUES = {"f": f}


def along(function, directions):
    """x -> D^k function(x)[directions]."""
    for d in directions:
        function = lambda x, inside=function, d=d: jax.jvp(inside, (x,), (d,))[1]
    return function


def number(e, values, oracles=ORACLES, functions=VALUES):
    """The value of a vector or scalar where ``values`` gives every symbol a number or array by name."""
    if not isinstance(e, Vector):
        return _scalar(e, values, oracles, functions)
    given = (values, oracles, functions)
    terms = [_scalar(c, *given) * _atom(atom, *given) for atom, c in e.terms.items()]
    return sum(terms) if terms else jnp.zeros(DIMENSION)


def _scalar(e, values, oracles, functions):
    nodes = {n: sp.Dummy() for n in e.atoms(ScalarNode)}
    known = {dummy: _node(n, values, oracles, functions) for n, dummy in nodes.items()}
    known |= {s: values[s.name] for s in e.free_symbols}
    if not known:
        return jnp.asarray(float(e))
    evaluate = sp.lambdify(list(known), e.xreplace(nodes), modules="jax")
    return jnp.asarray(evaluate(*known.values()), dtype=jnp.float64)


def _node(n, values, oracles, functions):
    inside = [number(a, values, oracles, functions) for a in n.arguments]
    return jnp.dot(*inside) if n.kind == "inner" else functions[n.oracle.of](*inside)


def _atom(a, values, oracles, functions):
    inside = [number(v, values, oracles, functions) for v in a.arguments]
    if isinstance(a, Call):
        return along(oracles[a.oracle.name], inside[1:])(inside[0])
    if isinstance(a, Product):
        return inside[0] * inside[1] if a.kind == "hadamard" else inside[0] @ inside[1]
    if isinstance(a, Elementwise):
        own = sorted(a.body.free_symbols - set(slots(len(inside))), key=str)
        evaluate = sp.lambdify([*slots(len(inside)), *own], a.body, modules="jax")
        return evaluate(*inside, *[values[s.name] for s in own])
    return values[a.name]


def random_values(vectors="", scalars="", seed=0):
    """Values by name: arrays for the vectors, numbers between 1/2 and 2 for the scalars."""
    rng = np.random.default_rng(seed)
    found = {n: jnp.asarray(rng.normal(size=DIMENSION)) for n in vectors.split()}
    return found | {n: jnp.asarray(rng.uniform(0.5, 2)) for n in scalars.split()}
