"""The JAX backend: the NumPy module's functions on pytrees, under jit, vmap and grad.

Every coefficient is an array of the default float type and is cast to each leaf's type where it is
used, so that the code runs under strict promotion in any precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ....dynamics.maps.form import LEAF
from ....dynamics.vector_fields.block import Block
from ..backend import POWERS, Backend
from ..lowering.statements import Ask, ChooseLet, CountLet, LoopLet, Sample, SweepLet
from ..modules.coefficient_function import traced_coefficients
from ..modules.jax_helpers import EACH, HELPERS
from ..modules.module_writer import Called, ModuleWriter
from ..printing.language import JNP
from ..printing.lines import LETTERS, WIDTH, bare, tupled, width, wrapped
from ..printing.printer import Printer

LONGEST = 100  # the wider of the two usual line lengths
IMPORTS = """
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

PyTree: TypeAlias = Any
"""


# functions of loops, by how they are differentiated
_LOOPS = {"fixed point": "_fixed_point", "search": "_searched", "": "_repeated"}


class JaxModule(ModuleWriter):
    """A module of functions on pytrees; what depends on leaves is mapped over them."""

    target, language, library, syntax = "jax", "JAX.", "jnp", JNP
    vector, scalar, number, index, starting = "PyTree", "Array", "ArrayLike", "Array", "PyTree"
    state_doc = "The state between steps: pytrees of the parameters' structure."
    table_doc = "What the step needs of the hyper-parameters, as arrays."
    counter, count = "state.k.astype(float)", "jnp.zeros((), jnp.int32)"
    noise = "key: Array"
    counted: str | None = "Array"
    first_counter = "jnp.array(key)"
    imports, helpers = IMPORTS, HELPERS
    run_notes = (
        "One scan; values that are not finite stay where they arise, since shapes are fixed.",
    )
    room = WIDTH
    casts = False  # whether every map goes through `_map`, which settles the types of its leaves
    late = frozenset[str]()  # names whose leaves do not set the type, as blocks do

    def known_helpers(self) -> dict[str, str]:
        return EACH if self.low.population else HELPERS

    def inside(self, name: str) -> str:
        return name  # of an argument of a function that is mapped

    def coefficients(self) -> list[list[str]]:
        return traced_coefficients(self.low)

    # statements

    def inner(self, left: str, right: str) -> str:
        return f"_inner({left}, {right})"

    def asked(self, s: Ask, called: Called) -> str:
        vectors = [called(v.name) for v in s.vectors]
        if s.over:
            numbers = "".join(f"{self.scalars.scalar(e)}, " for e in s.scalars)
            numbers = (
                numbers.removesuffix(" ") if len(s.scalars) == 1 else numbers.removesuffix(", ")
            )
            tree = f"_memory({vectors[0]})" if self.casts else vectors[0]
            return f"{'_leaves' if s.over == LEAF else '_flat'}({s.argument}, ({numbers}), {tree})"
        scalars = [f"_like({self.scalars.scalar(e)}, {vectors[0]})" for e in s.scalars]
        text = f"{s.argument}({', '.join([*vectors, *scalars])})"
        text = f"_row({text})" if s.of_all else text
        return f"jnp.asarray({text}, dtype=float)" if isinstance(s.target, sp.Symbol) else text

    def before_draws(self, count: int) -> list[str]:
        return [f"    keys = jax.random.split(key, {count})"] if count > 1 else []

    def drawn_again(self, s: Sample, like: str) -> str:
        return f"_normal(state.{s.again}, {like})"

    def counter_of(self, target: str) -> str:
        step = self.low.step
        return "key" if len(step.samples) == 1 else f"keys[{step.place_of(target)}]"

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        key = "key" if len(samples) == 1 else f"keys[{samples.index(s)}]"
        if isinstance(s, CountLet):
            given = f"{key}, {self.scalars.scalar(s.mean)}"
            if s.common:
                return f"jax.random.poisson({given}, ()).astype(float)"
            return f"_counts({given}, {like})"
        if isinstance(s.target, VectorSymbol):
            return f"_normal({key}, {like})"
        return f"jax.random.normal({key}, (), float)"

    def sweep(self, s: SweepLet, called: Called) -> list[str]:
        """The rate of a coordinate as a function of flat arrays, and the sweep by it."""
        slope, z, i, begin = s.local
        shaped, start = f"{s.target.name}_shaped", f"{s.target.name}_flat"
        lines = [f"    {start}, {shaped} = ravel_pytree({called(s.start.name)})"]
        flat = {v.name: f"{slope}_{v.name}" for v in s.parts.values()}
        lines += [f"    {to} = ravel_pytree({called(of)})[0]" for of, to in flat.items()]
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
        moved = f"{shaped}(_sweep({', '.join(self.swept(s, start))}))"
        return [*lines, f"        return {body}", "", f"    {s.target.name} = {moved}"]

    def choose(self, s: ChooseLet, called: Called) -> list[str]:
        """Each branch as a function, of which one is called."""
        lines: list[str] = []
        for name, routine in zip(s.local, (s.accept, s.reject), strict=True):
            lines += ["", f"    def {name}() -> Any:", *self.nested(routine, called)]
            values = [self.ending(v, called) for v in routine.results.values()]
            lines += tupled("return ", values, indent="        ", room=self.room)
        given = [self.guard(s.guard), *s.local]
        return [
            *lines,
            "",
            *wrapped(f"{_listed(s.targets)} = jax.lax.cond", given, "", "    ", room=self.room),
        ]

    def repeat(self, s: LoopLet, called: Called) -> list[str]:
        """An iteration as a function, and the loop."""
        n, limit = s.count.name, self.scalars.scalar(s.limit)
        ended = f"{n} >= {limit}" if s.until is None else self.guard(s.until)
        values = [self.ending(v, called) for v in s.body.results.values()]
        begun = [self.ending(v, called) for v in s.begin]
        function = _LOOPS[s.ended]
        if s.until is None and limit.isdigit():
            function = "_counted"
        return [
            "",
            f"    def {s.local}(blocks: Any, {n}: Array) -> tuple[Any, Array]:",
            f"        {_listed(s.targets)} = blocks",
            *self.nested(s.body, called),
            *tupled("new = ", values, indent="        ", room=self.room),
            f"        return new, {ended}",
            "",
            *tupled(f"{s.local}_begin = ", begun, room=self.room),
            *wrapped(
                f"{_tuple(s.targets)}, {n} = {function}",
                [s.local, f"{s.local}_begin", limit],
                "",
                "    ",
                room=self.room,
            ),
        ]

    def ending(self, value: Expr, called: Called) -> str:
        """A result of a branch or an iteration; numbers as arrays, so that both branches have one type."""
        text = super().ending(value, called)
        if isinstance(value, VectorSymbol):
            return f"_memory({text})" if self.casts else text
        return self.held(text, False)

    def assigned(
        self, head: str, value: Vector, called: Called, late: frozenset[str] = frozenset()
    ) -> list[str]:
        late = late | self.late
        if isinstance(value, VectorSymbol):
            return [head + called(value.name)]
        symbols = sorted(value.free_symbols, key=lambda s: (s.name in late, bare(s.name)))
        vectors = [s.name for s in symbols if isinstance(s, VectorSymbol)]
        trees = [called(n) for n in vectors]
        scalars = [s.name for s in symbols if not isinstance(s, VectorSymbol)]

        def written(named: Called) -> str:
            given = ", ".join(map(named, [*scalars, *vectors]))
            return f"lambda {given}: {Printer(JNP, named).vector(value)}"

        fun = written(called)
        alone = width(head) - width(head.lstrip()) + width(f"    {fun},")  # on a line of its own
        # between the two usual line lengths each would write it differently
        if self.room < alone <= self.room + LONGEST - WIDTH:
            fun = written(dict(zip([*scalars, *vectors], LETTERS, strict=False)).__getitem__)
        if not scalars and not self.casts:
            return self._call(head, "jax.tree.map", [fun, *trees])
        given = ", ".join(self.name(s) for s in scalars) + ("," if len(scalars) == 1 else "")
        return self._call(head, "_map", [fun, f"({given})", *trees])

    def operand(self, value: Vector, name: str, called: Called) -> tuple[str, list[str]]:
        if isinstance(value, VectorSymbol):
            return called(value.name), []
        return name, self.assigned(f"    {name} = ", value, called)

    def _call(self, head: str, function: str, items: list[str]) -> list[str]:
        line = f"{head}{function}({', '.join(items)})"
        if width(line) <= self.room:
            return [line]
        indent = head[: len(head) - len(head.lstrip())]
        lines = [part for i in items for part in _item(f"{indent}    ", i)]
        return [f"{head}{function}(", *lines, f"{indent})"]

    def solver(self, given: list[str], method: str) -> list[str]:
        return [*given, "symmetric=False"] if method == "gmres" else given

    # functions

    def joined(self, parts: Sequence[str]) -> str:
        return f"({', '.join(parts)})"

    def part(self, whole: str, place: int, like: Sequence[str]) -> str:
        return f"{whole}[{place}]"

    def zero(self, like: str) -> str:
        return f"jax.tree.map(jnp.zeros_like, {like})"

    def zeros(self, b: Block, like: str) -> str:
        if b.operates and like == "start":
            shape = ", ".join(self.shape(b, "x"))
            return f"jax.tree.map(lambda x: jnp.zeros(({shape}), x.dtype), start)"
        return self.zero(like)

    def eye(self, b: Block, scale: str) -> str:
        size = self.shape(b, "x")[0]
        return f"jax.tree.map(lambda x: {scale}jnp.eye({size}, dtype=x.dtype), start)"

    def held(self, text: str, first: bool) -> str:
        made = "array" if first else "asarray"  # a state has buffers of its own
        return f"jnp.{made}({text}, dtype=float)"

    def started(self, name: str = "start", given: str = "x0") -> list[str]:
        return [f"    {name} = jax.tree.map(_floating, {given})"]

    def loop(self, first: str, to_step: list[str], read: str) -> list[str]:
        draws = self.low.step.draws
        given = [*to_step, *(["jax.random.fold_in(key, i)"] if draws else [])]
        return [
            "",
            f"    def body(state: State, {'i: Array' if draws else '_: None'}) -> tuple[State, PyTree]:",
            *wrapped("state = step", given, indent="        "),
            f"        return state, {read}",
            "",
            f"    state = {first}",
            f"    _, xs = jax.lax.scan(body, state, {'jnp.arange(steps)' if draws else 'None'}, length=steps)",
            f"    first = {read}",
            "    return jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), first, xs)",
        ]


def _tuple(targets: Sequence[Symbol]) -> str:
    """The names as a tuple."""
    return f"({', '.join(s.name for s in targets)}{',' * (len(targets) == 1)})"


def _listed(targets: Sequence[Symbol]) -> str:
    """The same on the left of an assignment, where ruff keeps parentheses around one name alone."""
    return _tuple(targets) if len(targets) == 1 else _tuple(targets)[1:-1]


def _item(indent: str, item: str) -> list[str]:
    """An argument on a line of its own; a long function as ruff writes it."""
    line = f"{indent}{item},"
    head, colon, body = item.partition(": ")
    if width(line) <= LONGEST or not (colon and item.startswith("lambda ")):
        return [line]
    return [f"{indent}{head}: (", f"{indent}    {body}", f"{indent}),"]


class DrawnModule(JaxModule):
    """A module whose draws are arguments, like its oracles, for runs of the package.

    Its ``step`` has ``draw`` in the place of ``key``; see `discretize.draws.drawing`. It has no ``run``, but the kinds
    of its draws and the blocks that have their shapes. Numbers of jumps come after the normals.
    """

    noise = "draw: Callable[..., Any]"
    counted = None

    def before_draws(self, count: int) -> list[str]:
        return []

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        number = _ordered(samples).index(s)
        if isinstance(s, CountLet):
            return f"draw({number}, {like}, {self.scalars.scalar(s.mean)}, {s.common})"
        return f"draw({number}, {like})"

    def run(self) -> list[str]:
        drawn = [s for s in self.low.step.statements if isinstance(s, (Sample, CountLet))]
        samples = _ordered(drawn)
        first = next((b.name for b in self.low.blocks if b.kind != "scalar"), None)
        kinds = [_kind(s) for s in samples]
        like = [
            s.like.name if kind == "vector" else first
            for s, kind in zip(samples, kinds, strict=True)
        ]
        return [
            f"DRAWS = {tuple(kinds)!r}",
            f"LIKE = {tuple(like)!r}",
            f"POPULATION = {self.low.population}",
        ]


def _ordered(samples: Sequence[Sample | CountLet]) -> list[Sample | CountLet]:
    return sorted(samples, key=lambda s: isinstance(s, CountLet))


def _kind(s: Sample | CountLet) -> str:
    if isinstance(s, CountLet):
        return "count"
    return "vector" if isinstance(s.target, VectorSymbol) else "scalar"


class WholeModule(JaxModule):
    """The module with every memory as a vector, for runs of the package that record them."""

    counted = None


BACKEND = Backend("jax", ".py", frozenset(POWERS), JaxModule.source)
WHOLE = Backend("jax", ".py", frozenset(POWERS), WholeModule.source)
DRAWN = Backend("jax", ".py", frozenset(POWERS), DrawnModule.source)
