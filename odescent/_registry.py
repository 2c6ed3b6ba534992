"""Registries: names to functions in modules that load on first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from ._errors import OdescentError, unknown

T = TypeVar("T")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Registry(Generic[T]):
    """Entries by name, each ``"module:function"`` relative to a package; calling builds the entry.

    An entry that is spoken of in pictures and in print is a pair of that and its title, the field's name for it.
    """

    def __init__(
        self, kind: str, package: str, entries: Mapping[str, str | tuple[str, str]]
    ) -> None:
        self.kind, self.package = kind, package
        self.entries = {n: e if isinstance(e, str) else e[0] for n, e in entries.items()}
        self.titles = {n: e[1] for n, e in entries.items() if not isinstance(e, str)}

    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self.entries)

    def title(self, name: str) -> str:
        """What an entry is called in print; a name that is not registered in words: my_method is my method."""
        return self.titles.get(name) or name.replace("_", " ")

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
        """The entry of that name, with its options; OdescentError for one that it does not take, or lacks."""
        function = self.function(name)
        declared = inspect.signature(function).parameters
        takes = {n: p for n, p in declared.items() if p.kind in _NAMED}
        takes_any = any(p.kind is p.VAR_KEYWORD for p in declared.values())
        for option in options:
            if option not in takes and not takes_any:
                raise unknown(f"option of the {self.kind} {name!r} called", option, takes)
        missing = [n for n, p in takes.items() if p.default is p.empty and n not in options]
        if missing:
            raise OdescentError(
                f"the {self.kind} {name!r} needs the option{'s' * (len(missing) > 1)} "
                f"{' and '.join(missing)}, which must be given, as in {missing[0]}=..."
            )
        return function(**options)
