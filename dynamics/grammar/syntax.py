"""The language of system files: its grammar, and text to syntax trees.

A file is a list of statements. Each begins with a keyword, so that line breaks are free; `#` begins a
comment. Declarations may stand after their use. For example

    system heavy_ball
    blocks x, v                      # vectors; or `scalar T`, `matrix P`, `memory m`, `window(8) G`
    parameters c > 0, b              # > 0, >= 0, or any real number
    objective f                      # f(x), grad f(x), hess f(x)[v], D3 f(x)[u, v], prox f(x, s)
    objective g(p, q)                # g(x, y), grad_q g(x, y), and along directions grad_q g(x, y)[p: u]
    sample z ~ normal like x         # drawn in every step; laws are normal, rademacher, sphere, uniform, coordinate
    sample u ~ uniform               # a scalar: normal, rademacher, uniform in [0, 1], or rows
    map c                            # c(x), D c(x)[u], and the adjoint of that, adjoint c(x)[w]
    field damp:  v' = -c*v           # the drift is the sum of the fields
    field kick:  v' = -grad f(x)
    field drift: x' = v
    noise kick:  v += sqrt(2*c) dW   # one scalar amplitude, or a vector: one for each component
    noise leap:  v += c dJ(r)        # jumps at the rate r; `dJ(r) sharing clock`: all particles at the same times
    fast m = eps, w = 2*eps          # blocks that come to rest as eps tends to zero; 1/eps stands in their fields
    small eps, delta                 # of several small parameters, the largest first
    output x
    init x = x0, v = 0               # x0 is the starting point

is a system. So are equations of motion, at the beginning of a text or after the word `equations`:

    x'' + 3/t*x' + grad f(x) = 0,    # x, its velocity v, f and the time t need no declaration; the output is x
    y' = x - y                       # each equation gives one derivative, in which it is linear

With the statements below a system is a whole algorithm:

    scheme semi_implicit_euler(v, x) # or substeps: kick: explicit, damp: exact for 1/2, ...
    where  c = 2*sqrt(mu)            # bindings that are part of the discretization
    tuning h = 1/sqrt(L)             # bound last; h is the step
    clock  (k + 3/2)*h               # time at step k, where coefficients depend on it
    record w = x + v                 # further outputs

Expressions have + - * / ^ (or **), parentheses, whole numbers and decimals (read exactly) and pi, the
functions sqrt exp log sin cos tan asin acos atan sinh cosh tanh coth asinh acosh atanh abs sign floor
ceiling max min mod of scalars, `u .* v` or hadamard(u, v), inner(u, v), outer(u, v), apply(P, v), and
each(...), in which vectors stand for their components: each(m/(sqrt(v) + eps)). Operators are matrices,
identity, outer products, diagonal_operator(v), derivatives with a dot for the direction, as in hess
f(x)[.] and D c(x)[.], and transpose(P), apply(P, Q) and linear_solve(P, Q) of them; linear_solve(P, v)
and diagonal(P) are vectors, trace(P) is a scalar.
A window keeps the last values of what `set G = push(G, v)` gives it, and is a matrix of these columns.
argmin(f(x, y), y) and root(grad f(y) - x, y) are the y of a block where a scalar is least, or an equation holds.
linear_solve(P, v, cg, tol) says how numbers are found: diagonal, woodbury, cholesky, lu, cg, minres or gmres.
Exponents are numbers. `let q = sqrt(mu)*h` names an abbreviation.
mu, L (strong convexity, smoothness) and the step h are positive and need no declaration.

A substep is `fields: integrator` with modifiers:

    kick + damp: explicit            # two fields at once; `all` is every field
    drift: explicit look ahead       # saved as the stage `ahead`, not committed
    kick: explicit read x from ahead # x as it is at that stage
    flow: explicit for -1/2 read all from previous start  # a stage of the step before
    damp: frozen cayley for 1/2 on v at 1 save half
    descent: cayley on x sweep       # coordinate by coordinate; `sweep backward` from the last one
    heat: explicit for 1/2 sharing W1   # substeps that name one increment share its draw
    set m = b*m + grad f(x)          # assignment of a memory; `and` joins simultaneous ones
    if f(x) <= f(at(x, start)) { set r = 2*r } else { set x = at(x, start) and r = r/2 }   # a choice by a guard
    repeat 30 { set s = s/2, kick: explicit } until s < 1/8 counting n   # at most 30 times; n is a scalar block

A guard compares scalars by <, <=, > or >=, joined by `and` and `or`; at(x, stage) is a block at a stage. A loop whose
blocks settle at a fixed point is marked by `settling`; `save` goes with choices and loops too.

Integrators are explicit, implicit, cayley, exact, discrete_gradient (in sweeps), and midpoint, heun, rk4
and the like. Noise goes with explicit, implicit, cayley and exact.

GRAMMAR below is the language in full, in the EBNF of lark: `?` is optional or, before a rule, leaves
no node of its own; capitals are tokens, and of those without a rule here the keyword is the name.
"""

from __future__ import annotations

import functools
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..._support.errors import unknown
from .bounds import MAX_NESTING, MAX_STATEMENTS, MAX_TEXT
from .errors import ParseError, Source

if TYPE_CHECKING:
    from lark import Lark, Token, Tree, UnexpectedInput

GRAMMAR = r"""
file: equations? statement*

?statement: "system" NAME                                    -> system
    | "blocks" block ("," block)*                            -> blocks
    | "parameters" parameter ("," parameter)*                -> parameters
    | oracle function ("," function)*                        -> oracles
    | "sample" drawn ("," drawn)*                            -> samples
    | "time" NAME                                            -> time
    | "fast" binding ("," binding)*                          -> fast
    | "small" NAME ("," NAME)*                               -> small
    | "calculus" NAME                                        -> calculus
    | "let" binding ("," binding)*                           -> let
    | "field" NAME (":" equation ("," equation)*)?           -> field
    | "equations" equations
    | "noise" NAME ":" diffusion ("," diffusion)*            -> noise
    | "output" sum                                           -> output
    | "init" binding ("," binding)*                          -> init
    | "provenance" STRING                                    -> provenance
    | "references" NAME ("," NAME)*                          -> references
    | "step" NAME                                            -> step
    | "scheme" scheme
    | "where" bindings                                       -> where
    | "tuning" bindings                                      -> tuning
    | "clock" sum                                            -> clock
    | "record" bindings                                      -> record

function: NAME ("(" NAME ("," NAME)* ")")?
!oracle: "objective" | "operator" | "map" | "named" | "ensemble"
block: role? kind? NAME
    | "window" "(" length ")" NAME
length: NUMBER | NAME
!role: "memory" | "coefficient"
!kind: "scalar" | "vector" | "matrix" | "symmetric" | "pytree"
parameter: NAME (RELATION NUMBER)?
drawn: NAME "~" NAME ("like" NAME)?
equations: equated ("," equated)*
equated: sum "=" sum
equation: NAME PRIME "=" sum
diffusion: NAME "+=" sum? INCREMENT ("(" sum ")" ("sharing" CLOCK)?)?
bindings: binding ("," binding)*
binding: NAME "=" sum

scheme: NAME ("(" argument ("," argument)* ")")?             -> named_scheme
    | substep ("," substep)*                                 -> substeps
?argument: NAME ":" integrator                               -> part
    | NAME "=" NAME                                          -> option
    | NAME                                                   -> plain
?substep: names ":" integrator modifier*                     -> flow
    | "set" binding ("and" binding)* modifier*               -> assignment
    | "repeat" sum listed ("until" guard)? ending*           -> repetition
    | "if" guard listed ("else" listed)? ending*             -> selection
listed: "{" (substep ("," substep)*)? "}"
?ending: "counting" NAME                                     -> counting
    | SETTLING                                               -> settling
    | "save" NAME                                            -> save
guard: conjunction ("or" conjunction)*
conjunction: comparison ("and" comparison)*
comparison: sum (LESS | RELATION) sum
integrator: FROZEN? NAME
?modifier: "for" sum                                         -> fraction
    | "on" names                                             -> restriction
    | "at" sum                                               -> offset
    | "read" NAME "from" NAME+                               -> read
    | "save" NAME                                            -> save
    | "look" NAME                                            -> look
    | "sharing" NAME                                         -> sharing
    | "sweep" NAME?                                          -> sweep
names: NAME ("+" NAME)*

?sum: product ((PLUS | MINUS) product)*
?product: unary ((STAR | SLASH | HADAMARD) unary)*
?unary: power | (PLUS | MINUS)+ power                        -> signed
?power: atom (POW exponent)?
?exponent: atom | (PLUS | MINUS)+ atom                       -> signed
?atom: NUMBER                                                -> number
    | NAME                                                   -> name
    | NAME PRIME PRIME?                                      -> rate
    | "(" sum ")"
    | NAME "(" sum ("," sum)* ")"                            -> call
    | "at" "(" NAME "," NAME+ ")"                            -> staged
    | "grad" NAME "(" sum ")"                                -> grad
    | "hess" NAME "(" sum ")" "[" direction "]"              -> hess
    | DERIVATIVE NAME "(" point ")" "[" along ("," along)* "]" -> derivative
    | PARTIAL NAME "(" point ")" ("[" along ("," along)* "]")? -> partial
    | ADJOINT NAME "(" point ")" "[" direction ("," along)* "]" -> adjoint
    | "prox" NAME "(" sum "," sum ")"                        -> prox
    | "batch" NAME "(" sum "," sum ("," sum)? ")"            -> batch
    | "deviation" NAME "(" sum "," sum ("," sum)? ")"        -> deviation

point: sum ("," sum)*
?along: NAME ":" direction                                   -> slotted
    | direction
?direction: sum
    | HOLE                                                   -> hole

CLOCK: "clock"
FROZEN: "frozen"
RELATION: ">=" | ">"
LESS: "<=" | "<"
SETTLING: "settling"
PRIME: "'"
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
HADAMARD: ".*"
HOLE: /\.(?=[ \t]*[\],])/
POW: "^" | "**"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
NUMBER: /([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?(?![A-Za-z0-9_])/
STRING: /"[^"\r\n]*"/
INCREMENT.2: /d[A-Z][A-Za-z0-9_]*/
DERIVATIVE.2: /D[0-9]*(?=[ \t]+[A-Za-z_])/
PARTIAL.2: /grad_[A-Za-z0-9_]+(?=[ \t]+[A-Za-z_])/
ADJOINT.2: /adjoint(_[A-Za-z0-9_]+)?(?=[ \t]+[A-Za-z_])/

%ignore /[ \t\r\n]+/
%ignore /#[^\n]*/
"""

_WORDS = {
    "NAME": "a name", "NUMBER": "a number", "STRING": "words in double quotes", "INCREMENT": "an increment such as dW",
    "PRIME": "'", "RELATION": "> or >=", "EQUAL": "=", "COLON": ":", "COMMA": "a comma", "LPAR": "(", "RPAR": ")",
    "LESS": "< or <=", "LBRACE": "{", "RBRACE": "}", "LSQB": "[", "RSQB": "]",
    "__ANON_0": "+=", "FROM": "from", "HOLE": "a dot",
}  # fmt: skip
_OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "HADAMARD", "POW"}
_SENTENCES = {"FIELD", "BLOCKS", "OUTPUT"}  # what is expected where a statement may begin
_TYPED = {  # what people type or paste, and how it is written here
    "\\": "x' for \\dot x, a/b for \\frac{a}{b} and grad f(x) for \\nabla f(x); formulas of LaTeX are not read",
    "∇": "grad f(x)", "′": "' for a derivative", "’": "' for a derivative", "″": "'' for a second derivative",
    "·": "* for a product", "×": "* for a product", "⋅": "* for a product", "−": "- with the key of a hyphen",
    "²": "^2", "³": "^3", "√": "sqrt(x)",
}  # fmt: skip
_OPERANDS = {"NAME", "NUMBER", "RPAR", "RSQB"}  # what an operand may end with


@functools.cache
def parser() -> Lark:
    """The parser; lark loads with the first one."""
    from lark import Lark

    return Lark(
        GRAMMAR, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False,
        start=["file", "scheme", "bindings", "sum"],
    )  # fmt: skip


@functools.cache
def keywords() -> tuple[str, ...]:
    """The words of the language, which are no names."""
    words = [t.pattern.value for t in parser().terminals if t.pattern.type == "str"]
    return tuple(sorted(w for w in words if w.isalpha()))


def parse(source: Source, start: str = "file") -> Tree[Token]:
    """The syntax tree of a text; ParseError with the place and what was expected there."""
    from lark import UnexpectedInput

    if len(source.text) > MAX_TEXT:
        raise ParseError(
            f"the text is too long: {len(source.text):,} characters of at most {MAX_TEXT:,}.",
            1,
            1,
            "",
            source.name,
        )
    tokens: list[Token] = []
    try:
        tokens.extend(parser().lex(source.text))
        _check_nesting(source, tokens)
        tree: Tree[Token] = parser().parse(source.text, start=start)
    except UnexpectedInput as error:
        raise _explained(source, tokens, error) from None
    if start == "file" and len(tree.children) > MAX_STATEMENTS:
        raise source.error(
            f"there are too many statements: more than {MAX_STATEMENTS}.",
            tree.children[MAX_STATEMENTS],
        )
    return tree


def _check_nesting(source: Source, tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += {
            "LPAR": 1,
            "LSQB": 1,
            "LBRACE": 1,
            "RPAR": -1,
            "RSQB": -1,
            "RBRACE": -1,
        }.get(token.type, 0)
        if depth > MAX_NESTING:
            raise source.error(
                f"brackets are nested too deeply: more than {MAX_NESTING} levels.", token
            )


def _explained(source: Source, tokens: list[Token], error: UnexpectedInput) -> ParseError:
    from lark import UnexpectedCharacters, UnexpectedToken

    if isinstance(error, UnexpectedCharacters):
        rest = source.text.split("\n")[error.line - 1][error.column - 1 :]
        return source.error_at(_character(rest), error.line, error.column)
    assert isinstance(error, UnexpectedToken)
    found, expected = error.token, set(error.expected)
    if tokens and tokens[0].type == "NAME" and not _may_be_equation(tokens):
        found, expected = tokens[0], _beginning()
    before = [
        t for t in tokens if found.type == "$END" or (t.start_pos or 0) < (found.start_pos or 0)
    ]
    last = before[-1] if before else None
    ended = found.type == "$END"
    if last is not None and last.end_line != found.line:
        ended = ended or expected.isdisjoint(_SENTENCES)
    if last is not None and ended:  # the mistake is at the end of the line before
        end = "the text" if found.type == "$END" else "the line"
        return source.error_at(
            f"{end} ends too early: {_wanted(expected)}.", last.end_line or 1, last.end_column or 1
        )
    if last is None and found.type == "$END":
        return source.error_at(f"the text is empty: {_wanted(expected)}.", 1, 1)
    return source.error(_sentence(found, last, expected), found)


def _may_be_equation(tokens: list[Token]) -> bool:
    """Whether a text that begins with a name may begin with an equation of motion: else that is no keyword."""
    begun = tokens[1].type in {*_OPERATORS, "PRIME", "LPAR", "EQUAL"} if len(tokens) > 1 else False
    return begun and any(t.type == "PRIME" for t in tokens)


def _beginning() -> set[str]:
    """The tokens with which a file may begin."""
    begun: Any = parser().parse_interactive("", start="file")
    return set(begun.accepts())


def _character(rest: str) -> str:
    character = rest[:1]
    shown = repr(character) if character.isprintable() else ascii(character)
    if character in _TYPED:
        return f"the character {shown} has no meaning here: write {_TYPED[character]}."
    if character.isdigit() or (character == "." and rest[1:2].isdigit()):
        return "a number ends where a letter follows; write * between them, as in 2*x."
    if character == '"':
        return "the words in double quotes do not end on this line."
    hint = "; names are ASCII letters, digits and underscores" if character.isalpha() else ""
    return f"the character {shown} has no meaning here{hint}."


def _sentence(found: Token, last: Token | None, expected: set[str]) -> str:
    starting = not expected.isdisjoint(_SENTENCES)
    if starting and found.type == "NAME" and (last is None or last.end_line != found.line):
        if re.fullmatch(r"d\d?[A-Za-z]", found):
            return f"{str(found)!r} begins no statement: write {found[-1]}' and {found[-1]}'' for derivatives."
        statements = {n for n in expected if n.isalpha()} - _OPERATORS - set(_WORDS)
        return str(unknown("statement", str(found), (n.lower() for n in statements)))
    if found.type == "INCREMENT":
        return f"an increment follows its amplitude without *, as in noise kick: v += c {found}."
    factor = "STAR" in expected and found.type in {"NAME", "NUMBER", "LPAR"}
    if factor and last is not None and last.type in _OPERANDS:
        near = get_close_matches(last, ("grad", "hess", "prox"), 1) if found.type == "NAME" else []
        meant = f"did you mean {near[0]} {found}?" if near else "write * for a product."
        return f"an operator is missing before {found.value!r}: {meant}"
    if found.type == "POW":
        return "a power of a power needs parentheses, as in (a^b)^c."
    if found.type == "PRIME" and expected <= {"EQUAL"}:
        return "a field has derivatives of first order; write equations x'' + x' = 0, or fields x' = v and v' = ..."
    if found.type == "PRIME" and last is not None and last.type == "PRIME":
        return "a derivative is of first or second order; write a higher one by a block of its own, x'' = y, y' = ..."
    if found.type == "EQUAL" and "PRIME" in expected:
        return "a field gives derivatives: write v' = ... with a prime."
    if "NAME" in expected and found.value in keywords():
        return f"{found.value!r} is a word of this language and cannot be a name here; choose another one."
    return f"{found.value!r} is not what can stand here: {_wanted(expected)}."


def _wanted(expected: set[str]) -> str:
    if "NUMBER" in expected and "LPAR" in expected:
        return "an expression was expected"
    if expected & _OPERATORS:
        return "an operator or the end of the expression was expected"
    words = [_WORDS[n] for n in sorted(expected) if n in _WORDS]
    if not expected.isdisjoint(_SENTENCES):
        words.append("a statement such as field, output or init")
    elif "SAVE" in expected:
        words.append("a modifier such as for, on, at, read or save")
    shown = words[:4] or sorted(n.lower() for n in expected)[:4]
    return f"{' or '.join(shown)} was expected"
