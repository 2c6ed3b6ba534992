"""``odescent explore``: the interactive explorer, served to a browser on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _console
from ._cmd_simulate import whole
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import number
from ._progress import waiting

if TYPE_CHECKING:
    from ._explorer import Choice

_NEEDED = ("marimo", "uvicorn")
_SCHEMA = "odescent.explore/1"
_MOST = 200  # steps


def run(
    name: str, objective: str | None, x0: str | None, steps: str, paths: int, seed: int, host: str, port: int,
    browser: bool, out: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Serve the explorer until it is interrupted, and say where it is; or write what it would show first.

    Args:
        name: the method that is shown first: an algorithm, a system, or a system file.
        objective: what it is shown on; one mode of a quadratic if left out.
        x0: its starting point, one or two numbers.
        steps: how many iterates, 1 to 200.
        paths: how many paths of a method with noise, or particles, 1 to 100.
        seed: of the noise and of the particles' start.
        host: the address to listen on; one that others can reach asks for a token, which the page's address has.
        port: the port; 0 takes a free one.
        browser: whether to open the page.
        out: a file for the picture (.svg); nothing is served then.
        as_json: whether to say the address, or what is in the picture, as a JSON document.

    Raises OdescentError where marimo is missing, a name is unknown or the address cannot be had.
    """
    if out is None and any(importlib.util.find_spec(n) is None for n in _NEEDED):
        raise OdescentError(
            "the explorer needs marimo, which is not installed here: pip install 'odescent[explore]'."
        )
    if out is not None and out.suffix != ".svg":
        raise OdescentError(f"--out takes a picture that ends in .svg, not {str(out)!r}.")
    from ._own_system import Refused, refuse

    try:
        with waiting(f"looking at {name}"):
            choice = replace(_first(name, objective, x0, steps), paths=paths, seed=seed)
    except Refused as error:
        return refuse(error)
    if out is not None:
        return _write(choice, out, as_json)
    from ._explorer.serve import listening, serve

    with listening(host, port) as place:
        address, free = place.getsockname()[:2]
        token = "" if _loopback(address) else secrets.token_urlsafe(12)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{free}/" + (f"?access_token={token}" if token else "")

        def ready() -> None:
            if as_json:
                value = {"url": url, **_chosen(choice), "notes": [], "out": None}
                _console.say_exactly(_console.document(value, _SCHEMA))
            else:
                _console.say(f"The explorer is at {url} (Ctrl-C ends it).")
            if browser:
                import webbrowser

                webbrowser.open(url)

        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            serve(choice, place, token, ready)
    os._exit(
        0
    )  # threads of marimo's sessions would keep the process; nothing of ours is left to write


def _first(name: str, objective: str | None, x0: str | None, steps: str) -> Choice:
    from ._explorer.choice import begin

    choice = begin(name, objective)
    count = whole("--steps", steps, 1)
    if count > _MOST:
        raise OdescentError(f"--steps is at most {_MOST} here, not {steps}; see odescent simulate.")
    at = choice.x0
    if x0 is not None:
        values = [float(number("--x0", part)) for part in x0.split(",")]
        if len(values) > 2:
            raise OdescentError(
                f"--x0 takes one or two numbers here, such as 1 or 1,2, not {x0!r}."
            )
        at = (values[0], values[-1])
    return replace(choice, x0=at, steps=count)


def _write(choice: Choice, out: Path, as_json: bool) -> int:
    from ._explorer import view

    with waiting(f"drawing {choice.method}"):
        seen = view(choice)
    if not seen.picture:
        raise OdescentError(" ".join(seen.notes))
    write_whole(out, seen.picture + "\n")
    if as_json:
        value = {"url": None, **_chosen(choice), "notes": list(seen.notes), "out": str(out)}
        _console.say_exactly(_console.document(value, _SCHEMA))
    else:
        _console.say("\n".join([*seen.notes, f"{out}: {choice.method} on {choice.objective}."]))
    return 0


def _chosen(choice: Choice) -> dict[str, Any]:
    return {"method": choice.method, "scheme": choice.scheme, "objective": choice.objective}


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
