"""`minimize`: global minimization of a function from its values, with defaults."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.arguments import by_name, checked
from ..._support.errors import OdescentError, expected, unknown
from ..._support.numbers import check_whole
from ..._support.progress import bar
from ..._support.rendering.brief import short
from ...dynamics.vector_fields.objective import Objective
from ...dynamics.vector_fields.own_functions import current
from ..engine.starts import beginnings
from .asktell import Minimizer
from .black_box import Evaluate, evaluator, traceable
from .methods import settled
from .outcome import BUDGET, CALLBACK, FAILED, INTERRUPTED, TIME, Minimum, ObjectiveFailed
from .search import SearchPlan

if TYPE_CHECKING:
    from ...discretize.faces import Algorithm

_CHUNK = 50  # steps between two looks at the clock
_NEAR = 1e-2  # of the width at the start: the consensus point is where the best point is


@checked
def minimizer(
    start: Any,
    *,
    method: str | Algorithm = "cbo",
    options: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    schedule: Callable[[Any, Any], Mapping[str, Any]] | None = None,
    bounds: Any = None,
    constraint: Callable[[Any], Any] | None = None,
    particles: int | None = None,
    width: Any = 1.0,
    steps: int = 1000,
    runs: int = 1,
    seed: int = 0,
    xtol: float = 1e-6,
    target: float = -np.inf,
    ftol: float = 0.0,
    patience: int = 0,
    rest: int = 50,
    restarts: int = 0,
    resample: float | None = None,
    keep_particles: int = 0,
    vectorized: bool = False,
    block: int | None = None,
    normals: str = "counter",
) -> Minimizer:
    """Searches with an ask-and-tell interface: `ask` returns points, `tell` takes their values.

    >>> search = minimizer([(-5, 5), (-5, 5)], steps=200)
    >>> while not search.done:
    ...     search.tell([f(x) for x in search.ask()])
    >>> search.result()

    Args:
        start: where to begin: a box, as a list of (low, high) pairs or scipy.optimize.Bounds, which is a bound too;
            one point, shape (d,), with ``width``; or the particles themselves, (N, d) or (runs, N, d).
        method: "cbo", "polar_cbo" (for several minimizers, see `Minimum.modes`), "jump_cbo", "mirror_cbo",
            "consensus_hopping", "consensus_freezing", or an algorithm of an ensemble.
        options: of the method: noise=, memory=, truncated= (see `od.algorithm`). A memory evaluates the objective
            twice for each particle and step, and only one that JAX can evaluate.
        params: its parameters by name: numbers, or laws of the values, such as ``effective_alpha(0.2)``.
        schedule: a function (k, record) to parameters that replace these, in JAX, such as ``geometric``.
        bounds: a box that the particles stay in, by clipping; by default that of the start.
        constraint: a feasible set (`box`, `ball`, `sphere`, `simplex`), or a JAX function of rows to rows.
        particles: N; by default 50 + 10 d, or as many as are given.
        width: standard deviation of the start around one point.
        steps: the maximal number of steps.
        runs: independent searches in one compiled loop.
        seed: a whole number; runs and steps of one seed are reproducible to the bit.
        xtol: a search ends when its particles' spread is that share of the width at the start,
        target: or it has reached this value,
        ftol, patience: or the best value fell by at most ftol max(1, |value|) in so many steps (0: never),
        rest: or, in so many steps (0: never), the best value fell by at most 1e-9 of all that it has fallen, the
            consensus point moved by at most xtol of the width, and both are at one place. This is for searches whose
            parameters do not change and whose particles have one consensus point.
        restarts: so often a search that has ended short of the target begins anew, with other draws,
        resample: around its best point with this share of the first width, where it is given.
        keep_particles: keep all positions every so many steps, in ``history.particles``.
        vectorized: ``fun`` takes points as rows, (N, d) to (N,).
        block, normals: see `stepper`.

    Returns:
        The searches, with `ask`, `tell`, `done` and `result`.

    Raises OdescentError for input that means nothing or parameters that cannot work.
    """
    counts = {
        "steps": (steps, 1), "runs": (runs, 1), "seed": (seed, 0), "patience": (patience, 0), "rest": (rest, 0),
        "restarts": (restarts, 0), "keep_particles": (keep_particles, 0),
    }  # fmt: skip
    for name, (size, least) in counts.items():
        check_whole(name, size, least)
    for name, value in (("xtol", xtol), ("ftol", ftol)):
        if not value >= 0:
            raise OdescentError(f"{name} must be a number, at least 0, not {short(value)}.")
    if np.isnan(target):
        raise OdescentError("target must be a value of the function to reach, not NaN.")
    if resample is not None and not resample > 0:
        raise OdescentError(
            f"resample must be a positive share of the width at the start, not {short(resample)}."
        )
    if isinstance(params, Mapping):
        params = {name: current(law) for name, law in params.items()}
    schedule, constraint = current(schedule), current(constraint)
    begin = beginnings(start, bounds, constraint, width, particles, runs)
    sizes = (begin.dimension, begin.particles)
    known = settled(method, options, params, schedule, begin.scale, steps, *sizes)
    # annealing goes on, and several minimizers are found, where one consensus point is at rest
    resting = rest if known.schedule is None and known.one_center and xtol else 0
    around = None if resample is None else tuple(float(resample * w) for w in begin.widths)
    plan = SearchPlan(
        known.algorithm, None, vectorized, begin.dimension, begin.particles, int(runs), begin.sampler, begin.project,
        known.schedule, known.laws, float(xtol * begin.scale), float(target), float(ftol), int(patience), int(resting),
        float(_NEAR * begin.scale), around,
        block, normals,
    )  # fmt: skip
    return Minimizer(
        plan, known.numbers, steps=int(steps), seed=int(seed), points=begin.points, restarts=int(restarts),
        keep_particles=int(keep_particles),
    )  # fmt: skip


def minimize(
    fun: Objective | Callable[[Any], Any] | str,
    start: Any,
    *,
    max_time: float | None = None,
    jit: bool | None = None,
    workers: Any = None,
    callback: Callable[[Minimum], Any] | None = None,
    progress: bool = False,
    **settings: Any,
) -> Minimum:
    """Minimize a function of d variables from its values, by consensus-based optimization and related methods.

    Particles are drawn to their consensus point, the mean with weights exp(-alpha f), and explore with noise that
    shrinks as they agree (Pinnau, Totzeck, Tse and Martin, doi:10.1142/S0218202517400061). The tutorial compares
    success rates with those of other methods.

    Args:
        fun: the objective: a JAX function of one point, shape (d,), or of points as rows, (N, d) to (N,), with
            ``vectorized``; an `Objective` or the name of a registered one; or any other function, which is called
            with NumPy arrays.
        start: the initial particles: a box, as a list of (low, high) pairs or scipy.optimize.Bounds; one point, shape
            (d,); or the particles themselves, (N, d).
        max_time: time limit in seconds, checked every 50 steps.
        jit: True and False decide that JAX, or Python, evaluates the objective; None finds out.
        workers: where Python does: how many processes (the objective is then a function of a module, and a script
            keeps the call under ``if __name__ == "__main__"``), an executor, or a function like map.
        callback: called with the current result every 50 steps, or every step of Python; if it returns True, the search
            ends.
        progress: show a bar.
        settings: method=, params=, particles=, steps=, runs=, seed=, bounds=, constraint=, target=, restarts= and
            all others of `minimizer`, where they are explained.

    Returns:
        The result of all runs: the best point of shape (d,), its value, the consensus point and the history.

    Raises:
        OdescentError: invalid input. ObjectiveFailed: the objective raised an error; ``.result`` is the run so far.
    """
    if isinstance(fun, str):
        fun = by_name(fun, ("Objective",))
    if not (isinstance(fun, Objective) or callable(fun)):
        raise expected("fun", "a function of a point, an objective or its name", fun)
    if max_time is not None and not max_time > 0:
        raise OdescentError(
            f"max_time must be a positive number of seconds, not {short(max_time)}."
        )
    if unheard := settings.keys() - _SETTINGS:
        raise unknown("argument of minimize", min(unheard), _SETTINGS)
    vectorized = bool(settings.get("vectorized", False))
    search = minimizer(start, **settings)
    if jit is None:
        jit = workers is None and traceable(fun, search.plan.dimension, vectorized)
    show = bar("steps") if progress else None
    began = time.monotonic()
    try:
        if jit:
            # before it begins: nothing is compiled yet
            search.plan = replace(search.plan, fun=current(fun))
            length = min(search.keep_particles or _CHUNK, search.steps)
            forward = lambda: search.advance(min(length, search.steps - search.k))
            why = _run(search, forward, began, max_time, callback, show)
            return _with_consensus(search.result(why), _one_by_jax(fun, vectorized))
        with evaluator(fun, vectorized, workers) as values:
            forward = lambda: search.tell(values(search.ask()))
            why = _run(search, forward, began, max_time, callback, show)
            return _with_consensus(search.result(why), values)
    except KeyboardInterrupt:
        return search.result(INTERRUPTED)
    except ObjectiveFailed as failure:
        failure.result = search.result(FAILED, failure.__cause__)
        raise


def _run(
    search: Minimizer,
    forward: Callable[[], None],
    began: float,
    most: float | None,
    callback: Any,
    show: Any,
) -> int:
    """Step until every search has ended, the callback ends it, or the time is used up; returns the reason."""
    while True:
        forward()
        over = search.done
        if show:
            show(search.steps if over else search.k, search.steps)
        if callback is not None and callback(search.result()):
            return CALLBACK
        if most is not None and time.monotonic() - began > most:
            return TIME
        if over:
            return BUDGET


def _one_by_jax(fun: Any, vectorized: bool) -> Evaluate:
    """The value at one point (1, d) of an objective that JAX evaluates."""

    def values(point: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            row = jnp.asarray(point)
            if isinstance(fun, Objective):
                return np.asarray(fun.value(row[0]), float)[None]
            return np.asarray(fun(row) if vectorized else fun(row[0])[None], float)

    return values


def _with_consensus(found: Minimum, values: Evaluate) -> Minimum:
    """With the value at the consensus point, which is the answer where it is lower than the best particle's.

    The search is complete: an objective that fails here does not invalidate it.
    """
    point = found.consensus
    if not np.isfinite(point).all():
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(values(point[None])[0])
    except KeyboardInterrupt:
        return found
    except Exception as error:
        cause = error.__cause__ or error
        message = f"{found.message[:-1]}; at the consensus point the objective raised {type(cause).__name__}: {cause}."
        return replace(found, message=message, error=cause)
    found = replace(found, consensus_fun=value, nfev=found.nfev + 1)
    return replace(found, x=point, fun=value) if value < found.fun else found


_SETTINGS = frozenset(inspect.signature(minimizer).parameters) - {"start"}
