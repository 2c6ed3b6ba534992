"""Emitted code: an algorithm's step as stand-alone source for a target, written, loaded, or as optax."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from odescent._errors import OdescentError, unknown
from odescent._files import write_whole

if TYPE_CHECKING:
    import optax
    from torch.optim import Optimizer

    from ..iteration import Algorithm
    from .backend import Backend

# A new backend is one file with a `Backend` instance, and one line here.
BACKENDS = {
    "jax": "jax:BACKEND",
    "latex": "latex:BACKEND",
    "markdown": "markdown:BACKEND",
    "numpy": "numpy:BACKEND",
    "optax": "optax:BACKEND",
    "torch": "torch:BACKEND",
}
_INTERNAL = {"jax_drawn": "jax_drawn:BACKEND"}  # for runs of our own
_Printed: TypeAlias = tuple[
    str, dict[str, str]
]  # the text, and what its names of the program became
_SOURCES: WeakKeyDictionary[Algorithm, dict[str, _Printed]] = WeakKeyDictionary()
_MODULES: dict[str, ModuleType] = {}
_NAMES: dict[str, Mapping[str, str]] = {}  # by a module's name


def targets() -> list[str]:
    """Names of the backends."""
    return sorted(BACKENDS)


def find(target: str) -> Backend:
    """The backend of that name; OdescentError if there is none."""
    known = {**BACKENDS, **_INTERNAL}
    if target not in known:
        raise unknown("target", target, BACKENDS)
    module, _, attribute = known[target].partition(":")
    found: Backend = getattr(import_module(f".{module}", __name__), attribute)
    return found


def source(algorithm: Algorithm, target: str = "numpy") -> str:
    """The stand-alone source of one algorithm for a target; the same bytes every time.

    Raises NotCarried where the target cannot carry the algorithm, OdescentError for an unknown target.
    """
    return _printed(algorithm, target)[0]


def _printed(algorithm: Algorithm, target: str) -> _Printed:
    known = _SOURCES.setdefault(algorithm, {})
    if target not in known:
        chosen = find(target)
        chosen.refuse(algorithm.tuned, algorithm.name)
        from .names import Naming, without_collisions

        if chosen.suffix == ".py":
            known[target] = without_collisions(partial(chosen.print, algorithm), chosen.words)
        else:
            known[target] = chosen.print(algorithm, Naming()), {}
    return known[target]


def called(module: ModuleType) -> Mapping[str, str]:
    """What the names of the program (parameters, blocks, outputs) became in a loaded module."""
    return _NAMES[module.__name__]


def write(algorithm: Algorithm, path: str | Path, target: str = "numpy") -> Path:
    """Write the source to a file: all of it, or nothing.

    Raises OdescentError where the folder does not exist or cannot be written.
    """
    place = Path(path)
    write_whole(place, source(algorithm, target))
    return place


def load(algorithm: Algorithm, target: str = "jax") -> ModuleType:
    """The emitted source as a module, one per distinct source.

    The text comes from our own printer, with validated names, so that nothing of the user's is
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


def to_optax(algorithm: Algorithm, /, **parameters: Any) -> optax.GradientTransformation:
    """The algorithm as an optax transformation; see the emitted source for its contract.

    Parameters are numbers, arrays, or schedules (callables of the step: the factory is then wrapped with
    optax.inject_hyperparams); ``key`` where noise is drawn. The state keeps the numbers, of whatever type, and
    goes by its own: one that is restored brings those with which it was saved, ``state._replace`` changes them, and
    schedules and numbers that JAX traces are read at every update. mu and L may be given to any algorithm: numbers
    that make a linear method unstable on quadratics between them warn (OdescentWarning).
    Raises NotCarried where optax cannot carry it, OdescentError for missing or unknown parameters.
    """
    from .optax import transformation

    return transformation(algorithm, load(algorithm, "optax"), parameters)


def to_torch(algorithm: Algorithm, /, params: Any, **options: Any) -> Optimizer:
    """The algorithm as a torch optimizer of ``params``; see the emitted source for its contract.

    Options are the parameters by name, the oracles that it asks, and torch's own (foreach, maximize, ...). mu and
    L may be given to any algorithm: numbers that make a linear method unstable between them warn (OdescentWarning).
    Raises NotCarried where torch cannot carry it, OdescentError for missing or unknown options or where
    torch is not installed.
    """
    from .torch import optimizer

    try:
        module = load(algorithm, "torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise OdescentError(
            "to_torch needs PyTorch, which is not installed: pip install 'odescent[torch]'."
        ) from None
    return optimizer(algorithm, module, params, options)
