"""The functions of linear solves in emitted modules, by language."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ....dynamics import solves
from .text import functions


@lru_cache(maxsize=8)
def solve_functions(library: str) -> dict[str, str]:
    """The functions that solve from products, by name.

    Args:
        library: what they are written for, "array" (NumPy) or "jax".

    Returns:
        their texts, each after those that it calls.
    """
    folder = Path(str(solves.__file__)).parent
    text = (folder / f"{library}_iterations.py").read_text("utf-8")
    return functions(text[text.index("\n\n\ndef ") :])
