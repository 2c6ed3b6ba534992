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


def test_readme_code_runs_and_shows_what_it_says():
    x, v = od.blocks("x v")
    f = od.Objective("f")
    c, h = od.parameters("c h")
    ball = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}})
    scheme = od.scheme(
        "lie_trotter", [("damp", "exact"), ("kick", "explicit"), ("drift", "explicit")]
    )
    method = od.Algorithm(ball, scheme, step=h)
    assert str(method.coefficients) == "{'alpha': h**2, 'beta': exp(-c*h), 'gamma': 0, 'delta': 0}"
    assert method.derivation().verified
    modified = str(od.algorithm("nesterov_sc").modified_equation(1).second_order())
    assert modified == "x'' + 2*sqrt(mu)*x' + h*hess f(x)[x'] + (1 + h*sqrt(mu))*grad f(x) = O(h^2)"
