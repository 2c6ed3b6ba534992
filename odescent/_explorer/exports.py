"""What can be saved of a view: its picture, its data, and the program that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._cli.base import console
from .._support.errors import OdescentError, check_choice
from .choice import said, text_of, written
from .panel import Points
from .raster import png
from .script import script
from .turning import turned
from .view import View

_SCHEMA = "odescent.view/1"


def export(seen: View, suffix: str) -> bytes:
    """A file of a view.

    Args:
        seen: the view.
        suffix: ".svg" or ".png" for the picture, ".html" for a page in which it is turned, ".csv" or ".json" for its
            numbers, ".py" for the program.

    Raises:
        OdescentError: another suffix, or a view without a picture.
    """
    check_choice("kind of file", suffix, FORMATS)
    if not seen.picture:
        raise OdescentError(" ".join(seen.notes) or "there is no picture.")
    made = FORMATS[suffix].write(seen)
    return made if isinstance(made, bytes) else made.encode()


def stem(seen: View) -> str:
    """The name of a file without its suffix."""
    names = [said(seen.choice.method), said(seen.choice.objective)]
    return "_on_".join("".join(c if c.isalnum() else "_" for c in n) for n in names)


def curves(seen: View) -> Iterator[tuple[str, Points, Any]]:
    """The curves of the picture: name, points of shape (k, 2), and values of f of shape (k,) or None."""
    many = seen.ensemble
    if many is None:
        yield "iterates", seen.iterates, seen.values
    else:
        one = many.names[0].removesuffix("s")
        for i, path in enumerate(many.paths):
            f = None if seen.values is None else seen.values[i]
            whole = np.isfinite(path).all(1)
            yield f"{one} {i + 1}", path[whole], None if f is None else f[whole]
    if len(seen.flow) > 1:
        yield "flow", seen.flow, None


def csv(seen: View) -> str:
    """A line for each point of the curves: curve, number, coordinates, and f where it is known."""
    lines = [",".join(["curve", "k", *seen.axes, "f"])]
    for name, points, f in curves(seen):
        for k, point in enumerate(points):
            value = "" if f is None else repr(float(f[k]))
            lines.append(",".join([name, str(k), *(repr(float(v)) for v in point), value]))
    return "\n".join(lines) + "\n"


def document(seen: View) -> str:
    """The choice and all numbers of the picture as one JSON document; what is not finite is null."""
    choice = seen.choice
    found = {
        "method": said(choice.method),
        "system": written(choice.method),
        "scheme": choice.scheme,
        "objective": said(choice.objective),
        "function": text_of(choice.objective),
        "tuned": choice.tuned,
        "parameters": dict(seen.numbers),
        "curvature": choice.curvature,
        "x0": list(choice.x0),
        "steps": choice.steps,
        "seed": choice.seed,
        "axes": list(seen.axes),
        "curves": [{"name": n, "points": p, "f": f} for n, p, f in curves(seen)],
        "spectrum": {"curvatures": seen.curvatures, "radius": seen.radius, "rate": seen.rate},
        "gap": seen.gap,
        "notes": list(seen.notes),
    }
    return console.document(found, _SCHEMA)


def _svg(seen: View) -> str:
    return seen.picture + "\n"


@dataclass(frozen=True)
class FileFormat:
    """A kind of file: its media type, what its button says, and what writes it."""

    media: str
    label: str
    write: Callable[[View], str | bytes]


FORMATS = {
    ".svg": FileFormat("image/svg+xml", "svg", _svg),
    ".png": FileFormat("image/png", "png", lambda seen: png(seen.picture)),
    ".csv": FileFormat("text/csv", "data, csv", csv),
    ".json": FileFormat("application/json", "data, json", document),
    ".html": FileFormat("text/html", "page that turns", lambda seen: turned(seen).html()),
    ".py": FileFormat("text/x-python", "script", script),
}  # by suffix
