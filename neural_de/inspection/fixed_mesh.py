"""Prediction without a step size controller: a mesh within the tolerance, with a confidence bound for new rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import diffrax as dfx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ..tasks.rows import count
from .subjects import Subject, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROUNDS = 4  # of equidistribution, before a number of steps counts as too small
_Edges = Float[np.ndarray, "edges"]


@dataclass(frozen=True)
class FixedMesh(Rendered):
    """Times to step to, the same for every row and independent of the batch.

    Attributes:
        times: t0 to t1, one more than there are steps.
        evaluations: evaluations of the field per solve; None if unknown.
        fitted: the largest E along the mesh, in units of the tolerance, of each row that determined the mesh.
        errors: the same for each row of the test half.
        confidence: confidence level of `bound`.
        options: options of `solve`, or of a model that passes them on: ``model(x, **mesh.options)``.
    """

    name: str
    times: Float[np.ndarray, "edges"]
    evaluations: int | None
    fitted: Float[np.ndarray, "fitted"]
    errors: Float[np.ndarray, "rows"]
    confidence: float
    options: dict[str, Any] = field(repr=False)

    @property
    def exceeding(self) -> int:
        """Rows, of those it is checked on, with a step that a controller would reject (E not below 1)."""
        return int(np.sum(~(self.errors < 1)))

    @property
    def bound(self) -> float:
        """The share of all rows that have such a step is at most this.

        Clopper and Pearson's limit, doi 10.1093/biomet/26.4.404.
        """
        from scipy.special import betaincinv

        k, n = self.exceeding, len(self.errors)
        return 1.0 if k == n else float(betaincinv(k + 1, n - k, self.confidence))

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "name": self.name, "times": self.times.tolist(), "evaluations": self.evaluations,
            "rows": len(self.errors), "exceeding": self.exceeding, "largest": float(self.errors.max()),
            "bound": self.bound, "confidence": self.confidence,
        }  # fmt: skip

    def __str__(self) -> str:
        """One sentence."""
        n = len(self.times) - 1
        cost = "" if self.evaluations is None else f", {self.evaluations} evaluations"
        return (
            f"{quantity(n, 'step')} for every row{cost}: {self.exceeding} of {len(self.errors)} rows apart have a "
            f"step beyond the tolerance, at most {100 * self.bound:.2g} % of all rows ({100 * self.confidence:g} % "
            "confidence)"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of rows over their largest error, of those that chose the mesh and those apart."""
        from ..._support.style import picture, series_style

        xlabel = "largest error $E$ of a row (accepted to 1)"
        with picture(ax, 0.75, xlabel, "share of rows") as ax:
            both = ((self.fitted, "rows that chose the mesh"), (self.errors, "rows apart"))
            for i, (values, label) in enumerate(both):
                share = np.arange(1, len(values) + 1) / len(values)
                look = {**series_style(i).line, "label": label}
                ax.step(np.sort(values), share, where="post", **look)
            ax.axvline(1.0, color="black", lw=0.6, ls=":")
            ax.set(xscale="log", title=self.name)
        return ax


def fixed_mesh(
    what: Subject | Any,
    *,
    rows: int | None = 1024,
    largest: float = 0.5,
    confidence: float = 0.95,
    most: int = 256,
    **options: Any,
) -> FixedMesh:
    """The smallest number of steps, common to all rows, within the tolerance; checked on held-out rows.

    The first half of the rows chooses the mesh: its steps make the largest E of any row equal along the time
    (equidistribution: de Boor, doi 10.1007/BFb0069121), and are as many as bring it to `largest`. The other half is
    solved on it, row by row, and counted. A mesh does not depend on the other rows of a batch, as the steps of a
    controller do: beyond rounding a row's solution is its own, and takes the same time as any other's. The bound on
    new rows supposes that they are drawn as the checked ones, which had no part in training either: of a run, look at
    ``subject(run, rows="test")``.

    Args:
        what: a `Subject`, or what `subject` takes.
        rows: how many, in all; None for all.
        largest: E, in units of the tolerance, on the rows that choose; below 1 leaves room for others.
        confidence: of the bound.
        most: steps.
        options: of `solve`, in place of those of training.

    Returns:
        The times, of shape (steps + 1,), and the largest E of each row, of those that chose them and of the others.

    Raises:
        OdescentError: noise; fewer than two rows; rows that need more steps; numbers out of their range.
    """
    s = what if isinstance(what, Subject) else subject(what)
    if not 0 < largest <= 1 or not 0 < confidence < 1:
        raise OdescentError(
            f"largest={largest!r} must be in (0, 1] and confidence={confidence!r} between 0 and 1."
        )

    # One half of the rows chooses, one checks.
    s = replace(s, rows=s.first(rows), options={**s.options, **options})
    half = count(s.rows) // 2
    if half < 1:
        raise OdescentError(
            "a mesh needs at least two rows: one half determines it, the other tests it."
        )
    chooses, checks = (
        replace(s, rows={n: a[part] for n, a in s.rows.items()})
        for part in (slice(half), slice(half, None))
    )
    found = chooses.each().solved
    if found.statistics.diffusion_evaluations is not None:
        raise OdescentError(
            "a mesh cannot be fixed for a solve with noise: its errors depend on the path, not on the row alone."
        )
    t0, t1 = (float(np.ravel(t)[0]) for t in (found.solution.t0, found.solution.t1))
    dtype = found.statistics.error.sum.dtype

    def meshed(u: _Edges) -> dict[str, Any]:
        times = t0 + (t1 - t0) * u
        times[0], times[-1] = t0, t1
        return {"controller": dfx.StepTo(ts=jnp.asarray(times, dtype))}

    def errors(rows: Subject, u: _Edges) -> tuple[Float[np.ndarray, "rows steps"], Any]:
        n = len(u) - 1
        stats: Any = rows.each(record=n, **meshed(u)).solved.statistics
        found = np.asarray(stats.record.error, float).reshape(-1, n)
        return np.where(np.isfinite(found), found, np.inf), stats.drift_evaluations

    # As many steps as the controller's hardest row took are where the search begins.
    start = min(int(np.max(np.asarray(found.statistics.accepted))), most)
    order = float(found.statistics.order)
    u = _fewest(lambda u: errors(chooses, u)[0].max(0), start, order, largest, most)
    if u is None:
        raise OdescentError(
            f"{s.name} needs more than {most} steps to bring every row's error to {largest:g} of the tolerance: give "
            "most=."
        )

    # The rows apart, and the mesh as options of a solve.
    fitted, _ = errors(chooses, u)
    apart, evaluations = errors(checks, u)
    cost = None if evaluations is None else int(np.max(np.asarray(evaluations)))
    plan = {**s.options, **meshed(u)}
    return FixedMesh(
        s.name, np.asarray(plan["controller"].ts), cost, fitted.max(1), apart.max(1), confidence, plan
    )  # fmt: skip


def _fewest(
    worst: Callable[[_Edges], Float[np.ndarray, "steps"]],
    start: int,
    order: float,
    largest: float,
    most: int,
) -> _Edges | None:
    """The edges in [0, 1] of the fewest steps whose errors are at most `largest`; None if `most` are too few.

    Args:
        worst: from edges, of shape (n + 1,), to the largest error in each of the n steps.
        start: how many steps to try first.
        order: of the error in the length of a step.
        largest: that an error may be.
        most: steps.
    """

    def trial(n: int, edges: _Edges) -> tuple[bool, _Edges, Float[np.ndarray, "steps"]]:
        for _ in range(_ROUNDS):
            found = worst(edges)
            if found.max() <= largest:
                return True, edges, found
            if not np.isfinite(found).all():
                break
            edges = _equidistributed(edges, found, order, n)
        return False, edges, found

    n, best, too_few = max(start, 1), None, 0
    edges = np.linspace(0.0, 1.0, n + 1)
    while n <= most:
        good, tried, found = trial(n, edges)
        if good:
            best = tried
            needed = math.ceil(float(np.sum((found / largest) ** (1 / order))))
            n = max(too_few + 1, min(needed, n - 1))
            if n == len(best) - 1:
                break
        else:
            too_few = n
            if best is not None and n + 1 == len(best) - 1:
                break
            n += 1
        edges = _equidistributed(tried, found, order, n)
    return best


def _equidistributed(
    edges: _Edges, errors: Float[np.ndarray, "steps"], order: float, n: int
) -> Float[np.ndarray, "others"]:
    """n steps that are each to have the same error, if E goes as h^order with a factor that keeps to its place.

    Equal steps where an error is not finite.
    """
    if not np.isfinite(errors).all():
        return np.linspace(0.0, 1.0, n + 1)
    share = errors ** (1 / order)
    share = np.maximum(share, 1e-3 * share.max() if share.max() > 0 else 1.0)
    total = np.concatenate([[0.0], np.cumsum(share)])
    return np.asarray(np.interp(np.linspace(0.0, total[-1], n + 1), total, edges))
