"""Figures outside of pyplot that notebooks show: as the last value of a cell, and once."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .registry import Registry

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


DPI = 200
_POINTS = 110  # of a screen per inch, so that a column of a paper is legible in a notebook
Png = tuple[bytes, dict[str, int]]


class NotebookFigure(Figure):
    """A figure that a notebook shows as a picture, unless it is one of pyplot's, which are shown by that.

    Attributes:
        style: what it is drawn in, as a context.
    """

    style: Callable[[], AbstractContextManager[None]] = nullcontext

    def _repr_png_(self) -> Png | None:
        """The picture, with the size at which it is to be shown."""
        if self.canvas.manager is not None:
            return None
        made = io.BytesIO()
        with self.style():
            self.savefig(made, format="png", dpi=DPI, metadata={"Software": None})
        wide, high = self.get_size_inches()
        return made.getvalue(), {"width": round(wide * _POINTS), "height": round(high * _POINTS)}


class NotebookAxes(Axes):
    """Axes that a notebook shows as the picture that they belong to."""

    def _repr_png_(self) -> Png | None:
        root = self.get_figure(root=True)
        return root._repr_png_() if isinstance(root, NotebookFigure) else None


class Panels(tuple[Axes, ...]):
    """The axes of one figure, in order; a notebook shows the figure."""

    def _repr_png_(self) -> Png | None:
        show: Any = getattr(self[0], "_repr_png_", None) if self else None
        return None if show is None else show()
