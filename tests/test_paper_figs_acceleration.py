"""The figures on acceleration at small sizes: claims hold, fail where they should, and what is drawn is the data."""

import numpy as np
import pytest
from paper_of_figures import drawn_from_its_file

import odescent as od
from odescent import paper_figs as pf
from odescent.paper_figs.acceleration import construction, heavy_ball, manifold, terms
from odescent.paper_figs.acceleration import flows_and_maps as portraits
from odescent.paper_figs.acceleration import spectra_and_rates as rates
from odescent.paper_figs.drawing import letter, panels

FIGURES = {f.name: f for _, f in pf.find(["acceleration"])}
SMALL = {
    "slow_graph": {"points": 8},
    "triple_momentum": {"kappas": [10]},
    "term_table": {},
    "terms": {"points": [10], "shares": [0.0, 1.0], "steps": 60},
    "cycle": {"steps": 150},
    "spectra": {"curvatures": 33},
    "threshold": {"resolution": 40, "certified": 4, "periods": 5, "kappas": [18, 100]},
}
SLOW = {
    "manifold": {"seeds": 4, "spacing": 0.2},
    "construction": {"steps": 40, "dimension": 5},
    "counterexample": {},
    "basins": {"resolution": 40},
    "portraits": {"spacing": 0.2, "steps": 1000},
    "rates": {"kappas": [2.0, 17.0, 18.0, 60.0, 300.0], "steps": 2000},
    "over_flow": {"levels": 5},
}


def test_every_figure_is_tried_here():
    assert {*SMALL, *SLOW} == {*FIGURES}


def check(name: str, smaller: dict) -> dict:
    figure = FIGURES[name]
    result = figure.compute(**{**figure.parameters("quick"), **smaller})
    assert result.claims and {c.text: c.shown for c in result.claims if c.verdict != pf.HOLDS} == {}
    drawn, data = drawn_from_its_file(figure, result)
    wide, _ = drawn.get_size_inches()
    assert wide in (3.4, 7.0)
    return data


@pytest.mark.parametrize("name", SMALL)
def test_claims_hold_and_the_figure_is_drawn_from_its_file(name: str):
    check(name, SMALL[name])


@pytest.mark.parametrize("name", SLOW)
def test_claims_of_the_longer_ones_hold_too(name: str):
    check(name, SLOW[name])


def test_another_method_under_the_same_name_fails_its_claims(monkeypatch: pytest.MonkeyPatch):
    right = od.algorithm
    monkeypatch.setattr(
        od, "algorithm", lambda name: right("gradient_descent" if name == "heavy_ball" else name)
    )
    found = rates.compute_spectra(25, 17)
    wrong = [c.text for c in found.claims if c.verdict == pf.WRONG]
    assert wrong == [
        "Heavy ball: the rate on quadratics.",
        "Heavy ball: all modes contract alike: spread of the modal radius.",
    ]


def test_a_wrong_textbook_is_noticed(monkeypatch: pytest.MonkeyPatch):
    right = construction.textbook
    monkeypatch.setattr(construction, "textbook", lambda *a: right(*a) * (1 + 1e-6))
    monkeypatch.setattr(construction, "_ROUTES", (("nesterov_sc", "model"),))
    proved, apart = construction.compute_construction(20, 3, 10.0).claims
    assert proved.verdict == pf.HOLDS and apart.verdict == pf.WRONG


def test_textbooks_are_those_of_published_numbers():
    """MATH (c), T1: f = (x1^2 + 10 x2^2) / 2 from (1, 1), independent 40-digit arithmetic."""
    scale = np.array([1.0, 10.0])
    nag = construction.textbook("nesterov_sc", lambda x: scale * x, np.ones(2), 1, 10, 20)
    tmm = construction.textbook("triple_momentum", lambda x: scale * x, np.ones(2), 1, 10, 20)
    convex = construction.textbook("nesterov_c", lambda x: scale * x, np.ones(2), 1, 10, 20)
    np.testing.assert_allclose(
        nag[[1, 2, 20], 0], [0.9, 0.7632455532034, 0.003656036231161], rtol=0, atol=5e-13
    )
    np.testing.assert_allclose(tmm[20], [4.991478760506e-4, 1.578444177555e-3], rtol=1e-11)
    np.testing.assert_allclose(
        convex[[1, 2, 3, 10], 0], [0.9, 0.7875, 0.66825, 0.0181115161998], rtol=0, atol=5e-13
    )


def test_the_bent_function_is_in_its_class():
    f = terms.bent(30.0)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-3, 3, (2, 200, 40))
    gx, gy = (np.stack([np.asarray(f.grad(v)) for v in w]) for w in (x, y))
    inner = ((gx - gy) * (x - y)).sum(1)
    apart = ((x - y) ** 2).sum(1)
    assert (inner >= apart * (1 - 1e-12)).all()
    assert (((gx - gy) ** 2).sum(1) <= 30 * inner * (1 + 1e-12)).all()
    assert np.abs(np.asarray(f.grad(f.minimizer))).max() < 1e-12


def test_the_immersed_loop_is_the_one_on_paper():
    """x'' + (K + a H) x' + a K grad f = 0 (MATH b.1, step 5), as v' at points of its own."""
    derivation, loop = manifold.closed_loop()
    assert derivation.verified
    x, v = od.blocks("x v")
    f, (K, a) = od.Objective("f"), od.parameters("K a")
    expected = -K * v - a * f.hess(x, v) - a * K * f.grad(x)
    assert loop.drift[loop.block("v").symbol] - expected == 0 * v


@pytest.mark.parametrize("name", ["heavy_ball", "nesterov_sc", "triple_momentum"])
def test_members_of_the_passive_form_are_the_methods(name: str):
    """The gradient points are the method's own: equal transfer functions and starts, proved."""
    member = portraits.passive_member(name, 1, 25)
    assert member.equivalent(od.algorithm(name).bind(mu=1, L=25)).verdict == "proved"


def test_thresholds_are_printed_with_the_rational_part_first():
    import sympy as sp

    assert heavy_ball._ordered(9 + 4 * sp.sqrt(5)) == "9 + 4*sqrt(5)"


def test_panels_are_lettered_and_their_titles_begin_large():
    figure, axes = panels(1, 2)
    letter(axes, ["heavy ball", r"$\kappa = 25$"])
    assert [ax.get_title(loc="left") for ax in axes] == ["(a) Heavy ball", r"(b) $\kappa = 25$"]
    del figure


def test_a_locus_goes_through_the_point_where_a_pair_of_poles_becomes_real():
    pair = np.array([0.5 + 0.2j, 0.4 + 0.1j, 0.45 + 1e-17j, 0.6])
    assert rates._through_the_axis(pair).tolist() == [
        0.5 + 0.2j,
        0.4 + 0.1j,
        0.4,
        0.45 + 1e-17j,
        0.6,
    ]
    assert rates._through_the_axis(pair[::-1]).tolist() == [
        0.6,
        0.45 + 1e-17j,
        0.4,
        0.4 + 0.1j,
        0.5 + 0.2j,
    ]
    real = np.array([0.3, 0.2, 0.1])
    assert rates._through_the_axis(real).tolist() == real.tolist()
