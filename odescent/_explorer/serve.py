"""The explorer's server: the marimo app on one address of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .._support.errors import OdescentError
from .choice import Choice
from .view import view

_start = [Choice()]


def first() -> Choice:
    """What the page shows when it opens."""
    return _start[0]


def listening(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one. OdescentError where it cannot be had."""
    made = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        return made
    except (OSError, OverflowError, UnicodeError) as error:
        if made is not None:
            made.close()
        why = getattr(error, "strerror", None) or str(error)
        raise OdescentError(
            f"the explorer cannot listen on {host} port {port} ({why}); take another with --port or --host."
        ) from None


def serve(choice: Choice, place: socket.socket, token: str, ready: Callable[[], None]) -> None:
    """Show a choice first, and serve until interrupted; `ready` is called when the page can be opened.

    Args:
        choice: what the page begins with.
        place: a bound socket.
        token: what a reader has to know; empty for none.
        ready: called once, when the page is being served.
    """
    import marimo
    import uvicorn

    _start[0] = choice
    view(choice)  # compiled before anybody waits for it
    made = marimo.create_asgi_app(quiet=True, include_code=False, token=token)
    page = made.with_app(path="", root=str(Path(__file__).with_name("app.py"))).build()
    server = uvicorn.Server(uvicorn.Config(page, log_level="critical", timeout_graceful_shutdown=1))
    threading.Thread(target=_when_started, args=(server, ready), daemon=True).start()
    server.run(sockets=[place])


def _when_started(server: object, ready: Callable[[], None]) -> None:
    while not getattr(server, "started", False):
        if getattr(server, "should_exit", False):
            return
        time.sleep(0.02)
    ready()
