"""Methods as a user writes them beside the same steps by hand in NumPy, on one function of two variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import odescent as od
from odescent import Algorithm

START = np.array([0.7, -0.4])
NONE = np.zeros(2)


def value(z: Any) -> Any:
    return (z[0] ** 2 - 1) ** 2 + z[1] ** 2 / 2 + 3 * z[0] * z[1] / 10


def slope(z: np.ndarray) -> np.ndarray:
    return np.array([4 * z[0] * (z[0] ** 2 - 1) + 0.3 * z[1], z[1] + 0.3 * z[0]])


def curvature(z: np.ndarray) -> np.ndarray:
    return np.array([[12 * z[0] ** 2 - 4, 0.3], [0.3, 1.0]])


@dataclass
class Method:
    """A method of a user: how it is made, its parameters, the step by hand, and what the state begins with."""

    made: Callable[[], Algorithm]
    given: dict[str, float]
    step: Callable[[Any, int], None]
    more: dict[str, np.ndarray]


class State:
    """What a step by hand moves."""

    def __init__(self, **blocks: np.ndarray) -> None:
        vars(self).update(blocks)


class Methods(dict[str, Method]):
    """Methods by the names of the functions that make them."""

    def method(
        self, step: Callable[[Any, int], None], more: tuple[str, ...] = (), **given: float
    ) -> Callable[[Callable[[], Algorithm]], Callable[[], Algorithm]]:
        """Keep what a function makes, its parameters, and the step by hand with the blocks that begin at zero."""

        def keep(made: Callable[[], Algorithm]) -> Callable[[], Algorithm]:
            self[made.__name__] = Method(made, given, step, dict.fromkeys(more, NONE))
            return made

        return keep

    def emitted(self, name: str, *targets: str) -> None:
        """Assert that there is code for each target."""
        made = self[name].made()
        for target in targets:
            assert made.source(target), target

    def agrees(self, name: str, rtol: float = 1e-12) -> None:
        """Assert that twelve steps are those by hand."""
        it = self[name]
        found = it.made().run(od.Objective(value), START, 12, **it.given)
        state = State(x=START, before=slope(START), s=START, **it.more)
        wanted = [START]
        for k in range(12):
            it.step(state, k)
            wanted.append(state.x)
        np.testing.assert_allclose(found.x, wanted, rtol=rtol, atol=1e-14)
