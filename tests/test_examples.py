"""The examples run top to bottom, their claims hold, and they follow what a reader changes."""

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def _load(source: str, folder: Path):
    path = folder / "example.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location("example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _first(folder: Path, *changes: tuple[str, str]):
    source = (EXAMPLES / "first_system.py").read_text()
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return _load(source, folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The example as it stands: its folder, and its value and theory."""
    folder = tmp_path_factory.mktemp("plain")
    return folder / "out", _first(folder).main(folder / "out")


def test_first_system(plain):
    out, (value, theory) = plain
    assert value == pytest.approx(theory, rel=5e-3)
    assert sorted(p.name for p in out.iterdir()) == [
        "first_method.py", "portrait.pdf", "portrait.png", "portrait.svg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("-2 * sp.sqrt(mu) * v", "-3 * sp.sqrt(mu) * v", "x'' + 3 √μ x' + ∇f(x) = 0"),
        (
            '"kick": {v: -f.grad(x)}',
            '"kick": {v: -sp.Rational(1, 2) * f.grad(x)}',
            "x'' + 2 √μ x' + 1/2 ∇f(x) = 0",
        ),
        ('"drift": {x: v}', '"drift": {x: v - h / 2 * f.grad(x)}', "h/2 ∇²f(x)[x']"),
    ],
)
def test_everything_follows_a_changed_coefficient(plain, tmp_path, capsys, old, new, shown):
    changed = _first(tmp_path, (old, new))
    value, theory = changed.main(tmp_path / "changed")
    assert value == pytest.approx(theory, rel=5e-3)
    text = capsys.readouterr().out
    assert shown in text and "5 of 5 steps verified" in text
    for name in ("first_method.py", "portrait.svg"):
        assert (plain[0] / name).read_bytes() != (tmp_path / "changed" / name).read_bytes()
