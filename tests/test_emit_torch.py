"""Emitted PyTorch optimizers against torch.optim, textbook loops and NumPy."""

import copy
import inspect
import subprocess
import sys

import hand_loops
import numpy as np
import pytest
import sympy as sp
from emitted_runs import assert_clean, optimizer_class
from hand_loops import MU, L, three_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._support.errors import OdescentWarning
from odescent.discretize.emit import load, source

torch = pytest.importorskip("torch")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch_runs import (  # noqa: E402
    ADAM,
    CENTER,
    MATRIX,
    ORACLES,
    PLAIN,
    X0,
    carried,
    closure_of,
    iterate,
    made,
    pieces,
    skip_what_is_refused,
    tensor,
    values,
)

Q = np.sqrt(MU / L)
BETA = (1 - Q) / (1 + Q)


# references


@pytest.mark.parametrize(
    "name", ["gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum"]
)
def test_gradient_points_and_outputs_of_the_textbook(name):
    alg = od.algorithm(name)
    outputs, points = three_parameters(*hand_loops.coefficients(name, MU, L))(PLAIN, X0, 60)
    for evaluate, expected in ((False, points), (True, outputs)):
        params = [tensor(v) for v in pieces(X0)]
        found = iterate(alg.to_torch(params, **values(alg)), params, 60, evaluate)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_time_varying_momentum():
    outputs, points = hand_loops.nesterov_c(PLAIN, X0, 60, L)
    for evaluate, expected in ((False, points), (True, outputs)):
        params = [tensor(X0)]
        opt = od.algorithm("nesterov_c").to_torch(params, L=L)
        np.testing.assert_allclose(iterate(opt, params, 60, evaluate), expected, atol=1e-12)


def network(seed=0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    return net.double()


def train(make, steps=100, scheduler=None):
    net = network()
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(32, 5, generator=rng, dtype=torch.float64)
    y = torch.randn(32, 2, generator=rng, dtype=torch.float64)
    opt = make(net.parameters())
    plan = scheduler(opt) if scheduler else None
    for _ in range(steps):
        opt.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        opt.step()
        if plan is not None:
            plan.step()
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()]).numpy()


ALPHA = hand_loops.coefficients("heavy_ball", MU, L)
PEERS = {
    "nesterov_sc": (
        {"mu": MU, "L": L},
        lambda p: torch.optim.SGD(p, lr=1 / L, momentum=BETA, nesterov=True),
    ),
    "heavy_ball": (
        {"mu": MU, "L": L},
        lambda p: torch.optim.SGD(p, lr=ALPHA[0], momentum=ALPHA[1]),
    ),
    "gradient_descent": ({"L": L}, lambda p: torch.optim.SGD(p, lr=1 / L)),
    "adam": ({"h": 0.01, **ADAM}, lambda p: torch.optim.Adam(p, lr=0.01)),
    "rmsprop": (  # theirs has eps outside the root
        {"h": 0.01, "beta2": 0.99, "eps": 1e-40},
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.99, eps=0),
    ),
    "adagrad": (
        {"rate": 0.05, "delta": 0.1},
        lambda p: torch.optim.Adagrad(p, lr=0.05, initial_accumulator_value=0.1, eps=0),
    ),
}


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", PEERS)
def test_they_are_the_optimizers_of_torch(name, foreach):
    """100 steps of a small network in float64; SGD's momentum buffer is an unscaled average of ours."""
    given, peer = PEERS[name]
    ours = train(lambda p: od.algorithm(name).to_torch(p, **given, foreach=foreach))
    np.testing.assert_allclose(ours, train(peer), rtol=1e-11, atol=1e-12)


def test_learning_rate_schedules():
    """lr is the free step of the algorithm; torch's schedulers find it."""
    plan = lambda opt: torch.optim.lr_scheduler.StepLR(opt, 10, gamma=0.5)
    ours = train(lambda p: od.algorithm("adam").to_torch(p, lr=0.02, **ADAM), 50, plan)
    peer = train(lambda p: torch.optim.Adam(p, lr=0.02), 50, plan)
    np.testing.assert_allclose(ours, peer, rtol=1e-12, atol=1e-13)


def test_hyper_parameters_of_groups_are_read_in_every_step():
    p = tensor([1.0])
    opt = od.algorithm("gradient_descent").to_torch([p], L=2.0)
    p.grad = torch.ones_like(p)
    opt.step()
    opt.param_groups[0]["L"] = 4.0
    opt.step()
    assert p.item() == 1 - 1 / 2 - 1 / 4


# the battery


class Replay:
    """A NumPy generator that draws what torch's generator draws."""

    def __init__(self, seed, seeded=False):
        self.source, self.seeded = torch.Generator().manual_seed(seed), seeded

    def standard_normal(self, shape=()):
        source = self.source
        if self.seeded:  # a step that can draw again what it drew
            seed = int(torch.randint(2**62, (), generator=source))
            source = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=source, dtype=torch.float64).numpy()


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("name", od.algorithms())
def test_agrees_with_numpy_over_the_registry(name, foreach):
    skip_what_is_refused(name)
    alg = od.algorithm(name)
    run = load(alg, "numpy").run
    x0 = np.tanh(X0) if "mirror" in name else X0
    # a step that depends on the state amplifies the rounding of inner products, whose order is torch's own
    steps = 50 if alg.size is None else 25
    seeded = "in_place" in inspect.signature(optimizer_class(alg).__init__).parameters
    fixed = {"x0": x0, "steps": steps, "rng": Replay(5, seeded)}
    named = values(alg)
    asked = {
        n: ORACLES.get(n, fixed.get(n, named.get(n, named.get(n.rstrip("_")))))
        for n in inspect.signature(run).parameters
    }
    expected = run(**asked)
    assert expected.shape == (steps + 1, 6) and np.isfinite(expected).all()
    noisy = "rng" in asked
    params = [tensor(x0)] if noisy else [tensor(v) for v in pieces(x0)]
    more = {"generator": torch.Generator().manual_seed(5)} if noisy else {}
    found = iterate(made(name, params, foreach=foreach, **more), params, steps, evaluate=True)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-12 * max(1, np.abs(expected).max()))


def test_the_registry_is_carried():
    assert set(carried()) >= {
        "adam", "extragradient", "gradient_descent", "heavy_ball", "item", "mirror_descent", "nesterov_c",
        "nesterov_sc", "ogda", "proximal_gradient", "proximal_point", "sgd", "triple_momentum",
        "unadjusted_langevin", "normalized_gradient_descent", "dissipative_leapfrog",
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["nesterov_sc", "adam", "item", "underdamped_langevin", "adagrad"])
def test_lists_and_loop_are_the_same_bits(name, dtype):
    rows = []
    for foreach in (True, False):
        torch.manual_seed(1)
        params = [torch.randn(s, dtype=dtype, requires_grad=True) for s in ((3, 2), (5,), ())]
        generator = torch.Generator().manual_seed(2)
        more = {"generator": generator} if name == "underdamped_langevin" else {}
        opt = made(name, params, foreach=foreach, **more)
        for k in range(5):
            for p in params:
                p.grad = (p.detach() * 0.3 + 0.1 * (k + 1)).to(dtype)
            opt.step()
        rows.append([p.detach().clone() for p in params])
        state = [v for p in params for v in opt.state[p].values() if isinstance(v, torch.Tensor)]
        assert all(v.dtype == dtype for v in state)
    for a, c in zip(
        *rows, strict=True
    ):  # in half precision torch's lists round scalars their own way
        half, eps = dtype in (torch.bfloat16, torch.float16), 8 * torch.finfo(dtype).eps
        assert torch.allclose(a, c, rtol=eps, atol=eps) if half else torch.equal(a, c)


class Recorder(TorchDispatchMode):
    """The names of the operations that are run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket._qualified_op_name.split("::")[1])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "operations"),
    [
        ("gradient_descent", ["add_"]),
        ("heavy_ball", ["lerp_", "add_"]),
        ("nesterov_sc", ["lerp_", "add_", "add_"]),
        ("nesterov_c", ["mul_", "add_", "add_", "add_"]),
        ("adam", ["lerp_", "mul_", "addcmul_", "mul", "sqrt_", "add_", "addcdiv_"]),
        ("ogda", ["add_", "add_", "copy_"]),
    ],
)
def test_few_passes_in_place(name, operations):
    params = [torch.ones(4, requires_grad=True)]
    opt = made(name, params, foreach=False, error_if_nonfinite=False)
    params[0].grad = torch.ones(4)
    opt.step()
    where = {n: v.data_ptr() for n, v in opt.state[params[0]].items() if torch.is_tensor(v)}
    with Recorder() as seen:
        opt.step()
    ran = [n for n in seen.names if n != "detach" and not n.startswith("_record_function")]
    assert sorted(ran) == sorted(operations)
    after = {n: v.data_ptr() for n, v in opt.state[params[0]].items() if torch.is_tensor(v)}
    assert after == where and torch.equal(params[0].grad, torch.ones(4))


# several gradients a step


def test_extragradient_on_a_game_with_a_group_for_each_player():
    """min over x, max over y of x y + 0.05 (x^2 - y^2): the second group maximizes; both look ahead first."""
    turn = np.array([[0.1, 1.0], [-1.0, 0.1]])
    expected = hand_loops.extragradient(lambda z: turn @ z, [1.0, 2.0], 40, 1.2)
    x, y = tensor(1.0), tensor(2.0)
    groups = [{"params": [x]}, {"params": [y], "maximize": True}]
    opt = od.algorithm("extragradient").to_torch(groups, L=1.2)

    def closure():
        opt.zero_grad()
        loss = x * y + 0.05 * (x**2 - y**2)
        loss.backward()
        return loss.item()

    rows = [(x.item(), y.item())]
    for _ in range(40):
        opt.step(closure)
        rows.append((x.item(), y.item()))
    np.testing.assert_allclose(rows, expected, atol=1e-13)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_runge_kutta_keeps_the_gradients_of_its_stages(set_to_none):
    """The classical method, also where zero_grad writes zeros over the gradients of earlier stages."""
    x = od.blocks("x")
    flow = od.System({"flow": {x: -od.Objective("f").grad(x)}}, name="flow")
    alg = od.Algorithm(flow, od.scheme("rk4"))
    h, now = 0.1, np.array(X0)
    for _ in range(10):
        f = lambda z: -PLAIN(z)
        k1 = f(now)
        k2 = f(now + h / 2 * k1)
        k3 = f(now + h / 2 * k2)
        now = now + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(now + h * k3))
    for foreach in (True, False):
        p = tensor(X0)
        opt, calls = alg.to_torch([p], lr=h, foreach=foreach), []
        matrix, center = torch.tensor(MATRIX), torch.tensor(CENTER)

        def closure(p=p, opt=opt, calls=calls, matrix=matrix, center=center):
            calls.append(1)
            opt.zero_grad(set_to_none=set_to_none)
            loss = (p - center) @ matrix @ (p - center) / 2
            loss.backward()
            return loss.item()

        for _ in range(10):
            opt.step(closure)
        assert len(calls) == 40
        np.testing.assert_allclose(p.detach().numpy(), now, atol=1e-14)


def test_a_step_with_several_gradients_needs_a_closure_and_survives_its_errors():
    params = [tensor(v) for v in pieces(X0)]
    for name in ("extragradient", "dissipative_leapfrog"):
        opt = made(name, params)
        with pytest.raises(ValueError, match=r"gradients elsewhere: step\(closure\)"):
            opt.step()
        good = closure_of(opt, params)
        opt.step(good)
        before = [p.detach().clone() for p in params]
        memory = copy.deepcopy(opt.state_dict()["state"])
        calls = []

        def bad(calls=calls, good=good):
            calls.append(1)
            if len(calls) == (2 if name == "extragradient" else 1):  # noqa: B023
                raise KeyboardInterrupt
            return good()

        with pytest.raises(KeyboardInterrupt):
            opt.step(bad)
        assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))
        for k, entries in opt.state_dict()["state"].items():
            assert all(torch.equal(v, memory[k][n]) for n, v in entries.items())


# algorithms of the user


x, y, z, w = od.blocks("x y z w")
s, b = od.parameters("s b")
f = od.Objective("f")


def against_numpy(alg, steps=20, **given):
    expected = load(alg, "numpy").run(PLAIN, X0, steps, **given)
    for foreach in (True, False):
        params = [tensor(v) for v in pieces(X0)]
        opt = alg.to_torch(params, foreach=foreach, **given)
        np.testing.assert_allclose(iterate(opt, params, steps, True), expected, atol=1e-12)


def test_blocks_that_hand_their_values_on():
    """History, and a swap: old values are read after they are replaced."""
    x0 = od.blocks("x0")
    moved = x - f.grad(x) * s
    history = {x: moved + (x - y) * b, y: x, z: y}
    against_numpy(od.method(history, output=x + z * s, init={y: x0, z: x0}), s=0.05, b=0.3)
    swap = {x: moved, y: z, z: y}
    out = x + y * s - z * b
    against_numpy(od.method(swap, output=out, init={y: x0, z: x0 * 2}), s=0.05, b=0.3)
    scaled = od.method({x: x * (1 - s) - f.grad(x) * s}, output=x * (1 - b))
    against_numpy(scaled, s=0.05, b=0.3)


def test_elementwise_steps_of_every_kind():
    g = f.grad(x)
    e = od.elementwise
    bodies = [
        lambda v: sp.tanh(v) * v**3 / (1 + v**2),
        lambda v: sp.Max(sp.Min(v, sp.Rational(1, 2)), -b),
        lambda v: sp.exp(-(v**2)) * sp.sin(v) + sp.Abs(v) ** sp.Rational(3, 2) * sp.sign(v),
        lambda v: sp.log(1 + sp.cosh(v)) - sp.atan(b * v) + sp.coth(v + 100),
        lambda v: v / sp.sqrt(s + v**2),
    ]
    for body in bodies:
        updates = {x: x - e(body, g) * s, y: y * b + g}
        against_numpy(od.method(updates, output=x, init={y: x * 0}), s=0.05, b=0.3)
    updates = {
        x: x - od.hadamard(g, y) * s,
        y: y * b + e(sp.cos, x) * s + od.hadamard(x, x),
    }
    against_numpy(od.method(updates, output=x, init={y: x * 0}), steps=5, s=0.01, b=0.3)
    against_numpy(od.method({x: e(lambda a, c: a * sp.exp(-s * c), x, g)}, output=x), s=0.01)


@settings(max_examples=5)
@given(st.lists(st.integers(-4, 4), min_size=9, max_size=9), st.integers(1, 4))
def test_linear_methods_of_three_blocks(entries, seed):
    """Whatever the coordinates, the outputs are those of the straightforward loop."""
    a = [sp.Rational(n, 9) for n in entries]
    g = f.grad(x)
    updates = {
        x: x - g / 20 + y * a[0] + z * a[1],
        y: x * a[2] / 9 + y * a[3] + z * a[4] - g * a[5],
        z: y * a[6] + z * a[7] + g * a[8] / 5,
    }
    alg = od.method(updates, output=x + y * sp.Rational(seed, 7), init={y: x * 0, z: x * 0})
    against_numpy(alg, steps=6)


def test_names_of_the_user_may_be_words_of_the_module():
    param, group, grads = od.blocks("param group grads")
    foreach, lr, c = od.parameters("foreach lr c")
    alg = od.method(
        {param: param - f.grad(param) * lr + group * c, group: group * foreach + f.grad(param), grads: param},
        output=param + grads * c, init={group: x * 0, grads: x * 0},
    )  # fmt: skip
    params = [tensor(X0)]
    opt = alg.to_torch(params, foreach_=0.5, lr=0.05, c=0.01, foreach=True)
    now, extra, past = np.array(X0), np.zeros(6), np.zeros(6)
    rows = []
    for _ in range(11):
        rows.append(now + 0.01 * past)
        g = PLAIN(now)
        now, extra, past = now - 0.05 * g + 0.01 * extra, 0.5 * extra + g, now
    np.testing.assert_allclose(iterate(opt, params, 10, True), rows, atol=1e-13)


def test_oracles_may_return_what_they_were_given():
    """An identity for a prox: the same tensors come back, and are written over afterwards."""
    p, q = tensor(X0), tensor(X0)
    same = lambda tensors, weight: tensors
    fresh = lambda tensors, weight: [t.clone() for t in tensors]
    alg = od.algorithm("douglas_rachford")
    a = alg.to_torch([p], h=0.1, prox_f=same, prox_r=lambda v, w: [t / (1 + w) for t in v])
    c = alg.to_torch([q], h=0.1, prox_f=fresh, prox_r=lambda v, w: [t / (1 + w) for t in v])
    for _ in range(5):
        a.step()
        c.step()
    assert torch.equal(p, q) and not torch.equal(p, tensor(X0))
    wrong = alg.to_torch([q], h=0.1, prox_f=lambda v, w: [t[:1] for t in v], prox_r=fresh)
    with pytest.raises(ValueError, match="tensors of the shapes it is given"):
        wrong.step()


# the source


def test_the_same_bytes_in_another_process():
    code = (
        "import odescent as od\nfor n in ('item', 'adam', 'armijo', 'wolfe'):\n"
        " for t in ('torch', 'optax', 'numpy'): print(od.algorithm(n).source(t))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    ]  # fmt: skip
    assert runs[0] == runs[1] == runs[2] and len(runs[0]) > 8000
    assert b"odescent emit item --target torch" in runs[0]


def files(tmp_path):
    paths = []
    for name in carried():
        paths.append(tmp_path / f"{name}_torch.py")
        paths[-1].write_text(source(od.algorithm(name), "torch"))
    return paths


def test_emitted_files_are_formatted_and_linted(tmp_path):
    assert_clean(files(tmp_path))


def test_unstable_numbers_warn_with_the_stable_range():
    """Gradient descent needs h < 2/L; the step goes by either of its names."""
    one = [torch.nn.Parameter(torch.zeros(2))]
    descent = od.algorithm("gradient_descent").replace(tuning={})
    for name in ("h", "lr"):
        with pytest.warns(OdescentWarning, match=r"unstable .* 0 < h < 0\.2\."):
            descent.to_torch(one, mu=1.0, L=10.0, **{name: 0.3})
        assert descent.to_torch(one, mu=1.0, L=10.0, **{name: 0.1}).param_groups[0]["lr"] == 0.1
