"""The HTML page of a derivation: whole, standing alone, every formula drawn."""

import re
import xml.etree.ElementTree as ET

import pytest

import odescent as od


@pytest.fixture(scope="module", params=["nesterov", "triple_momentum", "heavy_ball"])
def derivation(request):
    return od.derive(request.param)


def test_it_stands_alone(derivation):
    page = derivation.html()
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert not re.search(r"<script|<link|https?://(?!www\.w3\.org/1998/Math)", page)


def test_every_step_and_every_formula_is_there(derivation):
    page = derivation.html()
    for number, step in enumerate(derivation.steps, 1):
        assert f"<h2>{number}. " in page and step.title in page
    formulas = re.findall(r"<math.*?</math>", page)
    assert len(formulas) >= 2 * sum(len(s.claims) for s in derivation.steps)
    for formula in formulas:
        ET.fromstring(formula.replace("&nbsp;", " "))
        assert "\\" not in formula, formula
    assert "$" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_it_says_what_is_not_verified():
    derivation = od.derive("nesterov")
    broken = next(derivation.steps[1].perturbed())
    page = type(derivation)("x", "y", "", (broken,), derivation.algorithm).html()
    assert "not verified: residual" in page
    assert "identically zero" not in page


def test_any_algorithm_has_a_page():
    for name in ("adam", "proximal_point", "nesterov_c"):
        assert "<math" in od.algorithm(name).derivation().html()
