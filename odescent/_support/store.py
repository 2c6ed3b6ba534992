"""The store: records of plain data and arrays, in atomically written files, identified by a hash, never pickled.

A record is a dict of numbers, text, lists, dicts by name and numeric arrays. A file ``.json`` has
the plain data as text that anyone reads, and the arrays stand beside it in an ``.npz`` of the same name; any other
file is an ``.npz`` with both, the plain data in its array "header". All have their format and a SHA-256 of the whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import OdescentError
from .files import write_whole

if TYPE_CHECKING:
    import numpy as np

_HEADER = "header"
_MARKS = ("__array__", "__dict__", "__float__")
_PLACE = re.compile(r"\w+(\.\w+)+")  # an array's name in an archive; NumPy's keywords have no dot
_HASH = re.compile(r"[0-9a-f]{16,}")


class Unreadable(OdescentError):
    """A file that is not there, is torn, or was written by another version, by another program or of another thing."""


@dataclass(frozen=True)
class Format:
    """Files of one kind.

    Attributes:
        schema: name and version, such as "odescent.run/2"; another version is refused.
        called: what a sentence calls such a file.
        of: what it is a record of.
        remedy: what to do with a file of another one.
    """

    schema: str
    called: str
    of: str = "run"
    remedy: str = "give another file"

    def save(self, path: Path, record: Mapping[str, Any]) -> None:
        """Write a record, whose names are none of "schema", "arrays" and "sha256", to a file.

        After a failure the old record is unchanged, or, between the two files of one as text, none.

        Raises OdescentError for what has no plain form, or a file that cannot be written.
        """
        arrays: dict[str, np.ndarray] = {}
        header = {"schema": self.schema, **encode(record, arrays), "arrays": sorted(arrays)}
        header["sha256"] = _hash(header, arrays)
        if path.suffix != ".json":
            write_whole(path, _archive({_HEADER: _json(header), **arrays}))
            return
        if arrays:
            write_whole(path.with_suffix(".npz"), _archive(arrays))
        write_whole(path, text(header))

    def load(self, path: Path, identity: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The record of a file; tuples are returned as lists.

        Args:
            path: of the file that `save` wrote.
            identity: plain data that the record's entry "identity" must be like.

        Raises:
            Unreadable: a file that is not there, is torn, or was written by another version or program, or of
                another thing.
        """
        shown = repr(str(path))
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Unreadable(
                f"the {self.called} {shown} cannot be read: {error.strerror or error}."
            ) from None
        try:
            arrays = {} if path.suffix == ".json" else _arrays(content)
            header = json.loads(arrays.pop(_HEADER).tobytes() if arrays else content)
            schema, own = header.pop("schema"), header.pop("sha256", None)
            if schema == self.schema:
                if header["arrays"] and path.suffix == ".json":
                    arrays = _arrays(path.with_suffix(".npz").read_bytes())
                if own != _hash({"schema": schema, **header}, arrays):
                    raise ValueError("other contents than were written")
                record: dict[str, Any] = decode(header, arrays)
        except Exception as error:  # NumPy, zipfile, zlib and json have none in common
            raise Unreadable(
                f"{shown} is no {self.called} of odescent, or it is damaged ({type(error).__name__}); delete it or "
                "name another."
            ) from None
        if schema != self.schema:
            raise Unreadable(
                f"{shown} has the format {schema}, and a {self.called} of this version has {self.schema}: make it "
                "anew, or use the version that wrote it."
            )
        if identity is not None:
            self.check(path, record["identity"], identity)
        return record

    def check(self, path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Compare the identity in a file with the expected one.

        Args:
            path: of the file, for the message.
            found: the identity stored in it.
            wanted: the expected identity.

        Raises:
            Unreadable: if they differ.
        """
        other = difference(found, plain_data(wanted))
        if other is not None:
            raise Unreadable(
                f"the {self.called} {str(path)!r} belongs to another {self.of}: {other}; {self.remedy}."
            )

    def find(self, path: Path, identity: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """As `load`; None where that would raise: what can be made again is not worth an error."""
        try:
            return self.load(path, identity)
        except Unreadable:
            return None


def text(data: Any) -> str:
    """JSON text for readers; ValueError for numbers that are not finite."""
    return _json(data, indent=1, ensure_ascii=False) + "\n"


def canonical(data: Any) -> str:
    """JSON text that is the same for the same data: sorted keys, no spaces; ValueError as for `text`."""
    return _json(data, sort_keys=True, separators=(",", ":"))


def plain_data(data: Any, what: str = "an identity") -> Any:
    """The data as a JSON file would give them back; OdescentError unless it is finite JSON data.

    Args:
        data: numbers, text, lists, dicts by name.
        what: whose data they are, for the sentence.
    """
    try:
        return json.loads(_json(data))
    except (TypeError, ValueError, RecursionError) as error:
        raise OdescentError(
            f"{what} must be finite JSON data (numbers, text, lists, dicts by name): {error}."
        ) from None


def identity(data: Any) -> str:
    """SHA-256 of plain data and arrays, 64 hexadecimal digits: of the canonical JSON, then of the arrays by name."""
    arrays: dict[str, np.ndarray] = {}
    return _hash(encode(data, arrays), arrays)


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """A thing in which two identities differ, such as "its seed is 0, not 1"; None if they are alike.

    An entry that is None says as much as one that is left out, and values more than a hash.
    """
    other = None
    for name in sorted({*found, *wanted}):
        a, b = found.get(name), wanted.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            other = difference(a, b) or other
        elif a != b and not any(_HASH.fullmatch(str(v)) or isinstance(v, Mapping) for v in (a, b)):
            return f"its {name} is {a!r}, not {b!r}"
        elif a != b:
            other = other or f"its {name} is another"
    return other


def encode(value: Any, arrays: dict[str, np.ndarray], place: str = "") -> Any:
    """JSON data of a value; its arrays are collected separately, by their path in the value, as in ``runs.nesterov.x``.

    Args:
        value: plain data and numeric arrays, nested.
        arrays: receives the arrays by name.
        place: the path of the value in the record.

    Raises:
        OdescentError: a value of any other type.
    """
    inside: Callable[[object], str] = lambda key: f"{place}.{key}" if place else str(key)
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"__float__": repr(float(value))}
    if isinstance(value, (list, tuple)):
        return [encode(v, arrays, inside(i)) for i, v in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        found = {k: encode(v, arrays, inside(k)) for k, v in value.items()}
        return {"__dict__": list(found.items())} if {*found} & {*_MARKS} else found
    if hasattr(value, "__array__"):
        import numpy as np

        array = np.asarray(value)
        if isinstance(value, np.generic):
            return encode(value.item(), arrays, place)
        if array.dtype.kind in "biufc":
            free = _PLACE.fullmatch(place) and place not in arrays
            name = place if free else f"array_{len(arrays)}"
            arrays[name] = array
            return {"__array__": name}
    raise OdescentError(
        f"a record holds a {type(value).__name__}, but it may hold only numbers, text, lists, dicts by name and "
        "numeric arrays."
    )


def decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"__float__": number}:
            return float(number)
        case {"__array__": name}:
            return arrays[name]
        case {"__dict__": pairs}:
            value = dict(pairs)
    return {k: decode(v, arrays) for k, v in value.items()}


def _hash(plain: Any, arrays: Mapping[str, np.ndarray]) -> str:
    import numpy as np

    total = hashlib.sha256(canonical(plain).encode())
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {a.dtype.str} {arrays[name].shape};".encode())
        total.update(a.tobytes())
    return total.hexdigest()


def _json(data: Any, **options: Any) -> str:
    return json.dumps(data, allow_nan=False, default=_number, **options)


def _number(value: Any) -> Any:
    """A number of NumPy or JAX as Python's."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is not a number")


def _archive(content: Mapping[str, Any]) -> bytes:
    """Arrays by name, and texts as arrays of their bytes, as an .npz file."""
    import numpy as np

    buffer = io.BytesIO()
    plain = {
        n: np.frombuffer(v.encode(), np.uint8) if isinstance(v, str) else v
        for n, v in content.items()
    }
    np.savez(buffer, allow_pickle=False, **plain)
    return buffer.getvalue()


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    import numpy as np

    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
