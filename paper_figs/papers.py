"""The papers and their figures. Each module is listed here by name and defines a tuple ``FIGURES``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from .._support.errors import OdescentError, check_choice
from .._support.rendering.rendered import Rendered
from .entry import PaperFigure


@dataclass(frozen=True)
class Paper(Rendered):
    """A paper: its title, its reference, and the code of its figures.

    Attributes:
        title, source: of the paper.
        modules: of this folder, which hold its figures.
        depends: the subpackages whose code the results depend on: results are recomputed when that code changes.
    """

    title: str
    source: str
    modules: tuple[str, ...]
    depends: tuple[str, ...] = ("analysis", "discretize", "dynamics")

    def figures(self) -> tuple[PaperFigure, ...]:
        """Its figures in order; importing their modules is cheap, heavy libraries load when they compute."""
        found = [
            replace(figure, depends=self.depends)
            for module in self.modules
            for figure in _of(module)
        ]
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
            "acceleration.manifold",
            "acceleration.construction",
            "acceleration.terms",
            "acceleration.heavy_ball",
            "acceleration.flows_and_maps",
            "acceleration.spectra_and_rates",
        ),
    ),
    "consensus": Paper(
        "Gradient is All You Need? How Consensus-Based Optimization can be Interpreted as a Stochastic "
        "Relaxation of Gradient Descent",
        "arXiv:2306.09778",
        ("consensus.consensus_points", "consensus.relaxation_terms", "consensus.energy_barriers"),
        ("discretize", "dynamics", "particles"),
    ),
    "heuristics": Paper(
        "Opening the Blackbox: Accelerating Neural Differential Equations by Regularizing Internal Solver Heuristics",
        "arXiv:2105.03918",
        ("heuristics.classifiers", "heuristics.spiral_sde", "heuristics.other_tasks"),
        ("neural_de",),
    ),
    "local": Paper(
        "Locally Regularized Neural Differential Equations",
        "arXiv:2303.02262",
        ("local.local_classifiers", "local.penalty_forms", "local.adjoints"),
        ("neural_de",),
    ),
    "operators": Paper(
        "Methods with operators, windows and constraints",
        "several papers, named with the claims",
        (
            "operators.iterative_newton",
            "operators.newton_schulz",
            "operators.inverse_filter",
            "operators.mkor",
            "operators.regularized_newton",
            "operators.m_fac",
            "operators.adagrad_norm",
            "operators.kkt_newton",
            "operators.saddle_flow",
            "operators.fast_slow",
            "operators.bilevel",
            "operators.inexact_bilevel",
            "operators.data_sources",
        ),
    ),
    "samples": Paper(
        "Methods with samples, and averages that follow the motion",
        "several papers, named with the claims",
        (
            "samples.directions",
            "samples.sketch",
            "samples.adahessian",
            "samples.transport",
            "samples.policy",
            "samples.growing_batches",
            "samples.clients",
        ),
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
        check_choice("paper", paper, PAPERS)
    found = [(p, f) for p in PAPERS if p in chosen for f in PAPERS[p].figures()]
    wanted = list(only)
    known = {name for p, f in found for name in (f.name, f"{p}/{f.name}")}
    for name in wanted:
        check_choice("figure", name, known)
    return [(p, f) for p, f in found if not wanted or {f.name, f"{p}/{f.name}"} & {*wanted}]
