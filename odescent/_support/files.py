"""Files of results, written atomically in an existing or new folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import OdescentError


def write_whole(path: Path, content: str | bytes) -> None:
    """Write bytes, or text as UTF-8, to a file: after a failure the old file is unchanged, and no other is left.

    The content goes to a neighbour that then takes the file's place, so a reader never sees a part. A
    link is followed, and a device or a pipe is written to directly.

    Raises OdescentError with a sentence if the file cannot be written.
    """
    with _said(path):
        _write(path, content.encode("utf-8") if isinstance(content, str) else content)


def check_file(path: Path) -> None:
    """OdescentError where `write_whole` cannot write: asked first, so that nothing is computed in vain."""
    with _said(path):
        _standing(path)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are missing; OdescentError if nothing can be written in it."""
    reason = ""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        reason = "it is a file"
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or str(error)
    if not reason and not os.access(path, os.W_OK | os.X_OK):
        reason = "it is read-only"
    if reason:
        raise OdescentError(f"the folder {str(path)!r} is not writable: {reason}; give another.")


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """What goes wrong with a file, in a sentence."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        if isinstance(error, OdescentError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OdescentError(f"the file {str(path)!r} cannot be written: {reason}.") from None


def _standing(path: Path) -> os.stat_result | None:
    """What exists at the path, or None; OdescentError if a file cannot be written there."""
    try:
        old = path.stat()  # also of a pipe that has no name in a folder, as /dev/stdout may be
    except (FileNotFoundError, NotADirectoryError):
        old = None
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise OdescentError(
            f"{str(path)!r} is a folder: give the name of a file, such as {str(path / 'out.txt')!r}."
        )
    if old is not None and not os.access(path, os.W_OK):
        raise OdescentError(f"the file {str(path)!r} cannot be written: it is read-only.")
    if old is not None and not stat.S_ISREG(old.st_mode):
        return old
    folder = Path(os.path.realpath(path)).parent
    shown = str(folder if path.is_symlink() else path.parent)
    if not folder.is_dir():
        raise OdescentError(
            f"the file {str(path)!r} cannot be written: there is no folder {shown!r}."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OdescentError(
            f"the file {str(path)!r} cannot be written: the folder {shown!r} is read-only."
        )
    return old


def _write(path: Path, data: bytes) -> None:
    old = _standing(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        path.write_bytes(data)
        return
    place = Path(os.path.realpath(path))
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
