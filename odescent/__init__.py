"""Optimizers as dynamical systems: derive, discretize, emit, run, draw.

Public names load what they need on first use, so that ``import odescent`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Algorithm": "discretize",
    "Block": "dynamics",
    "Derivation": "discretize",
    "Diffusion": "dynamics",
    "Equivalence": "discretize",
    "Field": "dynamics",
    "Flow": "discretize",
    "Integrator": "discretize",
    "Jumps": "dynamics",
    "Let": "discretize",
    "NotCarried": "_errors",
    "NotConsistent": "_errors",
    "Objective": "dynamics",
    "OdescentError": "_errors",
    "Oracle": "dynamics",
    "ParseError": "dynamics.grammar",
    "Scheme": "discretize",
    "Sweep": "discretize",
    "System": "dynamics",
    "Tableau": "discretize",
    "Trajectory": "discretize",
    "algorithm": "discretize",
    "algorithms": "discretize",
    "apply": "dynamics",
    "blocks": "dynamics",
    "cite": "discretize",
    "derive": "discretize",
    "elementwise": "dynamics",
    "hadamard": "dynamics",
    "immerse": "discretize",
    "inner": "dynamics",
    "method": "discretize",
    "minimize": "particles.minimization",
    "objective": "dynamics",
    "objectives": "dynamics",
    "outer": "dynamics",
    "parameters": "dynamics",
    "parse_algorithm": "discretize.textual",
    "parse_scheme": "discretize.textual",
    "parse_system": "dynamics.grammar",
    "place_poles": "discretize.poles",
    "read_algorithm": "discretize.textual",
    "read_system": "dynamics.grammar",
    "recognize": "discretize",
    "scheme": "discretize",
    "schemes": "discretize",
    "synthesize": "analysis.synthesis",
    "system": "dynamics",
    "systems": "dynamics",
}
_SUBPACKAGES = ("analysis", "discretize", "dynamics", "neural_de", "particles")

__all__ = [*sorted(_PUBLIC), *_SUBPACKAGES, "__version__"]  # noqa: PLE0604

if TYPE_CHECKING:
    from . import analysis as analysis
    from . import discretize as discretize
    from . import dynamics as dynamics
    from . import neural_de as neural_de
    from . import particles as particles
    from ._errors import NotCarried as NotCarried
    from ._errors import NotConsistent as NotConsistent
    from ._errors import OdescentError as OdescentError
    from .analysis.synthesis import synthesize as synthesize
    from .discretize import *  # noqa: F403
    from .discretize.poles import place_poles as place_poles
    from .discretize.textual import parse_algorithm as parse_algorithm
    from .discretize.textual import parse_scheme as parse_scheme
    from .discretize.textual import read_algorithm as read_algorithm
    from .dynamics import *  # noqa: F403
    from .dynamics.grammar import ParseError as ParseError
    from .dynamics.grammar import parse_system as parse_system
    from .dynamics.grammar import read_system as read_system
    from .particles.minimization import minimize as minimize

    __version__: str


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _SUBPACKAGES:
        return import_module(f".{name}", __name__)
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("odescent")
        except PackageNotFoundError:  # a source tree on the path, not installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
