"""Critical points of an objective as a method or a flow sees them: the state at rest there, and its linearization.

A method whose coefficients change with the step has no linearization of its own: they are frozen as after the last step
that was drawn, and that is said. No kind is claimed where no state is at rest, or where the step is not differentiable
there, as for methods that divide by a memory of the gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float

from ..._support.rendering.rendered import Rendered
from ..portraits.field import whole_kind
from .orbits import MethodOrbits, PreparedFlow

_REST = 1e-8  # of the picture's size: how far a step may move a state at rest
_NEWTON = 25
_PROBE = 1e-5  # of that size: the distance at which the linearization is compared with the step
_AGREES = 0.05  # of what it predicts
_UNIT = 1e-8  # how near to the unit circle a multiplier counts as on it
_MOST = 600  # entries of a state that is linearized


@dataclass(frozen=True)
class Equilibrium(Rendered):
    """A state at rest and the linearization there.

    Attributes:
        kind: by all eigenvalues, as "stable focus"; empty where none is claimed.
        eigenvalues: of a flow, or multipliers of a step, shape (m,), complex, the least stable last.
        step: whether it is that of a step: then it is stable where all multipliers are inside of the unit circle.
        frozen: "at step 30" or "at t = 3" where the coefficients change and are taken as they are there; else empty.
        reason: why no kind is claimed.
    """

    kind: str
    eigenvalues: Complex[np.ndarray, " m"]
    step: bool
    frozen: str = ""
    reason: str = ""

    @property
    def unstable(self) -> int:
        """How many directions grow."""
        size = np.abs(self.eigenvalues) - 1 if self.step else self.eigenvalues.real
        return int((size > _UNIT).sum())

    def __str__(self) -> str:
        if not self.kind:
            return f"no kind: {self.reason}"
        grow = (
            f", {self.unstable} of {len(self.eigenvalues)} directions grow" if self.unstable else ""
        )
        return self.kind + grow + (f" (frozen {self.frozen})" if self.frozen else "")


def map_kind(multipliers: Complex[np.ndarray, " m"]) -> str:
    """The kind of a fixed point of a step by all its multipliers; a focus where some are not real."""
    size = np.abs(multipliers)
    if not np.isfinite(size).all():
        return "non-hyperbolic"
    on = np.abs(size - 1) <= _UNIT
    if on.any():
        return (
            "centre (linear)"
            if on.all() and (np.abs(multipliers.imag) > _UNIT).all()
            else "non-hyperbolic"
        )
    turning = bool((np.abs(multipliers.imag) > _UNIT * size.max()).any())
    if (size < 1).all():
        return "stable focus" if turning else "stable node"
    if (size > 1).all():
        return "unstable focus" if turning else "unstable node"
    return "saddle"


def of_steps(
    orbits: MethodOrbits, points: Float[np.ndarray, "m d"], steps: int, size: float
) -> list[Equilibrium]:
    """The equilibria of a method at critical points.

    Args:
        orbits: of the method; coefficients that change are taken as after its last step.
        points: shape (m, d).
        steps: how many there were.
        size: of the picture.
    """
    if not len(points):
        return []
    made, c = orbits.stepper, orbits.c
    start = int(np.argmax(orbits.diverged_at < 0))
    with jax.enable_x64(True):
        last = jax.tree.map(lambda a: jnp.asarray(a)[start], orbits.last)
        init, step, output = _stepping(made)
        ended = np.asarray(ravel_pytree(_vectors(last))[0])
        vectors = np.ones(ended.size, bool)
        seen = _reaching(output(jnp.asarray(ended), last, c))
        return [
            _examined(
                _Local(
                    lambda z: step(z, last, c),
                    ended,
                    vectors,
                    seen,
                    f"at step {steps}",
                    size,
                    step=True,
                ),
                np.asarray(init(jnp.asarray(p), c)),
            )
            for p in points
        ]


@lru_cache(maxsize=64)
def _stepping(made: Any) -> tuple[Any, Any, Any]:
    """The initial vectors at a point; vectors, beside the other entries of a state, to (next, slope, drift), and to the
    slope of the output.
    """

    def init(x: Any, c: Any) -> Any:
        return ravel_pytree(_vectors(made.init(x, c)))[0]

    def beside(flat: Any, last: Any) -> Any:
        """The whole state."""
        leaves, shape = jax.tree.flatten(last)
        parts = iter(ravel_pytree(_vectors(last))[1](flat))
        return jax.tree.unflatten(shape, [next(parts) if _moves(a) else a for a in leaves])

    def output(flat: Any, last: Any, c: Any) -> Any:
        return jax.jacfwd(lambda z: jnp.ravel(made.output(beside(z, last), c)))(flat)

    def step(flat: Any, last: Any, c: Any) -> Any:
        leaves = jax.tree.leaves(last)

        def moved(flat: Any) -> Any:
            new = made.step(beside(flat, last), c, None)
            pairs = zip(leaves, jax.tree.leaves(new), strict=True)
            drift = [
                jnp.max(jnp.abs(jnp.asarray(b, float) - jnp.asarray(a, float)))
                for a, b in pairs
                if not _moves(a)
            ]
            return ravel_pytree(_vectors(new))[0], jnp.max(jnp.stack([jnp.zeros(()), *drift]))

        after, drift = moved(flat)
        return after, jax.jacfwd(lambda z: moved(z)[0])(flat), drift

    return jax.jit(init), jax.jit(step), jax.jit(output)


def _reaching(slope: Any) -> np.ndarray:
    """The entries of a state on which the output depends, by its slope (d, n)."""
    found: np.ndarray = (np.asarray(slope) != 0).any(0)
    return found


def _vectors(state: Any) -> list[Any]:
    return [a for a in jax.tree.leaves(state) if _moves(a)]


def _moves(leaf: Any) -> bool:
    """Whether an entry of a step's state is a vector; numbers are coefficients and clocks."""
    return jnp.ndim(leaf) > 0 and jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)


def of_flow(
    flow: PreparedFlow, points: Float[np.ndarray, "m d"], t: float, ended: Float[np.ndarray, " _"], size: float
) -> list[Equilibrium]:  # fmt: skip
    """The equilibria of a flow at critical points.

    Args:
        flow: the system with its parameters.
        points: shape (m, d).
        t: the time as which it is taken where it depends on time.
        ended: the state at that time, from which coefficients that change are taken.
        size: of the picture.
    """
    if not len(points):
        return []
    init, slope, output = _flowing(flow.problem)
    when = f"at t = {t:.4g}"
    with jax.enable_x64(True):
        sizes = [(b.kind != "scalar", np.size(p)) for b, p in zip(
            flow.system.blocks, flow.begin(points[:1], {}), strict=True)]  # fmt: skip
        vectors = np.concatenate([np.full(size, vector) for vector, size in sizes])
        seen = _reaching(output(jnp.asarray(ended), jnp.asarray(points[0]), t, flow.values))
        return [
            _examined(
                _Local(
                    lambda z, p=p: slope(z, jnp.asarray(p), t, flow.values), ended, vectors, seen, when, size,
                    step=False, clocked=not flow.system.autonomous,
                ),
                np.asarray(init(jnp.asarray(p), flow.values)),
            )
            for p in points
        ]  # fmt: skip


@lru_cache(maxsize=64)
def _flowing(problem: Any) -> tuple[Any, Any, Any]:
    """The initial state at a point; a state to (rates, slope, drift), and to the slope of the output, flat."""

    def init(x: Any, values: Any) -> Any:
        return ravel_pytree(problem.init(x, values))[0]

    def slope(flat: Any, x: Any, t: Any, values: Any) -> Any:
        shaped = ravel_pytree(problem.init(x, values))[1]
        rates: Any = lambda z: ravel_pytree(problem.rates(t, shaped(z), values))[0]
        return rates(flat), jax.jacfwd(rates)(flat), jnp.zeros(())

    def output(flat: Any, x: Any, t: Any, values: Any) -> Any:
        shaped = ravel_pytree(problem.init(x, values))[1]
        return jax.jacfwd(lambda z: jnp.ravel(problem.output(t, shaped(z), values)))(flat)

    return jax.jit(init), jax.jit(slope), jax.jit(output)


@dataclass(frozen=True, eq=False)
class _Local:
    """What is linearized, near one state.

    Attributes:
        function: a flat state to (next state or rates, slope, how far frozen coefficients move in a step).
        ended: the state where the run ended.
        vectors: which entries are vectors', the others being numbers.
        output: which entries the output depends on.
        when: the step or the time as which coefficients are frozen, if they change.
        size: of the picture, which lengths are compared with.
        step: whether the function is a step.
        clocked: whether it depends on time.
    """

    function: Any
    ended: Float[np.ndarray, " _"]
    vectors: Any
    output: Any
    when: str
    size: float
    step: bool
    clocked: bool = False

    def __call__(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        value, slope, drift = self.function(jnp.asarray(z))
        return np.asarray(value), np.asarray(slope), float(drift)

    def none(self, why: str) -> Equilibrium:
        return Equilibrium("", np.empty(0, complex), self.step, reason=why)


def _examined(local: _Local, begin: np.ndarray) -> Equilibrium:
    """The equilibrium near a state, by Newton's method from there where it is not at rest.

    Entries behind the output that no step changes to first order, such as sums of squared gradients, are coefficients:
    they are frozen as they are where the run ended; so are numbers that do not come to rest. The output itself is free
    also where f is flat.

    Args:
        local: what is linearized.
        begin: the state that a start at the critical point means.
    """
    if begin.size > _MOST:
        return local.none(f"a state of {begin.size} numbers is not linearized")
    one = np.eye(begin.size) if local.step else np.zeros((begin.size, begin.size))
    rough = local.none(f"its {'step' if local.step else 'velocity'} is not differentiable there")
    value, matrix, _ = local(begin)
    with np.errstate(invalid="ignore"):
        still = np.isclose(matrix, one, rtol=0, atol=1e-12).all(1)
    still &= local.vectors & ~local.output
    if not _differentiable(local, begin, local.vectors, still, value, one):
        still[:] = False  # it jumps there, which derivatives do not show
    frozen = [still, still | ~local.vectors] if not local.vectors.all() else [still]
    for fixed in frozen:
        free = ~fixed
        z = _at_rest(local, np.where(fixed, local.ended, begin), free, one)
        if z is None:
            continue
        value, matrix, drift = local(z)
        part = np.ix_(free, free)
        if not np.isfinite(matrix[part]).all() or not _differentiable(
            local, z, free, free, value, matrix
        ):
            return rough
        values = np.linalg.eigvals(matrix[part]).astype(complex)
        values = values[np.lexsort((values.imag, np.abs(values) if local.step else values.real))]
        changes = fixed.any() or drift > 1e-9 or local.clocked
        kind = map_kind(values) if local.step else whole_kind(values)
        return Equilibrium(kind, values, local.step, local.when if changes else "")
    if not np.isfinite(value).all() or not np.isfinite(matrix).all():
        return rough
    return local.none("no state was found at rest there")


def _at_rest(local: _Local, z: np.ndarray, free: Any, one: np.ndarray) -> np.ndarray | None:
    """The state near z at which the free entries stay; None where there is none."""
    for _ in range(_NEWTON):
        value, matrix, _ = local(z)
        left = ((value - z) if local.step else value)[free]
        slope = (matrix - one)[np.ix_(free, free)]
        if not np.isfinite(left).all():
            return None
        least = 1.0 if local.step else 0.0  # of a flow's rates no size is known but theirs
        steep = float(np.abs(slope).max(initial=least)) if np.isfinite(slope).all() else least
        if float(np.abs(left).max(initial=0.0)) <= _REST * local.size * steep:
            return z
        if not np.isfinite(slope).all():
            return None
        z = z.copy()
        z[free] -= np.linalg.lstsq(slope, left, rcond=1e-10)[0]
    return None


def _differentiable(
    local: _Local, z: np.ndarray, moved: Any, seen: Any, here: np.ndarray, matrix: np.ndarray
) -> bool:
    """Whether the linearization predicts what a small displacement changes, in a few fixed directions.

    Args:
        local: what is linearized.
        z: the state.
        moved: the entries that are displaced.
        seen: the entries whose change is compared.
        here: the value at the state.
        matrix: the slope there.
    """
    norm = float(np.linalg.norm(matrix[seen]))
    norm = 1 + norm if local.step else norm or 1.0
    for k in (1, 2, 3):
        u = np.where(moved, np.cos(k * np.arange(1, z.size + 1)), 0.0)
        u *= _PROBE * local.size / max(float(np.linalg.norm(u)), 1e-300)
        off = local(z + u)[0][seen] - here[seen] - matrix[seen] @ u
        if not np.linalg.norm(off) <= _AGREES * norm * np.linalg.norm(u):
            return False
    return True
