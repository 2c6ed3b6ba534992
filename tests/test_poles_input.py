"""Pole placement: bad input, contradictions, how stability is decided, what the algorithms can do."""

import re

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.library.momentum import modal_form
from odescent.discretize.pole_placement.placement import place_poles
from odescent.dynamics import L, mu
from odescent.dynamics.algebra.exact import canonical, is_zero

q = sp.sqrt(mu / L)
rho, p = sp.symbols("rho p")
half = sp.Rational(1, 2)
TMM_OUTPUT_10 = (0.0223416175791, 0.0706503981624)  # MATH (c): T1, from (1, 1)
TMM_XI_10 = (0.03727689188366, 0.0223416175791)


def test_the_modal_form_is_that_of_the_notes():
    """MATH b.6: T = 1 + beta - (a + b) ell and D = beta (1 - a ell), here in (beta, s, t)."""
    ell = sp.Symbol("ell", positive=True)
    (t0, t), (d0, d) = modal_form(ell)
    assert (t0, t) == (1, (1, -ell, 0)) and (d0, d) == (0, (1, 0, -ell))


@pytest.mark.untyped
@pytest.mark.parametrize(("poles", "says"), [
    ({}, "as in {\"mu\": (rho, rho)"),
    ([("mu", (0,))], "given by mode"),
    ("mu", "given by mode"),
    ({"mu": ()}, "one or two at mu, not 0"),
    ({"mu": (1, 2, 3)}, "one or two at mu, not 3"),
    ({"mu": 0.5}, "a tuple of one or two"),
    ({"mu": "0.5"}, "a tuple of one or two"),
    ({"mu": ("0.5",)}, "not '0.5'"),
    ({"mu": (float("nan"),)}, "a finite number"),
    ({"mu": (float("inf"), 0)}, "a finite number"),
    ({"mu": (complex("nan"), 0)}, "a finite number"),
    ({"mu": (sp.oo,)}, "a finite number"),
    ({"mu": (sp.nan * rho,)}, "finite"),
    ({"mu": (sp.oo * rho,)}, "finite"),
    ({"mu": (sp.CRootOf(rho**5 - rho - 1, 0),)}, "by radicals"),
    ({"mu": (True,)}, "not True"),
    ({"mu": (None,)}, "not None"),
    ({"mu": (np.zeros(2),)}, "a finite number"),
    ({"mv": (0,)}, "did you mean 'mu'"),
    ({"l": (0,)}, "there is no mode 'l'"),
    ({0: (0,)}, "positive curvature"),
    ({-1: (0,)}, "positive curvature"),
    ({mu - L: (0,)}, "positive curvature"),
    ({sp.I: (0,)}, "positive curvature"),
    ({None: (0,)}, "a mode must be"),
    ({"mu": (0,), mu: (half,)}, "the same mode"),
    ({"mu": (half + sp.I / 3, half)}, "no conjugate pair"),
    ({"mu": (0.5 + 0.1j, 0.4 - 0.1j)}, "no conjugate pair"),
    ({"mu": (sp.I / 2,)}, "together with its conjugate"),
    ({"mu": (sp.Symbol("a"),)}, "rename it"),
    ({"mu": (rho, sp.Symbol("rho", positive=True))}, "two different symbols"),
])  # fmt: skip
def test_bad_poles_get_a_sentence(poles, says):
    with pytest.raises(od.OdescentError, match=re.escape(says)):
        place_poles(poles)


@pytest.mark.untyped
@pytest.mark.parametrize(("options", "says"), [
    ({"fixed": {"bet": 1}}, "did you mean 'beta'"),
    ({"fixed": {"a": "0"}}, "not '0'"),
    ({"fixed": {"a": sp.I}}, "is not real"),
    ({"fixed": [("a", 0)]}, "given by name"),
    ({"mu": 2, "L": 1}, "L must be at least mu"),
    ({"mu": 0, "L": 1}, "mu must be more than 0"),
    ({"mu": rho}, "must be a number"),
    ({"mu": "1"}, "finite number"),
    ({"output": p}, "is not a pole there"),
    ({"output": "rho"}, "the pole for output="),
    ({"output": sp.I}, "takes a real pole"),
])  # fmt: skip
def test_bad_options_get_a_sentence(options, says):
    with pytest.raises(od.OdescentError, match=re.escape(says)):
        place_poles({"mu": (rho, rho), "L": (0,)}, **options)


def refusal(*args, **options):
    with pytest.raises(od.OdescentError) as caught:
        place_poles(*args, **options)
    return str(caught.value)


def test_contradictions_name_what_contradicts_and_when_it_would_not():
    said = refusal({"mu": (rho, rho), "L": (-rho, -rho)})
    assert "the poles rho and rho at mu and the poles -rho and -rho at L" in said
    assert "(q*rho + q + rho - 1) = 0" in said  # Polyak's rho solves it
    said = refusal({"mu": (half, half), "L": (0,), (mu + L) / 2: (rho, rho)})
    assert "(mu + L)/2" in said or "L/2 + mu/2" in said
    said = refusal({"mu": (rho, p)}, fixed={"alpha": 1 / L})
    assert "alpha = 1/L" in said and "their sum" not in said
    said = refusal({"L": (0,)}, fixed={"beta": half, "a": 0})
    assert "beta = 1/2" in said and "a = 0" in said and "the pole 0 at L" in said


def test_contradictions_leave_out_what_is_innocent():
    said = refusal({"mu": (half,), "L": (0,)}, fixed={"beta": half, "K": 1})
    assert "K = 1" in said and "beta = 1/2" in said and "pole" not in said.split("together:")[1]


def test_no_method_without_memory_has_two_poles():
    said = refusal({"mu": (half, sp.Rational(1, 3))}, fixed={"beta": 0})
    assert "beta = 0" in said and "at mu" in said


def test_inconsistent_b():
    said = refusal({"mu": (half, half), "L": (0,)}, fixed={"b": 7})
    assert "b = 7" in said


def test_output_needs_a_pole_whose_eigenvector_sees_the_iterate():
    """At b = 0 the memory decays by itself: the left eigenvector of beta reads psi alone."""
    found = place_poles({"mu": (half, sp.Rational(1, 3))}, fixed={"b": 0}, output=half)
    labels = {one.parameters["beta"]: one.labels for one in found}
    assert "no output" in labels[half] and "no output" not in labels[sp.Rational(1, 3)]


def test_output_of_every_kind_of_pole():
    for poles, pole in (((rho, 0), 0), ((rho, p), p), ((1, half), 1)):
        found = place_poles({"mu": poles}, fixed={"a": half}, output=pole)[0]
        space = found.algorithm.state_space()
        after = space.output * space.modal_matrix(mu)
        assert all(
            is_zero(canonical(x - pole * y)) for x, y in zip(after, space.output, strict=True)
        )


def test_stability_is_exact_in_q():
    (found,) = place_poles({"mu": (half, half), "L": (0,)})
    assert found.stable is None and found.labels == ("stability depends on q",)
    low = float(re.search(r"in \(([0-9.]+), 1\.0", found.stability).group(1))
    for kappa, stable in ((1 / low**2 * 0.999, True), (1 / low**2 * 1.001, False)):
        (number,) = place_poles({"mu": (half, half), "L": (0,)}, mu=1, L=kappa)
        assert number.stable is stable


def test_unstable_poles_are_allowed_and_labelled():
    for poles in ((2, half), (1, half), (-1, 0.3), (3, 3), (sp.I, -sp.I)):
        for found in place_poles({"mu": poles, "L": (0,)}):
            assert "unstable" in found.labels and found.stable is False
            assert "exact" in found.stability


def test_the_method_runs_at_the_wanted_rate():
    """Numbers, not symbols: the modes mu and L of a quadratic contract as asked."""
    (found,) = place_poles({"mu": (0.8, 0.5), "L": (0.25,)}, mu=1, L=10)
    c = {n: float(e) for n, e in found.coefficients.items()}
    for lam, poles in ((1.0, (0.8, 0.5)), (10.0, (0.25,))):
        one = [
            1 + c["beta"] - c["alpha"] * lam * (1 + c["gamma"]),
            c["alpha"] * lam * c["gamma"] - c["beta"],
        ]
        eigenvalues = np.linalg.eigvals(np.array([one, [1.0, 0.0]]))
        for pole in poles:
            assert min(abs(eigenvalues - pole)) < 1e-10


def test_a_placed_method_runs_and_is_emitted_like_any_other():
    (found,) = place_poles({"mu": (1 - q, (1 - q) ** 2), "L": (0,)}, output=1 - q)
    objective = od.Objective("f", fun=lambda x: (x[0] ** 2 + 10 * x[1] ** 2) / 2, mu=1, L=10)
    run = found.algorithm.run(objective, np.array([1.0, 1.0]), 10, mu=1.0, L=10.0)
    np.testing.assert_allclose(run.x[10], TMM_OUTPUT_10, rtol=1e-9)
    np.testing.assert_allclose(run.states["xi"][10], TMM_XI_10, rtol=1e-9)
    assert "def " in found.algorithm.source("numpy")


def test_solutions_are_a_sequence_of_algorithms():
    found = place_poles({"mu": (rho,)})
    assert (
        len(found) == 2 and found[0] is found.solutions[0] and list(found) == list(found.solutions)
    )
    assert found.algorithms == tuple(one.algorithm for one in found) and len(found[:1]) == 1
    assert "beta = 0" in str(found) and "q = sqrt(mu/L)" in str(found)
    assert "xi" in found[0].algorithm.outputs


def test_a_free_symbol_steps_aside_for_a_name_in_use():
    beta = sp.Symbol("beta")
    (found, *_) = place_poles({"mu": (beta,), "L": (p,)})
    assert [str(s) for s in found.free] == ["beta_1"]


def test_floats_are_the_decimals_they_print():
    (found,) = place_poles({"mu": (0.1, 0.2), "L": (0.3,)}, mu=1, L=10)
    assert found.poles["mu"] == (sp.Rational(1, 10), sp.Rational(1, 5))


def test_every_residual_is_zero_and_a_perturbed_method_has_another_polynomial():
    r = sp.Symbol("r")
    (found,) = place_poles({"mu": (rho, p), "L": (0,)})
    assert set(found.residuals) == {"mu (sum)", "mu (product)", "L"}
    assert all(e == 0 for e in found.residuals.values())
    assert is_zero(canonical(found.characteristic(mu, r) - (r - rho) * (r - p)))
    assert all(
        is_zero(canonical(found.coefficients[n] - found.parameters[n])) for n in found.coefficients
    )
    assert found.parameters["delta"] == 0  # the iterate, unless an output is asked for
    (other,) = place_poles({"mu": (rho, p), "L": (sp.Rational(1, 1000),)})
    assert not is_zero(canonical(found.characteristic(L, r) - other.characteristic(L, r)))
    with pytest.raises(od.OdescentError, match="a curvature"):
        found.characteristic("mu", r)
