"""Everything that people hold shows itself: in one line, as text, and as a page in a notebook with its picture once."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from public_classes import held
from small_tasks import Small

import odescent as od
from odescent import neural_de as nde
from odescent._support import style
from odescent._support.rendering.brief import LINE, brief, short
from odescent._support.rendering.mathml import displayed
from odescent._support.rendering.rendered import Rendered, parts
from odescent.analysis.attraction.attractors import Attractor
from odescent.analysis.attraction.basin_map import Share
from odescent.analysis.branches.bifurcation_diagram import Change
from odescent.analysis.certificates import certificate, horizon
from odescent.analysis.certificates.checking.checker import Number
from odescent.analysis.certificates.lower_bounds import spiral
from odescent.analysis.certificates.lower_bounds.worst_line import Kink
from odescent.analysis.certificates.methods.modes import Decay, SlowestMode
from odescent.analysis.certificates.transfer import Transfer, TransferRow
from odescent.analysis.cycling.region import CycleRegion
from odescent.analysis.rates.gaps import Series
from odescent.analysis.sweeps.jobs import SweepRow
from odescent.analysis.synthesis import Synthesis
from odescent.analysis.tipping.shares import FollowedAttractor, Tip
from odescent.discretize.step.iteration import Iteration
from odescent.dynamics.algebra.vectors import Vector
from odescent.dynamics.stochastic.operators import Operator
from odescent.neural_de.inspection.pareto_front import Point
from odescent.neural_de.inspection.solver_table import Prediction
from odescent.paper_figs import Spread
from odescent.particles import Ensemble, History, Minimum, Parameters
from odescent.particles.theory.effective import EffectiveGradient
from odescent.particles.theory.passage import Passage

# What is shown by others, or by nobody: errors, vectors (in their own LaTeX), the checker's numbers (a file that stands
# alone), equinox's modules (networks and what is differentiated; results among them are ours), and
# tuples of arrays inside compiled loops.
OTHERS = (BaseException, Vector, Number, nde.Task, nde.Regularizer, tuple)
MODULES = {
    "Budget", "Capture", "ContinuousFlow", "ConvField", "Dense", "GRUEncoder", "LatentODE", "NeuralODEClassifier",
    "NeuralSDE", "NeuralSDEClassifier", "PerUnitStep", "TwoLayers", "WarmStart",
}  # fmt: skip

h, c = od.parameters("h c")
x, v = od.blocks("x v")
f = od.Objective("f")
z = od.sample("z", like=x)
HALF = np.linspace(0.0, 1.0, 5)
PLANE = np.zeros((5, 2))


def delayed() -> object:
    m = od.parameters("m")
    time = od.parameters("tau")
    return od.algorithm("m_fac", window=m).replace(where={m: time / h}).delay_limit()


@cache
def ours() -> list[type]:
    return [k for k in held() if issubclass(k, Rendered)]


@cache
def ball() -> od.Algorithm:
    return od.algorithm("heavy_ball")


@cache
def equivalence(refuted: bool = True) -> od.Equivalence:
    return ball().equivalent(od.algorithm("nesterov_sc") if refuted else ball())


@cache
def estimated() -> od.analysis.EstimatedConstants:
    return od.estimate_constants(od.objective("quadratic"), np.ones(2), 2, points=2)


@cache
def flow_certificate() -> Any:
    return od.analysis.certify(od.system("gradient_flow"), Fraction(1, 3), 2)


def trained(seed: int = 0) -> nde.Trained:
    test = {"nfe": 20.0, "accuracy": 0.9}
    return nde.Trained(None, nde.Config("small", seed=seed), [], {"step": 3}, test, None, Small())


def attractor() -> Attractor:
    return Attractor("fixed point", 1, np.zeros((1, 1)), {"x": np.zeros((1, 1))}, 0.5, True)


def special_point() -> od.analysis.SpecialPoint:
    """A point of a branch."""
    return od.analysis.SpecialPoint(0.5, "pitchfork", -1.0, 1 + 0j, np.zeros((1, 1)), 1.0)


def basins() -> od.analysis.Basins:
    shares = (Share("fixed point (0)", 20, 0.8, 0.7, 0.9), Share("unresolved", 5, 0.2, 0.1, 0.3))
    labels = np.where(np.eye(5) > 0, -1, 0)
    return od.analysis.Basins(
        {"x0": HALF, "v": HALF}, labels, (attractor(),), labels, shares, False, None, "a map"
    )


def followed() -> FollowedAttractor:
    return FollowedAttractor(0, (attractor(), None))


def shares() -> od.analysis.BasinShares:
    labels = np.array([[0, 0, 0], [-1, -1, -1]])
    tips = (Tip(0.0, 1.0, 0, "unresolved"),)
    return od.analysis.BasinShares(
        "p", np.array([0.0, 1.0]), (followed(),), labels, tips, np.ones((2, 1)), 0.95, "a map"
    )


def edge() -> od.analysis.EdgeState:
    names = ("fixed point 0", "diverges")
    one = np.array([1.5 + 0j])
    return od.analysis.EdgeState(
        "fixed point", {"x": HALF}, np.ones((1, 1)), one, 1, names, "a map"
    )


def space() -> od.analysis.SpacePortrait:
    orbits = (np.arange(12.0).reshape(4, 3),)
    return od.analysis.SpacePortrait(
        ("x", "y", "z"), orbits, (np.arange(4.0),), (), True, 0, "a flow"
    )


def boundary() -> od.analysis.StabilityBoundary:
    over = {"L": (0.2, 3.0), "mu": (0.01, 0.2)}
    return od.analysis.stability_boundary(od.algorithm("heavy_ball"), over=over)


def region() -> CycleRegion:
    whole = np.arange(25).reshape(5, 5) % 3
    real = whole - 0.5
    edge = np.linspace(0.1, 0.9, 2)
    return CycleRegion(
        0.04, 1.0, 0.0, HALF, HALF, whole, whole, real, real, edge, edge, np.eye(2) > 0, 4
    )


def minimum() -> Minimum:
    runs = np.zeros((1, 5, 2))
    numbers = np.linspace(1.0, 0.1, 5)[None]
    history = History(np.arange(5), runs, numbers, numbers, numbers, runs[:, :, None], np.arange(5))
    return Minimum(
        np.zeros(2), 0.0, np.zeros(2), 0.0, True, 0, "the particles agree.", 4, 100, 0, np.zeros((1, 20, 2)),
        np.zeros((1, 2)), np.zeros(1), np.zeros((1, 2)), np.zeros(1, int), history, {"alpha": 30.0}, "cbo",
    )  # fmt: skip


def effective() -> EffectiveGradient:
    rows = np.ones((4, 2))
    return EffectiveGradient(
        PLANE,
        rows,
        np.ones(4),
        rows,
        dict.fromkeys(("relaxation", "shape", "curvature"), rows),
        {"shape": np.ones(4)},
        np.ones(5),
        0.1,
        1.0,
        0.5,
    )


# Of each class that has a text, a formula or a picture of its own: one that was computed, or assembled by hand.
RESULTS: dict[str, Callable[[], Any]] = {
    "Algorithm": ball,
    "Attractor": attractor,
    "BasinShares": shares,
    "Basins": basins,
    "Continuation": lambda: od.analysis.Continuation(
        "r", (0.0, 1.0),
        (
            od.analysis.SolutionBranch(
                "fixed points", np.arange(2.0), np.zeros((2, 1)), np.zeros((2, 1, 1)), np.zeros((2, 1), complex),
                np.array([True, False]), np.ones(2), (special_point(),), ("the interval of r ends",) * 2,
            ),
        ),
        "a map", None,
    ),
    "CriticalCurve": lambda: od.analysis.CriticalCurve(
        "fold", ("p", "q"), np.eye(2), np.zeros((2, 1)), np.zeros(2), (), ("the interval of p ends",) * 2, "a map"
    ),
    "Bifurcation": lambda: od.analysis.Bifurcation(
        "h", HALF, np.ones((5, 1)), HALF, PLANE[:, :1], HALF > 0.5,
        (Change(0.5, "period doubling", 1, -1 + 0j),), "a map",
    ),
    "Certificate": lambda: od.analysis.certify(od.algorithm("triple_momentum"), 1, 10),
    "Claim": lambda: od.derive("heavy_ball").steps[0].claims[0],
    "Cobweb": lambda: od.analysis.cobweb(lambda s: -s / 2, x0=[1.0], steps=3),
    "Comparison": lambda: od.analysis.convergence(
        od.algorithm("nesterov_sc"), od.objective("quadratic"), np.ones(2), 20
    ),
    "Convergence": lambda: od.analysis.Convergence(
        {"method": Series(HALF, np.exp(-HALF), None)}, {"theory": 0.9}, ("k", "gap")
    ),
    "Cycle": lambda: od.analysis.cycles("heavy_ball", 1, 25, 3)[0],
    "CycleRegion": region,
    "Decay": lambda: Decay(sp.Integer(1), Fraction(1, 2)),
    "DecayingLimit": lambda: od.algorithm("gradient_descent").decaying_limit({"h": 1 / od.parameters("k")}),
    "DelayEquation": delayed,
    "Derivation": lambda: od.derive("heavy_ball"),
    "EffectiveGradient": effective,
    "Ensemble": lambda: Ensemble(np.zeros((2, 4, 3)), None, np.arange(4), np.array([-1, 2]), (), None),
    "Equilibrium": lambda: result("Landscape").critical_points[0].equilibria["flow"],
    "EdgeState": edge,
    "Equivalence": equivalence,
    "EstimatedConstants": estimated,
    "Estimator": lambda: od.estimate(z * od.inner(z, f.grad(x)), of=f.grad(x)),
    "EvaluationCounts": lambda: nde.EvaluationCounts("a model", np.arange(20, 40), 44, np.array([3])),
    "FieldPlane": lambda: nde.FieldPlane(
        "a model", np.zeros(2), np.eye(2), 1.0, (0.0, 1.0), HALF, HALF, np.ones((2, 5, 5, 2)), HALF,
        np.ones((5, 3, 2)), np.array([0, 1, 1]),
    ),
    "Measured": lambda: od.monte_carlo(
        od.estimate(z * od.inner(z, f.grad(x)), of=f.grad(x)), lambda y: (y**2).sum(), {x: np.ones(2)}, draws=9
    ),
    "FiniteSum": lambda: od.FiniteSum("f", lambda p, row: (p - row) ** 2, np.arange(4.0)),
    "Expectation": lambda: od.Expectation("f", jnp.add, jnp.dot, jnp.dot),
    "FixedMesh": lambda: nde.FixedMesh("a model", HALF, 13, HALF + 0.1, HALF + 0.1, 0.9, {}),
    "FollowedAttractor": followed,
    "FlowCertificate": flow_certificate,
    "Form": lambda: f.grad(x).calls().pop().oracle.form,
    "Groups": lambda: od.Groups(hidden="layers/*", last=od.Leaves("head/*", ndim=2)),
    "HorizonCertificate": lambda: od.analysis.certify(od.algorithm("nesterov_c"), 0, 1, horizon=2),
    "Kink": lambda: Kink(Fraction(1, 2), Number(Fraction(1, 2)), Fraction(1, 2)),
    "Leaves": lambda: od.Leaves("layers/*", but="*/bias"),
    "Landscape": lambda: od.analysis.landscape("heavy_ball", "quadratic", [1.0, 1.0], steps=3),
    "Minimum": minimum,
    "MinimumAction": lambda: od.analysis.MinimumAction(
        PLANE, HALF, 1e-4, ("$x$", "$v$"), True, "geometric minimum action", 5, "a system", None
    ),
    "ModifiedEquation": lambda: ball().modified_equation(1),
    "Map": lambda: od.Map("bend", np.tanh),
    "NamedMap": lambda: od.named_map("simplex", s=2),
    "Objective": lambda: od.objective("lessard_recht_packard"),
    "Operator": lambda: Operator([c], {(1,): -c, (2,): h}),
    "Oracle": lambda: f.grad(x).calls().pop().oracle,
    "ParameterSweep": lambda: od.analysis.ParameterSweep((SweepRow("one", {"h": 0.1}, 2.0, done=True),), Path("out")),
    "Parameters": lambda: Parameters(30.0, 1.0, 50, 1.0, 0.5, 0.01, 0.1, 0.1, 0.03, 20.0, 0.9, True, {"ess": "n"}),
    "Pareto": lambda: nde.Pareto("accuracy", 1, (Point("none", (40.0, 42.0), (0.9, 0.91), True),)),
    "Passage": lambda: Passage(np.array([3, -1, 5]), 10),
    "PoleSolution": lambda: od.place_poles({"mu": (0, 0), "L": (0,)})[0],
    "PoleSolutions": lambda: od.place_poles({"mu": (0, 0), "L": (0,)}),
    "Lyapunov": lambda: od.analysis.Lyapunov(
        HALF, HALF - 0.1, HALF + 0.1, np.asarray(2.0), np.asarray(True), 10.0, {}, "a map"
    ),
    "PhaseDensity": lambda: od.analysis.PhaseDensity(
        np.array([1.0, np.inf]), np.ones((2, 4)), (HALF,), ("$x$",), "finite volumes", "a system"
    ),
    "PoincareMap": lambda: od.analysis.poincare_map(od.system("heavy_ball"), at={"v[0]": 0.0}),
    "Portrait": lambda: od.analysis.phase_portrait(ball(), od.objective("lessard_recht_packard"), x0=3.3, steps=20),
    "PotentialCertificate": lambda: od.analysis.certify(od.algorithm("gradient_descent"), 0, 3, horizon="all"),
    "Recurrences": lambda: od.analysis.recurrences(lambda s: -s, x0=[1.0], states=5),
    "Resilience": lambda: od.analysis.Resilience(
        attractor(), 1.0, {"x": HALF}, {"x": HALF}, "diverges", 2.0, 8, "a map"
    ),
    "Recognition": lambda: od.recognize(ball()),
    "RunComparison": lambda: nde.RunComparison("accuracy", {"none": [trained(), trained(1)]}, {}),
    "Scheme": lambda: ball().scheme,
    "SecondOrder": lambda: od.system("heavy_ball").second_order(),
    "SlowManifold": lambda: od.System({"flow": {x: v, v: -(v + f.grad(x)) / h}}, output=x, fast={v: h}).slow_manifold(),
    "SlowestMode": lambda: SlowestMode(sp.Integer(1), Fraction(1, 2)),
    "Solution": lambda: od.system("gradient_flow").simulate(od.objective("quadratic"), np.ones(2), 1.0),
    "Scene": lambda: od.analysis.interactive(space()),
    "SpacePortrait": space,
    "SolverComparison": lambda: nde.SolverComparison(
        "a model", "accuracy", 10, "tsit5 at 1e-8", (Prediction("tsit5", 40, 6, 0, 0.9, 1e-4, True),)
    ),
    "SpecialPoint": special_point,
    "Spectrum": lambda: od.analysis.spectrum(ball(), 1, 10),
    "Spiral": lambda: spiral.Spiral(Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)),
    "StabilityBoundary": boundary,
    "Spread": lambda: Spread(0.5, 0.4, 0.6),
    "StateSpace": lambda: od.algorithm("nesterov_sc").state_space(),
    "StroboscopicMap": lambda: od.analysis.stroboscopic_map(od.system("nesterov_c"), 1.0),
    "StepProfile": lambda: nde.StepProfile("a model", HALF, HALF + 0.1, HALF, HALF, 3.3, 5, 1, 37),
    "Supposition": lambda: estimated().condition,
    "Synthesis": lambda: Synthesis(
        od.algorithm("triple_momentum"), None, 0.68, "rate", {"h": 0.5}, None, (), 12, sp.Integer(1), sp.Integer(10)
    ),
    "System": lambda: od.system("underdamped_langevin"),
    "Trained": trained,
    "Trajectory": lambda: ball().run(od.objective("lessard_recht_packard"), [3.3], 400),
    "Tip": lambda: shares().tips[0],
    "TippingProbabilities": lambda: shares().tipping(),
    "Transfer": lambda: Transfer(
        flow_certificate(), (TransferRow("explicit", 0.1, 0.9, 1.0, 0.9, result("Certificate")),), {"explicit": 1.0}
    ),
    "Trial": lambda: od.algorithm("adam").equivalent(od.algorithm("rmsprop")).witness,
    "Witness": lambda: equivalence().witness,
}  # fmt: skip


@cache
def result(name: str) -> Any:
    return RESULTS[name]()


DRAWN = (
    "BasinShares", "Basins", "Bifurcation", "Cobweb", "Comparison", "Continuation", "Convergence", "CriticalCurve",
    "CycleRegion", "EffectiveGradient", "EvaluationCounts", "FieldPlane", "FixedMesh", "Landscape", "Lyapunov",
    "Minimum", "MinimumAction", "Pareto", "PhaseDensity", "Portrait", "Recurrences", "SolverComparison",
    "Solution", "SpacePortrait", "Spectrum", "StabilityBoundary", "StepProfile", "Trajectory", "Transfer",
)  # fmt: skip


def test_every_class_that_people_hold_is_rendered() -> None:
    assert len(held()) > 150
    without = [k for k in held() if not issubclass(k, (Rendered, *OTHERS))]
    assert {k.__name__ for k in without} == MODULES
    assert all(issubclass(k, eqx.Module) for k in without)


def test_what_has_a_text_a_formula_or_a_picture_is_among_the_results() -> None:
    own = ("latex", "plot", "_page")
    wanted = {
        k.__name__ for k in ours()
        if any(hasattr(k, n) for n in own) or k.__str__ is not object.__str__ or k.__repr__ is not brief
    }  # fmt: skip
    assert wanted - {"Iteration"} == set(RESULTS)
    assert {k.__name__ for k in ours() if hasattr(k, "plot")} == set(DRAWN)
    assert all(type(result(n)).__name__ == n for n in RESULTS)


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_one_line_a_text_and_a_page(name: str) -> None:
    shown = result(name)
    line = repr(shown)
    assert "\n" not in line and len(line) <= 2 * LINE and "array(" not in line
    assert str(shown).strip()
    bundle = shown._repr_mimebundle_()
    assert bundle["text/plain"] == line
    page = bundle["text/html"]
    assert page == shown._repr_html_() and len(page) < 1_000_000
    assert ("text/latex" in bundle) == ("formula" in parts(shown))
    assert page.count("<img ") == hasattr(shown, "plot")
    assert (
        "http" not in page.replace("http://www.w3.org/1998/Math/MathML", "") or name == "Derivation"
    )
    assert "<mi>&</mi>" not in page
    only = shown._repr_mimebundle_(include=["text/html"], exclude=["text/plain"])
    assert list(only) == ["text/html"]


def test_a_record_is_one_line_and_a_table() -> None:
    """Filled with what is long: arrays, and many texts."""
    numbers, texts = np.arange(10_000.0), {"a": ["a text\nof two lines"] * 1000}
    for cls in ours():
        if cls.__name__ in RESULTS or cls is Iteration:
            continue
        record: Any = object.__new__(cls)
        dataclass = dataclasses.is_dataclass(cls)
        names = [e.name for e in dataclasses.fields(cls)] if dataclass else ["first", "second"]
        for name, value in zip(names, itertools.cycle((texts, numbers)), strict=False):
            object.__setattr__(record, name, value)
        line, page = repr(record), record._repr_html_()
        assert "\n" not in line and len(line) <= LINE and line.startswith(cls.__name__), cls
        assert "<table>" in page and len(page) < 20_000, cls


def test_values_in_a_few_letters() -> None:
    assert short(np.zeros((3, 2))) == "f64[3,2]" and short(jnp.zeros(2, int)) == "i64[2]"
    assert short(np.eye(2) > 0) == "bool[2,2]" and short(np.zeros(1, complex)) == "c128[1]"
    assert short(np.float64(1) / 3) == "0.333333" and short(2**200, 10) == "160693804…"
    assert short("a" * 60) == repr("a" * 45 + "…") and short(None) == "None"
    assert short({"x": 1.5, "y": (1, 2)}) == "{x: 1.5, y: (1, 2)}"
    assert short(list(range(100)), 20) == "(0, 1, 2, 3, 4, 5, 94 more)"
    assert short(test_values_in_a_few_letters) == "test_values_in_a_few_letters"


def test_rows_of_a_formula_are_aligned() -> None:
    made = displayed("\\begin{aligned}\na &= b \\\\\n&\\text{also} \\\\\nc &= -d\n\\end{aligned}")
    assert made.count("<mtr>") == 3 and made.count("text-align: right") == 3
    assert "&</" not in made and "\\" not in made
    assert displayed("x'' = 0").startswith("<math ")


@pytest.mark.parametrize("kind", ["system", "algorithm"])
def test_every_formula_of_the_library_is_typeset(kind: str) -> None:
    for name in getattr(od, f"{kind}s")():
        made = getattr(od, kind)(name)
        page = made._repr_html_()
        assert "<math" in page and "&</" not in page and "\\" not in page, name
        assert "\n" not in repr(made), name


@pytest.mark.parametrize("name", DRAWN)
def test_a_plot_is_a_picture_without_pyplot(name: str) -> None:
    before = sys.modules.get("matplotlib.pyplot")
    drawn = result(name).plot()
    data, size = drawn._repr_png_()
    assert data.startswith(b"\x89PNG") and 200 < size["width"] < 1200 and len(data) < 700_000
    axes = drawn[0] if isinstance(drawn, tuple) else drawn
    assert axes.figure._repr_png_()[1] == size
    assert sys.modules.get("matplotlib.pyplot") is before and (
        before is None or not before.get_fignums()
    )
    with_html = [n for n in ("_repr_html_", "_repr_svg_") if getattr(drawn, n, lambda: None)()]
    assert not with_html


def test_in_axes_of_pyplot_the_picture_is_shown_by_pyplot_alone() -> None:
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    drawn = result("Portrait").plot(ax)
    assert drawn is ax and not hasattr(ax, "_repr_png_")
    panels = result("FieldPlane").plot(plt.subplots(1, 2)[1])
    assert panels._repr_png_() is None
    plt.close(figure)


def test_several_panels_are_shown_as_one_picture() -> None:
    figure, axes = style.figure(ncols=2)
    shown = [made._repr_png_() for made in (axes, figure, axes[1])]  # type: ignore[attr-defined]
    assert len({png for png, _ in shown}) == 1


def test_rendering_searches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("rendering computes")

    names = ["Certificate", "HorizonCertificate", "Portrait", "Basins", "Spectrum", "Comparison"]
    shown = [result(n) for n in names]
    shown.append(
        od.analysis.certify(od.algorithm("nesterov_sc"), 1, 4)
    )  # its lower bound was not looked for
    monkeypatch.setattr(spiral, "slowest_spiral", refuse)
    monkeypatch.setattr(certificate.spiral, "slowest_spiral", refuse)
    monkeypatch.setattr(horizon, "search", refuse)
    for module in list(sys.modules.values()):
        for name in (
            "solve_ivp",
            "compute_portrait",
            "certify",
            "basins",
            "spectrum",
            "convergence",
        ):
            if getattr(module, "__name__", "").startswith(("odescent", "scipy")) and name in vars(
                module
            ):
                monkeypatch.setattr(module, name, refuse)
    for one in shown:
        repr(one), str(one), one._repr_mimebundle_()


def test_a_notebook_shows_each_once() -> None:
    """As IPython has it, which the documentation is built with."""
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    formatter.active_types = list(formatter.formatters)
    for name in ("Portrait", "System", "Derivation"):
        data, _ = formatter.format(result(name))
        assert data == result(name)._repr_mimebundle_()
    data, sizes = formatter.format(result("Portrait").plot())
    assert set(data) == {"text/plain", "image/png"} and sizes["image/png"]["width"] > 200
    data, _ = formatter.format(result("FieldPlane").plot())
    assert set(data) == {"text/plain", "image/png"}


def test_a_class_between_keeps_its_line() -> None:
    class Base(Rendered):
        def __repr__(self) -> str:
            return "<its own>"

    @dataclasses.dataclass
    class Derived(Base):
        x: int = 1

    @dataclasses.dataclass
    class Plain(Rendered):
        x: int = 1

    assert repr(Derived()) == "<its own>" and repr(Plain()) == "Plain(x=1)"
