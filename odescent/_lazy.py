"""Packages whose public names load on first use (PEP 562), so that importing them costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, public: Mapping[str, str], made: Callable[[Any], Any] = lambda found: found
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and the ``__dir__`` of a package, out of its table of public names.

    Args:
        package: its ``__name__``.
        public: by name, the module of the package that has it; a name that is its own module is that module. No
            other name may be one of a module: importing that would hide it.
        made: what is done to a name's value before it is kept in the package.

    The type checker reads the same names where the package imports them under TYPE_CHECKING.
    """

    def load(name: str) -> Any:
        if name not in public:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = import_module(f"{package}.{public[name]}")
        if public[name] != name:
            found = made(getattr(found, name))
        setattr(sys.modules[package], name, found)
        return found

    return load, lambda: sorted(public)
