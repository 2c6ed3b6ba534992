"""The registry of schemes. A new one is one function in a small file here and one line below."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ...._support.errors import OdescentError
from ...._support.registry import Registry

if TYPE_CHECKING:
    from ...programs.substeps import Scheme

REGISTRY: Registry[Scheme] = Registry(
    "scheme",
    __package__,
    {
        "explicit_euler": "whole_field",
        "implicit_euler": "whole_field",
        "cayley": "whole_field",
        "exact": "whole_field",
        "linearly_implicit": "whole_field",
        "linearly_implicit_midpoint": "whole_field",
        "semi_implicit_euler": "compositions",
        "lie_trotter": "compositions",
        "strang": "compositions",
        "splitting": "compositions",
        "look_ahead": "compositions",
        "extragradient": "whole_field",
        "midpoint": "whole_field",
        "heun": "whole_field",
        "rk4": "whole_field",
        "adams_bashforth": "whole_field",
    },
)

_EXAMPLES = {  # what a scheme is given first, as one writes it
    "order": '["v", "x"]',
    "parts": '[("damp", "exact"), ("kick", "explicit")]',
    "word": '"AB", A=("damp", "exact"), B=("kick", "explicit")',
}


def schemes() -> list[str]:
    """Names of the schemes."""
    return REGISTRY.names()


def scheme(name: str, *args: Any, **options: Any) -> Scheme:
    """A scheme by name: ``scheme("lie_trotter", [("damp", "exact"), ("kick", "explicit")])``.

    Args:
        name: one of `schemes`; `odescent list schemes` describes each.
        args, options: arguments of the scheme: fields with their integrators in order ("lie_trotter", "strang"), blocks
            in order ("semi_implicit_euler"), a word and its letters ("splitting"); none for schemes of all fields.

    Raises OdescentError for an unknown name (with the nearest) or options that the scheme does not take.
    """
    make = REGISTRY.function(name)
    takes = inspect.signature(make)
    try:
        takes.bind(*args, **options)
    except TypeError as error:
        example = next((_EXAMPLES[n] for n in takes.parameters if n in _EXAMPLES), "")
        if example and not args and not options:
            raise OdescentError(
                f"scheme {name!r} needs its {next(iter(takes.parameters))}, as in od.scheme({name!r}, {example})."
            ) from None
        given = [repr(a) for a in args] + [f"{n}={v!r}" for n, v in options.items()]
        listed = f"({', '.join(takes.parameters)})" if takes.parameters else "nothing more"
        raise OdescentError(
            f"scheme {name!r} does not take these options: it takes {listed}, not ({', '.join(given)}), "
            f"{error}; several fields or blocks are one list."
        ) from None
    try:
        return make(*args, **options)
    except (TypeError, AttributeError, ValueError) as error:
        if isinstance(error, OdescentError):
            raise
        raise OdescentError(f"scheme {name!r} does not take these options: {error}.") from None
