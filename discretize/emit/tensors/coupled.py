"""Methods of an emitted PyTorch optimizer whose blocks lie in several spaces, on the lists of tensors of each."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.vector_fields.block import Block, start
from ...programs.program import Program
from ..lowering.lower import Lowering
from ..lowering.names import Naming
from ..lowering.statements import InnerLet, Limits, Sample, SolveLet
from ..printing.lines import wrapped
from ..transform.coupled import placed
from .list_writer import ListWriter
from .memory import Layout
from .optimizer_methods import Body

_INDENT = "        "


class CoupledBody(Body):
    """One lowered program whose parameters are in named groups, one for each space, and its printer.

    Args:
        program: the method, renamed.
        keys: what the group of each block that parameters hold is called, by its name in the module.
        naming: of its names.
        step: the symbol of the step, as the group calls it.
        limits: bounds of parameters beside their signs, by name.
    """

    def __init__(
        self, program: Program, keys: Mapping[str, str], naming: Naming, step: sp.Symbol,
        limits: Limits,
    ) -> None:  # fmt: skip
        # What `_held` and the lists have no form for is refused.
        if any(b.keeps for b in program.blocks):
            raise NotCarried("the torch backend has no windows for blocks in several spaces.")
        if any(isinstance(b.init, Vector) and b.init and b.init != start for b in program.blocks):
            raise NotCarried(
                "the torch backend begins blocks in several spaces at the parameters or at zero."
            )
        # Everything is computed of functions: no gradient comes in, and the program is lowered as it is.
        self.keys, self.program, self.suffix, self.gradient = keys, program, "", ""
        self.layout = Layout(program, None, False, False, False, "the blocks of their groups")
        lowering = Lowering(program, naming, program.parameters, step)
        self.low = lowering.lowered(limits)
        self.names = [s.name for s in self.low.parameters]
        self.blocks = [b for b in program.blocks if b.kind != "scalar"]
        self.factors = [b for b in program.blocks if b.kind == "scalar"]
        every = self.low.step.statements
        self.samples = [s for s in every if isinstance(s, Sample)]
        joint = (InnerLet, SolveLet)
        self.inner = any(isinstance(s, joint) for s in self.low.step.all_statements)
        self.again = None
        self.like = self._spaces()

    def _spaces(self) -> dict[str, str]:
        """The list of the parameters in the space of each vector, by its name; none where no block is."""
        p, spaces = self.program, self.program._spaces()
        numbers = dict(zip((b.symbol for b in p.blocks), p.classes, strict=True))
        homes = {numbers[b.symbol]: b for b in placed(p)}
        for b in self.blocks:  # some of those that begin alike are joined by nothing else
            spaces.one(b.symbol, homes[numbers[b.symbol]].symbol)
        lists = {spaces.of(b.symbol): f"{b.name}_list" for b in homes.values()}
        vectors = [s for s in (*p.state, *p.defined) if isinstance(s, VectorSymbol)]
        return {s.name: lists[spaces.of(s)] for s in vectors if spaces.of(s) in lists}

    @property
    def memory(self) -> list[Block]:
        """The vector blocks that the parameters do not hold."""
        return [b for b in self.blocks if b.name not in self.keys]

    def writer(self) -> ListWriter:
        """Writes statements on the lists of the blocks."""
        lists = {b.name: f"{b.name}_list" for b in self.blocks}
        return ListWriter(lists, self.scalars, like=self.like)

    def _read(self) -> list[str]:
        """The lists of the parameters and of the memory, the numbers, and the coefficients, as locals."""
        lines = [f'{_INDENT}{n}_list = self._moved("{key}")' for n, key in self.keys.items()]
        for b in self.memory:
            begin = ["torch.clone"] if b.init == start else []
            given = [f'"{b.name}"', self.like[b.name], *begin]
            lines.append(f"{_INDENT}{b.name}_list = self._held({', '.join(given)})")
        if self.factors or self.low.counter is not None:
            lines.append(f"{_INDENT}state = self.state[{next(iter(self.keys))}_list[0]]")
        for name, value in self._factors(self.low.init):
            lines.append(f'{_INDENT}{name}: float = state.setdefault("{name}", float({value}))')
        if self.low.counter is not None:
            lines.append(f'{_INDENT}k: int = state.setdefault("step", 0)')
        return lines

    def gathered(self) -> list[str]:
        """The methods that find the parameters of a group and the memory beside them."""
        return '''
    def _moved(self, name: str) -> list[Tensor]:
        """The parameters of a block that take part."""
        groups = self._of(name)
        params = [p for group in groups for p in group["params"] if p.requires_grad]
        if not params:
            raise ValueError(f"no parameter of {name} requires a gradient.")
        return params

    def _held(
        self,
        name: str,
        like: list[Tensor],
        begin: Callable[[Tensor], Tensor] = torch.zeros_like,
    ) -> list[Tensor]:
        """The memory of that name beside these parameters, made where there is none."""
        for param in like:
            if name not in self.state[param]:
                self.state[param][name] = begin(param)
        return [self.state[param][name] for param in like]
'''.strip("\n").splitlines()

    def advance(self) -> list[str]:
        step, writer = self.low.step, self.writer()
        lines = ["    def _advance(self) -> None:", '        """Update all blocks at once."""']
        if self.names:
            listed = ", ".join(f'"{n}"' for n in self.names) + "," * (len(self.names) == 1)
            lines += [
                f"{_INDENT}group = self.param_groups[0]",
                f"{_INDENT}for name in ({listed}):",
                f"{_INDENT}    if any(g[name] != group[name] for g in self.param_groups):",
                f'{_INDENT}        message = f"{{name}} must be the same in all groups."',
                f"{_INDENT}        raise ValueError(message)",
            ]
        if "lr" in self.names:
            lines += [
                f'{_INDENT}if float(group["lr"]) == 0:  # a step of no length',
                f"{_INDENT}    return",
            ]
        lines += self.coefficients("c = ", _INDENT) if self.reads(step) else []
        lines += self._read()
        for s in step.statements:
            lines += self._drawn(s) if isinstance(s, Sample) else writer.statement(s, _INDENT)
        # everything is computed before anything is written over
        moved: list[tuple[str, str]] = []
        for b in self.blocks:
            value = step.results[b.name]
            assert isinstance(value, Vector)
            if value != b.symbol:
                lines += self._made(writer, value, f"{b.name}_next", b.name)
                moved.append((f"{b.name}_list", f"{b.name}_next"))
        lines += [f"{_INDENT}torch._foreach_copy_({to}, {new})" for to, new in moved]
        lines += [f'{_INDENT}state["{n}"] = float({text})' for n, text in self._factors(step)]
        return lines + ([f'{_INDENT}state["step"] = k + 1'] if self.low.counter is not None else [])

    def _made(self, writer: ListWriter, value: Vector, name: str, block: str) -> list[str]:
        """The line that makes the list of a result."""
        if isinstance(value, VectorSymbol):
            return [f"{_INDENT}{name} = {writer.value(value)}"]
        if not value:
            return [
                f"{_INDENT}{name} = [torch.zeros_like(tensor) for tensor in {self.like[block]}]"
            ]
        function, *given = writer.each(value, _INDENT)
        return wrapped(f"{name} = {function}", given, "", _INDENT)

    def _drawn(self, s: Sample) -> list[str]:
        if not isinstance(s.target, VectorSymbol):
            return [f"{_INDENT}{self.called(s.target.name)} = _number(self.generator)"]
        return wrapped(
            f"{s.target.name}_list = _normal",
            [f"{s.like.name}_list", "self.generator"],
            "",
            _INDENT,
        )

    def eval_params(self) -> list[str]:
        routine, writer, first = self.low.outputs["x"], self.writer(), next(iter(self.keys))
        lines = [
            "    @contextmanager",
            "    def eval_params(self) -> Iterator[None]:",
            f'        """Those of {self.keys[first]} hold the algorithm\'s output inside, and come back after."""',
        ]
        value = routine.results["x"]
        assert isinstance(value, Vector)
        if isinstance(value, VectorSymbol) and value.name == first:
            return [*lines, "        yield"]
        body = [f"{_INDENT}group = self.param_groups[0]"] if self.reads(routine) else []
        body += self.coefficients("c = ", _INDENT) if self.reads(routine) else []
        body += self._read()
        body += [line for s in routine.statements for line in writer.statement(s, _INDENT)]
        body += self._made(writer, value, "x_output", first)
        return [
            *lines,
            f"{_INDENT}with torch.no_grad():",
            *("    " + line for line in body),
            f"{_INDENT}    saved = [tensor.clone() for tensor in {first}_list]",
            f"{_INDENT}    torch._foreach_copy_({first}_list, x_output)",
            f"{_INDENT}try:",
            f"{_INDENT}    yield",
            f"{_INDENT}finally:",
            f"{_INDENT}    with torch.no_grad():",
            f"{_INDENT}        torch._foreach_copy_({first}_list, saved)",
        ]
