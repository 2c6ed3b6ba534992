"""Long runs: what is stored, running statistics, bounded memory, interruption and run files."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.runs import chunks
from odescent.dynamics.flows.stepper import PointStepper

F = od.objective("quadratic", eigenvalues=(1.0, 10.0))
X0 = np.array([1.0, -2.0])


def descent():
    """Gradient descent with h = 0.05: x_k = (1 - 0.05 lam)^k x0, exactly known."""
    return od.algorithm("gradient_descent")


def closed(k):
    return X0 * (1 - np.array([1.0, 10.0]) / 20) ** np.asarray(k)[:, None]


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(steps=st.integers(0, 40), every=st.integers(1, 50), chunk=st.integers(1, 45))
def test_every_kth_and_the_last_are_kept_whatever_the_chunks(steps, every, chunk):
    run = descent().run(F, X0, steps, every=every, chunk=chunk, L=20.0)
    expected = sorted({*range(0, steps + 1, every), steps})
    np.testing.assert_array_equal(run.k, expected)
    np.testing.assert_allclose(run.x, closed(expected), rtol=1e-12)
    np.testing.assert_allclose(run.t, np.array(expected) / 20, rtol=1e-14)
    np.testing.assert_allclose(run.f, (closed(expected) ** 2 @ [1.0, 10.0]) / 2, rtol=1e-12)
    assert run.diverged_at is None and len(run.states["x"]) == len(expected)


def test_however_many_chunks_the_buffer_of_records_makes(monkeypatch):
    """It ends them, not the time that they take: the pace that is asked for stays finite."""
    monkeypatch.setattr(chunks, "_MOST_RECORDS", 1)
    seen = []
    run = descent().run(F, X0, 400, progress=lambda k, n: seen.append(k), L=20.0)
    assert len(seen) > 310  # a pace that grew tenfold each time was no number by then
    np.testing.assert_allclose(run.x[-1], closed([400])[0], atol=1e-12)


def test_statistics_are_those_of_all_steps():
    names = ("mean", "variance", "minimum", "maximum")
    run = descent().run(F, X0, 100, every=100, statistics=names, chunk=7, L=20.0)
    whole = closed(range(101))
    values = whole**2 @ [1.0, 10.0] / 2
    for name, of in zip(
        names, (np.mean, lambda a, axis=0: np.var(a, axis, ddof=1), np.min, np.max), strict=True
    ):
        np.testing.assert_allclose(run.statistics[name]["x"], of(whole, axis=0), rtol=1e-11)
        np.testing.assert_allclose(run.statistics[name]["f"], of(values, axis=0), rtol=1e-11)


def test_the_stationary_variance_of_unadjusted_langevin():
    """1 / (lam (1 - h lam / 2)) for x' = -lam x + sqrt(2) dW, from running statistics alone."""
    f = od.objective("quadratic", eigenvalues=(1.0,))
    run = od.algorithm("unadjusted_langevin").run(
        f, np.zeros(1), 400_000, jax.random.key(3), every=400_000, statistics=["variance"], h=0.5
    )
    assert run.x.shape == (2, 1)
    # correlation time about 1 / h = 2 steps either way: standard error 0.004
    assert float(run.statistics["variance"]["x"][0]) == pytest.approx(4 / 3, abs=0.02)


@pytest.mark.optimized  # what a user's program takes; and without fused products the iterates stop above 0
def test_a_million_steps_take_no_more_memory_than_ten_thousand():
    run = descent().run(F, X0, 1_000_000, every=10_000, L=20.0)
    assert run.x.shape == (101, 2) and int(run.k[-1]) == 1_000_000
    np.testing.assert_array_equal(run.x[-1], 0.0)  # 0.95^1e6 underflows
    sizes = []
    for steps in (10_000, 10_000_000):
        x = jnp.asarray(X0)
        parts = PointStepper(
            lambda x0, c: x0, lambda s, c, key: s - c * s, lambda s, c: (s, {}, None, False)
        )
        begin, _ = chunks.loops(parts, (), 1)
        carry, first = begin(jnp.asarray(0.1), x)
        advance = chunks.loops(parts, (), chunks.capacity_for(first))[1]
        made = advance.lower(jnp.asarray(0.1), None, carry, steps // 100, steps).compile()
        memory = made.memory_analysis()
        sizes.append((memory.output_size_in_bytes, memory.temp_size_in_bytes))
    assert sizes[0] == sizes[1] and sum(sizes[0]) < 60_000


def test_progress_counts_up_to_the_end():
    seen = []
    descent().run(
        F, X0, 50, chunk=20, progress=lambda done, total: seen.append((done, total)), L=20.0
    )
    assert seen == [(20, 50), (40, 50), (50, 50)]


def interrupt_at(step):
    def progress(done, total):
        if done >= step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("name", ["nesterov_sc", "underdamped_langevin"])
def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path, name):
    alg, key = od.algorithm(name), jax.random.key(7)
    more = {"h": 0.1, "gam": 1.0, "u": 1.0} if name == "underdamped_langevin" else {}
    options = {"every": 7, "statistics": ("mean", "variance"), **more}
    file = tmp_path / "run.npz"
    with pytest.raises(
        chunks.RunInterrupted, match=r"after step 60 of 200; run again .* resume="
    ) as caught:
        alg.run(F, X0, 200, key, chunk=30, resume=file, progress=interrupt_at(60), **options)
    part = caught.value.trajectory
    whole = alg.run(F, X0, 200, key, **options)
    np.testing.assert_array_equal(part.k, [*range(0, 61, 7), 60])
    np.testing.assert_array_equal(part.x[:-1], whole.x[: len(part.k) - 1])
    again = alg.run(F, X0, 200, key, chunk=11, resume=file, **options)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    further = alg.run(F, X0, 300, key, resume=file, **options)  # a finished run goes on
    np.testing.assert_array_equal(further.x, alg.run(F, X0, 300, key, **options).x)
    np.testing.assert_allclose(
        further.x[:-1], alg.run(F, X0, 300, key, **more).x[::7], rtol=1e-12, atol=1e-14
    )


def test_what_is_left_of_an_interrupted_run_is_in_its_own_precision():
    with jax.enable_x64(False), pytest.raises(chunks.RunInterrupted) as caught:
        descent().run(F, X0, 200, chunk=30, progress=interrupt_at(30), L=20.0)
    left = caught.value.trajectory
    assert type(left.x) is np.ndarray
    assert left.x.dtype == np.float64


def test_without_a_file_the_interruption_says_how_to_get_one():
    with pytest.raises(
        chunks.RunInterrupted, match=r"give the run a file, as in resume='run\.npz'"
    ):
        descent().run(F, X0, 200, chunk=30, progress=interrupt_at(30), L=20.0)


def test_files_of_other_runs_and_damaged_files_are_refused(tmp_path):
    file = tmp_path / "run.npz"
    run = lambda f=F, x0=X0, steps=20, alg=None, **more: (alg or descent()).run(
        f, x0, steps, resume=file, **{"L": 20.0, "every": 5, **more}
    )
    run()
    assert json.loads(np.load(file)["header"].tobytes())["done"] == 20
    other = od.Objective("quadratic", fun=lambda x: 3 * jnp.sum(x**2), mu=1, L=10)
    for change, sentence in [
        ({"every": 4}, "another run: its every is 5, not 4"),
        ({"L": 21.0}, "its parameters is another"),
        ({"x0": X0 + 1}, "its starting point is another"),
        ({"alg": od.algorithm("nesterov_sc")}, "its algorithm is another"),
        ({"f": other}, "another objective"),
        ({"steps": 10}, "at step 20 already"),
    ]:
        with pytest.raises(od.OdescentError, match=sentence):
            run(**change)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(od.OdescentError, match="is no run file of odescent, or it is damaged"):
        run()
    with pytest.raises(od.OdescentError, match="no folder"):
        descent().run(F, X0, 3, resume=tmp_path / "nowhere" / "run.npz", L=20.0)


def test_divergence_stops_a_long_run_at_its_step():
    # x2 is multiplied by 1 - 20: the value 5 * 19^(2k) * 4 passes 1e30 first at k = 12
    run = descent().run(F, X0 / 2, 10**9, every=5, statistics=["maximum"], L=0.5)
    assert run.diverged_at == 12
    np.testing.assert_array_equal(run.k, [0, 5, 10])
    assert float(run.statistics["maximum"]["f"]) == pytest.approx(5 * 19.0**22, rel=1e-9)


def test_inside_vmap_and_jit():
    starts = jnp.stack([jnp.asarray(X0), 2 * jnp.asarray(X0)])
    batch = jax.vmap(lambda x0: descent().run(F, x0, 43, every=10, statistics=["mean"], L=20.0))(
        starts
    )
    ks = [0, 10, 20, 30, 40, 43]
    np.testing.assert_allclose(batch.x[1], 2 * closed(ks), rtol=1e-12)
    np.testing.assert_array_equal(batch.k[0], ks)
    np.testing.assert_allclose(
        batch.statistics["mean"]["x"][0], closed(range(44)).mean(0), rtol=1e-12
    )
    bad = jax.jit(lambda x0: descent().run(F, x0, 40, every=5, L=0.5))(jnp.asarray(X0) / 2)
    np.testing.assert_array_equal(bad.prefix().k, [0, 5, 10])
    with pytest.raises(od.OdescentError, match="one run at a time"):
        jax.vmap(lambda x0: descent().run(F, x0, 43, chunk=10, L=20.0))(starts)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"every": 0}, "every must be a whole number of at least 1, not 0"),
        ({"every": 2.5}, "every must be a whole number"),
        ({"chunk": True}, "chunk of run must be a whole number or None, not True"),
        ({"statistics": ("median",)}, "no running statistic 'median'"),
    ],
)
def test_bad_requests(change, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        descent().run(F, X0, 3, **change)
