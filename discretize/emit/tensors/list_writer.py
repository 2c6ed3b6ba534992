"""Statements on lists of tensors, each value made anew: what an optimizer does inside of solves, choices and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ....dynamics.maps.form import LEAF
from ...programs.guards import PLAIN
from ..lowering.statements import (
    Ask,
    ChooseLet,
    InnerLet,
    JoinLet,
    LoopLet,
    PartLet,
    Routine,
    ScalarLet,
    SolveLet,
    Statement,
    VectorLet,
    WindowLet,
    ZeroLet,
)
from ..modules.python_loops import loop_lines
from ..printing.language import NUMPY
from ..printing.lines import LETTERS, WIDTH, width, wrapped, zipped
from ..printing.printer import Printer

_TENSORS = replace(NUMPY, prefix="torch.")


class ListWriter:
    """Writes statements on lists of tensors.

    Args:
        lists: the list of each vector, by name; what is made is added.
        scalars: prints numbers.
        gradient: the argument of Asks for gradients, which are taken where the parameters are; empty if none may be.
        like: a list in the space of each vector, by name, where there are several spaces.
    """

    def __init__(
        self,
        lists: Mapping[str, str],
        scalars: Printer,
        gradient: str = "",
        like: Mapping[str, str] | None = None,
    ) -> None:
        self.like = like
        self.lists, self.scalars, self.gradient = dict(lists), scalars, gradient
        self.outside = set(self.lists.values())
        self.repeated: set[str] = set()  # numbers that an iteration makes
        self.loops = 0  # around a statement

    def routine(self, routine: Routine, indent: str) -> list[str]:
        """The statements of a routine, without its results."""
        return [line for s in routine.statements for line in self.statement(s, indent)]

    def statement(self, s: Statement, indent: str) -> list[str]:
        """One statement; NotCarried for what has no form on lists of tensors."""
        if isinstance(s, ScalarLet):
            return [f"{indent}{self._number(s.target)} = {self.scalars.scalar(s.value)}"]
        if isinstance(s, InnerLet):
            pair = f"{self.lists[s.left.name]}, {self.lists[s.right.name]}"
            return [f"{indent}{self._number(s.target)} = _inner({pair})"]
        if isinstance(s, VectorLet):
            value = self.each(s.value, indent)
            return wrapped(f"{self.made(s.target)} = {value[0]}", value[1:], "", indent)
        if isinstance(s, Ask):
            return self._ask(s, indent)
        if isinstance(s, SolveLet):
            return self.solve(s, indent)
        if isinstance(s, (JoinLet, PartLet, ZeroLet)):
            given = [self.lists[v.name] for v in s.vectors]
            if isinstance(s, JoinLet):
                return wrapped(
                    f"{self.made(s.target)} = ", [f"*{n}" for n in given], "", indent, "[]"
                )
            if isinstance(s, PartLet):
                arguments = [given[0], str(s.place), f"[{', '.join(given[1:])}]"]
                return wrapped(f"{self.made(s.target)} = _part", arguments, "", indent)
            return [
                f"{indent}{self.made(s.target)} = [torch.zeros_like(tensor) for tensor in {given[0]}]"
            ]
        if isinstance(s, ChooseLet):
            return self._choose(s, indent)
        if isinstance(s, LoopLet):
            return self._repeat(s, indent)
        raise NotCarried(
            "the torch backend supports sums, oracles, inner products and solves inside of solves, choices and loops, "
            "nothing else."
        )

    def _number(self, target: Symbol) -> str:
        """The name of a number that is made here."""
        self.repeated |= {target.name} if self.loops else set()
        return self.scalars.names(target.name)

    def made(self, target: Symbol) -> str:
        """The list of a vector that is made here."""
        return self.lists.setdefault(target.name, f"{self.scalars.names(target.name)}_list")

    def each(self, value: Vector, indent: str = "") -> list[str]:
        """A function that makes a vector tensor by tensor, and its arguments; short where a line has no room."""
        names = sorted(v.name for v in value.free_symbols if isinstance(v, VectorSymbol))
        if not names:
            like = next(iter(self.lists.values()))
            return ["_each", "torch.zeros_like", like]
        bound = sorted({s.name for s in value.free_symbols} & self.repeated)

        def written(called: Mapping[str, str]) -> str:
            named = Printer(_TENSORS, lambda n: called.get(n) or self.scalars.names(n))
            given = [*(called.get(n, n) for n in names), *(f"{n}={n}" for n in bound)]
            return f"lambda {', '.join(given)}: {named.vector(value)}"

        function = written({})
        if width(f"{indent}    {function},") > WIDTH:
            scalars = (s.name for s in value.free_symbols if s.name not in names)
            taken = {self.scalars.names(n) for n in scalars}
            letters = (letter for letter in LETTERS if letter not in taken)
            function = written(dict(zip(names, letters, strict=False)))
        return ["_each", function, *(self.lists[n] for n in names)]

    def _ask(self, s: Ask, indent: str) -> list[str]:
        if self.gradient and s.argument == self.gradient:
            point = self.lists[s.vectors[0].name]
            return [
                f"{indent}torch._foreach_copy_(params, {point})",
                f"{indent}yield True",
                f"{indent}{self.made(s.target)} = [tensor.clone() for tensor in _gradients(params, group)]",
            ]
        given = [f"list({self.lists[v.name]})" for v in s.vectors]
        given += [self.scalars.scalar(e) for e in s.scalars]
        if isinstance(s.target, sp.Symbol):
            return wrapped(f"{self._number(s.target)} = float", [asked(s, given)], "", indent)
        if self.like is not None and s.target.name not in self.like:  # in a space without a block
            return [
                f"{indent}{self.made(s.target)} = [tensor.clone() for tensor in {asked(s, given)}]"
            ]
        of = self.lists[s.vectors[-1].name] if self.like is None else self.like[s.target.name]
        return wrapped(f"{self.made(s.target)} = _alike", [of, asked(s, given)], "", indent)

    def solve(self, s: SolveLet, indent: str) -> list[str]:
        """The product of the operator as a function, and the solve with it."""
        function, arguments = s.solution(self.lists.__getitem__, self.scalars.scalar)
        solved = wrapped(f"{self.made(s.target)} = {function}", arguments, "", indent)
        if s.again:
            return solved
        formed = [f"{indent}{s.matrix} = {s.formed(self.lists.__getitem__)}"] * bool(s.matrix)
        lists = {**self.lists, s.along.name: f"{s.along.name}_list"}
        inside = ListWriter(lists, self.scalars, like=self.like)
        along = inside.lists[s.along.name]
        deeper = indent + "    "
        lines = ["", f"{indent}def {s.function}({along}: list[Tensor]) -> list[Tensor]:"]
        lines += inside.routine(s.product, deeper)
        value = s.product.results["product"]
        assert isinstance(value, Vector)
        if isinstance(value, VectorSymbol):
            lines.append(f"{deeper}return {inside.lists[value.name]}")
        else:
            function, *given = inside.each(value, deeper)
            lines += wrapped(f"return {function}", given, "", deeper)
        return [*lines, "", *formed, *solved]

    def _choose(self, s: ChooseLet, indent: str) -> list[str]:
        """One of two routines by an if of Python."""
        lines = self._declared(s.targets, indent)
        deeper = indent + "    "
        branches = []
        for routine in (s.accept, s.reject):
            values = [routine.results[t.name] for t in s.targets]
            inside = self.routine(routine, deeper)
            branches.append([*inside, *self._given(s.targets, values, deeper)])
        accept, reject = branches
        lines += [
            f"{indent}if {s.guard.written(self.scalars.scalar, PLAIN)}:",
            *(accept or [f"{deeper}pass"]),
        ]
        return [*lines, *([f"{indent}else:", *reject] if reject else [])]

    def _repeat(self, s: LoopLet, indent: str) -> list[str]:
        begun = [*self._declared(s.targets, indent), *self._given(s.targets, s.begin, indent)]
        deeper = indent + "    "
        self.loops += 1
        body = self.routine(s.body, deeper)
        self.loops -= 1
        values = [s.body.results[t.name] for t in s.targets]
        moved = self._given(s.targets, values, deeper)
        return [*begun, *loop_lines(s, self.scalars, body, moved, indent)]

    def _declared(self, targets: Iterable[Symbol], indent: str) -> list[str]:
        """The types of names that get one of several values."""
        lines = []
        for t in targets:
            vector = isinstance(t, VectorSymbol)
            name = self.made(t) if vector else self._number(t)
            lines.append(f"{indent}{name}: {'list[Tensor]' if vector else 'float'}")
        return lines

    def _given(self, targets: Sequence[Symbol], values: Sequence[Expr], indent: str) -> list[str]:
        """The assignment of several values at once; a list from outside is copied, so that no tensor has two names."""
        pairs = [(t, v) for t, v in zip(targets, values, strict=True) if t != v]
        left = [self.lists[t.name] if isinstance(t, VectorSymbol) else self._number(t) for t, _ in pairs]  # fmt: skip
        right = [self.value(v) for _, v in pairs]
        line = f"{indent}{', '.join(left)} = {', '.join(right)}"
        if not pairs or width(line) <= WIDTH or len(pairs) == 1:
            return [line] if pairs else []
        return wrapped(f"{', '.join(left)} = ", right, "", indent)

    def value(self, value: Expr) -> str:
        """A value as the list or the number that it is; what was there before is copied."""
        if not isinstance(value, Vector):
            return self.scalars.scalar(value)
        assert isinstance(value, VectorSymbol)
        held = self.lists[value.name]
        return f"[tensor.clone() for tensor in {held}]" if held in self.outside else held


def begun_elsewhere(
    routine: Routine,
    writer: ListWriter,
    blocks: Mapping[str, Expr],
    more: Sequence[str],
    at_params: bool,
) -> list[str]:
    """The initial memory where it has gradients away from the start: the parameters go there, and are put back.

    Args:
        routine: of the initial memory; what it reads beside the start is the gradient there.
        writer: of its statements, which has the parameters at the start.
        blocks: the value of each vector of the memory by its name in the state.
        more: assignments of other things to ``state``.
        at_params: whether the parameters have the gradient at the start, and the step reads it next.
    """
    indent = " " * 12
    asked = f"{indent}yield True"
    lines = []
    for v in routine.reads():
        if v.name not in writer.lists:
            made = f"{indent}{writer.made(v)} = "
            lines += [] if at_params else [asked]
            lines.append(f"{made}[tensor.clone() for tensor in _gradients(params, group)]")
    lines += writer.routine(routine, indent)
    lines.append(f"{indent}torch._foreach_copy_(params, start_list)")
    lines += [asked] if at_params else []
    # each block is a tensor of its own, so that nothing is shared with what it was made of
    lists, values = {"param": "params"}, []
    for name, e in blocks.items():
        assert isinstance(e, Vector)
        if isinstance(e, VectorSymbol):
            lists[name] = writer.lists[e.name]
            values.append(f'state["{name}"] = {name}.clone()')
        elif e:
            lists[name] = f"{name}_list"
            lines += wrapped(f"{name}_list = _each", writer.each(e, indent)[1:], "", indent)
            values.append(f'state["{name}"] = {name}')
        else:
            values.append(f'state["{name}"] = torch.zeros_like(param)')
    lines += zipped(lists, indent)
    lines.append(f"{indent}    if param not in self.state:")
    return [
        *lines,
        *(f"{indent}        {line}" for line in ("state = self.state[param]", *values, *more)),
    ]


def window_lines(
    s: WindowLet,
    registers: Sequence[str],
    listed: Callable[[str], str],
    called: Callable[[str], str],
    scalars: Printer,
) -> list[str]:
    """What a function of the module makes of a window; its inner products are one tensor."""
    inside = {"combine", "within"}  # whose second argument is in the space of the places
    given = [listed(registers[0])]
    given += [r if s.function in inside else listed(r) for r in registers[1:]]
    given += [scalars.scalar(e) for e in s.scalars]
    call, target = f"_{s.function}({', '.join(given)})", called(s.target.name)
    made = {"push": "", "combine": f"{listed(target)} = "}.get(s.function, f"{target} = ")
    return [f"        {made}{call}"]


def asked(s: Ask, given: list[str]) -> str:
    """The call of a function that the optimizer was given, or of a named map, on lists of tensors."""
    if not s.over:
        return f"self.{s.argument}({', '.join(given)})"
    return f"{'_leaves' if s.over == LEAF else '_flat'}({', '.join([s.argument, *given])})"
