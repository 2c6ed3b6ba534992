"""The function `coefficients` of emitted modules: its checks, the formulas, and power series that they need."""

from __future__ import annotations

from typing import Any

import sympy as sp

from .accurate import without_overflow
from .domains import Domain, domain
from .power_series import PowerSeries, Z
from .printing import EITHER, MATH, NUMPY, Namespace, Printer
from .statements import Lowered
from .text import WIDTH, coefficient_lines, loop, over, wrapped

_DOC = '    """The coefficients; ValueError for {}hyper-parameters outside their domain."""'


def plain_coefficients(lowered: Lowered) -> list[list[str]]:
    """The sections for plain numbers: power series, then `coefficients`."""
    names = [s.name for s in lowered.parameters]
    lines = wrapped("def coefficients", [f"{p}: float" for p in names], " -> Coefficients:")
    lines += [_DOC.format(""), *_plain_checks(names, domain(lowered))]
    series = lowered.coefficients.series()
    fails = bool(names) and _may_fail(lowered)
    indent = "        " if fails else "    "
    formulas = coefficient_lines(lowered, Printer(MATH, series=series), indent=indent)
    if fails:
        formulas = [
            "    try:",
            *formulas,
            "    except (ArithmeticError, ValueError):",
            *_not_finite(names, "        "),
            "        raise ValueError(message) from None",
        ]
    return [*_series_functions(series, MATH), lines + formulas]


def traced_coefficients(lowered: Lowered, refuse_schedules: bool = False) -> list[list[str]]:
    """The sections for numbers that JAX may trace: by NumPy in double precision where it does not."""
    names = [s.name for s in lowered.parameters]
    head = wrapped("def coefficients", [f"{p}: ArrayLike" for p in names], " -> Coefficients:")
    head.append(_DOC.format("known "))
    if not names or not lowered.coefficients.fields:
        checked = _traced_checks(names, domain(lowered), refuse_schedules)
        constant = "jnp.array({}, dtype=float)"
        return [[*head, *checked, *coefficient_lines(lowered, Printer(NUMPY), constant)]]
    series = lowered.coefficients.series()
    formed = [
        *wrapped("def _formed", ["xp: Any", *(f"{p}: Any" for p in names)], " -> Coefficients:"),
        '    """The formulas in the numbers of xp: NumPy (double precision) or jax.numpy."""',
    ]
    each = ", ".join(names)
    line = f"    {each} = (xp.asarray(value, dtype=float) for value in ({each}))"
    if len(names) == 1 or len(line) > WIDTH:
        formed += [f"    {p} = xp.asarray({p}, dtype=float)" for p in names]
    else:
        formed.append(line)
    formed += coefficient_lines(lowered, Printer(EITHER, series=series))
    lines = [*head, *_traced_checks(names, domain(lowered), refuse_schedules)]
    lines += over("known = not any", "isinstance(value, jax.core.Tracer)", names)
    lines += ['    with np.errstate(all="ignore"):']
    lines += wrapped("c = _formed", ["np if known else jnp", *names], "", "        ")
    lines += [
        "    if known and not all(np.isfinite(value).all() for value in c):",
        *_not_finite(names, "        "),
        "        raise ValueError(message)",
        "    return Coefficients(*(jnp.array(value, dtype=float) for value in c))",
    ]
    return [*_series_functions(series, EITHER), formed, lines]


def _not_finite(names: list[str], indent: str) -> list[str]:
    """The lines that say at which numbers a coefficient is not finite."""
    listed = ", ".join(f"{p} = {{{p}}}" for p in names)
    lines = [f'{indent}where = f"{listed}"']
    if len(lines[0]) > WIDTH:
        pairs = [f'"{p}": {p}' for p in names]
        lines = [f"{indent}shown = {{", *[f"{indent}    {p}," for p in pairs], f"{indent}}}"]
        lines += [f'{indent}where = ", ".join(f"{{n}} = {{v}}" for n, v in shown.items())']
    return [*lines, f'{indent}message = f"the coefficients of a step are not finite at {{where}}."']


# checks


def _plain_checks(names: list[str], found: Domain) -> list[str]:
    lines: list[str] = []
    if names:
        lines += _each(names, "not math.isfinite({})", "a finite number")
    for members, bad, words in _bounds(found):
        inside = _each(members, "{} " + bad, words)
        both = members == names and len(names) > 1
        lines += (
            inside[len(loop("name, value", [f'("{p}", {p})' for p in names])) :] if both else inside
        )
    return lines + _ordered(found, "if mu > L:")


def _bounds(found: Domain) -> list[tuple[list[str], str, str]]:
    """Parameters that share a bound, what is outside it, and its words."""
    listed = [
        (list(found.positive), "<= 0", "more than 0"),
        (list(found.nonnegative), "< 0", "at least 0"),
    ]
    for number in sorted(set(found.below.values())):
        members = [n for n, b in found.below.items() if b == number]
        listed.append((members, f">= {number}", f"less than {number}"))
    return [b for b in listed if b[0]]


def _each(names: list[str], bad: str, words: str) -> list[str]:
    """A check of one parameter, or of several in a loop."""
    if len(names) == 1:
        (p,) = names
        lines = [f"    if {bad.format(p)}:"]
        return [*lines, f'        raise ValueError(f"{p} must be {words}, not {{{p}!r}}.")']
    return [
        *loop("name, value", [f'("{p}", {p})' for p in names]),
        f"        if {bad.format('value')}:",
        f'            raise ValueError(f"{{name}} must be {words}, not {{value!r}}.")',
    ]


def _traced_checks(names: list[str], found: Domain, refuse_schedules: bool) -> list[str]:
    lines: list[str] = []
    if names:
        lines += loop("name, value", [f'("{p}", {p})' for p in names])
        if refuse_schedules:
            lines += ["        if callable(value):"]
            lines += [
                '            raise ValueError(f"{name}: wrap with optax.inject_hyperparams first.")'
            ]
        lines += ["        if isinstance(value, jax.core.Tracer):", "            continue"]
        lines += ["        if not np.isfinite(value).all():"]
        lines += ['            raise ValueError(f"{name} must be a finite number, not {value}.")']
        for members, bad, words in _bounds(found):
            test = f"np.any(np.asarray(value) {bad})"
            if len(members) == 1 and len(names) > 1:
                test = f'name == "{members[0]}" and {test}'
            elif members != names:
                known = "{" + ", ".join(f'"{p}"' for p in members) + "}"
                test = f"name in {known} and {test}"
            line = f"        if {test}:"
            lines += [line]
            lines += [f'            raise ValueError(f"{{name}} must be {words}, not {{value}}.")']
    known = "not isinstance(mu, jax.core.Tracer) and not isinstance(L, jax.core.Tracer)"
    ordered = _ordered(found, "if ordered and np.any(np.asarray(mu) > np.asarray(L)):")
    return lines + ([f"    ordered = {known}", *ordered] if ordered else [])


def _ordered(found: Domain, test: str) -> list[str]:
    if not found.ordered:
        return []
    return [
        f"    {test}",
        '        raise ValueError(f"L must be at least mu, but L = {L} < mu = {mu}.")',
    ]


def _may_fail(lowered: Lowered) -> bool:
    """Whether Python's arithmetic can raise for numbers inside their domain."""

    def fails(e: sp.Expr) -> bool:
        if isinstance(e, PowerSeries):
            return False
        if isinstance(e, sp.exp):
            return not e.args[0].is_nonpositive
        if e.is_Pow:
            simple = (
                e.base.is_Symbol and e.base.is_positive and abs(e.exp) in (1, sp.Rational(1, 2))
            )
            return not simple and e.exp != sp.Rational(1, 2)
        return False

    forms = lowered.coefficients.forms().values()
    return any(fails(n) for e in forms for n in sp.preorder_traversal(e))


# power series


def _series_functions(series: dict[Any, str], namespace: Namespace) -> list[list[str]]:
    return [_series_function(kind, name, namespace) for kind, name in series.items()]


def _series_function(kind: Any, name: str, namespace: Namespace) -> list[str]:
    """A function of one number: the formula where it is large, the series where it is small."""
    even = all(c == 0 for c in kind.terms[1::2]) and len(kind.terms) > 1
    kept = kind.terms[::2] if even else kind.terms
    numbers = [f"{c.p} / {c.q}" if c.q != 1 else f"{c.p}.0" for c in reversed(kept)]
    power = "{}**2" if even else "{}"
    direct = without_overflow(kind.total) / Z**kind.order
    number = Z.name
    text = Printer(namespace, lambda _: number).scalar(direct)
    start = sp.exp(kind.shift * Z)
    scale = "" if kind.shift == 0 else Printer(namespace, lambda _: "{}").scalar(start) + " * "
    doc = '    """The quotient below, by its power series where z is small."""'
    if namespace is MATH:
        body = [
            f"def {name}(z: float) -> float:",
            doc,
            f"    if z >= {float(kind.switch)}:",
            f"        return {text}",
            "    total = 0.0",
            *_loop_over(numbers),
            f"        total = total * {power.format('z')} + c",
            f"    return {scale.format('z')}total",
        ]
        return body
    far = Printer(namespace, lambda _: "far").scalar(direct)
    return [
        f"def {name}(z: Any) -> Any:",
        doc,
        "    xp: Any = jnp if isinstance(z, Array) else np",
        f"    small = z < {float(kind.switch)}",
        f"    near, far = xp.where(small, z, 0.0), xp.where(small, {float(kind.switch)}, z)",
        "    total = 0.0",
        *_loop_over(numbers),
        f"        total = total * {power.format('near')} + c",
        f"    quotient = {far}",
        f"    return xp.where(small, {scale.format('near')}total, quotient)",
    ]


def _loop_over(numbers: list[str]) -> list[str]:
    line = f"    for c in ({', '.join(numbers)}):"
    if len(line) <= WIDTH:
        return [line]
    return ["    for c in (", *[f"        {n}," for n in numbers], "    ):"]
