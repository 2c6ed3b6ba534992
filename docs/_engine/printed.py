"""Output of the Python blocks of a page, text and pictures, generated when the site is built."""

from __future__ import annotations

import base64
import contextlib
import io
import re
import sys
import tempfile
import types
from collections.abc import Sequence
from pathlib import Path

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_WITH_TORCH = re.compile(
    r"^```(?:python| \{ \.python \.torch \})\n(?P<code>.*?)^```$"
    r"(?:\n+``` \{ \.text \.output \}\n(?P<said>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


def with_output(markdown: str, where: str) -> str:
    """The page with a box after each block that printed, and the pictures that it saved as `NAME.svg`.

    A block that fails stops the build. A page is run up to its last output; tests/test_docs.py runs all of it.
    """
    found = list(_BLOCK.finditer(markdown))
    telling = [number for number, b in enumerate(found) if "print(" in b[1] or ".svg" in b[1]]
    shown = found[: telling[-1] + 1] if telling else []
    parts, end = [], 0
    for block, (said, drawn) in zip(shown, _results([b[1] for b in shown], where), strict=True):
        parts += [markdown[end : block.end()], _box(said), *map(_picture, drawn.items())]
        end = block.end()
    return "".join([*parts, markdown[end:]])


def blocks(markdown: str) -> list[str]:
    """The Python blocks of a page, without those marked .long, which train for minutes."""
    return _BLOCK.findall(markdown)


def with_torch(markdown: str) -> list[tuple[str, str | None]]:
    """The Python blocks of a page, those marked .torch among them, each with the output that is written below it.

    The site is built without PyTorch, so the output of its blocks is part of the page; tests/test_docs.py compares it.
    """
    found = list(_WITH_TORCH.finditer(markdown))
    return [(b["code"], None if b["said"] is None else b["said"].rstrip()) for b in found]


def outputs(blocks: Sequence[str], where: str) -> list[str]:
    """The output of each block, run in order in one namespace.

    The namespace is a module called `pasted`, since worker processes import functions by name; files are written to a
    temporary folder.
    Raises SystemExit with the page and the block that fails.
    """
    return [said for said, _ in _results(blocks, where)]


def _results(blocks: Sequence[str], where: str) -> list[tuple[str, dict[str, bytes]]]:
    """The output of each block, and the pictures that it saved, by name."""
    pasted = sys.modules["pasted"] = types.ModuleType("pasted")
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            return [_run(block, pasted, where) for block in blocks]
    finally:
        del sys.modules["pasted"]


def _run(code: str, pasted: types.ModuleType, where: str) -> tuple[str, dict[str, bytes]]:
    import matplotlib.pyplot as plt

    said, before = io.StringIO(), set(Path().glob("*.svg"))
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(code, where, "exec"), pasted.__dict__)  # noqa: S102  our own pages
        except Exception as error:
            raise SystemExit(f"{where}: a block fails with {error!r}:\n{code}") from error
    plt.close("all")
    drawn = sorted(set(Path().glob("*.svg")) - before)
    return said.getvalue().rstrip(), {path.stem: path.read_bytes() for path in drawn}


def _box(said: str) -> str:
    return f"\n\n``` {{ .text .output }}\n{said}\n```\n" if said else ""


def _picture(drawn: tuple[str, bytes]) -> str:
    name, data = drawn
    address = f"data:image/svg+xml;base64,{base64.b64encode(data).decode()}"
    return f'\n\n<figure><img src="{address}" alt="{name.replace("_", " ")}"></figure>\n'
