"""Acceleration dynamics, claims 1 to 4 in one picture: four flows and their maps on the same objective.

All four are the passive form psi' = -K psi - b grad f(y), y' = psi - a grad f(y), stepped by semi-implicit Euler at
h = 1/sqrt(L): gradient descent immersed (b = 0), heavy ball (a = 0), Nesterov's method and triple momentum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_most, exactly
from ..drawing import TITLES, flow_alone, legend_under, letter, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2509.18346, abstract; reconstructed"
_START = 3.3
_HEIGHT = {
    "heavy_ball": 36.0
}  # of the window in psi, in which heavy ball goes twice as far as the others
NAMES = TITLES | {"gradient_descent": "Gradient descent, immersed"}


def passive_member(name: str, mu: int, L: int) -> od.Algorithm:
    """A method of the library in passive form, with exact coefficients; gradient descent is the immersed flow, b = 0.

    Args:
        name: name of the method.
        mu: the modulus of strong convexity.
        L: the Lipschitz constant of the gradient.
    """
    import sympy as sp

    from ...discretize.library.momentum import passive_algorithm
    from ...discretize.pole_placement.passive_form import passive_parameters

    h = 1 / sp.sqrt(L)
    method = od.algorithm(name)
    known = {
        n: v for n, v in {"mu": mu, "L": L}.items() if n in {s.name for s in method.parameters}
    }
    found = method.bind(known).coefficients
    if name == "gradient_descent":
        # any K: psi stays 0
        momentum, feed, back = sp.Rational(1, 2), found["alpha"] / h**2, sp.S.Zero
    else:
        parts = passive_parameters(found["alpha"], found["beta"], found["gamma"], h)
        momentum, feed, back = found["beta"], parts["a"] / h, parts["b"]
    return passive_algorithm(momentum, feed, back, smoothness=sp.Integer(L))


def compute_portraits(spacing: float, steps: int, flow_time: float) -> Result:
    """The phase portrait of each flow with the iterates of its discretization from one start, and both limits.

    Args:
        spacing: between streamlines, relative to the window.
        steps: number of iterations for the limit.
        flow_time: length of the drawn trajectory.
    """
    f = od.objective("lessard_recht_packard")
    cycle = np.array([792, -2208, 2592]) / 1225
    data: dict[str, Any] = {}
    claims = []
    for name, title in NAMES.items():
        method = passive_member(name, 1, 25)
        portrait = od.analysis.phase_portrait(
            method,
            f,
            window=((-4.2, 4.2), (-_HEIGHT.get(name, 18.0), _HEIGHT.get(name, 18.0))),
            axes=("y", "psi"),
            x0=_START,
            steps=24,
            t1=flow_time,
            spacing=spacing,
        )
        data[name] = portrait
        long = np.asarray(method.run(f, np.array([_START]), steps).states["y"])[:, 0]
        tuning = {s: v for s, v in method.tuning_values.items() if s in method.bound.parameters}
        flow = method.bound.bind(tuning).simulate(f, np.array([_START]), 60.0, points=3)
        end = float(np.abs(flow.states["y"][-1]).max())
        claims += [
            Claim(f"{title}: the flow has one fixed point in the window, proved to be all of them.",
                  exactly(True), portrait.search.complete and len(portrait.fixed_points) == 1, SOURCE),
            Claim(f"{title}: the flow goes to the minimizer from 3.3: |y| at t = 60.", at_most(1e-6), end, SOURCE),
        ]  # fmt: skip
        if name == "heavy_ball":
            off = min(float(np.abs(long[-3:] - np.roll(cycle, r)).max()) for r in range(3))
            claims.append(Claim(f"{title}: its map ends on the 3-cycle instead: distance after {steps} steps.",
                                at_most(1e-9), off, "Lessard, Recht, Packard 2016"))  # fmt: skip
        else:
            claims.append(Claim(f"{title}: its map goes there too: |y| after {steps} steps.",
                                at_most(1e-6), float(abs(long[-1])), SOURCE))  # fmt: skip
    return Result(data, tuple(claims))


def draw_portraits(data: Mapping[str, Any]) -> Figure:
    from dataclasses import replace

    from ..._support import style

    figure, axes = panels(2, 2, height=5.4)
    for ax, name in zip(axes, NAMES, strict=True):
        portrait = data[name]
        runs = {name: next(iter(portrait.iterates.values()))}
        replace(flow_alone(portrait), iterates=runs).plot(ax, legend=False, numbered=3)
        if name == "gradient_descent":
            style.note(
                ax,
                r"flow and iterates stay on $\psi = 0$",
                (0.9, 0.0),
                (0, -14),
                "black",
                ha="center",
            )
    for ax in axes:
        ax.set(xlabel="$y$", ylabel=r"$\psi$")
    letter(axes, list(NAMES.values()))
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "portraits", "Four flows and their maps on one objective: all flows converge, heavy ball's map does not.",
        compute_portraits, draw_portraits, {"spacing": 0.08, "steps": 4000, "flow_time": 6.0},
    ),
)  # fmt: skip
