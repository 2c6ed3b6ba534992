"""A sample of the attacks on certificate documents, those that got through once, and the truth that decides.

`python tests/attacks_on_certificates.py` does them all.
"""

from __future__ import annotations

import copy
import random
from fractions import Fraction
from typing import Any

import pytest
from attacks_on_certificates import attacks_on, leaf_attacks, outcome, symmetry_attacks
from truth_of_certificates import verdict, worst_case
from valid_certificates import valid

import odescent as od
from odescent.analysis.certificates import checker, load

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


@pytest.mark.parametrize("name", ["rate/gradient", "horizon/nesterov", "potential/short"])
def test_all_symmetries(name: str) -> None:
    """Whole symmetries pass or not, but their parts never prove anything false."""
    attacks = list(symmetry_attacks(valid(name)))
    assert len(attacks) > 20
    for attack in random.Random(3).sample(attacks, min(40, len(attacks))):
        assert outcome(attack, valid(name)) in PASSED


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
