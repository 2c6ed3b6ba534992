"""A run's folder: its checkpoint, a line of metrics per step, its result; or no folder at all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..._support import store
from ..._support.errors import OdescentError, OdescentWarning
from ..._support.files import make_folder, write_whole
from . import checkpoints

CHECKPOINT, METRICS, RESULT = "checkpoint.npz", "metrics.jsonl", "result.json"
_EARLIER = "checkpoint.eqx"  # a checkpoint before odescent.checkpoint/2
_RESULT = store.Format("odescent.result/1", "result")


class RunFolder:
    """What a run keeps; without a path it keeps nothing.

    Attributes:
        path: the folder; None if nothing is written.
        identity: JSON data that tells the run from others: its settings and data.
    """

    def __init__(self, path: Path | None, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = path, dict(identity)

    def resumed(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """State and notes of the checkpoint, None if there is none; OdescentError if it is of another run."""
        if self.path is None or not (self.path / CHECKPOINT).exists():
            return None
        return checkpoints.load(self.path / CHECKPOINT, like, self.identity)

    def save(self, state: Any, notes: Mapping[str, Any]) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.path is not None:
            checkpoints.save(self.path / CHECKPOINT, state, self.identity, finite(notes))

    def note(self, record: Mapping[str, Any]) -> None:
        """One more line of metrics."""
        if self.path is not None:
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite(record), allow_nan=False) + "\n")

    def metrics(self, step: int, validated: int) -> list[dict[str, Any]]:
        """The records up to a step and a validation; a line that a kill cut off is left out."""
        if self.path is None:
            return []
        kept, path = [], self.path / METRICS
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        for line in lines:
            try:
                said = json.loads(line)
                last = validated if "validation" in said else step
                if said["step"] <= last and "failure" not in said:
                    kept.append(said)
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        lost = set(range(1, step + 1)) - {r["step"] for r in kept if "validation" not in r}
        if lost:
            warnings.warn(
                f"{str(path)!r} lacks the records of {len(lost)} of the {step} steps before its checkpoint: no weights "
                "hang on them, and the history will lack them.",
                OdescentWarning,
                stacklevel=2,
            )
        return kept

    def keep(self, records: list[dict[str, Any]]) -> None:
        """Let the file of metrics have these lines alone."""
        if self.path is not None:
            write_whole(self.path / METRICS, "".join(json.dumps(r) + "\n" for r in records))

    def conclude(self, best: Mapping[str, Any], test: Mapping[str, Any]) -> None:
        """Write the result."""
        if self.path is not None:
            said = {
                "identity": checkpoints.without_program(self.identity),
                "best": best,
                "test": test,
            }
            _RESULT.save(self.path / RESULT, finite(said))

    def result(self) -> dict[str, Any] | None:
        """The metrics on the test rows, None if there are none; OdescentError if they are of another run."""
        if self.path is None or not (self.path / RESULT).exists():
            return None
        found = _RESULT.find(self.path / RESULT, checkpoints.without_program(self.identity))
        if found is None:
            raise OdescentError(
                f"{str(self.path / RESULT)!r} is damaged or belongs to a different run; the test rows are evaluated "
                "only once, so delete it only to evaluate them again."
            )
        test: dict[str, Any] = found["test"]
        return test


def folder(out: str | Path | None, resume: bool) -> Path | None:
    """The folder of a run, made if it is not there.

    Raises:
        OdescentError: one that cannot be made, or that holds a run which is not to be resumed.
    """
    if out is None:
        if resume:
            raise OdescentError("there is nothing to resume from without a folder: give out=.")
        return None
    path = Path(out)
    make_folder(path)
    if (path / _EARLIER).exists():
        raise OdescentError(
            f"the folder {str(path)!r} holds a run of an earlier version ({_EARLIER}), which this version does not "
            "support: give another folder."
        )
    used = [n for n in (CHECKPOINT, METRICS, RESULT) if (path / n).exists()]
    if used and not resume:
        raise OdescentError(
            f"the folder {str(path)!r} holds a run already ({used[0]}): resume it, or give another folder."
        )
    return path


def finite(value: Any) -> Any:
    """JSON data, with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
