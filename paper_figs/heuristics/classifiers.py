"""Classifiers that are cheap to solve: evaluations, accuracy and times of the regularizers (arXiv 2105.03918)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claims import Claim, above, at_least, at_most, below
from ..drawing import letter
from ..entry import PaperFigure, Result
from .selection import (
    Chosen,
    Method,
    along,
    choose,
    look_of_training,
    ratio,
    rows_of,
    seconds,
    table,
    tried,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE = "arXiv:2105.03918, abstract"
_OURS = "ours"
AUTOMATIC, CALIBRATED = "automatic", "calibrated"
VANILLA, ERROR = "vanilla", "error (ERNODE)"
_NAMES = {"steps": "steps", "stiffness": "stiffness (SRNODE)", "taylor": "TayNODE"}
_FIRST_STEPS = {AUTOMATIC: 0.01, CALIBRATED: "calibrated"}  # diffrax's own is 0.01 of the interval


# Ratios to vanilla that are aimed at: NFE with either first step, a training step, a prediction.
_AIMS = {
    "digits-ode": {AUTOMATIC: 0.65, CALIBRATED: 0.35, "step": 0.5, "prediction": 0.4},
    "mnist-ode": {AUTOMATIC: 0.73, CALIBRATED: 0.4, "step": 0.7, "prediction": 0.5},
}


def _beside(coefficients: Mapping[str, Sequence[float]], width: float) -> tuple[Method, ...]:
    """What stands beside the four cells, with calibrated first steps; what has no coefficients is left out."""
    kinds: dict[str, dict[str, Any]] = {
        "steps": {},
        "stiffness": {"kind": "jvp"},
        "taylor": {"order": 2},
    }
    own = [
        Method(_NAMES[n], {"regularizer": n, "regularizer_options": o}, tuple(coefficients[n]))
        for n, o in kinds.items()
        if coefficients[n]
    ]
    steer = {"regularizer": "steer", "regularizer_options": {"width": width}}
    return (*own, Method("STEER", steer))


def compute(
    task: str,
    steps: int,
    batch: int,
    seeds: Sequence[int],
    beside: int,
    error: Sequence[float],
    steps_penalty: Sequence[float],
    stiffness: Sequence[float],
    taylor: Sequence[float],
    width: float,
    slack: float,
    rounds: int,
    folder: Path,
) -> Result:
    """Train all, choose by validation, look at the test rows once, and time steps and predictions in turns.

    Args:
        task, steps, batch, seeds: of the runs.
        beside: how many of the seeds for what stands beside the four cells.
        error, steps_penalty, stiffness, taylor: coefficients to choose from, by regularizer; all but the first may
            have none.
        width: of STEER.
        slack: by how much accuracy may fall on the validation rows for a coefficient to be chosen.
        rounds: of the timing.
        folder: of the runs.
    """
    from ...neural_de import Config

    base = Config(
        task, steps=steps, batch=batch, validate_every=max(1, steps // 6), checkpoint_every=max(1, steps // 3)
    )  # fmt: skip
    found: dict[tuple[str, str], Chosen] = {}
    ways = (Method(VANILLA), Method(ERROR, {"regularizer": "error"}, tuple(error)))
    options: dict[str, Any] = {"slack": slack, "folder": folder}
    for first, dt0 in _FIRST_STEPS.items():
        for chosen in choose(base.replace(dt0=dt0), ways, seeds=seeds, **options):
            found[first, chosen.label] = chosen
    others = _beside({"steps": steps_penalty, "stiffness": stiffness, "taylor": taylor}, width)
    own = base.replace(dt0=_FIRST_STEPS[CALIBRATED])
    plain = found[CALIBRATED, VANILLA]
    for chosen in choose(own, others, seeds=seeds[:beside], reference=plain, **options):
        found[CALIBRATED, chosen.label] = chosen
    times = seconds({f"{first}/{label}": c.runs[0] for (first, label), c in found.items()}, rounds)
    curves = {f"{first}/{label}": along(c) for (first, label), c in found.items()}
    data = {
        "task": task, "seeds": list(seeds), "table": table(found, VANILLA, times), "along": curves,
        "tried": tried(found),
    }  # fmt: skip
    return Result(data, _claims(found, times, _AIMS[task]))


def _claims(
    found: Mapping[tuple[str, str], Chosen],
    times: Mapping[str, Mapping[str, float]],
    most: Mapping[str, float],
) -> tuple[Claim, ...]:
    made = []
    for first in (AUTOMATIC, CALIBRATED):
        own, plain = found[first, ERROR], found[first, VANILLA]
        made += [
            Claim(
                f"NFE of error regularization over vanilla, first steps {first} for both",
                at_most(most[first]), own.over(plain), _OURS,
            ),
            Claim(
                f"Accuracy is not hurt, first steps {first}: difference to vanilla",
                at_least(-0.003), own.gain(plain), _SOURCE,
            ),
        ]  # fmt: skip
    own, plain = found[CALIBRATED, ERROR], found[CALIBRATED, VANILLA]

    def over(label: str, what: str) -> float:
        return times[f"{CALIBRATED}/{label}"][what] / times[f"{CALIBRATED}/{VANILLA}"][what]

    prediction = over(ERROR, "prediction")
    made += [
        Claim("Prediction time is halved", at_most(0.5), prediction, _SOURCE),
        Claim("Prediction time, first steps calibrated", at_most(most["prediction"]), prediction, _OURS),
        Claim("Time of a training step, first steps calibrated", at_most(most["step"]), over(ERROR, "step"), _OURS),
        Claim("Evaluations in all of training do not grow", below(1.0),
              ratio(own.training_nfe, plain.training_nfe), _SOURCE),
        Claim("A TayNODE step costs more than vanilla's, by", above(1.0), over("TayNODE", "step"), _SOURCE),
    ]  # fmt: skip
    return tuple(made)


def draw(data: Mapping[str, Any]) -> Figure:
    """Four cells; NFE along training; NFE against the cost of a training step."""
    from matplotlib.lines import Line2D

    from ..._support import style

    fig, (cells, course, plane) = style.figure(style.FULL_WIDTH, 1.2, ncols=3)
    rows = rows_of(data)
    _draw_cells(cells, rows)
    dashes: dict[str, Any] = {AUTOMATIC: "--", CALIBRATED: "-"}
    for label in (VANILLA, ERROR):
        look = look_of_training(label)
        for first, dash in dashes.items():
            curve = data["along"][f"{first}/{label}"]
            course.plot(
                curve["step"], curve["nfe"].mean(0), color=look.color, marker=look.marker, linestyle=dash
            )  # fmt: skip
    course.set(xlabel="training step", ylabel="NFE (validation)", ylim=(0, None))
    style.legend_below(
        course, [Line2D([], [], color="0.3", linestyle=d, label=f) for f, d in dashes.items()]
    )
    own = [r for r in rows if r["first step"] == CALIBRATED]
    for r in own:
        look = look_of_training(r["method"])
        plane.plot(
            r["training step, ratio"], r["NFE ratio"], look.marker, color=look.color, markersize=5, linestyle="",
            label=r["method"].split(" (")[0],
        )  # fmt: skip
    plane.axhline(1, color="0.8", linewidth=0.6, zorder=0)
    plane.axvline(1, color="0.8", linewidth=0.6, zorder=0)
    plane.set(xlim=(0, 1.1 * max(r["training step, ratio"] for r in own)), ylim=(0, None))
    plane.set(xlabel="time of a training step / vanilla's", ylabel="NFE / vanilla's")
    style.legend_below(plane)
    letter((cells, course, plane), ["after training", "during training", "calibrated first step"])
    return fig


def _draw_cells(ax: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    from ..._support import style

    for i, label in enumerate((VANILLA, ERROR)):
        own = [r for r in rows if r["method"] == label]
        look = look_of_training(label)
        places = [j + 0.2 * (2 * i - 1) for j in range(len(own))]
        name = label if own[0]["coefficient"] is None else label.split()[0]
        bars = ax.bar(
            places, [r["NFE"] for r in own], 0.38, yerr=[r["NFE, sd"] for r in own], color=look.color, label=name,
            alpha=0.85, error_kw={"linewidth": 0.8, "capsize": 2},
        )  # fmt: skip
        texts = [f"{100 * r['accuracy']:.1f} %" for r in own]
        ax.bar_label(bars, texts, padding=2, fontsize=6.5)
    ax.set_xticks([0, 1], [AUTOMATIC, CALIBRATED])
    ax.set(xlabel="first step", ylabel="NFE of a test solve")
    ax.margins(y=0.16)
    style.legend_below(ax)


FIGURES = (
    PaperFigure(
        "classification",
        "A classifier trained to be cheap to solve: evaluations, accuracy, and times.",
        compute,
        draw,
        quick={
            "task": "digits-ode", "steps": 300, "batch": 128, "seeds": [0, 1], "beside": 1, "error": [0.3],
            "steps_penalty": [], "stiffness": [1.0], "taylor": [1.0], "width": 0.5, "slack": 0.003, "rounds": 10,
        },
        full={
            "task": "mnist-ode", "steps": 7500, "batch": 512, "seeds": [0, 1, 2], "beside": 3,
            "error": [0.03, 0.1, 0.3, 1.0], "steps_penalty": [0.005, 0.02, 0.05], "stiffness": [0.3, 1.0, 3.0],
            "taylor": [0.1, 1.0], "rounds": 40,
        },
        precision="float32",
    ),
)  # fmt: skip
