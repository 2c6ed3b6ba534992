"""The examples run top to bottom, their claims hold, and they follow what a reader changes."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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


@pytest.fixture
def example(monkeypatch):
    """Import an example by its name, as a worker process of it would."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def load(name: str):
        return importlib.import_module(name)

    yield load
    for path in EXAMPLES.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_every_example_is_listed_and_says_what_it_claims():
    listed = (EXAMPLES / "README.md").read_text()
    for path in sorted(EXAMPLES.iterdir()):
        if path.suffix in (".py", ".ode"):
            assert f"`{path.name}`" in listed
        if path.suffix == ".py":
            text = path.read_text()
            assert f"python examples/{path.name}" in text
            assert re.search(r"def main\(.*\) -> tuple\[float, float\]:", text), path.name
    named = re.findall(r"`(\w+\.(?:py|ode))`", listed)
    assert {n for n in named if not (EXAMPLES / n).exists()} == set()


def test_nesterov_three_ways(example, capsys):
    module = example("nesterov_three_ways")
    value, theory = module.main()
    assert value == pytest.approx(theory, abs=1e-13)
    text = capsys.readouterr().out
    assert "14 steps, all proved" in text and "proved" in text.splitlines()[2]


def test_heavy_ball_cycle(example, capsys):
    value, theory = example("heavy_ball_cycle").main(steps=500)
    assert value == pytest.approx(theory, abs=1e-12)
    assert "within 1e-9 of the minimizer from step 13 on" in capsys.readouterr().out


def test_consensus_hard_function(example, capsys):
    value, theory = example("consensus_hard_function").main()
    assert value == pytest.approx(theory, abs=1e-3)
    assert "gradient descent ends at [2.336 2.466]" in capsys.readouterr().out


@pytest.mark.promotion
def test_design_your_own(example):
    pytest.importorskip("torch")
    value, theory = example("design_your_own").main()
    assert value == pytest.approx(theory, abs=1e-9)


def test_the_emitted_optimizer_is_the_flow_that_was_written(example):
    """By hand: v <- exp(-c h) (v - h g), x <- x + h v - h^2 g."""
    import jax

    module = example("design_your_own")
    h, c = module.STEP, module.FRICTION
    scale = np.array([1.0, 0.2, 3.0])
    x, v = np.array([1.0, -2.0, 0.5]), np.zeros(3)
    with jax.enable_x64(True):
        transform = module.mine.to_optax()
        params = jax.numpy.asarray(x)
        state = transform.init(params)
        for _ in range(30):
            g = scale * x
            v = np.exp(-c * h) * (v - h * g)
            x = x + h * v - h * h * g
            updates, state = transform.update(scale * params, state, params)
            params = params + updates
    np.testing.assert_allclose(np.asarray(params), x, rtol=0, atol=1e-13)


def test_sweep_processes(example, tmp_path):
    value, theory = example("sweep_processes").main(tmp_path / "sweep")
    assert value == pytest.approx(theory, abs=2e-3)


def test_sweep_processes_as_a_script(tmp_path):
    command = [sys.executable, EXAMPLES / "sweep_processes.py", tmp_path / "sweep"]
    environment = {"PYTHONPATH": str(EXAMPLES.parent), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "largest distance from the theory" in done.stdout


@pytest.mark.parametrize("name", ["cheaper_neural_ode", "cheaper_neural_sde"])
def test_cheaper_neural_equations(name):
    """Compiled as users do: these run for longer than they compile."""
    code = f"import runpy; print(*runpy.run_path({str(EXAMPLES / name)!r} + '.py')['main']())"
    plain = {n: v for n, v in os.environ.items() if n != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=False
    )
    assert not done.returncode, done.stderr
    value, theory = map(float, done.stdout.split()[-2:])
    assert 0 < value <= theory
