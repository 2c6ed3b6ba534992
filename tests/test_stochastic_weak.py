"""Weak backward error analysis: published modified equations, exact linear ones, fitted weak orders."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

import odescent as od
from odescent.discretize.weak.weak_error import step_operators, weak_defect, weak_modified_equation
from odescent.dynamics.stochastic import in_coordinates, moment_equations, sde
from odescent.dynamics.vector_fields.system import Diffusion, Field

x = sp.Symbol("x", real=True)
X = od.blocks("x")
a, b, h, s, sigma, gam, u = od.parameters("a b h s sigma gam u")
f = sp.Function("f", real=True)
f1, f2, f3 = (sp.diff(f(x), x, n) for n in (1, 2, 3))
S = sp.Function("sigma", real=True)(x)


def same(left: object, right: object) -> bool:
    return bool(sp.simplify(sp.expand(sp.sympify(left) - right)) == 0)


# stochastic gradient descent (Li, Tai and E, arXiv:1511.06251, theorem 1)


def test_sgd_to_its_modified_equation_with_the_quarter_found_by_solving() -> None:
    """SME-1 misses -f' f'' phi'/2 at h^2; in -(f + c h |f'|^2)' the c that removes it is 1/4."""
    c = sp.Symbol("c")
    sgd = od.algorithm("sgd", noise="diagonal")
    first = sde({x: -f1}, [{x: sp.sqrt(h) * S}])
    one, two = weak_defect(sgd, first, 2)
    assert one.vanishes() and not two.vanishes()
    assert same(two.coefficient(x), f1 * f2 / 2) and same(two.coefficient(x, x), 0)
    second = sde({x: -sp.diff(f(x) + c * h * f1**2, x)}, [{x: sp.sqrt(h) * S}])
    left = weak_defect(sgd, second, 2)[1]
    (found,) = sp.solve(left.coefficient(x), c)
    assert found == sp.Rational(1, 4)
    solved = sde({x: second.drift[0].subs(c, found)}, [{x: sp.sqrt(h) * S}])
    assert all(d.vanishes() for d in weak_defect(sgd, solved, 2))
    assert not weak_defect(sgd, solved, 3)[2].vanishes()


@pytest.mark.parametrize("d", [1, 2])
def test_the_equation_of_sgd_comes_out_by_itself(d: int) -> None:
    found = weak_modified_equation(od.algorithm("sgd"), 1, d)
    value = sp.Function("f", real=True)(*found.state)
    squared = sum(sp.diff(value, q) ** 2 for q in found.state)
    for q in found.state:
        assert same(found.drift[q], -sp.diff(value + h * squared / 4, q))
    assert found.covariance == h * sigma**2 * sp.eye(d)


def test_the_drift_is_that_of_the_deterministic_modified_equation() -> None:
    """Without noise the weak expansion is backward error analysis of the map, which the package has from vectors."""
    flow = od.Algorithm(od.system("gradient_flow"), od.scheme("explicit_euler"), h)
    found = weak_modified_equation(flow, 2).drift[x]
    wanted = (
        -f1 - h * f1 * f2 / 2 - h**2 * (f1 * f2**2 / 3 + f3 * f1**2 / 12)
    )  # Hairer, Lubich, Wanner IX.1
    assert same(found, wanted)


# Langevin


def test_the_modified_equation_of_the_unadjusted_langevin_algorithm() -> None:
    """dX = -(f' + h/2 (f' f'' - f''')) dt + sqrt(2) (1 + h f''/2) dW to first order (Zygalakis 2011; Shardlow 2006)."""
    found = weak_modified_equation(od.algorithm("unadjusted_langevin"), 1)
    assert same(found.drift[x], -f1 - h * (f1 * f2 - f3) / 2)
    assert same(found.covariance[0], 2 + 2 * h * f2)


@pytest.mark.parametrize("name", ["baoab", "aboba", "obabo", "stochastic_theta"])
def test_methods_of_weak_order_two_have_no_correction_at_first(name: str) -> None:
    found = weak_modified_equation(od.algorithm(name), 1)
    assert found.generators[1].vanishes()
    wanted = in_coordinates(od.algorithm(name).system)
    assert [sp.expand(found.drift[q]) for q in wanted.state] == [sp.expand(e) for e in wanted.drift]


@settings(max_examples=6)
@given(st.sampled_from(["implicit_euler", "explicit_euler"]), st.integers(1, 3))
def test_linear_equations_of_every_order_against_the_exact_one(kind: str, order: int) -> None:
    """x+ = r x + s sqrt(q) xi is dX = -A X dt + B dW with e^(-A h) = r and B^2 (1 - r^2)/(2 A) = s^2 q."""
    flow = od.System({"all": Field({X: -od.Objective("f").grad(X)}, {X: Diffusion(s)})})
    method = od.Algorithm(flow, od.scheme(kind), h)
    found = weak_modified_equation(method, order, functions={"f": lambda q: a * q**2 / 2})
    r = 1 - a * h if kind == "explicit_euler" else 1 / (1 + a * h)
    q = h if kind == "explicit_euler" else h * r**2
    rate = -sp.log(r) / h
    square = s**2 * q * 2 * rate / (1 - r**2)
    assert same(found.drift[x], -sp.series(rate, h, 0, order + 1).removeO() * x)
    assert same(found.covariance[0], sp.series(square, h, 0, order + 1).removeO())


@settings(max_examples=6)
@given(
    st.lists(st.integers(-2, 2), min_size=4, max_size=4),
    st.lists(st.integers(-2, 2), min_size=2, max_size=2),
)
def test_matrices_that_do_not_commute_with_the_noise(entries: list[int], along: list[int]) -> None:
    """Euler on dz = M z dt + b dW: the drift is log(I + h M)/h, and C of the noise keeps the one-step covariance."""
    p, q = od.blocks("p q", kind="scalar")
    matrix, column = sp.Matrix(2, 2, entries), sp.Matrix(along)
    rates = matrix * sp.Matrix([p, q])
    noise = {p: Diffusion(column[0]), q: Diffusion(column[1])}
    system = od.System({"all": Field({p: rates[0], q: rates[1]}, noise)}, output=p)
    found = weak_modified_equation(od.Algorithm(system, od.scheme("explicit_euler"), h), 2)
    drift = sp.Matrix([found.drift[p], found.drift[q]]).jacobian([p, q])
    assert (drift - (matrix - h * matrix**2 / 2 + h**2 * matrix**3 / 3)).expand() == sp.zeros(2, 2)
    # the modified equation's covariance after h, by Van Loan's exponential, against h b b^T, to third order
    defects = []
    for step in (0.02, 0.01):
        a, c = (np.array(e.subs(h, step), dtype=float) for e in (drift, found.covariance))
        block = linalg.expm(np.block([[-a, c], [np.zeros((2, 2)), a.T]]) * step)
        grown = block[2:, 2:].T @ block[:2, 2:]
        defects.append(np.abs(grown - step * np.outer(along, along)).max())
    assert defects[1] < 1e-13 or np.log2(defects[0] / defects[1]) > 3.7


def test_exact_gaussian_steps_have_no_correction() -> None:
    bath = od.System({"bath": Field({X: -gam * X}, {X: Diffusion(sp.sqrt(2 * gam * u))})})
    exact = od.Algorithm(bath, od.Scheme((od.Flow((), "exact"),)), h)
    found = weak_modified_equation(exact, 3)
    assert all(g.vanishes() for g in found.generators[1:])
    assert same(found.drift[x], -gam * x) and same(found.covariance[0], 2 * gam * u)


# multiplicative noise, where the exact modified equation is known too (CBO.md 4(e))


def test_multiplicative_noise_against_the_logarithms() -> None:
    """E x+ = (1 - h a) x and E x+^2 = ((1 - h a)^2 + h^2 b^2) x^2 for SGD with errors b x z."""
    sgd = od.algorithm("sgd", noise="diagonal")
    concrete = {"f": lambda q: a * q**2 / 2, "sigma": lambda q: b * q}
    found = weak_modified_equation(sgd, 2, functions=concrete)
    rate = -sp.log(1 - h * a) / h
    square = (sp.log((1 - h * a) ** 2 + h**2 * b**2) - 2 * sp.log(1 - h * a)) / h
    assert same(found.drift[x], -sp.series(rate, h, 0, 3).removeO() * x)
    assert same(found.covariance[0], sp.series(square, h, 0, 3).removeO() * x**2)


@pytest.mark.parametrize(("order", "slope"), [(0, 1), (1, 2), (2, 3)])
def test_fitted_weak_orders_of_sgd_and_its_modified_equations(order: int, slope: int) -> None:
    """Second moments at T = 1 of SGD with additive errors on a x^2/2, by exact recursion and exact solution.

    From x0 = 1: near 1.5 the errors of the mean and of the noise almost cancel."""
    concrete = {"f": lambda q: sp.Rational(13, 10) * q**2 / 2}
    equation = weak_modified_equation(od.algorithm("sgd"), order, functions=concrete)
    process = sde({x: equation.drift[x]}, [{x: sp.sqrt(equation.covariance[0])}])
    moments = moment_equations(process, 2)
    errors = []
    for n in (20, 40, 80, 160):
        step, second = 1 / n, 1.0
        for _ in range(n):
            second = (1 - 1.3 * step) ** 2 * second + step**2 * 0.81
        rate, force = (
            float(e.subs({h: step, sigma: 0.9}))
            for e in (moments.matrix[1, 1], moments.constant[1])
        )
        exact = np.exp(rate) * 1.0 + force * np.expm1(rate) / rate
        errors.append(abs(exact - second))
    fitted = -np.polyfit(np.log([20, 40, 80, 160]), np.log(errors), 1)[0]
    assert fitted == pytest.approx(slope, abs=0.05)


def test_a_gradient_at_a_mirror_map() -> None:
    """The chain rule through two opaque functions: Z' = -f'(q(Z)) by Euler has -f'' q' f'/2 at first order."""
    mirror = weak_modified_equation(
        od.algorithm("mirror_descent"), 1, functions={"f": sp.cosh, "mirror": sp.tanh}
    )
    z = mirror.state[0]
    drift = -sp.sinh(sp.tanh(z))
    assert same(mirror.drift[z], drift - h * drift.diff(z) * drift / 2)


def test_the_defect_is_found_whatever_the_order_of_the_coordinates() -> None:
    x1, v1 = sp.symbols("x v", real=True)
    method = od.algorithm("underdamped_langevin")
    g = f(x1).diff(x1)
    right = sde({v1: -gam * v1 - u * g, x1: v1}, [{v1: sp.sqrt(2 * gam * u)}])
    wrong = sde({v1: -gam * v1 - u * g, x1: v1}, [{v1: sp.sqrt(gam * u)}])
    assert weak_defect(method, right, 1)[0].vanishes()
    assert not weak_defect(method, wrong, 1)[0].vanishes()
    with pytest.raises(od.OdescentError, match="not those of the algorithm's blocks"):
        weak_defect(method, sde({sp.Symbol("q", real=True): 0}), 1)


def test_means_of_a_step_by_monte_carlo() -> None:
    """phi + h A_1 phi + h^2 A_2 phi against 4e5 steps of ULA on log cosh, phi = sin."""
    operators = step_operators(
        od.algorithm("unadjusted_langevin"), 3, functions={"f": lambda q: sp.log(sp.cosh(q))}
    )
    phi, at, step = sp.sin(x), 0.8, 0.1
    series = float(phi.subs(x, at)) + sum(
        step**k * float(o(phi).subs(x, at)) for k, o in enumerate(operators, 1)
    )
    xi = np.random.default_rng(3).normal(size=200_000)
    xi = np.concatenate([xi, -xi])
    sample = np.sin(at - step * np.tanh(at) + np.sqrt(2 * step) * xi)
    assert series == pytest.approx(sample.mean(), abs=4 * sample.std() / np.sqrt(xi.size) + 1e-4)


def test_what_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="keeps q"):
        step_operators(od.algorithm("leimkuhler_matthews"), 1)
    with pytest.raises(od.OdescentError, match="counts its steps"):
        step_operators(od.algorithm("nesterov_c"), 1)
    with pytest.raises(od.OdescentError, match="sweeps over coordinates"):
        step_operators(od.algorithm("sor"), 1)
    with pytest.raises(od.OdescentError, match="1 or more"):
        step_operators(od.algorithm("sgd"), 0)
    with pytest.raises(
        od.OdescentError, match="is defined as a map, without a differential equation"
    ):
        step_operators(od.method({X: X * 2}, output=X), 1)
    # noise of a variable size on a nonlinear drift: third derivatives from the second order on
    with pytest.raises(od.OdescentError, match="no SDE follows this scheme"):
        weak_modified_equation(od.algorithm("unadjusted_langevin"), 2)
