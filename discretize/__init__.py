"""Schemes as data, algorithms as programs, equivalence, modified equations, derivations, emitted code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .citations import cite
from .derivation import Derivation
from .equivalence import Equivalence
from .iteration import Algorithm, method
from .library import algorithm, algorithms
from .library.schemes import scheme, schemes
from .recognize import Recognition, recognize
from .routes import derive
from .routes.plant import immerse
from .state_space import NotLTI, StateSpace
from .substeps import Flow, Integrator, Let, Scheme, Sweep, Tableau

if TYPE_CHECKING:
    from .run import Trajectory as Trajectory

__all__ = [
    "Algorithm",
    "Derivation",
    "Equivalence",
    "Flow",
    "Integrator",
    "Let",
    "NotLTI",
    "Recognition",
    "Scheme",
    "StateSpace",
    "Sweep",
    "Tableau",
    "Trajectory",
    "algorithm",
    "algorithms",
    "cite",
    "derive",
    "immerse",
    "method",
    "recognize",
    "scheme",
    "schemes",
]


def __getattr__(name: str) -> Any:
    if name == "Trajectory":  # JAX loads with it
        from .run import Trajectory

        return Trajectory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
