"""The syntax of a target language as data: functions, operators, reserved words, documentation, definitions."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...programs.guards import PLAIN
from .lines import indented, paragraph, wrapped

Escapes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Syntax:
    """How a language writes what emitted code is made of; the defaults are Python's.

    Attributes:
        prefix: before the name of a mathematical function, as in ``math.exp``.
        functions: those that are called otherwise, by their names in NumPy.
        power: the operator.
        partial: what is called, where that is another, for a root, a power or a logarithm of what may be negative, and
            for the larger or smaller one of what may be NaN.
        ratio: a rational number, of its numerator and denominator.
        matrix_product: the operator.
        arrays: an expression that is meant element by element.
        keywords: reserved words, which no name can be.
        quotes: around documentation.
        escapes: what must not stand in documentation, and what stands for it.
        definition: before the name of a function, between its arguments and its type, and after that.
        end: the last line of a function.
        typed: whether arguments have types.
        guard: what stands for <, <=, and, or in a guard, and around what is joined.
        record: before the fields of a record, of its name, and what encloses them.
    """

    prefix: str = ""
    functions: Mapping[str, str] = field(default_factory=dict)
    power: str = "**"
    partial: Mapping[str, str] = field(default_factory=dict)
    ratio: str = "{} / {}"
    matrix_product: str = "@"
    arrays: str = "{}"
    keywords: frozenset[str] = frozenset(keyword.kwlist)
    quotes: tuple[str, str] = ('"""', '"""')
    escapes: Escapes = (("\\", "/"), ('"""', "'''"))
    definition: tuple[str, str, str] = ("def ", " -> ", ":")
    end: tuple[str, ...] = ()
    typed: bool = True
    guard: tuple[str, ...] = PLAIN
    record: tuple[str, tuple[str, str]] = ("{}", ("(", ")"))

    def function(self, name: str) -> str:
        """What a mathematical function is called."""
        return self.functions.get(name, self.prefix + name)

    def escaped(self, text: str) -> str:
        """Text that may stand in documentation."""
        for what, instead in self.escapes:
            text = text.replace(what, instead)
        return text

    def documentation(self, paragraphs: Sequence[str], indent: str = "    ") -> list[str]:
        """A docstring: one line, or paragraphs with the closing quotes on a line of their own."""
        opening, closing = self.quotes
        first, *more = paragraphs
        if not more:
            return [f"{indent}{opening}{first}{closing}"]
        lines = [f"{indent}{opening}{first}"]
        for text in more:
            lines += ["", *paragraph(text, indent)]
        return [*lines, indent + closing]

    def head(self, name: str, arguments: Sequence[str], returns: str) -> list[str]:
        """The head of a function.

        Args:
            name: of the function.
            arguments: each as ``name: type``.
            returns: the type of what it returns.

        Returns:
            one line, or one for each argument.
        """
        begin, arrow, colon = self.definition
        if not self.typed:
            arguments, arrow, returns = [a.partition(":")[0] for a in arguments], "", ""
        return wrapped(f"{begin}{name}", arguments, f"{arrow}{returns}{colon}")

    def define(
        self,
        name: str,
        arguments: Sequence[str],
        returns: str,
        documentation: Sequence[str],
        body: Sequence[str],
        deeper: int = 0,
    ) -> list[str]:
        """A function.

        Args:
            name: of the function.
            arguments: each as ``name: type``.
            returns: the type of what it returns.
            documentation: paragraphs; none for no docstring.
            body: lines, indented by one level.
            deeper: by how many levels all is indented, for one that is defined inside others.

        Returns:
            lines of source.
        """
        lines = self.head(name, arguments, returns)
        lines += self.documentation(documentation) if documentation else []
        return indented([*lines, *body, *self.end], deeper)

    def made(self, head: str, name: str, fields: Sequence[str], indent: str = "    ") -> list[str]:
        """``head name(fields)``: a record with its fields by name.

        Args:
            head: what comes before it in the line, as "return ".
            name: of the record.
            fields: each as ``name=value``.
            indent: of the line.

        Returns:
            one line, or one for each field.
        """
        called, brackets = self.record
        return wrapped(head + called.format(name), fields, "", indent, brackets)


NUMPY = Syntax("np.")
_INVERSES = ("sin", "cos", "tan", "sinh", "cosh", "tanh")
MATH = Syntax(
    "math.",
    {"abs": "abs", "maximum": "max", "minimum": "min", "sign": "_sign"}
    | {f"arc{name}": f"math.a{name}" for name in _INVERSES},
    partial={"power": "math.pow"},  # where ** returns complex numbers, it raises
)
# of what is too large, infinite, or outside of the domain
BEYOND = (
    *("exp", "cosh", "sinh", "sin", "cos", "tan", "ceil"),
    *("arcsin", "arccos", "arccosh", "arctanh"),
)
# scalars of a step, which may grow: infinite where they are too large for a float, and NaN where they are not real,
# as in arrays
STEP = replace(
    MATH,
    functions={**MATH.functions, **{name: f"_{name}" for name in BEYOND}},
    partial={name: f"_{name}" for name in ("sqrt", "log", "power", "maximum", "minimum")},
)
JNP = replace(NUMPY, prefix="jnp.", guard=("<", "<=", "&", "|", "(", ")"))
EITHER = replace(NUMPY, prefix="xp.")  # NumPy or jax.numpy
