"""Counted evaluations: what a step takes, against counters in emitted code, and the counts of runs."""

import functools
import inspect

import jax
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import load

x = od.blocks("x")
f, h = od.Objective("f"), od.parameters("h")
ROWS = np.random.default_rng(0).normal(size=(32, 3))
SUM = od.FiniteSum("f", lambda y, row: (row @ y - 1) ** 2 / 2, ROWS, batch=4)


@functools.cache
def plain(name):
    """The emitted module of a method that asks for gradients alone; None for another."""
    method = od.algorithm(name)
    try:
        module = load(method, "numpy")
    except od.NotCarried:
        return None
    fits = set(inspect.signature(module.step).parameters) <= {"state", "grad", "c", "rng"}
    one = [*inspect.signature(module.init).parameters][1:]
    return (method, module) if fits and set(one) <= {"grad", "c"} else None


def test_there_are_such_methods():
    assert sum(plain(name) is not None for name in od.algorithms()) >= 30


@pytest.mark.parametrize("name", od.algorithms())
def test_a_step_takes_as_many_gradients_as_it_says(name):
    if (found := plain(name)) is None:
        pytest.skip("it asks for more than a gradient")
    (method, module), asked = found, 0

    def grad(y):
        nonlocal asked
        asked += 1
        return np.tanh(y)

    given = dict.fromkeys(inspect.signature(module.coefficients).parameters, 0.05) | {
        "L": 4.0,
        "mu": 0.5,
    }
    own = {n: v for n, v in given.items() if n in inspect.signature(module.coefficients).parameters}
    offered = {"grad": grad, "c": module.coefficients(**own), "rng": np.random.default_rng(0)}
    take = lambda function: {
        n: offered[n] for n in inspect.signature(function).parameters if n in offered
    }
    state = module.init(np.ones(3), **take(module.init))
    asked = 0
    for _ in range(3):
        state = module.step(state, **take(module.step))
    assert asked == 3 * method.cost().get("gradients", 0)


def test_runs_count_examples():
    u = od.sample("u", law="rows")
    sgd = od.Algorithm(od.System({x: -f.batch(x, u)}), "explicit_euler", step=0.1)
    assert sgd.cost(SUM) == {"minibatch gradients": 1, "examples": 4}
    run = sgd.run(SUM, np.zeros(3), 6, key=0, every=2)
    assert run.counts["examples"].tolist() == [0, 8, 16, 24]
    whole = od.algorithm("gradient_descent", step=0.1).run(SUM, np.zeros(3), 3)
    assert whole.counts["gradients"].tolist() == [0, 1, 2, 3]
    assert whole.counts["examples"].tolist() == [0, 32, 64, 96]
    # at equal examples, in one comparison
    gaps = {"whole": (whole.counts["examples"], whole.f), "batch": (run.counts["examples"], run.f)}
    made = od.analysis.compute_convergence(gaps, labels=("examples", "f"))
    assert made.series["whole"].iterations[-1] == 96


def test_products_solves_values_and_what_is_kept():
    cost = {n: od.algorithm(n).cost() for n in ("newton", "zeroth_order", "adahessian", "ogda")}
    assert cost["newton"] == {"gradients": 1, "solves": 1}
    assert cost["zeroth_order"] == {"values": 2}
    assert cost["adahessian"] == {"gradients": 1, "products": 1}
    assert cost["ogda"] == {"operators": 1}  # the other one is of the step before


def test_counts_come_through_jit_and_chunks():
    method = od.algorithm("gradient_descent", step=0.1)
    run = jax.jit(lambda y: method.run(SUM, y, 4))(np.zeros(3))
    assert run.counts["gradients"].tolist() == [0, 1, 2, 3, 4]
    assert method.run(SUM, np.zeros(3), 6, chunk=2).counts["gradients"].tolist() == list(range(7))
