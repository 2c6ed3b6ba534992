"""The registered derivations: verified, refuted when a coefficient is changed, and MATH's three equations."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import sympy as sp
import textbook as tb

import odescent as od
from odescent.discretize.routes import REGISTRY, routes
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.second_order import SecondOrder, position, velocity
from odescent.dynamics.vector_fields.system import mu

root, h = sp.sqrt(mu), od.parameters("h")
f = od.Objective("f")
g, hessian = f.grad(position), f.hess(position, velocity)
TEXTBOOK: dict[str, Callable[[], od.Algorithm]] = {
    "implicit_gradient_transport": tb.gradient_transport,
    "nesterov_sc": tb.nesterov,
    "triple_momentum": tb.triple_momentum,
    "heavy_ball": lambda: tb.three_parameters(1 / (tb.L * (1 + tb.q)), tb.beta_nag),
}
# MATH b.3, b.4: the bound system, its limit, the modified equation, as left-hand sides of x'' + ... = 0
NAG = (2 * root * velocity + g, 2 * root * velocity + h * hessian + (1 + h * root) * g)
TMM = (
    3 * root * velocity + 2 * g,
    (3 * root + h * mu / 2) * velocity + h * hessian + 2 * (1 + h * root) * g,
)
HB = (2 * root * velocity + g, 2 * root * velocity + g)
PAPERS = {  # by route, where it is not the one on passivity
    "relaxation": "2306.09778",
    "doubling": "2310.17086",
    "splitting": "2306.01685",
    "window": "2107.03356",
    "first_integral": "1806.01811",
    "norm_test": "2402.11215",
    "lag": "1906.03532",
    "implicit": "2506.13710",
    "implicit_bilevel": "2201.13409",
    "inexact_bilevel": "2308.10098",
    "penalty_bilevel": "2301.10945",
}
T = sp.Symbol("T", positive=True)
AHEAD = f.grad(position + T * velocity)
IGT = (
    velocity / T + AHEAD / T,
    velocity / T + AHEAD / T + f.hess(position + T * velocity, AHEAD) * (h / (2 * T)),
)
EQUATIONS = {
    "implicit_gradient_transport/lag": (
        velocity / T + f.grad(position + h / (sp.exp(h / T) - 1) * velocity) / T,
        *IGT,
    ),
    "nesterov_sc/immersion": (2 * root * velocity + h * hessian + (1 + 2 * h * root) * g, *NAG),
    "nesterov_sc/model": (2 * root * velocity + h * hessian + (1 + h * root) * g, *NAG),
    "triple_momentum/model": (3 * root * velocity + h * hessian + (2 + h * root) * g, *TMM),
    "heavy_ball/model": (2 * root * velocity + g, *HB),
}


@pytest.fixture(params=REGISTRY.names())
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def derivation(key: str) -> od.Derivation:
    return od.derive(*key.split("/"))


def test_every_step_is_verified(derivation: od.Derivation) -> None:
    assert derivation.verified and all(s.verified for s in derivation.steps)
    assert len({s.title for s in derivation.steps}) == len(derivation.steps)
    assert {s.kind for s in derivation.steps} <= {"identity", "choice", "defect", "finding"}


def test_every_perturbed_claim_fails(derivation: od.Derivation) -> None:
    for step in derivation.steps:
        perturbed = list(step.perturbed())
        assert perturbed, f"{step.title} claims nothing"
        assert not any(p.verified for p in perturbed), (
            f"a changed coefficient passes in {step.title!r}"
        )


@pytest.mark.parametrize("key", EQUATIONS)
def test_it_ends_in_the_textbook_method(key: str) -> None:
    derivation = od.derive(*key.split("/"))
    found = derivation.algorithm.equivalent(TEXTBOOK[derivation.name]())
    assert found, found.reason
    assert (
        found.same_output or derivation.name == "heavy_ball"
    )  # whose x is the last gradient point


@pytest.mark.parametrize("key", EQUATIONS)
def test_three_equations(key: str) -> None:
    shown = od.derive(*key.split("/")).equations
    assert list(shown) == ["bound system", "limit h -> 0", "modified equation"]
    for equation, expected in zip(shown.values(), EQUATIONS[key], strict=True):
        assert isinstance(equation, SecondOrder) and vanishes(equation.lhs - expected)


def test_what_has_no_equations_here_is_time_varying(key: str, derivation: od.Derivation) -> None:
    """Or is of first order, or draws noise (see test_relaxation.py): only then no equations are typed in this file."""
    roles = {b.role for b in derivation.system.blocks}
    program = derivation.algorithm.program
    first = not any(isinstance(e, SecondOrder) for e in derivation.equations.values())
    assert key in EQUATIONS or first or "coefficient" in roles or program.counted or program.draws
    assert list(derivation.equations)[:2] == ["bound system", "limit h -> 0"]


def test_provenance_and_data(derivation: od.Derivation) -> None:
    paper = PAPERS.get(derivation.name, PAPERS.get(derivation.route, "2509.18346"))
    assert "econstructed" in derivation.provenance and paper in derivation.provenance
    data = json.loads(json.dumps(derivation.to_dict(), allow_nan=False))
    assert data["verified"] is True and len(data["steps"]) == len(derivation.steps)
    assert derivation.text() and derivation.latex()


def test_immersion_says_what_matters() -> None:
    """Issue 2, item 4: the honest finding, the choice, and both bound systems; the defect in the other route."""
    immersion, model = od.derive("nesterov", "immersion"), od.derive("nesterov", "model")
    kinds = {s.title: s.kind for s in immersion.steps}
    assert kinds["Without interconnection nothing accelerates"] == "finding"
    assert (
        kinds["What selects K and b"] == "choice" and "The same method from another system" in kinds
    )
    assert [s.title for s in model.steps if s.kind == "defect"] == ["What is dropped"]
    for d in (immersion, model):
        assert d.algorithm.where[od.parameters("a")] == h and d.algorithm.tuning == {
            h: 1 / sp.sqrt(tb.L)
        }


def test_names_and_routes() -> None:
    assert (
        routes("nesterov") == ["immersion", "model", "direct"]
        and od.derive("nesterov").route == "immersion"
    )
    with pytest.raises(od.OdescentError, match="did you mean 'nesterov'"):
        od.derive("nestrov")
    with pytest.raises(od.OdescentError, match="did you mean 'model'"):
        od.derive("nesterov", "modell")
