# What `checker` offers, for type checkers: the script itself stays short and without annotations.
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

class Refused(ValueError): ...

class Number:
    a: Fraction
    b: Fraction
    d: int
    e: Fraction
    def __init__(
        self, a: Fraction | int, b: Fraction | int = 0, d: int = 1, e: Fraction | int = 0
    ) -> None: ...
    def __bool__(self) -> bool: ...
    def __add__(self, o: Number) -> Number: ...
    def __neg__(self) -> Number: ...
    def __sub__(self, o: Number) -> Number: ...
    def __mul__(self, o: Number) -> Number: ...
    def sign(self) -> int: ...
    def __str__(self) -> str: ...

ZERO: Number
ONE: Number

def read(text: Any, d: int) -> Number: ...
def dot(row: Sequence[Number], matrix: Sequence[Sequence[Number]]) -> list[Number]: ...
def add_square(
    into: list[list[Number]], weight: Number, u: Sequence[Number], v: Sequence[Number]
) -> None: ...
def subtract(
    it: Any, whole: list[list[Number]], weights: Mapping[tuple[int, int], Number]
) -> list[list[Number]]: ...
def definite(matrix: Sequence[Sequence[Number]], d: int, strict: bool) -> bool: ...

class Inequality:
    d: int
    n: int
    p: int
    early: int
    mu: Number
    L: Number
    rate: Number
    output: list[Number]
    y: list[list[Number]]
    g: list[list[Number]]
    later: list[list[Number]]
    def __init__(self, c: Mapping[str, Any]) -> None: ...
    slack: tuple[Number, Number, Number, Number]
    def remainders(
        self,
        P: Sequence[Sequence[Number]],
        nu: Mapping[tuple[int, int], Number],
        lam: Mapping[tuple[int, int], Number],
    ) -> tuple[list[list[Number]], list[list[Number]], dict[tuple[int, int], Number]]: ...

def check(c: Mapping[str, Any]) -> str: ...
