"""The style of figures: no global state, the same bytes twice, nothing half-written."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from odescent._support import style
from odescent._support.errors import OdescentError


def drawn():
    fig, (left, right) = style.figure(4.0, 0.8, ncols=2)
    x = np.linspace(0, 1, 20)
    handles = [left.plot(x, x**k, label=f"$x^{k}$")[0] for k in range(1, 4)]
    style.legend_below(left, handles)
    right.set_xlabel(r"$\psi$")
    return fig


def test_computing_loads_no_matplotlib_and_drawing_leaves_no_global_state():
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from odescent._support import style\n"
        "from odescent.analysis.portraits import portrait\n"
        "from odescent.analysis.rates import gaps as collected\n"
        "drawn = portrait.compute_portrait(lambda z: -z, ((-1, 1), (-1, 1)), spacing=0.3)\n"
        "gaps = collected.compute_convergence({'a': 0.5 ** np.arange(9)})\n"
        "gaps.contraction()\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import matplotlib\n"
        "look = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}\n"
        "before = look()\n"
        "drawn.plot()\n"
        "gaps.plot()\n"
        "assert look() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_saves_give_the_same_bytes(tmp_path):
    first = style.save(drawn(), tmp_path / "a" / "fig")
    second = style.save(drawn(), tmp_path / "b" / "fig")
    assert [p.name for p in first] == ["fig.pdf", "fig.svg", "fig.png"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert b"202" not in a.read_bytes()[:300]  # no date in the head


def test_dots_in_a_name_stay(tmp_path):
    (path,) = style.save(drawn(), tmp_path / "kappa.10", formats=("png",))
    assert path.name == "kappa.10.png"
    assert [p.name for p in tmp_path.iterdir()] == ["kappa.10.png"]


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    (path,) = style.save(drawn(), tmp_path / "fig", formats=("svg",))
    old = path.read_bytes()

    def fail(*args, **kwargs):
        if step == "write":
            with open(args[0], "wb") as file:
                file.write(b"half")
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr("pathlib.Path.open", fail)
    else:
        monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OdescentError, match=r"fig\.svg' cannot be written: No space"):
        style.save(drawn(), tmp_path / "fig", formats=("svg",))
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["fig.svg"]


def test_a_failure_in_drawing_makes_no_folder(tmp_path):
    fig = drawn()
    fig.axes[0].set_title(r"$\nosuchcommand$")
    with pytest.raises(ValueError, match="nosuchcommand"):
        style.save(fig, tmp_path / "new" / "fig", formats=("png",))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OdescentError, match="is not writable"):
        style.save(drawn(), tmp_path / "taken" / "fig", formats=("png",))


@pytest.mark.parametrize(
    ("name", "formats"), [("fig", ("gif",)), ("fig.pdf", ("pdf",)), ("", ("pdf",))]
)
def test_bad_names_get_a_sentence(name, formats):
    with pytest.raises(ValueError, match="got"):
        style.save(drawn(), name, formats)


@pytest.mark.parametrize("size", [(0.0, 1.0, 1), (1.0, float("nan"), 1), (1.0, 1.0, 0)])
def test_bad_sizes_get_a_sentence(size):
    with pytest.raises(ValueError, match="positive width"):
        style.figure(*size)


def test_the_look_of_series():
    looks = [style.series_style(i) for i in range(49)]
    assert len({(s.color, s.dash, s.marker) for s in looks}) == 49
    first = looks[:7]
    for part in ("color", "dash", "marker"):
        assert len({getattr(s, part) for s in first}) == 7

    def grey(color):  # relative luminance, WCAG 2
        rgb = np.array(matplotlib.colors.to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    assert all((1.05) / (grey(s.color) + 0.05) > 1.9 for s in first)  # all visible on white
    assert all(float(style.RC[k]) >= 8 for k in style.RC if k.endswith(("labelsize", "fontsize")))


def test_the_legend_covers_no_data():
    fig = drawn()
    fig.draw_without_rendering()
    ax = fig.axes[0]
    legend, labels = ax.get_legend().get_window_extent(), ax.xaxis.get_tightbbox()
    assert legend.y1 <= labels.y0
    assert legend.y0 >= 0
    assert legend.x0 >= 0
