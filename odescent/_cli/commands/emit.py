"""``odescent emit``: an algorithm as source that runs without this package."""

from __future__ import annotations

from typing import Annotated

from ..._support.errors import OdescentError
from ..._support.files import write_whole
from ..._support.numbers import number
from ..base import console, own_system
from ..base.own_system import Emitted, FileOptions
from ..base.values import NamedParameters, OptionKind, Written, named, names


def run(
    name: Annotated[str, named("algorithms", files=".ode")],
    *,
    target: Annotated[str, OptionKind(complete=names("targets"))] = "numpy",
    parameters: NamedParameters,
    out: Written | None = None,
    json: bool = False,
    file: FileOptions,
) -> None:
    """Emit an algorithm, or your own system with a scheme, as stand-alone source.

    Numbers are read exactly: 10, 0.01, 1e-4, 1/3. Parameters without a value remain arguments. A system file is
    parsed without evaluation, in a separate process with a time limit.

    Args:
        name: An algorithm, such as nesterov, or a system file, such as my_system.ode.
        target: a target of `odescent list targets`.
        out: Write the result to FILE.
        json: Print one JSON document, for machines.

    Examples:
        odescent emit nesterov --target optax --mu 0.01 --L 1 --out nesterov.py
        odescent emit proximal_point --set h=1/3
        odescent emit triple_momentum --target latex
        odescent emit my_system.ode --target jax --L 100
    """
    if own_system.is_file(name):
        bound = {n: str(number(n, text)) for n, text in parameters.texts.items()}
        request = file.request(name, target=target, settings=bound)
        emitted = own_system.emit(request, file.seconds)
    else:
        file.none_for(name)
        emitted, bound = _registered(name, target, parameters.texts)
    if out is not None:
        write_whole(out, emitted.text)
    if json:
        value = {
            "name": emitted.name,
            "target": target,
            "settings": bound,
            "free": list(emitted.free),
            "out": None if out is None else str(out),
            "source": emitted.text,
        }
        console.say_exactly(console.document(value, "odescent.emit/1"))
    elif out is None:
        console.say_exactly(emitted.text.rstrip("\n") + "\n")
    else:
        free = ", ".join(sorted(emitted.free))
        rest = f", with the parameters {free}" if free else ""
        console.say(f"{out}: {emitted.name or name} for {target}{rest}.")


def _registered(name: str, target: str, given: dict[str, str]) -> tuple[Emitted, dict[str, str]]:
    """The source, and what each option and parameter was set to, exactly."""
    import odescent as od

    from ...discretize.library import REGISTRY

    if name not in REGISTRY and name in od.systems():
        raise OdescentError(
            f"{name} is a system: emit takes an algorithm, or a system file with a scheme (see --scheme)."
        )
    made, texts = own_system.variant(name, given)
    numbers = {n: number(n, text) for n, text in texts.items()}
    algorithm = own_system.bound(made, numbers)
    free = tuple(s.name for s in algorithm.parameters)
    emitted = Emitted(algorithm.source(target), algorithm.name, free)
    return emitted, {**given, **{n: str(v) for n, v in numbers.items()}}
