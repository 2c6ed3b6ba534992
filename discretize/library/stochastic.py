"""Methods that draw noise."""

from __future__ import annotations

from odescent.dynamics.exact import parameters
from odescent.dynamics.library import system

from ..iteration import STEP, Algorithm
from .schemes import scheme


def unadjusted_langevin() -> Algorithm:
    """X+ = X - h grad f(X) + sqrt(2 h) xi: Euler-Maruyama on the overdamped Langevin equation."""
    return Algorithm(
        system("overdamped_langevin"), scheme("explicit_euler"), STEP, name="unadjusted_langevin",
        reference="roberts1996",
    )  # fmt: skip


def underdamped_langevin() -> Algorithm:
    """X+ = X + h V, V+ = (1 - gam h) V - u h grad f(X) + sqrt(2 gam u h) xi: Euler-Maruyama.

    h, gam (friction) and u (the velocity's variance in equilibrium) are free.
    """
    return Algorithm(
        system("underdamped_langevin"), scheme("explicit_euler"), STEP,
        name="underdamped_langevin", reference="cheng2018",
    )  # fmt: skip


def sgd(noise: str = "isotropic") -> Algorithm:
    """X+ = X - h (grad f(X) - sigma xi): Euler-Maruyama on dX = -grad f dt + sqrt(s) sigma dW with s = h.

    A gradient with Gaussian errors of standard deviation sigma; ``noise`` "diagonal" takes the vector
    sigma(X) from an oracle "map". h and sigma are free.
    """
    return Algorithm(
        system("stochastic_gradient_flow", noise=noise), scheme("explicit_euler"), STEP,
        where={parameters("s"): STEP}, name="sgd", reference="robbins1951",
    )  # fmt: skip
