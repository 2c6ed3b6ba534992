"""Packages whose public names load on first use (PEP 562), so that importing them costs next to nothing.

A package names what it shows once, where type checkers and editors look::

    if TYPE_CHECKING:
        from .library import system as system
    else:
        __getattr__, __dir__, __all__ = attach(__name__)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

# Public names that have changed, by package, with what they are called now; until 1.0.
RENAMED = {"odescent.analysis": {"Sweep": "ParameterSweep"}}


def public(package: str) -> dict[str, str]:
    """The public names of a package that is imported, each with the module, relative to it, that has it.

    Read off the lines ``from .module import name as name`` in its source, without a parser: that loads in no time.
    """
    module: Any = sys.modules[package]
    text: str = module.__loader__.get_data(module.__file__).decode("utf-8")
    found = {}
    for line in text.splitlines():
        match line.split():
            case ["from", where, "import", name, "as", same] if name == same:
                found[name] = where + name * where.endswith(".")
    return found


def attach(
    package: str, made: Callable[[Any], Any] = lambda found: found
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The ``__getattr__``, the ``__dir__`` and the ``__all__`` of a package, out of its imports for type checkers.

    Args:
        package: its ``__name__``. A public name that is its own module is that module; no other may be one of a
            module: importing that would hide it.
        made: what is done to a name's value before it is kept in the package.
    """
    names = public(package)

    def load(name: str) -> Any:
        if name not in names:
            now = RENAMED.get(package, {}).get(name)
            told = f"; it is called {now} now" if now else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{told}")
        found = import_module(names[name], package)
        if names[name] != f".{name}":
            found = made(getattr(found, name))
        setattr(sys.modules[package], name, found)
        return found

    return load, lambda: sorted(names), sorted(names)
