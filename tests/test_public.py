"""The public surface: every promised name resolves, and the import costs nothing."""

import re
import subprocess
import sys
from pathlib import Path

import odescent as od


def test_every_public_name_resolves():
    for name in od.__all__:
        assert getattr(od, name) is not None, name
    assert set(od.__all__) <= set(dir(od))


def test_an_unknown_name_is_an_attribute_error():
    try:
        od.nothing_of_that_name  # noqa: B018
    except AttributeError as error:
        assert "nothing_of_that_name" in str(error)
    else:
        raise AssertionError


def test_importing_loads_no_heavy_library():
    code = (
        "import sys, odescent; "
        "print(sorted({'numpy', 'sympy', 'jax', 'typer', 'matplotlib', 'optax', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_discretize_needs_only_sympy():
    code = (
        "import sys, odescent as od; od.derive('nesterov').text(); od.algorithm('nesterov_sc').source('jax'); "
        "print(sorted({'numpy', 'jax', 'typer', 'matplotlib', 'optax', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_readme_code_runs_and_shows_what_it_says(capsys):
    """The README's Python, block by block in one namespace, as a reader would paste it."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(blocks) >= 3
    seen = {}
    for block in blocks:
        exec(block, seen)  # noqa: S102  our own README
    assert seen["d"].verified and len(seen["run"].x) == 4001
    shown = capsys.readouterr().out
    assert "{'alpha': h**2, 'beta': exp(-c*h), 'gamma': 0, 'delta': 0}" in shown
    modified = str(seen["nag"].modified_equation(1).second_order())
    assert modified == "x'' + 2*sqrt(mu)*x' + h*hess f(x)[x'] + (1 + h*sqrt(mu))*grad f(x) = O(h^2)"


def test_readme_commands_exist():
    """Every `odescent` line of the README names a command that the command line has."""
    from odescent._cmd_list import KINDS
    from odescent.cli import app

    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^odescent (\w+)", readme, re.MULTILINE))
    assert named and named <= {c.name for c in app.registered_commands}
    assert "derivations" in KINDS
