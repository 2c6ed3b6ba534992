"""Registries: names to functions in modules that load on first use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from .errors import OdescentError, expected, unknown

T = TypeVar("T")
_KNOWN: dict[str, Registry[Any]] = {}  # by kind; the faces of the rooms load theirs
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Registry(Generic[T]):
    """Entries by name, each ``"module:function"`` relative to a package, or ``"module"`` for a function of that name.

    The function's name is left out where it is the entry's own. An entry that is spoken of in pictures and in
    print is a pair of that and its title, the field's name for it.
    ``aliases`` are other names of entries, ``internal`` entries that are found and not listed.
    Calling the function builds the entry.
    Importing a registry is fast and does not import its entries' dependencies: shells complete its names.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        entries: Mapping[str, str | tuple[str, str]],
        aliases: Mapping[str, str] | None = None,
        internal: Mapping[str, str] | None = None,
    ) -> None:
        self.kind, self.package = kind, package
        self.aliases, self.internal = dict(aliases or {}), dict(internal or {})
        self.entries = {n: e if isinstance(e, str) else e[0] for n, e in entries.items()}
        self.titles = {n: e[1] for n, e in entries.items() if not isinstance(e, str)}
        _KNOWN[kind] = self

    def names(self) -> list[str]:
        """The registered names, sorted."""
        return sorted(self.entries)

    def __iter__(self) -> Iterator[str]:
        """All names that may be given: of the entries, in order, and their aliases."""
        return iter((*self.entries, *self.aliases))

    def __len__(self) -> int:
        return len(self.entries) + len(self.aliases)

    def __contains__(self, name: object) -> bool:
        return name in self.entries or name in self.aliases

    def full(self, name: str) -> str:
        """The name of the entry that an alias is short for; other names are returned unchanged."""
        return self.aliases.get(name, name)

    def title(self, name: str) -> str:
        """What an entry is called in print; a name that is not registered in words: my_method is my method."""
        return title_of(name, self.kind)

    def entry(self, name: str) -> Any:
        """The object behind a name; OdescentError naming the nearest if there is none."""
        if not isinstance(name, str):
            raise expected(f"the name of a registered {self.kind}", "a text", name)
        known = {**self.internal, **self.entries}
        if self.full(name) not in known:
            raise unknown(self.kind, name, self)
        module, _, attribute = known[self.full(name)].partition(":")
        return getattr(import_module(f".{module}", self.package), attribute or self.full(name))

    def function(self, name: str) -> Callable[..., T]:
        """The function behind a name, which builds the entry; raises as `entry` does."""
        found: Callable[..., T] = self.entry(name)
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

    def once(self, name: str, **options: object) -> T:
        """The entry of that name, made once: entries never change, so the same options give the same object."""
        given = tuple(sorted(options.items()))
        try:
            hash((name, given))
        except TypeError:  # an array, a list or a table among them
            return self.build(name, **options)
        # 1 and 1.0 are equal, and not the same
        kept: T = _kept(self, self.full(name), given, repr(given))
        return kept


@lru_cache(512)
def _kept(registry: Registry[T], name: str, given: tuple[tuple[str, object], ...], _: str) -> T:
    return registry.build(name, **dict(given))


def title_of(name: str, *kinds: str) -> str:
    """The title of the entry of that name in the first registry of these kinds that has one; else it in words."""
    found = (_KNOWN[kind].titles.get(name) for kind in kinds)
    return next((t for t in found if t), name.replace("_", " "))
