"""A sample of the attacks on certificate documents, those that got through once, and the truth that decides.

`python tests/attacks_on_certificates.py` does them all.
"""

from __future__ import annotations

import copy
import random
import time
from fractions import Fraction
from typing import Any

import pytest
from attacks_on_certificates import (
    at,
    attacks_on,
    hidden_attacks,
    leaf_attacks,
    outcome,
    put,
    resting_attacks,
    size_attacks,
    symmetry_attacks,
)
from truth_of_certificates import verdict, worst_case
from valid_certificates import valid

import odescent as od
from odescent.analysis.certificates import load
from odescent.analysis.certificates.checking import checker

pytest.importorskip("cvxpy")  # it decides primal worst cases

QUICK = (
    "rate/nesterov10", "rate/gradient", "rate/triple_momentum", "iqc/three", "quadratics/ogda", "flow/gradient",
    "flow/infinite", "horizon/nesterov", "horizon/gradient", "potential/short",
)  # fmt: skip
PASSED = ("refused", "same claim", "true")


@pytest.mark.parametrize("name", QUICK)
def test_what_is_altered_is_refused_or_true(name: str) -> None:
    attacks = list(attacks_on(name))
    assert len(attacks) > 200
    for form, attack in random.Random(7).sample(attacks, 60):
        found = outcome(attack, valid(name))
        assert found in PASSED, (form, found, attack)


@pytest.mark.parametrize("name", ["rate/nesterov10", "iqc/three", "flow/heavy_ball"])
def test_other_methods_with_the_same_state_at_rest(name: str) -> None:
    """What a scaled entry breaks is not what refuses these."""
    attacks = list(resting_attacks(valid(name)))
    assert len(attacks) > 10
    for attack in random.Random(5).sample(attacks, 10):
        assert outcome(attack, valid(name)) in PASSED


@pytest.mark.parametrize("name", ["rate/gradient", "horizon/nesterov", "potential/short"])
def test_all_symmetries(name: str) -> None:
    """Whole symmetries pass or not, but their parts never prove anything false."""
    attacks = list(symmetry_attacks(valid(name)))
    assert len(attacks) > 20
    for attack in random.Random(3).sample(attacks, min(40, len(attacks))):
        assert outcome(attack, valid(name)) in PASSED


@pytest.mark.parametrize(
    "name", ["rate/nesterov10", "horizon/longer", "potential/short", "flow/infinite"]
)
def test_sizes_beyond_the_bounds_are_refused_soon(name: str) -> None:
    attacks = list(size_attacks(valid(name)))
    assert len(attacks) > 50
    began = time.process_time()
    for attack in random.Random(5).sample(attacks, 50):
        with pytest.raises(checker.Refused):
            checker.check(attack)
    assert time.process_time() - began < 20


def test_a_state_that_nothing_reads_has_to_decay() -> None:
    """And the verdict sees it: equal responses from gradients to points do not."""
    for name in (
        "rate/nesterov10",
        "rate/triple_momentum",
        "quadratics/nesterov",
        "flow/heavy_ball",
    ):
        attacks = list(hidden_attacks(valid(name)))
        assert attacks
        for attack in attacks:
            assert outcome(attack, valid(name)) in PASSED
    hidden = next(hidden_attacks(valid("rate/nesterov10")))
    assert hidden["statement"]["bounded"] == "state"
    assert verdict(hidden, valid("rate/nesterov10")) == "false"
    assert (
        verdict(next(hidden_attacks(valid("quadratics/nesterov"))), valid("quadratics/nesterov"))
        == "false"
    )


def altered(name: str, **changes: Any) -> dict[str, Any]:
    """A valid document with other parts of the statement or witness."""
    document = copy.deepcopy(valid(name))
    for key, value in changes.items():
        part = "statement" if key in document["statement"] else "witness"
        document[part][key] = value
    return document


def test_the_start_of_a_bound_for_all_steps_cannot_be_scaled() -> None:
    """begin = 1/2 and all weights times four proved a bound four times too good; now the start is no field."""
    document = valid("potential/short")
    assert "begin" not in document["statement"] and "v = [1]" in checker.check(document)
    times = lambda p: [str(4 * Fraction(x)) for x in p]
    w = document["witness"]
    better = altered(
        "potential/short", growth=times(document["statement"]["growth"]), a=times(w["a"]),
        Q={k: times(x) for k, x in w["Q"].items()}, nu={k: times(x) for k, x in w["nu"].items()},
        first={k: str(4 * Fraction(x)) for k, x in w["first"].items()},
        **{"lambda": {k: {e: str(4 * Fraction(x)) for e, x in p.items()} for k, p in w["lambda"].items()}},
    )  # fmt: skip
    with pytest.raises(checker.Refused, match="too large at the start"):
        checker.check(better)
    better["statement"]["C"], better["statement"]["output"] = [["1/2"]], [["1/2"]]  # its start: 2
    assert outcome(better, document) in PASSED


def test_the_number_of_steps_is_the_table_s() -> None:
    document = valid("horizon/longer")
    assert "N = 4" in checker.check(document)
    for change in (
        {**document["statement"], "horizon": 1},
        {**document["statement"], "points": [[], ["-1"]]},
    ):
        with pytest.raises(checker.Refused):
            checker.check({**document, "statement": change})


def test_a_name_proves_nothing() -> None:
    renamed = {**valid("rate/nesterov10"), "name": "heavy_ball"}
    assert "a word that nothing here depends on" in checker.check(renamed)
    assert str(load(renamed)).startswith("matrices that call themselves heavy_ball:")


def test_what_decides_can_tell() -> None:
    """The independent verdict, on statements that are false: a better claim, another method, another class."""
    for name, changes in (
        ("rate/gradient", {"gap": "26/100"}), ("rate/nesterov10", {"gap": "1/3"}),
        ("rate/gradient", {"B": [["-9/10"]]}), ("quadratics/ogda", {"mu": "1/2"}),
        ("flow/gradient", {"rate": "2/5"}), ("flow/infinite", {"mu": "1/2"}),
        ("horizon/nesterov", {"bound": "1/12"}), ("horizon/gradient", {"L": "4"}),
        ("potential/short", {"growth": ["2", "3"]}),
    ):  # fmt: skip
        assert verdict(altered(name, **changes), valid(name)) == "false", name
    assert abs(worst_case([[0, 0], [-1, 0]], 0.0, 1.0, "value", "distance") - 1 / 6) < 1e-6


def test_no_attack_is_a_crash() -> None:
    """Whatever is done to a leaf, the answer is a sentence: in the package an OdescentError."""
    attacks = list(leaf_attacks(valid("rate/gradient")))
    for attack in random.Random(11).sample(attacks, 150):
        try:
            load(attack)
        except od.OdescentError as reason:
            assert "\n" not in str(reason)


def test_a_lower_bound_has_one_kind() -> None:
    """The word was not compared where another kind of lower bound was the only one that there is."""
    for name in ("rate/gradient", "quadratics/ogda", "flow/gradient", "horizon/nesterov"):
        document = valid(name)
        for kind in {"quadratic", "spiral", "function", ""} - {document["lower"]["kind"]}:
            with pytest.raises(checker.Refused):
                checker.check({**document, "lower": {**document["lower"], "kind": kind}})


def forged(name: str, changes: dict[tuple[Any, ...], Any]) -> dict[str, Any]:
    """A valid document without its lower bound, with other parts."""
    document = {key: part for key, part in valid(name).items() if key != "lower"}
    for path, value in changes.items():
        document = put(document, path, value)
    return document


@pytest.mark.parametrize("name", QUICK)
def test_no_weight_may_be_negative(name: str) -> None:
    """Each weight of each kind, and one of each pair that has none."""
    w = valid(name)["witness"]
    attacks = []
    for part in {"nu", "lambda", "first"} & {*w}:
        for i, j in ((i, j) for i in range(-1, 3) for j in range(-1, 3)):
            old = w[part].get(f"{i},{j}")
            flat: Any = old if isinstance(old, (str, type(None))) else None
            new: Any = str(-Fraction(flat or 1))
            if name.startswith("potential") and part != "first":
                new = {"0,0": "-1"} if part == "lambda" else ["-1"]
            attacks.append(forged(name, {("witness", part, f"{i},{j}"): new}))
        if part == "lambda" and not name.startswith("potential"):
            less = {key: str(-Fraction(x)) for key, x in w[part].items() if isinstance(x, str)}
            attacks.append(forged(name, {("witness", part): less})) if less else None
    if "weight" in w:
        attacks += [forged(name, {("witness", "weight"): x}) for x in ("0", "-1")]
    for attack in attacks:
        with pytest.raises(checker.Refused):
            checker.check(attack)


@pytest.mark.parametrize(
    ("points", "weights"),
    [
        ([[]], {"0,-1": "-1/4"}),
        ([[], ["-1/1000"]], {"1,0": "3/10", "0,1": "1/5"}),  # that of (-1, 0) follows, -1/10
    ],
)
def test_signs_are_looked_at_where_the_form_is_positive(
    points: list[list[str]], weights: dict[str, str]
) -> None:
    """f(y_N) - f* <= 1000 |x_0 - x*|^2, so weak that the form is positive with negative weights in it."""
    statement = {
        "d": 1, "mu": "0", "L": "1", "bound": "1000", "points": points, "measure": "value", "start": "distance",
    }  # fmt: skip
    parts = {"schema": checker.SCHEMA, "name": "", "kind": "horizon", "statement": statement}
    it = checker.Steps(statement)
    given = {tuple(map(int, k.split(","))): it.number(x) for k, x in weights.items()}
    left, star = checker.follow(it.claim, it.factors, given)
    assert min(x.sign() for x in (given | star).values()) < 0
    assert checker.definite(left.put(it.where).matrix(it.vectors))
    with pytest.raises(checker.Refused, match="a weight is negative"):
        checker.check({**parts, "witness": {"lambda": weights}})


@pytest.mark.parametrize("name", ["potential/short", "potential/gradient"])
def test_function_values_have_to_cancel(name: str) -> None:
    """Each of the three inequalities of a potential; elsewhere the weights that follow see to it."""
    document = valid(name)
    s, w = document["statement"], document["witness"]
    a = [*w["a"], "0", "0"][:3]
    for changes in (
        {("witness", "a"): [str(Fraction(a[0]) + 1), *w["a"][1:]]},
        {("witness", "first"): {}},
        {("witness", "first"): {"-1,0": "1/1000"}},
        {("witness", "nu"): {}},
        {("witness", "lambda"): {}},
        {("statement", "growth"): [str(Fraction(x) / 2) for x in s["growth"]]},
    ):
        if not any(at(document, path) != value for path, value in changes.items()):
            continue
        with pytest.raises(checker.Refused):
            checker.check(forged(name, changes))


def test_pairs_that_are_not_there() -> None:
    """Weights of pairs from the minimizer follow; no point beyond the last has one, and none with itself."""
    for name, part in (
        ("rate/nesterov10", "lambda"), ("rate/nesterov10", "nu"), ("flow/gradient", "lambda"),
        ("flow/gradient", "nu"), ("horizon/nesterov", "lambda"), ("potential/short", "first"),
    ):  # fmt: skip
        for key in ("-1,0", "0,0", "0,9", "9,0", "-1,-1", "-2,0", "0,-2", "0, 1", "00,1"):
            if key in valid(name)["witness"][part] or (part != "lambda" and key == "-1,0"):
                continue
            with pytest.raises(checker.Refused):
                checker.check(forged(name, {("witness", part, key): "1"}))
    for key in ("0,1", "1,0", "1,-1"):  # the bound of potential/short is at y_k: there is no output
        with pytest.raises(checker.Refused):
            checker.check(forged("potential/short", {("witness", "nu", key): ["1"]}))


def test_rows_have_the_length_of_what_they_are_over() -> None:
    """A row of a table that reads gradients which are not there was no statement, and passed."""
    document = forged("horizon/gradient", {})
    points, lam = document["statement"]["points"], document["witness"]["lambda"]
    last = len(points) - 1
    points.insert(last, ["1"] * 6)
    document["witness"]["lambda"] = {
        ",".join(str(last + 1) if i == str(last) else i for i in key.split(",")): x
        for key, x in lam.items()
    }
    with pytest.raises(checker.Refused, match="no gradient"):
        checker.check(document)
    for name in ("rate/nesterov10", "quadratics/ogda", "flow/gradient"):
        s = valid(name)["statement"]
        for key in {"A", "B", "C", "D", "output", "rest"} & {*s}:
            for longer in ([*s[key], s[key][0]], s[key][:-1]):
                with pytest.raises(checker.Refused):
                    checker.check(forged(name, {("statement", key): longer}))
            if isinstance(s[key][0], list):
                with pytest.raises(checker.Refused):
                    checker.check(forged(name, {("statement", key, 0): [*s[key][0], "0"]}))
    P = valid("rate/nesterov10")["witness"]["P"]
    for other in ([*P, ["1"]], P[:-1], [row[::-1] for row in P][::-1]):
        with pytest.raises(checker.Refused):
            checker.check(forged("rate/nesterov10", {("witness", "P"): other}))


def test_a_clock_goes_forward_for_ever_and_divides_by_nothing_that_vanishes() -> None:
    clock = valid("potential/short")["statement"]["clock"]
    assert clock == {"now": ["0", "1"], "next": ["1", "1"], "over": ["1"], "from": clock["from"]}
    for part in (
        {"next": ["-1", "1"]}, {"next": ["0", "1"]}, {"next": ["2", "1"]}, {"next": ["1", "1/2"]},
        {"next": ["1", "1", "1"]}, {"now": ["0", "-1"]}, {"now": ["3"]}, {"now": ["0", "1", "-1"]},
        {"over": ["-1"]}, {"over": []}, {"over": ["1", "1"]}, {"from": "-5"},
    ):  # fmt: skip
        with pytest.raises(checker.Refused):
            changes = {("statement", "clock", key): value for key, value in part.items()}
            checker.check(forged("potential/short", changes))
    for key, p in (
        ("growth", ["2", "-1"]), ("growth", []), ("growth", ["2", "0", "1"]), ("step_unit", ["-1"]),
        ("step_unit", ["1", "-1"]), ("step_unit", []), ("point_unit", ["-1"]), ("point_unit", ["2"]),
    ):  # fmt: skip
        with pytest.raises(checker.Refused):
            checker.check(forged("potential/short", {("statement", key): p}))
