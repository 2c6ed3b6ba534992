"""Checked arguments of `immerse`: blocks, control, manifold, time, values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, expected, listed
from ...dynamics.algebra.calculus import Symbol, symbols_of
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol, zero
from ...dynamics.notation.show import text
from ...dynamics.passivity import PassivityImmersion
from ...dynamics.vector_fields.block import check_vectors, start
from ...dynamics.vector_fields.hypotheses import real_valued, scalar_argument
from ..programs.bindings import check_constant
from ..programs.substeps import Scheme
from ..step.compile import COUNTER
from ..step.iteration import STEP


@dataclass(frozen=True)
class Given:
    """The arguments of a derivation by immersion, complete and consistent."""

    loop: PassivityImmersion
    memory: VectorSymbol
    port: Vector
    target: Mapping[Symbol, Expr]
    init: Mapping[Symbol, Expr]
    where: Mapping[sp.Symbol, sp.Expr]
    tuning: Mapping[sp.Symbol, sp.Expr]
    clock: sp.Expr | None
    output: Vector | None
    first: sp.Expr
    step: sp.Symbol

    @property
    def at_first(self) -> dict[Symbol, Expr]:
        """The first time, as a value of the symbol of time."""
        return {} if self.loop.time is None else {self.loop.time: self.first}


def given(
    plant: Any, control: Any, gain: Any, *, manifold: Any, immersion: Any, target: Any, port: Any, memory: Any,
    time: Any, init: Any, scheme: Any, where: Any, tuning: Any, clock: Any, output: Any,
) -> Given:  # fmt: skip
    """Check the arguments of `immerse`.

    Args:
        plant: this and all other arguments are those of `immerse`, with None for what the caller left out.

    Returns:
        the design, with exact expressions and a symbol for psi.

    Raises:
        OdescentError: the first argument that does not fit.
    """
    if (manifold is None) == (immersion is None):
        raise OdescentError("give the manifold either as manifold=psi or as immersion={p: pi}.")
    if not isinstance(control, VectorSymbol):
        raise expected("the control", "a vector, as in u = od.blocks('u')", control)
    if time is not None and not isinstance(time, sp.Symbol):
        raise expected("time", "a symbol, as in t = od.parameters('t')", time)
    if scheme is not None and not isinstance(scheme, Scheme):
        raise expected("the scheme", "a scheme, as in od.scheme('explicit_euler')", scheme)
    drifts = _by_block("the plant", plant)
    psi = _implicit(immersion) if manifold is None else _vector("the manifold", manifold)
    loop = PassivityImmersion(drifts, control, psi, scalar_argument(gain, "the gain"), time)

    # psi has a name that is none of the plant's, nor of a parameter that is bound
    bindings = {"where": _values("where", where), "tuning": _values("tuning", tuning)}
    others = {s.name for v in bindings.values() for s, e in v.items() for s in (s, *e.free_symbols)}
    if memory is None:
        memory = VectorSymbol(loop.fresh("psi", others), control.kind)
    elif not isinstance(memory, VectorSymbol):
        raise expected("the memory", "a vector, as in psi = od.blocks('psi')", memory)
    elif memory.name in loop.names | others:
        raise OdescentError(f"the name {memory} of psi occurs in the plant; choose another.")

    beside = _by_block("the target", target or {}, within=loop.plant)
    begin = _by_block("init", init or {}, within=loop.plant)
    port = _vector("the port", port)
    output = None if output is None else _vector("the output", output)
    clock, first = _clock(loop, clock)
    for values in bindings.values():
        check_constant(values, {*loop.plant, loop.time})
    _check_symbols(loop, memory, port, beside, begin, output)
    _check_names(loop, memory, [port, *beside.values(), *begin.values()], bindings.values())
    if time is not None and COUNTER.name in loop.names:
        raise OdescentError(
            f"the name {COUNTER} is reserved for the number of the step where time is declared; rename the other "
            "symbol."
        )
    taken = STEP.name in {s.name for s in loop.plant}
    step = sp.Symbol(loop.fresh(STEP.name, others), positive=True) if taken else STEP
    loop = replace(loop, letter=memory.name)
    return Given(
        loop, memory, port, beside, begin, **bindings, clock=clock, output=output, first=first, step=step
    )  # fmt: skip


def _by_block(what: str, values: Any, within: Iterable[Symbol] | None = None) -> dict[Symbol, Expr]:
    """Vectors for vector blocks, scalars for scalar blocks."""
    if not isinstance(values, Mapping):
        raise expected(what, "a mapping from blocks, as in {x: p}", values)
    found: dict[Symbol, Expr] = {}
    for s, e in values.items():
        if not isinstance(s, (VectorSymbol, sp.Symbol)):
            raise OdescentError(
                f"{what} maps blocks, made by od.blocks('x p'), to expressions, but it has {s!r}."
            )
        if within is not None and s not in within:
            raise OdescentError(
                f"{what} gives {text(s)}, which is not a block of the plant; its blocks are "
                f"{listed([text(b) for b in within])}."
            )
        said = f"{what} of {text(s)}"
        found[s] = _vector(said, e) if isinstance(s, VectorSymbol) else scalar_argument(e, said)
    return found


def _vector(what: str, e: Any) -> Vector:
    if isinstance(e, Vector):
        found: Vector = real_valued(e, what)
        return found
    if not isinstance(e, (str, bytes, bool)) and e == 0:
        return zero
    if isinstance(e, sp.Expr):
        raise OdescentError(f"{what} must be a vector, not the scalar {text(e)}.")
    raise expected(
        what, "an expression in the blocks, such as p + a * f.grad(x) (text is not read here)", e
    )


def _implicit(immersion: Any) -> Vector:
    found = _by_block("an immersion", immersion)
    if len(found) != 1:
        raise OdescentError(
            "an immersion gives one block as a function of the others, as in immersion={p: -a * f.grad(x)}."
        )
    ((block, value),) = found.items()
    if not isinstance(block, VectorSymbol) or not isinstance(value, Vector):
        raise OdescentError(f"an immersion gives a vector block, not the scalar {text(block)}.")
    if block in value.free_symbols:
        raise OdescentError(
            f"the immersion of {block} must not contain {block} itself; it is {value}."
        )
    return block - value


def _values(what: str, values: Any) -> dict[sp.Symbol, sp.Expr]:
    """Numbers and expressions by parameter."""
    if values is not None and not isinstance(values, Mapping):
        raise expected(f"{what}=", "a mapping from parameters to values", values)
    for s in values or {}:
        if not isinstance(s, sp.Symbol):
            raise OdescentError(
                f"{what}= maps parameters, made by od.parameters('a h'), to values, but it has {s!r}."
            )
    return {s: scalar_argument(v, f"{what}= of {s}") for s, v in (values or {}).items()}


def _clock(loop: PassivityImmersion, clock: Any) -> tuple[sp.Expr | None, sp.Expr]:
    """The clock in the step number, and the first time."""
    if clock is None:
        return None, sp.S.Zero
    if loop.time is None:
        raise OdescentError(
            "a clock gives the time of each step; name the symbol of time by time=."
        )
    e = scalar_argument(clock, "the clock")
    first = e.xreplace({s: sp.S.Zero for s in e.free_symbols if s.name == COUNTER.name})
    if loop.time.is_nonnegative and first.is_negative:
        raise OdescentError(
            f"the clock begins at {text(first)}, but {loop.time} is declared as nonnegative."
        )
    return e, first


def _check_symbols(
    loop: PassivityImmersion, memory: VectorSymbol, port: Vector, target: Mapping[Symbol, Expr],
    init: Mapping[Symbol, Expr], output: Vector | None,
) -> None:  # fmt: skip
    """Refuse vectors that are no blocks."""
    blocks: set[Symbol] = set(loop.plant)

    def check(what: str, e: Expr, known: set[Symbol]) -> None:
        names = listed(sorted(s.name for s in known))
        check_vectors(what, e, known, f"cannot stand there; {names} can")

    for s, e in loop.plant.items():
        check(f"the plant of {text(s)}", e, blocks | {loop.control})
    check("the manifold", loop.manifold, blocks)
    check("the gain", loop.gain, blocks)
    check("the port", port, blocks | {memory})
    if output is not None:
        check("the output", output, blocks | {memory})
    for s, e in target.items():
        check(f"the target of {text(s)}", e, blocks)
    for s, e in init.items():
        check(f"the initial value of {text(s)}", e, blocks | {start})


def _check_names(
    loop: PassivityImmersion, memory: VectorSymbol, others: Iterable[Expr], bindings: Iterable[Mapping[Any, Any]]
) -> None:  # fmt: skip
    """Refuse one name for two symbols, which SymPy tells apart by their assumptions and nobody else does."""
    everything: set[Symbol] = {memory, loop.control, *loop.plant, *symbols_of(loop.gain)}
    everything |= {loop.time} if loop.time is not None else set()
    for e in (loop.manifold, *loop.plant.values(), *others):
        everything |= symbols_of(e)
    for values in bindings:
        everything |= {s for k, v in values.items() for s in (k, *v.free_symbols)}
    names = [s.name for s in everything]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise OdescentError(
            f"the name {twice[0]!r} stands for two different symbols; rename one of them, or give both the same "
            "assumptions."
        )
    if start in {*loop.plant, memory, loop.control}:
        raise OdescentError(f"{start} names the starting point; give the vector another name.")
