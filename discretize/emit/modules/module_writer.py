"""The writer of a module: `coefficients`, `init`, `step`, `output` and `run` in the types and forms of a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.products import identity
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ....dynamics.vector_fields.block import Block, start
from ...programs.guards import Guard
from ..lowering.domains import lowered_of
from ..lowering.statements import (
    Ask,
    ChooseLet,
    CountLet,
    InnerLet,
    JoinLet,
    LoopLet,
    Lowered,
    PartLet,
    Routine,
    Sample,
    ScalarLet,
    SolveLet,
    SweepLet,
    WindowLet,
    ZeroLet,
)
from ..printing.language import NUMPY, Syntax
from ..printing.lines import WIDTH, indented, wrapped
from ..printing.printer import MUL, Printer
from .text import assembled, coefficient_lines, description, map_functions, named_tuple

if TYPE_CHECKING:
    from ...step.iteration import Iteration
    from ..lowering.names import Naming

Called: TypeAlias = Callable[[str], str]  # what a name is in the code


def length_of(b: Block) -> int:
    """How many values a window keeps; NotCarried where that is no number."""
    if not (b.history.is_Integer and b.history.is_positive):
        raise NotCarried(
            f"the window {b.name} keeps {b.history} values, and code needs a number of them: give it, as in "
            f"tuning={{{b.history}: 32}}."
        )
    return int(b.history)


class ModuleWriter(ABC):
    """Writes one lowered program section by section.

    A target gives its types and texts as attributes, and overrides the forms that are its own. What it has no form
    for is not among what its `Backend` carries.

    Attributes:
        target, language: its name, and what its modules are written in, in words.
        library: what its modules call the library of its arrays.
        syntax: of the language.
        vector, scalar, number, index, starting: the types of a vector, a scalar, a hyper-parameter, an index, x0.
        state_doc, table_doc, start_doc: what is said of the records of state and coefficients, and of x0.
        counted: the type of a sample's counter, where the state may hold one; first_counter: one at the start.
        counter, count: the number of the step as it is read from the state, and at the start.
        noise: the argument of a step that draws.
        imports, helpers: texts, each where it is used.
    """

    target = language = library = ""
    syntax: Syntax = NUMPY
    vector, scalar, number, index, starting = "Array", "float", "float", "int", "ArrayLike"
    state_doc = "The state between steps."
    table_doc = "What the step needs of the hyper-parameters."
    start_doc = "point x0"
    counter, count = "state.k", "0"
    noise = ""
    counted: str | None = None
    first_counter = ""
    imports = ""
    helpers: ClassVar[dict[str, str]] = {}
    room = WIDTH  # of a line

    def __init__(self, lowered: Lowered) -> None:
        self.low = lowered
        self.fields = {s.name for s in lowered.coefficients.fields}
        self.scalars = Printer(self.syntax, self.name)
        self.value = self.scalar  # the type of an oracle's value
        self.parameters = [s.name for s in lowered.parameters]

    @classmethod
    def source(cls, algorithm: Iteration, naming: Naming) -> str:
        """The text of an algorithm's module."""
        made = cls(lowered_of(algorithm, naming, cls.counted is not None))
        facts = description(algorithm, cls.target, cls.language)
        low = made.low
        maps = map_functions((low.init, low.step, *low.outputs.values()), cls.library)
        helpers = made.known_helpers() | maps
        return assembled(cls.syntax, facts, cls.imports, helpers, made.sections())

    def known_helpers(self) -> dict[str, str]:
        """The functions that a module may contain, by name."""
        return self.helpers

    def sections(self) -> list[list[str]]:
        """The module after its imports and helpers."""
        parts = [self.state(), self.table(), *self.coefficients(), self.init(), self.step()]
        parts += [self.output(n, r) for n, r in self.low.outputs.items()] + [self.run()]
        return [p for p in parts if p]

    # names and records

    def name(self, name: str) -> str:
        """A scalar: a coefficient is in the table."""
        return f"c.{name}" if name in self.fields else name

    def inside(self, name: str) -> str:
        """A name inside of a vector's expression."""
        return self.name(name)

    def start_name(self, name: str) -> str:
        """The same at the start, where x0 is `start`."""
        return "start" if name == start.name else self.inside(name)

    def state(self) -> list[str]:
        fields = [(b.name, self.held_as(b)) for b in self.low.blocks]
        fields += [("k", self.index)] if self.low.counter is not None else []
        return named_tuple("State", self.state_doc, fields)

    def held_as(self, b: Block) -> str:
        """The type of a block in the state."""
        if b.name in self.low.kept:
            assert self.counted is not None
            return self.counted
        return self.scalar if b.kind == "scalar" else "_Window" if b.keeps else self.vector

    def table(self) -> list[str]:
        fields = [(s.name, self.scalar) for s in self.low.coefficients.fields]
        return named_tuple("Coefficients", self.table_doc, fields)

    def coefficients(self) -> list[list[str]]:
        """The function of the hyper-parameters; here without a check of their domain."""
        given = [f"{p}: {self.number}" for p in self.parameters]
        formulas = coefficient_lines(self.low, Printer(self.syntax))
        return [self.syntax.define("coefficients", given, "Coefficients", [], formulas)]

    # statements

    def arguments(self, routine: Routine) -> list[str]:
        """The oracles that a routine asks, with their types."""
        listed = []
        for name in routine.arguments():
            every = routine.all_statements
            asks = [s for s in every if isinstance(s, Ask) and s.argument == name]
            if asks:
                given = [self.vector] * len(asks[0].vectors) + [self.scalar] * len(asks[0].scalars)
                returns = self.value if isinstance(asks[0].target, sp.Symbol) else self.vector
            else:  # asked in a sweep
                given = [self.vector] + ([] if name.startswith("value") else [self.index])
                returns = self.scalar
            listed.append(f"{name}: Callable[[{', '.join(given)}], {returns}]")
        return listed

    def reads(self, routine: Routine) -> bool:
        """Whether a routine reads the coefficients."""
        return bool(routine.symbols() & self.fields)

    def statements(self, routine: Routine, called: Called | None = None) -> list[str]:
        """The routine's statements as lines."""
        called = called or self.inside
        samples = routine.samples
        late = frozenset(s.target.name for s in routine.statements if isinstance(s, (Ask, Sample)))
        lines = self.before_draws(len(samples))
        for s in routine.statements:
            if isinstance(s, ChooseLet):
                lines += self.choose(s, called)
                continue
            if isinstance(s, LoopLet):
                lines += self.repeat(s, called)
                continue
            head = f"    {s.target.name} = "
            match s:
                case ScalarLet():
                    lines.append(head + self.scalars.scalar(s.value))
                case InnerLet():
                    lines.append(head + self.inner(called(s.left.name), called(s.right.name)))
                case Ask():
                    lines.append(head + self.asked(s, called))
                case Sample() if s.again:
                    lines.append(head + self.drawn_again(s, called(s.like.name)))
                case Sample() | CountLet():
                    lines += self.before_draw(s)
                    lines.append(head + self.drawn(s, samples, called(s.like.name)))
                case WindowLet():
                    lines.append(head + self.windowed(s, called))
                case JoinLet():
                    lines.append(head + self.joined([called(v.name) for v in s.vectors]))
                case PartLet():
                    like = [called(v.name) for v in s.like]
                    lines.append(head + self.part(called(s.whole.name), s.place, like))
                case ZeroLet():
                    lines.append(head + self.zero(called(s.like.name)))
                case SweepLet():
                    lines += self.sweep(s, called)
                case SolveLet():
                    lines += self.solve(s, called)
                case _:
                    lines += self.assigned(head, s.value, called, late)
        return lines

    def assigned(
        self, head: str, value: Vector, called: Called, late: frozenset[str] = frozenset()
    ) -> list[str]:
        """``head`` and a vector.

        Args:
            head: the beginning of the line, as "    x = ".
            value: the vector.
            called: what its names are in the code.
            late: names of what does not set its type.

        Returns:
            lines of source.
        """
        return [head + self.operand(value, "", called)[0]]

    def operand(self, value: Vector, name: str, called: Called) -> tuple[str, list[str]]:
        """A vector as a field of a record, and the lines that name it where that is needed.

        Args:
            value: the vector.
            name: what it may be called.
            called: what its names are in the code.

        Returns:
            the text of the field, and lines of source that stand before it.
        """
        text = Printer(self.syntax, called).vector(value)
        return text if isinstance(value, VectorSymbol) else self.syntax.arrays.format(text), []

    def inner(self, left: str, right: str) -> str:
        """An inner product."""
        raise self.without("inner products")

    def asked(self, s: Ask, called: Called) -> str:
        """What an oracle returns."""
        given = [*(called(v.name) for v in s.vectors), *(self.scalars.scalar(e) for e in s.scalars)]
        return f"{s.argument}({', '.join(given)})"

    def windowed(self, s: WindowLet, called: Called) -> str:
        """What a function of the module makes of a window."""
        given = [*(called(v.name) for v in s.vectors), *(self.scalars.scalar(e) for e in s.scalars)]
        return f"_{s.function}({', '.join(given)})"

    def window(self, length: int, like: str) -> str:
        """An empty window of so many values of the shape of ``like``."""
        return f"_window({length}, {like})"

    def joined(self, parts: Sequence[str]) -> str:
        """A vector of a direct sum."""
        return f"_joined([{', '.join(parts)}])"

    def part(self, whole: str, place: int, like: Sequence[str]) -> str:
        """One part of a vector of a direct sum, of the shapes of ``like``."""
        return f"_part({whole}, {place}, [{', '.join(like)}])"

    def zero(self, like: str) -> str:
        """The zero of a space."""
        raise self.without("zeros")

    def before_draws(self, count: int) -> list[str]:
        """Lines before a routine that draws so often."""
        return []

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        """One of the draws of a routine.

        Args:
            s: the draw.
            samples: all draws of the routine, in order.
            like: the name of what has its shape.

        Returns:
            an expression.
        """
        raise self.without("draws")

    def drawn_again(self, s: Sample, like: str) -> str:
        """A draw of the step before, from the counter in the state."""
        raise self.without("samples that are drawn again")

    def before_draw(self, s: Sample | CountLet) -> list[str]:
        """The lines before one draw, as those that keep its counter."""
        return []

    def counter_of(self, target: str) -> str:
        """The counter of a draw of the step, as the state holds it."""
        raise self.without("counters of samples")

    def sweep(self, s: SweepLet, called: Called) -> list[str]:
        """A sweep over coordinates."""
        raise self.without("sweeps over coordinates")

    def swept(self, s: SweepLet, start: str) -> list[str]:
        """The arguments of the function that sweeps by the rate of a coordinate."""
        given = [s.local[0], start, self.scalars.scalar(s.duration), repr(float(s.implicit))]
        return given + ["backward=True"] * s.backward

    def solve(self, s: SolveLet, called: Called) -> list[str]:
        """A solve: the product as a function, and what solves with it."""
        function, given = s.solution(called, self.scalars.scalar)
        given = self.solver(given, s.method)
        solved = wrapped(f"{s.target.name} = {function}", given, "", "    ")
        if s.again:
            return solved
        formed = [f"    {s.matrix} = {s.formed(called)}"] * bool(s.matrix)
        self.room -= 4
        value = s.product.results["product"]
        assert isinstance(value, Vector)
        body = [*self.statements(s.product, called), *self.assigned("    return ", value, called)]
        self.room += 4
        body = body[1:] if body[0] == "" else body
        head = f"    def {s.function}({called(s.along.name)}: {self.vector}) -> {self.vector}:"
        return ["", head, *indented(body), "", *formed, *solved]

    def choose(self, s: ChooseLet, called: Called) -> list[str]:
        """A choice by a guard."""
        raise self.without("choices by a guard")

    def repeat(self, s: LoopLet, called: Called) -> list[str]:
        """A loop that ends by a guard."""
        raise self.without("loops")

    def guard(self, guard: Guard) -> str:
        """A guard, whose sides are names or numbers."""
        return guard.written(self.scalars.scalar, self.syntax.guard)

    def nested(self, routine: Routine, called: Called) -> list[str]:
        """The statements of a routine inside of another one, indented by one level more."""
        self.room -= 4
        lines = self.statements(routine, called)
        self.room += 4
        return indented(lines[1:] if lines and lines[0] == "" else lines)

    def ending(self, value: Expr, called: Called) -> str:
        """A result of a routine inside of another one."""
        return called(value.name) if isinstance(value, VectorSymbol) else self.scalars.scalar(value)

    def solver(self, given: list[str], method: str) -> list[str]:
        """The arguments of the function that solves by a method."""
        return given

    def without(self, what: str) -> NotCarried:
        """A refusal of what the target has no form for."""
        return NotCarried(f"the {self.target} backend has no form for {what}.")

    # functions

    @abstractmethod
    def zeros(self, b: Block, like: str) -> str:
        """The zero of a block, in the shape of ``like``."""

    def eye(self, b: Block, scale: str) -> str:
        """A multiple of the identity as a block begins with it; ``scale`` ends with the product's sign."""
        raise self.without("the identity")

    def shape(self, b: Block, start: str) -> list[str]:
        """The lengths of a matrix block's axes: of a vector as its start the size, else of the start's axes."""
        axes = self.low.lengths.get(b.name)
        return [f"{start}.size"] * 2 if axes is None else [f"{start}.shape[{i}]" for i in axes]

    def held(self, text: str, first: bool) -> str:
        """A scalar as the state holds it."""
        return text

    def started(self, name: str = "start", given: str = "x0") -> list[str]:
        """The lines that make `start` of x0, or a name of another starting point."""
        return [f"    {name} = {given}"]

    def results(self, routine: Routine, first: bool) -> tuple[list[str], list[str]]:
        """The fields of the state that a routine leaves, and the lines that they need."""
        called = self.start_name if first else self.inside
        items, lines = [], []
        for b in self.low.blocks:
            value = routine.results[b.name]
            if b.name in self.low.kept:
                text = self.first_counter if first else self.counter_of(self.low.kept[b.name])
            elif not isinstance(value, Vector):
                text = self.held(self.scalars.scalar(value), first)
            elif not value and first and b.name in self.low.starts:
                own = self.low.starts[b.name]
                begins = next(n for n, given in self.low.starts.items() if given == own) == b.name
                text = f"{own}_start" if begins else self.zeros(b, f"{own}_start")
            elif not value and first and b.keeps:
                text = self.window(length_of(b), "start")
            elif not value:
                text = self.zeros(b, "start" if first else f"state.{b.name}")
            elif first and value.terms.keys() == {identity}:
                scale = value.terms[identity]
                text = self.eye(b, "" if scale == 1 else f"{self.scalars._at_least(scale, MUL)} * ")
            else:
                text, more = self.operand(value, f"{b.name}_{'0' if first else 'next'}", called)
                lines += more
            items.append(f"{b.name}={text}")
        if self.low.counter is not None:
            items.append(f"k={self.count}" if first else "k=state.k + 1")
        return items, lines

    @property
    def more_starts(self) -> list[str]:
        """The starting points of blocks that need not have the shape of x0."""
        return list(dict.fromkeys(self.low.starts.values()))

    def unpacked(self, routine: Routine) -> list[str]:
        """The blocks that a routine reads, as locals."""
        read, low = routine.symbols(), self.low
        whole = [b for b in low.blocks if b.name not in low.kept]
        lines = [f"    {b.name} = state.{b.name}" for b in whole if b.name in read]
        counted = low.counter is not None and "k" in read
        return [*lines, f"    k = {self.counter}"] if counted else lines

    def init(self) -> list[str]:
        routine, more_starts = self.low.init, self.more_starts
        given = [f"{n}: {self.starting}" for n in ("x0", *more_starts)] + self.arguments(routine)
        given += ["c: Coefficients"] if self.reads(routine) else []
        given += [self.noise] if self.low.kept else []
        items, more = self.results(routine, True)
        begun = [line for n in more_starts for line in self.started(f"{n}_start", n)]
        body = [*self.started(), *begun, *self.statements(routine, self.start_name), *more]
        body += self.syntax.made("return ", "State", items)
        doc = [f"The state at the starting {self.start_doc}."]
        if more_starts:
            verb = "has a shape of its" if len(more_starts) == 1 else "have shapes of their"
            doc += [f"{' and '.join(more_starts)} {verb} own."]
        if self.low.kept:
            doc += [f"In place of the sample {', '.join(self.low.kept)} it holds a counter."]
        return self.syntax.define("init", given, "State", doc, body)

    def step(self) -> list[str]:
        routine = self.low.step
        given = ["state: State", *self.arguments(routine), "c: Coefficients"]
        given += [self.noise] if routine.draws else []
        items, more = self.results(routine, False)
        body = [*self.unpacked(routine), *self.statements(routine), *more]
        body += self.syntax.made("return ", "State", items)
        return self.syntax.define("step", given, "State", [f"The next state; {routine.calls}."], body)  # fmt: skip

    def output(self, name: str, routine: Routine) -> list[str]:
        value = routine.results[name]
        given = ["state: State", *self.arguments(routine), "c: Coefficients"]
        if not routine.statements and isinstance(value, VectorSymbol):
            body = [f"    return state.{value.name}"]
        else:
            body = [*self.unpacked(routine), *self.statements(routine)]
            if isinstance(value, Vector):
                body += self.assigned("    return ", value, self.inside)
            else:
                body += [f"    return {self.scalars.scalar(value)}"]
        doc = "The algorithm's output." if name == "x" else f"Further output: {name}."
        label = "output" if name == "x" else name
        return self.syntax.define(label, given, self.vector, [doc], body)

    def run(self) -> list[str]:
        step, init, output = self.low.step, self.low.init, self.low.outputs["x"]
        oracles = list(dict.fromkeys([*self.arguments(step), *self.arguments(init)]))
        starts = ["x0", *self.more_starts]
        given = [*oracles, *(f"{n}: {self.starting}" for n in starts), "steps: int"]
        given += [f"{p}: {self.number}" for p in self.parameters]
        given += [self.noise] if step.draws else []
        to_init = [*starts, *init.arguments(), *(["c"] if self.reads(init) else [])]
        to_init += [self.noise.partition(":")[0]] if self.low.kept else []
        body = [
            *wrapped("c = coefficients", self.parameters, indent="    "),
            *self.loop(
                f"init({', '.join(to_init)})",
                ["state", *step.arguments(), "c"],
                f"output({', '.join(['state', *output.arguments(), 'c'])})",
            ),
        ]
        doc = "The output sequence, shape (steps + 1, *x0.shape), starting point first."
        return self.syntax.define("run", given, self.vector, [doc, *self.run_notes], body)

    run_notes: tuple[str, ...] = ()

    @abstractmethod
    def loop(self, first: str, to_step: list[str], read: str) -> list[str]:
        """The lines of a run after its coefficients.

        Args:
            first: the first state, an expression.
            to_step: the arguments of a step.
            read: what is read off each state, an expression.

        Returns:
            lines of source.
        """
