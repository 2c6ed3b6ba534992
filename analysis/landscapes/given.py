"""What a landscape is made of: the methods by label, where they start, and the values of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ..._support.arguments import by_name
from ..._support.errors import OdescentError, expected, unknown
from ..._support.numbers import reals
from ...discretize import Algorithm
from ...dynamics import Objective, System
from ...dynamics.flows.parameters import constants
from ..portraits.phase import own_values
from ..rates.estimation import estimate_constants

Starts = Float[np.ndarray, "n d"]


def starts_of(x0: Any, objective: Objective) -> tuple[Starts, dict[str, Starts]]:
    """The starts in the space of x, and the blocks that are given beside them, all of shape (n, d)."""
    d = objective.dimension
    if x0 is None:
        x0 = objective.x0
        if x0 is None:
            raise OdescentError(
                f"the objective {objective.name!r} has no starting point; give x0=."
            )
    if not isinstance(x0, Mapping):
        return _rows("x0", x0, d), {}
    if not x0:
        raise expected("x0 of landscape", "an array, or a dict of blocks to arrays", x0)
    named = {
        str(getattr(n, "name", n)): _rows(f"x0[{str(getattr(n, 'name', n))!r}]", v, d)
        for n, v in x0.items()
    }
    counts = {len(v) for v in named.values()}
    sizes = {v.shape[1] for v in named.values()}
    if len(counts - {1}) > 1 or len(sizes) > 1:
        raise OdescentError(
            f"the blocks of x0 have shapes {', '.join(str(v.shape) for v in named.values())}; they must agree."
        )
    named = {n: np.broadcast_to(v, (max(counts), v.shape[1])) for n, v in named.items()}
    # a point of f from which the blocks that are not given begin
    source = next((n for n in ("x", "y", "z") if n in named), None)
    if source is not None:
        return named[source], named
    if objective.x0 is None:
        raise OdescentError(f"x0 gives no block of positions (x, y or z), only {', '.join(named)}.")
    return np.broadcast_to(_rows("x0", objective.x0, d), next(iter(named.values())).shape), named


def _rows(what: str, value: Any, dimension: int | None) -> Starts:
    points = reals(value)
    if not points.size or points.ndim not in (1, 2):
        raise expected(f"{what} of landscape", "an array of shape (d,) or (n, d)", value)
    if not np.isfinite(points).all():
        raise OdescentError(f"{what} of a landscape must be finite.")
    points = np.atleast_2d(points)
    d = points.shape[1]
    if dimension is not None and d != dimension:
        raise OdescentError(
            f"{what} has points of {d} entries; the objective has {dimension} variables."
        )
    if d < 2:
        raise OdescentError(
            "a landscape requires a function of two variables or more; for one variable use phase_portrait."
        )
    return points


def methods_of(methods: Any) -> dict[str, Algorithm | System]:
    """The methods by their labels, names made objects."""
    if isinstance(methods, Mapping):
        pairs = [(str(n), m) for n, m in methods.items()]
    else:
        each = [methods] if isinstance(methods, (str, Algorithm, System)) else methods
        if not isinstance(each, Sequence):
            raise expected("methods of landscape", "algorithms, systems or names of them", methods)
        pairs = [(m if isinstance(m, str) else getattr(m, "name", ""), m) for m in each]
    found: dict[str, Algorithm | System] = {}
    for given, m in pairs:
        made = by_name(m, ("Algorithm", "System")) if isinstance(m, str) else m
        if not isinstance(made, (Algorithm, System)):
            raise expected(
                "every entry of methods of landscape",
                "an algorithm, a system or the name of one",
                m,
            )
        first = given or ("method" if isinstance(made, Algorithm) else "system")
        label, k = first, 2
        while label in found:
            label, k = f"{first} {k}", k + 1
        found[label] = made
    if not found:
        raise OdescentError("a landscape needs at least one method or system.")
    return found


def values_of(
    named: Mapping[str, Algorithm | System],
    target: Objective,
    starts: Starts,
    given: dict[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """The values, with mu and L from the curvatures along a descent where nothing else says what they are."""
    for name in given:
        if not any(name in _names(m) for m in named.values()) and name not in ("mu", "L"):
            raise unknown("parameter", name, sorted({n for m in named.values() for n in _names(m)}))
    known = {*constants(target), *given}
    wanted: set[str] = set()
    for m in named.values():
        if isinstance(m, Algorithm):
            free = {s.name for s in m.freed(own_values(m, given))[0].parameters}
        else:
            free = {s.name for s in m.parameters}
        wanted |= free & {"mu", "L"} - known
    if not wanted:
        return given, []
    seen = estimate_constants(target, starts[0], safety=1.0)
    values = {"mu": float(seen.least[-1]), "L": float(seen.greatest.max())}
    if "mu" in wanted and not values["mu"] > 0:
        raise OdescentError(
            f"{target.name} has no mu, and gradient descent from the first start ends where it is not convex; give "
            "mu and L in parameters=, or the step and the momentum themselves."
        )
    said = " and ".join(f"{n} = {values[n]:.4g}" for n in ("mu", "L") if n in wanted)
    remark = (
        f"{said} {'are' if len(wanted) > 1 else 'is'} taken from the curvatures along a gradient descent from the "
        "first start (mu where it ends, L the greatest); no bound."
    )
    return given | {n: values[n] for n in wanted}, [remark]


def _names(m: Algorithm | System) -> set[str]:
    return set(m.names) if isinstance(m, Algorithm) else {s.name for s in m.parameters}
