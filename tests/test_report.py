"""Reports: what a reader sees, and what a machine reads."""

import json
import re
import shutil
import subprocess

import pytest

import odescent as od
from odescent.discretize.proof.report import derivation_text, program_text
from odescent.discretize.routes import REGISTRY
from odescent.dynamics.algebra.calculus import symbols_of
from odescent.dynamics.notation.show import symbol_latex


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
    assert data["schema"] == "odescent.derivation/3" and data["verified"] is True
    assert {"number", "title", "kind", "statement", "claims", "checks", "verified"} <= set(
        data["steps"][0]
    )
    assert set(data["equations"]) == {"bound system", "limit h -> 0", "modified equation"}
    checks = [check for step in data["steps"] for check in step["checks"]]
    assert {check["residual"] for check in checks} == {"0"}
    # what is checked has content: the two sides are not the same tree
    assert all(check["left"] != check["right"] for check in checks)


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


ALL = [tuple(k.split("/")) for k in REGISTRY.names()]
PREAMBLE = "\\documentclass[11pt]{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not here")
def test_latex_compiles_and_no_line_runs_over(tmp_path):
    """Every registered derivation, and one of an algorithm, in the column of an article."""
    parts = [od.derive(*key).latex() for key in ALL] + [od.algorithm("adam").derivation().latex()]
    (tmp_path / "all.tex").write_text(PREAMBLE + "\n".join(parts) + "\\end{document}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, [line for line in log.splitlines() if line.startswith("!")]
    over = [float(pt) for pt in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(over, default=0.0) < 3.0, over


@pytest.mark.parametrize("key", ALL, ids="/".join)
@pytest.mark.parametrize("columns", [60, 80, 96])
def test_text_fits_the_terminal(key, columns):
    lines = derivation_text(od.derive(*key), columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert not any("\\" in line or "$" in line for line in lines), "LaTeX is left in the prose"


@pytest.mark.parametrize("key", ALL, ids="/".join)
def test_every_symbol_is_introduced_before_it_is_used(key):
    """In the notation, in the formulas of its step's prose or an earlier one's, or as a claim's name."""
    derivation = od.derive(*key)
    said = [tex for tex, _ in derivation.notation]
    for step in derivation.steps:
        said += re.findall(r"\$([^$]*)\$", step.statement + step.assumes)
        said += [c.tex or symbol_latex(c.name) for c in step.claims]
        formulas = " ; ".join(said).replace("{", "").replace("}", "")
        used = {s.name for claim in step.claims for s in symbols_of(claim.value)}
        for name in used:
            tex = symbol_latex(name.removesuffix("+").removesuffix("_dot"))
            tex = re.escape(tex.replace("{", "").replace("}", ""))
            assert re.search(rf"(?<![A-Za-z\\]){tex}(?![A-Za-z])", formulas), (step.title, name)


def test_the_notation_is_shown_everywhere():
    derivation = od.derive("triple_momentum")
    assert "Notation: f is the objective" in derivation.text()
    assert r"\paragraph{Notation.}" in derivation.latex() and "Notation: <math" in derivation.html()
    assert derivation.to_dict()["notation"][0] == {"symbol": "f", "meaning": "is the objective"}


def test_steps_are_not_counted_by_the_name_of_a_parameter() -> None:
    x, v = od.blocks("x v")
    f = od.Objective("f")
    k, s, h = od.parameters("k s h")
    for stiffness, counter in ((k, "n"), (s, "k")):
        spring = od.System({"force": {v: -f.grad(x) - stiffness * x}, "velocity": {x: v}})
        scheme = od.scheme("semi_implicit_euler", order=("v", "x"))
        assert f"for {counter} = 0, 1, 2, ..." in str(od.Algorithm(spring, scheme, step=h))


def test_a_program_reads_as_people_write_steps():
    """Powers of decay rates, plain terms first, and no method that ends a line with what it begins at."""
    adam = str(od.algorithm("adam")).splitlines()
    assert "    m_1 = beta1*m + (1 - beta1)*g" in adam
    assert (
        "    x_1 = x - h*[m_1/((1 - beta1**(1 + k))*(eps + sqrt(v_1/(1 - beta2**(1 + k)))))]"
        in adam
    )
    assert "    x_1 = x - 1/L*g" in str(od.algorithm("gradient_descent")).splitlines()
    assert "batch f(x - h/2*g; u1)" in str(od.algorithm("federated_averaging"))
    late = re.compile(r"= -.* \+ \w+$")
    for name in od.algorithms():
        lines = str(od.algorithm(name)).splitlines()
        assert not [line for line in lines if late.search(line)], name
