"""The state of the engine between steps, and the record of a step."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Array, Float, UInt64


class State(NamedTuple):
    """The particles between steps.

    Attributes:
        blocks: each block of the algorithm, of shape (blocks, d, n) for a vector, (blocks, 1, n) for a scalar,
            (d, 1) and (1, 1) for what all particles share.
        seed, run: of the noise.
    """

    blocks: tuple[Float[Array, "..."], ...]
    seed: UInt64[Array, ""]
    run: UInt64[Array, ""]


class Record(NamedTuple):
    """Statistics of the ensemble at the start of a step; all arrays.

    Attributes:
        consensus: the consensus point, shape (d,); the mean of the particles if nothing meets.
        best_point: the best point evaluated in this step, shape (d,), and
        best_value: its value.
        ess: effective sample size of the weights.
        spread: mean square distance of the particles from the consensus point, over d.
        evaluations: evaluations of the objective for the consensus point in this step.
        nonfinite: how many of them were not finite.
    """

    consensus: Any
    best_point: Any
    best_value: Any
    ess: Any
    spread: Any
    evaluations: Any
    nonfinite: Any
