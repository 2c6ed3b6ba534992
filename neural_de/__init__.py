"""Neural ODEs and SDEs that are trained to be cheap to solve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odescent._lazy import attach

_PUBLIC = {
    "Budget": "budget",
    "Capture": "tracked_solver",
    "Comparison": "comparison",
    "Config": "config",
    "ContinuousFlow": "continuous_flow",
    "ConvField": "convolution",
    "EvaluationCounts": "after.counts",
    "FieldPlane": "after.plane_field",
    "FixedMesh": "after.fixed_mesh",
    "GRUEncoder": "latent",
    "LatentODE": "latent",
    "NeuralODEClassifier": "models",
    "NeuralSDE": "models",
    "NeuralSDEClassifier": "models",
    "Outcome": "tasks.base",
    "Pareto": "after.pareto_front",
    "Regularizer": "penalties.base",
    "Rows": "tasks.base",
    "Solved": "instrumented",
    "SolverComparison": "after.solver_table",
    "Statistics": "heuristics",
    "StepProfile": "after.profiles",
    "Subject": "after.subjects",
    "Task": "tasks.base",
    "Trained": "training",
    "TrainingFailed": "failures",
    "WarmStart": "first_step",
    "compare": "comparison",
    "constant": "schedules",
    "error": "penalties.accepted",
    "evaluation_counts": "after.counts",
    "exponential": "schedules",
    "field_plane": "after.plane_field",
    "fixed_mesh": "after.fixed_mesh",
    "initial_step": "first_step",
    "inspect": "after.drawing",
    "levenberg_marquardt": "least_squares",
    "load_trained": "training",
    "local": "penalties.one_step",
    "paper_settings": "paper",
    "pareto": "after.pareto_front",
    "regularizer": "penalties",
    "regularizers": "penalties",
    "solve": "instrumented",
    "solver_comparison": "after.solver_table",
    "stability_size": "stages",
    "statistics_of": "tracking",
    "steer": "penalties.random_end",
    "step_profile": "after.profiles",
    "steps": "penalties.accepted",
    "stiffness": "penalties.accepted",
    "subject": "after.subjects",
    "task_names": "tasks",
    "taylor": "penalties.derivatives",
    "to_torch": "interop.torch_modules",
    "to_torch_sde": "interop.torch_modules",
    "tracked": "tracking",
    "train": "training",
    "watch_torchdiffeq": "interop.torch_watch",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605

if TYPE_CHECKING:
    from .after.counts import EvaluationCounts as EvaluationCounts
    from .after.counts import evaluation_counts as evaluation_counts
    from .after.drawing import inspect as inspect
    from .after.fixed_mesh import FixedMesh as FixedMesh
    from .after.fixed_mesh import fixed_mesh as fixed_mesh
    from .after.pareto_front import Pareto as Pareto
    from .after.pareto_front import pareto as pareto
    from .after.plane_field import FieldPlane as FieldPlane
    from .after.plane_field import field_plane as field_plane
    from .after.profiles import StepProfile as StepProfile
    from .after.profiles import step_profile as step_profile
    from .after.solver_table import SolverComparison as SolverComparison
    from .after.solver_table import solver_comparison as solver_comparison
    from .after.subjects import Subject as Subject
    from .after.subjects import subject as subject
    from .budget import Budget as Budget
    from .comparison import Comparison as Comparison
    from .comparison import compare as compare
    from .config import Config as Config
    from .continuous_flow import ContinuousFlow as ContinuousFlow
    from .convolution import ConvField as ConvField
    from .failures import TrainingFailed as TrainingFailed
    from .first_step import WarmStart as WarmStart
    from .first_step import initial_step as initial_step
    from .heuristics import Statistics as Statistics
    from .instrumented import Solved as Solved
    from .instrumented import solve as solve
    from .interop.torch_modules import to_torch as to_torch
    from .interop.torch_modules import to_torch_sde as to_torch_sde
    from .interop.torch_watch import watch_torchdiffeq as watch_torchdiffeq
    from .latent import GRUEncoder as GRUEncoder
    from .latent import LatentODE as LatentODE
    from .least_squares import levenberg_marquardt as levenberg_marquardt
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
    from .training import load_trained as load_trained
    from .training import train as train
else:
    __getattr__, __dir__ = attach(__name__, _PUBLIC)
