"""Scalars as people give them: exact values of numbers, parameters, their names, and sums of powers of e."""

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias, TypeVar

import sympy as sp
from sympy.core.assumptions import _assume_defined
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.polys.rings import PolyElement

from ..._support.errors import OdescentError, WrongType, check_choice, expected, shown, unknown
from ..._support.rendering.brief import short

_DIGITS = 1000  # of the numerator and of the denominator of a number that is given
_SMALLEST, _LARGEST = 1075, 1024  # binary digits of the least and the largest float
SINGULAR = (sp.nan, sp.zoo, sp.oo, -sp.oo)
N = TypeVar("N")
# What every target of emitted code has, by the words of files; coth is one over tanh there.
FUNCTIONS: Mapping[str, Any] = {
    "exp": sp.exp, "log": sp.log, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "asin": sp.asin, "acos": sp.acos,
    "atan": sp.atan, "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh, "coth": sp.coth, "asinh": sp.asinh,
    "acosh": sp.acosh, "atanh": sp.atanh, "abs": sp.Abs, "sign": sp.sign, "ceiling": sp.ceiling, "max": sp.Max,
    "min": sp.Min,
}  # fmt: skip
_KNOWN = frozenset(FUNCTIONS.values())
# Those of one number that arrays have, as NumPy calls them: arcsin, ceil.
OF_ARRAYS: Mapping[type[sp.Basic], str] = {
    function: re.sub("^a(?=sin|cos|tan)", "arc", word.removesuffix("ing"))
    for word, function in FUNCTIONS.items()
    if word not in ("coth", "max", "min")
}
_REWRITTEN: Mapping[type[sp.Basic], Callable[..., sp.Expr]] = {
    sp.floor: lambda a: -sp.ceiling(-a),
    sp.frac: lambda a: a + sp.ceiling(-a),
    sp.Mod: lambda a, b: a + b * sp.ceiling(-a / b),
    sp.sec: lambda a: 1 / sp.cos(a),
    sp.csc: lambda a: 1 / sp.sin(a),
    sp.cot: lambda a: sp.cos(a) / sp.sin(a),
    sp.sech: lambda a: 1 / sp.cosh(a),
    sp.csch: lambda a: 1 / sp.sinh(a),
}
_CHOICES = (sp.Heaviside, sp.Piecewise, *_REWRITTEN)
_ENTIRE = (
    sp.Max, sp.Min, sp.Abs, sp.sign, sp.ceiling, sp.sin, sp.cos, sp.tanh, sp.atan, sp.asinh
)  # fmt: skip
# Of a condition: 1 where it holds, and 1 where it fails.
Indicators: TypeAlias = tuple[sp.Expr, sp.Expr]
_LAYERS = 8  # of choices that come up when choices are written otherwise
_LONGEST = 200  # operations of a condition that is written into quotients
_ALWAYS = (sp.S.One, sp.S.Zero)
_AT_ZERO = (sp.exp, sp.sinh, sp.cosh, sp.tan, sp.asin, sp.acos, sp.atanh)  # are finite there


def as_scalar(value: object) -> sp.Expr:
    """A number or SymPy expression as an exact expression; floats are read as their decimals (0.1 is 1/10).

    Fractions, decimals and NumPy or JAX scalars are numbers too. Raises TypeError for anything else:
    strings (text is never evaluated), truth values, arrays, complex numbers, NaN and infinities.
    """
    if isinstance(value, sp.Expr):
        if value.is_Rational or value.is_Symbol:  # most of them
            return value
        if value in SINGULAR:
            raise WrongType(f"a finite number was expected, not {value}.")
        if value.has(sp.Float):
            floats = value.atoms(sp.Float)
            value = value.xreplace({f: _decimal(float(f) if f._prec == 53 else f) for f in floats})
        return _evaluated(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return sp.Integer(value)
    if not isinstance(value, (bool, str, bytes)) and not getattr(value, "ndim", 0):
        try:
            float(value)  # type: ignore[arg-type]  # refuses what has no single real value
            return _decimal(value)
        except OverflowError:
            return _decimal(value)
        except (TypeError, ValueError):
            pass
    raise WrongType(f"a finite number or SymPy expression was expected, not {shown(value)}.")


def as_real(value: object) -> sp.Expr:
    """As `as_scalar`; TypeError also for what is not real, or not finite, for any value of its symbols."""
    e = as_scalar(value)
    if not e.is_Rational and not e.is_Symbol and e.has(sp.I, *SINGULAR):
        raise WrongType(f"a finite real number or expression was expected, not {e}.")
    return e


@functools.lru_cache(maxsize=1 << 14)
def _evaluated(e: sp.Expr) -> sp.Expr:
    """With powers of e as exponentials and choices by signs.

    Raises:
        WrongType: for entries of matrices, and for functions that are not among `FUNCTIONS`.
    """
    entries = e.atoms(MatrixElement)
    if entries:
        raise WrongType(
            f"{min(map(str, entries))} is an entry of a SymPy matrix; give a number or a parameter, as "
            "od.parameters makes it."
        )
    if e.has(sp.E):
        e = e.replace(lambda n: n.is_Pow and n.base is sp.E, lambda n: sp.exp(n.exp))
    e = by_signs(e)
    others = (n for n in e.atoms(sp.Function) if n.func not in _KNOWN and not n.is_number)
    strange = [n for n in others if str(n.func.__module__).startswith("sympy.functions")]
    if strange:
        node = min(strange, key=str)
        raise WrongType(
            f"the function {node.func.__name__} in {node} is not among those of methods and systems: "
            f"{', '.join(FUNCTIONS)}, and powers."
        )
    return e


def by_signs(e: sp.Expr) -> sp.Expr:
    """The scalar with its steps and pieces written with signs and maxima, and in functions that are supported.

    Numbers are rounded up only: a mod b is a + b ceiling(-a/b). With I = max(0, sign(a - b)), which is 1 where a > b
    and else 0, and J = min(1, 1 - sign(a - b)), which is 1 where I is 0, pieces A and B are A I + B J.

    Raises:
        WrongType: for pieces that leave numbers out.
    """
    # SymPy takes whole numbers out of what is rounded, and may round the rest down
    for _ in range(_LAYERS):
        if not e.has(*_CHOICES):
            break
        e = e.replace(_chooses, _chosen)
    return e


def _chooses(e: sp.Basic) -> bool:
    return isinstance(e, _CHOICES)


def _chosen(e: sp.Expr) -> sp.Expr:
    if isinstance(e, sp.Heaviside):
        side, middle = sp.sign(e.args[0]), e.args[1]
        if middle == sp.S.Half:
            return (1 + side) / 2
        return sp.Max(0, side) + middle * sp.Max(0, 1 - sp.Abs(side))
    if isinstance(e, sp.Piecewise):
        return _of_pieces(e)
    return _REWRITTEN[e.func](*e.args)


def _of_pieces(e: sp.Piecewise) -> sp.Expr:
    *cases, (value, otherwise) = e.args
    if otherwise is not sp.true:
        raise WrongType(
            f"{e} has no value where none of its conditions holds; end it with (value, True)."
        )
    guarded, rest = [], _ALWAYS
    for piece, condition in cases:
        holds, fails = _indicators(condition, rest)
        guarded.append((_guarded(piece, _both(rest, (holds, fails))), holds, fails))
        rest = _both(rest, (fails, holds))
    value = _guarded(value, rest)
    for piece, holds, fails in reversed(guarded):
        value = piece * holds + value * fails
    return value


def _guarded(e: sp.Expr, where: Indicators) -> sp.Expr:
    """The scalar where a condition holds; where it fails a finite one, with quotients and functions of 1 or 0.

    Raises:
        WrongType: the condition is too long to be written into each quotient.
    """
    holds, fails = where
    if holds == 1:
        return e
    # squares are not negative, and parameters and the time may be 0
    least = {n for n in e.atoms(sp.AtomicExpr) if n.is_positive or getattr(n, "squared", False)}
    known = {n: sp.Dummy(nonnegative=True) for n in least if not n.is_number}

    def finite(n: sp.Basic) -> sp.Basic:
        if not n.args:
            return n
        first, *others = args = tuple(map(finite, n.args))
        if _fine(n):
            return n if args == n.args else n.func(*args)
        if holds.count_ops() > _LONGEST:
            raise WrongType(
                f"{short(e)} may not be finite where it is not taken, which takes a condition of more than {_LONGEST} "
                "operations: let od.Select choose between two steps, or keep arguments by sympy.Max and Min."
            )
        return n.func(holds * first + (0 if isinstance(n, _AT_ZERO) else fails), *others)

    return finite(e.xreplace(known)).xreplace({s: n for n, s in known.items()})


def _both(one: Indicators, other: Indicators) -> Indicators:
    """Of two conditions, whether both hold."""
    return one[0] * other[0], one[1] + one[0] * other[1]


def _indicators(condition: sp.Basic, where: Indicators = _ALWAYS) -> Indicators:
    """1 where the condition holds, and else 0; and 1 where it fails. Both are finite also elsewhere than ``where``.

    The second is not 1 less the first: of terms that cancel, a small piece would lose its digits.
    """
    if isinstance(condition, sp.Xor):
        condition = condition.to_nnf(simplify=False)
    if isinstance(condition, sp.ITE):
        first, *others = condition.args
        decides = _indicators(first, where)
        sides = [_both(where, decides), _both(where, decides[::-1])]
        (a, not_a), (b, not_b) = (_indicators(c, w) for c, w in zip(others, sides, strict=True))
        return decides[0] * a + decides[1] * b, decides[0] * not_a + decides[1] * not_b
    if isinstance(condition, sp.Not):
        return _indicators(condition.args[0], where)[::-1]
    if isinstance(condition, (sp.Le, sp.Ge, sp.Eq)):
        return _indicators(condition.negated, where)[::-1]
    if isinstance(condition, sp.Or):
        return _indicators(sp.And(*map(sp.Not, condition.args)), where)[::-1]
    if isinstance(condition, sp.And):
        # those that are finite say where the others count: v > 0 and u/v < 1
        found = _ALWAYS
        for c in sorted(condition.args, key=_divides):
            found = _both(found, _indicators(c, _both(where, found)))
        return found
    if condition in (sp.true, sp.false):
        return _ALWAYS if condition is sp.true else _ALWAYS[::-1]
    if not isinstance(condition, sp.core.relational.Relational):
        raise WrongType(f"a condition such as a < b was expected in a Piecewise, not {condition}.")
    side = sp.sign(_guarded(condition.lhs - condition.rhs, where))
    if isinstance(condition, sp.Ne):
        return sp.Abs(side), sp.Max(0, 1 - sp.Abs(side))
    side = side if isinstance(condition, sp.Gt) else -side
    return sp.Max(0, side), sp.Min(1, 1 - side)


def indicated(e: sp.Expr) -> tuple[sp.Expr, tuple[int, int, int]] | None:
    """What has the one sign in a scalar that is 0 or 1 whatever the sign is, and its values for -1, 0 and 1.

    Such a scalar is its own square; None for any other.
    """
    for s in e.atoms(sp.sign):
        if e.xreplace({s: sp.S.One}).free_symbols:
            continue
        values = [e.xreplace({s: sp.Integer(n)}) for n in (-1, 0, 1)]
        if all(v in (0, 1) for v in values):
            below, at, above = map(int, values)
            return s.args[0], (below, at, above)
    return None


def _divides(condition: sp.Basic) -> bool:
    """Whether the numbers of a condition may be infinite."""
    return not all(_fine(n) for n in nodes(condition) if n.args and isinstance(n, sp.Expr))


def _fine(e: sp.Basic) -> bool:
    """Whether a scalar is known to be finite where its parts are, and these are of a moderate size."""
    if e.is_number:
        return e not in SINGULAR
    if isinstance(e, sp.exp):
        return bool(e.args[0].is_nonpositive)
    if isinstance(e, sp.log):
        return bool(e.args[0].is_positive)
    if e.is_Pow:
        base, power = e.args
        whole = power.is_Integer and power.is_positive
        root = power.is_Rational and power.is_positive and base.is_nonnegative
        return bool(whole or root or base.is_positive)
    return e.is_Add or e.is_Mul or isinstance(e, _ENTIRE)


def nodes(e: sp.Expr) -> set[sp.Basic]:
    """Every part of a scalar expression, itself included, once."""
    found: set[sp.Basic] = set()
    waiting: list[sp.Basic] = [e]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.args
    return found


@functools.lru_cache(maxsize=1 << 14)
def nodes_of(e: sp.Expr, kind: type[N]) -> tuple[N, ...]:
    """The parts of a scalar expression that are of a kind, each once."""
    return tuple(n for n in nodes(e) if isinstance(n, kind))


def bounded(value: sp.Expr) -> sp.Expr:
    """The expression, if its numbers are of a size that floats have, and not too long; WrongType otherwise."""
    for n in value.atoms(sp.Rational):
        digits = max(int(n.p).bit_length(), int(n.q).bit_length()) * 3 // 10
        size = int(n.p).bit_length() - int(n.q).bit_length()
        if n != 0 and not (-_SMALLEST < size < _LARGEST and digits <= _DIGITS):
            raise WrongType(
                f"a number between 1e-323 and 1e308 of at most {_DIGITS} digits was expected, not one of about "
                f"{digits} digits near 1e{size * 3 // 10}."
            )
    return value


def exact_values(given: Mapping[Any, object] | None) -> dict[Any, sp.Expr]:
    """Values as exact expressions; OdescentError for what is no finite number or expression."""
    found = {}
    for symbol, value in (given or {}).items():
        try:
            found[symbol] = bounded(as_scalar(value))
        except TypeError as error:
            raise OdescentError(f"the value of {symbol}: {error}") from None
    return found


def check_known(given: Iterable[Any], known: Iterable[sp.Symbol]) -> None:
    """Refuse symbols that are not among the known parameters, with the nearest or the namesake."""
    for s in given:
        if s in known:
            continue
        namesake = next((p.name for p in known if p.name == str(s)), None)
        if namesake is None:
            raise unknown("parameter", s, [p.name for p in known])
        raise OdescentError(
            f"the symbol {s} is not the parameter of that name: its assumptions differ; "
            f"make it with parameters({namesake!r})."
        )


def _decimal(value: object) -> sp.Rational:
    """A number as the fraction or decimal that it prints as; ValueError if it prints as something else."""
    exact = Fraction(str(value))
    return sp.Rational(exact.numerator, exact.denominator)


def parameters(names: str, **assumptions: bool | None) -> Any:
    """Scalar parameters by name, positive by default: ``c, h = parameters("c h")``."""
    for name in assumptions:
        check_choice("assumption of SymPy called", name, _assume_defined)
    if not assumptions:
        assumptions = {"positive": True}
    found = tuple(sp.Symbol(n, **assumptions) for n in names_in("parameters", names, "c h"))
    return found[0] if len(found) == 1 else found


@functools.lru_cache(maxsize=4096)
def admitted(s: sp.Symbol, value: sp.Rational) -> sp.Expr | None:
    """A value that has all that is assumed of a symbol, such as to be even, by another one; None if none is found."""
    near = sp.Integer(max(abs(value.p), 2))
    for size in (value, near, 2 * near, 2 * near + 1, sp.S.Zero, sp.sqrt(2) * value):
        for e in (size, -size):
            known = (
                (getattr(e, f"is_{fact}", None), true) for fact, true in s.assumptions0.items()
            )
            if all(is_so is None or is_so == true for is_so, true in known):
                return e
    return None


@functools.lru_cache(maxsize=4096)
def told_apart(s: sp.Symbol) -> sp.Symbol:
    """A symbol whose name has all that SymPy compares; that of a parameter, which is positive, has its name alone."""
    parameter = s == sp.Symbol(s.name, positive=True)
    return sp.Symbol(s.name if parameter else repr(s._hashable_content()))


def names_in(function: str, names: str, example: str) -> list[str]:
    """Parse a list of names, separated by commas or spaces.

    Args:
        function: the public function that received the text, for messages.
        names: the text.
        example: a valid text, for messages.

    Raises:
        OdescentError: no text, no name, or an invalid name.
    """
    if not isinstance(names, str):
        raise expected(f"the names of {function}()", f"one text, as {example!r}", names)
    listed = [check_name(n) for n in names.replace(",", " ").split()]
    if not listed:
        raise OdescentError(f"{function}() needs at least one name, as in {function}({example!r}).")
    for name in listed:
        if listed.count(name) > 1:
            raise OdescentError(f"{function}() was given the name {name} twice.")
    return listed


def check_name(name: str) -> str:
    """The name if it can stand in emitted source; raises OdescentError otherwise."""
    if not isinstance(name, str):
        raise expected("a name", "a text", name)
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or len(name) > 60:
        raise OdescentError(
            f"{name!r} is not a valid name: use at most 60 letters, digits and underscores, beginning with a letter, "
            "and no Python keyword."
        )
    return name


_POWER = 32  # of an exponential of a number, where it is a power of another


def small_powers(numbers: set[sp.Rational]) -> dict[sp.Rational, dict[sp.Rational, int]]:
    """Positive numbers as small multiples of one of them or as a sum of two others, from which e to them follows.

    Each is written as units with how often they are in it. There are several units where one would be too small:
    e^(605/97) and e^(412/89) are the 53,845th and the 39,964th power of one number.
    """
    if not numbers:
        return {}
    unit = functools.reduce(lambda a, b: a.gcd(b), numbers)
    if max(numbers) <= _POWER * unit:
        return {n: {unit: int(n / unit)} for n in numbers}
    found: dict[sp.Rational, dict[sp.Rational, int]] = {}
    for n in sorted(numbers):
        multiple = next((u for u in found if (n / u).is_Integer and n / u <= _POWER), None)
        smaller = next((u for u in found if n - u in found), None)
        if multiple is not None:
            found[n] = {u: k * int(n / multiple) for u, k in found[multiple].items()}
        elif smaller is not None:
            one, other = found[smaller], found[n - smaller]
            found[n] = {u: one.get(u, 0) + other.get(u, 0) for u in {**one, **other}}
        else:
            found[n] = {n: 1}
    return found


def exponents(meaning: Mapping[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Rational]:
    """The generators that are e to a rational number, with that number."""
    found = {s: m.as_base_exp()[1] for s, m in meaning.items() if m.as_base_exp()[0] == sp.E}
    return {s: e for s, e in found.items() if e.is_Rational}


def vanishes(p: PolyElement, meaning: Mapping[sp.Symbol, sp.Expr]) -> bool:
    """Whether a polynomial is zero when the powers of e in each term are put together: True is a proof.

    False is one too where there is no relation beside that. Powers of e to different rational numbers are linearly
    independent over the rational numbers (Lindemann and Weierstrass; Baker, Transcendental Number Theory, 1975, theorem
    1.4), and those to different polynomials without constant terms over the functions of their symbols.
    """
    parts = {s: m.as_base_exp() for s, m in meaning.items()}
    powers = [parts[s][1] if s in parts and parts[s][0] == sp.E else None for s in p.ring.symbols]
    total: dict[object, object] = {}
    for monomial, c in p.terms():
        pairs = list(zip(monomial, powers, strict=True))
        exponent = sp.Add(*(n * e for n, e in pairs if e is not None and n))
        key = (exponent, *(n for n, e in pairs if e is None))
        total[key] = total.get(key, 0) + c
    return not any(total.values())


def constant(name: str, value: object, least: float = 0, strict: bool = False) -> sp.Expr:
    """A class constant as an exact expression.

    Args:
        name: of the constant, for messages.
        value: a number or a symbol.
        least: the lower bound of a number.
        strict: whether the bound itself is excluded.

    Raises:
        OdescentError: no finite real number, or one below the bound.
    """
    try:
        number = as_scalar(value)
    except TypeError:
        raise expected(name, "a finite number", value) from None
    try:
        bounded(number)
    except TypeError as error:
        raise OdescentError(f"{name}: {error}") from None
    if number.is_number:
        if not number.is_finite or not number.is_real:
            raise OdescentError(f"{name} must be a finite real number, not {short(value)}.")
        if number < least or (strict and number == least):
            raise OdescentError(
                f"{name} must be {'more than' if strict else 'at least'} {least}, not {short(value)}."
            )
    return number


def check_class(mu: sp.Expr | None, L: sp.Expr | None) -> None:
    """Refuse L < mu: no function is then in F(mu, L)."""
    if mu is not None and L is not None and (L - mu).is_number and L < mu:
        raise OdescentError(
            f"L must be at least mu, but L = {L} < mu = {mu}: no function has such constants."
        )
