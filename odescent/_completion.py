"""What a shell completes: names out of the registries' source text, so that no key press waits for an import.

To import the registries takes the better part of a second, most of it SymPy; a shell asks anew at every key press.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

# By kind: files, and names in them whose dictionary has the kind's names as its keys.
_TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "systems": (("dynamics/library/__init__.py", "REGISTRY"),),
    "algorithms": (
        ("discretize/library/__init__.py", "REGISTRY"),
        ("discretize/library/__init__.py", "ALIASES"),
    ),
    "schemes": (("discretize/library/schemes.py", "_SCHEMES"),),
    "objectives": (("dynamics/problems/__init__.py", "REGISTRY"),),
    "derivations": (("discretize/routes/__init__.py", "REGISTRY"),),
    "targets": (("discretize/emit/__init__.py", "BACKENDS"),),
    "tasks": (("neural_de/tasks/__init__.py", "TASKS"),),
    "regularizers": (("neural_de/penalties/__init__.py", "REGULARIZERS"),),
    "papers": (("paper_figs/papers.py", "PAPERS"),),
    "kinds": (("_cmd_list.py", "KINDS"),),
}
Complete = Callable[[str], list[str]]


def names(*kinds: str, files: str = "") -> Complete:
    """Completion of the names of some kinds, and of files that end in ``files``."""

    def complete(incomplete: str) -> list[str]:
        found = [name for kind in kinds for name in known(kind) if name.startswith(incomplete)]
        return [*dict.fromkeys(found), *(_files(incomplete, files) if files else ())]

    return complete


def words(*choices: str) -> Complete:
    """Completion of a few fixed words."""
    return lambda incomplete: [w for w in choices if w.startswith(incomplete)]


def routes(incomplete: str) -> list[str]:
    """Completion of the routes of derivations."""
    found = {key.split("/")[1] for key in _table(*_TABLES["derivations"][0])}
    return sorted(r for r in found if r.startswith(incomplete))


def known(kind: str) -> list[str]:
    """All names of a kind; none where the source cannot be read."""
    if kind == "figures":  # they are made of data in many files
        from .paper_figs import find

        return [f"{paper}/{figure.name}" for paper, figure in find()]
    found = [key for place in _TABLES[kind] for key in _table(*place)]
    if kind == "derivations":
        found = [key.split("/")[0] for key in found]
        aliases = _table("discretize/library/__init__.py", "ALIASES")
        found += [short for short, full in aliases.items() if full in found]
    return sorted(set(found))


def _table(file: str, name: str) -> dict[str, str]:
    """The keys of the dictionary that a name is bound to, or that is an argument of what it is bound to."""
    try:
        tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not any(isinstance(t, ast.Name) and t.id == name for t in targets):
            continue
        value = getattr(node, "value", None)
        within = [value, *getattr(value, "args", ())]
        for found in (w for w in within if isinstance(w, ast.Dict)):
            pairs = zip(found.keys, found.values, strict=True)
            return {
                k.value: str(getattr(v, "value", ""))
                for k, v in pairs
                if isinstance(k, ast.Constant) and isinstance(k.value, str)
            }
    return {}


def _files(incomplete: str, suffix: str) -> list[str]:
    """Files with that suffix, and folders, that continue a path."""
    folder, _, begun = incomplete.rpartition("/")
    at = Path(folder + "/" if folder or incomplete.startswith("/") else ".")
    prefix = incomplete[: len(incomplete) - len(begun)]
    try:
        entries = sorted(at.iterdir())
    except OSError:
        return []
    found = [e for e in entries if e.name.startswith(begun) and not e.name.startswith(".")]
    return [
        prefix + e.name + ("/" if e.is_dir() else "")
        for e in found
        if e.name.endswith(suffix) or (e.is_dir() and (begun or prefix))
    ]
