"""Registries by kind of entry, for `list` and for shell completion."""

from __future__ import annotations

import ast
from pathlib import Path

from ..._support.registry import Registry

# By kind, where its registry is; each is imported in no time.
KINDS: Registry[object] = Registry(
    "list of",
    "odescent",
    {
        "systems": "dynamics.library:REGISTRY",
        "algorithms": "discretize.library:REGISTRY",
        "schemes": "discretize.library.schemes:REGISTRY",
        "objectives": "dynamics.problems:REGISTRY",
        "maps": "dynamics.maps:REGISTRY",
        "derivations": "discretize.library:REGISTRY",
        "targets": "discretize.emit:BACKENDS",
        "tasks": "neural_de.tasks:TASKS",
        "regularizers": "neural_de.regularization:REGULARIZERS",
        "papers": "paper_figs.papers:PAPERS",
        "figures": "paper_figs.papers:PAPERS",
    },
)


def known(kind: str) -> list[str]:
    """All names of a kind; of kinds, theirs, and of routes, those by which anything is derived."""
    if kind == "kinds":
        return KINDS.names()
    if kind == "routes":
        from ...discretize.routes import DIRECT, REGISTRY

        return sorted({DIRECT, *(name.split("/")[1] for name in REGISTRY)})
    if kind == "figures":
        return sorted(_figures())
    return sorted(KINDS.entry(kind))


def _figures() -> list[str]:
    """As paper/figure: the first arguments of what the modules of each paper have in ``FIGURES``.

    They are read without importing the modules, which stand on NumPy.
    """
    from ...paper_figs import papers

    found = []
    for paper, entry in papers.PAPERS.items():
        for module in entry.modules:
            file = Path(papers.__file__).parent.joinpath(*module.split(".")).with_suffix(".py")
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name("PaperFigure"), args=[ast.Constant(str(name)), *_]):
                        found.append(f"{paper}/{name}")
    return found
