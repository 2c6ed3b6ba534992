"""A strict world for every test: float64, no silent promotion, no window, types checked at run time.

Heavy libraries are loaded here, so a test about lazy imports runs its code in a process of its own.
"""

import contextlib
import dataclasses
import functools
import gc
import importlib
import inspect
import io
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import jax
import jaxtyping
import matplotlib
import pytest
import shared_programs

pytest_plugins = ("tiers",)

# Most of these tests' time was XLA's compiler on programs that run for milliseconds. LLVM takes a program whole
# instead of in 32 parts, and does not optimize it (see pytest_runtest_setup; `shared_programs` has the rest).
# `XLA_FLAGS= make test` compiles everything as users do.
QUICK = (
    "--xla_cpu_parallel_codegen_split_count=1 --xla_disable_hlo_passes=hlo-verifier"
    " --xla_llvm_enable_alias_scope_metadata=false --xla_llvm_enable_noalias_metadata=false"
    " --xla_llvm_enable_invariant_load_metadata=false"
)
AS_USERS = os.environ.setdefault("XLA_FLAGS", QUICK) != QUICK
# What modules of tests make while they are collected is compiled as the first test will be.
jax.config.update("jax_disable_most_optimizations", not AS_USERS)
# Programs do not carry the lines that they come from: no test reads them, and lowering is faster.
jax.config.update("jax_traceback_in_locations_limit", 0)
if not AS_USERS:
    shared_programs.share()
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

matplotlib.use("Agg")

# Canonical forms come back more often than SymPy's cache of a thousand entries remembers.
os.environ.setdefault("SYMPY_CACHE_SIZE", "100000")

# `ci` draws the same examples every time; HYPOTHESIS_PROFILE=explore looks further.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


EXACT = "odescent.analysis.certificates.checking.checker"  # no arrays, and millions of calls
_calls: dict[int, int] = {}  # in this test, by function


def _jaxtyped(
    typed: Callable[..., Any] = jaxtyping.jaxtyped, **options: Any
) -> Callable[[Any], Any]:
    """jaxtyping's decorator for the calls 1, 2, 4, 8, ... of a function in one test: a solver's many are alike.

    Functions without annotations are left out, and those made anew at every call of another.
    """
    check = typed(**options)

    def decorated(thing: Any) -> Any:
        if getattr(thing, "__module__", None) == EXACT:
            return thing
        if dataclasses.is_dataclass(thing) and isinstance(
            vars(thing).get("__init__"), types.FunctionType
        ):
            thing.__init__ = decorated(thing.__init__)
            return thing
        function = isinstance(thing, types.FunctionType)
        if function and not thing.__annotations__:
            return thing
        if "<locals>" in getattr(thing, "__qualname__", ""):
            return thing
        if not function or inspect.isgeneratorfunction(thing):
            return check(thing)
        me = id(thing)  # it lives as long as its wrapper
        checked: list[
            Any
        ] = []  # made at the first call: most functions of an import are not called

        @functools.wraps(thing)
        def some(*args: Any, **more: Any) -> Any:
            _calls[me] = call = _calls.get(me, 0) + 1
            if call & (call - 1):  # no power of two
                return thing(*args, **more)
            if not checked:
                checked.append(check(thing))
            return checked[0](*args, **more)

        return some

    return decorated


# Every annotated function of the package that has a name in its module is checked when it is first called,
# shapes included; an int may stand for a float (PEP 484). An annotation that cannot be resolved at run
# time (a name imported under TYPE_CHECKING) is not checked. The hook has to be there before the
# package is imported; its modules look the decorator up in jaxtyping.
jaxtyping.jaxtyped = _jaxtyped
jaxtyping.install_import_hook(
    [
        "odescent.analysis",
        "odescent.dynamics.problems",
        "odescent.dynamics.flows.simulate",
        "odescent.dynamics.evaluation.evaluate",
        "odescent.dynamics.vector_fields.objective",
        "odescent.discretize.runs.run",
        "odescent.discretize.emit",
        "odescent.neural_de",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)


# What is imported and collected stays to the end: the garbage collector need not look at it, nor so often.
gc.set_threshold(100_000, 20, 20)


def pytest_collection_finish() -> None:
    """Leave the modules and the collected tests out of all further garbage collections."""
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs an accelerator where JAX sees none; honour `optimized` before any fixture compiles."""
    if item.get_closest_marker("gpu") and jax.default_backend() == "cpu":
        pytest.skip("JAX sees no accelerator")
    plain = not AS_USERS and item.get_closest_marker("optimized") is None
    if plain != jax.config.read("jax_disable_most_optimizations"):
        jax.config.update("jax_disable_most_optimizations", plain)
        jax.clear_caches()  # no test runs what another one had compiled otherwise


@pytest.fixture(autouse=True)
def _markers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Honour the markers `untyped`, `promotion` and `cpu`; close the figures that a test left open."""
    _calls.clear()
    if request.node.get_closest_marker("untyped"):
        jaxtyping.config.update("jaxtyping_disable", True)
    promotion = request.node.get_closest_marker("promotion")
    rank, dtype = ("allow", "standard") if promotion else ("raise", "strict")
    device = jax.devices("cpu")[0] if request.node.get_closest_marker("cpu") else None
    try:
        with (
            jax.default_device(device),
            jax.numpy_rank_promotion(rank),
            jax.numpy_dtype_promotion(dtype),
        ):
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close("all")


@pytest.fixture
def key() -> jax.Array:
    """A fixed JAX key."""
    return jax.random.key(0)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What commands do with a user's file in a process of its own, in this one: a test of what is answered."""
    from odescent._support import child

    def served(command: list[str], *, input: str, **_: object) -> subprocess.CompletedProcess[str]:
        answer = io.StringIO()
        with contextlib.redirect_stdout(answer), monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(input))
            importlib.import_module(command[-1]).main()
        return subprocess.CompletedProcess(command, 0, answer.getvalue(), "")

    monkeypatch.setattr(child.subprocess, "run", served)
    monkeypatch.setattr(child, "limit", lambda seconds: None)
