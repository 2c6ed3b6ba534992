"""Counted work of exact arithmetic, in products of terms, with limits that depend on no clock and no earlier question.

A result that is kept counts with what it took, each time it is asked for. So the same question takes the same work in
every process, and ends at the same place where there is a limit.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .errors import OdescentError

F = TypeVar("F", bound=Callable[..., object])


class TooMuchWork(OdescentError):
    """A computation reached its limit of counted work."""


class _Count(threading.local):
    done: int = 0
    limit: int | None = None


_count = _Count()


def work(products: int) -> None:
    """Count so many products of terms, before they are made.

    Raises:
        TooMuchWork: there is a limit, and these are over it.
    """
    _count.done += products
    if _count.limit is not None and _count.done > _count.limit:
        raise TooMuchWork("this takes more work than its limit.")


def done() -> int:
    """The work that was counted so far in this thread."""
    return _count.done


@contextmanager
def limited(products: int) -> Iterator[None]:
    """A limit on what is counted inside, within the one outside; what reaches it counts with the limit."""
    began, outer = _count.done, _count.limit
    inner = began + max(products, 0)
    _count.limit = inner if outer is None else min(inner, outer)
    try:
        yield
    except TooMuchWork:
        _count.done = _count.limit
        raise
    finally:
        _count.limit = outer


@contextmanager
def uncounted() -> Iterator[None]:
    """What is done inside has no limit and does not count: what belongs to no question in particular."""
    began, outer = _count.done, _count.limit
    _count.limit = None
    try:
        yield
    finally:
        _count.done, _count.limit = began, outer


def kept(maxsize: int | None) -> Callable[[F], F]:
    """A cache of a function's results, at most so many, which count with the work that they took."""

    def cached(function: F) -> F:
        @functools.lru_cache(maxsize)
        def priced(*arguments: object) -> tuple[object, int]:
            began = _count.done
            return function(*arguments), _count.done - began

        @functools.wraps(function)
        def call(*arguments: object) -> object:
            began = _count.done
            result, price = priced(*arguments)
            work(began + price - _count.done)
            return result

        call.cache_clear = priced.cache_clear  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return cached


def rewriting(rewrite: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A rewriting that is done once for equal expressions.

    Args:
        rewrite: takes an expression, and what rewrites its parts; what it returns itself does not change.
    """
    done: dict[Any, Any] = {}  # None: it does not change

    def of(e: Any) -> Any:
        if e not in done:
            new = rewrite(e, of)
            done[e] = None if new is e else new
        return e if (new := done[e]) is None else new

    return of
