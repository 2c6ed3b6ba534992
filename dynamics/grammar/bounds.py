"""Limits on the size of a text and its expressions, checked before anything is computed.

Each value has an upper bound on the tree it stands for, abbreviations written out, and on what
writing it as one fraction of polynomials would take. An operation that would pass a limit is refused
with a sentence, so that the time and the memory that a text can take are bounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

MAX_TEXT = 20_000  # characters
MAX_STATEMENTS = 200
MAX_NESTING = 20  # brackets within brackets
MAX_DIGITS = 30  # of a number as it is written
MAX_POWER_OF_TEN = 99  # after its e
MAX_EXPONENT = 64
MAX_ROOT = 12
MAX_NODES = 2_000  # symbols and operations in an expression
MAX_CONSTANT_DEPTH = 4  # the same, of numbers without a symbol
MAX_DEPTH = 30  # powers, functions and products within each other
MAX_TERMS = 10_000  # above or below the fraction bar, when multiplied out
MAX_DEGREE = 500  # of a product of powers
MAX_BITS = 6_000  # of the numbers in an expression


@dataclass(frozen=True)
class Size:
    """Upper bounds for an expression: its tree, and its numerator and denominator when multiplied out."""

    nodes: int = 1
    depth: int = 0
    above: int = 1
    below: int = 1
    degree: int = 1
    bits: int = 0

    def excess(self) -> str:
        """The bound that it exceeds, as a sentence; empty if none."""
        if self.nodes > MAX_NODES:
            return f"the expression is too large: more than {MAX_NODES:,} parts, abbreviations included."
        if self.depth > MAX_DEPTH:
            return f"the expression is nested too deeply: more than {MAX_DEPTH} levels, abbreviations included."
        if max(self.above, self.below) > MAX_TERMS:
            return f"the expression is too large: multiplied out it would have more than {MAX_TERMS:,} terms."
        if self.degree > MAX_DEGREE:
            return f"the powers in the expression become too large: more than {MAX_DEGREE}."
        if self.bits > MAX_BITS:
            return f"the numbers in the expression become too large: more than {MAX_BITS * 3 // 10:,} digits."
        return ""

    def added(self, other: Size) -> Size:
        """The size of a sum."""
        return Size(
            self.nodes + other.nodes + 1,
            max(self.depth, other.depth),
            self.above * other.below + other.above * self.below,
            self.below * other.below,
            max(self.degree, other.degree),
            self.bits + other.bits,
        )

    def times(self, other: Size, copies: int = 1, other_copies: int = 1) -> Size:
        """The size of a product; of sums that are multiplied out, each term is copied.

        Args:
            other: the size of the second factor.
            copies: terms of the second factor, by each of which this one is multiplied.
            other_copies: terms of this factor, by each of which the second is multiplied.
        """
        return Size(
            self.nodes * copies + other.nodes * other_copies + 1,
            max(self.depth, other.depth),
            self.above * other.above,
            self.below * other.below,
            self.degree + other.degree,
            self.bits + other.bits,
        )

    def deeper(self) -> Size:
        """The size of the same, one level further in."""
        return replace(self, depth=self.depth + 1)

    def inverse(self) -> Size:
        """The size of one over it."""
        return replace(self, nodes=self.nodes + 1, above=self.below, below=self.above)

    def power(self, numerator: int, denominator: int) -> Size:
        """The size of the power numerator/denominator."""
        n = max(1, math.ceil(abs(numerator) / denominator))
        above, below = (math.comb(terms + n - 1, n) for terms in (self.above, self.below))
        if numerator < 0:
            above, below = below, above
        return Size(self.nodes + 2, self.depth + 1, above, below, self.degree * n, self.bits * n)

    @staticmethod
    def function(arguments: Iterable[Size]) -> Size:
        """The size of a function or an oracle of the arguments."""
        given = list(arguments)
        return Size(
            1 + sum(a.nodes for a in given),
            1 + max((a.depth for a in given), default=0),
            max((a.above for a in given), default=1),
            max((a.below for a in given), default=1),
            max((a.degree for a in given), default=1),
            sum(a.bits for a in given),
        )


LEAF = Size()
