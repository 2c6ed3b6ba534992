"""The public surface: every promised name resolves, and the import costs nothing."""

import subprocess
import sys

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
