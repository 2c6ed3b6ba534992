"""``odescent emit``: an algorithm as source that runs without this package."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import _console
from ._errors import OdescentError
from ._files import write_whole
from ._numbers import assignments, number

if TYPE_CHECKING:
    from .discretize import Algorithm


def run(
    name: str,
    target: str,
    options: Mapping[str, str | None],
    settings: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Print the source of an algorithm with its parameters bound, or write it to a file."""
    direct = [f"{key}={text}" for key, text in options.items() if text is not None]
    given = assignments([*direct, *settings])
    algorithm, bound = _build(name, given)
    text = algorithm.source(target)
    if out is not None:
        write_whole(out, text)
    free = [s.name for s in algorithm.parameters]
    if as_json:
        value = {
            "name": algorithm.name,
            "target": target,
            "settings": bound,
            "free": free,
            "out": None if out is None else str(out),
            "source": text,
        }
        _console.say_exactly(_console.document(value, "odescent.emit/1"))
    elif out is None:
        _console.say_exactly(text if text.endswith("\n") else text + "\n")
    else:
        rest = f", with the parameters {', '.join(sorted(free))}" if free else ""
        _console.say(f"{out}: {algorithm.name} for {target}{rest}.")


def _build(name: str, given: Mapping[str, str]) -> tuple[Algorithm, dict[str, str]]:
    """The algorithm with its options and parameters, and what each was set to, exactly."""
    import sympy as sp

    import odescent as od

    from .discretize.library import ALIASES, REGISTRY

    accepted = inspect.signature(REGISTRY.function(ALIASES.get(name, name))).parameters
    options = {n: text for n, text in given.items() if n in accepted}  # words, such as step=1/L
    numbers = {n: number(n, text) for n, text in given.items() if n not in accepted}
    values = {n: sp.Rational(v.numerator, v.denominator) for n, v in numbers.items()}
    algorithm = od.algorithm(name, **options)
    try:
        algorithm = algorithm.bind(values)
    except OdescentError:
        raise
    except ValueError as error:
        raise OdescentError(str(error)) from None
    return algorithm, {**options, **{n: str(v) for n, v in numbers.items()}}
