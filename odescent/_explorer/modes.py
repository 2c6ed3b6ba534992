"""The spectrum of a choice: the modal radius over the curvatures, with noise that of the mean, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import sympy as sp
from jaxtyping import Float

import odescent as od

from .._support.errors import OdescentError
from ..discretize import Algorithm, moment_map
from .choice import in_class
from .model import Model

_CURVATURES = 65
_HELD = (
    "no curvature sets the pace: particles see values of f;",
    "with the consensus point held, the mean distance",
    "from it is multiplied by {:.4g} in a step",
)
_NO_CLASS = (
    "modes are those of quadratics with curvatures",
    "from μ to L; this function has no such bounds",
)


@dataclass(frozen=True)
class ModalRadius:
    """The modal radius over [mu, L].

    Attributes:
        curvatures, radius: shape (n,); empty where there are no modes.
        rate: the largest radius; None where there are no modes.
        bound: how the distance to the minimizer decays, in the rate ρ.
        mean: whether these are modes of the mean of a method with noise.
        why: what is said in their place, line by line.
    """

    curvatures: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    radius: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    rate: float | None = None
    mean: bool = False
    bound: str = "ρᵏ"
    why: tuple[str, ...] = ()


def modes(found: Model, numbers: Mapping[str, float], notes: list[str]) -> ModalRadius:
    """The modal radius of a model as a function of the curvature.

    Args:
        found: the model.
        numbers: values of all parameters.
        notes: receives a sentence if there is no spectrum.

    Returns:
        The modes, or the reason why there are none.
    """
    made = found.algorithm
    if found.meets:
        kept = held(made, numbers)
        bent = (*_HELD[:1], "and their moves are not linear in where they are")
        why = bent if kept is None else _HELD
        return ModalRadius(why=tuple(line.format(kept) for line in why))
    if not in_class(found.objective):
        return ModalRadius(why=_NO_CLASS)
    own = {s.name: numbers[s.name] for s in made.parameters if s.name not in ("mu", "L")}
    try:
        seen = od.analysis.spectrum(
            made, numbers["mu"], numbers["L"], parameters=own, curvatures=_CURVATURES
        )
    except OdescentError as error:
        notes.append(f"No spectrum: {error}")
        return ModalRadius(why=(f"{'the mean' if found.noisy else 'this method'} has no modes",))
    return ModalRadius(seen.curvatures, seen.radius, seen.rate, found.noisy, seen.bound)


def held(made: Algorithm, numbers: Mapping[str, float]) -> float | None:
    """What a step does to the mean distance from a consensus point that is held; None if it is not linear."""
    matrix = _first_moments(made)
    if matrix is None:
        return None
    known = {s: numbers[s.name] for s in matrix.free_symbols}
    return float(np.abs(np.linalg.eigvals(np.array(matrix.subs(known), float))).max())


@lru_cache(maxsize=64)
def _first_moments(made: Algorithm) -> sp.Matrix | None:
    try:
        moments = moment_map(made)
    except OdescentError:
        return None
    n = len(moments.step.state)
    return moments.matrix[:n, :n]
