"""The replayer: alone with the JSON, it confirms what holds and catches what was changed."""

from __future__ import annotations

import ast
import copy
import decimal
import json
import random
import re
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
from attacks_on_derivations import attacks, original, outcome, sealed, splices, structural

import odescent as od
from odescent import replay
from odescent.discretize.proof.steps import Claim, Equation, Step
from odescent.discretize.routes import REGISTRY
from odescent.dynamics.algebra.calculus import derivative, substitute
from odescent.dynamics.algebra.trees import pairs, tree

x, v = od.blocks("x v")
f = od.Objective("f")
c, h = od.parameters("c h")


def derived(key: str) -> od.Derivation:
    return od.derive(*key.split("/"))


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
    """What the arithmetic says of steps that stand in no document."""
    arithmetic = replay.Arithmetic(list(steps), points=1)
    done = {f"{s['title']}: {n}": fine for s in steps for n, fine in arithmetic.step(s).items()}
    return [name for name, fine in done.items() if not fine]


def refuted(step: dict[str, Any]) -> bool:
    """Whether a check of the step fails, and not only by a claim that no check notices."""
    arithmetic = replay.Arithmetic(step, points=1)
    claims = {c["name"]: c["value"] for c in step["claims"]}
    with decimal.localcontext(arithmetic.context):
        return not all(
            arithmetic.agree(lambda w, c=c: [w(c["left"], {}), w(c["right"], {})], claims)[0]
            for c in step["checks"]
        )


def quiet(document: Any) -> list[str]:
    return replay.replay(document, points=1, say=lambda line: None)


def coefficients(data: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Where the rational numbers of a tree stand; a root is the same for a multiple of its equation."""
    if isinstance(data, str):
        yield path
    elif data and data[0] not in ("symbol", "block", "slot", "root"):
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
            assert refuted(written(perturbed)), (step.title, perturbed.claims)


@pytest.mark.parametrize("key", REGISTRY.names())
def test_one_coefficient_of_a_claim_edited_by_hand_fails(key: str) -> None:
    document = json.loads(json.dumps(derived(key).to_dict(), allow_nan=False))
    assert not quiet(document)
    for step in document["steps"]:
        for claim in step["claims"]:
            value = claim["value"]
            places = list(coefficients(value))
            for path in places[:: max(1, len(places) // 4)]:
                claim["value"] = edited(value, path)
                assert refuted(step), (step["title"], claim["name"], path)
            claim["value"] = value


@pytest.mark.parametrize("name", ["underdamped_langevin", "accelerated_mirror_descent", "newton",
                                  "proximal_gradient", "sign_descent", "item", "halpern"])  # fmt: skip
def test_derivations_of_any_algorithm_replay(name: str) -> None:
    for step in od.algorithm(name).derivation().steps:
        assert not fails(written(step))
        assert all(refuted(written(p)) for p in step.perturbed()), step.title


@pytest.mark.parametrize("name", od.algorithms())
def test_the_derivation_of_every_algorithm_is_verified_and_replays(name: str) -> None:
    """Claims that are matrices too, whose transposes stand in the flow."""
    found = od.derive(name, "direct")
    assert found.verified and not quiet(json.loads(json.dumps(found.to_dict())))


def test_implicit_functions_replay_and_others_do_not() -> None:
    """A root is found by the replayer itself: of other equations it is another."""
    y = od.blocks("y")
    F, G = (od.Objective(n, args=("x", "y")) for n in ("F", "G"))
    lowest = od.argmin(G.value(x, y), y)
    flow = od.System(
        {"upper": {x: -F.grad(x, lowest, wrt="x")}},
        blocks=[od.Block("x"), od.Block("y", role="memory")], output=x, name="upper_flow",
    )  # fmt: skip
    document = json.loads(
        json.dumps(od.Algorithm(flow, "explicit_euler").derivation().to_dict(), allow_nan=False)
    )
    assert not quiet(document)
    tried = 0
    for step in document["steps"]:
        for claim in step["claims"]:
            value, text = claim["value"], json.dumps(claim["value"])
            for part in re.findall(r'\["root", .*?\["oracle", "grad", \["G"', text)[:1]:
                claim["value"] = json.loads(text.replace(part, part[: -len('"G"')] + '"F"', 1))
                assert refuted(step), (step["title"], claim["name"])
                tried += 1
            claim["value"] = value
    assert tried >= 3


def test_roots_of_other_unknowns_and_maxima_are_no_minima() -> None:
    y = od.blocks("y")
    F, G = (od.Objective(n, args=("x", "y")) for n in ("F", "G"))
    lowest, slope = od.argmin(G.value(x, y), y), G.grad(x, y, wrt="y")
    same = {
        "a root": (lowest, od.root(slope, y)),
        "twice the equation": (od.root(slope, y), od.root(slope * 2, y)),
        "at it": (substitute(slope, {y: lowest}), slope * 0),
    }
    other = {
        "a maximum": (lowest, od.argmin(-G.value(x, y), y)),
        "another function": (lowest, od.argmin(F.value(x, y), y)),
        "another unknown": (od.root(slope - F.grad(x, y, wrt="x"), y), od.root(slope - F.grad(x, y, wrt="x"), x)),
        "not at it": (substitute(slope, {y: lowest * 2}), slope * 0),
        "by its last digit": (lowest, lowest * (1 + sp.Rational(1, 10**99))),
    }  # fmt: skip
    for sides in (same, other):
        for name, (left, right) in sides.items():
            step = Step(
                "Roots", "", (Claim("a", left),), lambda c, r=right: {"b": Equation(c["a"], r)}
            )
            assert refuted(written(step)) == (sides is other), name


def test_digits_that_cancel_are_there() -> None:
    """Of e^200 - e^200, whose difference is e^-200, also in the derivative of a claim."""
    far, near = sp.exp(-c - 200), sp.cosh(c + 200) - sp.sinh(c + 200)
    for left, holds in ((near, True), (near + c * sp.Rational(1, 10**99), False)):
        step = Step("", "", (Claim("a", left),), lambda m: {
            "equal": Equation(m["a"], far), "and so is the rate": Equation(derivative(m["a"], {c: c}), -c * far)
        })  # fmt: skip
        assert refuted(written(step)) is not holds


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
    assert not step(2 * c).verified and fails(written(step(2 * c))) == ["Energy: check rate"]
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
    assert fails(written(step)) == ["Idle: claim b is in no check"]


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


REAL = "exp log sin cos tan asin acos atan sinh cosh tanh coth asinh acosh atanh"


@pytest.mark.parametrize("word", REAL.split())
def test_functions_against_mpmath(word: str) -> None:
    """200 digits, against another package's."""
    with decimal.localcontext() as context, mpmath.workdps(120):
        context.prec = 200
        numbers = ("0.003", "0.7", "2.9", "11.3")
        if word in ("asin", "acos", "atanh"):
            numbers = ("0.003", "0.7", "-0.8", "0.97")
        for number in numbers[2:] if word == "acosh" else numbers:
            mine = replay.FUNCTIONS[word](Decimal(number))
            exact = getattr(mpmath, word if word != "log" else "ln")(mpmath.mpf(number))
            assert abs(mpmath.mpf(str(mine)) - exact) < mpmath.mpf("1e-100") * (1 + abs(exact))


def test_oracles_are_symmetric_derivatives_of_one_function() -> None:
    """grad is the gradient of value, and its derivatives are symmetric, as those of a smooth function are."""
    with decimal.localcontext() as context:
        context.prec = 200
        world = replay.World({}, "5", 100)
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
    imported |= {
        n.module or "" for n in ast.walk(parsed) if isinstance(n, ast.ImportFrom) and not n.level
    }
    assert {m.split(".")[0] for m in imported} <= sys.stdlib_module_names
    document = od.derive("heavy_ball").to_dict()
    path = tmp_path / "derivation.json"

    def run() -> subprocess.CompletedProcess[str]:
        path.write_text(json.dumps(document), encoding="utf-8")
        command = [sys.executable, "-I", "replay.py", "derivation.json"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run()
    assert good.returncode == 0 and good.stdout.endswith("the arithmetic holds, no more\n"), (
        good.stderr
    )
    assert "are compared by odescent only" in good.stdout
    claim = document["steps"][0]["claims"][0]
    claim["value"] = edited(claim["value"], next(coefficients(claim["value"])))
    damaged = run()
    assert damaged.returncode == 2 and "its digest" in damaged.stderr and not damaged.stdout
    document["digest"] = replay.digest(document)
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


# Hostile documents


def document(name: str = "gradient_descent") -> Any:
    return json.loads(original(name))


@pytest.mark.parametrize("name", ["gradient_descent", "nesterov_sc/model"])
def test_no_structural_attack_passes(name: str) -> None:
    """Steps, claims, checks, values that are not finite, words, program: with a digest that is right, none passes."""
    good = document(name)
    for where, attack in [*structural(good), *splices(good, document("heavy_ball/model"))]:
        assert json.dumps(attack) == original(name) or outcome(attack)[0] != "passes", where


def test_alterations_of_leaves_lists_and_keys_are_refused() -> None:
    good = document("nesterov_sc/immersion")
    for where, attack in attacks(good, 40, random.Random(7)):
        assert outcome(attack)[0] != "passes", where


def test_alone_it_refuses_what_is_about_numbers() -> None:
    """Without the engine: claims, checks, program, tuning and fields; it does not compare words, and says so."""
    good = document()
    others = (  # compared by the engine; a claim may have other checks; a constant may be differentiated away
        "what people read", "provenance", "steps/0/statement", "name", "principle", "without step",
        "algorithm/exact/scheme", "a check of itself", "checks times 0", "1e-34",
    )  # fmt: skip
    checked = 0
    for where, attack in structural(good):
        if where.startswith(others) or json.dumps(attack) == json.dumps(good):
            continue
        try:
            replay.check_form(attack)
            arithmetic = replay.Arithmetic(attack, points=1)
            exact = attack["algorithm"]["exact"]
            done = [arithmetic.step(s, exact) for s in attack["steps"]]
        except replay.ODD:
            continue
        assert not all(all(d.values()) for d in done), where
        checked += 1
    assert checked > 10


def test_points_depend_on_the_document() -> None:
    """A false claim that is right at all points of the true document is refuted, as its own are others."""
    step = Step("One", "", (Claim("a", c),), lambda q: {"a": Equation(c, q["a"])})
    good = written(step)
    symbol = tree(c)
    factors = []
    for seed in range(60):
        world = replay.World({}, f"{replay.Arithmetic([good]).salt} {seed}", 100)
        with decimal.localcontext(decimal.Context(200)):
            top, bottom = world(symbol, {}).as_integer_ratio()
        factors.append(["add", symbol, str(sp.Rational(-top, bottom))])
    good["claims"][0]["value"] = ["add", symbol, ["mul", *factors]]
    assert fails(good)


def test_symbols_oracles_and_constants_are_independent() -> None:
    """No false identity holds for the sake of how values are drawn."""
    world = replay.World({}, "7", 100)
    with decimal.localcontext(decimal.Context(120)):
        plain, signed = (world(["symbol", "h", *t], {}) for t in ([], ["positive"]))
        assert plain not in (signed, 2 * signed - 1) and world(["value", "f", ["sum"]], {}) != 3
        x = ["block", "x"]
        kinds = ("grad", "prox", "operator", "map", "slope")
        found = [world(["oracle", kind, "f", x, [], []], {}) for kind in kinds]
        assert len(set(found)) == len(kinds)


def test_a_document_put_together_by_hand_is_no_derivation() -> None:
    step = Step("Empty", "", (Claim("a", c),), lambda q: {"a": Equation(c, q["a"])})
    made = od.Derivation("mine", "hand", "", (step,), od.algorithm("gradient_descent"))
    (sentence,) = quiet(json.loads(json.dumps(made.to_dict())))
    assert "assembled by hand" in sentence


def told(given: Any) -> tuple[list[str], str]:
    lines: list[str] = []
    return replay.replay(given, points=1, say=lines.append), lines[-1]


def test_systems_of_ones_own_replay_and_get_no_registered_name() -> None:
    system = od.System({"flow": {x: -c * f.grad(x)}}, output=x, name="adam", provenance="My notes.")
    own = od.Algorithm(system, od.scheme("explicit_euler"), name="adam", tuning={h: 1 / c})
    wrong, said = told(json.loads(json.dumps(own.derivation().to_dict())))
    assert not wrong and "calls itself 'adam', but is not given as the registered one" in said
    wrong, said = told(json.loads(original("adam")))
    assert not wrong and "the registered derivation of 'adam' by the direct route" in said
    wrong, said = told(json.loads(json.dumps(od.algorithm("adam").derivation().to_dict())))
    assert not wrong and "the registered method 'adam'" in said
    u, p = od.blocks("u p")
    loop = od.immerse(
        {x: p, p: u}, u, gain=c, manifold=p + c * f.grad(x), port=-f.grad(x), name="adam"
    )
    given = json.loads(json.dumps(loop.to_dict()))
    wrong, said = told(given)
    assert not wrong and "calls itself 'adam', but is not given as the registered one" in said
    given["principle"]["given"]["gain"] = {"tree": "2"}
    wrong, said = told(sealed(given))
    assert wrong and "another document" in said


def test_exact_data_read_back_are_the_same() -> None:
    """System, scheme, bindings and the program made from them, for every registered algorithm."""
    from odescent.discretize.proof.exact_data import exact_algorithm
    from odescent.discretize.reading.exact_reading import algorithm_from

    for name in od.algorithms():
        exact = json.dumps(exact_algorithm(od.algorithm(name)))
        assert json.dumps(exact_algorithm(algorithm_from(json.loads(exact)))) == exact, name


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "7", "nag", "[" * 3000 + "]" * 3000, "[" * 100_000,
     '{"schema": 1e999999999}', '{"schema": NaN}', '{"a": 1, "a": 2}', '{"schema": "odescent.derivation/2"}',
     '{"schema": "odescent.derivation/3"}',
     '{"schema": "' + "x" * 10_000_000 + '"}', "9" * 5000, '"' + chr(0xD800 - 1) + '"', "\x00"],
)  # fmt: skip
def test_what_is_no_document_gets_one_sentence(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text, encoding="utf-8")
    assert replay.main([str(file)]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1 and len(shown.err) < 400
    assert replay.main([str(tmp_path / "none.json")]) == 2 and replay.main([]) == 2


@pytest.mark.parametrize(
    "value",
    ["9" * 2000, ["pow", "9", ["pow", "9", ["pow", "9", "9"]]], ["exp", ["exp", ["exp", "99"]]],
     ["cos", ["pow", "10", "99999"]], ["pow", "0", "-1"], ["abs"], ["symbol"], ["slot", "1"], "1/0", "2/4", "٣"],
)  # fmt: skip
def test_expressions_that_would_take_forever_are_refused_at_once(value: Any) -> None:
    made = document()
    made["steps"][0]["claims"][0]["value"] = value
    assert quiet(sealed(made))


def test_what_a_document_says_is_printed_harmlessly() -> None:
    made = document()
    made["steps"][0]["title"] = "\x1b[2K\nall holds" + "y" * 10_000
    made["steps"][0]["claims"][0]["value"] = "1"
    lines: list[str] = []
    assert replay.replay(sealed(made), say=lines.append)
    assert all(line.isprintable() and len(line) < 400 for line in lines)


@pytest.mark.parametrize("size", ["40", "400"])
def test_a_difference_is_seen_beside_a_large_number(size: str) -> None:
    """What both sides share may be 1e400: then no point shows a difference, and the check does not hold."""
    large, claim = ["pow", "10", size], ["claim", "a", [], []]
    step = {
        "title": "t", "claims": [{"name": "a", "value": "8/7"}],
        "checks": [{"name": "c", "left": ["add", large, claim], "right": ["add", large, "1"]}],
    }  # fmt: skip
    assert refuted(step)
    step["claims"] = [{"name": "a", "value": "1"}]
    assert refuted(step) == (size == "400")
