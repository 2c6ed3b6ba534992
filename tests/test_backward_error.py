"""Modified equations: known B-series, the second-order forms of MATH b.3, fitted orders, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from modified import ORACLES, START, local_order
from programs import Machine, fitted_order
from scipy.integrate import solve_ivp

import odescent as od
from odescent.discretize.expansion.backward_error import modified_equation
from odescent.dynamics import derivative, vanishes
from odescent.dynamics.algebra.calculus import coefficient, modal
from odescent.dynamics.vector_fields.second_order import position, velocity
from odescent.dynamics.vector_fields.system import curvature, mu

x, v, z, m, y = od.blocks("x v z m y")
a, b, c, h, K = od.parameters("a b c h K")
f, F = od.Objective("f"), od.Objective("F")
g = f.grad(x)
root = sp.sqrt(mu)


def test_the_equation_of_a_noisy_method_says_that_it_leaves_the_noise_out() -> None:
    noisy = od.algorithm("unadjusted_langevin").modified_equation(1)
    assert noisy.noisy and str(noisy).endswith("(without the noise; weak_modified_equation has it)")
    descent = od.algorithm("gradient_descent").modified_equation(1)
    assert vanishes(noisy.terms[1][x] - descent.terms[1][x]) and "noise" not in str(descent)


def hess(*directions: Any) -> Any:
    return f.hess(x, *directions)


def free(name: str) -> od.Algorithm:
    """A library algorithm on its system, with the step free."""
    return od.algorithm(name)


def test_known_first_corrections() -> None:
    for name, sign in (("gradient_descent", -1), ("proximal_point", +1)):
        terms = free(name).modified_equation(1).terms
        assert terms[0][x] == -g and vanishes(terms[1][x] - sign * hess(g) / 2)
    terms = free("extragradient").modified_equation(1).terms
    jacobian = derivative(F.operator(z), {z: F.operator(z)})
    assert vanishes(terms[0][z] + F.operator(z)) and vanishes(terms[1][z] - jacobian / 2)


def test_optimistic_method_follows_its_slaved_memory() -> None:
    """MATH (d) row 5: z' = -F + (s/2) F'F, for a memory that holds the last operator value."""
    memory = od.Block("last", role="memory", init=F.operator(od.blocks("x0")))
    last, jacobian = memory.symbol, derivative(F.operator(z), {z: F.operator(z)})
    steps = (od.Let({z: z - 2 * h * F.operator(z) + h * last, last: F.operator(z)}),)
    for drift in (-F.operator(z), last - 2 * F.operator(z)):  # the memory settles at F(z)
        flow = od.System({"flow": {z: drift}}, blocks=[memory], output=z)
        terms = od.Algorithm(flow, od.Scheme(steps), h).modified_equation(1).terms
        assert vanishes(terms[0][z] + F.operator(z)) and vanishes(terms[1][z] - jacobian / 2)
    twice = od.System({"flow": {z: -2 * F.operator(z)}}, blocks=[memory], output=z)
    with pytest.raises(od.NotConsistent):
        od.Algorithm(twice, od.Scheme(steps), h)


def test_gradient_descent_to_fourth_order_is_the_b_series() -> None:
    """Hairer, Lubich and Wanner, IX.1: explicit Euler on F = -g; a sum of n F's has the sign (-1)^n.

    On y' = y it is log(1 + h) = h - h^2/2 + h^3/3 - h^4/4, on y' = y^2 their -h y^3 + 3/2 h^2 y^4 - 8/3 h^3 y^5.
    """
    third, terms = (
        (lambda u, w: f.third(x, u, w)),
        free("gradient_descent").modified_equation(3).terms,
    )
    assert vanishes(terms[1][x] + hess(g) / 2)
    assert vanishes(terms[2][x] + third(g, g) / 12 + hess(hess(g)) / 3)
    assert vanishes(
        terms[3][x] + hess(hess(hess(g))) / 4 + hess(third(g, g)) / 12 + third(hess(g), g) / 12
    )
    p = 2.0
    square = {
        "grad_f": lambda y: -(y**2),
        "grad_f_2": lambda y, u: -2 * y * u,
        "grad_f_3": lambda y, u, w: -2 * u * w,
    }
    machine = Machine(free("gradient_descent").program, square, h=1)
    values = [machine.evaluate(t[x], {"x": np.array([p])})[0] for t in terms]
    assert values == pytest.approx([p**2, -(p**3), 3 / 2 * p**4, -8 / 3 * p**5])


def test_second_order_forms_of_the_momentum_methods() -> None:
    nag = free("nesterov").modified_equation(1).second_order()
    assert vanishes(
        nag.lhs
        - (2 * root * velocity + h * f.hess(position, velocity) + (1 + h * root) * f.grad(position))
    )
    model = od.derive("triple_momentum").algorithm
    tmm = model.modified_equation(1).second_order(x).lhs
    damping = (3 * root + h * mu / 2) * velocity + h * f.hess(position, velocity)
    assert vanishes(tmm - damping - 2 * (1 + h * root) * f.grad(position))
    # heavy ball with alpha = s and Nesterov's beta, from x'' + 2 sqrt(mu) x' + g by Cayley damping
    flow = od.System({"damp": {v: -2 * root * v}, "kick": {v: -g}, "drift": {x: v}})
    parts = [("damp", "cayley"), ("kick", "explicit"), ("drift", "explicit")]
    ball = (
        od.Algorithm(flow, od.scheme("lie_trotter", parts), h)
        .modified_equation(1)
        .second_order()
        .lhs
    )
    assert vanishes(ball - 2 * root * velocity - (1 + h * root) * f.grad(position))


def modal_coefficients(algorithm: od.Algorithm) -> tuple[sp.Expr, sp.Expr]:
    """Damping and stiffness of one mode through O(h), from the logarithm of the step's matrix (MATH b.8.8)."""
    s, lam = sp.Symbol("s", positive=True), curvature
    matrix = algorithm.held_program.bind({h: s})
    step = matrix_of(matrix, lam)
    trace, det = (
        sp.series(step.trace(), s, 0, 5).removeO(),
        sp.series(step.det(), s, 0, 5).removeO(),
    )
    damping = -sp.series(sp.log(det), s, 0, 4).removeO() / s
    w = sp.series(trace / (2 * sp.sqrt(det)) - 1, s, 0, 5).removeO()
    discriminant = 4 / s**2 * (2 * w - w**2 / 3)
    stiffness = (damping**2 - discriminant) / 4
    return tuple(
        sp.expand(sp.series(sp.expand(e), s, 0, 2).removeO().subs(s, h))
        for e in (damping, stiffness)
    )  # type: ignore[return-value]


def matrix_of(program: Any, lam: sp.Expr) -> sp.Matrix:
    update = {s: modal(e, lam) for s, e in program.update_map().items()}
    return sp.Matrix([[coefficient(e, s) for s in update] for e in update.values()]).applyfunc(
        sp.simplify
    )


@pytest.mark.parametrize("name", ["nesterov", "triple_momentum", "heavy_ball"])
def test_modal_form_is_an_independent_check(name: str) -> None:
    algorithm = free(name)
    found = algorithm.modified_equation(1).drift
    flow = sp.Matrix([[coefficient(modal(e, curvature), s) for s in found] for e in found.values()])
    damping, stiffness = modal_coefficients(algorithm)
    truncated = lambda e: sp.series(sp.expand(e), h, 0, 2).removeO()
    assert sp.expand(truncated(-flow.trace()) - damping) == 0
    assert sp.expand(truncated(flow.det()) - stiffness) == 0


def semi_implicit() -> od.Algorithm:
    flow = od.System({"damp": {v: -c * v}, "kick": {v: -g}, "drift": {x: v}})
    return od.Algorithm(flow, od.scheme("semi_implicit_euler", order=("v", "x")), h)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_fitted_local_order_of_gradient_descent(order: int) -> None:
    assert local_order(free("gradient_descent"), order) == pytest.approx(order + 2, abs=0.25)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_fitted_local_order_of_momentum(order: int) -> None:
    assert local_order(semi_implicit(), order, c=0.7) == pytest.approx(order + 2, abs=0.2)


def test_kick_drift_kick_has_no_first_correction() -> None:
    flow = od.System({"kick": {v: -g}, "drift": {x: v}})
    verlet = od.Algorithm(
        flow, od.scheme("strang", [("kick", "explicit"), ("drift", "explicit")]), h
    )
    assert verlet.calls == 1  # the gradient is kept across steps, and the analysis sees through it
    terms = verlet.modified_equation(2).terms
    assert all(vanishes(e) for e in terms[1].values()) and not all(
        vanishes(e) for e in terms[2].values()
    )
    assert local_order(verlet, 2) == pytest.approx(
        5, abs=0.2
    )  # symmetric: the next term vanishes too


def test_memory_that_lags() -> None:
    """An average of gradients at fixed b (Kovachki and Stuart 2021): x' = -g - h (1 + b)/(2 (1 - b)) H g."""
    flow = od.System({"descent": {x: -g}}, blocks=[od.Block("m", role="memory")], output=x)
    steps = (od.Let({m: b * m - (1 - b) * g}), od.Let({x: x + h * m}))
    lagging = od.Algorithm(flow, od.Scheme(steps), h)
    terms = lagging.modified_equation(2).terms
    assert vanishes(terms[0][x] + g) and vanishes(terms[1][x] + (1 + b) / (1 - b) / 2 * hess(g))
    errors, sizes = [[], [], []], [0.02, 0.01, 0.005]
    for size in sizes:
        numbers = {h: sp.Rational(str(size)), b: sp.Rational(1, 2)}
        machine = Machine(lagging.program, ORACLES, h=numbers[h], b=numbers[b])
        states = machine.run(START["x"], round(1.4 / size))  # by time 1 the memory has settled
        begin, end = states[round(1 / size)]["x"], states[-1]["x"]
        for j in (0, 1, 2):
            field = od.dynamics.substitute(lagging.modified_equation(j).drift[x], numbers)
            slope = lambda _, p, field=field, machine=machine: machine.evaluate(field, {"x": p})
            exact = solve_ivp(slope, (0, 0.4), begin, method="DOP853", rtol=1e-13, atol=1e-14).y[
                :, -1
            ]
            errors[j].append(float(np.max(np.abs(end - exact))))
    for j in (0, 1, 2):
        assert fitted_order(sizes, errors[j]) == pytest.approx(j + 1, abs=0.15)


def test_limit_flows() -> None:
    limit = free("nesterov").consistent_with()
    assert limit.second_order().lhs == (2 * root * velocity + f.grad(position)).canonical()
    convex = free("nesterov_c").consistent_with()
    assert convex.time is not None and vanishes(
        convex.drift[od.blocks("psi")] + 3 / convex.time * od.blocks("psi") + f.grad(y)
    )


def test_refusals() -> None:
    with pytest.raises(od.OdescentError, match="at least 0, not -1"):
        free("gradient_descent").modified_equation(-1)
    written = od.method({x: x - h * g}, output=x)
    with pytest.raises(od.OdescentError, match="is defined as a map, without a flow"):
        written.modified_equation(1)
    past = od.Block("y", role="memory", init=od.blocks("x0"))
    flow = od.System({"descent": {x: -g}}, blocks=[past], output=x)
    velocity_in_memory = od.Scheme((od.Let({x: 2 * x - y - h**2 * g, y: x}),))
    with pytest.raises(od.OdescentError, match="instead of leaving it in place"):
        od.Algorithm(flow, velocity_in_memory, h)
    growing = od.Scheme((od.Let({x: x - h * g + h * (y - y), y: 2 * y}),))
    with pytest.raises(od.OdescentError, match="does not settle"):
        od.Algorithm(flow, growing, h)
    assert modified_equation(free("gradient_descent"), 0).order == 0


def test_time_dependent_momentum_has_its_high_resolution_equation():
    """MATH b.3: x'' + (3/t + h H) x' + (1 + 3h/(2t)) grad f = 0 for momentum k/(k+3) at t = (k + 3/2) h."""
    t = sp.Symbol("t", positive=True)
    algorithm = od.algorithm("nesterov_c")
    h = algorithm.step
    found = algorithm.modified_equation(1).second_order().lhs
    x, v, f = position, velocity, od.Objective("f")
    expected = 3 / t * v + h * f.hess(x, v) + (1 + sp.Rational(3, 2) * h / t) * f.grad(x)
    assert vanishes(found - expected)


def test_differences_that_are_divided_by_the_step_lose_no_order() -> None:
    """u = ((x_m - w)/h + g)/h of a midpoint step x_m, and the same written without dividing: equal at every order."""
    p, d, s, q = od.blocks(
        "p d s q"
    )  # the point, the step before, its slope, the slope's difference
    step, f = od.parameters("h"), od.Objective("f")
    slope, curved = f.grad(s), f.hess(s, f.grad(s))
    memories = [od.Block(n, "vector", "memory") for n in ("s", "d", "q")]
    flow = {"flow": {p: -f.grad(p)}}
    midpoint = od.scheme("midpoint").steps[0].by
    divided = od.Scheme(
        (
            od.Let({s: p}),
            od.Flow("flow", midpoint, save="ahead", commit=False),
            od.Let({d: (p - s) / step}, read={p: "ahead"}),
            od.Let({q: (d + slope) / step}),
            od.Flow("flow", "explicit"),
            od.Let({p: s + step * d + step * (q - curved / 2)}),
        )
    )
    there = -f.grad(s - step / 2 * slope)
    plain = od.Scheme(
        (
            od.Let({s: p}),
            od.Flow("flow", "explicit"),
            od.Let({p: s + step * there + there + slope - step / 2 * curved}),
        )
    )
    by_quotients = od.Algorithm(od.System(flow, output=p, blocks=memories), divided, step)
    directly = od.Algorithm(od.System(flow, output=p, blocks=memories[:1]), plain, step)
    assert by_quotients.consistent_with().drift == {p: -f.grad(p)}
    for order in (1, 2):
        found, wanted = (m.modified_equation(order).terms for m in (by_quotients, directly))
        assert [t[p] for t in found] == [t[p] for t in wanted]
