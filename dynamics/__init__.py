"""Vector calculus with opaque oracles, systems, objectives, passivity and immersion, slow manifolds."""

from __future__ import annotations

from . import stochastic
from .calculus import derivative, modal, substitute, tidy, vanishes
from .exact import canonical, is_zero, parameters
from .fields import Block, Field, L, System, curvature, mu, start
from .library import system, systems
from .noise import Diffusion, Jumps
from .oracles import Objective
from .problems import objective, objectives
from .series import taylor
from .vectors import Oracle, Vector, apply, blocks, elementwise, hadamard, inner, outer, zero

__all__ = [
    "Block",
    "Diffusion",
    "Field",
    "Jumps",
    "L",
    "Objective",
    "Oracle",
    "System",
    "Vector",
    "apply",
    "blocks",
    "canonical",
    "curvature",
    "derivative",
    "elementwise",
    "hadamard",
    "inner",
    "is_zero",
    "modal",
    "mu",
    "objective",
    "objectives",
    "outer",
    "parameters",
    "start",
    "stochastic",
    "substitute",
    "system",
    "systems",
    "taylor",
    "tidy",
    "vanishes",
    "zero",
]
