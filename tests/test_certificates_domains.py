"""What a certificate document may hold, part by part: each refusal of the checker has a document that only it stops.

`attacks_on_certificates` alters documents at random; here each requirement is violated by itself.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from attacks_on_certificates import put
from valid_certificates import valid

from odescent.analysis.certificates.checking import checker

Changes = dict[tuple[Any, ...], Any]


def altered(name: str, changes: Changes) -> Any:
    """A valid document without its lower bound, with other parts."""
    document = {key: part for key, part in copy.deepcopy(valid(name)).items() if key != "lower"}
    for path, value in changes.items():
        document = put(document, path, value)
    return document


def s(key: str, *path: Any) -> tuple[Any, ...]:
    return "statement", key, *path


def w(key: str, *path: Any) -> tuple[Any, ...]:
    return "witness", key, *path


SHORT, GRADIENT, TRIPLE = "potential/short", "rate/gradient", "rate/triple_momentum"
REFUSED: list[tuple[str, Changes, str]] = [
    *((GRADIENT, {s("d"): d}, "d is a whole number") for d in (0, -3, 4, 12, "1", True, 1.0, 10**80, None)),
    (GRADIENT, {s("d"): 7}, "no number has a root"),
    (GRADIENT, {s("mu"): {"from": "1", "to": "1"}}, "ends that differ"),
    (GRADIENT, {s("mu"): {"from": "2", "to": "1"}}, "ends that differ"),
    (TRIPLE, {s("mu"): {"from": "1", "to": "2"}}, "needs d = 1"),
    (TRIPLE, {s("mu"): ["1", "0"]}, "a factor that is not 0"),
    (GRADIENT, {s("mu"): ["1", "1"]}, "needs d > 1"),
    *((GRADIENT, {s("mu"): mu}, "0 < mu") for mu in ("0", "-1", "5")),
    (GRADIENT, {s("rest"): [{"from": "1/2", "to": "3/2"}]}, "does not rest"),
    (GRADIENT, {s("rest"): ["2"]}, "does not rest"),
    (GRADIENT, {s("output"): ["2"]}, "does not rest"),
    (GRADIENT, {s("A"): [["1/2"]]}, "does not rest"),
    (GRADIENT, {s("A"): [], s("B"): [], s("C"): [[]], s("output"): [], s("rest"): []}, "a state"),
    (GRADIENT, {s("B"): [[]], s("C"): [], s("D"): []}, "a gradient"),
    *((GRADIENT, {s("gap"): gap}, "a gap from 0 to 1") for gap in ("0", "-1/4", "2", "5/4", "7/4")),
    *(("rate/nesterov10", {s("bounded"): word}, "bounded") for word in ("", "all", None, 1, "State")),
    *((GRADIENT, {w("memory"): n}, "memory") for n in (-1, 10, True, "1", 1.0, None)),
    (GRADIENT, {w("weight"): "0"}, "the weight is not positive"),
    (GRADIENT, {w("weight"): "-1"}, "the weight is not positive"),
    *((GRADIENT, {w("share"): x}, "a share") for x in ("0", "3/4", "-3/4", "1", "-2")),
    ("rate/nesterov10", {w("share"): "1/2"}, "the witness needs exactly"),
    ("rate/nesterov10", {w("weight"): "1"}, "the witness needs exactly"),
    # what reads lists by their shapes: the rows of a triangle, weights by pair, polynomials by degree
    *(("rate/nesterov10", {w("P", 1): row}, "P is no list") for row in ([], ["1"] * 9, ["1"], "1", {"0": "1"})),
    *(("rate/nesterov10", {w("P"): P}, "P is no list") for P in ([], [["1"]], [["1", "0"], ["1"]] * 2, {}, "1")),
    *(
        ("rate/nesterov10", {w(key): weights}, "a pair that is not there")
        for key in ("nu", "lambda")
        for weights in ({"0,0": "1"}, {"0,9": "1"}, {"00,1": "1"}, {"0, 1": "1"}, {"0,1,2": "1"}, [["0,1", "1"]])
    ),
    ("rate/nesterov10", {w("lambda"): {"-1,0": "1"}}, "a pair that is not there"),
    *(("rate/nesterov10", {w("lambda"): {"0,1": x}}, "polynomial is 0") for x in ("0",)),
    ("rate/nesterov10", {w("lambda"): {"0,1": {"0,1": "1"}}}, "an enclosure needs exactly"),
    (SHORT, {w("lambda"): {"0,1": {}}}, "polynomial is 0"),
    (SHORT, {w("lambda"): {"0,1": {"1,2": "1"}}}, "a pair that is not there"),
    (SHORT, {w("lambda"): {"0,1": "1"}}, "a pair that is not there"),
    (SHORT, {w("nu"): {"-1,0": []}}, "polynomial is 0"),
    (SHORT, {w("nu"): {"-1,0": ["1", "0"]}}, "ends with 0"),
    (SHORT, {w("nu"): {"-1,0": "1"}}, "no list of the length"),
    (SHORT, {w("Q"): {"1,0": ["1"]}}, "a pair that is not there"),
    ("quadratics/ogda", {s("bounded"): "state"}, "nothing that is bounded"),
    ("quadratics/ogda", {w("cuts"): ["11"]}, "cuts that grow"),
    ("quadratics/ogda", {w("cuts"): ["1/2"]}, "cuts that grow"),
    ("quadratics/ogda", {s("gap"): "1"}, "a pole may be larger"),
    ("flow/gradient", {s("rate"): "-1/3"}, "the rate is negative"),
    ("flow/gradient", {s("L"): "1/3"}, "0 < mu < L"),
    ("flow/gradient", {w("weight"): "0"}, "the weight is not positive"),
    ("rate/gradient", {s("L"): "infinity"}, "a number is text"),
    *(("horizon/gradient", {s("mu"): mu}, "0 <= mu < L") for mu in ("-1", "2", "3")),
    *(("horizon/gradient", {s("bound"): x}, "a positive bound") for x in ("0", "-1")),
    *(("horizon/gradient", {s("measure"): x}, "unknown") for x in ("", "values", None, 1)),
    *(("horizon/gradient", {s("start"): x}, "unknown") for x in ("", "gradient", None, 1)),
    ("horizon/gradient", {s("points", 0): ["-1/100"]}, "no point is the start"),
    ("horizon/gradient", {s("points", 1): ["-1/2", "0"]}, "ends with 0"),
    ("horizon/gradient", {s("points", 1): ["1", "1", "1", "1"]}, "no gradient"),
    (SHORT, {s("growth"): ["2", "1", "0"]}, "ends with 0"),
    (SHORT, {s("L"): "0"}, "L > 0"),
    (SHORT, {s("L"): "-1"}, "L > 0"),
    (SHORT, {s("L"): {"from": "1", "to": "2"}}, "exact numbers"),
    (SHORT, {s("bounded"): "state"}, "are needed"),
    (SHORT, {s("growth"): ["1", "0", "0", "1"]}, "degree 2"),
    (SHORT, {w("a"): ["1", "0", "0", "1"]}, "degree 2"),
    (SHORT, {s("step_unit"): ["0"] * 300 + ["1"]}, "no list of the length|degrees are too high"),
    (SHORT, {s("step_unit"): ["0"] * 120 + ["1"], s("point_unit"): ["0", "1"]}, "degrees are too high"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [pytest.param(*case, id=f"{i}: {case[0]} {case[2]}") for i, case in enumerate(REFUSED)],
)
def test_each_requirement_refuses_by_itself(name: str, changes: Changes, reason: str) -> None:
    """With the sentence that says so: not another requirement, and no crash."""
    with pytest.raises(checker.Refused, match=reason):
        checker.check(altered(name, changes))


def test_a_root_has_one_spelling() -> None:
    """a + b sqrt(10) = a + b/2 sqrt(40): the second is refused, whoever rewrites the whole document so."""
    from fractions import Fraction

    document = altered(TRIPLE, {})
    assert document["statement"]["d"] == 10 and checker.check(document)

    def rewritten(part: Any, key: str = "") -> Any:
        if isinstance(part, dict):
            return {k: rewritten(x, k) for k, x in part.items()}
        if isinstance(part, list) and len(part) == 2 and all(isinstance(x, str) for x in part):
            return [part[0], str(Fraction(part[1]) / 2)] if key not in ("output", "rest") else part
        return [rewritten(x) for x in part] if isinstance(part, list) else part

    other = rewritten(document)
    other["statement"]["d"] = 40
    with pytest.raises(checker.Refused, match="d is a whole number without squares"):
        checker.check(other)


def test_a_rate_of_zero_needs_all_poles_at_zero() -> None:
    """Gradient descent with 1/L where mu = L ends in one step; elsewhere no quadratic's pole is 0."""
    one = altered("quadratics/ogda", {})
    one["statement"] |= {
        "d": 1, "A": [["1"]], "B": [["-1/2"]], "C": [["1"]], "D": [["0"]], "output": ["1"], "rest": ["1"],
        "mu": "2", "L": "2", "gap": "1",
    }  # fmt: skip
    one["witness"] = {"cuts": []}
    assert "r = 1 - gap = 0" in checker.check(one)
    for changes in ({"mu": "1"}, {"L": "3"}, {"B": [["-1/3"]]}):
        with pytest.raises(checker.Refused, match="a pole may be larger"):
            checker.check({**one, "statement": {**one["statement"], **changes}})


def test_a_mode_that_does_not_decay_is_seen_whatever_the_sign() -> None:
    """Poles at 1 and -1, as pairs on the circle and beyond: Jury's conditions one by one."""
    number = lambda x: checker.Number(checker.Fraction(x))
    quadratic = lambda *c: [*map(number, c)]
    for p, inside in (
        (quadratic(1, 0, -1), True), (quadratic(1, 0, 1), True), (quadratic(1, -2, 1), True),
        (quadratic(1, 2, 1), True), (quadratic(1, 0, -2), False), (quadratic(1, 0, 2), False),
        (quadratic(1, -3, 2), False), (quadratic(1, 3, 2), False),
        (quadratic(1, "-5/2", 1), False), (quadratic(1, "5/2", 1), False), (quadratic(-1, 0, "1/2"), False),
        (quadratic(0, 0, 0), False), (quadratic(1, "3/2", "1/2"), True), (quadratic(1, "-3/2", "1/2"), True),
    ):  # fmt: skip
        assert checker.within(p, checker.ONE, False) == inside, p
