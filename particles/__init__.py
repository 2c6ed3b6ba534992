"""Many particles at once: the engine behind consensus-based optimization and other ensembles."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC: dict[str, str] = {  # name: module in this folder
    "EffectiveGradient": "effective",
    "Ensemble": "ensembles",
    "History": "outcome",
    "Minimizer": "asktell",
    "Minimum": "outcome",
    "ObjectiveFailed": "outcome",
    "Parameters": "theory",
    "Passage": "passage",
    "Reached": "passage",
    "Record": "engine",
    "State": "engine",
    "Stepper": "engine",
    "ball": "feasible",
    "box": "feasible",
    "contraction": "theory",
    "effective_alpha": "schedules",
    "effective_gradient": "effective",
    "eyring_kramers": "barriers",
    "first_passage": "passage",
    "gaussian_start": "starts",
    "geometric": "schedules",
    "kernel_width": "schedules",
    "mean_passage_time": "barriers",
    "minimize": "minimization",
    "minimizer": "minimization",
    "parameters": "theory",
    "reach_probabilities": "passage",
    "simplex": "feasible",
    "simulate": "ensembles",
    "sphere": "feasible",
    "stepper": "engine",
    "uniform_start": "starts",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
