"""Methods told apart by a function and exact numbers, against runs; calls made twice; what may differ in name only."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.equality.trial import y as coordinate

x, v, m, w, y, d, last, x0 = od.blocks("x v m w y d last x0")
n = od.blocks("n", kind="scalar")
h, eps, b, s, L = od.parameters("h eps b s L")
f, g = od.Objective("f"), od.Objective("g")
AT_THE_ITERATE = {
    "adam": {"h": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.01},
    "rmsprop": {"h": 0.1, "beta2": 0.75, "eps": 0.01},
    "adagrad": {"rate": 0.1, "delta": 0.01},
    "sign_descent": {"h": 0.1},
    "normalized_gradient_descent": {"h": 0.1},
    "gradient_descent": {"L": 10.0},
}


@pytest.mark.parametrize("pair", list(itertools.combinations(AT_THE_ITERATE, 2)))
def test_a_trial_is_what_the_compiled_programs_do(pair: tuple[str, str]) -> None:
    both = [od.algorithm(name) for name in pair]
    found = both[0].equivalent(both[1])
    assert found.verdict == "refuted", found.reason
    trial = found.witness
    slopes = [sp.lambdify(coordinate, e, "numpy") for e in trial.slopes["f"]]
    objective = od.Objective("f", grad=lambda z: np.array([1.0, 1.0]) * _stacked(slopes, z))
    start = np.array([float(c) for c in trial.x0])
    runs = []
    for algorithm in both:
        values = {s.name: float(e) for s, e in trial.parameters.items()}
        own = {p.name: values[p.name] for p in algorithm.tuned.parameters}
        runs.append(algorithm.run(objective, start, 5, **own).x)
    point = np.array([float(c) for c in trial.point])
    np.testing.assert_allclose(runs[trial.number][trial.step], point, rtol=1e-9)
    others = np.asarray(runs[1 - trial.number])[: trial.step + trial.later + 1]
    assert np.abs(others - point).max(axis=1).min() > 1e-9
    nearest = np.array([float(c) for c in trial.nearest])
    assert np.abs(others - nearest).max(axis=1).min() < 1e-9


def _stacked(slopes, z):
    import jax.numpy as jnp

    return jnp.stack([e(c) for e, c in zip(slopes, z, strict=True)])


TINY = 1 + sp.Rational(1, 10**25)
NEAR = {
    "an elementwise step off by 1e-25": lambda k: od.method(
        {x: x - k * h * od.elementwise(sp.tanh, f.grad(x))}, output=x
    ),
    "a norm": lambda k: od.method({x: x - h * f.grad(x) / sp.sqrt(k * eps + od.inner(f.grad(x), f.grad(x)))}, output=x),
    "an average": lambda k: od.method(
        {m: b * m + (1 - k * b) * f.grad(x), x: x - h * od.elementwise(sp.sign, m)}, output=x, init={m: x0}
    ),
    "a squared momentum": lambda k: od.method(
        {v: b * v + k * od.hadamard(f.grad(x), f.grad(x)), x: x - h * v}, output=x, init={v: 0}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR)
def test_nonlinear_near_misses(name: str) -> None:
    one, other = NEAR[name](1), NEAR[name](TINY)
    assert one.equivalent(NEAR[name](1)).verdict == "proved"
    found = one.equivalent(other)
    assert found.verdict == ("undecided" if name == "an average" else "refuted"), found.reason
    if found.witness is not None:
        assert found.witness.point != found.witness.nearest
        assert str(found.witness).count(" = ") >= 2


def test_a_nonlinear_method_in_other_words_is_never_refuted() -> None:
    """The same iterates with the gradient asked for ahead, with a scaled state, and with a state that nothing reads."""
    after = x - h * od.elementwise(sp.sign, last)
    ahead = od.method({x: after, last: f.grad(after)}, output=x, init={last: f.grad(x0)})
    scaled = od.method(
        {w: w - 3 * h * od.elementwise(sp.sign, f.grad(w / 3))}, output=w / 3, init={w: 3 * x0}
    )
    unread = od.method({x: x - h * od.elementwise(sp.sign, f.grad(x)), w: w / 2 + x}, output=x)
    for one in (ahead, scaled, unread):
        for pair in ((one, od.algorithm("sign_descent")), (od.algorithm("sign_descent"), one)):
            assert pair[0].equivalent(pair[1]).verdict != "refuted"


def test_conjugate_maps_undo_each_other() -> None:
    """From Z = dual(x0) the first gradient is asked for at mirror(dual(x0)) = x0."""
    mirror, dual = od.Map("mirror"), od.Map("dual")
    one = od.method({w: w - h * f.grad(mirror(w))}, output=w, init={w: dual(x0)})
    assert one.equivalent(od.algorithm("mirror_descent")).verdict != "refuted"


def test_only_the_name_of_the_oracle() -> None:
    for name in ("adam", "sign_descent", "adagrad"):
        algorithm = od.algorithm(name)
        oracle = algorithm.tuned.calls[0].oracle
        renamed = type(oracle)(oracle.kind, "g")
        other = copy.copy(algorithm)
        other.__dict__["tuned"] = algorithm.tuned.renamed({oracle: renamed})
        found = od.recognize(other)
        assert (found.verdict, found.name, set(found.but_for)) == (
            "equal but for",
            name,
            {"oracle"},
        )


def again() -> od.Algorithm:
    """Gradient descent that asks at the beginning and once more at the end of each step."""
    after = x - s * f.grad(x)
    return od.method({x: after, w: f.grad(after)}, output=x, init={w: 0})


def convex(twice: bool = False, steps: int = 1) -> od.Algorithm:
    """NAG-C by y, with its gradient as a mean of two at one point, or several steps in one."""
    a, c, k = x, y, n
    for _ in range(steps):
        slope = (f.grad(c) + f.grad(w)) / 2 if twice else f.grad(c)
        moved = c - slope / od.dynamics.L
        a, c, k = moved, moved + (k + 1) / (k + 4) * (moved - a), k + 1
    return od.method({x: a, y: c, n: k, **({w: c} if twice else {})}, output=x, init={n: 0})


def test_calls_made_again_are_one() -> None:
    plain = od.method({x: x - s * f.grad(x)}, output=x)
    for found in (again().equivalent(plain), plain.equivalent(again())):
        assert found.verdict == "proved" and found.same_output, found.reason
    assert od.recognize(again()).name == "gradient_descent"
    later = od.method(
        {x: x - 2 * s * f.grad(x), w: f.grad(x - s * f.grad(x))}, output=x, init={w: 0}
    )
    assert later.equivalent(plain).verdict == "refuted"
    for found in (convex(True).equivalent(convex()), convex().equivalent(convex(True))):
        assert found.verdict == "proved" and found.same_output, found.reason


def test_two_steps_of_a_method_that_changes_with_the_step() -> None:
    found = od.recognize(convex(steps=2))
    assert (found.verdict, found.name) == (
        "equal but for",
        "nesterov_c",
    ) and "steps" in found.but_for


def test_what_matches_nothing_names_what_is_open() -> None:
    found = od.recognize(
        od.method({x: x - f.grad(x) / 7 + b * v, v: v * b - w / 3, w: x / 2}, output=x)
    )
    assert set(found.undecided) <= {"item", "unified_nesterov", "ogm"}
    assert found.name is None and "up to two steps" in found.reason


@pytest.mark.parametrize("size", [10**60, 10**120, 10**250])
def test_states_of_very_different_sizes_are_no_difference(size: int) -> None:
    """NAG-C in the states w = x + size y and y: nothing is left of x in few digits."""
    moved = y - f.grad(y) / od.dynamics.L
    ahead = moved + (n + 1) / (n + 4) * (moved - (w - size * y))
    turned = od.method(
        {w: moved + size * ahead, y: ahead, n: n + 1}, output=w - size * y, init={n: 0, w: (1 + size) * x0}
    )  # fmt: skip
    for one, other in ((turned, convex()), (convex(), turned)):
        assert one.equivalent(other).verdict in {"proved", "undecided"}


NOISY = ["unadjusted_langevin", "sgld", "sgd", "aboba", "baoab", "obabo", "leimkuhler_matthews", "underdamped_exact",
         "underdamped_langevin", "annealed_langevin"]  # fmt: skip
COPIES = 20_000


def _emitted(
    name: str,
    parameters: dict[str, float],
    steps: int,
    start: np.ndarray,
    slopes: list,
    rng: object,
) -> list:
    """The points at which emitted code calls the gradient, many copies of a plane at once, first to last."""
    module: dict = {}
    exec(od.algorithm(name).source("numpy"), module)  # noqa: S102
    points: list[np.ndarray] = []

    def grad(z: np.ndarray) -> np.ndarray:
        points.append(np.array(z))
        return np.stack([s(z[i]) * np.ones_like(z[i]) for i, s in enumerate(slopes)])

    asked = module["run"].__annotations__
    module["run"](
        grad, start, steps, **{k: v for k, v in parameters.items() if k in asked}, rng=rng
    )
    return points


@pytest.mark.parametrize("pair", list(itertools.combinations(NOISY, 2)))
def test_noise_is_told_apart_by_means_and_variances_that_samples_have(
    pair: tuple[str, str],
) -> None:
    found = od.algorithm(pair[0]).equivalent(od.algorithm(pair[1]))
    assert found.verdict == "refuted", found.reason
    trial = found.witness
    if trial is None:  # other functions
        assert "evaluates" in found.reason
        return
    slopes = [sp.lambdify(coordinate, e, "numpy") for e in trial.slopes["f"]]
    start = np.repeat([[float(c)] for c in trial.x0], COPIES, axis=1)
    values = {s.name: float(e) for s, e in trial.parameters.items()}
    laws = []
    for name in pair:
        points = _emitted(
            name, values, trial.step + trial.later + 1, start, slopes, np.random.default_rng(1)
        )
        laws.append([(z.mean(axis=1), z.var(axis=1)) for z in points])
    wanted = [np.array([float(c) for c in v]) for v in (trial.point, trial.variance[0])]
    off = [min(_off(law, wanted) for law in of) for of in laws]
    assert off[trial.number] < 6, off
    if trial.nearest is not None:
        near = [np.array([float(c) for c in v]) for v in (trial.nearest, trial.variance[1])]
        assert min(_off(law, near) for law in laws[1 - trial.number]) < 6


def _off(law: tuple, wanted: list) -> float:
    """The largest error of mean and variance in standard errors of the sample."""
    (mean, variance), (expected, spread) = law, wanted
    size = np.maximum(spread, 1e-12)
    errors = (
        np.abs(mean - expected) / np.sqrt(size),
        np.abs(variance - spread) / (size * np.sqrt(2)),
    )
    return float(np.max(errors) * np.sqrt(COPIES))


class _Draws:
    """Coordinate i of draw n is (n + 1) / (i + 2)."""

    number = 0

    def standard_normal(self, shape: tuple) -> np.ndarray:
        self.number += 1
        return np.broadcast_to(np.array([[self.number / (i + 2)] for i in range(2)]), shape)


@pytest.mark.parametrize("name", NOISY)
def test_noise_is_told_from_none_by_draws_that_can_be_put_in(name: str) -> None:
    found = od.algorithm(name).equivalent(od.algorithm("gradient_descent"))
    assert found.verdict == "refuted" and found.witness.draws == 0, found.reason
    trial = found.witness
    slopes = [sp.lambdify(coordinate, e, "numpy") for e in trial.slopes["f"]]
    values = {s.name: float(e) for s, e in trial.parameters.items()}
    start = np.array([[float(c)] for c in trial.x0])
    points = _emitted(name, values, trial.step + trial.later + 1, start, slopes, _Draws())
    wanted = np.array([[float(c)] for c in (trial.point if trial.number == 0 else trial.nearest)])
    assert min(np.abs(z - wanted).max() for z in points) < 1e-12


def test_noise_in_other_words_is_never_refuted() -> None:
    """Two independent noises of half the variance, coordinates of another size, and a gradient asked for before."""
    z, u, root = x, w, sp.sqrt(2)

    def noisy(field: dict, noises: list, **options: object) -> od.Algorithm:
        parts = {"drift": field, **{f"noise{i}": od.Field({}, n) for i, n in enumerate(noises)}}
        return od.Algorithm(od.System(parts, **options), od.scheme("explicit_euler"))

    plain = noisy({z: -f.grad(z)}, [{z: od.Diffusion(root, "W")}])
    halves = noisy({z: -f.grad(z)}, [{z: od.Diffusion(1, "W")}, {z: od.Diffusion(1, "B")}])
    scaled = noisy(
        {u: -3 * f.grad(u / 3)}, [{u: od.Diffusion(3 * root, "W")}], output=u / 3, init={u: 3 * x0}
    )
    for other in (halves, scaled):
        for pair in ((plain, other), (other, plain)):
            assert pair[0].equivalent(pair[1]).verdict != "refuted"
    louder = noisy({z: -f.grad(z)}, [{z: od.Diffusion(root * TINY, "W")}])
    assert plain.equivalent(louder).verdict == halves.equivalent(louder).verdict == "refuted"


def test_functions_that_one_never_evaluates() -> None:
    alg = od.algorithm
    for one, other, words in (
        ("cbo", "adam", "the consensus point of f"),
        ("coordinate_descent", "gradient_descent", "the components of grad f"),
        ("itoh_abe", "sor", "quotients of f"),
        ("newton_schulz", "mkor", "the gradient of f"),
        ("halpern", "gradient_descent", "operator F"),
    ):
        found = alg(one).equivalent(alg(other))
        assert found.verdict == "refuted" and words in found.reason, found.reason
    for name in od.algorithms():
        assert alg(name).equivalent(alg(name)).verdict == "proved", name


def test_registered_methods_are_decided() -> None:
    """Each against two others; populations among themselves may stay open."""
    names = list(od.algorithms())
    for i, name in enumerate(names):
        for other in (names[(i + 7) % len(names)], names[(i + 23) % len(names)]):
            found = od.algorithm(name).equivalent(od.algorithm(other))
            assert found.verdict != "undecided" or {"cbo", "consensus"} & {*f"{name}_{other}".split("_")}, (
                name, other, found.reason,
            )  # fmt: skip


def test_matrices_are_told_apart_by_trials_that_hold_for_compiled_programs() -> None:
    pair = ("inverse_filter", "regularized_newton")
    trial = od.algorithm(pair[0]).equivalent(od.algorithm(pair[1])).witness
    heights = [
        sp.lambdify(coordinate, sp.integrate(e, coordinate), "jax") for e in trial.slopes["f"]
    ]
    start, made = np.array([float(c) for c in trial.x0]), []
    values = {s.name: float(e) for s, e in trial.parameters.items()}
    for name in pair:
        algorithm = od.algorithm(name)
        own = {p.name: values[p.name] for p in algorithm.tuned.parameters}
        objective = lambda z: heights[0](z[0]) + heights[1](z[1])
        made.append(np.asarray(algorithm.run(objective, start, 5, **own).x))
    point = np.array([float(c) for c in trial.point])
    assert np.abs(made[trial.number] - point).max(axis=1).min() < 1e-9
    assert np.abs(made[1 - trial.number] - point).max(axis=1).min() > 1e-9
