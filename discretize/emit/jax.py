"""The JAX backend: the NumPy module's functions on pytrees, under jit, vmap and grad.

Every coefficient is an array of the default float type and is cast to each leaf's type where it is
used, so that the code runs under strict promotion in any precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import sympy as sp

from odescent.dynamics.fields import Block, start
from odescent.dynamics.vectors import Vector, VectorSymbol

from .backend import POWERS, Backend
from .coefficient_text import traced_coefficients
from .domains import lowered_of
from .jax_helpers import used
from .names import Naming
from .printing import JNP, Printer
from .statements import Ask, CountLet, InnerLet, Lowered, Routine, Sample, ScalarLet, SweepLet
from .text import WIDTH, docstring, named_tuple, paragraph, wrapped

if TYPE_CHECKING:
    from ..iteration import Algorithm


def source(algorithm: Algorithm, naming: Naming) -> str:
    """The module's text."""
    return assembled(algorithm, Module, naming)


def assembled(algorithm: Algorithm, kind: type[Module], naming: Naming) -> str:
    """The text of a module of that kind, with what it imports and its helpers."""
    lowered = lowered_of(algorithm, naming)
    body = kind(lowered).lines()
    text = "\n".join(body)
    head = [
        *docstring(algorithm, "jax", "JAX."),
        "",
        *(
            ["from collections.abc import Callable"]
            if "Callable[" in text or "_map(" in text
            else []
        ),
        "from typing import Any, NamedTuple, TypeAlias",
        "",
        "import jax",
        "import jax.numpy as jnp",
        *(["import numpy as np"] if "np." in text.replace("jnp.", "") else []),
        "from jax import Array",
        *(["from jax.flatten_util import ravel_pytree"] if "ravel_pytree(" in text else []),
        "from jax.typing import ArrayLike",
        "",
        "PyTree: TypeAlias = Any",
    ]
    helpers = used(text, lowered.population)
    return "\n\n\n".join(["\n".join(head), *helpers, text]) + "\n"


LONGEST = 100  # the wider of the two usual line lengths


class Module:
    """Prints one lowered program as a JAX module, section by section."""

    noise = "key: Array"  # the argument of a step that draws
    casts = False  # whether every map goes through `_map`, which settles the types of its leaves

    def __init__(
        self, lowered: Lowered, late: frozenset[str] = frozenset(), width: int = WIDTH
    ) -> None:
        self.low, self.width = lowered, width
        self.late = late  # names whose leaves do not set the type, as blocks do
        self.fields = {s.name for s in lowered.coefficients.fields}
        self.scalars = Printer(JNP, self.name)
        self.parameters = [s.name for s in lowered.parameters]

    def name(self, name: str) -> str:
        return f"c.{name}" if name in self.fields else name

    def start_name(self, name: str) -> str:
        return "start" if name == start.name else name

    def lines(self) -> list[str]:
        """All of the module after its imports and helpers."""
        sections = [self.state(), self.table(), *self.coefficients(), self.init(), self.step()]
        sections += [self.output(n, r) for n, r in self.low.outputs.items()] + [self.run()]
        return "\n\n\n".join("\n".join(s) for s in sections).splitlines()

    def state(self) -> list[str]:
        low = self.low
        fields = [(b.name, "Array" if b.kind == "scalar" else "PyTree") for b in low.blocks]
        fields += [("k", "Array")] if low.counter is not None else []
        return named_tuple(
            "State", "The state between steps: pytrees of the parameters' structure.", fields
        )

    def table(self) -> list[str]:
        doc = "What the step needs of the hyper-parameters, as arrays."
        return named_tuple(
            "Coefficients", doc, [(n.name, "Array") for n in self.low.coefficients.fields]
        )

    def coefficients(self) -> list[list[str]]:
        return traced_coefficients(self.low)

    # routines

    def arguments(self, routine: Routine) -> list[str]:
        """The oracles that a routine asks."""
        listed = []
        for name in routine.arguments():
            asks = [s for s in routine.statements if isinstance(s, Ask) and s.argument == name]
            if not asks:  # asked in a sweep
                of = "PyTree" if name.startswith("value") else "PyTree, Array"
                listed.append(f"{name}: Callable[[{of}], Array]")
                continue
            first = asks[0]
            given = ", ".join(["PyTree"] * len(first.vectors) + ["Array"] * len(first.scalars))
            returns = "Array" if isinstance(first.target, sp.Symbol) else "PyTree"
            listed.append(f"{name}: Callable[[{given}], {returns}]")
        return listed

    def reads(self, routine: Routine) -> bool:
        return bool(routine.symbols() & self.fields)

    def statements(self, routine: Routine, at_start: bool = False) -> list[str]:
        """The routine's statements as lines."""
        name = self.start_name if at_start else str
        asked = self.late | {
            s.target.name for s in routine.statements if isinstance(s, (Ask, Sample))
        }
        samples = [s for s in routine.statements if isinstance(s, (Sample, CountLet))]
        lines = self.split(len(samples))
        for s in routine.statements:
            target = s.target.name
            if isinstance(s, ScalarLet):
                lines.append(f"    {target} = {self.scalars.scalar(s.value)}")
            elif isinstance(s, SweepLet):
                lines += self.sweep(s, target, name)
            elif isinstance(s, InnerLet):
                lines.append(f"    {target} = _inner({name(s.left.name)}, {name(s.right.name)})")
            elif isinstance(s, Ask):
                point = name(s.vectors[0].name)
                scalars = [f"_like({self.scalars.scalar(e)}, {point})" for e in s.scalars]
                text = f"{s.argument}({', '.join([*(name(v.name) for v in s.vectors), *scalars])})"
                text = f"_row({text})" if s.of_all else text
                lines.append(f"    {target} = {f'jnp.asarray({text}, dtype=float)' if s.target.is_real else text}"
                             if isinstance(s.target, sp.Symbol) else f"    {target} = {text}")  # fmt: skip
            elif isinstance(s, (Sample, CountLet)):
                lines.append(f"    {target} = {self.sampled(s, samples, name(s.like.name))}")
            else:
                lines += self.mapped(f"    {target} = ", s.value, name, asked)
        return lines

    def split(self, count: int) -> list[str]:
        """The keys of so many draws."""
        return [f"    keys = jax.random.split(key, {count})"] if count > 1 else []

    def sampled(self, s: Sample | CountLet, samples: list[Sample | CountLet], like: str) -> str:
        """One of the draws as an expression."""
        key = "key" if len(samples) == 1 else f"keys[{samples.index(s)}]"
        if isinstance(s, CountLet):
            given = f"{key}, {self.scalars.scalar(s.mean)}"
            own = self.low.population and not s.common
            return (
                f"_counts({given}, {like})"
                if own
                else f"jax.random.poisson({given}, ()).astype(float)"
            )
        if isinstance(s.target, VectorSymbol):
            return f"_normal({key}, {like})"
        return f"jax.random.normal({key}, (), float)"

    def sweep(self, s: SweepLet, target: str, name: Callable[[str], str]) -> list[str]:
        """The rate of a coordinate as a function of flat arrays, and the sweep by it."""
        slope, z, i, begin = s.local
        shaped, start = f"{target}_shaped", f"{target}_flat"
        lines = [f"    {start}, {shaped} = ravel_pytree({name(s.start.name)})"]
        flat = {v.name: f"{slope}_{v.name}" for v in s.parts.values()}
        lines += [f"    {to} = ravel_pytree({name(of)})[0]" for of, to in flat.items()]
        read = {
            s.own.name: f"{z}[{i}]",
            **{p.name: f"{flat[v.name]}[{i}]" for p, v in s.parts.items()},
        }
        read |= {p.name: p.name for p in s.asked}
        body = Printer(JNP, lambda n: read.get(n) or f"_like({self.name(n)}, {z})").scalar(s.slope)
        lines += ["", f"    def {slope}({z}: Array, {i}: Array, {begin}: Array) -> Array:"]
        inside: list[str] = []
        if s.value is not None:
            inside += [
                "        def value_at(y: Array) -> Array:",
                f"            return {s.value}({shaped}(y))",
                "",
            ]
        for p, argument in s.asked.items():
            asked = f"{argument}({shaped}({z}), {i})"
            if s.value is not None:
                inside += ["        def partial_at(y: Array, j: Array) -> Array:"]
                inside += [f"            return {argument}({shaped}(y), j)", ""]
                asked = f"_quotient(value_at, partial_at, {z}, {i}, {begin})"
            inside.append(f"        {p.name} = {asked}")
        lines += ["", *inside] if s.value is not None else inside
        given = [slope, start, self.scalars.scalar(s.duration), repr(float(s.implicit))]
        given += ["backward=True"] if s.backward else []
        moved = ", ".join(given)
        return [*lines, f"        return {body}", "", f"    {target} = {shaped}(_sweep({moved}))"]

    def mapped(
        self,
        head: str,
        value: Vector,
        called: Callable[[str], str] | None = None,
        later: frozenset[str] = frozenset(),
    ) -> list[str]:
        """``head`` and the vector expression, mapped over the leaves."""
        called = str if called is None else called
        later = later | self.late
        if isinstance(value, VectorSymbol):
            return [head + called(value.name)]
        symbols = sorted(value.free_symbols, key=lambda s: (s.name in later, s.name))
        trees = [called(s.name) for s in symbols if isinstance(s, VectorSymbol)]
        scalars = [s.name for s in symbols if not isinstance(s, VectorSymbol)]
        body = Printer(JNP, called).vector(value)
        fun = f"lambda {', '.join([*(called(s) for s in scalars), *trees])}: {body}"
        if not scalars and not self.casts:
            return _call(head, "jax.tree.map", [fun, *trees], self.width)
        given = ", ".join(self.name(s) for s in scalars) + ("," if len(scalars) == 1 else "")
        return _call(head, "_map", [fun, f"({given})", *trees], self.width)

    def init(self) -> list[str]:
        routine, low = self.low.init, self.low
        given = [
            "x0: PyTree",
            *self.arguments(routine),
            *(["c: Coefficients"] if self.reads(routine) else []),
        ]
        lines = wrapped("def init", given, " -> State:")
        lines += [
            '    """The state at the starting point x0."""',
            "    start = jax.tree.map(_floating, x0)",
        ]
        lines += self.statements(routine, at_start=True)
        items = []
        for b in low.blocks:
            text, before = self._initial(b, routine)
            lines += before
            items.append(f"{b.name}={text}")
        items += ["k=jnp.zeros((), jnp.int32)"] if low.counter is not None else []
        return [*lines, *wrapped("return State", items, "", "    ")]

    def _initial(self, b: Block, routine: Routine) -> tuple[str, list[str]]:
        value = routine.results[b.name]
        if not isinstance(value, Vector):
            return f"jnp.asarray({self.scalars.scalar(value)}, dtype=float)", []
        if not value and b.kind == "matrix":
            return "jax.tree.map(lambda x: jnp.zeros((x.size, x.size), x.dtype), start)", []
        if not value:
            return "jax.tree.map(jnp.zeros_like, start)", []
        return self._named(value, f"{b.name}_0", self.start_name)

    def _named(
        self, value: Vector, name: str, called: Callable[[str], str] | None = None
    ) -> tuple[str, list[str]]:
        """A vector as an operand, and the lines that make it one."""
        lines = self.mapped("", value, called)
        if isinstance(value, VectorSymbol):
            return lines[0], []
        lines = self.mapped(f"    {name} = ", value, called)
        return name, lines

    def step(self) -> list[str]:
        routine, low = self.low.step, self.low
        given = ["state: State", *self.arguments(routine), "c: Coefficients"]
        lines = wrapped("def step", given + ([self.noise] if routine.draws else []), " -> State:")
        lines.append(f'    """The next state; {routine.calls}."""')
        lines += [*self.unpacked(routine), *self.statements(routine)]
        items = []
        for b in low.blocks:
            text, before = self._result(routine, b.name)
            lines += before
            items.append(f"{b.name}={text}")
        items += ["k=state.k + 1"] if low.counter is not None else []
        return [*lines, *wrapped("return State", items, "", "    ")]

    def _result(self, routine: Routine, name: str) -> tuple[str, list[str]]:
        value = routine.results[name]
        if not isinstance(value, Vector):
            return f"jnp.asarray({self.scalars.scalar(value)}, dtype=float)", []
        if not value:
            return f"jax.tree.map(jnp.zeros_like, state.{name})", []
        return self._named(value, f"{name}_next")

    def unpacked(self, routine: Routine) -> list[str]:
        """The blocks that a routine reads, as locals."""
        read, low = routine.symbols(), self.low
        lines = [f"    {b.name} = state.{b.name}" for b in low.blocks if b.name in read]
        return lines + (
            ["    k = state.k.astype(float)"] if low.counter is not None and "k" in read else []
        )

    def output(self, name: str, routine: Routine) -> list[str]:
        label = "output" if name == "x" else name
        lines = wrapped(
            f"def {label}",
            ["state: State", *self.arguments(routine), "c: Coefficients"],
            " -> PyTree:",
        )
        lines += [
            '    """The algorithm\'s output."""'
            if name == "x"
            else f'    """Further output: {name}."""'
        ]
        value = routine.results[name]
        if not routine.statements and isinstance(value, VectorSymbol):
            return [*lines, f"    return state.{value.name}"]
        lines += [*self.unpacked(routine), *self.statements(routine)]
        if not isinstance(value, Vector):
            return [*lines, f"    return {self.scalars.scalar(value)}"]
        return [*lines, *self.mapped("    return ", value)]

    def run(self) -> list[str]:
        step, init, output = self.low.step, self.low.init, self.low.outputs["x"]
        oracles = list(dict.fromkeys([*self.arguments(step), *self.arguments(init)]))
        given = [
            *oracles,
            "x0: PyTree",
            "steps: int",
            *[f"{p}: ArrayLike" for p in self.parameters],
        ]
        to_init = ["x0", *init.arguments(), *(["c"] if self.reads(init) else [])]
        to_step = [
            "state",
            *step.arguments(),
            "c",
            *(["jax.random.fold_in(key, i)"] if step.draws else []),
        ]
        read = f"output({', '.join(['state', *output.arguments(), 'c'])})"
        doc = "One scan; values that are not finite stay where they arise, since shapes are fixed."
        over = "i: Array" if step.draws else "_: None"
        return [
            *wrapped("def run", given + (["key: Array"] if step.draws else []), " -> PyTree:"),
            '    """The output sequence, shape (steps + 1, *x0.shape), starting point first.',
            "",
            *paragraph(doc, "    "),
            '    """',
            f"    c = coefficients({', '.join(self.parameters)})",
            "",
            f"    def body(state: State, {over}) -> tuple[State, PyTree]:",
            f"        state = step({', '.join(to_step)})",
            f"        return state, {read}",
            "",
            f"    state = init({', '.join(to_init)})",
            f"    _, xs = jax.lax.scan(body, state, {'jnp.arange(steps)' if step.draws else 'None'}, length=steps)",
            f"    first = {read}",
            "    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, xs)",
        ]


def _call(head: str, function: str, items: list[str], width: int) -> list[str]:
    line = f"{head}{function}({', '.join(items)})"
    if len(line) <= width:
        return [line]
    indent = head[: len(head) - len(head.lstrip())]
    lines = [part for i in items for part in _item(f"{indent}    ", i)]
    return [f"{head}{function}(", *lines, f"{indent})"]


def _item(indent: str, item: str) -> list[str]:
    """An argument on a line of its own; a long function as ruff writes it."""
    line = f"{indent}{item},"
    head, colon, body = item.partition(": ")
    if len(line) <= LONGEST or not (colon and item.startswith("lambda ")):
        return [line]
    return [f"{indent}{head}: (", f"{indent}    {body}", f"{indent}),"]


BACKEND = Backend("jax", ".py", frozenset(POWERS), source)
