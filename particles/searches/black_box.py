"""Objectives that only Python can evaluate: one point or a batch at a time, here or in other processes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.vector_fields.objective import Objective
from .outcome import ObjectiveFailed

Evaluate = Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, " n"]]


def traceable(fun: Any, dimension: int, vectorized: bool) -> bool:
    """Whether JAX can trace the objective, with one number per point as its value.

    Args:
        fun: the objective.
        dimension: d, the number of variables.
        vectorized: whether it maps (n, d) to (n,) rather than (d,) to a number.

    Raises:
        OdescentError: it can be traced, but its value has another shape.
    """
    if isinstance(fun, Objective):
        return True
    count = 3
    shape = (count, dimension) if vectorized else (dimension,)
    with jax.enable_x64(True):
        try:
            point = jax.ShapeDtypeStruct(shape, jnp.float64)  # type: ignore[no-untyped-call]
            out = jax.eval_shape(fun, point)
        except Exception:  # NumPy on tracers, files, subprocesses: Python has to do it
            return False
    made = getattr(out, "shape", None)
    if made is None and isinstance(out, (int, float)):
        made = ()
    wanted = (count,) if vectorized else ()
    if made != wanted:
        came = f"an array of shape {made}" if hasattr(out, "shape") else f"{type(out).__name__}"
        raise OdescentError(
            f"fun must return {'one value for each row, shape (N,),' if vectorized else 'one number'} at points of "
            f"shape {'(N, ' + str(dimension) + ')' if vectorized else (dimension,)}, not {came}."
        )
    return bool(np.issubdtype(out.dtype, np.floating)) if hasattr(out, "dtype") else True


@contextmanager
def evaluator(fun: Callable[..., Any], vectorized: bool, workers: Any) -> Iterator[Evaluate]:
    """A function of points (n, d) to values (n,) by the user's own.

    Args: workers: how many processes, an executor of `concurrent.futures`, a function like `map`, or None.

    Processes start afresh (JAX has threads, which a fork would lose), so that they have to find the function by name.

    Raises ObjectiveFailed (from what was raised) if the function raises or gives no real numbers of the right shape.
    """
    if workers is None or workers == 1:
        yield lambda points: _numbers(_all_here(fun, points, vectorized), points)
        return
    if vectorized:
        raise OdescentError(
            "workers evaluate one point at a time: leave out vectorized=True or workers=."
        )
    if isinstance(workers, (int, np.integer)) and not isinstance(workers, bool) and workers > 1:
        _nameable(fun)
        with ProcessPoolExecutor(int(workers), multiprocessing.get_context("spawn")) as pool:
            yield lambda points: _numbers(_mapped(pool, fun, points, int(workers)), points)
        return
    if isinstance(workers, Executor):
        yield lambda points: _numbers(_mapped(workers, fun, points, 8), points)
        return
    if callable(workers):
        yield lambda points: _numbers(_guarded(lambda: list(workers(fun, points)), points), points)
        return
    raise OdescentError(
        f"workers must be a number of processes, an executor or a function like map, not {short(workers)}."
    )


def _nameable(fun: Callable[..., Any]) -> None:
    try:
        pickle.dumps(fun)
    except Exception as error:
        raise OdescentError(
            f"workers are processes, and this objective cannot be pickled ({error}): define it at the top of a module, "
            "or give an executor of threads."
        ) from error


def _all_here(fun: Callable[..., Any], points: np.ndarray, vectorized: bool) -> Any:
    if vectorized:
        return _guarded(lambda: fun(points), points)
    return [_guarded(partial(fun, point), point[None]) for point in points]


def _mapped(pool: Executor, fun: Callable[..., Any], points: np.ndarray, workers: int) -> Any:
    chunk = max(1, len(points) // (4 * workers))
    return _guarded(lambda: list(pool.map(fun, list(points), chunksize=chunk)), points)


def _guarded(run: Callable[[], Any], points: np.ndarray) -> Any:
    try:
        return run()
    except (KeyboardInterrupt, OdescentError):
        raise
    except BrokenExecutor as error:
        raise ObjectiveFailed(
            "the worker processes ended abruptly: killed, out of memory, or started by a script that does not keep "
            'its calls under if __name__ == "__main__"; .result has the run so far.'
        ) from error
    except Exception as error:
        where = f" at {np.array2string(points[0], threshold=6)}" if len(points) == 1 else ""
        raise ObjectiveFailed(
            f"the objective raised {type(error).__name__}{where}: {error}; .result has the run so far."
        ) from error


def _numbers(values: Any, points: np.ndarray) -> Float[np.ndarray, " n"]:
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ObjectiveFailed(
            "the objective must return real numbers, one for each point; .result has the run so far."
        ) from error
    if found.shape == (len(points), 1):
        found = found[:, 0]
    if found.shape != (len(points),):
        raise ObjectiveFailed(
            f"the objective must return one number for each of {len(points)} points, shape ({len(points)},), "
            f"not {found.shape}."
        )
    return found
