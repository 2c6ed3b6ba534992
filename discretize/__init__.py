"""Schemes as data, algorithms as programs, equivalence, modified equations, derivations, emitted code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._lazy import attach

_PUBLIC = {
    "Algorithm": "iteration",
    "Derivation": "derivation",
    "Equivalence": "equivalence",
    "Flow": "substeps",
    "Integrator": "substeps",
    "Let": "substeps",
    "NotLTI": "state_space",
    "Recognition": "recognition",
    "Scheme": "substeps",
    "StateSpace": "state_space",
    "Sweep": "substeps",
    "Tableau": "substeps",
    "Trajectory": "run",
    "algorithm": "library",
    "algorithms": "library",
    "cite": "citations",
    "derive": "routes",
    "immerse": "routes.plant",
    "method": "iteration",
    "moment_map": "step_moments",
    "recognize": "recognition",
    "scheme": "library.schemes",
    "schemes": "library.schemes",
    "stationary_covariance": "step_moments",
    "step_map": "step_moments",
    "weak_defect": "weak_error",
    "weak_modified_equation": "weak_error",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .citations import cite as cite
    from .derivation import Derivation as Derivation
    from .equivalence import Equivalence as Equivalence
    from .iteration import Algorithm as Algorithm
    from .iteration import method as method
    from .library import algorithm as algorithm
    from .library import algorithms as algorithms
    from .library.schemes import scheme as scheme
    from .library.schemes import schemes as schemes
    from .recognition import Recognition as Recognition
    from .recognition import recognize as recognize
    from .routes import derive as derive
    from .routes.plant import immerse as immerse
    from .run import Trajectory as Trajectory
    from .state_space import NotLTI as NotLTI
    from .state_space import StateSpace as StateSpace
    from .step_moments import moment_map as moment_map
    from .step_moments import stationary_covariance as stationary_covariance
    from .step_moments import step_map as step_map
    from .substeps import Flow as Flow
    from .substeps import Integrator as Integrator
    from .substeps import Let as Let
    from .substeps import Scheme as Scheme
    from .substeps import Sweep as Sweep
    from .substeps import Tableau as Tableau
    from .weak_error import weak_defect as weak_defect
    from .weak_error import weak_modified_equation as weak_modified_equation
else:
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
