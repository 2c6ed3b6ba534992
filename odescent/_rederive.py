"""Derivations reconstructed from the principle in their documents, and compared with these character by character.

A registered derivation is made from its name. What is in the document of a system of one's own may have been written
by anyone: it is read in a process of its own, for a limited time, and nothing but text comes back.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._support.child import NoAnswer, TimeUp, ask, serve
from ._support.errors import OdescentError

if TYPE_CHECKING:
    from .discretize.faces import Derivation

_CALLS = {  # the public functions that a principle may name
    "immerse": "odescent.discretize.routes.plant",
    "energy_balance": "odescent.analysis.cycling.balance",
}


def compared(document: dict[str, Any], seconds: float) -> tuple[str, str]:
    """What differs between a document and the derivation that its principle gives, and else what was compared.

    Of the two sentences one is empty. A derivation from a system of one's own may take so many seconds.
    """
    principle = document["principle"]
    registered = isinstance(principle, dict) and principle.get("by") in ("derive", "energy_balance")
    return here(document) if registered else _elsewhere(document, seconds)


def here(document: dict[str, Any]) -> tuple[str, str]:
    """The same in this process, for as long as it takes."""
    found = made(document)
    return (found, "") if isinstance(found, str) else judged(document, *found)


def made(document: dict[str, Any]) -> tuple[Derivation, dict[str, Any]] | str:
    """The derivation that the principle of a document gives, and its document; else why there is none."""
    try:
        derivation = rederived(document)
        if not derivation.verified:
            return "derived again, a step of it does not hold."
        return derivation, json.loads(json.dumps(derivation.to_dict()))
    except OdescentError as error:
        return f"it cannot be derived again: {error}"
    except (MemoryError, RecursionError) as error:
        return f"it cannot be derived again: too large ({type(error).__name__})."
    except Exception as error:  # the engine, on what nobody thought of: a sentence, no traceback
        return f"it cannot be derived again ({type(error).__name__}: {error})."


def judged(
    document: dict[str, Any], derivation: Derivation, again: dict[str, Any]
) -> tuple[str, str]:
    """What differs between a document and a derivation's own, and else what was compared."""
    if place := difference(document, again):
        return f"derived again from its principle, it is another document: {place}.", ""
    return "", (
        f"Derived again from its principle by odescent, its {len(derivation.steps)} steps are proved symbolically and "
        f"the document is the same in every character: {identity(document['principle'], derivation)}."
    )


def rederived(document: dict[str, Any]) -> Derivation:
    """The derivation that the principle in a document gives; OdescentError if there is none."""
    from .discretize.reading.exact_reading import algorithm_from, argument_from

    principle = document["principle"]
    if principle is None:
        raise OdescentError("it states no principle, since it was assembled by hand.")
    if not isinstance(principle, dict) or list(principle) != ["by", "given"]:
        raise OdescentError(
            "its principle must have the keys `by`, a function, and `given`, its arguments."
        )
    by, written = principle["by"], principle["given"]
    if not isinstance(by, str) or not isinstance(written, dict):
        raise OdescentError(
            "its principle must have the keys `by`, a function, and `given`, its arguments."
        )
    given = {name: argument_from(value) for name, value in written.items()}
    if by == "derive":
        return _registered(given)
    if by == "scheme" and not given:
        return algorithm_from(document["algorithm"]["exact"]).derivation()
    if by not in _CALLS:
        raise OdescentError(f"its principle is {by[:40]!r}, which does not name a derivation.")
    made: Derivation = getattr(import_module(_CALLS[by]), by)(**given)
    return made


def _registered(given: dict[str, Any]) -> Derivation:
    from .discretize.routes import derive

    name, options = given.get("derivation"), given.get("options")
    if len(given) != 2 or not isinstance(name, str) or not isinstance(options, dict):
        raise OdescentError("its principle does not name a registered derivation and its options.")
    if not {"name", "route"}.isdisjoint(options):
        raise OdescentError("its principle has an option that no registered derivation takes.")
    method, _, route = name.partition("/")
    return derive(method, route, **options)


def difference(document: Any, made: Any, place: str = "") -> str:
    """The first place where two documents differ, in words; empty if they are the same, orders and types included."""
    if json.dumps(document) == json.dumps(made):
        return ""
    if isinstance(document, dict) and isinstance(made, dict) and list(document) == list(made):
        parts = [(f"{place}.{key}", document[key], made[key]) for key in made]
    elif isinstance(document, list) and isinstance(made, list) and len(document) == len(made):
        parts = [(f"{place}[{i}]", *two) for i, two in enumerate(zip(document, made, strict=True))]
    else:
        return f"{place.removeprefix('.')} is {_short(document)}, where {_short(made)} follows"
    return next(filter(None, (difference(d, m, where) for where, d, m in parts)), "")


def _short(data: Any) -> str:
    shown = json.dumps(data)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def identity(principle: dict[str, Any], derivation: Derivation) -> str:
    """What the document is about; a registered name is said of nothing that was not compared with it."""
    from .discretize.library import REGISTRY, algorithm
    from .discretize.proof.exact_data import exact_algorithm

    name = derivation.name
    if principle["by"] == "derive":
        return f"the registered derivation of {name!r} by the {derivation.route} route"
    if principle["by"] == "energy_balance":
        return "the registered balance of energy of heavy ball"
    words = "its names, references and provenance are words of its author"
    if not derivation.algorithm.name:
        return f"a method without a name; {words}"
    if name not in REGISTRY.entries:
        return f"a method that calls itself {name!r}; {words}"
    mine, registered = exact_algorithm(derivation.algorithm), exact_algorithm(algorithm(name))
    if principle["by"] == "scheme" and json.dumps(mine) == json.dumps(registered):
        return f"the registered method {name!r}, from its own system by its own scheme"
    return f"a method that calls itself {name!r}, but is not given as the registered one; {words}"


def _elsewhere(document: dict[str, Any], seconds: float) -> tuple[str, str]:
    """What the child answers."""
    try:
        different, sentence = ask("odescent._rederive", {"document": document}, seconds)
    except TimeUp:
        return f"to derive it again takes longer than {seconds:g} s, and was stopped.", ""
    except NoAnswer as last:
        return f"to derive it again ended without a result ({last}).", ""
    return str(different), str(sentence)


def main() -> None:
    """The child: a document on the standard input, the answer on the standard output."""
    serve(lambda asked: here(asked["document"]))


if __name__ == "__main__":
    main()
