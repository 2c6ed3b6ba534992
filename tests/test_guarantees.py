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


def test_a_scale_that_noise_moves_has_no_sign() -> None:
    """It begins at one and nothing assigns it, but its increments are normal."""
    w = od.parameters("w")
    noisy = od.Field({x: -s * f.grad(x)}, noise={s: od.Diffusion(w)})
    flow = od.System({"descent": noisy}, blocks=[block, length], output=x)
    back = od.Select(ENOUGH, [], [od.Let({x: od.at(x)})])
    (made,) = decreases(od.Algorithm(flow, od.Scheme((GO, back)), step=h))
    assert "assumed" in {held.status for held in made.hypotheses}


def test_as_many_decreases_as_there_are_guards() -> None:
    """Ten sufficient decreases at once, each under a name of its own."""
    guards = [f.value(x) <= f.value(od.at(x)) - n * s * h * slope / 20 for n in range(1, 11)]
    made = method(GO, od.Select(sp.And(*guards), [od.Let({s: 2 * s})], [BACK])).derivation()
    (step,) = (step for step in made.steps if step.title == "Guarantee of the guards")
    assert len({claim.name for claim in step.claims}) == 10 and made.verified


@pytest.mark.parametrize("name", ["armijo", "bold_driver", "adaptive_regularized_newton"])
def test_registered_methods_say_it(name: str) -> None:
    assert len(said(od.algorithm(name))) == 1


# guards that set the mark by which a loop ends


mark = sp.Symbol("m", real=True)
other = sp.Symbol("n", real=True)


def marked(*steps: Any) -> od.Algorithm:
    own = [od.Block(n, "scalar", "coefficient", sp.S.Zero) for n in ("m", "n")]
    flow = od.System({"descent": {x: -s * f.grad(x)}}, blocks=[block, length, *own], output=x)
    return od.Algorithm(flow, od.Scheme(steps), step=h)


BEGIN, SET, AGAIN = od.Let({mark: 0}), od.Let({mark: 1}), od.Let({s: s / 2, x: od.at(x)})
WELL = od.Select(ENOUGH, [SET], [])
MORE = od.Select(od.inner(f.grad(x), f.grad(x)) <= slope, [SET], [])
MARKED: dict[str, Sequence[Any]] = {
    "one guard": (BEGIN, od.Repeat([AGAIN, GO, WELL], mark > 0, 50)),
    "a guard inside of one": (
        BEGIN, od.Repeat([AGAIN, GO, od.Select(ENOUGH, [MORE], [])], mark > 0, 50),
    ),
    "set where it fails to what does not end it": (
        BEGIN, od.Repeat([AGAIN, GO, od.Select(ENOUGH, [SET], [od.Let({mark: -1})])], mark > 0, 50),
    ),
    "begun twice": (SET, BEGIN, od.Repeat([AGAIN, GO, WELL], mark > 0, 50)),
}  # fmt: skip
UNMARKED: dict[str, Sequence[Any]] = {
    "begun nowhere": (od.Repeat([AGAIN, GO, WELL], mark > 0, 50),),
    "begun with what ends it": (SET, od.Repeat([AGAIN, GO, WELL], mark > 0, 50)),
    "begun in a branch": (
        od.Select(f.value(x) < 1, [BEGIN], [SET]), od.Repeat([AGAIN, GO, WELL], mark > 0, 50),
    ),
    "set after a loop that sets it": (
        BEGIN, od.Repeat([od.Let({mark: mark + 1})], max_steps=2), od.Repeat([AGAIN, GO, WELL], mark > 0, 50),
    ),
    "set in two ways": (
        BEGIN, od.Repeat([AGAIN, GO, WELL, od.Select(f.value(x) < 1, [SET], [])], mark > 0, 50),
    ),
    "set where it fails": (
        BEGIN, od.Repeat([AGAIN, GO, od.Select(ENOUGH, [], [SET])], mark > 0, 50),
    ),
    "set in any case": (BEGIN, od.Repeat([AGAIN, GO, WELL, SET], mark > 0, 50)),
    "counted": (BEGIN, od.Repeat([AGAIN, GO, WELL, od.Let({mark: mark + 1})], mark > 0, 50)),
    "moved behind it in the iteration": (BEGIN, od.Repeat([AGAIN, HALF, WELL, HALF], mark > 0, 50)),
    "moved where it holds": (
        BEGIN, od.Repeat([AGAIN, GO, od.Select(ENOUGH, [SET, od.Let({x: x - h**2 * f.grad(x)})], [])], mark > 0, 50),
    ),
    "moved behind the loop": (BEGIN, od.Repeat([AGAIN, HALF, WELL], mark > 0, 50), HALF),
    "another mark": (BEGIN, od.Repeat([AGAIN, GO, od.Select(ENOUGH, [od.Let({other: 1})], [SET])], mark > 0, 50)),
    "ended by two": (
        BEGIN, od.Let({other: 0}), od.Repeat([AGAIN, GO, WELL], sp.Or(mark > 0, other > 0), 50),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_a_mark_stands_for_the_guards_that_set_it(name: str) -> None:
    (text,) = said(marked(*MARKED[name]))
    assert text.startswith("Every step that is made satisfies")


@pytest.mark.parametrize("name", UNMARKED)
def test_a_mark_that_may_be_set_otherwise_says_nothing(name: str) -> None:
    found = decreases(marked(*UNMARKED[name]))
    assert [d for d in found if d.where == "always"] == []


def test_wolfe_says_it_of_every_step() -> None:
    """The scale is positive: a bracket is not negative, and half of their sum is not zero."""
    (text,) = said(od.algorithm("wolfe"))
    assert text.startswith("Every step that is made satisfies") and "tends to zero" in text
    (made,) = decreases(od.algorithm("wolfe"))
    assert all(h.status == "proved" for h in made.hypotheses)
    fun = lambda v: jnp.sum(jnp.log(jnp.cosh(2 * v - 1))) + 0.1 * jnp.sum(v**4)
    run = od.algorithm("wolfe").run(fun, np.array([2.0, -3.0, 0.5]), 20, h=3.0, c1=0.2)
    slopes = np.array([float(jnp.sum(jax.grad(fun)(jnp.asarray(p)) ** 2)) for p in run.x])
    amount = 0.2 * 3.0 * np.asarray(run.states["s"][1:]) * slopes[:-1]
    assert np.all(run.f[:-1] - run.f[1:] >= amount - 1e-12)
