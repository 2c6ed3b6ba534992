"""The limit of a method with schedules that decay: one or several time scales that part as the steps are counted.

With parameters like powers of the step number k, a block moves by F k^-a in step k. In the time t that adds up k^-a
over the steps, the averaged path of the slowest blocks tends to x' = F (the ODE method: Ljung,
doi:10.1109/TAC.1977.1101561). Blocks with a smaller exponent move further and further ahead: they are fast, with the
ratio of the two sizes as what tends to zero, and rest on the critical manifold (Borkar,
doi:10.1016/S0167-6911(97)90015-3).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, nothing, substitute, tidy, vanishes
from ...dynamics.algebra.scalars import check_known, exact_values
from ...dynamics.algebra.series import taylor
from ...dynamics.algebra.vectors import Expr
from ...dynamics.fast_slow.manifold import expand
from ...dynamics.fast_slow.reduction import reduced
from ...dynamics.flows.system import System
from ...dynamics.notation.show import latex, text
from ...dynamics.samples.mean import mean
from ...dynamics.vector_fields.hypotheses import assumptions
from ..programs.program import Program
from ..step.iteration import Iteration
from .backward_error import step_through
from .beginning import begun_with_memories, unread

_LARGEST = 60  # the highest power of the small parameter that is looked at


@dataclass(frozen=True)
class DecayingLimit(Rendered):
    """What a method with schedules that decay tends to.

    Attributes:
        exponents: a of each block, which moves by k^-a in step k.
        flow: the limit of the slowest blocks, in the time that adds up k^-a; faster ones are where they rest.
        fast: the faster blocks, fastest first.
        conditions: by what they say, whether they hold: that the time goes on without end, that the noise of the
            samples adds up to something finite, and that the scales part.
        assumes: in words, under which hypotheses the fast blocks come to rest; empty if all are proved.
    """

    exponents: Mapping[Symbol, sp.Rational]
    flow: System
    fast: tuple[Symbol, ...]
    conditions: Mapping[str, bool]
    assumes: str = ""

    @property
    def exponent(self) -> sp.Rational:
        """That of the slowest blocks: the time of the flow adds up k^-a."""
        return max(self.exponents.values())

    @property
    def holds(self) -> bool:
        """Whether all conditions hold."""
        return all(self.conditions.values())

    def __str__(self) -> str:
        rows = [f"{s} moves by the order of k^-{a}" for s, a in self.exponents.items()]
        rows += [f"{'yes' if good else 'NO'}: {said}" for said, good in self.conditions.items()]
        rows += [f"{s}' = {text(e)}" for s, e in self.flow.drift.items()]
        rows += [f"assuming {self.assumes}"] if self.assumes else []
        return "\n".join(rows)

    def latex(self) -> str:
        """The equations of the limit, in the time that adds up k^-a."""
        rows = [rf"\frac{{d {latex(s)}}}{{dt}} &= {latex(e)}" for s, e in self.flow.drift.items()]
        rows.append(rf"dt &= k^{{-{latex(self.exponent)}}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def decaying_limit(algorithm: Iteration, schedules: Mapping[Any, object]) -> DecayingLimit:
    """The limit flow where parameters follow schedules; see `Algorithm.decaying_limit`."""
    fixed = algorithm.tuning
    named = {s.name: s for s in (*fixed, *algorithm.tuned.parameters)}
    given = exact_values(
        {named.get(s, s) if isinstance(s, str) else s: e for s, e in schedules.items()}
    )
    if {*given} & {*fixed}:
        algorithm = algorithm.replace(tuning={s: e for s, e in fixed.items() if s not in given})
    power, small, expanded = _in_powers(algorithm, given)
    begun = begun_with_memories(algorithm).tuned
    if len(begun.draws) > len(begun.samples) or begun.counts or begun.counter is not None:
        raise NotCarried(
            "the limit of schedules that decay is that of samples, which average out; the increments of a process and "
            "a step that counts are not supported."
        )
    set_aside = unread(begun.update_map(), [b.symbol for b in begun.blocks if b.role != "state"])
    moving = {b.symbol for b in begun.blocks} - set_aside
    moves = {s: (j, e) for s, j, e in _leading(begun, moving, expanded, small, power)}
    exponents = {s: sp.Rational(j, power) for s, (j, _) in moves.items()}
    flow, assumes = _slow_flow(algorithm, exponents, {s: e for s, (_, e) in moves.items()})
    fast = sorted(
        (s for s in exponents if s not in flow.drift), key=lambda s: (exponents[s], s.name)
    )
    random = bool(begun.samples)
    conditions = dict(_conditions(exponents, random))
    return DecayingLimit(exponents, flow, tuple(fast), conditions, assumes)


def _in_powers(
    algorithm: Iteration, given: Mapping[sp.Symbol, sp.Expr]
) -> tuple[int, sp.Symbol, dict[sp.Symbol, sp.Expr]]:
    """q, a symbol for k^(-1/q) of the step number k, and the schedules in whole powers of it."""
    known = {*algorithm.tuned.parameters}
    check_known(given, known)
    counters = {s for e in given.values() for s in e.free_symbols} - known
    named = {s for s in counters if s.name == "k"} or counters
    if len(named) != 1:
        raise OdescentError(
            f"schedules need one symbol for the number of the step, such as k, not {len(counters)}; as in "
            "{h: 2/(k + 2)} with k = od.parameters('k')."
        )
    (k,) = named
    powers = [p for e in given.values() for p in e.atoms(sp.Pow) if k in p.free_symbols]
    other = any(f.has(k) for e in given.values() for f in e.atoms(sp.Function))
    exponents = [p.exp for p in powers]
    if other or any(not p.is_Rational for p in exponents):
        raise OdescentError(
            "schedules are made of rational powers of the number of the step, as in (2/(k + 2))**(4/5)."
        )
    power = math.lcm(1, *(int(p.q) for p in exponents))
    # messages show it by this name
    small = sp.Symbol(f"k^-{sp.Rational(1, power)}", positive=True)
    found = {}
    for s, e in given.items():
        opened = sp.powdenest(sp.together(e.subs(k, small**-power)), force=True)
        found[s] = sp.powsimp(sp.expand_power_base(sp.factor(opened), force=True), force=True)
    return power, small, found


def _leading(
    program: Program,
    moving: set[Symbol],
    schedules: Mapping[sp.Symbol, sp.Expr],
    small: sp.Symbol,
    power: int,
) -> Iterator[tuple[Symbol, int, Expr]]:
    """Each moving block with the order of its move in the small parameter, and the mean of the move there."""
    bound = program.bind(schedules)
    missing, memories = {*moving}, {b.symbol for b in program.blocks if b.role == "memory"}
    order = power
    while missing and order <= _LARGEST:
        series = {
            s: taylor(e, small, order) for s, e in step_through(bound, {}, small, order).items()
        }
        for s in sorted(missing, key=lambda s: s.name):
            terms = series[s]
            if not vanishes(terms[0] - s):
                what = (
                    "is a memory, whose limit is not supported"
                    if s in memories
                    else "moves as far as ever"
                )
                raise NotCarried(
                    f"however large k, the step sends {s} to {text(terms[0])}: {s} {what}."
                )
            j = next((j for j, e in enumerate(terms) if j and not vanishes(e)), None)
            if j is None:
                continue
            drift = tidy(mean(terms[j]))
            if vanishes(drift):
                raise NotCarried(
                    f"the move of {s} has the mean zero at its own order, k^-{sp.Rational(j, power)}: it wanders by "
                    "noise before it drifts."
                )
            missing.discard(s)
            yield s, j, drift
        order += power
    if missing:
        named = ", ".join(sorted(s.name for s in missing))
        raise OdescentError(f"{named} does not move through the order k^-{order // power - 1}.")


def _slow_flow(
    algorithm: Iteration, exponents: Mapping[Symbol, sp.Rational], moves: Mapping[Symbol, Expr]
) -> tuple[System, str]:
    """The flow of the slowest blocks, with the faster ones where they rest, and what is assumed of these."""
    levels = sorted({*exponents.values()})
    # the ratio of sizes, by the name that messages give it
    ratios = {a: sp.Symbol(f"k^-{levels[-1] - a}", positive=True) for a in levels[:-1]}
    fast = {s: ratios[a] for s, a in exponents.items() if a in ratios}
    fields = {"flow": {s: e / fast.get(s, sp.S.One) for s, e in moves.items()}}
    blocks = [b for b in algorithm.bound.blocks if b.symbol in moves]
    others = {b.symbol: nothing(b.symbol) for b in algorithm.bound.blocks if b.symbol not in moves}
    output = substitute(algorithm.bound.output, others)
    whole = System(
        fields, blocks=blocks, output=output, fast=fast or None,
        small=[ratios[a] for a in reversed(levels[:-1])] or None, name=algorithm.name,
    )  # fmt: skip
    if not fast:
        return whole, ""
    open_ones = [h for h in expand(whole, 0).hypotheses if h.status != "proved"]
    return reduced(whole), assumptions(open_ones)


def _conditions(
    exponents: Mapping[Symbol, sp.Rational], random: bool
) -> Iterator[tuple[str, bool]]:
    """What is asked of the exponents, and whether it is so."""
    slowest = max(exponents.values())
    yield f"the sum of k^-{slowest} is infinite", slowest <= 1
    for a in sorted({*exponents.values()}) if random else ():
        yield f"the sum of k^-{2 * a} is finite", 2 * a > 1
    named = {
        a: ", ".join(s.name for s in exponents if exponents[s] == a) for a in exponents.values()
    }
    levels = sorted(named)
    for faster, slower in itertools.pairwise(levels):
        yield f"{named[faster]} is faster than {named[slower]}: {faster} < {slower}", True
    if len(levels) == 1 and len(exponents) > 1:
        yield f"{named[levels[0]]} move on one scale", True
