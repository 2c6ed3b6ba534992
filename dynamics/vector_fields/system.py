"""Systems: named blocks, and named whole-state vector fields whose sum is the drift."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected, shown, unknown
from ..._support.registry import title_of
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import (
    Symbol,
    derivative,
    modal,
    oracles_in,
    singular,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from ..algebra.exact import canonical
from ..algebra.operators import check_symmetric
from ..algebra.oracles import Oracle
from ..algebra.scalars import as_real, as_scalar, check_known, check_name, exact_values
from ..algebra.series import limit_at
from ..algebra.vectors import (
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    scalar_calls,
    zero,
)
from ..algebra.windows import is_window
from ..notation.show import differential, latex, symbol_latex, text
from ..samples.mean import mean
from ..samples.sample import samples_in
from ..solves.routes import check_solves
from .block import LOOSE, Block, begun, check_vectors, initial_values, start
from .processes import Diffusion, Jumps, Noise, common_clock
from .scales import fast_blocks, renewed
from .second_order import SecondOrder, second_order

mu, L = sp.symbols("mu L", positive=True)  # strong convexity and smoothness, everywhere
curvature = sp.Symbol("lambda", positive=True)  # the curvature of one mode of a quadratic
FIELD = "all"  # the name of the one field of a system whose fields have no names
_SYMBOLS = (VectorSymbol, sp.Symbol)
FieldLike: TypeAlias = "Field | Mapping[Symbol, Expr]"


@dataclass(frozen=True)
class Field(Rendered):
    """A whole-state vector field: the drift of each block it moves, and the noise on it."""

    drift: Mapping[Symbol, Expr]
    noise: Mapping[Symbol, Noise] = field(default_factory=dict)


class VectorFields(Rendered):
    """A continuous-time system whose drift is the sum of named vector fields.

    Args:
        fields: by name, each a `Field` or a mapping from block symbols to drifts; or one of them, called "all".
        blocks: declarations of blocks whose kind, role or initial value differs from the default.
        output: the expression of the iterate; by default the block at which the oracle is called.
        init: initial values by block symbol, in ``start`` and in other blocks, which stand for their initial values; by
            default the declared one, else x0 for the output block and zero for the others.
        time: the symbol of time, if coefficients depend on it.
        calculus: "ito" or "stratonovich", the meaning of the noise.
        fast: the fast blocks, each with its small parameter or a multiple of it: ``{y: eps, z: rho * eps}``; 1/eps
            stays in the fields.
        small: of several small parameters, all of them from the largest to the smallest.
        name, provenance, references: its name, its origin, citation keys.

    Raises:
        OdescentError: undeclared vectors, a scalar where a vector belongs, no field, no clear output,
            one name for two things.
    """

    @checked
    def __init__(
        self,
        fields: Mapping[Any, Any] | Field,
        *,
        blocks: Iterable[Block] = (),
        output: Expr | None = None,
        init: Mapping[Any, Any] | None = None,
        time: sp.Symbol | None = None,
        calculus: str = "ito",
        fast: Mapping[Any, Any] | None = None,
        small: Iterable[sp.Symbol] | None = None,
        name: str = "",
        provenance: str = "",
        references: tuple[str, ...] = (),
    ) -> None:
        if calculus not in {"ito", "stratonovich"}:
            raise OdescentError(f"calculus must be 'ito' or 'stratonovich', not {calculus!r}.")
        if isinstance(fields, Field) or any(isinstance(s, _SYMBOLS) for s in fields):
            fields = {FIELD: fields}
        self.fields = {check_name(n): _as_field(n, f) for n, f in fields.items()}
        self.time, self.calculus = time, calculus
        self.name, self.provenance, self.references = name, provenance, references
        declared = {b.symbol: b for b in blocks}
        moved = [s for f in self.fields.values() for s in (*f.drift, *f.noise)]
        symbols = list(dict.fromkeys([*moved, *declared]))
        if not symbols:
            raise OdescentError("a system needs at least one field or block; none was given.")
        self._check_declared(set(symbols))
        for s in moved:
            if is_window(s):
                raise OdescentError(
                    f"a field must not move the window {s}; fill it by push(...) in a Let."
                )
        if not isinstance(output, (Vector, sp.Expr, type(None))):
            raise expected("output of System", "an expression in the blocks", output)
        self.output: Expr = self._main_block(symbols) if output is None else output
        check_vectors(f"the output {text(self.output)}", self.output, set(symbols), LOOSE)
        initial = initial_values(symbols, init or {})
        self.blocks = begun([self._block(s, declared.get(s), initial) for s in symbols])
        self.fast, self.small = fast_blocks(fast, small, symbols)
        self._check_samples()
        self._check_names()
        rates = [(s, e) for f in self.fields.values() for s, e in f.drift.items()]
        for s, e in [*rates, *((b.symbol, b.init) for b in self.blocks)]:
            check_symmetric(s, e)
        check_solves(e for _, e in rates)

    def _block(self, s: Symbol, declared: Block | None, initial: Mapping[Symbol, Expr]) -> Block:
        if declared is not None:
            return replace(declared, init=initial[s]) if s in initial else declared
        return Block(
            s.name, _kind(s), "state", initial[s] if s in initial else self._default_init(s)
        )

    def _default_init(self, s: Symbol) -> Expr:
        if not isinstance(s, Vector):
            return sp.S.Zero
        whole = isinstance(self.output, VectorSymbol)
        main = self.output if whole else self._main_block([s], strict=False)
        return start if s == main else zero

    def _check_declared(self, known: set[Symbol]) -> None:
        for name, f in self.fields.items():
            for target, e in f.drift.items():
                check_vectors(f"field {name!r}", e, known, LOOSE, target)
                if isinstance(target, Vector) and not isinstance(e, Vector):
                    raise OdescentError(
                        f"field {name!r} gives the vector block {target} the scalar drift {e}."
                    )
                if not isinstance(target, Vector) and isinstance(e, Vector):
                    raise OdescentError(
                        f"field {name!r} gives the scalar block {target} the vector drift {e}."
                    )
            for d in f.noise.values():
                for e in d.expressions:
                    check_vectors(f"the noise of field {name!r}", e, known, LOOSE)
        clocks: dict[tuple[str, bool], Noise] = {}
        for f in self.fields.values():
            for s, d in f.noise.items():
                first = clocks.setdefault((d.process, isinstance(s, Vector)), d)
                if first.driver() != d.driver() or common_clock(first) != common_clock(d):
                    raise OdescentError(
                        f"the process {d.process!r} is one of {first.driver()} and of {d.driver()}, which have "
                        "different clocks; rename one of them."
                    )

    def _check_samples(self) -> None:
        """Refuse samples where nothing is drawn: in the output, in initial values and in amplitudes of noise."""
        noise = [e for f in self.fields.values() for d in f.noise.values() for e in d.expressions]
        where = {"the output": [self.output], "the noise": noise}
        where |= {f"the initial value of {b.name}": [b.init] for b in self.blocks}
        for what, expressions in where.items():
            if found := samples_in(expressions):
                raise OdescentError(
                    f"{what} reads the sample {found[0]}, but samples are drawn for drifts; write it into a field."
                )

    def _check_names(self) -> None:
        """SymPy tells symbols of one name apart by their assumptions; nobody else does."""
        names = [s.name for s in (*self.blocks, *self.parameters, *self.samples)]
        names += [] if self.time is None else [self.time.name]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise OdescentError(
                f"the name {twice[0]!r} stands for two different symbols; rename one of them."
            )

    def _main_block(self, symbols: list[Symbol], strict: bool = True) -> Symbol | None:
        """The block at which an oracle is called, if that is one block."""
        points = [
            c.point for f in self.fields.values() for e in f.drift.values() for c in _calls(e)
        ]
        candidates = {s for p in points for s in p.free_symbols if isinstance(s, VectorSymbol)}
        vectors = [s for s in symbols if isinstance(s, VectorSymbol)]
        if len(candidates) == 1:
            return candidates.pop()
        if len(vectors) == 1 and not candidates:
            return vectors[0]
        named = [s for s in vectors if s.name == "x"]
        if named:
            return named[0]
        if strict:
            raise OdescentError(
                "the fields do not determine which block is the output; give output=."
            )
        return None

    @property
    def drift(self) -> dict[Symbol, Expr]:
        """The sum of the fields, by block symbol."""
        total: dict[Symbol, Expr] = {
            b.symbol: zero if b.kind != "scalar" else sp.S.Zero for b in self.blocks
        }
        for f in self.fields.values():
            for s, e in f.drift.items():
                total[s] = total[s] + e
        return {s: tidy(e) for s, e in total.items()}

    @property
    def _expressions(self) -> list[Expr]:
        """Everything that the fields are made of."""
        drifts = [e for f in self.fields.values() for e in f.drift.values()]
        noise = [e for f in self.fields.values() for d in f.noise.values() for e in d.expressions]
        return [*drifts, *noise]

    @property
    def _flow(self) -> list[Expr]:
        """The expressions of the flow that the system stands for: its fields, or their mean over samples, and noise."""
        if not self.samples:
            return self._expressions
        noise = [e for f in self.fields.values() for d in f.noise.values() for e in d.expressions]
        return [*self.mean_drift.values(), *noise]

    @property
    def oracles(self) -> tuple[Oracle, ...]:
        """The oracles that the flow calls and that are to be given: named maps bring their functions."""
        called = {c.oracle for e in self._flow for c in _calls(e)}
        found = {o for o in called if not o.form.registered}
        return tuple(sorted(found, key=lambda o: o.name))

    @property
    def functions(self) -> tuple[Oracle, ...]:
        """The oracles to be given for the fields, the output and the initial values, values among them."""
        initial = [b.init for b in self.blocks]
        called = {o for e in (*self._flow, self.output, *initial) for o in oracles_in(e)}
        found = {o for o in called if not o.form.registered}
        return tuple(sorted(found, key=lambda o: o.name))

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The scalar symbols that are neither blocks nor time, by name."""
        own = {b.symbol for b in self.blocks} | {self.time, *self.samples}
        lengths = [b.history for b in self.blocks if b.keeps]
        found = {s for e in (*self._expressions, self.output, *lengths) for s in symbols_of(e)}
        return tuple(sorted((s for s in found - own if isinstance(s, sp.Symbol)), key=str))

    @property
    def samples(self) -> tuple[Any, ...]:
        """The samples that its fields read, by name; see `sample`."""
        return samples_in(self._expressions)

    @functools.cached_property
    def mean_drift(self) -> dict[Symbol, Expr]:
        """The mean over the samples of the sum of the fields: the flow that the system stands for."""
        drift = self.drift
        return {s: mean(e) for s, e in drift.items()} if self.samples else drift

    @property
    def title(self) -> str:
        """The title in print: that of the library's entry of its name, or the name in words."""
        return title_of(self.name, "system")

    @property
    def autonomous(self) -> bool:
        return self.time is None or all(self.time not in symbols_of(e) for e in self.drift.values())

    @checked
    def block(self, name: str) -> Block:
        """The block of that name."""
        for b in self.blocks:
            if b.name == name:
                return b
        raise unknown("block", name, [b.name for b in self.blocks])

    @checked
    def map(self, rule: Callable[..., Any], **changes: Any) -> Self:
        """The system with every expression rewritten by ``rule``."""
        fields = {
            n: Field(
                {s: rule(e) for s, e in f.drift.items()},
                {s: d.mapped(rule) for s, d in f.noise.items()},
            )
            for n, f in self.fields.items()
        }
        blocks = [replace(b, init=rule(b.init)) for b in self.blocks]
        blocks = [replace(b, history=rule(b.history)) if b.keeps else b for b in blocks]
        fast, small = renewed(self.fast, self.small, rule)
        own = {"blocks": blocks, "output": rule(self.output), "fast": fast, "small": small}
        return self.with_fields(fields, **own | changes)

    def with_fields(self, fields: Mapping[str, FieldLike], **changes: Any) -> Self:
        """The system with other fields and the given changes; everything else is unchanged."""
        names = (
            "blocks",
            "output",
            "time",
            "calculus",
            "fast",
            "small",
            "name",
            "provenance",
            "references",
        )
        return type(self)(fields, **{n: getattr(self, n) for n in names} | changes)

    def with_fast(self, fast: Mapping[Any, Any], small: Iterable[sp.Symbol] | None = None) -> Self:
        """The system with these blocks declared fast; see `System`."""
        return self.with_fields(self.fields, fast=fast, small=small)

    @checked
    def bind(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The system with parameters, by symbol or by name, replaced by values; unknown names raise an error."""
        exact = self._values({**(values or {}), **by_name})
        check_known(exact, self.parameters)
        # 1 and 1.0 are equal, and not the same
        return _bound(self, tuple((s, v, sp.srepr(v)) for s, v in exact.items())) if exact else self

    @checked
    def limit(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The system as the parameters tend to the values, e.g. ``limit(a=0)``, by symbol or by name.

        Singularities that can be removed are: (1 - exp(-h))/h is 1 at h = 0. Raises OdescentError for others.
        """
        exact = self._values({**(values or {}), **by_name})
        return self.map(lambda e: tidy(_regular(limit_at(tidy(e), exact), exact)))

    def _values(self, given: Mapping[Any, object]) -> dict[sp.Symbol, sp.Expr]:
        """Values by symbol, exact; a name has to be that of a parameter."""
        named: dict[Any, Any] = {s.name: s for s in self.parameters}
        for key in given:
            if isinstance(key, str) and key not in named:
                raise unknown("parameter", key, named)
        return {named.get(key, key): value for key, value in exact_values(given).items()}

    def resplit(self, fields: Mapping[str, FieldLike]) -> Self:
        """The same drift as a sum of other fields; OdescentError if it is not the same drift."""
        other = self.with_fields(fields)
        ours = self.drift
        for s, e in other.drift.items():
            difference = e - ours[s] if s in ours else e
            if not vanishes(difference):
                raise OdescentError(
                    f"the new fields differ from the drift of {s} by {text(tidy(difference))}."
                )
        if other._noise() != self._noise():
            raise OdescentError(
                "the new fields do not have the same noise; give it to one of them, as in Field(drift, noise)."
            )
        return other

    @property
    def jumps(self) -> bool:
        """Whether a block jumps."""
        return any(isinstance(d, Jumps) for f in self.fields.values() for d in f.noise.values())

    def _noise(self) -> set[tuple[Symbol, Noise]]:
        return {(s, d.mapped(tidy)) for f in self.fields.values() for s, d in f.noise.items()}

    @checked
    def derivative(self, e: Expr) -> Expr:
        """The exact time derivative of an expression along the system, in the mean over its samples."""
        along: dict[Symbol, Expr] = dict(self.mean_drift)
        if self.time is not None:
            along[self.time] = sp.S.One
        return derivative(e, along)

    @checked
    def linearize(self, lam: sp.Expr | float = curvature) -> sp.Matrix:
        """The matrix of one mode, curvature ``lam``, of a quadratic centred at the minimizer, in block order.

        Raises OdescentError for a system whose drift is not linear in its vector blocks there.
        """
        lam = as_scalar(lam)
        symbols = [b.symbol for b in self.blocks if b.kind != "scalar"]
        rows, drift = [], self.mean_drift
        for s in symbols:
            e = modal(drift[s], lam)
            loose = [text(a) for a in e.terms if a not in symbols]
            loose += [text(n) for c in e.terms.values() for n in c.atoms(ScalarNode)]
            if loose:
                raise OdescentError(
                    f"the drift of {s} is not linear on a quadratic: it has {loose[0]}."
                )
            rows.append([canonical(e.terms.get(t, sp.S.Zero)) for t in symbols])
        return sp.Matrix(rows)

    def second_order(self, output: Expr | None = None) -> SecondOrder:
        """The equation x'' = F(x, x') of the output, for two vector blocks."""
        if not isinstance(output, (Vector, type(None))):
            raise expected("output of second_order", "a vector in the blocks", output)
        shown = self.output if output is None else output
        return second_order(self.mean_drift, shown, time=self.time)

    def equations(self) -> dict[str, str]:
        """The right-hand side of each block's equation, as LaTeX: of x', or of dx with noise."""
        return {b.name: self._right_side(b, as_latex=True) for b in self.blocks}

    def latex(self) -> str:
        """The equations as an aligned LaTeX environment."""
        rows = []
        for b in self.blocks:
            name = symbol_latex(b.name)
            left = rf"\mathrm{{d}}{name}" if self._noise_on(b) else rf"\dot{{{name}}}"
            rows.append(f"{left} &= {self._right_side(b, as_latex=True)}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        lefts = [f"d{b.name}" if self._noise_on(b) else f"{b.name}'" for b in self.blocks]
        return "\n".join(
            f"{left} = {self._right_side(b, False)}"
            for left, b in zip(lefts, self.blocks, strict=True)
        )

    def _noise_on(self, b: Block) -> list[Noise]:
        return [f.noise[b.symbol] for f in self.fields.values() if b.symbol in f.noise]

    def _right_side(self, b: Block, as_latex: bool) -> str:
        drift, noise = self.drift[b.symbol], self._noise_on(b)
        if noise:
            circle = self.calculus == "stratonovich"
            by = [
                (d.amplitude, d.driver(as_latex), circle and isinstance(d, Diffusion))
                for d in noise
            ]
            return differential(drift, by, as_latex)
        return latex(drift) if as_latex else text(drift)

    def __repr__(self) -> str:
        return f"System({', '.join(self.fields)}; " + "; ".join(str(self).splitlines()) + ")"


def _as_field(name: str, f: FieldLike) -> Field:
    drift: Any = f.drift if isinstance(f, Field) else f
    noise: Mapping[Any, Any] = f.noise if isinstance(f, Field) else {}
    if not isinstance(drift, Mapping) or not (drift or isinstance(f, Field)):
        raise OdescentError(
            f"field {name!r} must map block symbols to their drifts, and not be empty; it is {f!r}."
        )
    for s in [*drift, *noise]:
        if not isinstance(s, _SYMBOLS):
            raise OdescentError(
                f"field {name!r} moves {s!r}, which is not a block; make blocks with blocks('x v')."
            )
    for s, d in noise.items():
        if not isinstance(d, Noise):
            raise expected(f"the noise of {s} in field {name!r}", "a Diffusion or Jumps", d)
    rates = {s: e if isinstance(e, Vector) else _scalar_drift(name, s, e) for s, e in drift.items()}
    return Field(rates, noise)


def _scalar_drift(name: str, s: Symbol, e: object) -> Expr:
    if isinstance(s, Vector) and e == 0:
        return zero
    try:
        return as_real(e)
    except TypeError as error:
        raise OdescentError(f"field {name!r} gives {s} the drift {shown(e)}: {error}") from None


def _kind(s: Symbol) -> str:
    return s.kind if isinstance(s, VectorSymbol) else "scalar"


def _calls(e: Expr) -> set[Call]:
    return e.calls() if isinstance(e, Vector) else scalar_calls(e)


@functools.lru_cache(maxsize=256)
def _bound(system: Any, values: tuple[tuple[sp.Symbol, sp.Expr, str], ...]) -> Any:
    """A system with these values, the same one each time: what is compiled for it serves again."""
    exact = {s: v for s, v, _ in values}
    return system.map(lambda e: _regular(substitute(e, exact), exact))


def _regular(e: Expr, values: Mapping[sp.Symbol, sp.Expr]) -> Expr:
    if singular(e):
        given = ", ".join(f"{s} = {v}" for s, v in values.items())
        raise OdescentError(f"the system is singular or undefined at {given}: it gives {text(e)}.")
    return e
