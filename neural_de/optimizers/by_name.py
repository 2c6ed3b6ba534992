"""Optimizers by name: optax's own, those that odescent derives and emits, and least squares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..._support.errors import OdescentError, check_choice, unknown
from ..._support.registry import Registry
from ..._support.rendering.rendered import Rendered

LEAST_SQUARES: Registry[Any] = Registry(
    "optimizer", __package__, {"levenberg_marquardt": "least_squares:levenberg_marquardt"}
)


@dataclass(frozen=True)
class Offered:
    """What an update may need besides the gradient, all of one batch: optax's and our own extra arguments.

    Attributes:
        value, grad: the loss and its gradient at the parameters.
        value_fn: from parameters to the loss, not finite where a solve fails.
        linearized_fn: of nothing; the residuals at the parameters, (m,), whose squares add up to the loss, and their
            Jacobian, (m, p), with a column per entry of the raveled parameters.
    """

    value: Any
    grad: Any
    value_fn: Callable[[Any], Any]
    linearized_fn: Callable[[], tuple[Any, Any]]

    def arguments(self) -> dict[str, Any]:
        """By name; only requested quantities are computed."""
        import jax

        def value(
            params: Any, grad_fn: Any = None, operator_fn: Any = None, linearized_fn: Any = None
        ) -> Any:
            return self.value_fn(params)  # optax hands its line searches' functions all arguments

        elsewhere = jax.grad(self.value_fn)
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**named, "value_fn": value, **dict.fromkeys(GRADIENTS, elsewhere)}


GRADIENTS = ("grad_fn", "operator_fn")  # at other parameters, as emitted algorithms call it
OFFERED = frozenset({*(f.name for f in fields(Offered)), *GRADIENTS})


@dataclass(frozen=True)
class Optimizer(Rendered):
    """An optax transformation, and where its output stands.

    Attributes:
        transformation: init and update.
        output: (state, params) -> the point that the method puts out, which need not be the one at which it asks
            for gradients (triple momentum).
    """

    transformation: Any
    output: Callable[[Any, Any], Any] = lambda state, params: params

    def asks_for(self, name: str) -> bool:
        """Whether its update has an argument of this name; inside of another transformation it is not seen."""
        return name in inspect.signature(self.transformation.update).parameters

    def update(self, gradient: Any, state: Any, params: Any, offered: Offered) -> Any:
        """One step.

        Args:
            gradient, params: pytrees of one structure.
            state: of the transformation.
            offered: the additional arguments it may use.

        Returns:
            The change of the parameters, and the state after it.
        """
        import optax

        asks = isinstance(self.transformation, optax.GradientTransformationExtraArgs)
        more = offered.arguments() if asks else {}
        return self.transformation.update(gradient, state, params, **more)


def optimizer(name: str, options: Mapping[str, Any], learning_rate: Any = None) -> Optimizer:
    """An optimizer by name: ``adam``, ``nesterov_sc``, or ``optax:NAME`` or ``odescent:NAME`` to say whose.

    ``levenberg_marquardt`` is for losses that are sums of squares; its learning rate is the share of its steps.

    Args:
        name: optax's comes first if both have it.
        options: the parameters by name; `key`, a whole number, for one that draws noise.
        learning_rate: a number or schedule; of an algorithm of odescent, its step, where that is free.

    Returns:
        The transformation, and where its output stands.

    Raises:
        OdescentError: no such optimizer, wrong or missing options, or one that optax cannot carry.
    """
    import odescent as od

    whose, _, short = name.rpartition(":")
    if whose not in ("", "optax", "odescent"):
        raise OdescentError(f"an optimizer must be optax:NAME or odescent:NAME, not {name!r}.")
    theirs = _optax_names()
    if whose != "odescent" and short in theirs:
        return Optimizer(_of_optax(short, options, learning_rate))
    if whose == "optax":
        raise unknown("optimizer of optax", short, theirs)
    if short in LEAST_SQUARES.entries:
        rate = {} if learning_rate is None else {"learning_rate": learning_rate}
        return Optimizer(LEAST_SQUARES.build(short, **rate, **options))
    from ...discretize.library import REGISTRY

    if short not in REGISTRY:
        raise unknown("optimizer", short, [*theirs, *LEAST_SQUARES.entries, *od.algorithms()])

    # Options of the algorithm itself, such as its form; what is left are values of its parameters.
    accepted = inspect.signature(REGISTRY.function(short)).parameters
    algorithm = od.algorithm(short, **{k: v for k, v in options.items() if k in accepted})
    given = {k: v for k, v in options.items() if k not in accepted}
    named = {k: v for k, v in given.items() if k in algorithm.names and k not in ("mu", "L")}
    algorithm, values = algorithm.freed(named)  # words such as momentum, and what a tuning sets
    given = {**{k: v for k, v in given.items() if k not in named}, **values}
    if learning_rate is not None:
        step = str(algorithm.step)
        if step not in {str(s) for s in algorithm.parameters}:
            raise OdescentError(
                f"the step of {short} follows from its tuning: leave learning_rate out and give "
                f"{', '.join(str(s) for s in algorithm.parameters) or 'nothing'}."
            )
        given.setdefault(step, learning_rate)
    from ...discretize.emit import load

    # As an optax transformation, whose update asks for nothing that training does not have.
    if algorithm.tuned.draws:
        given["key"] = _key(short, given.get("key"))
    made = algorithm.to_optax(**given)
    needed = [n for n, p in inspect.signature(made.update).parameters.items() if _is_needed(p)]
    asked = [n for n in needed if n not in OFFERED]
    if asked:
        raise OdescentError(
            f"{short} needs {', '.join(asked)} at every step, which training does not compute: use another "
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
        if name.startswith(("_", "scale_")) or not inspect.isfunction(made):
            continue
        if next(iter(inspect.signature(made).parameters), "") == "learning_rate":
            found.append(name)
    return found


def _of_optax(name: str, options: Mapping[str, Any], learning_rate: Any) -> Any:
    import optax

    made = getattr(optax, name)
    accepted = inspect.signature(made).parameters
    for option in options:
        check_choice(f"option of {name} called", option, accepted)
    if learning_rate is None:
        raise OdescentError(f"the optimizer {name} needs a learning rate: give learning_rate=.")
    return made(**{**options, "learning_rate": learning_rate})
