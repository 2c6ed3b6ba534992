"""Trajectories: records of runs, and what ended them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trajectory(Rendered):
    """The record of a run; a JAX pytree.

    Attributes:
        x: the output sequence, shape (steps + 1, *x0.shape), starting point first; a pytree if x0 is one.
        states: every block and every further output by name, with the same leading axis.
        t: times, shape (steps + 1,): the algorithm's clock, k h by default, or k if h has no value.
        f: values of the objective along x, shape (steps + 1,), of an ensemble (steps + 1, particles); None for an
            objective without values.
        diverged_at: None, or the first step at which a state or value is not finite or beyond 1e30 in
            absolute value. The arrays then end before that step. Inside vmap, jit or grad shapes
            cannot depend on values: nothing is cut, and this is an integer array with -1 for none.
        k: step numbers of the records; 0, 1, ..., steps, or multiples of `every`. Inside vmap, jit or grad the records
            after the end of a run with an end repeat its last one, so that the last k is the number of steps.
        statistics: running statistics by name, each a dict of "x" and "f", over every step.
        cost: how many evaluations the start and a step take, by kind, what guards decide left out; see `counts`.
        counted: how many of each kind guards had decided on, at each record.
        end: the position in ``ends`` of what ended the run, -1 if it took all steps or diverged; see `stopped`.
        ends: the names of the conditions (see ``until`` of `run`) and of the budget that could end the run.
        remark: if mu or L were estimated (`od.estimate_constants`), the condition on them, and whether the gradients
            along this run refute it; otherwise empty.
    """

    x: Any
    states: dict[str, Any]
    t: Any
    f: Any
    diverged_at: Any = None
    k: Any = None
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    cost: tuple[tuple[str, int, int], ...] = field(default=(), metadata={"static": True})
    counted: dict[str, Any] = field(default_factory=dict)
    end: Any = None
    ends: tuple[str, ...] = field(default=(), metadata={"static": True})
    remark: str = field(default="", metadata={"static": True})

    def __str__(self) -> str:
        said = f"{np.shape(self.t)[-1]} records"
        one = [a for a in (self.k, self.f) if getattr(a, "ndim", 0) == 1]
        if one and not any(isinstance(a, jax.core.Tracer) for a in one):
            every = self.k is None or len(self.t) == int(self.k[-1]) + 1
            said = f"{len(self.t) - 1} steps" if every else f"{int(self.k[-1])} steps, {said}"
            if self.f is not None:
                of = "f" if self.f.ndim == 1 else "least f"  # of an ensemble
                first, last = (float(np.nanmin(self.f[i])) for i in (0, -1))
                said += f", {of} from {first:.6g} to {last:.6g}"
        if isinstance(self.diverged_at, int) or (self.diverged_at is None and self.stopped):
            said += f"; {self.reason}"
        arrays = {"x": self.x, **{f"states[{n!r}]": s for n, s in self.states.items()}}
        rows = [said, *(f"  {n}: {short(a)}" for n, a in arrays.items())]
        return "\n".join([*rows, *([self.remark] if self.remark else [])])

    @property
    def counts(self) -> dict[str, Any]:
        """How much had been asked for at each record: gradients, values, products, examples, by kind.

        Of a method with guards also the rejections, where a choice took its second list, and the iterations of loops.
        """
        return {n: begun + self.k * each + self.counted.get(n, 0) for n, begun, each in self.cost}

    @property
    def steps(self) -> Any:
        """The number of steps to the last state that is kept: an integer, or an array for a batch."""
        last = (self.k if _is_traced(self.k) else np.asarray(self.k))[..., -1]
        if self.diverged_at is None or isinstance(self.diverged_at, int):
            return int(last) if np.ndim(last) == 0 and not _is_traced(last) else last
        at = self.diverged_at
        return jnp.where(at < 0, last, jnp.minimum(last, at - 1))

    @property
    def stopped(self) -> Any:
        """The name of the condition or budget that ended the run, or None; for a batch of runs a list of these.

        Raises OdescentError under a JAX transformation, where ``end`` is its position in ``ends``.
        """
        if self.end is None:
            return None
        if _is_traced(self.end):
            raise OdescentError(
                "what ends a run has no name inside jit or vmap; its position in `ends` is `end`."
            )
        names = [*self.ends, None]  # which -1 is the position of
        found = [names[i] for i in np.ravel(self.end)]
        return found if np.ndim(self.end) else found[0]

    @property
    def reason(self) -> str:
        """Why one run ended, in words: a condition, a budget, divergence, or the number of steps.

        Raises OdescentError for a batch of runs, or under a JAX transformation.
        """
        one = self.prefix()
        if isinstance(one.diverged_at, int):
            return f"diverged at step {one.diverged_at}"
        after = f"after {quantity(one.steps, 'step')}"
        return f"stopped by {one.stopped} {after}" if one.stopped else f"ended {after}"

    def prefix(self) -> Trajectory:
        """The part up to the end, for one run that came out of jit; OdescentError for a batch of runs."""
        if self.diverged_at is None or isinstance(self.diverged_at, int):
            return self
        if np.ndim(self.diverged_at) != 0:
            one = "jax.tree.map(lambda a: a[i], batch)"
            raise OdescentError(f"a batch of runs has no common prefix; take one run, as in {one}.")
        if _is_traced(self.diverged_at):
            raise OdescentError(
                "shapes inside jit or vmap cannot depend on where a run ends: take its prefix outside."
            )
        return cut(self)

    @checked
    def plot(self, ax: Axes | None = None, *, minimum: float | None = None) -> Axes:
        """Draw the values of the objective over the steps, or the components of x where there are no values.

        Of an ensemble it is the least value of its particles.

        Args:
            ax: the axes to draw into; None makes a figure.
            minimum: of the objective; the gap f(x_k) - minimum is drawn, on a logarithmic axis.

        Returns:
            The axes.

        Raises:
            OdescentError: under a JAX transformation, or for a minimum where there are no values.
        """
        if self._traced:
            raise OdescentError("a run has no picture inside jit, vmap or grad; draw its result.")
        return drawn(self, ax, minimum)

    @property
    def _shows(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("text",) if self._traced else ()

    @property
    def _traced(self) -> bool:
        return any(map(_is_traced, jax.tree.leaves(self)))

    def to_numpy(self) -> Trajectory:
        """The same with NumPy arrays."""
        done: Trajectory = jax.tree.map(lambda a: a if isinstance(a, int) else np.asarray(a), self)
        return done


def cut(
    trajectory: Trajectory, started: Callable[[Mapping[str, Any]], None] | None = None
) -> Trajectory:
    """The part up to the end of one run, with what ended it.

    Args:
        trajectory: with numbers for what ended it.
        started: what is asked of the states of a run that diverged at its start; it may say why.

    Raises:
        OdescentError: the start is not finite.
    """
    step = int(trajectory.diverged_at)
    end = -1 if trajectory.end is None else int(trajectory.end)
    if step < 0:
        # where records repeat the last one, only the first of these is kept
        k = np.asarray(trajectory.k)
        rows = int(np.searchsorted(k, k[-1])) + 1
        return _rows(trajectory, rows, diverged_at=None, end=end)
    if step == 0:
        if started is not None:
            started(trajectory.states)
        raise OdescentError(
            "the run cannot start: the objective or the state is not finite at x0, or beyond 1e30."
        )
    rows = int(np.searchsorted(np.asarray(trajectory.k), step))
    return _rows(trajectory, rows, diverged_at=step, end=-1)


def _rows(trajectory: Trajectory, rows: int, **ended: Any) -> Trajectory:
    """The first records, with the statistics of all steps."""
    if rows == len(trajectory.k):
        return replace(trajectory, **ended)
    whole = replace(trajectory, diverged_at=None, end=None, statistics={})
    kept: Trajectory = jax.tree.map(lambda a: a[:rows], whole)
    return replace(kept, statistics=trajectory.statistics, **ended)


def _is_traced(value: Any) -> bool:
    return isinstance(value, jax.core.Tracer)


def lasting(done: Trajectory) -> Trajectory:
    """With NumPy's arrays for double precision, where JAX outside is set to single: it would cut it and warn."""

    def leaf(a: Any) -> Any:
        concrete = isinstance(a, jax.Array) and not isinstance(a, jax.core.Tracer)
        return np.asarray(a) if concrete and a.dtype.itemsize == 8 else a

    kept: Trajectory = jax.tree.map(leaf, done)
    return kept
