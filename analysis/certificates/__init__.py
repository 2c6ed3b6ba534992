"""Certificates of convergence rates: found in floats, proved in exact arithmetic, checked by anyone.

`search.certify` reads a method (`plant`), bounds its rate from below on quadratics (`modes`), looks for a
Lyapunov function by semidefinite programming (`lmi`), and keeps what `checker`, a script without dependencies,
proves of it. Exact rates come from `identity`, counterexamples from `cycle`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Certificate": "certificate",
    "Cycle": "cycle",
    "NoCertificate": "plant",
    "certify": "search",
    "counterexample": "cycle",
    "roots_of_unity": "cycle",
    "worst_case_rate": "lmi",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate
    from .cycle import Cycle as Cycle
    from .cycle import counterexample as counterexample
    from .cycle import roots_of_unity as roots_of_unity
    from .lmi import worst_case_rate as worst_case_rate
    from .plant import NoCertificate as NoCertificate
    from .search import certify as certify


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
