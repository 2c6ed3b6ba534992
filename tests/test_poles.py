"""Pole placement: the rows of the published tables, and specifications that stand in no table."""

import pytest
import sympy as sp
from placed import assert_placed, r, same

import odescent as od
from odescent.discretize.pole_placement.placement import place_poles
from odescent.dynamics import L, mu

q = sp.sqrt(mu / L)
rho, p = sp.symbols("rho p")
half = sp.Rational(1, 2)


def only(*args, **options):
    (solution,) = place_poles(*args, **options)
    return solution


def assert_coefficients(solution, **claimed):
    found = solution.coefficients
    for name, value in claimed.items():
        assert same(found[name], value), name
        assert same(solution.parameters[name], value), name


# --- the published methods --------------------------------------------------------------------------


def test_nesterov():
    found = only({"mu": (1 - q, 1 - q), "L": (0,)})
    beta = (1 - q) / (1 + q)
    assert_coefficients(found, alpha=1 / L, beta=beta, gamma=beta, delta=0)
    for name, value in {"K": 2 * q / (1 + q), "a": 1, "b": beta}.items():
        assert same(found.parameters[name], value)
    verdict = found.equivalent(od.algorithm("nesterov_sc"))
    assert verdict.verdict == "proved" and verdict.same_output
    assert found.labels == () and found.stable is True and "exact" in found.stability
    assert found.poles["L"] == (0, 0)  # deadbeat: the other pole comes along


def test_nesterov_read_at_the_left_eigenvector():
    found = only({"mu": (1 - q, 1 - q), "L": (0,)}, output=1 - q)
    assert_coefficients(found, delta=(1 - q) / q)
    assert_multiplied(found, 1 - q)


def assert_multiplied(solution, pole):
    """The output of one step is the pole times the output, for every state of the mode mu."""
    space = solution.algorithm.state_space()
    after = space.output * space.modal_matrix(mu)
    assert all(same(x, pole * y) for x, y in zip(after, space.output, strict=True))


def test_triple_momentum():
    root = 1 - q
    found = only({"mu": (root, root**2), "L": (0,)}, output=root)
    assert_coefficients(
        found,
        alpha=(1 + root) / L,
        beta=root**2 / (2 - root),
        gamma=root**2 / ((1 + root) * (2 - root)),
        delta=root**2 / (1 - root**2),
    )
    assert same(found.parameters["K"], q * (3 - q) / (1 + q))
    assert same(found.parameters["b"], 2 * (1 - q) / (1 + q))
    verdict = found.equivalent(od.algorithm("triple_momentum"))
    assert verdict.verdict == "proved" and verdict.same_output
    assert_multiplied(found, root)
    assert found.stable is True


def test_robust_momentum():
    found = only({"mu": (rho, rho**2), "L": (0,)}, output=rho)
    kappa = L / mu
    assert_coefficients(
        found,
        alpha=kappa * (1 - rho) ** 2 * (1 + rho) / L,
        beta=kappa * rho**3 / (kappa - 1),
        gamma=rho**3 / ((kappa - 1) * (1 - rho) ** 2 * (1 + rho)),
        delta=rho**2 / (1 - rho**2),
    )
    b = (1 - rho - q**2) * (1 - rho**2 - q**2) / (q**2 * (1 - q**2))
    assert same(found.parameters["b"], b) and found.parameters["a"] == 1
    assert_multiplied(found, rho)
    assert found.stable is None and "sampled" in found.stability
    assert found.labels == ("stability depends on q, rho",)


@pytest.mark.parametrize("kappa", [2, 10, 400])
def test_robust_momentum_is_stable_where_it_is_published(kappa):
    low, high = 1 - 1 / sp.sqrt(kappa), 1 - sp.Rational(1, kappa)
    for root in (low, (low + high) / 2, high):
        found = only({"mu": (root, root**2), "L": (0,)}, mu=1, L=kappa)
        assert found.stable is True
    beyond = only({"mu": (low / 2, low**2 / 4), "L": (0,)}, mu=1, L=kappa)
    assert beyond.stable is (kappa == 2) and ("unstable" in beyond.labels) is (kappa != 2)


def test_one_pole_at_the_rate_and_another():
    found = only({"mu": (1 - q, p)}, fixed={"a": 1})
    assert same(found.parameters["beta"], p / (1 + q))
    assert same(found.parameters["b"], (1 - q**2 - p) / (q * (1 + q)))


def test_heavy_ball():
    root = (1 - q) / (1 + q)
    found = only({"mu": (root, root)}, fixed={"a": 0})
    assert_coefficients(
        found, alpha=4 / (sp.sqrt(L) + sp.sqrt(mu)) ** 2, beta=root**2, gamma=0, delta=0
    )
    assert same(found.characteristic(L, r), (r + root) ** 2)
    verdict = found.equivalent(od.algorithm("heavy_ball"))
    assert verdict.verdict == "proved" and verdict.same_output
    over = only({"mu": (root, root), "L": (-root, -root)})  # over-determined and consistent
    assert over.parameters["a"] == 0 and over.equivalent(found).verdict == "proved"


def test_gradient_descent_is_the_branch_without_memory():
    best = (L - mu) / (L + mu)
    found = only({"mu": (best, 0), "L": (-best, 0)})
    assert found.labels == ("family", "degenerate (beta = 0)")
    assert_coefficients(found, alpha=2 / (L + mu), beta=0, gamma=0, delta=0)
    assert found.stable is True
    verdict = found.equivalent(od.algorithm("gradient_descent"))
    assert verdict.verdict == "refuted"  # that one's step is 1/L
    unit = only({"mu": (1 - q**2, 0), "L": (0,)})
    assert unit.equivalent(od.algorithm("gradient_descent")).verdict == "proved"
    assert unit.algorithm.bind(a_0=1).parameters == (L,)


# --- specifications that stand nowhere --------------------------------------------------------------


def test_symbols_named_q_and_kappa_stand_for_the_class():
    own_q, kappa = sp.symbols("q kappa")
    found = only({mu: (1 - own_q, 1 - 1 / sp.sqrt(kappa)), L: (0,)})
    assert found.equivalent(od.algorithm("nesterov_sc")).verdict == "proved"


def test_complex_pair():
    pair = (half + sp.I * rho, half - sp.I * rho)
    found = only({"mu": pair, "L": (0,)})
    assert_placed(found, {mu: pair, L: (0,)})
    assert not found.algorithm.state_space().A.has(sp.I)
    number = only({"mu": (0.5 + 0.25j, 0.5 - 0.25j), "L": (0,)}, mu=1, L=2)
    assert number.parameters["beta"] == sp.Rational(5, 8)
    polar = only({"mu": (half * sp.exp(sp.I), half * sp.exp(-sp.I)), "L": (0,)}, mu=1, L=2)
    assert same(polar.parameters["beta"], half)


def test_single_poles_at_both_ends_leave_a_family():
    found = place_poles({"mu": (rho,), "L": (p,)})
    (family,) = found
    (beta,) = family.free
    assert str(beta) == "beta" and "family" in family.labels
    assert_placed(family, {mu: (rho,), L: (p,)})
    assert beta in found.assumes and any(same(e, p - rho) for e in found.assumes)
    member = family.algorithm.bind(
        {beta: half, rho: sp.Rational(3, 4), p: sp.Rational(1, 4)}, mu=1, L=10
    )
    assert member.coefficients["beta"] == half and not member.parameters


def test_one_pole_alone_leaves_two_parameters_and_gradient_descent():
    regular, descent = place_poles({"mu": (rho,)})
    assert [str(s) for s in regular.free] == ["beta", "a_0"]
    assert_placed(regular, {mu: (rho,)})
    assert descent.labels[:2] == ("family", "degenerate (beta = 0)")
    assert same(descent.parameters["alpha"], (1 - rho) / mu)


def test_three_modes_and_interior_ones():
    wanted = {"mu": (half,), (mu + L) / 2: (sp.Rational(1, 3),), "L": (sp.Rational(-1, 5),)}
    found = only(wanted)
    lams = {mu: (half,), (mu + L) / 2: (sp.Rational(1, 3),), L: (sp.Rational(-1, 5),)}
    assert_placed(found, lams)
    assert "lambda = L/2 + mu/2" in found.poles
    geometric = only({sp.sqrt(mu * L): (rho, p), "L": (0,)})
    assert_placed(geometric, {sp.sqrt(mu * L): (rho, p), L: (0,)})
    number = only({3: (half, half), 10: (0,)}, mu=1, L=10)
    assert_placed(number, {3: (half, half), 10: (0,)})


def test_a_number_for_a_mode_needs_no_number_for_the_class():
    found = only({3: (half, half), "L": (0,)})
    assert_placed(found, {sp.Integer(3): (half, half), L: (0,)})


@pytest.mark.parametrize("fixed", [
    {"K": 1 - half}, {"beta": half}, {"a": half}, {"alpha": 1 / L}, {"gamma": half}, {"a": 0, "b": 1},
])  # fmt: skip
def test_fixed_parameters_are_kept(fixed):
    wanted = {"mu": (rho,)} if fixed.keys() & {"alpha", "b"} else {"mu": (rho, p)}
    for found in place_poles(wanted, fixed=fixed):
        assert_placed(found, {mu: wanted["mu"]})
        assert all(same(found.parameters[n], v) for n, v in fixed.items())


def test_a_prescribed_b_gives_two_solutions():
    found = place_poles(
        {"mu": (sp.Rational(3, 4), half)}, fixed={"b": sp.Rational(1, 10)}, mu=1, L=4
    )
    assert len(found) == 2
    for one in found:
        assert one.parameters["b"] == sp.Rational(1, 10)
        assert_placed(one, {sp.Integer(1): (sp.Rational(3, 4), half)})
    with pytest.raises(od.OdescentError, match="no real parameters"):
        place_poles({"mu": (0.75, 0.5)}, fixed={"b": -1}, mu=1, L=4)


def test_pure_passivity_is_found_from_either_pole():
    """At b = 0 the poles are beta and 1 - a ell (MATH b.1), so two poles can be given out in two ways."""
    first, second = place_poles({"mu": (rho, p)}, fixed={"b": 0})
    assert {first.parameters["beta"], second.parameters["beta"]} == {rho, p}
    for one in (first, second):
        assert "degenerate (b = 0, gamma = beta/(1 - beta))" in one.labels
        beta = one.parameters["beta"]
        assert same(one.parameters["gamma"], beta / (1 - beta))
        assert one.coefficients["beta"] == 0  # what the gradient points see is gradient descent
    regular, memory, descent = place_poles({"mu": (rho,)}, fixed={"b": 0})
    assert same(regular.parameters["a"], (1 - rho) / q**2) and memory.parameters["beta"] == rho
    assert "degenerate (beta = 0)" in descent.labels


def test_a_pole_at_one_means_no_lasting_effect():
    for found in place_poles({"mu": (1,)}):
        assert "degenerate (alpha = 0)" in found.labels and "unstable" in found.labels
        assert found.parameters["alpha"] == 0 and "gamma" not in found.parameters


def test_beta_zero_by_request():
    found = only({"mu": (half,)}, fixed={"beta": 0, "a": 0})
    assert found.free == () and found.labels[0] == "degenerate (beta = 0)"
    assert same(found.parameters["b"], 1 / (2 * q**2))
    both = only({"mu": (half,)}, fixed={"beta": 0, "b": 2})
    assert same(both.parameters["a"], 1 / (2 * q**2) - 2)


def test_the_degenerate_member_of_a_family_is_named():
    family, descent = place_poles({"mu": (rho,), "L": (0,)})
    assert family.parameters["a"] == 1
    assert "degenerate (beta = 0)" in descent.labels
    assert same(descent.parameters["alpha"], (1 - rho) / mu)
