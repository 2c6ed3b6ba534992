"""Bilevel problems by a penalty: the error that it leaves, and what two lower time scales do to a single loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_least, at_most, below, near
from ..drawing import legend_under, letter, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PENALTY = "Kwon et al. 2023, arXiv:2301.10945; order derived here"
SCALES = "derived here"
_FOLLOWS = np.array([[1.0, -0.5], [0.5, 1.0], [0.3, 0.8]])  # y*(x) of the quadratic lower level
_CURVED = np.diag([1.0, 2.0, 4.0])  # its Hessian
_TARGET = np.array([1.0, -1.0, 0.5])


def bent() -> tuple[Any, Any]:
    """Two levels that are not quadratic, on x with two entries and y with three."""
    import jax.numpy as jnp

    def upper(x: Any, y: Any) -> Any:
        return jnp.sum((x - 1) ** 2) / 2 + jnp.sum(jnp.log(jnp.cosh(y - jnp.asarray(_TARGET))))

    def lower(x: Any, y: Any) -> Any:
        gap = y - jnp.asarray(_FOLLOWS) @ jnp.tanh(x)
        return jnp.sum(jnp.log(jnp.cosh(gap))) + jnp.sum(y**2) / 2

    return upper, lower


def quadratic() -> tuple[Any, Any]:
    """Two quadratic levels with y*(x) = B x."""
    import jax.numpy as jnp

    def upper(x: Any, y: Any) -> Any:
        return jnp.sum((x - 1) ** 2) / 2 + jnp.sum((y - jnp.asarray(_TARGET)) ** 2) / 2

    def lower(x: Any, y: Any) -> Any:
        gap = y - jnp.asarray(_FOLLOWS) @ x
        return gap @ (jnp.asarray(_CURVED) @ gap) / 2

    return upper, lower


def predicted(sigma: float, epsilon: float, rho: float) -> float:
    """The slowest rate of (I + K) x' = -psi'' x on the quadratic problem, to first order in the time scales."""
    identity = np.eye(3)
    mixed = -_FOLLOWS.T @ _CURVED  # G_xy
    shifted = sigma * identity + _CURVED  # sigma F_yy + G_yy
    # psi = F + (G(x, y) - min G)/sigma at y = argmin (sigma F + G)
    value = (
        np.eye(2)
        + (_FOLLOWS.T @ _CURVED @ _FOLLOWS - mixed @ np.linalg.inv(shifted) @ mixed.T) / sigma
    )
    squared = [np.linalg.matrix_power(np.linalg.inv(m), 2) for m in (shifted, _CURVED)]
    lag = epsilon * (mixed @ squared[0] @ mixed.T - rho * mixed @ squared[1] @ mixed.T) / sigma
    return float(np.linalg.eigvals(np.linalg.solve(np.eye(2) + lag, value)).real.min())


def measured(sigma: float, epsilon: float, rho: float, h: float, steps: int) -> float:
    """The rate at which the single loop comes to its end, from the last half of a run."""
    loop = od.algorithm("penalty_bilevel")
    starts = {b.symbol: np.zeros(2 if b.name == "x" else 3) for b in loop.system.blocks}
    upper, lower = quadratic()
    run = loop.run(
        {"F": upper, "G": lower}, starts, steps, h=h, epsilon=epsilon, sigma=sigma, rho=rho
    )
    x = np.asarray(run.x)
    speed = np.linalg.norm(np.diff(x, axis=0), axis=1)
    late = (np.arange(len(speed)) > len(speed) // 4) & (speed > 1e-11) & (speed < 1e6)
    slope = np.polyfit(np.flatnonzero(late) * h, np.log(speed[late]), 1)[0]
    return float(-np.expm1(h * slope) / h)  # a step multiplies by 1 - h rate


def error_per_sigma(upper: Any, lower: Any, at: np.ndarray) -> np.ndarray:
    """The penalty's error over sigma, to first order: the gradient of -F_y . G_yy^-1 F_y / 2 along the minimizer."""
    import jax
    import jax.numpy as jnp

    def least(x: Any) -> Any:
        y = jnp.zeros(3)
        for _ in range(30):
            y = y - jnp.linalg.solve(jax.hessian(lower, 1)(x, y), jax.grad(lower, 1)(x, y))
        return y

    def term(x: Any) -> Any:
        y = least(x)
        slope = jax.grad(upper, 1)(x, y)
        return -slope @ jnp.linalg.solve(jax.hessian(lower, 1)(x, y), slope) / 2

    return np.asarray(jax.jit(jax.grad(term))(jnp.asarray(at)))


def compute_bilevel(
    at: list[float],
    sigmas: list[float],
    sigma: float,
    epsilon: float,
    ratios: list[float],
    h: float,
    steps: int,
) -> Result:
    """The error of the penalty's hypergradient, and the slow rate of the single loop.

    Args:
        at: where the hypergradient is taken.
        sigmas: penalty parameters there.
        sigma: that of the single loop.
        epsilon: its lower time scale.
        ratios: of its two lower time scales.
        h: its step.
        steps: of a run.
    """
    point, begin = np.array(at), np.zeros(3)
    upper, lower = bent()
    exact = np.asarray(od.hypergradient(upper, lower, point, begin, lower_tolerance=1e-12))
    off = {
        method: np.array([
            np.asarray(od.hypergradient(
                upper, lower, point, begin, method=method, sigma=s, lower_tolerance=1e-12)) - exact
            for s in sigmas
        ])
        for method in ("penalty", "richardson")
    }  # fmt: skip
    errors = {method: np.linalg.norm(row, axis=1) for method, row in off.items()}
    first = np.outer(sigmas, error_per_sigma(upper, lower, point))
    rest = np.linalg.norm(off["penalty"] - first, axis=1)
    orders = {m: float(np.polyfit(np.log(sigmas), np.log(e), 1)[0]) for m, e in errors.items()}
    rates = np.array([measured(sigma, epsilon, r, h, steps) for r in ratios])
    expected = np.array([predicted(sigma, epsilon, r) for r in ratios])
    spread = float(np.linalg.eigvalsh(_FOLLOWS.T @ _FOLLOWS).max())  # of G_xy G_yy^-2 G_yx
    beyond = 1 + 1.5 * sigma / (epsilon * spread)
    still = predicted(sigma, 0.0, 1.0)
    equal, change = ratios.index(1.0), np.abs(rates / still - 1)
    claims = (
        Claim("The error of the penalty's hypergradient is of the order of sigma: fitted order.",
              near(1, absolute=0.05), orders["penalty"], PENALTY),
        Claim("A combination of two penalties is of the order of its square: fitted order.",
              near(2, absolute=0.1), orders["richardson"], PENALTY),
        Claim("The error is sigma times the gradient of -F_y . G_yy^-1 F_y / 2: order of what is left.",
              near(2, absolute=0.1), float(np.polyfit(np.log(sigmas), np.log(rest), 1)[0]), SCALES),
        Claim("Of that error it is: left at the least sigma, relative.",
              at_most(0.1), float(rest[-1] / errors["penalty"][-1]), SCALES),
        Claim("The slow rate of the single loop is that of (I + K) x' = -psi'': worst relative error.",
              at_most(0.05), float(np.abs(rates / expected - 1).max()), SCALES),
        Claim("With equal lower scales the lags cancel through order 1/sigma: the rate's change, over the largest one.",
              at_most(0.2), float(change[equal] / change.max()), SCALES),
        Claim("With unequal ones they do not: the largest change of the rate.",
              at_least(0.1), float(change.max()), SCALES),
        Claim("Beyond the ratio at which I + K is singular the single loop runs away: its rate there.",
              below(0), measured(sigma, epsilon, beyond, h, steps), "limit; derived here"),
    )  # fmt: skip
    return Result(
        {"sigmas": sigmas, **errors, "first": np.linalg.norm(first, axis=1),
         "ratios": ratios, "rates": rates, "expected": expected, "still": still}, claims,
    )  # fmt: skip


def draw_bilevel(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 2, height=2.9)
    sigmas = np.asarray(data["sigmas"])
    for name, color, said in (
        ("penalty", style.COLORS[0], "penalty"),
        ("richardson", style.COLORS[1], "two penalties combined"),
    ):
        axes[0].loglog(sigmas, data[name], color=color, marker="o", ms=3.5, ls="none", label=said)
    axes[0].loglog(sigmas, data["first"], color=style.COLORS[0], lw=1.1, label="(a): predicted")
    slopes(axes[0], ((sigmas, data["richardson"], 2),), 1.6)
    axes[0].set_xticks(sigmas, [f"{s:g}" for s in sigmas])
    axes[0].minorticks_off()
    axes[0].set(xlabel=r"penalty parameter $\sigma$", ylabel="error of the hypergradient")
    axes[1].plot(
        data["ratios"],
        data["rates"],
        color="black",
        marker="o",
        ls="none",
        ms=4,
        label="single loop",
    )
    axes[1].plot(
        data["ratios"],
        data["expected"],
        color=style.MODIFIED,
        lw=1.3,
        label="(b): predicted, with both lags",
    )
    axes[1].axhline(data["still"], color=style.FLOW, lw=1.1, ls=(0, (4, 1.5)), label="without lag")
    axes[1].set(xlabel=r"ratio $\rho$ of the lower time scales", ylabel="slow rate")
    letter(axes, ["penalty", "two time scales"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "bilevel", "Bilevel problems by a penalty: an error of its order, and lags that cancel for equal scales.",
        compute_bilevel, draw_bilevel,
        {"at": [0.4, -0.7], "sigmas": [0.2, 0.1, 0.05, 0.025, 0.0125], "sigma": 0.1, "epsilon": 0.01,
         "ratios": [0.5, 0.75, 1.0, 1.5, 2.0], "h": 0.002, "steps": 4000},
    ),
)  # fmt: skip
