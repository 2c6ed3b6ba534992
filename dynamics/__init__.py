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
    from .algebra.exact import canonical as canonical
    from .algebra.exact import is_zero as is_zero
    from .algebra.oracles import Oracle as Oracle
    from .algebra.scalars import parameters as parameters
    from .algebra.series import taylor as taylor
    from .algebra.vectors import Vector as Vector
    from .algebra.vectors import apply as apply
    from .algebra.vectors import blocks as blocks
    from .algebra.vectors import elementwise as elementwise
    from .algebra.vectors import hadamard as hadamard
    from .algebra.vectors import inner as inner
    from .algebra.vectors import outer as outer
    from .algebra.vectors import zero as zero
    from .flows.system import System as System
    from .library import system as system
    from .library import systems as systems
    from .problems import objective as objective
    from .problems import objectives as objectives
    from .vector_fields.objective import Objective as Objective
    from .vector_fields.processes import Diffusion as Diffusion
    from .vector_fields.processes import Jumps as Jumps
    from .vector_fields.system import Block as Block
    from .vector_fields.system import Field as Field
    from .vector_fields.system import L as L
    from .vector_fields.system import curvature as curvature
    from .vector_fields.system import mu as mu
    from .vector_fields.system import start as start
else:
    __getattr__, __dir__, __all__ = attach(__name__)
