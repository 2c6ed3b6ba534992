"""Figures for tests, in a module of their own: worker processes find their functions by name."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from odescent import paper_figs as pf

calls: list[tuple[int, int]] = []  # of this process only


def compute(points: int, seed: int, power: float = 2.0) -> pf.Result:
    calls.append((points, seed))
    x = np.random.default_rng(seed).uniform(0, 1, points)
    claims = (
        pf.Claim("The mean of squares is a third.", pf.near(1 / 3, absolute=0.2), float((x**power).mean())),
        pf.Claim("It is more than two.", pf.above(2), float(x.max())),
    )  # fmt: skip
    table = {"columns": ["seed", "mean"], "rows": [[seed, float(x.mean())]]}
    return pf.Result({"draws": {"x": x, "seed": seed}, "table": table}, claims)


def draw(data: Any) -> Any:
    from odescent._support import style

    figure, (ax,) = style.figure()
    ax.plot(data["draws"]["x"])
    return figure


def broken(**_: object) -> pf.Result:
    raise ZeroDivisionError("as planned")


def killed(**_: object) -> pf.Result:
    os._exit(9)


FIGURE = pf.PaperFigure(
    "squares", "Squares.", compute, draw, {"points": 50, "seed": 3}, {"points": 900}
)
BROKEN = pf.PaperFigure("broken", "Never made.", broken, draw)
