"""Schemes that advance all fields at once: Euler, linear, Runge-Kutta."""

from __future__ import annotations

import itertools

import sympy as sp

from ...._support.errors import OdescentError
from ....dynamics.algebra.vectors import Vector
from ....dynamics.flows.tableaux import TABLEAUX
from ...programs.substeps import Flow, Integrator, Scheme, previous


def explicit_euler() -> Scheme:
    """All fields at once, read where the step begins: first order."""
    return _whole("explicit")


def implicit_euler() -> Scheme:
    """All fields at once, read where the step ends, by a solve or a prox: first order."""
    return _whole("implicit")


def cayley() -> Scheme:
    """Linear fields by the trapezoidal rule, an implicit second-order step."""
    return _whole("cayley")


def exact() -> Scheme:
    """Linear fields by their exponential, and Riccati equations, without error."""
    return _whole("exact")


def linearly_implicit(operator: Vector | None = None) -> Scheme:
    """All fields at once, by one solve with 1 - h J, J their derivative: Rosenbrock-Euler, of first order.

    Args:
        operator: in the place of J: a W-method, of first order too.
    """
    return _whole("linearly_implicit", operator)


def linearly_implicit_midpoint(operator: Vector | None = None) -> Scheme:
    """All fields at once, by one solve with 1 - h J/2, J their derivative: second order.

    Args:
        operator: in the place of J: a W-method, of first order.
    """
    half = sp.Rational(1, 2)
    by = Integrator("linearly_implicit_midpoint", operator=operator)
    return Scheme((Flow((), by, time=half),), "linearly_implicit_midpoint")


def extragradient() -> Scheme:
    """An explicit step that is only looked at, then an explicit step with the fields read there."""
    explicit = Integrator("explicit")
    return Scheme(
        (Flow((), explicit, save="half", commit=False), Flow((), explicit, read={"*": "half"})),
        "extragradient",
        "Korpelevich 1976",
    )


def midpoint() -> Scheme:
    """Half an explicit step, then a whole one with the fields read there: second order."""
    return _runge_kutta("midpoint")


def heun() -> Scheme:
    """The mean of the fields where the step begins and where an explicit step ends: second order."""
    return _runge_kutta("heun")


def rk4() -> Scheme:
    """Runge and Kutta's method of four stages: fourth order."""
    return _runge_kutta("rk4")


def adams_bashforth(order: int = 2) -> Scheme:
    """Explicit multistep scheme: the fields where the last steps began, extrapolated to the end of this one.

    Before the first step the state is taken to have been at rest, so the first step is Euler's, whose error of
    order h^2 stays: started so, orders above 2 are those of the modified equation, not of the trajectory.

    Args:
        order: the number of past values, 1 (Euler's) to 6; one oracle call a step with each.
    """
    if order not in range(1, 7):
        raise OdescentError(
            f"the order of Adams and Bashforth's scheme must be from 1 to 6, not {order}."
        )
    # the weights integrate polynomials through the past values exactly: sum_j b_j (-j)^m = 1 / (m + 1)
    powers = sp.Matrix(order, order, lambda m, j: sp.Integer(-j) ** m)
    weights = powers.LUsolve(sp.Matrix([sp.Rational(1, m + 1) for m in range(order)]))
    stages = [None, *itertools.accumulate([previous()] * (order - 1), lambda s, _: previous(s))]
    steps = [
        Flow((), "explicit", w, read={"*": stage} if stage else {}, time=-j)
        for j, (w, stage) in enumerate(zip(weights, stages, strict=True))
    ]
    return Scheme(steps, "adams_bashforth", "Bashforth and Adams 1883")


def _whole(kind: str, operator: Vector | None = None) -> Scheme:
    return Scheme((Flow((), Integrator(kind, operator=operator)),), kind)


def _runge_kutta(name: str) -> Scheme:
    return Scheme((Flow((), Integrator.of(TABLEAUX[name])),), name)
