"""Which paper has which figures. A new module is one more name here; it holds a tuple ``FIGURES``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from odescent._errors import OdescentError, unknown

from .entry import PaperFigure


@dataclass(frozen=True)
class Paper:
    """A paper: its title, where it stands, and the modules of this folder that hold its figures."""

    title: str
    source: str
    modules: tuple[str, ...]

    def figures(self) -> tuple[PaperFigure, ...]:
        """Its figures in order; importing their modules is cheap, heavy libraries load when they compute."""
        found = [figure for module in self.modules for figure in _of(module)]
        names = [f.name for f in found]
        if len(set(names)) != len(names):
            raise OdescentError(f"two figures of {self.title!r} have one name: {sorted(names)}.")
        return tuple(found)


def _of(module: str) -> tuple[PaperFigure, ...]:
    """The figures of a module; for one that cannot be imported, a figure that fails with the reason."""
    try:
        figures: tuple[PaperFigure, ...] = import_module(f".{module}", __package__).FIGURES
    except Exception as error:  # whatever it is, the other modules' figures are still made
        reason = error

        def refuse(*_: Any, **__: Any) -> Any:
            raise reason

        return (
            PaperFigure(module, f"The module {module}, which cannot be loaded.", refuse, refuse),
        )
    return figures


PAPERS: Mapping[str, Paper] = {
    "acceleration": Paper(
        "On the Dynamics of Acceleration in First order Gradient Methods",
        "arXiv:2509.18346",
        (
            "acceleration_manifold",
            "acceleration_construction",
            "acceleration_terms",
            "acceleration_heavy_ball",
            "acceleration_portraits",
            "acceleration_rates",
        ),
    ),
    "consensus": Paper(
        "Gradient is All You Need? How Consensus-Based Optimization can be Interpreted as a Stochastic "
        "Relaxation of Gradient Descent",
        "arXiv:2306.09778",
        ("consensus_trajectories", "consensus_relaxation", "consensus_barriers"),
    ),
    "heuristics": Paper(
        "Opening the Blackbox: Accelerating Neural Differential Equations by Regularizing Internal Solver Heuristics",
        "arXiv:2105.03918",
        ("heuristics_classification", "heuristics_sde", "heuristics_tasks"),
    ),
    "local": Paper(
        "Locally Regularized Neural Differential Equations",
        "arXiv:2303.02262",
        ("local_classification", "local_forms", "local_adjoints"),
    ),
}


def find(papers: Iterable[str] = (), only: Iterable[str] = ()) -> list[tuple[str, PaperFigure]]:
    """The figures of some papers, or of all, as pairs of paper and figure in the papers' order.

    Args:
        papers: keys of `PAPERS`; none for all.
        only: names of figures, or "paper/figure"; none for all.

    Raises:
        OdescentError: for a name that is not there, with the nearest.
    """
    chosen = list(papers) or list(PAPERS)
    for paper in chosen:
        if paper not in PAPERS:
            raise unknown("paper", paper, PAPERS)
    found = [(p, f) for p in PAPERS if p in chosen for f in PAPERS[p].figures()]
    wanted = list(only)
    known = {name for p, f in found for name in (f.name, f"{p}/{f.name}")}
    for name in wanted:
        if name not in known:
            raise unknown("figure", name, known)
    return [(p, f) for p, f in found if not wanted or {f.name, f"{p}/{f.name}"} & {*wanted}]
