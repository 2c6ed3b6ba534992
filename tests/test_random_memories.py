"""Random steps that measure and move, with memories of samples: limits beside means of runs, shifts by outputs."""

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.discretize.step.iteration import taken_as_consistent
from odescent.dynamics.algebra.calculus import substitute, symbols_of

x, m, n = od.blocks("x m n")
c = od.blocks("c", kind="scalar")
h, r = od.parameters("h r")
f = od.Objective("f")
g = f.grad(x)
H = np.array([[2.0, 0.3], [0.3, 1.0]])
START, STEP, STEPS, RUNS = np.array([0.7, -0.4]), 1e-3, 40, 20_000


def fun(p):
    return p @ jnp.asarray(H) @ p / 2 + p[0] ** 3 / 6


def drawn(seed):
    """What a step measures, into memories, and how it moves by them."""
    chosen = random.Random(seed)
    z = od.sample("z", chosen.choice(["normal", "rademacher", "sphere"]), like=x)
    u = od.sample("u", "uniform")
    falls = [
        od.inner(z, g),
        u * od.inner(z, g),
        (f.value(x + r * z) - f.value(x - r * z)) / (2 * r),
    ]
    measured = {
        m: chosen.choice([z, z, g, z * u]),
        c: h * chosen.choice(falls) * chosen.choice([1, -1, 2]),
        n: chosen.choice([z, g, z * u, x]),
    }
    moves = [c * m, c * m - h * g, c * m / 2 - h * u * g, c * m + h * n]
    return od.Let(measured), od.Let({x: x + chosen.choice(moves)})


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("seed", range(12))
def test_a_limit_is_the_mean_of_runs(seed, shift):
    memories = [od.Block(s.name, role="memory") for s in (m, n)] + [
        od.Block("c", "scalar", "memory")
    ]
    system = od.System({"descent": {x: -g}}, blocks=memories, output=x)
    with taken_as_consistent():
        method = od.Algorithm(system, od.Scheme(drawn(seed)).shifted(shift), step=h)
    limit = method.consistent_with()
    radius = {"r": 0.3} if r in method.tuned.parameters else {}

    def moved(key):
        states = method.run(fun, jnp.asarray(START), STEPS, h=STEP, key=key, **radius).states["x"]
        return (states[-1] - states[2]) / (STEP * (STEPS - 2))  # the first steps know of no sample

    rates = np.asarray(jax.jit(jax.vmap(moved))(jax.random.split(jax.random.key(seed), RUNS)))
    error = np.std(rates, axis=0) / np.sqrt(RUNS)
    of = od.Objective("f", fun, dimension=2)
    flow = limit.simulate(
        of, START, t1=STEP * STEPS, parameters=radius if r in limit.parameters else None
    )
    wanted = (np.asarray(flow.x)[-1] - START) / (STEP * STEPS)
    assert (abs(np.mean(rates, axis=0) - wanted) < 4.5 * error + 0.02 * (1 + abs(wanted))).all()


@pytest.mark.parametrize("seed", range(24))
def test_a_shift_whose_output_has_moved_makes_the_points_of_the_step(seed):
    """The step as one map, and its shift with the move in the output, beside one whose output moves otherwise."""
    measure, move = drawn(seed)
    after = move.assign[x]
    if od.sample("u", "uniform") in symbols_of(after):
        return  # an output reads no sample
    at_once = od.method({x: substitute(after, dict(measure.assign))}, output=x)
    shifted = {x: after} | {s: substitute(e, {x: after}) for s, e in measure.assign.items()}
    begin = {m: 0, n: 0, c: 0}
    same = od.method(shifted, output=after, init=begin)
    other = od.method(shifted, output=x + (after - x) / 2, init=begin)
    # with a gradient in the move the first output is not x0
    assert (same.equivalent(at_once).verdict == "proved") == (not after.calls())
    assert other.equivalent(at_once).verdict != "proved"
