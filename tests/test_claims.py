"""Guards that decide nothing: a run counts where they fail, or cannot be checked, and says so."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od

f = od.Objective("f")
h, L = od.parameters("h L")
BLOCKS = [
    od.Block("x", init=od.dynamics.start),
    od.Block("violated", "scalar", "coefficient", sp.S.Zero),
    od.Block("unchecked", "scalar", "coefficient", sp.S.Zero),
]
x, violated, unchecked = (b.symbol for b in BLOCKS)
slope = od.inner(f.grad(od.at(x)), f.grad(od.at(x)))
# what L-smoothness gives a gradient step (Nesterov 2018, 1.2.22)
LEMMA = f.value(x) <= f.value(od.at(x)) - (h - L * h**2 / 2) * slope
FLOW = od.System({"descent": {x: -f.grad(x)}}, blocks=BLOCKS, output=x)
GO = od.Flow("descent", "explicit")
claimed = od.discretize.controllers.claimed


def method(*claim: Any) -> od.Algorithm:
    return od.Algorithm(FLOW, od.Scheme((GO, *claim)), step=h, name="claimer")


def smooth(at: Any) -> Any:
    """1-smooth, with curvature that falls with the distance."""
    return jnp.sum(jnp.log(jnp.cosh(at)))


def counted(run: Any, constant: float, step: float) -> int:
    """The violations, by hand."""
    points = np.asarray(run.x)
    values = np.array([float(smooth(jnp.asarray(p))) for p in points])
    squares = np.sum(np.tanh(points) ** 2, axis=1)
    bound = values[:-1] - (step - constant * step**2 / 2) * squares[:-1]
    return int(np.sum(values[1:] > bound))


@pytest.mark.parametrize(
    ("constant", "step"), [(1.0, 0.5), (1.0, 1.9), (0.3, 0.5), (0.6, 1.9), (0.05, 1.2)]
)
def test_the_count_is_that_by_hand_and_zero_where_the_constant_is_right(
    constant: float, step: float
) -> None:
    run = method(*claimed(LEMMA, violated, unchecked)).run(
        smooth, np.array([2.0, -0.5, 0.1]), 15, h=step, L=constant
    )
    failed = int(run.states["violated"][-1])
    assert failed == counted(run, constant, step) and run.states["unchecked"][-1] == 0
    assert (failed == 0) or constant < 1
    said = f"was violated in {failed} of 15 steps" if failed else "held in all 15 steps"
    assert said in str(run) and "The claim f(x) <= " in str(run)


def test_a_step_is_the_same_with_the_claim_and_without() -> None:
    plain = method().run(smooth, np.array([2.0, -0.5]), 10, h=0.7)
    run = method(*claimed(LEMMA, violated)).run(smooth, np.array([2.0, -0.5]), 10, h=0.7, L=0.1)
    assert np.array_equal(plain.x, run.x) and "claim" not in str(plain)


def test_what_cannot_be_checked_is_neither_kept_nor_broken() -> None:
    """sqrt(|x|^2 - 1) is no number inside of the unit ball, which the run enters."""
    outside = sp.sqrt(od.inner(x, x) - 1) >= 0
    run = method(*claimed(outside, violated, unchecked)).run(
        smooth, np.array([3.0, 0.0]), 12, h=0.5
    )
    inside = int(np.sum(np.sum(np.asarray(run.x)[1:] ** 2, axis=1) < 1))
    assert inside > 0 and run.states["unchecked"][-1] == inside and run.states["violated"][-1] == 0
    assert f"could not be checked in {inside}, first by step " in str(run)
    alone = method(*claimed(outside, violated)).run(smooth, np.array([3.0, 0.0]), 12, h=0.5)
    assert alone.states["violated"][-1] == inside


def test_a_violation_is_no_rejection() -> None:
    run = method(*claimed(LEMMA, violated, unchecked)).run(smooth, np.ones(2), 8, h=1.5, L=0.01)
    assert run.states["violated"][-1] > 0 and not np.any(run.counts["rejections"])
    back = od.Select(LEMMA, [], [od.Let({x: od.at(x)})])
    taken = method(back).run(smooth, np.ones(2), 8, h=1.5, L=0.01)
    assert taken.counts["rejections"][-1] == 8


def test_a_claim_is_in_emitted_code_and_in_the_derivation() -> None:
    made = method(*claimed(LEMMA, violated, unchecked))
    assert "violated" in made.source("numpy") and "unchecked" in made.source("jax")
    (step,) = (s for s in made.derivation().steps if s.title == "Guarantee of the guards")
    assert step.statement.startswith("A step in which the guard holds satisfies")
    assert not [s for s in method().derivation().steps if s.title == "Guarantee of the guards"]
