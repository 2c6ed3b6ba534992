"""The pairs of flow and algorithm in the library (MATH d): momentum methods against their textbook forms."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
import textbook as tb
from programs import Machine, fitted_order
from scipy.integrate import solve_ivp

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.second_order import position as p
from odescent.dynamics.vector_fields.second_order import velocity as w

h = sp.Symbol("h", positive=True)
c, alpha, beta, gam, delta, mu = od.parameters("c alpha beta gam delta mu")
f, x, v, y = tb.f, *od.blocks("x v y")
MATRIX = np.array([[2.0, 0.5], [0.5, 1.0]])
GRAD: Any = lambda q: MATRIX @ q + 0.5 * np.sin(q)  # of a strongly convex, non-quadratic function
BEGIN = np.array([1.0, -0.7])
DERIVED = [
    "ogda", "proximal_gradient", "douglas_rachford", "halpern", "newton", "nesterov_look_ahead",
    "conformal_heavy_ball", "dissipative_leapfrog", "inertial_newton", "nag_flow", "mirror_descent",
    "accelerated_mirror_descent",
]  # fmt: skip


def proved(one: od.Algorithm, other: od.Algorithm, output: bool = True) -> bool:
    found = one.equivalent(other)
    return found.verdict == "proved" and (not output or found.same_output is True)


def approach(name: str, flow: Any, start: Any, block: str, **values: Any) -> float:
    """The fitted order at which a block reaches the flow at time 1, with h = 1/20 to 1/160."""
    counts = (20, 40, 80, 160)
    exact = solve_ivp(flow, (0, 1), start, rtol=1e-12, atol=1e-13).y[:2, -1]
    algorithm = od.algorithm(name, **values.pop("options", {}))
    errors = []
    for n in counts:
        machine = Machine(algorithm.program, {"grad_f": GRAD}, h=sp.Rational(1, n), **values)
        errors.append(np.abs(machine.run(BEGIN, n)[-1][block] - exact).max())
    return fitted_order([1 / n for n in counts], errors)


@pytest.mark.parametrize("name", DERIVED)
def test_derivations_verify(name: str) -> None:
    found = od.algorithm(name).derivation()
    assert found.verified and len(found.steps) >= 2


def test_optimistic_descent_is_the_textbook_form() -> None:
    """Row 5: z - 2 s F(z) + s F(z_-) with s = h, exactly."""
    assert proved(od.algorithm("ogda").replace(tuning={}), tb.optimistic(h))
    z, F = od.blocks("z"), tb.F
    term = od.algorithm("ogda").modified_equation(1).terms[1][z]
    jacobian = od.dynamics.derivative(F.operator(z), {z: F.operator(z)})
    assert vanishes(term - jacobian / 2)


def test_the_look_ahead_form_is_nesterovs_method() -> None:
    """Row 10: the same points and iterates as nesterov_sc, from two flows and two schemes."""
    assert proved(od.algorithm("nesterov_look_ahead"), od.algorithm("nesterov_sc"))
    assert proved(od.algorithm("nesterov_look_ahead"), tb.nesterov())


def test_conformal_heavy_ball() -> None:
    """Row 16: heavy ball with momentum e^(-c h) and step size h^2; the area shrinks by the momentum."""
    conformal = od.algorithm("conformal_heavy_ball")
    assert proved(conformal, tb.three_parameters(h**2, sp.exp(-c * h)))
    update, lam = conformal.program.update_map(), sp.Symbol("lam", positive=True)
    step = {s: od.dynamics.algebra.calculus.modal(e, lam) for s, e in update.items()}
    matrix = sp.Matrix([[step[s].terms.get(t, 0) for t in (x, v)] for s in (x, v)])
    assert sp.simplify(matrix.det() - sp.exp(-c * h)) == 0


def second_order_flow(damping: Any) -> Any:
    return lambda _, s: np.concatenate([s[2:], -damping(s) - GRAD(s[:2])])


def test_orders_of_the_structured_methods() -> None:
    """Rows 16 and 26 on a fixed non-quadratic f, against scipy: orders 1 and 2."""
    flow = second_order_flow(lambda s: 1.3 * s[2:])
    begin = [*BEGIN, 0.0, 0.0]
    assert approach("conformal_heavy_ball", flow, begin, "x", c=1.3) == pytest.approx(1, abs=0.06)
    assert approach("dissipative_leapfrog", flow, begin, "x", c=1.3) == pytest.approx(2, abs=0.03)


def test_dissipative_leapfrog() -> None:
    """Row 26: one new gradient per step, and at c = 0 the leapfrog x+ - 2 x + x_- = -h^2 g."""
    leapfrog = od.algorithm("dissipative_leapfrog")
    assert leapfrog.calls == 1 and len(leapfrog.own_program.calls) == 2
    undamped = leapfrog.program.bind({c: 0}).update_map()
    kept = next(b for b in leapfrog.program.blocks if b.role == "memory")
    assert vanishes(undamped[x] - (x + h * (v - h / 2 * kept.symbol)))
    assert vanishes(undamped[v] - (v - h / 2 * kept.symbol - h / 2 * f.grad(undamped[x])))
    trajectory = [BEGIN, BEGIN - 0.005 * GRAD(BEGIN)]
    machine = Machine(leapfrog.program.bind({c: 0}), {"grad_f": GRAD}, h=sp.Rational(1, 10))
    for k, state in enumerate(machine.run(BEGIN, 12)):
        if k > 1:
            trajectory.append(2 * trajectory[-1] - trajectory[-2] - 0.01 * GRAD(trajectory[-1]))
        np.testing.assert_allclose(state["x"], trajectory[k], rtol=1e-12)


def test_inertial_newton_is_inna_on_the_din_flow() -> None:
    """Row 23: y'' + al y' + be H y' + g = 0, and INNA of Castera and others (2021), exactly.

    theta+ = theta + h ((1/be - al) theta - psi/be - be g), psi+ = psi + h ((1/be - al) theta - psi/be),
    from psi = (1 - al be) theta.
    """
    lhs = od.system("inertial_newton").second_order().lhs
    assert vanishes(lhs - (alpha * w + beta * f.hess(p, w) + f.grad(p)))
    theta, psi, x0 = od.blocks("theta psi x0")
    pull = (1 / beta - alpha) * theta - psi / beta
    textbook = od.method(
        {theta: theta + h * (pull - beta * f.grad(theta)), psi: psi + h * pull},
        output=theta,
        init={psi: (1 - alpha * beta) * x0},
    )
    assert proved(od.algorithm("inertial_newton"), textbook)


def test_inertial_newton_has_order_one() -> None:
    loss = lambda q: q @ MATRIX @ q / 2 - 0.5 * jnp.cos(q).sum()
    sizes = np.linalg.norm(od.algorithm("newton").run(loss, BEGIN, 4).x, axis=1)
    assert sizes[4] < 1e-14 or sizes[4] < 10 * sizes[3] ** 2
    damped = od.algorithm("newton").bind(h=sp.Rational(1, 100)).run(loss, BEGIN, 100)
    np.testing.assert_allclose(GRAD(damped.x[-1]), GRAD(BEGIN) * np.exp(-1), rtol=0.02)
    damping = od.algorithm("newton", regularized=True).bind(lam=0.5)
    once = damping.run(lambda q: q @ MATRIX @ q / 2, BEGIN, 1).x[-1]
    np.testing.assert_allclose(once, 0.5 * np.linalg.solve(MATRIX + 0.5 * np.eye(2), BEGIN))


def test_newton_flow_and_gradient_of_its_objective() -> None:
    """The gradient obeys g' = -g, by the calculus; regularized it does not."""
    assert vanishes(od.system("newton_flow").derivative(f.grad(x)) + f.grad(x))
    other = od.system("newton_flow", regularized=True).derivative(f.grad(x)) + f.grad(x)
    assert not vanishes(other)


def test_sor_is_a_sweep_of_cayley_steps() -> None:
    """Row 27: x_i' = -(A x - b)_i / a_ii, each coordinate by Cayley's rule: SOR with omega = 2h/(2+h), exactly."""
    n = 3
    xs = od.blocks("x1 x2 x3", kind="scalar")
    a = [[sp.Symbol(f"a{i}{j}", positive=True) for j in range(n)] for i in range(n)]
    b = sp.symbols("b1 b2 b3", positive=True)
    row = lambda i, q: -(sum(a[i][j] * q[j] for j in range(n)) - b[i]) / a[i][i]
    flow = od.System({f"row{i}": {xs[i]: row(i, xs)} for i in range(n)}, output=xs[0])
    parts = [(f"row{i}", "cayley") for i in range(n)]
    update = od.Algorithm(flow, od.scheme("lie_trotter", parts)).program.update_map()
    omega, q = 2 * h / (2 + h), list(xs)
    for i in range(n):
        others = sum(a[i][j] * q[j] for j in range(n) if j != i)
        q[i] = (1 - omega) * q[i] + omega * (b[i] - others) / a[i][i]
        assert sp.simplify(update[xs[i]] - q[i]) == 0
