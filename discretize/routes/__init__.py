"""Routes from principles to algorithms. A new derivation is one function and one line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._errors import unknown
from odescent._registry import Registry

from ..library import ALIASES

if TYPE_CHECKING:
    from ..derivation import Derivation

REGISTRY: Registry[Derivation] = Registry(
    "derivation",
    __name__,
    {
        "nesterov_sc/immersion": "immersion:nesterov_sc",
        "nesterov_sc/model": "model:nesterov_sc",
        "triple_momentum/model": "model:triple_momentum",
        "heavy_ball/model": "model:heavy_ball",
        "nesterov_c/model": "model_family:nesterov_c",
        "ogm/model": "model_family:ogm",
        "item/model": "model_family:item",
        "unified_nesterov/model": "model_family:unified_nesterov",
        "cbo/relaxation": "relaxation:cbo",
        "consensus_hopping/relaxation": "relaxation:consensus_hopping",
    },
)


def routes(name: str) -> list[str]:
    """The routes by which an algorithm is derived, the preferred one first."""
    full = ALIASES.get(name, name)
    return [key.split("/")[1] for key in REGISTRY.entries if key.split("/")[0] == full]


def derive(name: str, route: str | None = None, **options: object) -> Derivation:
    """Derive an algorithm by name along a route: steps from a principle to the algorithm, each with zero residuals.

    Args:
        name: `odescent list derivations` has them; "nesterov" is short for "nesterov_sc".
        route: "immersion", "model" or "relaxation"; by default the first that the algorithm has.
        options: those of the algorithm, where the route takes them.

    Returns a `Derivation`: ``.verified``, ``.steps``, ``.algorithm``, ``.text()``, ``.latex()``, ``.html()``. Raises
    OdescentError for an unknown algorithm, route or option, naming the nearest.
    """
    known = routes(name)
    if not known:
        raise unknown(
            "derivation of", name, [*{k.split("/")[0] for k in REGISTRY.entries}, *ALIASES]
        )
    if route is not None and route not in known:
        raise unknown(f"route to {name!r} called", route, known)
    return REGISTRY.build(f"{ALIASES.get(name, name)}/{route or known[0]}", **options)
