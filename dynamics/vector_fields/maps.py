"""Maps between vector spaces: opaque in symbols, with the adjoint of their derivative, and the maps of the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import NotCarried, OdescentError, expected
from ..algebra.operators import jacobian
from ..algebra.oracles import Oracle, in_argument
from ..algebra.scalars import as_scalar
from ..algebra.vectors import COVECTOR, Vector, call, in_slot
from ..maps import form_of
from ..maps.form import MapForm
from .objective import Objective, Slot
from .own_functions import along_all


class Map(Objective):
    """A map c of vectors, such as a constraint, an observation or a mirror map.

    ``c(x)`` is its value, ``c.jvp(x, u)`` the derivative along u, and ``c.vjp(x, lam)`` the adjoint of the derivative
    applied to lam: <lam, c.jvp(x, u)> and <c.vjp(x, lam), u> are equal. Abstract (a name only) it takes part in
    symbolic work; with a function it is concrete, on arrays or pytrees.

    Args:
        name: an identifier.
        fun: a JAX function of one array or pytree, or of all of ``args``, and of scalar parameters after them.
        args: names of the arguments of a map of several.
        vjp: ``vjp(x, lam)``, if better than automatic differentiation; of a map of several arguments a mapping of
            some of their names to functions of all of them and lam.
        dimension: length of a flat argument.
        reference: where it comes from (DOI or arXiv).

    Raises:
        OdescentError: a bad name, a function ``vjp`` where the argument it belongs to is not said, or an argument
            that the map does not have.
    """

    @checked
    def __init__(
        self,
        name: str | Callable[..., Any],
        fun: Callable[..., Any] | None = None,
        *,
        args: Sequence[str] = (),
        vjp: Callable[..., Any] | Mapping[str, Callable[..., Any]] | None = None,
        dimension: int | None = None,
        reference: str = "",
    ) -> None:
        super().__init__(name, args=args, dimension=dimension, reference=reference)
        if fun is None and callable(name):
            fun, self.fun = self.fun, None
            self.oracles.clear()
        if fun is not None:
            self.oracles["map"] = fun
            if vjp is None or isinstance(vjp, Mapping):
                own = {self._slot(slot): function for slot, function in (vjp or {}).items()}
            elif self.args:
                raise expected("vjp of a map of several arguments", "a mapping of their names", vjp)
            else:
                own = {"": vjp}
            for i, slot in enumerate(self.args or ("",)):
                self.oracles[in_argument("vjp", slot)] = own.get(slot) or _Adjoint(fun, i)

    def __repr__(self) -> str:
        return f"Map({self.name!r})"

    def __call__(self, *x: Any) -> Any:
        """The value at vectors (a vector) or at arrays; scalar parameters follow the arguments."""
        n = len(self.args) or 1
        if any(isinstance(p, Vector) for p in x):
            exact = tuple(as_scalar(p) for p in x[n:])
            return call(Oracle("map", self.name, self.args), self._point(*x[:n]), (), exact)
        return self._numeric("map")(*x)

    def jvp(self, *x: Any, along: Any = None, wrt: Slot = None) -> Any:
        """The derivative along a direction: ``c.jvp(x, u)``.

        Args:
            x: the point, and after it the direction, or the direction as ``along``.
            along: the direction; of a map of several arguments a mapping of their names to vectors.
            wrt: the argument in which a plain direction lies, of a map of several.

        Returns:
            a vector, or an array of the shape of the map's value.
        """
        point, u = (x[:-1], x[-1]) if along is None else (x, along)
        if self.args and wrt is not None:
            u = {self._slot(wrt): u}
        if any(isinstance(p, Vector) for p in point):
            return call(Oracle("map", self.name, self.args), self._point(*point), [self._along(u)])
        self._check_count(point)
        return along_all(self._numeric("map"), point, [self._tangent(u, point)])

    def vjp(self, *x: Any, wrt: Slot = None) -> Any:
        """The adjoint of the derivative: ``c.vjp(x, lam)``, in the space of x.

        Args:
            x: the point, and after it lam, in the space of the map's values.
            wrt: the argument in which the derivative is, of a map of several.

        Returns:
            a vector, or an array of the shape of that argument.
        """
        *point, lam = x
        slot = self._slot(wrt)
        if any(isinstance(p, Vector) for p in point):
            oracle = Oracle("vjp", self.name, self.args, slot)
            return call(oracle, self._point(*point), [in_slot(COVECTOR, lam)])
        self._check_count(tuple(point))
        return self._numeric(in_argument("vjp", slot))(*point, lam)

    def jacobian(self, *x: Any, wrt: Slot = None) -> Any:
        """The derivative as an operator, at a vector; at an array, the matrix of a flat argument.

        Args:
            x: the point, by argument.
            wrt: the argument in which it is differentiated, of a map of several.
        """
        slot = self._slot(wrt)
        if any(isinstance(p, Vector) for p in x):
            return jacobian(Oracle("map", self.name, self.args), self._point(*x), (), slot)
        import jax

        self._check_count(x)
        return jax.jacfwd(self._numeric("map"), self.args.index(slot) if slot else 0)(*x)


class _Adjoint:
    """The adjoint of the derivative of a function in one of its arguments, by automatic differentiation."""

    def __init__(self, fun: Callable[..., Any], argument: int) -> None:
        self.fun, self.argument = fun, argument

    def __call__(self, *x: Any) -> Any:
        import jax

        *point, lam = x
        i = self.argument
        own = lambda p: self.fun(*point[:i], p, *point[i + 1 :])
        value, adjoint = jax.vjp(own, point[i])
        shapes = [[jax.numpy.shape(leaf) for leaf in jax.tree.leaves(v)] for v in (value, lam)]
        if shapes[0] != shapes[1]:
            one, other = (" and ".join(map(str, s)) for s in shapes)
            raise ValueError(
                f"a map's value has the shape {one}, and what its adjoint acts on {other}"
            )
        (found,) = adjoint(lam)
        return found


class NamedMap(Map):
    """A map of the registry with values of its arguments; see `named_map`.

    Attributes:
        form: what is known of it: its potential, where it is differentiable, its dissipation, its source.
        scalars: the values of its arguments, numbers or expressions in parameters.
    """

    def __init__(self, form: MapForm, scalars: Sequence[Any]) -> None:
        super().__init__(form.name, self._at)
        self.form, self.scalars = form, tuple(scalars)
        self.reference = form.reference

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.name, dict(zip(self.form.arguments, self.scalars, strict=True)))

    def __repr__(self) -> str:
        given = zip(self.form.arguments, self.scalars, strict=True)
        return f"named_map({', '.join([repr(self.name), *(f'{n}={v}' for n, v in given)])})"

    def _at(self, x: Any) -> Any:
        for name, value in zip(self.form.arguments, self.scalars, strict=True):
            if not value.is_number:
                raise OdescentError(
                    f"the map {self.name} has no number for {name}, which is {value}: "
                    f"named_map({self.name!r}, {name}=...)."
                )
        return self.form.at(x, *map(float, self.scalars))

    def _called(self, x: Vector, directions: Sequence[Vector]) -> Vector:
        return call(Oracle("named", self.name), self._point(x), directions, self.scalars)

    def __call__(self, *x: Any) -> Any:
        """The value at a vector, or at an array of NumPy, JAX or PyTorch."""
        self._check_count(x)
        return self._called(x[0], ()) if isinstance(x[0], Vector) else self._at(_array(x[0]))

    def jvp(self, *x: Any, along: Any = None, wrt: Slot = None) -> Any:
        """The derivative along a direction, ``m.jvp(x, u)``; where there is none, one of the generalized derivative.

        Args:
            x: the point, and after it the direction, or the direction as ``along``.
            along: the direction.
            wrt: nothing: a named map has one argument.

        Returns:
            a vector, or an array of the shape of x.
        """
        point, u = (x[:-1], x[-1]) if along is None else (x, along)
        self._check_count(point)
        if isinstance(point[0], Vector):
            return self._called(point[0], [self._along(u)])
        return super().jvp(*point, along=u, wrt=wrt)

    def vjp(self, *x: Any, wrt: Slot = None) -> Any:
        """The adjoint of the derivative, which is symmetric: ``m.vjp(x, lam)`` is ``m.jvp(x, lam)``."""
        return self.jvp(*x, wrt=wrt)

    def written(self, x: Vector) -> Vector:
        """The map in the calculus, where it can be written there; NotCarried elsewhere."""
        if self.form.written is None:
            raise NotCarried(f"the calculus cannot write the map {self.name}; call it instead.")
        return self.form.written(x, *self.scalars)

    def inverse(self, x: Vector) -> Vector:
        """The inverse in the calculus, of a mirror map; NotCarried for another one."""
        if self.form.inverse is None:
            raise NotCarried(f"the map {self.name} has no inverse in the calculus.")
        return self.form.inverse(x, *self.scalars)


def _array(x: Any) -> Any:
    """Numbers and lists as NumPy arrays; arrays and pytrees as they are."""
    if isinstance(x, (int, float, list)):
        import numpy as np

        try:
            return np.asarray(x, float)
        except (TypeError, ValueError):
            return x  # a pytree
    return x


@checked
def named_map(name: str, **arguments: Any) -> NamedMap:
    """A map of the registry by name: a projection, clipping, the duality map of a norm, a mirror map.

    ``m = named_map("ball", r=2)`` is called on vectors in fields, ``m(x)``, and on arrays; runs and emitted code need
    no function for it. Each is the gradient of a convex function, so that its derivative is symmetric.

    Args:
        name: of the map; `named_maps` lists them.
        arguments: its scalar arguments by name, numbers or parameters; those left out have their defaults.

    Returns:
        the map, with ``m.form``: its potential, where it is differentiable, its dissipation, its source.

    Raises:
        OdescentError: an unknown name or argument, one that is missing, or a number that is out of bounds.
    """
    return _made(name, arguments)


def _made(name: str, arguments: dict[str, Any]) -> NamedMap:
    form = form_of(name)
    return NamedMap(form, form.given(arguments))
