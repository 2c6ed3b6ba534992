"""Shell completion: the names that the registries have, quickly loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odescent._cli.base.registries import KINDS, known
from odescent._cli.base.values import names
from odescent._cli.commands.list import entries
from odescent.cli import app

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_are_those_of_the_registries(kind: str) -> None:
    assert sorted(known(kind)) == sorted(
        n for e in entries(kind) for n in (e["name"], *e.get("aliases", ()))
    )


def test_kinds_and_routes() -> None:
    assert known("kinds") == sorted(KINDS)
    assert known("routes") == sorted({r for e in entries("derivations") for r in e["routes"]})
    assert names("routes")("imm") == ["immersion"]


def test_files_are_completed_beside_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("ball.ode", "ball.txt", "sub/nag.ode", ".hidden.ode"):
        (tmp_path / name).write_text("")
    complete = names("algorithms", files=".ode")
    assert complete("ba") == ["baoab", "barzilai_borwein", "ball.ode"]
    assert complete("su") == ["sub/"]
    assert complete("sub/") == ["sub/nag.ode"]
    assert complete("nowhere/") == []
    assert f"{tmp_path}/ball.ode" in complete(f"{tmp_path}/b")
    assert names("algorithms")("ball") == []


def completed(line: str) -> list[str]:
    """What bash is told for a command line, its last word incomplete."""
    words = line.split(" ")
    environment = {
        "_ODESCENT_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    return CliRunner().invoke(app, [], env=environment, prog_name="odescent").stdout.split()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("odescent deri", {"derive"}),
        ("odescent derive nest", {"nesterov", "nesterov_sc"}),
        ("odescent emit adam --target op", {"optax"}),
        ("odescent simulate nesterov --objective ros", {"rosenbrock"}),
        ("odescent train dig", {"digits-ode", "digits-sde"}),
        ("odescent train digits-ode --regularizer err", {"error"}),
        ("odescent certify gradient_descent --over qua", {"quadratics"}),
        ("odescent portrait heavy_ball --wi", {"--window", "--with"}),
        ("odescent list alg", {"algorithms"}),
        ("odescent synthesize pas", {"passive"}),
        ("odescent figures --only acceleration/man", {"acceleration/manifold"}),
    ],
)
def test_bash_is_told(line: str, some: set[str]) -> None:
    assert some <= set(completed(line))


def test_completing_a_name_imports_nothing_heavy() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from odescent._cli.base.registries import known\n"
        "from odescent.cli import app\n"
        "assert 'nesterov' in known('derivations') and 'adam' in known('algorithms')\n"
        "assert 'acceleration/manifold' in known('figures')\n"
        "print(sorted({'jax', 'numpy', 'scipy', 'sympy', 'matplotlib', 'rich', 'lark'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"
