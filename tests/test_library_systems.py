"""The library of systems: each entry prints, is documented, and is the equation that its docstring states."""

import re

import pytest
import sympy as sp

from odescent import OdescentError
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import zero
from odescent.dynamics.flows.system import System
from odescent.dynamics.library import REGISTRY, system, systems
from odescent.dynamics.vector_fields.block import blocks, start
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.second_order import position as x
from odescent.dynamics.vector_fields.second_order import velocity as xd
from odescent.dynamics.vector_fields.system import curvature, mu

K, a, b, c, t = parameters("K a b c t")
f, m, y = Objective("f"), sp.sqrt(mu), blocks("y")
g, Hv = f.grad(x), f.hess(x, xd)
NOT_LINEAR = {  # or not around the minimizer alone: other maps than a gradient, a scale, a lasting anchor
    "accelerated_mirror", "adagrad", "adagrad_norm", "adam", "adaptive", "anchored_flow", "averaged_steepest_flow",
    "cbo", "diagonally_preconditioned_gradient", "jump_cbo", "kkt_newton_flow", "lagrangian_flow", "mirror_cbo",
    "mirror_flow", "nag_flow", "newton_flow", "polar_cbo", "relativistic", "rescaled_flow", "rmsprop", "sign_flow",
    "steepest_flow",
    "adahessian", "zeroth_order_flow", "scaled_gradient_flow",
    "implicit_bilevel", "penalty_bilevel",
    "riccati_flow", "orthogonalization_flow", "inverse_filter", "mkor", "regularized_newton_flow",
}  # fmt: skip
LINEAR = sorted(set(systems()) - NOT_LINEAR)


@pytest.mark.parametrize("name", systems())
def test_every_entry(name):
    built, doc = system(name), REGISTRY.function(name).__doc__
    assert isinstance(built, System) and built.name == name
    assert len(str(built).splitlines()) == len(built.blocks)
    assert doc is not None and doc.strip().endswith((".", "="))
    for parameter in built.parameters:
        assert re.search(rf"\b{parameter}\b", doc), f"{parameter} is not in the docstring"
    moved = [s for field in built.fields.values() for s in (*field.drift, *field.noise)]
    assert {b_.symbol for b_ in built.blocks} == set(moved)
    assert any(start in b_.init.free_symbols for b_ in built.blocks)


@pytest.mark.parametrize("name", LINEAR)
def test_the_linear_ones_linearize_and_are_stable(name):
    values = {K: 2, a: sp.Rational(1, 10), b: 1, c: 1, t: 1, mu: sp.Rational(1, 2), curvature: 3}
    values |= {s: 1 for s in system(name).parameters if s not in values}
    matrix = system(name).linearize()
    assert matrix.shape == (len(system(name).blocks),) * 2
    assert all(sp.re(r) < 0 for r in matrix.subs(values).evalf().eigenvals())


def test_adam_does_not_linearize():
    with pytest.raises(OdescentError, match="not linear on a quadratic"):
        system("adam").linearize()


SECOND = {
    "heavy_ball": (None, {}, c * xd + g),
    "passive": (y, {}, K * xd + a * Hv + (a * K + b) * g),
    "nesterov_sc": (None, {a: 0}, 2 * m * xd + g),
    "nesterov_c": (None, {a: 0}, 3 * xd / t + g),
    "model": (None, {}, (c + 1) * m * xd + a * Hv + (c + a * m) * g),
    "triple_momentum": (blocks("x"), {}, 3 * m * xd + a * Hv + (2 + a * m) * g),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_order_equations(name):
    output, at, lhs = SECOND[name]
    assert vanishes(system(name).limit(at).second_order(output).lhs - lhs)


def test_the_high_resolution_equation_of_nesterov():
    bound = system("model").bind({c: 1})
    assert vanishes(bound.second_order().lhs - (2 * m * xd + a * Hv + (1 + a * m) * g))


def test_characteristic_polynomials_of_the_canonical_family():
    r = sp.Symbol("r")
    polynomial = lambda name: (r * sp.eye(2) - system(name).linearize()).det()
    lam = curvature
    assert is_zero(polynomial("passive") - (r**2 + (K + a * lam) * r + (a * K + b) * lam))
    assert is_zero(polynomial("model") - (r**2 + ((c + 1) * m + a * lam) * r + (c + a * m) * lam))


def test_outputs_starts_and_provenance():
    psi = blocks("psi")
    assert system("passive").output == y - a * psi
    assert system("passive").block("psi").init == zero
    assert {b_.init for b_ in system("model").blocks} == {start}
    assert system("triple_momentum").output == blocks("z")
    for name in ("passive", "model", "nesterov_sc", "triple_momentum"):
        assert system(name).provenance.startswith("Reconstructed")
        assert "parimi2025" in system(name).references


def test_options():
    assert [o.name for o in system("gradient_flow", objective="h").oracles] == ["grad_h"]
    with pytest.raises(OdescentError, match="no option of the system 'adam' called 'rate'"):
        system("adam", rate=1)
    with pytest.raises(OdescentError, match="no system 'heavyball': did you mean 'heavy_ball'"):
        system("heavyball")
