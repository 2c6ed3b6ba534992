"""``odescent doctor``: versions, devices, precision, installed extras, recommended actions."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

from ..._support.installed import command
from ..._support.rendering.brief import quantity
from ..base import console

# By extra ("" is always installed): import name, distribution, what it is for.
PACKAGES = {
    "": (
        ("numpy", "numpy", "arrays, emitted NumPy code"),
        ("scipy", "scipy", "certificates"),
        ("sympy", "sympy", "derivations"),
        ("lark", "lark", "system files"),
        ("latex2mathml", "latex2mathml", "derivations as web pages"),
        ("jaxtyping", "jaxtyping", "array types"),
        ("threadpoolctl", "threadpoolctl", "threads of the search for bounds"),
        ("typer", "typer", "this command line"),
        ("rich", "rich", "colour on terminals"),
    ),
    "run": (
        ("jax", "jax", "runs, emitted JAX code"),
        ("diffrax", "diffrax", "flows and neural DEs"),
        ("equinox", "equinox", "models and checkpoints"),
        ("optimistix", "optimistix", "events of flows"),
    ),
    "plot": (("matplotlib", "matplotlib", "pictures"),),
    "train": (
        ("optax", "optax", "training, emitted optax code"),
        ("sklearn", "scikit-learn", "data of the demo and of training"),
    ),
    "torch": (
        ("torch", "torch", "PyTorch optimizers"),
        ("torchdiffeq", "torchdiffeq", "ODE solvers to compare"),
        ("torchsde", "torchsde", "SDE solvers to compare"),
    ),
    "cuda": (("jax_cuda13_plugin", "jax-cuda13-plugin", "JAX on NVIDIA GPUs"),),
    "explore": (
        ("marimo", "marimo", "the interactive explorer"),
        ("uvicorn", "uvicorn", "its server"),
    ),
    "sweeps": (("distributed", "distributed", "sweeps on a cluster of machines"),),
    "oracles": (
        ("PEPit", "PEPit", "worst cases, for tests"),
        ("cbx", "cbx", "consensus-based optimization, for tests"),
    ),
    "browser": (("playwright", "playwright", "a browser to test the explorer in"),),
    "test": (
        ("beartype", "beartype", "types checked at run time"),
        ("hypothesis", "hypothesis", "properties"),
        ("kauri", "kauri", "B-series to compare with"),
        ("pytest", "pytest", "the test suite"),
        ("xdist", "pytest-xdist", "the test suite on several cores"),
    ),
    "docs": (
        ("material", "mkdocs-material", "the documentation site"),
        ("mkdocstrings", "mkdocstrings", "its reference"),
        ("nbclient", "nbclient", "its notebooks"),
        ("ipykernel", "ipykernel", "Python in notebooks"),
    ),
}
# What each extra is for.
EXTRAS = {
    "run": "runs of methods and flows, portraits, minimize",
    "plot": "pictures",
    "train": "training, emitted optax code, real data",
    "torch": "emitted PyTorch optimizers; neural DE solvers to compare with",
    "cuda": "JAX on NVIDIA GPUs",
    "explore": "odescent explore",
    "sweeps": "sweeps on a cluster",
    "oracles": "other packages that tests compare with",
    "browser": "the explorer's test",
    "test": "make test",
    "docs": "make docs",
}
MARKS = [
    (r"^[a-z]+$", "bold"),
    (r"^  (✓|ok) ", "green"),
    (r"^  (!) ", "bold red"),
    (r"^(Hint):", "bold yellow"),
]


def run(*, json: bool = False) -> int:
    """Show versions, devices and extras.

    The exit code is 1 if a requirement does not work.

    Args:
        json: Print one JSON document, for machines.

    Examples:
        odescent doctor
        odescent doctor --json
    """
    report = _report()
    console.answer(json, _text(report), report, "odescent.doctor/1", MARKS)
    return 0 if report["ok"] else 1


def _report() -> dict[str, Any]:
    packages = [_package(*row, extra) for extra, rows in PACKAGES.items() for row in rows]
    jax = _jax(any(p["name"] == "jax" and p["version"] for p in packages))
    broken = [p for p in packages if p["problem"]]
    hints = [
        f"{p['name']} {p['problem']}: pip install --force-reinstall {p['name']}" for p in broken
    ]
    if jax["problem"]:
        hints.append(f"JAX does not work: {jax['problem']}")
    elif jax["backend"] == "cpu" and _nvidia():
        hints.append(f"JAX does not use the NVIDIA GPU: {command('cuda')}")
    return {
        "ok": not jax["problem"] and all(p["extra"] for p in broken),
        "odescent": {"version": _version(), "path": str(Path(__file__).parents[2])},
        "python": {"version": platform.python_version(), "path": sys.executable},
        "platform": {"name": platform.platform(), "cores": _cores()},
        "jax": jax,
        "packages": packages,
        "extras": [_extra(name, packages) for name in EXTRAS],
        "hints": hints,
    }


def _extra(name: str, packages: list[dict[str, Any]]) -> dict[str, Any]:
    own = [p for p in packages if p["extra"] == name]
    missing = [p["name"] for p in own if p["version"] is None]
    return {"name": name, "purpose": EXTRAS[name], "installed": not missing, "missing": missing}


def _package(module: str, name: str, purpose: str, extra: str) -> dict[str, Any]:
    version, problem = None, None
    try:
        version = metadata.version(name)
        if util.find_spec(module) is None:
            problem = "is recorded as installed but cannot be found"
    except metadata.PackageNotFoundError:
        problem = None if extra else "is needed but not installed"
    except Exception as error:  # a broken installation fails in any way; the report goes on
        problem = f"is broken ({_one_line(error)})"
    return {
        "name": name,
        "version": version,
        "extra": extra or None,
        "purpose": purpose,
        "problem": problem,
    }


def _jax(there: bool) -> dict[str, Any]:
    """What JAX sees, and whether it computes; nothing where it is not installed."""
    found: dict[str, Any] = dict.fromkeys(("backend", "devices", "x64", "default_float", "problem"))
    if not there:
        return found
    try:
        import jax
        import jax.numpy as jnp

        found["default_float"] = str(jnp.zeros(()).dtype)
        found["x64"] = found["default_float"] == "float64"
        found["backend"] = jax.default_backend()
        found["devices"] = [str(d.device_kind) for d in jax.devices()]
        if float(jnp.ones(2).sum()) != 2.0:
            found["problem"] = "1 + 1 is not 2 on its first device"
    except Exception as error:  # drivers fail in many ways
        found["problem"] = _one_line(error)
    return found


def _text(report: dict[str, Any]) -> str:
    jax, cores = report["jax"], report["platform"]["cores"]
    rows = [
        ("odescent", f"{report['odescent']['version']}  {report['odescent']['path']}"),
        ("Python", f"{report['python']['version']}  {report['python']['path']}"),
        ("platform", f"{report['platform']['name']}, {quantity(cores, 'core')}"),
    ]
    if jax["backend"] and not jax["problem"]:
        kinds = {kind: jax["devices"].count(kind) for kind in jax["devices"]}
        seen = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
        other = "" if jax["x64"] else " (JAX_ENABLE_X64=1 makes it float64)"
        rows += [("devices", f"{jax['backend']}: {seen}")]
        rows += [("precision", f"{jax['default_float']} by default{other}")]
    lines = [f"{left:<11}{right}" for left, right in rows]
    lines += ["", "needed", *(_line(p) for p in report["packages"] if not p["extra"])]
    lines += ["", "optional"]
    for extra in report["extras"]:
        own = [p for p in report["packages"] if p["extra"] == extra["name"]]
        lines.append(_extra_line(extra, own))
        lines += [_line(p) for p in own if p["problem"]]
    lines += ["", *(f"Hint: {h}" for h in report["hints"])]
    return "\n".join([*lines, f"What is needed {'works' if report['ok'] else 'does not work'}."])


def _line(package: dict[str, Any]) -> str:
    mark = "!" if package["problem"] else "✓" if package["version"] else " "
    state = package["version"] or "not installed"
    return f"  {mark} {package['name']:<18} {state:<15} {package['purpose']}"


def _extra_line(extra: dict[str, Any], own: list[dict[str, Any]]) -> str:
    there = ", ".join(f"{p['name']} {p['version']}" for p in own if p["version"])
    line = f"  {'✓' if extra['installed'] else ' '} {extra['name']:<10}{extra['purpose']}"
    line += f": {there}" if there else ""
    if extra["installed"]:
        return line
    lacks = f"without {', '.join(extra['missing'])}" if there else "not installed"
    return f"{line}; {lacks} ({command(extra['name'])})"


def _version() -> str:
    import odescent as od

    return od.__version__


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
