"""Text files, read completely up to a size limit."""

from __future__ import annotations

from pathlib import Path

from ..._support.errors import OdescentError
from .bounds import MAX_TEXT
from .errors import ParseError, Source


def read_text(path: str | Path) -> Source:
    """The text of a file, at most as long as a text may be.

    Raises OdescentError for what is not a readable file, or is longer, or is not UTF-8.
    """
    name = str(path)
    try:
        if not Path(path).is_file():
            what = "is not a file" if Path(path).exists() else "does not exist"
            raise OdescentError(f"the system file {name!r} {what}.")
        with open(path, "rb") as file:
            data = file.read(4 * MAX_TEXT + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if isinstance(error, OdescentError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OdescentError(f"the system file {name!r} cannot be read: {reason}.") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        if len(data) <= 4 * MAX_TEXT:
            raise ParseError(
                "the file is not UTF-8 text.", line, column, "", Path(path).name
            ) from None
        text = data.decode("utf-8-sig", "replace")  # cut in two; it is too long anyway
    return Source(text, Path(path).name)
