"""Generation of figures: computation of missing ones, checks, drawing; failures are listed and do not stop the others.

Each is made by itself, so that several processes can share them.
"""

from __future__ import annotations

import inspect
import pickle
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .._support import store
from .._support.errors import OdescentError
from .._support.files import make_folder
from .._support.processes import carry_out
from . import papers, records
from .claims import HOLDS, WRONG, Claim
from .entry import PaperFigure, Result, Scale

Report = Callable[[str], None]
_Task = tuple[str, PaperFigure]


@dataclass(frozen=True)
class Made:
    """What became of one figure.

    Attributes:
        paper, name, title: which one.
        claims: with their verdicts; empty if it failed.
        files: on the disk.
        seconds: how long it took.
        again: whether it was computed, not taken from an earlier run.
        other: the versions of libraries that an earlier run had, where they are not those of today.
        error: the last line of the traceback if it failed, else None; the complete traceback is in NAME.error.txt.
    """

    paper: str
    name: str
    title: str
    claims: tuple[Claim, ...]
    files: tuple[Path, ...]
    seconds: float
    again: bool
    error: str | None = None
    other: str = ""

    @property
    def who(self) -> str:
        """Paper and name."""
        return f"{self.paper}/{self.name}"

    @property
    def wrong(self) -> bool:
        """Whether it failed, or a claim of it does not hold."""
        return self.error is not None or any(c.verdict == WRONG for c in self.claims)

    def line(self) -> str:
        """One line: what it is, how its claims fared, how long it took."""
        if self.error is not None:
            return f"{self.who:<34} failed: {self.error}"
        held = sum(c.verdict == HOLDS for c in self.claims)
        by = f", by {self.other}" if self.other else ""
        how = f"({self.seconds:.1f} s)" if self.again else f"(as before{by})"
        return f"{self.who:<34} {held} of {len(self.claims)} claims hold  {how}"


def regenerate(
    figures: Iterable[tuple[str, PaperFigure]],
    out: Path,
    scale: Scale = "quick",
    *,
    fresh: bool = False,
    workers: int = 1,
    report: Report = print,
) -> list[Made]:
    """Make figures; the same call resumes an interrupted one.

    A figure whose parameters, seeds and code are those of its record is not computed again.

    Args:
        figures: pairs of paper and figure, as `papers.find` returns them.
        out: the folder; files go to ``out/SCALE/PAPER/``.
        scale: "quick" or "full".
        fresh: recompute all of them.
        workers: processes that make them, each on its share of the processors. Several begin with the last figure,
            since the longest stand there; functions without an importable name are called in this one.
        report: gets a line for each, as they are made.

    Returns:
        What became of them, in the order of `figures`.

    Raises:
        OdescentError: if the folder cannot be written.
    """
    tasks = {f"{paper}/{figure.name}": (paper, figure) for paper, figure in figures}
    make_folder(out)
    found: dict[str, Made] = {}

    def keep(who: str, made: Made) -> None:
        found[who] = made
        report(f"[{len(found)}/{len(tasks)}] {made.line()}")

    def lose(who: str, error: Exception) -> None:
        paper, figure = tasks[who]
        keep(who, Made(paper, figure.name, figure.title, (), (), 0.0, True, _last_line(error)))

    make = partial(_make, out=out, scale=scale, fresh=fresh)
    sent = {who: tasks[who] for who in reversed(tasks) if _is_sendable(tasks[who])}
    if min(workers, len(sent)) <= 1:
        sent = {}
    try:
        for who, task in tasks.items():
            if who not in sent:
                keep(who, make(task))
        carry_out(make, sent, keep, lose, workers=workers)
    except KeyboardInterrupt:
        how = "the same arguments" + (", without fresh=," if fresh else "")
        raise KeyboardInterrupt(
            f"interrupted after {len(found)} of {len(tasks)} figures; run again with {how} to go on."
        ) from None
    return [found[who] for who in tasks]


def _is_sendable(task: _Task) -> bool:
    try:
        pickle.dumps(task)
    except Exception:  # a function in a function, or one that says why its module cannot be loaded
        return False
    return True


def _last_line(error: Exception) -> str:
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def standing(found: Sequence[Made], out: Path, scale: Scale) -> list[Made]:
    """The figures made now, and those in the folder from earlier runs of the same code, in the order of the papers.

    Args:
        found: the figures made now.
        out: the output folder.
        scale: the subfolder.
    """
    known = papers.find()
    rank = {f"{paper}/{figure.name}": i for i, (paper, figure) in enumerate(known)}
    now, earlier = {made.who for made in found}, []
    for paper, figure in known:
        place = out / scale / paper / figure.name
        if f"{paper}/{figure.name}" in now or not place.with_name(f"{figure.name}.json").exists():
            continue
        result = records.load(place, records.identity(paper, figure, scale))
        if result is not None:
            files = _files(place)
            earlier.append(Made(paper, figure.name, figure.title, result.claims, files, 0.0, False))
    return sorted([*earlier, *found], key=lambda made: rank.get(made.who, len(rank)))


def _files(place: Path) -> tuple[Path, ...]:
    return tuple(f for f in sorted(place.parent.glob(f"{place.name}.*")) if f.is_file())


def _make(task: _Task, out: Path, scale: Scale, fresh: bool) -> Made:
    import jax

    paper, figure = task
    place = out / scale / paper / figure.name
    trouble = place.with_name(f"{figure.name}.error.txt")
    began = time.perf_counter()
    try:
        with jax.enable_x64(figure.precision == "float64"):
            result, again = _result(place, paper, figure, scale, fresh)
            if again or not records.is_drawn(place):
                records.draw(place, figure, scale, result)
    except Exception as error:
        records.note(trouble, traceback.format_exc())
        seconds = time.perf_counter() - began
        return Made(paper, figure.name, figure.title, (), (), seconds, True, _last_line(error))
    trouble.unlink(missing_ok=True)
    seconds = time.perf_counter() - began
    other = "" if again else records.made_with(place)
    return Made(
        paper, figure.name, figure.title, result.claims, _files(place), seconds, again, other=other
    )


def _result(
    place: Path, paper: str, figure: PaperFigure, scale: Scale, fresh: bool
) -> tuple[Result, bool]:
    """The result as read back from its file, and whether it had to be computed."""
    key = records.identity(paper, figure, scale)
    known = None if fresh else records.load(place, key)
    if known is not None:
        return known, False
    given = figure.parameters(scale)
    # of this identity, and of no other
    parts = place.with_name(f"{figure.name}.parts-{store.identity(key)[:16]}")
    if "folder" in inspect.signature(figure.compute).parameters:
        if fresh:
            shutil.rmtree(parts, ignore_errors=True)
        make_folder(parts)
        given["folder"] = parts
    result = figure.compute(**given)
    if not result.complete:
        return result, True
    records.save(place, figure, scale, key, result)
    shutil.rmtree(parts, ignore_errors=True)
    read = records.load(place, key)
    if read is None:
        raise OdescentError(f"the record of {paper}/{figure.name} cannot be read back.")
    return read, True
