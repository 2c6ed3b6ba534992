"""Names in emitted modules: which of a person's names mean something else there, read off the module itself.

A module is printed twice. First every name of the program (parameters, blocks, what oracles are called) and
every name made of one carries a mark: what has no mark is the module's own, such as its locals, imports and
builtins. Where two names of one function would be the same without the mark, the program's is changed, and
the module is printed again.
"""

from __future__ import annotations

import ast
import keyword
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import Symbol, substitute
from odescent.dynamics.vectors import Expr, VectorSymbol

from ..program import Assign, CallOracle, Count, Draw, Instruction, Program, SweepCoordinates

PLAIN = frozenset({"mu", "L"})  # the printers know these parameters by name
_ROUNDS = 12


def normal(name: str) -> str:
    """The name as Python reads it."""
    return unicodedata.normalize("NFKC", name)


@dataclass
class Naming:
    """What names become.

    Attributes:
        avoid: names that no name of the program may have in the module.
        mark: part of every such name while collisions are looked for; "" in the module that is kept.
        known: parameters that the printer knows by name, which carry no mark.
        given: every name of the program, and what it became.
    """

    avoid: frozenset[str] = frozenset()
    mark: str = ""
    known: frozenset[str] = PLAIN
    given: dict[str, str] = field(default_factory=dict)

    def safe(self, name: str, taken: Iterable[str] = ()) -> str:
        """The name in the module: with an underscore more where it has a meaning of its own there."""
        new, taken = normal(name), set(taken)
        while new in self.avoid or keyword.iskeyword(new) or self.marked(new) in taken:
            new += "_"
        self.given[name] = new
        return self.marked(new)

    def marked(self, name: str) -> str:
        """The name with the mark before its number, as in ``x_1``."""
        if not self.mark or self.mark in name or name in self.known:
            return name
        head, line, tail = name.rpartition("_")
        return f"{head}{self.mark}_{tail}" if head and line and tail.isdigit() else name + self.mark

    def parameter_name(self, name: str) -> str:
        """What a parameter of the program is called in the module, once it is renamed."""
        return self.marked(self.given.get(name, name))

    def parameter(self, s: sp.Symbol) -> sp.Symbol:
        """A parameter under its name in the module."""
        return sp.Symbol(self.parameter_name(s.name), **s.assumptions0)

    def program(self, program: Program, called: Mapping[str, str] | None = None) -> Program:
        """The program with its parameters, blocks, instructions and outputs renamed.

        ``called`` has names of parameters that the backend has chosen itself.
        """
        chosen = dict(called or {})
        values: dict[Symbol, Expr] = {}
        taken: set[str] = set(chosen.values())
        for s in program.parameters:
            new = chosen.get(s.name) or self.safe(s.name, taken)
            self.given[s.name] = new.replace(self.mark, "") if self.mark else new
            taken.add(new)
            if new != s.name:
                values[s] = sp.Symbol(new, **s.assumptions0)
        targets: list[Symbol] = [b.symbol for b in program.blocks]
        targets += [i.target for i in program.instructions]
        for s in targets:
            new = self.safe(s.name, taken)
            taken.add(new)
            if new != s.name:
                if isinstance(s, VectorSymbol):
                    values[s] = VectorSymbol(new)
                else:
                    values[s] = sp.Symbol(new, **s.assumptions0)
        outputs = {n: n if n == "x" else self.safe(n) for n in program.outputs}
        return _renamed(program, values, outputs) if values or self.given else program


def _renamed(p: Program, values: Mapping[Symbol, Expr], outputs: Mapping[str, str]) -> Program:
    def new(e: Expr) -> Expr:
        return substitute(e, values)

    def target(s: Symbol) -> Symbol:
        found = values.get(s, s)
        assert isinstance(found, (sp.Symbol, VectorSymbol))
        return found

    def instruction(i: Instruction) -> Instruction:
        if isinstance(i, Assign):
            return replace(i, target=target(i.target), value=new(i.value))
        if isinstance(i, CallOracle):
            return replace(
                i, target=target(i.target), point=new(i.point), directions=tuple(map(new, i.directions)),
                parameters=tuple(map(new, i.parameters)), implicit=new(i.implicit),
            )  # fmt: skip
        if isinstance(i, SweepCoordinates):
            return replace(i.changed(new), target=target(i.target), moving=target(i.moving))
        if isinstance(i, Count):
            return replace(i, target=target(i.target), mean=new(i.mean), like=target(i.like))
        assert isinstance(i, Draw)
        return replace(i, target=target(i.target), like=target(i.like))

    return replace(
        p,
        blocks=tuple(replace(b, name=target(b.symbol).name, init=new(b.init)) for b in p.blocks),
        instructions=tuple(map(instruction, p.instructions)),
        next={target(s): new(e) for s, e in p.next.items()},
        outputs={outputs[n]: new(e) for n, e in p.outputs.items()},
    )


def without_collisions(
    printed: Callable[[Naming], str], first: frozenset[str] = frozenset()
) -> tuple[str, dict[str, str]]:
    """The module's text, and what its names of the program became.

    Args:
        printed: the text with a naming.
        first: names to avoid that are not seen in the text.
    """
    avoid = first
    for _ in range(_ROUNDS):
        naming = Naming(avoid, "zqz")
        more = collisions(printed(naming), naming)
        if not more - avoid:
            kept = Naming(avoid)
            return printed(kept), kept.given
        avoid |= more
    raise OdescentError(
        "the names of this algorithm collide with those of its emitted source; rename its parameters and blocks."
    )


def collisions(text: str, naming: Naming) -> set[str]:
    """The names of the program that would be another name of the same function without their mark."""
    found: set[str] = set()
    mark, given = naming.mark, set(naming.given.values())
    for own, names in scopes(ast.parse(text)):
        plain: dict[str, str] = {n: n for n in names if mark not in n}
        for name in sorted(n for n in own if mark in n):
            bare = normal(name.replace(mark, ""))
            if bare in plain or keyword.iskeyword(bare):
                inside = {g for g in given if naming.marked(g) in name} or {bare}
                found |= {bare} if bare in given else {max(inside, key=len)}
                found |= {bare}
            plain[bare] = name
    return found


def scopes(tree: ast.Module) -> Iterator[tuple[set[str], set[str]]]:
    """Names, and those that they meet: of each function with the module's own, of each class body, of the
    module with whatever is read anywhere, and of the keys.
    """
    units: list[set[str]] = []
    top: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            top.add(node.name)
            body = {
                n
                for part in node.body
                if not isinstance(part, ast.FunctionDef)
                for n in _names(part)
            }
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            body |= {m.name for m in methods} | {n for n in dir(tuple) if n[0] != "_"}
            yield body, body
            units += [_names(m) - {m.name} for m in methods]
        elif isinstance(node, ast.FunctionDef):
            top.add(node.name)
            units.append(_names(node))
        else:
            top |= _names(node)
    for unit in units:
        yield unit, unit | top
    yield top, top | {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    constants = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    keys = {v for v in constants if isinstance(v, str) and v.isidentifier()}
    yield keys, keys


def _names(node: ast.AST) -> set[str]:
    """Every name that is bound or loaded inside."""
    found: set[str] = set()
    for n in ast.walk(node):
        if isinstance(n, ast.Name):
            found.add(n.id)
        elif isinstance(n, ast.arg):
            found.add(n.arg)
        elif isinstance(n, (ast.FunctionDef, ast.ClassDef)):
            found.add(n.name)
        elif isinstance(n, ast.alias):
            found.add((n.asname or n.name).partition(".")[0])
        elif isinstance(n, (ast.Nonlocal, ast.Global)):
            found |= set(n.names)
        elif isinstance(n, ast.ExceptHandler) and n.name:
            found.add(n.name)
    return found


__all__ = ["Naming", "collisions", "normal", "scopes", "without_collisions"]
