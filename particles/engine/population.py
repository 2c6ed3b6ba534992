"""An algorithm's program for a population: points common to all particles, and the parts of a step.

Vectors are arrays of shape (d, n), one column for each of n particles; what all of them share, such as the
consensus point, has shape (d, 1); scalars of a particle have shape (1, n). Columns are contiguous along the
particles, so that everything done to them is a loop over contiguous numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ...discretize.emit.lowering.lower import solve_implicit
from ...discretize.faces import Algorithm
from ...discretize.programs.program import Assign, CallOracle, Count, Draw, Program
from ...dynamics.algebra.calculus import Symbol, asked_in, symbols_of
from ...dynamics.algebra.vectors import Expr, ScalarNode, VectorSymbol
from ...dynamics.evaluation.evaluate import evaluate
from ...dynamics.random import elementary as kernels
from .consensus import Crowd, polarized


@dataclass(frozen=True)
class Population(Rendered):
    """The program of one step, read for a population.

    Raises NotCarried for matrices, pytrees and sweeps over coordinates.
    """

    program: Program
    name: str = "the algorithm"

    @classmethod
    def of(cls, algorithm: Algorithm) -> Population:
        """Of an algorithm, implicit gradient steps as proximal ones."""
        return cls(solve_implicit(algorithm.tuned), algorithm.name or "the algorithm")

    def __post_init__(self) -> None:
        p = self.program
        kinds = {b.kind for b in p.blocks} - {"vector", "scalar"}
        if kinds or p.sweeps:
            what = "sweeps over coordinates" if p.sweeps else f"{min(kinds)} blocks"
            raise NotCarried(
                f"a population has vectors and scalars for each particle; {self.name} has {what}."
            )

    @cached_property
    def instructions(self) -> dict[Symbol, CallOracle | Draw | Count | Assign]:
        """By the name that they define."""
        return {i.target: i for i in self.program.plain if not hasattr(i, "moving")}

    @cached_property
    def meetings(self) -> tuple[CallOracle, ...]:
        """The calls that all particles take part in, in order."""
        return tuple(c for c in self.program.calls if c.oracle.form.particles)

    @cached_property
    def read(self) -> frozenset[Any]:
        """The values of the objective, as scalars, that a step reads itself, not in a meeting."""
        listed = [*self.program.next.values()]
        listed += [e for i in self.instructions.values() for e in i.expressions]
        asked = {pair for e in listed for pair in asked_in(e) if pair[0].kind == "value"}
        return frozenset(ScalarNode("value", (point,), oracle) for oracle, point in asked)

    @cached_property
    def met(self) -> frozenset[Any]:
        """Those at the points of the first meeting, where they are known."""
        places = [c.point for c in self.meetings[:1]]
        return frozenset(v for v in self.read if v.arguments[0] in places)

    @cached_property
    def evaluations(self) -> int:
        """How often a step evaluates the objective for each particle, in meetings and by itself; once if it is told."""
        places = {c.point for c in self.meetings}
        return max(1, len(self.meetings)) + len({v.arguments[0] for v in self.read} - places)

    @cached_property
    def sources(self) -> dict[Symbol, set[Symbol]]:
        """What each name is made of: blocks, draws, meetings; each is its own source."""
        found: dict[Symbol, set[Symbol]] = {b.symbol: {b.symbol} for b in self.program.blocks}
        for target, i in self.instructions.items():
            if isinstance(i, (Draw, Count)) or i in self.meetings:
                found[target] = {target}
            else:
                read = set().union(*(symbols_of(e) for e in _expressions(i)))
                found[target] = set().union(*(found.get(s, set()) for s in read))
        return found

    def made_of(self, e: Expr) -> set[Symbol]:
        """The blocks, draws and meetings behind an expression."""
        return set().union(*(self.sources.get(s, set()) for s in symbols_of(e)))

    @cached_property
    def shared(self) -> frozenset[Symbol]:
        """Blocks with one value for all particles: functions of consensus points only."""
        met = {c.target for c in self.meetings if not polar(c)}
        after = {s: self.made_of(e) for s, e in self.program.next.items()}
        common = set(after)
        while (fewer := {s for s in common if after[s] <= common | met}) != common:
            common = fewer
        reached: set[Symbol] = set()
        while (more := {s for s in common if after[s] & (met | reached)}) != reached:
            reached = more
        return frozenset(reached)

    @cached_property
    def draws(self) -> dict[Symbol, int]:
        """The draws of a step, each with its number; numbers of jumps come after the normals."""
        made: list[Symbol] = [d.target for d in self.program.draws]
        made += [n.target for n in self.program.counts]
        return {s: i for i, s in enumerate(made)}


def _expressions(i: CallOracle | Assign) -> list[Expr]:
    return (
        [i.value] if isinstance(i, Assign) else [i.point, *i.directions, *i.parameters, i.implicit]
    )


def polar(call: CallOracle) -> bool:
    """Whether each particle has its own consensus point: the consensus has a kernel width besides alpha."""
    return len(call.parameters) > 1


class Columns:
    """The array namespace of `evaluate` for columns: products per particle, roots with a derivative at 0."""

    log, sin, cos = staticmethod(kernels.log), staticmethod(kernels.sin), staticmethod(kernels.cos)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)

    @staticmethod
    def vdot(a: Array, b: Array) -> Array:
        """The inner product of each column, shape (1, n)."""
        return jnp.sum(a * b, axis=0, keepdims=True)

    @staticmethod
    def sqrt(x: Any) -> Array:
        """The root, with derivative 0 where it is 0: a length that is zero stays so."""
        return _root(jnp.asarray(x))


@jax.custom_jvp
def _root(x: Array) -> Array:
    return jnp.sqrt(x)


@_root.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    y = jnp.sqrt(primals[0])
    safe = jnp.where(y > 0, y, 1)
    return y, jnp.where(y > 0, tangents[0] / (2 * safe), 0)


class Frame:
    """The values of one step for some particles, computed on demand.

    Args:
        population: the program.
        known: values of blocks, parameters, the counter, and of the meetings that are over: their point, or the
            crowd where each particle has one of its own.
        oracles: by kind, functions of columns.
        draw: the normals of draw i of this step for these particles, of a vector or of a scalar; or for a number
            of jumps, (i, mean, whether it is common to all) to Poisson numbers.
    """

    def __init__(
        self,
        population: Population,
        known: Mapping[Symbol, Any],
        oracles: Mapping[str, Callable[..., Any]],
        draw: Callable[..., Array],
    ) -> None:
        self.population, self.oracles, self.draw = population, oracles, draw
        self.known = {s: v for s, v in known.items() if not isinstance(v, Crowd)}
        self.crowds = {s: v for s, v in known.items() if isinstance(v, Crowd)}

    def value(self, e: Expr) -> Any:
        """The value of an expression: a number, (1, n) or (d, n)."""
        for s in symbols_of(e):
            self._compute(s)
        return evaluate(e, self.known, self.oracles, Columns())

    def _compute(self, s: Symbol) -> None:
        if s in self.known:
            return
        i = self.population.instructions.get(s)
        if isinstance(i, Draw):
            number = self.population.draws[s]
            self.known[s] = self.draw(number, isinstance(s, VectorSymbol))
        elif isinstance(i, Count):
            self.known[s] = self.draw(self.population.draws[s], self.value(i.mean), i.common)
        elif isinstance(i, Assign):
            self.known[s] = self.value(i.value)
        elif isinstance(i, CallOracle) and s in self.crowds:
            self.known[s] = polarized(self.value(i.point), self.crowds[s])
        elif isinstance(i, CallOracle):
            self.known[s] = self._call(i)
        else:
            have = ", ".join(sorted(str(k) for k in self.known))
            raise OdescentError(f"{s} has no value; values were given for {have}.")

    def _call(self, i: CallOracle) -> Any:
        kind = "hess" if i.oracle.kind == "grad" and i.directions else i.oracle.kind
        kind = i.oracle.name if i.oracle.name in self.oracles else kind
        if kind not in self.oracles or len(i.directions) > 1:
            raise OdescentError(
                f"{self.population.name} calls the oracle {i.oracle.name!r}, which the objective does not have "
                f"(it has {', '.join(self.oracles)}); give an objective with it."
            )
        return self.oracles[kind](*(self.value(v) for v in (i.point, *i.directions, *i.parameters)))


def columnwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one point (and scalars) for the columns; one point for all stays one.

    A scalar that it returns comes back as a row, shape (1, n).
    """

    def of_columns(*arguments: Any) -> Array:
        columns = [jnp.ndim(a) == 2 for a in arguments]
        width = max(a.shape[1] for a, c in zip(arguments, columns, strict=True) if c)
        wide = [
            jnp.broadcast_to(a, (a.shape[0], width)) if c else a
            for a, c in zip(arguments, columns, strict=True)
        ]
        # a scalar of each particle is a row: the function sees a number
        rows = [
            a[0] if c and a.shape[0] == 1 and i > 0 else a
            for i, (a, c) in enumerate(zip(wide, columns, strict=True))
        ]
        axes = tuple(-1 if c else None for c in columns)
        result: Array = jax.vmap(function, in_axes=axes, out_axes=-1)(*rows)
        return result[None] if result.ndim == 1 else result

    return of_columns
