"""Constants that were estimated, which carry the condition that what is made from them is subject to."""

from __future__ import annotations

from dataclasses import dataclass

from ..._support.rendering.rendered import Rendered


@dataclass(frozen=True)
class Supposition(Rendered):
    """What has to be true of a function for a statement about it: estimated bounds of its curvature.

    Attributes:
        mu, L: the bounds; mu is 0 where only convexity is supposed.
        source: what they were estimated from, in words.
        convex: whether no negative curvature was seen.
    """

    mu: float
    L: float
    source: str
    convex: bool = True

    def __str__(self) -> str:
        below = f"mu >= {self.mu:.4g}" if self.mu > 0 else "f is convex"
        if not self.convex:
            below += ", which it is not: negative curvature was seen"
        return f"if L <= {self.L:.4g} and {below}, as estimated from {self.source}"


class Estimate(float):
    """A number that was estimated, with the condition that it is part of.

    Attributes:
        condition: what has to be true for it to hold.
    """

    condition: Supposition

    def __new__(cls, value: float, condition: Supposition) -> Estimate:
        """The number, with its condition."""
        made = super().__new__(cls, value)
        made.condition = condition
        return made

    def __reduce__(self) -> tuple[type[Estimate], tuple[float, Supposition]]:
        return Estimate, (float(self), self.condition)


def condition_of(*numbers: object) -> Supposition | None:
    """The condition that the first of some numbers has, if any has one."""
    return next((n.condition for n in numbers if isinstance(n, Estimate)), None)
