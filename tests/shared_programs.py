"""What the programs of many tests share: contexts of MLIR, and the executables of programs that are equal.

A third to a half of the tests' time goes into lowering and compiling programs that run for milliseconds.
To read an executable from a file takes a tenth of compiling it; the workers of a run share these files.
"""

import atexit
import functools
import hashlib
import itertools
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import equinox
import jax
import jax.numpy as jnp
from jax._src import compiler, util
from jax._src.interpreters import mlir
from jaxlib.mlir import ir

LOWERINGS = 200  # in one context, which keeps the types and constants of all of them
KEPT = 1000  # executables, until what was compiled is forgotten (`tiers`, `jax.clear_caches`)
LARGEST = 20_000  # characters of a program that is written: larger ones hardly come back
# Where nothing is optimized, XLA's older emitters of loops compile twice as fast, and what simplifies programs before
# takes a sixth of the rest; passes named here replace those of XLA_FLAGS.
UNOPTIMIZED = [
    ("xla_cpu_use_fusion_emitters", False),
    ("xla_disable_hlo_passes", "simplification,hlo-verifier"),
]
PLACE = "ODESCENT_TEST_PROGRAMS"  # the folder of executables, an environment variable

_make, _compile = mlir.make_ir_context, compiler.backend_compile_and_load
_lowered = itertools.count()
_context_of = functools.lru_cache(1)(lambda number: _make())


def _context() -> ir.Context:
    """A shared context; one of its own for what is lowered inside of another lowering, or in another thread.

    To make one takes half of the lowering of a small program.
    """
    try:
        outer = ir.Context.current
    except ValueError:  # as other releases say that there is none
        outer = None
    if outer is None and threading.current_thread() is threading.main_thread():
        return _context_of(next(_lowered) // LOWERINGS)
    return _make()


class _Program:
    """A program to compile, equal to all that have its text, options and devices."""

    def __init__(self, *given: Any) -> None:
        _, module, devices, options, _ = self.given = given
        text = module.operation.get_asm(enable_debug_info=False)
        key = hashlib.sha256(text.encode())
        key.update(options.SerializeAsString() + str(devices).encode())
        self.key = key.hexdigest()
        self.file = Path(os.environ[PLACE], self.key) if len(text) < LARGEST else None

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Program) and self.key == other.key


@util.cache(KEPT, trace_context_in_key=False)
def _executable(program: _Program) -> Any:
    given = backend, _, devices, options, _ = program.given
    del program.given  # the key stays in the cache, and the program need not
    file = program.file
    if file is not None and file.exists():
        return backend.deserialize_executable(file.read_bytes(), devices, options)
    made = _compile(*given)
    if file is not None:
        part = file.with_suffix(f".{os.getpid()}")
        serialize = getattr(made, "serialize", None)  # JAX before 0.9 asks the backend
        part.write_bytes(serialize() if serialize else backend.serialize_executable(made))
        part.replace(file)  # whole or not at all: another worker may read it
    return made


def _compiled(
    backend: Any, module: Any, executable_devices: Any, options: Any, host_callbacks: Any
) -> Any:
    if jax.config.read("jax_disable_most_optimizations"):
        options.env_option_overrides = UNOPTIMIZED
    given = backend, module, executable_devices, options, host_callbacks
    return _compile(*given) if host_callbacks else _executable(_Program(*given))


@jax.custom_jvp
@jax.jit
def _before(x: jax.Array) -> jax.Array:
    """The number before x, as `equinox.internal.prevbefore` has it, in a tenth of its operations.

    diffrax takes a hundred of them in every program, for the end of the interval: a third of a second.
    """
    whole = jax.lax.bitcast_convert_type(x, f"int{x.dtype.itemsize * 8}")
    before = jax.lax.bitcast_convert_type(jnp.where(x > 0, whole - 1, whole + 1), x.dtype)
    before = jnp.where(x == -jnp.inf, x, before)
    return jnp.where(x == 0, -jnp.finfo(x.dtype).tiny, before)


@_before.defjvp
def _before_slope(x: tuple[jax.Array], tangent: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _before(*x), *tangent


def share() -> None:
    """Share both in this process from now on, and executables with the processes that it starts.

    diffrax takes `_before`.
    """
    if PLACE not in os.environ:
        os.environ[PLACE] = place = tempfile.mkdtemp(prefix="programs-")
        atexit.register(shutil.rmtree, place, ignore_errors=True)
    equinox.internal.prevbefore = _before
    mlir.make_ir_context = _context
    compiler.backend_compile_and_load = _compiled
