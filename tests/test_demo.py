"""The demo on its real data: what it announces holds, and its files are there."""

import json
import subprocess
import sys

import numpy as np
import pytest
import schemas

from odescent._cli.commands.demo import demonstrate
from odescent._support.errors import OdescentError


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    import jax

    out, lines = tmp_path_factory.mktemp("demo"), []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return demonstrate(out, quick=True, report=lines.append), out, "\n".join(lines)


def test_every_derivation_is_verified(demo):
    found, _, text = demo
    assert [(d["name"], d["route"]) for d in found["derivations"]] == [
        ("nesterov_sc", "immersion"), ("nesterov_sc", "model"), ("triple_momentum", "model"),
    ]  # fmt: skip
    assert all(d["verified"] == d["steps"] > 5 for d in found["derivations"])
    assert "x'' + 2 √μ x' + h ∇²f(x)[x'] + (1 + h √μ) ∇f(x) = O(h²)" in text


def test_the_problem_is_the_one_asked_for(demo):
    problem = demo[0]["problem"]
    assert problem["kappa"] > 1e4
    assert problem["gradient_norm_at_minimizer"] <= 1e-12


def test_emitted_code_is_the_textbooks(demo):
    assert len(demo[0]["agreement"]) == 3
    assert max(demo[0]["agreement"].values()) <= 1e-12


def test_rates_and_iterations(demo):
    rows = {r["method"]: r for r in demo[0]["methods"]}
    nesterov, triple = rows["Nesterov, emitted"], rows["triple momentum, emitted"]
    kappa = demo[0]["problem"]["kappa"]
    assert nesterov["theory"] == pytest.approx((1 - kappa**-0.5) ** 0.5)
    assert triple["theory"] == pytest.approx(1 - kappa**-0.5)
    for row in (nesterov, triple):
        assert row["contraction"] <= row["theory"] and row["iterations_to_1e-10"] is not None
    assert (
        abs(
            rows["optax.sgd(nesterov=True)"]["iterations_to_1e-10"]
            - nesterov["iterations_to_1e-10"]
        )
        <= 5
    )
    assert rows["heavy ball, Polyak"]["theory"] is None
    assert rows["gradient descent, 1/L"]["iterations_to_1e-10"] is None
    assert "none over F(mu, L)" in demo[2]


def test_files_are_whole(demo):
    found, out, _ = demo
    assert all(np.all(path in {str(p) for p in out.iterdir()}) for path in found["files"])
    assert {p.suffix for p in out.iterdir()} == {".py", ".txt", ".tex", ".pdf", ".svg", ".png"}
    schemas.check(json.loads(json.dumps(found, allow_nan=False)))


def test_the_emitted_file_runs_where_odescent_is_not(demo):
    code = (
        "import sys, importlib.util as u; sys.modules['odescent'] = None\n"
        "spec = u.spec_from_file_location('m', sys.argv[1]); m = u.module_from_spec(spec); spec.loader.exec_module(m)\n"
        "import numpy as np\n"
        "print(m.run(lambda x: np.array([1.0, 10.0]) * x, np.ones(2), 20, mu=1, L=10)[-1, 0])\n"
    )
    path = demo[1] / "nesterov_sc_numpy.py"
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == pytest.approx(0.003656036231161, abs=1e-13)  # MATH (c), T1, k = 20


def test_an_unwritable_folder_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OdescentError, match="is not writable"):
        demonstrate(tmp_path / "taken" / "out", report=lambda line: pytest.fail("it had begun"))
