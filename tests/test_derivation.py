"""Steps and derivations: what a check means, what a perturbation is, what is shown side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import sympy as sp

import odescent as od
from odescent.discretize.proof.steps import Claim, Equation, Step
from odescent.dynamics import vanishes
from odescent.dynamics.vector_fields.second_order import position, velocity
from odescent.dynamics.vector_fields.system import mu

x, v = od.blocks("x v")
c, h = od.parameters("c h")
f = od.Objective("f")
KICK_DRIFT_KICK = od.scheme("strang", [("kick", "explicit"), ("drift", "explicit")])
FIELDS = {"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}


def square(value: sp.Expr, kind: str = "identity") -> Step:
    return Step(
        "Square",
        "$(c + h)^2$",
        (Claim("s", value, "s"),),
        lambda claims: {"difference": Equation((c + h) ** 2, claims["s"])},
        kind,
    )


def test_a_step_holds_or_shows_its_residual() -> None:
    good, bad = square(c**2 + 2 * c * h + h**2), square(c**2 + h**2)
    assert good.verified and good.residual == 0
    assert not bad.verified and sp.expand(bad.residual - 2 * c * h) == 0
    empty = Step("Nothing", "", (), lambda claims: {})
    assert not empty.verified  # no residual, no proof


def test_perturbations_reach_every_term() -> None:
    good = square(c**2 + 2 * c * h + h**2)
    perturbed = list(good.perturbed())
    assert len(perturbed) == 3 and not any(p.verified for p in perturbed)
    vector = Step(
        "v",
        "",
        (Claim("w", 2 * x - (c + h) * v), Claim("z", sp.S.Zero)),
        lambda q: {"w": Equation(q["w"]), "z": Equation(q["z"])},
    )
    values = [[claim.value for claim in p.claims] for p in vector.perturbed(sp.Rational(2))]
    assert {w for w, _ in values[:3]} == {
        4 * x - (c + h) * v,
        2 * x - (2 * c + h) * v,
        2 * x - (c + 2 * h) * v,
    }
    assert values[3][1] == 2  # a claim of zero becomes something else


@pytest.mark.parametrize(
    "scale", [sp.Rational(8, 7), sp.S.Zero]
)  # zero takes symbols out of a claim
def test_a_perturbed_step_has_the_equations_that_it_would_make_itself(scale: sp.Rational) -> None:
    for step in (*od.derive("nesterov").steps, *od.algorithm("adam").derivation().steps):
        for perturbed in step.perturbed(scale):
            assert perturbed.equations == replace(perturbed).equations


def test_claims_and_steps_as_data() -> None:
    step = square(c**2 + 2 * c * h + h**2)
    claim = step.claims[0]
    assert claim.text().startswith("s = ") and claim.latex().startswith("s = ")
    data = json.loads(json.dumps(step.to_dict()))
    assert set(data) == {
        "title",
        "kind",
        "statement",
        "assumes",
        "reference",
        "claims",
        "checks",
        "verified",
    }
    assert data["verified"] is True
    (check,) = data["checks"]
    assert check == {
        "name": "difference",
        "text": "(c + h)**2 = s",
        "left": ["pow", ["add", ["symbol", "c", "positive"], ["symbol", "h", "positive"]], "2"],
        "right": [
            "claim",
            "s",
            [[["symbol", n, "positive"]] * 2 for n in ("c", "h")],
            [],
        ],
        "residual": "0",
    }


@pytest.mark.parametrize(
    "algorithm",
    [
        od.Algorithm(od.System(FIELDS), od.scheme("semi_implicit_euler", order=("v", "x")), h),
        od.Algorithm(od.System({"kick": FIELDS["kick"], "drift": {x: v}}), KICK_DRIFT_KICK, h),
        od.Algorithm(od.System({"flow": {x: -od.hadamard(x, x)}}), od.scheme("heun"), h),
        od.algorithm("adam"), od.algorithm("nesterov_c"), od.algorithm("extragradient"),
    ],
    ids=["momentum", "kept gradient", "element-wise", "adam", "time-dependent", "two calls"],
)  # fmt: skip
def test_direct_derivation_of_any_algorithm(algorithm: od.Algorithm) -> None:
    derivation = algorithm.derivation()
    assert derivation.verified, [s.title for s in derivation.steps if not s.verified]
    for step in derivation.steps:
        assert not any(p.verified for p in step.perturbed()), step.title
    json.dumps(derivation.to_dict(), allow_nan=False)


def test_a_changed_coefficient_is_followed() -> None:
    """A user's system: three times the damping, and every equation shows it."""
    mine = od.System({"damp": {v: -3 * sp.sqrt(mu) * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    parts = [("damp", "cayley"), ("kick", "explicit"), ("drift", "explicit")]
    shown = od.Algorithm(mine, od.scheme("lie_trotter", parts), h).derivation().equations
    assert list(shown) == ["bound system", "limit h -> 0", "modified equation"]
    flow = 3 * sp.sqrt(mu) * velocity + f.grad(position)
    for name in ("bound system", "limit h -> 0"):
        assert vanishes(shown[name].lhs - flow)
    assert vanishes(
        shown["modified equation"].lhs - flow - h * sp.sqrt(mu) * 3 / 2 * f.grad(position)
    )
