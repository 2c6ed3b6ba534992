"""Populations of particles: the engine of consensus-based optimization and other ensemble methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.lazy import attach
from . import plots  # noqa: F401  it registers what draws results

if TYPE_CHECKING:
    from .engine.engine import PopulationStepper as PopulationStepper
    from .engine.engine import stepper as stepper
    from .engine.ensembles import Ensemble as Ensemble
    from .engine.ensembles import simulate as simulate
    from .engine.feasible import ball as ball
    from .engine.feasible import box as box
    from .engine.feasible import simplex as simplex
    from .engine.feasible import sphere as sphere
    from .engine.layout import Record as Record
    from .engine.layout import State as State
    from .engine.schedules import effective_alpha as effective_alpha
    from .engine.schedules import geometric as geometric
    from .engine.schedules import kernel_width as kernel_width
    from .engine.starts import gaussian_start as gaussian_start
    from .engine.starts import uniform_start as uniform_start
    from .searches.asktell import Minimizer as Minimizer
    from .searches.minimization import minimize as minimize
    from .searches.minimization import minimizer as minimizer
    from .searches.outcome import History as History
    from .searches.outcome import Minimum as Minimum
    from .searches.outcome import ObjectiveFailed as ObjectiveFailed
    from .theory.barrier import eyring_kramers as eyring_kramers
    from .theory.barrier import mean_passage_time as mean_passage_time
    from .theory.effective import EffectiveGradient as EffectiveGradient
    from .theory.effective import effective_gradient as effective_gradient
    from .theory.passage import Passage as Passage
    from .theory.passage import Reached as Reached
    from .theory.passage import first_passage as first_passage
    from .theory.passage import reach_probabilities as reach_probabilities
    from .theory.theory import Parameters as Parameters
    from .theory.theory import contraction as contraction
    from .theory.theory import parameters as parameters
else:
    __getattr__, __dir__, __all__ = attach(__name__)
