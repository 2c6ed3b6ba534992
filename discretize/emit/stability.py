"""Stability of a method with given numbers on every quadratic with curvatures in [mu, L], for a warning.

On one mode of curvature w a linear method is the matrix A + w B (I - w D)^-1 C; it is stable if the
spectral radius of its excited and observed part is below 1. The radius is taken on a grid of modes
with both ends, so a warning is a fact and its absence is not a proof (`analysis.certify` gives one).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from ..._support.arguments import holds_numbers
from ..._support.errors import NotCarried, OdescentError, OdescentWarning, expected
from ..linear.modal import modal_poles
from .lowering.coefficients import in_order

if TYPE_CHECKING:
    from ..step.iteration import Iteration

BOUNDS = ("mu", "L")  # constants of the problem, which may be given to any algorithm
MODES = 65
_SCAN = 160  # points of a logarithmic grid over nine decades around a value

Matrix = NDArray[np.floating[Any]]


class _Loop:
    """The closed loop of an algorithm, for numbers."""

    def __init__(self, algorithm: Iteration) -> None:
        space = algorithm.state_space()
        kinds = {(o.kind, o.of) for o in space.inputs}
        if len(kinds) != 1 or next(iter(kinds))[0] not in ("grad", "operator"):
            raise NotCarried("the loop is closed with one gradient.")
        self.parameters = in_order(algorithm.tuned.parameters)
        begun = sp.eye(space.A.rows) if space.start is None else space.start
        parts = [space.A, space.B, space.C, space.D, begun]
        self._at = sp.lambdify(self.parameters, parts, "numpy")

    def radius(self, values: Mapping[str, float], modes: Matrix) -> float:
        """The largest spectral radius over the modes."""
        given = [values[s.name] for s in self.parameters]
        a, b, c, d, begun = (np.asarray(m, float) for m in self._at(*given))
        if not all(np.isfinite(m).all() for m in (a, b, c, d, begun)):
            return float("inf")
        excited = _span(a, np.hstack([b, begun]))
        a, b, c = excited.T @ a @ excited, excited.T @ b, c @ excited
        seen = _span(a.T, c.T)
        a, b, c = seen.T @ a @ seen, seen.T @ b, c @ seen
        return float(np.max(np.abs(modal_poles(a, b, c, d, modes)), initial=0.0))


def _span(a: Matrix, columns: Matrix) -> Matrix:
    """An orthonormal basis of the smallest invariant subspace of ``a`` that contains the columns."""
    basis: list[Matrix] = []
    waiting = [v for v in columns.T if np.linalg.norm(v) > 0]
    while waiting and len(basis) < len(a):
        v = waiting.pop(0)
        size = np.linalg.norm(v)
        for q in basis * 2:
            v = v - (q @ v) * q
        if np.linalg.norm(v) > 1e-10 * size:
            basis.append(v / np.linalg.norm(v))
            waiting.append(a @ basis[-1])
    return np.array(basis).T.reshape(len(a), len(basis))


def stable_ranges(
    loop: _Loop, values: Mapping[str, float], name: str, modes: Matrix, limit: float = 1.0
) -> list[tuple[float, float]]:
    """The intervals of one positive parameter, within nine decades, where the radius is below the limit.

    Args:
        loop: the closed loop.
        values: numbers for all its parameters, by name.
        name: of the parameter that moves.
        modes: curvatures, of any shape.
        limit: of the spectral radius.

    Returns:
        (low, high) of each interval; an end that the scan did not find is 0 or infinite.
    """
    grid = abs(values[name] or 1.0) * np.logspace(-6, 3, _SCAN)

    def stable(value: float) -> bool:
        return loop.radius({**values, name: float(value)}, modes) < limit

    marks = [stable(v) for v in grid]
    found: list[tuple[float, float]] = []
    low = 0.0 if marks[0] else None
    for i in range(1, len(grid)):
        if marks[i] != marks[i - 1]:
            a, b = grid[i - 1], grid[i]
            for _ in range(40):
                middle = (a + b) / 2
                a, b = (middle, b) if stable(middle) == marks[i - 1] else (a, middle)
            if marks[i]:
                low = float(a)
            else:
                assert low is not None
                found.append((low, float(a)))
                low = None
    return [*found, (low, float("inf"))] if low is not None else found


def check_numbers(values: Mapping[str, Any]) -> None:
    """Refuse hyper-parameters that are no numbers, arrays of them or schedules."""
    for name, value in values.items():
        if not (callable(value) or holds_numbers(value)):
            raise expected(name, "a number or a schedule", value)


def warn_if_unstable(algorithm: Iteration, values: Mapping[str, Any], stacklevel: int = 5) -> None:
    """Warn (OdescentWarning) where known numbers make the method unstable on a mode in [mu, L].

    Values that are not plain numbers, methods that are not linear and time-invariant, and a missing L
    are not checked. Without mu the modes go down to L / 10^6. The warning names the stable range of
    each free parameter, the others as given.

    Args:
        algorithm: the method.
        values: of its parameters and of mu and L, by name.
        stacklevel: of the warning, as `warnings.warn` counts.
    """
    try:
        numbers = {n: float(v) for n, v in values.items() if n != "key"}
        if "L" not in numbers or not 0 < numbers.get("mu", numbers["L"]) <= numbers["L"]:
            return
        loop = _Loop(algorithm)
    except (TypeError, ValueError):  # tracers, arrays, schedules; and NotLTI
        return
    ratio = numbers.get("mu", 1e-6 * numbers["L"]) / numbers["L"]
    modes = numbers["L"] * np.unique(np.concatenate(
        [np.linspace(ratio, 1.0, MODES), np.geomspace(ratio, 1.0, MODES)]))  # fmt: skip
    free = [s.name for s in loop.parameters if s.name not in BOUNDS]
    # Modes at exactly 1 count where there is a parameter to change; double poles near 1 resolve 1e-8.
    limit = 1 - 1e-13 if free and ratio > 1e-10 else 1 + 1e-7
    try:
        radius = loop.radius(numbers, modes)
    except (np.linalg.LinAlgError, OdescentError, ArithmeticError):
        return
    if radius < limit:
        return
    ranges = []
    for n in free:
        intervals = stable_ranges(loop, numbers, n, modes, limit)
        ranges += [" or ".join(_shown(n, *i) for i in intervals)] if intervals else []
    bounds = ", ".join(f"{n} = {numbers[n]:g}" for n in BOUNDS if n in numbers)
    given = ", ".join(f"{n} = {numbers[n]:g}" for n in free)
    way = f"it is stable for {'; or for '.join(ranges)}" if ranges else "change its tuning"
    warnings.warn(
        f"{algorithm.name or 'the algorithm'}{f' with {given}' if given else ''} is unstable on "
        f"quadratics with {bounds} (spectral radius {radius:.4g}): {way}.",
        OdescentWarning,
        stacklevel=stacklevel,
    )


def _shown(name: str, low: float, high: float) -> str:
    left = f"{low:.4g} < " if low > 0 else "0 < "
    return f"{left}{name}" + (f" < {high:.4g}" if np.isfinite(high) else "")
