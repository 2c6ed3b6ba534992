"""Systems and expressions written out in coordinates, with SymPy functions for the oracles.

An objective f becomes a function f(x_1, ..., x_d), its gradient the derivatives of that; an operator or a
map of name F becomes F_1, ..., F_d; an oracle of an ensemble (the consensus point of a law) is a parameter
frozen where it is, as in the generator of a mean-field equation. In dimension 1 there are no indices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, slope
from ..algebra.products import Elementwise, Product, slots
from ..algebra.scalars import as_scalar
from ..algebra.vectors import Call, Expr, ScalarNode, Vector, VectorSymbol
from ..samples.mean import MeanScalar, MeanVector
from .gaussians import expectation

Functions = Mapping[str, Callable[..., object]]
LARGEST = 12  # coordinates of one vector: what is done with them grows fast


@dataclass(frozen=True)
class Coordinates(Rendered):
    """The expansion of vectors in coordinates.

    Attributes:
        dimension: the length d of every vector.
        functions: by the name of an objective, its value as a SymPy expression of the d coordinates; of an
            operator or a map, the d components (or one expression for d = 1). Others stay opaque.
    """

    dimension: int = 1
    functions: Functions | None = None
    _ensembles: dict[str, Call] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= LARGEST:
            raise OdescentError(
                f"the dimension of the coordinates must be from 1 to {LARGEST}, not {self.dimension}."
            )

    def symbols(self, s: Symbol) -> tuple[sp.Symbol, ...]:
        """The coordinates of a block: itself for a scalar, x_1, ..., x_d for a vector (x for d = 1)."""
        if not isinstance(s, VectorSymbol):
            return (s,)
        if s.kind != "vector":
            raise OdescentError(
                f"the block {s} of kind {s.kind!r} has no coordinates here; use vectors."
            )
        return self.named(s.name)

    def named(self, name: str) -> tuple[sp.Symbol, ...]:
        """d real symbols of that name."""
        if self.dimension == 1:
            return (sp.Symbol(name, real=True),)
        return tuple(sp.Symbol(f"{name}_{i + 1}", real=True) for i in range(self.dimension))

    def frozen(self, name: str) -> tuple[sp.Symbol, ...]:
        """The coordinates of the point that the ensemble's oracle of that objective gives, a parameter."""
        return self.named(f"m_{name}")

    def vector(self, e: Vector) -> list[sp.Expr]:
        """The d components of a vector."""
        total = [sp.S.Zero] * self.dimension
        for atom, factor in e.terms.items():
            scale = self.scalar(factor)
            total = [t + scale * c for t, c in zip(total, self._atom(atom), strict=True)]
        return total

    def scalar(self, e: sp.Expr) -> sp.Expr:
        """A scalar with its inner products and oracle values written out."""
        nodes = e.atoms(ScalarNode)
        return e.xreplace({n: self._node(n) for n in nodes}) if nodes else e

    def components(self, e: Expr) -> list[sp.Expr]:
        """The components of either kind."""
        return self.vector(e) if isinstance(e, Vector) else [self.scalar(e)]

    def value(self, name: str, at: list[sp.Expr] | tuple[sp.Symbol, ...]) -> sp.Expr:
        """The value of an objective at a point."""
        known = (self.functions or {}).get(name)
        return as_scalar(known(*at)) if known is not None else sp.Function(name, real=True)(*at)

    def _mean(self, node: MeanVector | MeanScalar) -> list[sp.Expr]:
        """The components of a mean, of a polynomial in its sample."""
        drawn = [(self.symbols(node.over), node.over.law)]
        try:
            return [expectation(e, drawn) for e in self.components(node.body)]
        except OdescentError:
            raise OdescentError(
                f"{node} has no closed form in coordinates: give polynomials for its functions."
            ) from None

    def _node(self, node: ScalarNode) -> sp.Expr:
        if isinstance(node, MeanScalar):
            return self._mean(node)[0]
        if node.kind == "inner":
            left, right = (self.vector(a) for a in node.arguments)
            return sp.Add(*[a * b for a, b in zip(left, right, strict=True)])
        if node.oracle is None:
            raise OdescentError(f"{node} cannot be written in coordinates.")
        return self.value(node.oracle.of, self.vector(node.arguments[0]))

    def _atom(self, atom: Vector) -> list[sp.Expr]:
        if isinstance(atom, VectorSymbol):
            return list(self.symbols(atom))
        if isinstance(atom, MeanVector):
            return self._mean(atom)
        if isinstance(atom, Call):
            return self._call(atom)
        if isinstance(atom, Product):
            return self._product(atom)
        if isinstance(atom, Elementwise):
            columns = [self.vector(a) for a in atom.arguments]
            body, places = self.scalar(atom.body), slots(len(columns))
            return [
                body.xreplace(dict(zip(places, row, strict=True)))
                for row in zip(*columns, strict=True)
            ]
        raise OdescentError(f"{atom} cannot be written in coordinates.")

    def _product(self, atom: Product) -> list[sp.Expr]:
        if atom.kind == "hadamard":
            left, right = self.vector(atom.left), self.vector(atom.right)
            return [a * b for a, b in zip(left, right, strict=True)]
        matrix = atom.left
        if atom.kind != "apply" or not (
            isinstance(matrix, VectorSymbol)
            or (isinstance(matrix, Product) and matrix.kind == "outer")
        ):
            raise OdescentError(f"the matrix {atom} cannot be written in coordinates.")
        right = self.vector(atom.right)
        if isinstance(matrix, Product):
            along = sp.Add(*[a * b for a, b in zip(self.vector(matrix.right), right, strict=True)])
            return [a * along for a in self.vector(matrix.left)]
        n = self.dimension
        entries = [
            [sp.Symbol(f"{matrix.name}_{i + 1}{j + 1}", real=True) for j in range(n)]
            for i in range(n)
        ]
        return [sp.Add(*[m * c for m, c in zip(row, right, strict=True)]) for row in entries]

    def _call(self, atom: Call) -> list[sp.Expr]:
        oracle = atom.oracle
        if oracle.form.particles:
            if atom.directions:
                raise OdescentError(
                    f"the point {oracle.name} of an ensemble is frozen and has no derivative."
                )
            if len(atom.parameters) > 1:  # each particle's own, a function of where it is
                names = [str(s) for s in self.frozen(oracle.of)]
                own = self.vector(atom.point)
                return [sp.Function(n, real=True)(*own) for n in names]
            if self._ensembles.setdefault(oracle.of, atom) != atom:
                raise OdescentError(
                    f"{atom} and {self._ensembles[oracle.of]} are two points of one objective's ensembles, which "
                    "cannot be told apart here; give them objectives of different names."
                )
            return list(self.frozen(oracle.of))
        point = self.vector(atom.point)
        dummies = [sp.Dummy(f"u{i + 1}", real=True) for i in range(self.dimension)]
        if oracle.kind == "grad":
            potential = self.value(oracle.of, dummies)
            found = [slope(potential, u) for u in dummies]
        else:
            found = self._map(
                oracle.of if oracle.kind != "prox" else oracle.name, dummies, atom.parameters
            )
        for direction in atom.directions:
            parts = self.vector(direction)
            found = [
                sp.Add(*[slope(e, u) * c for u, c in zip(dummies, parts, strict=True)])
                for e in found
            ]
        here = dict(zip(dummies, point, strict=True))
        if len(set(point)) == len(point) and all(p.is_Symbol for p in point):
            return [e.xreplace(here) for e in found]  # a derivative stays one, with other names
        return [e.subs(here, simultaneous=True) for e in found]

    def _map(
        self, name: str, at: list[sp.Symbol], parameters: tuple[sp.Expr, ...]
    ) -> list[sp.Expr]:
        arguments = [*at, *(self.scalar(p) for p in parameters)]
        known = (self.functions or {}).get(name)
        if known is None:
            return [sp.Function(str(s), real=True)(*arguments) for s in self.named(name)]
        made = known(*arguments)
        found = [
            as_scalar(e)
            for e in (made if isinstance(made, (list, tuple, sp.MatrixBase)) else [made])
        ]
        if len(found) != self.dimension:
            raise OdescentError(
                f"the function of {name!r} gives {len(found)} components, but the dimension is {self.dimension}."
            )
        return found

    def substitution(self, values: Mapping[Symbol, Expr]) -> dict[sp.Symbol, sp.Expr]:
        """The substitution of coordinates, for symbols replaced by expressions."""
        pairs = [zip(self.symbols(s), self.components(e), strict=True) for s, e in values.items()]
        return dict(itertools.chain.from_iterable(pairs))


def observable(e: object, state: tuple[sp.Symbol, ...], form: Coordinates | None = None) -> sp.Expr:
    """A scalar function of the state, written in coordinates.

    Args:
        e: in coordinates or, with ``form``, in vectors.
        state: the coordinates.
        form: expands vectors in coordinates.

    Raises:
        OdescentError: a vector result, vectors without a ``form``, or a symbol with the name of a coordinate but
            other assumptions, which SymPy would take for a constant.
    """
    if isinstance(e, Vector):
        raise OdescentError(f"a scalar function of the state was expected, not the vector {e}.")
    value = as_scalar(e)
    if value.atoms(ScalarNode):
        if form is None:
            raise OdescentError(
                f"{value} has vectors in it, but the process is in coordinates; write it in {state}."
            )
        value = form.scalar(value)
    names = {s.name: s for s in state}
    for s in value.free_symbols:
        if s.name in names and names[s.name] != s:
            raise OdescentError(
                f"the symbol {s} has the name of a coordinate, which is real; use sympy.Symbol({s.name!r}, real=True)."
            )
    return value
