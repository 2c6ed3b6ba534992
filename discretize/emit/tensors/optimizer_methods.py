"""Methods of an emitted PyTorch optimizer on tensors: batches, the update, the output."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import symbols_of
from ....dynamics.algebra.exact import is_zero
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.maps.form import WHOLE
from ....dynamics.vector_fields.block import start
from ...programs.program import Program
from ..lowering.coefficients import Coefficients
from ..lowering.lower import Lowering, oracle_arguments
from ..lowering.names import Naming
from ..lowering.statements import (
    Ask,
    InnerLet,
    Limits,
    Routine,
    Sample,
    ScalarLet,
    SolveLet,
    VectorLet,
    WindowLet,
    targets_of,
)
from ..modules.module_writer import length_of
from ..modules.torch_helpers import generated_list, identifiers
from ..printing.language import STEP
from ..printing.lines import tupled, wrapped, zipped
from ..printing.printer import Printer
from ..transform.plan import PARAMS
from .drawn_again import draw, draw_again, drawn_alone, for_each, keep_seeds, step_of
from .inplace import InPlaceWriter, Operation
from .list_writer import ListWriter, asked, begun_elsewhere, window_lines
from .memory import Layout
from .registers import PARAM, Barrier, Listed, Run, Schedule, crossing, segments


class Body:
    """One lowered layout, and its printer.

    Args:
        layout: what the parameters hold, and the memory.
        program: the program that it was made of, for its parameters.
        naming: of its names.
        step: the symbol of the step, as the group calls it.
        limits: bounds of parameters beside their signs, by name.
        group: the name of the group of parameters that it is of, where there are several.
        table: the coefficients of groups before it, which it shares.
        taken: names of all groups, which no coefficient has.
    """

    def __init__(
        self, layout: Layout, program: Program, naming: Naming, step: sp.Symbol,
        limits: Limits, group: str = "", table: Coefficients | None = None, taken: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.layout = layout
        self.suffix = f"_{group}" if group else ""
        self.groups = f'self._of("{group}")' if group else "self.param_groups"
        p = layout.program
        lowering = Lowering(p, naming, program.parameters, step, counters=True)
        if table is not None:
            lowering.table = table
        lowering.table.used |= {*taken}
        asked = [e for e in (*p.next.values(), *p.outputs.values()) if isinstance(e, Vector)]
        more = {c.oracle for e in asked for c in e.calls()}
        lowering.arguments = oracle_arguments({*lowering.arguments, *more}, naming)
        self.low = lowering.lowered(limits, {"update": p.next[PARAMS]})
        steps, output = self.low.step, self.low.outputs["x"]
        self.gradient = "" if layout.gradient is None else lowering.arguments[layout.gradient]
        self.names = [s.name for s in self.low.parameters]
        self.blocks = [b for b in p.blocks if b.kind != "scalar" and b.name not in self.low.kept]
        self.factors = [b for b in p.blocks if b.kind == "scalar"]
        self.samples = [s for s in steps.samples if isinstance(s, Sample)]
        self.drawn_again = [s for s in steps.statements if isinstance(s, Sample) and s.again]
        joint = (InnerLet, SolveLet, WindowLet)
        self.inner = any(isinstance(s, joint) for s in steps.all_statements)
        if layout.closure and any(b.keeps for b in p.blocks):
            raise NotCarried(
                "the torch backend supports windows in steps with one gradient, evaluated at the parameters."
            )
        self.whole = any(s.over == WHOLE for r in (steps, self.low.init) for s in r.maps)
        self.numbers = any(not isinstance(s.target, VectorSymbol) for s in self.samples)
        if output.arguments() or output.maps:
            raise NotCarried(
                "the torch backend does not support an output with an oracle call away from the parameters."
            )
        self.again = None if layout.closure else step_of(self.low)
        self.runs, self.where = self._runs()

    def _runs(self) -> tuple[list[Run], dict[str, str]]:
        where = {b.name: self.called(b.name) for b in self.blocks}
        where["params"] = "start" if self.layout.closure else PARAM
        homes = {b.name: self.called(b.name) for b in self.blocks} | {"update": PARAM}
        gradient = self.gradient or None
        made = Schedule(self.low.step, self.evaluator(), where, homes, gradient, self.called)
        return segments(made.items()), where

    # names

    @property
    def evaluated(self) -> str:
        """The context manager of the output."""
        return f"_eval{self.suffix}" if self.suffix else "eval_params"

    @property
    def scalars(self) -> Printer:
        return Printer(STEP, self.called)

    def called(self, name: str) -> str:
        """A symbol in the emitted code."""
        return f"c.{name}" if name in {s.name for s in self.low.coefficients.fields} else name

    @property
    def gradients(self) -> list[Ask]:
        """Where gradients are taken in a step, in order."""
        statements = [s for s in self.low.step.statements if isinstance(s, Ask)]
        return [s for s in statements if s.argument == self.gradient]

    @property
    def every_gradient(self) -> list[Ask]:
        """The same, with those inside of choices and loops."""
        statements = [s for s in self.low.step.all_statements if isinstance(s, Ask)]
        return [s for s in statements if s.argument == self.gradient]

    @property
    def begun(self) -> int:
        """How many gradients its initial memory takes away from the start."""
        found = [s for s in self.low.init.statements if isinstance(s, Ask)]
        return sum(s.argument == self.gradient for s in found)

    @property
    def searching(self) -> bool:
        """Whether gradients are taken inside of choices or loops."""
        return len(self.every_gradient) > len(self.gradients)

    @property
    def oracles(self) -> dict[str, Ask]:
        """The oracles that the user gives as functions, by argument."""
        found: dict[str, Ask] = {}
        for r in (self.low.step, self.low.init):
            for s in r.all_statements:
                if isinstance(s, Ask) and s.argument != self.gradient and not s.over:
                    found.setdefault(s.argument, s)
        return found

    @property
    def elsewhere(self) -> bool:
        """Whether the first gradient of a step is not taken at what the parameters hold."""
        return self.layout.closure and not self.layout.at_params

    def listed(self, register: str) -> str:
        """The list of a register's tensors."""
        if register == PARAM:
            return "params"
        only = {self.called(s.target.name) for s in self.gradients}
        return "grads" if {register} == only else f"{register}_list"

    def evaluator(self) -> InPlaceWriter:
        """Writes operations with this module's names."""
        table = self.low.coefficients

        def complementary(a: sp.Expr, b: sp.Expr) -> bool:
            total = (a + b).xreplace(dict(table.fields))
            return total.free_symbols <= set(self.low.parameters) and is_zero(total - 1)

        return InPlaceWriter(self.scalars.scalar, complementary, lambda: table.fresh("t"))

    def coefficients(self, head: str, indent: str) -> list[str]:
        """A call of ``coefficients`` with a group's hyper-parameters."""
        given = [f'float(group["{p}"])' for p in self.names]
        return wrapped(f"{head}coefficients", given, "", indent)

    def reads(self, routine: Routine) -> bool:
        """Whether a routine reads the coefficient table."""
        return any(self.called(name) != name for name in routine.symbols())

    # batches and the initial state

    def batches(self) -> list[str]:
        """The method that gathers what is updated together, and makes state where there is none."""
        made, low = self.layout, self.low
        lines = [
            f"    def _batches{self.suffix}(self) -> list[tuple[dict[str, Any], list[Tensor]]]:",
            '        """The parameters that take part, in lists that are updated together."""',
            "        batches: list[tuple[dict[str, Any], list[Tensor]]] = []",
            f"        for group in {self.groups}:",
        ]
        if "lr" in self.names:
            lines += [
                '            if float(group["lr"]) == 0:  # a step of no length',
                "                continue",
            ]
        lines += self.coefficients("", "            ") if self.names else []
        wanted = "param.grad is not None" if made.at_params else "param.requires_grad"
        wanted += " and param not in self._idle" if self.elsewhere else ""
        lines += generated_list("params = ", f'param for param in group["params"] if {wanted}')
        if (low.blocks or low.counter is not None) and not made.first_gradient:
            lines += self.initial("            ")
        joint = self.oracles or self.inner or self.whole or self.numbers
        key = [] if joint else ["param.device", "param.dtype"]
        state = [self.called(b.name) for b in self.factors]
        state += ["step"] if low.counter is not None else []
        # asking for a state would make an empty one
        get = '.get(param, {{}}).get("{}")' if made.first_gradient else '[param]["{}"]'
        key += ["self.state" + get.format(s) for s in state]
        if not key:
            lines += ["            if params:", "                batches.append((group, params))"]
            return [*lines, "        return batches"]
        lines += [
            "            alike: dict[tuple[Any, ...], list[Tensor]] = {}",
            "            for param in params:",
        ]
        lines += tupled("key = ", key, "", "                ")
        return [
            *lines,
            "                alike.setdefault(key, []).append(param)",
            "            batches += [(group, listed) for listed in alike.values()]",
            "        return batches",
        ]

    def initial(self, indent: str) -> list[str]:
        """Lines that make the state of those in ``params`` that have none."""
        routine, evaluator = self.low.init, self.evaluator()
        lists = {PARAM: "fresh"}
        where = {start.name: PARAM}
        gradients = {s.target.name for s in self.gradients} | {"g_start"}
        # What the blocks are made of: scalars, and what oracles return at the start, in lists.
        lines: list[str] = []
        for s in routine.statements:
            if isinstance(s, ScalarLet):
                lines.append(f"{self.called(s.target.name)} = {self.scalars.scalar(s.value)}")
            elif isinstance(s, Ask):
                register = where.get(s.vectors[0].name)
                if register not in lists:
                    raise NotCarried(
                        "the torch backend evaluates oracles for the initial memory only at the start."
                    )
                target = self.called(s.target.name)
                given = [lists[register or ""], *(self.scalars.scalar(e) for e in s.scalars)]
                if isinstance(s.target, sp.Symbol):
                    lines.append(f"{target} = float({asked(s, given)})")
                    continue
                call = f"_alike(fresh, {asked(s, given)})"
                lines.append(f"{self.listed(target)} = {call}")
                where[s.target.name], lists[target] = target, self.listed(target)
            elif isinstance(s, VectorLet):
                self._taken(s.value, gradients, where, lists)
                where[s.target.name] = evaluator.evaluate(s.value, where)
        # The blocks: each a tensor of its own, so that nothing is shared with what it was made of.
        values = []
        for b in self.blocks:
            e = routine.results[b.name]
            assert isinstance(e, Vector)
            self._taken(e, gradients, where, lists)
            if b.keeps:
                text = f"_window({length_of(b)}, param)"
            elif not e:
                text = "torch.zeros_like(param)"
            elif isinstance(e, VectorSymbol):
                text = f"{where[e.name]}.clone()"
            else:
                text = evaluator.evaluate(e, where)
            values.append(f'state["{self.called(b.name)}"] = {text}')
        values += self._begun()
        # Around it: only parameters without state get one, and only they are asked for.
        head = [f"{indent}fresh = [param for param in params if param not in self.state]"]
        head += self.coefficients("c = ", indent) if self.reads(routine) else []
        if "grad" in lists:
            lines.append("grad_list = _gradients(fresh, group)")
        if lines:
            head.append(f"{indent}if fresh:")
            indent += "    "
        deeper = indent + "    "
        inside = [line for o in evaluator.operations for line in o.single(deeper)]
        inside += [deeper + line for line in ("state = self.state[param]", *values)]
        return [*head, *(indent + line for line in lines), *zipped(lists, indent), *inside]

    def _initial_elsewhere(self) -> list[str]:
        """The same where gradients are taken away from the start too."""
        routine = self.low.init
        writer = ListWriter({start.name: "start_list"}, self.scalars, self.gradient)
        blocks = {self.called(b.name): routine.results[b.name] for b in self.blocks}
        lines = self.coefficients("c = ", " " * 12) if self.reads(routine) else []
        at_params = self.layout.at_params
        return lines + begun_elsewhere(routine, writer, blocks, self._begun(), at_params)

    def _begun(self) -> list[str]:
        """Assignments to a new ``state`` of what is no vector."""
        values = [f'state["{n}"] = float({text})' for n, text in self._factors(self.low.init)]
        values += [f'state["{self.called(m)}"] = 0' for m in self.low.kept]  # a seed
        return values + ['state["step"] = 0'] * (self.low.counter is not None)

    def _taken(self, e: Vector, gradients: set[str], where: dict[str, str], lists: dict[str, str]) -> None:  # fmt: skip
        for s in e.free_symbols:
            if s.name in gradients and s.name not in where:
                where[s.name], lists["grad"] = "grad", "grad_list"

    def _factors(self, routine: Routine) -> list[tuple[str, str]]:
        """The scalar blocks with the values that a routine gives them."""
        values = [(self.called(b.name), routine.results[b.name]) for b in self.factors]
        return [(n, self.scalars.scalar(v)) for n, v in values if not isinstance(v, Vector)]

    # the update

    def advance(self) -> list[str]:
        """The method that updates a batch."""
        made, low = self.layout, self.low
        given = ["self", "group: dict[str, Any]", "params: list[Tensor]"]
        given += ["start_list: list[Tensor]"] if made.closure else []
        returns = "Iterator[bool]" if made.closure else "None"
        lines = wrapped(f"def _advance{self.suffix}", given, f" -> {returns}:", "    ")
        said = "; gradients are wanted at each yield" if made.closure else ""
        lines += [f'        """Update a batch in place{said}."""']
        if made.first_gradient:
            lines += ["        if any(param not in self.state for param in params):"]
            lines += [] if self.begun else ["            yield True"]
            lines += self._initial_elsewhere() if self.begun else self.initial("            ")
        text = self._lines()
        if self.reads(low.step):
            lines += self.coefficients("c = ", "        ")
        lines += self._state({w for line in text for w in identifiers(line)})
        if any(isinstance(r, list) for r in self.runs):
            lines += [
                '        foreach = group["foreach"]',
                "        if foreach is None:",
                "            foreach = all(param.is_cuda for param in params)",
            ]
        for s in self.samples:
            name, seeded = self.called(s.target.name), self.again is not None
            seeded = seeded or s.target.name in low.kept.values()
            alone = not isinstance(s.target, VectorSymbol)
            lines += draw(name, "" if alone else self.listed(name), seeded)
        for s in self.drawn_again:
            lines += draw_again(self.listed(s.target.name), self.called(s.again))
        return [*lines, *text]

    def advance_in_place(self) -> list[str]:
        """The method that updates a batch and keeps no sample; none where a step needs more."""
        if self.again is None:
            return []
        given = ["self", "group: dict[str, Any]", "params: list[Tensor]"]
        lines = wrapped(f"def _advance_in_place{self.suffix}", given, " -> None:", "    ")
        lines += ['        """Update a batch; a sample is drawn again wherever it is read."""']
        lines += self.coefficients("c = ", "        ") if self.reads(self.low.step) else []
        fresh, after = self.low.coefficients.fresh, self._after()
        read = {w for line in after for w in identifiers(line)} | self.low.step.symbols()
        lines += self._state(read)
        lines += self.again.lines(self.scalars, self.called, fresh, self.low.kept)
        return lines + after

    def _state(self, read: set[str]) -> list[str]:
        """The state that the update reads, as locals."""
        lines = []
        for name in (self.called(b.name) for b in self.blocks):
            if self.listed(name) in read:
                held = f'[self.state[param]["{name}"] for param in params]'
                lines.append(f"        {self.listed(name)} = {held}")
        for name in (self.called(b.name) for b in self.factors):
            if name in read:
                lines.append(f'        {name} = self.state[params[0]]["{name}"]')
        if self.low.counter is not None and "k" in read:
            lines.append('        k = self.state[params[0]]["step"]')
        return lines

    def _lines(self) -> list[str]:
        """The operations, what stands between them, and the scalar state."""
        barriers = [r.statement for r in self.runs if isinstance(r, Barrier)]
        drawn = (*self.samples, *self.drawn_again)
        targets = [t for s in (*drawn, *barriers) for t in targets_of(s)]
        known = {*self.where.values(), PARAM, *(self.called(t.name) for t in targets)}
        across = crossing(self.runs, known)
        lines: list[str] = []
        for run in self.runs:
            if isinstance(run, ScalarLet):
                lines.append(f"        {self.called(run.target.name)} = {self.scalars.scalar(run.value)}")  # fmt: skip
            elif isinstance(run, Barrier):
                lines += self._barrier(run)
            else:
                out = sorted({o.target for o in run} & across - known)
                lines += [f"        {self.listed(t)}: tuple[Tensor, ...] | list[Tensor]" for t in out]  # fmt: skip
                lines += self._operations(run, known, out)
                known |= set(out)
        for memory, name in self.low.kept.items():
            lines += keep_seeds(self.called(memory), f"{self.called(name)}_seeds")
        return lines + self._after()

    def _after(self) -> list[str]:
        """The scalar state after a step."""
        values = [f'["{name}"] = {text}' for name, text in self._factors(self.low.step)]
        values += ['["step"] += 1'] if self.low.counter is not None else []
        return for_each(values)

    def _operations(self, run: list[Operation], known: set[str], out: list[str]) -> list[str]:
        """Operations on lists, and the same one tensor at a time."""
        indent = "            "
        lines = ["        if foreach:"]
        for o in run:
            lines += o.foreach(self.listed, indent)
        used = dict.fromkeys(r for o in run for r in (o.target, *o.operands) if r in known)
        order = sorted(used, key=lambda r: r != PARAM)  # stable
        lines += ["        else:", *[f"{indent}{t}_made: list[Tensor] = []" for t in out]]
        lines += zipped({r: self.listed(r) for r in order}, indent)
        for o in run:
            lines += o.single(indent + "    ")
        lines += [f"{indent}    {t}_made.append({t})" for t in out]
        return lines + [f"{indent}{self.listed(t)} = {t}_made" for t in out]

    def _barrier(self, b: Barrier) -> list[str]:
        s = b.statement
        lists = [self.listed(r) for r in b.registers]
        if isinstance(s, Listed):
            read = {v.name: held for v, held in zip(s.vectors, lists, strict=True)}
            return ListWriter(read, self.scalars, self.gradient).statement(s, "        ")
        target = self.called(s.target.name)
        if isinstance(s, InnerLet):
            return [f"        {target} = _inner({lists[0]}, {lists[1]})"]
        place = self.listed(target)
        if isinstance(s, WindowLet):
            return window_lines(s, b.registers, self.listed, self.called, self.scalars)
        if b.gradient:
            first = self.layout.at_params and s is self.every_gradient[0]
            lines = [] if first or not self.layout.closure else ["        yield True"]
            lines += [f"        {place} = _gradients(params, group)"]
            return lines + ([f"        {place} = [x.clone() for x in {place}]"] if b.kept else [])
        given = [*(f"list({n})" for n in lists), *(self.scalars.scalar(e) for e in s.scalars)]
        if isinstance(s.target, sp.Symbol):
            return [f"        {target} = float({asked(s, given)})"]
        return wrapped(f"{place} = _alike", [lists[0], asked(s, given)], "", "        ")

    # the output

    def eval_params(self) -> list[str]:
        """The context manager inside which the parameters hold the output."""
        routine = self.low.outputs["x"]
        lines = [
            "    @contextmanager",
            f"    def {self.evaluated}(self) -> Iterator[None]:",
            '        """The parameters hold the algorithm\'s output inside, and come back after."""',
        ]
        value = routine.results["x"]
        if isinstance(value, VectorSymbol) and value.name == "params":
            return [*lines, "        yield"]
        where = {b.name: self.called(b.name) for b in self.blocks} | {"params": PARAM}
        indent = "                    "
        body = drawn_alone(routine, self.called, indent)
        for item in Schedule(routine, self.evaluator(), where, {"x": PARAM}).items():
            if isinstance(item, ScalarLet):
                body.append(f"{indent}{self.called(item.target.name)} = {self.scalars.scalar(item.value)}")  # fmt: skip
            elif isinstance(item, Operation):
                body += item.single(indent)
            else:
                raise NotCarried(
                    "the torch backend supports outputs that are sums of the blocks, without inner products or solves."
                )
        # Parameters are saved before, and copied back after, whatever happens inside.
        read = {w for line in body for w in identifiers(line)}
        held = [n for b in (*self.blocks, *self.factors) if (n := self.called(b.name)) in read]
        state = [f'{indent}{n} = self.state[param]["{n}"]' for n in held]
        state += [f'{indent}k = self.state[param]["step"]'] if "k" in read else []
        return [
            *lines,
            "        saved: list[tuple[Tensor, Tensor]] = []",
            "        with torch.no_grad():",
            f"            for group in {self.groups}:",
            *(self.coefficients("c = ", "                ") if self.reads(routine) else []),
            *(self._outset("                ") if state else []),
            '                for param in group["params"]:',
            *self._untouched(bool(state), "                    "),
            "                    saved.append((param, param.clone()))",
            *state,
            *body,
            "        try:",
            "            yield",
            "        finally:",
            "            with torch.no_grad():",
            "                for param, value in saved:",
            "                    param.copy_(value)",
        ]

    def _outset(self, indent: str) -> list[str]:
        """Lines that make the state where the output needs it before the first step."""
        if self.layout.starts_there:
            return []
        known = {start, *self.low.parameters}
        if any(symbols_of(b.init) - known for b in self.blocks):
            raise NotCarried(
                "the torch backend does not support an output that needs a gradient before the first step."
            )
        return [f'{indent}params = list(group["params"])', *self.initial(indent)]

    def _untouched(self, reads: bool, indent: str) -> list[str]:
        passed = [f"{indent}if param not in self.state:", f"{indent}    continue"]
        return passed if reads and self.layout.starts_there else []
