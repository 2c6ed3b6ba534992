"""The figures about neural DEs: how a coefficient is chosen, what the local penalty is worth, and the drawings."""

import math
from types import SimpleNamespace

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from faults_of_figures import faults
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import Small

from odescent._support.errors import OdescentError
from odescent.neural_de import Config, initial_step, local, solve
from odescent.paper_figs import PAPERS
from odescent.paper_figs.heuristics import classifiers, other_tasks, spiral_sde
from odescent.paper_figs.heuristics import selection as runs
from odescent.paper_figs.local import local_classifiers, penalty_forms
from odescent.paper_figs.regenerate import regenerate

pytestmark = pytest.mark.filterwarnings("ignore::odescent._support.errors.OdescentWarning")


_ENTRY = st.fixed_dictionaries(
    {
        "score": st.floats(0, 1),
        "nfe": st.integers(1, 50).map(float),
        "standard error": st.floats(0, 0.2),
    }
)
_TRIED = st.lists(_ENTRY, min_size=1, max_size=6)


@given(tried=_TRIED, bound=st.floats(0, 1), sign=st.sampled_from((1, -1)))
def test_chosen_is_cheapest_within_the_bound(tried, bound, sign):
    """No other coefficient that keeps the bound is cheaper; if none keeps it, none has a better score."""
    named = [(float(i + 1), m) for i, m in enumerate(tried)]
    best = dict(named)[runs.cheapest(named, "score", sign, bound)]
    fine = [m for m in tried if sign * m["score"] + m["standard error"] >= sign * bound]
    if fine:
        assert best in fine
        assert best["nfe"] == min(m["nfe"] for m in fine)
    else:
        assert sign * best["score"] == max(sign * m["score"] for m in tried)


def test_a_row_more_or_less_does_not_decide():
    """Half the cost for a loss of accuracy that is within a standard error, or just beyond it."""
    one = {"score": 0.98, "nfe": 20.0, "standard error": 0.0}
    for error, best in ((0.011, 2.0), (0.009, 1.0)):
        other = {"score": 0.97, "nfe": 10.0, "standard error": error}
        assert runs.cheapest([(1.0, one), (2.0, other)], "score", 1, 0.981 - 0.001) == best
    assert runs.standard_error([0.0, 0.0, 0.03]) == pytest.approx(0.01)
    assert runs.standard_error([0.5]) == 0


def test_a_coefficient_that_failed_is_not_chosen():
    """It has no numbers; and the only one left is taken although it misses the bound."""
    assert runs.cheapest([(1.0, {}), (2.0, {"score": 0.1, "nfe": 9.0})], "score", 1, 0.9) == 2.0


def test_choose_trains_every_coefficient_and_keeps_the_reference_first(tmp_path):
    """y' = r y from x: the runs carry their coefficients, validation decides, and a second call trains nothing."""
    base = Config("small", steps=4, batch=4, validate_every=2, precision="float64")
    ways = (
        runs.Method("vanilla"),
        runs.Method("error", {"regularizer": "error"}, (1e-3, 1.0), fade=0.1),
    )
    options = {"seeds": (0, 1), "slack": 1e9, "folder": tmp_path, "task": Small()}
    plain, own = runs.choose(base, ways, **options)
    assert (plain.label, plain.coefficient, own.label) == ("vanilla", None, "error")
    assert [r.config.seed for r in own.runs] == [0, 1]
    assert [c for c, _ in own.tried] == [1e-3, 1.0]
    for _, m in own.tried:  # of the differences to the reference with the same seed
        assert m["standard error"] >= 0 and m["standard error"] < 1e9
    costs = {c: m["nfe"] for c, m in own.tried}
    assert costs[own.coefficient] == min(costs.values())
    assert {r.config.final_coefficient for r in own.runs} == {0.1 * own.coefficient}
    written = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("checkpoint.npz")}
    assert len(written) == 6
    runs.choose(base, ways, **options)
    assert written == {f: f.stat().st_mtime_ns for f in tmp_path.rglob("checkpoint.npz")}


def test_a_method_whose_runs_all_fail_is_refused(tmp_path):
    """y' = y^2 from 1 reaches infinity at the end of the interval."""
    base = Config("small", steps=2, batch=4, precision="float64")
    with pytest.raises(OdescentError, match=r"every run of vanilla failed\.$"):
        runs.choose(
            base, (runs.Method("vanilla"),), seeds=(0,), slack=0.0, folder=tmp_path,
            task=Small(field="blow up", kind="end", rate=2.0),
        )  # fmt: skip


def test_spread_and_ratio():
    """Of one seed there is no spread; the ratio is of the means, not the mean of ratios."""
    assert runs.spread([3.0]) == 0
    assert runs.spread([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert runs.ratio([1.0, 3.0], [2.0, 2.0]) == 1.0


def test_both_papers_have_their_figures():
    """Names are unique, parameters are plain, and what --quick makes smaller is said."""
    for paper in ("heuristics", "local"):
        figures = PAPERS[paper].figures()
        assert len({f.name for f in figures}) == len(figures) >= 2
        assert all(f.depends == ("neural_de",) and f.sizes("quick") for f in figures)


def test_a_first_stage_held_constant_leaves_a_gradient_of_first_order():
    """y' = w y: without d_1 dk_1/dw the error's derivative is that of -d_1 h k_1, a million times the true one.

    The error of Tsitouras' pair is h sum d_i k_i with sum d_i = 0; both derivatives from its tableau, by hand.
    """
    tolerance, w, key = 1e-6, jnp.asarray(-0.7), jr.key(3)
    y0 = jnp.ones(1)
    field = lambda t, y, w: w * y

    def penalty(w):
        return solve(
            field, y0, 0.0, 1.0, w, rtol=tolerance, atol=tolerance, key=key, dt0=0.1, max_steps=64,
            regularizer=local("error", "unbiased", "initial"),
        ).penalty  # fmt: skip

    value, gradient = jax.jit(jax.value_and_grad(penalty))(w)
    time = jr.uniform(jr.split(key)[1])  # as the penalty draws it
    y = float(jnp.exp(w * time))
    h, _ = initial_step(field, time, jnp.asarray([y]), w, order=5.0, rtol=tolerance, atol=tolerance)
    tableau = dfx.Tsit5().tableau
    lower, d = [np.asarray(a, float) for a in tableau.a_lower], np.asarray(tableau.b_error, float)

    def error(w, first, h):
        stages = [first]
        for row in lower:
            stages.append(w * (y + h * float(row @ np.array(stages))))
        return h * float(d @ np.array(stages))

    w, h = float(w), float(h)
    scale = tolerance * (1 + y)
    assert float(value) == pytest.approx(abs(error(w, w * y, h)) / scale * h, rel=1e-3)
    eps = 1e-4
    whole = (error(w + eps, (w + eps) * y, h) - error(w - eps, (w - eps) * y, h)) / (2 * eps)
    fixed = (error(w + eps, w * y, h) - error(w - eps, w * y, h)) / (2 * eps)
    assert fixed == pytest.approx(whole - d[0] * h * y, rel=0.1)  # and terms of the next order in h
    sign = math.copysign(1.0, error(w, w * y, h))
    assert float(gradient) == pytest.approx(sign * fixed / scale * h, rel=1e-2)
    assert abs(fixed / whole) > 100


@pytest.mark.promotion
def test_the_forms_of_the_local_penalty():
    """A small network: the paper's value by hand, its misled gradient, and the own step's true direction."""
    found = penalty_forms._values("float64", np.array([1e-5, 1e-7]), 3, 8, 4, 2.0, 2, 0)
    own, theirs, whole = (found[form] for form in penalty_forms.FORMS)
    assert theirs[:, 1] == pytest.approx(whole[:, 1], rel=1e-3)
    assert (theirs[:, 1] < 0.05 * own[:, 1]).all()
    assert (theirs[:, 2] > 10 * whole[:, 2]).all()
    assert (own[:, 3] > 0.5).all()
    claim = SimpleNamespace(text="to the power 1/5")
    assert (
        faults(penalty_forms.draw({"found": {"float64": found, "float32": found}}), [claim]) == []
    )


def test_moments_over_draws_are_those_of_all_paths_together():
    """Three draws of random paths, against NumPy on the whole."""
    rng = np.random.default_rng(0)
    drawn = {}

    class Report:
        drift_evaluations, accepted, rejected = 30, 9, 1

    class Out:
        statistics = Report()

        def __init__(self, ys):
            self.ys = ys

    def solved(key):
        drawn[np.asarray(jr.key_data(key)).tobytes()] = ys = rng.normal(size=(4, 5, 2))
        return Out(ys), 2 * np.ones(3)

    means, variances = np.zeros((4, 2)), np.ones((4, 2))
    found = spiral_sde._moments(solved, 3, 0, means, variances)
    every = np.concatenate(list(drawn.values()), axis=1)
    assert len(drawn) == 3
    loss = np.mean(every.mean(1) ** 2) + np.mean((every.var(1) - 1) ** 2)
    assert found["loss"] == pytest.approx(loss)
    assert (found["nfe"], found["steps"], found["noise"]) == (30, 10, 2)


def _row(first, label, coefficient, n):
    values = dict.fromkeys(runs.COLUMNS, 1.0) | {
        "first step": first,
        "method": label,
        "coefficient": coefficient,
        "NFE": n,
    }
    return [values[c] for c in runs.COLUMNS]


def _course():
    return {
        "step": np.array([0, 50, 100]),
        "nfe": np.array([[20.0, 30.0, 40.0], [20.0, 25.0, 30.0]]),
    }


def test_drawings_show_what_was_measured():
    """Bars as long as the NFE, a curve per method, a point per seed."""
    m = classifiers
    rows = [_row(f, n, c, 10.0 * i + 7) for i, (f, n, c) in enumerate([
        (m.AUTOMATIC, m.VANILLA, None), (m.AUTOMATIC, m.ERROR, 0.1), (m.CALIBRATED, m.VANILLA, None),
        (m.CALIBRATED, m.ERROR, 0.1), (m.CALIBRATED, "TayNODE", 1.0)])]  # fmt: skip
    along = {f"{r[0]}/{r[1]}": _course() for r in rows}
    fig = m.draw({"table": {"columns": list(runs.COLUMNS), "rows": rows}, "along": along})
    assert faults(fig) == []
    assert sorted(p.get_height() for p in fig.axes[0].patches) == [7, 17, 27, 37]
    assert [list(line.get_ydata()) for line in fig.axes[1].get_lines()] == [[20, 27.5, 35]] * 4
    local = local_classifiers
    rows = [
        _row(local.FIRST, n, c, 5.0 + i)
        for i, (n, c) in enumerate([(local.VANILLA, None), ("unbiased, own step", 1.0)])
    ]
    fig = local.draw({
        "table": {"columns": list(runs.COLUMNS), "rows": rows}, "along": {r[1]: _course() for r in rows},
    })  # fmt: skip
    assert faults(fig) == []
    assert sorted(p.get_width() for p in fig.axes[0].patches)[-2:] == [5, 6]
    s = spiral_sde
    grid = np.linspace(0, 1, 4)
    both = np.stack([grid, grid], 1)
    each = {
        n: {"nfe": np.array([60.0, 70.0]), "loss": np.array([0.01, 0.02])}
        for n in (s.VANILLA, s.ERROR, s.BUDGET, s.DATA)
    }
    fitted = {
        n: {"means": both[None], "variances": both[None]} for n in (s.VANILLA, s.ERROR, s.BUDGET)
    }
    fig = s.draw({"times": grid, "means": both, "variances": both, "fitted": fitted, "each": each})
    assert faults(fig) == []
    assert [len(line.get_xdata()) for line in fig.axes[2].get_lines()][:4] == [2] * 4
    del each[s.BUDGET], fitted[s.BUDGET]  # as in the short run
    fig = s.draw({"times": grid, "means": both, "variances": both, "fitted": fitted, "each": each})
    shown = [line.get_label() for line in fig.axes[2].get_lines()][:3]
    assert shown == ["vanilla", "error", s.DATA]


def _run(nfe, accuracy, c):
    history = [{"step": s, "nfe": nfe} for s in (1, 2)]
    history += [{"step": s, "validation": {"accuracy": accuracy, "nfe": nfe}} for s in (0, 2)]
    test = {"nfe": nfe, "accuracy": accuracy, "dt0": 0.1}
    return SimpleNamespace(test=test, history=history, best={"step": 2}, config=c)


_CLASSIFIERS = [
    (module, figure) for module in (classifiers, local_classifiers) for figure in module.FIGURES
]


@pytest.mark.parametrize(("module", "figure"), _CLASSIFIERS, ids=lambda x: getattr(x, "name", ""))
def test_claims_are_ratios_to_vanilla_with_the_same_first_step(
    module, figure, tmp_path, monkeypatch
):
    """Made-up runs: half of vanilla's evaluations at twice the accuracy, in a third of the time."""

    def chosen(base, methods, *, seeds, **_):
        rows = []
        for m in methods:
            nfe, accuracy = (40.0, 0.4) if m.label == "vanilla" else (20.0, 0.8)
            done = tuple(_run(nfe * (2 if base.dt0 == 0.01 else 1), accuracy, base) for _ in seeds)
            best = m.coefficients[0] if m.coefficients else None
            rows.append(
                runs.Chosen(
                    m.label, "accuracy", best, done, ((best, {"accuracy": accuracy, "nfe": nfe}),)
                )
            )
        return rows

    def timed(found, rounds):
        return {
            n: dict.fromkeys(("step", "prediction"), 3.0 if n.endswith("vanilla") else 1.0)
            for n in found
        }

    monkeypatch.setattr(module, "choose", chosen)
    monkeypatch.setattr(module, "seconds", timed)
    result = figure.compute(**figure.quick, folder=tmp_path)
    rows = [
        dict(zip(result.data["table"]["columns"], r, strict=True))
        for r in result.data["table"]["rows"]
    ]
    for r in rows:
        ratios = (r["NFE ratio"], r["NFE in training, ratio"], r["prediction, ratio"])
        assert ratios == (
            (1, 1, 1) if r["method"] == "vanilla" else (0.5, 0.5, pytest.approx(1 / 3))
        )
    by_text = {c.text: c for c in result.claims}
    assert {c.measured for t, c in by_text.items() if t.startswith("NFE") and "vanilla" in t} == {
        0.5
    }
    gains = [c.measured for t, c in by_text.items() if t.startswith("Accuracy")]
    assert gains == [pytest.approx(0.4)] * len(gains) != []
    assert faults(figure.draw(result.data)) == []


@pytest.mark.parametrize("figure", other_tasks.FIGURES, ids=lambda f: f.name)
def test_other_experiments_compare_loss_and_evaluations(figure, tmp_path, monkeypatch):
    """Made-up runs: three quarters of vanilla's evaluations at half its loss."""
    score = "accuracy" if figure.name == "image_sde" else "mse"

    def chosen(base, methods, *, seeds, slack, **_):
        assert (
            base.dt0 == "calibrated" and slack == figure.quick["slack"] and methods[1].fade == 0.1
        )
        rows = []
        for m, (nfe, value) in zip(methods, ((40.0, 0.4), (30.0, 0.2)), strict=True):
            history = [{"step": 1, "nfe": nfe}]
            held = {score: value, "loss": value, "nfe": nfe}
            history += [{"step": s, "validation": held} for s in (0, 2)]
            test = {"nfe": nfe, score: value, "loss": value, "step_seconds": 0.01}
            run = SimpleNamespace(test=test, history=history, best={"step": 2}, config=base)
            best = m.coefficients[0] if m.coefficients else None
            tried = ((best, {"loss": value, "nfe": nfe}), (9.0, {}))
            rows.append(runs.Chosen(m.label, score, best, (run,) * len(seeds), tried))
        return rows

    monkeypatch.setattr(other_tasks, "choose", chosen)
    monkeypatch.setattr("odescent.neural_de.tasks.data.absent", lambda name: None)
    result = other_tasks.compute(**figure.quick, folder=tmp_path)
    measured = {c.text.split(":")[0]: c.measured for c in result.claims}
    assert result.complete and measured["NFE over vanilla's, test rows"] == 0.75
    assert measured["The fit is not worse"] == 0.5
    assert measured.get("Accuracy is not hurt", -0.2) == pytest.approx(-0.2)
    fig = figure.draw(result.data)
    assert faults(fig) == []
    assert [list(line.get_ydata()) for line in fig.axes[0].get_lines()] == [[40, 40], [30, 30]]
    low, high = fig.axes[1].get_ylim()
    assert low < 0.2 and high > 0.4


def test_what_lacks_its_data_is_undecided_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.delenv("ODESCENT_DATA", raising=False)
    figure = next(f for f in other_tasks.FIGURES if f.name == "latent_ode")
    for _ in range(2):  # not taken for done
        (made,) = regenerate([("heuristics", figure)], tmp_path, report=lambda line: None)
        assert made.again and not made.wrong and made.error is None
        assert {c.verdict for c in made.claims} == {"undecided"}
    kept = sorted(p.suffix for p in (tmp_path / "quick" / "heuristics").glob("latent_ode.*"))
    assert kept and ".json" not in kept
