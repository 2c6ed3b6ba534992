"""The optax backend: a stand-alone module with a transformation's factory and `eval_params`.

What a gradient transformation is not given becomes an extra argument of its update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ...._support.errors import NotCarried, OdescentError, listed, unknown
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.vector_fields.block import start
from ...programs.program import Program
from ...step.words import example
from ..backend import POWERS, Backend
from ..lowering.coefficients import in_order
from ..lowering.domains import coasts, upper_bounds
from ..lowering.lower import Lowering
from ..lowering.names import Naming
from ..lowering.statements import Ask, CountLet, Lowered, Routine, Sample, VectorLet, routines
from ..modules.coefficient_function import any_of, traced_coefficients
from ..modules.module_writer import Called
from ..modules.optax_helpers import HELPERS
from ..modules.optax_notes import GROUPED, notes
from ..modules.text import assembled, description, map_functions, named_tuple
from ..printing.language import JNP
from ..printing.lines import WIDTH, indented, width, wrapped
from ..stability import BOUNDS, check_numbers, warn_if_unstable
from ..transform.extra_arguments import as_named, extra_arguments
from ..transform.groups import by_group
from ..transform.linear import plan_with_oracles
from ..transform.plan import PARAMS, Plan
from .jax import JaxModule

if TYPE_CHECKING:
    import optax

    from ...step.iteration import Iteration


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


def modules(algorithm: Iteration, naming: Naming) -> dict[str, _Module]:
    """What prints each group's factory, by the group's name; the only one is named ''."""
    whole = naming.program(algorithm.tuned)
    programs = {n: naming.program(p) for n, p in by_group(algorithm.tuned).items()}
    plans = {n: plan_with_oracles(p) for n, p in programs.items()}
    lowerings = _lowerings(algorithm, plans, whole, naming)
    factory = naming.safe(algorithm.name or "transformation")
    naming.given[FACTORY] = naming.given[algorithm.name or "transformation"]
    return {
        n: _Module(algorithm, plans[n], low, f"{factory}_{n}" if n else factory, n)
        for n, low in lowerings.items()
    }


def _lowerings(
    algorithm: Iteration, plans: Mapping[str, Plan], whole: Program, naming: Naming
) -> dict[str, Lowering]:
    """The lowering of each plan, all with one table of coefficients."""
    step = naming.parameter(algorithm.step)
    made = {n: Lowering(p.program, naming, whole.parameters, step) for n, p in plans.items()}
    table = next(iter(made.values())).table
    for name, lowering in made.items():
        lowering.arguments = extra_arguments(plans[name], naming)
        lowering.table.used |= {s.name for s in (plans[name].gradient,) if s is not None}
        table.used |= lowering.table.used
        lowering.table = table
    return made


class _Tree(JaxModule):
    """Prints statements on trees whose leaves may differ in type."""

    casts = True
    room = WIDTH - 4  # inside of a function

    def __init__(self, lowered: Lowered, made: Plan) -> None:
        super().__init__(lowered)
        step = lowered.step.statements
        self.late = frozenset() if made.gradient is None else frozenset({made.gradient.name})
        self.known = {s.target: s.value for s in step if isinstance(s, VectorLet)}
        self.given = {PARAMS, made.gradient, *(s.target for s in step if isinstance(s, Ask))}

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        return super().drawn(s, samples, f"_memory({like})")  # in the types of the memory

    def operand(self, value: Vector, name: str, called: Called) -> tuple[str, list[str]]:
        """A memory; a copy of what came in, under whatever name: the parameters, what an oracle returned."""
        if value == start:
            return "jax.tree.map(jnp.array, start)", []
        opened = value
        while isinstance(opened, VectorSymbol) and opened in self.known:
            opened = self.known[opened]
        text, lines = super().operand(value, name, called)
        return f"_memory({text})" if opened in self.given else text, lines

    def assigned(
        self, head: str, value: Vector, called: Called, late: frozenset[str] = frozenset()
    ) -> list[str]:
        """The lines; a sum that does not fit its line is made in two."""
        lines = super().assigned(head, value, called, late)
        listed = list(value.terms.items())
        if max(map(width, lines)) <= self.room or len(listed) < 3:
            return lines
        half = max(2, len(listed) // 2)
        part = VectorSymbol(self._free("part"))
        before = self.assigned(f"    {part.name} = ", Vector.of(listed[:half]), called, late)
        rest = Vector.of([(part, sp.S.One), *listed[half:]])
        return [*before, *self.assigned(head, rest, called, late)]

    @cached_property
    def taken(self) -> set[str]:
        """Names with a meaning in the step."""
        blocks = {b.name for b in self.low.blocks}
        return self.low.step.symbols() | self.fields | blocks

    def _free(self, stem: str) -> str:
        """A name that is not taken, which then is."""
        name, n = stem, 1
        while name in self.taken:
            name, n = f"{stem}_{n}", n + 1
        self.taken.add(name)
        return name


class _Module:
    def __init__(
        self, algorithm: Iteration, made: Plan, lowering: Lowering, factory: str, group: str
    ) -> None:
        self.plan, self.factory = made, factory
        self.class_name = "".join(part.capitalize() for part in factory.split("_")) + "State"
        self.evaluated = f"eval_{factory}" if group else "eval_params"
        naming, step = lowering.naming, lowering.naming.parameter(algorithm.step)
        below, counted = upper_bounds(algorithm, naming), bool(made.first or made.program.draws)
        self.low = lowering.lowered(below, {"update": made.update}, as_named, counted)
        self.update = self.low.step
        self.first = {
            b: as_named(lowering.routine((), {b.name: made.first[b.symbol]}))
            for b in made.program.blocks
            if b.symbol in made.first
        }
        self.still = None  # the name of a step at whose zero the update has to be stopped
        if step in self.low.parameters and coasts(self.low, self.update, "update", step):
            self.still = lowering.table.field(step, step.name).name
        self.printer = _Tree(self.low, made)
        self.names = [s.name for s in self.low.parameters]
        listed = [a for r in (self.update, *self.first.values()) for a in self.arguments(r)]
        self.asks = list(dict.fromkeys(listed))
        self.asked = [a.partition(":")[0] for a in self.asks]

    def arguments(self, routine: Routine) -> list[str]:
        """The extra arguments of a routine."""
        listed = [a.replace("PyTree", "optax.Params") for a in self.printer.arguments(routine)]
        return listed + (["value: ArrayLike"] if "value" in routine.symbols() else [])

    def notes(self) -> str:
        """The contract, in sentences."""
        return notes(self.plan, bool(self.names), self.asked, self.update.draws)

    def sections(self) -> list[list[str]]:
        """The module after its imports and helpers."""
        numbers = traced_coefficients(self.low, refuse_schedules=True)
        state, *rest = self.group()
        return [self.printer.table(), state, *numbers, *rest]

    def group(self) -> list[list[str]]:
        """What is a group's own where there are several: the state, the factory, the output."""
        return [self.state(), self.transformation(), self.eval_params()]

    def state(self) -> list[str]:
        low = self.low
        kinds = {"scalar": "Array", "window": "_Window"}
        fields = [(b.name, kinds.get(b.kind, "optax.Updates")) for b in low.blocks]
        fields += [("k", "Array")] if low.counter is not None else []
        fields += [("key", "Array")] if self.update.draws else []
        doc = "The memory between steps, and the coefficients."
        return named_tuple(self.class_name, doc, [*fields, ("c", "Coefficients")])

    def transformation(self) -> list[str]:
        given = [f"{p}: ArrayLike" for p in self.names]
        given += ["key: Array"] if self.update.draws else []
        kind = "GradientTransformationExtraArgs"
        lines = wrapped(f"def {self.factory}", given, f" -> optax.{kind}:")
        returned = f"optax.{kind}(init, update)"
        if not self.asks:  # other extra arguments, such as value, are accepted and not read
            plain = "optax.GradientTransformation(init, update)"
            returned = f"optax.with_extra_args_support({plain})"
        meaning = "; ".join(f"{n} = {v}" for n, v in self.plan.meaning.items())
        said = ["The algorithm as a gradient transformation."]
        said += [f"Memory, in the blocks of the system: {meaning}."] if meaning else []
        lines += JNP.documentation(said)
        if self.names:
            lines += [
                "    # Bad hyper-parameters are refused here, not in init.",
                *self._coefficients("", "    "),
                *any_of("moving = any", "isinstance(value, Array)", self.names),
            ]
        return [
            *lines, "", *self.init(), "", *self.update_lines(), "",
            f"    return {returned}",
        ]  # fmt: skip

    def _coefficients(self, head: str, indent: str) -> list[str]:
        """The lines that compute them, after ``head``."""
        return wrapped(f"{head}coefficients", self.names, indent=indent)

    def init(self) -> list[str]:
        low, (made, *rest) = self.low, self._coefficients("c=", 13 * " ")  # a comma may follow
        named = bool(rest) or self.printer.reads(low.init)
        lines = [f"    def init(params: optax.Params) -> {self.class_name}:"]
        lines += self._coefficients("c = ", "        ") if named else []
        items, more = self.printer.results(low.init, True)
        body = indented(more)
        bound = "start = " if any("start" in t for t in [*items, *body]) else ""
        lines += [f"        {bound}_memory(params)", *body]
        items += ["key=jnp.array(key)"] if self.update.draws else []
        items.append("c=c" if named else made.strip())
        return [*lines, *wrapped(f"return {self.class_name}", items, "", "        ")]

    def update_lines(self) -> list[str]:
        state, value = self.class_name, self.update.results["update"]
        assert isinstance(value, Vector)
        callables = [a for a in self.asked if a != "value"]
        body = [*self.printer.unpacked(self.update), *self._given(callables), *self._started()]
        body += ["    key = jax.random.fold_in(state.key, state.k)"] if self.update.draws else []
        body += self.printer.statements(self.update)
        like = "params" if self.plan.gradient is None else "updates"
        moved = value.name if isinstance(value, VectorSymbol) else "new_updates"
        if moved == "new_updates":
            body += self.printer.assigned("    new_updates = ", value, str)
        items, more = self.printer.results(self.update, False)
        body += more
        items += ["key=state.key"] if self.update.draws else []
        items.append("c=c" if self.names else "c=state.c")
        needs = self.plan.uses_params or bool(callables) or like == "params"
        head = self._signature(needs)
        head += self._moving() if self.names else []
        if not self.names and self.printer.reads(self.update):  # numbers such as exp(-1/2) only
            head += ["        c = state.c"]
        if self.still is not None:  # memory may hold a displacement of the step before
            stopped = f"lambda {self.still}, u: jnp.where({self.still} == 0, 0, u)"
            line = f"    new_updates = _map({stopped}, (c.{self.still},), {moved})"
            body += [line]
            moved = "new_updates"
        new = f"new_updates = _cast({moved}, {like})"
        return [
            *head, *("    " + line if line else "" for line in body), f"        {new}",
            *wrapped(f"return new_updates, {state}", items, "", "        "),
        ]  # fmt: skip

    def _moving(self) -> list[str]:
        """The coefficients of a step: computed anew where a hyper-parameter is an array."""
        made, *rest = self._coefficients("c = ", "        ")
        line = f"{made} if moving else state.c"
        if not rest and width(line) <= WIDTH:
            return [line]
        return ["        c = state.c", "        if moving:", *self._coefficients("c = ", 12 * " ")]

    def _signature(self, needs_params: bool) -> list[str]:
        state = self.class_name
        given = ["updates: optax.Updates", f"state: {state}", "params: optax.Params | None = None"]
        given += ["*", *self.asks, "**extra: Any"] if self.asks else []
        lines = wrapped("def update", given, f" -> tuple[optax.Updates, {state}]:", "    ")
        unused = ["extra"] if self.asks else []
        unused += [] if needs_params else ["params"]
        unused += ["updates"] if self.plan.gradient is None else []
        if needs_params:
            said = "this step reads the parameters: give them to update."
            lines += ["        if params is None:", f'            raise ValueError("{said}")']
        return lines + ([f"        del {', '.join(unused)}"] if unused else [])

    def _given(self, callables: list[str]) -> list[str]:
        """What comes in, under the names of the step."""
        lines = [] if self.plan.gradient is None else [f"    {self.plan.gradient.name} = updates"]
        lines += [f"    {a} = _typed({a}, params)" for a in callables]
        valued = "value" in self.asked
        return lines + ["    value = jnp.asarray(value, dtype=float)"] * valued

    def _started(self) -> list[str]:
        """The memory that oracles make, at the first update."""
        lines = ["    first = state.k == 0"] if self.first else []
        for b, routine in self.first.items():
            name, value = b.name, routine.results[b.name]
            asks = any(isinstance(s, Ask) for s in routine.statements)
            inner = self.printer.statements(routine)
            if not isinstance(value, Vector):
                made = self.printer.ending(value, str)
            elif isinstance(value, VectorSymbol):
                made = value.name
            else:
                made = f"{name}_0"
                inner += self.printer.assigned(f"    {made} = ", value, str)
            if asks:
                lines += ["", f"    def {name}_start() -> Any:", *("    " + line for line in inner)]
                kept = f"_memory({made})" if isinstance(value, Vector) else made
                lines += [f"        return {kept}", ""]
                function = "jax.lax.cond"
                given = ["first", f"{name}_start", f"lambda: state.{name}"]
            else:
                lines += inner
                function = "_map"
                given = ["lambda a, b: jnp.where(first, a, b)", "()", made, f"state.{name}"]
            # the body of an update stands one level deeper than these lines do
            chosen = wrapped(f"{name} = {function}", given, indent="        ")
            lines += [line[4:] for line in chosen]
        return lines

    def eval_params(self) -> list[str]:
        routine = self.low.outputs["x"]
        given = [f"state: {self.class_name}", "params: optax.Params"]
        asks = self.arguments(routine)
        given += ["*", *asks] if asks else []
        where = "at a gradient point"
        if self.plan.gradient is None:
            where = "that updates were applied to"
        lines = JNP.head(self.evaluated, given, "optax.Params")
        lines += JNP.documentation([f"The algorithm's output, for parameters {where}."])
        value = routine.results["x"]
        assert isinstance(value, Vector)
        if value == PARAMS:
            return [*lines, "    del state", "    return params"]
        lines += ["    c = state.c"] if self.printer.reads(routine) else []
        named = [a.partition(":")[0] for a in asks]
        lines += [f"    {a} = _typed({a}, params)" for a in named]
        lines += [*self.printer.unpacked(routine), *self.printer.statements(routine)]
        lines += self.printer.assigned("    x = ", value, str)
        return [*lines, "    return _cast(x, params)"]


def _in_groups(modules: Mapping[str, _Module], factory: str) -> list[list[str]]:
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


def _combined(modules: Mapping[str, _Module], factory: str) -> list[str]:
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


def _combined_output(modules: Mapping[str, _Module]) -> list[str]:
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
    "jumps", "matrices", "populations", "several arguments", "several spaces", "sweeps",
}  # fmt: skip
BACKEND = Backend("optax", ".py", CARRIED, source)
