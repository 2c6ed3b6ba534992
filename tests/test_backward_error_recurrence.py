"""Modified equations of methods whose coefficients obey a recurrence: by hand, and by fitted order."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from modified import ORACLES, START, global_order
from programs import Machine, fitted_order

import odescent as od
from odescent.discretize.expansion.modified_equation import solve_in_time
from odescent.discretize.library.model_family import discretized
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.second_order import position, velocity

x, z, last = od.blocks("x z last")
h, mu = od.parameters("h mu")
t = sp.Symbol("t", positive=True)
tau, theta = sp.Symbol("tau", real=True), sp.Symbol("theta", real=True)
begin = sp.Symbol("b", positive=True)
f = od.Objective("f")
g = f.grad(x)


def fading() -> od.Algorithm:
    """x' = -theta g, theta' = -theta^2 with 1/theta+ = 1/theta + h: the steps of a 1/k rule."""
    block = od.Block("theta", "scalar", "coefficient", sp.Integer(1))
    system = od.System(
        {"fade": {theta: -(theta**2)}, "go": {x: -theta * g}}, blocks=[block], output=x
    )
    steps = (od.Let({theta: theta / (1 + h * theta)}), od.Flow("go", "explicit"))
    return od.Algorithm(system, od.Scheme(steps), h)


def test_one_over_k_by_hand() -> None:
    """x+ = x - h theta/(1 + h theta) g; the recurrence is an exact flow, so only x has corrections.

    h^2: theta^2 g, less half of (theta^2 g + theta^2 H g), the second derivative along the drift.
    """
    modified = fading().modified_equation(1)
    assert modified.terms[0] == {theta: -(theta**2), x: -theta * g}
    assert modified.terms[1][theta] == 0
    assert vanishes(modified.terms[1][x] - theta**2 * (g - f.hess(x, g)) / 2)
    shown = modified.in_time({theta: begin})
    at = begin / (1 + begin * t)
    assert vanishes(shown.terms[0][x] + at * g)
    assert vanishes(shown.terms[1][x] - at**2 * (g - f.hess(x, g)) / 2)
    own = modified.in_time()  # from theta(0) = 1, where the algorithm starts
    assert vanishes(own.terms[0][x] + g / (1 + t))


def test_second_order_form_keeps_the_coefficient() -> None:
    """Nesterov's t_k in theta = h t_k: 3/(2 theta) becomes 3/t, and 1 + 3h/(4 theta) the 1 + 3h/(2t) of MATH b.3."""
    lhs = od.algorithm("nesterov_c", momentum="fista").modified_equation(1).second_order().lhs
    damping = (3 / (2 * tau) - h / (4 * tau**2)) * velocity + h * f.hess(position, velocity)
    assert vanishes(lhs - damping - (1 + 3 * h / (4 * tau)) * f.grad(position))


def test_expansion_of_nesterovs_sequence_in_time() -> None:
    """theta + h = h t_k: theta+ = (sqrt(h^2 + 4 (theta + h)^2) - h)/2 = theta + h/2 + h^2/(8 theta) - h^3/(8 theta^2).

    By hand F_1 = 1/(8 theta), F_2 = -1/(8 theta^2) - (F_1' F_0)/2 = -3/(32 theta^2), theta_1 = log(1 + t/(2b))/4.
    """
    modified = od.algorithm("nesterov_c", momentum="fista").modified_equation(2)
    rates = [term[tau] for term in modified.terms]
    assert vanishes(rates[0] - sp.Rational(1, 2)) and vanishes(rates[1] - 1 / (8 * tau))
    assert vanishes(rates[2] + 3 / (32 * tau**2))
    found = solve_in_time(rates[:2], tau, begin, t, h)
    line = begin + t / 2
    assert (
        sp.simplify(found.terms[1].xreplace({found.leading: line}) - sp.log(line / begin) / 4) == 0
    )


SQUARE = sp.Rational(9, 16)
FAMILY = {
    "c = 1": (1, SQUARE),
    "c = 2": (2, SQUARE),
    "c = 1, mu = 0": (1, 0),
    "c = 2, mu = 0": (2, 0),
}


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_fitted_orders_of_the_model_family(name: str, order: int) -> None:
    """From tau(0) = 1/2, where the expansion is regular: 1 for the limit, 2 and 3 for the modified equations."""
    algorithm = discretized(*FAMILY[name])
    modified = algorithm.modified_equation(order)
    start = {"x": START["x"], "z": START["z"], "tau": sp.Rational(1, 2)}
    measured = global_order(algorithm, modified, start, ("x", "z", "tau"))
    assert measured == pytest.approx(order + 1, abs=0.12)
    if name == "c = 1" and order == 2:
        return  # half a megabyte of formula in time, and no new one beside c = 2
    in_time = modified.in_time({tau: start["tau"]})
    assert tau not in in_time.drift and in_time.time == t
    measured = global_order(algorithm, in_time, start, ("x", "z"))
    assert measured == pytest.approx(order + 1, abs=0.12)


@pytest.mark.parametrize("order", [1, 2])
def test_a_start_that_depends_on_the_step(order: int) -> None:
    """theta(0) = 1 + h + 3 h^2 moves the clock too."""
    start = {"x": START["x"], "theta": 1 + h + 3 * h**2}
    shown = fading().modified_equation(order).in_time({theta: start["theta"]})
    assert global_order(fading(), shown, start) == pytest.approx(order + 1, abs=0.12)


def test_start_in_the_boundary_layer_is_refused_and_is_logarithmic() -> None:
    algorithm = od.algorithm("nesterov_c", momentum="fista")
    with pytest.raises(od.OdescentError, match=r"log\(1/h\)"):
        algorithm.modified_equation(1).in_time()
    with pytest.raises(od.OdescentError, match=r"log\(1/h\)"):
        od.algorithm("item").modified_equation(2).in_time()
    limit = algorithm.modified_equation(0).in_time()  # the limit is there all the same
    assert vanishes(limit.terms[0][x] - (z - x) * (2 / t))
    late = []  # (theta - t/2) / h at t = 1 grows by log(2)/4 with every halving of h
    for count in (400, 800, 1600):
        at = 0.0
        machine = Machine(algorithm.own_program, ORACLES, h=sp.Rational(1, count))
        state = {"x": START["x"], "z": START["x"], "tau": at}
        for k in range(count):
            state = machine.step(state, k)
        late.append((state["tau"] - 0.5) * count)
    assert np.diff(late) == pytest.approx([math.log(2) / 4] * 2, rel=2e-2)


def test_memory_in_a_method_that_depends_on_time() -> None:
    """An optimistic step on x' = -r(t) g, r = 1/(1 + t), with the last gradient kept."""
    memory = od.Block("last", role="memory")
    rate = 1 / (1 + t)
    system = od.System({"go": {x: -rate * (2 * g - last)}}, blocks=[memory], output=x, time=t)
    steps = (od.Let({x: x - h * rate * (2 * g - last), last: g}),)
    algorithm = od.Algorithm(system, od.Scheme(steps), h)
    modified = algorithm.modified_equation(1)
    # last = g(x) + h r H g, so x+ = x - h r g + h^2 r^2 H g; half of d/dt(-r g) = r^2 (g + H g) is the flow's
    assert vanishes(modified.terms[0][x] + rate * g)
    assert vanishes(modified.terms[1][x] - rate**2 * (f.hess(x, g) - g) / 2)


def test_memory_beside_a_recurrence() -> None:
    """The same with the rate as a coefficient block: 1/theta+ = 1/theta + h is 1 + t."""
    blocks = [
        od.Block("last", role="memory"),
        od.Block("theta", "scalar", "coefficient", sp.Integer(1)),
    ]
    system = od.System(
        {"fade": {theta: -(theta**2)}, "go": {x: -theta * (2 * g - last)}}, blocks=blocks, output=x
    )
    steps = (od.Let({x: x - h * theta * (2 * g - last), last: g, theta: theta / (1 + h * theta)}),)
    modified = od.Algorithm(system, od.Scheme(steps), h).modified_equation(1).in_time()
    rate = 1 / (1 + t)
    assert vanishes(modified.terms[0][x] + rate * g)
    assert vanishes(modified.terms[1][x] - rate**2 * (f.hess(x, g) - g) / 2)


def test_refusals_in_time() -> None:
    with pytest.raises(od.OdescentError, match="coefficients that obey a recurrence"):
        od.algorithm("nesterov").modified_equation(1).in_time()
    with pytest.raises(od.OdescentError, match="not solved for theta"):
        solve_in_time([1 + theta**3], theta, begin, t, h)
    with pytest.raises(od.OdescentError, match="not rational in theta"):
        solve_in_time([sp.exp(theta)], theta, begin, t, h)


RATES = {
    "linear": [mu - theta, sp.S.One],
    "square": [theta**2, theta],
    "inverse": [1 / theta, sp.S.Zero],
    "logistic": [theta * (1 - mu * theta), theta**2],
    "riccati": [1 - mu * theta**2, theta / 3],
    "two rates": [(1 + theta) * (2 + theta), 1 / theta],
}


@pytest.mark.parametrize("name", RATES)
def test_scalar_equations_against_their_numerical_solution(name: str) -> None:
    """theta_0 + h theta_1 against DOP853: the error is O(h^2)."""
    from scipy.integrate import solve_ivp

    found = solve_in_time(RATES[name], theta, begin, t, h)
    numbers = {mu: sp.Rational(7, 10), begin: sp.Rational(2, 5), t: sp.Rational(1, 5)}
    rate = sp.lambdify(
        [theta, h], sum(e.xreplace(numbers) * h**j for j, e in enumerate(RATES[name]))
    )
    leading = found.solution.xreplace(numbers)
    first = [float(e.xreplace({found.leading: leading}).xreplace(numbers)) for e in found.terms]
    sizes, errors = [0.1, 0.05, 0.025], []
    for size in sizes:
        exact = solve_ivp(
            lambda _, y, s=size: [rate(y[0], s)],
            (0, 0.2),
            [0.4],
            method="DOP853",
            rtol=1e-13,
            atol=1e-14,
        )
        errors.append(abs(exact.y[0, -1] - first[0] - size * first[1]) + 1e-16)
    if max(errors) > 1e-12:
        assert fitted_order(sizes, errors) == pytest.approx(2, abs=0.2)
