"""Derivations by the model route with a moving scale: every step holds, every claim matters, weights are signs."""

from __future__ import annotations

from typing import Any

import hand_loops
import numpy as np
import pytest
import sympy as sp
import textbook as tb

import odescent as od
from odescent.discretize.routes import routes
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.algebra.vectors import ScalarNode
from odescent.dynamics.vector_fields.system import L, mu

h = od.parameters("h")
MEMBERS: dict[str, dict[str, Any]] = {
    "nesterov_c": {}, "nesterov_c (FISTA)": {"momentum": "fista"}, "ogm": {}, "item": {}, "unified_nesterov": {},
}  # fmt: skip
STEADY = ("nesterov_sc", "triple_momentum")
TITLE = "Discrete Lyapunov function"


@pytest.fixture(scope="module")
def derived() -> dict[str, od.Derivation]:
    made = {n: od.derive(n.split(" ")[0], "model", **o) for n, o in MEMBERS.items()}
    return {**made, **{n: od.derive(n, "model") for n in STEADY}}


def claims(d: od.Derivation, title: str) -> dict[str, Any]:
    (step,) = [s for s in d.steps if s.title == title]
    return {c.name: c.value for c in step.claims}


@pytest.mark.parametrize("name", MEMBERS)
def test_every_step_holds(derived: dict[str, od.Derivation], name: str) -> None:
    d = derived[name]
    assert d.verified and d.route == "model" and "model" in routes(d.name)
    titles = [s.title for s in d.steps]
    for wanted in ("Lyapunov function and Riccati equation", "Limit flow", "Momentum form", TITLE):
        assert wanted in titles
    assert ("Discrete Riccati equation" in titles) == (name != "nesterov_c")


def test_every_claim_matters(derived: dict[str, od.Derivation]) -> None:
    """FISTA's, which has an option of its own; the battery of test_routes changes those of all other derivations."""
    for step in derived["nesterov_c (FISTA)"].steps:
        changed = list(step.perturbed())
        assert changed and not any(p.verified for p in changed), step.title


@pytest.mark.parametrize("name", STEADY)
def test_certificates_of_the_steady_members(derived: dict[str, od.Derivation], name: str) -> None:
    (step,) = [s for s in derived[name].steps if s.title == TITLE]
    assert step.verified
    factor = {c.name: c.value for c in step.claims}["lambda"]
    assert is_zero(factor.subs(h, 1 / sp.sqrt(L)) - tb.rho ** (1 if name == "nesterov_sc" else 2))


@pytest.mark.parametrize("name", MEMBERS)
def test_they_lead_to_the_registered_methods(derived: dict[str, od.Derivation], name: str) -> None:
    found = derived[name].algorithm.equivalent(od.algorithm(name.split(" ")[0], **MEMBERS[name]))
    assert found.verdict == "proved" and found.same_output is True


@pytest.mark.parametrize("name", [*MEMBERS, *STEADY])
def test_weights_and_factors_have_the_right_sign(
    derived: dict[str, od.Derivation], name: str
) -> None:
    """Along actual scales (tau+ >= h for c = 1, 2 h / (1 + m) for c = 2, below 1 / sqrt(mu)), with mu h^2 <= 1."""
    stated = claims(derived[name], TITLE)
    weights = {n: e for n, e in stated.items() if n.startswith("w(")}
    assert len(weights) in {2, 3, 4} and all(not e.has(ScalarNode) for e in weights.values())
    c = 2 if name in {"ogm", "item", "triple_momentum"} else 1
    convex = name in {"nesterov_c", "nesterov_c (FISTA)", "ogm"}
    for q in (0.0,) if convex else (0.01, 0.3, 0.9):
        values = {mu: q, h: 1.0}
        top = 1 / np.sqrt(q) if q else 50.0
        low = 1.0 if c == 1 else 2 / (1 + q)
        for new in np.linspace(low, top, 5):
            theta = (new - 1) / (1 - q * new) if q * new < 1 else top
            at = {
                **values,
                sp.Symbol("tau_new", positive=True): new,
                sp.Symbol("theta", positive=True): theta,
            }
            assert all(float(e.subs(at)) >= -1e-12 for e in weights.values()), (q, new)
            assert -1e-12 <= float(stated["lambda"].subs(at)) <= 1


def test_the_weights_of_the_notes(derived: dict[str, od.Derivation]) -> None:
    """MATH b.4 and b.5: NAG-SC (L = 1), TMM, FISTA with s t_k^2 ..., OGM with T = 2 theta."""
    q, t = sp.sqrt(mu), sp.Symbol("t", positive=True)
    new = sp.Symbol("tau_new", positive=True)

    def weights(name: str, **at: sp.Expr) -> list[sp.Expr]:
        stated = claims(derived[name], TITLE)
        return [
            e.subs({h: 1, **({new: at["new"]} if at else {})})
            for n, e in stated.items()
            if n.startswith("w(")
        ]

    def agree(mine: list[sp.Expr], noted: list[sp.Expr]) -> bool:
        return len(mine) == len(noted) and all(
            is_zero(a - b) for a, b in zip(mine, noted, strict=True)
        )

    assert agree(weights("nesterov_sc"), [1 - q, q, sp.S.One, q / 2 * (1 - q**2)])
    assert agree(weights("triple_momentum"), [(1 - q) ** 2, 1 - (1 - q) ** 2])
    assert agree(weights("nesterov_c (FISTA)", new=t), [t**2 - t, t, t**2])
    # E = |z|^2 + ..., twice MATH's
    assert agree(weights("ogm", new=2 * t), [4 * (t**2 - t), 4 * t])


def test_the_sampled_scale_pays_a_quarter(derived: dict[str, od.Derivation]) -> None:
    stated = claims(derived["nesterov_c"], TITLE)
    assert stated["w(f(x))"] == h**2 / 4


def test_momentum_forms_are_the_textbooks(derived: dict[str, od.Derivation]) -> None:
    T, after = od.parameters("T T_new")
    assert is_zero(claims(derived["nesterov_c (FISTA)"], "Momentum form")["beta"] - (T - 1) / after)
    ogm = claims(derived["ogm"], "Momentum form")
    assert is_zero(ogm["beta"] - (T / 2 - 1) / (after / 2)) and is_zero(ogm["gamma"] - T / after)
    # at the fixed point T = 1 / q: Nesterov's momentum, and TMM's two coefficients
    fixed = {T: 1 / (h * sp.sqrt(mu)), after: 1 / (h * sp.sqrt(mu)), h: 1 / sp.sqrt(L)}
    beta = claims(derived["unified_nesterov"], "Momentum form")["beta"]
    assert is_zero(beta.subs(fixed).subs(h, 1 / sp.sqrt(L)) - tb.beta_nag)


def test_the_certificate_as_numbers() -> None:
    """FISTA's identity, both sides in floats, on a quadratic in three dimensions with the textbook's loop."""
    grad, Q, center, x0 = hand_loops.quadratic(d=3, seed=5)
    value = lambda x: (x - center) @ Q @ (x - center) / 2
    s, t, x, z = 1 / hand_loops.L, 1.0, x0, x0
    last = 0.0
    for _ in range(12):
        y = (1 - 1 / t) * x + z / t
        slope = grad(y)
        x_new, z_new = y - s * slope, z - t * s * slope
        energy = s * last**2 * value(x) + (z - center) @ (z - center) / 2
        after = s * t**2 * value(x_new) + (z_new - center) @ (z_new - center) / 2
        at_x = value(x) - value(y) - slope @ (x - y)
        at_min = -value(y) - slope @ (center - y)
        descent = value(y) - s / 2 * slope @ slope - value(x_new)
        assert energy - after == pytest.approx(
            s * (t**2 - t) * at_x + s * t * at_min + s * t**2 * descent, abs=1e-12
        )
        x, z, last, t = x_new, z_new, t, (1 + np.sqrt(1 + 4 * t * t)) / 2


@pytest.mark.parametrize("name", ["nesterov_c", "item"])
def test_they_can_be_read(derived: dict[str, od.Derivation], name: str) -> None:
    d = derived[name]
    text, tex, data = d.text(), d.latex(), d.to_dict()
    assert f"{len(d.steps)} of {len(d.steps)} steps verified" in text and "Riccati" in text
    assert tex.count(r"\item") == len(d.steps) and data["verified"] is True
    assert "Reconstructed" in data["provenance"] and data["references"][0] == "parimi2025"
    assert "taylor2023" not in data["references"] or "An Optimal Gradient Method" in od.cite(d)
    for step in d.steps:
        assert tex.count("$") % 2 == 0 and step.statement


def test_options_reach_the_route() -> None:
    with pytest.raises(od.OdescentError, match="momentum of nesterov_c must be"):
        od.derive("nesterov_c", momentum="other")
    with pytest.raises(od.OdescentError, match="momentum"):
        od.derive("ogm", "model", momentum="fista")
