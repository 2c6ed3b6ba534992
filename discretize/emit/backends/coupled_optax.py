"""The optax transformation of a method whose blocks lie in several spaces: its parameters are a dict by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ..lowering.lower import Lowering
from ..lowering.statements import Lowered
from ..modules.optax_notes import notes_on_blocks
from ..printing.lines import WIDTH, indented, wrapped
from ..transform.plan import Plan
from .optax_module import TransformationModule

if TYPE_CHECKING:
    from ...step.iteration import Iteration


class CoupledTransformation(TransformationModule):
    """Prints a factory whose parameters are several trees by name, one for each space of the method.

    Args:
        algorithm: the method.
        made: its transformation.
        lowering: of the program.
        factory: what the factory is called.
        keys: what each block that the parameters hold is called there, by its name in the module.
    """

    output = "x_output"  # x may be a block

    def __init__(
        self,
        algorithm: Iteration,
        made: Plan,
        lowering: Lowering,
        factory: str,
        keys: Mapping[str, str],
    ) -> None:
        self.keys, self.starts = keys, lowering.starts()
        super().__init__(algorithm, made, lowering, factory, "")

    def kept(self, low: Lowered) -> Lowered:
        memory = tuple(b for b in low.blocks if b.name not in self.keys)
        return replace(low, blocks=memory, starts=self.starts)

    def notes(self) -> str:
        return notes_on_blocks(
            [*self.keys.values()], bool(self.names), self.asked, self.update.draws
        )

    def _read(self, names: list[str]) -> list[str]:
        """The line of a function that reads the parameters under these names."""
        keys = [f'"{key}"' for key in self.keys.values()]
        left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        head = "" if {*names} == {"_"} else f"{left} = "
        return wrapped(f"{head}_blocks", ["params", *keys], "", "    ", room=WIDTH - 4)

    def _begun(self, text: list[str]) -> list[str]:
        begun = [f"{self.starts[n]}_start" if n in self.starts else "start" for n in self.keys]
        read = [n if any(n in t for t in text) else "_" for n in begun]
        return [
            *indented(self._read(read)),
            *(f"        {n} = _memory({n})" for n in read if n != "_"),
        ]

    def _typed(self, callables: list[str]) -> list[str]:
        spaces = ", ".join(self.keys)
        typed = (f"    {a} = _typed_each({a}, {spaces})" for a in callables)
        return [*self._read([*self.keys]), *typed]

    def _updates(self) -> dict[str, tuple[str, str]]:
        return {n: (f"{n}_moved", n) for n in self.keys}

    def _new_updates(self, moved: Mapping[str, str]) -> list[str]:
        new = [f'"{key}": _update({moved[n]}, {n}, "{key}")' for n, key in self.keys.items()]
        return wrapped("new_updates = ", new, "", "        ", "{}")

    @property
    def like_output(self) -> str:
        return next(iter(self.keys))

    def _as_held(self, value: Vector) -> list[str]:
        if not isinstance(value, VectorSymbol) or value.name not in self.keys:
            return []
        only = [n if n == value.name else "_" for n in self.keys]
        return [*self._read(only), f"    return {value.name}"]
