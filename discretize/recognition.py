"""Which known method is this? Up to coordinates, and up to other values of the method's parameters."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from odescent._errors import NotCarried
from odescent.dynamics.exact import canonical
from odescent.dynamics.show import text
from odescent.dynamics.vectors import Oracle

from .equivalence import AGREE, Equivalence, compare_linear
from .iteration import Algorithm
from .linear_form import Linear, linear
from .matching import Unknowns, admissible, cross_equations, eliminate, excluded, unknowns
from .nonlinear import compare_maps
from .program import Program
from .state_space import NotLTI
from .three_parameter import coefficients
from .time_varying import compare_varying
from .time_varying_form import TimeVarying, time_varying, weights
from .witness import Values

_PREFERRED = ("gradient_descent", "nesterov_sc", "triple_momentum", "heavy_ball")
_DELAYS, _STEPS, _RENAMED = (1, 2), 4, 4  # delays tried, steps put together, parameters permuted
Form: TypeAlias = "Linear | TimeVarying | Program"


@dataclass(frozen=True)
class Recognition:
    """What an algorithm was recognized as.

    Attributes:
        verdict: "equal"; "equal but for" what ``but_for`` says; "different" from every registered method, whatever
            the values of their parameters; or "undecided", for the methods in ``undecided``.
        name: of the registered method, None if none was found.
        substitution: the known method's parameters in terms of the algorithm's, by name; empty if they
            are the same symbols.
        but_for: what differs: "start", "output", "delay", "oracle", "time" or "steps", each with a phrase.
        undecided: why it may still be a registered method, by the method's name.
        equivalence: the proof: of the algorithm and of the known method, changed by what ``but_for`` says and
            under the substitution. Where the start differs, it is the refutation, with its witness.
        reason: one sentence.
    """

    verdict: str
    name: str | None
    reason: str
    substitution: dict[str, sp.Expr] = field(default_factory=dict)
    but_for: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    equivalence: Equivalence | None = None

    def __bool__(self) -> bool:
        return self.verdict == "equal"

    def __str__(self) -> str:
        return self.reason


def recognize(algorithm: Algorithm) -> Recognition:
    """Name the registered method that calls its oracles at the same points from the same start, with the same output.

    First with the same parameters, then with the known method's parameters solved for (admissible values
    only), first those of its tuning, then its free step and coefficients; then methods that are equal but for
    the start, the output, the oracle's name, a scale of time, a delay or the number of steps put together. What
    is reported is proved. "Different" is said only where each registered method was excluded, whatever its
    parameters; else the ones that are open are named.
    """
    target = form(algorithm.tuned)
    search = _Search(target)
    for stage in (search.as_it_is, search.with_other_values, search.changed):
        for name in _names():
            stage(name)
        best = search.best()
        if best is not None and set(best.but_for) <= {"oracle", "output"}:
            return best  # other values of the parameters do not change these
    best = search.best()
    return search.nothing() if best is None else best


def form(program: Program) -> Form:
    """The program as a linear method, one with changing coefficients, or a map."""
    readers: tuple[Callable[[Program], Linear | TimeVarying], ...] = (linear, time_varying)
    for read in readers:
        try:
            found = read(program)
        except NotLTI:
            continue
        if isinstance(found, Linear):
            return found.merged()
        if found.start is not None and found.inputs:
            return found
    return program


def _names() -> list[str]:
    from .library import algorithms

    return [*_PREFERRED, *(n for n in algorithms() if n not in _PREFERRED)]


@dataclass(frozen=True)
class _Known:
    """A registered method with its tuning, or without: its form, its parameters and its step."""

    form: Form
    parameters: tuple[sp.Symbol, ...]
    step: sp.Symbol


@functools.cache
def _known(name: str, free: bool) -> _Known:
    from .library import algorithm

    built = algorithm(name)
    program = built.program if free else built.tuned
    return _Known(form(program), program.parameters, built.step)


class _Search:
    """The registered methods beside one algorithm: what was found, and what stays open."""

    def __init__(self, target: Form) -> None:
        self.target = target
        self.found: list[Recognition] = []
        self.open: dict[str, str] = {}

    def best(self) -> Recognition | None:
        """The match with the fewest differences, the first of these; three values solved for say little."""
        weight = {"output": 1, "oracle": 1, "time": 1, "start": 2, "steps": 3, "delay": 4}
        return min(
            self.found,
            key=lambda r: (
                bool(set(r.but_for) - {"time"}),
                "time" not in r.but_for and bool(r.substitution),
                sum(weight[w] for w in r.but_for) + 3 * (len(r.substitution) > 2),
                bool(r.substitution),
            ),
            default=None,
        )

    def nothing(self) -> Recognition:
        """That no registered method was found: excluded, or open for some."""
        if not self.open:
            return Recognition(
                "different",
                None,
                "this is no registered method, whatever the values of their parameters.",
            )
        reasons: dict[str, list[str]] = {}
        for name, why in self.open.items():
            reasons.setdefault(why, []).append(name)
        listed = "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())
        others = len(_names()) - len(self.open)
        none = f"this is none of {others} registered methods, whatever the values of their parameters; "
        return Recognition(
            "undecided", None, f"{none if others else ''}it is undecided whether it is one of these: {listed}.",
            undecided=dict(self.open),
        )  # fmt: skip

    def as_it_is(self, name: str) -> None:
        """The method with the same parameters."""
        known = _known(name, False)
        for names, renamed in self._renamings(known.form):
            self._note(name, _compare(self.target, renamed), _called(names), {})

    def with_other_values(self, name: str) -> None:
        """The method with its parameters solved for; notes whether it stays open."""
        if isinstance(self.target, Program) or isinstance(_known(name, False).form, Program):
            self._maps(name)
            return
        for free in (False, True):
            known = _known(name, free)
            for names, renamed in self._renamings(known.form):
                self._solved(name, known, renamed, _called(names), required=not free)

    def changed(self, name: str) -> None:
        """The method delayed, with several steps put together, or with coefficients that are ahead."""
        known = _known(name, False)
        if isinstance(self.target, Linear) and isinstance(known.form, Linear):
            mine, theirs = len(self.target.inputs), len(known.form.inputs)
            times = mine // theirs if theirs and mine % theirs == 0 else 0
            if 1 < times <= _STEPS:
                self._both(
                    name,
                    known,
                    known.form.repeated(times),
                    {"steps": f"it is {times} steps of {name}"},
                )
            for d in _DELAYS if theirs else ():
                said = f"its oracle answers arrive {d} step{'s' * (d > 1)} later"
                self._both(name, known, known.form.delayed(d), {"delay": said})
        varying = isinstance(self.target, TimeVarying) and isinstance(known.form, TimeVarying)
        if varying and not _nested(known.form):  # type: ignore[arg-type]
            for d in _DELAYS:
                said = f"its coefficients of step k are the registered ones of step k + {d}"
                self._both(name, known, known.form.later(d), {"delay": said})  # type: ignore[union-attr]

    def _both(self, name: str, known: _Known, changed: Form, but_for: dict[str, str]) -> None:
        for names, renamed in self._renamings(changed):
            said = {**but_for, **_called(names)}
            verdict = _compare(self.target, renamed)
            self._note(name, verdict, said, {})
            if not verdict:
                self._solved(name, known, renamed, said, required=False)

    def _renamings(self, known: Form) -> Iterator[tuple[dict[Oracle, Oracle], Form]]:
        """The known method with its oracles, or with the target's in their places."""
        mine, theirs = _oracles(self.target), _oracles(known)
        if set(mine) == set(theirs):
            yield {}, known
        if (
            sorted(mine.values()) != sorted(theirs.values())
            or not mine
            or isinstance(known, Program)
        ):
            return
        for order in itertools.permutations(mine):
            names = dict(zip(theirs, order, strict=True))
            if any(names[o] != o for o in theirs) and all(
                mine[names[o]] == theirs[o] for o in theirs
            ):
                yield names, known.renamed(names)

    def _note(
        self,
        name: str,
        verdict: Equivalence | None,
        but_for: Mapping[str, str],
        values: dict[str, sp.Expr],
    ) -> bool:
        """Keep a match: a proof, or one but for the start."""
        if verdict is None:
            return False
        said = dict(but_for)
        if not verdict:
            if verdict.verdict != "refuted" or AGREE not in verdict.reason:
                return False
            said["start"] = _start_phrase(verdict)
        elif verdict.same_output is not True:
            known = (
                "is another sequence" if verdict.same_output is False else "may be another sequence"
            )
            said["output"] = f"the output {known}"
        values = {n: v for n, v in values.items() if v != sp.Symbol(n, positive=True)} and values
        shown = ", ".join(f"{n} = {v}" for n, v in values.items())
        parameters = f"with {shown}" if shown else "with the same parameters"
        if not said:
            reason = (
                f"this is {name}, with the same parameters."
                if not shown
                else f"this is {name} {parameters}."
            )
        else:
            reason = f"this is {name} {parameters}, but for this: {'; '.join(said.values())}."
        self.found.append(
            Recognition(
                "equal but for" if said else "equal", name, reason, values, said, {}, verdict
            )
        )
        return True

    def _solved(
        self, name: str, known: _Known, renamed: Form, but_for: dict[str, str], required: bool
    ) -> None:
        """Match with other values of the parameters; with ``required`` note what stays open."""
        if self._relabelled(name, known, renamed, but_for):
            return
        parameters = [p for p in known.parameters if p in renamed.symbols]  # type: ignore[union-attr]
        why = "their parameters could not be solved for"
        if not isinstance(renamed, Program) and _nested(renamed):
            why = "roots of their parameters nest from step to step"
        if not required and len(parameters) > 2:
            return  # three free parameters reach every alpha, beta, gamma: a match would say nothing
        system = _equations(self.target, renamed, parameters)
        if system is None:
            if required:
                self.open.setdefault(name, why)
            return
        equations, wanted = system
        others = self.target.symbols  # type: ignore[union-attr]
        if excluded(others, equations, wanted):
            return
        solved = False
        for solution in _solutions(self.target, renamed, equations, wanted):
            # in two steps, so that the square root of mu = (q l)^2 is q l
            changed = _put(_put(renamed, wanted.rename), solution)
            values = {p.name: canonical(e.xreplace(solution)) for p, e in wanted.rename.items()}
            scale = _time_scale(known, values)
            verdict = _compare(self.target, changed)
            solved = self._note(name, verdict, {**but_for, **scale}, values) or solved
        if required and not solved:
            self.open.setdefault(name, why)

    def _relabelled(self, name: str, known: _Known, renamed: Form, but_for: dict[str, str]) -> bool:
        """Match with the target's parameters in the places of the known ones."""
        mine = sorted(self.target.symbols, key=str)  # type: ignore[union-attr]
        theirs = sorted(renamed.symbols, key=str)  # type: ignore[union-attr]
        if len(mine) != len(theirs) or len(mine) > _RENAMED or not mine:
            return False
        for order in itertools.permutations(theirs):
            values = dict(zip(mine, order, strict=True))
            if all(a == b for a, b in values.items()):
                continue
            back = {b.name: a for a, b in values.items()}
            if self._note(name, _compare(_put(self.target, values), renamed), but_for, back):
                return True
        return False

    def _maps(self, name: str) -> None:
        """Maps that are not linear, or draw noise, as expressions."""
        known = _known(name, False)
        if not (isinstance(self.target, Program) and isinstance(known.form, Program)):
            kind = known.form if isinstance(known.form, Program) else self.target
            assert isinstance(kind, Program)
            self.open[name] = (
                "with noise: out of scope"
                if kind.draws or kind.counts
                else "not linear: out of scope"
            )
            if isinstance(self.target, Program):
                self.open[name] = "linear, which this is not: out of scope"
            return
        verdict = None
        mine, theirs = self.target.parameters, known.form.parameters
        if len(mine) == len(theirs) <= _RENAMED:
            for order in itertools.permutations(theirs):
                renamed = self.target.bind(dict(zip(mine, order, strict=True)))
                back = {b.name: a for a, b in zip(mine, order, strict=True)}
                verdict = compare_maps(renamed, known.form, "")
                if self._note(name, verdict, {}, back):
                    return
        self.open[name] = "not linear: compared as expressions only"


def _compare(one: Form, other: Form) -> Equivalence | None:
    """The verdict on two forms; None where there is none."""
    try:
        if isinstance(one, Linear) and isinstance(other, Linear):
            return (
                compare_linear(one, other) if Counter(one.inputs) == Counter(other.inputs) else None
            )
        if isinstance(one, Program) or isinstance(other, Program):
            both = isinstance(one, Program) and isinstance(other, Program)
            return compare_maps(one, other, "") if both else None  # type: ignore[arg-type]
        return compare_varying(_varying(one), _varying(other))
    except ArithmeticError:
        return None


def _varying(system: Linear | TimeVarying) -> TimeVarying:
    return system if isinstance(system, TimeVarying) else TimeVarying.constant(system)


def _oracles(of: Form) -> dict[Oracle, int]:
    """The oracles with the number of calls in a step."""
    if isinstance(of, Program):
        return dict(Counter(c.oracle for c in of.calls))
    return dict(Counter(of.inputs))


def _called(names: Mapping[Oracle, Oracle]) -> dict[str, str]:
    changed = [
        f"it calls {n.name} where the registered one has {o.name}"
        for o, n in names.items()
        if o != n
    ]
    return {"oracle": ", ".join(changed)} if changed else {}


def _start_phrase(verdict: Equivalence) -> str:
    if not verdict.start:
        return "it starts at a state that the registered one cannot have"
    mine = ", ".join(f"{n} = {text(a) or 0}" for n, (a, _) in verdict.start.items())
    theirs = ", ".join(f"{n} = {text(b) or 0}" for n, (_, b) in verdict.start.items())
    return f"it starts at {mine}, the registered one at {theirs}"


def _time_scale(known: _Known, values: Mapping[str, sp.Expr]) -> dict[str, str]:
    """A step that is a number times the known one, everything else the same."""
    others = {n: v for n, v in values.items() if n != known.step.name}
    step = values.get(known.step.name)
    same = all(v == sp.Symbol(n, positive=True) for n, v in others.items())
    if (
        step is None
        or not same
        or not canonical(step / known.step).is_Rational
        or step == known.step
    ):
        return {}
    return {"time": f"its time is scaled, {known.step} -> {step}"}


def _put(of: Form, values: Mapping[sp.Symbol, sp.Expr]) -> Form:
    if isinstance(of, Program):
        return of.bind(values)
    return of.changed(values) if isinstance(of, Linear) else of.rewritten_in_place(values)


def _equations(
    target: Form, known: Form, parameters: list[sp.Symbol]
) -> tuple[Callable[[Values], list[sp.Expr]], Unknowns] | None:
    """Equations in unknowns for the known method's parameters, at values of the target's or, without any, at all.

    They hold where the two agree. None where roots nest too deeply.
    """
    assert not isinstance(target, Program) and not isinstance(known, Program)
    if isinstance(target, Linear) and isinstance(known, Linear):
        wanted = unknowns(parameters, [*known.A, *known.B, *known.C, *known.D])
        if target.D.shape != known.D.shape:
            return (lambda values: [sp.S.One]), wanted
        moved = known.changed(wanted.rename).ordered(_same_order(target, known))

        def crossed(values: Values) -> list[sp.Expr]:
            return cross_equations(target.changed(values).system, moved.system)

        return crossed, wanted
    if _nested(target) or _nested(known):
        return None
    mine, theirs = weights(_varying(target)), weights(_varying(known))
    wanted = unknowns(parameters, theirs)
    if len(mine) != len(theirs):
        return (lambda values: [sp.S.One]), wanted
    changed = [b.xreplace(wanted.rename) for b in theirs]

    def apart(values: Values) -> list[sp.Expr]:
        found = [canonical(b - a.xreplace(values)) for a, b in zip(mine, changed, strict=True)]
        return [e for e in found if e != 0]

    return apart, wanted


def _nested(system: Linear | TimeVarying) -> bool:
    """Whether a recurrence has parameters under its roots: they nest, beyond what can be solved."""
    if isinstance(system, Linear):
        return False
    roots = [r for e in system.ahead.values() for r in e.atoms(sp.Pow) if not r.exp.is_Integer]
    return any(r.free_symbols & system.symbols for r in roots)


def _same_order(target: Linear, known: Linear) -> tuple[int, ...]:
    """The known method's calls in the order of the target's oracles."""
    left = list(range(len(known.inputs)))
    order = []
    for o in target.inputs:
        place = next(i for i in left if known.inputs[i] == o)
        left.remove(place)
        order.append(place)
    return tuple(order)


def _solutions(
    target: Form, known: Form, equations: Callable[[Values], list[sp.Expr]], wanted: Unknowns
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Admissible values of the unknowns, by the three coefficients where both have them, else by the equations."""
    for by_coefficients in (True, False):
        system = _coefficient_equations(target, known, wanted) if by_coefficients else equations({})
        found = False
        for solution in eliminate(system or [], wanted.symbols):
            if admissible(solution, wanted):
                found = True
                yield solution
        if found:
            return


def _coefficient_equations(target: Form, known: Form, wanted: Unknowns) -> list[sp.Expr] | None:
    if not (isinstance(target, Linear) and isinstance(known, Linear)):
        return None
    try:
        have, want = (coefficients(s.state_space()) for s in (known, target))
    except NotCarried:
        return None
    return [
        canonical(have[n].xreplace(wanted.rename) - want[n]) for n in ("alpha", "beta", "gamma")
    ]
