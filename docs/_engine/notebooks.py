"""The notebooks: scripts in percent format, executed when the site is built, each a page, a notebook and a script."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
SECONDS = 600  # for one cell, on a slow machine
_SHOWN = ("text/html", "image/png", "text/latex", "text/plain")  # the first that there is
_MARK = re.compile(r"^# %%(.*)$", re.MULTILINE)
_executed: dict[str, Future[Any]] = {}


@dataclass(frozen=True)
class Cell:
    """A cell: its text without the marks of comments if ``prose``, else its code."""

    prose: bool
    source: str


def names() -> list[str]:
    """The names of the notebooks."""
    return sorted(p.stem for p in FOLDER.glob("*.py"))


def cells(name: str) -> list[Cell]:
    """The cells of a script: ``# %%`` begins one of code, ``# %% [markdown]`` one of text in comments."""
    _, *parts = _MARK.split((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    return [
        _cell(m.strip() == "[markdown]", s) for m, s in zip(parts[::2], parts[1::2], strict=True)
    ]


def _cell(prose: bool, source: str) -> Cell:
    text = source.strip("\n")
    return Cell(prose, re.sub(r"^# ?", "", text, flags=re.MULTILINE) if prose else text)


def notebook(name: str) -> Any:
    """The notebook of a script, without outputs."""
    from nbformat import v4

    made = [(v4.new_markdown_cell if c.prose else v4.new_code_cell)(c.source) for c in cells(name)]
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"  # the same at every build
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=made, metadata={"kernelspec": kernel})


def begin(execute: bool = True) -> None:
    """Execute all notebooks while the pages are made, as many at once as there are processors; or only make them."""
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    make = executed if execute else notebook
    _executed.update({name: pool.submit(make, name) for name in names()})
    pool.shutdown(wait=False)


def executed(name: str) -> Any:
    """The notebook with its outputs; SystemExit with the cell that fails."""
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    made = notebook(name)
    with tempfile.TemporaryDirectory() as folder:
        # by files instead of ports: nobody else connects
        place = str(Path(folder) / "kernel.json")
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", connection_file=place)
        client = NotebookClient(
            made,
            kernel,
            timeout=SECONDS,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        try:
            asyncio.run(client.async_execute(cleanup_kc=True))
        except CellExecutionError as error:
            raise SystemExit(f"notebooks/{name}.py: a cell fails:\n{error}") from error
    return made


def pages() -> dict[str, str]:
    """The Markdown of the pages by address: each is its notebook, and nothing else."""
    return {f"notebooks/{name}.md": f"<!-- engine: notebook {name} -->\n" for name in names()}


def page(name: str) -> tuple[str, str]:
    """An executed notebook as Markdown with HTML in it, and as the text of a notebook file."""
    import nbformat

    made = _executed[name].result()
    first, *rest = made.cells
    links = (
        f"*This page is a notebook, executed when the site was built: download it [as a notebook]({name}.ipynb) or "
        f"[as a script]({name}.py).*"
    )
    parts = [first.source, links]
    for cell in rest:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts += [f"```python\n{cell.source}\n```", *_outputs(cell.outputs)]
    return "\n\n".join(parts) + "\n", nbformat.writes(made)


def _outputs(outputs: Any) -> Iterator[str]:
    """What a cell printed and showed."""
    for output in outputs:
        if output.output_type == "stream":
            yield f"``` {{ .text .output }}\n{output.text.rstrip()}\n```"
            continue
        kind = next(k for k in _SHOWN if k in output.data)
        shown = output.data[kind]
        if kind == "text/html":
            yield f'<div class="shown">{_one_line(shown)}</div>'
        elif kind == "image/png":
            size = output.metadata.get(kind, {})
            sides = " ".join(f'{side}="{points}"' for side, points in size.items())
            yield f'<div class="shown">{_image(base64.b64decode(shown), sides)}</div>'
        elif kind == "text/latex":
            yield f"$$\n{shown.strip().strip('$').strip()}\n$$"
        else:
            yield f"``` {{ .text .output }}\n{shown.rstrip()}\n```"


def _image(data: bytes, sides: str) -> str:
    return (
        f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}" {sides} alt="figure">'
    )


def _one_line(made: str) -> str:
    """HTML that Markdown leaves as it is: in one line, with the line ends of text as references."""
    kept = re.sub(r"<pre\b.*?</pre>", lambda m: m[0].replace("\n", "&#10;"), made, flags=re.DOTALL)
    return kept.replace("\n", " ")
