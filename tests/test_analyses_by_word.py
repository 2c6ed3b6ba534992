"""Analyses take parameters by the names that `run` takes: words such as step and momentum, and what a tuning sets."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

A = od.analysis
WELLS = od.Objective("wells", lambda x: jnp.sum((x**2 - 1) ** 2) + 0.1 * x[0])
STEPS = [0.02, 0.1]
START = {"x0": (-1, 1, 4)}


# What is found with parameters by name, of a method and the values; it has to be that of the method with the values.
ONE: dict[str, Callable[[Any, Any], Any]] = {
    "run": lambda m, p: m.run(WELLS, [0.5], 3, **p).x,
    "batch": lambda m, p: A.batch(m, WELLS, axes={"x0": [0.2, 0.5]}, steps=3, parameters=p).values["x"],
    "basins": lambda m, p: A.basins(m, WELLS, axes=START, parameters=p).steps,
    "lyapunov": lambda m, p: A.lyapunov(m, WELLS, x0=[0.5], steps=60, parameters=p).exponents,
    "cobweb": lambda m, p: A.cobweb(m, WELLS, x0=[0.5], parameters=p).orbit,
    "recurrences": lambda m, p: A.recurrences(m, WELLS, x0=[0.5], states=9, parameters=p).near,
    "space_portrait": lambda m, p: A.space_portrait(m, WELLS, x0=[[0.5, 0.1, 0.2]], steps=5, parameters=p).orbits,
    "edge_state": lambda m, p: A.edge_state(m, WELLS, between=([-1.0], [1.0]), parameters=p).points,
    "resilience": lambda m, p: A.resilience(m, WELLS, at=[1.0], key=jax.random.key(0), parameters=p).distance,
    "convergence": lambda m, p: A.convergence(m, WELLS, [0.5], 4, parameters=p, fit_order=False).gap,
    "first_passage": lambda m, p: od.particles.first_passage(
        m, WELLS, [0.5], lambda x: x[0] > 0.9, steps=99, runs=1, key=0, **p).steps,
}  # fmt: skip


@pytest.mark.parametrize("word", ["h", "step", "lr"])
@pytest.mark.parametrize("name", ONE)
def test_a_value_by_name_is_that_of_the_bound_method(name: str, word: str) -> None:
    found = ONE[name](od.algorithm("gradient_descent"), {word: 0.05})
    bound = ONE[name](od.algorithm("gradient_descent", step=0.05), {})
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(bound, float), rtol=1e-9)


# What is found over a parameter of a method
OVER: dict[str, Callable[[Any, str], Any]] = {
    "batch": lambda m, n: A.batch(m, WELLS, axes={n: STEPS}, start=[0.5], steps=3).values["x"],
    "basins": lambda m, n: A.basins(m, WELLS, axes={n: STEPS, **START}).steps,
    "basin_shares": lambda m, n: A.basin_shares(
        m, WELLS, parameter=n, values=STEPS, axes={"x0": (-1, 1)}, samples=9, key=jax.random.key(0)).labels,
    "lyapunov": lambda m, n: A.lyapunov(m, WELLS, x0=[0.5], steps=60, parameters={n: STEPS}).exponents,
    "bifurcation": lambda m, n: A.bifurcation(
        m, WELLS, parameter=n, values=(0.05, 0.3, 12), start=[0.5]).points,
    "continuation": lambda m, n: A.continuation(
        m, WELLS, parameter=n, interval=(0.05, 0.3), x0=[1.0]).special[0].value,
}  # fmt: skip
ETA = od.parameters("eta")


@pytest.mark.parametrize("name", OVER)
def test_what_is_varied_by_name_is_the_parameter_that_a_symbol_names(name: str) -> None:
    symbol = OVER[name](od.algorithm("gradient_descent", step=ETA), "eta")
    for word in ("h", "step", "lr"):
        found = OVER[name](od.algorithm("gradient_descent"), word)
        np.testing.assert_allclose(np.asarray(found), np.asarray(symbol), rtol=1e-9)


def test_a_boundary_over_words_is_that_over_symbols() -> None:
    rate, beta = od.parameters("rate beta")
    ball = od.algorithm("heavy_ball", lr=rate, momentum=beta)
    symbols = A.stability_boundary(ball, over={"rate": (0.1, 4.0), "beta": (0.01, 0.9)})
    words = A.stability_boundary(
        od.algorithm("heavy_ball"), over={"lr": (0.1, 4.0), "momentum": (0.01, 0.9)}
    )
    for kind, edge in symbols.edges.items():
        again = edge.subs({rate: od.parameters("lr"), beta: od.parameters("momentum")})
        assert str(words.edges[kind]) == str(again)  # of other assumptions


def test_particles_take_words() -> None:
    square, start = od.Objective("q", lambda x: jnp.sum(x**2)), np.ones((2, 9)) * np.arange(9)
    given = {"lam": 1.0, "sigma": 0.1, "alpha": 5.0}
    ends = [
        od.particles.simulate(od.algorithm("cbo"), square, start, 3, params={word: 0.1, **given}).particles["x"]
        for word in ("h", "step")
    ]  # fmt: skip
    np.testing.assert_array_equal(*ends)
    least = [
        od.particles.minimize(square, np.ones(2), steps=9, seed=0, params={word: 0.05}).x
        for word in ("h", "dt")
    ]
    np.testing.assert_array_equal(*least)


def test_spectra_take_words() -> None:
    descent, ball = od.algorithm("gradient_descent"), od.algorithm("heavy_ball")
    found = A.spectrum(descent, 1, 10, parameters={"step": 0.1})
    assert found.rate == pytest.approx(A.spectrum(descent, 1, 10, parameters={"h": 0.1}).rate)
    best = A.spectrum(descent, 1, 10, tune={"lr": (0.01, 0.3)}).tuned
    assert best["lr"] == pytest.approx(2 / 11, rel=1e-4)
    both = A.spectrum(ball, 1, 9, tune={"lr": (0.01, 0.6), "momentum": (0.0, 0.9)})
    # Polyak's: 4 / (sqrt(mu) + sqrt(L))^2 and ((sqrt(L) - sqrt(mu)) / (sqrt(L) + sqrt(mu)))^2
    assert both.tuned["lr"] == pytest.approx(1 / 4, rel=1e-2)
    assert both.tuned["momentum"] == pytest.approx(1 / 4, rel=2e-2)
    locus = A.spectrum(descent, 1, 10, against="step", values=(0.05, 0.2, 4)).locus
    again = A.spectrum(descent, 1, 10, against="h", values=(0.05, 0.2, 4)).locus
    assert locus is not None and again is not None
    np.testing.assert_allclose(locus.eigenvalues, again.eigenvalues)


def test_names_that_say_the_same_or_have_no_effect_are_refused() -> None:
    descent = od.algorithm("gradient_descent")
    for parameters, sentence in (
        ({"step": 0.1, "lr": 0.1}, "both set the parameter h"),
        ({"step": 0.1, "L": 2.0}, "does not depend on L once step is given"),
        ({"momentum": 0.1}, "called 'momentum'"),
    ):
        with pytest.raises(od.OdescentError, match=sentence):
            A.lyapunov(descent, WELLS, x0=[0.5], steps=9, parameters=parameters)
