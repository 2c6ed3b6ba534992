"""Samplers that accept or reject, as a user writes them: the law they sample, each step by hand, and their memory."""

import functools
import inspect

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from emitted_runs import RUNNERS
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.emit import load, source
from odescent.dynamics import start as x0

PRECISION = np.array([1.0, 4.0])
OFFSET = 2000  # of the energy, which no probability depends on: exp(2000) is no number in double precision
STEPS, LEAPS = 6000, 3

x, proposed, p, q = od.blocks("x proposed p q")
z, u = od.sample("z", "normal", like=x), od.sample("u", law="uniform")
f, h = od.Objective("f"), od.parameters("h")


def accepted(probability, point):
    return {x: x + sp.Piecewise((1, u < probability), (0, True)) * (point - x)}


def mala():
    """Roberts and Tweedie, Bernoulli 2 (1996), doi:10.2307/3318418."""
    back = x - proposed + h * f.grad(proposed)
    ratio = f.value(x) - f.value(proposed) + od.inner(z, z) / 2 - od.inner(back, back) / (4 * h)
    before = {proposed: x - h * f.grad(x) + sp.sqrt(2 * h) * z}
    update = accepted(sp.Min(1, sp.exp(ratio)), proposed)
    return od.method(update, before=before, output=x, name="mala").bind(h=0.3)


def hmc():
    """Duane, Kennedy, Pendleton, Roweth, Phys. Lett. B 195 (1987), doi:10.1016/0370-2693(87)91197-X."""
    leap = [{p: p - h / 2 * f.grad(q)}, {q: q + h * p}, {p: p - h / 2 * f.grad(q)}]
    ratio = f.value(x) + od.inner(z, z) / 2 - f.value(q) - od.inner(p, p) / 2
    before = [{q: x, p: z}, *leap * LEAPS]
    update = accepted(sp.exp(ratio), q)
    return od.method(update, before=before, output=x, name="hmc").bind(h=0.4)


def metropolis():
    """J. Chem. Phys. 21 (1953), doi:10.1063/1.1699114, with the value at the point in memory."""
    here, there = od.blocks("here there", kind="scalar")
    accept = sp.Piecewise((1, u < sp.exp(here - there)), (0, True))
    before = [{proposed: x + h * z}, {there: f.value(proposed)}]
    update = {x: x + accept * (proposed - x), here: here + accept * (there - here)}
    begin = {here: f.value(x0), there: 0}
    made = od.method(update, before=before, init=begin, output=x, name="metropolis")
    return made.bind(h=1.5)


def barker():
    """Austral. J. Phys. 18 (1965), doi:10.1071/PH650119."""
    update = accepted(1 / (1 + sp.exp(f.value(proposed) - f.value(x))), proposed)
    return od.method(update, before={proposed: x + h * z}, output=x, name="barker").bind(h=1.5)


def energy(v):
    return float(PRECISION @ v**2) / 2 + OFFSET


def by_hand(name, v, normals, h):
    """The point after a step with these standard normals: two for the coin, and a vector."""
    one, two, z = normals
    coin = np.exp(-(one**2) / 2 - two**2 / 2)
    if name == "mala":
        new = v - h * PRECISION * v + np.sqrt(2 * h) * z
        back = v - new + h * PRECISION * new
        log = energy(v) - energy(new) + z @ z / 2 - back @ back / (4 * h)
    elif name in ("metropolis", "barker"):
        new = v + h * z
        log = energy(v) - energy(new)
        log = log if name == "metropolis" else -np.logaddexp(0, -log)
    else:
        new, m = v, z
        for _ in range(LEAPS):
            m = m - h / 2 * PRECISION * new
            new = new + h * m
            m = m - h / 2 * PRECISION * new
        log = energy(v) + z @ z / 2 - energy(new) - m @ m / 2
    return new if coin < np.exp(min(log, 0)) else v


SAMPLERS = {"mala": mala(), "hmc": hmc(), "metropolis": metropolis(), "barker": barker()}
SIZES = {"mala": 0.3, "hmc": 0.4, "metropolis": 1.5, "barker": 1.5}


@pytest.mark.parametrize("target", RUNNERS)
@pytest.mark.parametrize("name", SAMPLERS)
def test_they_sample_the_law_whatever_its_constant(name, target):
    xp = jnp if target in ("jax", "optax") else np
    known = {"grad": lambda v: xp.asarray(PRECISION) * v,
             "value": lambda v: xp.asarray(PRECISION) @ v**2 / 2 + OFFSET}  # fmt: skip
    seen = np.asarray(RUNNERS[target](SAMPLERS[name], STEPS, (known, xp.zeros(2))))[500:]
    np.testing.assert_allclose(seen.var(0) * PRECISION, 1, atol=0.15)
    np.testing.assert_allclose(seen.mean(0), 0, atol=0.15)
    kept = (seen[1:] == seen[:-1]).all(1).mean()
    assert 0.01 < kept < 0.9


@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("name", SAMPLERS)
def test_each_step_is_the_one_by_hand(name, seed):
    module, h = load(SAMPLERS[name], "numpy"), SIZES[name]
    drawn = np.random.default_rng(seed)
    expected = [np.array([1.0, -0.5])]
    for _ in range(30):
        normals = drawn.standard_normal(), drawn.standard_normal(), drawn.standard_normal(2)
        expected.append(by_hand(name, expected[-1], normals, h))
    oracles = {"grad": lambda v: PRECISION * v, "value": energy}
    taken = {n: oracles[n] for n in inspect.signature(module.run).parameters if n in oracles}
    found = module.run(**taken, x0=expected[0], steps=30, rng=np.random.default_rng(seed))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("target", RUNNERS)
@pytest.mark.parametrize("name", ["metropolis", "barker"])
def test_at_a_low_temperature_they_descend(name, target):
    """Differences of values are then of any size, and the coin has no say."""
    xp = jnp if target in ("jax", "optax") else np
    known = {"grad": lambda v: v, "value": lambda v: 1e6 * (v @ v)}
    seen = np.asarray(RUNNERS[target](SAMPLERS[name], 200, (known, xp.asarray([3.0, 4.0]))))
    sizes = np.linalg.norm(seen, axis=1)
    assert (np.diff(sizes) <= 0).all() and 0 < sizes[-1] < 1


@pytest.mark.parametrize("name", ["mala", "hmc"])
def test_they_keep_nothing_but_the_parameters(name):
    """What a step computes anew is no memory, though the number that is drawn has no block for a shape."""
    assert "self.state[param]" not in source(SAMPLERS[name], "torch")
    made = vars(load(SAMPLERS[name], "optax"))
    (state,) = (v for n, v in made.items() if n.endswith("State") and hasattr(v, "_fields"))
    assert {*state._fields} == {"c", "k", "key"}


d = f.value(q) - f.value(x)
w = 1 / (1 + sp.exp(d))  # Barker's probability
LENGTHS = {
    "a product": w * (1 - w),
    "a quotient": w**2 / (1 + w),
    "of two sums": w / (2 + sp.exp(d)),
    "of exponentials": sp.exp(d) * sp.exp(-2 * d) / (1 + w),
    "a root": w * sp.sqrt(w),
    "of an exponential": 1 / (1 + sp.exp(-sp.exp(d))),
    "a difference": (sp.exp(d) - 1) / (sp.exp(d) + 1),
    "its size": sp.Abs(sp.exp(d) - 2) / (1 + sp.exp(d)),
    "the larger": sp.Max(0, sp.exp(d) - w) / (1 + sp.exp(2 * d)),
    "pieces": sp.Piecewise((w, d < 1), (w**2, True)),
    "a sum": (w + sp.exp(d)) / (w + 2 * sp.exp(d)),
    "weights": sp.exp(-f.value(x)) / (sp.exp(-f.value(x)) + sp.exp(-f.value(q))),
    "a logarithm": sp.log(sp.exp(f.value(x)) + sp.exp(f.value(q))) / 10000,
}


@functools.cache
def scaled(length):
    """Gradient descent whose step is multiplied by this length, which reads the values at both ends of another."""
    ahead = {q: x - h * f.grad(x)}
    update = {x: x - f.grad(x) * LENGTHS[length]}
    return od.method(update, before=ahead, output=x, name="scaled").bind(h=0.3)


@pytest.mark.parametrize("offset", [OFFSET, -OFFSET])
@pytest.mark.parametrize("length", LENGTHS)
def test_what_reads_differences_of_values_does_not_overflow(length, offset):
    step, start, first = LENGTHS[length], np.array([0.3, -0.2]), np.array([1.0, 0.0])
    values = {
        f.value(x): offset + sp.Rational("0.3") ** 2,
        f.value(q): offset + sp.Rational("0.12") ** 2,
    }
    expected = start - 2 * first * start * float(sp.N(step.xreplace(values), 30))
    alg = scaled(length)
    for target, run in RUNNERS.items():
        xp = jnp if target in ("jax", "optax") else np
        known = {
            "grad": lambda v, xp=xp: 2 * xp.asarray(first) * v,
            "value": lambda v, xp=xp: xp.asarray(first) @ v**2 + offset,
        }
        found = run(alg, 1, (known, xp.asarray(start)))[-1]
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=target)


def test_assignments_before_a_step_are_simultaneous_and_a_list_of_them_one_after_the_other():
    a, b = od.blocks("a b")
    once = od.method({x: b}, before={a: 2 * x, b: 3 * a}, output=x)
    after = od.method({x: b}, before=[{a: 2 * x}, {b: 3 * a}], output=x)
    start = np.array([1.0, 2.0])
    np.testing.assert_allclose(once.run(None, start, 1).x[-1], 3 * start)
    np.testing.assert_allclose(after.run(None, start, 1).x[-1], 6 * start)


def test_a_formula_counts_primes_beyond_three():
    text = SAMPLERS["hmc"].latex()
    assert "p^{(6)}_{k} &= p^{(5)}_{k}" in text and "''''" not in text
