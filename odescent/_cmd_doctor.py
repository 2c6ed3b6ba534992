"""``odescent doctor``: versions, devices, precision, which optional parts are there, and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

from . import _console

# Import name, distribution, what it is for; then the extra that brings it ("": always there).
PACKAGES = {
    "": (
        ("numpy", "numpy", "arrays, emitted NumPy code"),
        ("scipy", "scipy", "minimizers to compare with"),
        ("sympy", "sympy", "derivations"),
        ("jax", "jax", "runs, emitted JAX code"),
        ("jaxtyping", "jaxtyping", "array types"),
        ("diffrax", "diffrax", "flows and neural DEs"),
        ("equinox", "equinox", "models and checkpoints"),
        ("optax", "optax", "training, emitted optax code"),
        ("sklearn", "scikit-learn", "the demo's data"),
        ("matplotlib", "matplotlib", "pictures"),
        ("typer", "typer", "this command line"),
        ("rich", "rich", "colour on terminals"),
    ),
    "torch": (
        ("torch", "torch", "PyTorch optimizers"),
        ("torchdiffeq", "torchdiffeq", "ODE solvers to compare"),
        ("torchsde", "torchsde", "SDE solvers to compare"),
    ),
    "cuda": (("jax_cuda13_plugin", "jax-cuda13-plugin", "NVIDIA GPUs"),),
    "oracles": (
        ("kauri", "kauri", "tests: B-series"),
        ("PEPit", "PEPit", "tests: worst-case rates"),
    ),
}
MARKS = [(r"^[a-z]\w+$", "bold"), (r"^  (✓|ok) ", "green"), (r"^(Hint):", "bold yellow"), (r"^  (!) ", "bold red")]


def run(as_json: bool) -> int:
    """Print the report; return 1 if something that is needed does not work."""
    packages = [_package(*row, extra) for extra, rows in PACKAGES.items() for row in rows]
    devices = _jax()
    hints = [f"{p['name']} is needed: pip install --upgrade odescent." for p in packages if _missing(p)]
    hints += [f"{p['name']} {p['error']}: pip install --force-reinstall {p['name']}." for p in packages if p["error"]]
    if devices["error"]:
        hints.append(f"JAX does not work: {devices['error']}.")
    elif devices["backend"] == "cpu" and _nvidia():
        hints.append("there is an NVIDIA GPU that JAX does not use: pip install 'odescent[cuda]'.")
    report = {
        "ok": not devices["error"] and not any(_missing(p) or (p["error"] and not p["extra"]) for p in packages),
        "odescent": {"version": _version(), "path": str(Path(__file__).parent)},
        "python": {"version": platform.python_version(), "path": sys.executable},
        "platform": {"name": platform.platform(), "machine": platform.machine(), "cores": _cores()},
        "jax": devices,
        "packages": packages,
        "hints": hints,
    }
    if as_json:
        _console.say_exactly(_console.document(report, "odescent.doctor/1"))
    else:
        _console.say(_text(report), MARKS)
    return 0 if report["ok"] else 1


def _package(module: str, name: str, purpose: str, extra: str) -> dict[str, Any]:
    row = {"name": name, "version": None, "extra": extra or None, "purpose": purpose, "error": None}
    try:
        row["version"] = metadata.version(name)
        if util.find_spec(module) is None:
            row["error"] = "is recorded as installed, but it cannot be imported"
    except metadata.PackageNotFoundError:
        pass
    except Exception as error:  # a broken installation can fail in any way; the report goes on
        row["error"] = _one_line(error)
    return row


def _missing(package: dict[str, Any]) -> bool:
    return not package["extra"] and package["version"] is None and not package["error"]


def _jax() -> dict[str, Any]:
    """What JAX sees, and whether it computes."""
    found: dict[str, Any] = {"backend": None, "devices": [], "x64": None, "default_float": None, "error": None}
    try:
        import jax
        import jax.numpy as jnp

        found["x64"] = bool(jax.config.read("jax_enable_x64"))
        found["default_float"] = str(jnp.zeros(()).dtype)
        found["backend"] = jax.default_backend()
        found["devices"] = [str(d.device_kind) for d in jax.devices()]
        if float(jnp.add(1.0, 2.0)) != 3.0:
            found["error"] = "1 + 2 is not 3 on its first device"
    except Exception as error:  # drivers fail in many ways
        found["error"] = _one_line(error)
    return found


def _text(report: dict[str, Any]) -> str:
    jax = report["jax"]
    rows = [
        ("odescent", f"{report['odescent']['version']}  {report['odescent']['path']}"),
        ("Python", f"{report['python']['version']}  {report['python']['path']}"),
        ("platform", f"{report['platform']['name']}, {_count(report['platform']['cores'], 'core')}"),
    ]
    if not jax["error"]:
        kinds = ", ".join(f"{jax['devices'].count(kind)} x {kind}" for kind in dict.fromkeys(jax["devices"]))
        other = "x64 is on" if jax["x64"] else "float64 where odescent needs it, or everywhere by JAX_ENABLE_X64=1"
        rows += [("devices", f"{jax['backend']}: {kinds}"), ("precision", f"{jax['default_float']} by default; {other}")]
    lines = [f"{left:<11}{right}" for left, right in rows]
    for needed in (True, False):
        lines += ["", "needed" if needed else "optional"]
        lines += [_line(p) for p in report["packages"] if needed == (p["extra"] is None)]
    lines += [""] + [f"Hint: {h}" for h in report["hints"]]
    return "\n".join([*lines, "Everything that is needed works." if report["ok"] else "Something that is needed fails."])


def _line(package: dict[str, Any]) -> str:
    mark = "!" if package["error"] or _missing(package) else "✓" if package["version"] else " "
    state = package["version"] or "not installed"
    if package["version"] is None and package["extra"]:
        return f"  {mark} {package['name']:<18} not installed (pip install 'odescent[{package['extra']}]'): {package['purpose']}"
    return f"  {mark} {package['name']:<18} {state:<14} {package['purpose']}"


def _version() -> str:
    import odescent as od

    return od.__version__


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300].rstrip(".")
