"""Steps along samples in place: the parameters hold every point in turn, and a sample is drawn again where it is read.

Malladi et al., Fine-tuning language models with just forward passes (2023), arXiv:2305.17333, keep a seed in place of
the sample. A step fits if it asks for values alone, at the parameters plus multiples of normal samples or their signs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from ....dynamics.algebra.products import Elementwise, slots
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ..lowering.statements import Ask, Lowered, Routine, Sample, ScalarLet, VectorLet
from ..printing.lines import wrapped
from ..printing.printer import Printer

_SIGN = sp.sign(slots(1)[0])


@dataclass(frozen=True)
class Direction:
    """A normal sample, by name, or its signs."""

    sample: str
    signs: bool = False


Multiples = Mapping[Direction, sp.Expr]


@dataclass(frozen=True)
class StepInPlace:
    """A step along samples.

    Attributes:
        samples: their names, in the order in which they are drawn, each with the memory from whose seeds it is drawn
            again, or "".
        statements: scalars, and values with the multiples of the directions at which they are taken.
        end: the multiples at which it ends.
    """

    samples: Mapping[str, str]
    statements: tuple[ScalarLet | tuple[Ask, Multiples], ...]
    end: Multiples

    def directions(self) -> list[Direction]:
        """Those that it moves along."""
        points = [s[1] for s in self.statements if isinstance(s, tuple)]
        return list(dict.fromkeys(d for p in (*points, self.end) for d in p))

    def lines(
        self,
        scalars: Printer,
        called: Callable[[str], str],
        fresh: Callable[[str], str],
        kept_in: Mapping[str, str],
    ) -> list[str]:
        """The update, after the coefficients.

        Args:
            scalars: prints them.
            called: the name of a symbol in the code.
            fresh: a new name.
            kept_in: by the name of a memory the sample whose seeds it keeps.
        """
        seeds = {name: fresh("seeds") for name in self.samples}
        at = {d: fresh("at") for d in self.directions()}
        moved: dict[Direction, sp.Expr] = dict.fromkeys(at, sp.S.Zero)

        def move(head: str, d: Direction, to: str) -> list[str]:
            given = ["params", seeds[d.sample], at[d], to, *(["signs=True"] if d.signs else [])]
            return wrapped(f"{head}_shifted", given, "", "            ")

        def shift(to: Multiples) -> list[str]:
            lines = []
            for d in at:
                if (new := to.get(d, sp.S.Zero)) != moved[d]:
                    moved[d] = new
                    text = "0.0" if new == 0 else scalars.scalar(new)
                    lines += move(f"{at[d]} = ", d, text)
            return lines

        inside: list[str] = []
        for s in self.statements:
            if isinstance(s, ScalarLet):
                inside.append(f"            {called(s.target.name)} = {scalars.scalar(s.value)}")
                continue
            ask, point = s
            value = f"float(self.{ask.argument}(list(params)))"
            inside += [*shift(point), f"            {called(ask.target.name)} = {value}"]
        inside += shift(self.end)
        drawn = "_seeds(len(params), self.generator)"
        kept = '[self.state[param]["{}"] for param in params]'
        made = [kept.format(called(m)) if m else drawn for m in self.samples.values()]
        return [
            *(f"        {n} = {text}" for n, text in zip(seeds.values(), made, strict=True)),
            *(f"        {held} = 0.0" for held in at.values()),
            "        try:",
            *inside,
            "        except BaseException:",
            *(line for d in at for line in move("", d, "0.0")),
            "            raise",
            *(line for m, name in kept_in.items() for line in keep_seeds(called(m), seeds[name])),
        ]


def for_each(values: list[str]) -> list[str]:
    """The lines that change the state of each parameter."""
    head = ["        for param in params:"] if values else []
    return head + [f"            self.state[param]{v}" for v in values]


def draw(name: str, listed: str, seeded: bool) -> list[str]:
    """The lines that draw a number, or a list: from seeds, which may be kept, or from the generator."""
    if not listed:
        return [f"        {name} = _number(self.generator)"]
    if not seeded:
        return [f"        {listed} = _normal(params, self.generator)"]
    return [
        f"        {name}_seeds = _seeds(len(params), self.generator)",
        f"        {listed} = _again(params, {name}_seeds)",
    ]


def draw_again(listed: str, memory: str) -> list[str]:
    """The lines that draw a sample again from the seeds in the state."""
    seeds = f'[self.state[param]["{memory}"] for param in params]'
    return wrapped(f"{listed} = _again", ["params", seeds], "", "        ")


def drawn_alone(routine: Routine, called: Callable[[str], str], indent: str) -> list[str]:
    """The lines that draw what a routine draws again, for one parameter."""
    again = [s for s in routine.statements if isinstance(s, Sample)]
    head = '{}{} = _drawn(param, self.state[param]["{}"])'
    return [head.format(indent, s.target.name, called(s.again)) for s in again]


def keep_seeds(memory: str, seeds: str) -> list[str]:
    """The lines that keep seeds in the state."""
    return [
        f"        for param, seed in zip(params, {seeds}, strict=True):",
        f'            self.state[param]["{memory}"] = seed',
    ]


def step_of(low: Lowered) -> StepInPlace | None:
    """The step of a program whose memory is scalars and samples; None where something else happens in it."""
    vectors = {b.name for b in low.blocks if b.kind != "scalar"}
    if not vectors <= {*low.kept} or low.counter is not None:
        return None
    known: dict[str, tuple[sp.Expr, Multiples]] = {"params": (sp.S.One, {})}
    samples: dict[str, str] = {}
    statements: list[ScalarLet | tuple[Ask, Multiples]] = []
    for s in low.step.statements:
        if isinstance(s, Sample) and isinstance(s.target, VectorSymbol):
            samples[s.target.name] = s.again
            known[s.target.name] = sp.S.Zero, {Direction(s.target.name): sp.S.One}
        elif isinstance(s, VectorLet):
            made = _combined(s.value, known)
            if made is None:
                return None
            known[s.target.name] = made
        elif isinstance(s, ScalarLet):
            statements.append(s)
        elif isinstance(s, Ask) and isinstance(s.target, sp.Symbol) and not (s.scalars or s.over):
            point = known.get(s.vectors[0].name) if len(s.vectors) == 1 else None
            if point is None or point[0] != 1:
                return None
            statements.append((s, point[1]))
        else:
            return None
    end = _combined(low.step.results["update"], known)
    if end is None or end[0] != 1 or not samples:
        return None
    return StepInPlace(samples, tuple(statements), end[1])


def _combined(
    e: Expr, known: Mapping[str, tuple[sp.Expr, Multiples]]
) -> tuple[sp.Expr, Multiples] | None:
    """A vector as a multiple of the parameters and of directions; None if it is no such sum."""
    if not isinstance(e, Vector):
        return None
    whole: sp.Expr = sp.S.Zero
    along: dict[Direction, sp.Expr] = {}
    for atom, coefficient in e.terms.items():
        if isinstance(atom, Elementwise) and atom.body == _SIGN:
            (argument,) = atom.arguments
            found = known.get(argument.name) if isinstance(argument, VectorSymbol) else None
            plain = None if found is None else _alone(found)
            if plain is None:
                return None
            part: tuple[sp.Expr, Multiples] = sp.S.Zero, {Direction(plain, signs=True): sp.S.One}
        elif isinstance(atom, VectorSymbol) and atom.name in known:
            part = known[atom.name]
        else:
            return None
        whole += coefficient * part[0]
        for d, c in part[1].items():
            along[d] = along.get(d, sp.S.Zero) + coefficient * c
    return whole, {d: c for d, c in along.items() if c != 0}


def _alone(made: tuple[sp.Expr, Multiples]) -> str | None:
    """The sample that a vector is, by name."""
    whole, along = made
    if whole != 0 or len(along) != 1:
        return None
    ((direction, c),) = along.items()
    return direction.sample if c == 1 and not direction.signs else None
