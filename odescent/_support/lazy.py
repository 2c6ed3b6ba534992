"""Packages whose public names load on first use (PEP 562), so that importing them costs next to nothing.

A package names what it shows once, where type checkers and editors look::

    if TYPE_CHECKING:
        from .library import system as system
    else:
        __getattr__, __dir__, __all__ = attach(__name__)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from types import FunctionType
from typing import Any

# Public names that have changed, by package, with what they are called now; until 1.0.
RENAMED = {"odescent.analysis": {"Sweep": "ParameterSweep"}}

# What is not a name of the package, and where it is.
ELSEWHERE = {
    "explore": "it is the command odescent explore",
    "doctor": "it is the command odescent doctor",
    "figures": "it is the command odescent figures",
    "plot": "runs and results have it, as in run.plot()",
    "optim": "algorithms have to_optax and to_torch",
}

PACKAGES = "", ".analysis", ".particles", ".neural_de", ".dynamics", ".discretize"


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
    package: str,
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The ``__getattr__``, the ``__dir__`` and the ``__all__`` of a package, out of its imports for type checkers.

    Functions take names of what is registered, and refuse values of other types in a sentence; functions and classes
    refuse calls that their signatures do not take.

    Args:
        package: its ``__name__``. A public name that is its own module is that module; no other may be one of a
            module: importing that would hide it.
    """
    names = public(package)

    def load(name: str) -> Any:
        if name not in names:
            raise _missing(package, name, names)
        found: Any = import_module(names[name], package)
        if names[name] != f".{name}":
            from .arguments import called, checked

            plain = getattr(found, name)
            found = (checked if isinstance(plain, FunctionType) else called)(plain)
            if found is not plain:
                found.__module__ = package  # where other processes find it by its name
        setattr(sys.modules[package], name, found)
        return found

    return load, lambda: sorted(names), sorted(names)


def _missing(package: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error for a name that a package does not have: what it is called now, where it is, or the nearest."""
    from .errors import NoSuchName, unknown

    if name.startswith("_"):  # Python itself asks for such
        return AttributeError(f"module {package!r} has no attribute {name!r}")
    if now := RENAMED.get(package, {}).get(name):
        return NoSuchName(f"{package} has no {name}; it is called {now} now.")
    if where := ELSEWHERE.get(name):
        return NoSuchName(f"{package} has no {name}; {where}.")
    for other in ("odescent" + part for part in PACKAGES):
        import_module(other)
        if name in public(other):
            return NoSuchName(f"{package} has no {name}; it is {other}.{name}.")
    odescent: Any = import_module("odescent")
    for kind in ("algorithm", "system", "objective", "scheme"):
        if name in getattr(odescent, kind + "s")():
            return NoSuchName(f"{package} has no {name}; it is odescent.{kind}({name!r}).")
    return NoSuchName(str(unknown(f"name in {package} called", name, names)))
