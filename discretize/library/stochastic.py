"""Stochastic methods."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import as_scalar, parameters
from ...dynamics.library import system
from ...dynamics.vector_fields.block import Block, blocks, start
from ..faces import Algorithm
from ..programs.substeps import Flow, Let, Scheme
from ..step.iteration import STEP
from .first_order import by_euler
from .schemes import scheme
from .splitting import with_memory


def unadjusted_langevin() -> Algorithm:
    """X+ = X - h grad f(X) + sqrt(2 h) xi: Euler-Maruyama on the overdamped Langevin equation."""
    return by_euler(system("overdamped_langevin"), "unadjusted_langevin", "roberts1996")


def underdamped_langevin() -> Algorithm:
    """X+ = X + h V, V+ = (1 - gam h) V - u h grad f(X) + sqrt(2 gam u h) xi: Euler-Maruyama.

    h, gam (friction) and u (the velocity's variance in equilibrium) are free.
    """
    return by_euler(system("underdamped_langevin"), "underdamped_langevin", "cheng2018")


def annealed_langevin() -> Algorithm:
    """X+ = X - h grad f(X) + (sigma / log(2 + t_k / tau)) sqrt(h) xi with t_k = k h: Euler-Maruyama.

    At tau = h the noise of step k = 0, 1, ... is sigma / log(k + 2). h, sigma and tau are free.
    """
    return by_euler(system("annealed_langevin"), "annealed_langevin", "chiang1987")


def sgd(noise: str = "isotropic") -> Algorithm:
    """X+ = X - h (grad f(X) - sigma xi): Euler-Maruyama on dX = -grad f dt + sqrt(s) sigma dW with s = h.

    A gradient with Gaussian errors of standard deviation sigma; ``noise`` "diagonal" takes the vector
    sigma(X) from an oracle "map", and "minibatch" the gradient over random rows of a `FiniteSum`, without sigma. h and
    sigma are free.
    """
    if noise == "minibatch":
        return by_euler(system("minibatch_flow"), "sgd", "robbins1951")
    flow = system("stochastic_gradient_flow", noise=noise)
    return by_euler(flow, "sgd", "robbins1951", where={parameters("s"): STEP})


def sgld() -> Algorithm:
    """X+ = X - h (grad f(X) - sigma zeta) + sqrt(2 h) xi: Langevin dynamics with noisy gradients (SGLD).

    The gradient's errors are Gaussian here, of standard deviation sigma and independent of xi; h and sigma
    are free, and h does not decrease as in the original.
    """
    flow = system("stochastic_gradient_langevin")
    return by_euler(flow, "sgld", "welling2011", where={parameters("s"): STEP})


_LETTERS = {"A": ("drift", "explicit"), "B": ("kick", "explicit"), "O": ("bath", "exact")}


def langevin_splitting(word: str = "BAOAB") -> Algorithm:
    """The underdamped Langevin equation by a word in A (drift), B (kick) and O (the bath, exactly).

    O is v+ = e^(-gam h) v + sqrt(u (1 - e^(-2 gam h))) xi. h, gam (friction) and u (the velocity's
    variance in equilibrium) are free.
    """
    if set(word) != set(_LETTERS):
        raise OdescentError(
            f"a splitting of Langevin dynamics must be a word with A, B and O in it, such as 'BAOAB', not "
            f"{short(word)}."
        )
    flow = system("underdamped_langevin")
    by_word = scheme("splitting", word, **_LETTERS)
    return Algorithm(flow, by_word, name="langevin_splitting", reference="leimkuhler2013")


def baoab() -> Algorithm:
    """Kick, drift, heat, drift, kick: exact in position on a quadratic; h, gam and u are free."""
    return langevin_splitting("BAOAB").replace(name="baoab")


def aboba() -> Algorithm:
    """Drift, kick, heat, kick, drift, with one gradient in the middle; h, gam and u are free."""
    return langevin_splitting("ABOBA").replace(name="aboba")


def obabo() -> Algorithm:
    """Heat, leapfrog, heat: exact in velocity on a quadratic (Bussi and Parrinello); h, gam and u are free."""
    return langevin_splitting("OBABO").replace(name="obabo", reference="bussi2007")


def underdamped_exact() -> Algorithm:
    """The underdamped Langevin equation solved exactly for the gradient where the step starts (Cheng et al.).

    Position and velocity move by two correlated Gaussians a coordinate; h, gam and u are free. Cheng et
    al. have gam = 2 and u = 1/L.
    """
    return Algorithm(
        system("underdamped_langevin"), Scheme((Flow((), "frozen exact"),), "exact"),
        name="underdamped_exact", reference="cheng2018",
    )  # fmt: skip


def leimkuhler_matthews() -> Algorithm:
    """x+ = x - h grad f(x) + sqrt(h/2) (xi + xi+): the mean of two successive draws, each used twice.

    Half of an increment, the descent, the other half of the same increment; the answer is what stands
    in the middle, which a memory q keeps. It starts at x0, and h is free.
    """
    x, q = blocks("x q")
    half = sp.Rational(1, 2)
    heat = Flow("heat", "explicit", half, increment="one")
    steps = (heat, Let({q: x}), Flow("descent", "explicit"), heat)
    return Algorithm(
        with_memory(system("overdamped_langevin"), Block("q", role="memory", init=start)),
        Scheme(steps, "leimkuhler_matthews"), outputs={"x": q, "chain": x},
        name="leimkuhler_matthews", reference="leimkuhler2013",
    )  # fmt: skip


def stochastic_theta(theta: object = "1/2") -> Algorithm:
    """x+ = x - h ((1 - theta) grad f(x) + theta grad f(x+)) + sqrt(2 h) xi: implicit in the drift alone.

    ``theta`` is a number in (0, 1]: 1/2 (also "1/2") is the trapezoidal rule, 1 implicit Euler, a
    proximal step after the noise. h is free.
    """
    share = sp.Rational(1, 2) if theta == "1/2" else _share(theta)
    explicit = [Flow("descent", "explicit", 1 - share)] if share != 1 else []
    steps = (*explicit, Flow("heat", "explicit"), Flow("descent", "implicit", share))
    return Algorithm(
        system("overdamped_langevin"), Scheme(steps, "theta"), name="stochastic_theta",
        reference="kloeden1992",
    )  # fmt: skip


def _share(theta: object) -> sp.Expr:
    try:
        share = as_scalar(theta)
    except TypeError:
        share = sp.S.NaN
    if not (share.is_number and share.is_real and 0 < share <= 1):
        raise OdescentError(
            f"theta must be a number in (0, 1], not {short(theta)}; for theta = 0 use 'unadjusted_langevin'."
        )
    return share
