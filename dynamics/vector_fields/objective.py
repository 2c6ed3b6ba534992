"""Objectives: named oracles, symbolic on vectors and numeric on arrays, with class constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeAlias, overload

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice, expected
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ..algebra.direct_sums import point_of
from ..algebra.operators import jacobian
from ..algebra.oracles import Oracle, check_oracles, in_argument
from ..algebra.scalars import as_scalar, check_class, check_name, constant
from ..algebra.vectors import (
    Call,
    ScalarNode,
    Vector,
    _check_vectors,
    call,
    in_slot,
    zero,
)
from ..samples.sample import ROWS, samples_in
from .estimates import condition_of
from .own_functions import (
    Apart,
    GradientOf,
    along_all,
    arguments_of,
    check_real,
    current_function,
    function_name,
    refuse_torch,
)

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Float, PyTree


Slot: TypeAlias = "str | int | None"
Along: TypeAlias = "Sequence[Any]"
# particles whose own consensus points are made at a time, so that memory grows with N alone
_TOGETHER = 64


class Objective(Rendered):
    """A function to minimize, or an operator to find a zero of, through its oracles.

    Abstract (a name only) it takes part in symbolic work: ``f.grad(x)`` of a vector is an opaque
    call. With functions it is concrete: ``f.grad(x)`` of an array is an array of the same shape.

    A function of several arguments names them: ``f = Objective("f", args=("x", "y"))`` has ``f.value(x, y)`` and the
    partial gradients ``f.grad(x, y, wrt="y")``, with mixed and higher derivatives ``along`` directions.

    Programs compiled for an objective are kept, as by `jax.jit`: data that its functions read from outside are those of
    the first call. Other data need another objective.

    Args:
        name: an identifier, or a registry name with slashes. In ``Objective(fun)`` it is the name of the function,
            or "f" if the function has none.
        fun: JAX scalar function of one array or pytree.
        grad: its gradient, if better than automatic differentiation; of a function of several arguments a mapping
            of their names to functions of all of them.
        args: names of the arguments of a function of several.
        mu, L: constants of the class F(mu, L): strong convexity and smoothness; numbers or symbols.
        minimizer: the minimizer, or a function of no argument that computes it on first use.
        dimension: length of a flat argument.
        x0: a starting point, or a function of no argument that makes it.
        reference: its source (DOI or arXiv).
        oracles: further oracles by their kind, e.g. ``prox(x, step)``, ``operator(x)``, ``hess(x, u)``.

    Raises:
        OdescentError: mu or L that are not finite, mu < 0, L <= 0 or L < mu, or two functions.
    """

    _instead = "take what its oracles give, as f.value(x) or f.grad(x)"

    @checked
    def __init__(
        self,
        name: str | Callable[[Any], Any],
        fun: Callable[[Any], Any] | None = None,
        grad: Callable[..., Any] | Mapping[str, Callable[..., Any]] | None = None,
        *,
        args: Sequence[str] = (),
        mu: object = None,
        L: object = None,
        minimizer: Any = None,
        dimension: int | None = None,
        x0: Any = None,
        reference: str = "",
        **oracles: Callable[..., Any],
    ) -> None:
        if not isinstance(name, str):
            if fun is not None:
                raise OdescentError(
                    "an objective has one function: Objective(fun, grad=...), or Objective(name, fun)."
                )
            refuse_torch(name)
            fun = name
            name = function_name(fun)
        for part in name.split("/"):
            check_name(part)
        self.name = name
        self.fun = fun
        self.mu = None if mu is None else constant("mu", mu, least=0)
        self.L = None if L is None else constant("L", L, least=0, strict=True)
        check_class(self.mu, self.L)
        self.condition = condition_of(mu, L)  # of constants that were estimated
        self.dimension = dimension
        self.reference = reference
        self.args = check_arguments(args)
        check_oracles(
            oracles, ("fun", "args", "mu", "L", "minimizer", "dimension", "x0", "reference")
        )
        self.oracles: dict[str, Callable[..., Any]] = dict(oracles)
        if fun is not None:
            self.oracles.setdefault("value", Apart(fun))
        if self.args:
            self.oracles |= self._partial_gradients(grad or {})
        elif isinstance(grad, Mapping):
            raise OdescentError(
                "a gradient by argument is one of a function of several: give args=."
            )
        elif grad is not None:
            self.oracles["grad"] = grad
        elif fun is not None:
            self.oracles["grad"] = GradientOf(fun)
        self._minimizer, self._x0 = _owned(minimizer), _owned(x0)
        self._registered: tuple[str, dict[str, Any]] | None = None  # its name and options there

    def _partial_gradients(self, given: Any) -> dict[str, Callable[..., Any]]:
        if not isinstance(given, Mapping) or not {*given} <= {*self.args}:
            raise expected(
                f"grad of {self.name}", f"a mapping of {', '.join(self.args)} to functions", given
            )
        found = dict(given)
        if self.fun is not None:
            found = {n: found.get(n, GradientOf(self.fun, i)) for i, n in enumerate(self.args)}
        return {f"grad_{n}": partial for n, partial in found.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        """A registered objective is made anew where it is loaded; another one needs functions that have a name."""
        if self._registered is None:
            return _blank, (type(self),), self.__dict__
        plain = {n: getattr(self, n) for n in ("mu", "L", "dimension", "reference")}
        return _registered, self._registered, plain

    @property
    def differentiated(self) -> bool:
        """Whether it is a user's function with a gradient by automatic differentiation."""
        return self._registered is None and isinstance(self.oracles.get("grad"), GradientOf)

    def __repr__(self) -> str:
        constants = [f"{k}={v}" for k, v in (("mu", self.mu), ("L", self.L)) if v is not None]
        return f"Objective({', '.join([repr(self.name), *constants])})"

    @property
    def minimizer(self) -> Any:
        """The minimizer, computed on first use; None if unknown."""
        if callable(self._minimizer):
            self._minimizer = self._minimizer()
        return self._minimizer

    @property
    def x0(self) -> Any:
        """The default starting point; None if there is none."""
        return self._x0() if callable(self._x0) else self._x0

    @overload
    def grad(self, *x: Vector, wrt: Slot = None, along: Along = ()) -> Vector: ...
    @overload
    def grad(
        self, *x: PyTree[Float[ArrayLike, "..."]], wrt: Slot = None, along: Along = ()
    ) -> PyTree[Float[Array, "..."]]: ...
    def grad(self, *x: Any, wrt: Slot = None, along: Along = ()) -> Any:
        """The gradient at a vector (symbolic) or at an array (numeric, same shape), and its derivatives.

        Args:
            x: the point, by argument.
            wrt: the argument in which it is the gradient, by name or number (from 0), of a function of several.
            along: directions along which it is differentiated, one after the other; each a vector, or of a function of
                several a mapping of arguments to vectors.

        Raises:
            OdescentError: another number of arguments, no ``wrt`` where there are several, an argument or a direction
                in one that the function does not have.
        """
        self._check_count(x)
        slot = self._slot(wrt)
        if any(isinstance(p, Vector) for p in x):
            rates = [self._along(d) for d in along]
            return call(Oracle("grad", self.name, self.args, slot), self._point(*x), rates)
        found = self._numeric(in_argument("grad", slot))
        return along_all(found, x, [self._tangent(d, x) for d in along])

    def batch(self, x: Any, u: Any, size: Any = None) -> Any:
        """The gradient over rows of a `FiniteSum`, or outcomes of an `Expectation`, that u picks.

        Args:
            x: the point.
            u: a sample of the law ``rows``, or a number in [0, 1].
            size: how many, rounded up, where that is not the objective's own batch: a scalar, as a block that grows.
        """
        return self._of_rows("batch", x, u, size)

    def deviation(self, x: Any, u: Any, size: Any = None) -> Any:
        """The standard deviation of each entry of `batch`, estimated from what u picks.

        Of two rows or more its square is an unbiased estimate of the variance of the entry; of three outcomes or more
        the mean of the square is not below the variance. The arguments are those of `batch`.
        """
        return self._of_rows("deviation", x, u, size)

    def _of_rows(self, kind: str, x: Any, u: Any, size: Any) -> Any:
        scalars = (u,) if size is None else (u, size)
        if isinstance(x, Vector):
            given = tuple(map(as_scalar, scalars))
            if stray := [s for s in samples_in([given[0]]) if s != u or s.law_name != ROWS]:
                raise OdescentError(
                    f"{kind} of {self.name} takes a sample that picks rows, as od.sample('u', 'rows'), not {u} with "
                    f"{stray[0].name} of the law {stray[0].law_name}."
                )
            return call(Oracle(kind, self.name), self._point(x), (), given)
        return self._numeric(kind)(x, *scalars)

    def hessian(self, *x: Any, wrt: Slot | tuple[Slot, Slot] = None) -> Any:
        """The Hessian as an operator, at a vector; at an array, the matrix of a flat argument.

        Args:
            x: the point, by argument.
            wrt: of a function of several, the argument of the gradient, and the one in which it is differentiated
                where that is another: the block of these rows and columns.

        Raises:
            OdescentError: as of `grad`.
        """
        self._check_count(x)
        rows, columns = wrt if isinstance(wrt, tuple) else (wrt, wrt)
        row, column = self._slot(rows), self._slot(columns)
        if any(isinstance(p, Vector) for p in x):
            return jacobian(Oracle("grad", self.name, self.args, row), self._point(*x), (), column)
        import jax

        at = self.args.index(column) if column else 0
        return jax.jacfwd(self._numeric(in_argument("grad", row)), at)(*x)

    @overload
    def value(self, *x: Vector) -> sp.Expr: ...
    @overload
    def value(self, *x: PyTree[Float[ArrayLike, "..."]]) -> Float[Array, ""]: ...
    def value(self, *x: Any) -> Any:
        """The value at a vector (a symbolic scalar) or at an array, one for each argument."""
        if any(isinstance(p, Vector) for p in x):
            return ScalarNode("value", (self._point(*x),), Oracle("value", self.name, self.args))
        self._check_count(x)
        return self._numeric("value")(*x)

    __call__ = value

    def _check_count(self, x: tuple[Any, ...]) -> None:
        wanted = len(self.args) or 1
        if len(x) != wanted:
            names = f" ({', '.join(self.args)})" if self.args else ""
            raise OdescentError(
                f"{self.name} takes {quantity(wanted, 'argument')}{names}, not {len(x)}."
            )
        for p in x:
            parts = p if isinstance(p, (list, tuple)) else (p,)
            if p is None or any(isinstance(v, (str, bytes)) for v in parts):
                raise expected(f"the point of {self.name}", "an array or a pytree of arrays", p)

    def _point(self, *x: Any) -> Vector:
        self._check_count(x)
        _check_vectors(self.name, *x)
        return point_of(self.args, x)

    def _slot(self, wrt: Slot) -> str:
        if not self.args:
            if wrt not in (None, 0):
                raise OdescentError(f"{self.name} has one argument; leave out wrt={wrt!r}.")
            return ""
        if wrt is None:
            raise OdescentError(
                f"{self.name} has the arguments {', '.join(self.args)}: say in which the gradient is, as in "
                f"wrt={self.args[-1]!r}."
            )
        if isinstance(wrt, int) and not isinstance(wrt, bool) and 0 <= wrt < len(self.args):
            return self.args[wrt]
        return check_choice(f"argument of {self.name} called", str(wrt), self.args)

    def _along(self, direction: Any) -> Vector:
        """A direction as a vector in slots."""
        if not self.args:
            return direction  # type: ignore[no-any-return]
        if not isinstance(direction, Mapping):
            raise expected(
                f"a direction of {self.name}",
                f"a mapping of {' or '.join(self.args)} to a vector",
                direction,
            )
        parts = [in_slot(self._slot(s), v) for s, v in direction.items()]
        return sum(parts, zero)

    def _tangent(self, direction: Any, x: tuple[Any, ...]) -> tuple[Any, ...]:
        """A direction as arrays, one for each argument."""
        if not self.args:
            return (direction,)
        import jax
        import jax.numpy as jnp

        given = {self._slot(s): v for s, v in direction.items()}
        still = lambda a: jnp.zeros_like(jnp.asarray(a, float))
        return tuple(
            given[n] if n in given else jax.tree.map(still, p)
            for n, p in zip(self.args, x, strict=True)
        )

    def hess(self, x: Any, v: Any) -> Any:
        """The Hessian at x applied to v."""
        if self.args:
            raise OdescentError(
                f"{self.name} has the arguments {', '.join(self.args)}: write its second derivatives as "
                "grad(..., wrt=..., along=[{...: ...}])."
            )
        return self.grad(x, along=[v])

    def third(self, x: Vector, u: Vector, v: Vector) -> Vector:
        """The third derivative D^3 f(x)[u, v] (symbolic only).

        Args:
            x: the point.
            u: the first direction.
            v: the second direction.

        Returns:
            a vector, bilinear in u and v.
        """
        return self.grad(x, along=[u, v])

    def operator(self, x: Any) -> Any:
        """A (monotone) operator at x, for games and variational inequalities."""
        return self._field("operator", x)

    def ensemble(self, x: Any, alpha: Any, kappa: Any = None) -> Any:
        """The consensus point of the law of x, E[x e^(-alpha f)] / E[e^(-alpha f)].

        For an array of N particles this is the weighted mean; particles where f is not finite have weight zero.
        Without an oracle "ensemble" it is computed from the values of f.

        With ``kappa`` each particle has its own consensus point: the weight of a particle at y for one at x has the
        further factor exp(-|x - y|^2 / (2 kappa^2)) (Bungert, Roith and Wacker, doi:10.1007/s10107-024-02095-y). That
        is the consensus point of f(y) + |x - y|^2 / (2 alpha kappa^2).

        Args:
            x: a symbolic vector, or particles of shape (N, ...) or a pytree of such.
            alpha: the inverse temperature, in units of 1/f.
            kappa: the width of the neighbourhood, in units of x.

        Returns:
            a symbolic vector, or the point of shape (...); with ``kappa``, points of shape (N, ...).
        """
        given = (alpha,) if kappa is None else (alpha, kappa)
        if isinstance(x, Vector):
            exact = tuple(as_scalar(p) for p in given)
            return call(Oracle("ensemble", self.name), x, (), exact)
        return self._numeric("ensemble")(x, *given)

    def prox(self, x: Any, step: Any) -> Any:
        """argmin_u f(u) + |u - x|^2 / (2 step)."""
        if isinstance(x, Vector):
            return Vector.of(
                [(Call(Oracle("prox", self.name), x, (), (as_scalar(step),)), sp.S.One)]
            )
        return self._numeric("prox")(x, step)

    def _field(self, kind: str, x: Any) -> Any:
        """A vector field at a vector (symbolic) or at an array (numeric)."""
        if isinstance(x, Vector):
            return call(Oracle(kind, self.name), x)
        return self._numeric(kind)(x)

    def _numeric(self, kind: str) -> Callable[..., Any]:
        if kind == "ensemble" and kind not in self.oracles and "value" in self.oracles:
            return consensus_point(self.oracles["value"])
        if kind not in self.oracles:
            have = ", ".join(sorted(self.oracles)) or "none: it is abstract"
            raise OdescentError(
                f"the objective {self.name!r} has no numeric oracle {kind!r} (it has {have}); "
                "give fun=, or the oracle by name."
            )
        return self.oracles[kind]


def consensus_point(value: Callable[[Any], Any]) -> Callable[..., Any]:
    """The consensus point of particles x, leaves of shape (N, ...), for a JAX function of one of them.

    The exponents are those of the differences from the least value, so that neither alpha = 1e15 nor large values
    overflow; all weights on one particle is the limit. With a third argument kappa it gives one point for each
    particle; see `Objective.ensemble`.
    """

    def point(x: Any, alpha: Any, kappa: Any = None) -> Any:
        import jax
        import jax.numpy as jnp

        values = jnp.asarray(jax.vmap(value)(x))
        finite = jnp.isfinite(values)
        least = jnp.min(jnp.where(finite, values, jnp.inf))
        gap = jnp.where(finite, values - least, 0)
        exponent = jnp.where(finite, -jnp.asarray(alpha, values.dtype) * gap, -jnp.inf)

        def mean(weight: Any, leaf: Any) -> Any:
            shape = weight.shape + (1,) * (leaf.ndim - 1)
            seen = jnp.where(finite.reshape(shape), leaf, 0)
            return jnp.sum(weight.astype(leaf.dtype).reshape(shape) * seen, axis=0)

        def around(own: Any) -> Any:
            away = jax.tree.map(
                lambda a, b: jnp.sum(((a[None] - b) ** 2).reshape(b.shape[0], -1), axis=1), own, x
            )
            square = jax.tree.reduce(jnp.add, away).astype(values.dtype)
            near = square / (2 * jnp.asarray(kappa, values.dtype) ** 2)
            weight = jax.nn.softmax(jnp.where(finite, exponent - near, -jnp.inf))
            return jax.tree.map(lambda leaf: mean(weight, leaf), x)

        if kappa is not None:
            return jax.lax.map(around, x, batch_size=_TOGETHER)
        weight = jnp.exp(exponent)
        weight = weight / jnp.sum(weight)
        return jax.tree.map(lambda leaf: mean(weight, leaf), x)

    return point


def check_arguments(args: Any) -> tuple[str, ...]:
    """Names of several arguments, or none; OdescentError for one alone, or a name given twice."""
    if isinstance(args, str):
        args = args.replace(",", " ").split()
    names = tuple(check_name(n) for n in args)
    if len(names) == 1 or len(set(names)) < len(names):
        raise OdescentError(
            f"args names several arguments, each once, not {', '.join(names)}; leave it out for a function of one."
        )
    return names


def _owned(value: Any) -> Any:
    """A copy of what may be changed in place later."""
    changes = isinstance(value, list | dict) or hasattr(value, "__array_interface__")
    return deepcopy(value) if changes else value


def wrapped(fun: Callable[[Any], Any], x: Any) -> Objective:
    """The objective of a JAX function, the same one as long as the function computes the same, as `current` tells.

    Args:
        fun: a JAX function of one array or pytree to a number.
        x: a point, which says of what shape and type.

    Raises:
        OdescentError: the function takes another number of arguments, is not one of JAX, or returns no real number.
    """
    refuse_torch(fun)
    known, name, at = current_function(fun), function_name(fun), arguments_of(x)
    if at not in known.checked:
        check_real(known, name, at)
        known.checked.add(at)
    if known.objective is None:  # what is compiled for an objective is found by it
        known.objective = Objective(name, known)
    made: Objective = known.objective
    return made


def _blank(kind: type[Objective]) -> Objective:
    return kind.__new__(kind)


def _registered(name: str, options: dict[str, Any]) -> Objective:
    from ..problems import objective

    return objective(name, **options)
