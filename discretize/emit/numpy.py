"""The NumPy backend: a stand-alone module with `coefficients`, `init`, `step`, `output` and `run`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import sympy as sp

from odescent.dynamics.fields import Block, start
from odescent.dynamics.vectors import Vector, VectorSymbol

from .backend import POWERS, Backend
from .coefficient_text import plain_coefficients
from .domains import lowered_of
from .names import Naming
from .numpy_helpers import used
from .printing import MATH, NUMPY, Printer
from .statements import Ask, CountLet, InnerLet, Lowered, Routine, Sample, ScalarLet, SweepLet
from .text import docstring, named_tuple, paragraph, wrapped

if TYPE_CHECKING:
    from ..iteration import Algorithm


def source(algorithm: Algorithm, naming: Naming) -> str:
    """The module's text."""
    lowered = lowered_of(algorithm, naming)
    module = Module(lowered)
    body = module.lines()
    imports = [
        f"import {name}"
        for name in ("math", "warnings")
        if any(f"{name}." in line for line in [*body, *used("\n".join(body))])
    ]
    head = [
        *docstring(algorithm, "numpy", "NumPy."),
        "",
        *imports,
        "from collections.abc import Callable",
        "from typing import Any, NamedTuple, TypeAlias",
        "",
        "import numpy as np",
        "from numpy.typing import ArrayLike, NDArray",
        "",
        "Array: TypeAlias = NDArray[np.floating[Any]]",
    ]
    helpers = used("\n".join(body))
    return "\n\n\n".join(["\n".join(head), *helpers, "\n".join(body)]) + "\n"


class Module:
    """Prints one lowered program as a NumPy module, section by section."""

    def __init__(self, lowered: Lowered) -> None:
        self.low = lowered
        self.fields = {s.name for s in lowered.coefficients.fields}
        self.scalars = Printer(NUMPY if lowered.population else MATH, self.name)
        self.arrays = Printer(NUMPY, self.name)
        self.parameters = [s.name for s in lowered.parameters]

    def name(self, name: str) -> str:
        return f"c.{name}" if name in self.fields else name

    def lines(self) -> list[str]:
        """All of the module after its imports."""
        sections = [self.state(), self.table(), *self.coefficients(), self.init(), self.step()]
        sections += [self.output(n, r) for n, r in self.low.outputs.items()] + [self.run()]
        return "\n\n\n".join("\n".join(s) for s in sections).splitlines()

    def state(self) -> list[str]:
        fields = [(b.name, "float" if b.kind == "scalar" else "Array") for b in self.low.blocks]
        fields += [("k", "int")] if self.low.counter is not None else []
        return named_tuple("State", "The state between steps.", fields)

    def table(self) -> list[str]:
        doc = "What the step needs of the hyper-parameters."
        return named_tuple(
            "Coefficients", doc, [(n.name, "float") for n in self.low.coefficients.fields]
        )

    def coefficients(self) -> list[list[str]]:
        return plain_coefficients(self.low)

    # routines

    def arguments(self, routine: Routine) -> list[str]:
        """Oracles, coefficients and the generator, as the routine needs them."""
        listed = []
        for name in routine.arguments():
            kinds = [s for s in routine.statements if isinstance(s, Ask) and s.argument == name]
            if not kinds:  # asked in a sweep
                given = "Array" if name.startswith("value") else "Array, int"
                listed.append(f"{name}: Callable[[{given}], float]")
                continue
            vectors = ", ".join(
                ["Array"] * len(kinds[0].vectors) + ["float"] * len(kinds[0].scalars)
            )
            one = isinstance(kinds[0].target, sp.Symbol) and not self.low.population
            returns = "float" if one else "Array"
            listed.append(f"{name}: Callable[[{vectors}], {returns}]")
        return listed

    def reads(self, routine: Routine) -> bool:
        return bool(routine.symbols() & self.fields)

    def start_name(self, name: str) -> str:
        return "start" if name == start.name else self.name(name)

    def statements(self, routine: Routine, at_start: bool = False) -> list[str]:
        name = self.start_name if at_start else self.name
        arrays = Printer(NUMPY, name)
        lines = []
        for s in routine.statements:
            target = s.target.name
            if isinstance(s, SweepLet):
                lines += self.sweep(s, target, name)
                continue
            if isinstance(s, ScalarLet):
                text = self.scalars.scalar(s.value)
            elif isinstance(s, InnerLet) and self.low.population:
                left, right = name(s.left.name), name(s.right.name)
                text = f"np.sum({left} * {right}, axis=-1, keepdims=True)"
            elif isinstance(s, InnerLet):
                text = f"float(np.vdot({name(s.left.name)}, {name(s.right.name)}))"
            elif isinstance(s, Ask):
                given = [name(v.name) for v in s.vectors] + [
                    self.scalars.scalar(e) for e in s.scalars
                ]
                text = f"{s.argument}({', '.join(given)})"
                if isinstance(s.target, sp.Symbol):
                    text = f"{text}[:, None]" if self.low.population else f"float({text})"
            elif isinstance(s, CountLet):
                mean, like = self.scalars.scalar(s.mean), name(s.like.name)
                own = self.low.population and not s.common
                text = f"rng.poisson({mean}, {f'({like}.shape[0], 1)' if own else '()'})"
                text = f"{text}.astype(float)" if own else f"float({text})"
            elif isinstance(s, Sample):
                like = name(s.like.name)
                vector = isinstance(s.target, VectorSymbol)
                text = f"rng.standard_normal({like}.shape).astype({like}.dtype)"
                text = text if vector else "float(rng.standard_normal())"
            else:
                text = arrays.vector(s.value)
            lines.append(f"    {target} = {text}")
        return lines

    def sweep(self, s: SweepLet, target: str, name: Callable[[str], str]) -> list[str]:
        """The rate of a coordinate as a function, and the sweep by it."""
        slope, z, i, begin = s.local
        read = {
            s.own.name: f"{z}.flat[{i}]",
            **{p.name: f"{name(v.name)}.flat[{i}]" for p, v in s.parts.items()},
        }
        body = Printer(MATH, lambda n: read.get(n) or name(n)).scalar(s.slope)
        of = f"{z}, {i}" if s.value is None else f"{z}, {i}, {begin}"
        lines = [f"    def {slope}({z}: Array, {i}: int, {begin}: float) -> float:"]
        for p, argument in s.asked.items():
            ask = argument if s.value is None else f"_quotient({s.value}, {argument}, "
            lines.append(f"        {p.name} = {ask}{'(' if s.value is None else ''}{of})")
        given = [
            slope,
            name(s.start.name),
            self.scalars.scalar(s.duration),
            repr(float(s.implicit)),
        ]
        given += ["backward=True"] if s.backward else []
        swept = wrapped(f"{target} = _sweep", given, "", "    ")
        return ["", *lines, f"        return float({body})", "", *swept]

    def init(self) -> list[str]:
        routine, low = self.low.init, self.low
        given = [
            "x0: ArrayLike",
            *self.arguments(routine),
            *(["c: Coefficients"] if self.reads(routine) else []),
        ]
        items = [f"{b.name}={self._initial(b, routine)}" for b in low.blocks]
        items += ["k=0"] if low.counter is not None else []
        return [
            *wrapped("def init", given, " -> State:"),
            f'    """The state at the starting {self.low.start_text}."""',
            "    given = np.array(x0)",
            '    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():',
            '        raise ValueError("x0 must be an array of finite real numbers.")',
            '    start = given if given.dtype.kind == "f" else given.astype(float)',
            *self.statements(routine, at_start=True),
            *wrapped("return State", items, "", "    "),
        ]

    def _initial(self, b: Block, routine: Routine) -> str:
        value = routine.results[b.name]
        if not isinstance(value, Vector):
            return f"float({self.scalars.scalar(value)})"
        if not value:
            return (
                "np.zeros((start.size, start.size))"
                if b.kind == "matrix"
                else "np.zeros_like(start)"
            )
        return Printer(NUMPY, self.start_name).vector(value)

    def step(self) -> list[str]:
        routine, low = self.low.step, self.low
        given = ["state: State", *self.arguments(routine), "c: Coefficients"]
        given += ["rng: np.random.Generator"] if routine.draws else []
        lines = wrapped("def step", given, " -> State:")
        lines += [f'    """The next state; {routine.calls}."""']
        read = routine.symbols()
        lines += [f"    {b.name} = state.{b.name}" for b in low.blocks if b.name in read]
        lines += ["    k = state.k"] if low.counter is not None and "k" in read else []
        body = self.statements(routine)
        items = [f"{b.name}={self._value(routine, b.name)}" for b in low.blocks]
        items += ["k=state.k + 1"] if low.counter is not None else []
        return [*lines, *body, *wrapped("return State", items, "", "    ")]

    def _value(self, routine: Routine, name: str) -> str:
        value = routine.results[name]
        if isinstance(value, Vector):
            return self.arrays.vector(value) if value else f"np.zeros_like(state.{name})"
        return self.scalars.scalar(value)

    def output(self, name: str, routine: Routine) -> list[str]:
        label = "output" if name == "x" else name
        given = ["state: State", *self.arguments(routine), "c: Coefficients"]
        lines = wrapped(f"def {label}", given, " -> Array:")
        lines += [
            '    """The algorithm\'s output."""'
            if name == "x"
            else f'    """Further output: {name}."""'
        ]
        read = routine.symbols()
        value, low = routine.results[name], self.low
        if not routine.statements and isinstance(value, VectorSymbol):
            return [*lines, f"    return state.{value.name}"]
        lines += [f"    {b.name} = state.{b.name}" for b in low.blocks if b.name in read]
        lines += ["    k = state.k"] if "k" in read and self.low.counter is not None else []
        return [*lines, *self.statements(routine), f"    return {self._value(routine, name)}"]

    def run(self) -> list[str]:
        step, init, output = self.low.step, self.low.init, self.low.outputs["x"]
        oracles = list(dict.fromkeys([*self.arguments(step), *self.arguments(init)]))
        given = [*oracles, "x0: ArrayLike", "steps: int", *[f"{p}: float" for p in self.parameters]]
        given += ["rng: np.random.Generator"] if step.draws else []
        to_init = ["x0", *init.arguments(), *(["c"] if self.reads(init) else [])]
        to_step = ["state", *step.arguments(), "c", *(["rng"] if step.draws else [])]
        read = f"output({', '.join(['state', *output.arguments(), 'c'])})"
        doc = (
            "A run that leaves the finite numbers warns with the number of the step and returns the points "
            "before it."
        )
        return [
            *wrapped("def run", given, " -> Array:"),
            '    """The output sequence, shape (steps + 1, *x0.shape), starting point first.',
            "",
            *paragraph(doc, "    "),
            '    """',
            f"    c = coefficients({', '.join(self.parameters)})",
            f"    state = init({', '.join(to_init)})",
            f"    first = {read}",
            "    xs = np.empty((steps + 1, *first.shape), first.dtype)",
            "    xs[0] = first",
            "    for i in range(1, steps + 1):",
            '        with np.errstate(over="ignore", invalid="ignore"):',
            f"            state = step({', '.join(to_step)})",
            f"            xs[i] = {read}",
            "        if not np.isfinite(xs[i]).all():",
            '            message = f"step {i} is not finite; the points before it are returned."',
            "            warnings.warn(message, RuntimeWarning, stacklevel=2)",
            "            return xs[:i]",
            "    return xs",
        ]


BACKEND = Backend("numpy", ".py", frozenset(POWERS), source)
