"""The figures on methods with samples: claims hold, and a perturbed method fails them."""

from typing import Any

import jax
import numpy as np
import pytest
from paper_of_figures import cases, check_claims_and_drawing, perturb, wrong

import odescent as od
from odescent import paper_figs as pf
from odescent.paper_figs.samples import clients, directions, sketch, transport

FIGURES = {f.name: f for _, f in pf.find(["samples"])}
SMALLER: dict[str, dict[str, Any]] = {  # of the figures that take long
    # a tenth of the rows, of which its claims are, and every second rate
    "sketch": {"runs": 10000, "counts": [65], "rates": [0.25, 1.0, 2.0, 4.0, 12.0]},
    "units": {
        "grid": [0.01, 0.03, 0.3, 3.0, 10.0, 30.0],
        "rates": [1e-3, 1e-2, 0.1, 1.0],
        "epochs": 12,
        "networks": 4,
    },
    "growing_batches": {"seeds": 2, "fixed": {"8": 20000, "64": 8000}},
    "clients": {
        "picked": 3,
        "steps": 3,
        "rates": [0.0625, 0.25, 0.5, 4.0],
        "sizes": [0.02, 0.08],
        "pixels": [2, 4],
        "rows": 17,
        "goal": 1.9,
    },
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def computed(name: str, **less: Any) -> pf.Result:
    figure = FIGURES[name]
    return figure.compute(**{**figure.parameters("quick"), **SMALLER.get(name, {}), **less})


def test_every_smaller_figure_is_there():
    assert {*SMALLER} <= {*FIGURES}


@pytest.mark.parametrize("name", cases(FIGURES, ["policy", "growing_batches"]))
def test_claims_hold_and_the_figure_is_drawn_from_its_file(name: str):
    check_claims_and_drawing(FIGURES[name], computed(name))


PERTURBED = {  # the methods and flow, the field that is multiplied, the number; a word of each claim that has to fail
    "directions": ("zeroth_order", "sketched_flow", "descent", "11/10", ("second moment", "The law holds")),
    "sketch": (
        "sketched_gradient_descent", "sketched_flow", "descent", "11/10",
        ("largest step is 2/", "s = 1: measured", "s = 4: measured"),
    ),
    "units": ("adahessian", "adahessian", "second", "6/5", ("follows diag(H H^T)",)),
    "transport": (
        "hessian_aided_momentum", "averaged_gradient_flow", "average", "11/10",
        ("terms that agree", "It is T |H g|", "slope of its logarithm"),
    ),
    "growing_batches": (
        "adadagrad", "adagrad", "drift", "1/30",
        ("for 10 steps: growing batches to the best", "0.001: growing batches to the best"),
    ),
}  # fmt: skip


# what the claims that have to fail do not read
LESS: dict[str, dict[str, Any]] = {
    "directions": {"few": 10, "budget": 1, "rates": [4], "sizes": [13]},
    "growing_batches": {"seeds": 1, "fixed": {"8": 100, "64": 8000}, "digits_steps": 5},
    "sketch": {"rounds": 30, "rates": [0.5, 1.0, 2.0], "goal": 1.0},
    "transport": {"seeds": 2, "windows": [0.03, 0.14, 0.7]},
    "units": {"grid": [0.3], "rates": [0.1], "epochs": 1, "networks": 1},
}


@pytest.mark.parametrize("name", PERTURBED)
def test_a_perturbed_method_fails_its_claims(name: str, monkeypatch: pytest.MonkeyPatch):
    which, flow_name, field, by, words = PERTURBED[name]
    perturb(monkeypatch, which, flow_name, field, by)
    failed = wrong(computed(name, **LESS.get(name, {})))
    for word in words:
        assert any(word in text for text in failed), (word, failed)


def test_the_mean_of_one_row_sketches_is_a_sketch_of_many_rows():
    """Mean and covariance of 20,000 steps, against those of R^T R g with rows drawn by NumPy."""
    g, s, n = np.array([1.0, -2.0, 0.5]), 4, 20_000
    step = directions.moved("sketched_gradient_descent", lambda x: g, (), rows=1)
    keys = jax.random.split(jax.random.key(0), (n, s))
    made = -np.asarray(jax.jit(jax.vmap(lambda k: step(np.zeros(3), 1.0, k)))(keys))
    wanted = (np.outer(g, g) + g @ g * np.eye(3)) / s
    assert np.abs(made.mean(0) - g).max() < 5 * np.sqrt(wanted.max() / n)
    assert np.abs(np.cov(made.T) - wanted).max() < 0.05 * wanted.max()


def test_one_local_step_too_many_is_seen(monkeypatch: pytest.MonkeyPatch):
    method = od.algorithm

    def algorithm(wanted: str, **options: Any) -> od.Algorithm:
        more = options.get("local_steps", 1) > 1
        return method(wanted, **{**options, "local_steps": options["local_steps"] + more})

    f, d = clients.clients_of_digits(4, 2, 0.1, 4)
    best, sizes = clients.minimizer(f, d), [0.02, 0.08]
    predicted = float(np.linalg.norm(clients.shift_per_step(f, 3, best)))
    moved, beside = clients.shifts(f, 3, sizes, best)
    assert moved[0] == pytest.approx(sizes[0] * predicted, rel=0.05) and beside[0] < moved[0] / 20
    away = clients.errors_of_round(f, 3, sizes, best + 0.1)[0]
    monkeypatch.setattr(od, "algorithm", algorithm)
    moved, beside = clients.shifts(f, 3, sizes, best)
    assert beside[0] > moved[0] / 10
    assert clients.errors_of_round(f, 3, sizes, best + 0.1)[0] > 10 * away


def test_the_largest_step_is_where_the_mean_starts_to_grow():
    h = np.linspace(0.5, 1.5, 11)
    assert sketch.crossing(h, (h / 1.2) ** 2) == pytest.approx(1.2, abs=2e-2)


def test_the_claimed_lags_are_derivatives_along_the_gradient():
    """T H g and (T^2/2) D^3 f[g, g] of the quartic, by hand."""
    p = np.array([1.5, -1.0, 0.8])
    row = transport.followed("", p, 0.1, np.array([0.0, 0.01]))
    g = transport._Q @ p + p**3 / 3
    hg = transport._Q @ g + p**2 * g
    assert row[""][0] == pytest.approx(0.1 * np.linalg.norm(hg), rel=1e-9)
    assert row["look_ahead"][0] == pytest.approx(0.005 * np.linalg.norm(2 * p * g * g), rel=1e-9)


def test_without_signs_the_second_average_is_another(monkeypatch: pytest.MonkeyPatch):
    """With normals for signs it follows the row norms and twice the squared diagonal, and units matter no less."""
    method = od.algorithm

    def algorithm(wanted: str, **options: Any) -> od.Algorithm:
        found = method(wanted, **options)
        if wanted != "adahessian":
            return found
        (signs,) = found.system.samples
        x = od.blocks("x")
        other = {signs: od.sample("z", like=x)}
        fields = {
            n: {s: od.dynamics.substitute(e, other) for s, e in f.drift.items()}
            for n, f in found.system.fields.items()
        }
        own = found.system
        return found.replace(
            system=od.System(
                fields, output=own.output, blocks=own.blocks, time=own.time, name=own.name
            )
        )

    monkeypatch.setattr(od, "algorithm", algorithm)
    failed = [c.text for c in computed("units").claims if c.verdict != pf.HOLDS]
    assert any("least of the quotients" in text for text in failed), failed
