"""The saddle flow of a Lagrangian: its power balance, its rate, and the linear problem on which it circles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_most, between, near
from ..drawing import legend_under, letter, panels
from ..entry import PaperFigure, Result
from .kkt_newton import PROBLEM, functions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Arrow, Hurwicz and Uzawa 1958; derived here"
_END, _MULTIPLIER = np.array([0.0, 3**0.5]), 1 / (2 * 3**0.5)


def measured(run: Any) -> dict[str, np.ndarray]:
    """Half the squared speed and the power of the curvature along a run, by automatic differentiation."""
    import jax
    import jax.numpy as jnp

    given = functions()

    def at(x: Any, lam: Any) -> Any:
        lagrangian = lambda p: given["f"](p) + given["c"](p) @ lam
        u, v = -jax.grad(lagrangian)(x), given["c"](x)
        curved = jax.jvp(jax.grad(lagrangian), (x,), (u,))[1]
        return (u @ u + v @ v) / 2, u @ curved

    speed, power = jax.vmap(at)(jnp.asarray(run.x), jnp.asarray(run.states["lam"]))
    return {"speed": np.asarray(speed), "power": np.asarray(power)}


def compute_saddle(
    start: list[float], multiplier: float, time: float, points: int, turns: float, h: float
) -> Result:
    """The flow on a curved problem and on a linear one.

    Args:
        start: of x.
        multiplier: at the start.
        time: to which the flow is followed.
        points: of its path.
        turns: of the flow on the linear problem.
        h: a step of explicit Euler there.
    """
    from scipy.integrate import cumulative_simpson

    times = time * np.linspace(0, 1, points) ** 2  # denser where the flow is fast
    x, lam = od.blocks("x lam")
    flow = od.system("lagrangian_flow")
    run = flow.simulate(
        functions(), {x: np.array(start), lam: np.array([multiplier])}, time, times=times, rtol=1e-10, atol=1e-12
    )  # fmt: skip
    t, found = np.asarray(run.t), measured(run)
    lost = cumulative_simpson(found["power"], x=t, initial=0)
    balance = (found["speed"] - found["speed"][0] + lost) / found["speed"][0]
    bent_up = (found["power"][:-1] >= 0) & (found["power"][1:] >= 0)
    away = np.linalg.norm(
        np.column_stack([np.asarray(run.x) - _END, np.asarray(run.states["lam"]) - _MULTIPLIER]),
        axis=1,
    )
    # at the solution: the slowest eigenvalue of ((-H, -J^T), (J, 0)), H = diag(2 + 4 lam, 2 lam), J = (0, 2 sqrt(3))
    H, J = np.diag([2 + 4 * _MULTIPLIER, 2 * _MULTIPLIER]), np.array([[0.0, 2 * 3**0.5]])
    rate = float(np.linalg.eigvals(np.block([[-H, -J.T], [J, np.zeros((1, 1))]])).real.max())
    late = (away > 1e-7) & (t > time / 4)
    slope = float(np.polyfit(t[late], np.log(away[late]), 1)[0])
    # minimize x with x = 0: the flow turns around (0, -1)
    line = {"f": lambda p: p[0], "c": lambda p: p}
    begin = {x: np.ones(1), lam: np.zeros(1)}
    circle = flow.simulate(line, begin, 2 * np.pi * turns, points=400, rtol=1e-11, atol=1e-13)
    euler = od.Algorithm(flow, od.scheme("explicit_euler")).run(
        line, begin, round(2 * np.pi * turns / h), h=h
    )
    around, spiral = (
        np.column_stack([np.asarray(r.x), np.asarray(r.states["lam"])]) for r in (circle, euler)
    )
    radius, grown = (np.hypot(p[:, 0], p[:, 1] + 1) for p in (around, spiral))
    turned = radius / radius[0]
    claims = (
        Claim("Half the squared speed changes by the curvature of the Lagrangian alone: worst error of the balance.",
              at_most(1e-6), float(np.abs(balance).max()), SOURCE),
        Claim("The speed grows only where the curvature along x' is negative: its largest rise elsewhere, relative.",
              at_most(1e-9), float((np.diff(found["speed"])[bent_up] / found["speed"][0]).max()), SOURCE),
        Claim("It ends at the published minimizer, with its multiplier: distance.",
              at_most(1e-3), float(away[-1]), PROBLEM),
        Claim("The rate is the slowest real part of the linear flow there, -lam = -1/(2 sqrt(3)), measured.",
              near(rate, relative=0.03), slope, SOURCE),
        Claim("That rate is the matrix's own: slowest real part by eigenvalues.",
              near(-_MULTIPLIER, relative=1e-12), rate, SOURCE),
        *(Claim(f"On a linear problem it circles and never arrives: {which} distance to that at the start.",
                near(1, absolute=1e-6), value, "limit; derived here")
          for which, value in (("least", float(turned.min())), ("largest", float(turned.max())))),
        Claim(f"Explicit Euler diverges there, by (1 + h^2)^(1/2) a step: growth at h = {h:g} less 1, to h^2/2.",
              between(0.99, 1.0), float(((grown[-1] / grown[0]) ** (1 / (len(grown) - 1)) - 1) / (h**2 / 2)),
              "limit; derived here"),
    )  # fmt: skip
    return Result(
        {"t": t, "speed": found["speed"], "lost": lost, "away": away, "rate": rate, "around": around,
         "spiral": spiral, "h": h}, claims,
    )  # fmt: skip


def draw_saddle(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    t, speed = np.asarray(data["t"]), np.asarray(data["speed"])
    axes[0].fill_between(
        t, speed, speed[0], color=style.TINTS[2], lw=0, label="dissipated by the curvature"
    )
    axes[0].plot(t, speed, color=style.FLOW, lw=1.4, label="half the squared speed")
    axes[0].plot(t, speed[0] - np.asarray(data["lost"]), color="black", ls=(0, (1, 1.6)), lw=1.2,
                 label="initial value minus integrated power")  # fmt: skip
    shown = t < t[-1] / 5
    axes[0].set(xlabel="time $t$", xlim=(0, t[shown][-1]), ylim=(0, 1.05 * speed[0]))
    axes[1].semilogy(t, data["away"], color=style.FLOW, lw=1.4)
    axes[1].semilogy(t, 2 * data["away"][0] * np.exp(data["rate"] * t), color="0.35", ls=(0, (1, 1.3)),
                     label=r"$e^{-\lambda^\star t}$, slowest mode")  # fmt: skip
    axes[1].set(xlabel="time $t$", ylabel="distance from the solution")
    around, spiral = np.asarray(data["around"]), np.asarray(data["spiral"])
    axes[2].plot(
        *spiral.T, color=style.MODIFIED, lw=0.9, label=f"explicit Euler, $h = {data['h']:g}$"
    )
    axes[2].plot(*around.T, color=style.FLOW, lw=1.6, label="saddle flow")
    axes[2].plot(
        0, -1, color="black", marker="*", ms=8, ls="none", label="solution of the linear problem"
    )
    axes[2].set(xlabel="$x$", ylabel="multiplier", aspect="equal")
    letter(axes, ["power balance", "its rate", "on a linear problem"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "saddle_flow", "The saddle flow of a Lagrangian: only curvature takes speed, and without any it circles.",
        compute_saddle, draw_saddle,
        {"start": [1.0, 1.0], "multiplier": 0.5, "time": 50.0, "points": 5001, "turns": 2.0, "h": 0.1},
    ),
)  # fmt: skip
