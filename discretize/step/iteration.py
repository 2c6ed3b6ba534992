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
from ..._support.errors import NotConsistent, OdescentError, TooLarge, check_choice
from ..._support.registry import title_of
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import as_scalar, check_known, check_name, exact_values
from ...dynamics.algebra.vectors import Expr
from ...dynamics.flows.system import System
from ...dynamics.implicit.search import InnerMethod
from ...dynamics.notation.show import text
from ...dynamics.vector_fields.block import LOOSE, Block, check_vectors
from ...dynamics.vector_fields.estimates import Supposition
from ...dynamics.vector_fields.hypotheses import Hypothesis
from ..linear.state_space import StateSpace, state_space
from ..linear.three_parameter import coefficients as three_parameter
from ..programs.bindings import (
    chained,
    check_constant,
    reachable,
    symbols_in,
)
from ..programs.inner import inner_method
from ..programs.program import Program
from ..programs.reuse import reuse_across_steps
from ..programs.searching import searched
from ..programs.stages import staged_in
from ..programs.substeps import Flow, Let, Scheme, expressions_of
from .carried_noise import check_assigned_noise, check_noise
from .carrying import carried_by_choices
from .compile import COUNTER, compile_scheme, infinite_at_first
from .sizes import checked_size, clock_blocks, depends_on_state, small_factor
from .words import Worded, Words

STEP = sp.Symbol("h", positive=True)
_WHAT_WORDS_MEAN = {"system", "scheme", "step", "small", "where"}  # depends on these alone
_COMPARED: ContextVar[bool] = ContextVar("compared with the limit of small steps", default=True)


@contextlib.contextmanager
def taken_as_consistent() -> Iterator[None]:
    """What is made inside is compiled when it is used, and not compared with its system: the library's own methods.

    The tests of the library make each of them again, with every check.
    """
    token = _COMPARED.set(False)
    try:
        yield
    finally:
        _COMPARED.reset(token)


class Iteration(Worded):
    """A system discretized by a scheme: the core of `Algorithm`, which documents the arguments.

    It provides its program and the linear forms of it, and has no imports from their users.
    """

    _instead = "run it, as in algorithm.run(f, x0, 100)"

    _of_the_tuning: ClassVar = (
        "tuned",
        "arriving",
        "tuning_values",
        "_state_space",
        "_mean_state_space",
        "kept",
        "timed",
        "unsized",
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
        small: sp.Symbol | None = None,
        outputs: Mapping[str, Expr] | None = None,
        clock: sp.Expr | None = None,
        assumes: Iterable[Hypothesis] = (),
        positive: Iterable[str] = (),
        name: str = "",
        reference: str = "",
        provenance: str = "",
    ) -> None:
        self.size: sp.Expr | None = None  # the step, where it depends on the state
        if depends_on_state(step, system):
            self.size, step = checked_size(as_scalar(step), system), STEP
        elif not isinstance(step, sp.Symbol):
            if STEP in (tuning or {}):
                raise OdescentError(
                    f"the step {STEP} has two values, step={step} and one in tuning=; give one of them."
                )
            step, tuning = STEP, {STEP: step, **(tuning or {})}
        self.system, self.scheme, self.step = system, scheme, step
        self.where, self.tuning = exact_values(where), exact_values(tuning)
        self.small = self._small(small)
        self.name = check_name(name) if name else ""
        self.reference, self.provenance = reference, provenance or system.provenance
        self.assumes, self.positive = tuple(assumes), tuple(positive)
        self.words: Words = {}  # for its parameters; an algorithm of the library brings its own
        self.clocks: tuple[str, ...] = ()  # blocks of time and step, of one that is made for runs
        self.counters: Mapping[str, str] = {}  # and of counts
        self.condition: Supposition | None = None  # of values that were estimated
        for block in self.positive:
            system.block(block)  # refuses a name that is none
        self._check_vectors(outputs or {})
        self._check_real()
        self._check_where()
        bindings = chained(self.where)
        self.bound = system.bind({s: e for s, e in bindings.items() if s in system.parameters})
        self.outputs: dict[str, Expr] = {
            n: substitute(e, bindings) for n, e in (outputs or {}).items()
        }
        self.clock = self._counted(clock)
        self._check_values()
        if _COMPARED.get():
            self._check_names()
            self._check_first_step()
            if system.fields:
                self._check_consistent()

    def _small(self, named: sp.Symbol | None) -> sp.Symbol | None:
        """The small factor of a step that depends on the state: the one that is named, or the only one there is."""
        if self.size is None and named is not None:
            raise OdescentError(
                f"small={named} is for a step that depends on the state; this one is {self.step} itself."
            )
        return None if self.size is None else small_factor(self.size, self.system, named, STEP)

    def _counted(self, clock: sp.Expr | None) -> sp.Expr | None:
        """The clock in step number and step, whatever symbols k and h stand for them; k * h where time is read."""
        if clock is None:
            return COUNTER * self.step if self._reads_time() else None
        if self.size is not None:
            raise OdescentError(
                "the clock of a method whose step depends on the state is the sum of its steps; leave clock= out."
            )
        meant = {s.name: s for s in (self.step, COUNTER)}
        clock = as_scalar(clock)
        clock = clock.xreplace({s: meant[s.name] for s in clock.free_symbols if s.name in meant})
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
        read += [e for s in self.scheme.every if not isinstance(s, Flow) for e in expressions_of(s)]
        return any(self.bound.time in symbols_of(e) for e in read)

    def _check_vectors(self, outputs: Mapping[str, Expr]) -> None:
        """Refuse vectors in substeps and outputs that are no blocks, and operators where vectors are."""
        known = {b.symbol for b in self.system.blocks}
        used: list[tuple[str, Symbol | None, Expr]] = [
            (f"the output {n}", None, e) for n, e in outputs.items()
        ]
        for part in self.scheme.every:
            if isinstance(part, Let):
                used += [(f"a Let for {s}", s, e) for s, e in part.assign.items()]
            else:
                used += [("a substep of the scheme", None, e) for e in expressions_of(part)]
        for user, s, e in used:
            check_vectors(user, e, {*known, *staged_in(e)}, LOOSE, s, exact=True)

    def _check_real(self) -> None:
        """Refuse parameters that are declared as no real numbers."""
        lets = [s.assign for s in self.scheme.every if isinstance(s, Let)]
        read = {s for of in lets for e in of.values() for s in symbols_of(e)}
        for s in (*self.system.parameters, *sorted(read, key=str)):
            if isinstance(s, sp.Symbol) and (s.is_real is False or s.is_finite is False):
                raise OdescentError(
                    f"the parameter {s} is declared as a number that is not real; declare it as a real one, "
                    f"{s} = od.parameters({s.name!r}, real=True)."
                )

    def _check_where(self) -> None:
        known = {*self.system.parameters, self.step, *symbols_in(self.where)}
        check_known(self.where, known)
        check_constant(self.where, self._moving)
        if self.step in self.where:
            raise OdescentError(f"the step {self.step} is bound by tuning=, not by where=.")

    def _check_values(self) -> None:
        """Refuse values of parameters that no tuning has."""
        check_constant(self.tuning, self._moving)
        if (taken := self.tuning.get(self.step, sp.S.One)).is_negative:  # 0 is the limit of steps
            raise OdescentError(f"{self.step} must be at least 0, not {taken}.")
        values = chained({**self.tuning, **self.where})
        for hypothesis in self.assumes:
            hypothesis.at(values).checked()

    def _check_names(self) -> None:
        """Refuse a tuning of symbols that the step does not have, and names that stand for two of them."""
        known = {*self.program.parameters, *symbols_in(self.tuning)}
        known |= {self.step} if self.size is None else set()
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
        # an assignment may be infinite where what is made of it is not
        try:
            if not infinite_at_first(self.program) or not infinite_at_first(self.program.inlined()):
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
    def unsized(self) -> Self:
        """The same with a step that is a parameter."""
        if self.size is None:
            return self
        needed = {*self.own_program.parameters, *self.bound.parameters} - {STEP}
        return self.replace(step=STEP, small=None, tuning=reachable(self.tuning, needed))

    @cached_property
    def _clocks(self) -> tuple[Block, Block]:
        return clock_blocks({b.name for b in self.system.blocks} | self.reserved())

    @cached_property
    def timed(self) -> Self:
        """The algorithm with two more blocks, for runs: the time that has passed, and the last step taken."""
        elapsed, last = self._clocks
        program = self._compiled(self.scheme, self.bound_size, elapsed)
        blocks, after = (*program.blocks, last), {**program.next, last.symbol: self.step}
        program = replace(program, blocks=blocks, next=after)
        program = reuse_across_steps(program, (*self.bound.blocks, elapsed, last))
        made = self.with_program(carried_by_choices(program))
        made.clocks = (elapsed.name, last.name)
        return made

    def with_program(self, program: Program) -> Self:
        """The algorithm that goes by another program, which has the same steps and more blocks: for runs."""
        made = copy(self)
        for view in self._of_the_tuning:
            made.__dict__.pop(view, None)
        made.__dict__["program"], made._origin = program, None
        return made

    def _compiled(
        self, scheme: Scheme, size: sp.Expr | None = None, elapsed: Block | None = None
    ) -> Program:
        outputs = {"x": self.bound.output, **self.outputs}
        clock, reserved = self.clock, self.reserved()
        return compile_scheme(
            self.bound, scheme, self.step, clock, outputs, reserved, size, elapsed
        )

    def reserved(self) -> set[str]:
        """The names that no instruction of the program may take, beside those of the bound system."""
        scalars = {*self.where, *self.tuning, *symbols_in(self.where), *symbols_in(self.tuning)}
        if self.size is not None:
            scalars |= {s for s in self.size.free_symbols if isinstance(s, sp.Symbol)}
        return {"x", *self.outputs, *(s.name for s in scalars)}

    @cached_property
    def program(self) -> Program:
        """The program of one step, with the step and the parameters free; a call is made once across steps."""
        program = searched(self.sized_program)
        return carried_by_choices(reuse_across_steps(program, self.bound.blocks))

    @cached_property
    def tuned(self) -> Program:
        """The program with the tuning bound."""
        return self.program.bind(self.tuning_values)

    @cached_property
    def arriving(self) -> Program:
        """The tuned program of an optimizer to which gradients come: it keeps none where a choice stays in place."""
        if not self.program.guarded:
            return self.tuned
        reused = reuse_across_steps(searched(self.sized_program), self.bound.blocks)
        return carried_by_choices(reused, calls=False).bind(self.tuning_values)

    @cached_property
    def tuning_values(self) -> dict[sp.Symbol, sp.Expr]:
        """The tuning with its values in each other's places: with mu = 1 and L = 4, h = 1/sqrt(L) is 1/2."""
        return chained(self.tuning)

    @cached_property
    def kept(self) -> dict[Any, Any]:
        """Results computed from the tuned algorithm, by kind, so that each is computed once."""
        return {}

    @cached_property
    def inner_method(self) -> InnerMethod:
        """One step as data, for `argmin`, `root` and `bilevel`, which search by it.

        Raises OdescentError where parameters have no numbers, or a step is more than gradients of one function.
        """
        return inner_method(self.sized_program.bind(self.tuning_values), self.name)

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
    def branch(self, *decisions: bool) -> Self:
        """The algorithm that takes one way at each choice; it is compared with no system.

        Args:
            decisions: whether guards accept, in the order in which a step meets them; the last stands for all others.
        """
        if not decisions:
            raise OdescentError(
                "a branch needs the decision of a guard, as in algorithm.branch(True)."
            )
        with taken_as_consistent():
            made = self.replace(scheme=self.scheme.branch(*decisions), tuning={})
            return made.replace(tuning=reachable(self.tuning, made.program.parameters))

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
        if made.reserved() - system != self.reserved() - system:  # other names might be fresh
            return self._rebuilt({"tuning": made.tuning})
        for view in self._of_the_tuning:
            made.__dict__.pop(view, None)
        made._check_values()
        made._check_names()
        return made

    def _rebuilt(self, changes: Mapping[str, Any]) -> Self:
        settings: dict[str, Any] = {
            "system": self.system, "scheme": self.scheme, "step": self.size or self.step, "small": self.small,
            "where": self.where, "tuning": self.tuning, "outputs": self.outputs, "clock": self.clock,
            "positive": self.positive, "assumes": () if "system" in changes else self.assumes,
            "name": self.name, "reference": self.reference, "provenance": self.provenance,
        }  # fmt: skip
        for name in changes:
            check_choice("argument of Algorithm called", name, settings)
        settings.update(changes)
        made = type(self)(settings.pop("system"), settings.pop("scheme"), **settings)
        if changes.keys().isdisjoint(_WHAT_WORDS_MEAN):
            made.words, made.condition = self.words, self.condition
        return made

    def _check_consistent(self) -> None:
        """Refuse substeps and assignments with which a step has another noise than the system."""
        way = self.scheme.branch(True).unrolled() if self.scheme.guarded else self.scheme
        check_noise(self.system, way)
        if any(f.noise for f in self.system.fields.values()):
            check_assigned_noise(self.bound, way, self.step, self.clock, self.reserved())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'unnamed'}: {self.scheme.name or 'scheme'} ({self.scheme})>"


__all__ = ["STEP", "Iteration", "taken_as_consistent"]
