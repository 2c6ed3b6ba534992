"""The form of a named map: one function of the array standard, and what is known of it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, unknown
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ..algebra.oracles import NEAR_ZERO
from ..algebra.scalars import as_scalar
from ..algebra.vectors import Vector

LEAF, WHOLE = "leaf by leaf", "all together"
SOLID, THIN, LATTICE = "solid", "thin", "lattice"


@dataclass(frozen=True)
class ScalarArgument:
    """A scalar argument of a map after the point: its default, a bound such as "> 0", whether it is a whole number."""

    default: object = None
    bound: str = ""
    whole: bool = False

    def checked(self, name: str, who: str, value: object) -> sp.Expr:
        """The value as an exact scalar; OdescentError for a number that is out of bounds."""
        try:
            number = as_scalar(value)
        except TypeError:
            raise OdescentError(
                f"{name} of the map {who} must be a scalar, not {short(value)}."
            ) from None
        if not number.is_number:
            return number
        relation, _, least = self.bound.partition(" ")
        inside = {"": True, ">": number > int(least or 0), ">=": number >= int(least or 0)}
        if (
            not number.is_finite
            or not number.is_real
            or not inside[relation]
            or (self.whole and not number.is_integer)
        ):
            wanted = f"a {'whole' if self.whole else 'finite'} number {self.bound}".strip()
            raise OdescentError(f"{name} of the map {who} must be {wanted}, not {short(value)}.")
        return number


@dataclass(frozen=True)
class MapForm(Rendered):
    """A named map m: the gradient of a convex function, so that its derivative is symmetric and positive semidefinite.

    The function is written once, ``fun(xp, x, *scalars)``, in what NumPy, `jax.numpy` and PyTorch have in common, and
    may call others of its file that take ``xp`` first; emitted modules contain its text.

    Attributes:
        fun: the function.
        potential: the convex function of which it is the gradient, as LaTeX in x and the arguments.
        arguments: its scalar arguments by name.
        over: whether it acts on a pytree leaf by leaf or on all entries together.
        smooth: where it is differentiable, in words; elsewhere ``jvp`` is one element of the generalized derivative.
        dissipation: what <x, m(x)> is or is at least, as LaTeX, where that is never negative; empty where it can be.
        where_dissipative: of the arguments, whether the statement holds for these; for all by default.
        degree: m(c x) = c^degree m(x) for c > 0; None where it is not homogeneous.
        smooth_at_zero: whether it is differentiable near zero where it is not so everywhere.
        onto: what its values are, if m(m(x)) = m(x): "solid", a set with interior, whose points it leaves in place,
            "thin", one without, or "lattice", isolated points.
        jvp: its derivative ``jvp(xp, x, u, *scalars)`` where automatic differentiation of ``fun`` has removable
            singularities.
        written: the map in the calculus, where it can write it.
        inverse: the inverse in the calculus, on the values that the map takes.
        reference: its source, a key of `citations.bib`.
    """

    fun: Callable[..., Any]
    potential: str
    arguments: Mapping[str, ScalarArgument] = field(default_factory=dict)
    over: str = LEAF
    smooth: str = "everywhere"
    dissipation: str = ""
    where_dissipative: Callable[..., bool] | None = None
    degree: int | None = None
    smooth_at_zero: bool = False
    onto: str = ""
    jvp: Callable[..., Any] | None = None
    written: Callable[..., Vector] | None = None
    inverse: Callable[..., Vector] | None = None
    reference: str = ""

    _shows = ("fields",)

    def __post_init__(self) -> None:
        NEAR_ZERO[self.name] = (self.smooth_at_zero or self.smooth == "everywhere", self.degree)

    def __call__(self, xp: Any, x: Any, *scalars: Any) -> Any:
        return self.fun(xp, x, *scalars)

    @property
    def name(self) -> str:
        return self.fun.__name__

    @property
    def call(self) -> str:
        """The map at x with its arguments, as text."""
        return (
            f"{self.name}({'; '.join(['x', *[', '.join(self.arguments)] * bool(self.arguments)])})"
        )

    @property
    def summary(self) -> str:
        """What it is, in one sentence."""
        return (self.fun.__doc__ or "").split("\n\n")[0].strip()

    def given(self, values: Mapping[str, object]) -> tuple[sp.Expr, ...]:
        """Its arguments in their order, from values by name and the defaults.

        Raises OdescentError for one that it does not have, one that is missing, or a number that is out of bounds.
        """
        for name in values:
            if name not in self.arguments:
                raise unknown(f"argument of the map {self.name} called", name, self.arguments)
        given = {n: values.get(n, a.default) for n, a in self.arguments.items()}
        if missing := [n for n, value in given.items() if value is None]:
            raise OdescentError(
                f"the map {self.name} needs {missing[0]}: named_map({self.name!r}, {missing[0]}=...)."
            )
        return tuple(self.arguments[n].checked(n, self.name, v) for n, v in given.items())

    def dissipates(self, scalars: tuple[sp.Expr, ...]) -> bool:
        """Whether <x, m(x)> >= 0 for all x, for these arguments."""
        if not self.dissipation:
            return False
        return self.where_dissipative is None or self.where_dissipative(*scalars)

    def at(self, x: Any, *scalars: Any) -> Any:
        """The map at an array of NumPy, JAX or PyTorch, or a pytree of JAX.

        Args:
            x: the point.
            scalars: all its arguments, as numbers.

        Returns:
            what x is: an array of its shape and type, or a pytree.
        """
        if (xp := _library(x)) is not None:
            return self.fun(xp, x, *scalars)
        import jax
        from jax.flatten_util import ravel_pytree

        if self.over == LEAF:
            return jax.tree.map(lambda leaf: self._traced(leaf, *scalars), x)
        flat, shaped = ravel_pytree(x)
        return shaped(self._traced(flat, *scalars))

    def _traced(self, x: Any, *scalars: Any) -> Any:
        """The map in JAX, with its own derivative where it has one."""
        import jax
        import jax.numpy as jnp

        x = jnp.asarray(x)
        if self.jvp is None:
            return self.fun(jnp, x, *scalars)
        own, rate = jax.custom_jvp(lambda p: self.fun(jnp, p, *scalars)), self.jvp

        @own.defjvp
        def _(at: Any, along: Any) -> Any:
            (p,), (u,) = at, along
            return own(p), rate(jnp, p, u, *scalars)

        return own(x)

    def source(self, library: str) -> dict[str, str]:
        """The function and those that it calls, for a module of a library.

        Args:
            library: what the module calls the library, as "np".

        Returns:
            their texts by name in the module, each after those that it calls.
        """
        return dict(_texts(self.fun, library))


@lru_cache(maxsize=256)
def _texts(function: Callable[..., Any], library: str) -> tuple[tuple[str, str], ...]:
    text = inspect.getsource(function)
    (tree,) = ast.parse(text).body
    assert isinstance(tree, ast.FunctionDef)
    text = "\n".join(text.rstrip("\n").split("\n")[tree.lineno - 1 :])  # without decorators
    called = [
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and _passes_on(n)
    ]
    found: dict[str, str] = {}
    for name in dict.fromkeys(called):
        other = inspect.unwrap(function).__globals__[name]
        found |= dict(_texts(getattr(other, "fun", other), library))
        text = re.sub(rf"\b{name}\(xp, ", f"_{name}(", text)
    text = text.replace(f"def {tree.name}(xp: Any, ", f"def _{tree.name}(", 1)
    found[f"_{tree.name}"] = re.sub(r"\bxp\.", f"{library}.", text)
    return tuple(found.items())


def _passes_on(call: ast.Call) -> bool:
    """Whether a call is given the library, and so is one of a function of the file."""
    return bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == "xp"


def _library(x: Any) -> Any:
    """NumPy for what is its own, PyTorch for its tensors; None for what is of JAX, pytrees among it."""
    kind = type(x)
    if kind.__module__ == "numpy":
        import numpy as np

        return np
    if any(f"{c.__module__}.{c.__name__}" == "torch.Tensor" for c in kind.__mro__):
        import torch

        return torch
    return None


def named(**known: Any) -> Callable[[Callable[..., Any]], MapForm]:
    """A decorator that makes a `MapForm` of its function; see there for what is known."""
    return lambda fun: MapForm(fun, **known)
