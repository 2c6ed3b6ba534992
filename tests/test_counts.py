"""Counts of what guards decide, against the calls that the emitted NumPy code makes; budgets of them."""

from __future__ import annotations

import inspect
import random
from collections import Counter
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import called, load
from odescent.discretize.step.iteration import taken_as_consistent

A = np.diag([1.0, 10.0])
START = np.array([1.0, 0.7])
h = od.parameters("h")
f = od.Objective("f")
x = od.Block("x", init=od.dynamics.start)
s = od.Block("s", "scalar", "coefficient", sp.S.One)
X, S = x.symbol, s.symbol
FLOW = od.System({"descent": {X: -S * f.grad(X)}}, blocks=[x, s], output=X, name="flow")
VALUES = {"h": 0.05, "mu": 1.0, "L": 10.0, "gam": 1.0}


def value(p: jax.Array) -> jax.Array:
    """Not quadratic, so that searches have something to do."""
    return p @ A @ p / 2 + jnp.sum(jnp.cos(3 * p)) / 10


def asked_by_numpy(algorithm: od.Algorithm, steps: int) -> list[Counter[str]]:
    """What the emitted code has asked for after each step, counted by its oracles."""
    module, made = load(algorithm, "numpy"), Counter[str]()
    words = {"grad": "gradients", "value": "values", "hvp": "products"}
    functions: dict[str, Callable[..., object]] = {
        "grad": jax.grad(value),
        "value": value,
        "hvp": lambda p, v: jax.jvp(jax.grad(value), (p,), (v,))[1],
    }

    def noting(name: str) -> Callable[..., object]:
        def function(*given: object) -> object:
            made[words[name]] += 1
            return np.asarray(functions[name](*map(jnp.asarray, given)))

        return function

    def call(function: Callable[..., object], *first: object, **more: object) -> object:
        wanted = inspect.signature(function).parameters
        return function(*first, **{n: noting(n) for n in functions if n in wanted}, **more)

    names = called(module)
    given = {names[p.name]: VALUES[p.name] for p in algorithm.tuned.parameters}
    c = module.coefficients(**given)
    takes = {"c": c} if "c" in inspect.signature(module.init).parameters else {}
    state, seen = call(module.init, START, **takes), []
    seen.append(Counter(made))
    for _ in range(steps):
        state = call(module.step, state, c=c)
        seen.append(Counter(made))
    return seen


def counts_agree(algorithm: od.Algorithm, steps: int = 12) -> od.discretize.Trajectory:
    """A run of an algorithm, whose counts are those of NumPy's code at every step."""
    values = {p.name: VALUES[p.name] for p in algorithm.tuned.parameters}
    run = algorithm.run(value, START, steps, **values)
    assert run.diverged_at is None, run.remark
    kinds = ["gradients", "values"]
    kinds += ["products"] * ("solves" not in run.counts)  # solves are counted, not their products
    for k, seen in enumerate(asked_by_numpy(algorithm, steps)):
        for kind in kinds:
            assert run.counts.get(kind, np.zeros(steps + 1))[k] == seen[kind], (kind, k)
    return run


def guarded(name: str) -> bool:
    """Batches are counted in test_growing_batches.py, the values of two levels in test_inexact_bilevel.py."""
    p = od.algorithm(name).program
    return bool(p.guarded) and not p.draws and not any(c.oracle.args for c in p.calls)


@pytest.mark.parametrize("name", od.algorithms())
def test_registered_methods_count_what_they_ask_for(name: str) -> None:
    if not guarded(name):
        pytest.skip("it has no guards")
    counts_agree(od.algorithm(name))


def a_condition(draw: random.Random) -> sp.Basic:
    g = f.grad(X)
    share = sp.Rational(draw.randint(1, 9), 10)
    return draw.choice(
        [
            f.value(X) <= f.value(od.at(X)) - share * h * od.inner(g, g),
            f.value(X) <= share * f.value(od.at(X)),
            od.inner(g, f.hess(X, g)) >= share,
            S >= share,
        ]
    )


def substeps(draw: random.Random, depth: int) -> list[object]:
    """Random substeps; those that choose and repeat hold others."""
    kinds = ["flow", "scale", "select", "select", "repeat"] if depth else ["flow", "scale"]
    listed: list[object] = []
    for _ in range(draw.randint(1, 2)):
        kind = draw.choice(kinds)
        if kind == "flow":
            listed.append(
                od.Flow("descent", "explicit", fraction=sp.Rational(1, draw.randint(2, 5)))
            )
        elif kind == "scale":
            listed.append(od.Let({S: S * sp.Rational(draw.randint(4, 6), 5)}))
        elif kind == "select":
            sides = [substeps(draw, depth - 1) for _ in range(2)]
            listed.append(od.Select(a_condition(draw), *sides))
        else:
            until = draw.choice([None, S <= sp.Rational(3, 10)])
            inner = [*substeps(draw, depth - 1), *([] if until is None else [od.Let({S: S / 2})])]
            most = draw.randint(1, 3) if until is None else 60
            listed.append(od.Repeat(inner, until=until, max_steps=most))
    return listed


@pytest.mark.parametrize("seed", range(12))
def test_random_guards_count_what_they_ask_for(seed: int) -> None:
    """Choices in choices, in loops and after them; a stage may be asked again, and what is known is not."""
    draw = random.Random(f"guards {seed}")
    listed = [od.Flow("descent", "explicit"), *substeps(draw, 2), od.Let({S: sp.S.One})]
    with taken_as_consistent():
        algorithm = od.Algorithm(FLOW, od.Scheme(tuple(listed)), step=h, name="random")
    counts_agree(algorithm, 6)


def bold() -> od.Algorithm:
    return od.algorithm("bold_driver", step=0.5)


@pytest.mark.parametrize("kind", ["gradients", "values", "rejections"])
@pytest.mark.parametrize("most", [6, 9])
def test_a_budget_ends_a_run_before_the_step_that_exceeds_it(kind: str, most: int) -> None:
    whole = bold().run(value, START, 60)
    run = bold().run(value, START, max_steps=60, budget={kind: most})
    k = run.steps
    assert run.counts[kind][-1] <= most < whole.counts[kind][k + 1]
    assert run.stopped == f"the budget of {kind}"
    np.testing.assert_array_equal(run.x, whole.x[: k + 1])
    assert {n: c[-1] for n, c in run.counts.items()} == {n: c[k] for n, c in whole.counts.items()}


def test_the_first_of_several_ends_is_named() -> None:
    budget = {"gradients": 40, "rejections": 5, "values": 1000}
    run = bold().run(value, START, max_steps=60, budget=budget, until={"gradient": 1e-12})
    assert run.stopped == "the budget of rejections" and run.counts["gradients"][-1] <= 40
    near = bold().run(value, START, max_steps=600, budget={"values": 500}, until={"gradient": 0.1})
    assert near.stopped == "gradient"


def test_lanes_of_a_batch_count_for_themselves() -> None:
    starts = jnp.stack([jnp.asarray(START) * a for a in (0.1, 1, 3)])
    with jax.enable_x64():
        batch = jax.vmap(lambda p: bold().run(value, p, 40))(starts)
        ended = jax.vmap(lambda p: bold().run(value, p, max_steps=40, budget={"gradients": 12}))(
            starts
        )
    for i, p in enumerate(np.asarray(starts)):
        one = bold().run(value, p, 40)
        for kind, counts in one.counts.items():
            np.testing.assert_array_equal(batch.counts[kind][i], counts)
        assert ended.counts["gradients"][i][-1] == 12
        assert int(ended.steps[i]) == int(np.flatnonzero(one.counts["gradients"] <= 12)[-1])


def test_counts_go_on_where_a_run_is_resumed(tmp_path: object) -> None:
    whole = bold().run(value, START, 40)
    file = f"{tmp_path}/run.npz"
    bold().run(value, START, max_steps=40, budget={"gradients": 12}, resume=file)
    on = bold().run(value, START, 40, resume=file)
    assert {n: c[-1] for n, c in on.counts.items()} == {n: c[-1] for n, c in whole.counts.items()}
    np.testing.assert_array_equal(on.x, whole.x)


def test_examples_of_a_finite_sum_are_counted_in_branches_too() -> None:
    rows = np.random.default_rng(0).normal(size=(7, 2))
    loss = od.FiniteSum("f", lambda p, row: ((p - row) ** 2).sum(), rows)
    run = bold().run(loss, START, 30)
    counts = run.counts
    np.testing.assert_array_equal(counts["examples"], 7 * (counts["gradients"] + counts["values"]))
    run = bold().run(loss, START, max_steps=30, budget={"examples": 200})
    assert run.counts["examples"][-1] <= 200 and run.stopped == "the budget of examples"


def test_a_budget_of_what_a_step_need_not_ask_for_wants_a_bound() -> None:
    with pytest.raises(
        od.OdescentError, match="budget of 'rejections' needs a bound too, as in max_steps"
    ):
        bold().run(value, START, budget={"rejections": 10})


def test_the_iterations_of_loops_are_counted() -> None:
    run = od.algorithm("armijo", step=1).run(value, START, 20)
    counts = run.counts
    np.testing.assert_array_equal(np.diff(counts["iterations"]) + 1, np.diff(counts["values"]))
    assert counts["iterations"][-1] > 20 and "rejections" not in counts
