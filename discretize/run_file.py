"""Run files: what a long run needs to go on, as one .npz with a JSON header; nothing is pickled."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from odescent._errors import OdescentError
from odescent._files import write_whole

from .chunks import Kept

SCHEMA = "odescent.run/1"


def save(path: Path, kept: Kept, identity: Mapping[str, Any]) -> None:
    """Write the run to its file, all of it or nothing."""
    records = jax.tree.map(lambda *a: np.concatenate(a), *kept.records)
    parts = {"carry": kept.carry, "records": records}
    arrays = {
        f"{part}_{i}": np.asarray(leaf)
        for part, tree in parts.items()
        for i, leaf in enumerate(jax.tree.leaves(tree))
    }
    header = {"schema": SCHEMA, **identity, "done": kept.done, "digest": _digest(arrays)}
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, header=text, **arrays)
    write_whole(path, buffer.getvalue())


def load(
    path: Path, identity: Mapping[str, Any], carry: Any, first: Any, steps: int
) -> Kept | None:
    """What the file holds of the same run; None if there is no file.

    Args:
        identity: what the run is, by name; the file's must be equal.
        carry, first: the loop's carry and the record at the starting point, computed anew.
        steps: how far the run is to go.

    Raises:
        OdescentError: a file that is no run file, is damaged, belongs to another run, or has gone further.
    """
    if not path.exists():
        return None
    header, arrays = _read(path)
    for name, wanted in identity.items():
        if header.get(name) != wanted:
            raise OdescentError(
                f"the file {str(path)!r} keeps a run with another {name} ({header.get(name)!r}, not {wanted!r}); "
                "give this run a file of its own."
            )
    trees = []
    for part, like in (("carry", carry), ("records", first)):
        leaves, structure = jax.tree.flatten(like)
        found = [arrays.get(f"{part}_{i}") for i in range(len(leaves))]
        for leaf, wanted in zip(found, leaves, strict=True):
            cut = 1 if part == "records" else 0
            if leaf is None or leaf.dtype != wanted.dtype or leaf.shape[cut:] != wanted.shape[cut:]:
                raise _damaged(path, "its arrays do not fit this run")
        trees.append(jax.tree.unflatten(structure, found))
    old, records = trees
    start = jax.tree.leaves(jax.tree.map(lambda a: a[:1], records))
    if not all(np.array_equal(a, b) for a, b in zip(start, jax.tree.leaves(first), strict=True)):
        raise OdescentError(
            f"the file {str(path)!r} keeps a run of another objective: the values at the starting point differ; "
            "give this run a file of its own."
        )
    if int(old["k"]) > steps:
        raise OdescentError(
            f"the run in {str(path)!r} is at step {int(old['k'])} already; ask for at least as many steps, not {steps}."
        )
    return Kept(jax.tree.map(jax.numpy.asarray, old), (records,))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        fine = header["schema"] == SCHEMA and header["digest"] == _digest(arrays)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, AttributeError):
        raise _damaged(path, "it cannot be read") from None
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be read") from None
    if not fine:
        raise _damaged(path, "its contents do not match its header")
    return header, arrays


def _damaged(path: Path, why: str) -> OdescentError:
    return OdescentError(
        f"the file {str(path)!r} is no run file of this version, or damaged: {why}; delete it or name another."
    )


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    total = hashlib.sha256()
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {a.dtype.str} {a.shape};".encode())
        total.update(a.tobytes())
    return total.hexdigest()


def fingerprint(tree: Any) -> str:
    """A short hash of the arrays in a pytree, their types and its structure."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = {f"{i:06d}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return hashlib.sha256((str(structure) + _digest(arrays)).encode()).hexdigest()[:16]
