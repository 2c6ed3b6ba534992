"""Second-order forms: the published ones exactly, and the same solution as the first-order system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from concrete import DIMENSION, number
from scipy.integrate import solve_ivp

from odescent import OdescentError
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.products import hadamard
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import inner
from odescent.dynamics.flows.system import System
from odescent.dynamics.library import system
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.second_order import position as x
from odescent.dynamics.vector_fields.second_order import second_order
from odescent.dynamics.vector_fields.second_order import velocity as xd
from odescent.dynamics.vector_fields.system import mu

K, a, b, c, t, h = parameters("K a b c t h")
f = Objective("f")
g, Hv, m = f.grad(x), f.hess(x, xd), sp.sqrt(mu)
psi, y, p, z = blocks("psi y p z")
eta = sp.Function("eta")(t)

FAMILY = {
    "passive": (lambda: system("passive").second_order(y), K * xd + a * Hv + (a * K + b) * g),
    "model": (lambda: system("model").second_order(), ((c + 1) * m) * xd + a * Hv + (c + a * m) * g),
    "heavy ball": (lambda: system("heavy_ball").second_order(), c * xd + g),
    "plant under pure P&I": (
        lambda: System({"loop": {p: -(K * p + a * f.hess(x, p)) - a * K * g, x: p}}).second_order(x),
        K * xd + a * Hv + a * K * g,
    ),
    "model with a Riccati rate": (
        lambda: second_order(
            {x: c * eta * (z - x), z: (mu / eta) * (x - z) - g / eta}, x, time=t
        ),
        (c * eta + mu / eta - sp.diff(eta, t) / eta) * xd + c * g,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILY)
def test_the_families_of_the_reference(name):
    build, lhs = FAMILY[name]
    assert vanishes(build().lhs - lhs)


def test_text_and_latex():
    form = system("passive").second_order(y)
    assert str(form) == "x'' + K*x' + a*hess f(x)[x'] + (b + K*a)*grad f(x) = 0"
    assert form.latex() == (
        r"\ddot{x} + K \dot{x} + a \nabla^2 f(x)\,\dot{x} + \left(b + K a\right) \nabla f(x) = 0"
    )
    unstable = System({"flow": {p: c * p - f.grad(y), y: p}}).second_order(y)
    assert str(unstable) == "x'' - c*x' + grad f(x) = 0"
    assert unstable.latex() == r"\ddot{x} - c \dot{x} + \nabla f(x) = 0"


VALUES = {"K": 0.9, "a": 0.3, "b": 1.2, "c": 1.4, "mu": 0.6, "t": 1.0}
VALUES = {n: jnp.asarray(v) for n, v in VALUES.items()}
CASES = {
    "passive, y": (lambda: system("passive"), y),
    "nesterov_sc, x = y - a psi": (lambda: system("nesterov_sc"), None),
    "nesterov_c, x = y - a psi": (lambda: system("nesterov_c"), None),
    "nesterov_c, y": (lambda: system("nesterov_c"), y),
    "model": (lambda: system("model"), None),
    "hadamard": (lambda: System({"flow": {p: -c * p - hadamard(f.grad(y), y), y: p}}), y),
    "scaled": (lambda: System({"flow": {p: -c * p * inner(y, y) - f.grad(y), y: p / t}}, time=t), y),
}  # fmt: skip


def flow(drift, state0, span):
    """The state at the end of the span, integrated to high accuracy; ``drift`` maps blocks to expressions."""
    blocks_ = list(drift)

    @jax.jit
    def right_side(s, flat):
        values = {**VALUES, "t": s} | dict(
            zip([v.name for v in blocks_], flat.reshape(-1, DIMENSION), strict=True)
        )
        return jnp.concatenate([number(drift[v], values) for v in blocks_])

    done = solve_ivp(
        lambda s, flat: np.asarray(right_side(s, jnp.asarray(flat))),
        span, np.concatenate(state0), rtol=1e-9, atol=1e-11,
    )  # fmt: skip
    return dict(zip([v.name for v in blocks_], done.y[:, -1].reshape(-1, DIMENSION), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_both_forms_have_the_same_solution(name):
    build, output = CASES[name]
    built = build()
    output = built.output if output is None else output
    rng, span = np.random.default_rng(3), (1.0, 2.5)
    first = {s.name: jnp.asarray(rng.normal(size=DIMENSION)) for s in built.drift}
    start_ = {**VALUES, **first}
    speed = built.derivative(output)
    end = flow(built.drift, [first[s.name] for s in built.drift], span)
    lhs = built.second_order(output).lhs
    second = flow({x: xd, xd: -lhs}, [np.asarray(number(e, start_)) for e in (output, speed)], span)
    at_end = {**VALUES, "t": jnp.asarray(span[1]), **{n: jnp.asarray(s) for n, s in end.items()}}
    np.testing.assert_allclose(second["x"], number(output, at_end), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(second["x_dot"], number(speed, at_end), rtol=1e-6, atol=1e-7)


def test_a_series_where_the_change_of_coordinates_is_implicit():
    drift = {p: -K * p - f.grad(y), y: p - h * f.grad(y + h * p)}
    form = second_order(drift, y, small=h, order=1)
    assert vanishes(form.lhs - (K * xd + h * Hv + (1 + K * h) * g))
    assert str(form).endswith("= O(h^2)") and form.latex().endswith("= O(h^{2})")
    deeper = second_order(drift, y, small=h, order=2)
    # y' = p - h g(y) - h^2 H p: p = y' + h g + h^2 H y', differentiated once more by hand
    extra = K * Hv + f.third(x, xd, xd) - f.hess(x, K * xd + g)
    assert vanishes(deeper.lhs - form.lhs - h**2 * extra)


REFUSED = {
    "one block": (lambda: system("gradient_flow").second_order(), "two vector blocks; the system has 1"),
    "three blocks": (lambda: system("adam").second_order(), "the system has 3"),
    "scalar output": (
        lambda: System(system("heavy_ball").fields, output=f.value(blocks("x"))).second_order(), "the scalar f(x)",
    ),
    "no coupling": (lambda: System({"flow": {p: -p, y: -f.grad(y)}}).second_order(y), "do not determine the state"),
    "implicit": (lambda: system("passive").second_order(), "could not be expressed"),
    "implicit z": (lambda: system("triple_momentum").second_order(), "could not be expressed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)
