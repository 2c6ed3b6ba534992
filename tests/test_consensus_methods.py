"""Consensus-based optimization, freezing and hopping against loops as the papers and their code write them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emitted_runs import ensembles, run_jax, run_numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.library import REGISTRY

F: Any = lambda x: np.sum(x**2 + 2.5 * (1 - np.cos(2 * np.pi * x)), axis=-1)
G: Any = lambda x: 2 * x + 5 * np.pi * np.sin(2 * np.pi * x)
SETTINGS = {"h": 0.05, "lam": 1.2, "sigma": 0.9, "alpha": 40.0}
OWN = {"lam_own": 0.4, "sigma_own": 0.3}
START = np.random.default_rng(3).normal(0.5, 1.5, size=(7, 2))


class Rows:
    """A generator that gives the same normals to the loop and to the emitted code."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(11)

    def standard_normal(self, shape: Any = ()) -> Any:
        return self.rng.standard_normal(shape)


def point(x: Any, alpha: float) -> Any:
    """compute_valpha.m, by SciPy's softmax."""
    return softmax(-alpha * F(x)) @ x


def emitted(algorithm: od.Algorithm, steps: int, **parameters: float) -> Any:
    import inspect

    module = load(algorithm, "numpy")
    oracles = {"ensemble": point, "value": F, "grad": G}
    takes = inspect.signature(module.run).parameters
    given = {n: f for n, f in oracles.items() if n in takes}
    return module.run(**given, x0=START, steps=steps, rng=Rows(), **parameters)


def length(z: Any) -> Any:
    return np.linalg.norm(z, axis=1, keepdims=True)


AMPLITUDES: dict[str, Any] = {
    "isotropic": lambda z, M: length(z),
    "anisotropic": lambda z, M: z,
    "truncated isotropic": lambda z, M: np.minimum(length(z), M),
    "truncated anisotropic": lambda z, M: np.minimum(np.abs(z), M),
    "constant": lambda z, M: np.ones_like(z),
}


@pytest.mark.parametrize("noise", AMPLITUDES)
@pytest.mark.parametrize("late", [False, True])
def test_cbo_is_the_loop_of_the_papers(noise: str, late: bool) -> None:
    """CBO_update.m: late, V is moved by the drift before its line of noise, with m of before."""
    if late and noise == "constant":
        with pytest.raises(od.OdescentError, match="grows with the distance"):
            od.algorithm("cbo", noise="constant", noise_after_drift=True)
        return
    truncated, M = noise.startswith("truncated"), 0.4
    p = SETTINGS | ({"M": M} if truncated else {})
    made = od.algorithm("cbo", noise=noise.split()[-1], truncated=truncated, noise_after_drift=late)
    found = emitted(made, 30, **p)
    x, rng, amplitude = START.copy(), Rows(), AMPLITUDES[noise]
    for k in range(31):
        np.testing.assert_allclose(found[k], x, rtol=1e-11, atol=1e-12)
        m = point(x, p["alpha"])
        moved = x - p["lam"] * p["h"] * (x - m)
        size = amplitude((moved if late else x) - m, M)
        x = moved + p["sigma"] * np.sqrt(p["h"]) * size * rng.standard_normal(x.shape)


@pytest.mark.parametrize("memory", ["hard", "smooth"])
def test_memory_and_gradient_are_the_loop_of_the_paper(memory: str) -> None:
    """CBOmemorygradient_update.m; the hard memory takes the better place."""
    p = {**SETTINGS, **OWN, "gamma": 0.02}
    p |= {"kappa": 3.0, "beta": 6.0} if memory == "smooth" else {}
    found = emitted(od.algorithm("cbo", memory=memory, gradient=True), 30, **p)
    x, y, rng, root = START.copy(), START.copy(), Rows(), np.sqrt(p["h"])
    for k in range(31):
        np.testing.assert_allclose(found[k], x, rtol=1e-10, atol=1e-11)
        m = point(y, p["alpha"])
        xi, zeta = rng.standard_normal(x.shape), rng.standard_normal(x.shape)
        drift = p["lam"] * (x - m) + p["lam_own"] * (x - y) + p["gamma"] * G(x)
        kick = p["sigma"] * length(x - m) * xi + p["sigma_own"] * length(x - y) * zeta
        x = x - p["h"] * drift + root * kick
        if memory == "hard":
            y = np.where((F(x) < F(y))[:, None], x, y)
        else:
            share = (1 + np.tanh(p["beta"] * (F(y) - F(x)))[:, None]) / 2
            y = y + p["kappa"] * p["h"] * (x - y) * share


def test_hopping_is_the_loop_of_the_paper() -> None:
    """CH.m: V_i ~ N(x_k, s^2 I) and x_k+1 = m(V); here V is the state."""
    made = od.algorithm("consensus_hopping")
    assert [p.name for p in made.parameters] == ["alpha", "s"]
    found = emitted(made, 30, alpha=40.0, s=0.5)
    at, rng = point(START, 40.0), Rows()
    for k in range(1, 31):
        v = at + 0.5 * rng.standard_normal(START.shape)
        np.testing.assert_allclose(found[k], v, rtol=1e-11, atol=1e-12)
        at = point(v, 40.0)


def test_freezing_has_the_transition_of_an_ornstein_uhlenbeck_process() -> None:
    """Given m: mean m + e^(-lam h) (x - m), variance sigma^2 (1 - e^(-2 lam h)) / (2 lam)."""
    p = {"h": 0.7, "lam": 1.3, "sigma": 0.8}
    module = load(od.algorithm("consensus_freezing"), "numpy")
    ends = []
    for kick in (0.0, 1.0):
        draw = type(
            "One", (), {"standard_normal": lambda self, shape=(), kick=kick: np.full(shape, kick)}
        )()
        ends.append(module.run(point, START, 1, alpha=40.0, **p, rng=draw)[1])
    m, shrink = point(START, 40.0), np.exp(-p["lam"] * p["h"])
    np.testing.assert_allclose(ends[0], m + shrink * (START - m), rtol=1e-12)
    spread = p["sigma"] * np.sqrt((1 - shrink**2) / (2 * p["lam"]))
    np.testing.assert_allclose(ends[1] - ends[0], spread, rtol=1e-12)


def test_freezing_for_ever_is_hopping() -> None:
    """lam h -> infinity: nothing of the old place is left, and s = sigma / sqrt(2 lam)."""
    c = load(od.algorithm("consensus_freezing"), "numpy").coefficients(
        h=1e4, alpha=1.0, lam=0.5, sigma=3.0
    )
    assert (c.c_m, c.beta) == (1.0, 0.0) and c.c_xi == pytest.approx(3.0, rel=1e-15)


VARIANTS: list[dict[str, Any]] = [
    {"noise": "anisotropic", "truncated": True, "noise_after_drift": True},
    {"memory": "hard"},
    {"memory": "smooth", "noise": "anisotropic", "gradient": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_numpy_and_jax_agree_on_the_variants(options: dict[str, Any]) -> None:
    made = od.algorithm("cbo", **options)
    np.testing.assert_allclose(run_jax(made, 20), run_numpy(made, 20), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", ["optax", "torch"])
def test_others_refuse_populations(target: str) -> None:
    with pytest.raises(od.NotCarried, match="many particles that meet in a consensus point"):
        od.algorithm("cbo").source(target)


def test_emitted_jax_takes_pytrees_of_particles() -> None:
    """The same run on leaves of different shapes; inner products are over all leaves of a particle."""
    module = load(od.algorithm("cbo"), "jax")
    c = module.coefficients(h=0.1, alpha=3.0, lam=1.0, sigma=0.5)
    flat = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5)))
    tree = {"a": flat[:, 0], "b": flat[:, 1:].reshape(4, 2, 2)}
    state = module.State(x=tree)
    mean = lambda t, alpha: jax.tree.map(lambda leaf: leaf.mean(0), t)
    key = jax.random.key(0)
    moved = module.step(state, mean, c, key).x
    gap = np.asarray(flat - flat.mean(0)[None])
    size = np.linalg.norm(gap, axis=1)
    keys = jax.random.split(key, 2)
    xi = [np.asarray(jax.random.normal(k, s)) for k, s in zip(keys, [(4,), (4, 2, 2)], strict=True)]
    kick = 0.5 * np.sqrt(0.1)
    np.testing.assert_allclose(moved["a"], flat[:, 0] - 0.1 * gap[:, 0] + kick * size * xi[0])
    wanted = (
        np.asarray(tree["b"])
        - 0.1 * gap[:, 1:].reshape(4, 2, 2)
        + kick * size[:, None, None] * xi[1]
    )
    np.testing.assert_allclose(moved["b"], wanted)


# runs on an objective given only by values


def test_a_run_needs_values_only_and_finds_the_least() -> None:
    f = od.Objective(
        "rastrigin_mild", lambda z: jnp.sum(z**2 + 2.5 * (1 - jnp.cos(2 * jnp.pi * z)))
    )
    x0 = np.random.default_rng(0).normal(2, 2, size=(100, 2))
    p = {"h": 0.02, "lam": 1.0, "sigma": 1.0, "alpha": 1e3}
    run = od.algorithm("cbo", noise="anisotropic").run(f, x0, 300, jax.random.key(1), **p)
    assert run.x.shape == (301, 100, 2) and run.f.shape == (301, 100)
    assert np.linalg.norm(f.ensemble(run.x[-1], 1e3)) < 0.1
    with pytest.raises(od.OdescentError, match=r"shape \(N, 2\), N particles"):
        od.algorithm("cbo").run(od.objective("rastrigin"), np.zeros(2), 3, jax.random.key(0), **p)


def test_particles_without_a_value_do_not_stop_a_run() -> None:
    """They have no weight; a run ends where no particle has a finite value."""
    x0 = np.array([[0.5], [-0.4], [1.2], [-2.0]])
    p = {"h": 0.1, "lam": 1.0, "sigma": 0.3, "alpha": 5.0}
    half = od.Objective("half", lambda z: jnp.where(z[0] > 0, jnp.inf, z[0] ** 2))
    run = od.algorithm("cbo").run(half, x0, 10, jax.random.key(0), **p)
    assert run.diverged_at is None and np.all(np.isfinite(run.x)) and np.isinf(run.f[0]).sum() == 2
    nowhere = od.Objective("nowhere", lambda z: jnp.nan * z[0])
    with pytest.raises(od.OdescentError, match="not finite at x0"):
        od.algorithm("cbo").run(nowhere, x0, 3, jax.random.key(0), **p)


def test_noise_far_from_the_origin_does_not_cancel() -> None:
    """|x - m| where x and m agree in 12 digits: by differences, not by |x|^2 - 2 <x, m> + |m|^2."""
    f = od.Objective("far", lambda z: jnp.sum((z - 1e3) ** 2))
    x0 = 1e3 + 1e-9 * np.random.default_rng(0).normal(size=(50, 2))
    p = {"h": 0.01, "lam": 1.0, "sigma": 1.0, "alpha": 1.0}
    run = od.algorithm("cbo").run(f, x0, 1, jax.random.key(0), **p)
    gap = np.linalg.norm(x0 - x0.mean(0), axis=1)
    moved = np.linalg.norm(np.asarray(run.x[1]) - x0, axis=1)
    assert 0.3 < np.median(moved / (0.1 * gap)) < 3 and np.all(np.isfinite(run.x))


# the consensus point as numbers


BOWLS = {c: od.Objective("bowl", lambda z, c=c: jnp.sum(z**2) + c) for c in (0.0, 1e6, -1e6)}


@settings(max_examples=20)
@given(
    st.lists(st.floats(-5, 5), min_size=6, max_size=6, unique=True),
    st.floats(-2, 15), st.sampled_from(sorted(BOWLS)),
)  # fmt: skip
def test_the_point_against_scipy(xs: list[float], power: float, offset: float) -> None:
    """alpha up to 1e15, values offset by 1e6: exp(-alpha f) over its sum, by SciPy's log-sum-exp."""
    x, alpha = np.array(xs)[:, None], 10.0**power
    values = np.sum(x**2, axis=1) + offset
    weight = np.exp(-alpha * (values - values.min()) - logsumexp(-alpha * (values - values.min())))
    np.testing.assert_allclose(BOWLS[offset].ensemble(x, alpha), weight @ x, rtol=1e-9, atol=1e-12)


def test_particles_without_a_finite_value_have_no_weight() -> None:
    f = od.Objective(
        "f", lambda z: jnp.where(z[0] > 1, jnp.nan, jnp.where(z[0] < -1, -jnp.inf, z[0] ** 2))
    )
    x = np.array([[0.5], [2.0], [-3.0], [-0.5]])
    np.testing.assert_allclose(f.ensemble(x, 7.0), [0.0], atol=1e-15)


def test_oracles_for_many_particles_are_consistent_with_each_other() -> None:
    """The test's own consensus point against SciPy's."""
    known, x = ensembles(np)
    np.testing.assert_allclose(known["ensemble"](x, 0.7), softmax(-0.7 * known["value"](x)) @ x)


@pytest.mark.parametrize("memory", ["hard", "smooth"])
def test_a_method_can_be_derived_twice(memory: str) -> None:
    first, again = (REGISTRY.build("cbo", memory=memory) for _ in range(2))
    assert str(first.program) == str(again.program)
