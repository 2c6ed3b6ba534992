"""Newton-Schulz orthogonalization of the digits' mean images: its order, its flow, and where it leads elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_least, at_most, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Björck and Bowie 1971"
_ROOTS = (3**0.5, 5**0.5)  # where the map is zero, and where it turns around


def images() -> np.ndarray:
    """The mean image of each digit, as a column: 64 by 10."""
    from sklearn.datasets import load_digits

    found = load_digits()
    means = np.stack([found.data[found.target == k].mean(0) for k in range(10)], 1) / 16
    return np.asarray(means)


def iterates(start: np.ndarray, steps: int, h: float = 1.0) -> np.ndarray:
    """Newton-Schulz for h = 1; explicit Euler on its flow with another step."""
    X = od.blocks("X", kind="matrix")
    if h == 1.0:
        return np.asarray(od.algorithm("newton_schulz").run(od.Objective("f"), {X: start}, steps).x)
    method = od.Algorithm(od.system("orthogonalization_flow"), od.scheme("explicit_euler"))
    return np.asarray(method.run(od.Objective("f"), {X: start}, steps, h=h).x)


def compute_polar(steps: int, slow: float, time: float, large: float, larger: float) -> Result:
    """Errors of the singular values by steps, their order, and starts beyond the edges of the basin.

    Args:
        steps: of the method.
        slow: a smaller step of explicit Euler.
        time: to which the flow is followed.
        large: a largest singular value between the roots of 3 and 5.
        larger: one beyond the root of 5.
    """
    start = images()
    start = start / np.linalg.norm(start, 2)
    u, sizes, vt = np.linalg.svd(start, full_matrices=False)

    def along(path: np.ndarray) -> np.ndarray:
        """The diagonal of u^T X v, the singular values with their signs."""
        return np.asarray(np.einsum("ai,kab,ib->ki", u, path, vt))

    path, halves = iterates(start, steps), iterates(start, 4 * steps, slow)
    errors, half = np.abs(1 - along(path)), np.abs(1 - along(halves))
    pairs, linear = _pairs(errors), _pairs(half)
    late, tail = pairs[(pairs[:, 0] < 1e-2)], linear[linear[:, 0] < 1e-2]
    X = od.blocks("X", kind="matrix")
    flow = od.system("orthogonalization_flow").simulate(
        od.Objective("f"), {X: start}, time, points=25, rtol=1e-11, atol=1e-13
    )
    grown = along(np.asarray(flow.x))
    exact = 1 / np.sqrt(1 + (1 / sizes**2 - 1) * np.exp(-np.asarray(flow.t))[:, None])
    polar = u @ vt
    other = iterates(large * start, 3 * steps)[-1]
    sizes_there = np.linalg.svd(other, compute_uv=False)
    run = od.algorithm("newton_schulz").run(od.Objective("f"), {X: larger * start}, 3 * steps)
    claims = (
        Claim("The iterates tend to the polar factor of the singular value decomposition: distance at the end.",
              at_most(1e-12), float(np.linalg.norm(path[-1] - polar, 2)), SOURCE),
        Claim("The error of a singular value is squared: fitted order.",
              near(2, absolute=0.02), fitted_order(late[:, 0], late[:, 1]), SOURCE),
        Claim("The factor of the square is 3/2: from the smallest errors that rounding leaves.",
              near(1.5, absolute=0.01), float(_constant(late)), SOURCE),
        Claim(f"The step of the method is no accident: with h = {slow:g} the error is multiplied by 1 - h, measured.",
              near(1 - slow, absolute=0.01), float(np.median(tail[:, 1] / tail[:, 0])), "derived here"),
        Claim("Along the flow 1/s^2 - 1 falls as e^-t: worst relative error of the singular values.",
              at_most(1e-8), float(np.abs(grown / exact - 1).max()), "derived here"),
        Claim(f"From the largest singular value {large:g}, between the roots of 3 and 5, the end is orthonormal too.",
              at_most(1e-12), float(np.abs(sizes_there - 1).max()), "limit; derived here"),
        Claim("There it is another factor than the polar one: distance.",
              at_least(1.9), float(np.linalg.norm(other - polar, 2)), "limit; derived here"),
        Claim(f"From {larger:g}, beyond the root of 5, it diverges.",
              exactly(True), run.diverged_at is not None, "limit; derived here"),
    )  # fmt: skip
    return Result(
        {"errors": errors, "pairs": pairs, "linear": linear, "sizes": sizes, "slow": slow, "large": large}, claims
    )  # fmt: skip


def _pairs(errors: np.ndarray) -> np.ndarray:
    """Errors before and after a step, both above rounding."""
    both = np.stack([errors[:-1].ravel(), errors[1:].ravel()], 1)
    return both[(both[:, 1] > 1e-13) & (both[:, 0] > 1e-13)]


def _constant(pairs: np.ndarray) -> float:
    """The factor where the error is small, but its square well above rounding."""
    seen = pairs[pairs[:, 1] > 1e-10]
    best = seen[int(np.argmin(seen[:, 0]))]
    return float(best[1] / best[0] ** 2)


def draw_polar(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look = look_of("newton_schulz")
    steps = np.arange(len(data["errors"]))
    for i, row in enumerate(
        np.asarray(data["errors"]).T[1:]
    ):  # the largest value is 1 from the start
        axes[0].semilogy(steps, np.where(row > 0, row, np.nan), color=look.color, lw=0.8, alpha=0.4 + 0.07 * i,
                         label="Newton-Schulz orthogonalization" if i == 8 else "_nolegend_")  # fmt: skip
    axes[0].set(xlabel="iteration $k$", ylabel="$|1 - s|$ of 9 singular values", ylim=(1e-17, 3))
    pairs, linear = np.asarray(data["pairs"]), np.asarray(data["linear"])
    thin = linear[np.argsort(linear[:, 0])][:: max(1, len(linear) // 40)]
    axes[1].loglog(thin[:, 0], thin[:, 1], color=style.MODIFIED, marker="^", ms=3, ls="none",
                   label=rf"explicit Euler, $h = {data['slow']:g}$")  # fmt: skip
    axes[1].loglog(pairs[:, 0], pairs[:, 1], color=look.color, marker="o", ms=2.8, ls="none",
                   label="$h = 1$, Newton-Schulz")  # fmt: skip
    ordered = pairs[np.argsort(pairs[:, 0])]
    slopes(axes[1], [(ordered[:, 0], ordered[:, 1], 2), (thin[:, 0], thin[:, 1], 1)], factor=0.2)
    axes[1].set(xlabel="error before a step", ylabel="error after it", ylim=(1e-14, 3))
    s = np.linspace(0, 2.5, 500)
    axes[2].axvspan(0, _ROOTS[0], color=style.TINTS[2], lw=0, label=r"to $+1$: the polar factor")
    axes[2].axvspan(*_ROOTS, color=style.TINTS[1], lw=0, label=r"to $\pm 1$: another factor")
    axes[2].axhline(0, color="0.6", lw=0.5)
    axes[2].plot(s, (3 * s - s**3) / 2, color=look.color, lw=1.2)
    axes[2].plot(s, s, color="0.35", lw=0.7, ls=(0, (4, 2)), label="identity")
    axes[2].text(
        2.27, 0.15, "diverges", rotation=90, fontsize=style.SMALL, va="bottom", color="0.25"
    )
    axes[2].set(
        xlabel="singular value $s$",
        ylabel="singular value after a step",
        xlim=(0, 2.5),
        ylim=(-2.4, 1.6),
    )
    mark(axes[2], x=(0, 1, 2), y=(-2, -1, 0, 1))
    letter(axes, ["from the digits' means", "the order of a step", "which factor"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "polar", "Newton-Schulz orthogonalization: quadratic to the polar factor, and other factors beyond its basin.",
        compute_polar, draw_polar,
        {"steps": 16, "slow": 0.5, "time": 6.0, "large": 1.9, "larger": 2.3},
    ),
)  # fmt: skip
