"""Methods of ensembles: consensus-based optimization, consensus freezing and consensus hopping.

The state is an ensemble of particles, an array of shape (N, d) where they run, and the consensus point is
an oracle of it. The convention throughout: the noise of a step is sigma sqrt(h), and tau = alpha s^2.
"""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.scalars import parameters
from ...dynamics.library import system
from ..faces import Algorithm
from ..programs.substeps import Flow, Scheme
from ..step.iteration import STEP
from .first_order import by_euler

lam, sigma, kappa, M, s = parameters("lam sigma kappa M s")


def cbo(
    noise: str = "isotropic",
    memory: str | None = None,
    truncated: bool = False,
    gradient: bool = False,
    jumps: str | None = None,
    noise_after_drift: bool = False,
) -> Algorithm:
    """X+ = X - lam h (X - m) + sigma sqrt(h) D(X - m) xi: Euler-Maruyama on consensus-based optimization.

    m is the consensus point of the particles before the step; h, alpha, lam and sigma are free.

    Args:
        noise, memory, truncated, gradient, jumps: as of the system `cbo`. A best place Y moves after X; "hard" memory
            takes the better place whole (kappa h = 1).
        noise_after_drift: the amplitude D is taken at the particle that the drift has moved, with m from before
            it, as in the MATLAB code of Riedl and others: X - m is shorter by 1 - lam h. Euler-Maruyama, and
            most codes, take it where the step starts.

    Raises OdescentError for noise after the drift that is constant, or with a memory, a gradient or jumps.
    """
    flow = system(
        "cbo", noise=noise, memory=memory, truncated=truncated, gradient=gradient, jumps=jumps
    )
    where: dict[sp.Symbol, object] = {}
    tuning: dict[sp.Symbol, object] = {}
    steps: tuple[Flow, ...] = (Flow((), "explicit"),)
    if memory is not None:
        moving = [n for n in flow.fields if n != "memory"]
        steps = (Flow(moving, "explicit"), Flow("memory", "explicit"))
        tuning = {kappa: 1 / STEP} if memory == "hard" else {}
    if noise_after_drift:
        if memory is not None or gradient or jumps is not None or noise == "constant":
            raise OdescentError(
                "noise_after_drift= requires noise that grows with the distance from m, and no drift but to m; "
                "leave noise_after_drift= out."
            )
        amplitude, most = parameters("amplitude largest")
        shorter = 1 - lam * STEP  # D is homogeneous, and min(c r, M) = c min(r, M / c)
        flow = flow.bind({sigma: amplitude, **({M: most} if truncated else {})})
        where = {amplitude: sigma * shorter, **({most: M / shorter} if truncated else {})}
    return Algorithm(
        flow, Scheme(steps, "euler_maruyama"), STEP, where, tuning, name="cbo",
        reference=flow.references[0],
    )  # fmt: skip


def jump_cbo(noise: str = "anisotropic", jumps: str = "own") -> Algorithm:
    """X+ = X - lam h (X - m) + D(X - m) (sigma sqrt(h) xi + jump sqrt(n) zeta), n ~ Poisson(rate h): CBO that jumps.

    sqrt(n) zeta is the sum of n normal marks (Kalise, Sharma and Tretyakov); h, alpha, lam, sigma, jump and rate are
    free, and the options are those of cbo.
    """
    return _by_euler("jump_cbo", noise=noise, jumps=jumps)


def mirror_cbo(mirror: str = "map", noise: str = "isotropic") -> Algorithm:
    """Y+ = Y - lam h (X - m) + sigma sqrt(h) D(X - m) xi, X = grad phi*(Y): CBO in a dual variable (MirrorCBO).

    m is the consensus point of the X; h, alpha, lam and sigma are free, and the options are those of the system.
    """
    return _by_euler("mirror_cbo", mirror=mirror, noise=noise)


def polar_cbo(noise: str = "isotropic") -> Algorithm:
    """X+ = X - lam h (X - m(X)) + sigma sqrt(h) D(X - m(X)) xi, with a consensus point for each particle (PolarCBO).

    m(x) has the weights exp(-alpha f(y) - |x - y|^2 / (2 kappa^2)); h, alpha, kappa, lam and sigma are free. A step
    compares all pairs of particles.
    """
    return _by_euler("polar_cbo", noise=noise)


def _by_euler(name: str, **options: object) -> Algorithm:
    flow = system(name, **options)
    return by_euler(flow, name, flow.references[0])


def consensus_freezing() -> Algorithm:
    """X+ = m + e^(-lam h) (X - m) + sigma sqrt((1 - e^(-2 lam h)) / (2 lam)) xi: the exact step for a frozen m.

    Of CBO with constant noise; stable for every h (Fornasier, Huang, Klemenc and Malaspina). h, alpha, lam and
    sigma are free; for lam h -> infinity it is consensus hopping with s = sigma / sqrt(2 lam).
    """
    return Algorithm(
        system("cbo", noise="constant"), Scheme((Flow((), "frozen exact"),), "exact"),
        name="consensus_freezing", reference="fornasier2026",
    )  # fmt: skip


def consensus_hopping() -> Algorithm:
    """X+ = m + s xi: every particle is drawn anew around the consensus point m of the last draw.

    Euler-Maruyama on CBO with constant noise at lam h = 1 and sigma sqrt(h) = s, which leaves no h. The hopping
    point x_k is the consensus point of the k-th ensemble: x_k+1 = m_alpha of N(x_k, s^2 I), by N samples. With
    all particles at x0 it starts at x_0 = x0. The width s and alpha are free.
    """
    tuning = {lam: 1 / STEP, sigma: s / sp.sqrt(STEP)}
    return by_euler(
        system("cbo", noise="constant"), "consensus_hopping", "riedl2023", tuning=tuning
    )
