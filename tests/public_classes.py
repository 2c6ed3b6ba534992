"""The classes of what people hold: public ones, and those that public functions, properties and fields lead to."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from package_files import imports, imports_and_classes, modules, package

PACKAGES = (
    "",
    ".dynamics",
    ".dynamics.stochastic",
    ".discretize",
    ".analysis",
    ".neural_de",
    ".particles",
)

FILES = modules()


def public() -> Iterator[Any]:
    """The values of the public names of all packages."""
    for name in PACKAGES:
        found = importlib.import_module(f"odescent{name}")
        yield from (getattr(found, name) for name in found.__all__)
    yield from vars(importlib.import_module("odescent.paper_figs")).values()


def _named(annotation: Any, module: str) -> Iterator[Any]:
    """What an annotation names, in its module or in what that imports for type checkers."""
    if not isinstance(annotation, str):
        yield annotation
        return
    for node in ast.walk(ast.parse(annotation, mode="eval")):
        if isinstance(node, ast.Name):
            known = vars(importlib.import_module(module))
            yield known[node.id] if node.id in known else _for_types(module).get(node.id)


@functools.cache
def _for_types(module: str) -> dict[str, Any]:
    """What a module of the package imports for type checkers from the package."""
    path = FILES[module]
    found = {}
    for base, name in imports(imports_and_classes(path), package(path)):
        if base.startswith("odescent") and name:
            with contextlib.suppress(AttributeError):
                found[name] = getattr(importlib.import_module(base), name)
    return found


def _led_to(value: Any) -> Iterator[Any]:
    """What a class or a function leads to in one step."""
    if inspect.isclass(value):
        for cls in value.__mro__:
            if cls.__module__.startswith("odescent"):
                for name, annotation in inspect.get_annotations(cls).items():
                    if not name.startswith("_"):
                        yield from _named(annotation, cls.__module__)
                yield from (_function(m) for n, m in vars(cls).items() if not n.startswith("_"))
    elif inspect.isfunction(value):
        inner = inspect.unwrap(value)
        yield from _named(inner.__annotations__.get("return"), inner.__module__)


def _function(member: Any) -> Any:
    if isinstance(member, property):
        return member.fget
    if isinstance(member, functools.cached_property):
        return member.func
    return member


@functools.cache
def held() -> tuple[type, ...]:
    """All classes that people hold, by module and name."""
    seen: dict[int, Any] = {}
    todo = list(public())
    while todo:
        value = todo.pop()
        value = _function(value)
        ours = getattr(value, "__module__", None)
        if id(value) in seen or not isinstance(ours, str) or not ours.startswith("odescent"):
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            seen[id(value)] = value
            todo += _led_to(value)
    found = [v for v in seen.values() if inspect.isclass(v)]
    return tuple(sorted(found, key=lambda c: (c.__module__, c.__name__)))
