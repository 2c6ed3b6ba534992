"""The HTML page of a derivation: whole, standing alone, every formula drawn."""

import html
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

import odescent as od
from odescent._support.rendering.mathml import mathml


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


@pytest.mark.parametrize("name", od.algorithms())
def test_every_algorithm_has_a_derivation_that_holds_and_a_page(name):
    derivation = od.algorithm(name).derivation()
    assert derivation.verified and "<math" in derivation.html()


BROWSER = next(
    (b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), ""
)


@pytest.mark.skipif(not BROWSER, reason="no browser is here")
@pytest.mark.parametrize("columns", [1000, 400])
def test_no_page_is_wider_than_its_window(tmp_path, columns):
    """On a screen and on a phone the body does not scroll sideways; a wide formula scrolls in its own box."""
    frames = "".join(
        f'<iframe width={columns} height=600 srcdoc="{html.escape(od.derive(*key.split("/")).html())}"></iframe>'
        for key in (
            "triple_momentum/model",
            "item/model",
            "unified_nesterov/model",
            "nesterov_sc/immersion",
        )
    )
    report = (
        "<script>onload = () => document.title = [...document.querySelectorAll('iframe')].map(f =>"
        " f.contentDocument.documentElement.scrollWidth + '/' + f.contentWindow.innerWidth).join(' ')</script>"
    )
    (tmp_path / "frames.html").write_text(
        f"<!doctype html><title></title>{report}{frames}", encoding="utf-8"
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
               f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", str(tmp_path / "frames.html")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    if found is None:
        pytest.skip("the browser does not start here")
    sizes = [tuple(map(int, pair.split("/"))) for pair in found[1].split()]
    assert len(sizes) == 4 and all(wide <= window == columns for wide, window in sizes), sizes


@pytest.mark.parametrize(
    ("source", "there", "gone"),
    [
        (r"x = -K \psi", '<mo form="prefix"', "<mo>&#x02212;</mo>"),  # a sign, not a difference
        ("a - b", "<mo>&#x02212;</mo>", "prefix"),
        ("f'(x)", '<mo lspace="0" rspace="0">&#x02032;</mo>', "msup"),
        (r"\tanh s", '<mi>tanh</mi><mspace width="0.167em" />', "<mo>"),
        (r"\mathrm{spread} h", '<mspace width="0.167em" /><mi>h</mi>', "prefix"),
        (r"a \nabla f", '<mo lspace="0" rspace="0">&#x02207;</mo>', "<mo>&#x02207;"),
    ],
)
def test_formulas_are_spaced_as_tex_does(source, there, gone):
    made = mathml(source)
    assert there in made and gone not in made
    ET.fromstring(made)
