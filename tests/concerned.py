"""Which test files concern a module: those that use it, or use what imports it.

`make test ARGS="--for discretize/emit/lowering/names.py"` runs these. A public name counts as the module that it is
loaded from, wherever it is read (`od.place_poles` is in discretize/pole_placement). What is reached only by a name in
a registry is not seen, nor what lies two imports away: a change at the bottom concerns the whole suite.
"""

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path

from package_files import ROOT, imports, module, modules, package

from odescent._support.lazy import public

TESTS = Path(__file__).resolve().parent
files = cache(modules)
names_of = cache(public)


@cache
def home(name: str) -> str:
    """The module that a dotted name of the package leads to, through the packages that show it."""
    at, _, rest = name.partition(".")
    while rest:
        here, _, rest = rest.partition(".")
        shown = names_of(import_module(at).__name__) if files()[at].stem == "__init__" else {}
        if here in shown and shown[here] != f".{here}":
            return home(f"{resolve_name(shown[here], at)}.{here}")
        if f"{at}.{here}" not in files():
            break
        at = f"{at}.{here}"
    return at


@cache
def used(path: Path) -> frozenset[str]:
    """The modules of the package whose names a file reads, by itself or through another file of tests/."""

    def names() -> Iterator[str]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = [] if path.parent == TESTS else package(path)
        nodes = list(ast.walk(tree))
        yield from (f"{base}.{name}" if name else base for base, name in imports(nodes, own))
        plain = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        known = {alias.asname: alias.name for alias in plain}  # what `od` stands for
        for node in nodes:
            if isinstance(node, ast.Attribute):
                first, _, rest = ast.unparse(node).partition(".")
                if first in known:
                    yield f"{known[first]}.{rest}"

    found = set()
    for name in names():
        first = name.partition(".")[0]
        if first == "odescent":
            found.add(home(name))
        elif path.parent == TESTS and (helper := TESTS / f"{first}.py").exists():
            found |= used(helper)
    return frozenset(found)


def concerns(test: Path, changed: str) -> bool:
    """Whether a test file uses the module of a changed file, or one that imports it."""
    target, direct = module(ROOT / changed), used(test) - {"odescent"}
    return target in direct or any(target in used(files()[m]) for m in direct)
