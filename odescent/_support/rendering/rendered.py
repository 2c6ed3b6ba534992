"""Rich display of results in notebooks: one mechanism for pages, formulas, text, tables and pictures."""

from __future__ import annotations

import base64
import html
from typing import Any, ClassVar

from ..arguments import called_methods
from ..held.base import Held
from ..installed import MissingExtra
from .brief import brief, own_text, short, shown_fields

_LONG = 2000  # letters of one value in a table


class Rendered(Held):
    """What people hold: one line where it is typed, text where it is printed, a page in a notebook.

    The page follows from what a class has: its own page (``_page``), else a formula (``latex``), else its text
    (``__str__``), else its fields as a table; and its picture (``plot``). A class that shows other parts
    of these lists them in ``_shows``. Rendering draws and prints what the result holds and computes nothing else.
    """

    _shows: ClassVar[tuple[str, ...]] = ()

    __repr__ = brief

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        called_methods(cls)
        setattr(cls, "__repr__", cls.__repr__)  # noqa: B010  `dataclass` would give it another one

    def _repr_html_(self) -> str:
        made = "".join(_PARTS[part](self) for part in parts(self))
        return f'<div class="odescent" style="overflow-x: auto">{made}</div>'

    def _repr_latex_(self) -> str | None:
        shown: Any = self
        return f"$$\n{shown.latex()}\n$$" if "formula" in parts(self) else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        made = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if (source := self._repr_latex_()) is not None:
            made["text/latex"] = source
        return {
            k: v for k, v in made.items() if k in (include or made) and k not in (exclude or ())
        }


def parts(result: Rendered) -> tuple[str, ...]:
    """What a notebook shows of a result, from above."""
    if result._shows:
        return result._shows
    if hasattr(result, "_page"):
        first = "page"
    elif hasattr(result, "latex"):
        first = "formula"
    else:
        first = "fields" if type(result).__str__ is object.__str__ else "text"
    return (first, "picture") if hasattr(result, "plot") else (first,)


def _page(result: Any) -> str:
    made: str = result._page()
    return made


def _formula(result: Any) -> str:
    from .mathml import displayed

    return displayed(result.latex())


def _text(result: Any) -> str:
    return f'<pre style="white-space: pre-wrap">{html.escape(own_text(result), quote=False)}</pre>'


def _fields(result: Any) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(short(value, _LONG))}</td></tr>"
        for name, value in shown_fields(result)
    )
    return f"<table><caption>{type(result).__name__}</caption>{rows}</table>"


def _picture(result: Any) -> str:
    try:
        drawn = result.plot()
    except MissingExtra as lacking:  # the words are worth showing without it
        return f"<p>No picture: {html.escape(str(lacking), quote=False)}.</p>"
    data, size = drawn._repr_png_()
    shown = " ".join(f'{side}="{points}"' for side, points in size.items())
    encoded, said = base64.b64encode(data).decode(), html.escape(repr(result))
    return f'<img src="data:image/png;base64,{encoded}" {shown} alt="{said}">'


_PARTS = {"page": _page, "formula": _formula, "text": _text, "fields": _fields, "picture": _picture}
