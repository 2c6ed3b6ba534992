"""Pseudocode in Markdown, and both pseudocodes under TeX where it is installed."""

import re
import shutil
import subprocess
import sys

import pytest
from latex2mathml.converter import convert

import odescent as od
from odescent.discretize.emit import load, source, write

PREAMBLE = r"""
\documentclass{article}
\usepackage[paperwidth=60cm, paperheight=200cm, margin=1cm]{geometry}
\usepackage{amsmath, amssymb}
"""
# What the packages algorithm and algpseudocode define, where they are not installed.
STAND_IN = r"""
\newenvironment{algorithm}{\par}{\par}
\newenvironment{algorithmic}[1][]{\par}{\par}
\renewcommand{\caption}[1]{\par #1}
\newcommand{\Require}{\par Require: }
\newcommand{\State}{\par}
\newcommand{\Return}{return }
\newcommand{\For}[1]{\par for #1 do}
\newcommand{\EndFor}{\par end for}
\newcommand{\Comment}[1]{ // #1}
"""


def mathematics(text):
    return re.findall(r"\$([^$]+)\$", text.partition("```")[0])


@pytest.mark.parametrize("name", od.algorithms())
def test_every_algorithm_reads_as_input_loop_and_output(name):
    text = source(od.algorithm(name), "markdown")
    heads = ["# ", "**Input:** ", "**For** $k = 0, ", "1. $", "**Output:** $", "## Where it comes from"]  # fmt: skip
    places = [text.index(h) for h in heads]
    assert places == sorted(places)
    assert f"--target markdown\n```\n" in text and f"odescent emit {name} " in text  # noqa: F541
    assert text.count("$") % 2 == 0 and "mathrm{Q" not in text
    steps = [line for line in text.splitlines() if re.match(r"\d+\. ", line)]
    assert all(re.fullmatch(r"\d+\. \$[^$]+\$", line) for line in steps)
    assert not re.search(r"\\[^A-Za-z]", text)  # Markdown would eat the backslash
    for formula in mathematics(text):
        assert convert(formula).startswith("<math")


def test_a_method_as_people_write_it():
    lines = source(od.algorithm("gradient_descent"), "markdown").splitlines()
    assert lines[:12] == [
        "# Gradient descent",
        "",
        r"**Input:** gradient $\nabla f$; starting point $x_0$; number of steps $N$; $L$",
        "",
        r"**For** $k = 0, \dots, N - 1$:",
        "",
        r"1. $g_{k} \gets \nabla f(x_{k})$",
        r"2. $\displaystyle x_{k+1} \gets x_{k} - \frac{1}{L} g_{k}$",
        "",
        r"**Output:** $x_{N}$",
        "",
        "## Where it comes from",
    ]


def test_all_that_is_asked_is_an_input():
    text = source(od.algorithm("accelerated_mirror_descent"), "markdown")
    maps = [rf"map $\mathrm{{{of}}}$" for of in ("mirror", "dual")]
    assert all(o in text.splitlines()[2] for o in (*maps, r"gradient $\nabla f$"))
    assert "proximal map of $r$" in source(od.algorithm("proximal_gradient"), "markdown")
    assert "operator $F$" in source(od.algorithm("extragradient"), "latex")
    x, f = od.blocks("x"), od.Objective("f")
    armijo = od.method({x: x - f.grad(x) * f.value(x)}, output=x, name="scaled")
    assert r"gradient $\nabla f$; function $f$" in source(armijo, "markdown")


def test_it_is_text_and_the_same_in_another_process(tmp_path):
    with pytest.raises(od.OdescentError, match="is text, not a module"):
        load(od.algorithm("adam"), "markdown")
    path = write(od.algorithm("item"), tmp_path / "item.md", "markdown")
    code = "import odescent as od; print(od.algorithm('item').source('markdown'), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True,
        env={"PYTHONHASHSEED": "3", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.stdout == path.read_text()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="TeX is not installed")
def test_tex_sets_both_pseudocodes(tmp_path):
    """One document with every listing, every formula of the Markdown, and every step as equations."""
    found = subprocess.run(
        ["kpsewhich", "algorithm.sty", "algpseudocode.sty"], capture_output=True, text=True, check=False
    )  # fmt: skip
    packages = r"\usepackage{algorithm, algpseudocode}" if found.returncode == 0 else STAND_IN
    body = []
    for name in od.algorithms():
        algorithm = od.algorithm(name)
        body += [source(algorithm, "latex"), rf"\[{algorithm.latex()}\]"]
        body += [f"${m}$\\par" for m in mathematics(source(algorithm, "markdown"))]
        body.append(r"\clearpage")
    text = "\n".join([PREAMBLE, packages, r"\begin{document}", *body, r"\end{document}"])
    (tmp_path / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_nothing_in_the_provenance_leaves_its_fence():
    x, h = od.blocks("x"), od.parameters("h")
    f = od.Objective("f")
    system = od.System({"flow": {x: -f.grad(x)}}, output=x)
    said = "``` <script>alert(1)</script> ```` ![](http://a)"
    alg = od.Algorithm(system, od.scheme("explicit_euler"), step=h, provenance=said)
    text = alg.source("markdown")
    fence = max(re.findall("^`{3,}", text, re.M), key=len)
    inside = text.split(fence)[1]
    assert len(fence) > 3 and "<script>" in inside and "<script>" not in text.replace(inside, "")
