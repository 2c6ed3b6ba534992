"""Attributes that an object does not have: what does the job that the name asks for, or the nearest names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module
from inspect import getattr_static
from types import MemberDescriptorType

from ..errors import NoSuchName, unknown
from ..lazy import PACKAGES, public

_SHOWN = 10  # parts in a sentence
# Names that other packages use, with what has their place here: attributes, the first that the object has.
WORDS: Mapping[str, str] = {
    "solve": "simulate run", "integrate": "simulate", "odeint": "simulate", "flow": "simulate", "run": "simulate",
    "simulate": "run", "minimize": "run", "minimise": "run", "optimize": "run", "fit": "run", "iterate": "run",
    "trajectory": "simulate run", "sample": "run simulate", "step_size": "step", "learning_rate": "step", "lr": "step",
    "dt": "step", "h": "step", "init": "to_optax", "update": "to_optax", "optax": "to_optax", "torch": "to_torch",
    "to_pytorch": "to_torch", "pytorch": "to_torch", "to_jax": "source", "to_numpy": "source", "code": "source",
    "emit": "source", "export": "source save write", "to_latex": "latex", "tex": "latex", "order": "modified_equation",
    "gradient": "grad", "jac": "grad", "gradf": "grad", "hvp": "hessian", "hess": "hessian", "lipschitz": "L",
    "smoothness": "L", "strong_convexity": "mu", "minimum": "minimizer fun", "argmin": "minimizer x",
    "x_star": "minimizer", "optimum": "minimizer x", "solution": "minimizer x", "y": "states x", "ys": "x",
    "xs": "x", "iterates": "x", "history": "x", "path": "x", "points": "x", "positions": "x", "final": "x[-1]",
    "last": "x[-1]", "end": "x[-1]", "state": "states", "velocity": "states", "v": "states", "values": "f fun",
    "value": "fun f rate", "fun": "f", "funs": "f", "loss": "f fun", "losses": "f", "fval": "fun f", "best": "x",
    "fopt": "fun", "xopt": "x", "converged": "success diverged_at", "success": "diverged_at",
    "diverged": "diverged_at", "times": "t", "time": "t", "ts": "t", "nit": "steps", "n_steps": "steps",
    "rhs": "drift", "vector_field": "drift", "field": "fields", "variables": "blocks", "params": "parameters",
    "args": "parameters", "constants": "parameters mu", "mu": "parameters", "L": "parameters",
    "momentum": "parameters", "beta": "parameters coefficients", "alpha": "parameters coefficients",
    "check": "verify", "validate": "verify", "is_valid": "verify", "proof": "verify steps", "verify": "verified",
    "savefig": "save", "write": "save", "to_file": "save write", "dump": "to_dict", "to_json": "to_dict",
    "json": "to_dict", "as_dict": "to_dict", "show": "plot", "draw": "plot", "picture": "plot", "figure": "plot",
    "plt": "plot", "summary": "table", "print": "table",
}  # fmt: skip
# What does a job that no attribute does, by the class that is asked for it.
JOBS: Mapping[str, Mapping[str, str]] = {
    "System": {
        "discretize": "Algorithm(system, scheme, step=h)", "discretise": "Algorithm(system, scheme, step=h)",
        "plot": "analysis.phase_portrait(system, objective)", "portrait": "analysis.phase_portrait(system, objective)",
        "derivation": "Algorithm(system, scheme, step=h).derivation()",
    },
    "Iteration": {
        "rate": "analysis.certify(algorithm, mu, L)", "plot": "analysis.phase_portrait(algorithm, objective)",
        "portrait": "analysis.phase_portrait(algorithm, objective)",
        "eigenvalues": "analysis.spectrum(algorithm, mu, L)",
        "convergence_rate": "analysis.certify(algorithm, mu, L)", "poles": "analysis.spectrum(algorithm, mu, L)",
    },
    "Certificate": {"save": "json.dump(certificate.to_dict(), file)"},
    "EstimatedConstants": {"kappa": "found.L / found.mu"},
    "Vector": {
        "T": "transpose(operator), of a matrix", "dot": "inner(x, y)", "norm": "inner(x, x)",
        "diff": "f.grad(x) of an objective",
        "shape": "that of the start, which a run is given", "sum": "inner(x, y)", "abs": "elementwise(function, x)",
        "sqrt": "elementwise(function, x)", "exp": "elementwise(function, x)", "log": "elementwise(function, x)",
    },
}  # fmt: skip
"""Each entry is what one writes instead, in the package `odescent`, or in words."""


class NoAttribute(NoSuchName):
    """An attribute that an object does not have; the sentence is made where it is read, as `hasattr` reads none."""

    def __init__(self, holder: type, name: str, own: Iterable[str]) -> None:
        super().__init__(holder, name, tuple(own))
        # Python would add a guess of its own to an error that says which name of which object it is about.
        AttributeError.__init__(self, *self.args, name=None, obj=None)

    def __str__(self) -> str:
        holder, name, own = self.args
        return missing(holder, name, own)


def missing(holder: type, name: str, own: Iterable[str] = ()) -> str:
    """The sentence about a name that instances of a class do not have.

    Args:
        holder: the class.
        name: what was asked for.
        own: attributes of the instance.

    Returns:
        what does that job, where it is known, else the nearest names.
    """
    known = sorted({n for n in {*dir(holder), *own} if not n.startswith("_")})
    head = f"{called(holder)} has no {name}"
    for cls in holder.__mro__:
        if job := JOBS.get(cls.__name__, {}).get(name):
            return f"{head}; use {job}."
    for candidate in WORDS.get(name, "").split():
        if candidate.partition("[")[0] in known:
            return f"{head}; use {candidate}."
    for part in PACKAGES:
        import_module("odescent" + part)
        if name in public("odescent" + part) and name[:1].islower():
            return f"{head}; use the function odescent{part}.{name}."
    return str(unknown(f"attribute of {called(holder)} called", name, known))


def parts(holder: type, own: Iterable[str] = ()) -> str:
    """The data that instances of a class hold, as the end of a sentence; empty where they hold none.

    Args:
        holder: the class.
        own: attributes of the instance.
    """
    values = property, cached_property, MemberDescriptorType
    found = [n for n in dir(holder) if isinstance(getattr_static(holder, n), values)]
    named = sorted({n for n in (*found, *own) if not n.startswith("_")})
    more = f" and {len(named) - _SHOWN} more" * (len(named) > _SHOWN)
    return f"its parts are {', '.join(named[:_SHOWN])}{more}" if named else ""


def called(holder: type) -> str:
    """A class with its article, under the nearest name that people know it by."""
    names = [c.__name__ for c in holder.__mro__]
    name = "Vector" if "Vector" in names else names[0].lstrip("_")
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
