"""Stochastic flows."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import check_choice
from ..algebra.scalars import parameters
from ..flows.system import System
from ..vector_fields.block import blocks
from ..vector_fields.maps import Map
from ..vector_fields.objective import Objective
from ..vector_fields.processes import Diffusion
from ..vector_fields.system import Field


def overdamped_langevin() -> System:
    """dX = -grad f(X) dt + sqrt(2) dW."""
    x = blocks("x")
    f = Objective("f")
    return System(
        {"descent": {x: -f.grad(x)}, "heat": Field({}, {x: Diffusion(sp.sqrt(2))})},
        output=x,
        name="overdamped_langevin",
        references=("roberts1996",),
    )


def annealed_langevin() -> System:
    """dX = -grad f(X) dt + sigma / log(2 + t / tau) dW: noise that falls so slowly that barriers are still crossed.

    The square of the amplitude falls as 1 / log^2 here, the schedule that Riedl and others compare with; the
    global minimum is reached in probability where it falls as c / log t (Chiang, Hwang and Sheu).
    """
    x = blocks("x")
    sigma, tau, t = parameters("sigma tau t")
    return System(
        {
            "descent": {x: -Objective("f").grad(x)},
            "heat": Field({}, {x: Diffusion(sigma / sp.log(2 + t / tau))}),
        },
        output=x,
        time=t,
        name="annealed_langevin",
        references=("chiang1987", "riedl2023"),
    )


def stochastic_gradient_langevin() -> System:
    """dX = -grad f(X) dt + sqrt(2) dW + sqrt(s) sigma dB: Langevin dynamics with noisy gradients.

    Two independent processes: W heats, and B stands for the gradient's errors, of the standard deviation
    sigma in each coordinate, at learning rate s.
    """
    x = blocks("x")
    s, sigma = parameters("s sigma")
    return System(
        {
            "descent": {x: -Objective("f").grad(x)},
            "heat": Field({}, {x: Diffusion(sp.sqrt(2))}),
            "sampling": Field({}, {x: Diffusion(sigma * sp.sqrt(s), "B")}),
        },
        output=x,
        name="stochastic_gradient_langevin",
        references=("welling2011", "li2017"),
    )


def underdamped_langevin() -> System:
    """dX = V dt, dV = -gam V dt - u grad f(X) dt + sqrt(2 gam u) dW; V has variance u in equilibrium."""
    x, v = blocks("x v")
    gam, u = parameters("gam u")
    f = Objective("f")
    return System(
        {
            "drift": {x: v},
            "kick": {v: -u * f.grad(x)},
            "bath": Field({v: -gam * v}, {v: Diffusion(sp.sqrt(2 * gam * u))}),
        },
        output=x,
        name="underdamped_langevin",
        references=("cheng2018",),
    )


def stochastic_gradient_flow(noise: str = "isotropic") -> System:
    """dX = -grad f(X) dt + sqrt(s) sigma dW: the stochastic modified equation of SGD at learning rate s.

    The gradient's noise has the standard deviation sigma in each coordinate; ``noise`` "diagonal" makes
    it an oracle, the vector sigma(X), element by element (Li, Tai and E).
    """
    check_choice("noise called", noise, ("isotropic", "diagonal"))
    x = blocks("x")
    s, sigma = parameters("s sigma")
    size = sigma if noise == "isotropic" else Map("sigma")(x)
    return System(
        {"flow": Field({x: -Objective("f").grad(x)}, {x: Diffusion(size * sp.sqrt(s))})},
        output=x,
        name="stochastic_gradient_flow",
        references=("li2017",),
    )
