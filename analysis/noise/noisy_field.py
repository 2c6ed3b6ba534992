"""Systems with noise as drift and noise matrix of one flat state, as JAX functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import NotCarried, OdescentError, unknown
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ...dynamics import Objective, System
from ...dynamics.algebra.calculus import symbols_of
from ...dynamics.flows.fixed_step import Noise
from ...dynamics.flows.parameters import numbers_for
from ...dynamics.flows.solution import objective_for, problem_of
from ...dynamics.notation.show import symbol_latex


class NoisyField:
    """dz = b(z) dt + S(z) dW in Ito's sense, with the entries of all blocks one after another as z.

    Fields of the same system, objective, parameters and size are equal: what is compiled for one serves the others.

    Args:
        system: autonomous, driven by Wiener processes.
        target: the objective, for systems that call one.
        parameters: values by name.
        size: entries of z, from which the length of the vector blocks follows.

    Raises:
        OdescentError: a size that does not fit, no noise, or bad parameters.
        NotCarried: jumps, explicit time, particles that act on one another.
    """

    def __init__(
        self, system: System, target: Objective | None, parameters: Mapping[str, Any], size: int
    ) -> None:
        self.system, self.name = system, system.name or "the system"
        self._check()
        objective = objective_for(system, target)
        numbers = numbers_for(self.name, system.parameters, parameters, objective)
        problem = problem_of(system, objective, tuple(numbers))
        values = tuple(jnp.asarray(v) for v in numbers.values())
        self.sizes = self._sizes(size, objective.dimension)
        self._key = system, objective, tuple(map(float, numbers.values())), size
        self.n = sum(self.sizes.values())
        terms = Noise(system, objective, system.calculus)
        shapes = terms.processes(self.blocks(jnp.zeros(self.n)))
        widths = np.cumsum([0, *(int(np.prod(s.shape)) for s in shapes.values())]).tolist()

        def increments(w: Any) -> dict[str, Any]:
            parts = zip(shapes.items(), widths, widths[1:], strict=False)
            return {name: w[a:b].reshape(s.shape) for (name, s), a, b in parts}

        def kick(z: Any, w: Any) -> Any:
            return _flat(terms.moved(0.0, self.blocks(z), increments(w), numbers))

        def noise(z: Any) -> Any:
            return jax.jacfwd(lambda w: kick(z, w))(jnp.zeros(widths[-1]))

        def drift(z: Any) -> Any:
            b = _flat(problem.rates(0.0, self.blocks(z), values))
            if system.calculus == "ito" or self.constant:
                return b
            return b + jnp.einsum("ikj,jk->i", jax.jacfwd(noise)(z), noise(z)) / 2

        symbols = [b.symbol for b in system.blocks]
        amplitudes = [e for f in system.fields.values() for d in f.noise.values() for e in d.expressions]  # fmt: skip
        self.constant = not any(s in symbols_of(e) for s in symbols for e in amplitudes)
        self.drift, self.noise, self.kick, self.width = drift, noise, kick, widths[-1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NoisyField) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def covariance(self, z: Any) -> Float[Array, "n n"]:
        """S S^T, per unit of time."""
        s = self.noise(z)
        a: Array = s @ s.T
        return a

    def conservative_drift(self, z: Any) -> Float[Array, " n"]:
        """b - div a / 2: the density p changes by the divergence of a grad p / 2 - p times this."""
        b: Array = self.drift(z)
        if self.constant:
            return b
        return b - jnp.einsum("ijj->i", jax.jacfwd(self.covariance)(z)) / 2

    def blocks(self, z: Any) -> tuple[Any, ...]:
        """One flat state as the system's."""
        return parted(self.system, self.sizes, z)

    @property
    def labels(self) -> tuple[str, ...]:
        """The entries of z for people, as mathtext."""
        return tuple(
            f"${symbol_latex(name)}$" if n == 1 else f"${symbol_latex(name)}_{{{i + 1}}}$"
            for name, n in self.sizes.items()
            for i in range(n)
        )

    def _check(self) -> None:
        system = self.system
        if not any(f.noise for f in system.fields.values()):
            raise OdescentError(
                f"{self.name} has no noise; give a system with noise, such as 'overdamped_langevin'."
            )
        if system.jumps:
            raise NotCarried(f"{self.name} has jumps; only Wiener noise is supported here.")
        expressions = [*system.mean_drift.values()]
        expressions += [e for f in system.fields.values() for d in f.noise.values() for e in d.expressions]  # fmt: skip
        if system.time is not None and any(system.time in symbols_of(e) for e in expressions):
            raise NotCarried(f"{self.name} depends on time; an autonomous system is expected.")
        if any(o.kind == "ensemble" for o in system.oracles):
            raise NotCarried(
                f"the particles of {self.name} interact; a system of one particle is expected."
            )

    def _sizes(self, size: int, dimension: int | None) -> dict[str, int]:
        kinds = {b.name: b.kind for b in self.system.blocks}
        vectors = sum(kind != "scalar" for kind in kinds.values())
        scalars = len(kinds) - vectors
        each, left = divmod(size - scalars, vectors) if vectors else (0, size - scalars)
        made = ", ".join(kinds)
        if left or each < (1 if vectors else 0):
            raise OdescentError(
                f"a state of {size} entries does not fit {self.name}, which has the blocks {made}."
            )
        if vectors and dimension is not None and each != dimension:
            raise OdescentError(
                f"a state of {self.name} on this objective has {scalars + vectors * dimension} entries ({made}), not "
                f"{size}."
            )
        return {n: 1 if kind == "scalar" else each for n, kind in kinds.items()}


def parted(system: System, sizes: Mapping[str, int], z: Any) -> tuple[Any, ...]:
    """One flat state as a system's blocks, numbers and arrays of these sizes."""
    found, at = [], 0
    for b in system.blocks:
        n = sizes[b.name]
        found.append(z[at] if b.kind == "scalar" else z[at : at + n])
        at += n
    return tuple(found)


def state_given(system: System, name: str, given: Any) -> Float[np.ndarray, " n"]:
    """A state as one flat array.

    Args:
        system: the system.
        name: of the argument, for messages.
        given: an array of all entries in the order of the blocks, or a dict of all blocks, by name or symbol.

    Raises:
        OdescentError: blocks that are missing or unknown, or entries that are not finite numbers.
    """
    if isinstance(given, Mapping):
        named = {str(getattr(n, "name", n)): v for n, v in given.items()}
        own = [b.name for b in system.blocks]
        for n in named:
            if n not in own:
                raise unknown("block of this system called", n, own)
        if missing := [n for n in own if n not in named]:
            raise OdescentError(f"{name} gives no value of {missing[0]}; give all blocks.")
        values = [np.atleast_1d(reals(named[n])) for n in own]
        given = np.concatenate([v.ravel() for v in values]) if all(v.size for v in values) else ""
    found = np.atleast_1d(reals(given))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise OdescentError(f"{name} must be finite numbers, one row of them, not {short(given)}.")
    return found


def _flat(state: tuple[Any, ...]) -> Any:
    return jnp.concatenate([jnp.ravel(s) for s in state])


__all__ = ["NoisyField", "parted", "state_given"]
