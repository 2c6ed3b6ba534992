"""AdaGrad along batches that grow by the norm test: examples and steps beside fixed batches, and where it loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, exactly
from ..drawing import legend_under, letter, look_of, mark, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "measured here; the method is that of arXiv:2402.11215"
LIMIT = "limit; measured here"
_FIXED = 1e9  # a ratio at which the batch stays as it is


def regression(ridge: float) -> od.FiniteSum:
    """Logistic regression on the breast-cancer data, rows with replacement."""
    import jax.numpy as jnp

    from ...dynamics.problems.logistic import breast_cancer_data

    features, labels = breast_cancer_data()

    def of_row(w: Any, row: Any) -> Any:
        return jnp.logaddexp(0.0, -row[1] * (row[0] @ w)) + ridge / 2 * (w @ w)

    data = features, 2.0 * labels - 1.0
    return od.FiniteSum("f", of_row, data, replace=True, dimension=features.shape[1])


def digits(ridge: float) -> od.FiniteSum:
    """Softmax regression on the digits, which it classifies without an error: every row can be fitted at once."""
    import jax
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)

    def of_row(w: Any, row: Any) -> Any:
        logits = row[0] @ w.reshape(-1, 10)
        return jax.nn.logsumexp(logits) - logits[row[1]] + ridge / 2 * (w @ w)

    data = np.column_stack([pixels / 16, np.ones(len(pixels))]), labels
    return od.FiniteSum("f", of_row, data, replace=True, dimension=650)


def runs(
    loss: od.FiniteSum, rate: float, ratio: float, first: float, most: float, steps: int, seeds: int
) -> list[dict[str, np.ndarray]]:
    """Lengths of the whole gradient, values, batches and examples along runs of AdaGrad, one a seed."""
    import jax
    import jax.numpy as jnp

    method = od.algorithm("adadagrad")
    length = jax.jit(lambda points: jax.lax.map(lambda p: jnp.linalg.norm(loss.grad(p)), points))
    found = []
    for seed in range(seeds):
        run = method.run(
            loss, np.zeros(loss.dimension or 1), steps, key=seed,
            rate=rate, delta=1e-8, eta=ratio, b0=first, b_max=most,
        )  # fmt: skip
        found.append(
            {
                "slope": np.asarray(length(jnp.asarray(run.x))),
                "f": np.asarray(run.f),
                "batch": np.asarray(run.states["b"]),
                "examples": np.asarray(run.counts["examples"], float),
            }
        )
    return found


def reached(rows: np.ndarray, goal: float, kept: int = 1) -> int:
    """The step from which so many rows are below the goal, one after the other; -1 for never."""
    below = np.convolve(rows < goal, np.ones(kept), "valid") >= kept
    return int(np.argmax(below)) + kept - 1 if below.any() else -1


def cost(
    found: list[dict[str, np.ndarray]], goal: float, kept: int = 1, what: str = "slope"
) -> tuple[float, float]:
    """Medians over seeds of the examples and steps to a goal, inf where it is not reached."""
    steps = [reached(r[what], goal, kept) for r in found]
    examples = [r["examples"][k] if k >= 0 else np.inf for r, k in zip(found, steps, strict=True)]
    return float(np.median(examples)), float(np.median([k if k >= 0 else np.inf for k in steps]))


def compute_growing_batches(
    ridge: float, rate: float, ratio: float, hasty: float, fixed: dict[str, int], steps: int, most: float,
    goals: list[float], kept: int, seeds: int, digits_rate: float, digits_steps: int, digits_goal: float,
) -> Result:  # fmt: skip
    """Examples and steps to two goals by fixed batches and by growing ones, five seeds each.

    Args:
        ridge: of both losses.
        rate: of AdaGrad on the breast-cancer data, for all.
        ratio: of the norm test.
        hasty: a smaller one, with which the batch grows too early.
        fixed: batches, with the steps that they are given.
        steps: for growing ones.
        most: the largest batch.
        goals: lengths of the gradient.
        kept: for how many steps the first goal is to be kept: a small batch passes it by luck.
        seeds: runs of each.
        digits_rate: of AdaGrad on the digits.
        digits_steps: there, twice as many for growing batches.
        digits_goal: a loss.
    """
    loss, (near, far) = regression(ridge), goals
    first = float(min(map(int, fixed)))
    found = {n: runs(loss, rate, _FIXED, float(n), most, k, seeds) for n, k in fixed.items()}
    grown = runs(loss, rate, ratio, first, most, steps, seeds)
    early = runs(loss, rate, hasty, first, most, steps // 10, seeds)
    kept_at = {n: cost(rows, near, kept) for n, rows in found.items()}
    passed = {n: cost(rows, near) for n, rows in found.items()}
    far_at = {n: cost(rows, far) for n, rows in found.items()}
    examples, own_steps = cost(grown, near, kept)
    easy = digits(ridge * 1e-4)
    fitted = [runs(easy, digits_rate, _FIXED, b, most, digits_steps, seeds) for b in (16.0, 64.0)]
    easy_grown = runs(easy, digits_rate, ratio, first, most, 2 * digits_steps, seeds)
    easier = [cost(rows, digits_goal, what="f")[0] for rows in (easy_grown, *fitted)]
    derivation = od.derive("adadagrad_norm")
    small = f"{int(first)}"
    claims = (
        Claim("Every step of the derivation, the energy under the norm test among them, is proved.",
              exactly(len(derivation.steps)), sum(s.verified for s in derivation.steps), "derived here"),
        Claim(f"Examples until |grad f| < {near:g} for {kept} steps: growing batches to the best fixed one.",
              at_most(0.6), examples / min(e for e, _ in kept_at.values()), SOURCE),
        Claim(f"Steps to that: growing batches to batch {small}.", at_most(0.25), own_steps / kept_at[small][1],
              SOURCE),
        Claim(f"Examples until |grad f| < {far:g}: growing batches to the best fixed one.",
              at_most(0.8), cost(grown, far)[0] / min(e for e, _ in far_at.values()), SOURCE),
        Claim(f"Where once below {near:g} is enough, a small batch gets there by luck: the same quotient.",
              above(0.6), cost(grown, near)[0] / min(e for e, _ in passed.values()), LIMIT),
        Claim(f"With the ratio {hasty:g} the batch grows too early: examples to {near:g}, to the best fixed one.",
              above(1), cost(early, near, kept)[0] / min(e for e, _ in kept_at.values()), LIMIT),
        Claim(f"Nothing is gained on digits, which can be fitted exactly: examples to f < {digits_goal:g}, to the "
              "best of batches 16 and 64.", above(0.8), easier[0] / min(easier[1:]), LIMIT),
    )  # fmt: skip
    thin = {
        n: {k: v[:: max(len(v) // 400, 1)] for k, v in rows[0].items()} for n, rows in found.items()
    }
    thin["growing"] = {k: v[:: max(len(v) // 400, 1)] for k, v in grown[0].items()}
    bars = {**{n: list(v) for n, v in kept_at.items()}, "growing": [examples, own_steps]}
    return Result({"runs": thin, "bars": bars, "goals": goals, "kept": kept}, claims)


def draw_growing_batches(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look = look_of("adadagrad")
    *fixed, _ = data["runs"]
    shades = [f"{0.75 - 0.6 * i / max(len(fixed) - 1, 1):.2f}" for i in range(len(fixed))]
    for name, row in data["runs"].items():
        own: dict[str, Any] = {
            "color": look.color,
            "lw": 1.4,
            "label": "growing batches",
            "zorder": 5,
        }
        if name != "growing":
            own = {"color": shades[fixed.index(name)], "lw": 0.8, "label": f"batch {name}"}
        own |= {
            "marker": "o",
            "ms": 4,
            "markevery": [-1],
        }  # where the run ends, and in the last panel
        axes[0].loglog(row["examples"][1:], row["slope"][1:], **own)
        axes[1].loglog(np.maximum(row["examples"][1:], 1), row["batch"][1:], **own)
    for i, goal in enumerate(data["goals"]):
        said = "" if i else "goals"
        axes[0].axhline(goal, color=style.FLOW, ls=(0, (4, 1.5)), lw=0.8, label=said)
    axes[0].set(xlabel="examples", ylabel=r"$|\nabla f(x_k)|$")
    axes[1].set(xlabel="examples", ylabel="batch $b$")
    for name, (examples, steps) in data["bars"].items():
        color = look.color if name == "growing" else shades[fixed.index(name)]
        if np.isfinite([examples, steps]).all():
            axes[2].loglog([examples], [steps], color=color, marker="o", ms=4, ls="none")
    axes[2].set(xlabel="examples", ylabel="steps")
    mark(axes[2], x=(1e5, 1e6), y=(3e3, 1e4))
    letter(
        axes,
        [
            "the gradient, first seed",
            "the batch",
            f"to {data['goals'][0]:g}, kept {data['kept']} steps",
        ],
    )
    legend_under(figure, axes[:1], ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "growing_batches", "AdaGrad along batches that grow by the norm test, beside fixed batches.",
        compute_growing_batches, draw_growing_batches,
        {"ridge": 1e-2, "rate": 0.2, "ratio": 2.0, "hasty": 1.0,
         "fixed": {"8": 20000, "64": 8000, "512": 2500}, "steps": 3500, "most": 8192.0, "goals": [3e-3, 1e-3],
         "kept": 10, "seeds": 5, "digits_rate": 0.5, "digits_steps": 600, "digits_goal": 0.1},
    ),
)  # fmt: skip
