"""The PyTorch backend: a stand-alone module with one `torch.optim.Optimizer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..backend import POWERS, Backend, groups_of
from ..lowering.names import Naming
from ..modules.text import assembled, description, map_functions
from ..modules.torch_helpers import HELPERS, IMPORTS
from ..printing.language import MATH
from ..transform.coupled import is_coupled
from .grouped_torch import CoupledOptimizer, GroupsModule
from .torch_module import OptimizerModule

if TYPE_CHECKING:
    from ...step.iteration import Iteration

# Keys that torch itself and its schedulers write into a group, and what is no keyword of a method.
KEYS = frozenset({"params", "param_names", "initial_lr", "foreach", "maximize", "error_if_nonfinite", "generator",
                  "self"})  # fmt: skip


def source(algorithm: Iteration, naming: Naming) -> str:
    """The module's text."""
    facts = description(algorithm, "torch", "PyTorch.")
    made = module(algorithm, naming)
    called = [r for b in made.bodies.values() for r in (b.low.init, b.low.step)]
    helpers = HELPERS | map_functions(called, "torch")
    return assembled(MATH, facts, IMPORTS, helpers, made.sections())


def module(algorithm: Iteration, naming: Naming) -> OptimizerModule:
    """What prints the module: of one optimizer for all parameters, for groups apart, or for several spaces."""
    if is_coupled(algorithm.tuned):
        return CoupledOptimizer(algorithm, naming)
    kind = GroupsModule if groups_of(algorithm.arriving) else OptimizerModule
    return kind(algorithm, naming)


CARRIED = frozenset(POWERS) - {
    "jumps", "matrices", "populations", "sweeps",
}  # fmt: skip
BACKEND = Backend("torch", ".py", CARRIED, source, words=KEYS)
