"""An optimizer of PyTorch out of its emitted module and the numbers and functions that a person gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...._support.errors import OdescentError, listed, unknown
from ...step.words import example
from ..stability import BOUNDS, check_numbers, warn_if_unstable
from ..transform.coupled import is_coupled

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from ...step.iteration import Iteration

HESSIAN = "hvp"  # what the argument for products of the Hessian is called
LOSS = "loss"  # and what stands for it and for values
CLASS = "the class"  # what it is called is kept under this name


def optimizer(
    algorithm: Iteration, module: ModuleType, params: Any, values: Mapping[str, Any]
) -> Optimizer:
    """The class of a loaded module, called with the parameters by name; a step or learning rate is called ``lr``.

    Args:
        algorithm: the method.
        module: its emitted module, loaded.
        params: the tensors, or groups of them, as torch takes them.
        values: numbers, oracles and torch's own options by name.

    Returns:
        the optimizer.

    Raises:
        OdescentError: an option that is unknown, missing, or refused by the class.
    """
    from .. import called, oracle_arguments_of

    given_names = called(module)
    named = {s.name: given_names[s.name] for s in algorithm.tuned.parameters}
    who = algorithm.name or "the algorithm"
    made = getattr(module, given_names[CLASS])
    asked = {n: p for n, p in signature(made).parameters.items() if p.kind == p.KEYWORD_ONLY}
    oracles = [n for n, p in asked.items() if p.default is p.empty]
    given: dict[str, Any] = {}
    losses = _losses(algorithm, oracles, given_names)
    used = {of for of, _ in losses.values() if of in values}
    for name, (of, derived) in losses.items():
        if of in used and name not in values:
            values = {**values, name: derived(module, values[of])}
    values = {n: value for n, value in values.items() if n not in used}
    renamed = oracle_arguments_of(module)
    values = {renamed.get(n, n) if n not in named else n: value for n, value in values.items()}
    # one function of the tensors is enough: values are its own, products of its Hessian are differentiated
    of_loss = [n for n in oracles if n in {"value", HESSIAN} and (n in named or n not in values)]
    if of_loss and LOSS in values and LOSS not in {*named, *asked}:
        loss = values[LOSS]
        values = {n: value for n, value in values.items() if n != LOSS}
        given = {n: module.hessian_products(loss) if n == HESSIAN else loss for n in of_loss}
    of_the_loss = {*given}  # such a name is free for a parameter
    for name, value in values.items():
        if (name in named.values() or name in asked) and name not in of_the_loss:
            given[name] = value
        elif name in named:
            given[named[name]] = value
        elif name not in BOUNDS:
            known_names = [*named, *asked, *([LOSS] if of_loss else []), *dict(losses.values())]
            raise unknown(f"parameter of {who} called", name, known_names)
    missing = [n if n not in asked else key for n, key in named.items() if key not in given]
    functions = [n for n in oracles if n not in given]
    if missing or functions:
        values_of = [f"a value of {listed(missing)}"] if missing else []
        wanted = listed([*values_of, *(f"the function {n}" for n in functions)])
        told = dict.fromkeys(
            LOSS if n in of_loss else losses[n][0] if n in losses else n for n in functions
        )
        shown = ", ".join(map(example, [*missing, *told]))
        what = "lists of tensors" if losses else "a list of tensors"
        takes = f", where {listed(list(told))} take{'s' * (len(told) == 1)} {what}" if told else ""
        raise OdescentError(f"{who} needs {wanted}, as in to_torch(params, {shown}){takes}.")
    known = {n: given[key] for n, key in named.items() if key in given}
    known |= {n: values[n] for n in BOUNDS if n in values and n not in known}
    check_numbers(known)
    warn_if_unstable(algorithm, known)
    if hasattr(params, "parameters"):
        raise OdescentError(
            "to_torch takes the tensors of a module: give module.parameters(), not the module itself."
        )
    try:
        done: Optimizer = made(params, **given)
    except (TypeError, ValueError) as error:
        said = str(error)
        raise OdescentError(said if said[-1:] in ".?" else f"to_torch: {said}.") from None
    except KeyError as error:
        raise OdescentError(f"to_torch: every group of parameters needs the key {error}.") from None
    return done


def _losses(
    algorithm: Iteration, oracles: list[str], names: Mapping[str, str]
) -> dict[str, tuple[str, Callable[[ModuleType, Any], Any]]]:
    """The loss of lists of tensors that determines an oracle of a method in several spaces, and how it does."""
    if not is_coupled(algorithm.tuned):
        return {}
    taken = {*oracles, *(s.name for s in algorithm.tuned.parameters)}
    found: dict[str, tuple[str, Callable[[ModuleType, Any], Any]]] = {}
    for o in algorithm.tuned.oracles:
        if o.of in taken or o.kind not in ("grad", "value"):
            continue
        of = names.get(o.of, o.of)
        slots = {names.get(a, a): i for i, a in enumerate(o.args)}
        # by the name of an argument, the places in which the loss is differentiated
        places: dict[str, tuple[int, ...]] = {
            f"value_{of}": (),
            f"grad_{of}": (0,),
            f"hvp_{of}": (0, 0),
        }
        places |= {f"grad_{of}_{a}": (i,) for a, i in slots.items()}
        places |= {f"hvp_{of}_{a}_{b}": (i, j) for a, i in slots.items() for b, j in slots.items()}
        if not o.args:  # it may be called by its kind alone
            kinds = ("grad", HESSIAN) if o.kind == "grad" else ("value",)
            places |= {kind: places[f"{kind}_{of}"] for kind in kinds}
        known = {n: p for n, p in places.items() if n in oracles}
        found |= {n: (o.of, partial(_derived, p)) for n, p in known.items() if n not in found}
    return found


def _derived(places: tuple[int, ...], module: ModuleType, loss: Any) -> Any:
    return module.partial_derivative(loss, *places) if places else loss
