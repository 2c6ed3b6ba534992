"""Routes from principles to algorithms. A new derivation is one function and one line below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..._support.errors import OdescentError, unknown
from ..._support.registry import Registry
from ..library import REGISTRY as ALGORITHMS

if TYPE_CHECKING:
    from ..faces import Algorithm, Derivation

DIRECT = "direct"  # the route that every algorithm has: from its own system by its own scheme


class Derivations(Registry["Derivation"]):
    """The registered derivations, each of which knows the name and the options that it was built from."""

    def build(self, name: str, **options: object) -> Derivation:
        from ..library import algorithm

        given = {"derivation": name, "options": dict(sorted(options.items()))}
        method, _, route = name.partition("/")
        if route == DIRECT:
            return _said(algorithm(method, **options).derivation(), given)
        return _said(super().build(name, **options), given)


def _said(derivation: Derivation, given: Mapping[str, object]) -> Derivation:
    """The derivation, which knows what it was asked for by."""
    from dataclasses import replace

    from ..proof.exact_data import Principle

    return replace(derivation, principle=Principle("derive", given))


REGISTRY = Derivations(
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
        "adagrad_norm/first_integral": "methods.first_integral:adagrad_norm",
        "adagrad/first_integral": "methods.first_integral:adagrad",
        "adadagrad_norm/norm_test": "methods.first_integral:adadagrad_norm",
        "cbo/relaxation": "relaxation:cbo",
        "consensus_hopping/relaxation": "relaxation:consensus_hopping",
        "iterative_newton/doubling": "methods.riccati:iterative_newton",
        "mkor/splitting": "methods.riccati:mkor",
        "implicit_gradient_transport/lag": "methods.transport:implicit_gradient_transport",
        "hessian_aided_momentum/lag": "methods.transport:hessian_aided_momentum",
        "m_fac/window": "methods.window:m_fac",
        "implicit_bilevel/reduction": "methods.bilevel:implicit_bilevel",
        "penalty_bilevel/reduction": "methods.bilevel:penalty_bilevel",
        "inexact_bilevel/reduction": "methods.bilevel:inexact_bilevel",
        "adaptive_regularized_newton/implicit": "methods.regularized:adaptive_regularized_newton",
    },
)


def routes(name: str) -> list[str]:
    """The routes by which an algorithm is derived, the preferred one first; none for a name that is unknown."""
    full = ALGORITHMS.full(name)
    own = [key.split("/")[1] for key in REGISTRY.entries if key.split("/")[0] == full]
    return [*own, DIRECT] if full in ALGORITHMS.entries else own


def derive(name: str | Algorithm, route: str | None = None, **options: object) -> Derivation:
    """Derive an algorithm along a route: steps from a principle to the algorithm, each with zero residuals.

    Args:
        name: the name of an algorithm ("nesterov" is short for "nesterov_sc"), or an algorithm of your own.
        route: "immersion", "model", "first_integral", "norm_test", "relaxation", "doubling", "splitting", "window",
            "lag", "implicit" or "reduction", if available for the algorithm, or "direct", from the system by the
            scheme, which always is, and is the only one of your own. The default is the first available one of these.
        options: options of the algorithm, if the route supports them.

    Returns a `Derivation`: ``.verified``, ``.steps``, ``.algorithm``, ``.text()``, ``.latex()``, ``.html()``. It is
    immutable, so the same name, route and options give the same object. Raises OdescentError for an
    unknown algorithm, route or option, naming the nearest.
    """
    if not isinstance(name, str):
        if route not in (None, DIRECT):
            raise unknown("route to an algorithm of your own called", route, [DIRECT])
        if options:
            raise OdescentError(
                f"an algorithm of your own has no options, such as {next(iter(options))}: bind its parameters."
            )
        return name.derivation()
    known = routes(name)
    if not known:
        raise unknown("derivation of", name, ALGORITHMS)
    if route is not None and route not in known:
        raise unknown(f"route to {name!r} called", route, known)
    full, route = ALGORITHMS.full(name), route or known[0]
    made = REGISTRY.once(f"{full}/{route}", **options)
    made.check()
    return made
