"""Stand-alone checkers of every kind: their size, their loneliness, and the algebra of the one for checker."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._support.errors import OdescentError
from odescent.analysis import certify
from odescent.analysis.certificates import load
from odescent.analysis.certificates.checking import checker
from odescent.analysis.certificates.checking.checker import Number
from odescent.analysis.certificates.lower_bounds import spiral
from odescent.analysis.certificates.standalone import KINDS, checker_source

MADE = {
    "rate, rational": lambda: certify(od.algorithm("nesterov"), 1, 4),
    "rate, in Q(sqrt 10)": lambda: certify(od.algorithm("heavy_ball"), 1, 10),
    "rate, enclosed": lambda: certify(
        od.algorithm("conformal_heavy_ball").bind(h=sp.Rational(1, 4), c=2), 1, 10
    ),
    "rate, of the output": lambda: certify(od.algorithm("triple_momentum"), 1, 10),
    "iqc": lambda: certify(od.algorithm("heavy_ball"), 1, 10, multipliers="off_by_one"),
    "quadratics": lambda: certify(od.algorithm("ogda"), 1, 10, over="quadratics"),
    "horizon": lambda: certify(od.algorithm("nesterov_c"), 0, 1, horizon=3),
    "potential": lambda: certify({"alpha": Fraction(1, 2)}, 0, 1, horizon="all"),
    "flow": lambda: certify(od.system("gradient_flow"), Fraction(1, 3), 2),
}
CLAIM = {
    "rate": ("gap", Fraction(101, 100)),
    "quadratics": ("gap", Fraction(101, 100)), "horizon": ("bound", Fraction(99, 100)),
    "potential": ("growth", Fraction(101, 100)), "flow": ("rate", Fraction(101, 100)),
}  # fmt: skip


def test_one_file_that_imports_the_standard_library_alone() -> None:
    source = checker_source()
    assert source == Path(checker.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "." for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.Lambda) for node in ast.walk(tree)) and "fmt:" not in source
    calls = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"eval", "exec", "compile", "__import__", "float"}  # no rounding either


@pytest.mark.parametrize("name", MADE)
def test_it_proves_alone(name: str, tmp_path: Path) -> None:
    """In a bare interpreter; and a claim that is one part in a hundred better is refused."""
    script, file = tmp_path / "check.py", tmp_path / "certificate.json"
    script.write_text(checker_source())
    found = MADE[name]()
    document = found.to_dict()
    kind = document["kind"]
    assert (
        kind in KINDS and load(document).verify() and load(found.to_json()).says() == found.says()
    )
    key, factor = CLAIM[kind]
    for honest in (True, False):
        claimed = copy.deepcopy(document)
        if not honest:
            old = claimed["statement"][key]
            parts = [old] if isinstance(old, str) else old
            better = [str(Fraction(x) * factor) for x in parts]
            claimed["statement"][key] = better[0] if isinstance(old, str) else better
        file.write_text(json.dumps(claimed))
        command = [sys.executable, "-I", "-S", str(script), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (0 if honest else 1)
        assert done.stdout.startswith("proved:\nabout ") == honest
        assert honest or (done.stderr.startswith("not proved: ") and done.stderr.count("\n") == 1)


def test_the_whole_statement_is_printed() -> None:
    """Class, constants, N, from what, to what, for which matrices; and what is only a word."""
    said = certify(od.algorithm("nesterov_c"), 0, 1, horizon=3).says()
    for part in (
        "N = 3",
        "h_3 = [",
        "mu = 0, L = 1",
        "f(y_N) - f* <= c |x_0 - x*|^2",
        "a word that nothing",
    ):
        assert part in said
    said = MADE["rate, in Q(sqrt 10)"]().says()
    for part in (
        "A = [[161/81 - 44/81*sqrt(10) = 0.2698738636..",
        "= 0.15409408",
        "O(r^k)",
    ):
        assert part in said
    assert "whatever the numbers in these enclosures" in MADE["rate, enclosed"]().says()


def test_names_are_compared_with_the_library() -> None:
    found = certify(od.algorithm("nesterov"), 1, 10)
    document = found.to_dict()
    assert str(found).startswith("nesterov_sc: ") and str(load(document)).startswith(
        "nesterov_sc: "
    )
    renamed = load({**document, "name": "heavy_ball"})
    assert str(renamed).startswith("matrices that call themselves heavy_ball: ")
    assert str(load({**document, "name": ""})).startswith("a method of your own: ")
    table = certify({"h": [[1], [Fraction(1, 3), 1]]}, 0, 1, horizon=2)
    assert "call themselves" in str(load(table.to_dict()))
    for name, call in (
        ("ogm", lambda: certify(od.algorithm("ogm"), 0, 1, horizon=2)),
        (
            "extragradient",
            lambda: certify(od.algorithm("extragradient").bind(h=Fraction(1, 3)), 0, 1, horizon=2),
        ),
        ("gradient_flow", lambda: certify(od.system("gradient_flow"), 1)),
        (
            "gradient_descent",
            lambda: certify(od.algorithm("gradient_descent"), 0, 1, horizon="all"),
        ),
    ):
        assert str(call()).startswith(f"{name}: ")
        again = str(load(call().to_dict()))
        assert again.startswith(f"{name}: ") or (
            name == "extragradient" and "call themselves" in again
        )


def test_nothing_is_searched_for_to_print(monkeypatch: pytest.MonkeyPatch) -> None:
    found = certify(od.algorithm("heavy_ball"), 1, 15)

    def refuse(*_: object) -> None:
        raise AssertionError("no search is asked for")

    monkeypatch.setattr(spiral, "slowest_spiral", refuse)
    assert "at least 0.589" in str(found) and found.to_json() and repr(found) and found.latex()
    assert found.lower(0) is not None and found.verify() and found.says()
    with pytest.raises(AssertionError):
        found.lower()
    with pytest.raises(OdescentError, match="seconds"):
        found.lower(-1)


GARBAGE: dict[str, Any] = {
    "nothing": None, "a list": [], "a number": 3, "text": "certificate", "an empty object": {},
    "an older schema": {"schema": "odescent.certificate/2", "kind": "strict", "rate": "1/2"},
    "no parts": {"schema": "odescent.certificate/3"},
    "nan": {"schema": float("nan")},
}  # fmt: skip


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_gets_a_sentence(what: str) -> None:
    with pytest.raises(OdescentError, match="no certificate: ") as caught:
        load(GARBAGE[what])
    assert "certify anew" in str(caught.value) or what != "an older schema"


def test_no_key_is_overlooked() -> None:
    good = certify({"alpha": Fraction(1, 2)}, Fraction(1, 3), 1).to_dict()
    for key in ("", " ", "witness ", "rate", "method", "\u200b"):
        for part in (None, "statement", "witness", "lower"):
            bad = copy.deepcopy(good)
            (bad if part is None else bad[part])[key] = "1"
            with pytest.raises(OdescentError, match="no certificate"):
                load(bad)


def test_hostile_text_gets_a_sentence_soon() -> None:
    good = certify({"alpha": Fraction(1, 2)}, Fraction(1, 3), 1).to_dict()
    text = json.dumps(good)
    deep: Any = "1"
    for _ in range(900):
        deep = [deep]
    began = time.perf_counter()
    for hostile in (
        "[" * 3000 + "]" * 3000, "[" * 100_000, "{", '{"schema": NaN}', text.replace('"d": 1', '"d": 1.0'),
        text.replace('"d": 1', '"d": true'), text.replace('"d": 1', f'"d": {10**3000}'),
        text.replace('"d": 1', '"d": 1e400'),
        text.replace('"name"', '"name": "", "name"'), text.replace('"kind"', '"name": "x", "kind"'),
        text.replace('"memory": ', '"memory": 1000000000'), text.replace('"gap": "', '"gap": "' + "9" * 5000),
        "9" * 10**7 + "9", json.dumps({**good, "statement": deep}), json.dumps({**good, "witness": [[]] * 1000}),
    ):  # fmt: skip
        assert hostile != text
        with pytest.raises(OdescentError, match="no certificate"):
            load(hostile)
    assert time.perf_counter() - began < 10


small = st.fractions(-2, 2, max_denominator=3)


def method(A: Any, B: Any, C: Any, D: Any, low: Fraction, high: Fraction) -> checker.Method:
    """Matrices without a state at rest, which poles do not need."""
    found = checker.Method.__new__(checker.Method)
    found.n, found.p = len(A), len(C)
    found.A, found.B, found.C, found.D = (
        [[Number(Fraction(x)) for x in row] for row in m] for m in (A, B, C, D)
    )
    found.output = found.C[0]
    found.mu, found.L = Number(low), Number(high)
    return found


@settings(max_examples=15)
@given(
    st.integers(1, 3), st.integers(1, 2), st.lists(small, min_size=28, max_size=28),
    st.fractions(0, 4, max_denominator=7), st.booleans(),
)  # fmt: skip
def test_the_poles(n: int, p: int, entries: list[Fraction], t: Fraction, fed: bool) -> None:
    """Against SymPy's determinant at c = (low + high t)/(1 + t), with a gain from the output and without."""
    entry = iter(entries)
    A, B, C, D = (
        [[next(entry) for _ in range(w)] for _ in range(h)]
        for h, w in ((n, n), (n, p), (p, n), (p, p))
    )
    gain = [next(entry) if fed else Fraction(0) for _ in range(n)]
    z = sp.Symbol("z")
    mat = lambda m: sp.Matrix(m).applyfunc(lambda e: sp.Rational(e.numerator, e.denominator))
    low, high = Fraction(1, 2), Fraction(3)
    c = sp.Rational(str((low + high * t) / (1 + t)))
    top = (z * sp.eye(n) - mat(A) - mat([gain]).T * mat([C[0]])).row_join(-c * mat(B))
    whole = top.col_join((-mat(C)).row_join(sp.eye(p) - c * mat(D)))
    expected = sp.Poly(whole.det(method="berkowitz") * sp.Rational(str(1 + t)) ** p, z)
    gains = [Number(x) for x in gain] if fed else []
    it, at_c = method(A, B, C, D, low, high), Number(Fraction(c.p, c.q))
    for ends in ((Number(low), Number(high)), (at_c, at_c)):  # a positive multiple of it
        found = checker.poles(it, *ends, gains)
        values = [
            sum((x.a * t**i for (i,), x in e.c.items()), Fraction(0)) if hasattr(e, "c") else e.a
            for e in found
        ]
        wanted = [expected.coeff_monomial(z ** (n - k)) for k in range(n + 1)]
        exact = [sp.Rational(Fraction(v).numerator, Fraction(v).denominator) for v in values]
        factor = next((v / w for v, w in zip(exact, wanted, strict=True) if w), sp.S.One)
        assert factor > 0 and exact == [factor * w for w in wanted]


@settings(max_examples=20)
@given(st.lists(small, min_size=9, max_size=9), st.fractions(Fraction(1, 5), 2, max_denominator=9))
def test_roots_within(entries: list[Fraction], rate: Fraction) -> None:
    """Proved only where the poles of a grid of modes are at most the rate; at single modes also wherever they are."""
    A = [entries[:2], entries[2:4]]
    B, C, D = [[entries[4]], [entries[5]]], [entries[6:8]], [[-abs(entries[8])]]
    low, high = Fraction(1), Fraction(4)
    it = method(A, B, C, D, low, high)
    floats: list[Any] = [np.array(m, dtype=float) for m in (A, B, C, D)]

    def radius(c: float) -> float:
        step = floats[0] + c / (1 - c * floats[3][0, 0]) * floats[1] @ floats[2]
        return float(np.abs(np.linalg.eigvals(step)).max())

    for a, b in ((low, high), (low, low), (low, Fraction(3, 2)), (high, high)):
        proved = checker.within(checker.poles(it, Number(a), Number(b)), Number(rate), False)
        most = max(radius(float(c)) for c in np.linspace(float(a), float(b), 100))
        assert not proved or most <= float(rate) + 1e-9
        assert a != b or proved or most > float(rate) - 1e-9


def test_a_rate_of_zero_over_quadratics() -> None:
    """One pole at 0 is not all of them: x+ = x/2 beside a state that only remembers."""
    one, two = Fraction(1), Fraction(2)
    it = method([[one / 2, 0], [1, 0]], [[0], [0]], [[1, 0]], [[0]], one, two)
    rows = checker.poles(it, Number(one), Number(two))
    assert not checker.within(rows, Number(Fraction(0)), False)
    assert checker.within(rows, Number(one / 2), False)


def test_several_gradients_a_step_are_steps_of_the_library_s_method() -> None:
    method = od.algorithm("extragradient").bind(h=Fraction(1, 3))
    found = certify(method, 0, 1, horizon=2)
    again = load(found.to_dict())
    assert (found.horizon, found.gradients) == (2, 4)
    # its step is the person's own, so that the table is one of gradients
    assert (again.horizon, again.gradients) == (4, 4) and "call themselves" in str(again)


def test_a_clock_with_two_next_steps_has_no_single_bound() -> None:
    found = certify(od.algorithm("ogm"), 0, 1, horizon="all")
    document = found.to_dict()
    assert load(document).bound(3) == found.bound(3)
    # with v from 2 on there is a second root of now = t over above it
    document["statement"]["clock"]["from"] = "-100"
    with pytest.raises(OdescentError):
        load(document)


def test_one_step_where_the_class_is_one_function() -> None:
    """mu = L leaves |x - x*|^2 L/2 alone, which gradient descent minimizes at once."""
    found = certify(od.algorithm("gradient_descent"), 3, 3)
    assert found.rate == 0 and found.gap == 1 and "0 from some k on" in found.says()
    document = found.to_dict()
    document["statement"]["L"] = "301/100"
    with pytest.raises(OdescentError):
        load(document)
