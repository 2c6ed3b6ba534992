"""Phase portraits and convergence: data first, pictures second."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Convergence": "convergence",
    "Portrait": "portrait",
    "compute_convergence": "convergence",
    "compute_portrait": "portrait",
    "phase_portrait": "phase",
    "save": "style",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .convergence import Convergence as Convergence
    from .convergence import compute_convergence as compute_convergence
    from .phase import phase_portrait as phase_portrait
    from .portrait import Portrait as Portrait
    from .portrait import compute_portrait as compute_portrait
    from .style import save as save


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
