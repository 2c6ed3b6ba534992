"""Orbits in space, cobwebs, recurrences and interactive pages, against closed forms."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import odescent as od
from odescent.analysis import (
    cobweb,
    continuation,
    interactive,
    phase_portrait,
    recurrences,
    space_portrait,
)
from odescent.cli import app


def lorenz() -> od.System:
    x, y, z = od.blocks("x y z", kind="scalar")
    field = {x: 10 * (y - x), y: x * (28 - z) - y, z: x * y - 8 * z / 3}
    return od.System({"all": field}, output=x, name="Lorenz")


LORENZ = lorenz()


@pytest.fixture(scope="module")
def orbit():
    return space_portrait(LORENZ, x0=[1, 1, 20.0], t1=12.0)


def logistic(x, *, r):
    return r * x * (1 - x)


def test_equilibria_in_space_are_lorenzs(orbit) -> None:
    at = np.sqrt(72)
    points = np.array([e.point for e in orbit.equilibria])
    np.testing.assert_allclose(points, [[-at, -at, 27], [0, 0, 0], [at, at, 27]], atol=1e-8)
    assert [e.unstable for e in orbit.equilibria] == [2, 1, 2]
    assert orbit.equilibria[1].eigenvalues[0] == pytest.approx((-11 + np.sqrt(1201)) / 2)
    assert orbit.plot().get_zlabel() == "$z$"


def test_a_curve_in_space_is_dense_where_it_bends() -> None:
    """A helix: chords stay within a thousandth of it."""
    x, y, z = od.blocks("x y z", kind="scalar")
    helix = od.System({"all": {x: -y, y: x, z: 0 * x + 1}}, output=x, name="helix")
    (path,) = space_portrait(helix, x0=[1, 0, 0.0], t1=20.0).orbits
    middle = (path[1:] + path[:-1]) / 2
    assert np.abs(np.hypot(middle[:, 0], middle[:, 1]) - 1).max() < 1e-3
    np.testing.assert_allclose(np.cos(path[:, 2]), path[:, 0], atol=1e-6)


def test_coordinates_are_chosen() -> None:
    ball = od.algorithm("heavy_ball", step=0.05, momentum=0.9)
    found = space_portrait(
        ball, od.objective("himmelblau"), steps=20, coordinates=("x[0]", "x[1]", "v[0]")
    )
    run = ball.run(od.objective("himmelblau"), od.objective("himmelblau").x0, 20)
    np.testing.assert_allclose(found.orbits[0][:, :2], run.x, rtol=1e-9, atol=1e-12)
    assert found.hidden == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: space_portrait(lambda s: s, x0=[1.0, 2.0]), "needs three"),
        (
            lambda: space_portrait(LORENZ, x0=[1, 1, 1.0], coordinates=("x", "y", "w")),
            "no coordinate",
        ),
        (lambda: space_portrait(LORENZ, x0=[1, 1, 1.0], coordinates=("x", "y", "x")), "different"),
        (lambda: space_portrait(LORENZ, x0=[1, 1.0]), "3 numbers"),
        (lambda: cobweb(LORENZ, x0=[1.0]), "requires a map"),
        (lambda: cobweb(lambda s: s, x0=[1.0, 2.0]), "one number"),
        (lambda: cobweb(logistic, x0=[0.1], parameters={"r": 3.0}, window=(1, 0)), "low < high"),
        (lambda: recurrences(lambda s: 2 * s, x0=[1.0], states=2000), "leaves every bound"),
        (lambda: recurrences(logistic, x0=[0.0], parameters={"r": 3.0}, states=5), "at rest"),
        (lambda: recurrences(logistic, x0=[0.1], parameters={"r": 3.0}, states=10**6), "at most"),
        (lambda: interactive(3), "Portrait"),
    ],
)
def test_bad_input(call, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        call()


def test_a_cobweb_has_the_cycles_of_its_map() -> None:
    """r = 3.2: fixed points 0 and 1 - 1/r; the 2-cycle in closed form, with multiplier 4 + 2 r - r^2."""
    r = 3.2
    one = cobweb(logistic, x0=[0.2], parameters={"r": r}, window=(-0.05, 1))
    np.testing.assert_allclose(one.fixed, [[0, r], [1 - 1 / r, 2 - r]], atol=1e-9)
    two = cobweb(logistic, x0=[0.2], parameters={"r": r}, power=2, window=(0.3, 1))
    root = np.sqrt((r - 3) * (r + 1))
    expected = sorted([(r + 1 - root) / (2 * r), 1 - 1 / r, (r + 1 + root) / (2 * r)])
    np.testing.assert_allclose(two.fixed[:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(two.fixed[[0, 2], 1], 4 + 2 * r - r**2, atol=1e-8)
    assert "attracts" in str(two)
    labels = [t.get_text() for t in one.plot().get_legend().get_texts()]
    assert labels == ["$y = x$", "$F(x)$", "orbit", "does not attract"]


def test_recurrences_of_a_cycle_and_of_chaos() -> None:
    """A 4-cycle comes back every fourth step and stays on its diagonals; at r = 4 neighbours part by 2 a step."""
    cycle = recurrences(
        logistic, x0=[0.3], parameters={"r": 3.5}, states=40, skip=400, distance=1e-3
    )
    i, j = np.indices(cycle.near.shape)
    np.testing.assert_array_equal(cycle.near, (i - j) % 4 == 0)
    assert cycle.determinism == 1 and cycle.longest == 36
    chaos = recurrences(logistic, x0=[0.3], parameters={"r": 4.0}, states=400, distance=0.05)
    assert chaos.determinism < 0.9 and chaos.longest < 30
    # the invariant density 1 / (pi sqrt(x (1 - x))): the share of pairs nearer than d
    u = np.sin(np.pi * (np.arange(2000) + 0.5) / 4000) ** 2
    assert chaos.rate == pytest.approx((np.abs(u[:, None] - u) <= 0.05).mean(), abs=0.02)
    assert len(chaos.plot().get_images()) == 1


def _data(page: str) -> dict:
    return json.loads(re.search(r"const D=(\{.*?\}),n=", page, re.S)[1])


def test_interactive_pages_hold_their_data(orbit, tmp_path) -> None:
    scene = interactive(orbit)
    page = scene.html()
    data = _data(page)
    assert [m["t"].split("\n")[0] for m in data["marks"]] == [
        "saddle, 2 growing",
        "saddle, 1 growing",
        "saddle, 2 growing",
    ]
    assert "11.828" in data["marks"][1]["t"]  # (-11 + sqrt 1201) / 2
    assert len(data["lines"][0]["p"]) == len(orbit.orbits[0])
    assert "http" not in page and "src=" not in page  # nothing is fetched
    assert scene.save(tmp_path / "a.html").read_text() == page
    assert "<iframe" in scene._repr_html_() and 'sandbox="allow-scripts"' in scene._repr_html_()
    with pytest.raises(od.OdescentError, match="html"):
        scene.save(tmp_path / "a.png")


def test_names_cannot_end_the_script() -> None:
    """A name with markup is shown as text."""
    x, v = od.blocks("x v", kind="scalar")
    line = od.System({"all": {x: v, v: -x - v}}, output=x, name="</script><b>")
    scene = interactive(phase_portrait(line, x0=[1, 0], t1=2, window=[(-2, 2), (-2, 2)]))
    assert "</script><b>" not in scene.html()
    (mark,) = scene.marks
    assert mark.text.startswith("stable focus") and mark.filled and "0.86603" in mark.text


def test_pages_of_landscapes_and_branches() -> None:
    bowl = od.Objective("bowl", lambda x: x[0] ** 2 + 2 * x[1] ** 2)
    ball = od.algorithm("heavy_ball", step=0.1, momentum=0.8)
    scene = interactive(od.analysis.landscape(ball, bowl, [1.0, 1.0], steps=20))
    (mark,) = scene.marks
    assert mark.text.startswith("minimum of f") and "multipliers" in mark.text
    iterates = next(line for line in scene.lines if line.dots)
    np.testing.assert_allclose(iterates.points[0], [1, 1, 3], atol=1e-9)  # on the surface
    fold = continuation(
        lambda x, *, p: p + x * x, parameter="p", interval=(-1, 0.5), x0=[-1.0], flow=True
    )
    (mark,) = interactive(fold).marks
    assert mark.text.startswith("fold") and abs(mark.point[0]) < 1e-9


def test_a_flow_is_an_orbit_of_recurrences() -> None:
    x, v = od.blocks("x v", kind="scalar")
    circle = od.System({"all": {x: v, v: -x}}, output=x)
    found = recurrences(circle, x0=[1.0, 0.0], states=64, every=2 * np.pi / 16, distance=1e-3)
    i, j = np.indices(found.near.shape)
    np.testing.assert_array_equal(found.near, (i - j) % 16 == 0)
    assert jnp.isfinite(found.rate)


def test_the_command_writes_a_page(tmp_path) -> None:
    out = tmp_path / "a.html"
    words = [
        "portrait",
        "gradient_flow",
        "--objective",
        "himmelblau",
        "--window=-1,1,-1,1",
        "--out",
        str(out),
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert _data(out.read_text())["marks"]
