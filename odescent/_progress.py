"""A progress bar on the standard error, for anything that takes more than a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

_PATIENCE = 1.0  # seconds before a bar appears: what is over by then needs none


def bar(unit: str) -> Callable[[int, int], None]:
    """A function of (done, total) that draws and redraws one line; it ends the line when all is done.

    Only on a terminal; elsewhere it says nothing. Args: unit: what is counted, as in "steps".
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
