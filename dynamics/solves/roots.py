"""Numbers of implicit functions: Newton's method with a search along the step, or an inner method, in NumPy or JAX.

Each step of Newton's solves J u = F by the route of J (`solves.ROUTES`), so that a minimizer needs products with its
Hessian alone. Where JAX traces, the solution is differentiated by the implicit function theorem and not through the
iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..algebra.products import apply
from ..algebra.vectors import Expr, Vector, VectorSymbol
from ..implicit.roots import Equations
from ..implicit.search import ROUNDED

_HALVINGS = 30  # of a step, before the search says that it does not descend
_DENSE = 64  # unknowns up to which the whole spectrum of a Hessian is computed
Number = Callable[[Expr, Mapping[Any, Any]], Any]


def root_numbers(
    of: Equations, number: Number, begun: Callable[[str], Any], xp: Any
) -> tuple[Any, ...]:
    """The solutions of the equations, in the order of their unknowns.

    Args:
        of: the equations, and how the search for a solution begins and ends.
        number: the value of an expression with more symbols given.
        begun: the value of the symbol of a name, where a search begins that has no start of its own; KeyError for none.
        xp: NumPy or `jax.numpy`.

    Returns:
        arrays of the shapes of their starts, numbers for scalars; NaN where JAX traces and the search fails.

    Raises:
        OdescentError: an unknown without a start; or, where JAX does not trace, a search that ends without a solution.
    """
    opened, search = of.linearized, of.search
    begin: list[Any] = []
    for name, start in zip(of.names, search.start or (None,) * len(of.names), strict=True):
        try:
            value = xp.asarray(begun(name) if start is None else number(start, {}))
        except KeyError:
            raise OdescentError(
                f"the implicit function {of.solutions[0]} has no start for {name}: give start= in od.root or "
                f"od.argmin, an expression in blocks from which its numbers are searched, or a block {name}."
            ) from None
        begin.append(value if xp.issubdtype(value.dtype, xp.floating) else value.astype(float))
    bound, most = number(search.tolerance, {}), number(search.max_steps, {})
    residual = _function(opened.equations, opened.unknowns, number, xp)
    traced = xp is not np and _traced([*begin, bound, *residual(tuple(begin))])
    if search.method is not None:
        by = Steps.of(of, number, xp)
        if traced:
            from .jax_roots import traced_steps

            return traced_steps(residual, by, tuple(begin), bound, most, of.minimized is not None)
        found = _stepped(of, by, begin[0], float(bound), int(most))
    else:
        solved = tuple(opened.divided(list(opened.equations), search.adjoint))
        newton = _function(solved, opened.unknowns, number, xp)
        if traced:
            from .jax_roots import traced_root

            minimizes = of.minimized is not None
            return traced_root(residual, newton, tuple(begin), bound, most, minimizes)
        found = _search(of, residual, newton, tuple(begin), float(bound), int(most))
    if of.minimized is not None:
        _check_minimum(of, found, number, xp)
    return found


def _function(
    expressions: tuple[Any, ...], unknowns: tuple[Any, ...], number: Number, xp: Any
) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Expressions in the unknowns as a function of their numbers, each in the shape of its unknown."""

    def values(at: tuple[Any, ...]) -> tuple[Any, ...]:
        given = dict(zip(unknowns, at, strict=True))
        found = (xp.asarray(number(e, given)) for e in expressions)
        return tuple(xp.broadcast_to(v, u.shape) for v, u in zip(found, at, strict=True))

    return values


def _traced(values: list[Any]) -> bool:
    import jax

    return any(isinstance(v, jax.core.Tracer) for v in values)


def _length(values: tuple[Any, ...]) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(np.asarray(v)))) for v in values)))


@dataclass(frozen=True)
class Steps:
    """The steps of an inner method in numbers.

    Attributes:
        begun: the state at a starting point.
        ahead: the state after a step.
        output: the point that a state stands for.
        moving: how many of the values come to rest.
    """

    begun: Callable[[Any], tuple[Any, ...]]
    ahead: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    output: Callable[[tuple[Any, ...]], Any]
    moving: int

    @classmethod
    def of(cls, equations: Equations, number: Number, xp: Any) -> Steps:
        """Those that search for the solution of some equations."""
        step, method = equations.inner_step(), equations.search.method
        assert method is not None
        unknown: Any = equations.linearized.unknowns[0]

        def shaped(value: Any, like: Any) -> Any:
            return xp.broadcast_to(xp.asarray(value, dtype=like.dtype), like.shape)

        def begun(u: Any) -> tuple[Any, ...]:
            found = [number(e, {unknown: u}) for e in method.begun(unknown)]
            likes = (u if isinstance(s, VectorSymbol) else u.ravel()[0] * 0 for s in step.state)
            return tuple(map(shaped, found, likes))

        def ahead(state: tuple[Any, ...]) -> tuple[Any, ...]:
            at = dict(zip(step.state, state, strict=True))
            return tuple(shaped(number(e, at), v) for e, v in zip(step.ahead, state, strict=True))

        def output(state: tuple[Any, ...]) -> Any:
            return number(step.output, dict(zip(step.state, state, strict=True)))

        return cls(begun, ahead, output, step.moving)


def _stepped(of: Equations, by: Steps, begin: Any, bound: float, most: int) -> tuple[Any, ...]:
    """The point at which the steps of an inner method come to rest."""
    state, size = by.begun(begin), 0.0
    for _ in range(most):
        ahead = by.ahead(state)
        moved = tuple(a - b for a, b in zip(ahead[: by.moving], state, strict=False))
        state, size, at = ahead, _length(moved), by.output(ahead)
        if not np.isfinite(size):
            break
        if size <= bound * (1 + _length((at,))):
            return (at,)
    diverged = "" if np.isfinite(size) else ": it diverges, take a shorter step"
    assert of.search.method is not None
    raise OdescentError(
        f"the search for {_told(of)} by {of.search.method.name} does not end in {most} steps{diverged}. The last one "
        f"is {size:.3g}, for a tolerance of {bound:.3g}; raise max_steps or tolerance, or begin it elsewhere (start=)."
    )


def _search(
    of: Equations,
    residual: Any,
    newton: Any,
    at: tuple[Any, ...],
    bound: float,
    most: int,
) -> tuple[Any, ...]:
    """Newton's steps, each halved until the residual falls; the last one is taken in full."""
    left = _length(residual(at))
    size = left
    for _ in range(most):
        if left == 0:
            return at
        if not np.isfinite(left):
            break
        try:
            step = newton(at)
        except (ArithmeticError, OdescentError) as error:
            raise OdescentError(
                f"the search for {_told(of)} fails where the residual is {left:.3g}: {error}"
            ) from None
        size = _length(step)
        small = size <= bound * (1 + _length(at))
        for halving in range(_HALVINGS):
            ahead = tuple(a - s * 0.5**halving for a, s in zip(at, step, strict=True))
            after = _length(residual(ahead))
            if after < left or (small and halving == 0):
                break
        else:
            if size <= float(ROUNDED) * (1 + _length(at)):  # nothing but rounding is left
                return at
            raise OdescentError(
                f"the search for {_told(of)} does not descend where the residual is {left:.3g}: no solution "
                "is near its start; begin it elsewhere (start=), or check the equations."
            )
        if small:
            return ahead if after < left else at
        at, left = ahead, after
    raise OdescentError(
        f"the search for {_told(of)} does not end in {most} steps: the last step is {size:.3g} and the residual "
        f"{left:.3g}, for a tolerance of {bound:.3g}; raise max_steps, or begin it elsewhere (start=)."
    )


def _check_minimum(of: Equations, at: tuple[Any, ...], number: Number, xp: Any) -> None:
    """Refuse a point at which the Hessian has a direction of negative curvature."""
    ((operator,),), (u,) = of.linearized.entries, at
    if not isinstance(operator, Vector):
        least, direction = float(number(operator, {of.linearized.unknowns[0]: u})), np.ones(1)
    else:
        along = VectorSymbol("curved")
        product = apply(operator, along)

        def by(v: Any) -> Any:
            given = {of.linearized.unknowns[0]: u, along: xp.asarray(v.reshape(u.shape))}
            return np.asarray(number(product, given)).reshape(-1) + np.zeros(u.size)

        if u.size <= _DENSE:
            matrix = np.stack([by(e) for e in np.eye(u.size)])
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
        else:
            from scipy.sparse.linalg import LinearOperator, eigsh

            operated = LinearOperator((u.size, u.size), matvec=by, dtype=float)
            values, vectors = eigsh(operated, k=2, which="BE", tol=1e-3)
        # of a line of minimizers the least eigenvalue is a rounding of zero
        if -values[0] <= 1e-12 * np.abs(values).max():
            return
        least, direction = float(values[0]), vectors[:, 0]
    if least < 0:
        largest = int(np.abs(direction).argmax())
        raise OdescentError(
            f"{_told(of)} is no minimizer where the search ended: the curvature is {least:.3g} along a direction "
            f"whose largest component is number {largest} ({direction[largest]:.2g}); begin elsewhere (start=), or "
            "take od.root for a critical point that is not minimal."
        )


def _told(of: Equations) -> str:
    return str(of.solutions[0]) if len(of.names) == 1 else ", ".join(of.names)
