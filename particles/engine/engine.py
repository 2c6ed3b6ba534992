"""The engine: one step of an algorithm for N particles, as a pure function for jit, vmap, scan and shard_map.

It executes the algorithm's program: draws come from counters, an oracle of the ensemble is a sum over all
particles, block by block in a fixed order, and everything else is done particle by particle. Values are
computed where they are read, twice if two passes need them, so that nothing but the state is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, check_choice, listed
from ..._support.numbers import check_whole
from ..._support.rendering.rendered import Rendered
from ...discretize.faces import Algorithm
from ...discretize.programs.program import CallOracle
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.vectors import VectorSymbol
from ...dynamics.flows.exchange import with_kernels
from ...dynamics.flows.parameters import constants
from ...dynamics.random.normals import GENERATORS, jax_normals, normals
from ...dynamics.random.poisson import jax_poisson, poisson
from ...dynamics.vector_fields.block import start
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.own_functions import current
from . import consensus
from .layout import BlockLayout, Record, State
from .population import Frame, Population, columnwise, polar
from .starts import Start

CACHE = (
    2**15
)  # numbers in a block by default, of which a block of particles is made: 256 KiB in float64


@dataclass(frozen=True, kw_only=True, eq=False)
class PopulationStepper(Rendered, BlockLayout):
    """One algorithm for N particles on one objective; constructed by `stepper`."""

    population: Population
    oracles: Mapping[str, Callable[..., Any]] = field(repr=False)
    generator: str = "counter"
    record: tuple[str, ...] = Record._fields
    defaults: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """What `params` has to name."""
        return tuple(s.name for s in self.population.program.parameters)

    # the state

    def init(self, seed: Any, run: Any, x0: Any) -> State:
        """The state at the starting points.

        Args:
            seed, run: whole numbers that name the noise; runs of one seed are independent of each other.
            x0: points, shape (d, N); one point for all, shape (d,); or a sampler, a function of (seed, run)
                to points, such as `gaussian_start` and `uniform_start` make.

        Raises OdescentError for another shape.
        """
        state = State((), jnp.asarray(seed).astype(jnp.uint64), jnp.asarray(run).astype(jnp.uint64))
        blockwise = (
            isinstance(x0, Start) and x0.dimension == self.dimension and not self.population.shared
        )
        points, common = (None, None) if blockwise else self._points(x0, seed, run)

        def begin(first: Any, own: Any) -> tuple[Any, ...]:
            here = x0.part(seed, run, first, self.block) if points is None else own[0]
            frame = self._frame({start: here.astype(self.dtype)}, 0, first, state)
            return tuple(self.shaped(frame.value(b.init), b.kind, self.block) for b in self._own)

        own = self.over(begin, () if points is None else (self.cut(points),))
        frame = self._frame({start: common}, 0, 0, state)
        first = {b.symbol: b.init for b in self.population.program.blocks}
        return state._replace(blocks=self._blocks(frame, first, own))

    def _points(self, x0: Any, seed: Any, run: Any) -> tuple[Array, Array | None]:
        """The starting points of all particles, and the one that they share if they have to."""
        points = jnp.asarray(x0(seed, run) if callable(x0) else x0).astype(self.dtype)
        whole, shared = (self.dimension, self.particles), self.population.shared
        if points.shape == (self.dimension,):
            return jnp.broadcast_to(points[:, None], whole), points[:, None]
        if points.shape == whole and not shared:
            return points, None
        wanted = f"({self.dimension},)" + ("" if shared else f" or {whole}")
        raise OdescentError(f"the starting points must have shape {wanted}, not {points.shape}.")

    def values(self, state: State) -> dict[str, Array]:
        """Each block by name: (d, N) or (1, N), and (d, 1) or (1, 1) for what all share; leading axes stay."""
        p = self.population
        named = zip(p.program.blocks, state.blocks, strict=True)
        return {b.name: s if b.symbol in p.shared else self.joined(s) for b, s in named}

    # the step

    def step(
        self, state: State, k: Any, params: Mapping[str, Any], values: Any = None
    ) -> tuple[State, Record]:
        """Step k: the state after it, and what it saw of the ensemble before.

        Args:
            state: of `init` or of a step.
            k: the step number, from 0; the draws depend on it.
            params: the algorithm's parameters by name.
            values: the objective at `points`, shape (N,), where it was evaluated elsewhere.
        """
        known = self._known(k, params)
        elsewhere = self.population.read - self.population.met
        if values is not None and elsewhere and "value" not in self.oracles:
            raise OdescentError(
                f"{self.population.name} also evaluates {listed(sorted(map(str, elsewhere)))}, where it asks for no "
                "value: give a function that JAX can evaluate."
            )
        record, known, told = self._meet(state, known, k, values)
        after, met = self.population.program.next, self.population.met

        def move(first: Any, blocks: Any, heights: Any = None) -> Any:
            own = {**self._named(state, blocks), **dict.fromkeys(met, heights)}
            frame = self._frame({**known, **own}, k, first, state)
            return tuple(
                self.shaped(frame.value(after[b.symbol]), b.kind, self.block) for b in self._own
            )

        record["squares"] = self._squares(state, known, k, record)
        blocks = self._cut_blocks(state)
        if met:
            moved = self.over(lambda first, parts: move(first, *parts), (blocks, told))
        else:
            moved = self.moved(move, blocks)
        frame = self._frame({**known, **self._named(state, None)}, k, 0, state)
        changed = self._blocks(frame, after, moved)
        return State(changed, state.seed, state.run), self._recorded(record)

    def observe(self, state: State, k: Any, params: Mapping[str, Any]) -> Record:
        """The record of step k, without moving the ensemble.

        Args:
            state: the ensemble before the step.
            k: the number of the step.
            params: values of the parameters.

        Returns:
            The quantities that are recorded.
        """
        known = self._known(k, params)
        record, known, _ = self._meet(state, known, k, None)
        record["squares"] = self._squares(state, known, k, record)
        return self._recorded(record)

    def points(self, state: State, k: Any, params: Mapping[str, Any]) -> Float[Array, "d N"]:
        """The points at which step k evaluates the objective for its first consensus point.

        Args:
            state: the ensemble before the step.
            k: the number of the step.
            params: values of the parameters.
        """
        known = self._known(k, params)

        def ask(first: Any, blocks: Any) -> Array:
            frame = self._frame({**known, **self._named(state, blocks)}, k, first, state)
            return self.shaped(frame.value(self._place), "vector", self.block)

        return self.joined(self.over(ask, self._cut_blocks(state)))

    # inside

    @cached_property
    def _own(self) -> tuple[Any, ...]:
        """Blocks that each particle has of its own."""
        p = self.population
        return tuple(b for b in p.program.blocks if b.symbol not in p.shared)

    def _blocks(self, common: Frame, values: Mapping[Symbol, Any], own: Any) -> tuple[Any, ...]:
        """All blocks: what particles share by its expression in a common frame, and their own in order."""
        p, rest = self.population, iter(own)
        return tuple(
            self.shaped(common.value(values[b.symbol]), b.kind, 1)
            if b.symbol in p.shared
            else next(rest)
            for b in p.program.blocks
        )

    @property
    def _place(self) -> Any:
        """Where the ensemble is looked at: at the first meeting, else at the output."""
        p = self.population
        return p.meetings[0].point if p.meetings else p.program.outputs["x"]

    def _known(self, k: Any, params: Mapping[str, Any]) -> dict[Symbol, Any]:
        given = {**self.defaults, **params}
        for name in params:
            check_choice(f"parameter of {self.population.name} called", name, self.parameters)
        missing = [n for n in self.parameters if n not in given]
        if missing:
            raise OdescentError(
                f"{self.population.name} needs values of {', '.join(missing)}; give them by name."
            )
        symbols = {s.name: s for s in self.population.program.parameters}
        known = {
            symbols[n]: v if callable(v := given[n]) else jnp.asarray(v).astype(self.dtype)
            for n in self.parameters
        }
        if self.population.program.counter is not None:
            known[self.population.program.counter] = jnp.asarray(k).astype(self.dtype)
        return known

    def _named(self, state: State, own: Any) -> dict[Symbol, Any]:
        """The blocks by symbol: shared ones from the state, the others from a block of it."""
        rest = iter(own if own is not None else ())
        found = {}
        for b, s in zip(self.population.program.blocks, state.blocks, strict=True):
            if s.ndim == 2:
                found[b.symbol] = s
            elif own is not None:
                found[b.symbol] = next(rest)
        return found

    def _frame(self, known: Mapping[Symbol, Any], k: Any, first: Any, state: State) -> Frame:
        counted = self.generator == "counter"
        targets = list(self.population.draws)
        rows = [-(-self.dimension // 2) if isinstance(s, VectorSymbol) else 1 for s in targets]

        def drawn(i: int, *what: Any) -> Array:
            """Normals of a vector or not; or Poisson numbers of a mean, common or not."""
            more: dict[str, Any] = {"particles": self.block, "first": first, "offset": sum(rows[:i]),
                                    "pairs": sum(rows), "dtype": self.dtype}  # fmt: skip
            noise = (state.seed, state.run, k)
            if len(what) == 2:
                mean, common = what
                return (poisson if counted else jax_poisson)(*noise, mean, common=common, **more)
            d = self.dimension if what[0] else 1
            return (normals if counted else jax_normals)(*noise, dimension=d, **more)

        return Frame(self.population, known, self.oracles, drawn)

    def _meet(
        self, state: State, known: dict[Symbol, Any], k: Any, values: Any
    ) -> tuple[dict[str, Any], dict[Symbol, Any], Any]:
        """The sums of the first meeting, all that is known after the last, and the values where they are read again."""
        if values is not None:
            values = self.cut(jnp.asarray(values).astype(self.dtype)[None])
        rules = {s: v for s, v in known.items() if callable(v)}
        if rules:
            plain = {s: v for s, v in known.items() if s not in rules}
            if values is None:
                values = self.over(self._evaluation(state, plain, k), self._cut_blocks(state))
            each = self.joined(self.gathered(values))[0]
            known = {**plain, **{s: jnp.asarray(rule(each)) for s, rule in rules.items()}}
        if values is None and self.population.met:
            values = self.over(self._evaluation(state, known, k), self._cut_blocks(state))
        seen: dict[str, Any] = {}
        for call in self.population.meetings or (None,):
            alpha = jnp.zeros((), self.dtype)
            if call is not None:
                alpha = jnp.asarray(self._frame(known, k, 0, state).value(call.parameters[0]))
            told = () if values is None or seen else (values,)
            crowd = None
            if call is not None and polar(call):
                see = self._seeing(state, known, k, call)
                places, told_all = self.over(see, (self._cut_blocks(state), told))
                told = (told_all,)
                kappa = jnp.asarray(self._frame(known, k, 0, state).value(call.parameters[1]))
                places, heights = self.gathered((places, told_all))
                crowd = consensus.Crowd(places, heights, alpha, kappa)
            one = self._part(state, known, k, call, alpha)
            parts, spread = self.gathered(self.over(one, (self._cut_blocks(state), told)))
            whole = consensus.combine(parts, alpha)
            center = consensus.point(whole)
            if call is not None:
                known = {**known, call.target: center[:, None] if crowd is None else crowd}
            if not seen:
                seen = {"whole": whole, "center": center, "scatter": spread}
        return seen, known, values

    def _evaluation(self, state: State, known: dict[Symbol, Any], k: Any) -> Callable[..., Array]:
        """The objective where the ensemble first meets, as a function of a block."""

        def values(first: Any, own: Any) -> Array:
            frame = self._frame({**known, **self._named(state, own)}, k, first, state)
            x = self.shaped(frame.value(self._place), "vector", self.block)
            return self.shaped(self._value(x), "scalar", self.block)

        return values

    def _value(self, x: Array) -> Array:
        if "value" not in self.oracles:
            raise OdescentError(
                "there is nothing to minimize: give fun, or the values to every step."
            )
        return jnp.asarray(self.oracles["value"](x))

    def _met(
        self, state: State, known: dict[Symbol, Any], k: Any, call: CallOracle | None, first: Any, blocks: Any
    ) -> tuple[Array, Array]:  # fmt: skip
        """Where the particles of a block are in a meeting, or at their output, and the objective there if it is met."""
        own, told = blocks
        frame = self._frame({**known, **self._named(state, own)}, k, first, state)
        place = self._place if call is None else call.point
        x = self.shaped(frame.value(place), "vector", self.block)
        if not told and call is None:
            return x, jnp.zeros((1, self.block), self.dtype)
        return x, told[0] if told else self.shaped(self._value(x), "scalar", self.block)

    def _part(
        self, state: State, known: dict[Symbol, Any], k: Any, call: CallOracle | None, alpha: Array
    ) -> Callable[..., tuple[consensus.PartialSums, consensus.Scatter | None]]:
        """A block's part in a meeting and how it is spread; without one, in the mean of all particles.

        A single block can be seen from the consensus point at once, see `_squares`.
        """

        def one(first: Any, blocks: Any) -> tuple[consensus.PartialSums, consensus.Scatter | None]:
            x, f = self._met(state, known, k, call, first, blocks)
            live = self.live(first)
            spread = consensus.scatter(x, live) if self.blocks > 1 else None
            return consensus.part(x, f, alpha, live), spread

        return one

    def _seeing(
        self, state: State, known: dict[Symbol, Any], k: Any, call: CallOracle
    ) -> Callable[..., tuple[Array, Array]]:
        """Where the particles of a block are in a meeting, and the objective there; infinity for what is none."""

        def see(first: Any, blocks: Any) -> tuple[Array, Array]:
            x, f = self._met(state, known, k, call, first, blocks)
            live = self.live(first)
            return x, f if live is None else jnp.where(live, f, jnp.inf)

        return see

    @staticmethod
    def _cut_blocks(state: State) -> tuple[Array, ...]:
        """The blocks that each particle has of its own."""
        return tuple(s for s in state.blocks if s.ndim == 3)

    def _squares(
        self, state: State, known: dict[Symbol, Any], k: Any, seen: Mapping[str, Any]
    ) -> Any:
        """The sum of square distances of the particles from the consensus point, or of each from its own."""
        meetings = self.population.meetings
        own = bool(meetings) and polar(meetings[0])
        if self.blocks > 1 and not own:
            return consensus.distance(seen["scatter"], seen["center"])

        def apart(first: Any, blocks: Any) -> Array:
            frame = self._frame({**known, **self._named(state, blocks)}, k, first, state)
            place = self.shaped(frame.value(self._place), "vector", self.block)
            center = frame.value(meetings[0].target) if own else seen["center"][:, None]
            return consensus.squares(place, center, self.live(first))

        return jnp.sum(self.gathered(self.over(apart, self._cut_blocks(state))))

    def _recorded(self, seen: Mapping[str, Any]) -> Record:
        whole = seen["whole"]
        calls = len(self.population.meetings)
        told = {
            "consensus": seen["center"],
            "best_point": whole.best,
            "best_value": whole.least if calls else jnp.full((), jnp.nan, self.dtype),
            "ess": consensus.effective_size(whole),
            "spread": seen["squares"] / (self.dimension * self.particles),
            "evaluations": jnp.asarray(np.int64(calls * self.particles)),
            "nonfinite": whole.lost,
        }
        return Record(**{n: v if n in self.record else None for n, v in told.items()})


def stepper(
    algorithm: Algorithm,
    fun: Objective | Callable[[Any], Any] | None,
    *,
    dimension: int,
    particles: int,
    normals: str = "counter",
    block: int | None = None,
    vectorized: bool = True,
    dtype: str = "float64",
    record: Sequence[str] = Record._fields,
) -> PopulationStepper:
    """One step of an algorithm for a population, ready for jit, vmap and scan.

    Its arithmetic is that of ``dtype``, and its draws need 64-bit integers: use it under `jax.enable_x64`.

    Args:
        algorithm: with an oracle of the ensemble or without; drawing noise or not.
        fun: what to minimize: an `Objective`, a JAX function of points, shape (N, d) to (N,), or with
            vectorized=False of one point, shape (d,); None if values are given to every step.
        dimension, particles: d and N.
        normals: "counter", our own generator, or "jax", JAX's.
        block: particles in a block; sums over particles are made block by block, so that the block is part of
            what fixes a run to the bit. By default all of up to 2^15/d of them.
        dtype: "float64" or "float32".
        record: which fields of `Record` to compute; the others are None.

    Raises:
        NotCarried: an algorithm with matrices, pytrees or sweeps over coordinates.
        OdescentError: sizes that are not positive whole numbers, an unknown generator or field.
    """
    for name, size in (
        ("dimension", dimension),
        ("particles", particles),
        ("block", 1 if block is None else block),
    ):
        check_whole(name, size, 1)
    check_choice("generator of normals", normals, GENERATORS)
    for name in record:
        check_choice("field of a record", name, Record._fields)
    most = max(1, CACHE // dimension) if block is None else block
    count = -(-particles // most)
    even = -(-particles // count) if block is None else min(block, particles)
    fields = tuple(n for n in Record._fields if n in record)
    sizes = (int(dimension), int(particles), even)
    return _stepper(
        algorithm, current(fun), vectorized, normals, fields, np.dtype(dtype).name, sizes
    )


@lru_cache(maxsize=64)
def _stepper(
    algorithm: Algorithm, fun: Any, vectorized: bool, normals: str, record: tuple[str, ...], dtype: str,
    sizes: tuple[int, int, int],
) -> PopulationStepper:  # fmt: skip
    """Steppers of equal arguments are one, so that what is compiled for one serves again."""
    dimension, particles, block = sizes
    return PopulationStepper(
        population=Population.of(algorithm), oracles=_oracles(fun, vectorized), generator=normals, record=record,
        defaults=constants(fun) if isinstance(fun, Objective) else {}, dimension=dimension, particles=particles,
        block=block, dtype=dtype,
    )  # fmt: skip


def _oracles(
    fun: Objective | Callable[[Any], Any] | None, vectorized: bool
) -> dict[str, Callable[..., Any]]:
    """Functions of columns by kind."""
    if fun is None:
        return {}
    own = isinstance(fun, Objective)
    one = (lambda x: fun(x[None])[0]) if vectorized and not own else fun
    f = fun if isinstance(fun, Objective) else Objective("f", one)
    found = {**f.oracles, **({"hess": f.hess} if "grad" in f.oracles else {})}
    oracles = {n: with_kernels(columnwise(f)) for n, f in found.items() if n != "ensemble"}
    if vectorized and not own:
        oracles["value"] = with_kernels(lambda x: jnp.asarray(fun(x.T))[None])
    return oracles
