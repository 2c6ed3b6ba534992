"""Neural ODEs and SDEs, regularized to be cheap to solve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._support.lazy import attach

if TYPE_CHECKING:
    from .inspection.counts import EvaluationCounts as EvaluationCounts
    from .inspection.counts import evaluation_counts as evaluation_counts
    from .inspection.fixed_mesh import FixedMesh as FixedMesh
    from .inspection.fixed_mesh import fixed_mesh as fixed_mesh
    from .inspection.pareto_front import Pareto as Pareto
    from .inspection.pareto_front import pareto as pareto
    from .inspection.plane_field import FieldPlane as FieldPlane
    from .inspection.plane_field import field_plane as field_plane
    from .inspection.profiles import StepProfile as StepProfile
    from .inspection.profiles import step_profile as step_profile
    from .inspection.solver_table import SolverComparison as SolverComparison
    from .inspection.solver_table import solver_comparison as solver_comparison
    from .inspection.subjects import Subject as Subject
    from .inspection.subjects import subject as subject
    from .inspection.views import inspect as inspect
    from .interop.torch_modules import to_torch as to_torch
    from .interop.torch_modules import to_torch_sde as to_torch_sde
    from .interop.torch_watch import watch_torchdiffeq as watch_torchdiffeq
    from .models.continuous_flow import ContinuousFlow as ContinuousFlow
    from .models.convolution import ConvField as ConvField
    from .models.latent import GRUEncoder as GRUEncoder
    from .models.latent import LatentODE as LatentODE
    from .models.networks import NeuralODEClassifier as NeuralODEClassifier
    from .models.networks import NeuralSDE as NeuralSDE
    from .models.networks import NeuralSDEClassifier as NeuralSDEClassifier
    from .optimizers.least_squares import levenberg_marquardt as levenberg_marquardt
    from .regularization import regularizer as regularizer
    from .regularization import regularizers as regularizers
    from .regularization.accepted import error as error
    from .regularization.accepted import steps as steps
    from .regularization.accepted import stiffness as stiffness
    from .regularization.derivatives import taylor as taylor
    from .regularization.jacobian_norm import jacobian as jacobian
    from .regularization.one_step import local as local
    from .regularization.penalty import Regularizer as Regularizer
    from .regularization.random_end import steer as steer
    from .settings.budget import Budget as Budget
    from .settings.config import Config as Config
    from .settings.paper import paper_settings as paper_settings
    from .settings.penalty_schedules import constant as constant
    from .settings.penalty_schedules import exponential as exponential
    from .solving.solve import Solved as Solved
    from .solving.solve import solve as solve
    from .tasks import task_names as task_names
    from .tasks.rows import Rows as Rows
    from .tasks.task import Losses as Losses
    from .tasks.task import Task as Task
    from .tracking.controllers import PerUnitStep as PerUnitStep
    from .tracking.first_step import WarmStart as WarmStart
    from .tracking.first_step import initial_step as initial_step
    from .tracking.instrument import statistics_of as statistics_of
    from .tracking.instrument import tracked as tracked
    from .tracking.stages import stability_size as stability_size
    from .tracking.statistics import Statistics as Statistics
    from .tracking.tracked_solver import Capture as Capture
    from .training.compared_runs import RunComparison as RunComparison
    from .training.compared_runs import compare as compare
    from .training.failures import TrainingFailed as TrainingFailed
    from .training.trained import Trained as Trained
    from .training.trained import load_trained as load_trained
    from .training.trained import train as train
else:
    __getattr__, __dir__, __all__ = attach(__name__)
