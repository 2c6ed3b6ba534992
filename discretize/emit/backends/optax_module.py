"""The factory of an optax transformation, printed: its state, its update, and what evaluates its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import sympy as sp

from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.vector_fields.block import start
from ..lowering.domains import coasts, limits_of
from ..lowering.lower import Lowering
from ..lowering.statements import Ask, CountLet, Lowered, Routine, Sample, VectorLet
from ..modules.coefficient_function import any_of, traced_coefficients
from ..modules.module_writer import Called
from ..modules.optax_notes import notes
from ..modules.text import named_tuple
from ..printing.language import JNP
from ..printing.lines import WIDTH, indented, width, wrapped
from ..transform.extra_arguments import as_named
from ..transform.plan import PARAMS, Plan
from .jax import JaxModule

if TYPE_CHECKING:
    from ...step.iteration import Iteration


class TreeModule(JaxModule):
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

    def drawn_again(self, s: Sample, like: str) -> str:
        """The draw of the step before, which has its key by its number."""
        step, key = self.low.step, "jax.random.fold_in(state.key, state.k - 1)"
        if (count := len(step.samples)) > 1:
            key = f"jax.random.split({key}, {count})[{step.place_of(self.low.kept[s.again])}]"
        return f"_normal({key}, _memory({like}))"

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


class TransformationModule:
    """Prints a factory: the state, what begins it, the update, and what evaluates the output."""

    output = "x"  # what the output is called where it is made

    def __init__(
        self, algorithm: Iteration, made: Plan, lowering: Lowering, factory: str, group: str
    ) -> None:
        self.plan, self.factory = made, factory
        self.class_name = "".join(part.capitalize() for part in factory.split("_")) + "State"
        self.evaluated = f"eval_{factory}" if group else "eval_params"
        naming, step = lowering.naming, lowering.naming.parameter(algorithm.step)
        limits, counted = limits_of(algorithm, naming), bool(made.first or made.program.draws)
        self.low = self.kept(lowering.lowered(limits, {"update": made.update}, as_named, counted))
        self.update = self.low.step
        self.first = {
            b: as_named(lowering.routine((), {b.name: made.first[b.symbol]}))
            for b in made.program.blocks
            if b.symbol in made.first
        }
        self.still = None  # the name of a step at whose zero the update has to be stopped
        if step in self.low.parameters and any(
            coasts(self.low, self.update, n, step) for n in self._updates()
        ):
            self.still = lowering.table.field(step, step.name).name
        self.printer = TreeModule(self.low, made)
        self.names = [s.name for s in self.low.parameters]
        listed = [a for r in (self.update, *self.first.values()) for a in self.arguments(r)]
        self.asks = list(dict.fromkeys(listed))
        self.asked = [a.partition(":")[0] for a in self.asks]

    def kept(self, low: Lowered) -> Lowered:
        """The program with the blocks that the state holds: it counts its steps, and no samples beside."""
        return replace(low, blocks=tuple(b for b in low.blocks if b.name not in low.kept))

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
        statements = self.printer.statements(low.init, self.printer.start_name)
        body = indented([*statements, *more])
        lines += [*self._begun([*items, *body]), *body]
        items += ["key=jnp.array(key)"] if self.update.draws else []
        items.append("c=c" if named else made.strip())
        return [*lines, *wrapped(f"return {self.class_name}", items, "", "        ")]

    def _begun(self, text: list[str]) -> list[str]:
        """The lines that make the starting points that a text reads."""
        bound = "start = " if any("start" in t for t in text) else ""
        return [f"        {bound}_memory(params)"]

    def update_lines(self) -> list[str]:
        state = self.class_name
        callables = [a for a in self.asked if a != "value"]
        body = [*self.printer.unpacked(self.update), *self._given(callables), *self._started()]
        body += ["    key = jax.random.fold_in(state.key, state.k)"] if self.update.draws else []
        body += self.printer.statements(self.update)
        # By how much the parameters move, by the names of the results: a name each.
        moved: dict[str, str] = {}
        for result, (made, like) in self._updates().items():
            value = self.update.results[result]
            assert isinstance(value, Vector)
            moved[result] = value.name if isinstance(value, VectorSymbol) else made
            if not value:
                body.append(f"    {made} = {self.printer.zero(like)}")
            elif moved[result] == made:
                body += self.printer.assigned(f"    {made} = ", value, str)
        # The memory after the step.
        items, more = self.printer.results(self.update, False)
        body += more
        items += ["key=state.key"] if self.update.draws else []
        items.append("c=c" if self.names else "c=state.c")
        needs = self.plan.uses_params or bool(callables) or self.plan.gradient is None
        head = self._signature(needs)
        head += self._moving() if self.names else []
        if not self.names and self.printer.reads(self.update):  # numbers such as exp(-1/2) only
            head += ["        c = state.c"]
        if self.still is not None:  # memory may hold a displacement of the step before
            stopped = f"lambda {self.still}, u: jnp.where({self.still} == 0, 0, u)"
            for result, (made, _) in self._updates().items():
                body.append(f"    {made} = _map({stopped}, (c.{self.still},), {moved[result]})")
                moved[result] = made
        return [
            *head, *("    " + line if line else "" for line in body), *self._new_updates(moved),
            *wrapped(f"return new_updates, {state}", items, "", "        "),
        ]  # fmt: skip

    def _updates(self) -> dict[str, tuple[str, str]]:
        """By the results of a step that move parameters, what each is called and what has its types."""
        return {"update": ("new_updates", "params" if self.plan.gradient is None else "updates")}

    def _new_updates(self, moved: Mapping[str, str]) -> list[str]:
        """The lines that return them, from the names of the results."""
        ((result, (_, like)),) = self._updates().items()
        return [f"        new_updates = _cast({moved[result]}, {like})"]

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
        lines += self._typed(callables)
        valued = "value" in self.asked
        return lines + ["    value = jnp.asarray(value, dtype=float)"] * valued

    def _typed(self, callables: list[str]) -> list[str]:
        """Functions that are called in the types of the parameters, under their names."""
        return [f"    {a} = _typed({a}, params)" for a in callables]

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
        if held := self._as_held(value):
            return [*lines, "    del state", *held]
        lines += ["    c = state.c"] if self.printer.reads(routine) else []
        lines += self._typed([a.partition(":")[0] for a in asks])
        lines += [*self.printer.unpacked(routine), *self.printer.statements(routine)]
        lines += self.printer.assigned(f"    {self.output} = ", value, str)
        return [*lines, f"    return _cast({self.output}, {self.like_output})"]

    @property
    def like_output(self) -> str:
        """What has the types of the output."""
        return "params"

    def _as_held(self, value: Vector) -> list[str]:
        """The lines that return an output that the parameters hold; none where it is to be made."""
        return ["    return params"] if value == PARAMS else []
