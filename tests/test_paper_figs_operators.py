"""The figures on methods with operators at their sizes: claims hold, and a perturbed method fails them."""

from typing import Any

import jax
import numpy as np
import pytest
from paper_of_figures import cases, check_claims_and_drawing, perturb, wrong

import odescent as od
from odescent import paper_figs as pf
from odescent.paper_figs.operators import adagrad_norm, kkt_newton, regularized_newton

FIGURES = {f.name: f for _, f in pf.find(["operators"])}
SMALLER: dict[str, dict[str, Any]] = {  # of the figures that take long
    "filter": {"steps": 300, "rates": [3.0, 8.0]},
    "leaks": {"steps": 240, "rates": [4.0, 8.0, 10.0]},
    "window": {"sizes": [1000, 2000, 3000], "windows": [8], "rates": [0.1, 0.3, 1.0, 3.0]},
    "first_integral": {"steps": [0.05, 0.025, 0.0125]},
    "kkt_newton": {"points": 60},
    "bilevel": {"sigmas": [0.1, 0.05, 0.025], "ratios": [0.5, 1.0, 2.0], "steps": 3000},
    "inexact_bilevel": {"rows": 24, "dimension": 8, "informative": 4, "budget": 4000},
    "inexact_bilevel_logistic": {"columns": 8, "fixed": [1e-6], "budget": 60_000},
    "fast_slow": {"small": [0.02, 0.01]},
    "sources": {"seeds": [0], "steps": 10, "each": 300},
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def computed(name: str, **smaller: Any) -> pf.Result:
    figure = FIGURES[name]
    return figure.compute(**{**figure.parameters("quick"), **SMALLER.get(name, {}), **smaller})


def test_every_smaller_figure_is_there():
    assert {*SMALLER} <= {*FIGURES}


@pytest.mark.parametrize("name", cases(FIGURES, ["inexact_bilevel_logistic"]))
def test_claims_hold_and_the_figure_is_drawn_from_its_file(name: str):
    check_claims_and_drawing(FIGURES[name], computed(name))


PERTURBED = {  # the field that is multiplied, and the number; a word of each claim that has to fail
    "doubling": ("iterative_newton", "flow", "101/100", ("Iterate k is iterate 2^k", "is squared in each step")),
    "polar": ("newton_schulz", "flow", "101/100", ("fitted order", "factor of the square")),
    "filter": ("inverse_filter", "filter", "1001/1000", ("Without a leak the filter is", "With a leak the filter is")),
    "leaks": ("mkor", "rank_one", "2", ("inverse: the worst", "factor: the worst")),
    "radius": ("regularized_newton", "descent", "101/100", ("longer than the radius", "fitted order")),
    "window": ("m_fac", "descent", "1001/1000", ("equals that of a dense solve",)),
    "first_integral": ("adagrad_norm", "sum", "101/100", ("on logistic f + 2", "on rosenbrock f + 2")),
    "kkt_newton": ("kkt_newton_flow", "newton", "101/100", ("least slope", "largest slope", "e^-t c(0)")),
    "saddle_flow": ("lagrangian_flow", "dual", "101/100", ("Half the squared speed",)),
    "bilevel": ("penalty_bilevel", "upper", "11/10", ("The slow rate of the single loop",)),
}  # fmt: skip


# what the claims that have to fail do not read
LESS: dict[str, dict[str, Any]] = {
    "bilevel": {"sigmas": [0.1, 0.05], "steps": 200},
    "filter": {"rates": [3.0], "tuned": 5, "counts": [1, 8]},
}


@pytest.mark.parametrize("name", PERTURBED)
def test_a_perturbed_method_fails_its_claims(name: str, monkeypatch: pytest.MonkeyPatch):
    which, field, by, words = PERTURBED[name]
    perturb(monkeypatch, which, which, field, by)
    failed = wrong(computed(name, **LESS.get(name, {})))
    for word in words:
        assert any(word in text for text in failed), (word, failed)


def test_bounds_and_data_are_those_on_paper():
    """The bound lies where its two parts are equal; the constant of logistic regression bounds D^3 f by D^2 f."""
    a, c, b, k = 7.0, 0.03, 11.0, 40
    found = regularized_newton.bound(k, a, c, b)
    q = (found / b) ** (1 / k)
    assert found == pytest.approx(a * (1 + c * q) ** -k, rel=1e-9)
    f = od.objective("logistic/breast_cancer", regularization=1e-2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, u, v = rng.normal(size=(3, f.dimension))
        curved, third = jax.jvp(lambda p, u=u: u @ jax.jvp(f.grad, (p,), (u,))[1], (x,), (v,))
        assert abs(third) <= regularized_newton.longest_row() * curved * np.linalg.norm(v)


def test_the_points_of_the_conditions_are_solutions():
    """Of problem 7: the minimizer and three others, each with a multiplier of its own."""
    for x in (kkt_newton._END, *kkt_newton._OTHERS):
        multiplier = 1 / (2 * x[1])
        assert np.abs(kkt_newton.conditions(x[None], np.array([[multiplier]]))).max() < 1e-12


def test_the_added_energy_is_what_a_step_adds():
    f, start = adagrad_norm.problems()["rosenbrock"]
    w, g = 3.0, np.asarray(f.grad(start))
    rate = adagrad_norm.added(f, start[None], np.array([w]))[0]
    energy = lambda x, w: float(f.value(x)) + 2 * w**0.5
    h = 1e-7
    after = w + h * g @ g
    gained = energy(start - h * g / after**0.5, after) - energy(start, w)
    assert gained / h**2 == pytest.approx(rate, rel=2e-2)
