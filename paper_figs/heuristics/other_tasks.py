"""The papers' other experiments: a latent ODE of intensive-care series, images by a neural SDE (arXiv 2105.03918).

Series and MNIST are files (docs/how-to/data.md); where these are not, the claims are undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..claims import Claim, at_least, at_most, below
from ..drawing import letter
from ..entry import PaperFigure, Result
from .selection import (
    Chosen,
    Method,
    along,
    choose,
    draw_course,
    look_of_training,
    mean,
    ratio,
    rows_of,
    shown_coefficient,
    spread,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VANILLA, ERROR = "vanilla", "error"
_SOURCE, _OURS = "arXiv:2105.03918", "ours"


def compute(
    task: str,
    steps: int,
    batch: int,
    model: Mapping[str, Any],
    tolerance: float,
    seeds: Sequence[int],
    coefficients: Sequence[float],
    fade: float,
    slack: float,
    validation: float,
    validations: int,
    folder: Path,
) -> Result:
    """Train without and with the penalty, choose its coefficient by validation, look at the test rows once.

    Args:
        task, steps, batch, model, seeds: of the runs; `model` are its options.
        tolerance: of the solves, relative and absolute.
        coefficients: at the start, to choose from.
        fade: what a coefficient falls to at the end, in units of its start.
        slack: by how much the loss may rise, relative, on the validation rows for a coefficient to be chosen.
        validation: the fraction of the training rows that chooses.
        validations: how often, in the course of training.
        folder: of the runs.
    """
    from ...neural_de import Config
    from ...neural_de.tasks import TASKS
    from ...neural_de.tasks.data import absent

    score, missing = TASKS.build(task).score, absent(task.partition("-")[0])
    if missing is not None:
        data: dict[str, Any] = {
            "task": task,
            "missing": missing,
            "table": {"columns": [], "rows": []},
        }
        return Result(data, _claims(score, None, None), complete=False)
    base = Config(
        task, steps=steps, batch=batch, rtol=tolerance, atol=tolerance, dt0="calibrated",
        model_options=dict(model), validation=validation,
        validate_every=max(1, steps // validations), checkpoint_every=max(1, steps // 3),
    )  # fmt: skip
    ways = (Method(VANILLA), Method(ERROR, {"regularizer": "error"}, tuple(coefficients), fade))
    plain, own = choose(base, ways, seeds=seeds, slack=slack, folder=folder, by="loss")
    data = {
        "task": task, "missing": None, "score": score, "seeds": list(seeds),
        "table": _table((plain, own), score), "along": {c.label: along(c) for c in (plain, own)},
        "tried": own.attempts("loss"),
    }  # fmt: skip
    return Result(data, _claims(score, plain, own))


def _table(found: Sequence[Chosen], score: str) -> dict[str, Any]:
    plain = found[0]
    names = dict.fromkeys((score, "loss", "nfe"))
    columns = ["method", "coefficient", "validation loss"]
    columns += [x for n in names for x in (n, f"{n}, sd")]
    columns += ["NFE ratio", "NFE in training, ratio", "training step [ms]"]
    rows = [
        [
            c.label, c.coefficient, c.validation("loss"), *(f(c.test(n)) for n in names for f in (mean, spread)),
            c.over(plain), ratio(c.training_nfe, plain.training_nfe),
            1e3 * mean(c.test("step_seconds")),
        ]
        for c in found
    ]  # fmt: skip
    return {"columns": columns, "rows": rows}


def _claims(score: str, plain: Chosen | None, own: Chosen | None) -> tuple[Claim, ...]:
    """Undecided without runs."""
    nfe = loss = training = gained = None
    if plain is not None and own is not None:
        nfe, loss = own.over(plain), own.over(plain, "loss")
        training = ratio(own.training_nfe, plain.training_nfe)
        gained = own.gain(plain, score)
    made = [
        Claim("NFE over vanilla's, test rows", at_most(0.75), nfe, _OURS),
        Claim("The fit is not worse: loss over vanilla's, test rows", at_most(1.02), loss, _OURS),
        Claim("Evaluations fall", below(1.0), nfe, _SOURCE),
        Claim("Evaluations in all of training do not grow", below(1.0), training, _SOURCE),
    ]  # fmt: skip
    if score == "accuracy":
        said = "Accuracy is not hurt: difference to vanilla"
        made.append(Claim(said, at_least(-0.003), gained, _SOURCE))
    return tuple(made)


def draw(data: Mapping[str, Any]) -> Figure:
    """NFE along training; loss against NFE on the test rows, and of what was tried on the validation rows."""
    from ..._support import style

    fig, (course, plane) = style.figure(style.FULL_WIDTH, 0.8, ncols=2)
    if data["missing"] is not None:
        for ax in (course, plane):
            ax.set_axis_off()
        course.text(0, 0.5, f"Not measured here: {data['missing']}", wrap=True)
        return fig
    rows = rows_of(data)
    labels = {r["method"]: r["method"] + shown_coefficient(r) for r in rows}
    draw_course(course, {label: data["along"][method] for method, label in labels.items()})
    for r in rows:
        look = look_of_training(r["method"])
        plane.errorbar(
            r["nfe"], r["loss"], xerr=r["nfe, sd"], yerr=r["loss, sd"], color=look.color, marker=look.marker,
            linestyle="", capsize=2, label=labels[r["method"]],
        )  # fmt: skip
    tried = [(n, loss) for _, loss, n in data["tried"] if loss is not None]
    plane.plot(*zip(*tried, strict=True), ".", color="0.6", label="tried (validation)", zorder=0)
    plane.set(xlabel="NFE of a test solve", ylabel="loss")
    seen = [r["loss"] + s * r["loss, sd"] for r in rows for s in (-1, 1)]
    seen += [loss for _, loss in tried]
    room = 0.1 * max(map(abs, seen))  # a tenth of it: what is smaller is no difference to look at
    plane.set(
        ylim=(min(seen) - room, max(seen) + room),
        xlim=(0, 1.15 * max(r["nfe"] + r["nfe, sd"] for r in rows)),
    )
    style.legend_below(plane)
    letter((course, plane), ["during training", "after training"])
    return fig


FIGURES = (
    PaperFigure(
        "latent_ode",
        "A latent ODE of intensive-care series: evaluations and fit with and without penalty.",
        compute,
        draw,
        quick={
            "task": "physionet-latent-ode", "steps": 200, "batch": 128, "model": {}, "tolerance": 1e-5, "seeds": [0],
            "coefficients": [1.0], "fade": 0.1, "slack": 0.02, "validation": 0.1, "validations": 4,
        },
        full={
            "steps": 3000, "batch": 512, "seeds": [0, 1, 2], "coefficients": [0.3, 1.0, 3.0], "validations": 5,
        },
        precision="float32",
    ),
    PaperFigure(
        "image_sde",
        "Images classified by a neural SDE: evaluations and fit with and without penalty.",
        compute,
        draw,
        quick={
            "task": "digits-sde", "steps": 450, "batch": 64, "model": {"dimension": 16, "hidden": [32]},
            "tolerance": 1e-2, "seeds": [0, 1], "coefficients": [0.1], "fade": 0.1, "slack": 0.02, "validation": 0.1,
            "validations": 3,
        },
        full={
            "task": "mnist-sde", "steps": 4000, "batch": 512, "model": {"dimension": 32, "hidden": [64]},
            "seeds": [0, 1, 2], "coefficients": [0.05, 0.1, 0.2], "validation": 0.1, "validations": 5,
        },
        precision="float32",
    ),
)  # fmt: skip
