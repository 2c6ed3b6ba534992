"""Many particles at once: the engine behind consensus-based optimization and other ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._lazy import attach

_PUBLIC = {
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

if TYPE_CHECKING:
    from .asktell import Minimizer as Minimizer
    from .barriers import eyring_kramers as eyring_kramers
    from .barriers import mean_passage_time as mean_passage_time
    from .effective import EffectiveGradient as EffectiveGradient
    from .effective import effective_gradient as effective_gradient
    from .engine import Record as Record
    from .engine import State as State
    from .engine import Stepper as Stepper
    from .engine import stepper as stepper
    from .ensembles import Ensemble as Ensemble
    from .ensembles import simulate as simulate
    from .feasible import ball as ball
    from .feasible import box as box
    from .feasible import simplex as simplex
    from .feasible import sphere as sphere
    from .minimization import minimize as minimize
    from .minimization import minimizer as minimizer
    from .outcome import History as History
    from .outcome import Minimum as Minimum
    from .outcome import ObjectiveFailed as ObjectiveFailed
    from .passage import Passage as Passage
    from .passage import Reached as Reached
    from .passage import first_passage as first_passage
    from .passage import reach_probabilities as reach_probabilities
    from .schedules import effective_alpha as effective_alpha
    from .schedules import geometric as geometric
    from .schedules import kernel_width as kernel_width
    from .starts import gaussian_start as gaussian_start
    from .starts import uniform_start as uniform_start
    from .theory import Parameters as Parameters
    from .theory import contraction as contraction
    from .theory import parameters as parameters
else:
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
