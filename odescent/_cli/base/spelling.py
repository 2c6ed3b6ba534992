"""Messages of Python functions in the spelling of the command line."""

from __future__ import annotations

import re
from collections.abc import Collection

_KEYWORD = re.compile(
    r"(?<![\w.(])(?<!\.\.\., )([A-Za-z_]\w*)=(?:(\.\.\.)|True|(N|'[\w./-]+'|\d+(?:\.\d+)?)(?!\w)|(?=[\s,;]|\.?$))"
)  # in a sentence: name= or name=True or name=... or, with what is to be said, name=N or name=0.1 or name='all'

_BEFORE_A_NUMBER = ("as in ", "give ", "giving ", "take ")


def as_options(sentence: str, takes: Collection[str]) -> str:
    """The sentence with what stands in ``takes`` spelled as an option: ``horizon='all'`` is --horizon all."""

    def spelled(found: re.Match[str]) -> str:
        option = f"--{found[1].replace('_', '-')}"
        said = found[2] or (found[3] or "").strip("'")
        if said[:1].isdigit() and not sentence[: found.start()].endswith(_BEFORE_A_NUMBER):
            return found[0]  # one of several arguments in a call
        if option in takes:
            return f"{option} {said}".rstrip()
        return f"--set {found[0]}" if found[2] and "--set" in takes else found[0]

    return _KEYWORD.sub(spelled, sentence)
