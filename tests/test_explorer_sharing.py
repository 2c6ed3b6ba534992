"""What is shared of the explorer's views: links, files, the program that computes them, and texts of one's own."""

import csv
import io
import json
import runpy
import struct
import subprocess
import sys
from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest
from typer.testing import CliRunner

import odescent as od
from odescent._explorer import Choice, page, parameters, view
from odescent._explorer.choice import MODE, OWN, PLANE, own_function, own_system
from odescent._explorer.exports import export, stem
from odescent._explorer.link import MAX_TEXT, link, linked
from odescent._explorer.turning import turned
from odescent.cli import app

SYSTEM = """system mine
blocks x, v
parameters c > 0
objective f
field damp: v' = -c*v
field kick: v' = -grad f(x)
field drift: x' = v
output x
"""
SHARED = (
    Choice(values={"mu": 2.0, "L": 12.5}, curvature=3.0, x0=(0.5, 1.0), steps=25),
    Choice("sgd", objective=PLANE, values={"mu": 1.0, "L": 4.0, "h": 0.2, "sigma": 0.6}, steps=12, seed=5, paths=3),
    Choice("cbo", objective="rastrigin", x0=(2.0, -1.0), steps=10, paths=4, width=0.5),
    Choice("proximal_point", curvature=2.0, steps=9),
    Choice("underdamped_langevin", values={"T": 2.0}, steps=6, paths=2),
    Choice(own_system(SYSTEM), "semi_implicit_euler", own_function("x^4/4 + (y - 1)^2"), steps=8),
    Choice("heavy_ball", "lie_trotter", "rosenbrock", tuned=False, steps=7),
)  # fmt: skip
# With other oracles, draws, or no flow at the start. Particles that were not wanted were revived by the draws of
# consensus hopping and moved the others.
OTHERS = [
    Choice(m, steps=5, paths=2)
    for m in ("consensus_hopping", "newton", "itoh_abe", "unified_nesterov")
]


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.promotion  # as in a process of its own, which two of them are
@pytest.mark.parametrize("choice", [*SHARED, *OTHERS], ids=lambda c: c.method.partition("\n")[0])
def test_the_script_prints_the_data(choice: Choice, tmp_path, capsys):
    seen = view(choice)
    file = tmp_path / f"{stem(seen)}.py"
    file.write_bytes(export(seen, ".py"))
    if choice in (SHARED[0], SHARED[5]):
        command = [sys.executable, file]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    else:
        runpy.run_path(str(file), run_name="__main__")
        printed = capsys.readouterr().out
    found, expected = table(printed), table(export(seen, ".csv").decode())
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert found[0] == expected[0]
    numbers = [[[float(v or 0) for v in row[2:]] for row in t[1:]] for t in (found, expected)]
    np.testing.assert_allclose(*numbers, rtol=1e-10, atol=1e-12)
    assert "_explorer" not in file.read_text()


def test_the_data_are_what_is_drawn():
    seen = view(SHARED[0])
    rows = [row for row in table(export(seen, ".csv").decode()) if row[0] == "iterates"]
    np.testing.assert_array_equal(
        [[float(v) for v in row[2:4]] for row in rows], np.asarray(seen.iterates)
    )
    found = json.loads(export(seen, ".json"))
    assert found["parameters"]["L"] == 12.5
    np.testing.assert_array_equal(found["curves"][0]["points"], seen.iterates)
    np.testing.assert_array_equal(found["spectrum"]["radius"], seen.radius)


def test_pictures_are_whole_files_of_their_kind():
    seen = view(SHARED[0])
    assert export(seen, ".svg").decode().rstrip().endswith("</svg>")
    png = export(seen, ".png")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (2360, 1200)  # twice the units of the document
    with pytest.raises(od.OdescentError, match="no kind of file"):
        export(seen, ".pdf")
    with pytest.raises(od.OdescentError, match="did you mean"):
        export(view(Choice("nestrov_sc")), ".svg")


@pytest.mark.parametrize("choice", SHARED, ids=lambda c: c.method.partition("\n")[0])
def test_a_link_holds_the_choice(choice: Choice):
    full = replace(
        choice, values={p.name: choice.values.get(p.name, p.start) for p in parameters(choice)}
    )
    assert linked(parse_qs(link(full)[1:], keep_blank_values=True)) == full


def test_a_page_without_a_query_or_with_the_servers_own_is_a_new_one():
    assert linked({}) is None
    assert linked({"access_token": "secret"}) is None
    assert page.opened({}, Choice("adam")) == (Choice("adam"), "")


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"method": "/etc/passwd"}, "no method in a link '/etc/passwd'"),
        ({"method": "my_system.ode"}, "no method in a link"),
        ({"objective": "os:system"}, "no objective in a link 'os:system'"),
        ({"objective": "logistic/breast_cancer"}, "no objective in a link"),
        ({"scheme": "exact"}, "no scheme in a link"),
        ({"target": "cobol"}, "no target in a link"),
        ({"tuned": "1"}, "no tuned in a link"),
        ({"colour": "red"}, "no part of a link called 'colour'"),
        ({"steps": "1e9"}, "steps in a link must be from 1 to 200"),
        ({"steps": "2.5"}, "steps in a link must be a whole number"),
        ({"paths": "101"}, "from 1 to 100"),
        ({"seed": "-1"}, "seed in a link must be from 0"),
        ({"x1": "nan"}, "x1"),
        ({"x1": "inf"}, "x1"),
        ({"x1": "1e300"}, "from -1e+06 to 1e+06"),
        ({"lambda": "0"}, "lambda in a link must be from"),
        ({"p.mu": "1e9"}, "p.mu in a link must be from"),
        ({"p.zeta": "1"}, "no parameter in a link 'zeta'"),
        ({"steps": ["1", "2"]}, "must contain 'steps' once"),
        ({"function": "__import__('os')"}, "line 1"),
        ({"function": "x^2", "objective": MODE}, "not both"),
        ({"function": "x1 + x2 + x3"}, "more"),
        ({"function": "x" * (MAX_TEXT + 1)}, "at most 4,000 characters"),
        ({"system": "import os"}, "line 1"),
    ],
)  # fmt: skip
def test_what_a_link_says_is_checked_and_refused_in_a_sentence(query: dict[str, object], part: str):
    with pytest.raises(od.OdescentError) as refused:
        linked(query)
    assert part in str(refused.value)
    shown, said = page.opened(query, Choice())
    assert shown == Choice()
    assert 'id="odescent-refusal"' in said
    assert "Traceback" not in said


def test_a_text_that_is_too_long_for_an_address_has_no_link():
    assert link(Choice(own_system(SYSTEM + "#" * MAX_TEXT))) == ""
    assert "odescent-link" not in page.picture(
        replace(view(Choice()), choice=Choice(own_system("#" * 9999))), 0.1
    )


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("x^4/4 - cos(x)", (0.5,), 0.5**4 / 4 - np.cos(0.5)),
        ("(1 - x)^2 + 100*(y - x^2)^2", (0.5, 2.0), 0.25 + 100 * 1.75**2),
        ("max(abs(x1), x3)", (-2.0, 9.0, 1.0), 2.0),
        ("y^2", (7.0, 3.0), 9.0),
    ],
)
def test_a_function_is_what_its_text_says(text: str, at: tuple[float, ...], value: float):
    f = od.parse_function(text)
    assert f.dimension == len(at)
    assert float(f.value(np.array(at))) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("7", "no variable"),
        ("x + z", "'z' is not a variable"),
        ("x + x1", "do not go together"),
        ("x.real", "no meaning here"),
        ("2^x", "an exponent is a number"),
        ("eval(x)", "no function 'eval'"),
        ("((" * 20 + "x" + "))" * 20, "nested too deeply"),
        ("x^999", "exponent"),
        ("x" * 20_001, "too long"),
    ],
)
def test_a_text_that_is_no_function_gets_its_place(text: str, part: str):
    with pytest.raises(od.ParseError, match=part):
        od.parse_function(text)


def test_an_own_system_on_an_own_function_is_the_registered_pair():
    """x^2/2 as a text, and the heavy ball's system as a text, are one mode of curvature 1 of the registered one."""
    own = view(
        Choice(own_system(SYSTEM), "rk4", own_function("x^2/2"), values={"c": 2.0, "h": 0.1})
    )
    known = view(Choice("heavy_ball", "rk4", tuned=False, values={"c": 2.0, "h": 0.1}))
    assert own.axes == ("x", "v")
    np.testing.assert_allclose(own.iterates[:, 0], known.iterates[:, 0], atol=1e-14)
    assert own.command == ""
    assert page.heading(own.choice.method, "rk4").count("Mine") == 1


def test_where_there_is_no_class_there_is_no_spectrum_and_no_rate():
    seen = view(Choice("triple_momentum", objective="himmelblau", x0=(0.0, 0.0)))
    assert seen.rate is None and not len(seen.radius)
    assert "this function has no such bounds" in seen.picture
    assert page.rate(seen) == "No rate is claimed: himmelblau is in no class F(μ, L)."
    inside = view(Choice(objective="lessard_recht_packard"))
    assert page.rate(inside).startswith("On quadratics with curvatures from 1 to 25 ")


@pytest.mark.parametrize(
    ("method", "scheme", "objective", "tuned"),
    [
        ("adam", OWN, "himmelblau", True),
        ("adam", OWN, MODE, True),
        ("gradient_flow", "rk4", "rosenbrock", True),
        ("gradient_descent", OWN, "himmelblau", True),
        ("nesterov_sc", OWN, MODE, True),
        ("nesterov_sc", OWN, "rosenbrock", False),
        ("sgd", OWN, PLANE, True),
        ("cbo", OWN, "ackley", True),
    ],
)
def test_every_dial_does_something(method: str, scheme: str, objective: str, tuned: bool):
    kept = {"λ": 1.0, "x₁": 0.5, "x₂": 0.25, "steps": 10, "seed": 0, "paths": 5, "width": 1.0}
    made = page.sliders(method, scheme, objective, tuned, kept)
    values = {s.name: s.value for s in made}

    def shown(moved: dict[str, float]) -> bytes:
        now = {n: moved.get(n, v) for n, v in kept.items()}
        seen = view(page.choice(method, scheme, objective, tuned, now, moved, "numpy"))
        return export(seen, ".svg") + export(seen, ".csv")

    first = shown(values)
    for s in made:
        at = s.positions.index(s.value)
        near = s.positions[at + 5] if at + 5 < len(s.positions) else s.positions[at - 5]
        assert shown({**values, s.name: near}) != first, s.name


def test_a_block_that_is_not_drawn_is_named():
    assert "not drawn" in view(Choice("adam")).picture
    assert "not drawn" not in view(Choice()).picture


@pytest.mark.parametrize("suffix", [".svg", ".png", ".html", ".csv", ".json", ".py"])
def test_the_command_writes_every_kind_of_file(suffix: str, tmp_path):
    out = tmp_path / f"view{suffix}"
    done = CliRunner().invoke(app, ["explore", "--steps", "5", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    assert out.stat().st_size > 300


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice("heavy_ball", steps=6), "in the plane"),
        (Choice("heavy_ball", objective=PLANE, steps=6), "in space"),
        (Choice(own_system(SYSTEM), "semi_implicit_euler", own_function("x^4/4 + (y - 1)^2"), steps=6), "in space"),
    ],
    ids=["phase", "quadratic", "own"],
)  # fmt: skip
def test_the_picture_that_turns_is_of_the_same_run(choice: Choice, says: str):
    """Its iterates are those of the view, as far as few digits tell, and what is at rest says its eigenvalues."""
    seen = view(choice)
    scene = turned(seen)
    assert says in str(scene)
    lines = [line.points for line in scene.lines if len(line.points) >= len(seen.iterates)]
    flat = [p[np.isfinite(p).all(1)][: len(seen.iterates), :2] for p in lines]
    near = [
        p.shape == seen.iterates.shape and np.allclose(p, seen.iterates, atol=1e-5) for p in flat
    ]
    assert any(near)
    # a short run of one's own function stays away from its minimum
    said = ["eigenvalues" in m.text or "multipliers" in m.text for m in scene.marks]
    assert all(said)
    assert bool(said) == (choice.method == "heavy_ball")


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice("sgd", objective=PLANE, steps=5), "many paths have no interactive picture"),
        (Choice("gradient_descent", steps=5), "against time has no interactive picture"),
        (Choice("armijo", objective="no_such"), "no_such"),
    ],
)
def test_what_cannot_be_turned_is_said(choice: Choice, says: str):
    with pytest.raises(od.OdescentError, match=says):
        turned(view(choice))
    assert says in page.turning(view(choice))


def test_the_command_takes_a_function(tmp_path):
    out = tmp_path / "view.json"
    arguments = [
        "explore",
        "gradient_flow",
        "--objective",
        "x^4/4 + y^2",
        "--steps",
        "5",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert json.loads(out.read_text())["function"] == "x^4/4 + y^2"
