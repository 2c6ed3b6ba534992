"""Synthesis: the search finds published optima from nothing but a family and a rate."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.analysis.synthesis.family import families
from odescent.analysis.synthesis.search import spectral_rate
from odescent.dynamics.vector_fields.system import L, mu

EULER = od.scheme("semi_implicit_euler", order=("psi", "y"))


def nesterov_form() -> od.Algorithm:
    """y - al g(y), then a step along the difference: one momentum coefficient."""
    x, y = od.blocks("x y")
    al, be = od.parameters("al be")
    moved = y - al * od.Objective("f").grad(y)
    return od.method({x: moved, y: (1 + be) * moved - be * x}, output=x)


def test_the_best_spectral_rate_of_the_passive_form_is_heavy_ball() -> None:
    found = od.synthesize("passive", mu=1, L=10, rate="spectral", schemes=[EULER])
    assert found.gains["a"] == 0
    assert found.recognition.name == "heavy_ball"
    root = sp.sqrt(mu / L)
    assert sp.simplify(found.closed_form.rate - (1 - root) / (1 + root)) == 0
    assert found.rate == pytest.approx(0.519493853296, abs=1e-8)
    # Polyak's step and momentum, typed from his formulas
    assert (
        sp.simplify(found.formula.coefficients["alpha"] - 4 / (sp.sqrt(L) + sp.sqrt(mu)) ** 2) == 0
    )
    assert sp.simplify(found.formula.coefficients["beta"] - ((1 - root) / (1 + root)) ** 2) == 0


@pytest.mark.parametrize("kappa", [10, 37])
def test_the_best_certified_rate_of_the_passive_form_is_the_triple_momentum_method(
    kappa: int,
) -> None:
    found = od.synthesize("passive", mu=1, L=kappa, schemes=[EULER])
    assert found.recognition.name == "triple_momentum"
    assert sp.simplify(found.closed_form.rate - (1 - sp.sqrt(mu / L))) == 0
    assert found.closed_form.poles == {"mu": ("rho", "rho^2"), "L": ("-rho", "0")}
    assert 0 <= found.rate - (1 - kappa**-0.5) < 1e-6


def test_the_algorithm_has_the_numbers_it_was_made_for() -> None:
    """Nothing is left to give: it runs, and it is emitted, for this mu and L."""
    closed = od.synthesize(
        "gradient_flow", mu=0.1, L=10, rate="spectral", schemes=["explicit_euler"]
    )
    assert closed.formula is not None and set(closed.formula.parameters) == {mu, L}
    open_ = od.synthesize(
        "passive", mu=1, L=10, rate="spectral", schemes=[EULER], where={"a": 0, "b": 1}
    )
    for found in (closed, open_):
        assert found.algorithm.parameters == ()
    f = od.objective("quadratic", eigenvalues=(0.1, 10.0))
    run = closed.algorithm.run(f, np.ones(2), 3)
    np.testing.assert_allclose(run.x[1], 1 - 2 / 10.1 * np.array([0.1, 10.0]))
    assert "def " in closed.algorithm.source("numpy")


def test_a_gain_may_be_zero_at_the_optimum_of_a_method_given_by_its_update() -> None:
    """x + be (x - x_-) - al g(x_-): the delayed gradient wants no momentum; on two modes r^2 = r - al lambda is
    double at mu and has modulus sqrt(al L) at L, equal at al = L/(L + mu)^2."""
    x, back = od.blocks("x back")
    al, be = od.parameters("al be")
    f = od.Objective("f")
    family = od.method({x: x + be * (x - back) - al * f.grad(back), back: x}, output=x)
    found = od.synthesize(family, mu=1, L=10, rate="spectral")
    assert found.gains["be"] == 0 and found.closed_form is not None
    assert sp.simplify(found.closed_form.rate - L / (L + mu)) == 0
    assert found.rate == pytest.approx(10 / 11, abs=1e-8)
    assert found.algorithm.parameters == ()


def test_one_momentum_coefficient_on_quadratics_gives_the_published_tuning() -> None:
    """Lessard, Recht and Packard, arXiv:1408.3595, Proposition 1: 4/(3L + mu) and its momentum."""
    found = od.synthesize(nesterov_form(), mu=2, L=50, rate="spectral")
    root = sp.sqrt(3 * L / mu + 1)
    assert sp.simplify(found.gains["al"] - 4 / (3 * L + mu)) == 0
    assert sp.simplify(found.gains["be"] - (root - 2) / (root + 2)) == 0
    assert sp.simplify(found.closed_form.rate - (1 - 2 / root)) == 0


@pytest.mark.parametrize("rate", ["spectral", "certified"])
def test_gradient_descent_has_the_step_two_over_the_sum(rate: str) -> None:
    found = od.synthesize("gradient_flow", mu=1, L=7, rate=rate, schemes=["explicit_euler"])
    assert sp.simplify(found.gains["h"] - 2 / (L + mu)) == 0
    assert sp.simplify(found.closed_form.rate - (L - mu) / (L + mu)) == 0


def test_without_feed_through_the_certified_rate_lies_between() -> None:
    """Heavy ball's structure (a = 0): better than gradient descent, worse than the triple momentum method."""
    found = od.synthesize("passive", mu=1, L=10, schemes=[EULER], where={"a": 0})
    assert found.closed_form is None  # the optimum's poles show no pattern
    assert 1 - 10**-0.5 + 0.02 < found.rate < 9 / 11 - 0.05
    assert found.algorithm.coefficients["gamma"] == 0
    family = families("passive", [EULER], {"a": 0}, (sp.Integer(1), sp.Integer(10)))[0]
    at = np.array([found.gains[s.name] for s in family.gains])
    assert spectral_rate(family, at) <= found.rate
    assert found.certificate.verify()
    assert found.certificate.rate == pytest.approx(found.rate, abs=3e-6)


def test_two_stages_are_worse_than_one() -> None:
    """Heun on gradient flow: 1 - h l + (h l)^2/2 at h = 2/(L + mu) is (L^2 + mu^2)/(L + mu)^2 at both ends."""
    found = od.synthesize("gradient_flow", mu=1, L=10, schemes=["heun"])
    assert sp.simplify(found.gains["h"] - 2 / (L + mu)) == 0
    assert sp.simplify(found.closed_form.rate - (L**2 + mu**2) / (L + mu) ** 2) == 0


def test_the_step_is_fixed_where_the_gains_make_it_redundant() -> None:
    one = families("passive", [EULER], {}, (sp.Integer(1), sp.Integer(10)))[0]
    assert [s.name for s in one.gains] == ["K", "a", "b"]
    assert [s.name for s in families("heavy_ball", None, {}, (mu, L))[0].gains] == ["c", "h"]


def test_the_modes_are_those_of_the_exact_modal_matrix() -> None:
    one = families("passive", [EULER], {}, (sp.Integer(1), sp.Integer(10)))[0]
    values = {"K": sp.Rational(7, 5), "a": sp.Rational(1, 4), "b": sp.Rational(6, 5)}
    exact = one.space.modal_matrix(sp.Integer(3)).subs(
        {s: values[s.name] for s in one.gains} | {mu: 1, L: 10}
    )
    wanted = [complex(sp.N(v)) for v in exact.eigenvals(multiple=True)]
    found = one.modes(np.array([float(values[s.name]) for s in one.gains]), np.array([3.0]))[0]
    assert np.allclose(np.sort_complex(found), np.sort_complex(np.array(wanted)))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"family": 3, "mu": 1, "L": 10}, "family of synthesize must be a System"),
        ({"family": "passive", "mu": 10, "L": 1}, "mu"),
        ({"family": "passive", "mu": 0, "L": 1}, "0 < mu < L"),
        ({"family": "passive", "mu": 1, "L": 10, "rate": "best"}, "rate"),
        ({"family": "passive", "mu": 1, "L": 10, "where": {"w": 1}}, "parameter"),
        ({"family": "adam", "mu": 1, "L": 10}, "no scheme fits"),
        ({"family": od.algorithm("triple_momentum"), "mu": 1, "L": 10}, "no free gain"),
        ({"family": od.algorithm("extragradient"), "mu": 1, "L": 10}, "gradient"),
    ],
)
def test_refusals(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(od.OdescentError, match=sentence) as caught:
        od.synthesize(arguments.pop("family"), **arguments)  # type: ignore[arg-type]
    assert str(caught.value).count("\n") == 0
