"""Vector calculus with opaque oracles, systems, objectives, passivity and immersion, slow manifolds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.lazy import attach
from . import library  # noqa: F401  (the titles of what is registered)

if TYPE_CHECKING:
    from . import stochastic as stochastic
    from .algebra.calculus import derivative as derivative
    from .algebra.calculus import modal as modal
    from .algebra.calculus import substitute as substitute
    from .algebra.calculus import tidy as tidy
    from .algebra.calculus import vanishes as vanishes
    from .algebra.direct_sums import block_operator as block_operator
    from .algebra.direct_sums import jacobian as jacobian
    from .algebra.direct_sums import part as part
    from .algebra.direct_sums import stack as stack
    from .algebra.exact import canonical as canonical
    from .algebra.exact import is_zero as is_zero
    from .algebra.gradients import gradient as gradient
    from .algebra.operators import diagonal as diagonal
    from .algebra.operators import diagonal_operator as diagonal_operator
    from .algebra.operators import linear_solve as linear_solve
    from .algebra.operators import trace as trace
    from .algebra.oracles import Oracle as Oracle
    from .algebra.products import apply as apply
    from .algebra.products import elementwise as elementwise
    from .algebra.products import hadamard as hadamard
    from .algebra.products import identity as identity
    from .algebra.products import kronecker as kronecker
    from .algebra.products import outer as outer
    from .algebra.products import transpose as transpose
    from .algebra.scalars import parameters as parameters
    from .algebra.series import taylor as taylor
    from .algebra.vectors import Vector as Vector
    from .algebra.vectors import inner as inner
    from .algebra.vectors import zero as zero
    from .algebra.windows import push as push
    from .flows.system import System as System
    from .implicit.making import argmin as argmin
    from .implicit.making import root as root
    from .library import system as system
    from .library import systems as systems
    from .maps import named_maps as named_maps
    from .problems import objective as objective
    from .problems import objectives as objectives
    from .samples.coordinates import coordinate_differences as coordinate_differences
    from .samples.estimate import Estimator as Estimator
    from .samples.estimate import estimate as estimate
    from .samples.mean import mean as mean
    from .samples.sample import sample as sample
    from .stochastic.monte_carlo import monte_carlo as monte_carlo
    from .vector_fields.block import Block as Block
    from .vector_fields.block import blocks as blocks
    from .vector_fields.block import start as start
    from .vector_fields.groups import Groups as Groups
    from .vector_fields.groups import Leaves as Leaves
    from .vector_fields.maps import Map as Map
    from .vector_fields.maps import named_map as named_map
    from .vector_fields.means import Expectation as Expectation
    from .vector_fields.means import FiniteSum as FiniteSum
    from .vector_fields.objective import Objective as Objective
    from .vector_fields.processes import Diffusion as Diffusion
    from .vector_fields.processes import Jumps as Jumps
    from .vector_fields.system import Field as Field
    from .vector_fields.system import L as L
    from .vector_fields.system import curvature as curvature
    from .vector_fields.system import mu as mu
else:
    __getattr__, __dir__, __all__ = attach(__name__)
