"""Output of the Python blocks of a page, generated when the site is built."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import types
from collections.abc import Sequence

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def with_output(markdown: str, where: str) -> str:
    """The page with a box after each block that printed; a block that fails stops the build.

    A page is run up to its last output; tests/test_docs.py runs the pages completely.
    """
    found = list(_BLOCK.finditer(markdown))
    printing = [number for number, block in enumerate(found) if "print(" in block[1]]
    shown = found[: printing[-1] + 1] if printing else []
    parts, end = [], 0
    for block, said in zip(shown, outputs([b[1] for b in shown], where), strict=True):
        parts += [markdown[end : block.end()], _box(said)]
        end = block.end()
    return "".join([*parts, markdown[end:]])


def blocks(markdown: str) -> list[str]:
    """The Python blocks of a page, without those marked .long, which train for minutes."""
    return _BLOCK.findall(markdown)


def outputs(blocks: Sequence[str], where: str) -> list[str]:
    """The output of each block, run in order in one namespace.

    The namespace is a module called `pasted`, since worker processes import functions by name; files are written to a
    temporary folder.
    Raises SystemExit with the page and the block that fails.
    """
    pasted = sys.modules["pasted"] = types.ModuleType("pasted")
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            return [_run(block, pasted, where) for block in blocks]
    finally:
        del sys.modules["pasted"]


def _run(code: str, pasted: types.ModuleType, where: str) -> str:
    import matplotlib.pyplot as plt

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(code, where, "exec"), pasted.__dict__)  # noqa: S102  our own pages
        except Exception as error:
            raise SystemExit(f"{where}: a block fails with {error!r}:\n{code}") from error
    plt.close("all")
    return said.getvalue().rstrip()


def _box(said: str) -> str:
    return f"\n\n``` {{ .text .output }}\n{said}\n```\n" if said else ""
