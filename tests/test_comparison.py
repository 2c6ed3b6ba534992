"""Iterates over their flow: orders and rates that are known in closed form."""

import jax
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.analysis import convergence
from odescent.dynamics import L, mu

x, v = od.blocks("x v")
c, h = od.parameters("c h")
f = od.Objective("f")
TWO = od.objective("quadratic", eigenvalues=(1.0, 10.0))


def method(scheme, parts, step=0.05):
    system = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    return od.Algorithm(system, od.scheme(scheme, parts), step=h, tuning={h: step})


def test_gradient_descent_beside_its_flow():
    """x_k = (1 - h lam)^k beside exp(-lam k h): both known, and so is their distance."""
    made = convergence(
        od.algorithm("gradient_descent"), TWO, np.ones(2), 60, parameters={"L": 40.0}
    )
    k, lam = np.arange(61)[:, None], np.array([1.0, 10.0])
    iterates, flow = (1 - lam / 40) ** k, np.exp(-lam * k / 40)
    np.testing.assert_allclose(made.x, iterates, rtol=1e-12)
    np.testing.assert_allclose(made.flow, flow, atol=1e-9)
    np.testing.assert_allclose(made.gap, np.linalg.norm(iterates - flow, axis=1), atol=1e-8)
    assert made.order.order == pytest.approx(1, abs=0.05)
    assert made.theory["spectral"] == pytest.approx(1 - 1 / 40, rel=1e-12)
    assert made.rate.low <= (1 - 1 / 40) ** 2 <= made.rate.high * (1 + 1e-9)
    assert made.rate.high - made.rate.low < 0.01


def test_constants_may_be_bound_before():
    nag = od.algorithm("nesterov_sc")
    free, bound = (convergence(a, TWO, np.ones(2), 10) for a in (nag, nag.bind(mu=1, L=10)))
    np.testing.assert_allclose(bound.x, free.x, atol=1e-12)
    assert bound.order.order == pytest.approx(free.order.order)


def test_what_is_bound_counts_and_not_the_constants_of_the_objective():
    """The friction 2 sqrt(mu) of the tuning was that of the objective's mu where another one was bound."""
    ball = method("lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")])
    tuned = ball.replace(tuning={c: 2 * sp.sqrt(mu), h: 1 / sp.sqrt(4 * L)})
    bound = convergence(tuned.bind(mu=sp.Rational(1, 4), L=25), TWO, np.ones(2), 40)
    plain = convergence(ball.replace(tuning={c: 1, h: sp.Rational(1, 10)}), TWO, np.ones(2), 40)
    np.testing.assert_allclose(bound.flow, plain.flow, atol=1e-9)
    assert bound.order.order == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("scheme", "order"), [("lie_trotter", 1), ("strang", 2)])
def test_orders_of_splittings(scheme, order):
    parts = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    made = convergence(method(scheme, parts), TWO, np.ones(2), 40, parameters={"c": 1.0})
    assert made.order.order == pytest.approx(order, abs=0.1)
    assert (np.diff(made.order.gaps) < 0).all()


def test_the_spectral_rate_of_a_tuned_method_is_the_textbooks():
    kappa = 10.0
    made = convergence(od.algorithm("heavy_ball"), TWO, np.ones(2), 120, fit_order=False)
    rate = (kappa**0.5 - 1) / (kappa**0.5 + 1)
    assert made.theory["spectral"] == pytest.approx(rate, abs=1e-7)
    assert made.rate.root == pytest.approx(rate, abs=0.03)  # k rho^k: a double root
    assert made.order is None


def test_energies_along_both():
    """The flow dissipates f + |v|^2 / 2; explicit Euler with a step this large does not at first."""
    energy = {"energy": f.value(x) + od.inner(v, v) / 2}
    kick = [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    made = convergence(
        method("lie_trotter", kick, 0.2), TWO, np.ones(2), 100, parameters={"c": 0.3}, energies=energy,
        theory={"guess": 0.97}, fit_order=False,
    )  # fmt: skip
    along, flow = made.energies["energy"]
    assert made.rises["energy"][1] == 0 and made.rises["energy"][0] > 0
    assert along[0] == flow[0] == pytest.approx(5.5)
    values = (made.flow**2 @ [1, 10] + (made.flow_states["v"] ** 2).sum(1)) / 2
    np.testing.assert_allclose(flow, values, rtol=1e-10)
    assert {"guess", "spectral"} == set(made.theory)
    labels = [t.get_text() for t in made.plot().get_legend().get_texts()]
    assert any("guess" in t for t in labels) and "flow" in labels


def test_a_time_of_its_own():
    """The convex method's clock is (k + 3/2) h: its flow starts there."""
    made = convergence(od.algorithm("nesterov_c"), TWO, np.ones(2), 30, fit_order=False)
    assert made.t[0] == pytest.approx(1.5 / 10**0.5)
    assert made.gap[0] == 0 and made.gap.max() < 1.0


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("unadjusted_langevin", {}, "draws noise"),
        ("gradient_descent", {"steps": 0}, "at least one step"),
        ("gradient_descent", {"parameters": {"L": 0.5}, "steps": 500}, "diverges at step"),
    ],
)
def test_refusals(name, options, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        convergence(od.algorithm(name), TWO, np.ones(2), options.pop("steps", 5), **options)
    assert jax.config.jax_enable_x64
