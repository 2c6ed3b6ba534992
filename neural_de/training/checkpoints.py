"""Checkpoints: the arrays of a pytree in the store, with the settings of the run and its machine."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._support import store
from ..._support.errors import OdescentError, OdescentWarning

_FILE = store.Format(
    "odescent.checkpoint/2", "checkpoint", remedy="resume with its settings, or give another folder"
)
PROGRAM = "optimizer"  # in an identity: a traced program, which other versions of these may trace otherwise
_TRACING = ("odescent", "jax", "optax", "equinox", "x64")


def structure(tree: Any) -> list[list[Any]]:
    """Path, type and shape of every array of a pytree, as JSON data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return [
        [jax.tree_util.keystr(path), str(leaf.dtype), list(leaf.shape)] for path, leaf in leaves
    ]


def environment() -> dict[str, Any]:
    """What the last bits depend on besides the settings: packages, processor, devices, JAX's options."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {}
    for name in ("odescent", "jax", "jaxlib", "numpy", "diffrax", "equinox", "optax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "source"
    found["machine"] = f"{platform.machine()} {_processor()}".strip()
    found["cores"] = os.cpu_count()
    found["device"] = f"{jax.devices()[0].device_kind} x {jax.device_count()}"
    found["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "")
    found["x64"] = has_x64()
    return found


def has_x64() -> bool:
    """Whether JAX makes float64 arrays."""
    config: Any = jax.config
    return bool(config.jax_enable_x64)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def save(path: Path, tree: Any, identity: Mapping[str, Any], notes: Mapping[str, Any]) -> None:
    """Write a pytree to a file, all of it or nothing.

    Args:
        path: of the file.
        tree: of arrays; leaves that are none are not written.
        identity: JSON data by name that a reader must have alike.
        notes: JSON data for the reader.
    """
    leaves = map(np.asarray, jax.tree.leaves(eqx.filter(tree, eqx.is_array)))
    record = {
        "identity": identity, "notes": notes, "environment": environment(), "structure": structure(tree),
        "leaves": [a.view(_bits(a.dtype)) for a in leaves],
    }  # fmt: skip
    _FILE.save(path, record)


def load(path: Path, like: Any, identity: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The pytree and the notes of a file.

    Another environment than the one that wrote it is a warning: the run goes on, but perhaps not to the same bits, and
    of other versions a traced program is not compared.

    Args:
        path: of the file.
        like: a pytree of that structure.
        identity: must equal the file's.

    Raises:
        OdescentError: a file that is not there, is none of these, is damaged, of another version, or of another
            run or model.
    """
    found = _FILE.load(path)
    here, then = environment(), found["environment"]
    alike = all(then.get(k) == here[k] for k in _TRACING)
    compared = found["identity"], identity
    _FILE.check(path, *(compared if alike else map(without_program, compared)))
    wanted = structure(like)
    if found["structure"] != wanted:
        pairs = zip(found["structure"], wanted, strict=False)
        lengths = f"{len(found['structure'])} arrays, not {len(wanted)}"
        what = next((f"{a} where this one has {b}" for a, b in pairs if a != b), lengths)
        raise OdescentError(
            f"the checkpoint {str(path)!r} belongs to a different model: it has {what}."
        )
    changed = [f"{k} {then.get(k)!r} then, {v!r} now" for k, v in here.items() if then.get(k) != v]
    if changed:
        seen = alike or PROGRAM not in identity
        blind = "" if seen else ", and whether its optimizer is the same is not known"
        warnings.warn(
            f"the checkpoint {str(path)!r} was written elsewhere ({'; '.join(changed)}): the run goes on, but its last "
            f"bits may differ{blind}.",
            OdescentWarning,
            stacklevel=2,
        )
    arrays, rest = eqx.partition(like, eqx.is_array)
    leaves, tree = jax.tree.flatten(arrays)
    read = [jnp.asarray(a.view(x.dtype)) for a, x in zip(found["leaves"], leaves, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, read), rest), found["notes"]


def without_program(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity without traced programs, which other versions cannot compare."""
    return {name: value for name, value in identity.items() if name != PROGRAM}


def settings_of(path: Path) -> dict[str, Any]:
    """The settings of the run that a checkpoint belongs to; OdescentError if it is none, or damaged."""
    settings = _FILE.load(path)["identity"].get("settings")
    if not isinstance(settings, dict):
        raise OdescentError(f"the checkpoint {str(path)!r} contains no settings of a run.")
    return settings


def _bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A type that a file may have: of short floats that NumPy does not know, the bits."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.kind == "V" else dtype
