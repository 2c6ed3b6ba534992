"""``odescent explore``: the interactive explorer, served to a browser on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
import re
import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ..._support.installed import missing
from ..._support.progress import waiting
from ..base import console
from ..base.values import METHOD, OptionKind, Point, Seed, Written, count, named

if TYPE_CHECKING:
    from ..._explorer import Choice

# Of an objective; a function has fewer letters, or others.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_/]{2,}")
_SCHEMA = "odescent.explore/1"
_MOST = 200  # steps


def run(
    name: Annotated[str, METHOD] = "nesterov_sc",
    *,
    objective: Annotated[str | None, named("objectives")] = None,
    x0: Point | None = None,
    steps: Annotated[int, count(1)] = 40,
    paths: Annotated[int, OptionKind(least=1, most=100)] = 40,
    seed: Seed = 0,
    host: Annotated[str, OptionKind("ADDRESS")] = "127.0.0.1",
    port: Annotated[int, OptionKind(least=0, most=65535)] = 2718,
    no_browser: bool = False,
    out: Written | None = None,
    json: bool = False,
) -> int:
    """Explore methods with sliders in a browser: flow, iterates, ensembles, spectrum, rate and code.

    All computations are local, and the page loads nothing over the network. Ctrl-C stops the server.
    If other machines can reach the address, the page requires the token in its URL.

    Args:
        name: An algorithm or a system, such as nesterov_sc or gradient_flow, or a system file.
        objective: An objective of one or two variables, or a function such as "x^4/4 + y^2"; by default one mode of a
            quadratic.
        x0: Starting point; by default the objective's.
        steps: Number of iterates, 1 to 200.
        paths: Number of paths of a stochastic method, or of particles.
        seed: Seed of the noise.
        host: Address of the server; by default local.
        port: Port of the server; 0 selects a free one.
        no_browser: Only print the URL of the page.
        out: Write the first view instead: a picture (svg, png), data (csv, json), a page that turns
            (html) or a script (py).
        json: Print one JSON document, for machines.

    Examples:
        odescent explore
        odescent explore heavy_ball --objective lessard_recht_packard --x0 3.3 --steps 60
        odescent explore cbo --objective ackley --x0 2,2 --steps 60 --paths 80 --seed 3
        odescent explore my_system.ode --port 8000 --no-browser
        odescent explore adam --objective rosenbrock --out adam.svg
    """
    if out is None:
        for module in ("marimo", "uvicorn"):  # before the first view is computed
            if importlib.util.find_spec(module) is None:
                raise missing(module)
    else:
        from ..._explorer.exports import FORMATS

        *kinds, last = FORMATS
        if out.suffix not in FORMATS:
            raise OdescentError(
                f"--out takes a file that ends in {', '.join(kinds)} or {last}, not {str(out)!r}."
            )
    with waiting(f"looking at {name}"):
        choice = replace(_first(name, objective, x0, steps), paths=paths, seed=seed)
    if out is not None:
        return _write(choice, out, json)
    from ..._explorer.serve import listening, serve

    with listening(host, port) as place:
        address, free = place.getsockname()[:2]
        token = "" if _loopback(address) else secrets.token_urlsafe(12)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{free}/" + (f"?access_token={token}" if token else "")

        def ready() -> None:
            value = {"url": url, **_chosen(choice), "notes": [], "out": None}
            console.answer(json, f"The explorer is at {url} (Ctrl-C ends it).", value, _SCHEMA)
            if not no_browser:
                import webbrowser

                webbrowser.open(url)

        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            serve(choice, place, token, ready)
    # threads of marimo's sessions would keep the process; nothing of ours is left to write
    os._exit(0)


def _first(name: str, objective: str | None, x0: list[float] | None, steps: int) -> Choice:
    from ..._explorer.choice import begin, own_function

    if objective is not None and not _NAME.fullmatch(objective):
        objective = own_function(objective)
    choice = begin(name, objective)
    if steps > _MOST:
        raise OdescentError(
            f"--steps must be at most {_MOST} here, not {steps}; see odescent simulate."
        )
    at = choice.x0
    if x0 is not None:
        if len(x0) > 2:
            raise OdescentError(
                f"--x0 takes one or two numbers here, such as 1 or 1,2, not {len(x0)}."
            )
        at = (x0[0], x0[-1])
    return replace(choice, x0=at, steps=steps)


def _write(choice: Choice, out: Path, as_json: bool) -> int:
    from ..._explorer import view
    from ..._explorer.exports import export

    with waiting(f"drawing {choice.method}"):
        seen = view(choice)
        made = export(seen, out.suffix)
    write_whole(out, made)
    value = {"url": None, **_chosen(choice), "notes": list(seen.notes), "out": str(out)}
    text = "\n".join([*seen.notes, f"{out}: {choice.method} on {_named(choice)}."])
    console.answer(as_json, text, value, _SCHEMA)
    return 0


def _chosen(choice: Choice) -> dict[str, Any]:
    return {"method": choice.method, "scheme": choice.scheme, "objective": _named(choice)}


def _named(choice: Choice) -> str:
    """The name of an objective, or a function's text."""
    from ..._explorer.choice import text_of

    return text_of(choice.objective) or choice.objective


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
