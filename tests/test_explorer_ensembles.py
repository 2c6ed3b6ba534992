"""The explorer's ensembles against the particle engine, runs of single paths, and laws in closed form."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

import odescent as od
from odescent._explorer import Choice, certified, options, page, schemes, view
from odescent._explorer.choice import MODE, OWN, PLANE, algorithm
from odescent._explorer.model import model
from odescent._explorer.modes import held
from odescent.cli import app
from odescent.particles import gaussian_start, simulate


def model_draws(method: str) -> bool:
    named = od.algorithm(method) if method in od.algorithms() else od.system(method)
    system = getattr(named, "system", named)
    return any(f.noise for f in system.fields.values())


# Known when tests are collected: to construct all methods takes seconds.
DRAWING = (
    "aboba",
    "annealed_langevin",
    "baoab",
    "cbo",
    "consensus_freezing",
    "consensus_hopping",
    "jump_cbo",
    "langevin_splitting",
    "leimkuhler_matthews",
    "mirror_cbo",
    "obabo",
    "polar_cbo",
    "sgd",
    "sgld",
    "stochastic_theta",
    "unadjusted_langevin",
    "underdamped_exact",
    "underdamped_langevin",
)
SYSTEMS = ("overdamped_langevin", "stochastic_gradient_flow", "stochastic_gradient_langevin")
SVG = "{http://www.w3.org/2000/svg}"
CONSENSUS = {"alpha": 20.0, "h": 0.05, "lam": 1.0, "sigma": 0.9}
PARTICLES = Choice("cbo", objective="rastrigin", values=CONSENSUS, x0=(2.0, -1.0), steps=30)


def test_particles_are_those_of_the_engine_for_any_number_and_nothing_is_compiled_again():
    f = od.objective("rastrigin")
    for n, width, seed in ((25, 1.0, 3), (100, 0.3, 0)):
        seen = view(replace(PARTICLES, paths=n, width=width, seed=seed)).ensemble
        start = gaussian_start((2.0, -1.0), width, n)
        done = simulate(od.algorithm("cbo"), f, start, 30, params=CONSENSUS, seed=seed)
        assert seen.paths.shape == (n, 31, 2)
        np.testing.assert_allclose(seen.center, done.consensus[0], atol=1e-9)
        np.testing.assert_allclose(seen.paths[:, -1], done.particles["x"][0].T, atol=1e-9)
        np.testing.assert_allclose(seen.spread() ** 2, 2 * done.records.spread[0], atol=1e-9)
    assert model("cbo", OWN, True, "rastrigin")._track._cache_size() == 1


def test_a_path_with_noise_is_a_run_and_more_paths_leave_it_as_it_is():
    choice = Choice(
        "sgd",
        objective=PLANE,
        values={"mu": 1.0, "L": 4.0, "h": 0.2, "sigma": 0.6},
        steps=12,
        seed=5,
    )
    seen = view(choice)
    plane = od.Objective("plane", lambda x: (x[0] ** 2 + 4 * x[1] ** 2) / 2, dimension=2)
    run = od.algorithm("sgd").run(plane, np.ones(2), 12, 5, h=0.2, sigma=0.6)
    np.testing.assert_allclose(seen.iterates, run.x, atol=1e-12)
    np.testing.assert_allclose(seen.ensemble.values[0], run.f, atol=1e-12)
    fewer, noisier = view(replace(choice, paths=7)), view(replace(choice, seed=6))
    np.testing.assert_array_equal(fewer.ensemble.paths, seen.ensemble.paths[:7])
    assert (np.abs(noisier.ensemble.paths - seen.ensemble.paths)[:, 1:] > 0).all()


@pytest.mark.parametrize("scheme", ["explicit_euler", "implicit_euler"])
def test_the_paths_of_a_system_with_noise_have_the_law_of_its_scheme(scheme: str):
    h, lam, n = 0.2, 1.5, 100
    seen = view(
        Choice(
            "overdamped_langevin",
            scheme,
            values={"h": h},
            curvature=lam,
            x0=(2.0, 0.0),
            steps=20,
            paths=n,
        )
    )
    keep = 1 - h * lam if scheme == "explicit_euler" else 1 / (1 + h * lam)
    step = 2 * h * (1 if scheme == "explicit_euler" else keep**2)
    k = np.arange(21)
    mean, variance = 2 * keep**k, step * (1 - keep ** (2 * k)) / (1 - keep**2)
    x = seen.ensemble.paths[..., 1]
    off = (x.mean(0) - mean)[1:] / np.sqrt(variance[1:] / n)
    assert np.abs(off).max() < 5  # standard errors
    assert np.abs(seen.ensemble.spread()[1:] ** 2 / variance[1:] - 1).max() < 5 * np.sqrt(2 / n)
    np.testing.assert_allclose(seen.flow[:, 1], 2 * np.exp(-lam * seen.flow[:, 0]), atol=1e-9)
    np.testing.assert_allclose(seen.gap, lam * np.square(x).mean(0) / 2)


def test_the_picture_has_the_particles_where_they_are_and_says_what_is_what():
    seen = view(replace(PARTICLES, paths=60))
    root = ElementTree.fromstring(seen.picture)
    groups = [g.findall(SVG + "circle") for g in root.iter(SVG + "g")]
    [last] = [g for g in groups if len(g) == 60 and g[0].get("r") == "3.4"]
    at = np.array([[float(c.get("cx")), float(c.get("cy"))] for c in last])
    (left, right), (bottom, top) = seen.window
    size = np.array([right - left, top - bottom])
    back = [left, top] + (at - [62, 42]) / [600, -500] * size
    assert (np.abs(back - seen.ensemble.paths[:, -1]) < size / 500).all()
    titles = ["".join(t.itertext()) for t in root.iter(SVG + "text") if t.get("class") == "title"]
    assert titles == [
        "60 particles and their consensus point",
        "modal radius over the curvatures",
        "distance from the consensus point, root mean square",
        "gap f(xk) − min f: mean, 10–90 %, consensus",
    ]
    assert "one path</tspan></text>" in view(Choice("sgd", paths=1)).picture
    noisy = view(Choice("unadjusted_langevin", paths=9))
    assert "their <tspan" in noisy.picture
    assert "flow</tspan> without noise" in noisy.picture
    assert noisy.notes == ()
    assert noisy.rate == pytest.approx(0.9)  # 1 - h mu, of the mean
    assert "‖E xₖ − x*‖" in page.rate(noisy)


def test_each_with_a_consensus_point_of_its_own_have_a_mean():
    seen = view(Choice("polar_cbo", objective="himmelblau", x0=(0.0, 0.0), width=2.0)).ensemble
    assert seen.names == ("particles", "mean")
    np.testing.assert_allclose(seen.center, seen.paths.mean(0))
    assert seen.center_values is None


def test_what_diverges_is_said_and_the_others_stay():
    own = {"h": 0.4, "sigma": 2.0}
    seen = view(Choice("sgd", objective="quartic", values=own, x0=(1.0, 0.0), steps=40))
    lost, first = seen.ensemble.left_at()
    assert 0 < lost < 40
    assert f"{lost} of 40 paths diverge, the first at step {first}; means" in seen.notes[0]
    assert np.isfinite(seen.gap).all()
    assert "nan" not in seen.picture
    wild = view(Choice("sgd", objective="quartic", values={"h": 5.0, "sigma": 1.0}, x0=(3.0, 0.0)))
    assert "40 of 40 paths diverge" in wild.notes[0]
    assert "nan" not in wild.picture
    assert view(replace(PARTICLES, x0=(np.nan, 0.0))).notes == (
        "x0 must be finite, but it contains NaN or infinity.",
    )


def test_all_that_draw_are_tried():
    assert {m for m in options() if model_draws(m)} == {*DRAWING, *SYSTEMS}


@pytest.mark.parametrize("method", [*DRAWING, *SYSTEMS])
def test_every_noise_has_a_strength_and_a_seed(method: str):
    kept = {"λ": 1.0, "x₁": 1.0, "x₂": 1.0, "steps": 40, "seed": 0, "paths": 40, "width": 1.0}
    scheme = OWN if method in DRAWING else schemes(method)[0]
    names = {s.name for s in page.sliders(method, scheme, MODE, True, kept)}
    assert names & {"sigma", "s", "T"}
    assert {"paths", "seed"} <= names or method == "mirror_cbo"  # which needs a map


@pytest.mark.parametrize("method", ["baoab", "underdamped_exact", "leimkuhler_matthews"])
def test_a_temperature_is_the_square_of_a_factor_of_the_noise(method: str):
    cold = Choice(method, values={"h": 0.2, "T": 1.0}, x0=(0.0, 0.0), steps=15, seed=2)
    warm = view(replace(cold, values={"h": 0.2, "T": 9.0}))
    run = od.algorithm(method).run(
        od.objective("quadratic", mu=1, L=1, dimension=1), np.zeros(1), 15, 2, h=0.2,
        **{n: v for n, v in {"gam": 2.0, "u": 1.0}.items() if method != "leimkuhler_matthews"},
    )  # fmt: skip
    paths = view(cold).ensemble.paths
    np.testing.assert_allclose(paths[0, :, 0], run.states["x"][:, 0], atol=1e-12)
    np.testing.assert_allclose(warm.ensemble.paths, 3 * paths, atol=1e-11)
    assert warm.command == ""  # the library's method has no T
    assert "with T = 9" in warm.code


def test_the_sliders_of_ensembles():
    kept = {"λ": 1.0, "x₁": 1.0, "x₂": 1.0, "steps": 40, "seed": 0, "paths": 40, "width": 1.0}
    made = {s.name: s for s in page.sliders("cbo", OWN, "rastrigin", True, kept)}
    assert list(made) == [
        "alpha",
        "h",
        "lam",
        "sigma",
        "x₁",
        "x₂",
        "steps",
        "width",
        "paths",
        "seed",
    ]
    assert (made["paths"].label, made["paths"].positions[-1]) == ("particles", 100.0)
    moved = {n: s.value for n, s in made.items()} | {"width": 0.5, "paths": 12.0}
    asked = page.choice("cbo", OWN, "rastrigin", True, {**kept, **moved}, moved, "numpy")
    assert (asked.paths, asked.width) == (12, 0.5)
    single = [s.name for s in page.sliders("heavy_ball", OWN, MODE, True, kept)]
    assert not {"paths", "width", "seed"} & set(single)
    assert "draws noise" in certified(Choice("cbo"))
    assert r"\|\operatorname{gap}_{k}\| \xi_{k}" in page.equations("cbo", OWN, True)[1]


@pytest.mark.parametrize("method", DRAWING)
def test_an_ensemble_has_the_modes_of_its_mean_or_the_panel_says_why_not(method: str):
    seen = view(Choice(method, paths=5))
    if method == "mirror_cbo":  # which needs a map
        assert "map_mirror" in seen.notes[0]
    elif algorithm(method, OWN).tuned.calls[0].oracle.kind == "ensemble":
        assert seen.rate is None and seen.notes == ()
        assert "no curvature sets the pace" in seen.picture
        said = "not linear in where they are" if method == "polar_cbo" else "in a step"
        assert said in seen.picture
    else:
        assert "modal radius of the mean, largest" in seen.picture
        assert f"{seen.rate:.4f}" in seen.picture


def test_of_what_is_not_linear_there_are_no_modes_and_the_panel_says_so():
    with_memory = od.algorithm("cbo", memory="hard")
    assert held(with_memory, {"h": 0.1, "lam": 1.0, "sigma": 0.7, "alpha": 10.0}) is None


@pytest.mark.parametrize(
    ("method", "factor"),
    [("cbo", 0.7), ("jump_cbo", 0.7), ("consensus_hopping", 0.0), ("consensus_freezing", np.exp(-0.3))],
)  # fmt: skip
def test_a_consensus_point_that_is_held_is_approached(method: str, factor: float):
    """X - m is multiplied by 1 - lam h in the mean; exp(-lam h) by the exact step, and a hop forgets it."""
    numbers = {
        "h": 0.2,
        "lam": 1.5,
        "sigma": 0.7,
        "alpha": 10.0,
        "s": 0.5,
        "kappa": 0.5,
        "jump": 0.3,
        "rate": 1.0,
    }
    made = algorithm(method, OWN)
    own = {s.name: numbers[s.name] for s in made.parameters}
    assert held(made, own) == pytest.approx(factor, rel=1e-12)
    assert (
        f"by {factor:.4g} in a step"
        in view(Choice(method, objective="ackley", values=own, paths=9)).picture
    )


def test_what_is_asked_for_stands_on_the_sliders():
    kept = {"λ": 1.0, "x₁": 8.0, "x₂": -7.5, "steps": 40, "seed": 12345, "paths": 7, "width": 1.0}
    made = {s.name: s for s in page.sliders("cbo", OWN, "ackley", True, kept)}
    for name in ("x₁", "x₂", "seed", "paths"):
        assert made[name].value == kept[name]
        assert kept[name] in made[name].positions
        assert made[name].positions == sorted(made[name].positions)


def test_paths_and_seed_of_the_command_line(tmp_path):
    """They say what the picture begins with; a method without noise has no use for them."""
    out = tmp_path / "cbo.svg"
    asked = ["cbo", "--objective", "ackley", "--x0", "2,2", "--out", str(out)]
    done = CliRunner().invoke(app, ["explore", *asked, "--paths", "7", "--seed", "11"])
    assert done.exit_code == 0
    choice = Choice("cbo", objective="ackley", x0=(2.0, 2.0), paths=7, seed=11)
    assert out.read_text() == view(choice).picture + "\n"
    assert ">7 particles<" in out.read_text()
    CliRunner().invoke(app, ["explore", *asked])
    assert out.read_text() == view(replace(choice, paths=40, seed=0)).picture + "\n"


def test_the_heading_says_what_it_is():
    assert ">Nesterov, strongly convex</p>" in page.heading("nesterov_sc", OWN)
    assert ">Gradient flow</p>" in page.heading("gradient_flow", "implicit_euler")
    assert page.heading("nesterov_sc", "no_such_scheme") == ""
