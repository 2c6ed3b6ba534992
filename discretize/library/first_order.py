"""One-step methods on first-order flows."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.library import system
from ...dynamics.vector_fields.system import L, mu
from ..faces import Algorithm
from ..step.iteration import STEP
from .schemes import scheme

_STEPS = {"1/L": 1 / L, "2/(L+mu)": 2 / (L + mu)}


def gradient_descent(step: str = "1/L") -> Algorithm:
    """x+ = x - h grad f(x): explicit Euler on the gradient flow; step "1/L" or "2/(L+mu)"."""
    if step not in _STEPS:
        raise OdescentError(
            f"gradient descent has the steps {' and '.join(map(repr, _STEPS))}, not {step!r}."
        )
    return Algorithm(
        system("gradient_flow"), scheme("explicit_euler"), STEP, tuning={STEP: _STEPS[step]}, name="gradient_descent",
        reference="cauchy1847",
    )  # fmt: skip


def proximal_point() -> Algorithm:
    """x+ = prox_{h f}(x): implicit Euler on the gradient flow; the step h is free."""
    return Algorithm(
        system("gradient_flow"),
        scheme("implicit_euler"),
        STEP,
        name="proximal_point",
        reference="rockafellar1976",
    )


def extragradient() -> Algorithm:
    """z+ = z - h F(z - h F(z)): a look-ahead on z' = -F(z), then a step read there; h = 1/L."""
    return Algorithm(
        system("saddle_flow"), scheme("extragradient"), STEP, tuning={STEP: 1 / sp.Symbol("L", positive=True)},
        name="extragradient", reference="korpelevich1976",
    )  # fmt: skip
