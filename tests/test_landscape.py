"""Landscapes: runs over level lines, critical points as the full system sees them, planes, pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults_of_figures import faults
from scipy import special
from scipy.linalg import expm

import odescent as od
from odescent.analysis import Section, animate, landscape
from odescent.analysis.landscapes.equilibria import map_kind

VALLEY = od.objective("quadratic", eigenvalues=(1.0, 4.0))
SPACE = od.objective("quadratic", eigenvalues=(1.0, 4.0, 9.0))
BALL = {"learning_rate": 0.04, "momentum": 0.5}  # the step is .2, the friction 2.5


@pytest.fixture(scope="module")
def ball():
    return landscape(["heavy_ball"], VALLEY, [[3.0, 1.0], [-1.0, 2.0]], steps=30, parameters=BALL)


def sorted_roots(*polynomials):
    return np.sort_complex(np.round(np.concatenate([np.roots(p) for p in polynomials]), 9))


def test_heavy_ball_at_the_minimum_of_a_quadratic(ball):
    """The flow r^2 + c r + lambda = 0; the step z^2 - (1 + b - a lambda) z + b = 0."""
    (point,) = ball.critical_points
    assert point.kind == "minimum" and ball.search.complete
    np.testing.assert_allclose(point.curvatures, [1, 4])
    flow, step = point.equilibria["flow"], point.equilibria["heavy_ball"]
    rounded = lambda e: np.sort_complex(np.round(e.eigenvalues, 9))
    np.testing.assert_allclose(rounded(flow), sorted_roots([1, 2.5, 1], [1, 2.5, 4]), atol=1e-8)
    exact = sorted_roots([1, -(1.5 - 0.04), 0.5], [1, -(1.5 - 0.16), 0.5])
    np.testing.assert_allclose(rounded(step), exact, atol=1e-8)
    assert flow.kind == step.kind == "stable focus" and not flow.frozen and not step.frozen
    assert (flow.unstable, step.unstable) == (0, 0)


def test_the_iterates_and_their_memory_are_the_textbook_ones(ball):
    for i, start in enumerate(([3.0, 1.0], [-1.0, 2.0])):
        before = x = np.array(start)
        for k in range(31):
            np.testing.assert_allclose(ball.iterates["heavy_ball"][i, k], x, atol=1e-12)
            coast = 0.5 * (x - before)
            np.testing.assert_allclose(ball.courses["heavy_ball"].push[i, k], coast, atol=1e-12)
            before, x = x, x + coast - 0.04 * np.array([1.0, 4.0]) * x


def test_the_flow_and_its_energy_are_exact(ball):
    course, (times,) = ball.flow_courses["flow"], [ball.times["flow"]]
    zero, one = np.zeros((2, 2)), np.eye(2)
    matrix = np.block([[zero, one], [-np.diag([1.0, 4.0]), -2.5 * one]])
    for i, start in enumerate(([3.0, 1.0], [-1.0, 2.0])):
        for k in (0, 100, -1):
            state = expm(matrix * times[i, k]) @ [*start, 0, 0]
            np.testing.assert_allclose(course.x[i, k], state[:2], atol=1e-6)
            assert course.speed[i, k] == pytest.approx(np.linalg.norm(state[2:]), abs=1e-6)
    energy = course.f + course.kinetic
    assert (np.diff(energy, axis=1) <= 1e-7).all()  # friction takes, and nothing gives


def test_the_overshoot_is_the_first_rise():
    shown = landscape("heavy_ball", VALLEY, [3.0, 0.0], parameters={"step": 0.2, "momentum": 0.9})
    f = shown.courses["heavy_ball"].f[0]
    over = shown.overshoot("heavy_ball")
    assert over.low == int(np.argmax(np.diff(f) > 0)) and f[over.high + 1] < f[over.high]
    assert over.motion > 0.9 and "memory carries it up again" in str(shown)
    creeping = landscape("gradient_descent", VALLEY, [3.0, 1.0], parameters={"step": 0.1})
    assert creeping.overshoot("gradient_descent") is None


CRITICAL = {  # of Himmelblau's function
    "minimum": [(3, 2), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)],
    "saddle": [(-0.127961, -1.953715), (0.086678, 2.884255), (-3.073026, -0.081353), (3.385154, 0.073852)],
    "maximum": [(-0.270845, -0.923039)],
}  # fmt: skip


def test_critical_points_of_himmelblau_as_the_methods_see_them():
    shown = landscape(
        ["heavy_ball", "gradient_descent"], "himmelblau", [-4.0, 0.5], parameters={"mu": 20, "L": 200},
        window=((-5, 5), (-5, 5)), steps=5,
    )  # fmt: skip
    assert shown.search.complete and len(shown.critical_points) == 9
    for kind, points in CRITICAL.items():
        found = np.array([p.point for p in shown.critical_points if p.kind == kind])
        np.testing.assert_allclose(found, sorted(points), atol=2e-6)
    for p in shown.critical_points:
        down = int((p.curvatures < 0).sum())
        for e in p.equilibria.values():
            assert e.unstable == down and e.kind.startswith("stable") == (down == 0)
        descent = 1 - p.curvatures / 200
        np.testing.assert_allclose(
            np.sort(p.equilibria["gradient_descent"].eigenvalues.real), np.sort(descent), atol=1e-9
        )
    assert "9 critical points of f" in str(shown) and "proved to be all" in str(shown)


def test_five_methods_that_nobody_named_run_as_they_do_alone():
    """A function and methods of the test's own; what changes with the step says that it is frozen."""
    bowl = od.Objective("bowl", lambda x: jnp.sum(jnp.cosh(x)) + 0.3 * x[0] * x[1])
    x, m = od.blocks("x m")
    f, (a, b) = od.Objective("f"), od.parameters("a b")
    own = od.method(
        {m: b * m + f.grad(x), x: x - a * (b * m + f.grad(x))},
        output=x,
        init={m: 0 * x},
        name="own",
    )
    methods = {
        "own": own.bind(a=0.2, b=0.3), "ogm": "ogm", "tmm": "triple_momentum",
        "leap": od.algorithm("dissipative_leapfrog").bind(c=1, h=0.4),
        "ada": od.algorithm("adagrad").bind(rate=0.5, delta=1e-3),
    }  # fmt: skip
    values = {"mu": 0.7, "L": 3.0}
    shown = landscape(methods, bowl, [1.5, -1.0], steps=12, parameters=values)
    for label, given in methods.items():
        method = od.algorithm(given) if isinstance(given, str) else given
        needed = {s.name: values[s.name] for s in method.parameters}
        run = method.run(bowl, np.array([1.5, -1.0]), 12, **needed)
        np.testing.assert_allclose(shown.courses[label].x[0], run.x, atol=1e-12)
        np.testing.assert_allclose(shown.courses[label].f[0], run.f, atol=1e-12)
    (point,) = shown.critical_points
    assert {n: bool(e.frozen) for n, e in point.equilibria.items()} == {
        "own": False, "ogm": True, "tmm": False, "leap": False, "ada": True
    }  # fmt: skip
    assert all(e.kind.startswith("stable") for e in point.equilibria.values())
    assert "ogm: its coefficients change; they are frozen as at step 12" in str(shown)


def test_no_kind_is_claimed_where_there_is_no_linearization():
    adam = od.algorithm("adam", learning_rate=0.1, beta1=0.9, beta2=0.99, eps=1e-8)
    shown = landscape(
        {"adam": adam, "sign": "sign_descent"}, VALLEY, [1.0, 1.0], steps=9, parameters={"h": 0.1}
    )
    for e in shown.critical_points[0].equilibria.values():
        assert e.kind == "" and e.reason == "its step is not differentiable there"
    assert "adam: no kind is claimed (-)" in str(shown)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, -0.9], "stable node"), ([0.5 + 0.1j, 0.5 - 0.1j], "stable focus"), ([0.5, 1.5], "saddle"),
        ([1.5, -2], "unstable node"), ([1j, -1j], "centre (linear)"), ([1.0, 0.5], "non-hyperbolic"),
        ([np.nan, 0], "non-hyperbolic"), ([0, 0], "stable node"),
    ],
)  # fmt: skip
def test_kinds_of_steps(values, kind):
    assert map_kind(np.array(values, complex)) == kind


def test_the_share_out_of_a_plane_is_exact():
    """Gradient descent: the entry i of x_k is (1 - h lambda_i)^k, and the squared steps add up to geometric sums."""
    h, steps, curvatures = 0.1, 12, np.array([1.0, 4.0, 9.0])
    flat = Section(np.zeros(3), [1, 0, 0], [0, 2, 0])
    shown = landscape(
        "gradient_descent", SPACE, np.ones(3), steps=steps, plane=flat, flow=False, parameters={"step": h},
    )  # fmt: skip
    ratio = (1 - h * curvatures) ** 2
    sums = (h * curvatures) ** 2 * (1 - ratio**steps) / (1 - ratio)
    assert shown.out_of_plane["gradient_descent"] == pytest.approx(sums[2] / sums.sum(), rel=1e-10)
    assert f"{sums[2] / sums.sum():.1%} of the motion is out of this plane" in str(shown)
    (point,) = shown.critical_points
    np.testing.assert_allclose(point.point, [0, 0], atol=1e-9)
    np.testing.assert_allclose(
        np.sort(point.equilibria["gradient_descent"].eigenvalues.real), np.sort(1 - h * curvatures)
    )


def test_planes_of_curvature_of_points_and_of_the_run():
    step = {"step": 0.1}
    draw = lambda plane: landscape(
        "gradient_descent",
        SPACE,
        [1.0, 2.0, 0.5],
        steps=8,
        plane=plane,
        flow=False,
        parameters=step,
    )
    steep = draw("curvature")
    np.testing.assert_allclose(np.abs(steep.section.basis), np.eye(3)[:, [2, 1]], atol=1e-12)
    assert steep.labels == ("curvature 9", "curvature 4")
    through = draw([[1.0, 2.0, 0.5], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(through.section.origin, 0, atol=1e-12)
    point = (
        through.section.origin + through.section.basis @ through.iterates["gradient_descent"][0, 0]
    )
    np.testing.assert_allclose(point, [1, 2, 0.5], atol=1e-12)
    run = draw("run")
    assert run.out_of_plane["gradient_descent"] < through.out_of_plane["gradient_descent"]


def test_a_flow_with_a_singular_start_begins_later():
    """x'' + (3/t) x' + lambda x = 0 is solved by Bessel's functions J_1(s t)/t and Y_1(s t)/t, s^2 = lambda."""
    ode = od.parse_system("x'' + (3/t)*x' + grad f(x) = 0")
    with pytest.raises(od.OdescentError, match=r"not finite at the start \(t = 0\).*t0=0.1\.$"):
        landscape(ode, VALLEY, [1.0, 2.0])
    shown = landscape({"ode": ode}, VALLEY, [1.0, 2.0], t0=0.5, t1=6.0)
    times, course = shown.times["ode"][0], shown.flow_courses["ode"]
    assert times[0] == 0.5 and times[-1] == 6.5
    for i, (begin, curvature) in enumerate([(1.0, 1.0), (2.0, 4.0)]):
        s = np.sqrt(curvature)
        bessel = lambda t, s=s: np.array([special.jv(1, s * t) / t, special.yv(1, s * t) / t])
        slope = lambda t, s=s: np.array(
            [-s * special.jv(2, s * t) / t, -s * special.yv(2, s * t) / t]
        )
        a, b = np.linalg.solve(np.stack([bessel(0.5), slope(0.5)]), [begin, 0.0])
        exact = a * bessel(times)[0] + b * bessel(times)[1]
        np.testing.assert_allclose(course.x[0, :, i], exact, atol=1e-6)
    assert list(landscape([ode, "nesterov_c"], VALLEY, [1.0, 2.0], t0=0.5).flows) == ["system"]
    for wrong, said in (({"t0": float("nan")}, "a finite time"), ({"t0": "late"}, "a number")):
        with pytest.raises(od.OdescentError, match=said):
            landscape(ode, VALLEY, [1.0, 2.0], **wrong)
    with pytest.raises(od.OdescentError, match="their clocks say when they do"):
        landscape("nesterov_c", VALLEY, [1.0, 2.0], t0=0.5)


def test_one_start_that_blows_up_leaves_the_others():
    hill = od.Objective("hill", lambda x: -jnp.sum(x**4) / 4 + x[1] ** 2, dimension=2)
    shown = landscape(
        "gradient_flow", hill, [[2.0, 0.1], [0.1, 0.1]], t1=1.0, window=((-3, 3), (-3, 3))
    )
    # x' = x^3 from 2 is infinite at 1/8
    assert shown.flow_courses["gradient_flow"].t[0, -1] == pytest.approx(0.125, abs=1e-6)
    assert shown.flow_courses["gradient_flow"].t[1, -1] == 1.0
    assert "it blows up at about t = 0.125" in str(shown)
    far = landscape(
        "gradient_descent", VALLEY, [[1.0, 1.0], [1e3, 1e3]], parameters={"step": 0.9}, steps=200
    )
    assert (
        far.courses["gradient_descent"].diverged_at > 0
    ).all() and "diverges from 2 of 2" in str(far)


def test_starts_by_block():
    begin = {"x": [[1.0, 0.0], [0.0, 1.0]], "v": [2.0, 0.0]}
    shown = landscape(
        "heavy_ball", VALLEY, begin, steps=3, parameters={"step": 0.1, "friction": 0.5}
    )
    flow = shown.flow_courses["flow"]
    np.testing.assert_allclose(flow.x[:, 0], begin["x"])
    np.testing.assert_allclose(flow.speed[:, 0], 2.0)
    np.testing.assert_allclose(shown.courses["heavy_ball"].x[:, 0], begin["x"])
    push = shown.courses["heavy_ball"].push[:, 0]
    assert (push[:, 0] > 0.18).all() and (push[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("methods", "more", "sentence"),
    [
        ("heavy_ball", {"plane": [[1, 1, 1.0], [2, 2, 2.0]]}, "degenerate: its two points and the minimizer"),
        ("heavy_ball", {"plane": "ruin"}, "no plane called 'ruin': did you mean 'run'"),
        ("heavy_ball", {"plane": Section(*np.eye(4)[:3])}, "vectors of 3 entries, not 4"),
        ("heavy_ball", {"plane": "curvature", "at": [1.0]}, "one finite point of 3 entries"),
        ("gradient_descent", {"x0": [1.0, 0, 0]}, "lie on a line"),
        ("heavy_ball", {"x0": [1.0, 2.0]}, "points of 2 entries; the objective has 3 variables"),
        ("heavy_ball", {"x0": [np.nan, 1, 1]}, "must be finite"),
        ("heavy_ball", {"x0": {"x": [1, 1, 1], "w": [0, 0, 0]}}, "no block of heavy_ball called 'w'"),
        ("heavy_ball", {"x0": {"x": [[1, 1, 1]] * 2, "v": [[0, 0, 0]] * 3}}, "they must agree"),
        ("heavy_ball", {"objective": "lessard_recht_packard", "x0": [1.0]}, "use phase_portrait"),
        ("heavy_ball", {"parameters": {"momentun": 0.5}}, "did you mean 'momentum'"),
        ("heavy_ball", {"levels": 1}, "levels must be a whole number of at least 2"),
        ("unadjusted_langevin", {"parameters": {"h": 0.1}}, "draws noise; a landscape"),
        ("overdamped_langevin", {}, "has noise; a landscape"),
        ("heavy_bal", {}, "did you mean 'heavy_ball'"),
        ([], {}, "at least one method"),
        (3, {}, "algorithms, systems or names of them, not 3"),
        ("gradient_flow", {"plane": "run"}, "needs iterates"),
        ("heavy_ball", {"objective": lambda x: jnp.sum(x**2), "x0": None}, "has no starting point"),
    ],
)  # fmt: skip
def test_bad_input(methods, more, sentence):
    given = {"objective": SPACE, "x0": np.ones(3), "steps": 2, **more}
    with pytest.raises(od.OdescentError, match=sentence):
        landscape(methods, **given)


def test_mu_and_L_of_a_function_that_knows_none_are_looked_at_and_said():
    shown = landscape("heavy_ball", "himmelblau", [-1.0, 0.0], steps=20)
    hessian = jax.hessian(od.objective("himmelblau").value)(jnp.array([-2.805118, 3.131313]))
    mu = float(np.linalg.eigvalsh(np.asarray(hessian))[0])
    (said,) = shown.remarks
    assert f"mu = {mu:.3g}"[:8] in said and "no bound" in said


def test_every_mark_of_a_picture_is_named_and_it_moves(ball, tmp_path):
    ax = ball.plot()
    assert faults(ax.figure) == []
    entries = [t.get_text() for t in ax.get_legend().get_texts()]
    assert entries == ["Heavy ball", "flow", "the step without a gradient", "start", "minimum"]
    pair = ball.plot(panel="energy")
    assert len(pair) == 2 and faults(pair[0].figure) == []
    for other in (pair[0], "axes", (pair[0], 1)):
        with pytest.raises(od.OdescentError, match="ax must be a pair of Axes"):
            ball.plot(other, panel="energy")
    with pytest.raises(od.OdescentError, match="no panel 'enrgy'"):
        ball.plot(panel="enrgy")
    frames = animate(ball, tmp_path / "f.png", frames=2, dpi=60)
    assert (
        [p.name for p in frames]
        == ["f_0000.png", "f_0001.png"]
        == [p.name for p in ball.animate(tmp_path / "f.png", frames=2, dpi=60)]
    )
    assert ball.save(tmp_path / "b.svg") == (tmp_path / "b.svg",)
    assert ball.to_dict()["critical_points"][0]["equilibria"]["flow"]["of"] == "flow"


def test_a_start_outside_of_the_domain_is_refused() -> None:
    logs = od.Objective("logs", lambda x: -jnp.log(x[0]) + x[0] + x[1] ** 2)
    descent = od.algorithm("gradient_descent", step=0.1)
    with pytest.raises(od.OdescentError, match="not finite at the start"):
        landscape(descent, logs, [[1.0, 1.0], [-1.0, 0.0]])
