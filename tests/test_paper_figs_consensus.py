"""The figures on consensus-based optimization at small sizes: claims hold, and fail where they should."""

import numpy as np
import pytest
from paper_of_figures import drawn_from_its_file

from odescent import paper_figs as pf
from odescent.paper_figs.consensus import consensus_points as trajectories
from odescent.paper_figs.consensus import relaxation_terms as relaxation

FIGURES = {f.name: f for _, f in pf.find(["consensus"])}


def test_the_two_principles_have_their_orders():
    result = FIGURES["principles"].compute(**FIGURES["principles"].parameters("quick"))
    assert {c.text: c.shown for c in result.claims if c.verdict != pf.HOLDS} == {}
    drawn_from_its_file(FIGURES["principles"], result)


def test_the_proximal_point_is_one():
    """y + tau f'(y) = x, against the closed form of f = y^2."""
    assert relaxation._prox(lambda y: 2 * y, 1.5, 0.7) == pytest.approx(1.5 / (1 + 1.4), abs=1e-14)


def test_paths_are_drawn_at_the_times_of_the_paper():
    paths = np.zeros((3, 251, 2))
    assert trajectories._thinned("cbo", paths, 250).shape == (3, 25, 2)
    assert trajectories._thinned("hopping", paths, 250).shape == (3, 251, 2)
    assert trajectories._thinned("langevin", np.zeros((3, 10001, 2)), 250).shape == (3, 10, 2)


def test_a_share_counts_the_runs_that_arrive():
    ends = np.array([[0.1, -0.2], [0.0, 0.3], [5.0, 5.0], [0.2, 0.2]])
    found = trajectories.arrivals(np.stack([np.full((4, 2), 8.0), ends], 1))
    assert found.value == 0.5
    z = 1.959963984540054  # Wilson 1927: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    half = z * np.sqrt(0.25 / 4 + z**2 / 64) / (1 + z**2 / 4)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-12)


def test_a_step_is_gradient_descent_up_to_second_order():
    figure = FIGURES["budget"]
    smaller = {"particles": 20000, "repeats": 8}
    result = figure.compute(**{**figure.parameters("quick"), **smaller})
    verdicts = {c.text: c.verdict for c in result.claims}
    assert set(verdicts.values()) == {pf.HOLDS}
    drawn_from_its_file(FIGURES["budget"], result)


def test_ensembles_pass_what_stops_gradient_descent():
    figure = FIGURES["trajectories"]
    smaller = {"runs": 12, "descent_steps": 4000}
    result = figure.compute(**{**figure.parameters("quick"), **smaller})
    assert [c.verdict for c in result.claims][:2] == [pf.HOLDS, pf.HOLDS]
    assert pf.WRONG not in [c.verdict for c in result.claims][2:4]
    drawn_from_its_file(FIGURES["trajectories"], result)


def test_noise_overcomes_barriers():
    figure = FIGURES["barriers"]
    smaller = {
        "particles": [10, 300],
        "sigmas": [1.6],
        "runs": 40,
        "betas": [2.0],
        "passages": 1000,
    }
    result = figure.compute(**{**figure.parameters("quick"), **smaller})
    assert {c.text: c.shown for c in result.claims if c.verdict != pf.HOLDS} == {}
    drawn_from_its_file(FIGURES["barriers"], result)
