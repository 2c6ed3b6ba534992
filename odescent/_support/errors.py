"""The sentences of errors that several parts share."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import TypeVar

Name = TypeVar("Name")
_SHOWN = 8  # names in a sentence
_READ = {"algorithm", "derivation", "system"}  # what a typed equation may be in the place of
_LISTED = ("algorithm", "derivation", "map", "objective", "regularizer", "scheme", "system", "task")
_LONGEST = 40  # characters of a value in a sentence


class OdescentError(ValueError):
    """Invalid input or an unsupported request; the message is one sentence for the user."""


class WrongType(OdescentError, TypeError):
    """A call that a signature does not take, or values of types that a function or an operation does not take."""


class NoSuchName(OdescentError, AttributeError):
    """A name that a package does not have."""


class DividedByZero(OdescentError, ZeroDivisionError):
    """A division by what is zero, in an expression."""


class NotConsistent(OdescentError):
    """The substeps of a scheme do not add up to the drift of its system."""


class NotCarried(OdescentError):
    """A backend or a view does not support an operation of the algorithm."""


class TooLarge(NotCarried, ArithmeticError):
    """An expression that would be too large written out, so that what depends on it stays undecided."""


class OdescentWarning(UserWarning):
    """Something that can be done but will hardly be what is wanted; the message is one sentence."""


def unknown(kind: str, name: object, known: Iterable[str]) -> OdescentError:
    """The error for a name that is not in a registry; lists the registered names, closest matches first.

    Args:
        kind: what the registry holds, in the singular.
        name: the name that was given.
        known: the registered names.

    Returns:
        The exception; the caller raises it.
    """
    names = sorted(set(known))
    near = _nearest(str(name), names)
    if "=" in str(name) and _READ.intersection(kind.split()):
        hint = "it is an equation; od.parse_system(text) reads it, and od.parse_algorithm(text) with its scheme."
    elif near:
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
    elif not names:
        hint = "there are none."
    elif len(names) <= _SHOWN + 1:
        hint = f"known: {', '.join(names)}."
    else:
        alike = lambda n: -difflib.SequenceMatcher(None, str(name), n).ratio()
        shown = sorted(names, key=alike)[:_SHOWN]
        see = [f"{word}s" for word in kind.split() if word in _LISTED]
        where = f"; see odescent list{' ' + see[0] if len(see) == 1 else ''}" if see else ""
        where = "; see odescent --help" if kind == "command" else where
        hint = f"known: {', '.join(shown)} and {len(names) - len(shown)} more{where}."
    return OdescentError(f"there is no {kind} {str(name)!r}: {hint}")


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    """At most two names like that one; a word of a name may be like it too, as eulr is like explicit_euler."""
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    # half of the letters of a short name is one letter, and of others no likeness
    likeness = {n: difflib.SequenceMatcher(None, name, n).ratio() for n in near}
    near = [n for n in near if likeness[n] >= 0.6 or len(n) == len(name) < 4]
    if near and difflib.SequenceMatcher(None, name, near[0]).ratio() > 0.7:
        return near
    words = {w: n for n in reversed(names) for w in n.split("_") if len(w) > 2}
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.8)
    return [n for w in close for n in names if w in n.split("_")][:2] or near


def check_choice(kind: str, name: Name, known: Collection[str]) -> Name:
    """The name, if it is in a registry or among some words.

    Args:
        kind: what the names are of, in the singular.
        name: the name that was given.
        known: the names.

    Raises:
        OdescentError: as `unknown` says it.
    """
    if name not in known:
        raise unknown(kind, name, known)
    return name


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)


def expected(where: str, what: str, given: object) -> OdescentError:
    """The error for an argument of the wrong type.

    Args:
        where: the argument, and the function that it belongs to.
        what: the expected type, in words.
        given: the value that was passed.

    Returns:
        The exception; the caller raises it.
    """
    return OdescentError(f"{where} must be {what}, not {shown(given)}.")


def shown(value: object) -> str:
    """A value in a sentence: as it is written where that is short, else its type."""
    # Python writes no more than 4,300 digits
    if isinstance(value, int) and abs(value) >= 10**_LONGEST:
        return f"a number of more than {_LONGEST} digits"
    simple = value is None or isinstance(value, (bool, int, float, str))
    text = repr(value) if simple else ""
    return text if 0 < len(text) <= _LONGEST else f"an object of type {type(value).__name__}"
