"""The public surface: every promised name resolves, and the import costs nothing."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import odescent as od
from odescent._support.lazy import RENAMED, public

LAZY = (
    "odescent",
    "odescent.analysis",
    "odescent.analysis.certificates",
    "odescent.analysis.cycling",
    "odescent.discretize",
    "odescent.dynamics",
    "odescent.dynamics.stochastic",
    "odescent.neural_de",
    "odescent.particles",
)


def test_every_public_name_resolves():
    for name in od.__all__:
        assert getattr(od, name) is not None, name
    assert set(od.__all__) <= set(dir(od))


@pytest.mark.parametrize("package", LAZY)
def test_names_that_load_later_are_those_that_type_checkers_see(package: str):
    """What is read off the text line by line is what its syntax tree says."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname: "." * node.level + (node.module or alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == public(package)
    assert dir(module) == sorted(module.__all__) == sorted(seen)


@pytest.mark.parametrize("package", LAZY)
def test_names_stay_when_every_module_is_imported(package: str):
    """A name that a module has too would become that module as soon as something imports it."""
    module = importlib.import_module(package)
    modules = {m.name for m in pkgutil.iter_modules(module.__path__)}
    for name in modules & set(module.__all__):
        assert public(package)[name] == f".{name}"
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
    with pytest.raises(AttributeError, match=f"there is no name in {package} called 'nothing'"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [(p, *pair) for p, names in RENAMED.items() for pair in names.items()],
)
def test_a_name_that_has_changed_is_answered_with_the_new_one(package: str, old: str, new: str):
    """In one sentence; the new name is there, and the old one is not."""
    module = importlib.import_module(package)
    said = f"{package} has no {old}; it is called {new} now."
    with pytest.raises(AttributeError, match=f"^{re.escape(said)}$"):
        getattr(module, old)
    assert new in module.__all__
    assert old not in module.__all__


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
