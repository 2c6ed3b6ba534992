"""Parameters from theory, decay in mean square, effective gradients, passages and basins, against closed forms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

import odescent as od
from odescent import particles as odp
from odescent.discretize.emit import load

WELL: Any = lambda z: jnp.sum((z**2 - 1) ** 2)


# parameters


@settings(max_examples=25)
@given(
    st.floats(1e-4, 1), st.floats(0.05, 20), st.integers(1, 50), st.floats(0.02, 0.98),
    st.sampled_from(["isotropic", "anisotropic"]), st.floats(1e-3, 1), st.floats(0.05, 1.9),
)  # fmt: skip
def test_parameters_do_what_they_are_asked_for(
    step: float, slope: float, d: int, ess: float, noise: str, h: float, factor: float
) -> None:
    p = odp.parameters(
        step=step, gradient_scale=slope, dimension=d, ess=ess, noise=noise, h=h, contract=factor, particles=77
    )  # fmt: skip
    assert p.alpha * p.s**2 == pytest.approx(step)  # tau
    assert np.exp(-p.alpha * step * slope**2) == pytest.approx(
        ess
    )  # the share of effective samples
    assert p.temperature == pytest.approx(1 / (2 * 77 * p.alpha)) and p.lam * h == pytest.approx(1)
    count = d if noise == "isotropic" else 1
    assert p.contraction == pytest.approx((1 - p.lam * h) ** 2 + count * h * p.sigma**2)
    assert p.contraction == pytest.approx(factor)
    assert p.stable == (factor < 1) or abs(factor - 1) < 1e-14  # there rounding decides
    each = p.spread if noise == "isotropic" else p.spread / d
    assert p.alpha * p.sigma**2 * h * each == pytest.approx(step)  # CBO's own tau at that spread
    assert "contraction < 1" in str(p) and "-log(ess)" in str(p)


def test_a_temperature_asks_for_particles() -> None:
    p = odp.parameters(step=0.1, temperature=1e-5, gradient_scale=2.0, dimension=3)
    assert p.temperature == pytest.approx(1e-5, rel=1e-3) and p.temperature <= 1e-5
    warm = odp.parameters(step=0.1, temperature=10.0, gradient_scale=2.0, dimension=3, ess=0.25)
    assert warm.particles == 400  # a hundred effective samples
    wide = odp.parameters(step=0.1, particles=50, gradient_scale=2.0, dimension=3, spread=1e-3)
    assert not wide.stable and "does not contract" in str(wide)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ess": 1.0}, "between 0 and 1"),
        ({"step": -1.0}, "step must be a number more than 0"),
        ({"particles": 5, "temperature": 1.0}, "not both"),
        ({"noise": "constant"}, "vanishes at the consensus point"),
        ({"dimension": 0}, "whole number"),
    ],
)
def test_bad_parameters(more: dict[str, Any], message: str) -> None:
    given = {"step": 0.1, "gradient_scale": 1.0, "dimension": 2, **more}
    with pytest.raises(od.OdescentError, match=message):
        odp.parameters(**given)


# decay in mean square, the consensus point pinned at the minimizer


@pytest.mark.parametrize(
    ("d", "noise", "table"),
    [
        (2, "isotropic", 1.8013),
        (2, "anisotropic", 1.9056),
        (10, "isotropic", 0.9707),
        (10, "anisotropic", 1.9056),
    ],
)
def test_the_decay_rate_is_that_of_the_scheme(d: int, noise: str, table: float) -> None:
    """lam = 1, sigma = 0.32, h = 0.01: the exact rate of Euler-Maruyama (the table's figures), and many particles."""
    h, sigma = 0.01, 0.32
    ratio = odp.contraction(noise)
    values = {"h": h, "lam": 1.0, "sigma": sigma, "d": d}
    rate = -np.log(float(ratio.subs({p: values[p.name] for p in ratio.free_symbols}))) / h
    assert rate == pytest.approx(table, abs=6e-5)
    module = load(od.algorithm("cbo", noise=noise), "numpy")
    c = module.coefficients(h=h, alpha=1.0, lam=1.0, sigma=sigma)
    rng, steps = np.random.default_rng(5), 100
    many = 150_000 if (d, noise) == (10, "isotropic") else 50_000
    first = state = module.State(x=rng.normal(size=(many, d)))
    for _ in range(steps):
        state = module.step(state, lambda x, a: np.zeros(d), c, rng)
    fallen = np.log(np.sum(first.x**2) / np.sum(state.x**2))
    assert fallen / (steps * h) == pytest.approx(rate, rel=5e-3)


# the effective gradient


def smooth(z: Any) -> Any:
    return (
        jnp.log(jnp.cosh(z[0] - 0.3))
        + 0.5 * jnp.log(jnp.cosh(1.5 * (z[0] + z[1])))
        + 0.25 * z[1] ** 2
    )


SMOOTH = od.Objective("smooth", smooth)


def cloud(center: Any, width: Any, n: int, seed: int = 0) -> Any:
    """A symmetric cloud: every particle has its mirror image."""
    half = width * np.random.default_rng(seed).normal(size=(n // 2, 2))
    return np.concatenate([center + half, center - half])


@pytest.mark.parametrize("form", ["scalar", "diagonal", "matrix"])
def test_the_effective_gradient_by_numpy(form: str) -> None:
    rng, alpha = np.random.default_rng(1), 6.0
    x = 0.4 * rng.normal(size=(4, 60, 2)) + np.array([1.0, -0.7])
    e = odp.effective_gradient(x, SMOOTH, alpha=alpha, lam=3.0, h=0.25, form=form)
    values = np.array([[float(smooth(p)) for p in row] for row in x])
    w = softmax(-alpha * values, axis=1)
    at = np.einsum("kn,knd->kd", w, x)
    np.testing.assert_allclose(e.consensus, at, rtol=1e-12)
    np.testing.assert_allclose(e.ess, 1 / np.sum(w**2, axis=1), rtol=1e-12)
    for k in range(3):
        C = np.cov(x[k + 1].T)
        used = {
            "scalar": np.trace(C) / 2 * np.eye(2),
            "diagonal": np.diag(np.diag(C)),
            "matrix": C,
        }[form]
        g = np.array(
            [(float(smooth(at[k] + s)) - float(smooth(at[k] - s))) / 2e-5 for s in 1e-5 * np.eye(2)]
        )
        np.testing.assert_allclose(e.residual[k], at[k + 1] - at[k] + alpha * used @ g, atol=1e-8)
        error = np.sqrt(np.sum(w[k + 1][:, None] ** 2 * (x[k + 1] - at[k + 1]) ** 2))
        assert e.budget["monte_carlo"][k] == pytest.approx(error)
        off = np.linalg.norm(x[k].mean(0) - at[k])
        assert e.budget["relaxation"][k] == pytest.approx(0.25 * off)
        assert e.budget["noise"][k] == pytest.approx(np.sqrt(np.trace(C) / 2))
    np.testing.assert_allclose(sum(e.parts.values()), e.residual, atol=1e-13)
    assert e.temperature == pytest.approx(1 / (2 * alpha * 60)) and e.step.shape[0] == 3


def test_a_cloud_that_shrinks_is_gradient_descent() -> None:
    """What is not the gradient step falls as tau^2: its share of the step as tau."""
    alpha, m = 5.0, np.array([1.0, -0.7])
    shares, taus = [], []
    for width in (0.2, 0.1, 0.05):
        before = np.broadcast_to(m, (40_000, 2))  # everybody at m, so that x_0 = m
        e = odp.effective_gradient(np.stack([before, cloud(m, width, 40_000)]), SMOOTH, alpha=alpha)
        shares.append(e.share[0])
        taus.append(e.step[0])
    assert np.polyfit(np.log(taus), np.log(shares), 1)[0] == pytest.approx(1, abs=0.25)
    assert taus[-1] == pytest.approx(alpha * 0.05**2, rel=0.02) and shares[-1] < 0.05


def test_quadratic_and_gaussian_leave_the_curvature_alone() -> None:
    """On |z|^2/2 the hop is (1 + alpha C)^-1 x: by NumPy's solver; nearly nothing but curvature is in g_k."""
    alpha, s, x = 4.0, 0.1, np.array([2.0, -1.0])
    run = np.stack([np.broadcast_to(x, (200_000, 2)), cloud(x, s, 200_000)])
    e = odp.effective_gradient(run, lambda z: jnp.sum(z**2) / 2, alpha=alpha, form="matrix")
    tau, pull = alpha * s**2, alpha * np.cov(run[1].T)
    wanted = np.linalg.solve(np.eye(2) + pull, x) - x + pull @ x
    slack = (
        3 * alpha**3 * s**4 * np.sqrt(24 / 200_000) * np.linalg.norm(x) ** 3 / 6
    )  # of fourth moments
    np.testing.assert_allclose(e.residual[0], wanted, atol=slack)
    assert np.linalg.norm(e.parts["curvature"][0] - wanted) < slack < 0.15 * np.linalg.norm(wanted)
    assert e.budget["explicit"][0] == pytest.approx(tau**2 * np.linalg.norm(x), rel=0.02)
    assert e.budget["laplace"][0] == 0


def test_a_stalled_run_is_told_from_one_that_arrives() -> None:
    """Particles that contract at a point where the gradient is not small, and at the minimizer."""
    f = od.Objective("f", lambda z: jnp.sum(z**2) / 2)
    widths = 0.3 * 0.5 ** np.arange(20)
    stuck = np.stack([cloud(np.array([1.0, 0.5]), w, 40) for w in widths])
    found = odp.effective_gradient(stuck, f, alpha=10.0)
    assert found.stalled and "use more noise" in found.warning and found.warning in str(found)
    assert found.distance == pytest.approx(np.hypot(1, 0.5), rel=1e-3)
    there = np.stack([cloud(np.zeros(2), w, 40) for w in widths])
    assert not odp.effective_gradient(there, f, alpha=10.0).stalled
    steady = np.stack([cloud(np.array([1.0, 0.5]), 0.1, 40, seed=k) for k in range(20)])
    assert not odp.effective_gradient(steady, f, alpha=10.0).stalled


def test_a_run_of_cbo_that_collapses_too_early() -> None:
    """Little noise and small weights: it ends at a point that is not the minimizer 0."""
    f = od.Objective("valley", lambda z: (z[0] ** 2 + 4 * z[1] ** 2) / 2)
    x0 = np.array([2.0, -2.0]) + np.random.default_rng(0).normal(size=(50, 2))
    p = {"h": 0.1, "lam": 1.0, "alpha": 5.0}
    run = od.algorithm("cbo").run(f, x0, 120, jax.random.key(0), sigma=0.3, **p)
    e = odp.effective_gradient(run, f, **p)
    assert e.stalled and np.linalg.norm(e.consensus[-1]) > 0.5 and e.reach < 1e-3


def test_a_run_of_the_package_is_read_and_drawn() -> None:
    f, x0 = SMOOTH, np.random.default_rng(0).normal(1, 0.3, (400, 2))
    run = od.algorithm("consensus_hopping").run(f, x0, 25, jax.random.key(0), s=0.1, alpha=10.0)
    e = odp.effective_gradient(run, f, alpha=10.0)
    assert not e.stalled and e.warning == "" and np.median(e.share) < 1.5
    np.testing.assert_allclose(e.step, 0.1, rtol=0.3)  # tau = alpha s^2
    ax = e.plot()
    assert len(ax.lines) == 5 and ax.get_yscale() == "log"


def test_a_run_of_the_engine_is_read_by_its_records() -> None:
    """The scalar form needs the consensus points and the spreads alone; on hopping the step is alpha s^2."""
    x0 = np.random.default_rng(0).normal(1, 0.3, (2, 400))
    run = odp.simulate(
        od.algorithm("consensus_hopping"), SMOOTH, x0, 20, params={"s": 0.1, "alpha": 10.0}, runs=2
    )
    e = odp.effective_gradient(run, SMOOTH, alpha=10.0, index=1)
    np.testing.assert_allclose(e.consensus, run.consensus[1])
    np.testing.assert_allclose(e.step, 0.1, rtol=0.3)
    assert e.temperature == pytest.approx(1 / 8000) and e.parts == {} and "20 steps" in str(e)
    with pytest.raises(od.OdescentError, match="scalar form"):
        odp.effective_gradient(run, SMOOTH, alpha=10.0, form="matrix")


@pytest.mark.parametrize(
    ("particles", "options", "message"),
    [
        (np.zeros((5, 2)), {}, "shape"),
        (np.zeros((3, 4, 2)), {"alpha": 0.0}, "more than 0"),
        (
            np.zeros((3, 4, 2)),
            {"objective": lambda z: float(np.sum(np.asarray(z)))},
            "not written in JAX",
        ),
        (np.zeros((3, 4, 2)), {"form": "vector"}, "did you mean|form"),
    ],
)
def test_bad_runs(particles: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(od.OdescentError, match=message):
        odp.effective_gradient(particles, **{"objective": smooth, "alpha": 1.0, **options})


# passage times


def test_passages_take_objectives_with_constants_and_refuse_unknown_parameters() -> None:
    descent = od.algorithm("gradient_descent", step=0.5)
    f = od.Objective("f", lambda x: jnp.sum(x**2) / 2, mu=1, L=1)
    given = {"steps": 9, "runs": 2, "key": 0}
    found = odp.first_passage(descent, f, [1.0], lambda x: x[0] < 0.2, **given)
    assert found.steps.tolist() == [3, 3]
    with pytest.raises(od.OdescentError, match="called 'alfa'"):
        odp.first_passage(descent, f, [1.0], lambda x: x[0] < 0.2, **given, alfa=2.0)


def test_the_mean_passage_time_of_known_potentials() -> None:
    """U = z^2/2 at beta = 1, from 0 to 1: the integral of e^(y^2/2) sqrt(2 pi) Phi(y), in forty digits."""
    with mp.workdps(45):
        wanted = mp.quad(lambda y: mp.exp(y**2 / 2) * mp.sqrt(2 * mp.pi) * mp.ncdf(y), [0, 1])
        exact = odp.mean_passage_time(lambda z: z**2 / 2, 0, 1, 1, 40)
        assert abs(exact - wanted) < mp.mpf(10) ** -39
        mirror = odp.mean_passage_time(lambda z: (z - 3) ** 2 / 2, 3, 2, 1, 40)
        assert abs(mirror - wanted) < mp.mpf(10) ** -39


def test_it_against_quadrature_by_scipy() -> None:
    from scipy import integrate

    beta, U = 2.5, lambda z: (z * z - 1) ** 2 + 0.2 * z
    inner = lambda y: integrate.quad(lambda z: np.exp(-beta * U(z)), -6, y, epsabs=1e-12)[0]
    wanted = beta * integrate.quad(lambda y: np.exp(beta * U(y)) * inner(y), -1, 1, epsabs=1e-10)[0]
    assert float(odp.mean_passage_time(U, -1, 1, beta)) == pytest.approx(wanted, rel=1e-8)


def test_eyring_and_kramers_are_the_limit() -> None:
    """Relative error of order 1/beta: halved as beta doubles; 12 % at beta = 4 on this double well."""
    f, gaps = od.Objective("well", WELL), []
    for beta in (4, 8, 16):
        exact = float(odp.mean_passage_time(lambda z: (z * z - 1) ** 2, -1, 1, beta))
        gaps.append(1 - odp.eyring_kramers(f, [-1.0], [0.0], beta) / exact)
    assert gaps[0] == pytest.approx(0.12, abs=0.01)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.12)


def test_eyring_and_kramers_in_the_plane() -> None:
    """A second coordinate with the curvature 9 at the saddle and 4 at the minimum multiplies by sqrt(9/4)."""
    line = od.Objective("line", WELL)
    plane = od.Objective(
        "plane", lambda z: (z[0] ** 2 - 1) ** 2 + z[1] ** 2 * (9 - 5 * z[0] ** 2) / 2
    )
    ratio = odp.eyring_kramers(plane, [-1.0, 0.0], [0.0, 0.0], 3.0) / odp.eyring_kramers(
        line, [-1.0], [0.0], 3.0
    )
    assert ratio == pytest.approx(1.5)
    with pytest.raises(od.OdescentError, match="of which one is negative"):
        odp.eyring_kramers(plane, [0.0, 0.0], [0.0, 0.0], 3.0)


def test_a_potential_that_does_not_confine_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="confining"):
        odp.mean_passage_time(lambda z: -z, 0, -5, 1)


def test_the_passage_of_langevin_dynamics() -> None:
    """Simulated by the package's step at beta = 2, against the exact mean; 4 standard errors and the step's bias."""
    beta, h = 2.0, 0.004
    f = od.Objective("cold", lambda z: beta * WELL(z))
    found = odp.first_passage(
        od.algorithm("unadjusted_langevin"), f, [-1.0], lambda z: z[0] > 1,
        steps=100_000, runs=300, key=jax.random.key(3), h=h / beta,
    )  # fmt: skip
    exact = float(odp.mean_passage_time(lambda z: (z * z - 1) ** 2, -1, 1, beta))
    assert found.arrived == 300 and found.error == pytest.approx(found.mean / np.sqrt(300))
    assert abs(found.mean * h - exact) < 4 * found.error * h + 0.02 * exact
    short = odp.first_passage(
        od.algorithm("unadjusted_langevin"), f, [-1.0], lambda z: z[0] > 1,
        steps=400, runs=300, key=jax.random.key(3), h=h / beta,
    )  # fmt: skip
    assert 0 < short.arrived < 300 and set(short.steps[found.steps > 400]) == {-1}
    np.testing.assert_array_equal(short.steps[found.steps <= 400], found.steps[found.steps <= 400])
    made = np.where(found.steps <= 400, found.steps, 400).sum()
    assert short.mean == pytest.approx(made / short.arrived)  # the runs that are cut count too


def test_the_passage_of_consensus_hopping() -> None:
    """beta = 2 alpha (N - 1), time tau (1 - 1/N) a step, and the well as hops of width s see it: U + s^2 U''/2."""
    N, beta, s = 5, 2.0, 0.12
    alpha = beta / (2 * (N - 1))
    pace = alpha * s**2 * (1 - 1 / N)
    found = odp.first_passage(
        od.algorithm("consensus_hopping"), od.Objective("well", WELL), -np.ones((N, 1)), lambda z: z[0] > 1,
        steps=60_000, runs=250, key=jax.random.key(0), alpha=alpha, s=s,
    )  # fmt: skip
    seen = lambda z: (z * z - 1) ** 2 + s**2 / 2 * (12 * z * z - 4)
    exact = float(odp.mean_passage_time(seen, -1, 1, beta))
    assert abs(found.mean * pace - exact) < 4 * found.error * pace + 0.03 * exact


# basins


def test_probabilities_of_basins_of_a_random_walk() -> None:
    """Gradient descent on a double well: the sign of the start, with certainty; Wilson's interval of 20 of 20."""
    starts = np.array([[-0.5], [0.7]])
    found = odp.reach_probabilities(
        od.algorithm("gradient_descent"), od.Objective("well", WELL, L=16), starts, [[-1.0], [1.0]],
        radius=0.1, steps=200, runs=20, key=jax.random.key(0),
    )  # fmt: skip
    np.testing.assert_array_equal(found.counts, [[20, 0, 0], [0, 20, 0]])
    assert found.low[0, 0] == pytest.approx(1 / (1 + 1.959964**2 / 20), abs=1e-6)  # n / (n + z^2)
    assert found.high[0, 1] == pytest.approx(1 - found.low[0, 0])


def test_probabilities_of_basins_of_langevin_dynamics_by_the_committor() -> None:
    """From z0 to +1 before -1: q = int_-1^z0 e^(beta U) / int_-1^1 e^(beta U), where the well is cold below."""
    from scipy import integrate

    beta, z0 = 6.0, 0.1
    weight = lambda z: np.exp(beta * (z * z - 1) ** 2)
    q = integrate.quad(weight, -1, z0)[0] / integrate.quad(weight, -1, 1)[0]
    found = odp.reach_probabilities(
        od.algorithm("unadjusted_langevin"), od.Objective("cold", lambda z: beta * WELL(z)), [[z0]], [[-1.0], [1.0]],
        radius=0.9, steps=600, runs=600, key=jax.random.key(1), h=0.005 / beta,
    )  # fmt: skip
    assert found.low[0, 1] - 0.02 < q < found.high[0, 1] + 0.02 and found.counts[0, 2] < 10


def test_the_canyon_is_crossed_by_cbo_and_not_by_narrow_hops() -> None:
    """The setting of figure 1(b): all but a few of 60 runs of CBO, no run of hopping with s = 0.4."""
    f, common = od.objective("grand_canyon"), {"radius": 0.25, "runs": 60, "key": jax.random.key(0)}
    cbo = odp.reach_probabilities(
        od.algorithm("cbo"), f, [[8.0, 8.0]], [[0.0, 0.0]], steps=250, particles=200, spread=0.5,
        h=0.01, lam=1.0, sigma=1.6, alpha=100.0, **common,
    )  # fmt: skip
    assert cbo.share[0, 0] >= 0.95
    down = odp.reach_probabilities(
        od.algorithm("consensus_hopping"), f, [[8.0, 8.0]], [[0.0, 0.0]],
        steps=250, particles=200, spread=0.4, s=0.4, alpha=100.0, **common,
    )  # fmt: skip
    assert down.share[0, 0] <= 0.05


def test_ensembles_need_particles() -> None:
    with pytest.raises(od.OdescentError, match="give particles="):
        odp.reach_probabilities(
            od.algorithm("consensus_hopping"), od.Objective("well", WELL), [[0.0]], [[1.0]],
            radius=0.1, steps=2, runs=2, key=jax.random.key(0), s=0.1, alpha=1.0,
        )  # fmt: skip


def test_the_formulas_are_of_the_symbolic_layer() -> None:
    h, lam, sigma, d = sp.symbols("h lam sigma d", positive=True)
    assert sp.expand(odp.contraction("isotropic") - (1 - lam * h) ** 2 - d * h * sigma**2) == 0
    assert sp.expand(odp.contraction("anisotropic") - (1 - lam * h) ** 2 - h * sigma**2) == 0
