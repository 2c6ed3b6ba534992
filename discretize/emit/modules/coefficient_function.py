"""The function `coefficients` of emitted modules: its checks, formulas and auxiliary functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1

from ..accuracy.cancellation import without_overflow
from ..accuracy.exact_sums import ExactSum
from ..accuracy.power_series import PowerSeries, Z
from ..lowering.domains import Domain, domain
from ..lowering.statements import Lowered
from ..printing.language import EITHER, MATH, NUMPY, Syntax
from ..printing.lines import WIDTH, tupled, width, wrapped
from ..printing.printer import Printer
from .text import coefficient_lines

_READABLE = 40  # characters of a quotient in emitted code
_DOC = '    """The coefficients; ValueError for {}hyper-parameters outside their domain."""'


@dataclass(frozen=True)
class _Numbers:
    """What hyper-parameters are: their type, which of them are checked, and the tests of one called ``value``."""

    type: str
    checked: str
    finite: str
    outside: str
    skipped: tuple[str, ...] = ()


_PLAIN = _Numbers("float", "", "not math.isfinite(value)", "value {}")
_TRACED = _Numbers(
    "ArrayLike", "known ", "not np.isfinite(value).all()", "np.any(np.asarray(value) {})",
    ("        if isinstance(value, jax.core.Tracer):", "            continue"),
)  # fmt: skip
_SCHEDULES = (
    "        if callable(value):",
    '            raise ValueError(f"{name}: wrap with optax.inject_hyperparams first.")',
)


def plain_coefficients(lowered: Lowered) -> list[list[str]]:
    """The sections for plain numbers: functions, then `coefficients`."""
    names = [s.name for s in lowered.parameters]
    fails = bool(names) and _may_fail(lowered)
    printer = Printer(MATH, series=lowered.coefficients.series())
    formulas = coefficient_lines(lowered, printer, indent="        " if fails else "    ")
    if fails:
        formulas = [
            "    try:",
            *formulas,
            "    except (ArithmeticError, ValueError):",
            *_not_finite(names),
            "        raise ValueError(message) from None",
        ]
    return [*_functions(lowered, MATH), [*_checked(names, domain(lowered), _PLAIN), *formulas]]


def traced_coefficients(lowered: Lowered, refuse_schedules: bool = False) -> list[list[str]]:
    """The sections for numbers that JAX may trace: by NumPy in double precision where it does not."""
    names = [s.name for s in lowered.parameters]
    lines = _checked(names, domain(lowered), _TRACED, _SCHEDULES if refuse_schedules else ())
    if not names or not lowered.coefficients.fields:
        constant = "jnp.array({}, dtype=float)"
        return [[*lines, *coefficient_lines(lowered, Printer(NUMPY), constant)]]
    formed = [
        *wrapped("def _formed", ["xp: Any", *(f"{p}: Any" for p in names)], " -> Coefficients:"),
        '    """The formulas in the numbers of xp: NumPy (double precision) or jax.numpy."""',
    ]
    each = ", ".join(names)
    line = f"    {each} = (xp.asarray(value, dtype=float) for value in ({each}))"
    if len(names) == 1 or width(line) > WIDTH:
        formed += [f"    {p} = xp.asarray({p}, dtype=float)" for p in names]
    else:
        formed.append(line)
    formed += coefficient_lines(lowered, Printer(EITHER, series=lowered.coefficients.series()))
    lines += any_of("known = not any", "isinstance(value, jax.core.Tracer)", names)
    lines += ['    with np.errstate(all="ignore"):']
    lines += wrapped("c = _formed", ["np if known else jnp", *names], "", "        ")
    lines += [
        "    if known and not all(np.isfinite(value).all() for value in c):",
        *_not_finite(names),
        "        raise ValueError(message)",
        "    return Coefficients(*(jnp.array(value, dtype=float) for value in c))",
    ]
    return [*_functions(lowered, EITHER), formed, lines]


def any_of(head: str, text: str, names: list[str]) -> list[str]:
    """``head(text for value in names)``, with the names on lines of their own where it does not fit.

    Args:
        head: what comes before the brackets.
        text: an expression in ``value``.
        names: the arguments that it runs over.

    Returns:
        lines of source.
    """
    lines = tupled(f"{head}({text} for value in ", names, ")")
    if len(lines) == 1:
        return lines
    return [*tupled("given = ", names), f"    {head}({text} for value in given)"]


def _not_finite(names: list[str]) -> list[str]:
    """The lines that say at which numbers a coefficient is not finite."""
    listed = ", ".join(f"{p} = {{{p}}}" for p in names)
    lines = [f'        where = f"{listed}"']
    if width(lines[0]) > WIDTH:
        pairs = [f'            "{p}": {p},' for p in names]
        lines = ["        shown = {", *pairs, "        }"]
        lines += ['        where = ", ".join(f"{n} = {v}" for n, v in shown.items())']
    return [*lines, '        message = f"the coefficients of a step are not finite at {where}."']


def _checked(
    names: list[str], found: Domain, numbers: _Numbers, first: tuple[str, ...] = ()
) -> list[str]:
    """The head of `coefficients`, and the checks of its arguments."""
    given = [f"{p}: {numbers.type}" for p in names]
    lines = wrapped("def coefficients", given, " -> Coefficients:")
    lines.append(_DOC.format(numbers.checked))
    if names:
        lines += tupled("for name, value in ", [f'("{p}", {p})' for p in names], ":")
        lines += [*first, *numbers.skipped, f"        if {numbers.finite}:"]
        lines += ['            raise ValueError(f"{name} must be a finite number, not {value}.")']
    for members, bad, words in _bounds(found):
        test = numbers.outside.format(bad)
        if len(members) == 1 and len(names) > 1:
            test = f'name == "{members[0]}" and {test}'
        elif set(members) != set(names):
            known = "{" + ", ".join(f'"{p}"' for p in members) + "}"
            test = f"name in {known} and {test}"
        lines += [f"        if {test}:"]
        lines += [f'            raise ValueError(f"{{name}} must be {words}, not {{value}}.")']
    if found.ordered:
        test = "mu > L"
        if numbers is _TRACED:
            known = "not isinstance(mu, jax.core.Tracer) and not isinstance(L, jax.core.Tracer)"
            test = "ordered and np.any(np.asarray(mu) > np.asarray(L))"
            lines += [f"    ordered = {known}"]
        lines += [f"    if {test}:"]
        lines += ['        raise ValueError(f"L must be at least mu, but L = {L} < mu = {mu}.")']
    return lines


def _bounds(found: Domain) -> list[tuple[list[str], str, str]]:
    """Parameters that share a bound, what is outside it, and its words."""
    listed = [
        (list(found.positive), "<= 0", "more than 0"),
        (list(found.nonnegative), "< 0", "at least 0"),
    ]
    for limit in sorted({each for several in found.limits.values() for each in several}):
        listed.append(([n for n, several in found.limits.items() if limit in several], *limit))
    return [b for b in listed if b[0]]


def _may_fail(lowered: Lowered) -> bool:
    """Whether Python's arithmetic can raise for numbers inside their domain."""

    def with_signs(e: sp.Expr) -> sp.Expr:  # expm1 has none in SymPy
        return e.replace(
            lambda n: isinstance(n, expm1) and n.args[0].is_nonpositive,
            lambda _: sp.Dummy(nonpositive=True),
        )

    def fails(e: sp.Expr) -> bool:
        if isinstance(e, PowerSeries):
            return False
        if isinstance(e, sp.exp):
            return not e.args[0].is_nonpositive
        if e.is_Pow:
            simple = (
                e.base.is_Symbol and e.base.is_positive and abs(e.exp) in (1, sp.Rational(1, 2))
            )
            root = e.exp == sp.Rational(1, 2) and with_signs(e.base).is_nonnegative
            return not (simple or root)
        return isinstance(e, sp.log) and not e.args[0].is_positive

    forms = lowered.coefficients.forms().values()
    return any(fails(n) for e in forms for n in sp.preorder_traversal(e))


# functions of the formulas

EXACT_SUM = '''
def _exact_sum(*products: tuple[float, ...]) -> float:
    """The sum of the products, formed exactly and rounded once."""
    exact = ([Fraction(float(x)) for x in factors] for factors in products)
    return float(sum(map(math.prod, exact)))
'''
EXACT_SUM_EITHER = '''
def _halves(x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers with half its digits, whose products are exact."""
    if isinstance(x, Array):
        info: Any = jnp.finfo
        exponent, mantissa = info(x.dtype).nexp, info(x.dtype).nmant
        high = jax.lax.reduce_precision(x, exponent, (mantissa - 1) // 2)
    else:
        shifted = (2.0**27 + 1) * x
        high = shifted - (shifted - x)
    return high, x - high


def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """a * b as a sum of two numbers: rounded, and what that leaves."""
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    rounded = a1 * b1 + ((a1 * b2 + a2 * b1) + a2 * b2)
    return rounded, a2 * b2 - (((rounded - a1 * b1) - a1 * b2) - a2 * b1)


def _exact_sum(*products: tuple[Any, ...]) -> Any:
    """The sum of the products, rounded as if it were formed in threefold precision."""
    parts: list[Any] = []
    for first, *rest in products:
        made = [first]
        for factor in rest:
            made = [part for x in made for part in _product(x, factor)]
        parts += made
    for _ in range(2):
        for i in range(1, len(parts)):
            a, b = parts[i - 1], parts[i]
            total = a + b
            more = total - a
            parts[i - 1], parts[i] = (a - (total - more)) + (b - more), total
    return sum(parts)
'''


def _functions(lowered: Lowered, syntax: Syntax) -> list[list[str]]:
    """What the formulas call: exact sums, and power series."""
    table = lowered.coefficients
    exact = EXACT_SUM if syntax is MATH else EXACT_SUM_EITHER
    found = [_series_function(kind, name, syntax) for kind, name in table.series().items()]
    if any(e.has(ExactSum) for e in table.forms().values()):
        found.insert(0, exact.strip("\n").splitlines())
    return found


def _quotient(c: sp.Rational) -> str:
    """A number as a quotient that a reader can check, or where that is long the float that is nearest to it."""
    if c.q == 1:
        return f"{c.p}.0"
    written = f"{c.p} / {c.q}"
    return written if len(written) <= _READABLE else repr(c.p / c.q)


def _series_function(kind: Any, name: str, syntax: Syntax) -> list[str]:
    """A function of one number: the formula where it is large, the series where it is small."""
    even = all(c == 0 for c in kind.terms[1::2]) and len(kind.terms) > 1
    kept = kind.terms[::2] if even else kind.terms
    numbers = [_quotient(c) for c in reversed(kept)]
    power = "{}**2" if even else "{}"
    direct = without_overflow(kind.total) / Z**kind.order
    number = Z.name
    text = Printer(syntax, lambda _: number).scalar(direct)
    start = sp.exp(kind.shift * Z)
    scale = "" if kind.shift == 0 else Printer(syntax, lambda _: "{}").scalar(start) + " * "
    doc = '    """The quotient below, by its power series where z is small."""'
    if syntax is MATH:
        body = [
            f"def {name}(z: float) -> float:",
            doc,
            f"    if z >= {float(kind.switch)}:",
            f"        return {text}",
            "    total = 0.0",
            *tupled("for c in ", numbers, ":"),
            f"        total = total * {power.format('z')} + c",
            f"    return {scale.format('z')}total",
        ]
        return body
    far = Printer(syntax, lambda _: "far").scalar(direct)
    return [
        f"def {name}(z: Any) -> Any:",
        doc,
        "    xp: Any = jnp if isinstance(z, Array) else np",
        f"    small = z < {float(kind.switch)}",
        f"    near, far = xp.where(small, z, 0.0), xp.where(small, {float(kind.switch)}, z)",
        "    total = 0.0",
        *tupled("for c in ", numbers, ":"),
        f"        total = total * {power.format('near')} + c",
        f"    quotient = {far}",
        f"    return xp.where(small, {scale.format('near')}total, quotient)",
    ]
