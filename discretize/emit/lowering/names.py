"""Names in emitted modules: clashes of user-defined names with those of the module, found in its source.

While a module is printed every name of the program (parameters, blocks, what oracles are called) and every name
made of one carries a mark, which is a letter of no width: what has no mark is the module's own, such as its locals,
imports and builtins. Where two names of one function would be the same without the mark, the program's is changed,
and the module is printed again. In the end the marks are taken out.
"""

from __future__ import annotations

import ast
import keyword
import symtable
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

import sympy as sp

from ...._support.errors import NotCarried, OdescentError
from ....dynamics.algebra.calculus import Symbol, substitute
from ....dynamics.algebra.vectors import Expr, VectorSymbol
from ....dynamics.vector_fields.block import start
from ...programs.program import Program
from ..printing.lines import MARK, bare

PLAIN = frozenset({"mu", "L"})  # the printers know these parameters by name
ORACLE = "the oracle "  # what an oracle became is kept under this and its name
_ROUNDS = 12


def normal(name: str) -> str:
    """The name as Python reads it."""
    return unicodedata.normalize("NFKC", name).replace(MARK, "_")


def version(name: str) -> tuple[str, str]:
    """What an intermediate is a version of, and the number of the version; none for another name."""
    head, _, tail = name.rpartition("_")
    return (head, tail) if head and tail.isdigit() else (name, "")


@dataclass
class Naming:
    """What names become.

    Attributes:
        avoid: names that no name of the program may have in the module.
        mark: part of every such name while its module is printed.
        known: parameters that the printer knows by name, which carry no mark.
        given: every name of the program, and what it became.
        oracles: every oracle that is called by its function, and its argument.
    """

    avoid: frozenset[str] = frozenset()
    mark: str = ""
    known: frozenset[str] = PLAIN
    given: dict[str, str] = field(default_factory=dict)
    oracles: dict[str, str] = field(default_factory=dict)

    def safe(self, name: str, taken: Iterable[str] = ()) -> str:
        """The name in the module: with an underscore more where it has a meaning of its own there."""
        new, taken = normal(name), set(taken)
        while new in self.avoid or self.marked(new) in taken:
            new += "_"
        self.given[name] = new
        return self.marked(new)

    def marked(self, name: str) -> str:
        """The name with the mark before its number, as in ``x_1``."""
        if not self.mark or self.mark in name or name in self.known:
            return name
        head, number = version(name)
        return head + self.mark + name[len(head) :] if number else name + self.mark

    def numbered(self, letter: str, taken: set[str]) -> str:
        """The letter with the least number that makes a name which is not taken, marked or not."""
        plain = (f"{letter}{i}" for i in count(1))
        return next(self.marked(n) for n in plain if not {n, self.marked(n)} & taken)

    def parameter_name(self, name: str) -> str:
        """What a parameter of the program is called in the module, once it is renamed."""
        return self.marked(self.given.get(name, name))

    def parameter(self, s: sp.Symbol) -> sp.Symbol:
        """A parameter under its name in the module."""
        return sp.Symbol(self.parameter_name(s.name), **s.assumptions0)

    def program(self, program: Program, called: Mapping[str, str] | None = None) -> Program:
        """The program, samples made from normals, with its parameters, blocks, instructions and outputs renamed.

        ``called`` has names of parameters that the backend has chosen itself.
        """
        program = program.realized()
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
        targets += program.defined
        for s in targets:
            new = self.safe(s.name, taken)
            taken.add(new)
            if new != s.name:
                if isinstance(s, VectorSymbol):
                    values[s] = VectorSymbol(new, s.kind)
                else:
                    values[s] = sp.Symbol(new, **s.assumptions0)
        outputs = {n: n if n == "x" else self.safe(n) for n in program.outputs}
        return _renamed(program, values, outputs) if values or self.given else program


def _renamed(p: Program, values: Mapping[Symbol, Expr], outputs: Mapping[str, str]) -> Program:
    def new(e: Expr) -> Expr:
        return substitute(e, values)

    def first(e: Expr) -> Expr:  # there x0 is the starting point, even if a block is called so
        return substitute(e, {s: value for s, value in values.items() if s != start})

    def target(s: Symbol) -> Symbol:
        found = values.get(s, s)
        assert isinstance(found, (sp.Symbol, VectorSymbol))
        return found

    return replace(
        p,
        blocks=tuple(replace(b, name=target(b.symbol).name, init=first(b.init)) for b in p.blocks),
        instructions=tuple(i.called(target, new) for i in p.instructions),
        next={target(s): new(e) for s, e in p.next.items()},
        outputs={outputs[n]: new(e) for n, e in p.outputs.items()},
        held={},
    )


def without_collisions(
    printed: Callable[[Naming], str], reserved: frozenset[str], python: bool
) -> tuple[str, dict[str, str]]:
    """The module's text, and what its names of the program became.

    Args:
        printed: the text with a naming.
        reserved: names to avoid that are not seen in the text.
        python: whether the text is a module of Python, whose names are compared.
    """
    avoid = reserved
    for _ in range(_ROUNDS):
        naming = Naming(avoid, MARK if python else "")
        try:
            text = printed(naming)
        except NotCarried as refusal:  # it names what it refuses as a person does
            raise NotCarried(bare(str(refusal))) from None
        more = collisions(text, naming) if python else set()
        if more <= avoid:
            asked = {ORACLE + n: new for n, new in naming.oracles.items()}
            return bare(text), {n: bare(new) for n, new in (naming.given | asked).items()}
        avoid |= more
    raise OdescentError(
        "the names of this algorithm collide with those of its emitted source; rename its parameters and blocks."
    )


def collisions(text: str, naming: Naming) -> set[str]:
    """The names of the program that would be another name of the same function without their mark."""
    found: set[str] = set()
    mark, given = naming.mark, set(naming.given.values())
    for own, names in scopes(text):
        plain: dict[str, str] = {n: n for n in names if mark not in n}
        for name in sorted(n for n in own if mark in n):
            bare = normal(name.replace(mark, ""))
            if bare in plain or keyword.iskeyword(bare):
                inside = {g for g in given if naming.marked(g) in name} or {bare}
                found |= {bare} if bare in given else {max(inside, key=len)}
                found |= {bare}
            plain[bare] = name
    return found


def scopes(text: str) -> Iterator[tuple[set[str], set[str]]]:
    """Names, and those that they meet: of each function with the module's own, of each class body, of the
    module with whatever is read anywhere, and of the keys.
    """
    module = symtable.symtable(text, "module", "exec")
    top, everything = set(module.get_identifiers()), _names(module)
    for table in module.get_children():
        functions = [table]
        if table.get_type() == "class":
            body = {*table.get_identifiers(), *(n for n in dir(tuple) if n[0] != "_")}
            yield body, body
            functions = table.get_children()
        for function in functions:
            own = _names(function)
            yield own, own | top
    yield top, everything
    constants = (n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant))
    keys = {v for v in constants if isinstance(v, str) and v.isidentifier()}
    yield keys, keys


def _names(table: symtable.SymbolTable) -> set[str]:
    """Every name that is bound or loaded inside."""
    own = {n for n in table.get_identifiers() if n.isidentifier()}
    return own.union(*map(_names, table.get_children()))
