"""CPU seconds of every test, the tier that they put it in, and the memory that a file of tests leaves.

A pytest plugin that conftest loads. `make test` leaves out the tests marked `full`; a test is marked so by hand,
or here, because it took more than `LIMIT` CPU seconds when durations.json was written. A test without an entry runs.
`make test-all ARGS=--record-cpu` writes that file anew; with further arguments, the entries of the files that ran.
"""

import ctypes
import functools
import gc
import json
import resource
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import concerned
import pytest

SKIPPED = "odescent/skipped"  # in pytest's cache
KEPT = Path(__file__).parent / "durations.json"
LEAST = 0.1  # shorter tests have no entry
ROOM = 1.3  # GB that a worker may hold before it forgets what it compiled
MORE = 0.2  # GB that it holds more than after it forgot last: less is not worth the time
LIMIT = 0.12  # CPU seconds of a test that `make test` still runs

_now: dict[str, Any] = {"start": 0.0, "charged": 0.0, "costs": Counter(), "left": 0.0}
_spent: Counter[str] = Counter()  # by test: its own CPU seconds
_costs: Counter[str] = Counter()  # by thing that tests share: what making it took
_users: defaultdict[str, set[str]] = defaultdict(set)  # and the tests that used it
_skipped: set[str] = set()
_workers: list[tuple[str, float, float]] = []  # name, CPU seconds, GB at most


def cpu() -> float:
    """CPU seconds of this process and of the children that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, who))


def _read() -> dict[str, float]:
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


# --- which tests run -------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.addoption
    add("--record-cpu", action="store_true", help="write tests/durations.json from this run")
    add("--for", action="append", metavar="FILE", dest="changed", help="tests of this module only")
    add("--skipped", action="store_true", help="only what the last run skipped")


def pytest_configure(config: pytest.Config) -> None:
    for file in config.getoption("changed") or ():
        if not (concerned.ROOT / file).is_file():
            raise pytest.UsageError(
                f"--for takes a file, as in discretize/pole_placement/placement.py, not {file!r}"
            )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the files that the changed ones do not concern, or of which the last run skipped nothing."""
    changed = config.getoption("changed")
    if not collection_path.is_file():
        return None
    again = _skipped_before(config)
    if again is not None:
        files = {test.partition("::")[0] for test in again}
        if collection_path.relative_to(config.rootpath).as_posix() not in files:
            return True
    if not changed:
        return None
    return None if any(concerned.concerns(collection_path, file) for file in changed) else True


@functools.cache
def _skipped_before(config: pytest.Config) -> frozenset[str] | None:
    """What the last run skipped, tests and whole files, where no others are asked for."""
    if not config.getoption("--skipped"):
        return None
    return frozenset(config.cache.get(SKIPPED, []))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what takes long as `full`, but for the quickest test of a file.

    The files that take longest come first, so that workers end together. What is compiled as users do comes last
    in its file: conftest forgets all programs before it and after it.
    """
    took = _read()
    all_run = "not full" not in config.option.markexpr
    by_file: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        by_file[item.nodeid.partition("::")[0]].append(item)
    of_file: Counter[str] = Counter()
    for file, tests in by_file.items():
        seconds = [took.get(item.nodeid, 0.0) for item in tests]
        most = max(LIMIT, min(seconds))
        for item, each in zip(tests, seconds, strict=True):
            if each > most:
                item.add_marker("full")
            if each <= most or all_run:
                of_file[file] += each

    def place(item: pytest.Item) -> tuple[float, str, bool]:
        file = item.nodeid.partition("::")[0]
        return -of_file[file], file, item.get_closest_marker("optimized") is not None

    items.sort(key=place)
    if (again := _skipped_before(config)) is not None:
        items[:] = [i for i in items if {i.nodeid, i.nodeid.partition("::")[0]} & again]


def pytest_collection_finish() -> None:
    """How many registered entries collecting has constructed: every worker collects all tests."""
    registry = sys.modules.get("odescent._support.registry")
    _now["constructed"] = registry._kept.cache_info().currsize if registry else 0


# --- what they take ---------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Charge what is made for many tests to all that use it, not to the one that happens to come first."""
    if fixturedef.scope == "function":
        return (yield)
    start, before = cpu(), _now["charged"]
    try:
        return (yield)
    finally:
        own = cpu() - start - (_now["charged"] - before)  # without the fixtures that it uses itself
        _now["charged"] += own
        _now["costs"][f"{fixturedef.baseid}::{fixturedef.argname}"] += own


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """At the end of a file, what tests compiled is dropped where it takes much: other files compile other programs."""
    _now.update(start=cpu(), charged=0.0, costs=Counter())
    try:
        return (yield)
    finally:
        last = nextitem is None or nextitem.path != item.path
        room = max(ROOM, _now["left"] + MORE)
        if last and (jax := sys.modules.get("jax")) and _resident() > room:
            _forget(jax)
            _now["left"] = _resident()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Send with each report of a phase what it took, which wide fixtures it used, and what making them took."""
    report = yield
    used = {
        f"{definition.baseid}::{name}"
        for name, definitions in getattr(item, "_fixtureinfo").name2fixturedefs.items()  # noqa: B009
        for definition in definitions[-1:]
        if definition.scope != "function" and definition.baseid
    }
    report.cpu = cpu() - _now["start"] - _now["charged"]
    report.shared = {**dict.fromkeys(used, 0.0), **_now["costs"]}
    _now.update(start=cpu(), charged=0.0, costs=Counter())
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _spent[report.nodeid] += getattr(report, "cpu", 0.0)
    if report.skipped:
        _skipped.add(report.nodeid)
    for thing, cost in getattr(report, "shared", {}).items():
        _costs[thing] += cost
        _users[thing].add(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.add(report.nodeid)  # a whole file


def _seconds() -> dict[str, float]:
    """By test: its own CPU seconds, and its share of what it used with others."""
    found = Counter(_spent)
    for thing, users in _users.items():
        for test in users:
            found[test] += _costs[thing] / len(users)
    return found


# --- what is said at the end -------------------------------------------------------------------------


def _record(config: pytest.Config) -> None:
    """Entries of tests that ran are replaced; those of files that are gone, or that ran whole, are dropped before."""
    there = {f"tests/{path.name}" for path in KEPT.parent.glob("test_*.py")}
    if not (config.option.markexpr or config.option.keyword):
        there -= {test.partition("::")[0] for test in _spent}
    kept = {t: s for t, s in _read().items() if t not in _spent and t.partition("::")[0] in there}
    kept |= {t: round(s, 2) for t, s in _seconds().items() if s >= LEAST}
    KEPT.write_text(json.dumps(kept, indent=0, sort_keys=True) + "\n")


def _resident() -> float:
    """GB that this process holds; without /proc, what it once held at most."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return _peak()
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e9


def _forget(jax: Any) -> None:
    """Drop what was compiled, and hand the memory back where the C library keeps it otherwise.

    What other caches keep stays to the end. The garbage collector need not look at its millions of objects again.
    """
    jax.clear_caches()
    gc.collect()
    gc.freeze()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _peak() -> float:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1e9 if sys.platform == "darwin" else 1e6)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tiers"] = (cpu(), _peak())
        return
    if cache := getattr(session.config, "cache", None):
        cache.set(SKIPPED, sorted(_skipped))
    if session.config.getoption("--record-cpu"):
        _record(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if found := getattr(node, "workeroutput", {}).get("tiers"):
        _workers.append((node.gateway.id, *found))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The slowest ten, and what each worker took."""
    terminalreporter.section("slowest ten, CPU seconds")
    for test, seconds in Counter(_seconds()).most_common(10):
        terminalreporter.write_line(f"{seconds:7.1f}  {test}")
    for name, seconds, peak in sorted(_workers) or [("all", cpu(), _peak())]:
        terminalreporter.write_line(f"{name}: {seconds:.0f} CPU seconds, {peak:.1f} GB at most")
