"""The registry of schemes. A new scheme is one function here and one line in ``_SCHEMES``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp

from odescent._errors import OdescentError, unknown

from ..substeps import START, Flow, Integrator, Scheme, Tableau, composition, in_shares

Parts = Iterable[tuple[str, "Integrator | str"]]


def _whole(kind: str, said: str) -> Callable[[], Scheme]:
    def scheme() -> Scheme:
        return Scheme((Flow((), Integrator(kind)),), kind)

    scheme.__doc__ = said
    return scheme


def _runge_kutta(
    name: str, said: str, a: list[list[object]], b: list[object]
) -> Callable[[], Scheme]:
    rational = sp.Rational
    tableau = Tableau(
        tuple(tuple(rational(x) for x in row) for row in a), tuple(rational(x) for x in b)
    )

    def scheme() -> Scheme:
        return Scheme((Flow((), Integrator.of(tableau)),), name)

    scheme.__doc__ = said
    return scheme


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
                f"the letter {letter} of a splitting is a (field, integrator) pair, not {pair!r}."
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
    """Damp, look ahead along the drift without committing it, kick by the gradient there, then drift."""
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


def extragradient() -> Scheme:
    """An explicit step that is only looked at, then an explicit step with the fields read there."""
    explicit = Integrator("explicit")
    return Scheme(
        (Flow((), explicit, save="half", commit=False), Flow((), explicit, read={"*": "half"})),
        "extragradient",
        "Korpelevich 1976",
    )


def _names(order: Iterable[str], example: str) -> tuple[str, ...]:
    named = tuple(order)
    if isinstance(order, str) or len(named) < 1 or not all(isinstance(n, str) for n in named):
        raise OdescentError(
            f"the order of blocks is a tuple of their names, as in {example}; it is {order!r}."
        )
    return named


_SCHEMES: dict[str, Callable[..., Scheme]] = {
    "explicit_euler": _whole(
        "explicit", "All fields at once, read where the step begins: first order."
    ),
    "implicit_euler": _whole(
        "implicit", "All fields at once, read where the step ends: first order; a solve or a prox."
    ),
    "cayley": _whole(
        "cayley", "Linear fields by the trapezoidal rule, an implicit second-order step."
    ),
    "exact": _whole("exact", "Linear fields by their exponential, without error."),
    "semi_implicit_euler": semi_implicit_euler,
    "lie_trotter": lie_trotter,
    "strang": strang,
    "splitting": splitting,
    "look_ahead": look_ahead,
    "extragradient": extragradient,
    "midpoint": _runge_kutta(
        "midpoint",
        "Half an explicit step, then a whole one with the fields read there: second order.",
        [[], ["1/2"]],
        [0, 1],
    ),
    "heun": _runge_kutta(
        "heun",
        "The mean of the fields where the step begins and where an explicit step ends: second order.",
        [[], [1]],
        ["1/2", "1/2"],
    ),
    "rk4": _runge_kutta(
        "rk4",
        "Runge and Kutta's method of four stages: fourth order.",
        [[], ["1/2"], [0, "1/2"], [0, 0, 1]],
        ["1/6", "1/3", "1/3", "1/6"],
    ),
}


def schemes() -> list[str]:
    """Names of the schemes."""
    return sorted(_SCHEMES)


def summary(name: str) -> str:
    """What a scheme of the registry is, in one sentence without its full stop."""
    first = (_SCHEMES[name].__doc__ or "").split("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def scheme(name: str, *args: Any, **options: Any) -> Scheme:
    """A scheme by name: ``scheme("lie_trotter", [("damp", "exact"), ("kick", "explicit")])``.

    Args:
        name: one of `schemes`; `odescent list schemes` says what each is.
        args, options: the scheme's own: fields with their integrators in order ("lie_trotter", "strang"), blocks in
            order ("semi_implicit_euler"), a word and its letters ("splitting"); none for those of all fields at once.

    Raises OdescentError for an unknown name (with the nearest) or options that the scheme does not take.
    """
    if name not in _SCHEMES:
        raise unknown("scheme", name, _SCHEMES)
    try:
        return _SCHEMES[name](*args, **options)
    except TypeError as error:
        raise OdescentError(
            f"scheme {name!r} was given options that do not fit: {error}."
        ) from None


__all__ = ["START", "scheme", "schemes"]
