"""Packages that are installed, as if they were not."""

import importlib.machinery
import sys
from typing import Any


class _Without:
    """A finder of modules, but for some packages."""

    def __init__(self, finder: Any, names: frozenset[str]) -> None:
        self.finder, self.names = finder, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in self.names:
            return self.finder.find_spec(name, path, target)


def finders_without(*names: str) -> list[Any]:
    """What `sys.meta_path` is where these packages are not installed."""
    there = importlib.machinery.PathFinder
    return [_Without(f, frozenset(names)) if f is there else f for f in sys.meta_path]
