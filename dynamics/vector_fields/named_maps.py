"""Named maps as objects that people hold: called on vectors, and on arrays without a function being given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import NotCarried, OdescentError
from ..algebra.oracles import Oracle
from ..algebra.vectors import Vector, call
from ..maps import form_of
from ..maps.form import MapForm
from .maps import Map
from .objective import Slot


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
