"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from ._errors import OdescentError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to a file: after a failure the old file stands, and nothing else.

    The content goes to a neighbour that then takes the file's place, so a reader never sees a part. A
    link is followed, and a device or a pipe is written to directly.

    Raises OdescentError with a sentence if the file cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        _write(Path(os.path.realpath(path)), path, data)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if isinstance(error, OdescentError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OdescentError(f"the file {str(path)!r} cannot be written: {reason}.") from None


def _write(place: Path, given: Path, data: bytes) -> None:
    if place.is_dir():
        raise OdescentError(
            f"{str(given)!r} is a folder: give the name of a file, such as {str(given / 'out.txt')!r}."
        )
    if not place.parent.is_dir():
        missing = str(given.parent)
        raise OdescentError(
            f"the file {str(given)!r} cannot be written: there is no folder {missing!r}."
        )
    old = place.stat() if place.exists() else None
    if old is not None and not stat.S_ISREG(old.st_mode):
        place.write_bytes(data)
        return
    if old is not None and not os.access(place, os.W_OK):
        raise OdescentError(f"the file {str(given)!r} cannot be written: it is read-only.")
    temporary = place.parent / f".odescent-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:  # made here, so it has the permissions of a new file
            file.write(data)
        if old is not None:
            os.chmod(temporary, stat.S_IMODE(old.st_mode))
        os.replace(temporary, place)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
