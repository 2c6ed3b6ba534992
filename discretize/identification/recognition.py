"""Recognition of known methods, up to coordinates and up to values of their parameters."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotCarried
from ..._support.rendering.brief import quantity
from ..._support.work import TooMuchWork, done, limited, uncounted
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.notation.readable import readable
from ..equality.equivalence import compare_linear
from ..equality.guarded import compare_guarded
from ..equality.outputs import compare_outputs
from ..equality.time_varying import compare_varying
from ..equality.verdict import AGREE, Equivalence
from ..faces import Algorithm
from ..linear.state_space import StateSpace
from ..linear.time_varying_form import TimeVarying
from ..programs.program import Program
from .answers import told_apart
from .known import Form, Known, form, known_method, known_methods
from .laws import differ_in_law
from .maps import bends_at_numbers, kept_apart, output_is_random, sorts
from .matching import apart, conditions, excluded_exactly, nested, never_ahead, solutions, varying
from .other_values import other_values
from .recognized import Recognition, called, start_phrase, time_scale
from .shared_point import Table, differ, memory, needed, nonzero, repeats, table

_TRIED = ", nor one delayed by up to two steps, nor up to four steps of one composed"
_DELAYS, _STEPS, _RENAMED = (1, 2), 4, 4  # delays tried, steps put together, parameters permuted
_EACH, _ALL = 60_000, 150_000  # products of terms spent on a method, and on all


@checked
def recognize(algorithm: Algorithm) -> Recognition:
    """Name the registered method that calls its oracles at the same points from the same start, with the same output.

    It tries the same parameters, then solves for the known method's parameters (admissible values only), those of its
    tuning before its free step; then methods that are equal but for the start, the output, the oracle's name, a time
    scale, a delay or a composition of steps. Methods with guards are compared as they are. Positive answers are
    proved. The verdict is "different" only if each registered method was excluded for all parameters, else the others
    are named. The work is counted and limited.
    """
    search = _Search(algorithm.tuned)
    plain = (search.as_it_is, search.with_other_values, search.changed)
    for stage in (search.by_its_guards,) if search.program.guarded else plain:
        for name in known_methods():
            search.within(stage, name)
        best = search.best()
        if best is not None and set(best.but_for) <= {"oracle"}:
            return best  # other values of the parameters do not change these
    best = search.best()
    return search.nothing() if best is None else best


class _Search:
    """The registered methods beside one algorithm: what was found, and what stays open."""

    def __init__(self, program: Program) -> None:
        self.program, self.target = program, form(program)
        self.table = None if isinstance(self.target, Program) else table(self.target)
        self.memory = 0 if isinstance(self.target, Program) else memory(self.target)
        self.sorts = None if program.guarded else sorts(program)
        self.symbols = (
            set() if isinstance(self.target, Program) else needed(self.target, self.table)
        )
        self.found: list[Recognition] = []
        self.open: dict[str, str] = {}
        self.apart_when_free: dict[tuple[str, tuple[Oracle, ...]], bool] = {}
        self.left = _ALL

    @functools.cached_property
    def bends(self) -> bool:
        """Whether a point is not affine in the answers before, at numbers."""
        if self.program.guarded or self.noisy:
            return False
        with contextlib.suppress(NotCarried, ArithmeticError, TooMuchWork), limited(_EACH):
            return bends_at_numbers(self.program)
        return False

    @functools.cached_property
    def noisy(self) -> bool:
        """Whether draws reach the output at generic values of the parameters."""
        if self.program.guarded or not (self.program.draws or self.program.counts):
            return False
        with contextlib.suppress(NotCarried, ArithmeticError, TooMuchWork), limited(_EACH):
            return output_is_random(self.program, True)
        return False

    def within(self, stage: Callable[[str], None], name: str) -> None:
        """A stage for a method, as far as the work goes: where it ends, the method stays open."""
        method = known_method(name, True)
        linear = not isinstance(self.target, Program)
        if method.never(self.program, linear, not linear and self.bends, self.noisy):
            return
        known = method.program
        if known.guarded or self.program.guarded:
            if known.guarded and self.program.guarded:
                stage(name)
            alike = known.asks_values == self.program.asks_values
            if alike and known.asks_at_random == self.program.asks_at_random:
                self.open[name] = "its steps go one of several ways, which was not excluded"
            return
        if method.sorts != self.sorts or known.asks_values != self.program.asks_values:
            return
        began = done()
        try:
            with limited(min(_EACH, self.left)):
                stage(name)
        except TooMuchWork:
            self.open[name] = "excluding it takes more work than is spent on it"
        except ArithmeticError:
            self.open[name] = "it is undecided whether two numbers are equal"
        self.left -= done() - began

    def best(self) -> Recognition | None:
        """The match with the fewest differences, the first of these; three fitted values are weak evidence.

        Names and values are not what a method is: another sequence, start, delay or number of steps counts first.
        """
        weight = {"output": 1, "start": 2, "steps": 3, "delay": 4, "oracle": 0, "time": 0}
        return min(
            self.found,
            key=lambda r: (
                sum(weight[w] for w in r.but_for) + 3 * (len(r.substitution) > 2),
                "oracle" in r.but_for,
                "time" not in r.but_for and bool(r.substitution),
                bool(r.substitution),
            ),
            default=None,
        )

    def nothing(self) -> Recognition:
        """The result without a match: each registered method is excluded or left open."""
        if not self.open:
            return Recognition(
                "different",
                None,
                f"this is not a registered method for any values of its parameters{_TRIED}.",
            )
        reasons: dict[str, list[str]] = {}
        for name, why in self.open.items():
            reasons.setdefault(why, []).append(name)
        listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        others = len(known_methods()) - len(self.open)
        none = f"this is none of {others} registered methods for any values of their parameters{_TRIED}; "
        return Recognition(
            "undecided", None, f"{none if others else ''}it is undecided whether it is one of these: {listed}.",
            undecided=dict(self.open),
        )  # fmt: skip

    def by_its_guards(self, name: str) -> None:
        """A method of the same guards, with the target's parameters in the places of its own."""
        for free in (False, True):
            known, mine = known_method(name, free).program, self.program.parameters
            if len(mine) != len(known.parameters):
                continue
            for order in itertools.permutations(mine) if len(mine) <= _RENAMED else (mine,):
                values = dict(zip(known.parameters, order, strict=True))
                verdict = _compare(self.program, known.bind(values))
                if self._note(name, verdict, {}, {p.name: e for p, e in values.items()}):
                    return

    def as_it_is(self, name: str) -> None:
        """The method with the same parameters."""
        known, free = known_method(name, False), known_method(name, True)
        if isinstance(self.target, Program) != isinstance(free.form, Program):
            return
        if not self.symbols <= known.symbols or self._remembers_more(free):
            return
        for names, renamed in self._renamings(known.form):
            if not self._differs(renamed, known.table):
                self._note(name, _compare(self.target, renamed), called(names), {})

    def with_other_values(self, name: str) -> None:
        """The method with its parameters solved for; notes whether it stays open."""
        known = known_method(name, True)
        if self._remembers_more(known, max(_DELAYS) * len(known.program.calls)):
            return
        if isinstance(self.target, Program) or isinstance(known.form, Program):
            self._maps(name)
            return
        if self._remembers_more(known) or self._apart_when_free(name):
            return
        for free in (False, True):
            known = known_method(name, free)
            for names, renamed in self._renamings(known.form):
                self._solved(name, known, renamed, called(names), required=not free)

    def _apart_when_free(self, name: str) -> bool:
        """Whether no values of its free parameters make a method the target; its tuning gives them some of these."""
        free = known_method(name, True)
        assert isinstance(self.target, StateSpace) and isinstance(free.form, StateSpace)
        if nested(free.form) or not free.tuned_to_positive:
            return False
        for _, renamed in self._renamings(free.form):
            assert isinstance(renamed, StateSpace)
            parameters = [p for p in free.parameters if p in renamed.symbols]
            found = apart(self.target, renamed, parameters)
            self.apart_when_free[name, renamed.inputs] = found
            if not found:
                return False
        return True

    def changed(self, name: str) -> None:
        """The method delayed, with several steps put together, or with coefficients that are ahead."""
        known, free = known_method(name, False), known_method(name, True)
        if self._remembers_more(free, max(_DELAYS) * len(free.program.calls)):
            return
        if isinstance(self.target, Program) or isinstance(free.form, Program):
            return
        if len(set(self.target.inputs)) != len(set(free.form.inputs)):
            return
        mine, theirs = len(self.target.inputs), len(free.form.inputs)
        times = mine // theirs if theirs and mine % theirs == 0 else 0
        if times > _STEPS:
            self.open.setdefault(name, f"more than {_STEPS} steps of it were not put together")
        elif self._remembers_more(free) and times != 1:
            return
        elif times > 1 or (times and isinstance(self.target, TimeVarying)):
            self._several(name, known, times)
        for d in _DELAYS if times == 1 else ():
            if self._remembers_more(free, d * theirs) or self._answered_sooner(free.form, d):
                continue
            assert isinstance(known.form, StateSpace)
            if nested(known.form):
                continue
            if isinstance(known.form, TimeVarying) and isinstance(self.target, TimeVarying):
                said = f"its coefficients of step k are the registered ones of step k + {d}"
                self._both(name, known, known.form.later(d), {"delay": said})
            elif not isinstance(known.form, TimeVarying) and not isinstance(
                self.target, TimeVarying
            ):
                said = f"its oracle answers arrive {quantity(d, 'step')} later"
                self._both(name, known, known.form.delayed(d), {"delay": said})

    def _several(self, name: str, known: Known, times: int) -> None:
        """Several steps of a method put together, or coefficients that are ahead where these have roots in roots."""
        assert isinstance(self.target, StateSpace) and isinstance(known.form, StateSpace)
        if nested(known.form):
            ways = [(0, times)] if times > 1 else [(d, 1) for d in _DELAYS]
            if not all(self._never_ahead(known, *way) for way in ways):
                self.open.setdefault(
                    name, "later steps of it, or several in one, were not excluded"
                )
        elif times > 1 and (
            not self._never_ahead(known, 0, times)
            if any(isinstance(f, TimeVarying) for f in (self.target, known.form))
            else repeats(self.target, self.table, len(known.form.inputs))
        ):
            self._both(
                name, known, known.form.repeated(times), {"steps": f"it is {times} steps of {name}"}
            )

    def _never_ahead(self, known: Known, later: int, times: int) -> bool:
        """Whether it is excluded that steps of a method with one call each, some steps later, are one of the target."""
        assert isinstance(self.target, StateSpace) and isinstance(known.form, StateSpace)
        return len(known.form.inputs) == 1 and never_ahead(
            self.target, known.form, known.parameters, later, times
        )

    def _remembers_more(self, known: Known, further: int = 0) -> bool:
        """Whether the target needs more states than the known method has, with so many further ones; see `memory`.

        That holds for a known method of any kind: with draws, for each value of these, and with a map that is not
        linear, since maps made of algebraic functions, exponentials and logarithms do not raise dimensions (van den
        Dries, Tame Topology and O-minimal Structures, 1998, chapter 4).
        """
        return self.memory > known.states + further

    def _answered_sooner(self, known: StateSpace, delay: int) -> bool:
        """Whether an answer enters a point of the target sooner than it could with answers that arrive later.

        Where the known points are free of the answers of their own step, the delayed ones are free of those of
        ``delay`` steps more, whatever the parameters; a weight of the target that is not zero at numbers is not zero.
        """
        if isinstance(self.target, TimeVarying) or isinstance(known, TimeVarying):
            return False
        latest = delay - any(known.D)
        weights = (self.table or {}).items()
        return any(k - j <= latest and nonzero(e) for (k, _, j, _), e in weights)

    def _differs(self, other: Form, theirs: Table | None, mine: Table | None = None) -> bool:
        """Whether the two are not the same at the shared point; False is inconclusive."""
        if isinstance(self.target, Program) or isinstance(other, Program):
            if not (isinstance(self.target, Program) and isinstance(other, Program)):
                return False
            if self.target.draws and other.draws:
                return differ_in_law(self.target, other)
            return told_apart(self.target, other, {})
        return differ(self.target, other, self.table if mine is None else mine, theirs)

    def _both(self, name: str, known: Known, changed: Form, but_for: dict[str, str]) -> None:
        weights = None if isinstance(changed, Program) else table(changed)
        for names, renamed in self._renamings(changed):
            said = {**but_for, **called(names)}
            same = not self._differs(renamed, weights)
            verdict = _compare(self.target, renamed) if same else None
            self._note(name, verdict, said, {})
            if not verdict:
                self._solved(name, known, renamed, said, required=True)

    def _renamings(self, known: Form) -> Iterator[tuple[dict[Oracle, Oracle], Form]]:
        """The known method with its oracles, or with the target's in their places."""
        mine, theirs = _oracles(self.target), _oracles(known)
        if set(mine) == set(theirs):
            yield {}, known
        if sorted(mine.values()) != sorted(theirs.values()) or not mine:
            return
        for order in itertools.permutations(mine):
            called_as = dict(zip(theirs, order, strict=True))
            if any(called_as[o] != o for o in theirs) and all(
                mine[called_as[o]] == theirs[o] for o in theirs
            ):
                yield called_as, known.renamed(called_as)

    def _note(
        self,
        name: str,
        verdict: Equivalence | None,
        but_for: Mapping[str, str],
        values: dict[str, sp.Expr],
        positive: Iterable[sp.Expr] = (),
    ) -> bool:
        """Keep a match: a proof, or one but for the start."""
        if verdict is None:
            return False
        said = dict(but_for)
        if not verdict:
            if verdict.verdict != "refuted" or AGREE not in verdict.reason:
                return False
            said["start"] = start_phrase(verdict)
        elif verdict.same_output is not True:
            known = (
                "is another sequence" if verdict.same_output is False else "may be another sequence"
            )
            said["output"] = f"the output {known}"
        values = {n: v for n, v in values.items() if v != sp.Symbol(n, positive=True)} and values
        shown = ", ".join(f"{n} = {readable(v)}" for n, v in values.items())
        parameters = f"with {shown}" if shown else "with the same parameters"
        comma = "" if shown or said else ","
        # the registered parameters are positive, and roots of them are what was solved for
        held = conditions([*(v for v in values.values() if not v.is_Symbol), *positive])
        where = " and ".join(held + ["mu < L"] * (", for mu < L" in verdict.reason))
        but = f", but for this: {'; '.join(said.values())}" if said else ""
        reason = f"this is {name}{comma} {parameters}{f', where {where}' if where else ''}{but}."
        self.found.append(
            Recognition(
                "equal but for" if said else "equal", name, reason, values, where, said, {}, verdict
            )
        )
        return True

    def _solved(
        self, name: str, known: Known, renamed: Form, but_for: dict[str, str], required: bool
    ) -> None:
        """Match with other values of the parameters; with ``required`` note what stays open."""
        assert isinstance(self.target, StateSpace) and isinstance(renamed, StateSpace)
        if self._relabelled(name, renamed, but_for) or (nested(renamed) and not required):
            return
        parameters = [p for p in known.parameters if p in renamed.symbols]
        if not required and len(parameters) > 2:
            return  # three free parameters reach every alpha, beta, gamma: a match would be void
        if len(parameters) > 2 and {"steps", "delay"} & set(but_for):
            if not excluded_exactly(self.target, renamed, parameters):
                self.open.setdefault(
                    name, f"more than two parameters ({'; '.join(but_for.values())})"
                )
            return
        # of a method with its parameters free this is known, see `_apart_when_free`
        known_apart = None if required else self.apart_when_free.get((name, renamed.inputs))
        if apart(self.target, renamed, parameters) if known_apart is None else known_apart:
            return
        solved = False
        # parameters that the two share keep their values, if that is enough
        own = [p for p in parameters if p not in self.target.symbols]
        for wanted in (own, parameters) if 0 < len(own) < len(parameters) else (parameters,):
            tried = solutions(self.target, renamed, wanted) if not solved else ()
            for found, changed, positive in tried:
                values = {p.name: e for p, e in found.items()}
                said = {**but_for, **time_scale(known.step, values)}
                verdict = _compare(self.target, changed)
                solved = self._note(name, verdict, said, values, positive) or solved
        if required and not solved:
            what = f" ({'; '.join(but_for.values())})" if but_for else ""
            self.open.setdefault(name, f"their parameters could not be solved for{what}")

    def _relabelled(self, name: str, renamed: StateSpace, but_for: dict[str, str]) -> bool:
        """Match with the target's parameters in the places of the known ones."""
        assert isinstance(self.target, StateSpace)
        mine, theirs = (sorted(s.symbols, key=str) for s in (self.target, renamed))
        if len(mine) != len(theirs) or len(mine) > _RENAMED or not mine:
            return False
        weights = table(renamed)
        for order in itertools.permutations(theirs):
            values = dict(zip(mine, order, strict=True))
            if all(a == b for a, b in values.items()):
                continue
            if self._differs(renamed, weights, table(self.target, values)):
                continue
            back = {b.name: a for a, b in values.items()}
            if self._note(name, _compare(self.target.changed(values), renamed), but_for, back):
                return True
        return False

    def _at_other_values(self, name: str, names: Any, known: Program) -> bool:
        """Whether a map is a known one at values of its parameters that its first points determine."""
        if not isinstance(self.target, Program):
            return False
        for found in other_values(self.target, known):
            verdict = _compare(self.target, known.bind(found))
            if self._note(name, verdict, called(names), {p.name: e for p, e in found.items()}):
                return True
        return False

    def _maps(self, name: str) -> None:
        """Maps that are not linear, or draw noise, as expressions; notes whether the method stays open."""
        free = known_method(name, True)  # without what its tuning says, such as a step of one
        constant = not isinstance(free.form, Program)
        known = free if constant else known_method(name, False)
        calls = None if isinstance(self.target, Program) else len(self.target.inputs)
        why = kept_apart(self.program, known.program, constant, calls)
        if not why:
            return  # whatever its parameters
        self.open[name] = why
        for names, renamed in () if constant else self._renamings(known.form):
            if not isinstance(self.target, Program) or not isinstance(renamed, Program):
                continue
            mine, theirs = self.target.parameters, renamed.parameters
            for order in (
                itertools.permutations(theirs) if len(mine) == len(theirs) <= _RENAMED else ()
            ):
                if told_apart(self.target, renamed, dict(zip(mine, order, strict=True))):
                    continue
                moved = self.target.bind(dict(zip(mine, order, strict=True)))
                back = {b.name: a for a, b in zip(mine, order, strict=True)}
                if self._note(name, _compare(moved, renamed), called(names), back):
                    return
            if self._at_other_values(name, names, renamed):
                return
        if not constant and {*free.program.parameters} - {*known.program.parameters}:
            for names, renamed in self._renamings(free.form):
                if isinstance(renamed, Program) and self._at_other_values(name, names, renamed):
                    return


def _compare(one: Form, other: Form) -> Equivalence | None:
    """The verdict on two forms; None where there is none. Few get here, and these are compared to the end."""
    with uncounted():
        return _compared(one, other)


def _compared(one: Form, other: Form) -> Equivalence | None:
    try:
        if isinstance(one, Program) or isinstance(other, Program):
            if not (isinstance(one, Program) and isinstance(other, Program)):
                return None
            return compare_guarded(one, other) if one.guarded else compare_outputs(one, other, "")
        if Counter(one.inputs) != Counter(other.inputs):
            return None
        if isinstance(one, TimeVarying) or isinstance(other, TimeVarying):
            return compare_varying(varying(one), varying(other))
        return compare_linear(one, other)
    except ArithmeticError:
        return None


def _oracles(of: Form) -> dict[Oracle, int]:
    """The oracles with the number of calls in a step."""
    if isinstance(of, Program):
        return dict(Counter(c.oracle for c in of.calls))
    return dict(Counter(of.inputs))
