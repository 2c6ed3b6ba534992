"""The pairs of flow and algorithm in the library (MATH d): mirror maps, relativistic and stochastic methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from programs import Machine, fitted_order
from scipy import linalg

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.library.inertial import relativistic as build
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.second_order import position as p
from odescent.dynamics.vector_fields.second_order import velocity as w
from odescent.dynamics.vector_fields.system import L

h = sp.Symbol("h", positive=True)
r, a, t, gam, delta, u = od.parameters("r a t gam delta u")
f, x, v, Z = tb.f, *od.blocks("x v Z")
A = np.array([[1.0, 0.3, 0.0], [0.3, 0.6, 0.1], [0.0, 0.1, 0.4]])
TARGET = np.array([0.2, 0.5, 0.3])
GRAD: Any = lambda q: A @ (q - TARGET)
BEGIN = np.array([0.5, 0.2, 0.3])


def test_mirror_descent_with_the_identity_is_gradient_descent() -> None:
    """Row 21, exactly."""
    ours = od.algorithm("mirror_descent", mirror="identity")
    assert ours.equivalent(od.algorithm("gradient_descent"), where={h: 1 / L})


@pytest.mark.parametrize("mirror", ["orthant", "simplex"])
def test_entropic_mirror_descent_is_exponentiated_gradient(mirror: str) -> None:
    """Row 21: x_i+ = x_i exp(-s g_i), over its sum on the simplex; to rounding, and to the minimizer."""
    xs = load(od.algorithm("mirror_descent", mirror=mirror), "numpy").run(GRAD, BEGIN, 400, 0.5)
    q = BEGIN
    for row in xs:
        np.testing.assert_allclose(row, q, rtol=1e-11)
        q = q * np.exp(-0.5 * GRAD(q))
        q = q / q.sum() if mirror == "simplex" else q
    np.testing.assert_allclose(xs[-1], TARGET, atol=1e-4)


def test_exponentiated_gradient_symbolically() -> None:
    """Read in one coordinate: exp(Z - s g) = exp(Z) exp(-s g), exactly."""
    update = od.algorithm("mirror_descent", mirror="orthant").program.update_map()[Z]
    g = f.grad(od.elementwise(sp.exp, Z))
    assert vanishes(update - (Z - h * g))
    s, slope = sp.symbols("s slope", real=True)
    assert sp.simplify(sp.exp(s - h * slope) - sp.exp(s) * sp.exp(-h * slope)) == 0


def test_any_mirror_map_through_its_oracles() -> None:
    """The hypentropy: grad phi* = sinh, grad phi = arcsinh."""
    module = load(od.algorithm("mirror_descent"), "numpy")
    xs = module.run(map_mirror=np.sinh, map_dual=np.arcsinh, grad=GRAD, x0=BEGIN, steps=60, h=0.4)
    q = BEGIN
    for row in xs:
        np.testing.assert_allclose(row, q, rtol=1e-11)
        q = np.sinh(np.arcsinh(q) - 0.4 * GRAD(q))
    with pytest.raises(od.OdescentError, match="mirror map called 'simplx'"):
        od.algorithm("mirror_descent", mirror="simplx")


def test_mirror_flow_in_the_primal_on_the_orthant() -> None:
    """x' = -x g(x): the entropy's flow is the replicator's, exactly."""
    flow = od.system("mirror_flow", mirror="orthant")
    g = f.grad(flow.output)
    assert vanishes(flow.derivative(flow.output) + od.dynamics.hadamard(flow.output, g))


def test_accelerated_mirror_flow() -> None:
    """Row 20, Euclidean: x'' + ((r + 1)/t) x' + g = 0, exactly."""
    flow = od.system("accelerated_mirror", mirror="identity").limit({a: 0})
    assert vanishes(flow.second_order().lhs - ((r + 1) / t * w + f.grad(p)))


def test_accelerated_mirror_descent_with_the_identity_is_nesterovs() -> None:
    ours = od.algorithm("accelerated_mirror_descent", mirror="identity")
    found = ours.equivalent(od.algorithm("nesterov_c"))
    assert found.verdict == "proved"
    machine = Machine(ours.tuned, {"grad_f": GRAD}, L=2)
    wanted = tb.nesterov_c_loop(GRAD, 0.5, BEGIN, 40)
    np.testing.assert_allclose([s["x"] for s in machine.run(BEGIN, 40)], wanted, rtol=1e-11)


@pytest.mark.parametrize("mirror", ["map", "simplex"])
def test_accelerated_mirror_descent_is_linear_coupling(mirror: str) -> None:
    """y = tau z + (1 - tau) x, x+ = y - g/L, z+ = Mirr(z, (k + 3)/(2 L) g) with tau = 2/(k + 3)."""
    oracles = {"map_mirror": np.sinh, "map_dual": np.arcsinh, "grad_f": GRAD}
    ours = od.algorithm("accelerated_mirror_descent", mirror=mirror)
    machine = Machine(ours.tuned, oracles, L=2)
    q, z = BEGIN, BEGIN
    for k, state in enumerate(machine.run(BEGIN, 40)):
        np.testing.assert_allclose(state["x"], q, rtol=1e-10)
        np.testing.assert_allclose(machine.output(state, "z"), z, rtol=1e-10)
        y = 2 / (k + 3) * z + (k + 1) / (k + 3) * q
        q, step = y - GRAD(y) / 2, (k + 3) / 4 * GRAD(y)
        z = np.sinh(np.arcsinh(z) - step) if mirror == "map" else z * np.exp(-step)
        z = z / z.sum() if mirror == "simplex" else z


def relativistic(splitting: str, speed: sp.Expr | int = delta) -> Any:
    return build(splitting).replace(where={delta: speed})


def test_relativistic_descent_at_infinite_speed() -> None:
    """Row 25 at d = 0: Nesterov's form with be = m for alpha = 0, heavy ball with (1 + m) eps on x_h for
    alpha = 1, where m = e^(-gam h) and eps = h^2/2, exactly.
    """
    m = sp.exp(-gam * h)
    assert relativistic("look_ahead", 0).equivalent(tb.nesterov(h**2, m))
    assert relativistic("strang", 0).equivalent(tb.three_parameters((1 + m) * h**2 / 2, m))
    with pytest.raises(od.OdescentError, match="not 'verlet'"):
        build("verlet")


@pytest.mark.parametrize("splitting", ["strang", "look_ahead"])
def test_relativistic_descent_is_the_published_loop(splitting: str) -> None:
    """x_h = x + sqrt(m) v / sqrt(m d |v|^2 + 1), v_h = sqrt(m) v - eps g(x_h),
    x+ = al x_h + (1 - al) x + v_h / sqrt(d |v_h|^2 + 1), v+ = sqrt(m) v_h (Franca and others 2020).

    With the block v of speed, v = h speed / 2, eps = h^2/2, d = 4 delta / h^2 for alpha = 1, and without
    the halves for alpha = 0.
    """
    size, friction, d_ = 0.3, 0.9, 0.5
    al = 1 if splitting == "strang" else 0
    unit = size / 2 if al else size
    m, eps, d = np.exp(-friction * size), unit * size, d_ / unit**2
    values = {"h": 0.3, "gam": 0.9, "delta": 0.5}
    machine = Machine(build(splitting).program, {"grad_f": GRAD}, **values)
    q, speed = BEGIN, 0 * BEGIN
    for state in machine.run(BEGIN, 40):
        np.testing.assert_allclose(state["x"], q, rtol=1e-11)
        np.testing.assert_allclose(unit * state["v"], speed, rtol=1e-9, atol=1e-14)
        half = q + np.sqrt(m) * speed / np.sqrt(m * d * (speed @ speed) + 1)
        kicked = np.sqrt(m) * speed - eps * GRAD(half)
        q = al * half + (1 - al) * q + kicked / np.sqrt(d * (kicked @ kicked) + 1)
        speed = np.sqrt(m) * kicked


@pytest.mark.parametrize(("splitting", "order"), [("strang", 2), ("look_ahead", 1)])
def test_relativistic_orders(splitting: str, order: int) -> None:
    """Against scipy on the system's own drift, on a fixed f."""
    from scipy.integrate import solve_ivp

    curved = lambda q: 3 * GRAD(q) + np.sin(q)
    flow = lambda _, s: np.concatenate(
        [s[3:] / np.sqrt(1 + 2 * s[3:] @ s[3:]), -0.9 * s[3:] - curved(s[:3])]
    )
    begin = np.concatenate([BEGIN, np.zeros(3)])
    exact = solve_ivp(flow, (0, 1), begin, rtol=1e-12, atol=1e-13).y[:3, -1]
    program, errors = build(splitting).program, []
    for n in (20, 40, 80, 160):
        machine = Machine(program, {"grad_f": curved}, h=sp.Rational(1, n), gam=0.9, delta=2)
        errors.append(np.abs(machine.run(BEGIN, n)[-1]["x"] - exact).max())
    found = fitted_order([1 / n for n in (20, 40, 80, 160)], errors)
    assert found == pytest.approx(order, abs=0.08)


def test_underdamped_langevin_has_the_right_equilibrium() -> None:
    """Row 34: Euler-Maruyama exactly; on a quadratic the covariance tends to (1/lam, u) at order 1.

    The covariance solves S = M S M' + Q (scipy), with M and Q read off the program.
    """
    langevin, lam, friction, scale = od.algorithm("underdamped_langevin"), 3.0, 2.0, 0.25
    update, g = langevin.program.update_map(), f.grad(x)
    assert vanishes(update[x] - (x + h * v))
    assert vanishes(update[v] - ((1 - gam * h) * v - h * u * g))
    (draw,), errors, steps = langevin.program.draws, [], (0.1, 0.05, 0.025, 0.0125)
    for size in steps:
        machine = Machine(
            langevin.program, {"grad_f": lambda q: lam * q}, h=size, gam=friction, u=scale
        )
        one, none = np.ones(1), np.zeros(1)
        moved = lambda q, s, n, m=machine: np.concatenate(
            [m.step({"x": q, "v": s}, 0, {draw.target.name: n})[b] for b in ("x", "v")]
        )
        M = np.stack([moved(one, none, none), moved(none, one, none)], axis=1)
        kick = moved(none, none, one)
        S = linalg.solve_discrete_lyapunov(M, np.outer(kick, kick))
        assert kick[1] ** 2 == pytest.approx(2 * friction * scale * size)
        errors.append(np.abs(S - np.diag([1 / lam, scale])).max())
    assert fitted_order(steps, errors) == pytest.approx(1, abs=0.1)


def test_the_stationary_density_of_the_underdamped_flow() -> None:
    """The drift and the noise keep exp(-f - |v|^2/(2 u)) on a quadratic: C S + S C' + Q = 0, exactly."""
    lam = sp.Symbol("lam", positive=True)
    C = sp.Matrix([[0, 1], [-u * lam, -gam]])
    S = sp.diag(1 / lam, u)
    noise = od.system("underdamped_langevin").fields["bath"].noise[v].amplitude
    assert sp.simplify(C * S + S * C.T + sp.diag(0, noise**2)) == sp.zeros(2, 2)


def test_sgd_is_gradient_descent_with_noisy_gradients() -> None:
    """Row 35: x - s (g - sigma xi); its drift's correction is -(s/2) H g, that of the second-order SME."""
    sgd = od.algorithm("sgd")
    machine = Machine(sgd.program, {"grad_f": GRAD}, h=sp.Rational(1, 20), sigma=0.3)
    (draw,) = sgd.program.draws
    noise = np.array([0.4, -1.2, 0.1])
    moved = machine.step({"x": BEGIN}, 0, {draw.target.name: noise})["x"]
    np.testing.assert_allclose(moved, BEGIN - 0.05 * (GRAD(BEGIN) - 0.3 * noise), rtol=1e-14)
    term = sgd.modified_equation(1).terms[1][x]
    assert vanishes(term + f.hess(x, f.grad(x)) / 2)


def test_sgd_has_the_weak_order_of_the_stochastic_modified_equation() -> None:
    """On a quadratic SGD's second moment against that of dX = -lam X dt + sqrt(s) sigma dW at t = 1: order 1."""
    lam, sigma, errors, steps = 1.5, 0.8, [], (0.1, 0.05, 0.025, 0.0125)
    for s in steps:
        moment = 1.0
        for _ in range(round(1 / s)):
            moment = (1 - s * lam) ** 2 * moment + (s * sigma) ** 2
        exact = np.exp(-2 * lam) + s * sigma**2 * (1 - np.exp(-2 * lam)) / (2 * lam)
        errors.append(abs(moment - exact))
    assert fitted_order(steps, errors) == pytest.approx(1, abs=0.1)


def test_sgd_with_a_diagonal_noise_from_an_oracle() -> None:
    sgd = od.algorithm("sgd", noise="diagonal")
    oracles = {"grad_f": GRAD, "map_sigma": lambda q: 0.1 + q**2}
    machine = Machine(sgd.program, oracles, h=sp.Rational(1, 20))
    (draw,), noise = sgd.program.draws, np.array([0.4, -1.2, 0.1])
    moved = machine.step({"x": BEGIN}, 0, {draw.target.name: noise})["x"]
    wanted = BEGIN - 0.05 * (GRAD(BEGIN) - (0.1 + BEGIN**2) * noise)
    np.testing.assert_allclose(moved, wanted, rtol=1e-13)
    with pytest.raises(od.OdescentError, match="noise called 'full'"):
        od.algorithm("sgd", noise="full")


@pytest.mark.parametrize("name", ["underdamped_langevin", "sgd"])
def test_derivations_verify(name: str) -> None:
    assert od.algorithm(name).derivation().verified
