"""The registry of named maps: each against its potential, its dissipation, closed forms, and in every backend."""

from __future__ import annotations

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import sympy as sp

import odescent as od
from odescent import replay
from odescent.discretize.emit import load
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.grammar.write import to_text
from odescent.dynamics.maps import form_of
from odescent.dynamics.maps.form import SOLID
from odescent.dynamics.vector_fields.hypotheses import positive

x = od.blocks("x")
f = od.Objective("f")
h = od.parameters("h")

GIVEN = {
    "sparse_simplex": {"k": 3},
    "top_k": {"k": 5},
    "p_norm": {"q": 1.5},
    "tsallis": {"eta": 0.7},
    "box": {"a": -0.5, "b": 0.8},
}
MATRIX = np.random.default_rng(0).normal(size=(3, 4))
SIZES = np.abs


def rows(a):
    return np.sqrt((a.reshape(len(a), -1) ** 2).sum(1))


def beyond(a, c):
    return np.maximum(np.abs(a) - c, 0)


def conjugate_on_simplex(a, k):
    """max <a, p> - |p|^2/2 on the simplex with at most k that are not zero, by all supports of the largest."""
    flat = np.sort(a.ravel())[::-1]
    best = -np.inf
    for size in range(1, min(k, flat.size) + 1):
        p = flat[:size] + (1 - flat[:size].sum()) / size
        if (p >= 0).all():
            best = max(best, p @ flat[:size] - p @ p / 2)
    return best


def tsallis_conjugate(a, eta=0.7):
    """max <a, p> + 4/eta sum sqrt(p) on the simplex, through its dual: least nu + sum 4 / (eta^2 (nu - a))."""
    least = a.max() + 2 / eta
    dual = lambda nu: nu + (4 / eta**2 / (nu - a)).sum()
    found = scipy.optimize.minimize_scalar(
        dual, bounds=(least - 1e-9, least * 1 + 2 * np.sqrt(a.size) / eta), method="bounded",
        options={"xatol": 1e-11},
    )  # fmt: skip
    return found.fun


POTENTIALS = {
    "ball": lambda a: np.vdot(a, a) / 2 - beyond(np.linalg.norm(a), 1) ** 2 / 2,
    "box": lambda a: (a**2 - np.maximum(a - 0.8, 0) ** 2 - np.maximum(-0.5 - a, 0) ** 2).sum() / 2,
    "clip": lambda a: (a**2 - beyond(a, 1) ** 2).sum() / 2,
    "duality_l1": lambda a: SIZES(a).max() ** 2 / 2,
    "duality_linf": lambda a: SIZES(a).sum() ** 2 / 2,
    "duality_row_rms": lambda a: a.shape[1] * rows(a).sum() ** 2 / 2,
    "duality_spectral": lambda a: np.linalg.norm(a, "nuc") ** 2 / 2,
    "exponential": lambda a: np.exp(a).sum(),
    "nonnegative": lambda a: (np.maximum(a, 0) ** 2).sum() / 2,
    "p_norm": lambda a: (SIZES(a) ** 1.5).sum() ** (2 / 1.5) / 2,
    "shrink": lambda a: (beyond(a, 1) ** 2).sum() / 2,
    "simplex": lambda a: conjugate_on_simplex(a, a.size),
    "softmax": lambda a: np.log(np.exp(a).sum()),
    "sparse_simplex": lambda a: conjugate_on_simplex(a, 3),
    "steepest_l1": lambda a: SIZES(a).max(),
    "steepest_l2": np.linalg.norm,
    "steepest_linf": lambda a: SIZES(a).sum(),
    "steepest_row_rms": lambda a: np.sqrt(a.shape[1]) * rows(a).sum(),
    "steepest_spectral": lambda a: np.linalg.norm(a, "nuc"),
    "top_k": lambda a: np.sort((a**2).ravel())[-5:].sum() / 2,
    "floor": lambda a: (np.floor(a) * a - np.floor(a) * (np.floor(a) + 1) / 2).sum(),
    "tsallis": tsallis_conjugate,
}  # fmt: skip
NORMS = {
    "l1": lambda a: SIZES(a).sum(), "l2": np.linalg.norm, "linf": lambda a: SIZES(a).max(),
    "row_rms": lambda a: np.sqrt((a**2).mean(1)).max(), "spectral": lambda a: np.linalg.norm(a, 2),
}  # fmt: skip


def made(name):
    return od.named_map(name, **GIVEN.get(name, {}))


def numbers(name):
    return tuple(map(float, made(name).scalars))


def differences(fun, a, size=1e-6):
    """Central differences of a scalar function in each entry."""
    steps = np.eye(a.size).reshape(-1, *a.shape) * size
    return np.reshape([(fun(a + e) - fun(a - e)) / (2 * size) for e in steps], a.shape)


def test_all_are_registered() -> None:
    assert od.named_maps() == sorted(POTENTIALS)


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_a_map_is_the_gradient_of_its_potential(name: str) -> None:
    assert np.allclose(
        made(name)(MATRIX), differences(POTENTIALS[name], MATRIX), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_the_derivative_is_that_of_differences_and_symmetric(name: str) -> None:
    m, rng = made(name), np.random.default_rng(1)
    u, lam = rng.normal(size=(2, 3, 4))
    with jax.enable_x64(True):
        along = np.asarray(m.jvp(MATRIX, u))
        back = np.asarray(m.vjp(MATRIX, lam))
    size = 1e-6
    wanted = (m(MATRIX + size * u) - m(MATRIX - size * u)) / (2 * size)
    assert np.allclose(along, wanted, rtol=1e-6, atol=1e-7)
    assert abs(np.vdot(lam, along) - np.vdot(back, u)) < 1e-11 * max(1, np.abs(along).max())
    assert np.vdot(u, along) > -1e-12  # of a convex function


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_what_is_stated_holds_on_random_points(name: str) -> None:
    m, rng = made(name), np.random.default_rng(2)
    form = m.form
    for size in (0.01, 1.0, 30.0):
        a, b = rng.normal(size=(2, 3, 4)) * size
        p, q = m(a), m(b)
        assert np.vdot(p - q, a - b) > -1e-12 * size  # monotone
        if form.dissipates(m.scalars):
            assert np.vdot(a, p) >= 0
        if form.onto:
            assert np.allclose(m(p), p, rtol=0, atol=1e-15 * 30)
        if form.degree is not None:
            assert np.allclose(m(7.5 * a), 7.5**form.degree * p, rtol=1e-12)
    # what the equations of the dissipation say
    wanted = {0: POTENTIALS[name](a), 1: 2 * POTENTIALS[name](a)}.get(form.degree)
    if wanted is not None and form.dissipation:
        assert np.vdot(a, p) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", sorted(n for n in POTENTIALS if form_of(n).onto))
def test_only_projections_onto_solid_sets_leave_what_is_between_their_values(name: str) -> None:
    m, rng = made(name), np.random.default_rng(4)
    values = [m(2 * rng.normal(size=(3, 4))) for _ in range(50)]
    near = np.mean(values, axis=0) + 1e-6 * rng.normal(size=(3, 4))
    assert np.allclose(m(near), near, rtol=0, atol=1e-12) == (m.form.onto == SOLID)


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_steepest_directions_have_norm_one_and_attain_the_dual_norm(norm: str) -> None:
    s, rng = od.named_map(f"steepest_{norm}")(MATRIX), np.random.default_rng(3)
    assert NORMS[norm](s) == pytest.approx(1, rel=1e-12)
    for other in rng.normal(size=(200, 3, 4)):
        assert np.vdot(MATRIX, other / NORMS[norm](other)) <= np.vdot(MATRIX, s) + 1e-12


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_zero_ties_and_extreme_sizes(name: str) -> None:
    m = made(name)
    zero, ones = np.zeros((3, 4)), np.ones((3, 4))
    assert np.isfinite(m(zero)).all() and np.isfinite(m(ones)).all()
    if m.form.degree is not None:
        assert not m(zero).any()
    if m.form.degree == 0:
        for size in (1e-200, 1e200):
            assert np.allclose(m(MATRIX * size), m(MATRIX), rtol=1e-12)
    if name == "sparse_simplex":  # of equal entries the first ones
        assert np.allclose(m(ones).ravel(), [1 / 3] * 3 + [0] * 9)
    elif name == "top_k":
        assert np.array_equal(m(ones).ravel(), [1] * 5 + [0] * 7)
    elif m.form.dissipation:  # what is symmetric stays so
        assert np.ptp(m(ones)) < 1e-14
    with jax.enable_x64(True):
        assert np.isfinite(np.asarray(m.jvp(zero, ones))).all()


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_numpy_jax_and_torch_are_equal(name: str) -> None:
    torch = pytest.importorskip("torch")
    m, wanted = made(name), made(name)(MATRIX)
    with jax.enable_x64(True):
        assert np.allclose(m(jnp.asarray(MATRIX)), wanted, rtol=1e-12, atol=1e-14)
        assert np.allclose(jax.jit(m)(jnp.asarray(MATRIX)), wanted, rtol=1e-12, atol=1e-14)
    assert np.allclose(m(torch.tensor(MATRIX)).numpy(), wanted, rtol=1e-12, atol=1e-14)
    for a in (
        MATRIX.astype(np.float32),
        jnp.asarray(MATRIX, jnp.float32),
        torch.tensor(MATRIX).float(),
    ):
        assert m(a).dtype == a.dtype and m(a).shape == a.shape


def flow(name):
    """x' = -m(grad f(x)), with what m takes as parameters."""
    bounded = {n: a.bound != "" or None for n, a in form_of(name).arguments.items()}
    given = {n: sp.Symbol(n, real=True, nonnegative=sign) for n, sign in bounded.items()}
    m = od.named_map(name, **given)
    return od.System({"all": {x: -m(f.grad(x))}}, output=x)


@pytest.mark.parametrize("name", sorted(POTENTIALS))
def test_emitted_code_is_complete_and_equal(name: str) -> None:
    torch = pytest.importorskip("torch")
    method = od.Algorithm(flow(name), "explicit_euler", step=h)
    given = {"h": 0.1, **dict(zip(form_of(name).arguments, numbers(name), strict=True))}
    wanted = [MATRIX]
    for _ in range(2):
        wanted.append(wanted[-1] - 0.1 * made(name)(wanted[-1] - 1))
    assert np.allclose(
        load(method, "numpy").run(lambda z: z - 1, MATRIX, 2, **given), wanted, rtol=1e-12
    )
    param = torch.nn.Parameter(torch.tensor(MATRIX))
    opt = method.to_torch([param], **given)
    for _ in range(2):
        param.grad = param.detach() - 1
        opt.step()
    assert np.allclose(param.detach().numpy(), wanted[-1], rtol=1e-12)
    with jax.enable_x64(True):
        found = load(method, "jax").run(lambda z: z - 1, jnp.asarray(MATRIX), 2, **given)
        assert np.allclose(found, wanted, rtol=1e-12)
        opt = method.to_optax(**given)
        params = jnp.asarray(MATRIX)
        state = opt.init(params)
        for _ in range(2):
            updates, state = opt.update(params - 1, state, params)
            params = params + updates
        assert np.allclose(params, wanted[-1], rtol=1e-12)
    for target in ("latex", "markdown"):
        assert f"The map {form_of(name).call}" in method.source(target).replace("\n% ", " ")


def test_runs_and_flows_need_no_function() -> None:
    system = flow("simplex")
    assert [o.name for o in system.oracles] == ["grad_f"]
    half = lambda z: jnp.sum((z - 1) ** 2) / 2
    run = od.Algorithm(system, "explicit_euler", step=h).run(half, np.zeros(4), 3, h=0.5, s=2)
    assert np.allclose(run.x, -np.arange(4)[:, None] * np.full(4, 0.25))
    solution = system.simulate(od.Objective("f", half), np.zeros(4), 1.5, parameters={"s": 2})
    assert np.allclose(solution.x[-1], -0.75)
    alone = od.System({"all": {x: od.named_map("softmax")(x) - x}}, output=x)
    assert np.allclose(alone.simulate(None, np.array([1.0, 2.0]), 40.0).x[-1], 0.5, atol=1e-6)


@pytest.mark.parametrize("name", ["simplex", "steepest_spectral"])
def test_trees_are_taken_together_or_leaf_by_leaf(name: str) -> None:
    torch = pytest.importorskip("torch")
    m, method = (
        od.named_map(name),
        od.Algorithm(flow("steepest_spectral"), "explicit_euler", step=h),
    )
    if name == "simplex":
        method = od.Algorithm(flow(name), "explicit_euler", step=h).bind(s=1)
    point = {"b": np.array([0.3, -0.4]), "w": MATRIX}
    if name == "simplex":
        whole = m(np.concatenate([point["b"], MATRIX.ravel()]))
        moved = {"b": whole[:2], "w": whole[2:].reshape(3, 4)}
    else:
        moved = {n: m(leaf) for n, leaf in point.items()}
    wanted = {n: leaf - 0.1 * moved[n] for n, leaf in point.items()}
    square = lambda t: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(t)) / 2
    run = method.run(square, point, 1, h=0.1)
    params = [torch.nn.Parameter(torch.tensor(point[n])) for n in "bw"]
    opt = method.to_torch(params, h=0.1)
    for p in params:
        p.grad = p.detach().clone()
    opt.step()
    with jax.enable_x64(True):
        opt = method.to_optax(h=0.1)
        tree_ = jax.tree.map(jnp.asarray, point)
        updates, _ = opt.update(tree_, opt.init(tree_), tree_)
    for p, n in zip(params, "bw", strict=True):
        assert np.allclose(run.x[n][-1], wanted[n], rtol=1e-12, atol=1e-14)
        assert np.allclose(p.detach().numpy(), wanted[n], rtol=1e-12, atol=1e-14)
        assert np.allclose(point[n] + np.asarray(updates[n]), wanted[n], rtol=1e-12, atol=1e-14)


def test_each_particle_is_mapped() -> None:
    """Every particle of mirror CBO is on the simplex, and the two modules agree."""
    begin = np.random.default_rng(5).dirichlet(np.ones(3), size=6)
    method, given = (
        od.algorithm("mirror_cbo", mirror="tsallis"),
        {"h": 0.1, "lam": 1.0, "sigma": 1e-13},
    )
    value = lambda z: jnp.sum((z - 0.2) ** 2)

    def mean(z: np.ndarray, alpha: float) -> np.ndarray:
        weights = np.exp(-alpha * ((z - 0.2) ** 2).sum(1))
        return weights @ z / weights.sum()

    given |= {"alpha": 10.0, "eta": 0.7}
    found = load(method, "numpy").run(mean, begin, 3, rng=np.random.default_rng(0), **given)
    run = method.run(value, begin, 3, key=jax.random.key(0), **given)
    assert np.allclose(found, run.x, rtol=1e-10)
    assert (
        np.allclose(found.sum(-1), 1)
        and np.ptp(found[-1], axis=0).max() < np.ptp(begin, axis=0).max()
    )


def test_derivations_with_named_maps_replay() -> None:
    for name in ("steepest_l1", "softmax"):
        made_ = od.Algorithm(flow(name), "explicit_euler", step=h).derivation()
        assert made_.verified
        document = json.loads(json.dumps(made_.to_dict()))
        assert replay.replay(document, points=1, say=lambda line: None) == []


def test_the_adjoint_is_the_derivative_in_the_calculus() -> None:
    u, lam = od.blocks("u lam")
    m = od.named_map("tsallis")
    assert m.vjp(x, lam) == m.jvp(x, lam)
    assert sp.expand(od.inner(lam, m.jvp(x, u)) - od.inner(m.vjp(x, lam), u)) == 0
    assert od.gradient(od.inner(lam, m(x)), x) == m.jvp(x, lam)


def test_a_dissipating_map_has_a_sign() -> None:
    p, c = od.blocks("p"), sp.Symbol("c", positive=True)
    told = lambda m: positive("the power", 1 + od.inner(p, m(p))).status
    for name in POTENTIALS:
        wanted = "proved" if form_of(name).dissipation else "assumed"
        assert told(made(name)) == wanted, name
    scaled = positive("the power", 1 + od.inner(p, od.named_map("clip")(c * p)))
    assert scaled.status == "proved"
    assert told(od.named_map("box", a=1, b=2)) == "assumed"  # zero is not inside
    assert told(od.Map("clip")) == "assumed"  # another one of that name


@pytest.mark.parametrize("name", [n for n in POTENTIALS if form_of(n).written])
def test_what_is_written_in_the_calculus_is_the_same(name: str) -> None:
    m = made(name)
    system = od.System({"all": {x: m.written(x) - m(x)}}, output=x)
    kept = system.simulate(None, np.array([0.3, -1.4, 0.05]), 1.0).x[-1]
    assert np.allclose(kept, [0.3, -1.4, 0.05], atol=1e-12)


@pytest.mark.parametrize("name", [n for n in POTENTIALS if form_of(n).inverse])
def test_mirror_maps_undo_their_inverses(name: str) -> None:
    begin = np.array([0.5, 0.2, 0.3])
    given = dict(zip(form_of(name).arguments, numbers(name), strict=True))
    method = od.algorithm("mirror_descent", mirror=name)
    run = load(method, "numpy").run(lambda z: 0 * z, begin, 1, h=0.1, **given)
    assert np.allclose(run, begin, rtol=1e-12)


def test_mirror_descent_with_tsallis_entropy_is_the_published_update() -> None:
    """Zimmert and Seldin: p_i = 4 / (eta (L_i - nu))^2 of the sums L of losses, from the uniform point."""
    losses = np.random.default_rng(4).uniform(size=(5, 3))
    count = iter(losses)
    method = od.algorithm("mirror_descent", mirror="tsallis")
    run = load(method, "numpy").run(lambda _: next(count), np.full(3, 1 / 3), 5, h=1.0, eta=0.7)
    total = losses.sum(0)
    nu = scipy.optimize.brentq(
        lambda n: (4 / (0.7 * (total - n)) ** 2).sum() - 1, total.min() - 100, total.min() - 1e-3
    )
    assert np.allclose(run[-1], 4 / (0.7 * (total - nu)) ** 2, rtol=1e-9)


def test_muon_with_the_spectral_norm_needs_no_function() -> None:
    method = od.algorithm("muon", norm="spectral")
    run = load(method, "numpy").run(lambda z: z, MATRIX, 1, **dict.fromkeys(("h", "beta"), 0.1))
    left, _, right = np.linalg.svd(MATRIX, full_matrices=False)
    assert np.allclose(run[1], MATRIX - 0.1 * left @ right, rtol=1e-12)


def test_text_trees_and_pickles_keep_it() -> None:
    m = od.named_map("box", a=-1, b=h)
    u = od.blocks("u")
    system = od.System({"all": {x: -m(f.grad(x)) + m.jvp(x, u), u: 0 * u}}, output=x, name="s")
    text = to_text(system)
    assert "named box" in text and "box(grad f(x), -1, h)" in text and "D box(x, -1, h)[u]" in text
    assert od.parse_system(text).drift == system.drift
    assert from_tree(json.loads(json.dumps(tree(m(x))))) == m(x)
    again = pickle.loads(pickle.dumps(m))  # noqa: S301
    assert again(x) == m(x) and repr(again) == repr(m) == "named_map('box', a=-1, b=h)"
    short = od.parse_system("blocks x named simplex field all: x' = simplex(x) output x")
    assert short.drift[x] == od.named_map("simplex")(x)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("simplx", {}, "there is no named map 'simplx'"),
        ("ball", {"radius": 1}, "no argument of the map ball called 'radius'"),
        ("ball", {"r": -1}, "r of the map ball must be a finite number > 0, not -1"),
        ("simplex", {"s": 0}, "s of the map simplex must be a finite number > 0, not 0"),
        ("clip", {"r": "two"}, "r of the map clip must be"),
        ("p_norm", {}, r"the map p_norm needs q: named_map\('p_norm', q=...\)"),
        ("softmax", {"t": 1}, "no argument of the map softmax called 't'"),
    ],
)
def test_bad_arguments_get_a_sentence(name: str, given: dict[str, object], said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        od.named_map(name, **given)


def test_bad_use_gets_a_sentence() -> None:
    with pytest.raises(od.OdescentError, match="no number for r, which is h"):
        od.named_map("ball", r=h)(np.ones(2))
    with pytest.raises(od.NotCarried, match="cannot write the map simplex"):
        od.named_map("simplex").written(x)
    with pytest.raises(od.NotCarried, match="has no inverse in the calculus"):
        od.named_map("simplex").inverse(x)
    with pytest.raises(od.OdescentError, match="takes 1 argument"):
        od.named_map("clip")(x, x)
    with pytest.raises(od.OdescentError, match="there is no named map 'simplx'"):
        od.parse_system("blocks x named simplx field all: x' = simplx(x) output x")
    with pytest.raises(od.OdescentError, match="simplex has 1 arguments after the point, not 2"):
        od.parse_system("blocks x named simplex field all: x' = simplex(x, 1, 2) output x")
    with pytest.raises(od.OdescentError, match="must be a finite number > 0, not -1"):
        od.parse_system("blocks x named simplex field all: x' = simplex(x, -1) output x")
