"""What `make test` keeps: a test of every file, registered name, public name and command; and how time is charged."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import concerned
import pytest
import tiers

import odescent as od
from odescent._cli.commands import COMMANDS
from odescent.discretize.emit import BACKENDS
from odescent.discretize.routes import REGISTRY as DERIVATIONS

HERE = Path(__file__).parent
FILES = {path for path in HERE.glob("test_*.py") if path != Path(__file__)}


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """The tests of this session that `make test` runs; a session of some files only says nothing."""
    items = request.session.items
    found = [item for item in items if item.get_closest_marker("full") is None]
    if len({item.path for item in items}) < 0.9 * len(FILES):
        pytest.skip("only a part of the test files is run")
    return found


def test_every_file_has_a_quick_test(quick: list[pytest.Item]) -> None:
    """But for those that are skipped whole, for want of something optional."""
    optional = re.compile(r"^(\w+ = )?pytest\.importorskip", re.MULTILINE)
    expected = {p for p in FILES if not optional.search(p.read_text(encoding="utf-8"))}
    assert expected - {item.path for item in quick} == set()


def test_collecting_constructs_few_registered_entries() -> None:
    """Every worker collects all tests; to construct all methods, or systems, takes seconds."""
    assert tiers._now["constructed"] < len(od.algorithms())


def test_every_registered_name_public_name_and_command_has_a_quick_test(
    quick: list[pytest.Item],
) -> None:
    """It is a case of one, or stands in the code of the files of tests, without the tests that are left out."""
    seen = {w for i in quick if hasattr(i, "callspec") for w in re.findall(r"\w+", i.callspec.id)}
    kept = {(item.path, getattr(item, "originalname", item.name)) for item in quick}
    for path in FILES & {item.path for item in quick}:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            test = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
            if not test or (path, node.name) in kept:
                seen |= set(re.findall(r"\w+", ast.unparse(node)))
    names = {*od.algorithms(), *od.systems(), *od.schemes(), *BACKENDS, *od.__all__}
    names |= {w for name in (*od.objectives(), *DERIVATIONS.names()) for w in name.split("/")}
    names |= set(COMMANDS)
    assert names - seen == set()


PLUGIN = """import sys; sys.path.insert(0, {here!r}); import tiers; tiers.KEPT, tiers.LIMIT = tiers.Path({kept!r}), 0.6
pytest_plugins = ("tiers",)
"""
TESTS = """
import time, pytest

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass

@pytest.fixture(scope="module")
def made(): burn(0.8)

def test_first(made): pass
def test_second(made): pass
def test_long(): burn(1.5)
def test_skipped(): pytest.skip("there is no such thing")
"""


def test_what_takes_long_is_left_out_and_what_is_shared_is_charged_to_all(tmp_path: Path) -> None:
    kept = tmp_path / "durations.json"
    (tmp_path / "conftest.py").write_text(PLUGIN.format(here=str(HERE), kept=str(kept)))
    (tmp_path / "test_burning.py").write_text(TESTS)
    (tmp_path / "test_wanting.py").write_text(
        "import pytest\npytest.importorskip('wanted')\ndef test_it(): pass\n"
    )

    def run(*arguments: str) -> str:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:xdist",
            "--rootdir",
            str(tmp_path),
            *arguments,
        ]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    said = run("--record-cpu", "-m", "not full")
    assert "3 passed, 2 skipped" in said and "slowest ten, CPU seconds" in said
    took = json.loads(kept.read_text())
    names = [f"test_burning.py::test_{n}" for n in ("first", "second", "long")]
    assert set(took) == set(names)
    assert [took[n] for n in names] == pytest.approx([0.4, 0.4, 1.5], abs=0.15)
    assert "2 passed, 2 skipped, 1 deselected" in run("-m", "not full")
    (tmp_path / "wanted.py").touch()  # as if what was optional had been installed
    said = run("--skipped")
    assert "1 passed, 1 skipped" in said


def test_a_module_concerns_the_files_that_use_it() -> None:
    def files(changed: str) -> set[str]:
        return {p.stem for p in FILES if concerned.concerns(p, changed)}

    assert {"test_emit_names", "test_emit_torch"} <= files("discretize/emit/lowering/names.py")
    assert (
        {"test_poles", "test_poles_input"}
        <= files("discretize/pole_placement/placement.py")
        < {p.stem for p in FILES}
    )
    assert "test_neural_budget" in files("neural_de/settings/budget.py")
    assert not {"test_exact", "test_trees"} & files("neural_de/settings/budget.py")
