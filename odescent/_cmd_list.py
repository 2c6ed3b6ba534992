"""``odescent list``: what the registries hold, each entry with the first sentence of its docstring."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from . import _console
from ._errors import unknown
from ._registry import Registry

Entry = dict[str, Any]


def run(kind: str, as_json: bool) -> None:
    """Print the entries of one kind, or of all."""
    if kind and kind not in KINDS:
        raise unknown("list of", kind, KINDS)
    found = {name: entries() for name, entries in KINDS.items() if kind in ("", name)}
    if as_json:
        _console.say_exactly(_console.document(found, "odescent.list/1"))
    else:
        text = "\n\n".join(_table(name, entries) for name, entries in found.items())
        _console.say(text, [(r"^\w+$", "bold"), (r"^  (\S+)", "cyan")])


def _table(kind: str, entries: list[Entry]) -> str:
    labels = [f"  {_label(e)}" for e in entries]
    left = max(map(len, labels), default=0) + 2
    lines = [kind]
    for label, entry in zip(labels, entries, strict=True):
        room = _console.width() - left
        summary = textwrap.wrap(entry["summary"], room, break_on_hyphens=False) or [""]
        lines.append(f"{label:<{left}}{summary[0]}".rstrip())
        lines += [" " * left + line for line in summary[1:]]
    return "\n".join(lines)


def _label(entry: Entry) -> str:
    label = str(entry["name"])
    if entry.get("routes"):
        label += f" ({', '.join(entry['routes'])})"
    if entry.get("aliases"):
        label += f", or {', '.join(entry['aliases'])}"
    return label


def _systems() -> list[Entry]:
    from .dynamics.library import REGISTRY

    return _registered(REGISTRY)


def _algorithms() -> list[Entry]:
    from .discretize.library import ALIASES, REGISTRY

    return [{**e, "aliases": _aliases(e["name"], ALIASES)} for e in _registered(REGISTRY)]


def _derivations() -> list[Entry]:
    from .discretize.library import ALIASES
    from .discretize.library import REGISTRY as ALGORITHMS
    from .discretize.routes import REGISTRY, routes

    summaries = {e["name"]: e["summary"] for e in _registered(REGISTRY)}
    directly = {e["name"]: e["summary"] for e in _registered(ALGORITHMS)}
    found = []
    for name in ALGORITHMS.names():
        known = routes(name)
        summary = summaries.get(f"{name}/{known[0]}", directly[name])
        aliases = _aliases(name, ALIASES)
        found.append({"name": name, "summary": summary, "routes": known, "aliases": aliases})
    return found


def _schemes() -> list[Entry]:
    from .discretize.library.schemes import REGISTRY

    return _registered(REGISTRY)


def _objectives() -> list[Entry]:
    from .dynamics.problems import REGISTRY

    return _registered(REGISTRY)


def _targets() -> list[Entry]:
    from .discretize import emit

    found = []
    for name in emit.targets():
        module = emit.BACKENDS[name].partition(":")[0]
        summary = _docstrings(f"{emit.__name__}.{module}").get("", "")
        found.append({"name": name, "summary": summary})
    return found


def _tasks() -> list[Entry]:
    from .neural_de.tasks import TASKS

    return _registered(TASKS)


def _regularizers() -> list[Entry]:
    from .neural_de.penalties import REGULARIZERS

    return _registered(REGULARIZERS)


def _papers() -> list[Entry]:
    from .paper_figs import PAPERS

    return [{"name": n, "summary": f"{p.title} ({p.source})"} for n, p in PAPERS.items()]


def _figures() -> list[Entry]:
    from .paper_figs import find

    return [{"name": f"{p}/{f.name}", "summary": f.title.rstrip(".")} for p, f in find()]


def _registered(registry: Registry[Any]) -> list[Entry]:
    found = []
    for name in registry.names():
        module, _, function = registry.entries[name].partition(":")
        documented = _docstrings(f"{registry.package}.{module}")
        found.append({"name": name, "summary": documented.get(function or name, "")})
    return found


def _aliases(name: str, aliases: dict[str, str]) -> list[str]:
    return sorted(short for short, full in aliases.items() if full == name)


@cache
def _docstrings(module: str) -> dict[str, str]:
    """First sentences of a module (under "") and of its functions, read without importing it: some import JAX."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return {}
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    found = {"": ast.get_docstring(tree), **{f.name: ast.get_docstring(f) for f in functions}}
    return {name: _first_sentence(text or "") for name, text in found.items()}


def _first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, without what ends it."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return re.split(r"(?<=[\w\])])[.;] ", paragraph)[0].rstrip(".").removesuffix(", where")


KINDS: dict[str, Callable[[], list[Entry]]] = {
    "systems": _systems,
    "algorithms": _algorithms,
    "schemes": _schemes,
    "objectives": _objectives,
    "derivations": _derivations,
    "targets": _targets,
    "tasks": _tasks,
    "regularizers": _regularizers,
    "papers": _papers,
    "figures": _figures,
}
