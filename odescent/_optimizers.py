"""Optimizers by name: optax's own, and those that odescent derives and emits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._errors import OdescentError, unknown


@dataclass(frozen=True)
class Optimizer:
    """An optax transformation, and where its output stands.

    Attributes:
        transformation: init and update.
        output: (state, params) -> the point that the method puts out, which need not be the one at which it asks
            for gradients (triple momentum).
    """

    transformation: Any
    output: Callable[[Any, Any], Any] = lambda state, params: params


def optimizer(name: str, options: Mapping[str, Any], learning_rate: Any = None) -> Optimizer:
    """An optimizer by name: ``adam``, ``nesterov_sc``, or ``optax:NAME`` or ``odescent:NAME`` to say whose.

    Args:
        name: optax's comes first if both have it.
        options: the parameters by name; `key`, a whole number, for one that draws noise.
        learning_rate: a number or schedule; of an algorithm of odescent, its step, where that is free.

    Raises:
        OdescentError: no such optimizer, wrong or missing options, or one that optax cannot carry.
    """
    import odescent as od

    whose, _, short = name.rpartition(":")
    if whose not in ("", "optax", "odescent"):
        raise OdescentError(f"an optimizer is optax:NAME or odescent:NAME, not {name!r}.")
    theirs = _optax_names()
    if whose != "odescent" and short in theirs:
        return Optimizer(_of_optax(short, options, learning_rate))
    if whose == "optax":
        raise unknown("optimizer of optax", short, theirs)
    from .discretize.library import ALIASES, REGISTRY

    if short not in REGISTRY.entries and short not in ALIASES:
        raise unknown("optimizer", short, [*theirs, *od.algorithms()])
    accepted = inspect.signature(REGISTRY.function(ALIASES.get(short, short))).parameters
    algorithm = od.algorithm(short, **{k: v for k, v in options.items() if k in accepted})
    given = {k: v for k, v in options.items() if k not in accepted}
    if learning_rate is not None:
        step = str(algorithm.step)
        if step not in {str(s) for s in algorithm.parameters}:
            raise OdescentError(
                f"the step of {short} follows from its tuning: leave learning_rate out and give "
                f"{', '.join(str(s) for s in algorithm.parameters) or 'nothing'}."
            )
        given.setdefault(step, learning_rate)
    from .discretize.emit import load

    if algorithm.tuned.draws:
        given["key"] = _key(short, given.get("key"))
    made = algorithm.to_optax(**given)
    asked = [n for n, p in inspect.signature(made.update).parameters.items() if _is_needed(p)]
    if asked:
        raise OdescentError(
            f"{short} asks for {', '.join(asked)} at every step, and training has gradients alone: take another "
            "optimizer, or give one of your own as an object."
        )
    return Optimizer(made, getattr(load(algorithm, "optax"), "eval_params", Optimizer.output))


def _is_needed(parameter: inspect.Parameter) -> bool:
    """Whether an update cannot do without this argument, which has a name only."""
    return parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty


def _key(name: str, seed: Any) -> Any:
    """A JAX key as plain numbers, which a checkpoint can hold."""
    import jax

    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise OdescentError(
            f"{name} draws noise: give its option key, a whole number such as 0, not {seed!r}."
        )
    return jax.random.PRNGKey(seed)


def _optax_names() -> list[str]:
    """The functions of optax that make an optimizer from a learning rate."""
    import optax

    found = []
    for name in dir(optax):
        made = getattr(optax, name)
        if name.startswith(("_", "scale_")) or not inspect.isfunction(made) or name == "lbfgs":
            continue
        if next(iter(inspect.signature(made).parameters), "") == "learning_rate":
            found.append(name)
    return found


def _of_optax(name: str, options: Mapping[str, Any], learning_rate: Any) -> Any:
    import optax

    made = getattr(optax, name)
    accepted = inspect.signature(made).parameters
    for option in options:
        if option not in accepted:
            raise unknown(f"option of {name} called", option, accepted)
    if learning_rate is None:
        raise OdescentError(f"the optimizer {name} needs a learning rate: give learning_rate=.")
    return made(**{**options, "learning_rate": learning_rate})
