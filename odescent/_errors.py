"""The sentences of errors that several parts share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OdescentError(ValueError):
    """Bad input or a request that cannot be carried out; the message is one sentence for the user."""


class NotConsistent(OdescentError):
    """A scheme whose substeps do not add up to the drift of its system."""


class NotCarried(OdescentError):
    """A backend or a view cannot carry what the algorithm does."""


class OdescentWarning(UserWarning):
    """Something that can be done but will hardly be what is wanted; the message is one sentence."""


def unknown(kind: str, name: object, known: Iterable[str]) -> OdescentError:
    """The error for a name that is not in a registry, with the nearest names that are.

    Returns the exception; the caller raises it.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=2, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(repr(n) for n in near) + "?"
    else:
        shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        hint = f"known: {shown}." if names else "there is none."
    return OdescentError(f"there is no {kind} {str(name)!r}: {hint}")
