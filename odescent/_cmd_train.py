"""``odescent train``: a neural ODE or SDE, with progress, checkpoints and a table over regularizers and seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._errors import OdescentError
from ._numbers import assignments, number

if TYPE_CHECKING:
    from .neural_de.training import Trained


def run(
    task: str,
    given: Mapping[str, str | None],
    regularizers: Sequence[str],
    seeds: str,
    settings: Sequence[str],
    *,
    out: Path | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Train once, or once per regularizer and seed, and print what came of it; 1 if a run failed.

    Args:
        given: settings by name as text; None where left out.
        regularizers: none, or their names, "none" for training without; two and more are compared.
        seeds: with commas.
        settings: options of the optimizer, of the regularizer (``regularizer.NAME``) or the model (``model.NAME``).
    """
    from .neural_de.config import PENALTY, Config
    from .neural_de.failures import TrainingFailed
    from .neural_de.tasks import TASKS

    TASKS.function(task)  # an unknown name is refused before anything else
    base: dict[str, Any] = {n: _read(n, text) for n, text in given.items() if text is not None}
    base |= _options(settings)
    if base.get("precision") == "float64":
        import jax

        settings_of_jax: Any = jax.config  # carries no types
        settings_of_jax.update("jax_enable_x64", True)
    numbers = [_whole("--seed", s) for s in seeds.split(",")]
    configs = []
    for name in regularizers or ["none"]:
        plain = name == "none"
        own = {
            k: v for k, v in base.items() if not (plain and len(regularizers) > 1 and k in PENALTY)
        }
        for seed in numbers:
            configs.append(Config(task, seed, regularizer=None if plain else name, **own))
    with _shown(len(configs)) as progress:
        if len(configs) == 1:
            try:
                from .neural_de.training import train

                found = train(configs[0], out=out, resume=resume, progress=progress)
            except TrainingFailed as reason:
                return _failed(reason, as_json)
            return _tell(found, as_json)
        from .neural_de.comparison import compare

        table = compare(configs, out=out, resume=resume, progress=progress)
    if as_json:
        _console.say_exactly(_console.document(table.to_dict(), "odescent.train.comparison/1"))
    else:
        said = [str(table), *(f"{a}, seed {s}: {text}" for (a, s), text in table.failed.items())]
        _console.say("\n".join(said), [(r"\A.*$", "bold")])
    return 1 if table.failed else 0


_WORDS = ("optimizer", "schedule", "precision")
_WHOLE = (
    "steps", "batch", "target_nfe", "max_steps", "paper", "devices", "checkpoint_every", "validate_every", "skips",
)  # fmt: skip


def _read(name: str, text: str) -> Any:
    option = "--" + name.replace("_", "-")
    if name in _WORDS or (name == "dt0" and text.isalpha()):
        return text
    return _whole(option, text) if name in _WHOLE else float(number(option, text))


def _whole(name: str, text: str) -> int:
    value = number(name, text)
    if value.denominator != 1:
        raise OdescentError(f"{name} takes whole numbers, not {text!r}.")
    return int(value)


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
        _console.say_exactly(_console.document(value, "odescent.train/1"))
    else:
        _console.complain(str(reason))
    return 1


def _tell(found: Trained, as_json: bool) -> int:
    validated = [r for r in found.history if "validation" in r]
    if as_json:
        value = {
            "task": found.config.task, "settings": found.config.to_dict(), "best": found.best, "test": found.test,
            "validation": validated, "out": found.path,
        }  # fmt: skip
        _console.say_exactly(_console.document(value, "odescent.train/1"))
        return 0
    test = found.test
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
    _console.say("\n".join(lines), [(r"\A.*$", "bold")])
    return 0


def _over(found: Trained) -> str:
    """Of a run whose weights are not within its budget."""
    config, excess = found.config, found.best["excess"]
    if config.target_nfe is not None:
        return (
            f"  no validation was within the budget of {config.target_nfe:g} evaluations; this one, over it by "
            f"{excess:g}, came nearest."
        )
    return (
        f"  no validation was within the budget of a score lower by {config.max_accuracy_loss:g}; this one, over it by "
        f"{excess:.2g}, came nearest."
    )


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
