"""Phase portraits of systems: the field, the iterates and the refusals."""

import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent._support import style
from odescent.analysis import Section, animate, phase_portrait


@pytest.fixture
def oscillator():
    x, v = od.blocks("x v")
    c = od.parameters("c")
    return od.System(
        {"damp": {v: -c * v}, "kick": {v: -od.Objective("f").grad(x)}, "drift": {x: v}}
    )


def test_field_and_classification_are_those_of_the_damped_oscillator(oscillator):
    portrait = phase_portrait(
        oscillator, curvature=4.0, window=((-1, 1), (-2, 2)), parameters={"c": 1}, t1=0
    )
    x, v = np.meshgrid(portrait.x, portrait.y)
    np.testing.assert_allclose(portrait.samples, np.stack([v, -v - 4 * x], -1), atol=1e-12)
    (point,) = portrait.fixed_points
    assert "focus" in point.kind and "stable" in point.kind
    np.testing.assert_allclose(np.sort(point.eigenvalues.real), [-0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(
        np.sort(point.eigenvalues.imag), [-(3.75**0.5), 3.75**0.5], atol=1e-6
    )


def test_iterates_are_the_textbook_methods_and_the_flow_is_the_bound_systems():
    portrait = phase_portrait(
        od.algorithm("nesterov_sc"), curvature=10.0, parameters={"mu": 1, "L": 100}, steps=30
    )
    x = y = 1.0
    beta = (10 - 1) / (10 + 1)
    points = [(y, (y - x) / 0.1)]
    for _ in range(30):
        following = y - 10 * y / 100
        y, x = following + beta * (following - x), following
        points.append((y, (y - x) / 0.1))
    np.testing.assert_allclose(portrait.iterates["nesterov_sc"], points, atol=1e-12)
    flow = portrait.flows["flow"]
    matrix = np.array([[-0.1 * 10, 1], [-10, -2]])  # y' = psi - h lam y, psi' = -2 psi - lam y
    from scipy.linalg import expm

    np.testing.assert_allclose(flow[-1], expm(matrix * 3.0) @ [1, 0], atol=1e-7)


def test_a_double_well_shows_its_saddle(oscillator):
    well = od.Objective("well", fun=lambda x: ((x**2 - 1) ** 2 / 4).sum())
    portrait = phase_portrait(
        oscillator, well, window=((-1.8, 1.8), (-1.5, 1.5)), parameters={"c": 0.3}, t1=0
    )
    kinds = sorted(p.kind for p in portrait.fixed_points)
    assert kinds.count("saddle") == 1 and len(kinds) == 3
    assert portrait.separatrices


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "an objective of one variable or a curvature"),
        ({"curvature": 1.0}, "parameters c have no value"),
        ({"curvature": 1.0, "parameters": {"c": 1}, "axes": ("x", "w")}, "not the system's blocks"),
        ({"curvature": 1.0, "parameters": {"c": 1}, "x0": np.nan}, "must be finite"),
    ],
)
def test_refusals(oscillator, change, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        phase_portrait(oscillator, **{"window": ((-1, 1), (-1, 1)), "t1": 0, **change})


def test_other_blocks_and_dimensions_are_refused(oscillator):
    with pytest.raises(od.OdescentError, match="cannot be laid over"):
        phase_portrait(
            oscillator, curvature=1.0, parameters={"c": 1, "mu": 1, "L": 2},
            algorithms={"nag": od.algorithm("nesterov_sc")},
        )  # fmt: skip
    with pytest.raises(od.OdescentError, match="two vector blocks"):
        phase_portrait(od.system("gradient_flow"), curvature=1.0)
    with pytest.raises(od.OdescentError, match="depends on time"):
        phase_portrait(od.system("nesterov_c").bind({od.parameters("a"): 0}), curvature=1.0, t1=0)


x, v = od.blocks("x v")
F = od.Objective("f")


def test_fixed_points_are_proved_to_be_all_and_their_manifolds_have_an_error():
    """The pendulum without damping: saddles at odd pi, separatrices v = 2 cos(x / 2)."""
    flow = od.System({"all": {x: v, v: -F.grad(x)}}, output=x)
    pendulum = od.Objective("pendulum", fun=lambda x: (1 - jnp.cos(x)).sum())
    portrait = phase_portrait(
        flow, pendulum, window=((-7, 7), (-3, 3)), t1=0, energy=F.value(x) + od.inner(v, v) / 2
    )
    assert portrait.search.complete and portrait.search.method == "interval Krawczyk"
    np.testing.assert_allclose(
        [p.point[0] for p in portrait.fixed_points], np.pi * np.arange(-2, 3), atol=1e-9
    )
    assert [p.kind for p in portrait.fixed_points] == ["centre (linear)", "saddle"] * 2 + [
        "centre (linear)"
    ]
    assert len(portrait.separatrices) == 8
    for s in portrait.separatrices:
        off = np.abs(np.abs(s.points[:, 1]) - 2 * np.abs(np.cos(s.points[:, 0] / 2))).max()
        assert off < 1e-4 and s.error < 1e-4
    assert portrait.limit_cycles == () and portrait.level_sets.increasing == 0
    for level, curves in zip(portrait.level_sets.levels, portrait.level_sets.curves, strict=True):
        for z in curves:
            np.testing.assert_allclose(1 - np.cos(z[:, 0]) + z[:, 1] ** 2 / 2, level, atol=0.02)


def test_the_error_of_a_curved_separatrix_is_about_right():
    """x' = x, y' = -y + x^2: the unstable manifold is y = x^2 / 3."""
    flow = od.System({"all": {x: x, v: -v + od.hadamard(x, x)}}, output=x)
    portrait = phase_portrait(flow, curvature=1.0, window=((-1, 1), (-1, 1)), t1=0)
    unstable = [s for s in portrait.separatrices if not s.stable]
    assert len(unstable) == 2
    for s in unstable:
        off = abs(s.points[-1, 1] - s.points[-1, 0] ** 2 / 3)
        assert off < 1e-8 and s.error < 1e-8


def test_a_limit_cycle_of_a_system():
    field = {x: v, v: v - od.hadamard(od.hadamard(x, x), v) - x}
    portrait = phase_portrait(
        od.System({"all": field}, output=x), curvature=1.0, window=((-3, 3), (-4, 4)), t1=0
    )
    (cycle,) = portrait.limit_cycles
    assert cycle.stable and cycle.period == pytest.approx(6.66328685932313, abs=1e-10)
    labels = {line.get_label() for line in portrait.plot().get_lines()}
    assert "stable limit cycle" in labels


def test_the_slow_manifold_of_a_quadratic_converges_to_its_own():
    """p' = -K p - lam x, x' = p: the graph p = -c x with c^2 - K c + lam = 0."""
    K, lam = 10.0, 1.0
    portrait = phase_portrait(
        od.system("passive"), curvature=lam, window=((-1, 1), (-1, 1)), t1=0, cycles=False,
        parameters={"K": K, "a": 0, "b": 1}, slow=("psi", "1/K", 5),
    )  # fmt: skip
    exact = (K - np.sqrt(K * K - 4 * lam)) / 2
    errors = []
    for name, z in portrait.curves.items():
        assert name.startswith("slow manifold, order")
        errors.append(abs(z[-1, 1] / z[-1, 0] + exact))
    assert errors[0] == pytest.approx(exact) and errors[1] == pytest.approx(exact - lam / K)
    assert errors[3] == pytest.approx(abs(exact - lam / K - lam**2 / K**3), rel=1e-6)
    assert errors[5] < 1e-6


def test_two_variables_and_sections_of_more():
    plane = od.objective("quadratic", eigenvalues=(1.0, 4.0))
    portrait = phase_portrait(
        od.system("gradient_flow"), plane, x0=np.array([1.0, 1.0]), t1=1.0, steps=5,
        algorithms={"gd": od.algorithm("gradient_descent")}, cycles=False,
    )  # fmt: skip
    assert portrait.labels == ("$x_{1}$", "$x_{2}$") and portrait.out_of_plane == 0
    np.testing.assert_allclose(portrait.flows["flow"][-1], np.exp([-1, -4]), atol=1e-7)
    np.testing.assert_allclose(portrait.iterates["gd"][-1], [0.75**5, 0], atol=1e-12)
    space = od.objective("quadratic", eigenvalues=(1.0, 4.0, 9.0))
    flat = Section(np.zeros(3), [1, 0, 0], [0, 0, 2])
    portrait = phase_portrait(
        od.system("gradient_flow"), space, x0=np.ones(3), t1=1.0, section=flat, cycles=False
    )
    assert portrait.out_of_plane < 1e-12
    np.testing.assert_allclose(portrait.flows["flow"][-1], [np.exp(-1), np.exp(-9) / 2], atol=1e-7)
    slanted = Section(np.zeros(3), [1, 1, 0], [0, 0, 1])
    portrait = phase_portrait(
        od.system("gradient_flow"), space, x0=np.ones(3), t1=0, section=slanted, window=((-1, 1), (-1, 1)), cycles=False
    )  # fmt: skip
    # at (1, 1, 0) the velocity (-1, -4) has (3 / 2, -3 / 2) across the plane
    assert portrait.out_of_plane == pytest.approx(np.sqrt(4.5 / 17), rel=1e-6)
    with pytest.raises(od.OdescentError, match=r"has 3 \(x: 3\): take .* section="):
        phase_portrait(od.system("gradient_flow"), space, x0=np.ones(3))
    with pytest.raises(od.OdescentError, match="vectors of 3 entries"):
        phase_portrait(
            od.system("gradient_flow"), space, x0=np.ones(3), section=Section(*np.eye(4)[:3])
        )
    with pytest.raises(od.OdescentError, match="parallel"):
        Section(np.zeros(3), np.ones(3), 2 * np.ones(3))


@pytest.mark.parametrize(
    ("origin", "first", "second"),
    [
        ((0, 0), (1, 0), (0, 1)),
        ((0, 0), (0, 1), (1, 0)),
        ((0.5, -1), (1, 0), (0, 1)),
        ((0, 0), (-1, 0), (0, 2)),
        ((0.1, 0), (0.5, 0.5), (0.5, -0.5)),
    ],
)
def test_a_section_of_two_variables_is_another_frame_of_the_same_picture(origin, first, second):
    tilted = od.Objective("tilted", lambda x: (x[0] - 0.2) ** 2 + 2 * (x[1] - x[0] / 2) ** 2)
    section = Section(origin, first, second)
    portrait = phase_portrait(
        od.system("gradient_flow"), tilted, x0=[1.0, 1.0], section=section, window=((-3, 3), (-3, 3)), t1=0.5,
        cycles=False,
    )  # fmt: skip
    (rest,) = portrait.fixed_points
    np.testing.assert_allclose(section.origin + section.basis @ rest.point, [0.2, 0.1], atol=1e-9)
    end = od.system("gradient_flow").simulate(tilted, [1.0, 1.0], 0.5, rtol=1e-9, atol=1e-9).x[-1]
    reached = section.origin + section.basis @ portrait.flows["flow"][-1]
    np.testing.assert_allclose(reached, end, atol=1e-6)
    plain = not any(origin) and {first, second} == {(0, 1), (1, 0)}
    assert (portrait.labels[0] == r"$\xi_1$") != plain
    # flow lines go where the flow goes: the energy falls along them
    line = section.origin + portrait.flow_lines[0].points @ section.basis.T
    values = [float(tilted(jnp.asarray(z))) for z in (line[0], line[-1])]
    assert values[1] < values[0]


def test_paths_and_slow_manifolds_are_seen_in_the_frame_of_a_section():
    section = Section((0.5, -1), (0, -2), (1, 0))
    wells = od.Objective("wells", lambda x: jnp.sum((x**2 - 1) ** 2))
    frame = {"window": ((-3, 3), (-3, 3)), "cycles": False, "x0": [1.0, 1.0], "t1": 0.2}
    draw = lambda **more: phase_portrait(od.system("overdamped_langevin"), wells, **frame, **more)
    plain, seen = draw(paths=2, seed=1), draw(paths=2, seed=1, section=section)
    again = section.origin + seen.paths @ section.basis.T
    np.testing.assert_allclose(again, plain.paths, atol=1e-12)
    with pytest.raises(od.OdescentError, match="leave section= out"):
        draw(density=1.0, section=section)
    passive = lambda **more: phase_portrait(
        od.system("passive"), curvature=1.0, parameters={"K": 5.0, "a": 1.0, "b": 1.0}, t1=0, cycles=False,
        slow=("psi", "1/K", 1), window=((-1, 1), (-1, 1)), **more,
    ).curves["slow manifold, order 1"]  # fmt: skip
    place = [b.name for b in od.system("passive").blocks].index
    own = passive()[:, [1, 0] if place("psi") == 0 else [0, 1]]  # y is drawn first
    for states in (own, section.origin + passive(section=section) @ section.basis.T):
        psi, y = states[:, place("psi")], states[:, place("y")]
        np.testing.assert_allclose(psi, -y / 5, atol=1e-12)


def test_a_field_that_is_nowhere_finite_and_a_slow_manifold_without_small_parameter(oscillator):
    nan = od.Objective("nan", fun=lambda x: (x * jnp.nan).sum())
    with pytest.raises(od.OdescentError, match="not finite anywhere in the window"):
        phase_portrait(oscillator, nan, window=((-1, 1), (-1, 1)), parameters={"c": 1}, t1=0)
    for slow, sentence in [
        (("v", "1/K", 1), "needs a value of K"),
        (("w", "1/c", 1), "is not one of"),
    ]:
        with pytest.raises(od.OdescentError, match=sentence):
            phase_portrait(
                oscillator, curvature=1.0, window=((-1, 1), (-1, 1)), parameters={"c": 9}, t1=0, slow=slow
            )  # fmt: skip


def test_saving_and_filming(oscillator, tmp_path):
    from PIL import Image

    portrait = phase_portrait(
        oscillator, curvature=1.0, parameters={"c": 1}, t1=6.0, window=((-1.2, 1.2), (-1, 1)), cycles=False
    )  # fmt: skip
    assert [p.suffix for p in portrait.save(tmp_path / "p")] == [".pdf", ".svg", ".png"]
    assert portrait.save(tmp_path / "q.svg") == (tmp_path / "q.svg",)
    with pytest.raises(od.OdescentError, match="pdf, svg or png"):
        portrait.save(tmp_path / "p.jpg")
    seen = []
    (film,) = animate(portrait, tmp_path / "p.gif", frames=6, progress=lambda k, n: seen.append(k))
    assert seen == [1, 2, 3, 4, 5, 6]
    with Image.open(film) as image:
        assert image.n_frames == 6
        first = np.asarray(image.convert("RGB")).astype(int)
        image.seek(5)
        last = np.asarray(image.convert("RGB")).astype(int)
    flow = np.array([int(style.FLOW[i : i + 2], 16) for i in (1, 3, 5)])
    drawn = lambda p: int((np.abs(p - flow).max(-1) < 25).sum())  # of the flow's line
    assert drawn(last) > 1.5 * drawn(first)
    frames = animate(portrait, tmp_path / "f.png", frames=3)
    assert [p.name for p in frames] == ["f_0000.png", "f_0001.png", "f_0002.png"]
    still = phase_portrait(
        oscillator,
        curvature=1.0,
        parameters={"c": 1},
        t1=0,
        window=((-1, 1), (-1, 1)),
        cycles=False,
    )
    for given, change, sentence in [
        (still, {}, "nothing to animate"),
        (portrait, {"frames": 1}, "2 to 600 frames"),
        (portrait, {"path": tmp_path / "p.avi"}, "gif, .mp4, or|must be a .gif"),
    ]:
        with pytest.raises(od.OdescentError, match=sentence):
            animate(given, change.pop("path", tmp_path / "x.gif"), **change)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg")
def test_a_film_through_ffmpeg_holds_the_frames_as_drawn(oscillator, tmp_path):
    portrait = phase_portrait(
        oscillator, curvature=1.0, parameters={"c": 1}, t1=6.0, window=((-1.2, 1.2), (-1, 1)), cycles=False
    )  # fmt: skip
    (film,) = animate(portrait, tmp_path / "f.mp4", frames=5, fps=5)
    assert film.suffix == ".mp4" and film.read_bytes()[4:8] == b"ftyp"
    decoded = tmp_path / "d_%d.png"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(film), str(decoded)], check=True)
    frames = animate(portrait, tmp_path / "f.png", frames=5)
    from PIL import Image

    assert not (tmp_path / "d_6.png").exists()
    for k, frame in enumerate(frames):
        with Image.open(tmp_path / f"d_{k + 1}.png") as a, Image.open(frame) as b:
            here = np.asarray(a.convert("L")).astype(float)
            there = np.asarray(b.convert("L")).astype(float)[: here.shape[0], : here.shape[1]]
        assert np.abs(here - there).mean() < 4  # of 255: what the encoder loses


def test_film_without_ffmpeg_falls_back_to_frames(oscillator, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    portrait = phase_portrait(
        oscillator,
        curvature=1.0,
        parameters={"c": 1},
        t1=6.0,
        window=((-1, 1), (-1, 1)),
        cycles=False,
    )
    paths = animate(portrait, tmp_path / "f.mp4", frames=2)
    assert [p.name for p in paths] == ["f_0000.png", "f_0001.png"] and all(
        p.exists() for p in paths
    )


def test_a_bound_method_is_drawn_over_its_flow():
    """The step 1/sqrt(L) of the tuning was not a number where L is bound, and the flow was left out."""
    nag, values = od.algorithm("nesterov_sc"), {"mu": 0.25, "L": 4}
    bound = phase_portrait(nag.bind(**values), curvature=1.0, steps=8)
    named = phase_portrait(nag, curvature=1.0, steps=8, parameters=values)
    np.testing.assert_allclose(bound.flows["flow"], named.flows["flow"], rtol=1e-9)
    np.testing.assert_allclose(bound.window, named.window)


def test_the_flow_lasts_as_long_as_the_steps_also_where_the_objective_alone_knows_mu_and_L():
    """Heavy ball's own step is 2/(sqrt(L) + sqrt(mu)); mu = 1 and L = 25 are the objective's."""
    drawn = phase_portrait("heavy_ball", "lessard_recht_packard", x0=3.3, steps=12, cycles=False)
    f = od.objective("lessard_recht_packard")
    ball = od.algorithm("heavy_ball").bind(mu=1, L=25)
    flow = ball.bound.bind(c=ball.tuning_values[od.parameters("c")]).simulate(f, [3.3], 12 / 3)
    end = [float(np.squeeze(flow.states[n][-1])) for n in ("x", "v")]
    np.testing.assert_allclose(drawn.flows["flow"][-1], end, atol=1e-6)


def test_parameters_have_the_words_that_the_method_has_and_unknown_ones_are_refused():
    """x+ = x - h^2 g + momentum (x - x_-), whatever the tuning says; the flow has the friction (1 - momentum) / h."""
    values = {"learning_rate": 0.25, "momentum": 0.5}
    drawn = phase_portrait("heavy_ball", curvature=1.0, parameters=values, steps=6, cycles=False)
    x, points = [1.0, 1.0], [1.0]
    for _ in range(6):
        x = [x[1], x[1] - 0.25 * x[1] + 0.5 * (x[1] - x[0])]
        points.append(x[1])
    np.testing.assert_allclose(drawn.iterates["heavy_ball"][:, 0], points, atol=1e-12)
    from scipy.linalg import expm

    end = expm(np.array([[0, 1], [-1, -1.0]]) * 6 * 0.5) @ [1, 0]
    np.testing.assert_allclose(drawn.flows["flow"][-1], end, atol=1e-7)
    both = phase_portrait(
        "heavy_ball", curvature=1.0, parameters={**values, "mu": 1, "L": 4}, steps=6, cycles=False,
        algorithms={"its own": od.algorithm("heavy_ball", friction=1)},
    )  # fmt: skip
    np.testing.assert_allclose(both.iterates["heavy_ball"], drawn.iterates["heavy_ball"])
    with pytest.raises(od.OdescentError, match="no parameter 'momentun': did you mean 'momentum'"):
        phase_portrait("heavy_ball", curvature=1.0, parameters={"momentun": 0.5})


def test_a_planar_system_without_oracles_needs_no_objective_and_a_flow_that_blows_up_says_so():
    turn = od.System({"all": {x: v, v: -2 * v - 5 * x}}, output=x)
    portrait = phase_portrait(turn, x0=1.0, t1=2.0, cycles=False)
    from scipy.linalg import expm

    end = expm(np.array([[0, 1], [-5, -2]]) * 2.0) @ [1, 0]
    np.testing.assert_allclose(portrait.flows["flow"][-1], end, atol=1e-7)
    assert [p.kind for p in portrait.fixed_points] == ["stable focus"]
    burst = od.System({"all": {x: od.hadamard(x, x), v: -v}}, output=x)  # x = 1 / (1 - t)
    with pytest.raises(od.OdescentError, match=r"blows up at about t = \S+ of 2|too many steps"):
        phase_portrait(burst, x0=1.0, t1=2.0, cycles=False)


def test_the_dot_of_a_nullcline_stands_on_the_letter():
    portrait = phase_portrait(
        "gradient_flow", od.objective("quadratic", eigenvalues=(1.0, 4.0)), t1=0, cycles=False
    )
    assert portrait.nullcline_labels == (r"$\dot{x}_{1} = 0$", r"$\dot{x}_{2} = 0$")


def test_a_system_alone_shows_its_start_and_its_slow_manifold():
    """y'' + 3 y' + 2 y = 0: the expansion of the slow slope -1 is -2/3 (1 + 2/9 + ...) across the window."""
    portrait = od.analysis.phase_portrait(
        od.system("passive"), curvature=1, parameters={"K": 3, "a": 0, "b": 2}, x0=2.0,
        slow=("psi", "1/K", 3), cycles=False,
    )  # fmt: skip
    assert portrait.window == ((-2.5, 2.5), (-2.5, 2.5))
    for order, slope in ((1, -2 / 3), (3, -2 / 3 * (1 + 2 / 9))):
        curve = portrait.curves[f"slow manifold, order {order}"]
        np.testing.assert_allclose(curve[[0, -1]], [[-2.5, -2.5 * slope], [2.5, 2.5 * slope]])


def test_the_start_is_the_one_that_was_given():
    """Numbers, points, whole states and blocks; the flow begins there, or a sentence says what is wanted."""
    x, y = od.blocks("x y", kind="scalar")
    animals = od.System({"prey": {x: x * (1 - y)}, "hunters": {y: y * (x - 1)}}, output=x)
    frame = {"window": ((0.0, 4.0), (0.0, 4.0)), "t1": 1.0, "cycles": False}
    for x0 in ([2.0, 1.5], np.array([2.0, 1.5]), {"x": 2.0, "y": 1.5}, {y: 1.5, x: 2.0}):
        flow = phase_portrait(animals, x0=x0, **frame).flows["flow"]
        assert flow[0].tolist() == [2.0, 1.5]
        conserved = flow.sum(1) - np.log(flow).sum(1)  # Lotka and Volterra
        np.testing.assert_allclose(conserved, conserved[0], atol=1e-6)
    for x0, sentence in [
        (2.0, "x0 has 1 entries: give 2 of the whole state"), ([1.0, 2.0, 3.0], "x0 has 3 entries"),
        ({"z": 1.0}, "no block of this system called 'z'"), ({"x": [1.0, 2.0]}, "has 1 entries; x0 gives it 2"),
        ([np.nan, 1.0], "must be finite"), ("here", "a number or an array"),
    ]:  # fmt: skip
        with pytest.raises(od.OdescentError, match=sentence):
            phase_portrait(animals, x0=x0, **frame)
    ball, more = od.system("heavy_ball"), {"parameters": {"c": 1}, "t1": 1.0, "cycles": False}
    for x0, begin in [
        (None, [1, 0]), (2.0, [2, 0]), ([2.0], [2, 0]), ([2.0, 1.5], [2, 1.5]), ({"x": 2, "v": 1.5}, [2, 1.5]),
        ({"v": 1.5}, [1, 1.5]),
    ]:  # fmt: skip
        assert phase_portrait(ball, curvature=2.0, x0=x0, **more).flows["flow"][0].tolist() == begin
    with pytest.raises(od.OdescentError, match="a whole state can only start a flow"):
        phase_portrait(od.algorithm("heavy_ball"), curvature=2.0, x0={"x": 1.0})


CRITICAL = [  # of Himmelblau's function: least points, saddles, and the one maximum
    (3, 2), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127), (-0.270845, -0.923039),
    (-0.127961, -1.953715), (0.086678, 2.884255), (-3.073026, -0.081353), (3.385154, 0.073852),
]  # fmt: skip


def test_fixed_points_of_a_projection_are_those_of_the_whole_system():
    """Heavy ball on a function of two variables: at rest, in motion, and across."""
    e, ball = np.eye(4), od.system("heavy_ball")
    frame = {"parameters": {"c": 1}, "window": ((-5, 5), (-5, 5)), "t1": 0}
    draw = lambda *section: phase_portrait(ball, "himmelblau", section=Section(*section), **frame)
    rest = draw(np.zeros(4), e[2], e[3])  # v = 0, where the projected velocity is zero everywhere
    found = np.array([p.point for p in rest.fixed_points])
    np.testing.assert_allclose(found, sorted(CRITICAL), atol=2e-6)
    target = od.objective("himmelblau")
    # v' = -v - grad f, x' = v: r^2 + r + (eigenvalue of the Hessian) = 0
    for p in rest.fixed_points:
        hessian = np.linalg.eigvalsh(np.asarray(jax.hessian(target.value)(jnp.asarray(p.point))))
        roots = np.concatenate([np.roots([1, 1, m]) for m in hessian])
        turned = lambda r: np.sort_complex(np.round(1j * np.asarray(r), 6))
        np.testing.assert_allclose(turned(p.eigenvalues), turned(roots), atol=1e-5)
        least = bool((hessian > 0).all())
        assert p.kind == ("stable focus" if least else "saddle")
    assert rest.projected and not rest.search.complete and not rest.separatrices
    assert "9 fixed points of the whole system in this plane" in str(rest) and "may be more" in str(
        rest
    )
    moving = draw(np.array([1.0, 1.0, 0, 0]), e[2], e[3])  # no point of it is at rest
    assert moving.fixed_points == () and moving.limit_cycles == ()
    across = draw(np.array([0, 0, 3.0, 2.0]), e[0], e[2])
    assert [p.point.round(9).tolist() for p in across.fixed_points] == [[0, 0]]


@pytest.mark.parametrize("name", od.systems())
def test_a_system_with_noise_is_drawn_as_its_drift_and_says_so(name):
    system = od.system(name)
    if not any(f.noise for f in system.fields.values()):
        pytest.skip("it has no noise")
    values = {p.name: 0.5 for p in system.parameters}
    target = None if not system.oracles else "himmelblau"
    try:
        portrait = phase_portrait(
            system, target, x0=[0.5, 0.5], t1=0.1, parameters=values, window=((-4, 4), (-4, 4)), cycles=False
        )  # fmt: skip
    except od.OdescentError:
        return  # of an ensemble, of more dimensions, or depending on time
    assert portrait.noisy and list(portrait.flows) == ["flow of the drift"]
    shown = str(portrait)
    assert "its noise is not shown" in shown and "of the drift" in shown
    assert "fixed point" not in shown
    labels = [t.get_text() for t in portrait.plot().get_legend().get_texts()]
    kinds = {p.kind for p in portrait.fixed_points}
    assert all(f"{kind} of the drift" in labels and kind not in labels for kind in kinds)


def test_some_noisy_system_is_drawn():
    portrait = phase_portrait(
        "overdamped_langevin",
        "himmelblau",
        x0=[0.0, 0.0],
        t1=0.1,
        cycles=False,
    )
    assert portrait.noisy and portrait.search.complete
