"""CBO with jumps, in a dual variable, and polarized, against CBXPy and against loops by hand."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.special import softmax

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics.random.normals import normals
from odescent.dynamics.random.poisson import poisson
from odescent.dynamics.stochastic import generator, particle_system
from odescent.particles import simulate
from odescent.particles.engine.schedules import kernel_width

F: Any = lambda x: np.sum((x**2 - 1) ** 2 + 0.3 * x, axis=-1)
OBJECTIVE = od.Objective("f", fun=lambda x: jnp.sum((x**2 - 1) ** 2 + 0.3 * x))
SETTINGS = {"h": 0.05, "lam": 1.3, "sigma": 0.7, "alpha": 4.0}
RNG = np.random.default_rng(5)
START, XI = RNG.normal(size=(13, 3)), RNG.normal(size=(13, 3))


class Rows:
    """A generator that draws these normals, whatever is asked for."""

    def __init__(self, *rows: Any) -> None:
        self.rows = iter(rows)

    def standard_normal(self, shape: Any = ()) -> Any:
        return next(self.rows)


def cbx_step(name: str, noise: str, start: Any, f: Any = F, **more: Any) -> Any:
    """One step of a dynamic of CBXPy with XI for its normals."""
    dynamics = pytest.importorskip("cbx.dynamics")
    p = SETTINGS
    made = getattr(dynamics, name)(
        f, x=start[None].copy(), noise=noise, f_dim="3D", check_f_dims=False, alpha=p["alpha"], lamda=p["lam"],
        sigma=p["sigma"], dt=p["h"], verbosity=0, sampler=lambda size: XI[None], **more,
    )  # fmt: skip
    made.step()
    return made


# polarized


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_a_polarized_step_is_cbxpys(noise: str) -> None:
    kappa = 0.6
    theirs = cbx_step("PolarCBO", noise, START, kappa=kappa, kernel_factor_mode="const")
    ensemble = lambda x, alpha, width: np.asarray(OBJECTIVE.ensemble(jnp.asarray(x), alpha, width))
    np.testing.assert_allclose(ensemble(START, 4.0, kappa), theirs.consensus[0], rtol=1e-12)
    run = load(od.algorithm("polar_cbo", noise=noise), "numpy").run
    ours = run(ensemble=ensemble, x0=START, steps=1, rng=Rows(XI), kappa=kappa, **SETTINGS)
    np.testing.assert_allclose(ours[1], theirs.x[0], rtol=1e-12)


def test_the_kernel_that_grows_with_alpha_is_one_of_width_over_its_root() -> None:
    theirs = cbx_step("PolarCBO", "isotropic", START, kappa=0.8, kernel_factor_mode="alpha")
    ours = OBJECTIVE.ensemble(jnp.asarray(START), 4.0, 0.8 / 2.0)
    np.testing.assert_allclose(ours, theirs.consensus[0], rtol=1e-12)


def test_a_polarized_point_is_the_consensus_point_of_a_proximal_objective() -> None:
    alpha, kappa = 4.0, 0.7
    found = OBJECTIVE.ensemble(jnp.asarray(START), alpha, kappa)
    for x, m in zip(START, np.asarray(found), strict=True):
        near = lambda y, x=x: OBJECTIVE.fun(y) + jnp.sum((y - x) ** 2) / (2 * alpha * kappa**2)
        np.testing.assert_allclose(
            od.Objective("g", fun=near).ensemble(jnp.asarray(START), alpha), m, rtol=1e-12
        )


@pytest.mark.parametrize("block", [13, 5])
def test_the_engine_polarizes_block_by_block(block: int) -> None:
    """Points that are lost have no weight, and large exponents neither overflow nor underflow."""
    values = lambda x: jnp.where(
        x[..., 0] > 1.2, jnp.nan, jnp.sum((x**2 - 1) ** 2 + 0.3 * x, axis=-1)
    )
    p = {**SETTINGS, "kappa": 0.4, "sigma": 0.0, "alpha": 3e3}
    found = simulate(od.algorithm("polar_cbo"), values, START.T, 1, params=p, block=block)
    fine = START[:, 0] <= 1.2
    height = np.where(fine, -3e3 * F(START), -np.inf)
    square = np.sum((START[:, None] - START) ** 2, axis=2)
    m = softmax(height - square / (2 * 0.4**2), axis=1) @ START
    wanted = START - 1.3 * 0.05 * (START - m)
    np.testing.assert_allclose(found.particles["x"][0].T, wanted, rtol=1e-12)
    assert found.records.nonfinite[0, -1] == 2 * (~fine).sum()


def test_polarized_particles_know_where_they_are() -> None:
    """In the generator the consensus point is a function of the particle; a common one is a number."""
    X = sp.Symbol("x", real=True)
    here = generator(od.system("polar_cbo"), X)
    assert here.has(sp.Function("m_f", real=True)(X))
    assert not generator(od.system("cbo"), X).has(sp.Function)
    with pytest.raises(od.OdescentError, match="alpha as its only argument"):
        particle_system(od.system("polar_cbo"), 2)
    marked = od.System(dict(od.system("polar_cbo").fields), calculus="stratonovich")
    with pytest.raises(od.OdescentError, match="depends on the position of each particle"):
        od.dynamics.stochastic.to_ito(marked)


def test_minimize_finds_all_minimizers_of_himmelblaus_function() -> None:
    """The four of D. M. Himmelblau, Applied Nonlinear Programming (1972)."""
    himmelblau = lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2
    wanted = np.array(
        [[-3.779310, -3.283186], [-2.805118, 3.131312], [3, 2], [3.584428, -1.848127]]
    )
    found = od.minimize(himmelblau, [(-5, 5)] * 2, method="polar_cbo", particles=100, steps=300)
    places, sizes = found.modes(0.1)
    assert len(places) >= 4 and sizes.sum() == 100 and (np.diff(sizes) <= 0).all()
    np.testing.assert_allclose(sorted(places[:4].tolist()), wanted, atol=1e-4)
    assert found.population.shape == (1, 100, 2)
    with pytest.raises(od.OdescentError, match="more than 0, not 0"):
        found.modes(0)
    with pytest.raises(od.OdescentError, match="width of the kernel"):
        kernel_width(0.1, -1.0)


# in a dual variable


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_a_step_in_a_dual_variable_is_cbxpys(noise: str) -> None:
    """The elastic net's map, and that of the entropy on the simplex."""
    shrink = lambda y: np.sign(y) * np.maximum(np.abs(y) - 0.2, 0)
    grow = lambda x: x + 0.2 * np.sign(x)
    theirs = cbx_step("MirrorCBO", noise, START, mirrormap={"name": "ElasticNet", "lamda": 0.2})
    point = lambda x, alpha: softmax(-alpha * F(x)) @ x
    run = load(od.algorithm("mirror_cbo", noise=noise), "numpy").run
    ours = run(
        ensemble=point,
        map_mirror=shrink,
        map_dual=grow,
        x0=START,
        steps=1,
        rng=Rows(XI),
        **SETTINGS,
    )
    np.testing.assert_allclose(ours[1], theirs.x[0], rtol=1e-11, atol=1e-13)
    inside = softmax(START, axis=1)
    theirs = cbx_step("MirrorCBO", noise, inside, mirrormap="EntropySimplex")
    run = load(od.algorithm("mirror_cbo", noise=noise, mirror="simplex"), "numpy").run
    ours = run(ensemble=point, x0=inside, steps=1, rng=Rows(XI), **SETTINGS)
    np.testing.assert_allclose(ours[1], theirs.x[0], rtol=1e-11)


def test_the_engine_takes_the_mirror_map_of_the_objective() -> None:
    shrink = lambda y: jnp.sign(y) * jnp.maximum(jnp.abs(y) - 0.2, 0)
    grow = lambda x: x + 0.2 * jnp.sign(x)
    net = od.Objective("f", fun=OBJECTIVE.fun, map_mirror=shrink, map_dual=grow)
    made = od.algorithm("mirror_cbo")
    found = simulate(made, net, START.T, 5, params=SETTINGS, seed=4, block=5)
    run = made.run(net, START, 5, key=4, **SETTINGS)
    dual = found.particles["Y"][0]
    np.testing.assert_allclose(shrink(jnp.asarray(dual)).T, run.x[-1], rtol=1e-11, atol=1e-12)


def test_on_the_simplex_particles_stay_on_it_down_to_agreement() -> None:
    """Where they agree the squared distance is no difference of large numbers: nothing becomes NaN."""
    goal = jnp.array([0.2, 0.3, 0.5])
    begin = softmax(RNG.normal(size=(40, 3)), axis=1)
    found = od.minimize(
        lambda x: jnp.sum((x - goal) ** 2), begin, method="mirror_cbo",
        options={"mirror": "simplex", "noise": "isotropic"}, params={"sigma": 1.0}, steps=400, xtol=0.0,
    )  # fmt: skip
    assert np.isfinite(found.population).all()
    np.testing.assert_allclose(found.population.sum(axis=2), 1, rtol=1e-12)
    np.testing.assert_allclose(found.x, goal, atol=2e-2)


# with jumps


@pytest.mark.parametrize("clock", ["own", "common"])
def test_a_step_with_jumps_is_the_loop_by_hand(clock: str) -> None:
    """X - m times normals of the step, and times as many normal marks as there are jumps, own or common."""
    p = {**SETTINGS, "jump": 0.6, "rate": 30.0}
    made = od.algorithm("jump_cbo", jumps=clock)
    steps, n, d, seed = 4, *START.shape, 9
    x = START.copy()
    for k in range(steps):
        m = softmax(-p["alpha"] * F(x)) @ x
        place = {"particles": n, "pairs": 5}  # two of 3 normals in pairs, and one number
        xi, zeta = (
            np.asarray(normals(seed, 0, k, dimension=d, offset=o, **place)).T for o in (0, 2)
        )
        count = np.asarray(
            poisson(seed, 0, k, p["h"] * p["rate"], offset=4, common=clock == "common", **place)
        ).T
        noise = p["sigma"] * np.sqrt(p["h"]) * xi + p["jump"] * np.sqrt(count) * zeta
        x = x - p["lam"] * p["h"] * (x - m) + (x - m) * noise
    assert count.shape == ((1, 1) if clock == "common" else (n, 1))
    found = simulate(made, OBJECTIVE, START.T, steps, params=p, seed=seed, block=5)
    np.testing.assert_allclose(found.particles["x"][0].T, x, rtol=1e-11)
    run = made.run(OBJECTIVE, START, steps, key=seed, **p)
    np.testing.assert_allclose(run.x[-1], x, rtol=1e-11)


def test_jumps_add_their_share_to_the_growth_of_the_distance() -> None:
    """L |X - m|^2 = (-2 lam + sigma^2 + rate jump^2) |X - m|^2 for noise in each coordinate, m held."""
    X, m = sp.symbols("x m_f", real=True)
    lam, sigma, jump, rate = od.parameters("lam sigma jump rate")
    for noise in ("anisotropic", "isotropic"):
        found = generator(od.system("jump_cbo", noise=noise), (X - m) ** 2)
        wanted = (-2 * lam + sigma**2 + rate * jump**2) * (X - m) ** 2
        assert sp.simplify(found - wanted) == 0


def test_words_that_mean_nothing() -> None:
    with pytest.raises(od.OdescentError, match="clock of jumps called 'often'"):
        od.system("jump_cbo", jumps="often")
    for name in ("mirror_cbo", "polar_cbo"):
        with pytest.raises(od.OdescentError, match="noise called 'none'"):
            od.system(name, noise="none")
    with pytest.raises(od.OdescentError, match="leave noise_after_drift= out"):
        od.algorithm("cbo", jumps="own", noise_after_drift=True)
    assert "kalise2022" in od.system("cbo", jumps="common", memory="hard").references
