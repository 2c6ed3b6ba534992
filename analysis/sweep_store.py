"""Where a sweep keeps its results: one file per job, each there as a whole or not at all. No pickle."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from odescent._errors import OdescentError
from odescent._files import make_folder, write_whole

FORMAT = 1
_MANIFEST = "manifest.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def plain_inputs(value: Any) -> Any:
    """JSON data of the inputs; NumPy numbers become Python's. OdescentError for anything else."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise OdescentError(f"the inputs of a job must be finite; one is {value}.")
        return value
    if isinstance(value, (list, tuple)):
        return [plain_inputs(v) for v in value]
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {k: plain_inputs(v) for k, v in value.items()}
    raise OdescentError(
        f"the inputs of a job must be JSON data (numbers, text, lists, dicts by name), not {type(value).__name__}."
    )


def canonical(value: Any) -> str:
    """JSON text that is the same for the same data: sorted keys, no spaces."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True
    )


def job_name(function: str, version: str, inputs: Mapping[str, Any]) -> str:
    """The SHA-256 of a job's canonical JSON, 64 hexadecimal digits."""
    text = canonical({"function": function, "version": version, "inputs": inputs})
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def encode(value: Any, arrays: dict[str, np.ndarray], path: str | None = None) -> Any:
    """Strict JSON data of a result; arrays are put aside under a name. OdescentError for what has no such form.

    Names count up, or with a `path` ("" at the root) tell where the array stands, as in ``runs.nesterov.x``.
    """

    def inside(key: object) -> str | None:
        return None if path is None else f"{path}.{key}" if path else str(key)

    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"__float__": repr(value)}
    if isinstance(value, (list, tuple)):
        return [encode(v, arrays, inside(i)) for i, v in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {"__dict__": [[k, encode(v, arrays, inside(k))] for k, v in value.items()]}
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind in "biufc":
            name = path if path and path not in arrays else f"array_{len(arrays)}"
            arrays[name] = array
            return {"__array__": name}
    raise OdescentError(
        f"a job returned a {type(value).__name__}; results are numbers, text, lists, dicts by name and numeric arrays."
    )


def decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(v, arrays) for v in value]
    if isinstance(value, dict):
        if "__float__" in value:
            return float(value["__float__"])
        if "__array__" in value:
            return arrays[value["__array__"]]
        return {k: decode(v, arrays) for k, v in value["__dict__"]}
    return value


class Store:
    """The folder of one function's results."""

    def __init__(self, folder: Path, function: str) -> None:
        self.folder, self.function = folder, function
        make_folder(folder)
        manifest = folder / _MANIFEST
        if manifest.exists():
            try:
                said = json.loads(manifest.read_text("utf-8"))
                own = said["function"] == function and said["format"] == FORMAT
            except _UNREADABLE:
                said, own = {}, False
            if not own:
                whose = (
                    said.get("function", "something else")
                    if isinstance(said, dict)
                    else "something else"
                )
                raise OdescentError(
                    f"the folder {str(folder)!r} holds results of {whose}, not of {function}; give another folder."
                )
        elif any(folder.iterdir()):
            raise OdescentError(
                f"the folder {str(folder)!r} is not empty and holds no sweep; give another folder."
            )
        else:
            write_whole(
                manifest, json.dumps({"format": FORMAT, "function": function}, indent=1) + "\n"
            )

    def save(self, name: str, record: Mapping[str, Any], result: Any) -> None:
        """Write one result; a failure noted before goes."""
        arrays: dict[str, np.ndarray] = {}
        header = {**record, "result": encode(result, arrays)}
        text = json.dumps(header, sort_keys=True, allow_nan=False)
        if arrays:
            buffer = io.BytesIO()
            np.savez(buffer, header=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
            write_whole(self.folder / f"{name}.npz", buffer.getvalue())
        else:
            write_whole(self.folder / f"{name}.json", text + "\n")
        with contextlib.suppress(FileNotFoundError):
            (self.folder / f"{name}.failed.json").unlink()

    def note_failure(self, name: str, record: Mapping[str, Any], text: str) -> None:
        """Write down why a job failed."""
        said = json.dumps({**record, "traceback": text}, sort_keys=True)
        write_whole(self.folder / f"{name}.failed.json", said + "\n")

    def load(self, name: str, inputs: Any) -> dict[str, Any] | None:
        """One result with its record; None where there is none, or none that can be read."""
        try:
            if (file := self.folder / f"{name}.json").exists():
                header, arrays = json.loads(file.read_text("utf-8")), {}
            elif (file := self.folder / f"{name}.npz").exists():
                with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as found:
                    header = json.loads(bytes(found["header"]).decode())
                    arrays = {n: found[n] for n in found.files if n != "header"}
            else:
                return None
            if header["inputs"] != inputs:
                return None
            return {**header, "result": decode(header["result"], arrays)}
        except _UNREADABLE:
            return None

    def load_failure(self, name: str) -> dict[str, Any] | None:
        """What was written down of a failure."""
        try:
            found: dict[str, Any] = json.loads(
                (self.folder / f"{name}.failed.json").read_text("utf-8")
            )
            return found if isinstance(found.get("traceback"), str) else None
        except _UNREADABLE:
            return None


__all__ = ["Store", "canonical", "decode", "encode", "job_name", "plain_inputs"]
