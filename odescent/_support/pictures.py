"""Figures outside of pyplot that notebooks show: as the last value of a cell, and once."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
