"""Schemes as data, algorithms as programs, equivalence, modified equations, derivations, emitted code."""

from __future__ import annotations

from importlib import import_module
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
    from .step_moments import moment_map as moment_map
    from .step_moments import stationary_covariance as stationary_covariance
    from .step_moments import step_map as step_map
    from .weak_error import weak_defect as weak_defect
    from .weak_error import weak_modified_equation as weak_modified_equation

_LATER = {  # what loads more than schemes and algorithms need
    "Trajectory": "run",
    "moment_map": "step_moments",
    "stationary_covariance": "step_moments",
    "step_map": "step_moments",
    "weak_defect": "weak_error",
    "weak_modified_equation": "weak_error",
}

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
    "moment_map",
    "recognize",
    "scheme",
    "schemes",
    "stationary_covariance",
    "step_map",
    "weak_defect",
    "weak_modified_equation",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
