"""Steepest descent for a norm, along an average of gradients."""

from __future__ import annotations

import sympy as sp

from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ..faces import Algorithm
from ..programs.substeps import Flow, Scheme
from ..step.iteration import STEP


def muon(nesterov: bool = True, norm: str = "map") -> Algorithm:
    """m+ = beta m + (1 - beta) g, x+ = x - h s(beta m+ + (1 - beta) g), g = grad f(x); or s(m+) without nesterov.

    s is the steepest direction of a norm, the oracle "map_steepest": for matrices and the spectral norm
    (norm="spectral", by singular values) the polar factor U V^T, which Newton and Schulz's iteration
    approximates. The average is moved by the exact exponential with the gradient frozen, beta = exp(-a h), once more
    and without keeping it for the look-ahead. With norm="max" it is signSGD with momentum, with "euclidean" the
    normalized one. h is free.
    """
    a, beta = parameters("a beta")
    average = Flow("average", "exact")
    steps: tuple[Flow, ...] = (average, Flow("descent", "explicit"))
    if nesterov:
        steps = (
            average,
            Flow("average", "exact", save="look", commit=False),
            Flow("descent", "explicit", read={"m": "look"}),
        )
    return Algorithm(
        system("averaged_steepest_flow", norm=norm),
        Scheme(steps, "lie_trotter"),
        tuning={a: -sp.log(beta) / STEP},
        name="muon",
        reference="jordan2024",
    )
