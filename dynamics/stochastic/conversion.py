"""Conversion of a stochastic system between the Ito and Stratonovich forms, in vector form.

dX = b dt + sum_k S_k o dW_k is dX = (b + (1/2) sum_k DS_k[S_k]) dt + sum_k S_k dW_k in Ito's sense (Kloeden and
Platen, doi:10.1007/978-3-662-12616-5, 4.9). A scalar amplitude a(x) has a column a e_i for each coordinate,
hence the term a grad a / 2; a vector amplitude that acts element by element has a Da[a] / 2 where its Jacobian
is diagonal. Other amplitudes are converted in coordinates, by `SDE.to_ito`.
"""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError
from ..algebra.calculus import Symbol, change, derivative, nothing, substitute, symbols_of, tidy
from ..algebra.products import Elementwise, Product, elementwise, hadamard
from ..algebra.vectors import Call, Expr, ScalarNode, Vector, VectorSymbol, scalar_symbols
from ..flows.system import System
from ..notation.show import text
from ..vector_fields.processes import Jumps
from ..vector_fields.system import Field


def to_ito(system: System) -> System:
    """The same process in Ito's sense: a field ``correction`` is added (or adds to one of that name).

    Raises OdescentError for an amplitude whose derivative by coordinates is not known to the calculus.
    """
    return _converted(system, "ito", 1)


def to_stratonovich(system: System) -> System:
    """The same process in Stratonovich's sense; see `to_ito`."""
    return _converted(system, "stratonovich", -1)


def _converted(system: System, calculus: str, sign: int) -> System:
    if system.calculus == calculus:
        return system
    fields = dict(system.fields)
    before = fields.pop("correction", Field({}))  # of the way back
    total = {s: tidy(e * sign) for s, e in correction(system).items()}
    total = {
        s: tidy(total.get(s, nothing(s)) + before.drift.get(s, nothing(s)))
        for s in {**before.drift, **total}
    }
    kept = {s: e for s, e in total.items() if e != nothing(s)}
    if kept or before.noise:
        fields["correction"] = Field(kept, before.noise)
    return system.with_fields(fields, calculus=calculus)


def correction(system: System) -> dict[Symbol, Expr]:
    """The Ito drift minus the Stratonovich drift of the same noise, by block symbol."""
    columns: dict[tuple[str, bool], dict[Symbol, Expr]] = {}
    for f in system.fields.values():
        for s, d in f.noise.items():
            if isinstance(d, Jumps):  # in Ito's sense either way
                continue
            column = columns.setdefault((d.process, isinstance(s, Vector)), {})
            column[s] = _sum(column[s], d.amplitude, s) if s in column else d.amplitude
    total: dict[Symbol, Expr] = {}
    frozen: dict[Call, VectorSymbol] = {}
    for column in columns.values():
        fixed = {s: change(a, lambda n: _freeze(n, frozen)) for s, a in column.items()}
        for s, a in fixed.items():
            for t, b in fixed.items():
                if t in symbols_of(a):
                    part = _along(a, t, b) * sp.Rational(1, 2)
                    total[s] = total[s] + part if s in total else part
    back = {symbol: call for call, symbol in frozen.items()}
    return {s: tidy(substitute(e, back)) for s, e in total.items()}


def _sum(a: Expr, b: Expr, s: Symbol) -> Expr:
    return (
        _spread(a, s) + _spread(b, s) if isinstance(a, Vector) or isinstance(b, Vector) else a + b
    )


def _spread(a: Expr, like: Symbol) -> Vector:
    """A scalar amplitude as a vector of equal components."""
    return a if isinstance(a, Vector) else elementwise(lambda _: sp.S.One, like) * a


def _freeze(node: Expr, frozen: dict[Call, VectorSymbol]) -> Expr | None:
    if not isinstance(node, Call) or not node.oracle.form.particles:
        return None
    if len(node.parameters) > 1:
        raise OdescentError(
            f"{node} depends on the position of each particle, so the noise has a correction that is not supported; "
            "write the system in Ito's form."
        )
    return frozen.setdefault(node, VectorSymbol(f" frozen {len(frozen)}"))


def _along(a: Expr, t: Symbol, b: Expr) -> Expr:
    """Component i: the derivative of a_i in the i-th coordinate of t, times b_i."""
    if not isinstance(t, Vector):
        return derivative(a, {t: b})
    if isinstance(a, Vector):
        if not _by_components(a, t):
            raise OdescentError(
                f"the noise {text(a)} is not known to act on each coordinate of {t} by itself, so its correction has "
                "no form in whole vectors; convert it in coordinates, with in_coordinates(system, d).to_ito()."
            )
        return derivative(a, {t: _spread(b, t)})
    slope = _gradient(a, t)
    return hadamard(b, slope) if isinstance(b, Vector) else slope * b


def _by_components(a: Vector, t: Symbol) -> bool:
    """Whether component i of the vector depends on t through its i-th coordinate only."""
    for atom, factor in a.terms.items():
        if t in scalar_symbols(factor):
            return False
        if t not in atom.free_symbols or isinstance(atom, VectorSymbol):
            continue
        inside: tuple[Vector, ...] = ()
        if isinstance(atom, Product) and atom.kind == "hadamard":
            inside = (atom.left, atom.right)
        if isinstance(atom, Elementwise) and t not in scalar_symbols(atom.body):
            inside = atom.arguments
        if not inside or not all(_by_components(v, t) for v in inside):
            return False
    return True


def _gradient(a: sp.Expr, t: Symbol) -> Vector:
    """The vector G with derivative(a, {t: d}) = inner(G, d) for every d."""
    d = VectorSymbol(" direction")
    slope = derivative(a, {t: d})
    nodes = {n: sp.Dummy() for n in slope.atoms(ScalarNode) if d in scalar_symbols(n)}
    opened, parts = slope.xreplace(nodes), []
    for node, dummy in nodes.items():
        left, right = (*node.arguments, None, None)[:2]
        other = right if left == d else left if right == d else None
        if other is None or d in other.free_symbols:
            raise OdescentError(
                f"the gradient of the amplitude {text(a)} in {t} has no form in whole vectors; convert it in "
                "coordinates, with in_coordinates(system, d).to_ito()."
            )
        parts.append(other * sp.diff(opened, dummy))
    return Vector.of(item for v in parts for item in v.terms.items())
