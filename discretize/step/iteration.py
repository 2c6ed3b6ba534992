"""The core of algorithms: a system, a scheme and a step, as one program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotConsistent, OdescentError, TooLarge, check_choice, listed
from ..._support.registry import title_of
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, singular, substitute, symbols_of
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import check_known, check_name, exact_values
from ...dynamics.algebra.vectors import Expr
from ...dynamics.flows.system import System
from ...dynamics.notation.show import text
from ...dynamics.vector_fields.estimates import Supposition, condition_of
from ...dynamics.vector_fields.hypotheses import Hypothesis
from ..linear.state_space import StateSpace, state_space
from ..linear.three_parameter import coefficients as three_parameter
from ..programs.bindings import (
    chained,
    check_constant,
    check_constants,
    reachable,
    symbols_in,
    value_of,
)
from ..programs.program import Program
from ..programs.substeps import Flow, Let, Scheme
from .compile import COUNTER, compile_scheme, reuse_across_steps
from .words import Assignment, Words, assignments, spoken

STEP = sp.Symbol("h", positive=True)
_WHAT_WORDS_MEAN = {"system", "scheme", "step", "where"}  # depends on these alone
_COMPARED: ContextVar[bool] = ContextVar("compared with the limit of small steps", default=True)


@contextlib.contextmanager
def taken_as_consistent() -> Iterator[None]:
    """What is made inside is not compared with its system: the library's own methods, which its tests compare."""
    token = _COMPARED.set(False)
    try:
        yield
    finally:
        _COMPARED.reset(token)


class Iteration(Rendered):
    """A system discretized by a scheme: the core of `Algorithm`, which documents the arguments.

    It provides its program and the linear forms of it, and has no imports from their users.
    """

    _instead = "run it, as in algorithm.run(f, x0, 100)"

    _of_the_tuning: ClassVar = (
        "tuned",
        "tuning_values",
        "_state_space",
        "_mean_state_space",
        "kept",
    )  # views, made once

    @checked
    def __init__(
        self,
        system: System,
        scheme: Scheme,
        step: sp.Expr | float = STEP,
        where: Mapping[sp.Symbol, object] | None = None,
        tuning: Mapping[sp.Symbol, object] | None = None,
        *,
        outputs: Mapping[str, Expr] | None = None,
        clock: sp.Expr | None = None,
        assumes: Iterable[Hypothesis] = (),
        positive: Iterable[str] = (),
        name: str = "",
        reference: str = "",
        provenance: str = "",
    ) -> None:
        if not isinstance(step, sp.Symbol):
            if STEP in (tuning or {}):
                raise OdescentError(
                    f"the step {STEP} has two values, step={step} and one in tuning=; give one of them."
                )
            step, tuning = STEP, {STEP: step, **(tuning or {})}
        self.system, self.scheme, self.step = system, scheme, step
        self.where, self.tuning = exact_values(where), exact_values(tuning)
        self.name = check_name(name) if name else ""
        self.reference, self.provenance = reference, provenance or system.provenance
        self.assumes, self.positive = tuple(assumes), tuple(positive)
        self.words: Words = {}  # for its parameters; an algorithm of the library brings its own
        self.condition: Supposition | None = None  # of values that were estimated
        for block in self.positive:
            system.block(block)  # refuses a name that is none
        self._check_where()
        bindings = chained(self.where)
        self.bound = system.bind({s: e for s, e in bindings.items() if s in system.parameters})
        self.outputs: dict[str, Expr] = {
            n: substitute(e, bindings) for n, e in (outputs or {}).items()
        }
        self.clock = self._counted(clock)
        self._check_tuning()
        self._check_first_step()
        if system.fields and _COMPARED.get():
            self._check_consistent()

    def _counted(self, clock: sp.Expr | None) -> sp.Expr | None:
        """The clock in the step number, whatever symbol k stands for it; k * h by default, where time is read."""
        if clock is None:
            return COUNTER * self.step if self._reads_time() else None
        clock = clock.xreplace({s: COUNTER for s in clock.free_symbols if s.name == COUNTER.name})
        check_constant({COUNTER: clock}, self._moving)
        advance = canonical(clock.xreplace({COUNTER: COUNTER + 1}) - clock)
        if not is_zero(advance - self.step):
            raise NotConsistent(
                f"the clock {text(clock)} moves on by {text(advance)} from step {COUNTER} to the next, not by the step "
                f"{self.step}; give one that does, such as ({COUNTER} + 1) * {self.step}."
            )
        return clock

    @property
    def _moving(self) -> set[Symbol | None]:
        """Symbols that parameter values must not contain."""
        return {*(b.symbol for b in self.system.blocks), self.system.time}

    def _reads_time(self) -> bool:
        """Whether a field or a Let has the time in it, even where the time cancels in the sum."""
        fields = self.bound.fields.values()
        read: list[Expr] = [e for f in fields for e in f.drift.values()]
        read += [e for f in fields for d in f.noise.values() for e in d.expressions]
        read += [e for s in self.scheme.steps if isinstance(s, Let) for e in s.assign.values()]
        return any(self.bound.time in symbols_of(e) for e in read)

    def _check_where(self) -> None:
        known = {*self.system.parameters, self.step, *symbols_in(self.where)}
        check_known(self.where, known)
        check_constant(self.where, self._moving)
        if self.step in self.where:
            raise OdescentError(f"the step {self.step} is bound by tuning=, not by where=.")

    def _check_tuning(self) -> None:
        check_constant(self.tuning, self._moving)
        if (taken := self.tuning.get(self.step, sp.S.One)).is_negative:  # 0 is the limit of steps
            raise OdescentError(f"{self.step} must be at least 0, not {taken}.")
        values = chained({**self.tuning, **self.where})
        for hypothesis in self.assumes:
            hypothesis.at(values).checked()
        known = {*self.program.parameters, *symbols_in(self.tuning), self.step}
        check_known(self.tuning, known)
        names = [s.name for s in (*self.program.state, *(known | set(self.program.parameters)))]
        if self.program.counter is not None and self.program.counted:
            names.append(self.program.counter.name)
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise OdescentError(
                f"the name {twice[0]!r} stands for two different symbols; rename one of them."
            )

    def _check_first_step(self) -> None:
        """Refuse coefficients that are infinite in the first step: the clock starts where something is singular."""
        if self.program.counter is None:
            return
        first = {self.program.counter: sp.S.Zero}

        def infinite(program: Program) -> bool:
            read = [e for i in program.instructions for e in i.expressions]
            return any(singular(substitute(e, first)) for e in (*program.next.values(), *read))

        # an assignment may be infinite where what is made of it is not
        try:
            if not infinite(self.program) or not infinite(self.program.inlined()):
                return
        except TooLarge:
            return
        when, advice = "", "begin with a later step"
        if self.clock is not None:
            begin = canonical(self.clock.xreplace({COUNTER: sp.S.Zero}))
            when = f", where the clock {text(self.clock)} begins with {text(begin)}"
            advice = f"give a clock that begins later, such as clock=({COUNTER} + 1) * {self.step}"
        raise OdescentError(f"a coefficient is infinite in the first step{when}; {advice}.")

    @cached_property
    def own_program(self) -> Program:
        """The program of one step, with every oracle call that it makes by itself."""
        return self._compiled(self.scheme)

    @cached_property
    def held_program(self) -> Program:
        """The same with the coefficient blocks held where they are: what the limit of small steps is taken of."""
        held = {b.symbol for b in self.system.blocks if b.role == "coefficient"}
        if not held:
            return self.own_program
        steps = [
            replace(s, assign={b: e for b, e in s.assign.items() if b not in held})
            if isinstance(s, Let)
            else s
            for s in self.scheme.steps
        ]
        return self._compiled(replace(self.scheme, steps=tuple(steps)))

    def _compiled(self, scheme: Scheme) -> Program:
        outputs = {"x": self.bound.output, **self.outputs}
        return compile_scheme(self.bound, scheme, self.step, self.clock, outputs, self._reserved())

    def _reserved(self) -> set[str]:
        """The names that no instruction of the program may take, beside those of the bound system."""
        scalars = {*self.where, *self.tuning, *symbols_in(self.where), *symbols_in(self.tuning)}
        return {"x", *self.outputs, *(s.name for s in scalars)}

    @cached_property
    def program(self) -> Program:
        """The program of one step, with the step and the parameters free; a call is made once across steps."""
        return reuse_across_steps(self.own_program, self.bound.blocks)

    @cached_property
    def tuned(self) -> Program:
        """The program with the tuning bound."""
        return self.program.bind(self.tuning_values)

    @cached_property
    def tuning_values(self) -> dict[sp.Symbol, sp.Expr]:
        """The tuning with its values in each other's places: with mu = 1 and L = 4, h = 1/sqrt(L) is 1/2."""
        return chained(self.tuning)

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """Results computed from the tuned algorithm, by kind, so that each is computed once."""
        return {}

    @property
    def title(self) -> str:
        """The title in print: that of the library's entry of its name, or the name in words."""
        return title_of(self.name, "algorithm", "system")

    @property
    def init(self) -> dict[str, Expr]:
        """Initial values of the blocks, in the starting point x0."""
        return {b.name: b.init for b in self.tuned.blocks}

    @property
    def output(self) -> Expr:
        return self.tuned.outputs["x"]

    @property
    def calls(self) -> int:
        """Oracle calls per step, without the components in sweeps."""
        return len(self.program.calls)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols that still need a value."""
        return self.tuned.parameters

    @cached_property
    def _state_space(self) -> StateSpace:
        return state_space(self.tuned)

    @cached_property
    def _mean_state_space(self) -> StateSpace:
        return state_space(self.tuned.mean())

    @checked
    def state_space(self, mean: bool = False) -> StateSpace:
        """The state-space form after tuning; with ``mean``, that of the mean over the draws of each step.

        Raises NotLTI if there is none, as for a method with noise, and NotCarried as `Program.mean` does.
        """
        return self._mean_state_space if mean and self.tuned.draws else self._state_space

    def transfer_function(self) -> sp.Expr | sp.Matrix:
        """The transfer function from the gradient to the gradient point; a matrix for several calls."""
        transfer = self.state_space().transfer()
        return transfer[0, 0] if transfer.shape == (1, 1) else transfer

    @property
    def coefficients(self) -> dict[str, sp.Expr]:
        """alpha, beta, gamma, delta of xi+ = (1+beta) xi - beta xi_- - alpha g((1+gamma) xi - gamma xi_-).

        The output is (1+delta) xi - delta xi_-. Raises NotCarried if the form does not exist.
        """
        return three_parameter(self.state_space())

    @checked
    def bind(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The algorithm with parameters given values, by symbol or by name; exact numbers stay exact.

        A value replaces the tuning of that parameter. Aliases such as step, learning_rate and momentum are accepted
        too; `od.algorithm` lists them.
        Raises OdescentError for an unknown parameter, two that set the same one, or a value outside its domain.
        """
        asked = {getattr(k, "name", k): v for k, v in {**(values or {}), **by_name}.items()}
        given: dict[sp.Symbol, sp.Expr] = {}
        for name, a in self._asked("parameter", asked).items():
            number = value_of(a.symbol, asked[name])
            given[a.target] = a.at(number)
        tuning = reachable({**self.tuning, **given}, self.program.parameters)
        check_constants(tuning)
        _check_signs(tuning, given)
        made = self.replace(tuning=tuning)
        made.condition = condition_of(*asked.values()) or self.condition
        return made

    @checked
    def freed(self, given: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The algorithm with the given parameters free, regardless of the tuning.

        Unlike with `bind` the values may be traced by JAX, and all values share one program.

        Args:
            given: values by the names of parameters or their aliases, as for `bind`.

        Returns:
            the algorithm, and the values by the names of its parameters.

        Raises:
            OdescentError: as `bind`, or a parameter without effect beside the others.
        """
        if set(given) <= {s.name for s in self.parameters}:
            return self, dict(given)
        who = self.name or "the algorithm"
        named = self._asked(f"parameter of {who} called", given)
        for name, a in named.items():
            if a.target != a.symbol and isinstance(given[name], (int, float, sp.Expr)):
                a.at(value_of(a.symbol, given[name]))
        key = ("freed", frozenset(named))
        if key not in self.kept:
            targets = {a.target for a in named.values()}
            tuning = {s: e for s, e in self.tuning.items() if s not in targets}
            tuning |= {a.target: a.value for a in named.values() if a.target != a.symbol}
            self.kept[key] = self.replace(tuning=reachable(tuning, self.program.parameters))
        made: Self = self.kept[key]
        left = {s.name for s in made.parameters}
        for name, a in named.items():
            if a.symbol.name not in left:
                others = [n for n in named if n != name]
                once = f" once {listed(others)} {'is' if len(others) == 1 else 'are'} given"
                raise OdescentError(
                    f"{who} does not depend on {name}{once if others else ''}: leave {name} out."
                )
        return made, {a.symbol.name: given[n] for n, a in named.items()}

    def _asked(self, kind: str, names: Iterable[str]) -> dict[str, Assignment]:
        return assignments(kind, self._own, self.names, names)

    @property
    def _own(self) -> dict[str, sp.Symbol]:
        """The parameters by name, those that the tuning sets among them."""
        return {s.name: s for s in (*self.program.parameters, *self.parameters, *self.tuning)}

    @property
    def names(self) -> dict[str, Assignment]:
        """All names and aliases of parameters, with the parameter that each sets."""
        return spoken(self.words, self._own, self.step)

    def replace(self, **changes: Any) -> Self:
        """The algorithm with some constructor arguments changed."""
        if changes.keys() == {"tuning"}:
            return self._retuned(changes["tuning"])
        return self._rebuilt(changes)

    def _retuned(self, tuning: Mapping[sp.Symbol, object] | None) -> Self:
        """With another tuning: the program is free of it, so the compiled one and its limit stay as they are."""
        made = copy(self)
        made.tuning = exact_values(tuning)
        system = {self.step.name, *(s.name for s in self.bound.parameters)}
        if made._reserved() - system != self._reserved() - system:  # other names might be fresh
            return self._rebuilt({"tuning": made.tuning})
        for view in self._of_the_tuning:
            made.__dict__.pop(view, None)
        made._check_tuning()
        return made

    def _rebuilt(self, changes: Mapping[str, Any]) -> Self:
        settings: dict[str, Any] = {
            "system": self.system, "scheme": self.scheme, "step": self.step, "where": self.where,
            "tuning": self.tuning, "outputs": self.outputs, "clock": self.clock, "positive": self.positive,
            "assumes": () if "system" in changes else self.assumes, "name": self.name,
            "reference": self.reference, "provenance": self.provenance,
        }  # fmt: skip
        for name in changes:
            check_choice("argument of Algorithm called", name, settings)
        settings.update(changes)
        made = type(self)(settings.pop("system"), settings.pop("scheme"), **settings)
        if changes.keys().isdisjoint(_WHAT_WORDS_MEAN):
            made.words, made.condition = self.words, self.condition
        return made

    def _check_consistent(self) -> None:
        """Refuse substeps that do not advance the noise of every field by exactly one step.

        Independent increments add their variances, so the fractions of a noisy field's substeps sum to one.

        Substeps that share an increment add their fractions of it, and the square of the sum is their part.
        """
        flows = [s for s in self.scheme.steps if isinstance(s, Flow) and s.commit]
        for name, f in self.system.fields.items():
            for s in f.noise:
                carried: dict[str | None, list[sp.Expr]] = {}
                for w in flows:
                    if (not w.fields or name in w.fields) and (not w.on or s.name in w.on):
                        carried.setdefault(w.increment, []).append(w.fraction)
                total = sp.Add(
                    *[sp.Add(*p) if own is None else sp.Add(*p) ** 2 for own, p in carried.items()]
                )
                if not is_zero(total - 1):
                    raise NotConsistent(
                        f"the scheme advances the noise of field {name!r} on {s} by {total} of a step; "
                        "every field must be committed for exactly one step."
                    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'unnamed'}: {self.scheme.name or 'scheme'} ({self.scheme})>"


__all__ = ["STEP", "Iteration", "taken_as_consistent"]


def _check_signs(tuning: Mapping[sp.Symbol, sp.Expr], given: Mapping[sp.Symbol, sp.Expr]) -> None:
    """Refuse values that make a parameter negative that has to be positive, as beta1 above 1 does in Adam."""
    for s, expression in tuning.items():
        used = {g: value for g, value in given.items() if g in expression.free_symbols}
        if used and s.is_positive and (value := expression.xreplace(used)).is_negative:
            values = listed([f"{g} = {v}" for g, v in used.items()])
            raise OdescentError(f"{values} gives {s} the value {value}, which must be positive.")
