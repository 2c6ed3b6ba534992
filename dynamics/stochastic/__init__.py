"""Stochastic calculus: generators and their adjoints, Ito's formula, moments, the consensus functional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.lazy import attach

if TYPE_CHECKING:
    from .consensus import Consensus as Consensus
    from .consensus import finite_consensus as finite_consensus
    from .consensus import laplace_mean as laplace_mean
    from .consensus import particle_system as particle_system
    from .consensus import prox_expansion as prox_expansion
    from .conversion import to_ito as to_ito
    from .conversion import to_stratonovich as to_stratonovich
    from .coordinates import Coordinates as Coordinates
    from .gaussians import gaussian_moment as gaussian_moment
    from .gaussians import normal_expectation as normal_expectation
    from .moments import MomentEquations as MomentEquations
    from .moments import moment_equations as moment_equations
    from .moments import tilted_gaussian as tilted_gaussian
    from .operators import Operator as Operator
    from .processes import SDE as SDE
    from .processes import Jump as Jump
    from .processes import fokker_planck as fokker_planck
    from .processes import generator as generator
    from .processes import in_coordinates as in_coordinates
    from .processes import ito_formula as ito_formula
    from .processes import sde as sde
else:
    __getattr__, __dir__, __all__ = attach(__name__)
