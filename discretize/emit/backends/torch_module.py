"""The optimizer of an emitted PyTorch module, printed: its constructor, its groups, its step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from ....dynamics.vector_fields.block import start
from ..lowering.domains import limits_of
from ..lowering.names import Naming, normal
from ..lowering.statements import ChooseLet, LoopLet, Lowered
from ..modules.torch_helpers import (
    DEFAULTS,
    DIVIDED,
    IDLE,
    ONE_GROUP,
    STEP,
    STEP_ELSEWHERE,
)
from ..printing.language import MATH
from ..printing.lines import WIDTH, indented, width, wrapped
from ..tensors.construction import CLASS, HESSIAN
from ..tensors.memory import layout, names_of
from ..tensors.optimizer_methods import Body
from ..transform.groups import by_group
from .numpy import NumpyModule

if TYPE_CHECKING:
    from ...step.iteration import Iteration


def _class_name(algorithm: Iteration, naming: Naming) -> str:
    """What the optimizer is called."""
    name = normal(algorithm.name or "method")
    name = "".join(part.capitalize() for part in name.split("_"))
    while name in naming.avoid or not name.isidentifier():
        name += "Optimizer" if name.isidentifier() else "_"
    return naming.marked(name)


class OptimizerModule:
    """Prints the module: a coefficient table, helpers, and the class around its `Body`."""

    listwise = True  # whether operations on whole lists are a choice
    several = "two lists of tensors, a point and a direction"  # what a function of more than a point takes
    returned = "as many tensors as a list has"

    def __init__(self, algorithm: Iteration, naming: Naming) -> None:
        called, step = self.renamed(algorithm, naming), algorithm.step
        program = naming.program(algorithm.arriving, called)
        programs = {n: naming.program(p, called) for n, p in by_group(algorithm.arriving).items()}
        layouts = {n: layout(p) for n, p in programs.items()}
        self.layout = next(iter(layouts.values()))
        limits, symbol = limits_of(algorithm, naming), naming.parameter(step)
        taken = {n for made in layouts.values() for n in names_of(made)}
        self.bodies: dict[str, Body] = {}
        for n, made in layouts.items():
            table = self.body.low.coefficients if self.bodies else None
            self.bodies[n] = Body(made, program, naming, symbol, limits, n, table, taken)
        self.names = self.body.names

    def renamed(self, algorithm: Iteration, naming: Naming) -> dict[str, str]:
        """What the step is called, which is the learning rate of torch; the name of the class is noted."""
        step, free = algorithm.step, {s.name for s in algorithm.tuned.parameters}
        size = next((n for n in (step.name, "step", "learning_rate") if n in free), "")
        called = {size: "lr"} if size and "lr" not in free - {size} else {}
        naming.known |= {"lr"} if called or "lr" in free else set()
        self.name = naming.given[CLASS] = _class_name(algorithm, naming)
        above = f" {step} above" if called and size == step.name else ""
        of_step = f"the step{above}, as schedulers want it; nothing moves where it is 0."
        plain = "the learning rate, as schedulers want it."
        self.lr = of_step if size != "learning_rate" else plain
        return called

    @property
    def body(self) -> Body:
        """That of the first group."""
        return next(iter(self.bodies.values()))

    def sections(self) -> list[list[str]]:
        """The module after its imports and helpers."""
        numbers = NumpyModule(self.lowered())
        return [numbers.table(), *numbers.coefficients(), self.optimizer()]

    def lowered(self) -> Lowered:
        """What the coefficients serve."""
        return self.body.low

    def methods(self) -> list[list[str]]:
        """The methods on tensors."""
        body = self.body
        made = [body.batches(), body.advance(), body.advance_in_place(), body.eval_params()]
        return [lines for lines in made if lines]

    def optimizer(self) -> list[str]:
        """The class."""
        body = self.body
        parts = [self.constructor(), self.group()]
        parts += [self.getstate()] if self.attributes() or body.elsewhere else []
        parts += [self.setstate(), self.step()]
        parts += [IDLE.strip("\n").splitlines()] if body.elsewhere else []
        parts += self.methods()
        lines = [f"class {self.name}(Optimizer):", *self.documentation(), ""]
        for part in filter(None, parts):
            lines += [*part, ""]
        return lines[:-1]

    def attributes(self) -> list[str]:
        """What the optimizer keeps beside groups and state: the oracles, a generator."""
        body = self.body
        kept = ["in_place"] if body.again is not None else []
        return [*body.oracles, *(["generator"] if body.samples else []), *kept]

    def documentation(self) -> list[str]:
        """The docstring of the class."""
        made = self.layout
        first = (
            f"Between steps the parameters hold {made.holds}; inside `with optimizer.eval_params():` they hold "
            "the algorithm's output."
        )
        # What memory is in the terms of the system, which the code does not show.
        if made.meaning:
            shown = "; ".join(f"{n} = {t}" for n, t in made.meaning.items())
            first += f" Memory, in the blocks of the system: {shown}."
        parts = [first]
        if self.names:
            lr = " There is no lr: the step follows from these."
            if "lr" in self.names:
                lr = f" lr is {self.lr}"
            parts.append(
                f"Hyper-parameters are keys of the parameter groups ({', '.join(self.names)}), read in every "
                f"step; memory stays as it is when they change.{lr}"
            )
        # What happens to parameters that take no part, and to gradients that are no numbers.
        policy = "Memory has the type and the device of its parameter."
        if made.gradient:
            policy += (
                " Parameters without a gradient are left alone: they do not move and have no memory. "
                "A gradient that is not finite is refused before anything is changed, unless "
                "error_if_nonfinite is False; sparse ones are refused."
            )
        else:
            policy += " Parameters that require no gradient are left alone."
        parts.append(policy)
        # What a step asks for: a closure, oracles, random numbers.
        if made.closure:
            parts.append(
                "A step takes gradients at several points: it needs a closure that clears the gradients, computes "
                "the loss, calls backward and returns the loss. If it raises, the parameters are put back."
            )
        parts += self.functions()
        if any(
            isinstance(s, (ChooseLet, LoopLet))
            for b in self.bodies.values()
            for s in b.low.step.all_statements
        ):
            parts.append(
                "A step chooses and repeats by Python: it reads the numbers that it compares from the device."
            )
        if any(b.inner for b in self.bodies.values()):
            parts.append("Inner products run over all the parameters of a group.")
        if self.body.samples:
            parts.append(
                "Noise comes from generator, or torch's own; state_dict does not contain its state."
            )
        if self.body.again is not None:
            parts.append(
                "With in_place the parameters themselves hold every point in turn and come back to rounding, and a "
                "sample is drawn again from its seed: nothing is kept beside them. The points are the same."
            )
        return MATH.documentation([f"{self.name} as a torch optimizer.", *parts])

    def functions(self) -> list[str]:
        """What is asked of the functions that the optimizer is given, a paragraph each."""
        parts = []
        for name, ask in self.body.oracles.items():
            count = len(ask.vectors)
            vectors = "a list of tensors" if count == 1 else self.several.format(count)
            numbers = {0: "", 1: " and a number"}.get(len(ask.scalars), " and of numbers")
            number = isinstance(ask.target, sp.Symbol)
            returns = "a number" if number else self.returned
            said = f"{name} is a function of {vectors}{numbers}, which returns {returns}; it is called "
            said += "under torch.no_grad."
            if name == HESSIAN:
                said += " hessian_products(loss) is one, of a loss of a list of tensors."
            parts.append(said)
        if parts and self.layout.gradient:
            parts.append(
                "Functions are those of what is minimized: of minus the objective where maximize is True."
            )
        return parts

    def constructor(self) -> list[str]:
        given = ["self", "params: ParamsT", *[f"{p}: float" for p in self.names], "*"]
        for name, ask in self.body.oracles.items():
            listed = ["list[Tensor]"] * len(ask.vectors) + ["float"] * len(ask.scalars)
            returns = "float | Tensor" if isinstance(ask.target, sp.Symbol) else "Iterable[Tensor]"
            said = f"{name}: Callable[[{', '.join(listed)}], {returns}]"
            fits = width(f"        {said},") <= WIDTH
            given.append(said if fits else f"{name}: Callable[..., {returns}]")
        given += ["generator: torch.Generator | None = None"] if self.body.samples else []
        given += ["in_place: bool = False"] if self.body.again is not None else []
        given += ["foreach: bool | None = None"] * self.listwise
        items = [*self.names, *(["foreach"] * self.listwise)]
        if self.layout.gradient:
            given += ["maximize: bool = False", "error_if_nonfinite: bool = True"]
            items += ["maximize", "error_if_nonfinite"]
        idle = ["        self._idle: set[Tensor] = set()"] if self.body.elsewhere else []
        return [
            *wrapped("def __init__", given, " -> None:", "    "),
            *[f"        self.{a} = {a}" for a in self.attributes()],
            *idle,
            *wrapped("defaults = ", [f'"{i}": {i}' for i in items], "", "        ", "{}"),
            "        super().__init__(params, defaults)",
        ]

    def group(self) -> list[str]:
        lines = [
            "    def add_param_group(self, param_group: dict[str, Any]) -> None:",
            '        """Add parameters, with hyper-parameters of their own if they have any."""',
        ]
        if self.names:
            lines += ["        group = {**self.defaults, **param_group}"]
            lines += self.body.coefficients("", "        ")
        return [
            *lines,
            "        super().add_param_group(param_group)",
            '        for param in self.param_groups[-1]["params"]:',
            "            if not param.is_floating_point():",
            "                self.param_groups.pop()",
            '                message = f"parameters must be real floating-point, not {param.dtype}."',
            "                raise ValueError(message)",
            *(ONE_GROUP.strip("\n").splitlines() if self.body.searching else []),
        ]

    def getstate(self) -> list[str]:
        kept = [*self.attributes(), *(["_idle"] if self.body.elsewhere else [])]
        items = ["**super().__getstate__()", *(f'"{a}": self.{a}' for a in kept)]
        return [
            "    def __getstate__(self) -> dict[str, Any]:",
            *wrapped("return ", items, "", "        ", "{}"),
        ]

    def setstate(self) -> list[str]:
        """States that were saved without torch's own options get them."""
        lines = DEFAULTS.strip("\n").splitlines()
        if not self.listwise:
            return []
        options = [
            '"foreach", None',
            *(['"maximize", False', '"error_if_nonfinite", True'] if self.layout.gradient else []),
        ]
        return [*lines, *(f"            group.setdefault({o})" for o in options)]

    def updates(self) -> list[str]:
        """The loop over what takes part in a step."""
        return updated(self.body, "self._batches()")

    @property
    def waits(self) -> str:
        """Whether a step in ``w`` asks for gradients, with a sentence where a number of it is not finite."""
        measures = any(body.low.step.measures for body in self.bodies.values())
        return "_waits(w)" if measures else "next(w, False)"

    def step(self) -> list[str]:
        made = self.layout
        check = ["        _check(self.param_groups)"] if made.gradient else []
        lines = STEP.strip("\n").splitlines()
        # One gradient at what the parameters hold: torch's usual contract, the closure optional.
        if not made.closure:
            return [
                *lines,
                '        """One step; a closure is evaluated first."""',
                "        loss = None",
                "        if closure is not None:",
                "            with torch.enable_grad():",
                "                loss = closure()",
                *check,
                *self.updates(),
                "        return loss",
            ]
        asks = len(self.body.gradients)
        calls = {1: "one evaluation"}.get(asks, f"{asks} evaluations")
        calls += " and those of its search" if self.body.searching else ""
        again = made.at_params or any(v != start for v in self.body.low.init.reads())
        first = self.body.begun + again
        more = f", {'one' if first < 2 else first} more in the first step" * made.first_gradient
        refused = [
            "        if closure is None:",
            '            raise ValueError("the step takes gradients elsewhere: step(closure).")',
        ]
        # The first gradient is taken elsewhere: which parameters have one shows only inside of the step.
        if not made.at_params:
            return [
                *lines,
                f'        """One step; {calls} of the closure{more}.',
                "",
                "        It starts again, with one evaluation more, where other parameters have a",
                "        gradient than in the step before.",
                '        """',
                *refused,
                *STEP_ELSEWHERE.replace("NEXT", self.waits).strip("\n").splitlines(),
            ]
        # Several gradients, the first where the parameters are; they are put back if the closure raises.
        return [
            *lines,
            f'        """One step; {calls} of the closure{more}."""',
            *refused,
            "        with torch.enable_grad():",
            "            loss: float | None = closure()",
            *check,
            "        batches = self._batches()",
            "        saved = [[param.clone() for param in params] for _, params in batches]",
            "        work = [self._advance(*b, s) for b, s in zip(batches, saved, strict=True)]",
            "        try:",
            f"            while [True for w in work if {self.waits}]:",
            "                with torch.enable_grad():",
            "                    closure()",
            "                _check(self.param_groups)",
            "        except BaseException:",
            "            for (_, params), start_list in zip(batches, saved, strict=True):",
            "                torch._foreach_copy_(params, start_list)",
            "            raise",
            "        return loss",
        ]


def updated(body: Body, batches: str) -> list[str]:
    """Every batch in turn; where a number of the step is not finite, a sentence for Python's own."""
    once = [f"            self._advance{body.suffix}(group, params)"]
    if body.again is not None:
        in_place = f"                self._advance_in_place{body.suffix}(group, params)"
        once = ["            if self.in_place:", in_place, "            else:", *indented(once)]
    return [f"        for group, params in {batches}:", *tried(body, once, "            ")]


def tried(body: Body, lines: list[str], indent: str) -> list[str]:
    """The lines of a step, with a sentence in the place of Python's own where a number of it is not finite."""
    if not body.low.step.measures:
        return lines
    failed = [indent + line for line in DIVIDED.strip("\n").splitlines()]
    return [f"{indent}try:", *indented(lines), *failed]
