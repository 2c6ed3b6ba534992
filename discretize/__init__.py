"""Schemes as data, algorithms as programs, equivalence, modified equations, derivations, emitted code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.lazy import attach
from . import library  # noqa: F401  (the titles of what is registered)

if TYPE_CHECKING:
    from .._support.citations import cite as cite
    from ..dynamics.flows.tableaux import Tableau as Tableau
    from . import controllers as controllers
    from .equality.verdict import Equivalence as Equivalence
    from .faces import Algorithm as Algorithm
    from .faces import Derivation as Derivation
    from .faces import method as method
    from .identification.recognition import recognize as recognize
    from .identification.recognized import Recognition as Recognition
    from .library import algorithm as algorithm
    from .library import algorithms as algorithms
    from .library.schemes import scheme as scheme
    from .library.schemes import schemes as schemes
    from .linear.state_space import NotLTI as NotLTI
    from .linear.state_space import StateSpace as StateSpace
    from .programs.control import Repeat as Repeat
    from .programs.control import Select as Select
    from .programs.stages import at as at
    from .programs.substeps import Flow as Flow
    from .programs.substeps import Integrator as Integrator
    from .programs.substeps import Let as Let
    from .programs.substeps import Scheme as Scheme
    from .programs.substeps import Sweep as Sweep
    from .routes import derive as derive
    from .routes.plant import immerse as immerse
    from .runs.trajectory import Trajectory as Trajectory
    from .weak.step_moments import moment_map as moment_map
    from .weak.step_moments import stationary_covariance as stationary_covariance
    from .weak.step_moments import step_map as step_map
    from .weak.weak_error import weak_defect as weak_defect
    from .weak.weak_error import weak_modified_equation as weak_modified_equation
else:
    __getattr__, __dir__, __all__ = attach(__name__)
