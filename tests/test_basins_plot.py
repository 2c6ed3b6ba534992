"""Pictures show their data: colours by label, marks at attractors, legends that name every basin."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults_of_figures import faults
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure

import odescent as od
from odescent._support.style import COLUMN_WIDTH
from odescent.analysis import basins, bifurcation, spectrum


def wells(z: jax.Array) -> jax.Array:
    """Two sinks at (+-1, 0); |y| > 2 leaves."""
    return jnp.stack(
        [z[0] - 0.3 * (z[0] ** 3 - z[0]), jnp.where(jnp.abs(z[1]) > 2, 3 * z[1], z[1] / 2)]
    )


def within(figure: Figure) -> None:
    """Everything drawn lies on the page, and the legend does not cover the axes."""
    figure.draw_without_rendering()
    page = figure.bbox
    for ax in figure.axes:
        box = ax.get_tightbbox()
        assert box is not None
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1
        legend = ax.get_legend()
        assert legend is not None
        assert legend.get_window_extent().y1 <= ax.get_window_extent().y0


def test_grid_colours_are_the_labels() -> None:
    found = basins(wells, axes={"x0[0]": (-1.4, 1.5, 12), "x0[1]": (-3, 3, 7)})
    ax = found.plot()
    mesh = next(c for c in ax.collections if isinstance(c, QuadMesh))
    np.testing.assert_array_equal(np.asarray(mesh.get_array()).reshape(7, 12), found.labels.T)
    legend = ax.get_legend()
    assert [t.get_text() for t in legend.get_texts()] == [
        "fixed point (-1, 0)", "fixed point (1, 0)", "diverges", "attractor: fixed point (-1, 0)",
        "attractor: fixed point (1, 0)",
    ]  # fmt: skip
    marks = np.array([line.get_xydata()[0] for line in ax.lines])
    np.testing.assert_allclose(marks, [[-1, 0], [1, 0]], atol=1e-9)
    assert ax.figure.get_size_inches()[0] == COLUMN_WIDTH
    within(ax.figure)


def test_random_starts_are_points_of_their_colour() -> None:
    found = basins(
        wells, axes={"x0[0]": (-1.4, 1.5), "x0[1]": (-3, 3)}, samples=60, key=jax.random.key(0)
    )
    ax = found.plot()
    points = next(c for c in ax.collections if isinstance(c, PathCollection))
    np.testing.assert_allclose(points.get_offsets(), np.column_stack(list(found.axes.values())))
    assert len({tuple(c) for c in points.get_facecolors()}) == len(found.attractors)
    within(ax.figure)


def test_unresolved_points_are_in_the_legend() -> None:
    """A rotation has no attractor; what is chaotic is named and shown."""
    turn = jnp.array([[jnp.cos(1.0), -jnp.sin(1.0)], [jnp.sin(1.0), jnp.cos(1.0)]])
    axes = {"x0[0]": (-1, 1, 3), "x0[1]": (-1, 1, 3)}
    ax = basins(lambda z: turn.astype(z.dtype) @ z, axes=axes, steps=500).plot()
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert any(t.startswith("unresolved (") for t in texts)
    within(ax.figure)


def test_chaotic_points_are_in_the_legend() -> None:
    found = basins(
        lambda x, *, r: r * x * (1 - x), axes={"r": (2.8, 3.9, 40)}, start=0.3, steps=2000
    )
    ax = found.plot()
    assert "chaotic" in [t.get_text() for t in ax.get_legend().get_texts()]
    within(ax.figure)


def test_three_axes_have_no_picture() -> None:
    cube = basins(lambda z: z / 2, axes={f"x0[{i}]": (-1, 1, 2) for i in range(3)})
    with pytest.raises(od.OdescentError, match="one or two axes"):
        cube.plot()


def test_bifurcation_shows_all_points_and_changes() -> None:
    found = bifurcation(
        lambda x, *, r: r * x * (1 - x), parameter="r", values=(2.8, 3.9, 45), start=0.3
    )
    ax = found.plot()
    drawn = sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == ".")
    assert drawn == len(found.at)
    lines = {
        line.get_xdata()[0]
        for line in ax.lines
        if len(line.get_xdata()) == 2 and line.get_marker() != "."
    }
    assert {c.value for c in found.changes} <= lines
    within(ax.figure)


def test_spectrum_pictures() -> None:
    x = od.blocks("x")
    f = od.Objective("f")
    alpha = od.parameters("alpha")
    descent = od.method({x: x - alpha * f.grad(x)}, output=x)
    found = spectrum(
        descent, 1, 10, parameters={"alpha": 0.1}, tune={"alpha": (0.01, 0.4)}, against="alpha",
        values=(0.02, 0.2, 40),
    )  # fmt: skip
    ax = found.plot()
    assert faults(ax.figure) == faults(found.plot_locus().figure) == []
    np.testing.assert_allclose(
        ax.lines[0].get_ydata(), np.abs(1 - 0.1 * found.curvatures), atol=1e-15
    )
    assert ax.get_legend().get_texts()[1].get_text() == r"best: $\rho = 0.8182$"
    within(ax.figure)
    locus = found.plot_locus()
    assert locus.get_aspect() == 1
    within(locus.figure)
    with pytest.raises(od.OdescentError):
        bifurcation(lambda x, *, r: r * x, parameter="r", values=(0.1, 0.5, 3), start=1.0).plot(
            component=4
        )
