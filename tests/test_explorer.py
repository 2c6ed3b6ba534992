"""The explorer's views against hand-written methods, closed forms and the command line; and what they refuse."""

import html
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.linalg
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import odescent as od
from odescent._explorer import (
    Choice,
    certified,
    objectives,
    options,
    page,
    parameters,
    schemes,
    view,
)
from odescent._explorer.choice import MODE, OWN, PLANE, begin, spectrum, steepest
from odescent._explorer.model import model
from odescent._explorer.page import nearest, steps
from odescent._support import style
from odescent._support.errors import NotCarried
from odescent.cli import app

QUICK = (Phase.explicit, Phase.generate)  # a failing example is small enough as it is
CLASSES = st.tuples(st.floats(0.1, 5), st.floats(1.5, 30), st.floats(0, 1), st.floats(-3, 3))


@pytest.fixture(scope="module", autouse=True)
def own_models():
    """What other files have compiled under settings of their own is not counted here."""
    model.cache_clear()


@settings(max_examples=25, phases=QUICK)
@given(CLASSES)
def test_iterates_rate_and_gap_are_the_textbooks_for_any_numbers_and_nothing_is_compiled_again(
    case,
):
    mu, ratio, share, x0 = case
    L = mu * ratio
    lam = mu + share * (L - mu)
    seen = view(Choice(values={"mu": mu, "L": L}, curvature=lam, x0=(x0, 0.0), steps=25))
    beta = (np.sqrt(L) - np.sqrt(mu)) / (np.sqrt(L) + np.sqrt(mu))
    x, y, ys, xs = x0, x0, [x0], [x0]
    for _ in range(25):
        before, x = x, y - lam * y / L
        y = x + beta * (x - before)
        ys, xs = [*ys, y], [*xs, x]
    scale = max(abs(x0), 1e-3)
    np.testing.assert_allclose(seen.iterates[:, 0], ys, atol=1e-12 * scale, rtol=1e-9)
    np.testing.assert_allclose(
        seen.gap, lam * np.square(xs) / 2, atol=1e-13 * scale**2 * L, rtol=1e-8
    )
    assert seen.rate == pytest.approx(1 - np.sqrt(mu / L), abs=1e-7)  # a double pole at mu
    assert model("nesterov_sc", OWN, True, MODE)._track._cache_size() == 1


@settings(max_examples=15, phases=QUICK)
@given(st.floats(0.05, 0.9), st.floats(0.1, 6), st.floats(0.2, 8))
def test_the_flow_is_the_matrix_exponential(h, c, lam):
    seen = view(
        Choice(
            "heavy_ball",
            tuned=False,
            values={"h": h, "c": c},
            curvature=lam,
            x0=(1.0, 0.0),
            steps=8,
        )
    )
    M = np.array([[0.0, 1.0], [-lam, -c]])
    n = len(seen.flow)
    for i in (0, n // 3, n - 1):
        t = 8 * h * i / (n - 1)
        np.testing.assert_allclose(seen.flow[i], scipy.linalg.expm(M * t) @ [1.0, 0.0], atol=2e-9)


def test_gradient_descent_against_time_and_in_the_plane():
    one = view(Choice("gradient_descent", values={"L": 8.0, "mu": 2.0}, curvature=3.0, steps=10))
    np.testing.assert_allclose(one.iterates[:, 0], np.arange(11) / 8)
    np.testing.assert_allclose(one.iterates[:, 1], (1 - 3 / 8) ** np.arange(11))
    np.testing.assert_allclose(one.flow[:, 1], np.exp(-3 * one.flow[:, 0]), atol=1e-9)
    assert one.rate == pytest.approx(0.75)
    two = view(
        Choice(
            "gradient_descent",
            objective=PLANE,
            values={"L": 8.0, "mu": 2.0},
            x0=(1.0, -2.0),
            steps=10,
        )
    )
    modes = np.array([1.0, -2.0]) * (1 - np.array([2.0, 8.0]) / 8) ** np.arange(11)[:, None]
    np.testing.assert_allclose(two.iterates, modes, atol=1e-14)


def test_the_picture_has_the_iterates_where_they_are_and_the_flow_beside_them():
    seen = view(Choice("heavy_ball", objective="lessard_recht_packard", x0=(3.3, 0.0), steps=60))
    root = ElementTree.fromstring(seen.picture)
    groups = root.iter("{http://www.w3.org/2000/svg}g")
    fills = {g.get("fill") for g in groups for c in g if c.get("r") == "4.2"}
    assert fills == {style.method_style("heavy_ball").color} and style.FLOW in seen.picture
    circles = root.iter("{http://www.w3.org/2000/svg}circle")
    at = np.array(
        [[float(c.get("cx")), float(c.get("cy"))] for c in circles if c.get("r") == "4.2"]
    )
    (left, right), (bottom, top) = seen.window
    back = np.column_stack(
        [
            left + (at[:, 0] - 62) / 600 * (right - left),
            top - (at[:, 1] - 42) / 500 * (top - bottom),
        ]
    )
    half = np.array([right - left, top - bottom]) / 600
    assert (np.abs(back - seen.iterates) < half).all()
    assert abs(seen.iterates[-1, 0] - seen.iterates[-4, 0]) < 1e-6  # a cycle of three
    assert abs(seen.iterates[-1, 0] - seen.iterates[-2, 0]) > 1


@pytest.mark.parametrize("objective", objectives()[2:])
@pytest.mark.parametrize("method", ["gradient_flow", "sgd", "underdamped_langevin"])
def test_a_step_that_nothing_sets_starts_where_it_does_not_diverge(method: str, objective: str):
    seen = view(begin(method, objective))
    assert len(seen.iterates) == 41
    assert not seen.notes


def test_no_arcs_where_there_is_no_field():
    """AdaGrad's has a root of a negative number where v < 0."""
    seen = view(Choice("adagrad"))
    assert seen.window[1, 0] < 0
    assert "fill-opacity" in seen.picture
    assert "nan" not in seen.picture


def test_what_the_command_emits_is_what_is_shown():
    seen = view(Choice("gradient_descent", values={"L": 4.0}, curvature=2.0, steps=5))
    assert seen.command == "odescent emit gradient_descent --target numpy --set L=4"
    done = CliRunner().invoke(app, [*seen.command.split()[1:], "--json"])
    source = json.loads(done.stdout)["source"]
    assert source == od.algorithm("gradient_descent").bind(L=4).source("numpy")
    assert "\n# in the step: c_g = 0.25\n" in "\n" + seen.code
    assert seen.code[seen.header :] == od.algorithm("gradient_descent").source("numpy")


@pytest.mark.parametrize("target", ["latex", "markdown", "optax", "torch", "jax"])
def test_every_target_is_shown_with_its_settings(target: str):
    seen = view(Choice("gradient_descent", target=target))
    assert "L = 10" in seen.code[: seen.header]
    assert seen.code[seen.header :] == od.algorithm("gradient_descent").source(target)


def test_a_system_with_any_scheme_is_an_algorithm():
    known = schemes("heavy_ball")
    assert known[0] == OWN
    assert {"explicit_euler", "rk4", "strang", "look_ahead"} <= set(known)
    assert "exact" not in known  # its kick is not linear
    lam, h, c = 2.0, 0.1, 0.3
    seen = view(
        Choice(
            "heavy_ball",
            "explicit_euler",
            tuned=False,
            values={"h": h, "c": c},
            curvature=lam,
            steps=20,
        )
    )
    step = np.eye(2) + h * np.array([[0.0, 1.0], [-lam, -c]])
    state, states = np.array([1.0, 0.0]), [np.array([1.0, 0.0])]
    for _ in range(20):
        state = step @ state
        states.append(state)
    np.testing.assert_allclose(seen.iterates, states, atol=1e-12)
    assert schemes("gradient_flow")[0] != OWN
    assert seen.command == ""


def test_sliders_start_at_the_tuning_and_at_the_objectives_class():
    tuned = {p.name: p.start for p in parameters(Choice())}
    assert tuned == {"mu": 1.0, "L": 10.0}
    free = {p.name: p for p in parameters(Choice(tuned=False))}
    assert free["h"].start == pytest.approx(1 / np.sqrt(10))
    assert nearest(free["h"]) in steps(free["h"])
    own = {p.name: p.start for p in parameters(Choice(objective="lessard_recht_packard"))}
    assert own == {"mu": 1.0, "L": 25.0}
    assert view(Choice(tuned=False)).rate == pytest.approx(view(Choice()).rate)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "heavy_ball", "sor", "nag_flow"])
def test_the_ends_of_the_sliders_are_where_the_parameters_may_be(name: str):
    """Adam's beta1 = 0 is refused, and its slider does not go there."""
    positive = {s.name for s in od.algorithm(name).replace(tuning={}).parameters if s.is_positive}
    ends = {p.name: p.low for p in parameters(Choice(name, tuned=False))}
    assert positive <= ends.keys() and all(ends[n] > 0 for n in positive)


@pytest.mark.parametrize(
    ("choice", "part"),
    [
        (Choice("nestrov_sc"), "did you mean"),
        (Choice(scheme="exact"), "linear"),
        (Choice(scheme="rk5"), "no scheme for nesterov_sc 'rk5'"),
        (Choice(objective="rosenbroc"), "did you mean"),
        (Choice(target="cobol"), "no target"),
        (Choice(values={"mu": 5.0, "L": 2.0}), "L must be at least mu"),
        (Choice(values={"mu": -1.0}), "mu must be more than 0"),
        (Choice("mirror_descent", objective="quartic"), "map_mirror"),
        (
            Choice("gradient_descent", tuned=False, values={"h": 5.0}, objective="quartic"),
            "diverges at step",
        ),
        (Choice("nesterov_c"), "depends on the step number"),
        (
            Choice("robust_momentum", values={"mu": 1.0, "L": 1.0}),
            "no finite value at L = 1, mu = 1",
        ),
        (
            Choice("itoh_abe", objective="himmelblau", x0=(0.0, 0.0)),
            "has to be positive, and its least entry is -42; start elsewhere",
        ),
    ],
)
def test_what_cannot_be_shown_is_a_sentence(choice: Choice, part: str):
    notes = view(choice).notes
    assert any(part in n for n in notes), notes
    assert all("Traceback" not in n and "\n" not in n for n in notes)


def test_a_start_that_a_run_refuses_is_refused_in_its_words():
    with pytest.raises(od.OdescentError) as refused:
        od.algorithm("itoh_abe").run(od.objective("himmelblau"), [0.0, 0.0], 1, h=0.01)
    seen = view(Choice("itoh_abe", objective="himmelblau", x0=(0.0, 0.0)))
    assert seen.notes[-1] == str(refused.value)
    assert "leaves the finite numbers where it starts" in view(Choice(x0=(1e13, 0.0))).notes[-1]


def test_certified_on_request():
    said = certified(Choice("gradient_descent", values={"mu": 1.0, "L": 10.0}))
    rate = float(re.search(r"ρ = ([\d.]+)", said)[1])
    assert 0.9 <= rate <= 0.9 + 1e-6  # Nesterov's 1 - mu/L for the step 1/L
    assert (
        "no certificate" in certified(Choice("heavy_ball", values={"mu": 1.0, "L": 50.0})).lower()
    )


def test_noise_follows_the_seed_and_only_that():
    one = Choice("sgd", values={"sigma": 0.5}, steps=10)
    first, again, other = view(one), view(one), view(replace(one, seed=1))
    np.testing.assert_array_equal(first.iterates, again.iterates)
    assert np.abs(first.iterates[1:, 1] - other.iterates[1:, 1]).min() > 0
    np.testing.assert_array_equal(first.flow, other.flow)


def test_what_there_is_to_choose():
    assert {"nesterov_sc", "adam", "gradient_flow", "sgd", "cbo", "overdamped_langevin"} <= set(
        options()
    )
    assert {MODE, PLANE, "rosenbrock", "lessard_recht_packard"} <= set(objectives())


def test_the_pages_sliders_keep_what_stays_and_make_the_choice():
    kept = {"λ": 3.0, "x₁": -1.5, "x₂": 0.5, "steps": 25, "seed": 4, "paths": 30, "width": 1.0}
    made = {s.name: s for s in page.sliders("sgd", OWN, PLANE, True, kept)}
    assert list(made)[:2] == ["mu", "L"]
    assert {"h", "sigma", "x₁", "x₂", "steps", "paths", "seed"} <= set(made)
    assert not {"λ", "width"} & set(made)
    assert all(s.value in s.positions and s.positions == sorted(s.positions) for s in made.values())
    assert (made["x₁"].value, made["seed"].value) == (-1.5, 4.0)
    moved = {n: s.value for n, s in made.items()}
    asked = page.choice("sgd", OWN, PLANE, True, kept, moved, "jax")
    assert asked.values == {n: v for n, v in moved.items() if n not in kept}
    assert (asked.curvature, asked.x0, asked.steps, asked.seed) == (3.0, (-1.5, 0.5), 25, 4)
    assert asked.paths == 30
    page.restart("rosenbrock", kept)
    assert (kept["x₁"], kept["x₂"]) == tuple(od.objective("rosenbrock").x0)
    page.restart(MODE, kept)
    assert (kept["x₁"], kept["x₂"]) == (1.0, 1.0)
    one = [s.name for s in page.sliders("gradient_descent", OWN, MODE, True, kept)]
    assert one == ["mu", "L", "λ", "x₁", "steps"]


def test_the_pages_pieces_are_safe_and_complete(monkeypatch):
    seen = view(Choice("gradient_descent"))
    assert page.rate(seen).startswith("On quadratics")
    assert "ρ = 0.900000, one more digit every 21.9 steps" in page.rate(seen)
    assert "does not contract" in page.rate(replace(seen, rate=1.25))
    assert "&lt;b&gt;&amp;" in page.sentence("<b>&")
    assert "with L = 10" in page.settings(seen)
    assert "odescent emit gradient_descent" in page.settings(seen)
    assert [e.count("$$") for e in page.equations("gradient_descent", OWN, True)] == [2, 2]
    for target in ("numpy", "latex", "markdown"):
        shown = html.unescape(
            re.sub(r"<[^>]*>", "", page.code("gradient_descent", OWN, True, target))
        )
        assert shown.strip() == od.algorithm("gradient_descent").source(target).strip()
    assert page.code("nothing", OWN, True, "numpy") == ""
    assert page.equations("nothing", OWN, True) == []
    assert page.equations("newton_flow", "implicit_euler", True) == []  # it has no such step

    def refused(_):
        raise NotCarried("it has no closed form.")

    monkeypatch.setattr(od.Algorithm, "latex", refused)
    (flow,) = page.equations("gradient_descent", OWN, True)
    assert flow.startswith("**flow**")


@pytest.mark.parametrize("method", ["conformal_heavy_ball", "dissipative_leapfrog", "baoab"])
def test_what_moves_by_a_velocity_starts_with_half_of_its_longest_stable_step(method):
    """It goes by the root of the curvature: the step is stable, and three times as long it is not."""
    chosen = begin(method, "rosenbrock")
    h = next(p.start for p in parameters(chosen) if p.name == "h")
    assert 1 / steepest("rosenbrock") * 10 < h < 2 / np.sqrt(steepest("rosenbrock"))
    made = od.algorithm(method)
    own = {p.name: p.start for p in parameters(chosen) if p.name not in ("mu", "L", "T")}
    own |= {"T": 1.0} if "T" in {s.name for s in made.parameters} else {}
    rates = [
        od.analysis.spectrum(made, 1.0, steepest("rosenbrock"), parameters={**own, "h": k * h}).rate
        for k in (1, 3)
    ]
    assert rates[0] < 1 < rates[1]


def test_a_tuned_method_starts_with_the_curvature_at_the_start():
    """Rosenbrock's function has no L of its own: with a customary one the first step would leave the picture."""
    assert spectrum("rosenbrock") == {"mu": 1.0, "L": 1500.0}
    seen = view(begin("nesterov_sc", "rosenbrock"))
    assert seen.gap[-1] < seen.gap[0]


def test_a_method_that_normalizes_the_gradient_takes_a_step_of_its_own_length():
    """Adam's step is as long as h, whatever the curvature; gradient descent's must not overshoot."""
    h = {
        method: next(p.start for p in parameters(begin(method, "rosenbrock")) if p.name == "h")
        for method in ("adam", "rmsprop", "sign_descent", "sgd")
    }
    assert h["adam"] == h["rmsprop"] == h["sign_descent"] == 0.1
    assert h["sgd"] == pytest.approx(1 / steepest("rosenbrock"), rel=0.1)
    seen = view(begin("adam", "rosenbrock"))
    assert np.linalg.norm(seen.iterates[-1] - seen.iterates[0]) > 0.2
