"""What the Python of a page prints, below each block: run when the site is built, never pasted."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
import types

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def with_output(markdown: str, where: str) -> str:
    """The page with a box after each block that printed; a block that fails stops the build.

    Blocks run from top to bottom in one namespace, as a reader would paste them (tests/test_docs.py does the
    same), in a folder of their own. A page that prints nothing is not run.
    """
    blocks = list(_BLOCK.finditer(markdown))
    printing = [number for number, block in enumerate(blocks) if "print(" in block[1]]
    if not printing:
        return markdown
    pasted = types.ModuleType("pasted")  # what processes import must be in a module
    sys.modules["pasted"] = pasted
    parts, end, here = [], 0, os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for block in blocks[: printing[-1] + 1]:
                parts += [markdown[end : block.end()], _box(_run(block[1], pasted, where))]
                end = block.end()
        finally:
            os.chdir(here)
    return "".join([*parts, markdown[end:]])


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
