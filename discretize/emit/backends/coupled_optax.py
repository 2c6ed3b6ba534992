"""The optax transformation of a method whose blocks lie in several spaces: its parameters are a dict by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ..lowering.lower import Lowering
from ..lowering.statements import Lowered
from ..modules.optax_notes import notes_on_blocks
from ..printing.language import JNP
from ..printing.lines import wrapped
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

    @property
    def moved(self) -> tuple[str, ...]:
        return tuple(self.keys)

    def kept(self, low: Lowered) -> Lowered:
        memory = tuple(b for b in low.blocks if b.name not in self.keys)
        return replace(low, blocks=memory, starts=self.starts)

    def notes(self) -> str:
        return notes_on_blocks(
            [*self.keys.values()], bool(self.names), self.asked, self.update.draws
        )

    def _read(self, names: list[str], given: str = "params") -> list[str]:
        """The line that reads the parameters under these names."""
        keys = [f'"{key}"' for key in self.keys.values()]
        left = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        head = "" if {*names} == {"_"} else f"{left} = "
        return wrapped(f"{head}_blocks", [given, *keys], "", "        ")

    def init(self) -> list[str]:
        low, named = self.low, bool(self._coefficients("c=", 13 * " ")[1:])
        named = named or self.printer.reads(low.init)
        lines = [f"    def init(params: optax.Params) -> {self.class_name}:"]
        lines += self._coefficients("c = ", "        ") if named else []
        # What memory begins with, and the parameters that it has the shapes of.
        items, more = self.printer.results(low.init, True)
        statements = self.printer.statements(low.init, self.printer.start_name)
        body = ["    " + line for line in (*statements, *more)]
        begun = [f"{self.starts[n]}_start" if n in self.starts else "start" for n in self.keys]
        read = [n if any(n in t for t in [*items, *body]) else "_" for n in begun]
        lines += self._read(read)
        lines += [f"        {n} = _memory({n})" for n in read if n != "_"]
        items += ["key=jnp.array(key)"] if self.update.draws else []
        items.append("c=c" if named else self._coefficients("c=", 13 * " ")[0].strip())
        return [*lines, *body, *wrapped(f"return {self.class_name}", items, "", "        ")]

    def update_lines(self) -> list[str]:
        printer, names = self.printer, [*self.keys]
        typed = [f"    {a} = _typed_each({a}, {', '.join(names)})" for a in self.asked]
        body = [*printer.unpacked(self.update), *typed]
        body += ["    key = jax.random.fold_in(state.key, state.k)"] if self.update.draws else []
        body += printer.statements(self.update)
        # How far each block that the parameters hold moves, in trees of its own shapes.
        moved = {}
        for n in names:
            value = self.update.results[n]
            assert isinstance(value, Vector)
            moved[n] = value.name if isinstance(value, VectorSymbol) else f"{n}_moved"
            if not value:
                body += [f"    {moved[n]} = {printer.zero(n)}"]
            elif not isinstance(value, VectorSymbol):
                body += printer.assigned(f"    {moved[n]} = ", value, str)
        # The memory after the step.
        items, more = printer.results(self.update, False)
        body += more
        items += ["key=state.key"] if self.update.draws else []
        items.append("c=c" if self.names else "c=state.c")
        head = self._signature(True)
        head += self._moving() if self.names else []
        if not self.names and printer.reads(self.update):
            head += ["        c = state.c"]
        if self.still is not None:  # memory may hold a displacement of the step before
            stopped = f"lambda {self.still}, u: jnp.where({self.still} == 0, 0, u)"
            body += [
                f"    {n}_moved = _map({stopped}, (c.{self.still},), {m})" for n, m in moved.items()
            ]
            moved = {n: f"{n}_moved" for n in names}
        new = [f'"{key}": _update({moved[n]}, {n}, "{key}")' for n, key in self.keys.items()]
        return [
            *head, *self._read(names), *("    " + line if line else "" for line in body),
            *wrapped("new_updates = ", new, "", "        ", "{}"),
            *wrapped(f"return new_updates, {self.class_name}", items, "", "        "),
        ]  # fmt: skip

    def eval_params(self) -> list[str]:
        routine, names = self.low.outputs["x"], [*self.keys]
        asks = self.arguments(routine)
        given = [
            f"state: {self.class_name}",
            "params: optax.Params",
            *(["*", *asks] if asks else []),
        ]
        lines = JNP.head(self.evaluated, given, "optax.Params")
        lines += JNP.documentation(
            ["The algorithm's output, for parameters that updates were applied to."]
        )
        value = routine.results["x"]
        assert isinstance(value, Vector)
        read = [line[4:] for line in self._read(names)]
        if isinstance(value, VectorSymbol) and value.name in names:
            only = [n if n == value.name else "_" for n in names]
            return [
                *lines,
                "    del state",
                *(line[4:] for line in self._read(only)),
                f"    return {value.name}",
            ]
        lines += ["    c = state.c"] if self.printer.reads(routine) else []
        asked = [a.partition(":")[0] for a in asks]
        lines += [*read, *(f"    {a} = _typed_each({a}, {', '.join(names)})" for a in asked)]
        lines += [*self.printer.unpacked(routine), *self.printer.statements(routine)]
        lines += self.printer.assigned("    x_output = ", value, str)
        return [*lines, f"    return _cast(x_output, {names[0]})"]
