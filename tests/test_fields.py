"""Systems: what they refuse and in which words, and what they say about themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import OdescentError
from odescent.dynamics.algebra.products import hadamard
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import inner, zero
from odescent.dynamics.flows.system import System
from odescent.dynamics.vector_fields.block import Block, blocks, start
from odescent.dynamics.vector_fields.objective import Objective
from odescent.dynamics.vector_fields.system import Diffusion, Field, curvature

x, v, z = blocks("x v z")
s = blocks("s", kind="scalar")
c, a, K, t = parameters("c a K t")
f, F = Objective("f"), Objective("F")
FIELDS = {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}


def ball(**settings):
    return System(FIELDS, **settings)


REFUSED = {
    "undeclared vector": (lambda: System({"flow": {x: -f.grad(z)}}), "field 'flow' uses the vector 'z'"),
    "undeclared in the noise": (
        lambda: System({"flow": Field({x: -x}, {x: Diffusion(z)})}), "the noise of field 'flow' uses the vector 'z'",
    ),
    "undeclared output": (lambda: ball(output=z), "the output z uses the vector 'z'"),
    "scalar drift": (lambda: System({"flow": {x: c}}), "gives the vector block x the scalar drift c"),
    "vector drift": (lambda: System({"flow": {s: x, x: -x}}), "gives the scalar block s the vector drift x"),
    "nothing": (lambda: System({}), "at least one field or block"),
    "empty field": (lambda: System({"flow": {}}), "field 'flow' must map block symbols"),
    "not a block": (lambda: System({"flow": {"x": -x}}), "moves 'x', which is not a block; make blocks"),
    "text for a drift": (lambda: System({"flow": {x: "-x"}}), "gives x the drift '-x'"),
    "two points": (lambda: System({"flow": {v: -f.grad(v) - f.grad(z), z: v}}), "give output="),
    "stray start": (lambda: ball(init={z: start}), "initial value is given for z, which no field moves"),
    "start at no block": (lambda: ball(init={v: x - z}), "the initial value of v uses the vector 'z'"),
    "starts in a circle": (lambda: ball(init={v: x, x: v}), "the initial values of v, x refer to each other"),
    "calculus": (lambda: ball(calculus="riemann"), "'ito' or 'stratonovich', not 'riemann'"),
    "one name twice": (
        lambda: System({"flow": {v: -sp.Symbol("v", positive=True) * v}}), "name 'v' stands for two different symbols",
    ),
    "assumptions": (
        lambda: System({"flow": {v: (c - sp.Symbol("c")) * v}}), "name 'c' stands for two different symbols",
    ),
    "block kind": (lambda: Block("x", kind="tensor"), "kinds are vector, scalar, matrix, symmetric, pytree"),
    "block role": (lambda: Block("x", role="ghost"), "roles state, memory, coefficient"),
    "scalar start": (lambda: Block("s", kind="scalar", init=start), "'s' starts at the vector x0"),
    "unknown block": (lambda: ball().block("vv"), "no block 'vv': did you mean 'v'"),
    "singular binding": (lambda: System({"flow": {x: -x / c}}).bind({c: 0}), "singular or undefined at c = 0"),
    "singular limit": (lambda: System({"flow": {x: -f.grad(x / c)}}).limit({c: 0}), "singular or undefined at c = 0"),
}  # fmt: skip


@pytest.mark.untyped
@pytest.mark.parametrize("name", REFUSED)
def test_bad_systems_get_a_sentence(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)


def test_bad_names_are_refused():
    for attempt in (lambda: Block("2x"), lambda: System({"a b": {x: -x}})):
        with pytest.raises(ValueError, match="is not a valid name"):
            attempt()


def test_a_block_begins_where_another_one_does():
    system = System(
        {"flow": {v: z, x: v, z: x, s: c}}, output=x, init={v: 2 * x, z: v - s * start, s: a + 1}
    )
    begin = {b.name: b.init for b in system.blocks}
    assert begin == {"v": 2 * start, "x": start, "z": (1 - a) * start, "s": a + 1}
    memory = {z: x - a * f.grad(x), x: (1 + c) * (x - a * f.grad(x)) - c * z}
    known = od.recognize(od.method(memory, output=z, init={z: x}))
    assert known and known.name == "nesterov_sc"


def test_a_block_with_the_name_of_the_starting_point_is_not_meant_by_it():
    named = blocks("x0")
    system = System({"flow": {named: -f.grad(x), x: named}}, output=x)
    assert {b.name: b.init for b in system.blocks} == {"x0": zero, "x": start}


def test_the_drift_is_the_sum_of_the_fields():
    system = ball()
    assert system.drift == {v: -c * v - f.grad(x), x: v}
    assert system.output == x and system.autonomous
    assert {b.name: b.init for b in system.blocks} == {"v": zero, "x": start}
    assert system.parameters == (c,)
    assert [o.name for o in system.oracles] == ["grad_f"]


def test_declared_blocks_and_initial_values():
    system = System(
        FIELDS, blocks=[Block("v", init=start), Block("b", kind="scalar")], init={x: 2 * start}
    )
    assert system.block("v").init == start and system.block("x").init == 2 * start
    assert system.block("b").init == 0 and system.drift[system.block("b").symbol] == 0
    assert ball(blocks=[Block("v", init=start)], init={v: zero}).block("v").init == zero


def test_oracles_inside_scalars_count():
    system = System(
        {"flow": {x: -x * inner(F.operator(x), x), s: f.value(x) + inner(f.grad(x), x)}}
    )
    assert [o.name for o in system.oracles] == ["grad_f", "operator_F"]


def test_resplit():
    other = ball().resplit({"kick": {v: -f.grad(x) - c * v / 2}, "rest": {x: v, v: -c * v / 2}})
    assert other.drift == ball().drift and list(other.fields) == ["kick", "rest"]
    with pytest.raises(OdescentError, match=r"differ from the drift of v by c\*v"):
        ball().resplit({"kick": {v: -f.grad(x)}, "rest": {x: v}})
    with pytest.raises(OdescentError, match="differ from the drift of z by -z"):
        ball().resplit({**FIELDS, "more": {z: -z}})
    noisy = System({"flow": Field({x: -f.grad(x)}, {x: Diffusion(c)})})
    with pytest.raises(OdescentError, match="do not have the same noise"):
        noisy.resplit({"flow": {x: -f.grad(x)}})
    again = noisy.resplit({"drift": {x: -f.grad(x)}, "noise": Field({}, {x: Diffusion(c)})})
    assert str(again) == "dx = -grad f(x) dt + c dW"


def test_bind_limit_and_map():
    system = System({"flow": {v: -K * v - f.grad(x + a * v), x: v * (a**2 - 1) / (a + 1)}})
    assert system.bind({K: 0.1, a: 2}).drift == {v: -v / 10 - f.grad(x + 2 * v), x: v}
    assert system.limit({a: 0}).drift == {v: -K * v - f.grad(x), x: -v}
    assert system.bind({}) is system
    assert system.bind(K=0.1, a=2).drift == system.bind({K: 0.1, a: 2}).drift
    assert system.limit(a=0).drift == system.limit({a: 0}).drift
    with pytest.raises(OdescentError, match="there is no parameter 'zzz'"):
        system.bind(zzz=3)
    doubled = system.map(lambda e: e * 2, name="twice")
    assert doubled.name == "twice" and doubled.drift[v] == 2 * system.drift[v]


def test_bindings_reach_starts_outputs_and_noise():
    system = System(
        {"flow": Field({x: -x}, {x: Diffusion(sp.sqrt(2 * c))})}, output=x * c, init={x: c * start}
    )
    bound = system.bind({c: 2})
    assert bound.output == 2 * x and bound.block("x").init == 2 * start
    assert str(bound) == "dx = -x dt + 2 dW"


def test_linearize_is_the_jacobian_on_a_quadratic():
    lam = 1.3
    grad = lambda p: lam * p
    system = System(
        {"flow": {v: -c * v - K * f.grad(x + a * v) - a * f.hess(x, v), x: v - a * f.grad(x)}}
    )
    values = {c: 0.7, K: 1.9, a: 0.4, curvature: lam}

    def right_side(state):
        v_, x_ = state
        return jnp.stack(
            [-0.7 * v_ - 1.9 * grad(x_ + 0.4 * v_) - 0.4 * lam * v_, v_ - 0.4 * grad(x_)]
        )

    expected = jax.jacobian(right_side)(jnp.array([0.3, -0.2]))
    matrix = np.array(system.linearize().subs(values), dtype=float)
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)


@pytest.mark.parametrize("drift", [-hadamard(x, x), -x * inner(x, x), -x * inner(f.grad(x), x)])
def test_linearize_refuses_what_is_not_linear(drift):
    with pytest.raises(OdescentError, match="drift of x is not linear on a quadratic"):
        System({"flow": {x: drift}}).linearize()


def test_time():
    system = System({"flow": {v: -3 * v / t - f.grad(x), x: v}}, time=t)
    assert not system.autonomous and system.parameters == ()
    assert system.derivative(v * t) == -2 * v - t * f.grad(x)
    assert System({"flow": {x: -f.grad(x)}}, time=t).autonomous


def test_equations_as_text_and_latex():
    system = ball()
    assert str(system) == "v' = -c*v - grad f(x)\nx' = v"
    assert repr(system) == "System(damp, kick, drift; v' = -c*v - grad f(x); x' = v)"
    assert system.equations() == {"v": r"-c v - \nabla f(x)", "x": "v"}
    assert system.latex() == (
        "\\begin{aligned}\n\\dot{v} &= -c v - \\nabla f(x) \\\\\n\\dot{x} &= v\n\\end{aligned}"
    )


def test_noise_is_shown():
    system = System(
        {"flow": Field({x: -f.grad(x) - x}, {x: Diffusion(x, "B")}), "more": Field({}, {x: Diffusion(-c)})},
    )  # fmt: skip
    assert str(system) == "dx = (-x - grad f(x)) dt + x .* dB - c dW"
    assert system.equations()["x"] == (
        r"\left(-x - \nabla f(x)\right)\,\mathrm{d}t + x \odot \mathrm{d}B - c\,\mathrm{d}W"
    )
    other = System({"flow": Field({x: -x}, {x: Diffusion(c)})}, calculus="stratonovich")
    assert str(other) == "dx = -x dt + c o dW"
    assert r"\mathrm{d}x &= -x\,\mathrm{d}t + c \circ \mathrm{d}W" in other.latex()
