"""Passivity and immersion: the law of the reference, and psi' = -K psi + w on concrete functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from concrete import number, random_values

from odescent import OdescentError
from odescent.dynamics.algebra.calculus import derivative, substitute, vanishes
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.products import elementwise, hadamard
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import inner, zero
from odescent.dynamics.library import system
from odescent.dynamics.passivity import PassivityImmersion, external, modal_roots
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.system import curvature, mu

x, p, z, q, u, s, t_ = blocks("x p z q u s t_1")
a, b, c, K, r = parameters("a b c K r")
f, F, m = Objective("f"), Objective("F"), sp.sqrt(mu)
g = f.grad(x)

SECOND = PassivityImmersion({x: p, p: u}, u, p + a * g, K)
MODEL = PassivityImmersion({x: c * m * (z - x), z: u}, u, z - x + g / mu, K)
DESIGNS = {
    "second order": SECOND,
    "model": MODEL,
    "two blocks, gain 2/b": PassivityImmersion(
        {x: p - hadamard(x, x), p: 2 * u / b - F.operator(x)}, u, p + a * f.grad(x - c * f.grad(x)), K
    ),
    "gradient at both blocks": PassivityImmersion(
        {x: -f.grad(p) + z, p: x - g, z: c * u + f.hess(x, p)}, u, c * z + f.grad(x) - f.grad(p) * a, K
    ),
    "three blocks": PassivityImmersion(
        {x: p, p: q - b * p, q: u}, u, q + a * f.hess(x, p) + b * F.operator(p), K
    ),
    "the control in two blocks": PassivityImmersion(
        {x: u + p, p: -u * a - g}, u, x + b * p + elementwise(lambda e: sp.tanh(c) * e, z), K
    ),
    "a scaled control": PassivityImmersion({x: p, p: -p + (1 + a**2) * u}, u, p * b + g, K),
}  # fmt: skip
VALUES = random_values("x p z q u w", "a b c K mu")


def rate_of_psi(design, law):
    """psi' by forward mode along the numbers of the plant under the number of the law."""
    driven = {**VALUES, "u": number(law, VALUES)}
    names = [v.name for v in design.plant]
    speeds = tuple(number(e, driven) for e in design.plant.values())
    psi = lambda *moved: number(design.manifold, {**VALUES, **dict(zip(names, moved, strict=True))})
    return jax.jvp(psi, tuple(VALUES[n] for n in names), speeds)[1]


@pytest.mark.parametrize("name", DESIGNS)
def test_the_law_makes_psi_decay_and_passive(name):
    design = DESIGNS[name]
    psi, w = number(design.manifold, VALUES), VALUES["w"]
    rate = rate_of_psi(design, design.law)
    np.testing.assert_allclose(rate, -VALUES["K"] * psi + w, rtol=1e-8, atol=1e-8)
    storage_rate = jnp.dot(psi, rate)  # of |psi|^2 / 2
    storage = number(design.storage, VALUES)
    np.testing.assert_allclose(
        storage_rate, -2 * VALUES["K"] * storage + jnp.dot(psi, w), rtol=1e-8
    )


@pytest.mark.parametrize("name", DESIGNS)
def test_the_closed_loop_in_symbols(name):
    design = DESIGNS[name]
    loop = design.closed_loop()
    assert vanishes(derivative(design.manifold, loop) + design.manifold * K - external)
    law = substitute(design.law, {external: zero})
    assert design.invariance_defect(law) == zero
    assert vanishes(design.invariance_defect(law + p) - p * design.decoupling)
    port = -b * g
    assert vanishes(
        derivative(design.manifold, design.closed_loop(port)) + design.manifold * K - port
    )


@pytest.mark.parametrize("name", DESIGNS)
def test_projectors_and_the_kernel_of_the_metric(name):
    design = DESIGNS[name]
    tangent = {v: hadamard(v, s) + t_ for v in design.plant}
    vertical = design.vertical(tangent)
    horizontal = {v: tangent[v] - vertical[v] for v in tangent}
    again = design.vertical(vertical)
    assert all(vanishes(again[v] - vertical[v]) for v in vertical)
    assert all(vanishes(e) for e in design.vertical(horizontal).values())
    assert vanishes(design.metric(horizontal)) and not vanishes(design.metric(vertical))
    assert is_zero(design.metric(tangent) - design.metric(vertical))


def test_the_law_of_the_reference():
    assert vanishes(SECOND.law + K * p + a * f.hess(x, p) + a * K * g - external)
    assert vanishes(
        MODEL.law
        - (MODEL.plant[x] - f.hess(x, MODEL.plant[x]) / mu - K * MODEL.manifold + external)
    )
    damping = SECOND.system().second_order(x)
    assert str(damping) == "x'' + K*x' + a*hess f(x)[x'] + K*a*grad f(x) = 0"
    tangent = {x: s, p: -a * f.hess(x, s)}
    assert SECOND.differential(tangent) == zero and SECOND.metric(tangent) == 0


def test_dropping_the_feed_forward_leaves_the_stated_defect():
    rate = MODEL.plant[x]
    left = MODEL.invariance_defect(-K * MODEL.manifold)
    assert vanishes(left + rate - f.hess(x, rate) / mu)


def test_the_interconnection_dissipates():
    """E = b f + |psi|^2 / 2 obeys E' = -a b |g|^2 - K |psi|^2 along the passive form."""
    built = system("passive")
    memory, y = (block.symbol for block in built.blocks)
    gradient = f.grad(y)
    energy = b * f.value(y) + inner(memory, memory) / 2
    wanted = -a * b * inner(gradient, gradient) - K * inner(memory, memory)
    assert vanishes(built.derivative(energy) - wanted)


def test_modal_roots():
    polynomial = modal_roots(system("passive"), curvature, r)
    assert sp.expand(polynomial - (r**2 + (K + a * curvature) * r + (a * K + b) * curvature)) == 0


REFUSED = {
    "relative degree two": (lambda: PassivityImmersion({x: p, p: u}, u, x, K).law, "L_G psi = 0"),
    "through the Hessian": (lambda: PassivityImmersion({x: u}, u, g, K).law, "scalar times the identity"),
    "nonlinear": (lambda: PassivityImmersion({x: u + hadamard(u, u)}, u, x, K).law, "scalar times the identity"),
    "no control": (lambda: PassivityImmersion({x: p}, u, x, K), "u must be a control"),
    "a block for control": (lambda: PassivityImmersion({x: u, u: x}, u, x, K), "u must be a control"),
    "control in psi": (lambda: PassivityImmersion({x: u}, u, x + u, K), "without the control"),
    "empty psi": (lambda: PassivityImmersion({x: u}, u, zero, K), "must be an equation"),
    "time for a block": (lambda: PassivityImmersion({x: u}, u, x, K, x), "cannot be a block"),
}  # fmt: skip


def test_a_block_with_the_name_of_the_port_leaves_it_another():
    loop = PassivityImmersion({external: u}, u, external, K)
    assert loop.port.name == "w_1" and vanishes(loop.law + K * external - loop.port)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)
