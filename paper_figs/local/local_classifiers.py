"""Local regularization of classifiers: times drawn freely or from the mesh, the paper's step or the solver's own.

The paper (arXiv 2303.02262) makes a step of freshly selected length from the drawn time; for ODEs at tight
tolerances that step is much shorter than the one the solver took, and its error next to nothing (figure `forms`).
The form with the accepted step's own length has no such gap, nor have SDEs, where the paper's step is a hundredth
of the interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claims import Claim, at_least, at_most
from ..drawing import letter
from ..entry import PaperFigure, Result
from ..heuristics.selection import (
    Chosen,
    Method,
    along,
    choose,
    draw_course,
    look_of_training,
    rows_of,
    seconds,
    shown_coefficient,
    table,
    tried,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE, _OURS = "arXiv:2303.02262, abstract", "ours"
VANILLA, GLOBAL = "vanilla", "all steps"
TIMES, STEPS = ("unbiased", "biased"), {"accepted": "own step", "initial": "paper's step"}
FIRST = "automatic"


def name(time: str, step: str) -> str:
    """The label of a local method."""
    return f"{time}, {STEPS[step]}"


def methods(
    all_steps: Sequence[float], by_step: Mapping[str, Sequence[float]]
) -> tuple[Method, ...]:
    """Vanilla, the penalty on all steps if there are coefficients for it, and the local ones with theirs."""
    own = [
        Method(
            name(time, step), {"regularizer": "local", "regularizer_options": {"time": time, "step": step}},
            tuple(by_step[step]),
        )
        for step in STEPS
        for time in TIMES
    ]  # fmt: skip
    everywhere = [Method(GLOBAL, {"regularizer": "error"}, tuple(all_steps))] if all_steps else []
    return (Method(VANILLA), *everywhere, *own)


def compute(
    task: str,
    steps: int,
    batch: int,
    model: Mapping[str, Any],
    tolerance: float,
    first_step: float | str,
    seeds: Sequence[int],
    all_steps: Sequence[float],
    own_step: Sequence[float],
    papers_step: Sequence[float],
    slack: float,
    validations: int,
    rounds: int,
    folder: Path,
) -> Result:
    """Train all, choose coefficients by validation, look at the test rows once, time in turns.

    Args:
        task, steps, batch, model, seeds: of the runs; `model` are its options.
        tolerance: of the solves, relative and absolute.
        first_step: of all solves, a length; diffrax's automatic one is a hundredth of the interval.
        all_steps, own_step, papers_step: coefficients to choose from: of the penalty on all steps, which is left out
            without any, and of the local one with the solver's own step and with the paper's.
        slack: by how much accuracy may fall on the validation rows for a coefficient to be chosen.
        validations: how often, in the course of training.
        rounds: of the timing.
        folder: of the runs.
    """
    from ...neural_de import Config

    base = Config(
        task, steps=steps, batch=batch, rtol=tolerance, atol=tolerance, dt0=first_step, model_options=dict(model),
        validate_every=max(1, steps // validations), checkpoint_every=max(1, steps // 3),
    )  # fmt: skip
    ways = methods(all_steps, {"accepted": own_step, "initial": papers_step})
    chosen = choose(base, ways, seeds=seeds, slack=slack, folder=folder)
    found = {(FIRST, c.label): c for c in chosen}
    times = seconds({f"{FIRST}/{c.label}": c.runs[0] for c in chosen}, rounds)
    data = {
        "task": task, "seeds": list(seeds), "table": table(found, VANILLA, times), "tried": tried(found),
        "along": {c.label: along(c) for c in chosen},
    }  # fmt: skip
    return Result(data, _claims({c.label: c for c in chosen}, times))


def _claims(
    found: Mapping[str, Chosen], times: Mapping[str, Mapping[str, float]]
) -> tuple[Claim, ...]:
    plain = found[VANILLA]
    made = []
    for step in STEPS:
        for time in TIMES:
            label = name(time, step)
            nfe, gain = found[label].over(plain), found[label].gain(plain)
            before, now = (times[f"{FIRST}/{n}"]["prediction"] for n in (VANILLA, label))
            made += [
                Claim(f"NFE over vanilla's: {label}", at_most(0.733), nfe, _SOURCE),
                Claim(f"Accuracy is not hurt: {label}, difference to vanilla", at_least(-0.003), gain, _SOURCE),
                Claim(f"Predictions are faster: {label}, times", at_least(1.3), before / now, _SOURCE),
            ]  # fmt: skip
    if GLOBAL in found:
        over = found[name("unbiased", "accepted")].over(found[GLOBAL])
        said = "One step in place of all: NFE over that of the penalty on all steps"
        made.append(Claim(said, at_most(1.2), over, _OURS))
    return tuple(made)


def draw(data: Mapping[str, Any]) -> Figure:
    """NFE and accuracy of each; NFE along training."""
    from ..._support import style

    fig, (bars, course) = style.figure(style.FULL_WIDTH, 0.8, ncols=2)
    rows = rows_of(data)
    places = range(len(rows))
    colors = [look_of_training(r["method"]).color for r in rows]
    bars.barh(
        places, [r["NFE"] for r in rows], 0.7, xerr=[r["NFE, sd"] for r in rows], color=colors,
        alpha=0.85, error_kw={"linewidth": 0.8, "capsize": 2},
    )  # fmt: skip
    plain = rows[0]["NFE"]
    bars.axvspan(0.556 * plain, 0.733 * plain, color="0.88", zorder=0)
    for i, r in enumerate(rows):
        said = f"{100 * r['accuracy']:.1f} %{shown_coefficient(r)}"
        bars.text(0.02 * plain, i, said, va="center", fontsize=6.5, color="w")
    bars.set_yticks(list(places), [r["method"] for r in rows])
    bars.invert_yaxis()
    bars.set(xlabel="NFE of a test solve (band: 0.556 to 0.733 of vanilla)")
    course.margins(y=0.1)
    draw_course(course, data["along"])
    letter((bars, course), ["after training", "during training"])
    return fig


FIGURES = (
    PaperFigure(
        "classification",
        "A classifier regularized at one random time per solve: evaluations and accuracy.",
        compute,
        draw,
        quick={
            "task": "digits-ode", "steps": 450, "batch": 128, "model": {"hidden": [100]}, "tolerance": 1e-6,
            "first_step": 0.01, "seeds": [0, 1], "slack": 0.003, "all_steps": [0.3], "own_step": [1.0],
            "papers_step": [10.0], "validations": 6, "rounds": 10,
        },
        full={
            "task": "mnist-ode", "steps": 7500, "batch": 512, "seeds": [0, 1, 2], "all_steps": [0.1, 0.3, 1.0],
            "own_step": [0.3, 1.0, 3.0], "papers_step": [1.0, 1e2, 1e4], "rounds": 40,
        },
        precision="float32",
    ),
    PaperFigure(
        "classification_sde",
        "A classifier by a neural SDE, regularized at one random time per solve: evaluations and accuracy.",
        compute,
        draw,
        quick={
            "task": "digits-sde", "steps": 210, "batch": 64, "model": {"dimension": 16, "hidden": [32]},
            "tolerance": 1e-2, "first_step": 0.01, "seeds": [0, 1], "slack": 0.003, "all_steps": [],
            "own_step": [1.0], "papers_step": [1000.0], "validations": 3, "rounds": 2,
        },
        full={
            "task": "mnist-sde", "steps": 4000, "batch": 512, "model": {"dimension": 32, "hidden": [64]},
            "seeds": [0, 1, 2], "all_steps": [0.1, 0.3], "own_step": [0.3, 1.0], "papers_step": [100.0, 1000.0],
            "validations": 5, "rounds": 40,
        },
        precision="float32",
    ),
)  # fmt: skip
