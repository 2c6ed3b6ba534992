"""Roots and minimizers as people write them: equations in blocks, with what finds their numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, WrongType, expected
from ..algebra.calculus import symbols_of
from ..algebra.gradients import gradient
from ..algebra.scalars import as_scalar
from ..algebra.vectors import Vector, VectorSymbol
from .equations import Opened
from .roots import solutions
from .search import MAX_STEPS_OF_A_METHOD, InnerMethod, Search


@checked
def root(
    equations: Any,
    unknown: Any = None,
    *,
    start: Any = None,
    tolerance: object = None,
    max_steps: object = None,
    adjoint: str = "",
    method: Any = None,
) -> Any:
    """The solution of an equation, or of several, as a function of the other symbols in them.

    Args:
        equations: an expression that is to vanish, a vector for a vector block, a scalar for a scalar one; or several,
            a mapping from each unknown to the equation for it, of the same kind.
        unknown: the block that is solved for; of a mapping its keys are.
        start: where the search for numbers begins, an expression in blocks; of several unknowns a mapping. By
            default at the block that is called as the unknown, which a system then has as a memory.
        tolerance: the search ends where a step is at most this times 1 + the length of the unknown: a number, or a
            symbol that becomes a parameter; 1e-9 by default. Newton's steps end quadratically: the error is about its
            square.
        max_steps: the number of steps after which the search fails, 100 by default, 10000 with `method`.
        adjoint: the method of the linear solve of the derivative, as in `linear_solve`.
        method: what searches: Newton's method by default, or an algorithm whose parameters are numbers, as
            ``algorithm("nesterov_sc", mu=1, L=10)``. Its gradient is the equation, of one vector, which then has to
            be monotone in its unknown, with L the bound of its slope, but for parameters that all of its terms share;
            its state begins anew in each search. In single precision give a tolerance of about 1e-6.

    Returns:
        a vector or a scalar; of several unknowns a dictionary of them. What is linear in them is solved in closed
        form or by a `linear_solve`, and equations that do not need one another one after the other; the rest is an
        implicit function, whose derivative is the solution of a linear equation.

    Raises:
        WrongType: an equation of another kind than its unknown.
        OdescentError: an unknown that no equation has, or equations that are linear in the unknowns and singular.
    """
    several = isinstance(equations, Mapping)
    if several and unknown is not None:
        raise OdescentError(
            "root takes a mapping from unknowns to equations, or one equation and its unknown."
        )
    if not isinstance(unknown, Hashable):
        raise _no_unknown("root", unknown)
    given: dict[Any, Any] = dict(equations) if several else {unknown: equations}
    starts = start if isinstance(start, Mapping) else dict.fromkeys(given, start)
    how = search_options(tolerance, max_steps, method, "root")
    return _solved(given, None, starts, replace(how, adjoint=adjoint), "root", several)


@checked
def argmin(
    value: Any,
    unknown: Any,
    *,
    start: Any = None,
    tolerance: object = None,
    max_steps: object = None,
    adjoint: str = "cg",
    method: Any = None,
) -> Any:
    """The minimizer of a scalar over a block, as a function of the other symbols in it.

    It is the root of the gradient, ``argmin(g.value(x, y), y)`` of ``g.grad(x, y, wrt="y")``, at which the Hessian is
    positive definite: this is assumed, and a search that ends where it is not fails with the curvature.

    Args:
        value: a scalar expression.
        unknown: the block over which it is minimized.
        start, tolerance, max_steps, method: as for `root`.
        adjoint: the method of the linear solve of its derivative, conjugate gradients by default.

    Returns:
        a vector for a vector block, a scalar for a scalar one.

    Raises:
        WrongType: the value is no scalar, or the block no symbol.
        OdescentError: the value does not depend on the block, or is linear in it.
    """
    if isinstance(value, Vector):
        raise WrongType(f"argmin takes a scalar, not the vector {value}.")
    value = as_scalar(value)
    equation = gradient(value, unknown)
    how = replace(search_options(tolerance, max_steps, method, "argmin"), adjoint=adjoint)
    return _solved({unknown: equation}, value, {unknown: start}, how, "argmin", False)


def search_options(tolerance: Any, max_steps: Any, method: Any, what: str) -> Search:
    """How a search goes, from the options of what searches; None for those that are not given.

    Raises:
        OdescentError: a tolerance or a number of steps that is not positive, or a method that is no algorithm.
    """
    made: dict[str, Any] = {}
    if method is not None and not (isinstance(method, str) and method == "newton"):
        if not isinstance(step := getattr(method, "inner_method", None), InnerMethod):
            raise expected(
                f"method= of {what}",
                "an algorithm with numbers for its parameters, as od.algorithm('gradient_descent', step=0.1)",
                method,
            )
        made = {"method": step, "max_steps": MAX_STEPS_OF_A_METHOD}
    for name, number in {"tolerance": tolerance, "max_steps": max_steps}.items():
        if number is not None:
            exact = as_scalar(number)
            if exact.is_nonpositive or exact.is_real is False:
                raise OdescentError(f"{name} of {what} must be positive, not {number}.")
            made[name] = exact
    return Search(**made)


def _start(unknown: Any, given: Any, what: str) -> Any:
    """Where a search begins, an expression of the kind of its unknown; None where it is not said."""
    if given is None or (isinstance(given, Vector) and isinstance(unknown, VectorSymbol)):
        return given
    if isinstance(given, Vector) or isinstance(unknown, VectorSymbol):
        kind = "a vector" if isinstance(unknown, VectorSymbol) else "a scalar"
        raise expected(f"start= of {what} for {unknown}", f"{kind}, as {unknown} is", given)
    return as_scalar(given)


def _no_unknown(what: str, given: object) -> OdescentError:
    return expected(f"the unknown of {what}", "a block, as in y = od.blocks('y')", given)


def _solved(
    equations: Mapping[Any, Any],
    value: Any,
    starts: Mapping[Any, Any],
    search: Search,
    what: str,
    several: bool,
) -> Any:
    equations = {s: e if isinstance(e, Vector) else as_scalar(e) for s, e in equations.items()}
    for s, e in equations.items():
        if not isinstance(s, (VectorSymbol, sp.Symbol)):
            raise _no_unknown(what, s)
        if isinstance(s, VectorSymbol) and s.operates:
            raise WrongType(f"{what} solves for vectors and scalars, not for the matrix {s}.")
        if isinstance(s, Vector) != isinstance(e, Vector):
            kinds = ("a vector", "a scalar") if isinstance(s, Vector) else ("a scalar", "a vector")
            raise WrongType(
                f"the equation for {s} must be {kinds[0]}, as {s} is, not {kinds[1]}: {e}."
            )
        if not any(s in symbols_of(other) for other in equations.values()):
            raise OdescentError(
                f"no equation of {what} has {s}, so it does not determine {s}: {e}."
            )
    begin = tuple(_start(s, starts.get(s), what) for s in equations)
    search = replace(search, start=begin if any(s is not None for s in begin) else ())
    # the unknowns are bound in the solution: other symbols of their names may stand in its arguments
    opened = Opened(tuple(equations.values()), tuple(equations), value)
    found = solutions(opened, [s.name for s in equations], search)
    return dict(zip(equations, found, strict=True)) if several else found[0]
