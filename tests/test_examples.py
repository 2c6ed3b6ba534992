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


def test_first_system(tmp_path, capsys):
    value, theory = _first(tmp_path).main(tmp_path / "out")
    assert value == pytest.approx(theory, rel=5e-3)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "first_method.py", "portrait.pdf", "portrait.png", "portrait.svg",
    ]  # fmt: skip
    assert "5 of 5 steps verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("-2 * sp.sqrt(mu) * v", "-3 * sp.sqrt(mu) * v", "x'' + 3 √μ x' + ∇f(x) = 0"),
        ('"kick": {v: -f.grad(x)}', '"kick": {v: -sp.Rational(1, 2) * f.grad(x)}', "x'' + 2 √μ x' + 1/2 ∇f(x) = 0"),
        ('"drift": {x: v}', '"drift": {x: v - h / 2 * f.grad(x)}', "h/2 ∇²f(x)[x']"),
    ],
)  # fmt: skip
def test_everything_follows_a_changed_coefficient(tmp_path, capsys, old, new, shown):
    plain = _first(tmp_path)
    plain.main(tmp_path / "plain")
    capsys.readouterr()
    changed = _first(tmp_path, (old, new))
    value, theory = changed.main(tmp_path / "changed")
    assert value == pytest.approx(theory, rel=5e-3)
    assert shown in capsys.readouterr().out
    for name in ("first_method.py", "portrait.svg"):
        before, after = ((tmp_path / f / name).read_bytes() for f in ("plain", "changed"))
        assert before != after
