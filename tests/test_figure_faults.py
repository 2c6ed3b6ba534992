"""One table of the methods' colours, which every picture takes them from; faults of figures are found."""

from __future__ import annotations

import ast
from types import SimpleNamespace

import numpy as np
import pytest
from faults_of_figures import faults
from package_files import ROOT, modules

from odescent._support import style
from odescent.analysis.plots.cycles import draw_iterates
from odescent.analysis.portraits.portrait import compute_portrait
from odescent.analysis.rates.gaps import compute_convergence
from odescent.discretize.library import REGISTRY
from odescent.paper_figs.drawing import look_of, slopes

METHODS = (
    "gradient_descent",
    "heavy_ball",
    "nesterov_sc",
    "triple_momentum",
    "cbo",
    "consensus_hopping",
)


def test_every_registered_method_has_one_look_of_its_own(monkeypatch):
    listed = [n for names in style.METHOD_COLORS.values() for n in names]
    assert sorted(listed) == REGISTRY.names()
    assert len({style.method_style(n) for n in REGISTRY.names()}) == len(REGISTRY.names())
    # one that is registered and not listed has what is left
    monkeypatch.setattr(
        REGISTRY, "titles", {**REGISTRY.titles, "new": "A new method", "newer": "A newer one"}
    )
    looks = {style.method_style(n) for n in (*listed, "new", "A newer one")}
    assert len(looks) == len(listed) + 2
    assert style.method_style("new").color != style.FLOW != style.method_style("newer").color
    assert len({style.method_style(n).color for n in METHODS}) == len(METHODS)
    assert {style.FLOW, style.MODIFIED, style.CENTER, *style.TINTS}.isdisjoint(style.METHOD_COLORS)


def test_a_method_is_known_by_its_title_and_aliases_too():
    for name, title in REGISTRY.titles.items():
        assert style.method_style(title) == style.method_style(name)
    assert style.method_style("nesterov") == style.method_style("nesterov_sc")
    assert style.method_style("my method") is None


def test_the_look_of_a_method_does_not_depend_on_what_is_drawn_beside_it():
    names = [
        "mine",
        "flow",
        "nesterov_sc",
        "yours",
        "gradient_descent",
        *(f"no {i}" for i in range(9)),
    ]
    seen = style.looks(names)
    assert list(seen) == names and len(set(seen.values())) == len(names)
    assert (
        seen["nesterov_sc"] == look_of("nesterov_sc") == style.looks(["nesterov_sc"])["nesterov_sc"]
    )
    assert seen["flow"].color == style.FLOW
    # as long as colours are left, other series have none of a method in the picture
    assert {seen["mine"].color, seen["yours"].color}.isdisjoint(
        {seen[n].color for n in ("nesterov_sc", "gradient_descent", "flow")}
    )


def test_no_other_file_has_the_colours_of_methods():
    """Neither written out nor taken by number from the palette: `style` gives them by name."""
    sources = [
        *modules().values(),
        *(ROOT / "docs" / "_engine").glob("*.py"),
        *(ROOT / "examples").rglob("*.py"),
    ]
    home, found = ROOT / "odescent" / "_support" / "style.py", []
    for path in sources:
        text = path.read_text("utf-8")
        if path.resolve() == home.resolve():
            continue
        found += [
            f"{path.name}: {c}"
            for c in style.COLORS
            if c != "#000000" and c.lower() in text.lower()
        ]
        if "COLORS" in text:
            names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
            found += [f"{path.name}: {n}" for n in names & {"COLORS", "METHOD_COLORS"}]
    assert found == []


def by_name(drawn) -> dict[str, str]:
    return {str(line.get_label()): line.get_color() for line in drawn.get_lines()}


def test_pictures_of_runs_gaps_and_portraits_agree():
    k = np.arange(8.0)
    runs = dict.fromkeys(METHODS, 0.5**k)
    turning = np.stack([np.cos(k), np.sin(k)], 1)
    portrait = compute_portrait(
        lambda z: -z, ((-2, 2), (-2, 2)), iterates=dict.fromkeys(METHODS, turning), flows={"flow": turning},
        spacing=0.5, samples=5, cycles=False,
    )  # fmt: skip
    drawn = (draw_iterates(runs), compute_convergence(runs).plot(), portrait.plot(numbered=0))
    for ax in drawn:
        colors = by_name(ax)
        assert {n: colors[REGISTRY.titles[n]] for n in METHODS} == {
            n: look_of(n).color for n in METHODS
        }
        assert faults(ax.figure) == []


def blank(label: str = "_nolegend_", **look: object) -> style.Figure:
    figure, (ax,) = style.figure()
    ax.plot([1, 2], [1, 2], **{"color": "red", **look}, label=label)
    ax.plot([1, 2], [2, 2], color="blue", label="other")
    ax.legend()
    return figure


@pytest.mark.parametrize(
    ("label", "look", "said"),
    [
        ("_nolegend_", {"marker": "o"}, "no legend names"),
        ("Heavy ball", {}, "not in #D55E00"),
        ("Heavy ball, Polyak", {"color": style.FLOW}, "not in #D55E00"),
        ("heavy ball", {"color": "#D55E00"}, "does not begin with the title"),
        ("the length of a step", {}, "vague"),
        ("slope", {"gid": "slope 2"}, "is said to have the slope 2"),
    ],
)
def test_faults_are_found(label, look, said):
    assert [said in fault for fault in faults(blank(label, **look))] == [True]


def test_texts_that_are_cut_off_or_overlap_are_found():
    figure = blank("a")
    ax = figure.axes[0]
    for word, x in (("one", 1.5), ("two", 1.52), ("far away", 2.3)):
        ax.text(x, 1.4, word, in_layout=False)
    assert faults(figure) == ["cut off: 'far away'", "'one' lies over 'two'"]


def test_what_is_in_order_has_no_faults():
    assert faults(blank("a", marker="o")) == faults(blank("Heavy ball", color="#D55E00")) == []


def test_a_claimed_order_asks_for_a_reference_slope():
    claim = SimpleNamespace(text="It falls as h: fitted order.")
    assert faults(blank(), [claim]) == ["no reference slope for: It falls as h: fitted order."]
    figure, (ax,) = style.figure()
    x = np.array([0.1, 0.2, 0.4])
    ax.loglog(x, 3 * x**2)
    slopes(ax, [(x, 3 * x**2, 2), (x, 3 * x**2, -1.5)])
    assert faults(figure, [claim]) == []
    ax.legend()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["slopes $2$, $-1.5$"]
