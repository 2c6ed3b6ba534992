"""A neural SDE fitted to a spiral's moments, cheap to solve (arXiv 2105.03918).

Losses are measured with many fresh paths, the same noise for all; the process that made the data is solved by
the same solver beside them, so that one sees which part of a loss is the solver's and the sample's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claims import Claim, at_least, at_most, below
from ..drawing import letter
from ..entry import PaperFigure, Result
from .selection import Method, choose, look_of_training, mean, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VANILLA, ERROR, DATA = "vanilla", "error (ERNSDE)", "the data's own SDE"
BUDGET = "error, to a budget"
# The variance of paths is quadratic in their noise, and so is E^2, but E is not: its slope at no noise at all beats
# that of the fit, so that a penalty on E may switch the diffusion off for good.
_PENALTY = {"regularizer": "error", "regularizer_options": {"kind": "squared"}}
_SOURCE, _OURS = "arXiv:2105.03918", "ours"


def compute(
    steps: int,
    batch: int,
    tolerance: float,
    seeds: Sequence[int],
    coefficients: Sequence[float],
    fade: float,
    longer: float,
    share: float | None,
    start: float,
    paths: int,
    draws: int,
    slack: float,
    most: float,
    folder: Path,
) -> Result:
    """Fit without and with penalty, choose its coefficient by validation, and measure with fresh paths.

    Args:
        steps, batch: of the optimizer, and paths per step.
        tolerance: of the solves, relative and absolute.
        seeds: of the runs.
        coefficients: at the start, to choose from.
        fade: what a coefficient falls to at the end, in units of its start.
        longer: steps of the runs with penalty over those without: a step of theirs takes fewer evaluations.
        share: of vanilla's NFE on the validation paths, the budget of a run that finds its coefficient itself; None
            for no such run.
        start: of that coefficient: so small that the fit comes first, and the noise is not driven away before.
        paths, draws: paths per solve, and solves, to measure with.
        slack: by how much the loss may rise, relative, on the validation paths.
        most: bound of the claim on NFE, relative to vanilla.
        folder: of the runs.
    """
    import numpy as np

    from ...neural_de import Config
    from ...neural_de.tasks.data import spiral_sde_moments

    base = Config(
        "spiral-sde", steps=steps, batch=batch, rtol=tolerance, atol=tolerance, validate_every=steps,
        checkpoint_every=max(1, steps // 3),
    )  # fmt: skip
    options: dict[str, Any] = {"seeds": seeds, "slack": slack, "folder": folder}
    more = round(longer * steps)
    penalized = {**_PENALTY, "steps": more, "validate_every": more}
    plain, faded = choose(
        base, (Method(VANILLA), Method(ERROR, penalized, tuple(coefficients), fade)), **options
    )  # fmt: skip
    chosen = [plain, faded]
    if share is not None:
        target = round(share * plain.validation("nfe"))
        # Evaluations swing around the target: only some of the weights on the way are within it.
        often = {"validate_every": max(1, more // 20)}
        held = Method(BUDGET, {**penalized, **often, "target_nfe": target, "coefficient": start})
        chosen += choose(base, (held,), reference=plain, **options)
    times, means, variances = spiral_sde_moments()
    measured = {
        c.label: [
            _moments(_of_model(r, paths, times), draws, r.config.seed, means, variances)
            for r in c.runs
        ]
        for c in chosen
    }
    first = mean([float(r.test["dt0"]) for r in chosen[0].runs])
    measured[DATA] = [
        _moments(_of_data(paths, times, tolerance, first), draws, s, means, variances) for s in seeds
    ]  # fmt: skip
    of_training = {
        c.label: [c.coefficient, c.validation("loss"), mean(c.training_nfe)] for c in chosen
    }
    numbers = {
        label: {n: np.array([m[n] for m in found]) for n in found[0]}
        for label, found in measured.items()
    }
    rows = [
        [
            label, *of_training.get(label, [None] * 3),
            *(f(n[name].tolist()) for name in ("loss", "nfe", "steps", "noise") for f in (mean, spread)),
        ]
        for label, n in numbers.items()
    ]  # fmt: skip
    curves, each = (
        {label: {name: n[name] for name in names} for label, n in numbers.items()}
        for names in (("means", "variances"), ("loss", "nfe"))
    )
    data = {
        "table": {"columns": _COLUMNS, "rows": rows}, "times": times, "means": means, "variances": variances,
        "fitted": curves, "each": each, "seeds": list(seeds),
        "tried": {c.label: c.attempts("loss") for c in chosen},
    }  # fmt: skip
    return Result(data, _claims(measured, most))


_COLUMNS = [
    "method", "coefficient", "validation loss", "evaluations in training", "loss", "loss, sd", "NFE", "NFE, sd",
    "steps", "steps, sd", "diffusion", "diffusion, sd",
]  # fmt: skip


@cache
def _compiled() -> Any:
    """A solve of a model's paths, and the diffusion at their ends: one program for all runs."""
    import diffrax as dfx
    import equinox as eqx

    @eqx.filter_jit
    def solved(model: Any, key: Any, start: Any, times: Any, options: Any) -> tuple[Any, Any]:
        out = model(start, key, saveat=dfx.SaveAt(ts=times), **options)
        return out, model.diffusion(out.ys[-1])

    return solved


def _of_model(run: Any, paths: int, times: Any) -> Callable[[Any], tuple[Any, Any]]:
    """From a key to a solve of so many paths, and the diffusion at their ends; compiled."""
    import jax.numpy as jnp

    from ...neural_de.training.compiled import solve_options

    c, solved = run.config, _compiled()
    start = jnp.tile(jnp.asarray([[2.0, 0.0]], c.precision), (paths, 1))
    options = {**solve_options(c, jnp.asarray(run.test["dt0"], c.precision)), "throw": True}
    return lambda key: solved(run.model, key, start, jnp.asarray(times), options)


def _of_data(
    paths: int, times: Any, tolerance: float, dt0: float
) -> Callable[[Any], tuple[Any, Any]]:
    """The same of the process that made the data, in the sense of Stratonovich: its drift is less by g g' / 2."""
    import diffrax as dfx
    import equinox as eqx
    import jax.numpy as jnp

    from ...neural_de import solve

    matrix, noise = jnp.asarray([[-0.1, 2.0], [-2.0, -0.1]], jnp.float32), 0.2
    start = jnp.tile(jnp.asarray([[2.0, 0.0]], jnp.float32), (paths, 1))

    @eqx.filter_jit
    def solved(key: Any) -> tuple[Any, Any]:
        out = solve(
            lambda t, u, a: u**3 @ matrix.T - noise**2 / 2 * u, start, 0.0, 1.0,
            diffusion=lambda t, u, a: noise * u, key=key, rtol=tolerance, atol=tolerance, dt0=dt0, max_steps=512,
            saveat=dfx.SaveAt(ts=jnp.asarray(times)),
        )  # fmt: skip
        return out, noise * out.ys[-1]

    return solved


def _moments(
    solved: Callable[[Any], tuple[Any, Any]], draws: int, seed: int, means: Any, variances: Any
) -> dict[str, Any]:
    """Moments over all draws together, the loss against the data's, and the mean cost of a solve."""
    import jax
    import jax.random as jr
    import numpy as np

    paths, noise, nfe, steps = [], [], [], []
    for i in range(draws):
        out, diffusion = jax.device_get(solved(jr.fold_in(jr.key(10_000 + seed), i)))
        paths.append(np.asarray(out.ys, np.float64))
        noise.append(np.mean(np.asarray(diffusion, np.float64) ** 2))
        nfe.append(float(out.statistics.drift_evaluations))
        steps.append(float(out.statistics.accepted + out.statistics.rejected))
    together = np.concatenate(paths, axis=1)
    center, var = together.mean(1), together.var(1)
    loss = ((center - means) ** 2).mean() + ((var - variances) ** 2).mean()
    return {
        "means": center, "variances": var, "loss": float(loss), "nfe": mean(nfe), "steps": mean(steps),
        "noise": float(np.sqrt(np.mean(noise))),
    }  # fmt: skip


def _claims(measured: Mapping[str, Sequence[Mapping[str, Any]]], most: float) -> tuple[Claim, ...]:
    def over(name: str, of: str, to: str) -> float:
        return mean([m[name] for m in measured[of]]) / mean([m[name] for m in measured[to]])

    made, penalized = [], [label for label in (ERROR, BUDGET) if label in measured]
    for label in penalized:
        made += [
            Claim(f"NFE over vanilla's: {label}", at_most(most), over("nfe", label, VANILLA), _OURS),
            Claim(f"The fit is not worse: loss over vanilla's: {label}", at_most(1.02), over("loss", label, VANILLA),
                  _OURS),
            Claim(f"Noise is not driven to zero: diffusion over that of the data: {label}", at_least(0.5),
                  over("noise", label, DATA), _OURS),
        ]  # fmt: skip
    cheapest = min(over("nfe", label, VANILLA) for label in penalized)
    said = "Evaluations fall for neural SDEs too: NFE over vanilla's"
    made.append(Claim(said, below(1.0), cheapest, _SOURCE))
    return tuple(made)


def draw(data: Mapping[str, Any]) -> Figure:
    """Means and variances of the first seed over time; loss against NFE, seed by seed."""
    from ..._support import style

    fig, (first, second, plane) = style.figure(style.FULL_WIDTH, 1.2, ncols=3)
    times, each = data["times"], data["each"]
    looks = {m: look_of_training(m) for m in (VANILLA, ERROR, BUDGET, DATA) if m in each}
    for ax, name, label in ((first, "means", "mean"), (second, "variances", "variance")):
        for j, hollow in enumerate(("none", "0.6")):
            ax.plot(times, data[name][:, j], "o", markersize=2.5, markerfacecolor=hollow, markeredgecolor="0.4",
                    label=f"data, $u_{j + 1}$")  # fmt: skip
        for method in (m for m in looks if m != DATA):
            look = looks[method]
            for j in range(2):
                ax.plot(times, data["fitted"][method][name][0][:, j], **look.line,
                        label=method.split(" (")[0] if j == 0 else None)  # fmt: skip
        ax.set(xlabel="time", ylabel=label)
        style.legend_below(ax)
    for method, look in looks.items():
        plane.plot(each[method]["nfe"], each[method]["loss"], look.marker, color=look.color, linestyle="",
                   label=method.split(" (")[0])  # fmt: skip
    for label in (m for m in looks if m not in (VANILLA, DATA)):  # seed by seed
        plane.plot(
            [each[VANILLA]["nfe"], each[label]["nfe"]], [each[VANILLA]["loss"], each[label]["loss"]], color="0.8",
            linewidth=0.6, zorder=0,
        )  # fmt: skip
    plane.set(xlabel="NFE", ylabel="loss, fresh paths", yscale="log")
    style.legend_below(plane)
    letter((first, second, plane), ["mean of the paths", "their variance", "after training"])
    return fig


FIGURES = (
    PaperFigure(
        "spiral_sde",
        "A neural SDE fitted to the moments of a spiral: fit and evaluations with and without penalty.",
        compute,
        draw,
        quick={
            "steps": 120, "batch": 50, "tolerance": 1e-2, "seeds": [0], "coefficients": [0.001], "fade": 0.02,
            "longer": 1.5, "share": None, "start": 1e-5, "paths": 1000, "draws": 10, "slack": 0.02, "most": 0.75,
        },
        full={
            "steps": 800, "batch": 300, "seeds": [0, 1, 2], "coefficients": [0.0001, 0.0002, 0.0005], "fade": 0.005,
            "longer": 1.75, "share": 0.72, "draws": 40,
        },
        precision="float32",
    ),
)  # fmt: skip
