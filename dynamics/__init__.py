"""Vector calculus with opaque oracles, systems, objectives, passivity and immersion, slow manifolds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._lazy import attach

_PUBLIC = {
    "Block": "fields",
    "Diffusion": "noise",
    "Field": "fields",
    "Jumps": "noise",
    "L": "fields",
    "Objective": "oracles",
    "Oracle": "vectors",
    "System": "fields",
    "Vector": "vectors",
    "apply": "vectors",
    "blocks": "vectors",
    "canonical": "exact",
    "curvature": "fields",
    "derivative": "calculus",
    "elementwise": "vectors",
    "hadamard": "vectors",
    "inner": "vectors",
    "is_zero": "exact",
    "modal": "calculus",
    "mu": "fields",
    "objective": "problems",
    "objectives": "problems",
    "outer": "vectors",
    "parameters": "exact",
    "start": "fields",
    "stochastic": "stochastic",
    "substitute": "calculus",
    "system": "library",
    "systems": "library",
    "taylor": "series",
    "tidy": "calculus",
    "vanishes": "calculus",
    "zero": "vectors",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from . import stochastic as stochastic
    from .calculus import derivative as derivative
    from .calculus import modal as modal
    from .calculus import substitute as substitute
    from .calculus import tidy as tidy
    from .calculus import vanishes as vanishes
    from .exact import canonical as canonical
    from .exact import is_zero as is_zero
    from .exact import parameters as parameters
    from .fields import Block as Block
    from .fields import Field as Field
    from .fields import L as L
    from .fields import System as System
    from .fields import curvature as curvature
    from .fields import mu as mu
    from .fields import start as start
    from .library import system as system
    from .library import systems as systems
    from .noise import Diffusion as Diffusion
    from .noise import Jumps as Jumps
    from .oracles import Objective as Objective
    from .problems import objective as objective
    from .problems import objectives as objectives
    from .series import taylor as taylor
    from .vectors import Oracle as Oracle
    from .vectors import Vector as Vector
    from .vectors import apply as apply
    from .vectors import blocks as blocks
    from .vectors import elementwise as elementwise
    from .vectors import hadamard as hadamard
    from .vectors import inner as inner
    from .vectors import outer as outer
    from .vectors import zero as zero
else:
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
