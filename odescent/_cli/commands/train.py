"""``odescent train``: a neural ODE or SDE, with progress, checkpoints and a table over regularizers and seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from ..._support.errors import OdescentError
from ..._support.numbers import assignments, number, whole_number
from ..base import console
from ..base.values import (
    Folder,
    Number,
    OptionKind,
    Setting,
    Settings,
    named,
    names,
    use_data,
    words,
)

if TYPE_CHECKING:
    from ...neural_de.training.trained import Trained


def _config() -> type:
    from ...neural_de.settings.config import Config

    return Config


_COMPLETED = {"optimizer": names("algorithms"), "paper": words("2021", "2023")}


def run(
    task: Annotated[str, named("tasks", metavar="TASK")],
    *,
    regularizer: list[Annotated[str, named("regularizers")]] | None = None,
    seed: Annotated[str, OptionKind("N,...")] = "0",
    tolerance: Number | None = None,
    given: Annotated[dict[str, Any], Settings(_config, _COMPLETED)],
    set: list[Setting] | None = None,
    data: Folder | None = None,
    out: Folder | None = None,
    resume: bool = False,
    json: bool = False,
) -> int:
    """Train a neural ODE or SDE to be accurate and cheap to solve.

    An interrupted run continues with --resume, with bitwise identical results. MNIST and PhysioNet are read from
    the folder --data, or from that of the environment variable ODESCENT_DATA. The exit code is 1 if a run fails.

    Args:
        task: A task, such as digits-ode.
        regularizer: error, error+0.5*stiffness, none, ...; several are compared.
        seed: Seed; several are compared.
        tolerance: rtol and atol of the solves.
        given: settings of a run by name, those that were given.
        set: An option of the optimizer, regularizer.NAME (regularizer.TERM.NAME of a sum) or model.NAME; repeatable.
        data: Folder of mnist and physionet2012; by default ODESCENT_DATA.
        out: Folder for checkpoint, metrics and result.
        resume: Continue from the checkpoint in --out.
        json: Print one JSON document, for machines.

    Examples:
        odescent train digits-ode --regularizer error --coefficient 0.1 --dt0 calibrated
        odescent train digits-ode --regularizer none --regularizer error --seed 0,1,2
        odescent train digits-ode --regularizer error+0.5*stiffness --coefficient 0.1
        odescent train digits-ode --regularizer steps --target-nfe 37 --out run --resume
        odescent train spirals-ode --optimizer triple_momentum --set mu=1 --set L=20
        odescent train mnist-ode --paper 2021 --regularizer ERNODE
    """
    from ...neural_de.settings.config import Config, settings
    from ...neural_de.tasks import TASKS
    from ...neural_de.training.failures import TrainingFailed

    use_data(data)
    TASKS.function(task)  # an unknown name is refused before anything else
    base: dict[str, Any] = {**given, **_options(set or ())}
    if tolerance is not None:
        base |= {"rtol": float(tolerance), "atol": float(tolerance)}
    if base.get("precision") == "float64":
        import jax

        config_of_jax: Any = jax.config  # carries no types
        config_of_jax.update("jax_enable_x64", True)
    # one run for each regularizer and seed; without one it has no settings of a penalty
    seeds = [whole_number("--seed", text) for text in seed.split(",")]
    configs = []
    for name in regularizer or ["none"]:
        plain = name == "none"
        left_out = settings("penalty") if plain and len(regularizer or ()) > 1 else {}
        own = {k: v for k, v in base.items() if k not in left_out}
        for s in seeds:
            configs.append(Config(task, s, regularizer=None if plain else name, **own))
    with _shown(len(configs)) as progress:
        if len(configs) == 1:
            try:
                from ...neural_de.training.trained import train

                found = train(configs[0], out=out, resume=resume, progress=progress)
            except TrainingFailed as reason:
                return _failed(reason, json)
            return _tell(found, json)
        from ...neural_de.training.compared_runs import compare

        table = compare(configs, out=out, resume=resume, progress=progress)
    said = [str(table), *(f"{a}, seed {s}: {text}" for (a, s), text in table.failed.items())]
    schema, marks = "odescent.train.comparison/1", [(r"\A.*$", "bold")]
    console.answer(json, "\n".join(said), table.to_dict(), schema, marks)
    return 1 if table.failed else 0


def _options(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options by what they belong to: ``mu=1``, ``regularizer.kind=scaled``, ``model.hidden=64,64``.

    Of a sum of regularizers, ``regularizer.error.kind=scaled``.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in settings:
        left, _, value = text.partition("=")
        owner, _, name = left.strip().rpartition(".")
        owner, _, term = owner.partition(".")  # of a sum of regularizers
        if owner not in ("", "regularizer", "model") or (term and owner != "regularizer"):
            raise OdescentError(
                "--set takes NAME, regularizer.NAME or model.NAME (regularizer.TERM.NAME of a sum), not "
                f"{left!r}."
            )
        for key, said in assignments([f"{name}={value}"]).items():
            options = found.setdefault(f"{owner or 'optimizer'}_options", {})
            options = options.setdefault(term, {}) if term else options
            options[key] = _value(key, said)
    return found


def _value(name: str, text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if not any(c.isdigit() for c in text):
        return text
    if "," in text:
        return [_value(name, part) for part in text.split(",") if part]
    try:
        value = number(name, text)
    except OdescentError:
        return text  # a word with a digit in it
    plain = value.denominator == 1 and text.lstrip("+-").isdigit()
    return int(value) if plain else float(value)


def _failed(reason: Any, as_json: bool) -> int:
    if as_json:
        value = {"failed": str(reason), "failure": reason.failure.to_dict()}
        console.say_exactly(console.document(value, "odescent.train/1"))
    else:
        console.complain(str(reason))
    return 1


def _tell(found: Trained, as_json: bool) -> int:
    test = found.test
    value = {
        "task": found.config.task, "settings": found.config.to_dict(), "best": found.best, "test": test,
        "validation": [r for r in found.history if "validation" in r], "out": found.path,
    }  # fmt: skip
    score = next(n for n in found.best if n != "step")
    scored = "" if score == "loss" else f"{score} {test.get(score, float('nan')):.4g}, "
    lines = [
        f"{found.config.task}: {found.config.steps:,} steps, best on the validation rows at step "
        f"{found.best['step']:,}.",
        f"  test: {scored}loss {test['loss']:.4g}, {test['nfe']:g} evaluations per solve "
        f"({test['accepted']:g} steps, {test['rejected']:g} rejected)",
        f"  {1e3 * test['step_seconds']:.3g} ms per training step, {1e3 * test['prediction_seconds']:.3g} ms per "
        f"prediction of {test['prediction_rows']} rows",
    ]
    if found.best.get("excess"):
        lines.insert(1, _over(found))
    if found.path is not None:
        lines.append(f"  kept in {found.path}")
    console.answer(as_json, "\n".join(lines), value, "odescent.train/1", [(r"\A.*$", "bold")])
    return 0


def _over(found: Trained) -> str:
    """Of a run whose weights are not within its budget."""
    config, excess = found.config, found.best["excess"]
    if config.target_nfe is not None:
        budget, over = f"{config.target_nfe:g} evaluations", f"{excess:g}"
    else:
        budget, over = f"a score lower by {config.max_accuracy_loss:g}", f"{excess:.2g}"
    return f"  no validation was within the budget of {budget}; this one, over it by {over}, came nearest."


class _shown:
    """A bar with the last loss, score, evaluations and time per step; on terminals only."""

    def __init__(self, runs: int) -> None:
        self.runs, self.bar, self.row, self.finished = runs, None, None, 0
        self.live: Any = None

    def __enter__(self) -> Callable[[int, int, Mapping[str, Any]], None] | None:
        if sys.stderr is None or not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        columns = (
            BarColumn(24), MofNCompleteColumn(), TextColumn("{task.description}"), Left(),
        )  # fmt: skip
        self.live = Progress(*columns, console=Console(stderr=True))
        self.live.start()
        return self._show

    def _show(self, done: int, total: int, record: Mapping[str, Any]) -> None:
        if self.row is None:
            self.row = self.live.add_task("", total=total * self.runs)
        score = next((f"{n} {record[n]:.3g}, " for n in ("accuracy", "mse") if n in record), "")
        said = f"loss {record['loss']:.4g}, {score}NFE {record['nfe']}, {1e3 * record['seconds']:.1f} ms"
        self.live.update(self.row, completed=self.finished + done, description=said)
        if done == total:
            self.finished += total

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()
