"""What a derivation says of guards: the decrease that they state, where it holds, and when it is not said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.proof.guarantees import decreases

f = od.Objective("f")
c, h = od.parameters("c h")
length = od.Block("s", "scalar", "coefficient", sp.S.One)
s = length.symbol
block = od.Block("x", init=od.dynamics.start)
x = block.symbol
slope = od.inner(f.grad(od.at(x)), f.grad(od.at(x)))
control = od.discretize.controllers


def method(*steps: Any) -> od.Algorithm:
    flow = od.System({"descent": {x: -s * f.grad(x)}}, blocks=[block, length], output=x)
    return od.Algorithm(flow, od.Scheme(steps), step=h)


def said(algorithm: od.Algorithm) -> list[str]:
    """The statements of the step on guards, none if there is no such step."""
    made = algorithm.derivation()
    assert made.verified
    return [step.statement for step in made.steps if step.title == "Guarantee of the guards"]


GO = od.Flow("descent", "explicit")
HALF = od.Flow("descent", "explicit", fraction=sp.Rational(1, 2))
BACK = od.Let({x: od.at(x), s: s / 2})
ENOUGH = f.value(x) <= f.value(od.at(x)) - c * s * h * slope
SEARCH = control.backtracking([GO], ENOUGH, s, [x])
TAKEN = (GO, od.Select(ENOUGH, [od.Let({s: 2 * s})], [BACK]))


@pytest.mark.parametrize("seed", range(4))
def test_a_run_has_the_decrease_and_its_sum(seed: int) -> None:
    """Values, slopes and scales are those of the run: f falls by D or more, and the sum of D is within the fall."""
    rng = np.random.default_rng(seed)
    a = jnp.asarray(rng.normal(size=(6, 4)))
    fun = lambda v: jnp.sum(jnp.log(jnp.cosh(a @ v))) + 0.05 * jnp.sum(v**2)
    (found,) = decreases(od.algorithm("armijo"))
    assert found.where == "always"
    run = od.algorithm("armijo").run(fun, rng.normal(size=4) * 3, 40, h=1.0, c=0.3)
    slopes = np.array([float(jnp.sum(jax.grad(fun)(jnp.asarray(p)) ** 2)) for p in run.x])
    fall = run.f[:-1] - run.f[1:]
    amount = 0.3 * np.asarray(run.states["s"][1:]) * slopes[:-1]
    assert np.all(fall >= amount - 1e-12) and np.sum(amount) <= run.f[0] + 1e-12


def test_a_step_that_is_taken_back_is_told_apart() -> None:
    (text,) = said(method(*TAKEN))
    assert text.startswith("A step in which the guard fails is taken back; every other one")
    (text,) = said(method(*SEARCH))
    assert text.startswith("Every step that is made") and "tends to zero" in text


def test_a_step_that_is_made_all_the_same_has_the_decrease_only_where_the_guard_holds() -> None:
    shorter = od.Select(ENOUGH, [od.Let({s: 2 * s})], [od.Let({s: s / 2})])
    (text,) = said(method(GO, shorter))
    assert text.startswith("A step in which the guard holds satisfies") and "sum" not in text


def test_the_second_of_three_outcomes_is_no_statement_on_the_first() -> None:
    gain = f.value(od.at(x)) - f.value(x)
    steps = control.trust_radius(gain, s * h * slope, s, [x])
    found = decreases(method(GO, *steps))
    assert [d.where for d in found] == ["else", "else"]
    assert [sp.simplify(d.amount / s / h).as_coeff_Mul()[0] for d in found] == [
        sp.Rational(3, 4), sp.Rational(1, 4),
    ]  # fmt: skip


# Each of these has a guard that does not say that the value has fallen at the end of the step.
NOTHING: dict[str, Sequence[Any]] = {
    "no guard": (GO,),
    "the guard taken out": (od.Let({s: s / 2}), GO),
    "a step behind it": (*control.backtracking([HALF], ENOUGH, s, [x]), HALF),
    "a block that moves where it holds": (
        GO, od.Select(ENOUGH, [od.Let({x: x - h**2 * f.grad(x)})], [BACK]),
    ),
    "one of two": (
        GO, od.Select(sp.Or(ENOUGH, f.value(x) <= 1), [od.Let({s: 2 * s})], [BACK]),
    ),
    "an increase": (
        GO, od.Select(f.value(x) <= f.value(od.at(x)) + slope, [od.Let({s: 2 * s})], [BACK]),
    ),
    "the other way round": (
        GO, od.Select(f.value(x) >= f.value(od.at(x)), [od.Let({s: 2 * s})], [BACK]),
    ),
    "another function": (
        GO, od.Select(f.value(x) <= od.Objective("g").value(od.at(x)), [od.Let({s: 2 * s})], [BACK]),
    ),
    "a product of values": (
        GO, od.Select(f.value(x) * f.value(od.at(x)) <= 1, [od.Let({s: 2 * s})], [BACK]),
    ),
    "a function that another block scales": (
        GO, od.Select(f.value(s * x) <= f.value(s * od.at(x)), [od.Let({s: 2 * s})], [BACK]),
    ),
    "slopes": (
        GO, od.Select(od.inner(f.grad(x), f.grad(x)) <= slope, [od.Let({s: 2 * s})], [BACK]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_said_where_nothing_follows(name: str) -> None:
    assert decreases(method(*NOTHING[name])) == []


def test_a_parameter_in_the_argument_changes_nothing() -> None:
    guard = f.value(c * x) <= f.value(c * od.at(x))
    assert len(decreases(method(GO, od.Select(guard, [od.Let({s: 2 * s})], [BACK])))) == 1


def test_a_sign_that_is_not_known_is_an_assumption() -> None:
    """The scale starts positive and is doubled or halved; with s -> 1 - s its sign is open."""
    turned = od.Select(ENOUGH, [od.Let({s: 1 - s})], [BACK])
    made = method(GO, turned).derivation()
    (step,) = (step for step in made.steps if step.title == "Guarantee of the guards")
    assert r"\ge 0" in step.assumes
    (sure,) = (p for p in method(*TAKEN).derivation().steps if p.title == "Guarantee of the guards")
    assert sure.assumes == ""


def test_as_many_decreases_as_there_are_guards() -> None:
    """Ten sufficient decreases at once, each under a name of its own."""
    guards = [f.value(x) <= f.value(od.at(x)) - n * s * h * slope / 20 for n in range(1, 11)]
    made = method(GO, od.Select(sp.And(*guards), [od.Let({s: 2 * s})], [BACK])).derivation()
    (step,) = (step for step in made.steps if step.title == "Guarantee of the guards")
    assert len({claim.name for claim in step.claims}) == 10 and made.verified


@pytest.mark.parametrize("name", ["armijo", "bold_driver", "adaptive_regularized_newton"])
def test_registered_methods_say_it(name: str) -> None:
    assert len(said(od.algorithm(name))) == 1


def test_a_search_that_ends_by_a_mark_says_nothing() -> None:
    """Wolfe's search ends by a scalar that a branch sets: what that means is not worked out."""
    assert said(od.algorithm("wolfe")) == []
