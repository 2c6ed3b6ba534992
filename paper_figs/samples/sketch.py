"""Sketched gradients on softmax regression of the digits: how few numbers do, and how long a step may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below, exactly, near
from ..drawing import legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result
from .directions import digits, moved

if TYPE_CHECKING:
    import sympy as sp
    from matplotlib.figure import Figure

SOURCE = "derived here; the method is that of Song et al. 2023"
_NONE = "none"


def losses(f: Any, d: int, rounds: int, rows: int, rates: list[float], seed: int) -> np.ndarray:
    """The losses over so many rounds at each rate, the gradient sketched with so many rows; none for the gradient.

    R^T R g of s rows is the mean of s independent sketches of one row. The rates see the same rows.
    """
    import jax
    import jax.numpy as jnp

    gradient = jax.grad(f)
    step = moved("sketched_gradient_descent", gradient, (), rows=1)

    def run(rate: Any) -> Any:
        def body(x: Any, key: Any) -> Any:
            if not rows:
                return x - rate * gradient(x), f(x)
            return step(x, rate, jax.random.split(key, rows)), f(x)

        keys = jax.random.split(jax.random.key(seed), rounds)
        end, row = jax.lax.scan(body, jnp.zeros(d), keys)
        return jnp.append(row, f(end))

    return np.asarray(jax.jit(jax.vmap(run))(jnp.asarray(rates)))


def largest_steps(counts: list[int], d: int, smooth: float) -> list[float]:
    """The steps below which f falls in mean, by the engine, for these numbers of rows."""
    x, L = od.blocks("x"), od.parameters("L")
    g, found = od.Objective("f").grad(x), []
    for rows in counts:
        descent = od.system("sketched_flow", rows=rows).fields["descent"].drift[x]
        bound: sp.Expr = od.estimate(-descent, of=g).largest_step(L)
        found.append(
            float(bound.subs({s: d if s.name == "d_x" else smooth for s in bound.free_symbols}))
        )
    return found


def growth(
    rows: int, d: int, steps: Any, runs: int, long: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The growth of |x|^2/2 in a step by its size: the mean over single steps, the median over long runs."""
    import jax
    import jax.numpy as jnp

    method = od.algorithm("sketched_gradient_descent", rows=rows)
    start = np.ones(d) / np.sqrt(d)
    from ...discretize.emit import load

    module = load(method, "jax")

    def one(h: Any, key: Any) -> Any:
        known = module.coefficients(h)
        after = module.step(module.init(jnp.asarray(start)), lambda x: x, known, key)
        return jnp.sum(module.output(after, known) ** 2)

    keys = jax.random.split(jax.random.key(seed), runs)
    found = np.asarray(
        jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(jnp.asarray(steps), keys)
    )
    # the law does not turn with x, so that a long run's growth is a product of as many independent ones
    products = np.log(found).reshape(len(found), -1, long).mean(2)
    return found.mean(1), np.exp(np.median(products, axis=1))


def crossing(steps: Any, values: np.ndarray) -> float:
    """The first step at which the growth passes one, by interpolation."""
    k = int(np.argmax(values > 1))
    a, b = values[k - 1], values[k]
    return float(steps[k - 1] + (1 - a) / (b - a) * (steps[k] - steps[k - 1]))


def compute_sketch(
    data: int, ridge: float, rounds: int, counts: list[int], rates: list[float], goal: float, few: list[int],
    small: int, runs: int, long: int, seed: int,
) -> Result:  # fmt: skip
    """Losses by the numbers of rows and rates, and the growth of f on a quadratic by the step.

    Args:
        data: of the digits.
        ridge: of the loss.
        rounds: one gradient each.
        counts: of rows.
        rates: the grid of all.
        goal: a loss, to which the numbers sent are counted.
        few: numbers of rows on the quadratic.
        small: its dimension.
        runs: for the means.
        long: steps of the runs whose median is shown.
        seed: of the rows.
    """
    import jax
    import jax.numpy as jnp
    from scipy.optimize import minimize

    f, d = digits(data, ridge)
    found = {_NONE: losses(f, d, rounds, 0, rates, seed)}
    found |= {f"{s}": losses(f, d, rounds, s, rates, seed) for s in counts}
    ends = {n: np.where(np.isfinite(r[:, -1]), r[:, -1], np.inf) for n, r in found.items()}
    at = {name: int(np.argmin(row)) for name, row in ends.items()}
    best = {name: float(row[at[name]]) for name, row in ends.items()}
    both = jax.jit(jax.value_and_grad(f))
    within = {"maxiter": 3000, "maxfun": 4000, "ftol": 1e-14}
    low = float(minimize(both, np.zeros(d), jac=True, method="L-BFGS-B", options=within).fun)
    inner = sum(0 < k < len(rates) - 1 for k in at.values())
    tenth, same = f"{min(counts)}", rates.index(1.0)
    sent = {}
    for name, rows in found.items():
        reached = [int(np.argmax(row <= goal)) for row in rows if np.any(row <= goal)]
        sent[name] = min(reached) * (d if name == _NONE else int(name))
    hessian = np.linalg.eigvalsh(np.asarray(jax.hessian(f)(jnp.zeros(d))))
    # at zero, so no more than L: with a larger L the largest step is shorter still
    (wide,) = largest_steps([1], d, float(hessian[-1]))
    wide *= (d + 2) / (1 + (d + 1) / min(counts))
    bounds = largest_steps(few, small, 1.0)
    grown, measured = {}, {}
    for count in few:
        bound = 2 / (1 + (small + 1) / count)
        steps = bound * np.linspace(0.5, 1.5, 21)
        mean, median = growth(count, small, steps, runs, long, seed + count)
        grown[f"{count}"] = {"steps": steps, "mean": mean, "median": median}
        measured[f"{count}"] = crossing(steps, mean) / bound
    claims = (
        Claim("The largest step is 2/(L(1 + (d + 1)/s)) for each number of rows: worst relative distance.",
              at_most(1e-12), max(abs(b * (1 + (small + 1) / s) / 2 - 1) for s, b in zip(few, bounds, strict=True)),
              SOURCE),
        *(Claim(f"On |x|^2/2 runs grow in mean from 2/(1 + (d + 1)/s) on, s = {rows}: measured to claimed.",
                near(1, absolute=0.03), value, SOURCE) for rows, value in measured.items()),
        Claim("Each best rate lies inside the grid: number of them.",
              exactly(len(ends)), inner, "measured here"),
        Claim(f"A tenth of the numbers, at the rate 1 for both: loss after {rounds} rounds to that of the gradient.",
              at_most(1.1), float(ends[tenth][same] / ends[_NONE][same]), "measured here"),
        Claim(f"The same at the best rates: loss after {rounds} rounds to that of the gradient.",
              at_most(1.1), best[tenth] / best[_NONE], "measured here"),
        Claim(f"Numbers sent until the loss is {goal:g}, at the best rate for it: a tenth of the rows to the gradient.",
              below(1), sent[tenth] / sent[_NONE], "measured here"),
        Claim("But it comes less near to the minimum: at the best rates, the gap to that of the gradient.",
              above(2), (best[tenth] - low) / (best[_NONE] - low), "limit; measured here"),
        Claim("The largest step is sufficient only: on the digits, whose Hessian has few large eigenvalues, the best "
              "rate to it.", above(2), rates[at[tenth]] / wide, "limit; measured here"),
        Claim("Growth is of the mean: at the largest step, s = 1, the median run of many steps still falls by, each.",
              below(1), float(np.interp(bounds[0], grown[f"{few[0]}"]["steps"], grown[f"{few[0]}"]["median"])),
              "limit; measured here"),
    )  # fmt: skip
    paths = {name: rows[at[name]] for name, rows in found.items()}
    return Result(
        {
            "paths": paths,
            "rates": rates,
            "ends": ends,
            "grown": grown,
            "bounds": bounds,
            "d": d,
            "low": low,
        },
        claims,
    )


def draw_sketch(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look, plain = look_of("sketched_gradient_descent"), look_of("gradient_descent")
    for (name, row), dash in zip(data["paths"].items(), ("-", *style.DASHES[1:]), strict=False):
        whole = name == _NONE
        own: dict[str, Any] = {
            "lw": 1.2,
            "color": plain.color if whole else look.color,
            "ls": dash,
            "label": f"Gradient descent, all {data['d']} numbers sent"
            if whole
            else f"{name} of {data['d']} numbers sent",
        }
        axes[0].plot(np.arange(len(row)), row, **own)
        ends = np.asarray(data["ends"][name])
        axes[1].semilogx(data["rates"], np.where(ends < 1, ends, np.nan), **own, ms=3,
                         marker=plain.marker if whole else look.marker)  # fmt: skip
    axes[0].axhline(data["low"], color="0.55", lw=0.8, label="minimum")
    axes[0].set(
        xlabel="round", ylabel="loss at the best rate", xlim=(0, len(row) / 2), ylim=(0.17, 0.8)
    )
    axes[1].axhline(data["low"], color="0.55", lw=0.8)
    axes[1].set(xlabel="rate", ylabel="final loss", ylim=(0.17, 0.4))
    for i, ((rows, run), bound) in enumerate(
        zip(data["grown"].items(), data["bounds"], strict=True)
    ):
        ahead = np.asarray(run["steps"])
        names = ("mean over many runs", "median of long runs", "largest step of the law")
        mean, median, law = names if i == 0 else ("_nolegend_",) * 3
        axes[2].plot(ahead, run["mean"], color=look.color, lw=1.4, label=mean)
        axes[2].plot(ahead, run["median"], color="0.35", ls=(0, (1, 1.3)), lw=1.1, label=median)
        axes[2].plot(bound, 1, color="black", marker="v", ms=6, mfc="white", ls="none", label=law)
        axes[2].annotate(f"$s = {rows}$", (ahead[-1], run["mean"][-1]), (0, 3), textcoords="offset points",
                         fontsize=style.SMALL, ha="center")  # fmt: skip
    axes[2].set_ylim(top=1.6)
    axes[2].axhline(1, color="0.55", lw=0.8)
    axes[2].set(xlabel="step $h L$", ylabel="growth of $f$ per step")
    axes[2].set_xlim(right=1.15 * max(run["steps"][-1] for run in data["grown"].values()))
    letter(axes, ["digits", "final loss against the rate", "a quadratic"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "sketch", "Sketched gradients: how few numbers of a gradient do, and the largest step.",
        compute_sketch, draw_sketch,
        {"data": 450, "ridge": 1e-3, "rounds": 300, "counts": [325, 130, 65],
         "rates": [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 12.0], "goal": 0.3, "few": [1, 2, 4], "small": 20,
         "runs": 20000, "long": 100, "seed": 0},
    ),
)  # fmt: skip
