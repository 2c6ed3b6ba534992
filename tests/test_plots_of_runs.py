"""Pictures of runs and of solutions: what is drawn, on which axes, and what is refused."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import odescent as od


def squares(x: Any) -> Any:
    return (x * x).sum()


def run(steps: int = 20, start: Any = (1.0, 2.0)) -> Any:
    return od.algorithm("gradient_descent", step=0.1).run(squares, np.array(start), steps)


def test_a_run_is_drawn_as_the_values_of_the_objective() -> None:
    made = run()
    axes = made.plot()
    (line,) = axes.get_lines()
    assert axes.get_yscale() == "log" or made.f[-1] > made.f[0] / 100
    np.testing.assert_array_equal(line.get_xdata(), made.k)
    np.testing.assert_array_equal(line.get_ydata(), made.f)


def test_a_gap_is_drawn_on_a_logarithmic_axis() -> None:
    made = run()
    axes = made.plot(minimum=-1.0)
    assert axes.get_yscale() == "log"
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), made.f + 1)
    with pytest.raises(od.OdescentError, match="falls below minimum=1, by 0"):
        made.plot(minimum=1.0)


def test_the_plot_goes_into_axes_that_are_given() -> None:
    axes = run().plot()
    assert run(5).plot(axes) is axes and len(axes.get_lines()) == 2


def test_a_solution_is_drawn_by_components_and_by_length_where_these_are_many() -> None:
    flow = od.system("gradient_flow")
    few = flow.simulate(squares, np.array([1.0, 2.0]), 1.0).plot()
    assert [line.get_label() for line in few.get_lines()] == ["$x_{1}$", "$x_{2}$"]
    many = flow.simulate(squares, np.ones(9), 1.0)
    (line,) = many.plot().get_lines()
    np.testing.assert_allclose(line.get_ydata(), np.linalg.norm(many.x, axis=1))


def test_an_objective_without_values_has_the_components_drawn() -> None:
    field = od.Objective("F", grad=lambda x: x)
    made = od.algorithm("gradient_descent", step=0.1).run(field, np.ones(2), 5)
    if made.f is None:
        assert len(made.plot().get_lines()) == 2
        with pytest.raises(od.OdescentError, match="has no values"):
            made.plot(minimum=0.0)


def test_a_batch_is_drawn_and_a_traced_run_is_not() -> None:
    starts = np.arange(1.0, 61.0).reshape(30, 2)
    batch = jax.vmap(lambda x: od.algorithm("gradient_descent", step=0.1).run(squares, x, 5))(
        starts
    )
    axes = batch.plot()
    assert len(axes.get_lines()) == 20 and axes.get_title() == "20 of 30 runs"
    seen: list[str] = []

    def traced(x: Any) -> Any:
        made = od.algorithm("gradient_descent", step=0.1).run(squares, x, 5)
        seen.append(made._repr_html_())
        with pytest.raises(od.OdescentError, match="no picture inside jit"):
            made.plot()
        return made.x

    jax.jit(traced)(np.ones(2))
    assert "<img" not in seen[0]


def test_a_run_is_a_series_of_a_comparison() -> None:
    made = run()
    compared = od.analysis.compute_convergence({"gd": made})
    np.testing.assert_array_equal(compared.series["gd"].gap, made.f)
    with pytest.raises(od.OdescentError, match="must be an array of numbers or a tuple or a Traj"):
        od.analysis.compute_convergence({"gd": "abc"})


@pytest.mark.parametrize("wrong", ["a", set(), 3])
def test_axes_that_are_none_and_minima_that_are_no_numbers_get_a_sentence(wrong):
    run = od.algorithm("gradient_descent", step=0.1).run(lambda p: p @ p, np.array([1.0, 2.0]), 3)
    solution = od.system("gradient_flow").simulate("himmelblau", np.array([1.0, 2.0]), 1.0)
    for plot in (
        run.plot,
        solution.plot,
        od.analysis.spectrum(od.algorithm("heavy_ball"), mu=1, L=10).plot,
    ):
        with pytest.raises(od.OdescentError, match="must be an Axes or None, not"):
            plot(wrong)
    if wrong != 3:
        with pytest.raises(od.OdescentError, match="minimum of plot must be a number or None, not"):
            run.plot(minimum=wrong)


def test_an_ensemble_is_printed_and_drawn_by_its_best_particle() -> None:
    start = np.random.default_rng(0).normal(size=(20, 2))
    given = {"step": 0.1, "lam": 1.0, "sigma": 0.1, "alpha": 5.0}
    made = od.algorithm("cbo").run(squares, start, 9, key=0, **given)
    least = np.asarray(made.f).min(axis=1)
    assert str(made).startswith(f"9 steps, least f from {least[0]:.6g} to {least[-1]:.6g}\n")
    assert "least f" in made._repr_html_()
    axes = made.plot(minimum=-1.0)
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), least + 1)
    assert "min_i" in axes.get_ylabel()
    one = lambda key: od.algorithm("cbo").run(squares, start, 9, key=key, **given)
    many = jax.vmap(one)(jax.random.split(jax.random.key(0), 3))
    assert len(many.plot().get_lines()) == 3
