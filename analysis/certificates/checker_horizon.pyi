# What `checker_horizon` offers, for type checkers: the script itself stays short and without annotations.
from collections.abc import Mapping
from typing import Any

from .checker import Number

class Steps:
    d: int
    mu: Number
    L: Number
    bound: Number
    far: list[Number]
    y: list[list[Number]]
    g: list[list[Number]]
    last: int
    first: int | None
    slack: tuple[Number, Number, Number, Number]
    measure: str
    start: str
    def __init__(self, c: Mapping[str, Any]) -> None: ...
    def follows(self, lam: Mapping[tuple[int, int], Number]) -> dict[tuple[int, int], Number]: ...
    def remainder(self, weights: Mapping[tuple[int, int], Number]) -> list[list[Number]]: ...

def check(c: Mapping[str, Any]) -> str: ...
