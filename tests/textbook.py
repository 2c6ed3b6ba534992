"""Methods as the textbooks write them: what derived algorithms are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

import odescent as od
from odescent.dynamics.vector_fields.system import L, mu

f, F = od.Objective("f"), od.Objective("F")
q = sp.sqrt(mu / L)
rho = 1 - q
beta_nag = (1 - q) / (1 + q)
POLYAK = {"alpha": 4 / (sp.sqrt(L) + sp.sqrt(mu)) ** 2, "beta": beta_nag**2}
TMM = {
    "alpha": (1 + rho) / L,
    "beta": rho**2 / (2 - rho),
    "gamma": rho**2 / ((1 + rho) * (2 - rho)),
    "delta": rho**2 / (1 - rho**2),
}


def three_parameters(alpha: Any, beta: Any, gamma: Any = 0, delta: Any = 0) -> od.Algorithm:
    """xi+ = (1 + beta) xi - beta xi_- - alpha g((1 + gamma) xi - gamma xi_-), read at (1 + delta) xi - delta xi_-."""
    xi, old = od.blocks("xi old")
    y = (1 + gamma) * xi - gamma * old
    return od.method(
        {xi: (1 + beta) * xi - beta * old - alpha * f.grad(y), old: xi},
        output=(1 + delta) * xi - delta * old,
    )


def gradient_transport() -> od.Algorithm:
    """d+ = beta d + (1 - beta) g(x + beta/(1 - beta) (x - x_-)), x+ = x - h d+ (Arnold et al., arXiv:1906.03532)."""
    x, old, d = od.blocks("x old d")
    beta, h = od.parameters("beta h")
    after = beta * d + (1 - beta) * f.grad(x + beta / (1 - beta) * (x - old))
    x0 = od.dynamics.start
    return od.method(
        {d: after, x: x - h * after, old: x}, output=x, init={x: x0, old: x0, d: d * 0}
    )


def gradient_descent(step: Any = 1 / L) -> od.Algorithm:
    x = od.blocks("x")
    return od.method({x: x - step * f.grad(x)}, output=x)


def nesterov(step: Any = 1 / L, beta: Any = beta_nag) -> od.Algorithm:
    """x+ = y - s g(y), y+ = x+ + beta (x+ - x)."""
    x, y = od.blocks("x y")
    moved = y - step * f.grad(y)
    return od.method({x: moved, y: (1 + beta) * moved - beta * x}, output=x)


def heavy_ball() -> od.Algorithm:
    return three_parameters(POLYAK["alpha"], POLYAK["beta"])


def triple_momentum() -> od.Algorithm:
    return three_parameters(**TMM)


def extragradient(step: Any) -> od.Algorithm:
    z = od.blocks("z")
    return od.method({z: z - step * F.operator(z - step * F.operator(z))}, output=z)


def optimistic(step: Any) -> od.Algorithm:
    """OGDA: z+ = z - 2 s F(z) + s F(z_-), from z_{-1} = z_0."""
    z, last, x0 = od.blocks("z last x0")
    updates = {z: z - 2 * step * F.operator(z) + step * last, last: F.operator(z)}
    return od.method(updates, output=z, init={last: F.operator(x0)})


# Loops on a gradient, for methods whose coefficients depend on the step number.


def nesterov_c_loop(gradient: Callable[[Any], Any], step: Any, x0: Any, steps: int) -> list[Any]:
    """y = x + k/(k+3) (x - x_-), x+ = y - s g(y)."""
    xs, last = [x0], x0
    for k in range(steps):
        y = xs[-1] + (xs[-1] - last) * k / (k + 3)
        last = xs[-1]
        xs.append(y - step * gradient(y))
    return xs


def fista_loop(gradient: Callable[[Any], Any], step: Any, x0: Any, steps: int) -> list[Any]:
    """t_0 = 1, t+ = (1 + sqrt(1 + 4 t^2)) / 2, y = x + (t_{k-1} - 1)/t_k (x - x_-)."""
    xs, last, before, t = [x0], x0, 0.0, 1.0
    for _ in range(steps):
        y = xs[-1] + (xs[-1] - last) * ((before - 1) / t if before else 0.0)
        last = xs[-1]
        xs.append(y - step * gradient(y))
        before, t = t, (1 + (1 + 4 * t * t) ** 0.5) / 2
    return xs
