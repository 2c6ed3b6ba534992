# What `checker_iqc` offers, for type checkers: the script itself stays short and without annotations.
from collections.abc import Mapping
from typing import Any

from .checker import Number

class Constraint:
    d: int
    mu: Number
    L: Number
    rate: Number
    output: list[Number]
    w: list[Number]
    z: list[list[Number]]
    later: list[list[Number]]
    def __init__(self, c: Mapping[str, Any]) -> None: ...
    def remainder(self, P: list[list[Number]], lam: Mapping[int, Number]) -> list[list[Number]]: ...

def check(c: Mapping[str, Any]) -> str: ...
