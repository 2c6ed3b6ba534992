"""One check for all options that are counts."""

from __future__ import annotations

import operator

from ._errors import OdescentError


def check_whole(name: str, value: object, least: int) -> int:
    """The option as an int; OdescentError unless it is a whole number (no bool) of at least ``least``."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least:
        raise OdescentError(f"{name} must be a whole number of at least {least}, not {value!r}.")
    return int(number)


__all__ = ["check_whole"]
