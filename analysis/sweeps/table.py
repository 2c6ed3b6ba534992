"""Rows of a sweep as aligned text and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def columns_of(
    jobs: Sequence[tuple[Mapping[str, Any], Any, str | None]],
) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of (inputs, result, error); the entries of a result that is a dict are columns."""
    entries: list[Mapping[str, Any]] = [
        r if isinstance(r, Mapping) else {} if r is None else {"result": r} for _, r, _ in jobs
    ]
    inputs = list(dict.fromkeys(n for own, _, _ in jobs for n in own))
    results = list(dict.fromkeys(n for found in entries for n in found))
    failed = any(error is not None for _, _, error in jobs)
    names = [*inputs, *(f"result.{n}" if n in inputs else n for n in results)]
    rows = [
        [*map(own.get, inputs), *map(found.get, results), *[_last_line(error)] * failed]
        for (own, _, error), found in zip(jobs, entries, strict=True)
    ]
    return names + ["error"] * failed, rows


def _last_line(error: str | None) -> str | None:
    lines = (error or "").strip().splitlines()
    return lines[-1] if lines else None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        return f"array{value.shape}" if value.ndim else f"{value.item():.6g}"
    return " ".join(str(value).split())


def text_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under their names, numbers to the right; no trailing spaces."""
    cells = [[_shown(v) for v in row] for row in rows]
    numeric = [
        all(v is None or isinstance(v, (int, float)) for v in (row[i] for row in rows))
        for i in range(len(names))
    ]
    widths = [max(len(n), *(len(row[i]) for row in cells), 0) for i, n in enumerate(names)]

    def line(row: Sequence[str]) -> str:
        parts = [
            c.rjust(w) if right else c.ljust(w)
            for c, w, right in zip(row, widths, numeric, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(list(names)), *(line(row) for row in cells)])


def csv_text(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV with all digits; arrays as nested lists."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_whole(v) for v in row])
    return buffer.getvalue()


def _whole(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return "" if value is None else repr(value) if isinstance(value, float) else value
