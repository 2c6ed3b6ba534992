"""What is installed: our version, and the packages of the extras, with the sentence where one is missing."""

from __future__ import annotations

import sys
from importlib import util
from typing import Any

from .errors import OdescentError

# By extra: the modules that its packages bring, and what pip installs for them, as pyproject.toml has it.
EXTRAS = {
    "run": {
        "jax": "jax>=0.8",
        "diffrax": "diffrax>=0.7",
        "equinox": "equinox>=0.13.2",
        "optimistix": "optimistix>=0.0.11",
    },
    "plot": {"matplotlib": "matplotlib>=3.10"},
    "train": {"optax": "optax>=0.2.6", "sklearn": "scikit-learn>=1.6"},
    "torch": {
        "torch": "torch>=2.4",
        "torchdiffeq": "torchdiffeq>=0.2.5",
        "torchsde": "torchsde>=0.2.6",
    },
    "cuda": {"jax_cuda13_plugin": "jax[cuda13]>=0.8"},
    "explore": {"marimo": "marimo>=0.25", "uvicorn": "uvicorn>=0.30"},
    "sweeps": {"distributed": "distributed>=2025.1"},
    "oracles": {"PEPit": "PEPit>=0.5", "cbx": "cbx>=1.0.4"},
    "browser": {"playwright": "playwright>=1.50"},
    "test": {
        "beartype": "beartype>=0.23",
        "hypothesis": "hypothesis>=6.148",
        "kauri": "kauri>=2.3",
        "pytest": "pytest>=9.0",
        "xdist": "pytest-xdist>=3.8",
    },
    "docs": {
        "ipykernel": "ipykernel>=7.0",
        "material": "mkdocs-material>=9.6",
        "mkdocstrings": "mkdocstrings[python]>=1.0",
        "nbclient": "nbclient>=0.10",
    },
}
_SPELLED = {"jax": "JAX", "sklearn": "scikit-learn", "torch": "PyTorch"}
# Modules that come with one of these.
BROUGHT = {"jaxlib": "run", "lineax": "run", "PIL": "plot", "contourpy": "plot"}
_HOME = {module: extra for extra, packages in EXTRAS.items() for module in packages} | BROUGHT
_OURS = __name__.partition(".")[0] + "."


def __getattr__(name: str) -> str:
    """``__version__``, read when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("odescent")
    except PackageNotFoundError:  # a source tree on the path, not installed
        return "0+unknown"


class MissingExtra(OdescentError, ModuleNotFoundError):
    """A package of an extra that is not installed, where something needs it."""


def command(extra: str) -> str:
    """What installs the packages of an extra that are not there.

    It names the packages themselves: pip would ask an index for ``odescent[extra]`` where odescent is not installed,
    as in a checkout that is only on the path.
    """
    packages = EXTRAS[extra]
    lacking = [wanted for module, wanted in packages.items() if util.find_spec(module) is None]
    return "pip install " + " ".join(f"'{wanted}'" for wanted in lacking or packages.values())


def missing(module: str) -> MissingExtra:
    """The error for a module of an extra that is not installed; the caller raises it."""
    extra, name = _HOME[module], _SPELLED.get(module, module)
    error = MissingExtra(
        f"this needs {name}, which is not installed; the extra {extra!r} brings it: {command(extra)}"
    )
    error.name = module
    return error


class _Last:
    """The last finder of modules: says which extra an import of the package lacks, and finds nothing."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """None, so that a missing module is reported as ever; MissingExtra if the package imports one of an extra."""
        if name in _HOME and _caller().startswith(_OURS):
            raise missing(name)


def _caller() -> str:
    """The name of the module that is importing."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib._bootstrap"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def watch() -> None:
    """Have imports within the package say which extra they lack; imports of others are left as they are."""
    if _Last not in sys.meta_path:
        sys.meta_path.append(_Last)
