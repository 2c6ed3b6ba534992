"""Means over samples: closed forms for polynomials, and an opaque linear operator E for the rest.

Terms that are polynomials of a sample are contracted by its law's weights. What is left is E of a term, with the
sample as a bound variable: it is linear, constants and linear operators are taken out of it, it is differentiated and
expanded under the sign, and becomes a closed form as soon as a substitution makes a polynomial of it. For normals
explicit factors are integrated by parts (Stein): E z F(z) = E grad F(z), so that the mean of a two-point estimate is
the gradient of the smoothed function.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotCarried, OdescentError
from ..algebra.calculus import change, derivative, nothing, scalar_of, substitute, symbols_of, tidy
from ..algebra.gradients import gradient
from ..algebra.products import (
    Identity,
    Product,
    Unary,
    apply,
    factors_of,
    hadamard,
    outer,
    transpose,
)
from ..algebra.trees import READERS, WRITERS, from_tree, tree
from ..algebra.vectors import (
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    _text,
    call,
    in_slot,
    inner,
    scalar_calls,
    zero,
)
from .closed_form import in_closed_form
from .contraction import contracted, monomials, product_of
from .monomials import (
    Bound,
    degree_of_scalar,
    degree_of_term,
    half_fixed,
    operator_on,
    parted,
    signs_squared,
    unfolded,
)
from .sample import ROWS, SAMPLES, ScalarSample, VectorSample, samples_in

HIGHEST = 6  # degree in one sample that is contracted: the number of contractions grows as its double factorial
_FRESH = itertools.count()  # numbers of samples whose mean is being taken


@checked
def mean(expression: Expr, samples: Iterable[VectorSample | ScalarSample] | None = None) -> Expr:
    """The mean of an expression over samples.

    Args:
        expression: a vector or a scalar.
        samples: over which the mean is taken; all that are in it by default.

    Returns:
        an expression of the same kind. What is a polynomial of the samples, of a degree up to six in a vector, has the
        mean that follows from their laws' moments, exactly; of the rest the operator E stands, ``E[...]``.
    """
    e: Expr = expression if isinstance(expression, Vector) else scalar_of(expression)
    over = samples_in([e]) if samples is None else tuple(samples)
    for s in sorted(over, key=lambda s: s.name):
        e = mean_over(e, s)
    return tidy(e)


def mean_over(e: Expr, s: Bound) -> Expr:
    """The mean over one sample."""
    e, apart = parted(e, s)
    return apart + _mean_of(e, s) if e else apart


def _mean_of(e: Expr, s: Bound) -> Expr:
    """The mean over a sample that is in every term."""
    e = unfolded(e, s)
    if s.law_name == "rademacher" and isinstance(s, VectorSample):
        e = signs_squared(e, s)
    if not isinstance(e, Vector):
        return sp.Add(*[k * _of_scalar(m, s) for k, m in monomials(e, [s])])
    total = zero
    for a, c in e.terms.items():
        for k, m in monomials(c, [s]):
            total = total + _of_vector(m, a, s) * k
    return total


def _of_scalar(m: sp.Expr, s: Bound) -> sp.Expr:
    if s not in symbols_of(m):
        return m
    degree = degree_of_scalar(m, s)
    if degree is not None:
        with contextlib.suppress(NotCarried):
            number: sp.Expr = _polynomial(m, degree, s)
            return number
    if (exchanged := _inside_first(m, None, s)) is not None:
        return exchanged
    if (parts := _by_parts(m, None, s)) is not None:
        return mean_over(parts, s)
    if (found := half_fixed(m, s)) is not None:
        fixed, moving, rest = found
        return inner(fixed, mean_over(moving * rest, s))
    return _opaque(m, s)


def _of_vector(m: sp.Expr, a: Atom, s: Bound) -> Vector:
    if s not in symbols_of(a):
        scaled: Vector = a * _of_scalar(m, s)
        return scaled
    known = None if s in symbols_of(m) else _known_mean(a, s)
    if known is not None:
        scaled_mean: Vector = known * m
        return scaled_mean
    degree = degree_of_term(a * m, s)
    if degree is not None:
        with contextlib.suppress(NotCarried):
            closed: Vector = _polynomial(a * m, degree, s)
            return closed
    exchanged: Vector | None = _inside_first(m, a, s)
    if exchanged is not None:
        return exchanged
    if (parts := _by_parts(m, a, s)) is not None:
        return mean_over(parts, s)
    if (moved := _taken_out(m, a, s)) is not None:
        return moved
    if not a.operates and (found := half_fixed(m, s)) is not None:
        fixed, moving, rest = found
        operator: Any = mean_over(outer(a, moving) * rest, s)
        applied: Vector = apply(operator, fixed)
        return applied
    opaque: Vector = _opaque(a * m, s)
    return opaque


def _inside_first(m: sp.Expr, a: Atom | None, s: Bound) -> Any:
    """The mean over s of a term with a factor that is a mean over another sample, s first; None where it has none."""
    for factor in sp.Mul.make_args(m):
        if isinstance(factor, MeanScalar) and s in factor.symbols():
            rest: Any = m / factor if a is None else a * (m / factor)
            return _exchanged(factor, s, rest)
    return None


def _exchanged(node: Any, s: Bound, rest: Any = sp.S.One) -> Any:
    """The mean over s of one over another sample, times the rest, s first; None where s would stay under E with it."""
    body, other = _opened(node.body, node.over)
    within = mean_over(rest * body, s)
    if any(other in n.symbols() for n in means_in(within)):
        return None
    return mean_over(within, other)


def _known_mean(a: Atom, s: Bound) -> Vector | None:
    """The mean of a mean, or of an oracle that is random by its first scalar argument or linearly by a direction."""
    if isinstance(a, MeanVector):
        found: Vector | None = _exchanged(a, s)
        return found
    if not isinstance(a, Call):
        return None
    at = [i for i, d in enumerate(a.directions) if s in symbols_of(d)]
    if len(at) == 1 and all(s not in symbols_of(v) for v in (a.point, *a.parameters)):
        along = [mean_over(d, s) if [i] == at else d for i, d in enumerate(a.directions)]
        return call(a.oracle, a.point, along, a.parameters)
    fixed = all(s not in symbols_of(v) for v in (a.point, *a.directions, *a.parameters[1:]))
    random = a.parameters[:1] == (s,) and isinstance(s, ScalarSample) and s.law_name == ROWS
    if not (a.oracle.form.mean and random and fixed):
        return None
    return call(a.oracle.other(a.oracle.form.mean, a.oracle.slot), a.point, a.directions)


# Polynomials


def _polynomial(e: Any, degree: int, s: Bound) -> Any:
    """The mean of a homogeneous polynomial; NotCarried where a contraction has no closed form."""
    if isinstance(s, ScalarSample):
        return derivative_of_power(e, s, degree) * s.law.moment((degree,))
    if degree > HIGHEST:
        raise NotCarried(f"a polynomial of degree {degree} is not contracted.")
    total: Any = nothing(s) if isinstance(e, Vector) else sp.S.Zero
    weights = s.law.contractions(degree, s.dimension)
    if s.law_name != "normal" and weights and all(set(p) == {2} for p in weights):
        # the mean is a normal's, but for the moments of its length
        normal = VectorSample(s.name, "normal", s.like)
        ((pairs, same),) = normal.law.contractions(degree, s.dimension).items()
        scaled: Any = mean_over(substitute(e, {s: normal}), normal) * (weights[pairs] / same)
        return scaled
    for partition, weight in weights.items():
        part: Any = e
        for m in partition:
            part = _summed(part, m, s)
        total = total + part * weight
    return total


def derivative_of_power(e: Any, s: sp.Symbol, degree: int) -> Any:
    """The coefficient of s**degree of a monomial in it."""
    return substitute(e, {s: sp.S.One}) if degree else e


def _summed(e: Any, m: int, s: VectorSample) -> Any:
    """T_m: the sum over the coordinates of the m-th derivatives."""
    units = [VectorSymbol(f"unit~{i}") for i in range(m)]
    for u in units:
        e = derivative(e, {s: u})
    return contracted(e, units, s.dimension) if symbols_of(e) & set(units) else e * 0


# The operator E


def _taken_out(m: sp.Expr, a: Atom, s: Bound) -> Vector | None:
    """E of a monomial times an atom through what is linear and does not depend on the sample."""

    def fixed(v: Vector) -> bool:
        return s not in symbols_of(v)

    def inside(v: Vector) -> Any:
        return mean_over(v * m, s)

    if isinstance(a, Product):
        if a.kind == "hadamard":
            factors = factors_of(a)
            still = [f for f in factors if fixed(f)]
            moving = [f for f in factors if not fixed(f)]
            if still:
                return hadamard(product_of(still), inside(product_of(moving)))
            return None
        if fixed(a.left):
            product = apply if a.kind == "apply" else outer
            return product(a.left, inside(a.right))
        if fixed(a.right):
            product = apply if a.kind == "apply" else outer
            return product(inside(a.left), a.right)
        if a.kind == "outer":
            with contextlib.suppress(NotCarried):
                if (found := operator_on(a.left, fixed)) is not None:
                    return apply(found[0], inside(outer(found[1], a.right)))
            # the transpose of an operator may not be known
            with contextlib.suppress(NotCarried):
                if (found := operator_on(a.right, fixed)) is not None:
                    return apply(inside(outer(a.left, found[1])), transpose(found[0]))
    if isinstance(a, MeanVector):  # the mean over both, in the other order
        body, other = a.opened()
        inner_mean: Any = inside(body)
        return None if _is_mean(inner_mean) else mean_over(inner_mean, other)
    if isinstance(a, Unary):
        return a.rebuild(inside)
    if isinstance(a, Argument):
        return in_slot(a.slot, inside(a.value))
    if isinstance(a, Call) and fixed(a.point):
        moving = [d for d in a.directions if not fixed(d)]
        if len(moving) == 1 and not any(s in symbols_of(p) for p in a.parameters):
            others = [d for d in a.directions if d != moving[0]]
            return call(a.oracle, a.point, [*others, inside(moving[0])], a.parameters)
    return None


def _is_mean(e: Vector) -> bool:
    """Whether nothing was gained: the mean of one term is that of the whole term."""
    return len(e.terms) == 1 and isinstance(next(iter(e.terms)), MeanVector)


def _by_parts(m: sp.Expr, a: Atom | None, s: Bound) -> Any:
    """E z F = E grad F and E <z, w> F = E DF[w] for a normal z, where it is an explicit factor; else None."""
    if not isinstance(s, VectorSample) or s.law_name != "normal":
        return None
    if a == s and m != 1:
        with contextlib.suppress(OdescentError):  # what jumps has no gradient
            return gradient(m, s)
        return None
    whole: Any = m if a is None else a * m
    for node in m.atoms(ScalarNode):
        if node.kind != "inner" or s not in node.arguments:
            continue
        left, right = node.arguments
        other = right if left == s else left
        if s in symbols_of(other) or not m.is_polynomial(node):
            continue
        rest: Any = whole / node if not isinstance(whole, Vector) else whole * (1 / node)
        with contextlib.suppress(OdescentError):
            return derivative(rest, {s: other})
    return None


def _depth(e: Expr) -> int:
    """How many means are inside of one another in an expression."""
    nodes: list[Any] = list(e.atoms(ScalarNode)) if not isinstance(e, Vector) else []
    if isinstance(e, Vector):
        for a, c in e.terms.items():
            nodes += [a, *c.atoms(ScalarNode)]
    found = 0
    for node in nodes:
        if isinstance(node, (MeanVector, MeanScalar)):
            found = max(found, 1 + _depth(node.body))
        elif isinstance(node, (Atom, ScalarNode)):
            parts = node.parts() if isinstance(node, Atom) else node.arguments
            found = max([found, *(_depth(p) for p in parts)])
    return found


def _opaque(e: Any, s: Bound) -> Any:
    """E of a term, its sample renamed to a bound variable; second moments are those of every law."""
    if (closed := in_closed_form(e, s)) is not None:
        return closed
    law = s.law_name
    if isinstance(s, VectorSample):
        one = degree_of_scalar(e, s) if not isinstance(e, Vector) else degree_of_term(e, s)
        bound: Bound = VectorSample(f"z~{_depth(e) + 1}", "normal" if one == 2 else law, s.like)
    else:
        bound = ScalarSample(f"u~{_depth(e) + 1}", law)
    body = substitute(e, {s: bound})
    ways = [_signed(body)]
    if isinstance(bound, VectorSample):  # which is as likely as its negative
        ways.append(_signed(substitute(body, {bound: -bound})))
    sign, least = min(ways, key=lambda way: (len(str(way[1])), str(way[1])))
    made: Any = MeanVector if isinstance(least, Vector) else MeanScalar
    return made(least, bound) * sign


def _signed(e: Any) -> tuple[sp.Expr, Any]:
    """A term as a number times the rest."""
    if not isinstance(e, Vector):
        number, rest = e.as_coeff_Mul()
        return number, rest
    ((a, c),) = e.terms.items()
    number, rest = c.as_coeff_Mul()
    return number, a * rest


def _opened(body: Any, over: Bound) -> tuple[Any, Any]:
    """The body of a mean with a free sample of its own, which nothing else has, and this sample.

    A bound sample may have the name of one that is bound elsewhere; so nothing is done with it before it is free.
    """
    name = f"{over.name.partition('~')[0]}~free{next(_FRESH)}"
    vector = isinstance(over, VectorSample)
    free = (
        VectorSample(name, over.law_name, over.like)
        if vector
        else ScalarSample(name, over.law_name)
    )
    return substitute(body, {over: free}), free


class MeanVector(Atom):
    """E of a vector, over a bound sample.

    Args:
        body: the vector, one term.
        over: the sample, bound: no expression outside has it.
    """

    __slots__ = ("arguments", "body", "over")
    made_of = ("body", "over")
    averages = True

    def __init__(self, body: Vector, over: Bound) -> None:
        self.body, self.over, self.arguments = body, over, (body,)
        ((a, c),) = body.terms.items()
        super().__init__((10, over.law_name, a.key, _text(c)))

    @property
    def operates(self) -> bool:  # type: ignore[override]
        return all(a.operates for a in self.body.terms)

    def symbols(self) -> set[Any]:
        return symbols_of(self.body) - {self.over}

    def opened(self) -> tuple[Vector, Bound]:
        """The body with a free sample, and this sample."""
        return _opened(self.body, self.over)

    def transposed(self) -> Vector:
        return self.rebuild(transpose)

    def paired(self, other: Atom) -> sp.Expr | None:
        """The trace of a mean is the mean of the trace."""
        if not isinstance(other, Identity):
            return None
        body, free = self.opened()
        traced: sp.Expr = mean_over(inner(body, other), free)
        return traced

    def changed(self, change: Callable[[Any], Any]) -> Vector:
        return self.rebuild(change)  # its sample is not shown to what changes it

    def rebuild(self, change: Callable[[Any], Any]) -> Vector:
        body, free = self.opened()
        made: Vector = mean_over(change(body), free)
        return made

    def own_derivative(self, direction: Mapping[Any, Expr]) -> Vector:
        body, free = self.opened()
        made: Vector = mean_over(derivative(body, direction), free)
        return made

    def shown(self, show: Callable[[Any], str], as_latex: bool) -> str:
        """E[...] with the sample under a name that nothing else in it has."""
        return _shown(self.body, self.over, show, as_latex)


class MeanScalar(ScalarNode):
    """E of a scalar, over a bound sample; see `MeanVector`."""

    body: sp.Expr
    over: Bound
    averages = True

    def __new__(cls, body: sp.Expr, over: Bound) -> MeanScalar:
        node: MeanScalar = super().__new__(cls, "mean", ())
        node.body, node.over = body, over
        node.content = ("mean", over.law_name, _text(body))
        return node

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.body, self.over)

    def symbols(self) -> set[Any]:
        return symbols_of(self.body) - {self.over}

    def calls(self) -> set[Call]:
        return scalar_calls(self.body)

    @property
    def free_symbols(self) -> set[sp.Symbol]:
        return {s for s in self.symbols() if isinstance(s, sp.Symbol)}

    def rebuild(self, change: Callable[[Any], Any]) -> sp.Expr:
        body, free = _opened(self.body, self.over)
        made: sp.Expr = mean_over(change(body), free)
        return made

    def own_derivative(self, direction: Mapping[Any, Expr]) -> sp.Expr:
        body, free = _opened(self.body, self.over)
        made: sp.Expr = mean_over(derivative(body, direction), free)
        return made

    def shown(self, show: Callable[[Any], str], as_latex: bool) -> str:
        """E[...] with the sample under a name that nothing else in it has."""
        return _shown(self.body, self.over, show, as_latex)


def _shown(body: Expr, over: Bound, show: Callable[[Any], str], as_latex: bool) -> str:
    stem = over.name.partition("~")[0]
    taken = {s.name for s in symbols_of(body)}
    name = next(n for n in (stem, *(f"{stem}_{i}" for i in range(1, 99))) if n not in taken)
    plain: Any = (
        VectorSymbol(name) if isinstance(over, VectorSample) else sp.Symbol(name, real=True)
    )
    inside = show(substitute(body, {over: plain}))
    return rf"\mathbb{{E}}\left[{inside}\right]" if as_latex else f"E[{inside}]"


def _written(e: Any) -> list[Any]:
    return ["mean", tree(e.body), tree(e.over)]


def _read(body: Any, over: Any) -> Expr:
    """A mean from the words after that of its form."""
    bound = from_tree(over)
    if not isinstance(bound, SAMPLES):
        raise OdescentError(f"a mean must be taken over a sample, not over {bound}.")
    inside, free = _opened(from_tree(body), bound)
    return mean_over(inside, free)


WRITERS[MeanVector] = WRITERS[MeanScalar] = _written
READERS["mean"] = _read


def means_in(e: Expr) -> list[Any]:
    """The means in an expression that have no closed form."""
    found: list[Any] = []

    def rule(node: Any) -> None:
        if isinstance(node, (MeanVector, MeanScalar)):
            found.append(node)

    change(e, rule)
    return found
