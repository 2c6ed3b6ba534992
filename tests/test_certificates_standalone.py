"""Stand-alone checkers of every kind: their size, their loneliness, and the algebra of the one for quadratics."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._errors import OdescentError
from odescent.analysis import certify
from odescent.analysis.certificates import checker_quadratics as quadratics
from odescent.analysis.certificates import load
from odescent.analysis.certificates.checker import Number
from odescent.analysis.certificates.standalone import KINDS, check_of, checker_source

MADE = {
    "strict": lambda: certify(od.algorithm("nesterov"), 1, 4),
    "identity": lambda: certify(od.algorithm("triple_momentum"), 1, 10),
    "iqc": lambda: certify(od.algorithm("heavy_ball"), 1, 10, multipliers="off_by_one"),
    "quadratics": lambda: certify(od.algorithm("ogda"), 1, 10, over="quadratics"),
    "horizon": lambda: certify(od.algorithm("ogm"), 0, 1, horizon=3),
    "potential": lambda: certify({"alpha": Fraction(1, 2)}, 0, 1, horizon="all"),
    "flow": lambda: certify(od.system("gradient_flow"), Fraction(1, 3), 2),
}
CLAIM = {"horizon": "bound", "potential": "growth"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_proves_alone(kind: str, tmp_path: Path) -> None:
    source = checker_source(kind)
    assert len(source.splitlines()) < 150
    tree = ast.parse(source)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "." for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    script, file = tmp_path / "check.py", tmp_path / "certificate.json"
    script.write_text(source)
    document = MADE[kind]().to_dict()
    assert document["kind"] == kind and load(document).verify()
    key = CLAIM.get(kind, "rate")
    for honest in (True, False):
        claimed = copy.deepcopy(document)
        if not honest:  # one part in a thousand better
            factor = Fraction(1001, 1000) if kind in ("flow", "potential") else Fraction(999, 1000)
            text = claimed[key]
            parts = [text] if isinstance(text, str) else text
            better = [str(Fraction(x) * factor) for x in parts]
            claimed[key] = better[0] if isinstance(text, str) else better
        file.write_text(json.dumps(claimed))
        command = [sys.executable, "-I", "-S", str(script), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("proved:") == honest and done.returncode == (
            0 if honest else 1
        )
        assert honest or "not proved: Refused" in done.stderr
    assert check_of(kind)(document)


def test_unknown_kinds() -> None:
    for call in (
        lambda: checker_source("flows"),
        lambda: load({"kind": "flows"}),
        lambda: load({}),
    ):
        with pytest.raises(OdescentError, match="kind of certificate"):
            call()


small = st.fractions(-2, 2, max_denominator=3)


@settings(max_examples=15)
@given(
    st.integers(1, 3),
    st.integers(1, 2),
    st.lists(small, min_size=25, max_size=25),
    st.fractions(0, 1, max_denominator=7),
)
def test_the_pencil(n: int, p: int, entries: list[Fraction], t: Fraction) -> None:
    """Against SymPy's determinant, and its values by Bernstein's coefficients."""
    it = iter(entries)
    A, B, C, D = (
        [[next(it) for _ in range(w)] for _ in range(h)]
        for h, w in ((n, n), (n, p), (p, n), (p, p))
    )
    z, lam = sp.symbols("z lambda")
    mat = lambda m: sp.Matrix(m).applyfunc(lambda e: sp.Rational(e.numerator, e.denominator))
    top = (z * sp.eye(n) - mat(A)).row_join(-lam * mat(B))
    expected = sp.Poly(
        top.col_join((-mat(C)).row_join(sp.eye(p) - lam * mat(D))).det(method="berkowitz"), z, lam
    )
    numbers = [[[Number(e) for e in row] for row in m] for m in (A, B, C, D)]
    found = {
        k: sp.Rational(x.a.numerator, x.a.denominator)
        for k, x in quadratics.pencil(*numbers).items()
        if x
    }
    assert found == dict(expected.terms())
    low, high = Number(Fraction(1, 2)), Number(Fraction(3))
    at = Fraction(1, 2) + t * Fraction(5, 2)
    rows = quadratics.everywhere(*numbers, low, high)
    for k, row in enumerate(rows):
        value = sum(
            Fraction(int(sp.binomial(p, i))) * t**i * (1 - t) ** (p - i) * c.a
            for i, c in enumerate(row)
        )
        power = expected.as_expr().subs(lam, sp.Rational(at.numerator, at.denominator))
        assert sp.Poly(power, z).coeff_monomial(z ** (n - k)) == sp.Rational(
            value.numerator, value.denominator
        )


@settings(max_examples=20)
@given(st.lists(small, min_size=9, max_size=9), st.fractions(Fraction(1, 5), 2, max_denominator=9))
def test_roots_within(entries: list[Fraction], rate: Fraction) -> None:
    """Proved only where the poles of a grid of modes are at most the rate; and wherever they are well below."""
    A = [entries[:2], entries[2:4]]
    B, C, D = [[entries[4]], [entries[5]]], [entries[6:8]], [[-abs(entries[8])]]
    numbers = [[[Number(Fraction(e)) for e in row] for row in m] for m in (A, B, C, D)]
    proved = quadratics.within_everywhere(
        quadratics.everywhere(*numbers, Number(Fraction(1)), Number(Fraction(4))), Number(rate)
    )
    floats: list[Any] = [np.array(m, dtype=float) for m in (A, B, C, D)]
    radius = max(
        np.abs(
            np.linalg.eigvals(floats[0] + lam / (1 - lam * floats[3][0, 0]) * floats[1] @ floats[2])
        ).max()
        for lam in np.linspace(1, 4, 200)
    )
    assert not proved or radius <= float(rate) + 1e-9
    assert proved or radius > float(rate) - 1e-3
