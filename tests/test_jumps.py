"""Compound Poisson jumps in a system: its generator, moments and scheme against closed forms, and what refuses them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from emitted_runs import Replay
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.emit.backend import needs
from odescent.discretize.weak.step_moments import moment_map
from odescent.discretize.weak.weak_error import step_operators
from odescent.dynamics.algebra.trees import from_tree
from odescent.dynamics.grammar import to_text
from odescent.dynamics.random.poisson import jax_poisson, poisson, poisson_quantile
from odescent.dynamics.stochastic import (
    fokker_planck,
    generator,
    in_coordinates,
    ito_formula,
    moment_equations,
    particle_system,
    to_stratonovich,
)
from odescent.dynamics.stochastic.gaussians import poisson_expectation
from odescent.particles import simulate

x, v = od.blocks("x v")
theta, c, rate, s = od.parameters("theta c rate s")
X = sp.Symbol("x", real=True)
QUANTILE = jax.jit(poisson_quantile)
NUMBERS = {"theta": 1.1, "c": 0.8, "rate": 2.5, "s": 0.3}


def jump_ou() -> od.System:
    """dx = -theta x dt + s dW + c dJ: an Ornstein-Uhlenbeck process with normal jumps."""
    return od.System(
        {"pull": {x: -theta * x}, "heat": od.Field({}, {x: od.Diffusion(s)}),
         "jump": od.Field({}, {x: od.Jumps(c, rate)})}, name="jump_ou",
    )  # fmt: skip


def euler(system: od.System) -> od.Algorithm:
    return od.Algorithm(system, od.scheme("explicit_euler"))


# the calculus


def test_generator_of_polynomials_and_of_what_is_none():
    """L phi = b phi' + s^2 phi''/2 + rate (E phi(x + c z) - phi): for e^(u x) the Levy-Khinchin exponent."""
    u = sp.Symbol("u", real=True)
    assert sp.expand(generator(jump_ou(), X**2) - (-2 * theta * X**2 + s**2 + rate * c**2)) == 0
    found = sp.simplify(generator(jump_ou(), sp.exp(u * X)) / sp.exp(u * X))
    exponent = -theta * X * u + s**2 * u**2 / 2 + rate * (sp.exp(c**2 * u**2 / 2) - 1)
    assert sp.simplify(found - exponent) == 0
    assert generator(jump_ou(), sp.Function("phi")(X)).has(sp.Integral)


def test_stationary_cumulants_of_the_jump_process():
    """Those of the driving process over n theta: (s^2 + rate c^2)/(2 theta), and 3 rate c^4/(4 theta)."""
    found = moment_equations(jump_ou(), 4).stationary()
    second = (s**2 + rate * c**2) / (2 * theta)
    fourth = 3 * rate * c**4 / (4 * theta) + 3 * second**2
    assert sp.simplify(found[X**2] - second) == 0 and sp.simplify(found[X**4] - fourth) == 0


def test_the_adjoint_is_dual_to_the_generator():
    """The integral of rho L phi is that of phi L* rho, for a Gaussian rho and a polynomial phi."""
    rho = sp.exp(-(X**2) / 2) / sp.sqrt(2 * sp.pi)
    numbers = {theta: 1, c: sp.Rational(1, 2), rate: 3, s: sp.Rational(1, 3)}
    system = jump_ou().bind(numbers)
    whole = lambda e: sp.integrate(sp.expand(e), (X, -sp.oo, sp.oo))
    left = whole(rho * generator(system, X**4))
    right = whole(X**4 * sp.simplify(fokker_planck(system, rho).doit()))
    assert sp.simplify(left - right) == 0


def test_blocks_that_name_one_process_jump_together_by_the_same_marks():
    both = od.System(
        {"jump": od.Field({}, {x: od.Jumps(c, rate), v: od.Jumps(2 * c, rate)})}, output=x
    )
    V = sp.Symbol("v", real=True)
    assert sp.expand(generator(both, X * V) - 2 * rate * c**2) == 0
    apart = od.System(
        {"jump": od.Field({}, {x: od.Jumps(c, rate), v: od.Jumps(c, rate, "K")})}, output=x
    )
    assert generator(apart, X * V) == 0 and generator(apart, X**2 * V**2) != 0
    flat = in_coordinates(jump_ou(), 2)
    (jump,) = flat.jumps  # one clock for all coordinates, a mark for each
    assert (
        len(jump.marks) == 2 and sp.expand(generator(flat, sp.Mul(*flat.state))).subs(theta, 0) == 0
    )


def test_particles_have_clocks_of_their_own_or_a_common_one():
    """With marks of their own two particles never move together, but their squares do where the times are common."""
    one, two = (sp.Symbol(f"x_{i}", real=True) for i in (1, 2))
    alpha = od.parameters("alpha")
    for common in (False, True):
        crowd = od.System({"jump": od.Field({x: -od.Objective("f").ensemble(x, alpha) * 0},
                                            {x: od.Jumps(c, rate, common=common)}),
                           "pull": {x: -(x - od.Objective("f").ensemble(x, alpha))}})  # fmt: skip
        pair = particle_system(crowd, 2)
        still = dict.fromkeys(pair.state, 0)
        assert len(pair.jumps) == (1 if common else 2)
        fourth = generator(pair, one**2 * two**2)
        assert sp.simplify(fourth.subs(still)) == (rate * c**4 if common else 0)
        assert sp.simplify((generator(pair, one * two)).subs(still)) == 0


def test_text_and_latex_and_exact_data():
    system = jump_ou()
    assert str(system) == "dx = -theta*x dt + s dW + c dJ(rate)"
    assert r"c\,\mathrm{d}J^{(\mathrm{rate})}" in system.latex()
    assert [p.name for p in system.parameters] == ["c", "rate", "s", "theta"]
    data = euler(system).to_dict()["exact"]
    assert data["system"]["fields"]["jump"]["noise"][0][2:] == ["J", from_to(rate), False]
    counted = [i for i in data["program"]["instructions"] if "count" in i]
    assert len(counted) == 1 and sp.simplify(from_tree(counted[0]["mean"]) - rate * od.Algorithm(
        system, od.scheme("explicit_euler")).step) == 0  # fmt: skip


def from_to(e: sp.Expr) -> Any:
    from odescent.dynamics.algebra.trees import tree

    return tree(e)


def test_bind_and_limit_reach_the_rate():
    bound = jump_ou().bind({rate: 3})
    assert "dJ(3)" in str(bound) and rate not in bound.parameters
    assert "dJ(1/2)" in str(jump_ou().limit({rate: sp.Rational(1, 2)}))
    assert to_stratonovich(jump_ou()).drift[x] == jump_ou().drift[x]  # jumps are Ito's either way


@pytest.mark.parametrize("common", [False, True])
def test_a_system_file_says_jumps(common: bool):
    leap = od.Field({}, {x: od.Jumps(c * x, rate + od.inner(x, x), common=common)})
    system = od.System({"pull": {x: -theta * x}, "leap": leap}, name="leaping")
    text = to_text(system)
    again = od.parse_system(text)
    assert again.fields["leap"].noise[x] == leap.noise[x] and to_text(again) == text
    assert ("sharing clock" in text) == common
    for wrong, words in (("dJ(x)", "the rate of jumps must be a scalar"), ("dJ(-1)", "at least 0, not -1"),
                         ("dJ(2) sharing W", "clock was expected")):  # fmt: skip
        with pytest.raises(od.ParseError, match=words):
            od.parse_system(f"system a\nblocks x\nfield f: x' = -x\nnoise f: x += {wrong}\n")


def test_a_rate_may_depend_on_the_state():
    """A birth-like process whose rate is |x|^2: L x^2 = rate(x) c^2."""
    lively = od.System({"jump": od.Field({}, {x: od.Jumps(c, od.inner(x, x))})})
    assert sp.expand(generator(lively, X**2) - c**2 * X**2) == 0
    made = euler(lively)
    found = simulate(made, None, np.array([2.0]), 1, params={"h": 0.01, "c": 0.5}, particles=40_000)
    z = found.particles["x"][0, 0] - 2.0
    assert np.mean(z**2) == pytest.approx(0.04 * 0.25, rel=0.06) and np.mean(z != 0) < 0.05


# the scheme


def test_the_exact_moments_of_a_step_and_weak_order_one():
    """E x, E x^2 and E x^4 at time 1 against the moment equations: the errors halve with the step."""
    made, numbers = euler(jump_ou()), {theta: 1.1, c: 0.8, rate: 2.5, s: 0.3}
    h = made.step
    exact = moment_equations(jump_ou().bind(numbers), 4)
    matrix = np.array(exact.matrix, float)
    constant = np.array(exact.constant, float)[:, 0]
    from scipy.linalg import expm

    start = np.array([1.5**k for k in (1, 2, 3, 4)])
    rest = np.linalg.solve(matrix, constant)
    wanted = expm(matrix) @ (start + rest) - rest
    step = moment_map(made).step
    rows = [sp.Poly(step.mean(X**k).subs(numbers), X) for k in (1, 2, 3, 4)]
    errors = []
    for n in (20, 40, 80, 160):
        a = np.array(
            [[float(r.coeff_monomial(X**j).subs(h, 1 / n)) for j in range(5)] for r in rows]
        )
        z = start.copy()
        for _ in range(n):
            z = a[:, 1:] @ z + a[:, 0]
        errors.append(np.abs(z - wanted)[[0, 1, 3]])
    slopes = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(slopes[-1], 1, atol=0.05)


@given(st.integers(0, 5), st.fractions(0, 5))
@settings(max_examples=20)
def test_moments_of_poisson_numbers(k: int, mean: Any):
    """The Touchard polynomials, by adding up the series."""
    n = sp.Symbol("n", integer=True, nonnegative=True)
    m = float(mean)
    series = sum(i**k * stats.poisson.pmf(i, m) for i in range(80))
    assert float(poisson_expectation(n**k, {n: sp.Rational(mean)})) == pytest.approx(
        series, rel=1e-9
    )


def test_the_engine_has_the_moments_of_the_chain():
    h, n, count = 0.02, 50, 100_000
    found = simulate(
        euler(jump_ou()), None, np.array([1.5, -1.5]), n, params={"h": h, **NUMBERS}, particles=count, seed=3,
        record=("consensus",), record_every=n,
    ).particles["x"][0]  # fmt: skip
    p = NUMBERS
    mean, second = 1.5, 2.25
    for _ in range(n):
        mean *= 1 - h * p["theta"]
        second = (1 - h * p["theta"]) ** 2 * second + h * (p["s"] ** 2 + p["rate"] * p["c"] ** 2)
    spread = np.sqrt(second - mean**2)
    np.testing.assert_allclose(found.mean(axis=1), [mean, -mean], atol=4 * spread / np.sqrt(count))
    np.testing.assert_allclose((found**2).mean(axis=1), second, rtol=0.03)
    together = np.corrcoef(found[0] ** 2, found[1] ** 2)[0, 1]
    assert together > 0.02  # the coordinates of one particle jump at the same times


def test_the_step_is_the_loop_by_hand():
    """Emitted NumPy and JAX with the same draws."""
    made, steps, h = euler(jump_ou()), 12, 0.1
    start, key = np.array([1.0, -2.0, 0.5]), jax.random.key(7)
    rng = Replay(3, steps, (3,))
    z, path = start.copy(), [start]
    for _ in range(steps):
        xi, n = rng.standard_normal((3,)), rng.poisson(h * NUMBERS["rate"], ())
        zeta = rng.standard_normal((3,))
        z = (
            z * (1 - h * NUMBERS["theta"])
            + NUMBERS["s"] * np.sqrt(h) * xi
            + NUMBERS["c"] * np.sqrt(n) * zeta
        )
        path.append(z)
    ours = load(made, "numpy").run(x0=start, steps=steps, rng=Replay(3, steps, (3,)), h=h, c_=0.8,
                                   rate=2.5, s=0.3, theta=1.1)  # fmt: skip
    np.testing.assert_allclose(ours, path, rtol=1e-13)
    theirs = made.run(
        od.Objective("f", fun=lambda y: jnp.sum(y**2)),
        start,
        steps,
        key,
        h=h,
        normals="jax",
        **NUMBERS,
    )
    np.testing.assert_allclose(theirs.x, path, rtol=1e-13)


def test_shared_increments_and_implicit_steps_carry_jumps():
    """Half of one increment twice is the increment; the drift implicit, the jumps not."""
    half = sp.Rational(1, 2)
    flow = lambda: od.Flow("jump", "explicit", half, increment="one")
    steps = (flow(), od.Flow("heat", "explicit"), od.Flow("pull", "implicit"), flow())
    made = od.Algorithm(jump_ou(), od.Scheme(steps, "strang"))
    assert len(made.program.counts) == 1 and len(made.program.draws) == 2
    h = made.step
    second = sp.simplify(moment_map(made).step.mean(X**2))
    keep = 1 / (1 + h * theta)
    wanted = keep**2 * (X**2 + h * s**2) + rate * h * c**2 * ((1 + keep) / 2) ** 2
    assert sp.simplify(second - wanted) == 0


# in time


@pytest.mark.parametrize("normals", ["counter", "jax"])
def test_simulated_jumps_have_their_law(normals: str):
    """Steps of a process that only jumps: their number in each step, which all coordinates show, is Poisson's."""
    wide, steps = 3000, 400
    leaps = od.System({"jump": od.Field({}, {x: od.Jumps(c, rate)})})
    path = leaps.simulate(
        None, np.zeros(wide), 40.0, dt=0.1, points=steps + 1, key=5, path="increments", normals=normals,
        parameters={"c": 2.0, "rate": 6.0},
    )  # fmt: skip
    moved = np.diff(path.x, axis=0) / 2.0
    counts = np.mean(moved**2, axis=1)  # n (1 +- sqrt(2 / wide))
    np.testing.assert_allclose(counts, np.round(counts), atol=0.4)
    found = np.bincount(np.round(counts).astype(int), minlength=4)
    law = np.append(stats.poisson.pmf(np.arange(3), 0.6), stats.poisson.sf(2, 0.6)) * steps
    assert stats.chisquare([*found[:3], found[3:].sum()], law).pvalue > 1e-3
    marks = (moved / np.sqrt(np.maximum(np.round(counts), 1))[:, None])[counts > 0.5]
    assert stats.kstest(marks.ravel()[::40], "norm").pvalue > 1e-3


def test_simulated_jumps_beside_diffusion():
    """The variance in time, a rate that depends on the state, blocks that jump together, the same key again."""
    h, p = 0.05, NUMBERS
    go = lambda key: jump_ou().simulate(
        None, np.zeros(20), 1000.0, dt=h, points=20_001, key=key, path="increments", parameters=p
    )
    path = go(3)
    factor = 1 - h * p["theta"]
    wanted = h * (p["s"] ** 2 + p["rate"] * p["c"] ** 2) / (1 - factor**2)
    assert np.mean(path.x[200:] ** 2) == pytest.approx(wanted, rel=0.05)
    np.testing.assert_array_equal(go(3).x, path.x)
    assert np.abs(go(4).x - path.x).max() > 0.1
    both = od.System(
        {"jump": od.Field({}, {x: od.Jumps(c, rate), v: od.Jumps(3 * c, rate)})}, output=x
    )
    pair = both.simulate(
        None,
        np.zeros(4),
        10.0,
        dt=0.1,
        key=1,
        path="increments",
        parameters={"c": 1.0, "rate": 2.0},
    )
    np.testing.assert_allclose(pair.states["v"], 3 * pair.states["x"], rtol=1e-12)
    still = od.System({"jump": od.Field({}, {x: od.Jumps(c, od.inner(x, x))})})
    calm = still.simulate(
        None, np.zeros(2), 5.0, dt=0.1, key=1, path="increments", parameters={"c": 1.0}
    )
    np.testing.assert_array_equal(calm.x, 0)  # at 0 the rate is 0


# numbers of jumps


@given(st.floats(0, 300), st.integers(0, 2**31))
@settings(max_examples=25)
def test_quantiles_of_poisson_numbers_are_scipys(mean: float, seed: int):
    u = np.random.default_rng(seed).uniform(size=200)
    found = np.asarray(QUANTILE(jnp.asarray(u), mean))
    edge = stats.poisson.cdf(found, mean), stats.poisson.cdf(found - 1, mean)
    assert (edge[0] >= u - 1e-12).all() and (edge[1] < u + 1e-12).all()


def test_counts_have_their_law_and_depend_on_the_particle_alone():
    mean, n = 3.2, 60_000
    many = jax.jit(lambda: poisson(1, 2, 3, mean, particles=n, offset=1, pairs=2))
    drawn = np.asarray(many())[0]
    cells = np.append(np.bincount(drawn.astype(int), minlength=12)[:12], (drawn >= 12).sum())
    law = np.append(stats.poisson.pmf(np.arange(12), mean), stats.poisson.sf(11, mean))
    assert stats.chisquare(cells, law * n).pvalue > 1e-3
    part = np.asarray(poisson(1, 2, 3, mean, particles=10, first=50, offset=1, pairs=2))[0]
    np.testing.assert_array_equal(part, drawn[50:60])
    for first in (0, 50):
        common = poisson(1, 2, 3, mean, particles=10, first=first, offset=1, pairs=2, common=True)
        assert common.shape == (1, 1) and common[0, 0] == drawn[0]
    assert jax_poisson(1, 2, 3, mean, particles=n).mean() == pytest.approx(mean, abs=0.05)
    assert np.isnan(poisson_quantile(jnp.array([0.5]), -1.0)).all()
    single = poisson(1, 2, 3, mean, particles=2000, dtype="float32")
    assert single.dtype == np.float32 and float(single.mean()) == pytest.approx(mean, abs=0.2)


# what cannot be


def test_what_does_not_jump_says_so():
    made = euler(jump_ou())
    key = jax.random.key(0)
    with pytest.raises(od.OdescentError, match="has no jumps, and J has: give path='increments'"):
        jump_ou().simulate(None, np.ones(2), 1.0, dt=0.1, key=key, parameters=NUMBERS)
    with pytest.raises(od.OdescentError, match=r"require solver='euler_maruyama'.*to_ito"):
        to_stratonovich(jump_ou()).simulate(
            None, np.ones(2), 1.0, dt=0.1, key=key, path="increments", parameters=NUMBERS
        )
    with pytest.raises(od.OdescentError, match="has noise"):
        jump_ou().simulate_many(None, np.ones((3, 2)), 1.0, dt=0.1, parameters=NUMBERS)
    with pytest.raises(od.NotCarried, match="modified equation with jumps"):
        made.modified_equation()
    with pytest.raises(od.OdescentError, match="not a differential operator"):
        step_operators(made, 1)
    with pytest.raises(od.OdescentError, match="jump terms"):
        ito_formula(jump_ou(), X**2)
    with pytest.raises(od.OdescentError, match="not Gaussian where x jumps"):
        od.Algorithm(jump_ou(), od.Scheme((od.Flow((), "exact"),)))
    assert "jumps" in needs(made.tuned) and made.derivation().verified
    for target in ("torch", "optax"):
        with pytest.raises(od.NotCarried, match="counts the jumps of a Poisson process"):
            made.source(target)


def test_clocks_that_differ_and_rates_that_are_none():
    with pytest.raises(od.OdescentError, match="'J' is one of J\\(rate\\) and of J\\(2\\*rate\\)"):
        od.System(
            {
                "a": od.Field({}, {x: od.Jumps(c, rate)}),
                "b": od.Field({}, {v: od.Jumps(c, 2 * rate)}),
            },
            output=x,
        )
    with pytest.raises(od.OdescentError, match="at least 0, not -1"):
        od.Jumps(c, -1)
    with pytest.raises(od.OdescentError, match="scalar expression"):
        od.Jumps(c, x)
    with pytest.raises(od.OdescentError, match="uses the vector 'v', which no field moves"):
        od.System({"a": od.Field({}, {x: od.Jumps(c, od.inner(v, v))})})


@pytest.mark.parametrize("noise", [od.Diffusion(s), od.Jumps(c, rate)])
def test_noise_printed_after_stratonovich_is_its_own(noise: Any):
    marked = od.System({"a": od.Field({x: -x}, {x: noise})}, calculus="stratonovich")
    assert (" o d" in str(marked)) == isinstance(noise, od.Diffusion)
