"""What is kept of a figure: its numbers, its claims, and what they came from; each file there as a whole or not at all.

Beside ``NAME.pdf``, ``.svg`` and ``.png`` stand ``NAME.json`` (parameters with seeds, claims, versions, plain numbers),
``NAME.npz`` (the arrays, by their names) and, for a table, ``NAME.csv``. Nothing in them tells of the machine.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import io
import json
import platform
import textwrap
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

import odescent
from odescent._errors import OdescentError
from odescent._files import make_folder, write_whole
from odescent.analysis import style
from odescent.analysis.sweep_store import canonical, decode, encode, plain_inputs
from odescent.analysis.sweep_table import csv_text

from .claims import Claim
from .entry import PaperFigure, Result, Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "odescent.figure/1"
_LIBRARIES = ("diffrax", "equinox", "jax", "matplotlib", "numpy", "optax", "scipy", "sympy")
_FRAME = ("claims", "entry", "papers", "records", "regenerate", "summary")  # how, not what, is made
_PICTURES = ("pdf", "svg", "png")
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
)
_NOTE_LINE, _LETTER = (
    0.11,
    0.042,
)  # inches: height of a line and width of a letter of the note under a picture


def identity(paper: str, figure: PaperFigure, scale: Scale) -> str:
    """SHA-256 of what the result follows from: the figure, its parameters with seeds, and the code, in that order."""
    parameters = plain_inputs(figure.parameters(scale))
    said = {
        "figure": f"{paper}/{figure.name}",
        "parameters": parameters,
        "code": code_version(figure),
    }
    return hashlib.sha256(canonical(said).encode("ascii")).hexdigest()


def code_version(figure: PaperFigure) -> str:
    """SHA-256 of the sources behind a figure: its module, those of this folder that it imports, and `depends`."""
    digest = hashlib.sha256(figure.precision.encode())
    for file in [*_own_sources(figure), *(f for name in figure.depends for f in _sources(name))]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(name: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(f"odescent.{name}")
    if spec is None or not spec.submodule_search_locations:
        raise OdescentError(f"a figure depends on subpackages of odescent, and {name!r} is none.")
    yield from sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))


def _own_sources(figure: PaperFigure) -> list[Path]:
    """The module that computes it and its neighbours that it imports, directly or not."""
    folder, found = Path(__file__).parent, list[Path]()
    waiting = [figure.compute.__module__.rpartition(".")[2]]
    while waiting:
        file = folder / f"{waiting.pop()}.py"
        if file.stem in _FRAME or file in found or not file.is_file():
            continue
        found.append(file)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                waiting += [node.module] if node.module else [alias.name for alias in node.names]
    return sorted(found)


def save(
    place: Path, who: str, figure: PaperFigure, scale: Scale, key: str, result: Result
) -> None:
    """Write the record of a result; `place` is the path of its files without suffix. The JSON file comes last."""
    arrays: dict[str, np.ndarray] = {}
    plain = encode(result.data, arrays, "")
    record = {
        "schema": SCHEMA,
        "figure": who,
        "title": figure.title,
        "scale": scale,
        "parameters": plain_inputs(figure.parameters(scale)),
        "precision": figure.precision,
        "claims": [claim.to_dict() for claim in result.claims],
        "versions": _versions(),
        "backend": jax.default_backend(),
        "code": code_version(figure),
        "identity": key,
        "data": plain,
    }
    if arrays:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        record["arrays"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    make_folder(place.parent)
    if arrays:
        write_whole(place.with_name(f"{place.name}.npz"), buffer.getvalue())
    table = result.data.get("table")
    if table is not None:
        content = csv_text(table["columns"], table["rows"])
        write_whole(place.with_name(f"{place.name}.csv"), content)
    write_whole(place.with_name(f"{place.name}.json"), text)


def load(place: Path, key: str) -> Result | None:
    """The result of this identity; None if there is none, or none that can be read."""
    try:
        record = json.loads(place.with_name(f"{place.name}.json").read_text("utf-8"))
        if record["schema"] != SCHEMA or record["identity"] != key:
            return None
        arrays: dict[str, np.ndarray] = {}
        if "arrays" in record:
            content = place.with_name(f"{place.name}.npz").read_bytes()
            if hashlib.sha256(content).hexdigest() != record["arrays"]:
                return None  # of another run, which was killed between the two files
            with np.load(io.BytesIO(content), allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        claims = tuple(Claim.from_dict(c) for c in record["claims"])
        return Result(decode(record["data"], arrays), claims)
    except _UNREADABLE:
        return None


def made_with(place: Path) -> str:
    """The versions behind a record where they are not those of today; empty if all are."""
    then = json.loads(place.with_name(f"{place.name}.json").read_text("utf-8"))["versions"]
    return ", ".join(f"{n} {v}" for n, v in then.items() if _versions().get(n) != v)


def draw(place: Path, figure: PaperFigure, scale: Scale, result: Result) -> tuple[Path, ...]:
    """Draw and write a picture; what is smaller than in the paper stands under it."""
    with style.context():
        drawn = figure.draw(result.data)
        if figure.sizes(scale):
            _annotate(drawn, figure.sizes(scale))
    return style.save(drawn, place, _PICTURES)


def is_drawn(place: Path) -> bool:
    """Whether the pictures are there, and no older than the numbers."""
    try:
        made = place.with_name(f"{place.name}.json").stat().st_mtime
        files = [place.with_name(f"{place.name}.{form}") for form in _PICTURES]
        return all(file.stat().st_mtime >= made for file in files)
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
