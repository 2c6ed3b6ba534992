"""The PyTorch backend: a stand-alone module with one `torch.optim.Optimizer`, of one group of fields or several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...._support.errors import NotCarried
from ..backend import POWERS, Backend, groups_of
from ..lowering.domains import limits_of
from ..lowering.lower import routines
from ..lowering.names import Naming
from ..lowering.statements import Lowered
from ..modules.text import assembled, description, map_functions
from ..modules.torch_helpers import HELPERS, IMPORTS
from ..printing.language import MATH
from ..printing.lines import paragraph
from ..tensors.coupled import CoupledBody
from ..transform.coupled import is_coupled, keys_of
from .torch_module import OptimizerModule, tried, updated

if TYPE_CHECKING:
    from ...step.iteration import Iteration


class GroupsModule(OptimizerModule):
    """A module in which named groups of parameters have methods of their own."""

    def __init__(self, algorithm: Iteration, naming: Naming) -> None:
        super().__init__(algorithm, naming)
        holds = "the point where gradients are taken"
        self.layout = replace(self.layout, holds=holds, meaning={})
        bodies = self.bodies.values()
        if any(
            b.layout.closure or b.oracles or b.samples or not b.layout.at_params for b in bodies
        ):
            raise NotCarried(
                "the torch backend supports groups of parameters in steps without noise and with one gradient, "
                "evaluated at the parameters."
            )

    def lowered(self) -> Lowered:
        others = list(self.bodies.values())[1:]
        more = {f"{i} {n}": r for i, b in enumerate(others) for n, r in routines(b.low).items()}
        return replace(self.body.low, blocks=(), outputs={**self.body.low.outputs, **more})

    def documentation(self) -> list[str]:
        *lines, last = super().documentation()
        said = (
            "Each parameter group names the fields by which it moves: "
            f'its key "group" is {self.listed(" or ")}.'
        )
        return [*lines, "", *(f"    {line}" for line in paragraph(said)), last]

    def listed(self, between: str) -> str:
        """The names of the groups."""
        return between.join(self.groups)

    @property
    def groups(self) -> list[str]:
        """What groups of parameters are called."""
        return [*self.bodies]

    def constructor(self) -> list[str]:
        names = ", ".join(f'"{n}"' for n in self.groups)
        return [
            *super().constructor(),
            f'        missing = {{{names}}} - {{group["group"] for group in self.param_groups}}',
            "        if missing:",
            '            names = ", ".join(sorted(missing))',
            "            raise ValueError(f'no parameter group has the key \"group\": {names}.')",
        ]

    def group(self) -> list[str]:
        names = ", ".join(f'"{n}"' for n in self.groups) + "," * (len(self.groups) == 1)
        head, doc, *rest = super().group()
        return [
            head,
            doc,
            f'        if param_group.get("group") not in ({names}):',
            f"            raise ValueError('each parameter group needs a key \"group\": {self.listed(' or ')}.')",
            *rest,
        ]

    def updates(self) -> list[str]:
        """All groups are looked at before one of them moves."""
        lines = [
            f"        batches{b.suffix} = self._batches{b.suffix}()" for b in self.bodies.values()
        ]
        for b in self.bodies.values():
            lines += updated(b, f"batches{b.suffix}")
        return lines

    def of(self) -> list[str]:
        """The method that finds groups by name."""
        return [
            "    def _of(self, name: str) -> list[dict[str, Any]]:",
            '        """The parameter groups with this name."""',
            '        return [group for group in self.param_groups if group["group"] == name]',
        ]

    def methods(self) -> list[list[str]]:
        inside = ", ".join(f"self.{b.evaluated}()" for b in self.bodies.values())
        output = [
            "    @contextmanager",
            "    def eval_params(self) -> Iterator[None]:",
            '        """The parameters hold the algorithm\'s output inside, and come back after."""',
            f"        with {inside}:",
            "            yield",
        ]
        parts = [
            p for b in self.bodies.values() for p in (b.batches(), b.advance(), b.eval_params())
        ]
        return [self.of(), *parts, output]


class CoupledOptimizer(GroupsModule):
    """A module in which the parameters of each space are a group, and all of them move at once."""

    listwise = False
    several, returned = "{} lists of tensors", "a list of tensors"

    def __init__(self, algorithm: Iteration, naming: Naming) -> None:
        called = self.renamed(algorithm, naming)
        program = naming.program(algorithm.tuned, called)
        self.keys = keys_of(algorithm.tuned, program)
        limits, symbol = limits_of(algorithm, naming), naming.parameter(algorithm.step)
        self.coupled = CoupledBody(program, self.keys, naming, symbol, limits)
        self.bodies, self.layout = {"": self.coupled}, self.coupled.layout
        self.names = self.coupled.names

    @property
    def groups(self) -> list[str]:
        return [*self.keys.values()]

    def lowered(self) -> Lowered:
        return self.coupled.low

    def functions(self) -> list[str]:
        parts = super().functions()
        made = "partial_derivative makes the derivatives of a loss of lists."
        return [*parts, made] if parts else []

    def updates(self) -> list[str]:
        return tried(self.coupled, ["        self._advance()"], "        ")

    def methods(self) -> list[list[str]]:
        body = self.coupled
        return [self.of(), body.gathered(), body.advance(), body.eval_params()]


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
