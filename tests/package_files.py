"""The files of the package by their modules, and the imports in a file, read off its syntax tree."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("analysis", "discretize", "dynamics", "neural_de", "paper_figs", "particles")


def sources(folder: Path) -> Iterator[Path]:
    """The Python files below `folder`, each one once: links are not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir():
            yield from sources(path)
        elif path.suffix == ".py":
            yield path


def module(path: Path, root: Path = ROOT) -> str:
    """discretize/runs/run.py is odescent.discretize.runs.run; a package's ``__init__`` is the package."""
    parts = path.relative_to(root).with_suffix("").parts
    inside = parts if parts[0] == "odescent" else ("odescent", *parts)
    return ".".join(inside).removesuffix(".__init__")


def modules(root: Path = ROOT) -> dict[str, Path]:
    """The files of the package by the names of their modules."""
    return {module(p, root): p for f in ("odescent", *FOLDERS) for p in sources(root / f)}


def package(path: Path, root: Path = ROOT) -> list[str]:
    """The package that relative imports in a file start from."""
    parts = module(path, root).split(".")
    return parts if path.stem == "__init__" else parts[:-1]


@cache
def imports_and_classes(path: Path) -> tuple[ast.AST, ...]:
    """The nodes of a file that may import, and its classes, bodies left out, wherever in the file they stand.

    Many tests ask for them, and to parse the package and to walk through it takes seconds.
    """
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        match node:
            case ast.Import() | ast.ImportFrom():
                found.append(node)
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module")):
                found.append(node)
            case ast.ClassDef():
                found.append(ast.ClassDef(node.name, [], [], [], []))
    return tuple(found)


def imports(nodes: Iterable[ast.AST], package: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What nodes of a file of the package import, as (module, name in it), or (module, "") for a module."""
    for node in nodes:
        match node:
            case ast.Import():
                yield from ((alias.name, "") for alias in node.names)
            case ast.ImportFrom():
                above = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                yield from ((base, alias.name) for alias in node.names)
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                yield name, ""
