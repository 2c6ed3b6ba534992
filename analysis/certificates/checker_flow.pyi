# What `checker_flow` offers, for type checkers: the script itself stays short and without annotations.
from collections.abc import Mapping, Sequence
from typing import Any

from .checker import Number

class Flow:
    d: int
    n: int
    p: int
    mu: Number
    s: Number
    rate: Number
    twice: Number
    output: list[Number]
    moves: list[list[Number]]
    y: list[list[Number]]
    g: list[list[Number]]
    def __init__(self, c: Mapping[str, Any]) -> None: ...
    def remainders(
        self,
        P: Sequence[Sequence[Number]],
        nu: Mapping[tuple[int, int], Number],
        lam: Mapping[tuple[int, int], Number],
    ) -> tuple[list[list[Number]], list[list[Number]], dict[tuple[int, int], Number]]: ...

def check(c: Mapping[str, Any]) -> str: ...
