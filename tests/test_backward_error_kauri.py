"""Modified equations of one-step methods on gradient flow against the B-series package kauri, to order 5."""

import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import Vector, vanishes, zero

kauri = pytest.importorskip("kauri")

x = od.blocks("x")
f = od.Objective("f")
TABLEAUX = {
    "explicit_euler": ("euler", 5),
    "implicit_euler": ("backward_euler", 5),
    "midpoint": ("midpoint", 5),
    "heun": ("heun_rk2", 5),
    "rk4": ("rk4", 5),
}


def differential(tree) -> Vector:
    """The elementary differential of x' = -grad f(x), by the engine's multilinear derivatives."""
    children = [differential(kauri.Tree(child)) for child in tree.list_repr[:-1]]
    if not children:
        return -f.grad(x)
    from odescent.dynamics.algebra.oracles import Oracle
    from odescent.dynamics.algebra.vectors import call

    return -call(Oracle("grad", "f"), x, children)


@pytest.mark.parametrize("name", TABLEAUX)
def test_modified_equation_is_the_logarithm_of_the_b_series(name):
    theirs, order = TABLEAUX[name]
    weights = getattr(kauri, theirs).modified_equation_map()
    algorithm = od.Algorithm(od.system("gradient_flow"), od.scheme(name))
    modified = algorithm.modified_equation(order - 1)
    for n in range(1, order + 1):
        expected = sum(
            (
                differential(tree)
                * (sp.Rational(weights(tree)).limit_denominator(10**6) / tree.sigma())
                for tree in kauri.trees_of_order(n)
            ),
            zero,
        )
        assert vanishes(modified.terms[n - 1][x] - expected), n
