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
    from ._own_system import Emitted


def run(
    name: str,
    target: str,
    options: Mapping[str, str | None],
    settings: Sequence[str],
    out: Path | None,
    as_json: bool,
    own: Mapping[str, str | None] | None = None,
) -> int:
    """Print the source of an algorithm with its parameters bound, or write it to a file.

    ``own`` has the options of a system file, which a name that ends in .ode, or is that of a file, means.
    Returns the exit code: 2 if the file is refused.
    """
    direct = [f"{key}={text}" for key, text in options.items() if text is not None]
    given = assignments([*direct, *settings])
    for_file = {option: text for option, text in (own or {}).items() if text is not None}
    from . import _own_system

    if _own_system.is_file(name):
        try:
            emitted, bound = _of_file(name, target, given, for_file)
        except _own_system.Refused as error:
            return _own_system.refuse(error)
    else:
        _own_system.no_options(name, for_file)
        emitted, bound = _of_name(name, target, given)
    if out is not None:
        write_whole(out, emitted.text)
    if as_json:
        value = {
            "name": emitted.name,
            "target": target,
            "settings": bound,
            "free": list(emitted.free),
            "out": None if out is None else str(out),
            "source": emitted.text,
        }
        _console.say_exactly(_console.document(value, "odescent.emit/1"))
    elif out is None:
        _console.say_exactly(emitted.text.rstrip("\n") + "\n")
    else:
        names = ", ".join(sorted(emitted.free))
        rest = f", with the parameters {names}" if names else ""
        _console.say(f"{out}: {emitted.name or name} for {target}{rest}.")
    return 0


def _of_file(
    name: str, target: str, given: Mapping[str, str], options: Mapping[str, str]
) -> tuple[Emitted, dict[str, str]]:
    from . import _own_system

    numbers = {n: str(number(n, text)) for n, text in given.items()}
    request = _own_system.requested(name, options, target=target, settings=numbers)
    return _own_system.emit(request, _own_system.time_limit(options)), numbers


def _of_name(name: str, target: str, given: Mapping[str, str]) -> tuple[Emitted, dict[str, str]]:
    """The source, and what each option and parameter was set to, exactly."""
    import odescent as od

    from ._own_system import Emitted, bound
    from .discretize.library import ALIASES, REGISTRY

    full = ALIASES.get(name, name)
    if full not in REGISTRY.entries and full in od.systems():
        raise OdescentError(
            f"{name} is a system: emit takes an algorithm, or a system file with a scheme (see --scheme)."
        )
    accepted = inspect.signature(REGISTRY.function(ALIASES.get(name, name))).parameters
    options = {n: text for n, text in given.items() if n in accepted}  # words, such as step=1/L
    numbers = {n: number(n, text) for n, text in given.items() if n not in accepted}
    algorithm = bound(od.algorithm(name, **options), numbers)
    emitted = Emitted(
        algorithm.source(target), algorithm.name, tuple(s.name for s in algorithm.parameters)
    )
    return emitted, {**options, **{n: str(v) for n, v in numbers.items()}}
