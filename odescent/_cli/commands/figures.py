"""``odescent figures``: the papers' figures and tables, each with its claims checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ..._support.errors import OdescentError
from ..base import console
from ..base.values import Folder, OptionKind, named, use_data

_WORKERS = 4  # unless more are asked for: each takes a gigabyte or two, and the longest figure a third of the time


def run(
    *,
    paper: list[Annotated[str, named("papers")]] | None = None,
    only: list[Annotated[str, named("figures")]] | None = None,
    quick: bool = False,
    full: bool = False,
    fresh: bool = False,
    workers: Annotated[int | None, OptionKind("N", least=1)] = None,
    data: Folder | None = None,
    out: Folder = Path("out/figures"),
    json: bool = False,
) -> int:
    """Make the papers' figures and tables, and check their claims.

    Numbers, parameters and seeds stand beside each figure. What is unchanged is not computed again. The exit code
    is 1 if a figure fails or a claim does not hold.

    Args:
        paper: acceleration, consensus, heuristics or local; may be repeated.
        only: One figure; may be repeated.
        quick: Smaller sizes, said on the figure; the default.
        full: The papers' own scale.
        fresh: Compute anew what is there already.
        workers: Processes; by default one per processor, four at most.
        data: Where mnist and physionet2012 lie; else ODESCENT_DATA says.
        out: Where pictures and code go.
        json: Print one JSON document, for machines.

    Examples:
        odescent figures
        odescent figures --paper acceleration --out figures
        odescent figures --only acceleration/manifold --full
    """
    use_data(data)
    if quick and full:
        raise OdescentError("--quick and --full were both given; give one of them.")
    from ..._support.processes import processors
    from ...paper_figs import papers as known
    from ...paper_figs import regenerate, summary

    scale = regenerate.SCALES[int(full)]
    chosen = known.find(paper or (), only or ())
    if not chosen:
        raise OdescentError(f"there are no figures of {' and '.join(paper or ())} yet.")
    report = console.note if json else console.say
    workers = workers or min(processors(), _WORKERS)
    found = regenerate.regenerate(chosen, out, scale, fresh=fresh, workers=workers, report=report)
    written = summary.write(found, scale, out)
    text = "\n".join(["", summary.text(found, console.width()), *map(str, written)])
    console.answer(json, text, summary.plain(found, scale, out), marks=summary.MARKS)
    return int(any(made.wrong for made in found))
