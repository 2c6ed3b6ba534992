"""Riccati flows: exact steps against closed forms, and against what a wrong coefficient does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.evaluation.evaluate import evaluate

x, v, w = od.blocks("x v w")
P, S = od.blocks("P S", kind="symmetric")
M = od.blocks("M", kind="matrix")
s = od.blocks("s", kind="scalar")
h, T, a = od.parameters("h T a")
f = od.Objective("f")
RNG = np.random.default_rng(5)
N = 4


def definite():
    m = RNG.normal(size=(N, N))
    return m @ m.T + np.eye(N)


VALUES = {x: RNG.normal(size=N), v: RNG.normal(size=N), w: RNG.normal(size=N)}
VALUES |= {P: definite(), S: definite(), M: RNG.normal(size=(N, N)) + 4 * np.eye(N)}
VALUES |= {s: 0.6, h: 0.7, T: 1.9, a: -0.4}
CURVATURES = {
    "one": (od.outer(v, v), np.outer(VALUES[v], VALUES[v])),
    "two": (od.outer(v, v) + od.outer(w, w) * 2,
            np.outer(VALUES[v], VALUES[v]) + 2 * np.outer(VALUES[w], VALUES[w])),
    "dense": (S, VALUES[S]),
    "identity": (od.identity, np.eye(N)),
}  # fmt: skip


def method_of(block, rate, by="exact"):
    held = {b: b * 0 for b in (x, v, w, S)}
    system = od.System(
        {"flow": {block: rate}, "hold": held}, output=x, init={P: od.identity, S: od.identity}
        if block == P else {M: od.identity, S: od.identity},
    )  # fmt: skip
    return od.Algorithm(system, od.scheme("lie_trotter", [("flow", by), ("hold", "explicit")]))


def stepped(method, block):
    return np.asarray(evaluate(method.program.update_map()[block], VALUES, {}, jnp))


@pytest.mark.parametrize("name", CURVATURES)
@pytest.mark.parametrize("block", [P, M])
def test_the_exact_step_is_the_closed_form(name: str, block: object) -> None:
    """P(h)^-1 = e^(-h/T) P^-1 + (1 - e^(-h/T)) S, and with another growth its own; the inverse is never formed."""
    curvature, matrix = CURVATURES[name]
    quadratic = od.apply(block, od.apply(curvature, block))
    decay = np.exp(-0.7 / 1.9)
    leaking = decay * np.linalg.inv(VALUES[block]) + (1 - decay) * matrix
    found = stepped(method_of(block, (block - quadratic) / T), block)
    assert found == pytest.approx(np.linalg.inv(leaking), rel=1e-10)
    no_leak = np.linalg.inv(np.linalg.inv(VALUES[block]) + 0.7 * 1.9 * matrix)
    assert stepped(method_of(block, -quadratic * T), block) == pytest.approx(no_leak, rel=1e-10)
    growing = np.exp(0.4 * 0.7)
    general = growing * np.linalg.inv(VALUES[block]) + 3 * (growing - 1) / 0.4 * matrix
    found = stepped(method_of(block, block * a - quadratic * 3), block)
    assert found == pytest.approx(np.linalg.inv(general), rel=1e-10)


def test_a_rank_one_step_is_the_formula_of_sherman_and_morrison() -> None:
    """P - P s s^T P h/(1 + h s^T P s), and s^T P r where the two factors differ."""
    Pv = od.apply(P, v)
    made = method_of(P, -od.outer(Pv, Pv)).program.update_map()[P]
    exact = P - od.outer(Pv, Pv) * (h / (1 + h * od.inner(v, Pv)))
    assert vanishes(made - exact) and not vanishes(made - exact - od.outer(Pv, Pv) * h / 1000)
    left, right = od.apply(M, v), od.apply(od.transpose(M), w)
    apart = method_of(M, -od.outer(left, right)).program.update_map()[M]
    assert vanishes(apart - M + od.outer(left, right) * (h / (1 + h * od.inner(w, left))))


@pytest.mark.parametrize("name", ["one", "dense"])
def test_the_exact_step_has_no_error_at_any_order_and_a_wrong_one_has(name: str) -> None:
    curvature, _ = CURVATURES[name]
    rate = (P - od.apply(P, od.apply(curvature, P))) / T
    found = method_of(P, rate).modified_equation(3)
    assert vanishes(found.terms[0][P] - rate)
    assert all(vanishes(term[P]) for term in found.terms[1:])
    euler = method_of(P, rate, "explicit").modified_equation(1)
    assert not vanishes(euler.terms[1][P])


@pytest.mark.parametrize("place", range(3))
def test_each_coefficient_of_the_exact_step_matters(place: int) -> None:
    """The leak, the weight of the quotient and what is in its denominator, each of them off in the second order."""
    Pv, factors = od.apply(P, v), [sp.S.One] * 3
    factors[place] += h**2 / 1000
    b = sp.exp(-h / T)
    leak, weight, below = (
        k * e for k, e in zip(factors, (1 / b, 1 / b * (1 / b - 1), 1 / b - 1), strict=True)
    )
    step = P * leak - od.outer(Pv, Pv) * (weight / (1 + below * od.inner(v, Pv)))
    held = {c: c * 0 for c in (x, v)}
    rate = (P - od.outer(Pv, Pv)) / T
    system = od.System({"flow": {P: rate, **held}}, output=x, init={P: od.identity})
    for wrong, value in ((True, step), (False, substituted(step, factors))):
        method = od.Algorithm(system, od.Scheme([od.Let({P: value})]), step=h)
        terms = method.modified_equation(3).terms
        assert vanishes(terms[0][P] - rate)
        assert all(vanishes(t[P]) for t in terms[1:]) != wrong


def substituted(step, factors):
    """The step with the factors that are off taken away."""
    Pv, b = od.apply(P, v), sp.exp(-h / T)
    right = P / b - od.outer(Pv, Pv) * ((1 - b) / b**2 / (1 + (1 / b - 1) * od.inner(v, Pv)))
    assert not vanishes(step - right)
    return right


def test_scalars_have_the_flow_of_the_logistic_equation() -> None:
    system = od.System({"flow": {s: (s - 3 * s**2) / T}}, output=s)
    method = od.Algorithm(system, "exact")
    decay = np.exp(-0.7 / 1.9)
    found = float(evaluate(method.program.update_map()[s], VALUES, {}, np))
    assert found == pytest.approx(1 / (decay / 0.6 + (1 - decay) * 3), rel=1e-12)
    assert all(vanishes(t[s]) for t in method.modified_equation(3).terms[1:])


def test_oracles_are_asked_where_the_substep_begins() -> None:
    g = f.grad(x)
    Pg = od.apply(P, g)
    system = od.System(
        {"filter": {P: (P - od.outer(Pg, Pg)) / T}, "move": {x: -od.apply(P, g)}},
        output=x, init={P: od.identity},
    )  # fmt: skip
    scheme = od.scheme("lie_trotter", [("filter", "exact"), ("move", "explicit")])
    method = od.Algorithm(system, scheme).bind(h=0.1, T=0.5)
    objective = od.Objective(lambda p: jnp.sum(jnp.cosh(p)))
    run = np.asarray(method.run(objective, np.array([1.0, -0.5, 0.25]), 8).x)
    p, at, decay = np.eye(3), np.array([1.0, -0.5, 0.25]), np.exp(-0.2)
    for _ in range(8):
        slope = np.sinh(at)
        p = np.linalg.inv(decay * np.linalg.inv(p) + (1 - decay) * np.outer(slope, slope))
        at = at - 0.1 * p @ slope
    assert run[-1] == pytest.approx(at, rel=1e-11)


def test_what_has_no_closed_form_is_refused_in_a_sentence() -> None:
    Pv = od.apply(P, v)
    fields = {
        "holds, but they contain v": {P: P - od.outer(Pv, Pv), v: -v},
        "P and s have one each": {P: P - od.apply(P, P), s: s - s**2},
        "is linear in the blocks it moves, or P' = a P - P S P": {
            P: P - od.apply(P, P) + od.identity
        },
        "or s' = a s - s S s, but the drift of s": {s: 1 - s**2},
        "holds, but they contain P": {P: P - od.apply(P, od.apply(P, P))},
    }
    for sentence, drift in fields.items():
        rest = {b: b * 0 for b in (x, v) if b not in drift}
        init = {P: od.identity} if P in drift else {}
        system = od.System({"flow": drift, "hold": rest}, output=x, init=init)
        scheme = od.scheme("lie_trotter", [("flow", "exact"), ("hold", "explicit")])
        with pytest.raises(od.OdescentError) as found:
            od.Algorithm(system, scheme)
        assert sentence in str(found.value), found.value


def _f():
    return od.Objective(lambda p: jnp.sum(jnp.cosh(p) - 1))


def cancer():
    """Thirty standardized columns of the breast cancer data, and the labels."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    X = (X - X.mean(0)) / X.std(0)
    return X, 2.0 * y - 1


def test_iterative_newton_solves_least_squares_as_descent_with_twice_the_steps() -> None:
    """On the breast cancer data: iterate k is 2^k steps of descent from zero with the matrix step a S."""
    X, y = cancer()
    curvature, target, b = X.T @ X / len(y), X.T @ y / len(y), od.blocks("b")
    M_, S_ = od.blocks("M S", kind="symmetric")
    begin = curvature / np.linalg.norm(curvature, 2) ** 2
    method = od.algorithm("iterative_newton")
    found = np.asarray(method.run(_f(), {M_: begin, S_: curvature, b: target}, 45).x)
    for k in (0, 1, 2, 5, 9):
        point = np.zeros(30)
        for _ in range(2**k):
            point = point + begin @ (target - curvature @ point)
        assert found[k] == pytest.approx(point, rel=1e-9, abs=1e-12)
    textbook = begin
    for _ in range(9):
        textbook = 2 * textbook - textbook @ curvature @ textbook
    assert found[9] == pytest.approx(textbook @ target, rel=1e-9)
    exact = np.linalg.lstsq(X, y, rcond=None)[0]
    assert np.linalg.norm(curvature @ (found[-1] - exact)) < 1e-6 * np.linalg.norm(target)


def test_newton_schulz_goes_to_the_polar_factor() -> None:
    X = od.blocks("X", kind="matrix")
    method = od.algorithm("newton_schulz")
    for seed in range(3):
        rng = np.random.default_rng(seed)
        begin = rng.normal(size=(6, 6))
        begin /= np.linalg.norm(begin, 2)
        u, sizes, vt = np.linalg.svd(begin)
        run = np.asarray(method.run(_f(), {X: begin}, 40).x)
        assert run[1] == pytest.approx(1.5 * begin - 0.5 * begin @ begin.T @ begin, rel=1e-12)
        assert run[-1] == pytest.approx(u @ vt, abs=1e-9)
        definite = u @ np.diag(sizes) @ u.T
        assert np.asarray(method.run(_f(), {X: definite}, 40).x)[-1] == pytest.approx(
            np.eye(6), abs=1e-9
        )
    flow = od.system("orthogonalization_flow").simulate(
        _f(), {X: begin}, 2.0, rtol=1e-11, atol=1e-12
    )
    growing = np.linalg.svd(np.asarray(flow.x[-1]), compute_uv=False)
    # s' = s (1 - s^2)/2 has the solution s^2 = 1/(1 + (1/s_0^2 - 1) e^-t)
    assert growing == pytest.approx(1 / np.sqrt(1 + (1 / sizes**2 - 1) * np.exp(-2.0)), rel=1e-8)


def test_newton_schulz_inverts_definite_matrices() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        m = rng.normal(size=(5, 8))
        matrix = m @ m.T
        M_, S_ = od.blocks("M S", kind="symmetric")
        begin = matrix / np.linalg.norm(matrix, 2) ** 2
        start = {M_: begin, S_: matrix, od.blocks("b"): np.ones(5)}
        found = od.algorithm("iterative_newton").run(_f(), start, 40)
        assert np.asarray(found.states["M"][-1]) == pytest.approx(np.linalg.inv(matrix), rel=1e-8)


@pytest.mark.parametrize("leak", ["inverse", "factor"])
@pytest.mark.parametrize("rescaled", [True, False])
def test_mkor_is_its_textbook_form_and_stays_positive_definite(leak: str, rescaled: bool) -> None:
    """Logistic regression on the breast cancer data; the factor is inverted densely by hand."""
    X, y = cancer()

    def loss(p):
        return jnp.mean(jnp.logaddexp(0, -jnp.asarray(y) * (jnp.asarray(X) @ p))) + 5e-3 * p @ p

    def slope(p):
        return X.T @ (-y / (1 + np.exp(y * (X @ p)))) / len(y) + 1e-2 * p

    method = od.algorithm("mkor", leak=leak, rescaled=rescaled)
    run = method.run(od.Objective(loss), np.zeros(30), 60, h=0.05)
    p, at = np.eye(30), np.zeros(30)
    for k in range(60):
        g = slope(at)
        if leak == "inverse":
            p = np.linalg.inv(np.linalg.inv(0.95 * p + 0.05 * np.eye(30)) + np.outer(g, g))
        else:
            p = np.linalg.inv(0.95 * np.linalg.inv(p) + 0.05 * np.outer(g, g))
        step = p @ g
        at = at - 0.05 * step * (np.linalg.norm(g) / np.linalg.norm(step) if rescaled else 1)
        found = np.asarray(run.states["P"][k + 1])
        assert found == pytest.approx(p, rel=1e-6, abs=1e-9 * np.abs(p).max())
        assert np.abs(found - found.T).max() <= 1e-12 * np.abs(p).max()
        assert np.linalg.eigvalsh(found)[0] > 0
    assert np.asarray(run.x[-1]) == pytest.approx(at, rel=1e-7)
    assert loss(run.x[-1]) < (0.3 if rescaled else 0.6)


@pytest.mark.parametrize("leak", [False, True])
def test_the_inverse_filter_is_the_inverse_of_a_sum_of_outer_products(leak: bool) -> None:
    method = od.algorithm("inverse_filter", leak=leak)
    keep, gain = (0.9, 0.1) if leak else (1.0, 0.2)
    values = {"h": 0.05, "beta": 0.9} if leak else {"h": 0.2}
    run = method.run(_f(), np.array([1.0, -0.5, 0.25]), 20, **values)
    factor, at = np.eye(3), np.array([1.0, -0.5, 0.25])
    for _ in range(20):
        g = np.sinh(at)
        factor = keep * factor + gain * np.outer(g, g)
        at = at - values["h"] * np.linalg.solve(factor, g)
    assert np.asarray(run.x[-1]) == pytest.approx(at, rel=1e-9)
    assert np.asarray(run.states["P"][-1]) == pytest.approx(np.linalg.inv(factor), rel=1e-8)


def test_regularized_newton_is_two_linearly_implicit_steps() -> None:
    """Of the gradient flow over the time gam/|g|, and of the flow at unit speed as a W-method; no longer than gam."""
    gam, g = od.parameters("gam"), f.grad(x)
    length = sp.sqrt(od.inner(g, g))
    method = od.algorithm("regularized_newton").tuned.update_map()[x]
    flow = od.Algorithm(od.system("gradient_flow"), "linearly_implicit").program.update_map()[x]
    radius = f.hessian(x) + od.identity * (length / gam)
    moved = od.dynamics.algebra.calculus.substitute(flow, {h: gam / length})
    unit = od.scheme("linearly_implicit", operator=-f.hessian(x) / length)
    other = od.Algorithm(od.system("rescaled_flow"), unit).program.update_map()[x]
    other = od.dynamics.algebra.calculus.substitute(other, {h: gam})
    for made in (method, moved, other):
        assert vanishes(od.apply(radius, made - x) + g)
    assert not vanishes(od.apply(radius, (method - x) * sp.Rational(1001, 1000)) + g)
    rosenbrock = od.Algorithm(od.system("rescaled_flow"), "linearly_implicit").program.update_map()
    with_projector = od.dynamics.algebra.calculus.substitute(rosenbrock[x], {h: gam})
    assert not vanishes(od.apply(radius, with_projector - x) + g)


def test_regularized_newton_converges_superlinearly_and_no_step_is_longer_than_its_radius() -> None:
    X, y = cancer()

    def loss(p):
        return jnp.mean(jnp.logaddexp(0, -jnp.asarray(y) * (jnp.asarray(X) @ p))) + 5e-4 * p @ p

    run = od.algorithm("regularized_newton").run(od.Objective(loss), 3 * np.ones(30), 25, gam=8.0)
    points = np.asarray(run.x)
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() <= 8.0
    slopes = [np.linalg.norm(jax.grad(loss)(p)) for p in points]
    assert min(slopes) < 1e-10
    near = next(k for k, size in enumerate(slopes) if size < 1e-3)
    assert slopes[near + 1] < 30 * slopes[near] ** 1.5


def test_each_derivation_holds_and_none_of_its_claims_can_change() -> None:
    for name in ("iterative_newton", "mkor", "m_fac"):
        made = od.derive(name)
        assert made.verified
        assert not any(p.verified for step in made.steps for p in step.perturbed())
    steps = {s_.title for s_ in od.derive("iterative_newton").steps if s_.kind == "finding"}
    assert steps == {"What explicit Euler adds"}


def test_a_time_varying_source_beside_blocks_that_rest_or_decay() -> None:
    x, t, a = od.blocks("x"), od.parameters("t"), od.parameters("a")
    rate = (P - od.apply(P, od.apply(S, P)) * sp.exp(-t)) / T
    system = od.System(
        {"flow": {P: rate, S: S * 0, x: -a * x}}, output=P, time=t, init={P: od.identity, S: od.identity}
    )  # fmt: skip
    method = od.Algorithm(system, "exact")
    begin = {P: np.diag([2.0, 1.0]), S: np.diag([0.5, 3.0]), x: np.ones(2)}
    run = method.bind(T=2, a=1, h=0.1).run(od.Objective(lambda P: 0.0), begin, 3)
    inverse = np.diag([0.5, 1.0])
    for k in range(3):  # the source held during a step
        inverse = np.exp(-0.05) * inverse + (1 - np.exp(-0.05)) * np.exp(-0.1 * k) * begin[S]
    assert np.allclose(run.x[-1] @ inverse, np.eye(2), atol=1e-12)
    assert np.allclose(run.states["x"][-1], np.exp(-0.3))
