"""The NumPy backend: a stand-alone module with `coefficients`, `init`, `step`, `output` and `run`."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.vectors import Expr, VectorSymbol
from ....dynamics.algebra.windows import is_window
from ....dynamics.vector_fields.block import Block
from ..backend import POWERS, Backend
from ..lowering.statements import (
    Ask,
    ChooseLet,
    CountLet,
    LoopLet,
    Lowered,
    Routine,
    Sample,
    SweepLet,
)
from ..modules.coefficient_function import plain_coefficients
from ..modules.module_writer import Called, ModuleWriter
from ..modules.numpy_helpers import HELPERS
from ..modules.python_loops import loop_lines
from ..printing.language import MATH, NUMPY, STEP
from ..printing.lines import WIDTH, indented, width, wrapped
from ..printing.printer import Printer

IMPORTS = """
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
"""


class NumpyModule(ModuleWriter):
    """A module of loops over arrays, with the numbers of a step in Python's floats."""

    target, language, library = "numpy", "NumPy.", "np"
    imports, helpers = IMPORTS, HELPERS
    noise = "rng: np.random.Generator"
    counted: str | None = "Any"
    first_counter = "rng.bit_generator.state"
    run_notes = (
        "A run that leaves the finite numbers warns with the number of the step and returns the points before it.",
    )

    def __init__(self, lowered: Lowered) -> None:
        super().__init__(lowered)
        own = any(isinstance(s, CountLet) and not s.common for s in lowered.step.statements)
        arrays = lowered.population or own  # scalars are one number, or one for each row
        self.scalars = Printer(NUMPY if arrays else STEP, self.name)
        if lowered.population:
            self.value = self.vector
            self.start_doc = "points x0 of N particles, an array of shape (N, d)"

    start_doc = "point x0, an array of any shape"

    def coefficients(self) -> list[list[str]]:
        return plain_coefficients(self.low)

    def inner(self, left: str, right: str) -> str:
        if self.low.population:
            return f"np.sum({left} * {right}, axis=-1, keepdims=True)"
        return f"float(np.vdot({left}, {right}))"

    def asked(self, s: Ask, called: Called) -> str:
        text = super().asked(s, called)
        if s.over and self.low.population:
            return f"_rows({text.replace('(', ', ', 1)}"
        if not isinstance(s.target, sp.Symbol):
            return text
        return f"{text}[:, None]" if self.low.population else f"float({text})"

    def drawn_again(self, s: Sample, like: str) -> str:
        return f"_again(state.{s.again}).standard_normal({like}.shape).astype({like}.dtype)"

    def before_draw(self, s: Sample | CountLet) -> list[str]:
        kept = s.target.name in self.low.kept.values()
        return [f"    {s.target.name}_from = rng.bit_generator.state"] if kept else []

    def counter_of(self, target: str) -> str:
        return f"{target}_from"

    def drawn(self, s: Sample | CountLet, samples: Sequence[Sample | CountLet], like: str) -> str:
        if isinstance(s, CountLet):
            mean = self.scalars.scalar(s.mean)
            return f"float(rng.poisson({mean}))" if s.common else f"_counts(rng, {mean}, {like})"
        if isinstance(s.target, VectorSymbol):
            return f"rng.standard_normal({like}.shape).astype({like}.dtype)"
        return "float(rng.standard_normal())"

    def sweep(self, s: SweepLet, called: Called) -> list[str]:
        """The rate of a coordinate as a function, and the sweep by it."""
        slope, z, i, begin = s.local
        read = {
            s.own.name: f"{z}.flat[{i}]",
            **{p.name: f"{called(v.name)}.flat[{i}]" for p, v in s.parts.items()},
        }
        body = Printer(MATH, lambda n: read.get(n) or called(n)).scalar(s.slope)
        of = f"{z}, {i}" if s.value is None else f"{z}, {i}, {begin}"
        lines = [f"    def {slope}({z}: Array, {i}: int, {begin}: float) -> float:"]
        for p, argument in s.asked.items():
            ask = argument if s.value is None else f"_quotient({s.value}, {argument}, "
            lines.append(f"        {p.name} = {ask}{'(' if s.value is None else ''}{of})")
        given = self.swept(s, called(s.start.name))
        swept = wrapped(f"{s.target.name} = _sweep", given, "", "    ")
        return ["", *lines, f"        return float({body})", "", *swept]

    def choose(self, s: ChooseLet, called: Called) -> list[str]:
        def taken(routine: Routine) -> list[str]:
            lines = self.nested(routine, called)
            return [*lines, *self.given(s.targets, list(routine.results.values()), called)]

        reject = taken(s.reject)
        otherwise = ["    else:", *reject] if reject else []
        return [
            *_declared(s.targets),
            f"    if {self.guard(s.guard)}:",
            *(taken(s.accept) or ["        pass"]),
            *otherwise,
        ]

    def given(
        self, targets: Sequence[Symbol], values: Sequence[Expr], called: Called, deeper: int = 1
    ) -> list[str]:
        """The assignment of several values at once; none for names that stay as they are."""
        pairs = [(t, v) for t, v in zip(targets, values, strict=True) if t != v]
        left = ", ".join(t.name for t, _ in pairs)
        right = [self.ending(v, called) for _, v in pairs]
        line = f"    {left} = {', '.join(right)}"
        if width(line) > self.room - 4 * deeper:  # as ruff writes a tuple
            return indented(wrapped(f"{left} = ", right, "", "    ", room=0), deeper)
        return indented([line], deeper) if pairs else []

    def repeat(self, s: LoopLet, called: Called) -> list[str]:
        values = [s.body.results[t.name] for t in s.targets]
        body, moved = self.nested(s.body, called), self.given(s.targets, values, called)
        begun = [*_declared(s.targets), *self.given(s.targets, s.begin, called, 0)]
        return [*begun, *loop_lines(s, self.scalars, body, moved)]

    def zero(self, like: str) -> str:
        return f"np.zeros_like({like})"

    def zeros(self, b: Block, like: str) -> str:
        if b.operates and like == "start":
            return f"np.zeros(({', '.join(self.shape(b, 'start'))}))"
        return self.zero(like)

    def eye(self, b: Block, scale: str) -> str:
        return f"{scale}np.eye({self.shape(b, 'start')[0]}, dtype=start.dtype)"

    def held(self, text: str, first: bool) -> str:
        return f"float({text})" if first else text

    def started(self, name: str = "start", given: str = "x0") -> list[str]:
        return [
            f"    given = np.array({given})",
            '    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():',
            f'        raise ValueError("{given} must be an array of finite real numbers.")',
            f'    {name} = given if given.dtype.kind == "f" else given.astype(float)',
        ]

    def loop(self, first: str, to_step: list[str], read: str) -> list[str]:
        given = [*to_step, *(["rng"] if self.low.step.draws else [])]
        measured = any(r.measures for r in (self.low.step, *self.low.outputs.values()))
        later = 12 if measured else 8  # how much further all of it is indented
        one = [
            'with np.errstate(over="ignore", invalid="ignore"):',
            *wrapped("state = step", given, indent="    ", room=WIDTH - later),
            f"    xs[i] = {read}",
        ]
        # Python's own numbers raise where NumPy's are not finite
        if measured:
            one = [
                "try:",
                *indented(one),
                "except (ZeroDivisionError, OverflowError):",
                "    xs[i] = np.nan",
            ]
        return [
            f"    state = {first}",
            f"    first = {read}",
            "    xs = np.empty((steps + 1, *first.shape), first.dtype)",
            "    xs[0] = first",
            "    for i in range(1, steps + 1):",
            *indented(one, 2),
            "        if not np.isfinite(xs[i]).all():",
            '            message = f"step {i} is not finite; the points before it are returned."',
            "            warnings.warn(message, RuntimeWarning, stacklevel=2)",
            "            return xs[:i]",
            "    return xs",
        ]


def _declared(targets: Sequence[Symbol]) -> list[str]:
    """The types of names that get one of several values; a first value of 0 would say that all are whole numbers."""
    kinds = {s: "Array" if isinstance(s, VectorSymbol) else "float" for s in targets}
    return [f"    {s.name}: {kind}" for s, kind in kinds.items() if not is_window(s)]


BACKEND = Backend("numpy", ".py", frozenset(POWERS), NumpyModule.source)
