"""Ctrl-C between two steps, independent of signal handlers of libraries."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """A check that raises KeyboardInterrupt if Ctrl-C was pressed since the beginning.

    Python raises it wherever the program stands, and in a callback of another library (JAX has one for collections of
    garbage) it is printed and forgotten. Here the first is kept for the next check, and a second one raises at once.
    In other threads than the main one, and where a program handles the signal itself, nothing is changed.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before is not signal.default_int_handler:
        yield lambda: None
        return
    pressed = False

    def keep(number: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            signal.default_int_handler(number, frame)
        pressed = True

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, keep)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
