"""Alternating timings of several candidates in one process, as ratios; shared by the benchmarks of steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Times = dict[str, list[float]]  # seconds by name, round by round


@dataclass(frozen=True)
class Ratio:
    """One contestant's times over the base's, in the same round."""

    median: float  # over rounds and allocations
    least: float  # of the medians by allocation
    most: float
    seconds: float  # the median time itself


def alternate(
    contestants: Mapping[str, Callable[[], object]], rounds: int, before: Callable[[], object] | None = None
) -> Times:  # fmt: skip
    """Each contestant once a round, in rotating order; ``before`` runs ahead of a round, and is not timed."""
    names = list(contestants)
    times: Times = {n: [] for n in names}
    for i in range(rounds):
        if before is not None:
            before()
        turn = i % len(names)
        for n in names[turn:] + names[:turn]:
            start = time.perf_counter()
            contestants[n]()
            times[n].append(time.perf_counter() - start)
    return times


def ratios(allocations: Sequence[Times], base: str) -> dict[str, Ratio]:
    """What each contestant takes over what the base takes; buffers were allocated anew for each entry."""
    found = {}
    for n in allocations[0]:
        each = [[a / b for a, b in zip(t[n], t[base], strict=True)] for t in allocations]
        medians = [statistics.median(r) for r in each]
        found[n] = Ratio(
            statistics.median([x for r in each for x in r]), min(medians), max(medians),
            statistics.median([x for t in allocations for x in t[n]]),
        )  # fmt: skip
    return found


def processor() -> str:
    """How many processors of what kind, where the system says so."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = [line for line in lines if "model name" in line]
    return f"{len(found)} x {found[0].partition(':')[2].strip()}" if found else "a processor"
