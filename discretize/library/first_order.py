"""One-step methods on first-order flows."""

from __future__ import annotations

from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.flows.system import System
from ...dynamics.library import system
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..step.iteration import STEP
from .schemes import scheme

_STEPS = {"1/L": 1 / L, "2/(L+mu)": 2 / (L + mu)}


def by_euler(flow: System, name: str, reference: str, **settings: Any) -> Algorithm:
    """The method that an explicit Euler step of a system is.

    Args:
        flow: the system.
        name: of the method.
        reference: where it comes from, a key of the citations.
        settings: further arguments of `Algorithm`.

    Returns:
        the method, its step free unless the settings tune it.
    """
    return Algorithm(flow, scheme("explicit_euler"), name=name, reference=reference, **settings)


def gradient_descent(step: str = "1/L") -> Algorithm:
    """x+ = x - h grad f(x): explicit Euler on the gradient flow; step "1/L" or "2/(L+mu)"."""
    if step not in _STEPS:
        raise OdescentError(
            f"step of gradient descent must be {', '.join(map(repr, _STEPS))} or a number, not {short(step)}."
        )
    tuning = {STEP: _STEPS[step]}
    return by_euler(system("gradient_flow"), "gradient_descent", "cauchy1847", tuning=tuning)


def proximal_point() -> Algorithm:
    """x+ = prox_{h f}(x): implicit Euler on the gradient flow; the step h is free."""
    return Algorithm(
        system("gradient_flow"),
        scheme("implicit_euler"),
        name="proximal_point",
        reference="rockafellar1976",
    )


def extragradient() -> Algorithm:
    """z+ = z - h F(z - h F(z)): a look-ahead on z' = -F(z), then a step read there; h = 1/L."""
    return Algorithm(
        system("saddle_flow"), scheme("extragradient"), tuning={STEP: 1 / sp.Symbol("L", positive=True)},
        name="extragradient", reference="korpelevich1976",
    )  # fmt: skip
