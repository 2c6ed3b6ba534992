"""Run files: the state of a long run for its resumption, in the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..._support import store
from ..._support.errors import OdescentError
from .chunks import Kept

_FILE = store.Format("odescent.run/2", "run file", remedy="give this run a file of its own")


def save(path: Path, kept: Kept, identity: Mapping[str, Any]) -> None:
    """Write the run to its file atomically.

    Args:
        path: of the file.
        kept: the carry, the number of steps done and the records.
        identity: the inputs that determine the run.
    """
    records = jax.tree.map(lambda *a: np.concatenate(a), *kept.records)
    parts = {"carry": _leaves(kept.carry), "records": _leaves(records)}
    _FILE.save(path, {"identity": identity, "done": kept.done, **parts})


def load(
    path: Path, identity: Mapping[str, Any], carry: Any, first: Any, steps: int
) -> Kept | None:
    """The contents of the file, for the same run; None if there is no file.

    Args:
        path: of the file.
        identity: what the run is, by name; the file's must be equal.
        carry, first: the loop's carry and the record at the starting point, computed anew.
        steps: how far the run is to go.

    Raises:
        OdescentError: a file that is no run file, is damaged, belongs to another run, or has gone further.
    """
    if not path.exists():
        return None
    kept = _FILE.load(path, identity)
    rows = [a[:1] for a in kept["records"]]
    pairs = zip([*kept["carry"], *rows], [*_leaves(carry), *_leaves(first)], strict=True)
    if any(a.dtype != b.dtype or a.shape != b.shape for a, b in pairs):
        raise OdescentError(
            f"the arrays in the run file {str(path)!r} do not fit this run; give this run a file of its own."
        )
    if not all(map(np.array_equal, rows, _leaves(first))):
        raise OdescentError(
            f"the file {str(path)!r} keeps a run of another objective: the values at the starting point differ; "
            "give this run a file of its own."
        )
    if kept["done"] > steps:
        raise OdescentError(
            f"the run in {str(path)!r} is at step {kept['done']} already; request at least as many steps, not {steps}."
        )
    old = jax.tree.unflatten(
        jax.tree.structure(carry), [jax.numpy.asarray(a) for a in kept["carry"]]
    )
    return Kept(old, (jax.tree.unflatten(jax.tree.structure(first), kept["records"]),))


def _leaves(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def fingerprint(tree: Any) -> str:
    """A short hash of the arrays in a pytree, their types and its structure."""
    return store.identity([str(jax.tree.structure(tree)), *_leaves(tree)])[:16]
