"""Progress of long computations on standard error; silent unless it is a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

_PATIENCE = 1.0  # seconds before a bar appears: what is over by then needs none


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a task of unknown length and the time spent; the line is removed at the end.

    Args: what: as in "drawing the portrait".
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        pause = _PATIENCE
        while not ended.wait(pause):
            stream.write(f"\r{what}, {time.monotonic() - began:.0f} s")
            stream.flush()
            pause = 0.5

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        stream.write(f"\r{'':<{len(what) + 12}}\r")
        stream.flush()


def bar(unit: str) -> Callable[[int, int], None]:
    """A function of (done, total) that draws and redraws one line; it ends the line when all is done.

    Only on a terminal; silent elsewhere. Args: unit: what is counted, as in "steps".
    """
    began = time.monotonic()
    drawn = False

    def show(done: int, total: int) -> None:
        nonlocal drawn
        elapsed = time.monotonic() - began
        if sys.stderr is None or not sys.stderr.isatty() or (elapsed < _PATIENCE and not drawn):
            return
        left = elapsed * (total - done) / max(done, 1)
        filled = 24 * done // max(total, 1)
        line = (
            f"[{'#' * filled}{'.' * (24 - filled)}] {done:,} of {total:,} {unit}, {left:.0f} s left"
        )
        sys.stderr.write(f"\r{line:<76}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
        drawn = True

    return show
