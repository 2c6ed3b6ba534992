"""Reduced systems and layers: what is left of a fast/slow system on its slow manifold, and beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..algebra.calculus import Symbol, derivative, nothing, substitute, symbols_of, tidy
from ..algebra.series import taylor, truncated
from ..algebra.vectors import Vector, VectorSymbol
from ..implicit.equations import Opened
from ..implicit.roots import roots_of
from ..implicit.search import Search
from ..notation.show import text
from ..samples.mean import mean
from ..samples.sample import sample
from ..vector_fields.block import Block
from ..vector_fields.hypotheses import positive
from ..vector_fields.processes import Diffusion
from ..vector_fields.scales import blocks_of
from ..vector_fields.system import Field, VectorFields
from .attraction import relaxation
from .manifold import NEWTON, critical, expand, refuse_singular

S = TypeVar("S", bound=VectorFields)


def reduced(system: S, order: int = 0, search: Search = NEWTON) -> S:
    """The system on its slow manifold: the slow blocks alone, each field expanded to an order in the small parameters.

    Where the manifold is an implicit function, its numbers are searched from the fast block, which stays in the system
    as a memory that no field moves: its initial value is the guess. Fast blocks with noise that are linear have an
    average: their stationary normal law is integrated over, at order 0.

    Args:
        system: with fast= declared.
        order: the highest order, at least 0.
        search: as for `expand`.

    Raises:
        OdescentError: as `expand`; noise on a fast block that is not linear, or an order above 0 with it.
    """
    order = check_whole("the order", order, 0)
    noisy = [s for s in system.fast if any(s in f.noise for f in system.fields.values())]
    if noisy:
        return _averaged(system, noisy, order, search)
    found = expand(system, order, search)
    graph, smalls = found.graph(), system.small

    def on_graph(e: Any) -> Any:
        e = substitute(e, graph)
        for small in smalls:
            if small in symbols_of(e):
                e = truncated(e, small, order)
        return tidy(e)

    return _slow(system, on_graph)


def _slow(system: S, rule: Any) -> S:
    """The fields of the slow blocks with a rule applied, and as memories the fast blocks that are searched from."""
    fields: dict[str, Field] = {}
    for name, f in system.fields.items():
        drift = {s: rule(e) for s, e in f.drift.items() if s not in system.fast}
        noise = {s: d.mapped(rule) for s, d in f.noise.items() if s not in system.fast}
        if drift or noise:
            fields[name] = Field(drift, noise)
    output = rule(system.output)
    searched = {
        n for e in _expressions(fields, output) for r in roots_of(e) for n in r.equations.names
    }
    blocks: list[Block] = []
    for b in system.blocks:
        if b.symbol not in system.fast:
            blocks.append(b)
        elif b.name in searched:
            blocks.append(replace(b, role="coefficient" if b.kind == "scalar" else "memory"))
    return system.with_fields(
        fields, blocks=blocks, output=output, fast=None, small=None,
        name=f"{system.name}_reduced" if system.name else "",
    )  # fmt: skip


def _expressions(fields: Mapping[str, Field], output: Any) -> list[Any]:
    drifts = [e for f in fields.values() for e in f.drift.values()]
    return [
        output,
        *drifts,
        *(e for f in fields.values() for d in f.noise.values() for e in d.expressions),
    ]


def layer(system: S) -> S:
    """The fast equations with the slow blocks held, in the time of the fastest: y' = G(x, y, 0).

    Raises:
        OdescentError: no fast block.
    """
    if not system.fast:
        raise OdescentError(
            "the system has no fast block, so it has no layer: declare fast blocks, as in system.with_fast({y: eps})."
        )
    small = system.small[-1]
    fast = blocks_of(system.fast, small)
    fields: dict[str, Field] = {}
    for name, f in system.fields.items():
        drift = {s: taylor(tidy(e * small), small, 0)[0] for s, e in f.drift.items() if s in fast}
        noise = {s: d.mapped(lambda e: e * sp.sqrt(small)) for s, d in f.noise.items() if s in fast}
        if drift or noise:
            fields[name] = Field(drift, noise)
    held = {b.symbol: nothing(b.symbol) for b in system.blocks if b.symbol not in fast}
    fields["held"] = Field(held)
    others = [s for s in system.fast if s not in fast]
    return system.with_fields(
        fields, fast={s: system.fast[s] for s in others} or None, small=None,
        name=f"{system.name}_layer" if system.name else "",
    )  # fmt: skip


def _averaged(system: S, noisy: list[Symbol], order: int, search: Search) -> S:
    """The mean of the slow fields over the stationary normal law of linear fast blocks with noise."""
    if order or len(system.small) > 1:
        raise OdescentError(
            f"the fast block {noisy[0]} has noise: its average is known at order 0 on one scale, not at order {order} "
            f"on {len(system.small)}."
        )
    (small,) = system.small
    drift = system.mean_drift
    at_zero = {s: taylor(tidy(drift[s] * small), small, 0)[0] for s in system.fast}
    names = ", ".join(s.name for s in noisy)
    refuse_singular({s: e for s, e in drift.items() if s not in system.fast}, small, names)
    _refuse_correlated(system, noisy)
    base = critical(at_zero, small, search)
    values: dict[Symbol, Any] = {}
    for s, e in base.items():
        if s not in noisy:
            values[s] = e
            continue
        values[s] = e + _stationary(system, s, at_zero, small)
    order_of = [s for s in values if s in noisy]

    def averaged(e: Any) -> Any:
        return tidy(mean(substitute(e, values))) if any(s in symbols_of(e) for s in values) else e

    if any(isinstance(s, VectorSymbol) and roots_of(base[s]) for s in order_of):
        raise OdescentError(
            f"the fast block {order_of[0]} has noise and is not linear, so its average has no closed form; "
            "measure it by simulation."
        )
    return _slow(system, averaged)


def _refuse_correlated(system: VectorFields, noisy: list[Symbol]) -> None:
    """Refuse processes that move several fast blocks, and noise on slow blocks that reads fast ones with noise.

    The stationary law of the former has covariances; of the latter the mean of the square is what is left, and not
    the square of the mean.
    """
    owners: dict[str, Symbol] = {}
    for f in system.fields.values():
        for s, d in f.noise.items():
            inside = {t for e in d.expressions for t in symbols_of(e)}
            if s not in system.fast and (read := sorted(inside & set(noisy), key=str)):
                raise OdescentError(
                    f"the noise on {s} reads the fast block {read[0]}, which has noise, so its average is that of its "
                    "square, which is not carried; measure it by simulation."
                )
            if s in system.fast and isinstance(d, Diffusion):
                other = owners.setdefault(d.process, s)
                if other != s:
                    raise OdescentError(
                        f"the fast blocks {other} and {s} move by one process, {d.process}, so they are correlated at "
                        "rest, which is not carried: give each its own, or measure the average by simulation."
                    )


def _stationary(system: VectorFields, s: Symbol, at_zero: Any, small: sp.Symbol) -> Any:
    """The deviation of a fast block with noise from its mean: a normal of variance b^2 small / (2 rate)."""
    along: dict[Any, Any] = {
        s: VectorSymbol("v") if isinstance(s, VectorSymbol) else sp.Symbol("v", real=True)
    }
    rate = relaxation(Opened((tidy(derivative(at_zero[s], along)),), tuple(along.values())))
    given = [f.noise[s] for f in system.fields.values() if s in f.noise]
    plain = [d for d in given if isinstance(d, Diffusion) and not isinstance(d.amplitude, Vector)]
    constant = rate is not None and not any(
        t in symbols_of(rate) for t in (b.symbol for b in system.blocks)
    )
    coupled = any(s in symbols_of(e) for t, e in at_zero.items() if t != s)
    own = {t for d in given for e in d.expressions for t in symbols_of(e)} & set(system.fast)
    if rate is None or not constant or len(plain) != len(given) or coupled or own:
        raise OdescentError(
            f"the fast block {s} has noise and is not linear with a constant rate and amplitude, so its average has no "
            "closed form; measure it by simulation."
        )
    positive(f"the rate of the fast block {s}, times {small},", rate).checked()
    # fields that name one process move the block by the same increment
    summed: dict[str, sp.Expr] = {}
    for d in plain:
        summed[d.process] = summed.get(d.process, sp.S.Zero) + d.amplitude
    variance = tidy(sp.Add(*[e**2 for e in summed.values()]) * small / (2 * rate))
    if small in symbols_of(variance):
        limit = sp.limit(variance, small, 0, "+")
        if limit.has(sp.oo, sp.zoo, sp.nan):
            raise OdescentError(
                f"the noise on the fast block {s} grows without bound as {small} -> 0: its variance is "
                f"{text(variance)}."
            )
        variance = limit
    deviation = sp.sqrt(variance)
    if deviation == 0:
        return nothing(s)
    like = s if isinstance(s, VectorSymbol) else None
    drawn: Any = (
        sample(f"rest_{s.name}", law="normal", like=like)
        if like is not None
        else sample(f"rest_{s.name}", law="normal")
    )
    return drawn * deviation
