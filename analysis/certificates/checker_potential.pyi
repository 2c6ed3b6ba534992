# What `checker_potential` offers, for type checkers: the script itself stays short and without annotations.
from collections.abc import Mapping
from typing import Any

from .checker import Number

class Step:
    signs: tuple[tuple[Number, ...], ...]
    left: list[Number]
    start: list[Number]
    def __init__(self, c: Mapping[str, Any], v: Number) -> None: ...

def minors(M: list[list[Number]]) -> list[Number]: ...
def keeps(values: list[Number], degree: int, v: Number | None, least: int) -> bool: ...
def check(c: Mapping[str, Any]) -> str: ...
