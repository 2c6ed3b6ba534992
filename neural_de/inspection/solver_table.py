"""The table of one model under several solvers: regularized with one, predicted with another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError, unknown
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ..training.compared_runs import aligned
from .subjects import Subject, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DETERMINISTIC = ("Tsit5", "Dopri5", "Dopri8", "Bosh3", "Heun")
STOCHASTIC = ("SPaRK", "HalfSolver(EulerHeun)", "HalfSolver(StratonovichMilstein)")
_TIGHTER = 1e-3  # the reference's tolerance over the solver's


@dataclass(frozen=True)
class Prediction(Rendered):
    """With one solver.

    Attributes:
        evaluations: of the drift; None where they cannot be known.
        accepted, rejected: steps.
        score: the metric that counts; None without one.
        error: root mean square distance of the final states from the reference, over that of the reference from
            zero; None with noise.
        solved: whether the solve went well.
    """

    solver: str
    evaluations: int | None
    accepted: int
    rejected: int
    score: float | None
    error: float | None
    solved: bool


@dataclass(frozen=True)
class SolverComparison(Rendered):
    """Predictions of the same rows as one state by several solvers, at one tolerance.

    Attributes:
        score: the name of the metric.
        rows: how many.
        reference: a description of the reference solution.
    """

    name: str
    score: str | None
    rows: int
    reference: str
    predictions: tuple[Prediction, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {**vars(self), "predictions": [dict(vars(p)) for p in self.predictions]}

    def _headline(self) -> str:
        return f"{self.name}: {quantity(len(self.predictions), 'solver')} on {quantity(self.rows, 'row')}"

    def __str__(self) -> str:
        """A table."""
        head = ["solver", "evaluations", "steps", "rejected", self.score or "", "error"]
        rows = [
            [p.solver, _or_dash(p.evaluations), f"{p.accepted}", f"{p.rejected}",
             "" if p.score is None else f"{p.score:.4g}",
             "failed" if not p.solved else _or_dash(p.error, ".2e")]
            for p in self.predictions
        ]  # fmt: skip
        keep = [i for i in range(len(head)) if head[i]]
        return aligned([[row[i] for i in keep] for row in (head, *rows)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw error over evaluations where both are known, else evaluations alone."""
        from ..._support.style import picture, series_style

        shown = [p for p in self.predictions if p.solved and p.evaluations is not None]
        both = all(p.error for p in shown)
        with picture(ax, 0.75) as ax:
            for i, p in enumerate(shown):
                style, label = series_style(i), p.solver
                if p.score is not None:
                    label += f" ({self.score} {p.score:.3g})"
                y: Any = p.error if both else p.evaluations
                x: Any = p.evaluations if both else i
                ax.plot([x], [y], style.marker, color=style.color, ls="none", label=label)
            if both:
                ax.set_yscale("log")
                ax.set_xlabel("evaluations of the field")
                ax.set_ylabel("relative error of the states")
            else:
                ax.set_xticks([])
                ax.set_ylabel("evaluations of the drift")
                ax.set_ylim(bottom=0)
            ax.set_title(self.name)
        return ax


def solver_comparison(
    what: Subject | Any,
    solvers: Mapping[str, Any] | None = None,
    *,
    rows: int | None = 256,
    **options: Any,
) -> SolverComparison:
    """Predict the same rows with several solvers, each with its own automatic first step (Hairer's selection).

    Errors refer to Dopri8 in float64 at a thousandth of the tolerance.

    Args:
        what: a `Subject`, or what `subject` takes.
        solvers: diffrax solvers by name; by default Tsit5, Dopri5, Dopri8, Bosh3 and Heun, with noise SPaRK and two
            methods by step doubling.
        rows: how many, as one state; None for all.
        options: of `solve`, in place of those of training; `dt0` for all solvers alike.

    Returns:
        Evaluations, steps, score and error by solver.

    Raises:
        OdescentError: no solvers.
    """
    s = what if isinstance(what, Subject) else subject(what)
    options = {"dt0": "hairer", **options}
    traced = eqx.filter_eval_shape(lambda: s.solved(rows, **options))
    noisy = traced.solved.statistics.diffusion_evaluations is not None
    chosen = dict(solvers or {n: named(n) for n in (STOCHASTIC if noisy else DETERMINISTIC)})
    if not chosen:
        raise OdescentError("there is nothing to compare: give at least one solver.")
    exact, reference = None, "none: with noise, solvers are compared by their cost and score"
    if not noisy:
        exact = _reference(s, rows, options)
        reference = "Dopri8 in float64 at a thousandth of the tolerance"
    table = []
    for name, solver in chosen.items():
        found = s.solved(rows, solver=solver, **options)
        stats = found.solved.hardest.statistics
        good = bool(jnp.all(found.solved.successful))
        drift, score = stats.drift_evaluations, found.metrics.get(s.score or "")
        if score is None and s.score is not None:
            score = found.loss
        table.append(
            Prediction(
                name, None if drift is None else int(drift), int(stats.accepted), int(stats.rejected),
                None if score is None else float(score),
                None if exact is None or not good else _distance(found.solved.last, exact), good,
            )
        )  # fmt: skip
    n = len(next(iter(s.first(rows).values())))
    return SolverComparison(s.name, s.score, n, reference, tuple(table))


def named(name: str) -> Any:
    """A solver of diffrax by name; HalfSolver(NAME) doubles steps for methods without an error estimate."""
    inner = name.removeprefix("HalfSolver(").removesuffix(")")
    known = [
        n
        for n in dir(dfx)
        if isinstance(getattr(dfx, n), type) and issubclass(getattr(dfx, n), dfx.AbstractSolver)
    ]
    if inner not in known or inner.startswith("Abstract") or inner == "HalfSolver":
        raise unknown(
            "solver of diffrax", inner, [n for n in known if not n.startswith("Abstract")]
        )
    solver = getattr(dfx, inner)()
    return solver if inner == name else dfx.HalfSolver(solver)


def _reference(s: Subject, rows: int | None, options: Mapping[str, Any]) -> Any:
    """The final states to a thousandth of the tolerance."""
    said = {**s.options, **options}
    tight = {n: max(_TIGHTER * (said.get(n) or 1e-6), 1e-13) for n in ("rtol", "atol")}
    more = {**options, **tight, "solver": dfx.Dopri8(), "max_steps": 16384}
    with jax.enable_x64(True):
        wide: Any = lambda x: jnp.asarray(np.asarray(x), jnp.float64) if _floating(x) else x
        found = replace(
            s, model=jax.tree.map(wide, s.model), rows={n: wide(a) for n, a in s.rows.items()},
            fixed={n: wide(a) for n, a in s.fixed.items()},
        )  # fmt: skip
        return jax.device_get(found.solved(rows, **more).solved.last)


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray | jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


def _distance(states: Any, exact: Any) -> float:
    pairs = [
        (np.asarray(a, float), np.asarray(b, float))
        for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(exact), strict=True)
    ]
    off = sum(float(np.sum((a - b) ** 2)) for a, b in pairs)
    size = sum(float(np.sum(b**2)) for _, b in pairs)
    return float(np.sqrt(off / size)) if size > 0 else float(np.sqrt(off))


def _or_dash(value: Any, form: str = "") -> str:
    return "-" if value is None else format(value, form)
