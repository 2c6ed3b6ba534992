"""Algorithms: a system, a scheme and a step, as one program with its views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sympy as sp

from odescent._arguments import checked
from odescent._errors import NotCarried, NotConsistent, OdescentError, unknown
from odescent._whole_numbers import check_whole
from odescent.dynamics.calculus import substitute, symbols_of
from odescent.dynamics.exact import check_name, exact_values, is_zero
from odescent.dynamics.fields import Block, System, start
from odescent.dynamics.vectors import Expr, VectorSymbol

from .bindings import (
    chained,
    check_constants,
    check_known,
    reachable,
    symbols_in,
    value_of,
)
from .compile import COUNTER, compile_scheme, reuse_across_steps
from .program import Program
from .state_space import StateSpace, state_space
from .substeps import Flow, Let, Scheme

if TYPE_CHECKING:
    from pathlib import Path

    import optax
    from jaxtyping import Array, Key
    from torch.optim import Optimizer

    from odescent.dynamics.oracles import Objective

    from .backward_error import ModifiedEquation
    from .derivation import Derivation
    from .equivalence import Equivalence
    from .run import Trajectory

STEP = sp.Symbol("h", positive=True)


class Algorithm:
    """What a scheme makes of a system.

    Args:
        system: the continuous-time system.
        scheme: the scheme. Both may be the names of registered ones that need no options, as "rk4".
        step: the symbol of the step size; a value is bound by ``tuning``.
        where: bindings that are part of the discretization and may contain the step, e.g. ``{a: h}``.
        tuning: values bound last, the step's among them, e.g. ``{h: 1 / sqrt(L)}``; orders in the step
            make sense because these are kept apart.
        outputs: further named expressions in the blocks, recorded beside the states.
        clock: time as an expression in the step number k and the step; k * h by default.
        positive: names of blocks whose entries have to be positive where a run starts, or what is said of the
            method does not hold; such a run is refused.
        name, reference, provenance: for people; provenance says what is reconstructed.

    Raises:
        NotConsistent: the committed substeps do not add up to the drift as the step tends to zero. Where that
            limit is an average over draws, which is not worked out, it is not compared.
        OdescentError: the scheme does not fit the system.
    """

    @checked
    def __init__(
        self,
        system: System,
        scheme: Scheme,
        step: sp.Symbol = STEP,
        where: Mapping[sp.Symbol, object] | None = None,
        tuning: Mapping[sp.Symbol, object] | None = None,
        *,
        outputs: Mapping[str, Expr] | None = None,
        clock: sp.Expr | None = None,
        positive: Iterable[str] = (),
        name: str = "",
        reference: str = "",
        provenance: str = "",
    ) -> None:
        self.system, self.scheme, self.step = system, scheme, step
        self.where, self.tuning = exact_values(where), exact_values(tuning)
        self.name = check_name(name) if name else ""
        self.reference, self.provenance = reference, provenance or system.provenance
        self.positive = tuple(positive)
        for block in self.positive:
            system.block(block)  # refuses a name that is none
        self._modified: dict[int, ModifiedEquation] = {}
        self._check_where()
        bindings = chained(self.where)
        self.bound = system.bind(bindings)
        self.outputs: dict[str, Expr] = {
            n: substitute(e, bindings) for n, e in (outputs or {}).items()
        }
        self.clock = clock
        if clock is None and self._reads_time():
            self.clock = COUNTER * step
        self._check_tuning()
        if system.fields:
            self._check_consistent()

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
        if self.step in self.where:
            raise OdescentError(f"the step {self.step} is bound by tuning=, not by where=.")

    def _check_tuning(self) -> None:
        chained(self.tuning)
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
        return reuse_across_steps(self.own_program)

    @cached_property
    def tuned(self) -> Program:
        """The program with the tuning bound."""
        return self.program.bind(chained(self.tuning))

    @property
    def title(self) -> str:
        """What it is called in print: the title of the library's entry of its name, or its name in words."""
        from odescent.dynamics.library import REGISTRY as SYSTEMS

        from .library import REGISTRY

        return REGISTRY.titles.get(self.name) or SYSTEMS.title(self.name)

    @property
    def init(self) -> dict[str, Expr]:
        """Initial values of the blocks, in the starting point x0."""
        return {b.name: b.init for b in self.tuned.blocks}

    @property
    def output(self) -> Expr:
        return self.tuned.outputs["x"]

    @property
    def calls(self) -> int:
        """Oracle calls per step, without the components that sweeps ask for."""
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

    def state_space(self, mean: bool = False) -> StateSpace:
        """The state-space view after tuning, with ``mean`` that of the mean over the draws of each step.

        Raises NotLTI where there is none, as for a method with noise itself, and NotCarried as `Program.mean` does.
        """
        return self._mean_state_space if mean and self.tuned.draws else self._state_space

    def transfer_function(self) -> sp.Expr | sp.Matrix:
        """The transfer function from the gradient to the gradient point; a matrix for several calls."""
        transfer = self.state_space().transfer()
        return transfer[0, 0] if transfer.shape == (1, 1) else transfer

    @property
    def coefficients(self) -> dict[str, sp.Expr]:
        """alpha, beta, gamma, delta of xi+ = (1+beta) xi - beta xi_- - alpha g((1+gamma) xi - gamma xi_-).

        The output is (1+delta) xi - delta xi_-. Raises NotCarried where the form does not exist.
        """
        from .three_parameter import coefficients

        return coefficients(self.state_space())

    @checked
    def bind(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Algorithm:
        """The algorithm with parameters given values, by symbol or by name; exact numbers stay exact.

        Raises OdescentError for an unknown parameter or a value outside its domain.
        """
        free = {s.name: s for s in (*self.program.parameters, *self.parameters, *self.tuning)}
        given: dict[sp.Symbol, sp.Expr] = {}
        for key, value in {**(values or {}), **by_name}.items():
            name = getattr(key, "name", key)
            if name not in free:
                raise unknown("parameter", name, free)
            given[free[name]] = value_of(free[name], value)
        tuning = reachable({**self.tuning, **given}, self.program.parameters)
        check_constants(tuning)
        return self.replace(tuning=tuning)

    def replace(self, **changes: Any) -> Algorithm:
        """The algorithm with some constructor arguments changed."""
        if changes.keys() == {"tuning"}:
            return self._retuned(changes["tuning"])
        return self._rebuilt(changes)

    def _retuned(self, tuning: Mapping[sp.Symbol, object] | None) -> Algorithm:
        """With another tuning: the program is free of it, so the compiled one and its limit stay as they are."""
        made = copy(self)
        made.tuning = exact_values(tuning)
        system = {self.step.name, *(s.name for s in self.bound.parameters)}
        if made._reserved() - system != self._reserved() - system:  # other names might be fresh
            return self._rebuilt({"tuning": made.tuning})
        made._modified = {}
        for view in ("tuned", "_state_space", "_mean_state_space"):
            made.__dict__.pop(view, None)
        made._check_tuning()
        return made

    def _rebuilt(self, changes: Mapping[str, Any]) -> Algorithm:
        settings: dict[str, Any] = {
            "system": self.system, "scheme": self.scheme, "step": self.step, "where": self.where,
            "tuning": self.tuning, "outputs": self.outputs, "clock": self.clock, "positive": self.positive,
            "name": self.name, "reference": self.reference, "provenance": self.provenance,
        }  # fmt: skip
        for name in changes:
            if name not in settings:
                raise unknown("argument of Algorithm called", name, settings)
        settings.update(changes)
        return Algorithm(settings.pop("system"), settings.pop("scheme"), **settings)

    def consistent_with(self) -> System:
        """The limit flow: the system that the algorithm tends to as the step tends to zero."""
        from .backward_error import limit_flow
        from .recurrence import with_coefficients

        return with_coefficients(limit_flow(self), self)

    def _check_consistent(self) -> None:
        from .backward_error import inconsistency
        from .recurrence import coefficient_drift

        try:
            found = inconsistency(self)
        except NotCarried:  # the limit is an average over draws: the drift is compared with nothing
            found = None
        if found is not None:
            block, moved, drift = found
            raise NotConsistent(
                f"the scheme does not add up to the system: as {self.step} -> 0 its substeps move {block} by "
                f"{moved}, but the drift is {drift}; every field must be committed for one whole step."
            )
        coefficient_drift(self)
        self._check_noise()

    def _check_noise(self) -> None:
        """Independent increments add their variances, so the fractions of a noisy field's substeps sum to one.

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
                        f"the scheme carries the noise of field {name!r} on {s} for {total} of a step; "
                        "every field must be committed for one whole step."
                    )

    @checked
    def modified_equation(self, order: int = 1) -> ModifiedEquation:
        """The modified equation through O(h^order), by backward error analysis; see `backward_error`."""
        from .backward_error import modified_equation

        check_whole("order", order, 0)
        if order not in self._modified:
            self._modified[order] = modified_equation(self, order)
        return self._modified[order]

    def derivation(self) -> Derivation:
        """The checked path from the system to this algorithm: drift, map, limit, modified equation, form.

        Raises NotCarried where the limit is an average over draws.
        """
        from .backward_error import limit_drift
        from .routes.direct import direct

        if self.own_program.draws:
            limit_drift(self)
        return direct(self)

    @checked
    def equivalent(
        self, other: Algorithm, where: Mapping[sp.Symbol, object] | None = None
    ) -> Equivalence:
        """Whether the two call their oracles at the same points, from every start and for every function.

        ``where`` binds parameters of this algorithm first, the step among them; it goes before the tuning.
        """
        from .equivalence import compare

        values = {**self.tuning, **exact_values(where)}
        check_known(where or {}, {*self.program.parameters, *self.parameters, *self.tuning})
        return compare(self.program.bind(chained(values)), other.tuned)

    def run(
        self,
        objective: Objective,
        x0: Any,
        steps: int,
        key: Key[Array, ""] | int | None = None,
        **options: Any,
    ) -> Trajectory:
        """Iterate on a concrete objective from x0, in one compiled loop in float64.

        Args:
            objective: with the oracles that the method calls, or the name of a registered one.
            x0: the starting point: numbers, an array or a pytree; of particles, N of them on the first axis.
            steps: the number of steps.
            key: a JAX key or a whole number, its seed, where noise is drawn.
            options: values of the free parameters by name (mu and L default to the objective's constants), and every=,
                statistics=, chunk=, progress=, resume= for long runs; all of them are explained at `run.run`.

        Returns a `Trajectory`: ``.x`` of shape (steps + 1, *x0.shape), ``.f``, ``.t``, ``.states`` by block. Raises
        OdescentError for a bad start, number of steps or parameter, and for an oracle that the objective lacks.
        """
        from .run import run

        return run(self, objective, x0, steps, key, **options)

    def source(self, target: str = "numpy") -> str:
        """Stand-alone source: "numpy", "jax", "optax", "torch", "latex" or "markdown"; the same bytes every time.

        Raises NotCarried, with the reason, where the target cannot carry the algorithm.
        """
        from .emit import source

        return source(self, target)

    def write(self, path: str | Path, target: str = "numpy") -> Path:
        """Write the source to a file, atomically."""
        from .emit import write

        return write(self, path, target)

    def to_optax(self, /, **parameters: Any) -> optax.GradientTransformation:
        """The algorithm as an optax transformation: the emitted source, loaded.

        ``parameters`` are numbers, arrays, or schedules of the step, by name; ``key`` where noise is drawn. Raises
        NotCarried where optax cannot carry it, OdescentError for missing or unknown parameters.
        """
        from .emit import to_optax

        return to_optax(self, **parameters)

    def to_torch(self, /, params: Any, **options: Any) -> Optimizer:
        """The algorithm as a torch optimizer of ``params``: the emitted source, loaded.

        ``options`` are the parameters by name and torch's own (foreach, maximize, ...). Raises NotCarried where torch
        cannot carry it, OdescentError for missing or unknown options or where torch is not installed.
        """
        from .emit import to_torch

        return to_torch(self, params, **options)

    def latex(self) -> str:
        """One step as an aligned LaTeX environment."""
        from .emit.latex import latex

        return latex(self)

    def to_dict(self) -> dict[str, Any]:
        """What it is, as plain data."""
        from .report import algorithm_dict

        return algorithm_dict(self)

    def __str__(self) -> str:
        from .report import program_text

        return program_text(self.tuned)

    def __repr__(self) -> str:
        return (
            f"<Algorithm {self.name or 'unnamed'}: {self.scheme.name or 'scheme'} ({self.scheme})>"
        )


@checked
def method(
    updates: Mapping[Any, Any],
    *,
    output: Expr,
    init: Mapping[Any, Any] | None = None,
    before: Mapping[Any, Any] | None = None,
    tuning: Mapping[sp.Symbol, object] | None = None,
    name: str = "",
    reference: str = "",
) -> Algorithm:
    """An algorithm written directly as a map: ``method({x: y - s * f.grad(y), ...}, output=x)``.

    ``updates`` are assigned simultaneously, after ``before``; blocks start at x0 unless ``init`` says
    otherwise. It has no flow behind it; use it to say what an algorithm is compared with.
    """
    symbols = list(dict.fromkeys([*(before or {}), *updates]))
    declared = [
        Block(s.name, s.kind, "memory", start)
        if isinstance(s, VectorSymbol)
        else Block(s.name, "scalar", "memory", sp.S.Zero)
        for s in symbols
    ]
    lets = (*((Let(before),) if before else ()), Let(updates))
    system = System({}, blocks=declared, output=output, init=init, name=name)
    return Algorithm(
        system, Scheme(lets, name or "map"), tuning=tuning, name=name, reference=reference
    )


__all__ = ["STEP", "Algorithm", "method"]
