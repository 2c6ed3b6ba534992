"""The optax backend: a stand-alone module with a transformation's factory and `eval_params`.

What a gradient transformation is not given becomes an extra argument of its update.
Blocks in several spaces are a dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...._support.errors import NotCarried, OdescentError, listed, unknown
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ...programs.program import Program
from ...step.words import example
from ..backend import POWERS, Backend
from ..lowering.coefficients import in_order
from ..lowering.lower import Lowering, routines
from ..lowering.names import Naming
from ..lowering.statements import Lowered
from ..modules.coefficient_function import traced_coefficients
from ..modules.optax_helpers import HELPERS
from ..modules.optax_notes import GROUPED, notes_on_blocks
from ..modules.text import assembled, description, map_functions
from ..printing.language import JNP
from ..printing.lines import WIDTH, indented, wrapped
from ..stability import BOUNDS, check_numbers, warn_if_unstable
from ..transform.coupled import coupled_plan, is_coupled, keys_of
from ..transform.extra_arguments import extra_arguments
from ..transform.groups import by_group
from ..transform.linear import plan_with_oracles
from ..transform.plan import Plan
from .optax_module import TransformationModule

if TYPE_CHECKING:
    import optax

    from ...step.iteration import Iteration


class CoupledTransformation(TransformationModule):
    """Prints a factory whose parameters are several trees by name, one for each space of the method.

    Args:
        algorithm: the method.
        made: its transformation.
        lowering: of the program.
        factory: what the factory is called.
        keys: what each block that the parameters hold is called there, by its name in the module.
    """

    output = "x_output"  # x may be a block

    def __init__(
        self,
        algorithm: Iteration,
        made: Plan,
        lowering: Lowering,
        factory: str,
        keys: Mapping[str, str],
    ) -> None:
        self.keys, self.starts = keys, lowering.starts()
        super().__init__(algorithm, made, lowering, factory, "")

    def kept(self, low: Lowered) -> Lowered:
        memory = tuple(b for b in low.blocks if b.name not in self.keys)
        return replace(low, blocks=memory, starts=self.starts)

    def notes(self) -> str:
        return notes_on_blocks(
            [*self.keys.values()], bool(self.names), self.asked, self.update.draws
        )

    def _read(self, names: list[str]) -> list[str]:
        """The line of a function that reads the parameters under these names."""
        keys = [f'"{key}"' for key in self.keys.values()]
        left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        head = "" if {*names} == {"_"} else f"{left} = "
        return wrapped(f"{head}_blocks", ["params", *keys], "", "    ", room=WIDTH - 4)

    def _begun(self, text: list[str]) -> list[str]:
        begun = [f"{self.starts[n]}_start" if n in self.starts else "start" for n in self.keys]
        read = [n if any(n in t for t in text) else "_" for n in begun]
        return [
            *indented(self._read(read)),
            *(f"        {n} = _memory({n})" for n in read if n != "_"),
        ]

    def _typed(self, callables: list[str]) -> list[str]:
        spaces = ", ".join(self.keys)
        typed = (f"    {a} = _typed_each({a}, {spaces})" for a in callables)
        return [*self._read([*self.keys]), *typed]

    def _updates(self) -> dict[str, tuple[str, str]]:
        return {n: (f"{n}_moved", n) for n in self.keys}

    def _new_updates(self, moved: Mapping[str, str]) -> list[str]:
        new = [f'"{key}": _update({moved[n]}, {n}, "{key}")' for n, key in self.keys.items()]
        return wrapped("new_updates = ", new, "", "        ", "{}")

    @property
    def like_output(self) -> str:
        return next(iter(self.keys))

    def _as_held(self, value: Vector) -> list[str]:
        if not isinstance(value, VectorSymbol) or value.name not in self.keys:
            return []
        only = [n if n == value.name else "_" for n in self.keys]
        return [*self._read(only), f"    return {value.name}"]


FACTORY = "the factory"  # what it is called is kept under this name


IMPORTS = """
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

PyTree: TypeAlias = Any
"""


def source(algorithm: Iteration, naming: Naming) -> str:
    """The module's text."""
    made = modules(algorithm, naming)
    first = next(iter(made.values()))
    said = first.notes() if len(made) == 1 else GROUPED
    facts = description(algorithm, "optax", "optax.", said)
    called = [r for m in made.values() for r in (*routines(m.low).values(), *m.first.values())]
    helpers = HELPERS | map_functions(called, "jnp")
    sections = (
        first.sections()
        if len(made) == 1
        else _in_groups(made, naming.marked(naming.given[FACTORY]))
    )
    return assembled(JNP, facts, IMPORTS, helpers, sections)


def modules(algorithm: Iteration, naming: Naming) -> dict[str, TransformationModule]:
    """What prints each group's factory, by the group's name; the only one is named ''."""
    whole = naming.program(algorithm.tuned)
    factory = naming.safe(algorithm.name or "transformation")
    naming.given[FACTORY] = naming.given[algorithm.name or "transformation"]
    if is_coupled(algorithm.tuned):
        plan = coupled_plan(whole)
        lowering = _lowerings(algorithm, {"": plan}, whole, naming)[""]
        keys = keys_of(algorithm.tuned, whole)
        return {"": CoupledTransformation(algorithm, plan, lowering, factory, keys)}
    programs = {n: naming.program(p) for n, p in by_group(algorithm.tuned).items()}
    plans = {n: plan_with_oracles(p) for n, p in programs.items()}
    lowerings = _lowerings(algorithm, plans, whole, naming)
    return {
        n: TransformationModule(algorithm, plans[n], low, f"{factory}_{n}" if n else factory, n)
        for n, low in lowerings.items()
    }


def _lowerings(
    algorithm: Iteration, plans: Mapping[str, Plan], whole: Program, naming: Naming
) -> dict[str, Lowering]:
    """The lowering of each plan, all with one table of coefficients."""
    step = naming.parameter(algorithm.step)
    alone = not is_coupled(algorithm.tuned)
    made = {n: Lowering(p.program, naming, whole.parameters, step, alone) for n, p in plans.items()}
    table = next(iter(made.values())).table
    for name, lowering in made.items():
        lowering.arguments = extra_arguments(plans[name], naming)
        lowering.table.used |= {s.name for s in (plans[name].gradient,) if s is not None}
        table.used |= lowering.table.used
        lowering.table = table
    return made


def _in_groups(modules: Mapping[str, TransformationModule], factory: str) -> list[list[str]]:
    """The sections of a module of several groups: one table, the parts of each group, and what combines them."""
    first, *others = modules.values()
    if any(m.asked for m in modules.values()):
        raise NotCarried("the optax backend has no extra arguments for groups of parameters.")
    more = {f"{i} {n}": r for i, m in enumerate(others) for n, r in routines(m.low).items()}
    # formulas that have a value at zero must have it in the steps of all groups
    low = replace(first.low, blocks=(), outputs={**first.low.outputs, **more})
    parts = [section for m in modules.values() for section in m.group()]
    numbers = traced_coefficients(low, refuse_schedules=True)
    return [
        first.printer.table(), *numbers, *parts, _combined(modules, factory),
        _combined_output(modules),
    ]  # fmt: skip


def _combined(modules: Mapping[str, TransformationModule], factory: str) -> list[str]:
    """The factory of all groups, by `optax.multi_transform`."""
    first = next(iter(modules.values()))
    draws = any(m.update.draws for m in modules.values())
    given = ["labels: PyTree | Callable[[PyTree], PyTree]"]
    given += [f"{p}: ArrayLike" for p in first.names] + ["key: Array"] * draws
    names = ", ".join(f'"{n}"' for n in modules)
    said = "labels are the names of the leaves' groups, as optax.multi_transform takes them: "
    lines = wrapped(f"def {factory}", given, " -> optax.GradientTransformationExtraArgs:")
    lines += JNP.documentation(
        [
            "The algorithm as a gradient transformation, each group of parameters by its own fields.",
            f"{said}{', '.join(modules)}, in a tree or a function of the parameters.",
        ]
    )
    lines += ["    transforms: dict[Any, optax.GradientTransformation] = {"]
    for i, (n, m) in enumerate(modules.items()):
        keys = [f"jax.random.fold_in(key, {i})"] if m.update.draws else []
        lines.append(f'        "{n}": {m.factory}({", ".join([*m.names, *keys])}),')
    return [
        *lines,
        "    }",
        f"    return optax.multi_transform(transforms, _labelled(labels, ({names},)))",
    ]


def _combined_output(modules: Mapping[str, TransformationModule]) -> list[str]:
    """The output of all groups."""
    given = ["state: Any", "params: optax.Params", "labels: PyTree | Callable[[PyTree], PyTree]"]
    names = ", ".join(f'"{n}"' for n in modules)
    lines = wrapped("def eval_params", given, " -> optax.Params:")
    lines += JNP.documentation(
        ["The algorithm's output, for parameters at a gradient point, with the factory's labels."]
    )
    lines += [f"    found = _labelled(labels, [{names}])(params)", "    parts = ["]
    for n, m in modules.items():
        inner = f'state.inner_states["{n}"].inner_state'
        lines.append(f'        {m.evaluated}({inner}, _part(params, found, "{n}")),')
    return [
        *lines,
        "    ]",
        f"    return jax.tree.map(lambda of, *x: x[[{names}].index(of)], found, *parts)",
    ]


def transformation(
    algorithm: Iteration, module: ModuleType, values: Mapping[str, Any]
) -> optax.GradientTransformation:
    """The factory of a loaded module, called with the parameters by name.

    Args:
        algorithm: the method.
        module: its emitted module, loaded.
        values: numbers, arrays or schedules (callables of the step) by name; "key" where noise is drawn; "labels"
            where there are groups of parameters: names in a tree, or a function that makes it, such as `Groups`.

    Returns:
        the transformation, wrapped with optax.inject_hyperparams where a value is a schedule.

    Raises:
        OdescentError: a parameter that is unknown, missing, or outside its domain.
    """
    from .. import called

    names = called(module)
    made, who = getattr(module, names[FACTORY]), algorithm.name or "the algorithm"
    parameters = [s.name for s in in_order(algorithm.tuned.parameters)]
    draws = bool(algorithm.tuned.draws)
    grouped = "labels" in signature(made).parameters and "labels" not in parameters
    own = {names[n] if draws and n == "key" else n: names[n] for n in parameters}
    needed = [*own, *(["key"] if draws else []), *(["labels"] if grouped else [])]
    for name in values:
        if name not in needed and name not in BOUNDS:
            raise unknown(f"parameter of {who} called", name, needed)
    missing = [n for n in needed if n not in values]
    if missing:
        shown = ", ".join(map(example, missing))
        raise OdescentError(f"{who} needs a value of {listed(missing)}, as in to_optax({shown}).")
    check_numbers({n: v for n, v in values.items() if n in own or n in BOUNDS})
    warn_if_unstable(algorithm, values)
    try:
        numbers = {name: _number(values[n]) for n, name in own.items()}
        more = {n: values[n] for n in needed if n not in own}
        return _made(made, numbers, more)
    except ValueError as error:
        raise OdescentError(str(error)) from None


def _number(value: Any) -> Any:
    """A number as NumPy has it, whatever it was; schedules and what JAX traces as they are."""
    import jax

    known = isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer)
    return np.asarray(value) if known else value


def _made(
    factory: Any, numbers: dict[str, Any], more: dict[str, Any]
) -> optax.GradientTransformation:
    """The factory called with numbers, and with a key or labels, which are no hyper-parameters."""
    import jax.numpy as jnp
    import optax

    if any(callable(v) for v in numbers.values()):
        factory = optax.inject_hyperparams(factory, tuple(more), jnp.result_type(float))
    made: optax.GradientTransformation = factory(**numbers, **more)
    return made


CARRIED = frozenset(POWERS) - {
    "jumps", "matrices", "populations", "sweeps",
}  # fmt: skip
BACKEND = Backend("optax", ".py", CARRIED, source)
