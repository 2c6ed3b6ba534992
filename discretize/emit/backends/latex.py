"""The LaTeX backend: one step as aligned equations, and the whole algorithm as an `algorithmic` listing.

Blocks carry the step number: ``x_k`` before the step and ``x_{k+1}`` after it; values in between are
primed or named as in the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from ....dynamics.algebra.calculus import Symbol, renamed, substitute, symbols_of
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.vectors import Expr, ScalarNode, Vector, VectorSymbol, zero
from ....dynamics.notation.show import latex as show
from ....dynamics.notation.show import symbol_latex
from ....dynamics.vector_fields.block import start
from ...programs.program import (
    Assign,
    CallOracle,
    Choose,
    Count,
    Draw,
    Instruction,
    Loop,
    Plain,
    Program,
    SweepCoordinates,
)
from ..backend import POWERS, Backend
from ..lowering.coefficients import in_order, presentable, presented
from ..lowering.lower import solve_implicit
from ..lowering.names import version
from ..modules.text import description, heading

if TYPE_CHECKING:
    from ...step.iteration import Iteration
    from ..lowering.names import Naming


_GUARD = ("<", r"\le", r"\text{ and }", r"\text{ or }", r"\left(", r"\right)")
_PRIMES = 3  # more are written as a number


class _Step:
    """A program's step in mathematical notation."""

    def __init__(self, program: Program) -> None:
        program = self.program = solve_implicit(program)
        blocks = {b.name for b in program.blocks}
        last = {e: s for s, e in program.next.items() if isinstance(e, (VectorSymbol, sp.Symbol))}
        self.names: dict[str, str] = {b: _indexed(symbol_latex(b), "k") for b in blocks}
        for s in program.defined:
            name = s.name
            if s in last:
                self.names[name] = _indexed(symbol_latex(last[s].name), "k+1")
                continue
            stem, number = version(name)
            block, _, stage = stem.partition("_")
            if stage and block in blocks and stem not in blocks:  # a block at a saved stage
                half = stage == "half"
                accent = "" if half else rf"^{{\mathrm{{{stage}}}}}"
                self.names[name] = _indexed(symbol_latex(block) + accent, "k+1/2" if half else "k")
            else:
                times = int(number or 0)
                primes = "'" * times if times <= _PRIMES else f"^{{({times})}}"
                self.names[name] = _indexed(symbol_latex(stem) + primes, "k")

    def show(self, e: Expr) -> str:
        """An expression with the step numbers on its symbols."""
        e = presented(e)
        marks: dict[str, str] = {}
        swaps: dict[Symbol, Expr] = {}
        for s in sorted(symbols_of(e), key=lambda s: s.name):
            vector = isinstance(s, VectorSymbol)
            if s.name in self.names and (vector or s.name not in self.parameters):
                mark = f"Q{_letters(len(marks))}"
                marks[symbol_latex(mark)] = self.names[s.name]
                swaps[s] = renamed(s, mark)
        text = show(substitute(e, swaps))

        def named(found: re.Match[str]) -> str:
            name, power = marks[found[1]], found[2]
            taken = power and ("'" in name or "^" in name)  # TeX allows one superscript
            return (f"{{{name}}}" if taken else name) + power

        return re.sub(r"(\\mathrm\{Q[A-Z]+\})(\^?)", named, text)

    @property
    def parameters(self) -> set[str]:
        return {s.name for s in self.program.parameters}

    def target(self, i: Plain) -> str:
        return self.names[i.target.name]

    def lines(self) -> list[tuple[str, str]]:
        """The step as pairs of left and right sides."""
        rows = self.rows(self.program.instructions)
        for s, e in self.program.next.items():
            after = _indexed(symbol_latex(s.name), "k+1")
            text = self.show(e)
            if text != after:
                rows.append((after, "= " + text))
        return rows

    def rows(self, instructions: Iterable[Instruction]) -> list[tuple[str, str]]:
        """Instructions as pairs of left and right sides."""
        rows: list[tuple[str, str]] = []
        for i in instructions:
            if isinstance(i, Draw):
                rows.append((self.target(i), rf"\sim {i.drawn_from.latex}"))
            elif isinstance(i, Count):
                rows.append((self.target(i), rf"\sim \mathrm{{Poisson}}({self.show(i.mean)})"))
            elif isinstance(i, Assign):
                rows.append((self.target(i), "= " + self.show(i.value)))
            elif isinstance(i, SweepCoordinates):
                rows += self.sweep(i)
            elif isinstance(i, Choose):
                rows += self.choose(i)
            elif isinstance(i, Loop):
                rows += self.repeat(i)
            else:
                rows.append((self.target(i), "= " + self.show(i.as_call())))
        return rows

    def choose(self, i: Choose) -> list[tuple[str, str]]:
        """What each branch computes, and the values by cases."""
        guard = i.guard.written(self.show, _GUARD)
        rows = [
            (left, rf"{right} \quad \text{{if }} {guard}")
            for left, right in self.rows(i.accept.instructions)
        ]
        rows += [
            (left, rf"{right} \quad \text{{otherwise}}")
            for left, right in self.rows(i.reject.instructions)
        ]
        for s, one, other in zip(i.names, i.accept.values, i.reject.values, strict=True):
            cases = rf"{self.show(one)} & \text{{if }} {guard} \\ {self.show(other)} & \text{{otherwise}}"
            rows.append((self.names[s.name], rf"= \begin{{cases}} {cases} \end{{cases}}"))
        return rows

    def repeat(self, i: Loop) -> list[tuple[str, str]]:
        """What the loop begins with, an iteration, and its end."""
        n, limit = self.names[i.count.name], self.show(i.limit)
        words = rf"\quad \text{{repeated for }} {n} = 1, 2, \dots"
        begin = [
            (self.names[s.name], f"= {self.show(e)}") for s, e in zip(i.names, i.begin, strict=True)
        ]
        inside = self.rows(i.body.instructions)
        ends = zip(i.names, i.body.values, strict=True)
        inside += [(self.names[s.name], f"= {self.show(e)}") for s, e in ends if s != e]
        until = rf"\text{{ at most }} {limit} \text{{ times}}"
        if i.until is not None:
            until = rf"\text{{until }} {i.until.written(self.show, _GUARD)}, {until}"
        rows = [(left, rf"{right} \quad \text{{at first}}") for left, right in begin]
        rows += [(left, rf"{right} {words}") for left, right in inside]
        left, right = rows[-1]
        return [*rows[:-1], (left, rf"{right} \quad {until}")]

    def sweep(self, i: SweepCoordinates) -> list[tuple[str, str]]:
        """The rate, element by element, and how one coordinate moves by it."""
        self.names[i.moving.name] = "z"
        after, before = self.target(i), self.show(i.start)
        before = before if isinstance(i.start, VectorSymbol) else f"({before})"
        after, before = (f"{{{n}}}" if "'" in n or "^" in n else n for n in (after, before))
        less, more = (">", r"\le") if i.backward else ("<", r"\ge")
        seen = rf"{after}^{{({less} i)}}, {before}^{{({more} i)}}"
        less, more = (r"\ge", "<") if i.backward else (r"\le", ">")
        moved = rf"{after}^{{({less} i)}}, {before}^{{({more} i)}}"
        rate = {0: rf"s_i({seen})", 1: rf"s_i({moved})"}.get(
            i.implicit, rf"\tfrac12 \left(s_i({seen}) + s_i({moved})\right)"
        )
        order = r"n, \dots, 1" if i.backward else r"1, \dots, n"
        rows = [("s(z)", "= " + self.show(i.slope))]
        step = presentable(i.duration)
        loose = step.is_Add or step.could_extract_minus_sign()
        time = rf"\left({show(step)}\right)" if loose else show(step)
        rows.append((f"{after}^{{(i)}}", rf"= {before}^{{(i)}} + {time} {rate}, \quad i = {order}"))
        if i.quotient:
            of = symbol_latex(next(iter(i.oracles)).of)
            gap = rf"{after}^{{(i)}} - {before}^{{(i)}}"
            quotient = rf"= \frac{{{of}({moved}) - {of}({seen})}}{{{gap}}} \text{{ in }} s_i"
            rows.append((rf"\partial_i {of}", quotient))
        return rows


def _letters(n: int) -> str:
    return chr(ord("A") + n % 26) * (1 + n // 26)


def _indexed(symbol: str, index: str) -> str:
    """A symbol with the step number as its subscript, or beside the one it has."""
    found = re.fullmatch(r"(.*)_\{(.*)\}", symbol)
    return f"{found.group(1)}_{{{found.group(2)},{index}}}" if found else f"{symbol}_{{{index}}}"


def latex(algorithm: Iteration) -> str:
    """One step as an aligned LaTeX environment."""
    rows = [f"{left} &{right}" for left, right in _Step(algorithm.tuned).lines()]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


@dataclass(frozen=True)
class Listing:
    """An algorithm as pseudocode, before it is laid out; mathematics in dollar signs.

    Attributes:
        title: its name in words.
        inputs: oracles, starting point, number of steps, parameters.
        initial: assignments before the loop.
        steps: assignments of one step.
        output: what is returned.
        numbered: whether a coefficient depends on the step number.
        facts: where it comes from, line by line, in plain text.
    """

    title: str
    inputs: tuple[str, ...]
    initial: tuple[str, ...]
    steps: tuple[str, ...]
    output: str
    numbered: bool
    facts: tuple[str, ...]


def listing(algorithm: Iteration, target: str) -> Listing:
    """The algorithm as pseudocode for a target."""
    program = algorithm.tuned
    step = _Step(program)
    own = [
        b for b, n in zip(program.blocks, program.classes, strict=True) if n > 0 and not b.operates
    ]
    starts = ["x_0", *(f"{symbol_latex(b.name)}_0" for b in own)]
    points = f"starting point{'s' * bool(own)} ${', '.join(starts)}$"
    inputs = [*_oracles(step.program), points, "number of steps $N$"]
    given = ", ".join(f"${show(s)}$" for s in in_order(program.parameters))
    initial = []
    for b in program.blocks:
        if b in own:
            continue
        left, right = _indexed(symbol_latex(b.name), "0"), _initial(b.init)
        initial += [rf"${left} \gets {right}$"] if left.replace("{0}", "0") != right else []
    return Listing(
        heading(algorithm),
        (*inputs, given) if given else tuple(inputs),
        tuple(initial),
        tuple(f"${left} {_arrow(right)}$" for left, right in step.lines()),
        f"${_at_end(step, program.outputs['x'])}$",
        any("k" in {s.name for s in e.free_symbols} for e in program.expressions()),
        tuple(description(algorithm, target, "mathematics.")[2:]),
    )


def _oracles(program: Program) -> list[str]:
    """The oracles that an algorithm asks, in words."""
    asked: list[Oracle] = []
    for i in program.every:
        asked += [i.oracle] if isinstance(i, CallOracle) else []
        asked += sorted(i.oracles, key=lambda o: o.name) if isinstance(i, SweepCoordinates) else []
    for e in program.expressions():
        scalars = e.terms.values() if isinstance(e, Vector) else [e]
        asked += [n.oracle for s in scalars for n in s.atoms(ScalarNode) if n.oracle is not None]
        called = {c.oracle for c in e.calls()} if isinstance(e, Vector) else set()
        asked += sorted(called, key=lambda o: o.name)
    found = []
    for o in dict.fromkeys(asked):
        of = symbol_latex(o.of)
        if o.args and o.kind == "grad":
            of = f"_{{{symbol_latex(o.slot)}}} {of}"
        found.append(o.form.words.format(of=of) if o.form.words else f"map ${o.latex(of)}$")
    return found


def source(algorithm: Iteration, _: Naming) -> str:
    """The algorithm as an `algorithm` environment for the packages algorithm and algpseudocode."""
    made = listing(algorithm, "latex")
    lines = [
        r"% \usepackage{algorithm, algpseudocode, amsmath, amssymb}",
        *[f"% {fact}".rstrip() for fact in made.facts],
        r"\begin{algorithm}",
        rf"\caption{{{made.title}}}",
        r"\begin{algorithmic}[1]",
        rf"\Require {'; '.join(made.inputs)}",
        *([rf"\State {', '.join(made.initial)}"] if made.initial else []),
        r"\For{$k = 0, \dots, N - 1$}"
        + (" \\Comment{coefficients depend on $k$}" if made.numbered else ""),
        *[rf"    \State {line}" for line in made.steps],
        r"\EndFor",
        rf"\State \Return {made.output}",
        r"\end{algorithmic}",
        r"\end{algorithm}",
    ]
    return "\n".join(lines) + "\n"


def _arrow(right: str) -> str:
    return right if right.startswith(r"\sim") else r"\gets " + right.removeprefix("= ")


def _initial(e: Expr) -> str:
    if e == start:
        return "x_0"
    if e == zero or e == 0:
        return "0"
    return show(e)


def _at_end(step: _Step, e: Expr) -> str:
    shown = step.show(e)
    return re.sub(r"(?<=[_{,])k(?=\})", "N", shown)


BACKEND = Backend("latex", ".tex", frozenset(POWERS), source)
