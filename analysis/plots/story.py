"""The story of heavy ball: figures and checked steps of the argument for its non-convergence."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..._support import style
from ..._support.files import write_whole
from ...discretize import algorithm
from ...dynamics import objective
from ...dynamics.problems.lessard_recht_packard import GRADIENT
from ..cycling.balance import Ledger, energy_balance, known_cycle, run_ledger
from ..cycling.methods import cycles
from ..cycling.region import cycle_region
from .cycles import draw_cycle, draw_iterates, draw_ledger

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_METHODS = ("heavy_ball", "nesterov_sc", "triple_momentum")


def heavy_ball_story(out: str | os.PathLike[str], quick: bool = False) -> tuple[Path, ...]:
    """Write the heavy-ball argument: four figures, and the energy balance with its checks as HTML and text.

    1. `iterates`: heavy ball, Nesterov's method and triple momentum on the one-dimensional counterexample.
    2. `energy`: what is dissipated and injected step by step, around heavy ball's cycle and along the other methods'
       runs, where there is no cycle; in exact arithmetic, each in its own units of energy.
    3. `region`: where in the plane of step and momentum there are cycles, at kappa = 25.
    4. `cycle`: a function of two variables on which heavy ball cycles, with its level sets, at kappa = 25.

    Args:
        out: a folder, made where it is missing.
        quick: a coarse map and PNG files only; else PDF, SVG and PNG.

    Returns:
        The paths written.

    Raises:
        OdescentError: if a file cannot be written.
    """
    folder = Path(out)
    forms = ("png",) if quick else ("pdf", "svg", "png")
    points, ledger = known_cycle()
    f = objective("lessard_recht_packard")
    runs = {
        style.titled(name): np.asarray(algorithm(name).run(f, f.x0, 30).x)[:, 0]
        for name in _METHODS
    }
    region = cycle_region(1 / 25, 1.0, resolution=120 if quick else 400, certified=16 if quick else 60)  # fmt: skip
    drawn = {
        "iterates": draw_iterates(runs, levels=[float(v) for v in points]),
        "energy": _energy(ledger),
        "region": region.plot(),
        "cycle": draw_cycle(cycles("heavy_ball", 1, 25, 3)[0]),
    }
    written: list[Path] = []
    for name, ax in drawn.items():
        figure = ax.get_figure(root=True)
        assert figure is not None  # made above
        written += style.save(figure, folder / name, forms)
    balance = energy_balance()
    for suffix, text in (("html", balance.html()), ("txt", balance.text() + "\n")):
        path = folder / f"energy_balance.{suffix}"
        write_whole(path, text)
        written.append(path)
    return tuple(written)


def _energy(ledger: Ledger) -> Axes:
    """The ledger of heavy ball's cycle beside those of the other two methods from the same start."""
    figure, axes = style.figure(style.FULL_WIDTH, 0.95, 3)
    draw_ledger(ledger, axes[0], f"{style.titled(_METHODS[0])}, around its cycle", legend=False)
    for ax, name in zip(axes[1:], _METHODS[1:], strict=True):
        _, own = run_ledger(name, GRADIENT, Fraction(33, 10), 6)
        draw_ledger(own, ax, f"{style.titled(name)}, from 3.3", legend=False)
    handles = {str(h.get_label()): h for ax in axes[1:] for h in ax.get_legend_handles_labels()[0]}
    with style.context():
        figure.legend(
            handles=list(handles.values()), loc="outside lower center", ncols=len(handles), fontsize=style.SMALL
        )  # fmt: skip
    return axes[0]
