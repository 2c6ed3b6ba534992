"""Registries: names to functions in modules that load on first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from ._errors import unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Entries by name, each ``"module:function"`` relative to a package; calling builds the entry."""

    def __init__(self, kind: str, package: str, entries: Mapping[str, str]) -> None:
        self.kind, self.package, self.entries = kind, package, dict(entries)

    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self.entries)

    def function(self, name: str) -> Callable[..., T]:
        """The function behind a name; OdescentError naming the nearest if there is none."""
        if name not in self.entries:
            raise unknown(self.kind, name, self.entries)
        module, _, attribute = self.entries[name].partition(":")
        found: Callable[..., T] = getattr(
            import_module(f".{module}", self.package), attribute or name
        )
        return found

    def build(self, name: str, **options: object) -> T:
        """The entry of that name, with its options; OdescentError for an option it does not take."""
        function = self.function(name)
        takes = inspect.signature(function).parameters
        for option in options:
            if option not in takes:
                raise unknown(f"option of the {self.kind} {name!r} called", option, takes)
        return function(**options)
