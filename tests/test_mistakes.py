"""Mistakes of beginners through the public functions: each ends in one sentence of ours.

The types are right, or nearly; what is meant is not there or has no meaning: names, shapes, signs, NaN, files,
options of other libraries, functions that JAX cannot trace, calls that do not fit. Wrong types are in
`test_wrong_types`, the command line in `test_cli_refusals`.
"""

from __future__ import annotations

from pathlib import Path

import jax  # noqa: F401  # the mistakes use it
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

A, P, N = od.analysis, od.particles, od.neural_de
gd, nag = od.algorithm("gradient_descent"), od.algorithm("nesterov_sc")
g1 = od.algorithm("gradient_descent", step=0.1)
x, v = od.blocks("x v")
f = od.Objective("f")
c, h = od.parameters("c h")
ball = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, output=x)
nan, inf = float("nan"), float("inf")


def sq(x):
    return jnp.sum(x**2)


def keyfun(x):
    return x["w"] ** 2


def numpyfun(x):
    return float(np.sum(np.square(x)))


def branching(x):
    return x[0] ** 2 if x[0] > 0 else x[0]


MISTAKES = r"""
od.algorithm("Nesterov")
od.algorithm("gradient descent")
od.algorithm("gradient_descent", momentum=0.9)
od.algorithm("Adam")
od.algorithm("gradient_descent", lr=0.1, step=0.1)
od.algorithm("gradient_descent", step=-0.1)
od.algorithm("gradient_descent", step=0)
od.algorithm("gradient_descent", step=nan)
od.algorithm("gradient_descent", step=inf)
od.algorithm("gradient_descent", step="0.1")
od.algorithm("heavy_ball", momentum=1)
od.algorithm("heavy_ball", momentum=-0.5)
od.algorithm("gradient_descent", step=[0.1, 0.2])
od.algorithm("heavy_ball", nesterov=True)
od.algorithm("adam", weight_decay=0.01)
od.algorithm("adam", betas=(0.9, 0.999))
od.algorithm("")
od.system("heavyball")
od.system("heavy_ball", mass=2)
od.objective("rosenbrok")
od.objective("Rastrigin")
od.objective(sq)
od.objective("quadratic", kappa=10)
od.objective("quadratic", mu=10, L=1, dimension=2)
od.objective("quadratic", mu=1, L=10, dimension=-2)
od.objective("logistic/iris")
od.derive("nesterov", route="passivity")
od.derive("nesterov", rout="model")
od.estimate_constants(sq, [1.0], points=10**400)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10**20)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10.5)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], -3)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10**400)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], "100")
gd.run(sq, [1.0], 10)
nag.run(sq, [1.0], 10, mu=-1, L=10)
nag.run(sq, [1.0], 10, mu=10, L=1)
nag.run(sq, [1.0], 10, mu=0, L=0)
od.algorithm("gradient_descent", step=.1).run(sq, [nan], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [inf], 10)
od.algorithm("gradient_descent", step=.1).run(sq, "1,2", 10)
od.algorithm("gradient_descent", step=.1).run(sq, ["1", "2"], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [1j], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [[1.0], [1.0, 2.0]], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [], 10)
od.algorithm("gradient_descent", step=.1).run(sq, None, 10)
od.algorithm("gradient_descent", step=.1).run("rosenbrock", [1.0, 2.0, 3.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x: x**2, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x: None, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x: "a", [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x, y: x**2 + y**2, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(numpyfun, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(branching, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(keyfun, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x: x[0] @ x[1], [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(c**2, [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run("x**2", [1.0], 10)
od.algorithm("gradient_descent", step=.1).run(sq(jnp.ones(2)), [1.0], 10)
od.algorithm("gradient_descent", step=.1).run(f, [1.0], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, tol=1e-6)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, callback=print)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, every=0)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, statistics=["median"])
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, resume="junk.npz")
od.algorithm("sgd", step=.1).run(sq, [1.0], 10)
od.algorithm("gradient_descent", step=.1).run(sq, [1.0], 10, step=0.1, lr=.1)
od.algorithm("proximal_gradient", step=.1).run(sq, [1.0], 10)
od.algorithm("cbo", h=.1, lam=1, sigma=.5, alpha=10).run(sq, [1.0], 10)
A.certify("gradient_flw", mu=1)
nag.bind(kappa=10)
nag.bind(L="ten")
nag.bind(mu=10, L=1)
nag.bind(L=-1)
od.estimate_constants(sq, None)
od.estimate_constants(lambda x: x**2, [1.0, 2.0])
od.estimate_constants(lambda x: jnp.sum(jnp.log(x)), [-1.0])
od.estimate_constants(sq, [1.0], safety=-1)
nag.source("Tensorflow")
nag.source("PyTorch")
nag.write("nowhere/x.py")
nag.write("folder")
nag.to_optax()
nag.to_optax(mu=1, L=10, lr=.1, step=.1)
A.certify(nag, mu=1)
A.certify(nag, mu=10, L=1)
A.certify(nag, mu=-1, L=10)
A.certify(nag, mu=nan, L=10)
A.certify(nag, mu=1, L=inf)
A.certify(nag, mu="1", L="ten")
A.certify("adam", mu=1, L=10)
A.certify(sq, mu=1, L=10)
A.certify(nag, mu=1, L=10, over="convex")
A.certify("gradient_flow2", mu=1, L=10)
A.certify(nag, mu=1, L=10, rate=1.5)
A.spectrum(nag)
A.spectrum("adam", mu=1, L=10)
A.phase_portrait(nag)
A.phase_portrait(nag, "himmelblau", curvature=1)
A.phase_portrait(nag, curvature=-1)
A.phase_portrait(nag, sq)
A.phase_portrait(nag, curvature=1, window=(-1, 1, -1, 1), parameters={"mu": 1, "L": 4})
A.phase_portrait(nag, curvature=1, axes=("x", "p"), parameters={"mu": 1, "L": 4})
A.phase_portrait(nag, curvature=1, steps=-1, parameters={"mu": 1, "L": 4})
A.phase_portrait(nag, curvature=1, x0=[1.0, 2.0, 3.0], parameters={"mu": 1, "L": 4})
A.basins(nag, "himmelblau", axes={})
A.basins(gd, "himmelblau", axes={"q": (-1, 1, 5)}, parameters={"L": 100})
A.cycles("heavy_ball", 1, 25, periods=1)
A.cycles("adam", 1, 25)
A.cycle_range("heavy_ball", 10**400)
A.cycle_range("heavy_ball", 3.0)
A.sweep(keyfun, {"b": [1, 2]}, folder="s2", workers=0)
A.convergence(gd, "rosenbrock", [1.0], 10, parameters={"L": 100})
od.minimize(sq, None)
od.minimize(sq, '-1,1')
od.minimize(sq, [(1, -1)])
od.minimize(sq, [(-inf, inf)])
od.minimize(sq, [(nan, 1)])
od.minimize(lambda x: x**2, [(-1, 1)] * 2, steps=5)
od.minimize(lambda x: None, [(-1, 1)] * 2, steps=5)
od.minimize("rosenbrok", [(-1, 1)] * 3, steps=5)
od.minimize(sq, [(-1, 1)] * 2, method="bfgs")
od.minimize(sq, [(-1, 1)] * 2, maxiter=10)
od.minimize(sq, [(-1, 1)] * 2, particles=0)
od.minimize(lambda x: 1 / 0, [(-1, 1)] * 2, steps=5)
od.System({})
od.System({"a": {"x": -f.grad(x)}})
x * v
x ** 2
f.grad(3)
od.System({'a': {x: '-x'}})
od.System({"a": {x: v}}, output=od.blocks("w"))
od.System({"a": {x: 1}})
od.blocks("")
od.blocks("x x")
od.blocks("lambda")
od.parameters("learning-rate")
od.scheme("eulr")
od.Algorithm(ball, od.scheme("lie_trotter", [("dmp", "exact"), ("kick", "explicit"), ("drift", "explicit")]), step=h)
od.scheme("lie_trotter", [("damp", "exct"), ("kick", "explicit")])
od.Algorithm(ball, od.scheme("lie_trotter", [("damp", "exact"), ("kick", "explicit")]), step=h)
od.scheme("lie_trotter", [])
od.Algorithm(ball, od.scheme("explicit_euler"), step="h")
od.Algorithm(ball, od.scheme("explicit_euler"), step="0.1")
od.Algorithm(ball, "explicit_eulr")
od.parse_system("block x\nfield a: x' = -x\noutput x")
od.parse_algorithm("blocks x objective f field a: x' = -x**2 output x scheme explicit_euler")
od.parse_system("")
od.parse_algorithm("blocks x objective f field a: x' = -grad f(x) output x scheme eulr")
od.parse_system("blocks x, v objective f field a: x' = v, v' = -c*v - grad f(x) output x")
od.parse_system("blocks x objective f field a: x'' = -grad f(x) output x")
od.parse_function("np.sum(x**2)")
od.parse_function("x + y + w")
od.parse_function("")
od.read_system("missing.ode")
od.read_system("folder")
od.read_algorithm("junk.npz")
od.read_system("bad.ode")
od.system("gradient_flow").simulate("rosenbrock", [1.0, 2.0], -1.0)
od.system("gradient_flow").simulate("rosenbrock", [1.0], 1.0)
od.system("heavy_ball").simulate("rosenbrock", [1.0, 2.0], 1.0)
od.system("overdamped_langevin").simulate("rosenbrock", [1.0, 2.0], 1.0)
od.system("gradient_flow").simulate(lambda x: x**2, [1.0, 2.0], 1.0)
nag.modified_equation(-1)
nag.modified_equation(100)
nag.equivalent("nesterow")
nag.equivalent(None)
od.recognize(sq)
od.recognize(0.1)
od.immerse("nesterov", v, gain=1)
od.place_poles("0.5")
od.place_poles([nan])
od.synthesize("nesterov2", mu=1, L=10)
od.synthesize("passive", mu=10, L=1)
od.cite("nesterov")
od.cite(3)
od.Objective("mine", fun=3)
od.Objective("mine", fun=sq, mu=3, L=1)
od.Objective("my fun", fun=sq)
N.train(N.Config("mnist"))
N.Config("spirals-ode", steps=0)
N.train(N.Config("spirals-ode", regularizer="l2", coefficient=1.0, steps=1))
N.Config("spirals-ode", regularizer="error", coefficient=-1)
N.train(N.Config("spirals-ode", optimizer="Adamm", steps=1))
N.Config("spirals-ode", lr=0.1)
N.Config("spirals-ode", rtol=-1e-3)
N.Config("spirals-ode", solver="dopri")
N.train("spirals-ode-2")
N.load_trained("nowhere")
N.solve(lambda t, y: -y, jnp.ones(2), 0.0, 1.0)
N.solve(lambda t, y, args: -y, jnp.ones(2), 0.0, 1.0, diffusion=lambda y: y, key=jax.random.key(0))
N.load_trained("folder")
N.regularizer("l2")
P.ball([0.0, 0.0], -1)
P.box([0, 1], [1, 0])
P.simulate("cbo", "ackley", np.ones(2), 10)
P.first_passage("unadjusted_langevin", sq, [0.0], 3, steps=10, runs=3, key=0)
A.phase_portrait("heavy_ball", curvature=1, xlim=(-1, 1))
A.phase_portrait("heavy_ball", "rosenbrock", 1, 2, 3)
A.phase_portrait(nag, curvature=1, mu=1, L=9)
A.phase_portrait("heavy_ball", curvature=1, flows={})
A.phase_portrait("heavy_ball", curvature=1).plot(colour="red")
A.phase_portrait("heavy_ball", curvature=1).save()
A.phase_potrait("heavy_ball")
od.phase_portrait("heavy_ball", curvature=1)
od.certify(nag, mu=1, L=10)
od.Trajectori
od.algorithm()
od.algorithm("gradient_descent", 0.1)
od.algorithm(gd)
od.algorithm("gradient_descent", step=lambda k: .1)
od.algorithm("gradient_descent", step=1j)
od.algorithm("heavy_ball", momentum=None)
g1.run()
g1.run(sq)
g1.run(sq, [1.0])
g1.run(sq, [1.0], 10, 5, 6, 7)
g1.run(sq, 10, [1.0])
g1.run(sq, x0=[1.0], steps=10, n=3)
g1.run(sq, np.array(["a", "b"]), 10)
g1.run(sq, np.array([None, 1.0]), 10)
g1.run(sq, np.ones(2, np.longdouble), 10)
g1.run(sq, np.array(["2020-01-01"], dtype="datetime64[D]"), 10)
g1.run(sq, np.ma.masked_array([1.0, 2.0], mask=[0, 1]), 10)
g1.run(sq, np.array([True, False]), 10)
g1.run(sq, np.ones(2, complex), 10)
g1.run(sq, {1.0, 2.0}, 10)
g1.run(sq, range(3), 10)
g1.run(sq, {}, 10)
g1.run(sq, {"w": "a"}, 10)
g1.run(sq, {"a": np.ones(2), "b": np.ones(3)}, 10)
g1.run(sq, [1.0], True)
g1.run(sq, [1.0], 10, h="x")
g1.run(lambda x: [jnp.sum(x)], [1.0, 2.0], 10)
g1.run(lambda x: {"loss": jnp.sum(x)}, [1.0, 2.0], 10)
g1.run(lambda x: (jnp.sum(x), x), [1.0, 2.0], 10)
g1.run(lambda x: jnp.sum(x) > 0, [1.0], 10)
g1.run(lambda x: jnp.argmax(x), [1.0, 2.0], 10)
g1.run(lambda x: jnp.sum(x) * 1j, [1.0], 10)
g1.run(lambda *, x: jnp.sum(x), [1.0], 10)
g1.run(jax.grad(sq), [1.0, 2.0], 10)
g1.run(jax.value_and_grad(sq), [1.0, 2.0], 10)
g1.run(np.linalg.norm, [1.0, 2.0], 10)
g1.run(max, [1.0, 2.0], 10)
g1.run(lambda x: jnp.dot(np.eye(3), x).sum(), [1.0, 2.0], 10)
g1.run(lambda x: undefined_name + x, [1.0, 2.0], 10)
g1.run(lambda x: jnp.linalg.inv(x)[0], [1.0, 2.0], 10)
g1.run(lambda x: jnp.sum(x).item(), [1.0, 2.0], 10)
g1.run(lambda x: jnp.nonzero(x)[0].sum() * 1.0, [1.0, 2.0], 10)
g1.run("my_module:fun", [1.0, 1.0], 10)
g1.run({"grad": 3}, [1.0], 10)
g1.run([sq, sq], [1.0], 10)
g1.run(ball, [1.0], 10)
od.estimate_constants()
od.estimate_constants(sq)
od.estimate_constants(sq, [1.0], safety="2")
od.estimate_constants(sq, np.array(["a"]))
od.estimate_constants(sq, [1.0], points=1.5)
od.estimate_constants("breast_cancer", [1.0])
A.certify(gd, od.estimate_constants(sq, [1.0]), 10)
od.Objective()
od.Objective(3)
od.Objective(sq, gradient=3)
od.Objective(sq).value("a")
od.Objective(sq).grad(None)
od.Objective(sq).value()
od.objective("rosenbrock", 3)
od.objective("rosenbrock").grad(["a", "b"])
od.system("heavy_ball").simulate()
od.system("gradient_flow").simulate("rosenbrock", [1.0, 2.0], 1.0, rtol=-1)
od.system("gradient_flow").simulate("rosenbrock", [1.0, 2.0], 1.0, solver="RK45")
od.system("gradient_flow").simulate("rosenbrock", np.array(["a", "b"]), 1.0)
od.System()
od.System({"a": {x: v}}, ouput=x)
od.System({"all": {x: sq}})
od.System({"all": {x: f}})
od.blocks("x", "v")
od.parameters("c", "h")
x + "a"
-x + f
jnp.ones(2) + x
od.inner(x)
od.scheme("lie_trotter", ["damp", "kick", "drift"])
od.Algorithm()
od.Algorithm(ball)
od.Algorithm(ball, ball, step=h)
nag.bind(1, 10)
nag.source("torch", 3)
nag.source("torch", mu=1)
nag.write()
nag.to_optax(1, 10)
nag.to_optax(mu="a", L=10)
nag.to_optax(mu=None, L=10)
nag.equivalent(nag, nag, nag)
nag.derivation(verbose=True)
nag.derivation().text("x")
od.derive("nesterov", route=3)
od.place_poles([.5], mu=1, L=10, order=3)
od.synthesize("passive", 1, 10, 3)
od.synthesize("passive", mu=1, L=10, rates="x")
od.cite(nag, nag)
od.cite(sq)
od.minimize(sq)
od.minimize(sq, [("a", "b")] * 2)
od.minimize(sq, [(-1, 1)] * 2, 100)
od.minimize(sq, [(-1, 1)] * 2, target="a")
P.simulate("adam", "ackley", np.ones((5, 2)), 10)
P.geometric(alpha=1)
P.geometric(alpha="ab")
P.simulate()
N.train("spirals-ode", steps=3)
N.train(N.Config("spirals-ode"), out=3)
N.pareto(3)
N.steps(qqq=1)
A.landscape({"adam": "adam"}, "himmelblau")
A.sweep(sq, [1, 2])
A.spectrum("nesterov_sc", mu="a", L=1)
A.lyapunov("gradient_descent", "himmelblau", x0=[1.0, 1.0], steps="a", parameters={"L": 100})
"""
OF_TORCH = r"""
od.algorithm("gradient_descent", step=.1).run(torch.nn.Linear(2, 1), [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(lambda x: torch.sum(x), [1.0, 2.0], 10)
od.algorithm("gradient_descent", step=.1).run(sq, torch.ones(2), 10)
nag.to_torch([], mu=1, L=10)
nag.to_torch(torch.nn.Linear(2, 1), mu=1, L=10)
nag.to_torch([torch.nn.Parameter(torch.ones(2))])
nag.to_torch([torch.nn.Parameter(torch.ones(2))], mu=1, L=10, weight_deca=1)
nag.to_torch()
nag.to_torch([torch.nn.Parameter(torch.ones(2))], 1, 10)
nag.to_torch([torch.nn.Parameter(torch.ones(2))], mu="a", L=10)
nag.to_torch([{"param": [torch.nn.Parameter(torch.ones(2))]}], mu=1, L=10)
g1.run(sq, [torch.ones(2)], 10)
g1.run(torch.nn.functional.mse_loss, [1.0], 10)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "junk.npz").write_bytes(b"junk")
    wrong = "blocks x\nobjective f\nfield a: x' = -grad g(x)\noutput x\n"
    (tmp_path / "bad.ode").write_text(wrong, encoding="utf-8")


def answer(mistake: str, **more: object) -> str:
    """What is said: one sentence, that shows no address and no other library's words."""
    with pytest.raises(od.OdescentError) as raised:
        eval(mistake, globals() | more)  # noqa: S307
    error = raised.value
    said = error.sentence if isinstance(error, od.ParseError) else str(error)
    assert "\n" not in said and said[-1] in ".?" and 20 < len(said) < 400, said
    assert " object at 0x" not in said and "<function" not in said and "Tracer" not in said, said
    return said


@pytest.mark.untyped
@pytest.mark.usefixtures("folder")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", MISTAKES.strip().splitlines())
def test_a_mistake_gets_one_sentence(mistake: str) -> None:
    answer(mistake)


@pytest.mark.untyped
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("mistake", OF_TORCH.strip().splitlines())
def test_a_mistake_with_torch_gets_one_sentence(mistake: str) -> None:
    answer(mistake, torch=pytest.importorskip("torch", reason="torch is not installed"))


def test_there_are_hundreds() -> None:
    assert len({*MISTAKES.split("\n"), *OF_TORCH.split("\n")}) > 300


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("od.scheme('eulr')", "'explicit_euler' or 'implicit_euler'"),
        ("A.certify('nesterv_sc', mu=1, L=10)", "did you mean 'nesterov_sc'"),
        ("A.certify(sq, mu=1, L=10)", "an algorithm or its name"),
        ("od.minimize('rosenbrok', [(-1, 1)] * 2)", "did you mean 'rosenbrock'"),
        ("N.Config('spirals-ode', lr=0.1)", "no argument of Config called 'lr'"),
        ("od.blocks('x x')", "the name x twice"),
        ("od.algorithm('heavy_ball', momentum=-0.5)", "positive number below 1, not -1/2"),
        ("gd.run(keyfun, [1.0, 2.0], 10, L=1)", "keyfun raises TypeError where x is a JAX array of shape (2,)"),
        ("gd.run(od.Objective(lambda x: x**2), [1.0, 2.0], 10, L=1)", "must return one real number, but it returns"),
        ("gd.run(od.Objective('mine', numpyfun), [1.0, 2.0], 10, L=1)", "is not a function that JAX can trace"),
        ("gd.run(sq, [1.0], 10**20, L=1)", "steps must be at most 1e+15"),
        ("A.phase_portrait(nag, curvature=-1)", "curvature must be a finite number more than 0, not -1"),
        ("od.parse_system(\"blocks x objective f field a: x'' = -grad f(x)\")", "write equations x'' + x' = 0"),
    ],
)  # fmt: skip
def test_what_is_said(mistake: str, words: str) -> None:
    assert words in answer(mistake)
