"""Optimizers as dynamical systems: derive, discretize, emit, run, draw.

Public names load what they need on first use, so that ``import odescent`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._support.installed import watch
from ._support.lazy import attach
from ._support.rendering.drawable import drawn_by

watch()
drawn_by(f"{__name__}.analysis")

if TYPE_CHECKING:
    from . import analysis as analysis
    from . import discretize as discretize
    from . import dynamics as dynamics
    from . import neural_de as neural_de
    from . import particles as particles
    from ._support.errors import NotCarried as NotCarried
    from ._support.errors import NotConsistent as NotConsistent
    from ._support.errors import OdescentError as OdescentError
    from ._support.installed import __version__ as __version__
    from .analysis.bilevel.solver import bilevel as bilevel
    from .analysis.bilevel.solver import hypergradient as hypergradient
    from .analysis.rates.estimation import estimate_constants as estimate_constants
    from .analysis.synthesis import synthesize as synthesize
    from .discretize import Algorithm as Algorithm
    from .discretize import Derivation as Derivation
    from .discretize import Equivalence as Equivalence
    from .discretize import Flow as Flow
    from .discretize import Integrator as Integrator
    from .discretize import Let as Let
    from .discretize import Repeat as Repeat
    from .discretize import Scheme as Scheme
    from .discretize import Select as Select
    from .discretize import Sweep as Sweep
    from .discretize import Tableau as Tableau
    from .discretize import Trajectory as Trajectory
    from .discretize import algorithm as algorithm
    from .discretize import algorithms as algorithms
    from .discretize import at as at
    from .discretize import cite as cite
    from .discretize import derive as derive
    from .discretize import immerse as immerse
    from .discretize import method as method
    from .discretize import recognize as recognize
    from .discretize import scheme as scheme
    from .discretize import schemes as schemes
    from .discretize.pole_placement.placement import place_poles as place_poles
    from .discretize.reading.method_text import parse_algorithm as parse_algorithm
    from .discretize.reading.method_text import parse_scheme as parse_scheme
    from .discretize.reading.method_text import read_algorithm as read_algorithm
    from .dynamics import Block as Block
    from .dynamics import Diffusion as Diffusion
    from .dynamics import Expectation as Expectation
    from .dynamics import Field as Field
    from .dynamics import FiniteSum as FiniteSum
    from .dynamics import Groups as Groups
    from .dynamics import Jumps as Jumps
    from .dynamics import Leaves as Leaves
    from .dynamics import Map as Map
    from .dynamics import Objective as Objective
    from .dynamics import Oracle as Oracle
    from .dynamics import System as System
    from .dynamics import apply as apply
    from .dynamics import argmin as argmin
    from .dynamics import block_operator as block_operator
    from .dynamics import blocks as blocks
    from .dynamics import coordinate_differences as coordinate_differences
    from .dynamics import diagonal as diagonal
    from .dynamics import diagonal_operator as diagonal_operator
    from .dynamics import elementwise as elementwise
    from .dynamics import estimate as estimate
    from .dynamics import gradient as gradient
    from .dynamics import hadamard as hadamard
    from .dynamics import identity as identity
    from .dynamics import inner as inner
    from .dynamics import jacobian as jacobian
    from .dynamics import kronecker as kronecker
    from .dynamics import linear_solve as linear_solve
    from .dynamics import mean as mean
    from .dynamics import monte_carlo as monte_carlo
    from .dynamics import named_map as named_map
    from .dynamics import named_maps as named_maps
    from .dynamics import objective as objective
    from .dynamics import objectives as objectives
    from .dynamics import outer as outer
    from .dynamics import parameters as parameters
    from .dynamics import part as part
    from .dynamics import push as push
    from .dynamics import root as root
    from .dynamics import sample as sample
    from .dynamics import stack as stack
    from .dynamics import system as system
    from .dynamics import systems as systems
    from .dynamics import trace as trace
    from .dynamics import transpose as transpose
    from .dynamics.grammar import ParseError as ParseError
    from .dynamics.grammar import parse_function as parse_function
    from .dynamics.grammar import parse_system as parse_system
    from .dynamics.grammar import read_system as read_system
    from .particles.searches.minimization import minimize as minimize
else:
    __getattr__, __dir__, __all__ = attach(__name__)
