"""Calls in other processes: results are kept as they arrive, and a crash loses only its own call."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any

from .errors import OdescentError

_AHEAD = 4  # calls handed out per worker: enough to keep it busy, few enough to stop soon
_PATIENCE = 10.0  # seconds for a worker to put away what it is at, when it is interrupted


def carry_out(
    function: Callable[[Any], Any],
    tasks: Mapping[str, Any],
    keep: Callable[[str, Any], None],
    lose: Callable[[str, Exception], None],
    *,
    workers: int,
    executor: Executor | None = None,
) -> None:
    """Call a function for every task, in that order, by several workers; nothing is done twice.

    Our own workers are processes that start afresh ("spawn": a fork of a process with JAX in it can hang), each on its
    share of the processors. Where this call is interrupted, so are those of the workers.

    Args:
        function: of a task; importable by its name, as its arguments and results must be sendable. One that a worker
            of ours cannot import is a call that fails, not a worker that dies.
        tasks: by name.
        keep: gets the name and the result, as it comes.
        lose: gets the name and why there is no result: the error of the function or of the executor.
        workers: how many processes, if no executor is given.
        executor: any of `concurrent.futures`; it is not shut down.

    Raises:
        OdescentError: an executor that is given broke down.
    """
    queue = deque(tasks)
    if executor is not None:
        run = _Run(lambda name: (function, tasks[name]), keep, lose)
        known = getattr(executor, "_max_workers", None)
        many = known if isinstance(known, int) else 64
        broken = run.through(executor, queue, _AHEAD * many)
        if broken:
            raise OdescentError(
                f"the executor failed with {len(broken) + len(queue)} jobs left; the same call resumes."
            )
        return
    run = _Run(lambda name: (_called, pickle.dumps((function, tasks[name]))), keep, lose)
    suspects: deque[str] = deque()  # under way when a worker ended: one at a time finds the culprit
    while queue or suspects:
        alone = bool(suspects)
        batch = deque([suspects.popleft()]) if alone else queue
        pool = _pool(1 if alone else max(min(workers, len(queue)), 1))
        try:
            broken = run.through(pool, batch, _AHEAD * workers)
        except BaseException:
            _end(pool)
            raise
        pool.shutdown(wait=True, cancel_futures=True)
        if alone and broken:
            ended = "the worker process ended abruptly (killed, or out of memory)."
            lose(broken[0], OdescentError(ended))
        else:
            suspects.extend(broken)


def processors() -> int:
    """How many this process may run on."""
    return len(_allowed()) or os.cpu_count() or 1


def _allowed() -> list[int]:
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return []


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _begin, (context.Value("i", 0), workers))


def _begin(counter: Any, workers: int) -> None:
    """In a worker of ours: Ctrl-C is for the caller, who ends the workers; libraries start threads for its share."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    else:  # not on every system
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # an accelerator is shared
    with counter.get_lock():
        number = counter.value
        counter.value += 1
    share = _allowed()[number % workers :: workers]
    if share:
        with contextlib.suppress(OSError):  # no permission to choose: then all of them
            os.sched_setaffinity(0, share)


def _called(sent: bytes) -> Any:
    """In a worker of ours: a call sees its end as Ctrl-C, and may keep what it has."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        try:
            # Our own bytes. If the pool read them, a name that is not there would end the worker.
            function, task = pickle.loads(sent)  # noqa: S301
        except Exception as error:
            raise OdescentError(
                f"a worker process could not import the function ({error}); "
                "define it in a module that can be imported."
            ) from None
        result = function(task)
        if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
            raise KeyboardInterrupt  # the function ended early of itself
        return result
    except KeyboardInterrupt:
        os._exit(1)  # the caller has gone, and the pool would wait for the next call
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: Any) -> None:
    # Once: a pool that sees one of its workers end ends the others too, while they put away what they have.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    handler = signal.getsignal(signal.SIGINT)
    (handler if callable(handler) else signal.default_int_handler)(signal.SIGINT, frame)


def _end(pool: ProcessPoolExecutor) -> None:
    """End our own workers; their calls are made again by the next run."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    limit = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(0.0, limit - time.monotonic()))
        process.kill()


@dataclass
class _Run:
    """The calls that are under way."""

    call: Callable[[str], tuple[Callable[[Any], Any], Any]]  # of a name: what is called, with what
    keep: Callable[[str, Any], None]
    lose: Callable[[str, Exception], None]

    def through(self, executor: Executor, queue: deque[str], ahead: int) -> list[str]:
        """Work the queue off; the calls that were under way when the executor broke."""
        flying: dict[Future[Any], str] = {}
        lost: list[str] = []
        try:
            while (queue and not lost) or flying:
                while queue and not lost and len(flying) < ahead:
                    name = queue.popleft()
                    try:
                        function, argument = self.call(name)
                    except Exception as error:  # what cannot be sent
                        self.lose(name, error)
                        continue
                    try:
                        flying[executor.submit(function, argument)] = name
                    except (BrokenExecutor, RuntimeError):
                        lost.append(name)
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    name = flying.pop(future)
                    try:
                        value = future.result()
                    except BrokenExecutor:
                        lost.append(name)
                    except Exception as error:  # a result that cannot be sent, a lost node
                        self.lose(name, error)
                    else:
                        self.keep(name, value)
        except BaseException:
            for future in flying:
                future.cancel()
            raise
        return lost
