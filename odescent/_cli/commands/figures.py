"""``odescent figures``: figures and tables that check the papers' claims."""

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
    """Compute figures and tables for the papers' claims, and check these.

    The figures are our own: of the papers only the abstracts, and the code of two, were available.
    Numbers, parameters and seeds are stored with each figure. Unchanged figures are not recomputed. The exit code
    is 1 if a figure fails or a claim does not hold.

    Args:
        paper: acceleration, consensus, heuristics, local, operators or samples; may be repeated.
        only: One figure; may be repeated.
        quick: Reduced sizes, stated on the figure; the default.
        full: The papers' scale, as far as it is known.
        fresh: Recompute stored results.
        workers: Processes; by default one per processor, four at most.
        data: Folder of mnist and physionet2012; by default ODESCENT_DATA.
        out: Folder for figures and data.
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
    from ...paper_figs.entry import SCALES

    scale = SCALES[int(full)]
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
