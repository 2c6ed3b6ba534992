"""Measured contraction against exact sequences, and drawings that survive any series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent._support import style
from odescent.analysis.rates.gaps import compute_convergence

K = np.arange(200.0)


@given(st.floats(0.3, 1.2), st.floats(1e-3, 1e3), st.integers(10, 60))
def test_geometric_sequences(ratio, start, n):
    measured = compute_convergence({"a": start * ratio ** np.arange(n)}).contraction()["a"]
    assert measured.ratio == pytest.approx(ratio, rel=1e-6)
    assert measured.low <= measured.ratio <= measured.high
    assert measured.root == pytest.approx(ratio**0.5, rel=1e-6)


def test_iterations_that_skip_count_per_step():
    k = np.arange(0, 100, 5.0)
    c = compute_convergence({"a": (k, 0.9**k)})
    assert c.contraction()["a"].ratio == pytest.approx(0.9)
    assert c.iterations_to(0.5)["a"] == 10  # 0.9^7 < 0.5, looked at every five


def test_a_gap_of_values_is_the_square_of_a_distance():
    x = 0.8**K  # gradient descent on x^2 / 2
    measured = compute_convergence({"f": x**2 / 2, "x": x}).contraction()
    assert measured["f"].root == pytest.approx(measured["x"].ratio)


@pytest.mark.parametrize("kind", ["noise", "constant", "zeros", "tiny"])
def test_the_floor_of_precision_is_left_out(kind):
    rng = np.random.default_rng(0)
    gap = 3 * 0.7**K
    if kind == "noise":
        gap = gap + 1e-15 * rng.standard_normal(K.size)
    elif kind == "constant":
        gap = np.maximum(gap, 2.2e-16)
    elif kind == "zeros":
        gap = np.where(gap < 1e-15, 0.0, gap)
    else:
        gap = gap + 1e-12 * rng.uniform(0.5, 1.5, K.size)
    measured = compute_convergence({"a": gap}).contraction()["a"]
    assert measured.ratio == pytest.approx(0.7, rel=2e-3)
    assert measured.last < 110


def test_a_floor_can_be_given():
    gap = 0.5**K + 1e-6
    measured = compute_convergence({"a": gap}, floor=1e-4).contraction()["a"]
    assert measured.ratio == pytest.approx(0.5, rel=0.01)


def test_oscillation_and_noise_stay_within_the_interval():
    rng = np.random.default_rng(1)
    wave = 20 * 0.9**K * np.cos(0.3 * K) ** 2
    noisy = 0.95**K * np.exp(0.3 * rng.standard_normal(K.size))
    measured = compute_convergence({"wave": wave, "noisy": noisy}).contraction(confidence=0.99)
    for name, truth in (("wave", 0.9), ("noisy", 0.95)):
        assert measured[name].low < truth < measured[name].high
        assert measured[name].ratio == pytest.approx(truth, rel=5e-3)


def test_a_transient_is_left_out():
    gap = 0.5**K + 1e-3 * 0.95**K
    assert compute_convergence({"a": gap}).contraction()["a"].ratio == pytest.approx(0.95, abs=1e-6)


def test_divergence_is_dated():
    series = compute_convergence(
        {
            "inf": [1.0, 2.0, np.inf, np.inf],
            "nan": [1.0, np.nan, 0.5],
            "grows": 1.5 ** np.arange(20),
            "bump": [1.0, 50.0, 0.1],
            "falls": [1.0, 0.5],
        }
    ).series
    dates = {name: s.diverged_at for name, s in series.items()}
    assert dates == {"inf": 2, "nan": 1, "grows": 6, "bump": None, "falls": None}  # 1.5^6 > 10


def test_what_cannot_be_measured_is_none():
    c = compute_convergence({"zeros": [0.0] * 9, "short": [1.0, 0.5], "nan": [np.nan] * 9})
    assert c.contraction() == {"zeros": None, "short": None, "nan": None}
    assert c.iterations_to(1e-3) == {"zeros": 0, "short": None, "nan": None}
    late = compute_convergence({"a": [1.0, np.nan, 0.0]})
    assert late.iterations_to(1e-3) == {"a": None}


def everything():
    return compute_convergence(
        {
            "falls": 3 * 0.97**K,
            "noisy": np.concatenate([0.8 ** K[:100], -(1e-17 * K[:100])]),
            "grows": 1.4**K,
            "breaks": np.where(K > 90, np.nan, 2 * 0.99**K),
            "overflows": np.concatenate([10.0 ** (3 * K[:100]), [np.inf]]),
            "zeros": 0 * K,
        },
        theory={"falls": 0.98, "bound": 0.5, "still": 1.0, "up": 1.1},
    )


@pytest.mark.parametrize("width", [style.COLUMN_WIDTH, style.FULL_WIDTH])
def test_drawing_everything(width):
    c = everything()
    fig, (ax,) = style.figure(width, 1.2)
    assert c.plot(ax) is ax
    fig.draw_without_rendering()
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    for line in ax.get_lines():
        y = np.asarray(line.get_ydata(), dtype=float)
        y = y[np.isfinite(y)]
        assert ((y >= low * 0.99) & (y <= high * 1.01)).all(), line.get_label()
    crosses = [line for line in ax.get_lines() if line.get_marker() == "x"]
    assert len(crosses) == 3
    assert [t.get_text() for t in ax.texts] == [
        "diverged at 7",
        "diverged at 91",
        "diverged at 100",
    ]
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "zeros (no positive gap)" in named
    assert "falls, theory: $0.98^k$" in named
    legend = ax.get_legend().get_window_extent()
    assert 0 <= legend.y0 < legend.y1 <= ax.xaxis.get_tightbbox().y0
    ticks = [t for t in ax.get_yticks() if low <= t <= high]
    assert 2 <= len(ticks) <= 8
    boxes = [t.get_window_extent() for t in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize(
    "gap", [[0.0, 0.0], [np.nan], [1.0], [1.0, 0.99, 0.97], [1e-320, 1e300], [5.0, -1.0]]
)
def test_drawing_odd_series(gap):
    ax = compute_convergence({"a": gap}, theory={"t": 0.9}).plot()
    ax.get_figure().draw_without_rendering()


def test_bad_input_gets_a_sentence():
    for given_gaps, words in (
        ({}, "at least one"),
        ({"a": np.ones((2, 2))}, "shape"),
        ({"a": ([0.0, 1.0], [1.0])}, "shape"),
        ({"a": ([1.0, 0.0], [1.0, 2.0])}, "increase"),
        ({"a": []}, "n > 0"),
    ):
        with pytest.raises(ValueError, match=words):
            compute_convergence(given_gaps)
    with pytest.raises(ValueError, match="rate"):
        compute_convergence({"a": [1.0]}, theory={"b": 0.0})
    with pytest.raises(ValueError, match="floor"):
        compute_convergence({"a": [1.0]}, floor=float("nan"))
    with pytest.raises(ValueError, match="tolerance"):
        compute_convergence({"a": [1.0]}).iterations_to(0.0)
    with pytest.raises(ValueError, match="confidence"):
        compute_convergence({"a": [1.0]}).contraction(confidence=1.0)


# at equal cost


def runs_of(*names, steps=30):
    f = od.objective("quadratic", mu=1, L=10, dimension=4)
    given = {"armijo": {"h": 0.5}, "wolfe": {"h": 0.05}, "bold_driver": {"h": 0.19}}
    return {n: od.algorithm(n).run(f, np.ones(4), steps, **given.get(n, {})) for n in names}


@pytest.mark.parametrize("per", ["gradients", "values"])
def test_gaps_over_counts_are_those_of_the_runs(per):
    runs = runs_of("wolfe", "bold_driver", "armijo")
    found = compute_convergence(runs, per=per)
    assert found.labels[0] == per
    for name, run in runs.items():
        series, counts = found.series[name], np.asarray(run.counts[per])
        assert np.all(np.diff(series.iterations) > 0) and series.iterations[-1] == counts[-1]
        for cost, gap in zip(series.iterations, series.gap, strict=True):
            assert (
                gap == run.f[np.flatnonzero(counts == cost)[-1]]
            )  # the last of records at one cost
    reached = found.iterations_to(1e-3)
    assert all(at in np.asarray(runs[n].counts[per]) for n, at in reached.items() if at is not None)


def test_gaps_over_costs_of_ones_own():
    found = compute_convergence({"a": [1, 0.5, 0.2], "b": [1, 0.3]}, per={"a": 10, "b": 650.5})
    assert found.series["a"].iterations.tolist() == [0, 10, 20] and found.labels[0] == "cost"
    assert found.series["b"].iterations.tolist() == [0, 650.5]
    assert (
        compute_convergence({"a": [1, 0.5]}, per={"a": 2}, labels=("bytes", "gap")).labels[0]
        == "bytes"
    )


@pytest.mark.parametrize(
    ("gaps", "options", "sentence"),
    [
        ("runs", {"per": "examples"}, "no count of the run 'armijo' called 'examples'"),
        ("numbers", {"per": "gradients"}, "needs runs, which have counts"),
        ("numbers", {"per": {}}, "needs a positive cost of an iteration of 'a'"),
        ("numbers", {"per": {"a": -1}}, "needs a positive cost"),
        ("numbers", {"per": {"a": 1}, "theory": {"a": 0.5}}, "leave theory= out"),
    ],
)
def test_costs_that_are_none_are_refused(gaps, options, sentence):
    given = runs_of("armijo", steps=3) if gaps == "runs" else {"a": [1, 0.5]}
    with pytest.raises(od.OdescentError, match=sentence):
        compute_convergence(given, **options)
