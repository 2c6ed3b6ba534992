"""Records of a figure: its numbers, its claims, and their origin; each file is written as a whole or not at all.

Beside ``NAME.pdf``, ``.svg`` and ``.png`` stand ``NAME.json`` (parameters with seeds, claims, versions, plain numbers),
``NAME.npz`` (the arrays, by their names) and, for a table, ``NAME.csv``. Nothing in them tells of the machine.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib.util
import platform
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import odescent

from .._support import store, style
from .._support.errors import OdescentError
from .._support.files import make_folder, write_whole
from ..analysis.sweeps.jobs import csv_text
from .claims import Claim
from .entry import PaperFigure, Result, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_ROOM = "odescent.analysis."  # whose records are kept


def keep(value: Any) -> Any:
    """A result as dicts, lists, numbers, text and arrays; exact numbers become floats.

    Raises OdescentError for a record that is none of the analysis'.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        place = f"{type(value).__module__}:{type(value).__name__}"
        _class(place)
        fields = {f.name: keep(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": place, **fields}
    if isinstance(value, Mapping):
        return {str(k): keep(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [keep(v) for v in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.astype(float)
    return value


def restore(data: Any, inside: bool = False) -> Any:
    """The inverse of `keep`, from what a file gives; lists inside of records become tuples.

    Raises OdescentError for a class that is no record of the analysis.
    """
    if isinstance(data, Mapping):
        found = "class" in data
        parts = {k: restore(v, inside or found) for k, v in data.items() if k != "class"}
        return _class(str(data["class"]))(**parts) if found else parts
    if isinstance(data, list):
        return (tuple if inside else list)(restore(v, inside) for v in data)
    return data


def _class(place: str) -> Any:
    """The dataclass of that module and name; what a file says is not imported unless it is one of the analysis."""
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name) if module.startswith(_ROOM) else None
    except (ImportError, AttributeError):
        found = None
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        raise OdescentError(
            f"there is no result {place!r} that a figure keeps: it has to be a record of the analysis."
        )
    return found


RECORD = store.Format("odescent.figure/2", "record", of="figure")
_LIBRARIES = ("diffrax", "equinox", "jax", "matplotlib", "numpy", "optax", "scipy", "sympy")
_FRAME = ("claims", "entry", "papers", "records", "regenerate", "summary")  # how, not what, is made
_PICTURES = ("pdf", "svg", "png")
_NOTE_LINE, _LETTER = 0.11, 0.042  # inches: a line and a letter of the note under a picture


def identity(paper: str, figure: PaperFigure, scale: Scale) -> dict[str, Any]:
    """Everything that determines a result, as plain data: the figure, its parameters with seeds, and the code version.

    Args:
        paper: name of the paper.
        figure: one of its figures.
        scale: "quick" or "full".
    """
    parameters = store.plain_data(figure.parameters(scale), f"the parameters of {figure.name}")
    return {
        "figure": f"{paper}/{figure.name}",
        "parameters": parameters,
        "precision": figure.precision,
        "code": code_version(figure),
    }


def code_version(figure: PaperFigure) -> str:
    """SHA-256 of the sources behind a figure: its module, those of this folder that it imports, and `depends`."""
    files = [
        *_own_sources(figure),
        *(f for name in figure.depends for f in _sources(name)),
    ]
    return store.identity([[file.name, file.read_text("utf-8")] for file in files])


def _sources(name: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(f"odescent.{name}")
    if spec is None or not spec.submodule_search_locations:
        raise OdescentError(
            f"a figure depends on subpackages of odescent; {name!r} is not one of them."
        )
    yield from sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))


def _own_sources(figure: PaperFigure) -> list[Path]:
    """The module that computes it and those below this folder that it imports, directly or not."""
    root, found, waiting = Path(__file__).parent, list[Path](), [figure.compute.__module__]
    while waiting:
        module = waiting.pop()
        _, inside, rest = module.partition(f"{__package__}.")
        file = root.joinpath(*rest.split(".")).with_suffix(".py")
        if not inside or rest in _FRAME or file in found or not file.is_file():
            continue
        found.append(file)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                relative = "." * node.level + (node.module or "")
                base = importlib.util.resolve_name(relative, module.rpartition(".")[0])
                waiting += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return sorted(found)


def save(
    place: Path, figure: PaperFigure, scale: Scale, key: Mapping[str, Any], result: Result
) -> None:
    """Write the record of a result; the JSON file is written last.

    Args:
        place: path of the files, without suffix.
        figure: the figure that the result belongs to.
        scale: at which it was computed.
        key: the identity of the result.
        result: data and claims.
    """
    make_folder(place.parent)
    table = result.data.get("table")
    if table is not None:
        write_whole(_at(place, "csv"), csv_text(table["columns"], table["rows"]))
    record = {
        "identity": key,
        "title": figure.title,
        "scale": scale,
        "claims": [claim.to_dict() for claim in result.claims],
        "versions": _versions(),
        "backend": jax.default_backend(),
        "data": keep(result.data),
    }
    RECORD.save(_at(place, "json"), record)


def load(place: Path, key: Mapping[str, Any]) -> Result | None:
    """The result of this identity; None if there is none, or none that can be read."""
    found = RECORD.find(_at(place, "json"), key)
    if found is None:
        return None
    return Result(restore(found["data"]), tuple(map(Claim.from_dict, found["claims"])))


def made_with(place: Path) -> str:
    """The versions behind a record where they are not those of today; empty if all are."""
    then = RECORD.load(_at(place, "json"))["versions"]
    return ", ".join(f"{n} {v}" for n, v in then.items() if _versions().get(n) != v)


def _at(place: Path, form: str) -> Path:
    return place.with_name(f"{place.name}.{form}")


def draw(place: Path, figure: PaperFigure, scale: Scale, result: Result) -> tuple[Path, ...]:
    """Draw a picture and write it; a note below it lists what is smaller than in the paper.

    Args:
        place: path of the files, without suffix.
        figure: the figure to draw.
        scale: at which the result was computed.
        result: its data.

    Returns:
        The files written.
    """
    with style.context():
        drawn = figure.draw(result.data)
        if figure.sizes(scale):
            _annotate(drawn, figure.sizes(scale))
    return style.save(drawn, place, _PICTURES)


def is_drawn(place: Path) -> bool:
    """Whether the pictures are there, and no older than the numbers."""
    try:
        made = _at(place, "json").stat().st_mtime
        return all(_at(place, form).stat().st_mtime >= made for form in _PICTURES)
    except OSError:
        return False


def _annotate(drawn: Figure, said: str) -> None:
    """Make the figure higher by a note at its foot; what is there keeps its size."""
    wide, high = drawn.get_size_inches()
    lines = textwrap.wrap(said, max(20, int(wide / _LETTER)), break_long_words=False)
    room = _NOTE_LINE * len(lines) + 0.03
    share = room / (high + room)
    drawn.draw_without_rendering()  # settles the layout, which then stays
    drawn.set_layout_engine("none")
    drawn.set_size_inches(wide, high + room)
    for ax in drawn.axes:
        x, y, w, h = ax.get_position(original=True).bounds
        ax.set_position((x, share + y * (1 - share), w, h * (1 - share)))
    for legend in drawn.legends:
        legend.set_bbox_to_anchor((0.0, share, 1.0, 1 - share), drawn.transFigure)
    drawn.text(
        0.5, 0.45 * share, "\n".join(lines), ha="center", va="center", fontsize=6, color="0.35", linespacing=1.1
    )  # fmt: skip


def note(file: Path, text: str) -> None:
    """Write down why a figure failed, as far as that is possible."""
    with contextlib.suppress(OdescentError):
        make_folder(file.parent)
        write_whole(file, text)


def _versions() -> dict[str, str]:
    found = {"odescent": odescent.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an optional one
            continue
    return found
