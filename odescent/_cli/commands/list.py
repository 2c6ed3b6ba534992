"""``odescent list``: the entries of the registries, each with the first sentence of its docstring."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from ..._support.errors import unknown
from ..base import console
from ..base.registries import KINDS
from ..base.values import named

Entry = dict[str, Any]


def run(kind: Annotated[str, named("kinds", metavar="KIND")] = "", *, json: bool = False) -> None:
    """List registered names.

    Args:
        kind: systems, algorithms, schemes, objectives, maps, derivations, targets, tasks, regularizers, papers or
            figures; or a word, for what has it in its name or description; all by default.
        json: Print one JSON document, for machines.

    Examples:
        odescent list
        odescent list algorithms --json
        odescent list momentum
    """
    found = {name: entries(name) for name in KINDS if kind not in KINDS or kind == name}
    if kind not in KINDS:
        having = {name: [e for e in listed if _has(e, kind)] for name, listed in found.items()}
        found = {name: listed for name, listed in having.items() if listed}
    if not found:
        raise unknown("kind or entry", kind, KINDS)
    text = "\n\n".join(_table(name, listed) for name, listed in found.items())
    console.answer(
        json, text, found, "odescent.list/1", [(r"^\w+$", "bold"), (r"^  (\S+)", "cyan")]
    )


def _table(kind: str, entries: list[Entry]) -> str:
    labels = [f"  {_label(e)}" for e in entries]
    left = max(map(len, labels), default=0) + 2
    lines = [kind]
    for label, entry in zip(labels, entries, strict=True):
        room = console.width() - left
        summary = textwrap.wrap(entry["summary"], room, break_on_hyphens=False) or [""]
        lines.append(f"{label:<{left}}{summary[0]}".rstrip())
        lines += [" " * left + line for line in summary[1:]]
    return "\n".join(lines)


def _has(entry: Entry, word: str) -> bool:
    return word.lower() in f"{_label(entry)} {entry['summary']}".lower()


def _label(entry: Entry) -> str:
    label = str(entry["name"])
    if entry.get("routes"):
        label += f" ({', '.join(entry['routes'])})"
    if entry.get("aliases"):
        label += f", or {', '.join(entry['aliases'])}"
    return label


def entries(kind: str) -> list[Entry]:
    """What there is of a kind: by name, with a summary, and aliases and routes where a kind has them."""
    if kind == "papers":
        from ...paper_figs import PAPERS

        return [{"name": n, "summary": f"{p.title} ({p.source})"} for n, p in PAPERS.items()]
    if kind == "figures":
        from ...paper_figs import find

        return [{"name": f"{p}/{f.name}", "summary": f.title.rstrip(".")} for p, f in find()]
    registry: Any = KINDS.entry(kind)
    found: list[Entry] = [
        {"name": name, "summary": _summary(registry, name)} for name in registry.names()
    ]
    for entry in found:
        if kind == "derivations":
            _with_routes(entry)
        if registry.aliases:
            entry["aliases"] = sorted(
                a for a in registry.aliases if registry.full(a) == entry["name"]
            )
    return found


def _with_routes(entry: Entry) -> None:
    """An algorithm with the routes of its derivations, summarized as the preferred one."""
    from ...discretize.routes import REGISTRY, routes

    entry["routes"] = known = routes(entry["name"])
    preferred = f"{entry['name']}/{known[0]}"
    if preferred in REGISTRY:
        entry["summary"] = _summary(REGISTRY, preferred)


def _summary(registry: Any, name: str) -> str:
    """What the function of an entry says of itself, or the module of one that is an object there."""
    module, _, attribute = registry.entries[name].partition(":")
    documented = _docstrings(f"{registry.package}.{module}")
    return documented.get("" if attribute.isupper() else attribute or name, "")


@cache
def _docstrings(module: str) -> dict[str, str]:
    """First sentences of a module (under "") and of what it defines, read without importing it: some import JAX."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    defined = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    found = {"": ast.get_docstring(tree), **{d.name: ast.get_docstring(d) for d in defined}}
    return {name: _first_sentence(text or "") for name, text in found.items()}


def _first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, without what ends it."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[\w\])])[.;] ", paragraph)[0].rstrip(".").removesuffix(", where")
