"""After training: views of solves against closed forms and plain diffrax, and what is drawn."""

import itertools
import json
import shutil

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import schemas
import scipy.linalg
import scipy.stats
from faults_of_figures import faults
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tasks import Small

import odescent as od
from odescent import OdescentError
from odescent.cli import app
from odescent.neural_de import Config
from odescent.neural_de.inspection.pareto_front import pareto
from odescent.neural_de.inspection.profiles import StepProfile
from odescent.neural_de.training.trained import Trained

pytestmark = pytest.mark.promotion
nde = od.neural_de
A = np.array([[-0.5, 2.0, 0.0], [-2.0, -0.5, 0.0], [0.0, 0.0, -0.1]])
Y0 = np.random.default_rng(0).normal(size=(6, 3)) * [1, 1, 1e-3]
LABELS = np.array([0, 0, 1, 1, 2, 2])


def linear(t, y, a):
    return y @ a.T


@pytest.fixture(scope="module")
def spiral():
    return nde.subject(
        linear, Y0, 0.0, 2.0, jnp.asarray(A), labels=LABELS, rtol=1e-5, atol=1e-5, name="spiral"
    )


@pytest.fixture(scope="module")
def table(spiral):
    chosen = {"Dopri5": dfx.Dopri5(), "Bosh3": dfx.Bosh3()}
    return nde.solver_comparison(spiral, chosen)


def decay():
    return nde.subject(
        lambda t, y, a: -7 * y, np.ones((3, 2)), 0.0, 4.0, rtol=1e-3, atol=1e-3, solver=dfx.Dopri5()
    )


def test_a_profile_is_drawn_on_the_scale_of_its_values():
    """Steps that hardly differ are told apart; a bound is drawn where it is near, else it stands in the title."""
    h = np.linspace(0.20, 0.22, 10)
    t = np.cumsum(h) - h
    found = StepProfile("made up", t, h, np.full(10, 0.5), np.full(10, 1.0), 3.3, 10, 0, None)
    steps, errors, stiffness = found.plot()
    for ax, share in ((steps, 0.2), (errors, 0.0), (stiffness, 0.2)):
        low, high = ax.get_ylim()
        values = ax.lines[0].get_ydata()
        assert low < values.min() and values.max() < high
        assert np.ptp(values) >= share * (high - low)
    bounds = [
        [line.get_ydata()[0] for line in ax.lines if line.get_label() == "bound"]
        for ax in found.plot()
    ]
    assert bounds == [[], [1.0], []] and "stable to 3.3" in stiffness.get_title()
    assert faults(steps.figure) == []


def test_a_profile_has_the_stiffness_of_the_field():
    """|J v| / |v| = 7 for f = -7 y; the steps fill the interval; beyond the stability size nothing is accepted."""
    found = nde.step_profile(decay())
    np.testing.assert_allclose(found.stiffness, 7, rtol=1e-12)
    assert found.t[0] == 0 and found.accepted == len(found.h) and max(found.error) < 1
    np.testing.assert_allclose(found.t[1:], np.cumsum(found.h)[:-1], rtol=1e-12)
    np.testing.assert_allclose(found.h.sum(), 4.0, rtol=1e-12)
    np.testing.assert_allclose(found.stability, 3.3066, rtol=1e-4)  # Hairer and Wanner
    axes = found.plot()
    assert faults(axes[0].figure) == []
    np.testing.assert_array_equal(axes[0].patches[0].get_data().values, found.h)
    np.testing.assert_array_equal(axes[1].patches[0].get_data().values, found.error)
    with pytest.raises(OdescentError, match="record=2 can be shown"):
        nde.step_profile(decay(), record=2)


def test_every_row_has_the_steps_of_a_solve_of_its_own():
    """Rows that turn faster need more steps; plain diffrax counts them, six evaluations each and one to start."""
    speeds = np.array([1.0, 5.0, 20.0])
    rows = np.stack([np.ones(3), np.zeros(3), speeds], axis=1)

    def turning(t, y, args):
        x, v, w = y[..., 0], y[..., 1], y[..., 2]
        return jnp.stack([w * v, -w * x, 0 * w], axis=-1)

    found = nde.evaluation_counts(
        nde.subject(turning, rows, 0.0, 1.0, rtol=1e-4, atol=1e-4, dt0=1e-3)
    )
    control = dfx.PIDController(rtol=1e-4, atol=1e-4)

    @jax.jit
    def steps(y):
        sol = dfx.diffeqsolve(
            dfx.ODETerm(turning), dfx.Tsit5(), 0.0, 1.0, 1e-3, y, stepsize_controller=control
        )
        return sol.stats["num_steps"]

    np.testing.assert_array_equal(
        found.each, [6 * int(steps(jnp.asarray(y)[None])) + 1 for y in rows]
    )
    assert found.together > found.each[0] and not len(found.failed)
    bars = found.plot().patches
    assert sorted(b.get_height() for b in bars) == [1, 1, 1]
    assert found.to_dict()["histogram"] == {str(n): 1 for n in found.each}


def test_solvers_are_compared_by_their_true_error(table):
    """Against the matrix exponential, at every solver's own steps."""
    exact = Y0 @ scipy.linalg.expm(2 * A).T
    for p in table.predictions:
        solver = {"Dopri5": dfx.Dopri5(), "Bosh3": dfx.Bosh3()}[p.solver]
        out = nde.solve(linear, Y0, 0.0, 2.0, jnp.asarray(A), solver=solver, rtol=1e-5, atol=1e-5)
        error = np.sqrt(np.sum((out.ys[-1] - exact) ** 2) / np.sum(exact**2))
        np.testing.assert_allclose(p.error, error, rtol=1e-2)
        assert (
            p.evaluations == out.statistics.drift_evaluations
            and p.accepted == out.statistics.accepted
        )
    lines = str(table).splitlines()
    assert len({len(line) for line in lines}) == 1 and "error" in lines[0]
    ax = table.plot()
    assert faults(ax.figure) == []
    assert [line.get_xdata()[0] for line in ax.lines] == [p.evaluations for p in table.predictions]


def test_a_model_with_several_paths_to_a_row_is_drawn_without_labels():
    """The states are then more than the labels."""
    start = lambda x: jnp.tile(x, (2, 1))
    loss = lambda a, batch, key=None, **more: nde.solve(linear, start(batch["x"]), 0.0, 1.0, a, **more)  # fmt: skip
    model = nde.subject(
        jnp.asarray(A), Y0, loss=loss, labels=LABELS, vector_field=lambda t, y: y @ A.T, rtol=1e-3, atol=1e-3
    )  # fmt: skip
    found = nde.field_plane(model)
    assert found.labels is None and found.paths.shape[1] == 2 * len(Y0)
    found.plot()


def test_with_noise_solvers_are_compared_by_cost():
    s = nde.subject(
        lambda t, y, a: -y, np.ones((4, 2)), 0.0, 1.0, diffusion=lambda t, y, a: 0.1 * y, noise="commutative",
        rtol=1e-1, atol=1e-1, max_steps=512,
    )  # fmt: skip
    found = nde.solver_comparison(s, {"SPaRK": dfx.SPaRK()})
    (p,) = found.predictions
    assert p.error is None and p.solved and found.reference.startswith("none")
    assert found.plot().lines[0].get_ydata()[0] == p.evaluations


def test_the_plane_of_the_motion_is_found(spiral):
    """The third variable hardly moves: the plane is that of the first two, and arrows there are A's."""
    found = nde.field_plane(spiral, rows=6, grid=9)
    assert found.share > 1 - 1e-5 and found.times == (2.0,)  # autonomous: one panel
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    assert np.abs(found.directions[:, 2]).max() < 1e-2
    spots = (
        found.center
        + found.a[None, :, None] * found.directions[0]
        + found.b[:, None, None] * found.directions[1]
    )
    np.testing.assert_allclose(found.arrows[0], spots @ A.T @ found.directions.T, atol=1e-12)
    exact = np.stack([Y0 @ scipy.linalg.expm(t * A).T for t in found.path_times])
    np.testing.assert_allclose(found.paths, (exact - found.center) @ found.directions.T, atol=1e-4)
    (ax,) = found.plot()
    assert faults(ax.figure) == []
    ends = {
        line.get_label(): line.get_xydata() for line in ax.lines if line.get_linestyle() == "None"
    }
    assert set(ends) == {"0", "1", "2"}
    np.testing.assert_allclose(ends["1"], found.paths[-1, LABELS == 1])
    given = nde.field_plane(spiral, rows=6, grid=5, plane=(np.zeros(3), [[0, 0, 2.0], [1, 0, 1]]))
    np.testing.assert_allclose(given.directions, [[0, 0, 1], [1, 0, 0]], atol=1e-12)
    with pytest.raises(OdescentError, match="two independent directions of 3"):
        nde.field_plane(spiral, plane=(np.zeros(3), [[1, 0, 0], [2, 0, 0]]))


def test_a_field_in_the_plane_that_depends_on_time_has_a_panel_per_time():
    s = nde.subject(
        lambda t, y, a: jnp.stack([y[..., 1], t - y[..., 0]], -1), Y0[:, :2], 0.0, 1.0, rtol=1e-3
    )
    found = nde.field_plane(s, grid=5)
    assert found.times == (0.0, 0.5, 1.0) and found.share == 1
    np.testing.assert_allclose(
        found.arrows[2] - found.arrows[0], np.broadcast_to([0.0, 1.0], (5, 5, 2)), atol=1e-12
    )
    assert len(found.plot()) == 3


numbers = st.integers(0, 6).map(float)
some_runs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=3)
groups_of_runs = st.dictionaries(st.sampled_from("abcdef"), some_runs, min_size=1)


@settings(max_examples=40)
@given(groups_of_runs)
def test_the_front_is_what_nothing_beats(groups):
    """Every point off the front is beaten by one on it, and no point on it is beaten."""
    task = Small()
    run = lambda n, s: Trained(None, Config("small"), [], {}, {"nfe": n, "loss": s}, None, task)
    sign = -1  # Small's score is a loss
    found = pareto({k: [run(n, s) for n, s in v] for k, v in groups.items()})
    assert found.score == "loss" and found.sign == sign and len(found.points) == len(groups)
    mean = {p.label: p.mean for p in found.points}
    for p in found.points:
        np.testing.assert_allclose(p.mean, np.mean(groups[p.label], axis=0))
    beats = lambda p, q: p[0] <= q[0] and p[1] <= q[1] and p != q
    front = {p.label for p in found.front}
    for label, m in mean.items():
        beaten = [k for k in mean if beats(mean[k], m)]
        assert (label not in front) == bool(beaten)
    costs = [p.mean[0] for p in found.front]
    assert costs == sorted(costs)


@pytest.mark.parametrize("per_sample", [False, True])
def test_rows_that_a_model_solves_one_by_one_are_looked_at_as_well(per_sample):
    """y' = -y^3 row by row: counts and ways of single solves, the profile of the hardest row, errors of the ends."""
    field = lambda t, y, a: -(y**3)
    y0 = np.array([[0.1, 0.2], [3.0, 1.0], [0.5, 0.4]])
    loss = lambda model, batch, key=None, **more: (
        None, nde.solve(field, batch["x"], 0.0, 1.0, per_sample=per_sample, **more),
    )  # fmt: skip
    model = nde.subject({}, y0, loss=loss, vector_field=lambda t, y: -(y**3), rtol=1e-5, atol=1e-5)
    alone = [
        nde.solve(field, jnp.asarray(y[None]), 0.0, 1.0, rtol=1e-5, atol=1e-5).statistics
        for y in y0
    ]
    costs = [int(s.drift_evaluations) for s in alone]
    found = nde.evaluation_counts(model)
    assert found.each.tolist() == costs and len(found.failed) == 0
    assert not per_sample or found.together == max(costs)
    profile = nde.step_profile(model)
    assert not per_sample or profile.accepted == int(alone[1].accepted)
    assert np.isclose(profile.h.sum(), 1.0) and abs(profile.stability - 3.5068) < 1e-4
    table = nde.solver_comparison(model, {"Bosh3": dfx.Bosh3()})
    assert table.predictions[0].solved and 0 < table.predictions[0].error < 1e-4
    ways = nde.field_plane(model).paths  # (times, rows, 2)
    np.testing.assert_allclose(ways[-1], y0 / np.sqrt(1 + 2 * y0**2), rtol=1e-3)


def tsit5_errors(field, tolerance):
    """From a state and times to E of each step between them, of plain diffrax."""
    solver, term = dfx.Tsit5(), dfx.ODETerm(field)

    @jax.jit
    def step(y, state, a, b):
        y1, error, _, state, _ = solver.step(term, a, b, y, None, state, made_jump=False)
        scale = tolerance + tolerance * jnp.maximum(abs(y), abs(y1))
        return y1, state, jnp.sqrt(jnp.mean(abs(error / scale) ** 2))

    def errors(y, times):
        y, found = jnp.asarray(y), []
        state = solver.init(term, times[0], times[1], y, None)
        for a, b in itertools.pairwise(map(float, times)):
            y, state, e = step(y, state, a, b)
            found.append(float(e))
        return np.array(found)

    return errors


@pytest.mark.filterwarnings("ignore:Complex dtype")
def test_a_mesh_has_as_few_steps_as_keep_all_rows_within_the_tolerance():
    """z' = i w z has the same error in equal steps: the least number is that of the fastest row."""
    rows = np.stack([np.ones(6), [4.0, 1.0, 2.0, 3.0, 4.2, 9.0]], axis=1).astype(complex)
    field = lambda t, y, args: jnp.stack([1j * y[..., 1] * y[..., 0], 0 * y[..., 1]], axis=-1)
    errors_of = tsit5_errors(field, 1e-5)
    for t0, t1 in ((0.0, 2.0), (2.0, 0.0)):
        s = nde.subject(field, rows, t0, t1, rtol=1e-5, atol=1e-5, name="turning")
        found = nde.fixed_mesh(s)
        n = next(
            n for n in range(1, 99) if errors_of(rows[0], np.linspace(t0, t1, n + 1)).max() <= 0.5
        )
        assert len(found.times) - 1 == n and found.evaluations == 6 * n + 1
        assert found.times[0] == t0 and found.times[-1] == t1
        for errors, part in ((found.fitted, rows[:3]), (found.errors, rows[3:])):
            own = [errors_of(y, found.times).max() for y in part]
            np.testing.assert_allclose(errors, own, rtol=1e-6)
        assert found.exceeding == 1 and found.errors[2] > 1 > found.errors[1]  # the speed 9
    assert "1 of 3 rows apart" in str(found) and found.to_dict()["exceeding"] == 1
    np.testing.assert_array_equal(found.plot().lines[1].get_xdata(), np.sort(found.errors))


@pytest.mark.filterwarnings("ignore:Complex dtype")
def test_a_mesh_is_dense_where_the_field_is_fast():
    """z' = i w(t) z: the steps are short where w is large, and equal in their errors."""
    integral = lambda t: t + t**3
    field = lambda t, z, args: 1j * (1 + 3 * t**2) * z
    s = nde.subject(field, np.ones((4, 1), complex), 0.0, 2.0, rtol=1e-7, atol=1e-7)
    found = nde.fixed_mesh(s)
    errors = tsit5_errors(field, 1e-7)(np.ones(1, complex), found.times)
    steps = np.diff(found.times)
    assert steps.max() > 5 * steps.min() and errors.max() <= 0.5
    assert (errors.max() / errors.min()) ** (1 / 5) < 1.1
    out = s.solved(**found.options).solved
    np.testing.assert_allclose(out.ys[-1], np.full((4, 1), np.exp(1j * integral(2.0))), atol=1e-5)
    alone = s.solved(1, **found.options).solved
    np.testing.assert_allclose(alone.ys[-1][0], out.ys[-1][0], rtol=1e-14)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bound_of_a_mesh_is_that_of_clopper_and_pearson(counted):
    k, n = counted
    errors = np.r_[np.full(k, 2.0), np.full(n - k, 0.5)]
    found = nde.FixedMesh("", np.linspace(0, 1, 3), 13, errors, errors, 0.9, {})
    exact = scipy.stats.binomtest(k, n, alternative="less").proportion_ci(0.9).high
    assert found.exceeding == k and found.bound == pytest.approx(exact, rel=1e-9)


def test_a_model_on_a_mesh_is_exported():
    """For any number of rows, as one program; a row's logits do not depend on the rows beside it."""
    model = nde.NeuralODEClassifier(3, [8], 2, jax.random.key(0), dtype=jnp.float64)
    found = nde.fixed_mesh(
        nde.subject(
            model, Y0, loss=lambda m, b, key=None, **o: m(b["x"], **o), rtol=1e-4, atol=1e-4
        )
    )
    predict = jax.jit(lambda x: model(x, **found.options)[0])
    rows = jax.ShapeDtypeStruct(jax.export.symbolic_shape("n, 3"), jnp.float64)
    exported = jax.export.export(predict)(rows)
    whole = np.asarray(predict(jnp.asarray(Y0)))
    np.testing.assert_allclose(exported.call(jnp.asarray(Y0)), whole, rtol=1e-13)
    for i, y in enumerate(Y0):
        np.testing.assert_allclose(exported.call(jnp.asarray(y[None]))[0], whole[i], rtol=1e-13)


def test_what_has_no_mesh_is_said():
    noisy = nde.subject(
        lambda t, y, a: -y, np.ones((4, 2)), 0.0, 1.0, diffusion=lambda t, y, a: 0.1 * y, noise="commutative",
        rtol=1e-1, atol=1e-1, max_steps=512,
    )  # fmt: skip
    for bad, part in (
        (lambda: nde.fixed_mesh(noisy), "for a solve with noise"),
        (lambda: nde.fixed_mesh(decay(), rows=1), "at least two rows"),
        (lambda: nde.fixed_mesh(decay(), most=3), "more than 3 steps"),
        (lambda: nde.fixed_mesh(decay(), largest=0.0), "largest=0.0 must be in"),
        (lambda: nde.fixed_mesh(decay(), confidence=1), "confidence=1 between"),
    ):
        with pytest.raises(OdescentError, match=part):
            bad()


def test_what_cannot_be_looked_at_is_said():
    for bad, part in (
        (lambda: nde.subject(3), "give a run of train"),
        (lambda: nde.subject(3, Y0), "a run, a folder, or a vector field"),
        (lambda: nde.subject(linear, np.ones(3)), "one row per initial state"),
        (lambda: nde.field_plane(nde.subject(linear, np.ones((2, 1)), args=jnp.eye(1))), "has no plane"),
        (lambda: pareto([]), "no finished run"),
        (lambda: nde.step_profile(nde.subject(3, Y0, loss=lambda m, b, **o: 1)), "returns Losses"),
        (lambda: nde.subject(3, Y0, loss=lambda m, b, key=None, rtol=1e-3: 1), "end it with \\*\\*options"),
        (lambda: nde.field_plane(nde.subject(3, Y0, loss=lambda m, b, **o: 1)), "does not expose its vector field"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=part):
            bad()


def test_a_model_of_your_own():
    """Any callable that solves; here a rate of 2 over the rows."""
    loss = lambda model, batch, key=None, **options: nde.solve(
        lambda t, y, m: m["rate"] * y, batch["x"], 0.0, 1.0, model, **options
    )
    s = nde.subject({"rate": jnp.asarray(2.0)}, np.ones((4, 2)), loss=loss, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(s.solved().solved.ys[-1], np.exp(2.0), rtol=1e-5)
    np.testing.assert_allclose(nde.step_profile(s).stiffness, 2.0, rtol=1e-12)


def test_the_command_inspects_runs(tmp_path, capsys):
    def call(*args):
        with pytest.raises(SystemExit) as done:
            app([str(a) for a in args])
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    run, twin, out = tmp_path / "run", tmp_path / "twin", tmp_path / "pictures"
    code, _, error = call(
        "train", "spirals-ode", "--steps", "2", "--batch", "16", "--tolerance", "1e-3", "--set", "model.hidden=4,4",
        "--out", run,
    )  # fmt: skip
    assert code == 0, error
    code, _, error = call("inspect", run, run)
    assert code == 2 and "given twice" in error
    code, _, error = call("inspect", tmp_path / "none")
    assert code == 2 and "cannot be read" in error and error.count("\n") == 1
    shutil.copytree(run, twin)
    code, said, error = call("inspect", run, twin, "--out", out, "--json")
    assert code == 0, error
    value = schemas.check(json.loads(said))
    assert (
        value["schema"] == "odescent.inspect/1"
        and json.loads((out / "inspect.json").read_text()) == value
    )
    assert [p["label"] for p in value["pareto"]["points"]] == ["vanilla"]
    names = {"steps", "evaluations", "solvers", "field", "mesh"}
    for folder in ("run", "twin"):
        assert {p.stem for p in (out / folder).glob("*.png")} == names
    assert (out / "pareto.png").exists() and names <= set(value["runs"][0])
