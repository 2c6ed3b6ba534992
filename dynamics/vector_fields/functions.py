"""Numbers for the oracles of a system: each from the objective or map of its name, or derived from its others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

from ..._support.errors import OdescentError, expected, listed, unknown
from ..algebra.oracles import KINDS, Oracle
from .maps import Map
from .objective import Objective, consensus_point
from .own_functions import current

Functions: TypeAlias = "Objective | Mapping[str, Any]"  # one, or several by name


class Assembled(Objective):
    """Several functions as one objective, with an oracle for each by kind and name.

    Attributes:
        functions: their names.
        sole: by kind, the oracle of the only function that is asked for one of it, which a step calls by the kind.
    """

    functions: tuple[str, ...] = ()
    sole: Mapping[str, str] = MappingProxyType({})


def together(oracles: tuple[Oracle, ...], given: object, who: str = "the system") -> Objective:
    """One objective that has all oracles that are called, each from the function of its name.

    Args:
        oracles: those of a system.
        given: an objective, or a mapping of names, as the system has them, to objectives, maps or JAX functions.
        who: the system or algorithm, for messages.

    Returns:
        the objective itself where it is one of one argument.

    Raises:
        OdescentError: a function that is called and not given, or the other way round, other arguments than those in
            which it is called, or what is no function.
    """
    called = {o.of: o for o in oracles}
    if isinstance(given, Objective):
        if isinstance(given, Assembled) or not (given.args or any(o.args for o in oracles)):
            return given
        if len(called) != 1:
            raise OdescentError(
                f"{who} calls {listed(sorted(called))}: give each of them by its name, as in "
                f"{{{', '.join(f'{n!r}: ...' for n in sorted(called))}}}."
            )
        given = {next(iter(called)): given}
    elif callable(given) and len(called) == 1:
        given = {next(iter(called)): given}
    if not isinstance(given, Mapping):
        raise expected("the objective", "an objective, or a mapping of names to objectives", given)
    functions = {}
    for name, f in given.items():
        if name not in called:
            raise unknown(f"function that {who} calls", name, called)
        functions[name] = _function(name, f, called[name])
    if missing := [n for n in called if n not in functions]:
        too = " too" if functions else ""
        raise OdescentError(f"{who} calls {listed(sorted(missing))}{too}: give it, by its name.")
    return _together(oracles, tuple(sorted(functions.items())), who)


def _function(name: str, f: Any, oracle: Oracle) -> Objective:
    map_ = oracle.kind in {"map", "vjp"}
    if not isinstance(f, Objective):
        if not callable(f):
            raise expected(f"the function {name}", "an objective, a map or a JAX function", f)
        f = _plain(current(f), map_, oracle.args)
    if len(f.args) != len(oracle.args):
        own = f"the arguments {', '.join(oracle.args)}" if oracle.args else "one argument"
        raise OdescentError(f"{name} is called with {own}, but {f!r} has {len(f.args) or 'one'}.")
    made: Objective = f
    return made


@lru_cache(maxsize=64)
def _plain(fun: Callable[..., Any], map_: bool, args: tuple[str, ...]) -> Objective:
    """A plain function; the same one each time, so that what was compiled for it serves again."""
    return Map("c", fun, args=args) if map_ else Objective("f", fun, args=args)


@lru_cache(maxsize=64)
def _together(
    oracles: tuple[Oracle, ...], functions: tuple[tuple[str, Objective], ...], who: str
) -> Objective:
    named = dict(functions)
    made = Assembled("_and_".join(named)[:60].strip("_") or "f")
    made.functions = tuple(named)
    plain = [f for f in named.values() if not f.args and not isinstance(f, Map)]
    if len(plain) == 1:
        made.mu, made.L, made.condition = plain[0].mu, plain[0].L, plain[0].condition
        made._minimizer, made._x0 = plain[0]._minimizer, plain[0]._x0
        made.fun = plain[0].fun
    for name, f in named.items():
        own = {o.kind for o in oracles if o.of == name}
        for kind, function in f.oracles.items():
            head, _, slot = kind.partition("_")
            if slot in f.args and f.args:  # by the caller's names of the arguments
                args = next(o.args for o in oracles if o.of == name)
                made.oracles[f"{head}_{name}_{args[f.args.index(slot)]}"] = function
                for i, along in enumerate(args):
                    product = KINDS[head].product if head in KINDS else ""
                    called = f"{product}_{name}_{args[f.args.index(slot)]}_{along}"
                    made.oracles[called] = _product_in(function, i, len(args))
            else:
                made.oracles[f"{kind}_{name}"] = function
                alone = [g for g in named.values() if kind in g.oracles]
                if len(alone) == 1 and not f.args and (kind in own or kind == "value"):
                    made.oracles[kind] = function
    asked = Counter(o.kind for o in oracles)
    made.sole = {o.kind: f"{o.kind}_{o.of}" for o in oracles if asked[o.kind] == 1 and not o.args}
    return made


def oracle_of(who: str, objective: Objective, name: str) -> Callable[..., Any]:
    """The function for one oracle by its name: the objective's own, or one derived from its other oracles.

    Args:
        who: the algorithm or system, for messages.
        objective: supplies the oracles.
        name: the kind, or kind and function, as "grad", "grad_f", "hvp_f", "grad_f_y".

    Raises:
        OdescentError: the objective neither has the oracle nor determines it.
    """
    kind, _, of = name.partition("_")
    for candidate in (name, kind, getattr(objective, "sole", {}).get(name)):
        if candidate in objective.oracles:
            return objective.oracles[candidate]
    if kind == "vjp" and (base := _own(objective, "map", of)) is not None:
        return Map("c", base).oracles["vjp"]
    if (derived := _component(objective, kind, of)) is not None:
        return derived
    if kind == "ensemble" and (value := _own(objective, "value", of)) is not None:
        return consensus_point(value)
    if kind == "hvp" and (hess := _own(objective, "hess", of)) is not None:
        return hess
    for base_kind in (k for k, form in KINDS.items() if kind == form.product):
        field = _own(objective, base_kind, of)
        if field is None and base_kind == "vjp" and _own(objective, "map", of) is not None:
            field = oracle_of(who, objective, f"vjp_{of}")
        if field is not None:
            return _product_of_batch(field) if base_kind == "batch" else _product(field)
    have = ", ".join(sorted(objective.oracles)) or "none: it is abstract"
    raise OdescentError(
        f"{who} calls the oracle {name!r}, which the objective {objective.name!r} does not have "
        f"(it has {have}); give it by name, as in Objective(..., {kind}=...)."
    )


def _product(field: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of a field along a direction, the last argument; others stay as they are."""
    import jax

    return lambda x, *more: jax.jvp(lambda z: field(z, *more[:-1]), (x,), (more[-1],))[1]


def _product_of_batch(field: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of an estimate along a direction, which comes before what picks the rows."""
    import jax

    return lambda x, along, *picked: jax.jvp(lambda z: field(z, *picked), (x,), (along,))[1]


def _product_in(field: Callable[..., Any], i: int, count: int) -> Callable[..., Any]:
    """The derivative of a function of several arguments in one of them, along a direction, which comes after them."""
    import jax

    def product(*given: Any) -> Any:
        at, (along, *more) = given[:count], given[count:]
        moved = lambda v: field(*at[:i], v, *at[i + 1 :], *more)
        return jax.jvp(moved, (at[i],), (along,))[1]

    return product


def _own(objective: Objective, kind: str, of: str) -> Callable[..., Any] | None:
    return objective.oracles.get(f"{kind}_{of}", objective.oracles.get(kind))


def _component(objective: Objective, kind: str, of: str) -> Callable[..., Any] | None:
    """Components of whole oracles: partial derivatives, operators' components, the Hessian's diagonal.

    A partial derivative costs as much as a value here; an oracle "partial" of the objective can cost less.
    """
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    if kind == "partial" and (value := _own(objective, "value", of)) is not None:

        def partial(x: Any, i: Any) -> Any:
            flat, shaped = ravel_pytree(x)
            along = jnp.zeros_like(flat).at[i].set(1)
            return jax.jvp(lambda z: value(shaped(z)), (flat,), (along,))[1]

        return partial
    whole = next((k for k, form in KINDS.items() if kind == form.component), "")
    if (field := _own(objective, whole, of)) is not None:
        return lambda x, i: ravel_pytree(field(x))[0][i]
    if (kind, of) == ("map", "hessian_diagonal") and "grad" in objective.oracles:
        grad = objective.oracles["grad"]

        def diagonal(x: Any) -> Any:
            flat, shaped = ravel_pytree(x)
            slope = lambda z: ravel_pytree(grad(shaped(z)))[0]
            entry = lambda e: jax.jvp(slope, (flat,), (e,))[1] @ e
            return shaped(jax.lax.map(entry, jnp.eye(flat.size, dtype=flat.dtype)))

        return diagonal
    return None
