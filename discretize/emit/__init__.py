"""Emitted code: an algorithm's step as stand-alone source for a target, written, loaded, or as optax."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from ..._support.errors import OdescentError, expected
from ..._support.files import write_whole
from ..._support.registry import Registry

if TYPE_CHECKING:
    import optax
    from torch.optim import Optimizer

    from ..step.iteration import Iteration
    from .backend import Backend

# A new backend is one file in backends/ with a `Backend` instance, and one line here.
BACKENDS: Registry[Backend] = Registry(
    "target",
    __name__,
    {
        "jax": "backends.jax:BACKEND",
        "latex": "backends.latex:BACKEND",
        "markdown": "backends.markdown:BACKEND",
        "numpy": "backends.numpy:BACKEND",
        "optax": "backends.optax:BACKEND",
        "torch": "backends.torch:BACKEND",
    },
    internal={
        "jax_drawn": "backends.jax:DRAWN",
        "jax_whole": "backends.jax:WHOLE",
    },  # for runs of our own
)
_Printed: TypeAlias = tuple[str, dict[str, str]]  # the text, and what the program's names became
_SOURCES: WeakKeyDictionary[Iteration, dict[str, _Printed]] = WeakKeyDictionary()
_MODULES: dict[str, ModuleType] = {}
_NAMES: dict[str, Mapping[str, str]] = {}  # by a module's name


def targets() -> list[str]:
    """Names of the backends."""
    return BACKENDS.names()


def find(target: str) -> Backend:
    """The backend of that name; OdescentError if there is none."""
    found: Backend = BACKENDS.entry(target)
    return found


def source(algorithm: Iteration, target: str = "numpy") -> str:
    """The stand-alone source of one algorithm for a target; the same bytes every time.

    Raises NotCarried where the target cannot carry the algorithm, OdescentError for an unknown target.
    """
    return _printed(algorithm, target)[0]


def _printed(algorithm: Iteration, target: str) -> _Printed:
    if not isinstance(target, str):
        raise expected("the target of the source", "the name of a backend", target)
    known = _SOURCES.setdefault(algorithm, {})
    if target not in known:
        chosen = find(target)
        chosen.refuse(algorithm.tuned, algorithm.name)
        from .lowering.names import without_collisions

        reserved = chosen.words | chosen.syntax.keywords
        known[target] = without_collisions(
            partial(chosen.print, algorithm), reserved, chosen.suffix == ".py"
        )
    return known[target]


def called(module: ModuleType) -> Mapping[str, str]:
    """What the names of the program (parameters, blocks, outputs) became in a loaded module."""
    return _NAMES[module.__name__]


def oracle_arguments_of(module: ModuleType) -> dict[str, str]:
    """The arguments of a loaded module for oracles that are called by their functions, by the names of the oracles."""
    from .lowering.names import ORACLE

    names = called(module).items()
    return {n.removeprefix(ORACLE): new for n, new in names if n.startswith(ORACLE)}


def write(algorithm: Iteration, path: str | Path, target: str = "numpy") -> Path:
    """Write the source to a file: all of it, or nothing.

    Args:
        algorithm: the method.
        path: of the file.
        target: the name of a backend.

    Returns:
        the path.

    Raises:
        OdescentError: the folder does not exist or cannot be written.
    """
    place = Path(path)
    write_whole(place, source(algorithm, target))
    return place


def load(algorithm: Iteration, target: str = "jax") -> ModuleType:
    """The emitted source as a module, one per distinct source.

    The text comes from our own printer, with validated names, so that no user text is
    evaluated. It is registered with linecache: tracebacks show the emitted lines.
    """
    text, names = _printed(algorithm, target)
    if find(target).suffix != ".py":
        raise OdescentError(
            f"the target {target!r} is text, not a module; use source() or write()."
        )
    if text not in _MODULES:
        tag = hashlib.sha256(text.encode()).hexdigest()[:12]
        name = f"odescent.discretize.emit._emitted.{algorithm.name or 'algorithm'}_{target}_{tag}"
        file = f"<{name}>"
        module = ModuleType(name, text.partition("\n")[0].strip('"'))
        module.__file__ = file
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        sys.modules[name] = module
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  our own printer's text
        _MODULES[text], _NAMES[name] = module, names
    return _MODULES[text]


def in_own_words(
    algorithm: Iteration, values: Mapping[str, Any], kept: Iterable[str] = ()
) -> tuple[Iteration, dict[str, Any]]:
    """The algorithm with those parameters free that are given in other words, and the values by its own names.

    Args:
        algorithm: the method.
        values: what a factory is called with.
        kept: words that the factory understands itself where the step is free.
    """
    from .stability import BOUNDS

    understood = {*BOUNDS, *(kept if algorithm.step in algorithm.tuned.parameters else ())}
    named = {n: v for n, v in values.items() if n in algorithm.names.keys() - understood}
    made, numbers = algorithm.freed(named)
    return made, {**{n: v for n, v in values.items() if n not in named}, **numbers}


def to_optax(algorithm: Iteration, /, **parameters: Any) -> optax.GradientTransformation:
    """The algorithm as an optax transformation; see the emitted source for its contract.

    Parameters, by name or alias, are numbers, arrays, or schedules (callables of the step: the factory is then wrapped
    with optax.inject_hyperparams); ``key`` where noise is drawn. The state keeps the numbers, of whatever type, and
    goes by its own: one that is restored brings those with which it was saved, ``state._replace`` changes them, and
    schedules and numbers that JAX traces are read at every update. mu and L may be given to any algorithm: numbers
    that make a linear method unstable on quadratics between them warn (OdescentWarning).
    Raises NotCarried where optax cannot carry it, OdescentError for missing or unknown parameters.
    """
    from .backends.optax import transformation

    algorithm, parameters = in_own_words(algorithm, parameters)
    return transformation(algorithm, load(algorithm, "optax"), parameters)


def to_torch(algorithm: Iteration, /, params: Any, **options: Any) -> Optimizer:
    """The algorithm as a torch optimizer of ``params``; see the emitted source for its contract.

    Options are the parameters by name or alias, the oracles that it asks, and torch's own (foreach, maximize, ...).
    Numbers that the algorithm was made with, such as learning_rate and momentum, are keys of the parameter groups. mu
    and L may be given to any algorithm: numbers that make a linear method unstable between them warn (OdescentWarning).
    Raises NotCarried where torch cannot carry it, OdescentError for missing or unknown options or where
    torch is not installed.
    """
    from ...dynamics.algebra.scalars import as_scalar
    from .tensors.construction import optimizer

    # numbers that it was made with are keys of the parameter groups, which schedulers change
    base, given = algorithm.unbound
    numbers = {n: as_scalar(v) for n, v in given.items()}
    if all(v.is_number for v in numbers.values()):
        algorithm, options = base, {**{n: float(v) for n, v in numbers.items()}, **options}
    algorithm, options = in_own_words(algorithm, options, ("lr",))
    return optimizer(algorithm, load(algorithm, "torch"), params, options)
