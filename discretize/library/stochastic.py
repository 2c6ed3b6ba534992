"""Methods that draw noise."""

from __future__ import annotations

from odescent.dynamics.library import system

from ..iteration import STEP, Algorithm
from .schemes import scheme


def unadjusted_langevin() -> Algorithm:
    """X+ = X - h grad f(X) + sqrt(2 h) xi: Euler-Maruyama on the overdamped Langevin equation."""
    return Algorithm(
        system("overdamped_langevin"), scheme("explicit_euler"), STEP, name="unadjusted_langevin",
        reference="roberts1996",
    )  # fmt: skip
