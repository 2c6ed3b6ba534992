"""The replayer: alone with the JSON, it confirms what holds and catches what was changed."""

from __future__ import annotations

import ast
import copy
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import mpmath
import pytest
import sympy as sp

import odescent as od
from odescent import replay
from odescent.discretize.derivation import Claim, Equation, Step
from odescent.discretize.routes import REGISTRY
from odescent.dynamics.calculus import derivative, substitute
from odescent.dynamics.trees import pairs, tree

x, v = od.blocks("x v")
f = od.Objective("f")
c, h = od.parameters("c h")


derived = functools.cache(REGISTRY.build)


def written(step: Step) -> dict[str, Any]:
    """What a replay needs of a step, as read from JSON."""
    data = {
        "title": step.title,
        "claims": [{"name": c.name, "value": tree(c.value)} for c in step.claims],
        "checks": [
            {"name": n, "left": tree(e.left), "right": tree(e.right)}
            for n, e in step.equations.items()
        ],
    }
    return json.loads(json.dumps(data))


def fails(*steps: dict[str, Any]) -> list[str]:
    return replay.replay({"steps": steps}, say=lambda line: None)


def coefficients(data: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Where the rational numbers of a tree stand."""
    if isinstance(data, str):
        yield path
    elif data and data[0] not in ("symbol", "block", "slot"):
        for i, part in enumerate(data):
            if not isinstance(part, str) or part.lstrip("-").replace("/", "").isdigit():
                yield from coefficients(part, (*path, i))


def edited(data: Any, path: tuple[int, ...]) -> Any:
    """The tree with one of its numbers moved by 1/7."""
    if not path:
        top, _, bottom = data.partition("/")
        return f"{7 * int(top) + int(bottom or 1)}/{7 * int(bottom or 1)}"
    changed = copy.copy(data)
    changed[path[0]] = edited(data[path[0]], path[1:])
    return changed


@pytest.mark.parametrize("key", REGISTRY.names())
def test_every_derivation_replays_and_no_perturbed_step_does(key: str) -> None:
    for step in derived(key).steps:
        assert not fails(written(step))
        for perturbed in step.perturbed():
            assert fails(written(perturbed)), (step.title, perturbed.claims)


@pytest.mark.parametrize("key", REGISTRY.names())
def test_one_coefficient_of_a_claim_edited_by_hand_fails(key: str) -> None:
    document = json.loads(json.dumps(derived(key).to_dict(), allow_nan=False))
    assert not replay.replay(document, say=lambda line: None)
    for step in document["steps"]:
        for claim in step["claims"]:
            value = claim["value"]
            places = list(coefficients(value))
            for path in places[:: max(1, len(places) // 4)]:
                claim["value"] = edited(value, path)
                assert fails(step), (step["title"], claim["name"], path)
            claim["value"] = value


@pytest.mark.parametrize("name", ["underdamped_langevin", "accelerated_mirror_descent", "newton",
                                  "proximal_gradient", "sign_descent", "item", "halpern"])  # fmt: skip
def test_derivations_of_any_algorithm_replay(name: str) -> None:
    for step in od.algorithm(name).derivation().steps:
        assert not fails(written(step))
        assert all(fails(written(p)) for p in step.perturbed()), step.title


def test_a_plant_of_ones_own_replays() -> None:
    u, p = od.blocks("u p")
    derivation = od.immerse(
        {x: p, p: u}, u, gain=c, immersion={p: -(1 + c) * f.grad(x)}, port=-f.grad(x)
    )
    assert derivation.verified
    assert not fails(*map(written, derivation.steps))


def test_derivatives_of_claims_are_taken_by_the_replayer_itself() -> None:
    """A false rate of a claimed energy is caught although the engine's own derivative is not in the file."""
    flow = {x: v, v: -c * v - f.grad(x)}

    def step(damping: sp.Expr) -> Step:
        return Step(
            "Energy", "",
            (Claim("E", f.value(x) + od.inner(v, v) / 2), Claim("E'", -damping * od.inner(v, v))),
            lambda q: {"rate": Equation(derivative(q["E"], flow), q["E'"])},
        )  # fmt: skip

    assert step(c).verified and not fails(written(step(c)))
    assert not step(2 * c).verified and fails(written(step(2 * c))) == ["Energy: rate"]
    assert '"inner"' not in json.dumps(written(step(c))["checks"])  # only D E along the flow


def test_second_derivatives_and_substitutions() -> None:
    flow = {x: f.grad(x)}
    cubic = Step(
        "Twice", "",
        (Claim("w", f.grad(x)), Claim("w''", f.third(x, f.grad(x), f.grad(x)) + f.hess(x, f.hess(x, f.grad(x)))),
         Claim("at 2x", f.grad(2 * x))),
        lambda q: {
            "second": Equation(derivative(derivative(q["w"], flow), flow), q["w''"]),
            "moved": Equation(substitute(q["w"], {x: 2 * x}), q["at 2x"]),
        },
    )  # fmt: skip
    assert cubic.verified and not fails(written(cubic))


def test_a_claim_in_no_check_fails() -> None:
    step = Step("Idle", "", (Claim("a", c), Claim("b", c)), lambda q: {"a": Equation(c, q["a"])})
    assert fails(written(step)) == ["Idle: b is in no check"]


def test_what_is_malformed_fails_without_a_traceback() -> None:
    claims = [{"name": "a", "value": "1"}]
    for left in (
        ["nonsense"],
        ["inner", "1"],
        ["sum", ["1", ["block", "x"]]],
        "x/y",
        None,
        ["claim", "b", [], []],
    ):
        check = {"name": "odd", "left": left, "right": ["claim", "a", [], []]}
        assert fails({"title": "t", "claims": claims, "checks": [check]})


@pytest.mark.parametrize(
    "word", ["exp", "log", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "coth"]
)
def test_functions_against_mpmath(word: str) -> None:
    """200 digits, against another package's."""
    import decimal

    with decimal.localcontext() as context, mpmath.workdps(120):
        context.prec = 200
        for number in ("0.003", "0.7", "2.9", "11.3"):
            mine = replay.FUNCTIONS[word](Decimal(number))
            exact = getattr(mpmath, word if word != "log" else "ln")(mpmath.mpf(number))
            assert abs(mpmath.mpf(str(mine)) - exact) < mpmath.mpf("1e-100") * (1 + abs(exact))


def test_oracles_are_symmetric_derivatives_of_one_function() -> None:
    """grad is the gradient of value, and its derivatives are symmetric, as those of a smooth function are."""
    import decimal

    with decimal.localcontext() as context:
        context.prec = 200
        world = replay.World({}, 5)
        a, b, p = (world.draw(n, 3) for n in "abp")
        step = Decimal("1e-50")
        slope = (
            world.oracle("value", "f", p + a * step) - world.oracle("value", "f", p + a * -step)
        ) / (2 * step)
        assert abs(slope - replay.dot(world.oracle("grad", "f", p), a)) < Decimal("1e-80")
        hessian = [replay.dot(world.oracle("grad", "f", p, [d]), e) for d, e in ((a, b), (b, a))]
        assert abs(hessian[0] - hessian[1]) < Decimal("1e-150")
        game = [replay.dot(world.oracle("operator", "f", p, [d]), e) for d, e in ((a, b), (b, a))]
        assert abs(game[0] - game[1]) > Decimal("1e-3")  # an operator's need not be


def test_it_stands_alone(tmp_path: Path) -> None:
    """Copied elsewhere, without the package, it replays a file and refuses a changed one; see its own size."""
    source = Path(replay.__file__)
    shutil.copy(source, tmp_path / "replay.py")
    parsed = ast.parse(source.read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(parsed) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module or "" for n in ast.walk(parsed) if isinstance(n, ast.ImportFrom)}
    assert {m.split(".")[0] for m in imported} <= sys.stdlib_module_names
    document = od.derive("heavy_ball").to_dict()
    path = tmp_path / "derivation.json"

    def run() -> subprocess.CompletedProcess[str]:
        path.write_text(json.dumps(document), encoding="utf-8")
        command = [sys.executable, "-I", "replay.py", "derivation.json"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run()
    assert good.returncode == 0 and good.stdout.endswith("all hold\n"), good.stderr
    claim = document["steps"][0]["claims"][0]
    claim["value"] = edited(claim["value"], next(coefficients(claim["value"])))
    bad = run()
    assert bad.returncode == 1 and "FAIL" in bad.stdout and "failed" in bad.stdout


def test_the_exact_data_of_an_algorithm_is_complete() -> None:
    """System, scheme, bindings and program, for every kind of substep, instruction and noise."""
    for name in ("nesterov_sc", "adam", "underdamped_langevin", "proximal_point", "item"):
        algorithm = od.algorithm(name)
        exact = algorithm.derivation().to_dict()["algorithm"]["exact"]
        json.dumps(exact, allow_nan=False)
        assert [b["symbol"] for b in exact["system"]["blocks"]] == [
            tree(b.symbol) for b in algorithm.system.blocks
        ]
        assert set(exact["system"]["fields"]) == set(algorithm.system.fields)
        assert len(exact["scheme"]["steps"]) == len(algorithm.scheme.steps)
        assert len(exact["program"]["instructions"]) == len(algorithm.tuned.instructions)
        assert exact["program"]["next"] == pairs(algorithm.tuned.next)
        assert exact["where"] == pairs(algorithm.where) and exact["tuning"] == pairs(
            algorithm.tuning
        )
    noise = od.system("underdamped_langevin").fields
    exact = od.algorithm("underdamped_langevin").derivation().to_dict()["algorithm"]["exact"]
    assert sum(len(f["noise"]) for f in exact["system"]["fields"].values()) == sum(
        len(f.noise) for f in noise.values()
    )
