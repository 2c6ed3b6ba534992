"""What a page can ask of the engine."""

from __future__ import annotations

import html
import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gallery

import odescent as od

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


class Markdown(str):
    """Text that is converted with the page around it."""


@dataclass(frozen=True)
class Site:
    """Where the page goes: ``folder`` is the root of the site."""

    folder: Path
    page: Any

    def asset(self, name: str) -> tuple[Path, str]:
        """A file to write, and its address as seen from the page."""
        path = self.folder / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        here = (self.folder / self.page.file.dest_uri).parent
        return path, os.path.relpath(path, here).replace(os.sep, "/")


def derivation(site: Site, name: str, route: str | None = None) -> str:
    """A derivation, whole."""
    return _whole(od.derive(name, **({} if route is None else {"route": route})))


def energy_balance(site: Site) -> str:
    """Why heavy ball cycles: the energy of its steps."""
    return _whole(od.analysis.energy_balance())


def _whole(found: Any) -> str:
    from odescent.discretize.proof.page import article, subtitle

    if not found.verified:
        raise SystemExit(f"the derivation of {found.name} is not verified.")
    body = _nested_headings(article(found))
    return f"<article class=derivation><p><b>{html.escape(subtitle(found))}</b></p>{body}</article>"


def equations(site: Site, name: str) -> str:
    """The three equations of an algorithm."""
    from odescent.discretize.proof.page import _equations

    found = od.algorithm(name).derivation()
    body = _nested_headings(_equations(found))
    return f"<article class=derivation>{body}</article>"


def _nested_headings(made: str) -> str:
    """Headings below those of the page, and tables that are not the page's."""
    made = made.replace("<h2>", "<h4>").replace("</h2>", "</h4>")
    return made.replace("<table>", '<table class="claims-table">')


def source(site: Site, name: str, target: str, function: str | None = None) -> Markdown:
    """The emitted source, or one function of it."""
    text = od.algorithm(name).source(target)
    if function is not None:
        lines = text.splitlines()
        begin = next(i for i, line in enumerate(lines) if line.startswith(f"def {function}("))
        end = next(
            (i for i in range(begin + 1, len(lines)) if lines[i][:1] not in {"", " ", ")"}), None
        )
        text = "\n".join(lines[begin:end]).rstrip()
    language = {"latex": "latex", "markdown": "text"}.get(target, "python")
    return Markdown(f"```{language}\n{text.rstrip()}\n```")


def run(site: Site, *command: str) -> Markdown:
    """A command and what it prints."""
    from typer.testing import CliRunner

    from odescent.cli import app

    done = CliRunner().invoke(app, list(command[1:]), env={"COLUMNS": "88", "NO_COLOR": "1"})
    if done.exit_code != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.output}")
    return Markdown(f"```console\n$ {' '.join(command)}\n{done.stdout.rstrip()}\n```")


def figure(site: Site, name: str) -> str:
    """A picture of the gallery."""
    import matplotlib.pyplot as plt

    function = gallery.PICTURES[name]
    path, address = site.asset(f"{name}.svg")
    if not path.exists():
        drawn = function()
        drawn.savefig(path)
        plt.close(drawn)
    caption = html.escape(inspect.cleandoc(function.__doc__ or ""))
    return (
        f'<figure><img src="{address}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )


def explored(site: Site, caption: str, name: str, *options: str) -> str:
    """What the explorer shows first for a method and options of `odescent explore`."""
    path, address = site.asset(f"explore_{name}.svg")
    run(site, "odescent", "explore", name, *options, "--out", str(path))
    said = html.escape(caption)
    return f'<figure class="wide"><img src="{address}" alt="{said}"><figcaption>{said}</figcaption></figure>'


def pictures(site: Site) -> Markdown:
    """The whole gallery, each picture with the code that draws it."""
    parts = []
    for name, function in gallery.PICTURES.items():
        lines = inspect.getsource(function).splitlines()
        body = inspect.cleandoc("\n".join(lines[_first_line(lines) :]))
        body = re.sub(r"^return (?:\w+$)?", "", body, flags=re.MULTILINE).rstrip()
        parts.append(
            f"## {name.replace('_', ' ').capitalize()}\n\n{_nested(figure(site, name))}\n\n"
            f"```python\n{body}\n```\n"
        )
    return Markdown("\n".join(parts))


def _first_line(lines: list[str]) -> int:
    """Where the body of a function begins, after its docstring."""
    quotes = [i for i, line in enumerate(lines) if '"""' in line]
    return quotes[0] + 1 if lines[quotes[0]].count('"""') == 2 else quotes[1] + 1


def _nested(made: str) -> str:
    return made.replace("\n", " ")


def registry(site: Site, kind: str) -> Markdown:
    """The names of a registry with the first sentence of what they are."""
    from odescent._cli.commands.list import entries

    rows = [f"| `{e['name']}` | {_cell(e['summary'])} |" for e in entries(kind)]
    return Markdown("\n".join(["| name | what it is |", "|---|---|", *rows]))


def recorded(site: Site, name: str) -> Markdown:
    """The tables of a recorded benchmark, with the day and the machine."""
    text = (RESULTS / f"{name}.txt").read_text(encoding="utf-8")
    known = dict(re.findall(r"^(\w+) {2,}(.+)$", text, re.MULTILINE))
    tables = [line for line in text.splitlines() if line.startswith("|")]
    if not tables:
        raise SystemExit(f"benchmarks/results/{name}.txt has no table.")
    return Markdown("\n".join([*tables, "", f"Recorded on {known['date']}: {known['machine']}."]))


def _cell(said: str) -> str:
    return said.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_").replace("$", r"\$")


VERBS: dict[str, Callable[..., str]] = {
    "derivation": derivation,
    "energy_balance": energy_balance,
    "equations": equations,
    "source": source,
    "run": run,
    "figure": figure,
    "explored": explored,
    "pictures": pictures,
    "registry": registry,
    "recorded": recorded,
}
