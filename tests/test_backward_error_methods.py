"""Modified equations of methods that stand in no file of the package, against derivations by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from modified import ORACLES, START, flow_of, local_order
from programs import Machine, fitted_order

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.calculus import coefficient, modal
from odescent.dynamics.vector_fields.system import curvature

x, v, w, m = od.blocks("x v w m")
c, h, K, nu, b = od.parameters("c h K nu b")
f = od.Objective("f")
g = f.grad(x)
half = sp.Rational(1, 2)


def quasi_hyperbolic() -> od.Algorithm:
    """Ma and Yarats: m+ = b m + (1 - b) g, x+ = x - h ((1 - nu) g + nu m+), with b fixed as h -> 0."""
    flow = od.System({"descent": {x: -g}}, blocks=[od.Block("m", role="memory")], output=x)
    average = od.Let({m: b * m + (1 - b) * g})
    return od.Algorithm(flow, od.Scheme((average, od.Let({x: x - h * ((1 - nu) * g + nu * m)}))), h)


def two_steps() -> od.Algorithm:
    """Adams and Bashforth's second method on gradient flow: x+ = x - h (3 g_k - g_{k-1}) / 2."""
    memory = od.Block("m", role="memory", init=f.grad(od.blocks("x0")))
    flow = od.System({"descent": {x: -g}}, blocks=[memory], output=x)
    return od.Algorithm(flow, od.Scheme((od.Let({x: x - h * (3 * g - m) / 2, m: g}),)), h)


def three_blocks() -> od.Algorithm:
    """A force behind a filter: w filters -g, v takes it up with friction, x drifts; all explicit, in that order."""
    system = od.System(
        {"filter": {w: -K * (w + g)}, "push": {v: w - c * v}, "drift": {x: v}}, output=x
    )
    parts = [(n, "explicit") for n in ("filter", "push", "drift")]
    return od.Algorithm(system, od.scheme("lie_trotter", parts), h)


def midpoint() -> od.Algorithm:
    """The implicit midpoint rule on gradient flow: half a step backward Euler, half a step forward."""
    system = od.System({"descent": {x: -g}}, output=x)
    steps = (od.Flow((), "implicit", half), od.Flow((), "explicit", half))
    return od.Algorithm(system, od.Scheme(steps), h)


def linear_by_midpoint() -> od.Algorithm:
    """Half a kick, the implicit midpoint rule (Cayley) on drift and friction together, half a kick."""
    system = od.System({"kick": {v: -g}, "glide": {x: v, v: -c * v}}, output=x)
    kick = od.Flow("kick", "explicit", half)
    return od.Algorithm(system, od.Scheme((kick, od.Flow("glide", "cayley"), kick)), h)


def branch(matrix: sp.Matrix, order: int) -> list[sp.Expr]:
    """log(r)/h through h**order, for the eigenvalue r of a matrix that is 1 at h = 0, by undetermined coefficients."""
    rate = sum(sp.Symbol(f"r{j}") * h**j for j in range(order + 1))
    r = sum((h * rate) ** n / sp.factorial(n) for n in range(order + 3))
    series = sp.expand((matrix - r * sp.eye(matrix.rows)).det())
    found: dict[sp.Symbol, sp.Expr] = {}
    for j in range(order + 1):
        equation = sp.expand(series.coeff(h, j + 1).subs(found))
        found[sp.Symbol(f"r{j}")] = sp.solve(equation, sp.Symbol(f"r{j}"))[0]
    return [sp.simplify(found[sp.Symbol(f"r{j}")]) for j in range(order + 1)]


def test_quasi_hyperbolic_momentum() -> None:
    """m = g + h H g/(1 - b) + ... on the invariant graph, so F_1 = -(1/2 + nu b/(1 - b)) H g."""
    terms = quasi_hyperbolic().modified_equation(2).terms
    assert vanishes(terms[0][x] + g)
    assert vanishes(terms[1][x] + (half + nu * b / (1 - b)) * f.hess(x, g))
    lam = curvature
    on_a_mode = sp.Matrix(
        [[1 - h * ((1 - nu) + nu * (1 - b)) * lam, -h * nu * b], [(1 - b) * lam, b]]
    )
    for term, expected in zip(terms, branch(on_a_mode, 2), strict=True):
        assert sp.simplify(coefficient(modal(term[x], lam), x) - expected) == 0


def test_adams_bashforth() -> None:
    """(r/s)(h D) x = h D x + (5/12) (h D)^3 x + ..., so x' = -g + (5/12) h^2 (H H g + D^3 f[g, g]): order 2."""
    terms = two_steps().modified_equation(3).terms
    assert vanishes(terms[0][x] + g) and vanishes(terms[1][x])
    assert vanishes(terms[2][x] - (f.hess(x, f.hess(x, g)) + f.third(x, g, g)) * sp.Rational(5, 12))
    lam = curvature
    on_a_mode = sp.Matrix([[1 - h * lam * sp.Rational(3, 2), h / 2], [lam, 0]])
    for term, expected in zip(terms, branch(on_a_mode, 3), strict=True):
        assert sp.simplify(coefficient(modal(term[x], lam), x) - expected) == 0


def logarithm(matrix: sp.Matrix, order: int) -> list[sp.Matrix]:
    """Coefficients of log(matrix)/h through h**order; the matrix is the identity at h = 0."""
    rest, power, total = matrix - sp.eye(matrix.rows), sp.eye(matrix.rows), sp.zeros(matrix.rows)
    for n in range(1, order + 2):
        power = (power * rest).applyfunc(sp.expand)
        total += power * sp.Rational((-1) ** (n + 1), n)
    return [total.applyfunc(lambda e, j=j: sp.expand(e).coeff(h, j + 1)) for j in range(order + 1)]


def test_three_blocks_on_a_mode() -> None:
    lam = curvature
    filtered = sp.Matrix([[1 - h * K, 0, -h * K * lam], [0, 1, 0], [0, 0, 1]])  # w, v, x
    pushed = sp.Matrix([[1, 0, 0], [h, 1 - h * c, 0], [0, 0, 1]])
    drifted = sp.Matrix([[1, 0, 0], [0, 1, 0], [0, h, 1]])
    expected = logarithm(drifted * pushed * filtered, 3)
    for term, matrix in zip(three_blocks().modified_equation(3).terms, expected, strict=True):
        found = [
            [coefficient(modal(term[s], lam), other) for other in (w, v, x)] for s in (w, v, x)
        ]
        assert (sp.Matrix(found) - matrix).applyfunc(sp.expand).is_zero_matrix


def test_implicit_midpoint() -> None:
    """Hairer, Lubich and Wanner, IX.1: F + h^2 (F'F'F/12 - F''(F, F)/24), here with F = -g."""
    terms = midpoint().modified_equation(2).terms
    assert vanishes(terms[0][x] + g) and vanishes(terms[1][x])
    twice = f.hess(x, f.hess(x, g))
    assert vanishes(terms[2][x] + twice / 12 - f.third(x, g, g) / 24)


def test_midpoint_for_drift_and_friction_between_half_kicks() -> None:
    """Baker, Campbell and Hausdorff for A = (0, -g), B = (v, -c v) on (x, v), with Cayley's B + h^2 B^3/12:

    F_2 = -[A, [A, B]]/24 - [B, [A, B]]/12 + B^3/12, where [A, B] = B'A - A'B = (-g, c g + H v),
    [A, [A, B]] = (0, -2 H g) and [B, [A, B]] = (-2 H v - c g, D^3 f[v, v] + c^2 g + c H v).
    """
    terms = linear_by_midpoint().modified_equation(2).terms
    assert vanishes(terms[1][x]) and vanishes(terms[1][v])
    assert vanishes(terms[2][x] * 12 - 2 * f.hess(x, v) - c * g - c**2 * v)
    bracket = f.third(x, v, v) + c**2 * g + c * f.hess(x, v)
    assert vanishes(terms[2][v] * 12 - f.hess(x, g) + bracket + c**3 * v)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_fitted_local_orders(order: int) -> None:
    assert local_order(three_blocks(), order, c=0.7, K=1.3) == pytest.approx(order + 2, abs=0.25)
    for symmetric in (midpoint(), linear_by_midpoint()):  # what holds at order 0 holds at order 1
        wanted = {0: 3, 1: 3, 2: 5}[order]
        assert local_order(symmetric, order, c=0.7) == pytest.approx(wanted, abs=0.25)


SETTLED = [(quasi_hyperbolic, 1, 2), (quasi_hyperbolic, 2, 3), (two_steps, 2, 3)]


@pytest.mark.parametrize(("build", "order", "wanted"), SETTLED)
def test_fitted_global_orders_with_a_memory(
    build: Callable[[], od.Algorithm], order: int, wanted: int
) -> None:
    """From time 1 on, when the memory has settled."""
    algorithm, errors, counts = build(), [], (20, 40, 80)
    modified = algorithm.modified_equation(order)
    for count in counts:
        numbers = {"h": sp.Rational(1, count), "b": half, "nu": sp.Rational(7, 10)}
        machine = Machine(algorithm.own_program, ORACLES, **numbers)
        states = machine.run(START["x"], 2 * count)
        flow = flow_of(modified, machine, numbers, states[count], (0.0, 1.0))
        errors.append(float(np.max(np.abs(states[-1]["x"] - flow["x"]))))
    assert fitted_order([1 / n for n in counts], errors) == pytest.approx(wanted, abs=0.2)


def test_too_large_is_said_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odescent.discretize.expansion.backward_error.LARGEST", 100)
    with pytest.raises(
        od.OdescentError, match=r"of \d+ operations, more than the 100 .* lower order"
    ):
        od.algorithm("relativistic").modified_equation(2)
