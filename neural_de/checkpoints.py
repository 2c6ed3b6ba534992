"""Checkpoints: a line of JSON, then the leaves of a pytree; whole or not there, and nothing is pickled."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax

from .._errors import OdescentError, OdescentWarning
from .._files import write_whole

FORMAT = "odescent.checkpoint/1"
PROGRAM = "optimizer"  # in an identity: a traced program, which other versions of these may trace otherwise
_TRACING = ("odescent", "jax", "optax", "equinox", "x64")
_LONGEST_HEADER = 1 << 20


def structure(tree: Any) -> list[list[Any]]:
    """Path, type and shape of every array of a pytree, as JSON data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [
        [jax.tree_util.keystr(path), str(leaf.dtype), list(leaf.shape)]
        for path, leaf in leaves
        if eqx.is_array(leaf)
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
        tree: of arrays; leaves that are none are not written.
        identity: JSON data by name that a reader must have alike.
        notes: JSON data for the reader.
    """
    buffer = io.BytesIO()
    eqx.tree_serialise_leaves(buffer, tree)
    payload = buffer.getvalue()
    header = {
        "format": FORMAT, "identity": dict(identity), "notes": dict(notes), "environment": environment(),
        "structure": structure(tree), "bytes": len(payload),
    }  # fmt: skip
    header["sha256"] = _digest(header, payload)
    line = json.dumps(header, sort_keys=True, allow_nan=False)
    write_whole(path, line.encode() + b"\n" + payload)


def load(path: Path, like: Any, identity: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The pytree and the notes of a file.

    Another environment than the one that wrote it is a warning: the run goes on, but perhaps not to the same bits, and
    of other versions a traced program is not compared.

    Args:
        like: a pytree of that structure.
        identity: must equal the file's.

    Raises:
        OdescentError: a file that is not there, is none of these, is damaged, of another version, or of another
            run or model.
    """
    header, payload = _read(path)
    here, then = environment(), header["environment"]
    alike = all(then.get(k) == here[k] for k in _TRACING)
    for name, wanted in identity.items():
        found = header["identity"].get(name)
        if not same(found, wanted) and (alike or name != PROGRAM):
            raise OdescentError(
                f"the checkpoint {str(path)!r} belongs to another run: {_difference(name, found, wanted)}; resume "
                "with its settings, or give another folder."
            )
    wanted_leaves = structure(like)
    if header["structure"] != wanted_leaves:
        pairs = zip(header["structure"], wanted_leaves, strict=False)
        lengths = f"{len(header['structure'])} arrays, not {len(wanted_leaves)}"
        what = next((f"{a} where this one has {b}" for a, b in pairs if a != b), lengths)
        raise OdescentError(f"the checkpoint {str(path)!r} is of another model: it has {what}.")
    changed = [f"{k} {then.get(k)!r} then, {v!r} now" for k, v in here.items() if then.get(k) != v]
    if changed:
        blind = (
            ""
            if alike or PROGRAM not in identity
            else ", and whether its optimizer is the same is not known"
        )
        warnings.warn(
            f"the checkpoint {str(path)!r} was written elsewhere ({'; '.join(changed)}): the run goes on, but its last "
            f"bits may differ{blind}.",
            OdescentWarning,
            stacklevel=2,
        )
    return eqx.tree_deserialise_leaves(io.BytesIO(payload), like), header["notes"]


def same(found: Any, wanted: Any) -> bool:
    """Whether two identities are alike; a setting that is None says as much as one that is left out."""

    def said(value: Any) -> Any:
        plain = isinstance(value, Mapping)
        return {k: said(v) for k, v in value.items() if v is not None} if plain else value

    return bool(said(found) == said(wanted))


def settings_of(path: Path) -> dict[str, Any]:
    """The settings of the run that a checkpoint belongs to; OdescentError if it is none, or damaged."""
    header, _ = _read(path)
    settings = header["identity"].get("settings")
    if not isinstance(settings, dict):
        raise OdescentError(f"the checkpoint {str(path)!r} says no settings of a run.")
    return settings


def _difference(name: str, found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            if found.get(key) != wanted.get(key):
                return f"its {key} is {found.get(key)!r}, not {wanted.get(key)!r}"
    return f"its {name} is another"


def _digest(header: Mapping[str, Any], payload: bytes) -> str:
    said = {k: v for k, v in header.items() if k != "sha256"}
    total = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    total.update(payload)
    return total.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OdescentError(
            f"the checkpoint {str(path)!r} cannot be read: {error.strerror or error}."
        ) from None
    line, end, payload = content.partition(b"\n")
    try:
        header = json.loads(line) if end and len(line) < _LONGEST_HEADER else {}
    except (ValueError, RecursionError):
        header = {}
    said = header.get("format") if isinstance(header, dict) else None
    if not isinstance(said, str) or not said.startswith("odescent.checkpoint/"):
        raise OdescentError(
            f"{str(path)!r} is no checkpoint of odescent, or its beginning is lost."
        )
    if said != FORMAT:
        raise OdescentError(
            f"the checkpoint {str(path)!r} has the format {said}, and this version reads {FORMAT}: train anew, or use "
            "the version that wrote it."
        )
    if len(payload) != header.get("bytes") or _digest(header, payload) != header.get("sha256"):
        raise OdescentError(
            f"the checkpoint {str(path)!r} is damaged: it holds {len(payload)} bytes after its header, of "
            f"{header.get('bytes')}, or others than were written; start anew in another folder."
        )
    return header, payload
