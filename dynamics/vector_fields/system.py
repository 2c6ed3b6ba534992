"""Systems: named blocks, and named whole-state vector fields whose sum is the drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected, unknown
from ..._support.registry import title_of
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import (
    Symbol,
    derivative,
    modal,
    singular,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from ..algebra.exact import canonical
from ..algebra.oracles import Oracle
from ..algebra.scalars import as_scalar, check_known, check_name, exact_values
from ..algebra.vectors import Call, Expr, ScalarNode, Vector, VectorSymbol, scalar_calls, zero
from ..notation.show import differential, latex, symbol_latex, text
from .processes import Diffusion, Jumps, Noise, common_clock
from .second_order import SecondOrder, second_order
from .slow_manifold import SlowManifold, expand

KINDS = ("vector", "scalar", "matrix", "pytree")
ROLES = ("state", "memory", "coefficient")
start = VectorSymbol("x0")  # the starting point, in the initial values of blocks
mu, L = sp.symbols("mu L", positive=True)  # strong convexity and smoothness, everywhere
curvature = sp.Symbol("lambda", positive=True)  # the curvature of one mode of a quadratic
_LOOSE = "no field moves and no block declares"
FieldLike: TypeAlias = "Field | Mapping[Symbol, Expr]"


@dataclass(frozen=True)
class Block(Rendered):
    """A named part of the state.

    Attributes:
        name: an identifier.
        kind: vector, scalar, matrix or pytree.
        role: state (it flows), memory (a `Let` sets it), coefficient (a scalar recurrence).
        init: initial value, an expression in ``start`` (the starting point), parameters and oracles.
    """

    name: str
    kind: str = "vector"
    role: str = "state"
    init: Expr = zero

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.kind not in KINDS or self.role not in ROLES:
            raise OdescentError(
                f"block {self.name!r} has kind {self.kind!r} and role {self.role!r}; "
                f"kinds are {', '.join(KINDS)} and roles {', '.join(ROLES)}."
            )
        if self.kind == "scalar" and isinstance(self.init, Vector):
            if self.init:
                raise OdescentError(
                    f"the scalar block {self.name!r} starts at the vector {self.init}."
                )
            object.__setattr__(self, "init", sp.S.Zero)

    @property
    def symbol(self) -> Symbol:
        """The symbol of the block in expressions."""
        if self.kind == "scalar":
            return sp.Symbol(self.name, real=True)
        return VectorSymbol(self.name, self.kind)


@dataclass(frozen=True)
class Field(Rendered):
    """A whole-state vector field: the drift of each block it moves, and the noise on it."""

    drift: Mapping[Symbol, Expr]
    noise: Mapping[Symbol, Noise] = field(default_factory=dict)


def check_vectors(user: str, e: Expr, known: set[Symbol], why: str) -> None:
    """Refuse vectors in an expression that are not among the known ones.

    Args:
        user: what contains the expression, for the message.
        e: the expression.
        known: the vectors allowed.
        why: the end of the message, after "which".

    Raises:
        OdescentError: another vector occurs.
    """
    loose = [v.name for v in symbols_of(e) if isinstance(v, VectorSymbol) and v not in known]
    if loose:
        raise OdescentError(f"{user} uses the vector {min(loose)!r}, which {why}.")


class VectorFields(Rendered):
    """A continuous-time system whose drift is the sum of named vector fields.

    Args:
        fields: by name, each a `Field` or a mapping from block symbols to drifts.
        blocks: declarations, where a kind, role or initial value differs from the default.
        output: the expression of the iterate; by default the block at which the oracle is called.
        init: initial values by block symbol, in ``start`` or in blocks that begin alike; by default what the block
            declares, else x0 for the output block and zero for the others.
        time: the symbol of time, where coefficients depend on it.
        calculus: "ito" or "stratonovich", the meaning of the noise.
        name, provenance, references: what it is called, where it comes from, citation keys.

    Raises:
        OdescentError: undeclared vectors, a scalar where a vector belongs, no field, no clear output,
            one name for two things.
    """

    @checked
    def __init__(
        self,
        fields: Mapping[str, FieldLike],
        *,
        blocks: Iterable[Block] = (),
        output: Expr | None = None,
        init: Mapping[Any, Any] | None = None,
        time: sp.Symbol | None = None,
        calculus: str = "ito",
        name: str = "",
        provenance: str = "",
        references: tuple[str, ...] = (),
    ) -> None:
        if calculus not in {"ito", "stratonovich"}:
            raise OdescentError(f"calculus is 'ito' or 'stratonovich', not {calculus!r}.")
        self.fields = {check_name(n): _as_field(n, f) for n, f in fields.items()}
        self.time, self.calculus = time, calculus
        self.name, self.provenance, self.references = name, provenance, references
        declared = {b.symbol: b for b in blocks}
        moved = [s for f in self.fields.values() for s in (*f.drift, *f.noise)]
        symbols = list(dict.fromkeys([*moved, *declared]))
        if not symbols:
            raise OdescentError("a system needs at least one field or block; none was given.")
        self._check_declared(set(symbols))
        if not isinstance(output, (Vector, sp.Expr, type(None))):
            raise expected("output of System", "an expression in the blocks", output)
        self.output: Expr = self._main_block(symbols) if output is None else output
        check_vectors(f"the output {text(self.output)}", self.output, set(symbols), _LOOSE)
        initial = {s: _initial(s, e) for s, e in (init or {}).items()}
        stray = [str(s) for s in initial if s not in symbols]
        if stray:
            raise OdescentError(
                f"an initial value is given for {', '.join(stray)}, which no field moves."
            )
        self.blocks = _begun([self._block(s, declared.get(s), initial) for s in symbols])
        self._check_names()

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
                check_vectors(f"field {name!r}", e, known, _LOOSE)
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
                    check_vectors(f"the noise of field {name!r}", e, known, _LOOSE)
        clocks: dict[tuple[str, bool], Noise] = {}
        for f in self.fields.values():
            for s, d in f.noise.items():
                first = clocks.setdefault((d.process, isinstance(s, Vector)), d)
                if first.driver() != d.driver() or common_clock(first) != common_clock(d):
                    raise OdescentError(
                        f"the process {d.process!r} is one of {first.driver()} and of {d.driver()}, which have not the "
                        "same clock; give one of them another name."
                    )

    def _check_names(self) -> None:
        """SymPy tells symbols of one name apart by their assumptions; nobody else does."""
        names = [b.name for b in self.blocks] + [s.name for s in self.parameters]
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
    def oracles(self) -> tuple[Oracle, ...]:
        """The oracles that the fields call."""
        found = {c.oracle for e in self._expressions for c in _calls(e)}
        return tuple(sorted(found, key=lambda o: o.name))

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The scalar symbols that are neither blocks nor time, by name."""
        own = {b.symbol for b in self.blocks} | {self.time}
        found = {s for e in (*self._expressions, self.output) for s in symbols_of(e)}
        return tuple(sorted((s for s in found - own if isinstance(s, sp.Symbol)), key=str))

    @property
    def title(self) -> str:
        """The title in print: that of the library's entry of its name, or the name in words."""
        return title_of(self.name, "system")

    @property
    def autonomous(self) -> bool:
        return self.time is None or all(self.time not in symbols_of(e) for e in self.drift.values())

    def block(self, name: str) -> Block:
        """The block of that name."""
        for b in self.blocks:
            if b.name == name:
                return b
        raise unknown("block", name, [b.name for b in self.blocks])

    def map(self, rule: Any, **changes: Any) -> Self:
        """The system with every expression rewritten by ``rule``."""
        fields = {
            n: Field(
                {s: rule(e) for s, e in f.drift.items()},
                {s: d.mapped(rule) for s, d in f.noise.items()},
            )
            for n, f in self.fields.items()
        }
        blocks = [Block(b.name, b.kind, b.role, rule(b.init)) for b in self.blocks]
        return self.with_fields(fields, **{"blocks": blocks, "output": rule(self.output)} | changes)

    def with_fields(self, fields: Mapping[str, FieldLike], **changes: Any) -> Self:
        """The system with other fields; everything else is as it was, but for the changes."""
        names = ("blocks", "output", "time", "calculus", "name", "provenance", "references")
        return type(self)(fields, **{n: getattr(self, n) for n in names} | changes)

    @checked
    def bind(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The system with parameters, by symbol or by name, replaced by values; others are refused."""
        exact = self._values({**(values or {}), **by_name})
        check_known(exact, self.parameters)
        return self.map(lambda e: _regular(substitute(e, exact), exact)) if exact else self

    @checked
    def limit(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The system as the parameters tend to the values, e.g. ``limit(a=0)``, by symbol or by name."""
        exact = self._values({**(values or {}), **by_name})
        return self.map(lambda e: tidy(_regular(substitute(tidy(e), exact), exact)))

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
        """The exact time derivative of an expression along the system."""
        along: dict[Symbol, Expr] = dict(self.drift)
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
        rows = []
        for s in symbols:
            e = modal(self.drift[s], lam)
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
        return second_order(self.drift, self.output if output is None else output, time=self.time)

    def slow_manifold(self, fast: Symbol, small: sp.Symbol, order: int = 1) -> SlowManifold:
        """The slow manifold as a series, with the hypotheses under which it attracts; see `slow_manifold.expand`.

        Args:
            fast: the fast vector block.
            small: the small parameter.
            order: the highest order of the expansion.

        Raises:
            OdescentError: as for `slow_manifold.expand`.
        """
        drift = self.drift if self.time is None else {**self.drift, self.time: sp.S.One}
        return expand(drift, fast, small, order)

    def equations(self) -> dict[str, str]:
        """The right-hand side of each block's equation, as LaTeX: of x', or of dx where there is noise."""
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
    if isinstance(f, Field):
        return f
    if not f or not isinstance(f, Mapping):
        raise OdescentError(
            f"field {name!r} must map block symbols to their drifts, and not be empty; it is {f!r}."
        )
    for s in f:
        if not isinstance(s, (VectorSymbol, sp.Symbol)):
            raise OdescentError(
                f"field {name!r} moves {s!r}, which is not a block; make blocks with blocks('x v')."
            )
    return Field(
        {s: e if isinstance(e, Vector) else _scalar_drift(name, s, e) for s, e in f.items()}
    )


def _begun(blocks: list[Block]) -> tuple[Block, ...]:
    """The blocks with initial values in the starting point: one that begins where another does gets its value."""
    begin = {b.symbol: b.init for b in blocks}
    for s, e in begin.items():
        why = "is neither the starting point, `od.dynamics.start`, nor a block"
        check_vectors(f"the initial value of {s}", e, {start, *begin}, why)
    named = begin.keys() - {
        start
    }  # a block may have the name of the starting point, which is meant then
    for _ in begin:
        known = {s: begin[s] for s in named}
        begin = {s: substitute(e, known) for s, e in begin.items()}
    circular = [str(s) for s, e in begin.items() if symbols_of(e) & named]
    if circular:
        raise OdescentError(
            f"the initial values of {', '.join(circular)} are given by each other; "
            "give one of them by numbers or the starting point, `od.dynamics.start`."
        )
    return tuple(replace(b, init=begin[b.symbol]) for b in blocks)


def _initial(s: Symbol, value: object) -> Expr:
    if isinstance(value, Vector):
        return value
    try:
        number = as_scalar(value)
    except TypeError as error:
        raise OdescentError(f"the block {s} starts at {value!r}: {error}") from None
    if isinstance(s, Vector) and number != 0:
        raise OdescentError(f"the vector block {s} starts at the scalar {number}.")
    return zero if isinstance(s, Vector) else number


def _scalar_drift(name: str, s: Symbol, e: object) -> Expr:
    if isinstance(s, Vector) and e == 0:
        return zero
    try:
        return as_scalar(e)
    except TypeError as error:
        raise OdescentError(f"field {name!r} gives {s} the drift {e!r}: {error}") from None


def _kind(s: Symbol) -> str:
    return s.kind if isinstance(s, VectorSymbol) else "scalar"


def _calls(e: Expr) -> set[Call]:
    return e.calls() if isinstance(e, Vector) else scalar_calls(e)


def _regular(e: Expr, values: Mapping[sp.Symbol, sp.Expr]) -> Expr:
    if singular(e):
        given = ", ".join(f"{s} = {v}" for s, v in values.items())
        raise OdescentError(f"the system is singular or undefined at {given}: it gives {text(e)}.")
    return e
