"""More mistakes of users, in Python and on the command line: attributes of other packages, operators, silent values.

Each gets one sentence. Names, shapes, signs and files are in `test_mistakes`, what single commands say in
`test_cli_refusals`; here are calls that other packages would take, and values that used to pass in silence.
"""

from __future__ import annotations

import functools
import shlex
from pathlib import Path

import jax  # noqa: F401  # the mistakes use it
import jax.numpy as jnp
import numpy as np
import pytest
import test_mistakes
from typer.testing import CliRunner

import odescent as od
from odescent.cli import app

A, P, N = od.analysis, od.particles, od.neural_de
x, v = od.blocks("x v")
f, g = od.Objective("f"), od.Objective("g")
c, h = od.parameters("c h")
nan, inf = float("nan"), float("inf")
gd, nag, hb = od.algorithm("gradient_descent"), od.algorithm("nesterov_sc"), od.system("heavy_ball")
g1, gf = od.algorithm("gradient_descent", step=0.1), od.system("gradient_flow")
ball = od.System({"damp": {v: -c * v}, "kick": {v: -f.grad(x)}, "drift": {x: v}}, output=x)
two = od.System({"a": {x: -f.grad(x) - g.grad(x)}}, output=x)
ma = np.ma.masked_array([1.0, 2.0], mask=[0, 1])


def sq(x):
    return jnp.sum(x**2)


@functools.cache
def results() -> dict[str, object]:
    """What the mistakes are made with, computed when the first of them is."""
    run, est = g1.run(sq, [1.0, 2.0], 5), od.estimate_constants(sq, [1.0, 2.0])
    return {"run": run, "est": est, "cert": A.certify(nag, mu=1, L=10)}


MISTAKES = r"""
od.adam
od.nesterov_sc(mu=1, L=10)
od.rosenbrock
od.gradient_flow
od.optimize(sq)
od.Optimizer
od.train
od.Adam(lr=0.1)
od.SGD
od.rk4
nag.certify(mu=1, L=10)
nag.rate
nag.lr
nag.fit(sq)
nag.minimize(sq, [1.0])
nag.to_pytorch([])
nag.plot()
nag.eigenvalues
nag.steps
hb.run(sq, [1.0], 10)
hb.solve(sq, [1.0], 1.0)
hb.discretize("explicit_euler")
hb.plot()
hb.gradient
run.plt
run.losses
run.final
run.gradients
run.x_best
run[0]
len(run)
cert.proof
cert.save("c.json")
cert.rho
cert < 1
float(cert)
est["l"]
est.kappa
f + g
f * 2
c + f
f(x) + x
x + 1
x[0]
np.sqrt(x)
np.linalg.norm(x)
float(x)
abs(f.grad(x))
f.grad(x)[0]
x < v
max(x, v)
len(x)
list(x)
x.T @ x
x.norm()
f.gradient(x)
f.hvp(x)
f.lipschitz
ball + ball
2 * ball
sum([ball, ball])
nag[0]
nag + gd
od.Objective(sq, gradient=jax.grad(sq))
od.Objective("m", sq, gradent=jax.grad(sq))
od.Objective("m", sq, hessian=jax.hessian(sq))
od.Objective("m", sq, minimiser=lambda: 0)
od.Objective("m", sq, proximal=lambda x, s: x)
od.FiniteSum("s", lambda x, r: jnp.sum(x), np.ones((3, 2)), gradient=sq)
od.parameters("c", positve=True)
od.parameters("c", postive=False)
od.blocks("x", type="scalar")
od.Groups(a=[])
A.sweep(sq, {"x": []}, folder="s")
gf.simulate(sq, ma, 1.0)
gf.simulate(sq, ["1", "2"], 1.0)
gf.simulate(sq, [True], 1.0)
gf.simulate(sq, np.array([1, 2], object), 1.0)
gf.simulate(sq, [1.0], True)
gf.simulate(sq, [1.0], 1.0, rtol=True)
gf.simulate(sq, [1.0], 1.0, dt=True, solver="heun")
gf.simulate_many(sq, ma, 1.0)
g1.run(sq, [1.0], 5, key=True)
g1.run(sq, [1.0], 5, key=1.5)
g1.run(sq, [1.0], 5, every=True)
g1.run(sq, {"a": ma}, 5)
P.gaussian_start([0.0], 1.0, 0)
P.gaussian_start([0.0], 1.0, -3)
P.gaussian_start([0.0], 1.0, 2.5)
P.gaussian_start([], 1.0, 3)
P.uniform_start([0.0], [1.0], 0)
P.uniform_start([], [], 2)
P.simulate("cbo", sq, np.ma.masked_array(np.ones((3, 2)), mask=True), 3)
P.ball([], 1.0)
P.box([], [])
od.minimize(sq, [(-1, 1)], target=nan)
od.minimize(sq, np.ma.masked_array(np.ones((3, 2)), mask=True))
od.estimate_constants(sq, ma)
od.estimate_constants(sq, [])
od.estimate_constants(sq, [nan])
od.estimate_constants(sq, [1.0], safety=True)
od.estimate_constants("rosenbrok", [1.0])
A.spectrum(nag, mu=1, L=True)
A.spectrum(nag, mu=10, L=1)
nag.to_optax(mu=-1, L=10)
nag.bind(mu=1, L=10).to_optax(g=0.1)
od.algorithm("adam", beta1=1.5)
od.algorithm("adam", b2=1.01)
od.algorithm("rmsprop", beta2=2)
A.certify(nag, mu=[1], L=10)
A.certify(cert, mu=1, L=10)
A.certify("heavy_ball", 1, 100)
A.phase_portrait("heavy_ball", curvature=True)
A.phase_portrait("heavy_ball", curvature=1, algorithms=[nag])
A.phase_portrait("heavy_ball", curvature=1, algorithms=nag)
A.phase_portrait("heavy_ball", curvature=1, parameters={"q": 1})
A.phase_portrait(ball, "rosenbrock")
A.convergence(nag, "rosenbrock", [1.0, 1.0], -5)
A.lyapunov(g1, "himmelblau", x0=[1.0, 1.0], steps=True)
A.landscape("gradient_descent", "himmelblau", x0=[1.0])
od.Algorithm(hb, od.scheme("explicit_euler"), step=h, tuning={"c": 2})
od.Algorithm(hb, od.scheme("explicit_euler"), step=h, where={"c": h})
od.Algorithm(hb, od.scheme("explicit_euler"), step=h, clock=1)
od.Algorithm(hb, od.scheme("explicit_euler"), step=True)
od.Algorithm(sq, od.scheme("explicit_euler"), step=h)
od.System({"a": {x: -f.grad(x)}}, references="su2016")
od.System({"a": {x: -f.grad(x)}}, time="t")
od.System({"a": {x: -f.grad(x)}}, init={v: 0 * v})
od.System({"a": {x: f}})
od.System({"a": {x: lambda x: -x}})
od.System({"a": -f.grad(x)})
two.simulate(sq, [1.0], 1.0, parameters=3)
two.simulate({"f": sq}, [1.0], 1.0)
two.simulate({"f": sq, "k": sq}, [1.0], 1.0)
od.apply(np.eye(2), x)
od.inner(x, np.ones(2))
od.elementwise(np.exp, x)
od.derive("adm")
od.derive("nesterov", route="poles2")
od.derive(nag.system)
od.place_poles({"mv": (0, 0)})
od.place_poles({"mu": (2, 2), "L": (0,)}, output="x")
od.neural_de.Config("spirals-ode", steps=True)
od.neural_de.Config("spirals-ode", hidden=16)
od.neural_de.NeuralODEClassifier(2, 16, 2, 0)
od.neural_de.solve(lambda t, y, a: -y, ma, 0.0, 1.0)
od.neural_de.regularizer("eror")
od.recognize(run)
od.cite("boyd")
od.scheme("rk4", order=2)
od.scheme("splitting", "BAB")
od.read_algorithm("nothing.json")
od.parse_system("x' = -grad f(x), y")
od.parse_function("x0 ** 2 + np.sin(x1)")
od.objective("logistic/titanic")
od.objective("rosenbrock").grad([1.0])
"""
LINES = r"""
nesterov
help
list --kind systems
derive nesterov_sc immersion
derive nesterov --route
derive nesterov --out
derive nesterov --json --latex
derive examples
emit
emit nesterov torch
emit nesterov --target torch,jax
emit nesterov --target
emit nesterov --mu
emit nesterov --l 10
emit nesterov --lr 0.1
emit nesterov --set
emit nesterov --set mu
emit nesterov --set mu=
emit nesterov --set =3
emit nesterov --set mu=a
emit nesterov --set mu=1,L=10
emit adam --set beta1=1.5
emit adam --set beta1=True
certify nesterov 1 10
certify nesterov --mu 1 --L ten
certify nesterov --mu 1 --L inf
certify nesterov --mu 1 --L 0.5
certify nesterov --mu nan --L 10
certify nesterov --mu=1 --L=10 --over quadratic
certify nesterov --mu 1 --L 10 --check x.json
certify --verify missing.json
certify gradient_flow
certify rosenbrock --mu 1 --L 10
simulate
simulate rosenbrock
simulate nesterov rosenbrock
simulate gradient_descent --objective my_module:fun
simulate gradient_descent --objective os:getcwd
simulate gradient_descent --objective math:sin
simulate gradient_descent --objective :
simulate gradient_descent --objective a:b:c
simulate gradient_descent --objective rosenbrock.py
simulate gradient_descent --objective x**2
simulate gradient_descent --x0 a,b
simulate gradient_descent --x0 1;2
simulate gradient_descent --x0 nan,1
simulate gradient_descent --x0 inf,1
simulate gradient_descent --x0
simulate gradient_descent --steps ten
simulate gradient_descent --steps -5
simulate gradient_descent --steps 1e3x
simulate gradient_descent --set h=-1
simulate gradient_descent --set h=0
simulate gradient_descent --step 0.1
simulate gradient_descent --lr 0.1
simulate gradient_flow --time -1
simulate gradient_flow --time 0
simulate gradient_flow --time 1e999
simulate gradient_flow --steps 10
simulate gradient_flow --time 1 --solver rk45
simulate gradient_flow --time 1 --dt 0
simulate sgd --set h=0.1
portrait
portrait rosenbrock
portrait nesterov_sc --curvature a
portrait nesterov_sc --curvature -1
portrait nesterov_sc --curvature inf
portrait nesterov_sc --curvature 1 --mu 1 --L 10 --window 1,0,0,1
portrait nesterov_sc --curvature 1 --mu 1 --L 10 --window a,b,c,d
portrait heavy_ball --curvature 1 --with
portrait heavy_ball --curvature 1 --out
portrait heavy_ball --curvature 1 --format svg
portrait adam --curvature 1
train
train digits
train digits-ode --steps -1
train digits-ode --steps 0
train digits-ode --lr 0.1
train digits-ode --learning-rate -1
train digits-ode --learning-rate nan
train digits-ode --solver rk45
train digits-ode --data nowhere
train digits-ode --regularizer error+
train digits-ode --regularizer 2
train digits-ode --gpu
train digits-ode --epochs 3
figures nope
figures --paper
figures --out x.txt --paper nope
demo nesterov
explore nesterov --port -1
explore nesterov --port abc
explore nesterov --objective nope --out a.svg
inspect
inspect junk.npz
inspect folder
synthesize
synthesize passive
synthesize passive --mu 1
synthesize nope --mu 1 --L 10
synthesize passive --mu 1 --L 10 --starts 0
bench
doctor --verbose
derive nesterov --set a=0
derive folder
simulate folder
"""


@pytest.mark.untyped
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mistake", MISTAKES.strip().splitlines())
def test_a_mistake_gets_one_sentence(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {n: o for n, o in globals().items() if n != "MISTAKES"}
    test_mistakes.answer(mistake, **names, **results())


@pytest.mark.parametrize("line", LINES.strip().splitlines())
def test_a_mistake_on_the_command_line_gets_one_sentence(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "junk.npz").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, shlex.split(line))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("odescent: ") and done.stderr.count("\n") == 1
    assert done.stderr.rstrip()[-1] in ".?"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "junk.npz"]


def test_there_are_a_hundred_and_none_is_an_old_one() -> None:
    new = {*MISTAKES.strip().splitlines()}
    assert len(new) > 100 and not new & {*test_mistakes.MISTAKES.splitlines()}
    assert len({*LINES.strip().splitlines()}) > 90
