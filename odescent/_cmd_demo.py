"""``odescent demo``: the main job on real data."""

from __future__ import annotations

from pathlib import Path

from . import _console
from ._errors import OdescentError


def run(out: Path, quick: bool, as_json: bool) -> None:
    """Derive, emit, run and draw; the report goes to the terminal, the files into a folder."""
    if out.exists() and not out.is_dir():
        raise OdescentError(
            f"the demo writes into a folder, but {str(out)!r} is a file: give another --out."
        )
    from . import _demo

    result = _demo.run(out, quick, _console.note if as_json else _console.say)
    if as_json:
        _console.say_exactly(_console.document(result, "odescent.demo/1"))
