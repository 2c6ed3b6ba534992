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
    inputs = list(dict.fromkeys(n for own, _, _ in jobs for n in own))
    results: dict[str, None] = {}
    for _, result, _ in jobs:
        for name in (
            result if isinstance(result, Mapping) else () if result is None else ("result",)
        ):
            results[name] = None
    failed = any(error is not None for _, _, error in jobs)
    taken = set(inputs)
    names = [
        *inputs,
        *(n if n not in taken else f"result.{n}" for n in results),
        *(["error"] * failed),
    ]
    rows = []
    for own, result, error in jobs:
        entries = (
            result if isinstance(result, Mapping) else {} if result is None else {"result": result}
        )
        row = [own.get(n) for n in inputs] + [entries.get(n) for n in results]
        rows.append(row + [_last_line(error)] * failed)
    return names, rows


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
