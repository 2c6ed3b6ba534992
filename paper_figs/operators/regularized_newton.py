"""Regularized Newton on logistic regression: a bounded step, an error bound for each step, and a global rate.

The regularization |g|/gam is that of arXiv:2308.14742 with gam = 1/M, where |D^3 f[u, u, v]| <= M <u, H u> |v|; the
bounds are derived here. Let r be the step, |r| <= 1/M. Then |g+| <= (e - 1) M |g| |r|, since g+ = -(|g|/gam) r + R with
|R| <= (e - 2) M <r, H r>. Where f - f+ >= gam |g+|^2/(8 |g|) in each step and D is the largest distance of an iterate
from the minimizer, the gap after k steps is at most min(a (1 + c q)^-k, D |g_0| q^k) with a = f_0 - f*, c = gam/(8 D)
and q = (|g_k|/|g_0|)^(1/k), whatever q is: so at most what the q gives for which the two are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_least, at_most, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2308.14742; derived here"
_GOAL = 1e-6


def longest_row() -> float:
    """M of logistic regression: the largest norm of a row of the data."""
    from ...dynamics.problems.logistic import breast_cancer_data

    return float(np.linalg.norm(breast_cancer_data()[0], axis=1).max())


def along(run: Any, f: od.Objective) -> dict[str, np.ndarray]:
    """Gaps of f, norms of gradients and of steps."""
    import jax

    points = np.asarray(run.x)
    gap = np.asarray(jax.vmap(f.value)(points)) - float(f.value(f.minimizer))
    return {
        "gap": gap,
        "slope": np.linalg.norm(np.asarray(jax.vmap(f.grad)(points)), axis=1),
        "moved": np.linalg.norm(np.diff(points, axis=0), axis=1),
        "away": np.linalg.norm(points - f.minimizer, axis=1),
    }


def bound(k: int, a: float, c: float, b: float) -> float:
    """The largest value of min(a (1 + c q)^-k, b q^k) over q, where the two are equal.

    Args:
        k: steps.
        a, c: of the first, the gap at the start and gam/(8 D).
        b: of the second, D |g_0|.
    """
    from scipy.optimize import brentq

    def excess(q: float) -> float:
        return float(np.log(a) - k * np.log1p(c * q) - np.log(b) - k * np.log(q))

    if k == 0:
        return min(a, b)
    q = brentq(excess, 1e-300, 1e6)
    return float(b * q**k)


def compute_radius(ridge: float, begin: float, radii: list[float], steps: int) -> Result:
    """Runs with the radius of the theory and with larger ones, Newton's method and gradient descent beside them.

    Args:
        ridge: of logistic regression on the breast cancer data.
        begin: every coordinate of the start.
        radii: larger radii, in units of 1/M.
        steps: of the runs.
    """
    f = od.objective("logistic/breast_cancer", regularization=ridge)
    start, unit = np.full(f.dimension or 1, begin), 1 / longest_row()
    method = od.algorithm("regularized_newton")
    runs = {
        f"{factor:g}": along(method.run(f, start, steps, gam=factor * unit), f)
        for factor in (1.0, *radii)
    }
    plain = along(method.run(f, start, 6, gam=1e300), f)  # no regularization
    descent = along(od.algorithm("gradient_descent").run(f, start, steps, h=1 / float(f.L or 1)), f)
    checked = {name: _checked(row, float(name) * unit) for name, row in runs.items()}
    least, (*_, wide, widest) = checked["1"], runs
    pair = np.stack([runs[wide]["slope"][:-1], runs[wide]["slope"][1:]])
    pair = pair[:, (pair[0] < 1e-2) & (pair[1] > 1e-12)]
    reach = {name: int(np.argmax(row["gap"] < _GOAL)) for name, row in runs.items()}
    allowed = next(k for k in range(1, 10**6, 100) if bound(k, *least["numbers"]) < _GOAL)
    claims = (
        Claim("No step is longer than the radius: the largest |dx| / gam of all runs.",
              at_most(1 + 1e-12),
              max(float(row["moved"].max() / (float(n) * unit)) for n, row in runs.items()), SOURCE),
        Claim("With gam = 1/M every step obeys |g+| <= (e - 1) M |g| |dx|: the largest quotient.",
              at_most(1), float(least["quotients"].max()), "derived here"),
        Claim("With gam = 1/M every step satisfies the test f - f+ >= gam |g+|^2 / (8 |g|): steps above rounding.",
              exactly(int(least["accepted"].size)), int(least["accepted"].sum()), SOURCE),
        Claim(f"With gam = {wide}/M, far beyond the theory, every step still does.",
              exactly(int(checked[wide]["accepted"].size)), int(checked[wide]["accepted"].sum()), "measured here"),
        Claim("The gap stays below the bound that follows from the test: the largest quotient of these two runs.",
              at_most(1), max(float((row["gap"][1 : len(checked[n]["bounds"])] / checked[n]["bounds"][1:]).max())
                              for n, row in runs.items() if n in ("1", wide)), "derived here"),
        Claim(f"At the end convergence is quadratic, gam = {wide}/M: fitted order of |g+| in |g|.",
              near(2, absolute=0.1), fitted_order(*pair), SOURCE),
        Claim("Newton's method, the radius infinite, leaves from the same start: its gap after 6 steps to the first.",
              at_least(2), float(np.nan_to_num(plain["gap"][-1] / plain["gap"][0], nan=np.inf)), "measured here"),
        Claim(f"The bound is loose: the steps that it allows to a gap of {_GOAL:g} to those taken, gam = 1/M.",
              at_least(10), allowed / reach["1"], "limit; measured here"),
        Claim(f"The radius of the theory is cautious: its steps to that gap to those with gam = {wide}/M.",
              at_least(5), reach["1"] / reach[wide], "limit; measured here"),
        Claim(f"No radius is large enough for all: with gam = {widest}/M steps fail the test, their share.",
              above(0), float(1 - checked[widest]["accepted"].mean()), "limit; measured here"),
    )  # fmt: skip
    tests = {name: row["test"] for name, row in checked.items()}
    return Result(
        {"runs": runs, "newton": plain, "descent": descent, "tests": tests, "pair": pair, "steps": steps}, claims
    )  # fmt: skip


def _checked(run: Mapping[str, np.ndarray], radius: float) -> dict[str, Any]:
    """The bounds of a run: for each step above rounding, and for the gap after each."""
    seen = run["slope"][1:] > 1e-11
    g, after, r = run["slope"][:-1][seen], run["slope"][1:][seen], run["moved"][seen]
    decrease = (run["gap"][:-1] - run["gap"][1:])[seen]
    away = float(run["away"].max())
    numbers = (float(run["gap"][0]), radius / (8 * away), away * float(run["slope"][0]))
    return {
        "quotients": after * radius / ((math.e - 1) * g * r),
        "accepted": decrease >= radius * after**2 / (8 * g),
        "test": np.where(decrease > 0, radius * after**2 / (8 * g * decrease), np.inf),
        "bounds": np.array([bound(k, *numbers) for k in range(len(g) + 1)]),
        "numbers": numbers,
    }


def draw_radius(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look = look_of("regularized_newton")
    steps = np.arange(1, data["steps"] + 1)
    dashes = ("-", (0, (6, 1.5)), (0, (3, 1.2)), (0, (1, 1.2)))
    for (name, run), dash in zip(data["runs"].items(), dashes, strict=False):
        shown = np.where(run["slope"] > 1e-14, run["slope"], np.nan)
        axes[0].loglog(
            steps, shown[1:], color=look.color, ls=dash, label=rf"regularized, $\gamma = {name}/M$"
        )
    for name, key, label in (
        ("newton", "newton", "Newton's method"),
        ("gradient_descent", "descent", "Gradient descent"),
    ):
        slope = data[key]["slope"][1:]
        axes[0].loglog(np.arange(1, len(slope) + 1), slope, **look_of(name).line, label=label)
    axes[0].set(xlabel="iteration $k$", ylabel=r"$|\nabla f(x_k)|$", ylim=(1e-15, 1e2))
    for row, dash in zip(data["tests"].values(), dashes, strict=True):
        axes[1].loglog(np.arange(1, len(row) + 1), row, color=look.color, ls=dash)
    axes[1].axhline(1, color=style.MODIFIED, lw=0.9, label="bound of the test")
    axes[1].set(
        xlabel="iteration $k$", ylabel=r"$\gamma |g_+|^2 / (8 |g| (f - f_+))$", ylim=(1e-6, 30)
    )
    pair = np.asarray(data["pair"])
    axes[2].loglog(*pair, color=look.color, marker=look.marker, ms=4, ls="none", label="last steps")
    slopes(axes[2], [(*pair[:, np.argsort(pair[0])], 2)], factor=0.2)
    axes[2].set(xlabel=r"$|g|$ before a step", ylabel=r"$|g|$ after it")
    letter(axes, ["the gradient", "the test of each step", "the order of the last steps"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "radius", "Regularized Newton: no step beyond its radius, a global rate, quadratic convergence at the end.",
        compute_radius, draw_radius,
        {"ridge": 1e-2, "begin": 1.0, "radii": [10.0, 100.0, 1000.0], "steps": 240},
    ),
)  # fmt: skip
