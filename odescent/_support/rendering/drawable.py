"""Drawings of results: a table from classes to the functions that draw them, loaded on first use.

A result declares *that* it can be drawn; its drawing function is in a higher layer, whose ``__init__`` registers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..registry import Registry

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DRAWINGS: dict[str, Registry[Axes]] = {}  # by name, that which has it
_PACKAGES: list[str] = []  # that register drawings as they are imported


def drawn_by(package: str) -> None:
    """Name a package that registers drawings; it is imported when the first result is drawn that has none."""
    _PACKAGES.append(package)


def register(package: str, drawings: Mapping[str, str]) -> None:
    """Say what draws results: by name of a class (or ``Class.form``), "module:function" of the package."""
    registry: Registry[Axes] = Registry("drawing", package, drawings)
    _DRAWINGS.update(dict.fromkeys(registry, registry))


def drawn(result: Any, ax: Axes | None, *options: Any, form: str = "") -> Axes:
    """Draw a result and return the axes.

    Args:
        result: an object whose class is in the table.
        ax: the axes to draw into; None makes a figure.
        *options: passed on to the drawing function.
        form: the suffix of the table's key, for a class with several drawings.

    Returns:
        The axes.
    """
    name = type(result).__name__ + form
    if name not in _DRAWINGS:
        for package in _PACKAGES:
            import_module(package)
    return _DRAWINGS[name].function(name)(result, ax, *options)
