"""Reports: what a reader sees, and what a machine reads."""

import json
import re

import pytest

import odescent as od
from odescent.discretize.report import program_text


@pytest.fixture(
    scope="module", params=["nesterov/immersion", "nesterov/model", "triple_momentum/model"]
)
def derivation(request):
    return od.derive(*request.param.split("/"))


def test_text_names_every_step_and_fits(derivation):
    text = derivation.text()
    for number, step in enumerate(derivation.steps, 1):
        assert f"{number}. {step.title}" in text
    assert f"{len(derivation.steps)} of {len(derivation.steps)} steps verified." in text
    assert "$" not in text and "\\" not in text, "LaTeX is left in the prose"
    assert max(map(len, text.splitlines())) <= 120


def test_three_equations_stand_side_by_side(derivation):
    text = derivation.text()
    positions = [
        text.index(name) for name in ("bound system", "limit h -> 0", "modified equation (")
    ]
    assert positions == sorted(positions)
    assert "O(h²)" in text


def test_latex_is_balanced(derivation):
    source = derivation.latex()
    begun, ended = (sorted(re.findall(rf"\\{w}\{{([a-z*]+)\}}", source)) for w in ("begin", "end"))
    assert begun == ended and source.count("{") == source.count("}")
    assert source.count("$") % 2 == 0 and source.count(r"\left(") == source.count(r"\right)")


def test_data_is_json_with_stable_keys(derivation):
    data = json.loads(json.dumps(derivation.to_dict(), allow_nan=False))
    assert data["schema"] == "odescent.derivation/1" and data["verified"] is True
    assert {"number", "title", "kind", "statement", "claims", "residuals", "verified"} <= set(
        data["steps"][0]
    )
    assert set(data["equations"]) == {"bound system", "limit h -> 0", "modified equation"}
    assert all(set(step["residuals"].values()) == {"0"} for step in data["steps"])


def test_an_unverified_step_shows_its_residual():
    derivation = od.derive("nesterov")
    broken = next(derivation.steps[0].perturbed())
    text = type(derivation)(
        "nesterov_sc",
        "immersion",
        "",
        (broken,),
        derivation.algorithm,
        bound_position=derivation.bound_position,
    ).text()
    assert "NOT VERIFIED: residual" in text and "0 of 1 steps verified" in text


def test_program_text_of_each_instruction():
    text = program_text(od.algorithm("unadjusted_langevin").tuned)
    assert "N(0, I)" in text and "output: x" in text
    assert "implicit" in program_text(od.algorithm("proximal_point").tuned)
