"""Estimators: the law of an expression in samples, as means over them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import substitute, symbols_of, tidy
from ..algebra.products import outer
from ..algebra.series import taylor
from ..algebra.vectors import Call, ScalarNode, Vector, VectorSymbol, inner, scalar_calls
from ..notation.show import latex, text
from .mean import mean
from .sample import VectorSample, dimension_of, samples_in


@dataclass(frozen=True)
class Estimator(Rendered):
    """A random vector as an estimate of another, such as of a gradient; see `estimate`.

    Everything is exact. Where a mean has no closed form the operator E stands in it.

    Attributes:
        expression: the random vector.
        target: what it estimates.
    """

    expression: Vector
    target: Vector

    def mean(self, order: int | None = None, small: sp.Symbol | None = None) -> Vector:
        """The mean over the samples.

        Args:
            order: through this power of a small parameter; whole by default.
            small: the parameter, such as the radius of a difference.

        Raises:
            OdescentError: an order without a parameter.
        """
        whole: Vector = self._mean
        if order is None:
            return whole
        if small is None:
            raise OdescentError(
                "a mean through some order needs small=, the parameter of the expansion."
            )
        found: Vector = tidy(mean(self.expression))
        terms = taylor(found, small, order)
        total: Vector = sum((c * small**k for k, c in enumerate(terms)), terms[0] * 0)
        return total

    @property
    def _mean(self) -> Vector:
        found = mean(self.expression)
        assert isinstance(found, Vector)
        return found

    @property
    def bias(self) -> Vector:
        """The mean less the target."""
        return tidy(self._mean - self.target)

    @property
    def covariance(self) -> Vector:
        """E e e^T - (E e)(E e)^T, an operator."""
        centre = self._mean
        second: Any = mean(outer(self.expression, self.expression))
        found: Vector = tidy(second - outer(centre, centre))
        return found

    @property
    def second_moment(self) -> sp.Expr:
        """E |e|^2."""
        found: Any = mean(inner(self.expression, self.expression))
        return tidy(found)

    @property
    def cost(self) -> dict[str, Any]:
        """What one estimate takes, by name; no zeros.

        Evaluations are values, gradients, (Hessian) products, higher derivatives, and minibatch gradients and products.
        ``examples`` are the rows or outcomes of batches whose size is given, ``numbers sent`` how many numbers tell the
        estimate to somebody who has the samples: the coefficients of samples, two for an entry of ``top_k``, and for
        any other vector its dimension, d_x of a block x.
        """
        calls = self.expression.calls()
        nodes = {n for c in self.expression.terms.values() for n in c.atoms(ScalarNode)}
        nodes |= {n for c in calls for n in _nodes(c)}
        for n in list(nodes):
            calls |= scalar_calls(n)
        asked = [c for c in calls if not c.oracle.form.registered]
        batches = [c for c in asked if c.oracle.kind == "batch"]
        found: dict[str, Any] = {"values": sum(n.kind == "value" for n in nodes)}
        found.update(Counter(_asked_for(c) for c in asked))
        found["examples"] = sp.Add(*[c.parameters[1] for c in batches if len(c.parameters) > 1])
        found["numbers sent"] = self._sent()
        return {name: count for name, count in found.items() if count != 0}

    def _sent(self) -> sp.Expr:
        """How many numbers tell the estimate: one vector that is no sample needs as many as it has entries."""
        total = sp.S.Zero
        for a in self.expression.terms:
            known = symbols_of(a)
            if known and known <= {*samples_in([a])} and not a.calls():
                total += 1
            elif isinstance(a, Call) and a.oracle.name == "named_top_k":
                total += 2 * a.parameters[0]
            else:
                return self._dimension
        return total

    @property
    def _dimension(self) -> sp.Symbol:
        """That of the vectors, by the name of a block."""
        own = {
            s
            for s in symbols_of(self.expression) | symbols_of(self.target)
            if isinstance(s, VectorSymbol)
        }
        return dimension_of(min(s.like if isinstance(s, VectorSample) else s.name for s in own))

    def largest_step(self, smoothness: Any) -> sp.Expr:
        """The step below which f falls in mean along -e, for f with an L-Lipschitz gradient, the target.

        E f(x - h e) <= f - h <g, E e> + (L h^2 / 2) E |e|^2, so h < 2 <g, E e> / (L E |e|^2). Half of it is best.

        Args:
            smoothness: L.
        """
        gain = inner(self.target, self._mean)
        return tidy(2 * gain / (smoothness * self.second_moment))

    def at(self, values: Any) -> Estimator:
        """The estimator with symbols replaced."""
        return Estimator(substitute(self.expression, values), substitute(self.target, values))

    def __str__(self) -> str:
        rows = [
            f"estimate of {text(self.target)}: {text(self.expression)}",
            f"mean: {text(self._mean)}",
            f"bias: {text(self.bias)}",
            f"covariance: {text(self.covariance)}",
            f"second moment: {text(self.second_moment)}",
            "cost: " + ", ".join(f"{n} {_named(name, n)}" for name, n in self.cost.items()),
        ]
        return "\n".join(rows)

    def latex(self) -> str:
        """Mean, covariance and second moment, aligned."""
        rows = [
            rf"\mathbb{{E}}\, e &= {latex(self._mean)}",
            rf"\operatorname{{Cov}} e &= {latex(self.covariance)}",
            rf"\mathbb{{E}} |e|^2 &= {latex(self.second_moment)}",
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _named(cost: str, number: Any) -> str:
    """A cost's name, which is plural."""
    return re.sub(r"s\b", "", cost) if number == 1 else cost


def _asked_for(c: Call) -> str:
    """What a call is counted as."""
    along, batch = len(c.directions), "minibatch " * (c.oracle.kind == "batch")
    return "higher derivatives" if along > 1 else f"{batch}{'products' if along else 'gradients'}"


def _nodes(c: Call) -> set[ScalarNode]:
    return {n for part in c.arguments for k in part.terms.values() for n in k.atoms(ScalarNode)}


@checked
def estimate(expression: Vector, of: Vector) -> Estimator:
    """The law of a random vector as an estimate of another one.

    For the two-point estimate ``estimate(z * inner(z, f.grad(x)), of=f.grad(x))`` along a normal z it is: mean grad f,
    covariance g g^T + |g|^2 1, second moment (d + 2) |g|^2.

    Args:
        expression: a vector with samples in it.
        of: what it estimates.

    Returns:
        an `Estimator`: its mean, bias, covariance, second moment, cost, and the largest step for which f falls in mean.

    Raises:
        OdescentError: there is no sample in the expression.
    """
    if not samples_in([expression]):
        raise OdescentError(
            f"there is no sample in {text(expression)}, so it is no estimate; make one by od.sample."
        )
    return Estimator(expression, of)


__all__ = ["Estimator", "estimate"]
