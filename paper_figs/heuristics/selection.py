"""Neural DEs trained several ways: selection on the validation rows, cost and result on the test rows."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._support import style
from ..._support.errors import OdescentError

if TYPE_CHECKING:
    from ...neural_de import Config, Task, Trained


_ERROR = "standard error"
_ROW = 5  # calls of a turn


@dataclass(frozen=True)
class Method:
    """A way to train.

    Attributes:
        label: as a reader sees it.
        settings: of a `Config`, by name, such as ``{"regularizer": "error"}``.
        coefficients: of the regularizer, to choose from; none where there is nothing to choose.
        fade: the coefficient falls exponentially to `fade` times itself at the last step; None for a constant one.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    coefficients: tuple[float, ...] = ()
    fade: float | None = None


@dataclass(frozen=True)
class Chosen:
    """The runs of a method, one per seed, with the coefficient that the validation rows chose.

    Attributes:
        label: of the method.
        score: name of the metric that chooses.
        coefficient: None where there was nothing to choose.
        runs: seed by seed.
        tried: per coefficient its means over the seeds on the validation rows: score, nfe; empty if a run failed.
    """

    label: str
    score: str
    coefficient: float | None
    runs: tuple[Trained, ...]
    tried: tuple[tuple[float | None, Mapping[str, float]], ...]

    def test(self, name: str) -> list[float]:
        """A metric on the test rows, seed by seed."""
        return [float(r.test[name]) for r in self.runs]

    @property
    def training_nfe(self) -> list[float]:
        """Drift evaluations of all training steps together, seed by seed."""
        return [float(sum(h["nfe"] for h in r.history if "nfe" in h)) for r in self.runs]

    def over(self, other: Chosen, name: str = "nfe") -> float:
        """The ratio of the means of a metric on the test rows to another method's."""
        return ratio(self.test(name), other.test(name))

    def gain(self, other: Chosen, name: str = "accuracy") -> float:
        """The difference of the means of a metric on the test rows to another method's."""
        return mean(self.test(name)) - mean(other.test(name))

    def validation(self, name: str) -> float:
        """The mean of a metric on the validation rows."""
        return mean([validated(r)[name] for r in self.runs])

    def attempts(self, name: str) -> list[list[float | None]]:
        """The coefficients, with a metric and the NFE on the validation rows."""
        return [[c, m.get(name), m.get("nfe")] for c, m in self.tried]


def choose(
    base: Config,
    methods: Sequence[Method],
    *,
    seeds: Sequence[int],
    slack: float,
    folder: Path,
    reference: Chosen | None = None,
    task: Task | None = None,
    by: str | None = None,
) -> list[Chosen]:
    """Train each method with each coefficient and seed; the validation rows choose the coefficient.

    Chosen is the one whose solves are cheapest among those whose mean score is not worse than the reference's by
    more than `slack` and one standard error of that difference, as the seeds show it (the one-standard-error rule of
    Breiman et al., Classification and Regression Trees, 1984: a validation row more or less does not decide); if
    there is none, the one with the best score. The test rows play no part in it.

    Args:
        base: settings that all have in common.
        methods: the first is the reference, unless one is given.
        seeds: at least one.
        slack: of the score: for accuracies a difference, for losses relative to the reference's.
        folder: for the runs; those that are there are taken up where they stopped.
        reference: to compare scores with, with the first so many of its seeds.
        task: your own, in place of a registered one.
        by: the metric that chooses: "loss", or the task's own score.

    Raises:
        OdescentError: if every coefficient of a method has a run that fails.
    """
    from ...neural_de.tasks import TASKS

    task = TASKS.build(base.task) if task is None else task
    metric = task.score if by is None else by
    found: list[Chosen] = []
    for method in methods:
        against = reference or (found[0] if found else None)
        found.append(_choose(base, method, tuple(seeds), slack, folder, against, task, metric))
    return found


def _choose(
    base: Config,
    method: Method,
    seeds: tuple[int, ...],
    slack: float,
    folder: Path,
    reference: Chosen | None,
    task: Task,
    score: str,
) -> Chosen:
    from ...neural_de import TrainingFailed, train

    sign = task.sign if score == task.score else -1  # losses are to be small
    runs: dict[float | None, tuple[Trained, ...]] = {}
    before: list[float] = []  # the reference's scores, seed by seed
    if reference is not None:
        before = [validated(r)[score] for r in reference.runs[: len(seeds)]]
    tried: list[tuple[float | None, Mapping[str, float]]] = []
    for c in method.coefficients or (None,):
        own = {} if c is None else {"coefficient": float(c)}
        if c is not None and method.fade is not None:
            own["final_coefficient"] = float(c * method.fade)
        one = base.replace(**method.settings, **own)
        try:
            done = [one.replace(seed=s) for s in seeds]
            runs[c] = tuple(
                train(s, task=task, out=folder / s.digest[:20], resume=True) for s in done
            )
        except TrainingFailed:
            tried.append((c, {}))
            continue
        records = [validated(r) for r in runs[c]]
        means = {n: statistics.fmean(r[n] for r in records) for n in (score, "nfe")}
        off = [r[score] - b for r, b in zip(records, before, strict=False)]
        tried.append((c, {**means, _ERROR: standard_error(off)}))
    if not runs:
        raise OdescentError(f"every run of {method.label} failed.")
    bound = None
    if before:
        typical = statistics.fmean(before)
        bound = typical - slack if sign > 0 else typical * (1 + slack)
    best = cheapest(tried, score, sign, bound)
    return Chosen(method.label, score, best, runs[best], tuple(tried))


def cheapest(
    tried: Sequence[tuple[float | None, Mapping[str, float]]],
    score: str,
    sign: int,
    bound: float | None,
) -> float | None:
    """The coefficient of least NFE among those whose score keeps the bound, or else of the best score.

    Args:
        tried: per coefficient its score, nfe and, if there are several seeds, the standard error of its score's
            difference to the reference; nothing if a run failed.
        bound: of the score, which may be exceeded by that standard error; None without a reference.
    """
    finished = [(c, m) for c, m in tried if m]
    fine = [
        (c, m)
        for c, m in finished
        if bound is not None and sign * m[score] + m.get(_ERROR, 0.0) >= sign * bound
    ]
    if fine:
        return min(fine, key=lambda x: (x[1]["nfe"], -sign * x[1][score]))[0]
    return max(finished, key=lambda x: sign * x[1][score])[0]


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of the seeds' values; 0 for a single seed."""
    return spread(values) / len(values) ** 0.5 if values else 0.0


def validated(run: Trained) -> dict[str, float]:
    """The metrics on the validation rows of the weights that a run kept."""
    found = [
        h["validation"] for h in run.history if h["step"] == run.best["step"] and "validation" in h
    ]
    if not found:
        raise OdescentError("a run without a validation that went well has no weights to compare.")
    return dict(found[-1])


def seconds(runs: Mapping[str, Trained], rounds: int) -> dict[str, dict[str, float]]:
    """Processor time of a training step and of a prediction with the weights at the end, medians of so many rounds.

    All take turns, so that a busy machine disturbs none more than the others. A turn is five calls in a row after one
    that is not measured, since training is a loop of its own, and after another's calls the caches are cold. A
    prediction is a solve of test rows without gradient, as many as the test solved at once.
    """
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jax.random as jr

    from ...neural_de.training.evaluation import first_chunk
    from ...neural_de.training.setup import setup

    calls: dict[tuple[str, str], Any] = {}
    for label, run in runs.items():
        c = run.config
        made = setup(c)
        task, rows = made.task, made.rows
        first = run.test["dt0"] if isinstance(run.test["dt0"], float) else 0.01
        state = eqx.tree_at(
            lambda s: (s.model, s.dt0), made.begin(), (run.model, jnp.asarray(first, c.precision))
        )  # fmt: skip
        fixed = {n: jnp.asarray(a) for n, a in rows.fixed.items()}
        batch = {n: jnp.asarray(a[: c.batch]) for n, a in rows.train.items()} | fixed
        later = {n: jnp.asarray(a) for n, a in first_chunk(task, rows.test).items()} | fixed
        key, step = jr.key_data(jr.key(0)), jnp.asarray(c.steps, jnp.int32)
        calls[label, "step"] = lambda u=made.update, s=state, b=batch: u(s, b, None)
        calls[label, "prediction"] = lambda e=made.evaluate, s=state, b=later, k=key, n=step: e(
            s.model, b, k, n, s.dt0
        )
    wait: Any = jax.block_until_ready  # carries no types
    times: dict[tuple[str, str], list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):  # the first compiles
        for name, call in calls.items():
            wait(call())
            began = time.process_time()
            for _ in range(_ROW):
                wait(call())
            if i:
                times[name].append((time.process_time() - began) / _ROW)
    found: dict[str, dict[str, float]] = {label: {} for label in runs}
    for (label, what), values in times.items():
        found[label][what] = statistics.median(values)
    return found


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return statistics.fmean(values)


def spread(values: Sequence[float]) -> float:
    """The standard deviation of the seeds' values; 0 for a single seed."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def ratio(values: Sequence[float], to: Sequence[float]) -> float:
    """The ratio of the means."""
    return mean(values) / mean(to)


COLUMNS = (
    "first step", "method", "coefficient", "validation accuracy", "accuracy", "accuracy, sd", "NFE", "NFE, sd",
    "NFE ratio", "NFE in training, ratio", "training step [ms]", "training step, ratio", "prediction [ms]",
    "prediction, ratio",
)  # fmt: skip


def table(
    found: Mapping[tuple[str, str], Chosen],
    reference: str,
    times: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """A row per first step and method: test rows and times, ratios to the reference with that first step and seeds.

    Args:
        found: by first step and label.
        reference: the label that ratios refer to.
        times: as `seconds` returns them, under "first step/label".
    """
    rows = []
    for (first, label), c in found.items():
        plain, n = found[first, reference], len(c.runs)
        own, to = times[f"{first}/{label}"], times[f"{first}/{reference}"]
        rows.append([
            first, label, c.coefficient, c.validation(c.score), mean(c.test(c.score)),
            spread(c.test(c.score)), mean(c.test("nfe")), spread(c.test("nfe")),
            ratio(c.test("nfe"), plain.test("nfe")[:n]), ratio(c.training_nfe, plain.training_nfe[:n]),
            1e3 * own["step"], own["step"] / to["step"], 1e3 * own["prediction"], own["prediction"] / to["prediction"],
        ])  # fmt: skip
    return {"columns": list(COLUMNS), "rows": rows}


def along(chosen: Chosen) -> dict[str, Any]:
    """NFE on the validation rows as training goes on, a row per seed."""
    import numpy as np

    per = [
        [(h["step"], h["validation"]["nfe"]) for h in r.history if "validation" in h]
        for r in chosen.runs
    ]
    return {
        "step": np.array([s for s, _ in per[0]]),
        "nfe": np.array([[n for _, n in p] for p in per]),
    }


def tried(found: Mapping[tuple[str, str], Chosen]) -> dict[str, list[list[float | None]]]:
    """Per "first step/label" the coefficients with their scores and NFE on the validation rows."""
    return {f"{first}/{label}": c.attempts(c.score) for (first, label), c in found.items()}


def rows_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a figure's table by the names of the columns."""
    table = data["table"]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def shown_coefficient(row: Mapping[str, Any]) -> str:
    """The coefficient of a row of a table, to stand behind its method; empty where there is none."""
    c = row["coefficient"]
    return "" if c is None else f", $\\lambda$ = {c:g}"


# The trainings of all figures, each with one look; the penalty on all steps is the error of the solve.
_LOOKS = {
    "vanilla": 0, "error, to a budget": 2, "error": 1, "all steps": 1, "the data's own SDE": 6,
    "unbiased, own step": 2, "biased, own step": 3, "unbiased, paper's step": 4, "biased, paper's step": 5,
    "steps": 5, "stiffness": 2, "TayNODE": 3, "STEER": 4,
}  # fmt: skip


def look_of_training(label: str) -> style.SeriesStyle:
    """The look of a training in all figures, by the beginning of its label."""
    return style.series_style(next(i for name, i in _LOOKS.items() if label.startswith(name)))


def draw_course(ax: Any, curves: Mapping[str, Mapping[str, Any]]) -> None:
    """NFE on the validation rows in the course of training, the mean over the seeds: a line per label."""
    for label, curve in curves.items():
        look = look_of_training(label)
        ax.plot(curve["step"], curve["nfe"].mean(0), **look.line, marker=look.marker, label=label)
    ax.set(xlabel="training step", ylabel="NFE (validation)", ylim=(0, None))
    style.legend_below(ax)
