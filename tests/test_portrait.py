"""Phase portraits: the data gathered, and that the drawing shows all of it, clear of the legend."""

import matplotlib.colors
import numpy as np
import pytest

from odescent._support import style
from odescent.analysis.portraits.portrait import compute_portrait


def well(z):
    x, v = z.T
    return np.stack([v, x - x**3 - 0.2 * v], 1)


def iterates(n=20):
    z = [np.array([-1.5, 0.5])]
    for _ in range(n):
        z.append(z[-1] + 0.1 * well(z[-1][None])[0])
    return np.array(z)


@pytest.fixture(scope="module")
def portrait():
    t = np.linspace(-1.5, 1.5, 30)
    return compute_portrait(
        well,
        ((-1.8, 1.8), (-1.5, 1.5)),
        labels=("$x$", r"$\psi$"),
        iterates={"Euler": iterates(), "far": iterates() * 2},
        flows={"flow": iterates()},
        curves={"slow manifold": np.stack([t, -t], 1)},
        samples=11,
    )


def test_the_data(portrait):
    assert portrait.samples.shape == (11, 11, 2)
    mesh = np.stack(np.meshgrid(portrait.x, portrait.y), -1).reshape(-1, 2)
    np.testing.assert_array_equal(portrait.samples.reshape(-1, 2), well(mesh))
    assert [p.kind for p in portrait.fixed_points] == ["stable focus", "saddle", "stable focus"]
    assert len(portrait.separatrices) == 4
    assert portrait.nullcline_labels == (r"$\dot{x} = 0$", r"$\dot{\psi} = 0$")
    assert portrait.not_finite == 0
    assert portrait.outside["Euler"] == 0
    expected = iterates() * 2
    inside = (np.abs(expected) <= [1.8, 1.5]).all(1)
    assert portrait.outside["far"] == int((~inside).sum()) > 0


@pytest.mark.parametrize("width", [style.COLUMN_WIDTH, style.FULL_WIDTH])
def test_the_drawing(portrait, width):
    fig, (ax,) = style.figure(width, 1.1)
    assert portrait.plot(ax) is ax
    fig.draw_without_rendering()
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["Euler"].get_xydata(), portrait.iterates["Euler"])
    np.testing.assert_array_equal(
        lines["slow manifold"].get_xydata(), portrait.curves["slow manifold"]
    )
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    outside = portrait.outside["far"]
    assert named[:4] == ["Euler", f"far ({outside} outside)", "flow", "slow manifold"]
    assert {"stable focus", "saddle", "stable manifold", "unstable manifold"} <= set(named)
    page, legend = fig.bbox, ax.get_legend().get_window_extent()
    assert legend.y1 <= ax.xaxis.get_tightbbox().y0
    for box in (legend, ax.get_tightbbox()):  # nothing leaves the page
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    assert all(text.get_fontsize() >= 8 for text in [*ax.get_legend().get_texts(), *ax.texts])
    assert tuple(ax.get_xlim()) == portrait.window[0]


def test_stable_is_filled_and_unstable_hollow(portrait):
    ax = portrait.plot(legend=False)
    assert ax.get_legend() is None
    face = {
        line.get_label(): matplotlib.colors.to_hex(line.get_markerfacecolor())
        for line in ax.get_lines()
        if line.get_label() in {"stable focus", "saddle"}
    }
    assert face == {"stable focus": "#000000", "saddle": "#ffffff"}


def test_numbers_count_up_and_do_not_repeat(portrait):
    numbers = [t.get_text() for t in portrait.plot(numbered=3).texts]
    assert set(numbers) <= {"0", "1", "2"}
    assert "0" in numbers
    assert not portrait.plot(numbered=0).texts


def test_a_window_is_found_around_the_iterates():
    z = iterates()
    found = compute_portrait(lambda p: -p, iterates={"Euler": z}, spacing=0.3)
    (x0, x1), (y0, y1) = found.window
    margin = np.ptp(z, axis=0) / 8
    np.testing.assert_allclose([x0, y0], z.min(0) - margin)
    np.testing.assert_allclose([x1, y1], z.max(0) + margin)
    still = compute_portrait(lambda p: -p, iterates={"rest": np.ones((3, 2))}, spacing=0.3)
    assert still.window == ((0.875, 1.125), (0.875, 1.125))


def test_what_is_nothing_beside_the_window_is_shown_as_0():
    def turned(z):
        return np.stack([-z[:, 0] + 3e-17, -2 * z[:, 1] - 1e-3], 1)

    shown = str(compute_portrait(turned, ((-1, 1), (-1, 1)), labels=("$x$", "$v$"), samples=11))
    assert shown.splitlines()[1] == "  (0, -0.0005)  stable node"


def test_seeds_replace_the_even_lines():
    found = compute_portrait(lambda z: -z, ((-2, 2), (-2, 2)), seeds=[[0.5, 1.5], [1.5, 1.5]])
    assert len(found.flow_lines) == 2


def test_nan_iterates_and_fields_are_drawn():
    z = iterates()
    z[5] = np.nan
    z[7] = np.inf
    found = compute_portrait(
        lambda p: np.stack([np.sqrt(p[:, 0]), -p[:, 1]], 1),
        ((-1, 1), (-1, 1)),
        iterates={"broken": z},
        samples=11,
        spacing=0.3,
    )
    assert found.not_finite == 55
    found.plot().get_figure().draw_without_rendering()


@pytest.mark.untyped
def test_bad_input_gets_a_sentence():
    with pytest.raises(ValueError, match="needs a window"):
        compute_portrait(well)
    with pytest.raises(ValueError, match="'a' has shape"):
        compute_portrait(well, iterates={"a": np.ones(3)})
    with pytest.raises(ValueError, match="a window must be"):
        compute_portrait(well, ((0, 0), (0, 1)))
    with pytest.raises(ValueError, match="2 points per side"):
        compute_portrait(well, ((0, 1), (0, 1)), samples=1)


def test_the_drawing_is_the_same_twice(portrait, tmp_path):
    a, b = (
        style.save(portrait.plot().get_figure(), tmp_path / name, ("svg",))[0].read_bytes()
        for name in "ab"
    )
    assert a == b


def test_the_flow_has_the_colour_of_flows_and_each_method_its_own(portrait):
    """As in the explorer, whatever was drawn before; the numbers of iterates are in their path's colour."""
    ax = portrait.plot(numbered=3)
    drawn = {str(line.get_label()).partition(" (")[0]: line.get_color() for line in ax.get_lines()}
    assert drawn["flow"] == style.FLOW
    assert [drawn[n] for n in ("Euler", "far")] == list(style.COLORS[:2])
    assert {t.get_color() for t in ax.texts} <= {drawn["Euler"], drawn["far"]} and ax.texts
