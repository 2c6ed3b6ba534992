"""``odescent demo``: the main job on real data."""

from __future__ import annotations

from pathlib import Path

from . import _console
from ._files import make_folder


def run(out: Path, quick: bool, as_json: bool) -> None:
    """Derive, emit, run and draw; the report goes to the terminal, the files into a folder."""
    make_folder(out)
    from . import _demo  # slow

    result = _demo.run(out, quick, _console.note if as_json else _console.say)
    if as_json:
        _console.say_exactly(_console.document(result, "odescent.demo/1"))
