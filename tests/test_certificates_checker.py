"""The stand-alone checker: its arithmetic, its loneliness, and what it does with every number changed."""

from __future__ import annotations

import ast
import copy
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import certify, worst_case_rate
from odescent.analysis.certificates import checker
from odescent.analysis.certificates.checker import Number, Refused, check, definite, read

PATH = Path(checker.__file__)
METHODS = {
    "strict, in Q(sqrt 10)": lambda: certify(od.algorithm("heavy_ball"), 1, 10),
    "strict, rational": lambda: certify(od.algorithm("nesterov"), 1, 4),
    "identity": lambda: certify(od.algorithm("triple_momentum"), 1, 10),
    "enclosed": lambda: certify(
        od.algorithm("conformal_heavy_ball").bind(h=sp.Rational(1, 4), c=2), 1, 10
    ),
}

small = st.fractions(-3, 3, max_denominator=9)
numbers = st.builds(lambda a, b: Number(a, b, 7), small, small)


def exact(x: Number) -> sp.Expr:
    return sp.Rational(x.a.numerator, x.a.denominator) + sp.sqrt(7) * sp.Rational(
        x.b.numerator, x.b.denominator
    )


@given(numbers, numbers)
def test_arithmetic_in_the_field(x: Number, y: Number) -> None:
    for found, expected in (
        (x + y, exact(x) + exact(y)),
        (x - y, exact(x) - exact(y)),
        (x * y, exact(x) * exact(y)),
    ):
        assert sp.expand(exact(found) - expected) == 0
    assert x.sign() == sp.sign(exact(x))


@given(small, small, small, small, st.integers(0, 8))
def test_enclosures_enclose(a: Fraction, b: Fraction, e: Fraction, g: Fraction, at: int) -> None:
    x, y = Number(a, e=abs(e)), Number(b, e=abs(g))
    u, v = a + abs(e) * (at % 3 - 1), b + abs(g) * (at // 3 - 1)  # points of the intervals
    for found, value in ((x + y, u + v), (x - y, u - v), (x * y, u * v)):
        assert abs(value - found.a) <= found.e


@settings(max_examples=30)
@given(st.lists(numbers, min_size=9, max_size=9), st.integers(0, 3))
def test_definiteness_against_40_digits(entries: list[Number], rank: int) -> None:
    """Gram matrices (positive semidefinite, of any rank), with a shift that may spoil it."""
    rows = [entries[3 * i : 3 * i + 3] for i in range(rank)]
    shift = Number(Fraction(rank - 1, 2))
    gram = [
        [
            sum((r[i] * r[j] for r in rows), Number(0)) + (shift if i == j == 2 else Number(0))
            for j in range(3)
        ]
        for i in range(3)
    ]
    values = sp.Matrix(3, 3, lambda i, j: exact(gram[i][j]))
    minors = [
        sp.expand(values[list(keep), list(keep)].det())
        for size in (1, 2, 3)
        for keep in combinations(range(3), size)
    ]
    leading = [sp.expand(values[:k, :k].det()) for k in (1, 2, 3)]
    sign = lambda e: 0 if e == 0 else sp.sign(sp.N(e, 40))
    assert definite(gram, 7, False) == all(sign(m) >= 0 for m in minors)  # Sylvester
    assert definite(gram, 7, True) == all(sign(m) > 0 for m in leading)


def test_numbers_are_shown_as_people_write_them() -> None:
    """1 - sqrt(10)/10, which SymPy reads back as the same number; an enclosure with its radius."""
    tenth, third = Fraction(1, 10), Fraction(1, 3)
    assert str(Number(Fraction(1), -tenth, 10)) == "1 - sqrt(10)/10"
    for a, b, d in [
        (1, -1, 2),
        (third, 11 * third, 5),
        (0, third, 7),
        (0, -third, 7),
        (-tenth, 11, 3),
        (2, 0, 1),
    ]:
        shown = str(Number(Fraction(a), Fraction(b), d))
        wanted = sp.Rational(str(a)) + sp.Rational(str(b)) * sp.sqrt(d)
        assert (
            sp.sympify(shown) == wanted
            and "1*" not in shown.replace("11*", "")
            and "/1" not in (shown.replace("/10", ""))
        )
    assert str(Number(third, e=tenth)) == "1/3 +- 1/10"


def test_it_stands_alone() -> None:
    source = PATH.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    imported = {
        name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }  # fmt: skip
    assert imported <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", METHODS)
def test_it_proves_in_a_bare_interpreter(name: str, tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    document = METHODS[name]().to_dict()
    file.write_text(json.dumps(document))
    command = [sys.executable, "-I", "-S", str(PATH), str(file)]
    good = subprocess.run(command, capture_output=True, text=True, check=False)
    assert good.returncode == 0 and good.stdout.startswith("proved: the")
    file.write_text(json.dumps({**document, "rate": "1/2"}))
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and not bad.stdout and "not proved: Refused" in bad.stderr
    file.write_text("{")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all numbers of a document."""
    if isinstance(value, str):
        if path[-1] not in ("kind", "method", "schema"):
            yield path
    elif isinstance(value, int):
        yield path
    elif value is not None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from leaves(inner, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...], by: Fraction) -> dict[str, Any]:
    found = copy.deepcopy(document)
    place = found
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    place[path[-1]] = (
        old + (1 if by > 0 else -1) if isinstance(old, int) else str(Fraction(old) + by)
    )
    return found


def still_true(document: dict[str, Any]) -> bool:
    """Whether the claim holds by the float search, which shares no code with the checker.

    The method must rest at the minimizer, and its rate must be at most the one claimed (up to the search's
    tolerance).
    """
    d = document["d"]
    number = lambda t: read(t, d).a + float(read(t, d).b) * d**0.5
    A, B, C, D = (
        np.array([[float(number(e)) for e in row] for row in document[k]]) for k in "ABCD"
    )
    mu, L, rate = (float(number(document[k])) for k in ("mu", "L", "rate"))
    return worst_case_rate((A, B, C, D), mu, L) <= rate + 1e-6


@pytest.mark.parametrize("name", list(METHODS)[:3])
def test_every_number_changed_is_refused_or_still_true(name: str) -> None:
    document = dict(METHODS[name]().document)
    refused = 0
    paths = list(leaves(document))
    for at, path in enumerate(paths):
        other = changed(document, path, Fraction((-1) ** at, 10**4))
        try:
            check(other)
        except (Refused, ArithmeticError, LookupError, TypeError, ValueError):
            refused += 1
            continue
        # a multiplier, P or the rate changed within the margin, or a slightly better method
        assert still_true(other), path
    assert refused > len(paths) / 2


def test_what_is_refused() -> None:
    document = dict(METHODS["identity"]().document)
    cases = {
        "kind": {"kind": "hearsay"},
        "weight": {"weight": "0"},
        "rate": {"rate": ["1", "-1001/10000"]},
        "P": {"P": [[e if i == j else "0" for j, e in enumerate(row)] for i, row in enumerate(document["P"])]},
        "multiplier that is not there": {"lambda": {**document["lambda"], "0,7": "0"}},
        "multiplier from the minimizer": {"lambda": {**document["lambda"], "-1,1": "0"}},
        "negative multiplier": {"nu": {"0,-1": "-1"}},
        "sizes": {"C": [["1"]]},
        "fixed point": {"fixed_point": ["1", "2"]},
        "a square": {"d": 100},
        "empty class": {"L": "1/2"},
        "steps": {"steps": 0},
        "a size that would take for ever": {"steps": 10**9},
        "a number that would take for ever": {"rate": "1e-999999999"},
        "many digits": {"rate": "1/" + "9" * 5000},
    }  # fmt: skip
    check(document)
    for name, change in cases.items():
        with pytest.raises((Refused, LookupError, ValueError)):
            check({**document, **change})
            pytest.fail(name)


def test_the_example(tmp_path: Path) -> None:
    path = Path(__file__).parent.parent / "examples" / "certified_rate.py"
    specification = importlib.util.spec_from_file_location("certified_rate", path)
    assert specification is not None and specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    value, theory = example.main(tmp_path / "out")
    assert theory <= value < theory + 1e-15
    assert (tmp_path / "out" / "check_certificate.py").read_text() == PATH.read_text()
