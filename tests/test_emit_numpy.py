"""Emitted NumPy against textbook loops, published iterates, and high-precision arithmetic."""

import importlib.util
import subprocess
import sys
import warnings

import hand_loops
import mpmath
import numpy as np
import pytest
import sympy as sp
from emitted_runs import assert_clean
from hand_loops import MU, T1, TMM_XI, X0, L, quadratic, three_parameters

import odescent as od
from odescent.discretize.emit import load, source, targets, write


def plane(x):
    return x * np.array([1.0, 10.0])


@pytest.mark.parametrize("name", sorted(T1))
def test_published_iterates(name):
    module = load(od.algorithm(name), "numpy")
    parameters = (L,) if name in {"gradient_descent", "nesterov_c"} else (MU, L)
    xs = module.run(plane, X0, 20, *parameters)
    assert xs.shape == (21, 2)
    np.testing.assert_array_equal(xs[0], X0)
    for k, expected in T1[name].items():
        np.testing.assert_allclose(xs[k], expected, rtol=2e-12, atol=1e-14)


def test_published_iterates_of_the_further_output():
    module = load(od.algorithm("triple_momentum"), "numpy")
    c, state = module.coefficients(MU, L), module.init(X0)
    for k in range(1, 21):
        state = module.step(state, plane, c)
        if k in TMM_XI:
            np.testing.assert_allclose(module.xi(state, c), TMM_XI[k], rtol=2e-12)


@pytest.mark.parametrize(
    "name", ["gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum"]
)
@pytest.mark.parametrize(("mu", "L"), [(1.0, 10.0), (0.03, 47.0), (2.0, 2.0)])
def test_textbook_loops(name, mu, L):
    grad, _, _, x0 = quadratic(mu=mu, L=L)
    module = load(od.algorithm(name), "numpy")
    parameters = (L,) if name == "gradient_descent" else (mu, L)
    expected, _ = three_parameters(*hand_loops.coefficients(name, mu, L))(grad, x0, 80)
    np.testing.assert_allclose(
        module.run(grad, x0, 80, *parameters), expected, atol=1e-12, rtol=1e-12
    )


def test_textbook_loops_of_other_kinds():
    grad, _, _, x0 = quadratic()
    run = lambda name: load(od.algorithm(name), "numpy").run
    expected, _ = hand_loops.nesterov_c(grad, x0, 80, 10.0)
    np.testing.assert_allclose(run("nesterov_c")(grad, x0, 80, 10.0), expected, atol=1e-12)
    settings = (0.01, 0.9, 0.999, 1e-8)
    np.testing.assert_allclose(
        run("adam")(grad, x0, 100, *settings), hand_loops.adam(grad, x0, 100, *settings), atol=1e-12
    )
    turn = np.array([[0.1, 1.0], [-1.0, 0.1]])
    operator = lambda z: turn @ z
    np.testing.assert_allclose(
        run("extragradient")(operator, X0, 60, 1.2),
        hand_loops.extragradient(operator, X0, 60, 1.2),
        atol=1e-13,
    )


def test_proximal_steps_ask_for_a_prox():
    Q = np.diag([1.0, 10.0, 3.0])
    prox = lambda x, step: np.linalg.solve(np.eye(3) + step * Q, x)
    xs = load(od.algorithm("proximal_point"), "numpy").run(prox, np.ones(3), 50, 0.3)
    np.testing.assert_allclose(xs[50], (1 + 0.3 * np.diag(Q)) ** -50.0, rtol=1e-12)


def test_noise_is_reproducible_and_of_the_right_size():
    module = load(od.algorithm("unadjusted_langevin"), "numpy")
    grad = lambda x: 2.0 * x
    run = lambda seed: module.run(grad, np.zeros(400), 300, 0.1, np.random.default_rng(seed))
    xs = run(1)
    np.testing.assert_array_equal(xs, run(1))
    # MATH (c): the stationary variance on curvature lam is 1 / (lam (1 - h lam / 2))
    assert np.var(xs[100:]) == pytest.approx(1 / (2 * (1 - 0.1)), rel=0.05)


def test_forty_digits():
    """The emitted float64 iterates against the textbook loop at 40 digits."""
    with mpmath.workdps(40):
        mu, big = mpmath.mpf(3) / 100, mpmath.mpf(47)
        q = mpmath.sqrt(mu / big)
        beta = (1 - q) / (1 + q)
        curvatures = [mu, mpmath.mpf(5), big]
        old = [mpmath.mpf(1)] * 3
        now = list(old)
        for _ in range(200):
            y = [n + beta * (n - o) for n, o in zip(now, old, strict=True)]
            old, now = now, [v - c * v / big for v, c in zip(y, curvatures, strict=True)]
        expected = [float(v) for v in now]
    D = np.array([0.03, 5.0, 47.0])
    xs = load(od.algorithm("nesterov_sc"), "numpy").run(
        lambda x: D * x, np.ones(3), 200, 0.03, 47.0
    )
    np.testing.assert_allclose(xs[200], expected, rtol=1e-12, atol=1e-15)


def test_stands_alone(tmp_path):
    """The file runs where odescent cannot be imported."""
    path = od.algorithm("nesterov_sc").write(tmp_path / "nag.py", "numpy")
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'odescent', 'sympy', 'jax'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"sys.path[:] = [{str(path.parent)!r}] + [p for p in sys.path if 'work' not in p or 'site-packages' in p]\n"
        "import nag, numpy as np\n"
        "xs = nag.run(lambda x: x * np.array([1.0, 10.0]), [1.0, 1.0], 20, 1.0, 10.0)\n"
        "print(repr(float(xs[20, 0])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(0.003656036231161, rel=1e-12)


def test_bad_hyper_parameters_get_a_sentence():
    coefficients = load(od.algorithm("nesterov_sc"), "numpy").coefficients
    for bad, sentence in [
        ((0.0, 1.0), "mu must be more than 0, not 0.0"),
        ((1.0, -2.0), "L must be more than 0, not -2.0"),
        ((float("nan"), 1.0), "mu must be a finite number, not nan"),
        ((1.0, float("inf")), "L must be a finite number, not inf"),
        ((2.0, 1.0), "L must be at least mu, but L = 1.0 < mu = 2.0"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            coefficients(*bad)


def test_bad_starting_points_get_a_sentence():
    init = load(od.algorithm("nesterov_sc"), "numpy").init
    for bad in ([1.0, float("nan")], ["a"], [1j]):
        with pytest.raises(ValueError, match="x0 must be an array of finite real numbers"):
            init(bad)
    assert init([1, 2]).y.dtype == np.float64
    assert init(np.ones(2, np.float32)).y.dtype == np.float32


def test_single_precision_stays():
    xs = load(od.algorithm("nesterov_sc"), "numpy").run(
        lambda x: x, np.ones(2, np.float32), 5, 1.0, 3.0
    )
    assert xs.dtype == np.float32


def test_divergence_warns_with_the_step_and_keeps_the_prefix():
    run = load(od.algorithm("gradient_descent"), "numpy").run
    with pytest.warns(RuntimeWarning, match=r"step \d+ is not finite"):
        xs = run(lambda x: 1e9 * x, [1.0], 500, 1.0)
    assert 0 < len(xs) < 500 and np.isfinite(xs).all()


def test_the_starting_point_is_not_written_to():
    x0 = np.ones(2)
    module = load(od.algorithm("nesterov_sc"), "numpy")
    state = module.init(x0)
    state.y[0] = 5.0
    assert x0[0] == 1.0


def test_any_shape():
    xs = load(od.algorithm("heavy_ball"), "numpy").run(lambda x: x, np.ones((2, 3)), 4, 1.0, 2.0)
    assert xs.shape == (5, 2, 3)


def test_bound_parameters_disappear():
    fixed = od.algorithm("nesterov_sc").bind(mu=1, L=10)
    module = load(fixed, "numpy")
    np.testing.assert_allclose(module.run(plane, X0, 20)[20, 0], 0.003656036231161, rtol=1e-12)
    assert "def coefficients() -> Coefficients:" in source(fixed, "numpy")


def test_names_of_the_user_may_be_words_of_the_module():
    """Blocks, parameters and outputs called state, c, step, grad or k are renamed, not confused."""
    state, c, grad = od.blocks("state c grad")
    steps, rng = od.parameters("steps rng")
    f = od.Objective("f")
    alg = od.method(
        {state: state - f.grad(state) * steps, c: c * rng + state, grad: f.grad(state)},
        output=state, init={c: od.blocks("x0") * 0, grad: od.blocks("x0") * 0},
    )  # fmt: skip
    xs = load(alg, "numpy").run(lambda x: x, [1.0, 2.0], 3, rng=0.5, steps_=0.1)
    np.testing.assert_allclose(xs[3], np.array([1.0, 2.0]) * 0.9**3, rtol=1e-14)


def test_scalars_of_vectors():
    """Normalized descent: an inner product inside the step."""
    x = od.blocks("x")
    h = od.parameters("h")
    f = od.Objective("f")
    g = f.grad(x)
    alg = od.method({x: x - g * (h / sp.sqrt(od.inner(g, g)))}, output=x)
    xs = load(alg, "numpy").run(plane, [3.0, 4.0], 1, 0.5)
    direction = np.array([3.0, 40.0]) / np.hypot(3.0, 40.0)
    np.testing.assert_allclose(xs[1], np.array([3.0, 4.0]) - 0.5 * direction, rtol=1e-14)


# the battery


def emitted(name, target):
    try:
        return source(od.algorithm(name), target)
    except od.NotCarried as refusal:
        assert str(refusal).endswith(".") and target in str(refusal)
        return None


def test_every_algorithm_emits_to_every_target_or_is_refused_with_a_sentence():
    made = {(n, t): emitted(n, t) for n in od.algorithms() for t in targets()}
    assert all(made[n, t] for n in od.algorithms() for t in ("numpy", "jax", "latex"))
    assert {n for n in od.algorithms() if made[n, "optax"]} >= {
        "adam", "gradient_descent", "heavy_ball", "nesterov_c", "nesterov_sc", "triple_momentum",
    }  # fmt: skip


def test_many_and_long_hyper_parameters_fit_their_lines(tmp_path):
    """Names that grow letter by letter, to 25, past every width at which a line with all of them is broken."""
    x, f, paths = od.blocks("x"), od.Objective("f"), []
    for count in (2, 5):
        for length in range(1, 25):
            given = od.parameters(" ".join(letter + length * "o" for letter in "abcde"[:count]))
            method = od.method({x: x - sp.Mul(*given) * f.grad(x)}, output=x, name="long")
            for target in ("numpy", "jax", "optax"):
                paths.append(tmp_path / f"{target}_{count}_{length}.py")
                paths[-1].write_text(method.source(target))
    assert_clean(paths)


def test_emitted_files_are_formatted_linted_and_typed(tmp_path):
    paths = []
    for name in od.algorithms():
        for target in ("numpy", "jax", "optax"):
            if text := emitted(name, target):
                paths.append(tmp_path / f"{name}_{target}.py")
                paths[-1].write_text(text)
    assert_clean(paths)


def test_emitted_files_pass_mypy_strict(tmp_path):
    """In one run: most of it is what they import."""
    pytest.importorskip("mypy")
    paths = []
    for name in od.algorithms():
        for target in ("numpy", "jax", *(["torch"] if importlib.util.find_spec("torch") else [])):
            if text := emitted(name, target):
                paths.append(tmp_path / f"{name}_{target}.py")
                paths[-1].write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, paths)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_same_bytes_in_another_process():
    code = (
        "import odescent as od\n"
        "for t in ('numpy', 'jax', 'optax', 'latex'):\n"
        "    print(od.algorithm('triple_momentum').source(t))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert runs[0] == runs[1] and len(runs[0]) > 5000


# writing


def test_write_is_whole_or_nothing(tmp_path, monkeypatch):
    alg = od.algorithm("gradient_descent")
    path = write(alg, tmp_path / "gd.py", "numpy")
    assert path.read_text() == source(alg, "numpy")
    with pytest.raises(od.OdescentError, match="there is no folder"):
        write(alg, tmp_path / "no" / "gd.py")
    with pytest.raises(od.OdescentError, match="is a folder"):
        write(alg, tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(od.OdescentError, match="cannot be written: No space left on device"):
        write(od.algorithm("heavy_ball"), path)
    assert path.read_text() == source(alg, "numpy")
    assert [p.name for p in tmp_path.iterdir()] == ["gd.py"]


def test_an_unknown_target_names_the_nearest():
    with pytest.raises(od.OdescentError, match="no target 'numpi': did you mean 'numpy'"):
        source(od.algorithm("adam"), "numpi")


def test_tracebacks_show_emitted_lines():
    import traceback

    module = load(od.algorithm("gradient_descent"), "numpy")
    try:
        module.run(lambda x: 1 / 0, [1.0], 1, 1.0)
    except ZeroDivisionError:
        assert "g = grad(x)" in traceback.format_exc()


def test_loading_twice_is_once():
    assert load(od.algorithm("adam"), "numpy") is load(od.algorithm("adam"), "numpy")


def test_importing_discretize_loads_no_array_library():
    code = (
        "import sys, odescent.discretize, odescent.discretize.emit\n"
        "print([m for m in ('jax', 'optax', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


def test_no_warning_in_a_healthy_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(od.algorithm("adam"), "numpy").run(plane, X0, 5, 0.1, 0.9, 0.99, 1e-8)


def test_the_docstring_names_the_command_that_makes_the_very_source():
    made = od.algorithm("nesterov_sc").bind(mu=1, L=sp.Rational(201, 2)).source("numpy")
    assert "odescent emit nesterov_sc --target numpy --mu 1 --L 201/2" in made
    one = od.algorithm("proximal_point").bind(h=sp.Rational(1, 3)).source("numpy")
    assert "odescent emit proximal_point --target numpy --set h=1/3" in one
    # another algorithm of that name has no command
    assert "Algorithm.source('numpy')" in od.algorithm("nesterov_c", momentum="fista").source(
        "numpy"
    )


@pytest.mark.parametrize("target", ["numpy", "jax"])
def test_a_block_that_becomes_zero_keeps_its_shape(target: str) -> None:
    """The passive form at K h = 1, b = 0 forgets psi: gradient descent with the step h^2 is left."""
    K, a, b, h = od.parameters("K a b h")
    order = od.scheme("semi_implicit_euler", order=("psi", "y"))
    method = od.Algorithm(
        od.system("passive"), order, step=h, where={a: h}, tuning={K: 1 / h, b: 0}
    )
    module = load(method, target)
    x0 = np.array([[1.0, -2.0], [0.5, 3.0]])
    xs = np.asarray(module.run(lambda x: 3 * x, x0, 4, h=0.2))
    np.testing.assert_allclose(xs, [x0 * (1 - 3 * 0.2 * 0.2) ** k for k in range(5)], rtol=1e-12)
    state = module.init(x0)
    c = module.coefficients(h=0.2)
    assert np.shape(module.step(state, lambda x: 3 * x, c).psi) == x0.shape
