"""Element-wise adaptive methods."""

from __future__ import annotations

import sympy as sp

from odescent.dynamics.exact import parameters
from odescent.dynamics.library import system

from ..iteration import STEP, Algorithm
from ..substeps import Flow, Integrator, Scheme


def adam() -> Algorithm:
    """Adam: averages by the exact exponential with the gradient frozen, then the drift at the step's end.

    beta1 = exp(-a h), beta2 = exp(-b h), learning rate h.
    """
    a, b, beta1, beta2 = parameters("a b beta1 beta2")
    steps = (("first", 0), ("second", 0), ("drift", 1))
    flows = tuple(
        Flow((name,), Integrator("exact" if at == 0 else "explicit"), time=sp.Integer(at)) for name, at in steps
    )
    return Algorithm(
        system("adam"),
        Scheme(flows, "adam"),
        STEP,
        tuning={a: -sp.log(beta1) / STEP, b: -sp.log(beta2) / STEP},
        name="adam",
        reference="kingma2015",
    )
