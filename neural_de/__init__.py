"""Neural ODEs and SDEs that are trained to be cheap to solve."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "Budget": "budget",
    "Capture": "tracked_solver",
    "Comparison": "comparison",
    "Config": "config",
    "ConvField": "convolution",
    "GRUEncoder": "latent",
    "LatentODE": "latent",
    "NeuralODEClassifier": "models",
    "NeuralSDE": "models",
    "NeuralSDEClassifier": "models",
    "Outcome": "tasks.base",
    "Regularizer": "penalties.base",
    "Rows": "tasks.base",
    "Solved": "instrumented",
    "Statistics": "heuristics",
    "Task": "tasks.base",
    "Trained": "training",
    "TrainingFailed": "failures",
    "WarmStart": "first_step",
    "compare": "comparison",
    "constant": "schedules",
    "error": "penalties.accepted",
    "exponential": "schedules",
    "initial_step": "first_step",
    "local": "penalties.one_step",
    "paper_settings": "paper",
    "regularizer": "penalties",
    "regularizers": "penalties",
    "solve": "instrumented",
    "stability_size": "stages",
    "statistics_of": "tracking",
    "steer": "penalties.random_end",
    "steps": "penalties.accepted",
    "stiffness": "penalties.accepted",
    "task_names": "tasks",
    "taylor": "penalties.derivatives",
    "tracked": "tracking",
    "train": "training",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .budget import Budget as Budget
    from .comparison import Comparison as Comparison
    from .comparison import compare as compare
    from .config import Config as Config
    from .convolution import ConvField as ConvField
    from .failures import TrainingFailed as TrainingFailed
    from .first_step import WarmStart as WarmStart
    from .first_step import initial_step as initial_step
    from .heuristics import Statistics as Statistics
    from .instrumented import Solved as Solved
    from .instrumented import solve as solve
    from .latent import GRUEncoder as GRUEncoder
    from .latent import LatentODE as LatentODE
    from .models import NeuralODEClassifier as NeuralODEClassifier
    from .models import NeuralSDE as NeuralSDE
    from .models import NeuralSDEClassifier as NeuralSDEClassifier
    from .paper import paper_settings as paper_settings
    from .penalties import regularizer as regularizer
    from .penalties import regularizers as regularizers
    from .penalties.accepted import error as error
    from .penalties.accepted import steps as steps
    from .penalties.accepted import stiffness as stiffness
    from .penalties.base import Regularizer as Regularizer
    from .penalties.derivatives import taylor as taylor
    from .penalties.one_step import local as local
    from .penalties.random_end import steer as steer
    from .schedules import constant as constant
    from .schedules import exponential as exponential
    from .stages import stability_size as stability_size
    from .tasks import task_names as task_names
    from .tasks.base import Outcome as Outcome
    from .tasks.base import Rows as Rows
    from .tasks.base import Task as Task
    from .tracked_solver import Capture as Capture
    from .tracking import statistics_of as statistics_of
    from .tracking import tracked as tracked
    from .training import Trained as Trained
    from .training import train as train


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
