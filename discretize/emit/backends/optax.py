"""The optax backend: a stand-alone module with a transformation's factory and `eval_params`.

What a gradient transformation is not given becomes an extra argument of its update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from ...._support.errors import OdescentError, listed, unknown
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.vector_fields.system import start
from ...programs.program import Program
from ..backend import POWERS, Backend
from ..lowering.coefficients import in_order
from ..lowering.domains import coasts, upper_bounds
from ..lowering.lower import Lowering
from ..lowering.names import Naming
from ..lowering.statements import Ask, CountLet, Lowered, Routine, Sample, VectorLet
from ..modules.coefficient_function import any_of, traced_coefficients
from ..modules.module_writer import Called
from ..modules.optax_helpers import HELPERS
from ..modules.optax_notes import notes
from ..modules.text import assembled, description, named_tuple
from ..printing.language import JNP
from ..printing.lines import WIDTH, indented, width, wrapped
from ..stability import BOUNDS, warn_if_unstable
from ..transform.extra_arguments import as_named, extra_arguments
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
from jax.typing import ArrayLike

PyTree: TypeAlias = Any
"""


def source(algorithm: Iteration, naming: Naming) -> str:
    """The module's text."""
    program = naming.program(algorithm.tuned)
    module = _Module(algorithm, plan_with_oracles(program), program, naming)
    facts = description(algorithm, "optax", "optax.", module.notes())
    return assembled(JNP, facts, IMPORTS, HELPERS, module.sections())


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
    def __init__(self, algorithm: Iteration, made: Plan, program: Program, naming: Naming) -> None:
        self.plan, self.factory = made, naming.safe(algorithm.name or "transformation")
        naming.given[FACTORY] = naming.given[algorithm.name or "transformation"]
        self.class_name = "".join(part.capitalize() for part in self.factory.split("_")) + "State"
        step = naming.parameter(algorithm.step)
        lowering = Lowering(made.program, naming, program.parameters, step)
        lowering.arguments = extra_arguments(made, naming)
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
        return [
            self.printer.table(),
            self.state(),
            *numbers,
            self.transformation(),
            self.eval_params(),
        ]

    def state(self) -> list[str]:
        low = self.low
        fields = [(b.name, "Array" if b.kind == "scalar" else "optax.Updates") for b in low.blocks]
        fields += [("k", "Array")] if low.counter is not None else []
        fields += [("key", "Array")] if self.update.draws else []
        doc = "The memory between steps, and the coefficients."
        return named_tuple(self.class_name, doc, [*fields, ("c", "Coefficients")])

    def transformation(self) -> list[str]:
        given = [f"{p}: ArrayLike" for p in self.names]
        given += ["key: Array"] if self.update.draws else []
        made = f"coefficients({', '.join(self.names)})"
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
                f"    {made}  # refuses bad hyper-parameters here, not in init",
                *any_of("moving = any", "isinstance(value, Array)", self.names),
            ]
        return [
            *lines, "", *self.init(made), "", *self.update_lines(made), "",
            f"    return {returned}",
        ]  # fmt: skip

    def init(self, made: str) -> list[str]:
        low, reads = self.low, self.printer.reads(self.low.init)
        lines = [f"    def init(params: optax.Params) -> {self.class_name}:"]
        lines += [f"        c = {made}"] if reads else []
        items, more = self.printer.results(low.init, True)
        body = indented(more)
        bound = "start = " if any("start" in t for t in [*items, *body]) else ""
        lines += [f"        {bound}_memory(params)", *body]
        items += ["key=jnp.array(key)"] if self.update.draws else []
        items.append("c=c" if reads else f"c={made}")
        return [*lines, *wrapped(f"return {self.class_name}", items, "", "        ")]

    def update_lines(self, made: str) -> list[str]:
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
        head += [f"        c = {made} if moving else state.c"] if self.names else []
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
            assert isinstance(value, Vector)
            asks = any(isinstance(s, Ask) for s in routine.statements)
            inner = self.printer.statements(routine)
            if isinstance(value, VectorSymbol):
                made = value.name
            else:
                made = f"{name}_0"
                inner += self.printer.assigned(f"    {made} = ", value, str)
            if asks:
                lines += ["", f"    def {name}_start() -> Any:", *("    " + line for line in inner)]
                lines += [f"        return _memory({made})", ""]
                lines += [f"    {name} = jax.lax.cond(first, {name}_start, lambda: state.{name})"]
            else:
                fun = "lambda a, b: jnp.where(first, a, b)"
                lines += [*inner, f"    {name} = _map({fun}, (), {made}, state.{name})"]
        return lines

    def eval_params(self) -> list[str]:
        routine = self.low.outputs["x"]
        given = [f"state: {self.class_name}", "params: optax.Params"]
        asks = self.arguments(routine)
        given += ["*", *asks] if asks else []
        where = "at a gradient point"
        if self.plan.gradient is None:
            where = "that updates were applied to"
        lines = JNP.head("eval_params", given, "optax.Params")
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


def transformation(
    algorithm: Iteration, module: ModuleType, values: Mapping[str, Any]
) -> optax.GradientTransformation:
    """The factory of a loaded module, called with the parameters by name.

    Args:
        algorithm: the method.
        module: its emitted module, loaded.
        values: numbers, arrays or schedules (callables of the step) by name; "key" where noise is drawn.

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
    own = {names[n] if draws and n == "key" else n: names[n] for n in parameters}
    needed = [*own, *(["key"] if draws else [])]
    for name in values:
        if name not in needed and name not in BOUNDS:
            raise unknown(f"parameter of {who} called", name, needed)
    missing = [n for n in needed if n not in values]
    if missing:
        raise OdescentError(
            f"{who} needs a value of {listed(missing)}, as in to_optax({missing[0]}=...)."
        )
    warn_if_unstable(algorithm, values)
    try:
        numbers = {name: _number(values[n]) for n, name in own.items()}
        return _made(made, numbers, values["key"] if draws else None)
    except ValueError as error:
        raise OdescentError(str(error)) from None


def _number(value: Any) -> Any:
    """A number as NumPy has it, whatever it was; schedules and what JAX traces as they are."""
    import jax

    known = isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer)
    return np.asarray(value) if known else value


def _made(factory: Any, numbers: dict[str, Any], key: Any) -> optax.GradientTransformation:
    import jax.numpy as jnp
    import optax

    given = numbers if key is None else {**numbers, "key": key}
    if any(callable(v) for v in numbers.values()):
        static = () if key is None else ("key",)
        factory = optax.inject_hyperparams(factory, static, jnp.result_type(float))
    made: optax.GradientTransformation = factory(**given)
    return made


CARRIED = frozenset(POWERS) - {"jumps", "matrices", "populations", "sweeps"}
BACKEND = Backend("optax", ".py", CARRIED, source)
