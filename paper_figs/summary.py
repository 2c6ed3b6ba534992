"""The claims of all figures in one table: claim, expected, measured, verdict; as text, Markdown, CSV and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._support.files import make_folder, write_whole
from ..analysis.sweeps.jobs import csv_text
from .claims import HOLDS, UNDECIDED, WRONG
from .entry import Scale
from .papers import PAPERS
from .regenerate import Made, standing

SCHEMA = "odescent.figures/1"
COLUMNS = ("paper", "figure", "claim", "expected", "measured", "verdict")
MARKS = [
    (rf"^(  {HOLDS})", "green"),
    (rf"^(  {WRONG})", "bold red"),
    (rf"^(  {UNDECIDED})", "yellow"),
    (r"^(\S+/\S+)", "bold"),
    (r"( failed: .*)$", "bold red"),
]


def rows(found: Sequence[Made]) -> list[list[str]]:
    """One row for each claim, under `COLUMNS`; a figure that failed has one row with the error."""
    table = []
    for made in found:
        if made.error is not None:
            table.append([made.paper, made.name, made.title, "", made.error, "failed"])
        for c in made.claims:
            table.append([made.paper, made.name, c.text, c.expected.text, c.shown, c.verdict])
    return table


def text(found: Sequence[Made], width: int) -> str:
    """The table for a terminal: verdict, claim, expectation and measurement under each figure's title."""
    lines = []
    for made in found:
        heads = [f"{made.who}: {made.title}"]
        if made.error is not None:
            heads.append(f"{made.who} failed: {made.error}")
        lines.append("")
        for head in heads:
            lines += textwrap.wrap(head, width, subsequent_indent="  ", break_on_hyphens=False)
        for c in made.claims:
            said = f"{c.text} Expected {c.expected.text}; measured {c.shown}."
            lines += textwrap.wrap(
                said,
                width,
                initial_indent=f"  {c.verdict:<16}",
                subsequent_indent=" " * 18,
                break_on_hyphens=False,
            )
    return "\n".join([*lines[1:], "", totals(found)])


def totals(found: Sequence[Made]) -> str:
    """One sentence of counts."""
    verdicts = [c.verdict for made in found for c in made.claims]
    failed = sum(made.error is not None for made in found)
    counts = [
        f"{verdicts.count(v)} {v.replace('does', 'do')}"
        for v in (WRONG, UNDECIDED)
        if v in verdicts
    ]
    held = f"{verdicts.count(HOLDS)} of {len(verdicts)} claims hold"
    figures = f"{len(found) - failed} of {len(found)} figures"
    return f"{figures}: {'; '.join([held.replace('holds', 'hold'), *counts])}."


def plain(found: Sequence[Made], scale: Scale, out: Path) -> dict[str, Any]:
    """The table as plain data, schema ``odescent.figures/1``.

    Args:
        found: the figures.
        scale: at which they were computed.
        out: the output folder.
    """
    return {
        "schema": SCHEMA,
        "scale": scale,
        "out": str(out),
        "figures": [
            {
                "paper": made.paper,
                "name": made.name,
                "title": made.title,
                "computed": made.again,
                "seconds": round(made.seconds, 2),
                "error": made.error,
                "claims": [c.to_dict() for c in made.claims],
                "files": [str(f) for f in made.files],
            }
            for made in found
        ],
        "summary": totals(found),
    }


def write(found: Sequence[Made], scale: Scale, out: Path) -> tuple[Path, ...]:
    """Write the table of all figures in ``out/SCALE``: as ``claims.csv``, and with the pictures as ``figures.md``.

    Args:
        found: the figures made now; those of earlier runs of the same code are added.
        scale: at which they were computed.
        out: the output folder.

    Returns:
        The two files.
    """
    found = standing(found, out, scale)
    folder = out / scale
    make_folder(folder)
    files = folder / "claims.csv", folder / "figures.md"
    write_whole(files[0], csv_text(COLUMNS, rows(found)))
    write_whole(files[1], _page(found, scale))
    return files


def _page(found: Sequence[Made], scale: Scale) -> str:
    parts = [f"# Figures, {scale}", totals(found)]
    for paper in dict.fromkeys(made.paper for made in found):
        known = PAPERS.get(paper)
        parts.append(
            f"## {known.title if known else paper}" + (f" ({known.source})" if known else "")
        )
        for made in (m for m in found if m.paper == paper):
            parts += [f"### {made.name}", made.title]
            if made.error is not None:
                parts.append(f"**Failed:** `{made.error}`")
                continue
            parts.append(f"![{made.title}]({paper}/{made.name}.png)")
            table = [f"| {' | '.join(COLUMNS[2:])} |", "|" + "---|" * len(COLUMNS[2:])]
            table += [f"| {' | '.join(_cell(v) for v in row[2:])} |" for row in rows([made])]
            parts.append("\n".join(table))
    return "\n\n".join(parts) + "\n"


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
