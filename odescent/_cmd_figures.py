"""``odescent figures``: the papers' figures and tables, each with its claims checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import _console
from ._errors import OdescentError

_WORKERS = 4  # unless more are asked for: each takes a gigabyte or two, and the longest figure a third of the time


def run(
    papers: Sequence[str],
    only: Sequence[str],
    *,
    quick: bool,
    full: bool,
    fresh: bool,
    workers: int | None,
    out: Path,
    as_json: bool,
) -> int:
    """Make the figures and show the table of claims; 1 if a figure fails or a claim does not hold."""
    if quick and full:
        raise OdescentError("--quick and --full were both given; give one of them.")
    from ._processes import processors
    from .paper_figs import papers as known
    from .paper_figs import regenerate, summary

    scale = regenerate.SCALES[int(full)]
    chosen = known.find(papers, only)
    if not chosen:
        raise OdescentError(f"there are no figures of {' and '.join(papers)} yet.")
    report = _console.note if as_json else _console.say
    workers = workers or min(processors(), _WORKERS)
    found = regenerate.regenerate(chosen, out, scale, fresh=fresh, workers=workers, report=report)
    written = summary.write(found, scale, out)
    if as_json:
        _console.say_exactly(_console.document(summary.plain(found, scale, out)))
    else:
        table = summary.text(found, _console.width())
        _console.say("\n".join(["", table, *map(str, written)]), summary.MARKS)
    return int(any(made.wrong for made in found))
