"""Schemes that advance all fields at once: Euler's, the linear ones, Runge and Kutta's."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ..substeps import Flow, Integrator, Scheme, Tableau


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
    """Linear fields by their exponential, without error."""
    return _whole("exact")


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
    return _runge_kutta("midpoint", [[], ["1/2"]], [0, 1])


def heun() -> Scheme:
    """The mean of the fields where the step begins and where an explicit step ends: second order."""
    return _runge_kutta("heun", [[], [1]], ["1/2", "1/2"])


def rk4() -> Scheme:
    """Runge and Kutta's method of four stages: fourth order."""
    return _runge_kutta("rk4", [[], ["1/2"], [0, "1/2"], [0, 0, 1]], ["1/6", "1/3", "1/3", "1/6"])


def _whole(kind: str) -> Scheme:
    return Scheme((Flow((), Integrator(kind)),), kind)


def _runge_kutta(name: str, a: Sequence[Sequence[int | str]], b: Sequence[int | str]) -> Scheme:
    rational = sp.Rational
    tableau = Tableau(
        tuple(tuple(rational(x) for x in row) for row in a), tuple(rational(x) for x in b)
    )
    return Scheme((Flow((), Integrator.of(tableau)),), name)
