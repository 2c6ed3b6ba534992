"""The optax backend: a stand-alone module with a GradientTransformation factory and `eval_params`."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from odescent._errors import OdescentError, unknown
from odescent.dynamics.fields import start
from odescent.dynamics.vectors import Vector, VectorSymbol

from ..program import Program
from .backend import Backend
from .coefficients import in_order
from .coordinates import Plan, plan
from .jax import Module
from .jax_helpers import number_lines
from .lower import Lowering, with_safe_names
from .printing import JNP, Printer
from .statements import Lowered, Routine, safe
from .text import WIDTH, coefficient_lines, docstring, named_tuple, paragraph, wrapped

if TYPE_CHECKING:
    import optax

    from ..iteration import Algorithm

MAP = '''
def _map(fun: Callable[..., Any], scalars: tuple[Array, ...], *trees: Any) -> Any:
    """fun(*scalars, *leaves) leaf by leaf, in the leaf's type; None stays None."""

    def leaf(*leaves: Any) -> Any:
        if any(x is None for x in leaves):
            return None
        return fun(*(jnp.asarray(s, leaves[0].dtype) for s in scalars), *leaves)

    return jax.tree.map(leaf, *trees, is_leaf=lambda x: x is None)
'''
NOTES = (
    "The parameters hold the point where gradients are taken. The state holds the memory and the coefficients; "
    "replace them, with state._replace(c=coefficients(...)), to change hyper-parameters without recompiling. "
    "The algorithm's output is eval_params(state, params)."
)


def factory_name(algorithm: Algorithm) -> str:
    """What the factory is called."""
    return safe(algorithm.name or "transformation")


def source(algorithm: Algorithm) -> str:
    """The module's text."""
    body = _Module(algorithm, plan(with_safe_names(algorithm.tuned))).lines()
    text = "\n".join(body)
    doc = docstring(algorithm, "optax", "optax.", NOTES)
    head = [
        *doc,
        "",
        *(["from collections.abc import Callable"] if "_map(" in text else []),
        f"from typing import {'Any, ' if '_map(' in text else ''}NamedTuple",
        "",
        "import jax",
        "import jax.numpy as jnp",
        *(["import numpy as np"] if "np." in text.replace("jnp.", "") else []),
        "import optax",
        "from jax import Array",
        *(["from jax.typing import ArrayLike"] if "ArrayLike" in text else []),
    ]
    helpers = [MAP.strip("\n")] if "_map(" in text else []
    return "\n\n\n".join(["\n".join(head), *helpers, text]) + "\n"


class _Module:
    def __init__(self, algorithm: Algorithm, made: Plan) -> None:
        self.plan, self.factory = made, factory_name(algorithm)
        self.class_name = "".join(part.capitalize() for part in self.factory.split("_")) + "State"
        parameters = with_safe_names(algorithm.tuned).parameters
        lowering = Lowering(made.program, extra_parameters=parameters)
        p = made.program
        results = {b.name: p.next[b.symbol] for b in p.blocks}
        self.update: Routine = lowering.routine(p.instructions, {**results, "update": made.update})
        output = lowering.routine((), {"x": p.outputs["x"]})
        init = lowering.routine((), {b.name: b.init for b in p.blocks})
        counted = any("k" in r.symbols() for r in (self.update, output))
        counter = p.counter if counted else None
        self.low = Lowered(
            lowering.parameters,
            lowering.table,
            p.blocks,
            counter,
            init,
            self.update,
            {"x": output},
            lowering.names,
        )
        self.gradient = lowering.names.get(made.gradient.name, made.gradient.name)
        self.printer = Module(self.low, late=frozenset({made.gradient.name}), width=WIDTH - 4)
        self.names = [s.name for s in self.low.parameters]

    def called(self, name: str) -> str:
        return name if name == "params" else self.low.name(name)

    def lines(self) -> list[str]:
        sections = [
            self.state(),
            self.printer.table(),
            self.coefficients(),
            self.transformation(),
            self.eval_params(),
        ]
        order = [sections[1], sections[0], *sections[2:]]
        return "\n\n\n".join("\n".join(s) for s in order).splitlines()

    def state(self) -> list[str]:
        low = self.low
        fields = [
            (low.name(b.name), "Array" if b.kind == "scalar" else "optax.Updates")
            for b in low.blocks
        ]
        fields += [("k", "Array")] if low.counter is not None else []
        doc = "The memory between steps, and the coefficients."
        return named_tuple(self.class_name, doc, [*fields, ("c", "Coefficients")])

    def coefficients(self) -> list[str]:
        given = [f"{p}: ArrayLike" for p in self.names]
        lines = wrapped("def coefficients", given, " -> Coefficients:")
        lines.append(
            '    """The coefficients; ValueError for known hyper-parameters outside their domain."""'
        )
        lines += [line.replace("jnp.asarray(", "jnp.array(") for line in number_lines(self.low)]
        return lines + coefficient_lines(
            self.low, Printer(JNP), constant="jnp.array({}, dtype=float)"
        )

    def transformation(self) -> list[str]:
        given = [f"{p}: ArrayLike" for p in self.names]
        made = f"coefficients({', '.join(self.names)})"
        lines = wrapped(f"def {self.factory}", given, " -> optax.GradientTransformation:")
        meaning = "; ".join(f"{n} = {t}" for n, t in self.plan.meaning.items())
        lines += ['    """The algorithm as a gradient transformation.', ""] if meaning else []
        lines += (
            [*paragraph(f"Memory, in the blocks of the system: {meaning}.", "    "), '    """']
            if meaning
            else []
        )
        lines += [] if meaning else ['    """The algorithm as a gradient transformation."""']
        lines += (
            [f"    {made}  # refuses bad hyper-parameters here, not in init"] if self.names else []
        )
        return [
            *lines, "", *self.init(made), "", *self.update_lines(), "",
            "    return optax.GradientTransformation(init, update)",
        ]  # fmt: skip

    def init(self, made: str) -> list[str]:
        low, reads = self.low, self.printer.reads(self.low.init)
        lines = [f"    def init(params: optax.Params) -> {self.class_name}:"]
        lines += [f"        c = {made}"] if reads else []
        items = []
        for b in low.blocks:
            value = low.init.results[b.name]
            if not isinstance(value, Vector):
                text = f"jnp.array({self.printer.scalars.scalar(value)}, dtype=float)"
            elif not value:
                text = "jax.tree.map(jnp.zeros_like, params)"
            elif value == start:
                text = "jax.tree.map(jnp.array, params)"
            else:
                body = self.printer.mapped(f"    {b.name}_0 = ", value, self.from_params)
                lines += ["    " + line for line in body]
                text = f"{b.name}_0"
            items.append(f"{low.name(b.name)}={text}")
        items += ["k=jnp.zeros((), jnp.int32)"] if low.counter is not None else []
        items.append("c=c" if reads else f"c={made}")
        return [*lines, *wrapped(f"return {self.class_name}", items, "", "        ")]

    def from_params(self, name: str) -> str:
        return "params" if name == start.name else self.called(name)

    def update_lines(self) -> list[str]:
        low, state = self.low, self.class_name
        given = ["updates: optax.Updates", f"state: {state}", "params: optax.Params | None = None"]
        lines = wrapped("def update", given, f" -> tuple[optax.Updates, {state}]:", "    ")
        if self.plan.uses_params:
            lines += ["        if params is None:"]
            lines += [
                '            raise ValueError("this step reads the parameters: update(updates, state, params).")'
            ]
        else:
            lines += ["        del params"]
        read = self.update.symbols()
        lines += ["        c = state.c"] if read & self.printer.fields else []
        lines += ["    " + line for line in self.printer.unpacked(self.update)]
        lines += [f"        {self.gradient} = updates"]
        body = self.printer.statements(self.update)
        value = self.update.results["update"]
        assert isinstance(value, Vector)
        body += self.printer.mapped("    new_updates = ", value, self.called)
        lines += ["    " + line for line in body]
        items = []
        for b in low.blocks:
            after = self.update.results[b.name]
            if isinstance(after, VectorSymbol):
                items.append(f"{low.name(b.name)}={self.called(after.name)}")
            elif isinstance(after, Vector):
                lines += [
                    "    " + line
                    for line in self.printer.mapped(f"    {b.name}_next = ", after, self.called)
                ]
                items.append(f"{low.name(b.name)}={b.name}_next")
            else:
                items.append(
                    f"{low.name(b.name)}=jnp.asarray({self.printer.scalars.scalar(after)}, dtype=float)"
                )
        items += ["k=state.k + 1"] if low.counter is not None else []
        items.append("c=state.c")
        return [*lines, *wrapped(f"return new_updates, {state}", items, "", "        ")]

    def eval_params(self) -> list[str]:
        routine = self.low.outputs["x"]
        lines = wrapped(
            "def eval_params",
            [f"state: {self.class_name}", "params: optax.Params"],
            " -> optax.Params:",
        )
        lines += ['    """The algorithm\'s output, for parameters at a gradient point."""']
        value = routine.results["x"]
        assert isinstance(value, Vector)
        if isinstance(value, VectorSymbol):
            lines += ["    del state"] if value.name == "params" else []
            return [*lines, f"    return {self.called(value.name)}"]
        lines += ["    c = state.c"] if self.printer.reads(routine) else []
        lines += [*self.printer.unpacked(routine), *self.printer.statements(routine)]
        return [*lines, *self.printer.mapped("    return ", value, self.called)]


def transformation(
    algorithm: Algorithm, module: ModuleType, values: Mapping[str, Any]
) -> optax.GradientTransformation:
    """The factory of a loaded module, called with the parameters by name."""
    needed = [s.name for s in in_order(algorithm.tuned.parameters)]
    who = algorithm.name or "the algorithm"
    for name in values:
        if name not in needed:
            raise unknown(f"parameter of {who}", name, needed)
    missing = [n for n in needed if n not in values]
    if missing:
        raise OdescentError(
            f"{who} needs a value of {' and '.join(missing)}, as in to_optax({missing[0]}=...)."
        )
    try:
        made: optax.GradientTransformation = getattr(module, factory_name(algorithm))(
            **{safe(n): v for n, v in values.items()}
        )
    except ValueError as error:
        raise OdescentError(str(error)) from None
    return made


def check(program: Program) -> None:
    """Refuse what has no plan."""
    plan(program)


BACKEND = Backend("optax", ".py", frozenset({"operator", "coefficient blocks"}), source, check)
