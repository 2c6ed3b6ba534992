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
    "schemes": (("discretize/library/schemes.py", "REGISTRY"),),
    "objectives": (("dynamics/problems/__init__.py", "REGISTRY"),),
    "derivations": (
        ("discretize/library/__init__.py", "REGISTRY"),
        ("discretize/library/__init__.py", "ALIASES"),
    ),
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
    keys = _table("discretize/routes/__init__.py", "REGISTRY")
    found = {"direct", *(key.split("/")[1] for key in keys)}
    return sorted(r for r in found if r.startswith(incomplete))


def known(kind: str) -> list[str]:
    """All names of a kind; none where the source cannot be read."""
    if kind == "figures":
        return _figures()
    found = [key for place in _TABLES[kind] for key in _table(*place)]
    return sorted(set(found))


def _figures() -> list[str]:
    """As paper/figure: the first arguments of what the modules of each paper have in ``FIGURES``."""
    papers = _dictionary(_bound("paper_figs/papers.py", "PAPERS"))
    found = []
    for paper, entry in _pairs(papers):
        modules = [
            _text(m) for part in getattr(entry, "args", ()) for m in getattr(part, "elts", ())
        ]
        for module in modules:
            figures = getattr(_bound(f"paper_figs/{module}.py", "FIGURES"), "elts", ())
            found += [f"{paper}/{_text(figure.args[0])}" for figure in figures]
    return found


def _table(file: str, name: str) -> dict[str, str]:
    """The keys of the dictionary that a name is bound to, or that is an argument of what it is bound to."""
    return {key: _text(value) for key, value in _pairs(_dictionary(_bound(file, name)))}


def _bound(file: str, name: str) -> ast.expr | None:
    """What a name is bound to in a file of the package; None where that cannot be read."""
    try:
        tree = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return None
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return getattr(node, "value", None)
    return None


def _dictionary(value: ast.expr | None) -> ast.Dict | None:
    """A dictionary, or the one among the arguments of a call."""
    return next((v for v in [value, *getattr(value, "args", ())] if isinstance(v, ast.Dict)), None)


def _pairs(found: ast.Dict | None) -> list[tuple[str, ast.expr]]:
    pairs = zip(found.keys, found.values, strict=True) if found is not None else ()
    return [(_text(k), v) for k, v in pairs if k is not None and _text(k)]


def _text(node: ast.expr) -> str:
    """The text that a node is; empty where it is none."""
    value = getattr(node, "value", "")
    return value if isinstance(value, str) else ""


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
