"""Iterative Newton on least squares: one iterate for every doubling of the steps of gradient descent.

The identity is reconstructed from the formulas of arXiv:2310.17086; the data are the breast cancer data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, exactly
from ..drawing import legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2310.17086; derived here"
_GOAL = 1e-6
_SHOWN = (0, 4, 8, 12, 16)


def problem(ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """S = X^T X / n + ridge and b = X^T y / n of the standardized breast cancer data."""
    from ...dynamics.problems.logistic import breast_cancer_data

    X, y = breast_cancer_data()
    n, d = X.shape
    return X.T @ X / n + ridge * np.eye(d), X.T @ (2.0 * y - 1) / n


def descent(S: np.ndarray, b: np.ndarray, root: np.ndarray, steps: int) -> np.ndarray:
    """Gradient descent from zero with the matrix step root^2: in the variable v, w = root v, with the step 1."""
    import jax.numpy as jnp

    inside, right = jnp.asarray(root @ S @ root), jnp.asarray(root @ b)
    f = od.Objective("least_squares", lambda v: v @ (inside @ v) / 2 - right @ v)
    run = od.algorithm("gradient_descent").run(f, np.zeros(len(b)), steps, h=1.0)
    return np.asarray(np.asarray(run.x) @ root)


def newton(S: np.ndarray, b: np.ndarray, scale: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The outputs M b of iterative Newton from M = scale S, and the matrices."""
    M, S_ = od.blocks("M S", kind="symmetric")
    start = {M: scale * S, S_: S, od.blocks("b"): b}
    run = od.algorithm("iterative_newton").run(od.Objective("f"), start, steps)
    return np.asarray(run.x), np.asarray(run.states["M"])


def compute_doubling(ridge: float, share: float, doublings: int) -> Result:
    """Iterates of iterative Newton beside those of gradient descent with the matrix step, and with a number.

    Args:
        ridge: added to the covariance, so that the plain method gets somewhere.
        share: of the largest step, 2 / |S|^2.
        doublings: iterates of iterative Newton; gradient descent takes 2^doublings steps.
    """
    S, b = problem(ridge)
    values, vectors = np.linalg.eigh(S)
    scale = share * 2 / values[-1] ** 2
    points, matrices = newton(S, b, scale, doublings)
    root = (vectors * np.sqrt(scale * values)) @ vectors.T
    long = descent(S, b, root, 2**doublings)
    plain = descent(S, b, np.eye(len(b)) * np.sqrt(2 / (values[0] + values[-1])), 2**doublings)
    at = 2 ** np.arange(doublings + 1)
    exact = np.linalg.solve(S, b)
    size = np.linalg.norm(exact)
    errors = {
        name: np.linalg.norm(path - exact, axis=1) / size
        for name, path in (("newton", points), ("matrix", long), ("number", plain))
    }
    apart = np.linalg.norm(points - long[at], axis=1) / np.linalg.norm(long[at], axis=1)
    # the eigenvalues of 1 - M_k S are powers of those at the start
    left = np.array([np.diag(vectors.T @ (np.eye(len(b)) - m @ S) @ vectors) for m in matrices])
    claimed = (1 - scale * values**2) ** at[:, None]
    first = {name: int(np.argmax(e < _GOAL)) for name, e in errors.items()}
    derivation = od.derive("iterative_newton")
    claims = (
        Claim("Every step of the derivation from the Riccati flow is proved.",
              exactly(len(derivation.steps)), sum(s.verified for s in derivation.steps), SOURCE),
        Claim("Iterate k is iterate 2^k of gradient descent with the matrix step aS: worst relative distance.",
              at_most(1e-11), float(apart.max()), SOURCE),
        Claim("The residual 1 - M S is squared in each step: worst distance of its eigenvalues from the powers 2^k.",
              at_most(1e-11), float(np.abs(left - claimed).max()), "Schulz 1933"),
        Claim(f"Steps to a relative error of {_GOAL:g}: as many as doublings of those of descent with the matrix step.",
              exactly(int(np.ceil(np.log2(first["matrix"])))), first["newton"], SOURCE),
        Claim("With a number for a step gradient descent is another method: least relative distance at 2^k, k < 8.",
              above(0.01), float(np.min(np.linalg.norm(points - plain[at], axis=1)[:8]) / size), "limit; derived here"),
        Claim("The matrix step costs descent its condition number: steps to the same error, against the best number.",
              above(10), first["matrix"] / first["number"], "limit; derived here"),
    )  # fmt: skip
    shown = [k for k in _SHOWN if k <= doublings]
    return Result(
        {
            "errors": {"newton": errors["newton"], "matrix": errors["matrix"][at], "number": errors["number"][at]},
            "values": values, "left": left[shown], "shown": shown, "scale": scale,
        },
        claims,
    )  # fmt: skip


def draw_doubling(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, (left, right) = panels(1, 2, height=2.9)
    errors = data["errors"]
    steps = np.arange(len(errors["newton"]))
    look, plain = look_of("iterative_newton"), look_of("gradient_descent")
    left.semilogy(steps, errors["number"], color=plain.color, ls=(0, (1, 1.2)),
                  label="Gradient descent, $2^k$ steps, best scalar step")  # fmt: skip
    left.semilogy(steps, errors["matrix"], color=plain.color, marker="o", ms=6.5, mfc="white", lw=1.0,
                  label="Gradient descent, $2^k$ steps, matrix $aS$")  # fmt: skip
    left.semilogy(steps, errors["newton"], color=look.color, marker=".", ms=5, ls="none", zorder=4,
                  label="Iterative Newton for least squares, $k$ steps")  # fmt: skip
    left.set(xlabel="$k$", ylabel=r"$|w_k - w^\star| / |w^\star|$", ylim=(1e-14, 3))
    left.set_xticks(steps[::4])
    fine = np.geomspace(data["values"][0], data["values"][-1], 400)
    for i, (k, row) in enumerate(zip(data["shown"], data["left"], strict=True)):
        color = f"{0.7 - 0.7 * i / (len(data['shown']) - 1):g}"  # grey: in the left panel colors are methods
        right.plot(fine, (1 - data["scale"] * fine**2) ** (2.0**k), color=color, lw=0.9)
        right.plot(data["values"], row, color=color, ls="none", marker=style.series_style(i).marker, ms=3.2,
                   label=f"$k = {k}$")  # fmt: skip
    right.set(
        xscale="log", xlabel=r"eigenvalue $\lambda$ of $S$", ylabel=r"eigenvalue of $I - M_k S$"
    )
    letter([left, right], ["one step for each doubling", r"curves: $(1 - a \lambda^2)^{2^k}$"])
    right.legend(loc="lower left", handletextpad=0.3)
    legend_under(figure, [left], ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "doubling", "Iterative Newton on least squares: iterate k is iterate 2^k of gradient descent.",
        compute_doubling, draw_doubling,
        {"ridge": 0.1, "share": 0.95, "doublings": 18},
    ),
)  # fmt: skip
