"""Entries for figures and tables of a paper's claims: the computation of data and claims, and the drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .._support.rendering.rendered import Rendered
from .claims import Claim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Scale = Literal["quick", "full"]
SCALES: tuple[Scale, ...] = ("quick", "full")


@dataclass(frozen=True)
class Result(Rendered):
    """What a figure computes.

    Attributes:
        data: numbers, text, lists, dicts by name and numeric arrays: all that is drawn, and enough to draw it
            again. An entry ``"table": {"columns": [...], "rows": [[...], ...]}`` is written as CSV too.
        claims: what the figure must show.
        complete: False if something was not there to measure with (files, say): it is then computed again next time.
    """

    data: Mapping[str, Any]
    claims: tuple[Claim, ...]
    complete: bool = True


@dataclass(frozen=True)
class PaperFigure(Rendered):
    """A figure or a table of a paper.

    Attributes:
        name: in lower case, unique in its paper; the files are called so.
        title: one sentence: what is to be seen.
        compute: of the parameters of a scale, as keyword arguments, and where it declares an argument `folder`,
            of a folder of its own that stands until the result is written: for checkpoints and sweeps that resume.
        draw: of `Result.data`, back from the file (lists for tuples, NumPy arrays for arrays); in the house's style.
        quick: parameters of ``--quick``, JSON data; seeds among them. On two cores a minute or so.
        full: parameters of ``--full``, at the paper's scale as far as it is known; those left out are as in `quick`.
        depends: as its paper says.
        precision: of JAX while it is computed and drawn.
    """

    name: str
    title: str
    compute: Callable[..., Result]
    draw: Callable[[Mapping[str, Any]], Figure]
    quick: Mapping[str, Any] = field(default_factory=dict)
    full: Mapping[str, Any] = field(default_factory=dict)
    depends: tuple[str, ...] = ("analysis", "discretize", "dynamics")
    precision: Literal["float32", "float64"] = "float64"

    def parameters(self, scale: Scale) -> dict[str, Any]:
        """What `compute` is called with at a scale."""
        return {**self.quick, **(self.full if scale == "full" else {})}

    def sizes(self, scale: Scale) -> str:
        """What is smaller than in the paper, for a note on the figure; empty at full scale or if nothing is."""
        smaller = {n: v for n, v in self.full.items() if self.quick.get(n) != v}
        if scale == "full" or not smaller:
            return ""
        return "quick: " + ", ".join(
            f"{n.replace('_', ' ')} {_brief(self.quick.get(n))} (full: {_brief(v)})"
            for n, v in smaller.items()
        )


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name.replace('_', ' ')} {_brief(v)}" for name, v in value.items())
    if isinstance(value, (list, tuple)):
        if len(value) > 4:
            return f"{_brief(value[0])}...{_brief(value[-1])} ({len(value)})"
        return ", ".join(map(_brief, value)) or "none"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
