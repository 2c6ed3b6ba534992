"""Schemes that advance fields, or blocks, sequentially."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from ...._support.errors import OdescentError
from ...._support.rendering.brief import short
from ...programs.substeps import Flow, Integrator, Scheme, composition, in_shares

Parts = Iterable[tuple[str, "Integrator | str"]]


def semi_implicit_euler(order: Iterable[str]) -> Scheme:
    """One block after the other, each by an explicit step that sees the blocks already moved."""
    named = _names(order, "order=('v', 'x')")
    return Scheme(
        tuple(Flow((), Integrator("explicit"), on=(b,)) for b in named), "semi_implicit_euler"
    )


def lie_trotter(parts: Parts) -> Scheme:
    """The fields in order, each for the whole step: first order."""
    return composition(parts, name="lie_trotter")


def strang(parts: Parts) -> Scheme:
    """The fields for half steps and in mirrored order, the last one in the middle for a whole step."""
    return composition(parts, symmetric=True, name="strang")


def splitting(word: str, **letters: tuple[str, Integrator | str]) -> Scheme:
    """The letters of a word in order, each a (field, integrator): ``splitting("BAB", A=("drift", "exact"), ...)``.

    A letter that occurs n times advances its field by 1/n of the step each time; a palindrome is symmetric.
    """
    if not word or set(word) != set(letters):
        said = ", ".join(sorted(letters)) or "none"
        raise OdescentError(
            f"a splitting takes a word and a (field, integrator) pair for each of its letters; the word is {word!r} "
            f"and the letters given are {said}."
        )
    for letter, pair in letters.items():
        if len(pair) != 2:
            raise OdescentError(
                f"the letter {letter} of a splitting must be a (field, integrator) pair, not {short(pair)}."
            )
    parts = [
        (letters[c][0], Integrator.of(letters[c][1]), sp.Rational(1, word.count(c))) for c in word
    ]
    return Scheme(in_shares(parts), "splitting")


def look_ahead(
    damp: str = "damp",
    kick: str = "kick",
    drift: str = "drift",
    by: str = "cayley",
    block: str = "x",
) -> Scheme:
    """Damp, look ahead along the drift without committing it, kick by the gradient there, then drift.

    Args:
        damp: the field of the damping.
        kick: the field of the gradient.
        drift: the field that moves the position.
        by: the integrator of the damping.
        block: the position.
    """
    explicit = Integrator("explicit")
    return Scheme(
        (
            Flow((damp,), Integrator.of(by)),
            Flow((drift,), explicit, save="ahead", commit=False),
            Flow((kick,), explicit, read={block: "ahead"}),
            Flow((drift,), explicit),
        ),
        "look_ahead",
    )


def _names(order: Iterable[str], example: str) -> tuple[str, ...]:
    named = tuple(order)
    if isinstance(order, str) or len(named) < 1 or not all(isinstance(n, str) for n in named):
        raise OdescentError(
            f"the order of blocks must be a tuple of their names, as in {example}; it is {order!r}."
        )
    return named
