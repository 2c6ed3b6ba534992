"""The JAX module of a stochastic algorithm with its draws as arguments, like its oracles, for runs of the package.

Its ``step`` has ``draw`` in the place of ``key``; see `discretize.draws.drawing`. It has no ``run``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....dynamics.algebra.vectors import VectorSymbol
from ..backend import POWERS, Backend
from ..lowering.statements import CountLet, Sample
from .jax import JaxModule


class DrawnModule(JaxModule):
    """A module whose draws are asked of an argument; numbers of jumps come after the normals."""

    noise = "draw: Callable[..., Any]"

    def before_draws(self, count: int) -> list[str]:
        return []

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        number = _ordered(samples).index(s)
        if isinstance(s, CountLet):
            return f"draw({number}, {like}, {self.scalars.scalar(s.mean)}, {s.common})"
        return f"draw({number}, {like})"

    def run(self) -> list[str]:
        samples = [s for s in self.low.step.statements if isinstance(s, (Sample, CountLet))]
        kinds = tuple(_kind(s) for s in _ordered(samples))
        vectors = [b.name for b in self.low.blocks if b.kind != "scalar"]
        return [
            f"DRAWS = {kinds!r}",
            f"VECTOR = {vectors[0] if vectors else None!r}",
            f"POPULATION = {self.low.population}",
        ]


def _ordered(samples: Sequence[Sample | CountLet]) -> list[Sample | CountLet]:
    return sorted(samples, key=lambda s: isinstance(s, CountLet))


def _kind(s: Sample | CountLet) -> str:
    if isinstance(s, CountLet):
        return "count"
    return "vector" if isinstance(s.target, VectorSymbol) else "scalar"


BACKEND = Backend("jax", ".py", frozenset(POWERS), DrawnModule.source)
